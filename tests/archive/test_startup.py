"""However the last run ended, and whatever became of the index, the next start finds everything."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gantry.archive.archive import Archive, Options
from gantry.archive.blobs.files import object_path, prepare_folders
from gantry.archive.disk import write_all
from gantry.archive.index import VersionKind
from gantry.archive.received import LINES_PER_FILE, Journal, Receipt
from gantry.archive.records import Origin
from gantry.archive.sim import SimDisk
from stored_objects import SCANNER, SMALL, key_of, part10, simulated, uid


def fill(archive: Archive) -> None:
    for study in (1, 2, 3):
        for instance in (1, 2, 3):
            archive.store(
                [part10(study, 1, instance, patient=f"P{study}")], Origin(f"AE{study}", "192.0.2.7", "dimse")
            )
    archive.store([part10(1, 1, 1, comment="two")], SCANNER)
    archive.delete(uid(2), origin=SCANNER)
    archive.delete(uid(3), uid(3, 1), uid(3, 1, 3))
    archive.restore(uid(2))
    archive.store([part10(1, 1, 1)], SCANNER)


def dump(archive: Archive) -> list[dict[str, object]]:
    return list(archive.index.canonical_dump())


@pytest.mark.parametrize("policy", ["newest", "first"])
def test_n12_the_index_made_from_the_folder_equals_the_one_it_replaces(tmp_path: Path, policy: str) -> None:
    with Archive.open(tmp_path, Options(policy, 0)) as archive:
        fill(archive)
        before = dump(archive)
        order = [(row.key, row.number, row.at, row.origin) for row in archive.index.all_versions()]
        seen: list[tuple[int, int]] = []
        rebuilt = archive.reindex(lambda done, total: seen.append((done, total)))
        assert rebuilt.skipped == ()
        assert seen[-1][0] == seen[-1][1] == rebuilt.versions
        assert dump(archive) == before
        assert [(row.key, row.number, row.at, row.origin) for row in archive.index.all_versions()] == order
        archive.store([part10(7)], SCANNER)
        assert archive.verify().is_clean


@pytest.mark.parametrize("how", ["deleted", "corrupt", "empty", "another file"])
def test_b80_an_index_that_is_gone_or_broken_is_made_anew(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        fill(archive)
        before = dump(archive)
    index = tmp_path / "index.sqlite"
    match how:
        case "deleted":
            index.unlink()
        case "corrupt":
            data = bytearray(index.read_bytes())
            data[4096:20000] = b"\xa5" * (20000 - 4096)
            index.write_bytes(data)
        case "empty":
            index.write_bytes(b"")
        case "another file":
            index.write_bytes(b"this is no database" * 1000)
    with caplog.at_level(logging.WARNING), Archive.open(tmp_path, SMALL) as archive:
        assert dump(archive) == before
        assert archive.verify().is_clean
    assert "anew" in caplog.text
    if how in ("corrupt", "another file"):
        assert list(tmp_path.glob("index.broken-*"))


def test_b80_an_older_index_is_noticed_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        archive.store([part10(9)], SCANNER)
    older = (tmp_path / "index.sqlite").read_bytes()
    with Archive.open(tmp_path, SMALL) as archive:
        fill(archive)
        before = dump(archive)
    (tmp_path / "index.sqlite").write_bytes(older)
    with caplog.at_level(logging.WARNING), Archive.open(tmp_path, SMALL) as archive:
        assert dump(archive) == before
        assert archive.verify().is_clean
    assert "older" in caplog.text


def test_b80_without_index_and_journal_every_object_is_found(tmp_path: Path) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        fill(archive)
        current = {location.key: archive.read(location) for location in archive.locate()}
        kinds = [row.kind for row in archive.versions(key_of())]
    (tmp_path / "index.sqlite").unlink()
    for file in (tmp_path / "received").iterdir():
        file.unlink()
    with Archive.open(tmp_path, SMALL) as archive:
        assert {location.key: archive.read(location) for location in archive.locate()} == current
        assert [row.kind for row in archive.versions(key_of())] == kinds == [
            VersionKind.OBJECT, VersionKind.OBJECT, VersionKind.RESTORE
        ]  # fmt: skip
        assert archive.verify().is_clean


def test_an_index_newer_than_the_journal_brings_the_journal_up(tmp_path: Path) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        fill(archive)
        before = dump(archive)
    journal = tmp_path / "received" / "00000000.jsonl"
    whole = journal.read_bytes()
    for cut in (len(whole) // 2, 10, 0):
        journal.write_bytes(whole[:cut])
        Archive.open(tmp_path, SMALL).close()
        assert journal.read_bytes() == whole
    with Archive.open(tmp_path, SMALL) as archive:
        archive.reindex()
        assert dump(archive) == before


def test_n04_what_was_being_received_is_wiped(tmp_path: Path) -> None:
    Archive.open(tmp_path, SMALL).close()
    (tmp_path / "incoming" / "17").write_bytes(b"half")
    Archive.open(tmp_path, SMALL).close()
    assert list((tmp_path / "incoming").iterdir()) == []


def test_the_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    with Archive.open(tmp_path / "a", SMALL) as archive:
        archive.store([part10()], SCANNER)
    for path in [tmp_path / "a", *(tmp_path / "a").rglob("*")]:
        assert path.stat().st_mode & 0o007 == 0, path


def test_the_journal_goes_on_over_many_files() -> None:
    disk = SimDisk()
    prepare_folders(disk)
    journal = Journal(disk)
    with simulated() as simulation:
        now = simulation.clock.now()
    total = 2 * LINES_PER_FILE + 5
    journal.add(Receipt(0, key_of(), n, now, SCANNER, f"p{n}") for n in range(1, total + 1))
    assert journal.count == total
    journal.shut()
    again = Journal(disk)
    assert again.count == total
    assert [r.number for r in again.read()] == list(range(1, total + 1))
    assert len(disk.list_folder("received")) == 3


def test_a_journal_is_mended_whichever_call_of_the_first_try_failed() -> None:
    """The disk fails once while what a crash left at the end is cut off; the next try does it."""
    with simulated() as simulation:
        now = simulation.clock.now()
    at_call, mended = 0, False
    while not mended:
        at_call += 1
        disk = SimDisk()
        prepare_folders(disk)
        journal = Journal(disk)
        journal.add(Receipt(0, key_of(), n, now, SCANNER, f"p{n}") for n in (1, 2))
        journal.shut()
        with closing(disk.append("received/00000000.jsonl")) as file:
            write_all(file, [b'{"n":3,'])
        disk.fail(at_call)
        try:
            journal.recover()
            mended = True
        except OSError:
            journal.recover()
        disk.heal()
        journal.add([Receipt(0, key_of(), 3, now, SCANNER, "p3")])
        assert [r.number for r in journal.read()] == [1, 2, 3]
    assert at_call > 5


def test_lines_of_a_journal_are_written_while_they_come() -> None:
    """Of a rebuild they are as many as there are objects, and are never all in memory."""
    disk = SimDisk()
    prepare_folders(disk)
    journal = Journal(disk)
    with simulated() as simulation:
        now = simulation.clock.now()
    ahead = 0

    def coming() -> Iterator[Receipt]:
        nonlocal ahead
        for n in range(1, LINES_PER_FILE + 2_500):
            ahead = max(ahead, n - journal.count)
            yield Receipt(0, key_of(), n, now, SCANNER, f"p{n}")

    journal.add([Receipt(0, key_of(), 1, now, SCANNER, "first")])
    journal.add(coming())
    assert ahead <= 1_000
    assert journal.count == LINES_PER_FILE + 2_500


def peak_of_a_start_without_index(lines: int) -> int:
    """Most bytes of Python's own, with so many lines in the journal and two objects in the log.

    The journal tells of the first of them, and of others that are lost.
    """
    with simulated() as simulation:
        for instance in (1, 2):
            simulation.store(part10(1, 1, instance))
        simulation.kill()
        for file in simulation.folder.glob("index*"):
            file.unlink()
        journal = Journal(simulation.disk)
        told = ((key_of(), Origin("FIRST")), *((key_of(9, 1, n), SCANNER) for n in range(lines)))
        now = simulation.clock.now()
        journal.add(Receipt(0, key, 1, now, origin, object_path(key, 1)) for key, origin in told)
        journal.shut()
        del told
        tracemalloc.start()
        archive = simulation.archive
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert [row.origin.source_aet for row in archive.index.all_versions()] == ["FIRST", "SCANNER"]
        assert [archive.read(one) for one in archive.locate()] == [part10(1, 1, n) for n in (1, 2)]
        return peak


def test_a_start_without_index_takes_no_more_memory_where_there_is_more() -> None:
    fewer, more = (peak_of_a_start_without_index(n * LINES_PER_FILE) for n in (1, 3))
    assert more < fewer + 200_000, (fewer, more)


def test_n20_a_clock_set_back_keeps_the_order() -> None:
    with simulated() as simulation:
        simulation.store(part10(instance=1))
        simulation.clock.jump(-3600)
        simulation.store(part10(instance=2))
        simulation.archive.delete(uid(1))
        simulation.restart()
        simulation.clock.jump(-86400)
        simulation.archive.restore(uid(1))
        simulation.store(part10(instance=1, comment="b"))
        before = dump(simulation.archive)
        simulation.archive.reindex()
        assert dump(simulation.archive) == before
        assert len(simulation.archive.locate()) == 2
