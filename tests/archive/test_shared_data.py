"""Every object of the shared test data that names itself is kept, and given back bit for bit."""

from __future__ import annotations

from collections import Counter

import pytest

from gantry.archive.outcome import NewVersion, Reason, Refused, Stored, Unchanged
from stored_objects import SCANNER, simulated
from support import shared_data

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

SIZE_LIMIT = 40 << 20
NAMES_NOTHING = {Reason.MISSING_UID, Reason.BAD_UID, Reason.NOT_PART10, Reason.NOT_A_DATA_SET}


def test_n02_n12_what_is_kept_of_the_shared_data_is_given_back_and_reindexed() -> None:
    files = [f for f in sorted(shared_data().rglob("*")) if f.is_file() and f.stat().st_size < SIZE_LIMIT]
    kinds: Counter[type] = Counter()
    with simulated() as simulation:
        archive = simulation.archive
        for file in files:
            data = file.read_bytes()
            outcome = archive.store([data], SCANNER)
            kinds[type(outcome)] += 1
            match outcome:
                case Stored(key=key, number=number) | NewVersion(key=key, number=number):
                    (row,) = (row for row in archive.versions(key) if row.number == number)
                    assert row.location is not None
                    assert archive.read(row.location, check=True) == data, file
                case Refused(reason=reason):
                    assert reason in NAMES_NOTHING, (file, outcome)
                case Unchanged():
                    continue
        assert kinds[Stored] > 400
        assert archive.verify().is_clean
        before = list(archive.index.canonical_dump())
        assert archive.reindex().skipped == ()
        assert list(archive.index.canonical_dump()) == before
