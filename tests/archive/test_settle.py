"""Objects that were named and had no row yet when a process was killed get it at the next start."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gantry.archive.archive import Archive
from gantry.archive.blobs.files import object_path
from gantry.archive.disk import OsDisk
from gantry.archive.outcome import Stored
from gantry.archive.received import Receipt, encode_receipt
from gantry.archive.renames import MAX_BYTES, NAME, Renames, noted
from gantry.archive.sim import SimDisk
from stored_objects import SCANNER, SMALL, WITHOUT_LOG, key_of, part10, uid

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def leave(
    folder: Path, data: bytes | None, instance: int = 2, number: int = 1, *, torn: bool = False
) -> Path:
    """What a kill leaves between renames and transaction; without `data`, before the rename."""
    key = key_of(1, 1, instance)
    path = object_path(key, number)
    line = encode_receipt(Receipt(0, key, number, AT, SCANNER, path))
    with (folder / NAME).open("ab") as file:
        file.write(line[:-5] if torn else line)
    if data is not None:
        OsDisk(folder).create(path).write([data])
    return folder / path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Archive.open(tmp_path, SMALL) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
    assert not (tmp_path / NAME).exists()
    return tmp_path


def test_an_object_without_a_row_gets_the_one_it_was_to_have(folder: Path) -> None:
    leave(folder, part10(1, 1, 2))
    with Archive.open(folder, SMALL) as archive:
        (location,) = archive.locate(sop_uid=uid(1, 1, 2))
        assert archive.read(location, check=True) == part10(1, 1, 2)
        (version,) = archive.versions(key_of(1, 1, 2))
        assert (version.at, version.origin) == (AT, SCANNER)
        assert archive.verify().is_clean
        assert not (folder / NAME).exists()
        archive.reindex()
        assert archive.versions(key_of(1, 1, 2)) == [version]
    with Archive.open(folder, SMALL) as archive:
        assert archive.stats().instances == 2


def test_what_was_never_renamed_is_not_there(folder: Path) -> None:
    leave(folder, None)
    with Archive.open(folder, SMALL) as archive:
        assert archive.stats().instances == 1
        assert archive.verify().is_clean
        assert isinstance(archive.store([part10(1, 1, 2)], SCANNER), Stored)


def test_another_version_does_not_become_current(folder: Path) -> None:
    leave(folder, part10(1, 1, 1, comment="refused"), instance=1, number=2)
    with Archive.open(folder, SMALL) as archive:
        (location,) = archive.locate(sop_uid=uid(1, 1, 1))
        assert archive.read(location) == part10(1, 1, 1)
        assert [finding.kind for finding in archive.verify().findings] == ["extra file"]


def test_what_is_committed_already_is_left_alone(folder: Path) -> None:
    with Archive.open(folder, SMALL) as archive:
        before = archive.versions(key_of(1, 1, 1))
    leave(folder, None, instance=1)
    with Archive.open(folder, SMALL) as archive:
        assert archive.versions(key_of(1, 1, 1)) == before
        assert archive.verify().is_clean


@pytest.mark.parametrize("data", [b"", b"no object", part10(1, 1, 3), part10(1, 1, 2)[:-200]])
def test_a_file_that_is_not_that_object_is_left_for_verify(folder: Path, data: bytes) -> None:
    leave(folder, data)
    with Archive.open(folder, SMALL) as archive:
        assert archive.stats().instances == 1
        assert [finding.kind for finding in archive.verify().findings] == ["extra file"]


def test_a_line_torn_by_the_end_says_nothing(folder: Path) -> None:
    leave(folder, part10(1, 1, 2))
    leave(folder, part10(1, 1, 3), instance=3, torn=True)
    with Archive.open(folder, SMALL) as archive:
        assert archive.stats().instances == 2
        assert [finding.kind for finding in archive.verify().findings] == ["extra file"]


def test_the_cache_may_be_removed_while_objects_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantry.archive.renames.MAX_BYTES", 0)
    with Archive.open(tmp_path, WITHOUT_LOG) as archive:
        for instance in range(1, 5):
            assert isinstance(archive.store([part10(1, 1, instance)], SCANNER), Stored)
            shutil.rmtree(tmp_path / "cache")
        assert archive.verify().is_clean


def test_a_line_that_a_full_disk_cut_hides_none_after_it() -> None:
    disk = SimDisk(capacity=40)
    disk.make_folder("cache")
    renames = Renames(disk)
    keys = [key_of(1, 1, instance) for instance in (1, 2)]
    first, second = (Receipt(0, key, 1, AT, SCANNER, object_path(key, 1)) for key in keys)
    with pytest.raises(OSError, match="No space"):
        renames.note(first)
    disk.capacity = 1 << 20
    renames.note(second)
    assert noted(disk) == [second]


def test_the_file_stays_short(tmp_path: Path) -> None:
    with Archive.open(tmp_path, WITHOUT_LOG) as archive:
        longest = 0
        for study in range(1, 15):
            arrivals = [archive.begin(SCANNER) for _ in range(40)]
            for instance, arrival in enumerate(arrivals, 1):
                arrival.write(part10(study, 1, instance))
            archive.store_many(arrivals)
            longest = max(longest, (tmp_path / NAME).stat().st_size)
        assert MAX_BYTES // 2 < longest < MAX_BYTES + 40 * 300
