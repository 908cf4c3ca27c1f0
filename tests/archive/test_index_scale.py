"""What storing and finding take does not grow with the archive."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gantry.archive.index import AddVersion
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query
from gantry.standard.query_keys import Level
from index_records import element, record

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SMALL, LARGE = 5_000, 100_000

QUERIES = {
    "one study": Query(Level.STUDY, {"0020000D": element("UI", "1.2.77")}, want_total=True),
    "newest": Query(Level.STUDY, limit=50, want_total=True),
    "patient": Query(Level.STUDY, {"00100020": element("LO", "P77")}, want_total=True),
    "accession": Query(Level.STUDY, {"00080050": element("SH", "A77")}, want_total=True),
    "name": Query(Level.STUDY, {"00100010": element("PN", "family000077^*")}, limit=50),
    "modality": Query(Level.STUDY, {"00080061": element("CS", "CT")}, limit=50),
    "instances": Query(Level.IMAGE, {"0020000D": element("UI", "1.2.77")}, want_total=True),
}


def studies(first: int, last: int) -> list[AddVersion]:
    return [
        AddVersion(
            record(
                f"1.2.{i}",
                f"1.2.{i}.1",
                f"1.2.{i}.1.{k}",
                tick=i * 10 + k,
                patient_id=f"P{i}",
                # As long as all others, so that none begins with another, and more do the more there are
                name=f"Family{i:06}^Given{i % 97}",
                accession=f"A{i}",
                study_date=f"20{i % 24:02}{i % 12 + 1:02}{i % 28 + 1:02}",
                number=k,
            ),
            1,
        )
        for i in range(first, last)
        for k in range(2)
    ]


@contextmanager
def counted(session: sqlite3.Connection) -> Iterator[list[int]]:
    """Steps of the database's own machine: the same on every computer, however busy it is."""
    steps = [0]

    def one_more() -> None:
        steps[0] += 1

    session.set_progress_handler(one_more, 1)
    try:
        yield steps
    finally:
        session.set_progress_handler(None, 1)


def steps_to_find(index: SqlIndex) -> dict[str, int]:
    """Of each query; readers have one session as long as one thread asks."""
    found = {}
    with index._readers.snapshot() as snapshot:
        session = snapshot.raw
    for name, query in QUERIES.items():
        with counted(session) as steps:
            assert index.find(query).rows
        assert steps[0] > 0
        found[name] = steps[0]
    return found


def steps_to_store(index: SqlIndex, first: int) -> int:
    """Of two objects of a new study, at most."""
    found = []
    for change in studies(first, first + 50):
        with counted(index._writer.raw) as steps:
            index.apply([change])
        found.append(steps[0])
    assert min(found) > 0
    return max(found)


def test_twenty_times_more_studies_take_no_more_steps(tmp_path: Path) -> None:
    index = SqlIndex(tmp_path / "index.sqlite")

    def fill(first: int, last: int) -> None:
        for start in range(first, last, 500):
            index.apply(studies(start, min(start + 500, last)))

    fill(0, SMALL)
    small, small_store = steps_to_find(index), steps_to_store(index, 10_000_000)
    fill(SMALL, LARGE)
    large, large_store = steps_to_find(index), steps_to_store(index, 20_000_000)
    assert index.stats().studies == LARGE + 100
    more = {name: (small[name], large[name]) for name in small if large[name] > 1.5 * small[name]}
    assert more == {}
    assert large_store <= 1.5 * small_store
    index.close()
