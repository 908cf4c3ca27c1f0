"""What is acknowledged from the log before it has a file or a row: seen by all, lost by none."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from gantry.archive.archive import Archive, Options
from gantry.archive.blobs.files import SyncFailed, object_path
from gantry.archive.blocks import Blocks, zero_tail
from gantry.archive.commit import behind
from gantry.archive.commit.stage import Stager
from gantry.archive.disk import OsDisk
from gantry.archive.index import IndexChange
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.log import ArrivalLog, Entry
from gantry.archive.outcome import NewVersion, Refused, Stored, Unchanged
from gantry.archive.query import Query, TextQuery
from gantry.archive.received import Receipt
from gantry.archive.store import examine_file
from gantry.archive.verify import EXTRA_FILE
from gantry.errors import OutOfSpace, StorageError
from gantry.standard.query_keys import Level
from gantry_process import wait_until
from stored_objects import SCANNER, SMALL, WITHOUT_LOG, Simulation, key_of, part10, simulated, uid


def files(simulation: Simulation) -> list[str]:
    return [name for name in simulation.disk.file_names() if name.startswith("objects/")]


def test_an_answer_does_not_wait_for_file_and_row() -> None:
    with simulated() as simulation:
        assert isinstance(simulation.store(part10()), Stored)
        assert files(simulation) == []
        assert simulation.archive.is_behind
        assert "index apply" not in simulation.disk.log
        # Who asks has them made first.
        (location,) = simulation.archive.locate()
        assert simulation.archive.read(location, check=True) == part10()
        assert files(simulation) == [location.path]
        assert not simulation.archive.is_behind


@pytest.mark.parametrize("ask", ["find", "search_text", "versions", "changes", "stats", "metadata", "verify"])
def test_whoever_asks_sees_all_that_was_acknowledged(ask: str) -> None:
    with simulated() as simulation:
        archive = simulation.archive
        for n in range(1, 4):
            simulation.store(part10(instance=n))
        count = {
            "find": lambda: len(archive.find(Query(Level.IMAGE)).rows),
            "search_text": lambda: archive.search_text(TextQuery(["doe"], limit=5)).rows and 3,
            "versions": lambda: 3 * len(archive.versions(key_of(1, 1, 3))),
            "changes": lambda: len(archive.changes()),
            "stats": lambda: archive.stats().instances,
            "metadata": lambda: archive.series_metadata(uid(1), uid(1, 1), lambda *_: "") and 3,
            "verify": lambda: archive.verify().objects,
        }
        assert count[ask]() == 3


@pytest.mark.parametrize("cut", [False, True])
def test_n01_what_only_the_log_holds_survives(cut: bool) -> None:
    with simulated() as simulation:
        outcomes = [simulation.store(part10(instance=n)) for n in range(1, 6)]
        assert all(isinstance(outcome, Stored) for outcome in outcomes)
        simulation.power_cut() if cut else simulation.kill()
        archive = simulation.archive
        for n in range(1, 6):
            (version,) = archive.versions(key_of(1, 1, n))
            assert version.origin == SCANNER
            assert version.location is not None
            assert archive.read(version.location, check=True) == part10(instance=n)
        assert archive.verify().is_clean
        before = list(archive.index.canonical_dump())
        archive.reindex()
        assert list(archive.index.canonical_dump()) == before


def test_n12_b80_what_only_the_log_holds_is_in_an_index_made_anew_with_its_origin() -> None:
    with simulated() as simulation:
        simulation.store(part10(instance=1))
        simulation.archive.settle()
        simulation.store(part10(instance=2))
        simulation.kill()
        for file in simulation.folder.iterdir():
            file.unlink()
        origins = [simulation.archive.versions(key_of(1, 1, n))[0].origin for n in (1, 2)]
        assert origins == [SCANNER, SCANNER]


def test_n04_a_start_after_a_start_finds_nothing_in_the_log() -> None:
    with simulated() as simulation:
        simulation.store(part10())
        simulation.kill()
        simulation.archive.settle()
        simulation.kill()
        written = len(simulation.disk.log)
        simulation.archive.stats()
        assert not [call for call in simulation.disk.log[written:] if call.startswith("create")]


def test_n09_a_version_waits_for_the_one_before_it() -> None:
    with simulated() as simulation:
        simulation.store(part10(comment="a"))
        assert isinstance(simulation.store(part10(comment="b")), NewVersion)
        assert isinstance(simulation.store(part10(comment="b")), Unchanged)
        rows = simulation.archive.versions(key_of())
        assert [row.number for row in rows] == [1, 2]
        assert rows[0].at < rows[1].at


@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_n05_what_cannot_be_made_now_is_made_later(kind: int) -> None:
    with simulated() as simulation:
        archive = simulation.archive
        for n in range(1, 4):
            assert isinstance(simulation.store(part10(instance=n)), Stored)
        for k in range(1, 40):
            simulation.disk.fail(k, kind)
        archive.settle()
        assert archive.is_behind
        simulation.disk.heal()
        if archive.read_only:
            assert kind != errno.ENOSPC
        assert archive.stats().instances == 3
        assert not archive.is_behind
        simulation.kill()
        assert simulation.archive.stats().versions == 3
        assert simulation.archive.verify().is_clean


def test_n06_after_a_failed_sync_what_is_in_the_log_can_be_read_and_is_made_again_at_the_next_start() -> None:
    with simulated() as simulation:
        archive = simulation.archive
        simulation.store(part10(instance=1))
        calls = simulation.disk.log
        before = len(calls)
        simulation.disk.fail(place_of("sync incoming/", settling=True))
        (location,) = archive.locate()
        assert archive.read(location) == part10(instance=1)
        assert archive.read_only
        assert len(calls) > before
        assert isinstance(archive_refuses(simulation), StorageError)
        simulation.power_cut()
        (location,) = simulation.archive.locate()
        assert simulation.archive.read(location, check=True) == part10(instance=1)
        assert simulation.archive.verify().is_clean


def place_of(what: str, *, settling: bool = False) -> int:
    """Which call of a first store, or of what settles it, begins so; from 1."""
    with simulated() as rehearsal:
        archive = rehearsal.archive
        start = len(rehearsal.disk.log)
        rehearsal.store(part10(instance=1))
        if settling:
            start = len(rehearsal.disk.log)
            archive.settle()
        return next(n for n, call in enumerate(rehearsal.disk.log[start:], 1) if call.startswith(what))


def archive_refuses(simulation: Simulation) -> Exception | None:
    try:
        simulation.archive.begin()
    except StorageError as error:
        return error
    return None


def test_what_failed_to_be_logged_and_was_refused_never_takes_the_place_of_another() -> None:
    with simulated() as simulation:
        archive = simulation.archive
        # Written into the log, but its answer, and then all else, fails.
        write = place_of("write_at log/")
        simulation.disk.fail(write, errno.EIO, after=True)
        for k in range(write + 1, write + 9):
            simulation.disk.fail(k, errno.EMFILE)
        assert isinstance(simulation.store(part10(comment="refused")), Refused)
        assert "write_at log/0" in simulation.disk.log
        simulation.disk.heal()
        simulation.kill()
        # Nobody was told that it is kept; whether it is, is for the log to say. Other bytes make a version of it.
        outcome = simulation.store(part10(comment="kept"))
        assert isinstance(outcome, Stored | NewVersion)
        simulation.kill()
        (location,) = simulation.archive.locate()
        assert simulation.archive.read(location, check=True) == part10(comment="kept")
        assert archive is not simulation.archive


def test_other_bytes_that_were_kept_are_never_overwritten_from_the_log(tmp_path: Path) -> None:
    with Archive.open(tmp_path, WITHOUT_LOG) as archive:
        archive.store([part10(comment="kept")], SCANNER)
    leave_in_log(tmp_path, part10(comment="refused"))
    with Archive.open(tmp_path, WITHOUT_LOG) as archive:
        (location,) = archive.locate()
        assert archive.read(location, check=True) == part10(comment="kept")
        assert archive.stats().versions == 1
    for name in ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    leave_in_log(tmp_path, part10(comment="refused"))
    with Archive.open(tmp_path, WITHOUT_LOG) as archive:
        (location,) = archive.locate()
        assert archive.read(location, check=True) == part10(comment="kept")


@pytest.mark.parametrize("path", ["objects/../../evil.dcm", "/etc/evil.dcm", "objects/00/1/2/3.dcm"])
def test_b33_a_log_that_names_another_path_is_not_followed(tmp_path: Path, path: str) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        archive.stats()
    leave_in_log(tmp_path, part10(), path)
    with Archive.open(tmp_path, SMALL) as archive:
        assert archive.stats().instances == 0
        assert archive.verify().is_clean


def leave_in_log(folder: Path, data: bytes, path: str | None = None) -> None:
    """What a run that was killed leaves: an object in the log."""
    disk = OsDisk(folder)
    (folder / "probe").write_bytes(data)
    record = examine_file(disk, "probe", "incoming/probe", SCANNER)
    (folder / "probe").unlink()
    block = Blocks().take()
    block[: len(data)] = data
    zero_tail(block, len(data))
    receipt = Receipt(0, record.key, 1, record.received_at, SCANNER, path or object_path(record.key, 1))
    ArrivalLog(disk).append([Entry(receipt, record, block)])


def test_a_log_that_is_full_holds_nobody_up() -> None:
    with simulated() as simulation:
        for n in range(1, 60):
            assert isinstance(simulation.store(part10(instance=n)), Stored)
        assert simulation.archive.stats().instances == 59
        assert simulation.archive.verify().is_clean


def test_n07_a_disk_with_little_room_is_not_filled_by_the_log() -> None:
    with simulated(capacity=2 * SMALL.log_bytes) as simulation:
        assert isinstance(simulation.store(part10()), Stored)
        assert not simulation.archive.is_behind
        assert not [name for name in simulation.disk.file_names() if name.startswith("log/")]


def test_a_thread_makes_them_soon_and_close_makes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(reserve_bytes=0)
    with Archive.open(tmp_path, options) as archive:
        seen = threading.Event()
        archive.listen(lambda _: seen.set())
        assert isinstance(archive.store([part10(instance=1)], SCANNER), Stored)
        assert seen.wait(10)
    monkeypatch.setattr(behind, "LINGER_S", 3600)
    with Archive.open(tmp_path, options) as archive:
        assert isinstance(archive.store([part10(instance=2)], SCANNER), Stored)
        assert archive.is_behind
    with Archive.open(tmp_path, options) as archive:
        assert archive.stats().instances == 2
        assert archive.verify().is_clean


def test_n07_an_index_without_room_is_not_tried_for_all_objects_by_all_who_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def full(_: object, changes: Sequence[IndexChange], *__: object) -> int:
        tried.append(len(changes))
        raise OutOfSpace("could not extend file")

    with Archive.open(tmp_path, Options(reserve_bytes=0)) as archive:
        with monkeypatch.context() as broken:
            broken.setattr(SqlIndex, "apply", full)
            for n in range(1, 41):
                assert isinstance(archive.store([part10(instance=n)], SCANNER), Stored)
            wait_until(lambda: 1 in tried, what="an object that is tried by itself")
            before = len(tried)
            for _ in range(20):
                assert archive.stats().instances == 0
            # The thread tries one of them each second; all of them by each who asks were 800
            assert len(tried) - before < 40
        wait_until(lambda: archive.stats().instances == 40, what="rows, now that there is room")
        assert archive.verify().is_clean


def test_an_object_that_the_index_cannot_take_does_not_keep_the_archive_shut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with simulated() as simulation:
        simulation.store(part10(instance=1))
        simulation.kill()
        with monkeypatch.context() as broken:
            broken.setattr(SqlIndex, "apply", _fault_of_ours)
            assert simulation.archive.stats().instances == 0
        assert [finding.kind for finding in simulation.archive.verify().findings] == [EXTRA_FILE]
        assert isinstance(simulation.store(part10(instance=2)), Stored)
        simulation.archive.verify(repair=True)
        assert simulation.archive.stats().instances == 2


def _fault_of_ours(*_: object) -> int:
    raise ValueError("a fault of ours")


def test_n06_a_failed_sync_counts_also_beside_another_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind, "LINGER_S", 3600)
    with Archive.open(tmp_path, Options(reserve_bytes=0)) as archive:
        for n in (1, 2):
            assert isinstance(archive.store([part10(instance=n)], SCANNER), Stored)
        errors: list[OSError] = [SyncFailed(errno.EIO, "sync"), OSError(errno.EMFILE, "too many")]

        def failing(*_: object) -> None:
            raise errors.pop() if errors else OSError(errno.EMFILE, "too many")

        with monkeypatch.context() as broken:
            broken.setattr(Stager, "_write_file", failing)
            archive.settle()
        assert archive.read_only


def test_a_delete_hides_what_was_only_just_acknowledged() -> None:
    with simulated() as simulation:
        simulation.store(part10(instance=1))
        simulation.store(part10(instance=2))
        assert len(simulation.archive.delete(uid(1))) == 2
        assert simulation.archive.locate() == []
        simulation.power_cut()
        assert simulation.archive.locate() == []
