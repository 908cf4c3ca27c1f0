"""Work on many objects: shares in order, processes that die, and going on with what was broken off."""

from __future__ import annotations

import os
import signal
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.archive.archive import Archive
from gantry.archive.batch import BYTES_AT_ONCE, ITEMS_AT_ONCE, Batch, Lost, in_threads
from gantry.archive.disk import Disk
from gantry.archive.names import Names
from gantry.archive.verify import MISSING_FILE, WRONG_DIGEST
from gantry.errors import StorageError
from gantry.toolkit.executors import processes
from stored_objects import key_of, part10


def doubled(place: str, items: Sequence[int]) -> list[str]:
    return [f"{place}{2 * item}" for item in items]


def deadly(place: str, items: Sequence[int]) -> list[str]:
    if 300 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return doubled(place, items)


def somewhere() -> AbstractContextManager[str]:
    return nullcontext("n")


def taken(batch: Batch[str], work: Any, items: Any) -> list[tuple[int, Any]]:
    return [pair for share in batch.run(work, items) for pair in share]


@given(count=st.integers(0, 1000))
def test_each_item_has_its_result_in_order(count: int) -> None:
    with in_threads("n") as batch:
        assert taken(batch, doubled, range(count)) == [(n, f"n{2 * n}") for n in range(count)]


def test_items_are_taken_as_there_is_room_for_them() -> None:
    asked = 0

    def endless() -> Iterator[int]:
        nonlocal asked
        while True:
            asked += 1
            yield asked

    with in_threads("n") as batch:
        shares = batch.run(doubled, endless())
        next(shares)
        assert asked <= (batch.width + 1) * ITEMS_AT_ONCE
        shares.close()


def test_large_items_make_small_shares() -> None:
    with in_threads("n") as batch:
        shares = list(batch.run(doubled, range(10), lambda _: BYTES_AT_ONCE // 2))
    assert [len(share.items) for share in shares] == [2] * 5


def test_only_the_item_that_processes_die_of_has_no_result() -> None:
    with processes(2) as (executor, width):
        found = taken(Batch(executor, somewhere, width), deadly, range(500))
    lost = [item for item, result in found if isinstance(result, Lost)]
    assert lost == [300] and "SIGKILL" in found[300][1].why
    assert [pair for pair in found if pair[0] != 300] == [(n, f"n{2 * n}") for n in range(500) if n != 300]


@given(st.lists(st.text(), unique=True), st.text())
def test_names_are_a_set(texts: list[str], other: str) -> None:
    names = Names()
    names.update(texts)
    assert all(text in names for text in texts)
    assert (other in names) == (other in texts)


def test_many_names_are_a_set() -> None:
    names = Names()
    names.update(str(n) for n in range(0, 400_000, 2))
    names.update(str(n) for n in range(1000))
    assert all(str(n) in names for n in range(0, 400_000, 2))
    assert [n for n in range(1, 3000, 2) if str(n) in names] == list(range(1, 1000, 2))


def test_a_name_takes_eight_bytes_and_a_little() -> None:
    tracemalloc.start()
    names = Names()
    names.update(str(n) for n in range(100_000))
    assert "7" in names and "-7" not in names
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * 100_000  # of which half is let go of when the array grows
    assert len(names._digests) * names._digests.itemsize == 8 * 100_000


# --- gone on with


class _Counted(ThreadPoolExecutor):
    """Threads that count what they are given, and break off after so many shares."""

    def __init__(self, shares: int = 10**9) -> None:
        super().__init__(1)
        self.items = 0
        self._left = shares

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self._left -= 1
        if self._left < 0:
            raise StorageError("the power is cut")
        self.items += len(args[2])
        return super().submit(fn, *args, **kwargs)


class _Deadly(ThreadPoolExecutor):
    """Threads that die of one object, alone or among others."""

    def __init__(self, path: str) -> None:
        super().__init__(1)
        self.deaths = 0
        self._path = path

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._path in repr(args[2]):
            self.deaths += 1
            died: Future[Any] = Future()
            died.set_exception(BrokenExecutor("out of memory"))
            return died
        return super().submit(fn, *args, **kwargs)


def batch_of(archive: Archive, executor: Executor) -> Batch[Disk]:
    with archive.batch() as here:
        return Batch(executor, here.reach, 2)


OBJECTS = 40 * ITEMS_AT_ONCE


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with Archive.open(tmp_path_factory.mktemp("large")) as archive:
        keep(archive, range(1, OBJECTS + 1))
        yield archive


def keep(archive: Archive, instances: range) -> None:
    arrivals = []
    for instance in instances:
        arrivals.append(archive.begin())
        arrivals[-1].write(part10(1 + instance // 1000, 1, instance))
    archive.store_many(arrivals)


def peak_of_a_verify(folder: Path, objects: int) -> int:
    """Most bytes of Python's own, where one thread reads one share at a time."""
    with Archive.open(folder) as archive:
        keep(archive, range(1, objects + 1))
        with archive.batch() as here, ThreadPoolExecutor(1) as executor:
            batch = Batch(executor, here.reach, 1)
            tracemalloc.start()
            assert archive.verify(rows=False, batch=batch).is_clean
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_a_verify_holds_no_list_of_all_objects(tmp_path: Path) -> None:
    """But 8 bytes of each. The index made to compare with is filled as in a rebuild, some objects at a time."""
    fewer, more = (peak_of_a_verify(tmp_path / f"{n}", n) for n in (2000, 5000))
    assert more < fewer + 100_000, (fewer, more)


def broken_off(archive: Archive, call: Callable[..., Any], shares: int) -> None:
    with _Counted(shares) as executor, pytest.raises(StorageError, match="the power is cut"):
        call(batch=batch_of(archive, executor))


@pytest.mark.slow
def test_a_look_that_was_broken_off_reads_the_others_only(large: Archive) -> None:
    paths = [row.location.path for row in large.index.all_versions() if row.location]
    files = [large.real_path(large.locate(*key_of(1 + n // 1000, 1, n))[0]) for n in (5, 6, OBJECTS - 5)]
    assert all(file is not None for file in files)
    rotten, gone, late = (file for file in files if file is not None)
    contents = {file: file.read_bytes() for file in (rotten, gone, late)}
    look = partial(large.verify, rows=False)
    try:
        rotten.write_bytes(contents[rotten][:-1] + b"\xff")
        gone.unlink()
        broken_off(large, look, 34)
        gone.write_bytes(contents[gone])  # which was found missing, and is looked for again
        late.unlink()
        with _Counted() as executor:
            report = large.verify(rows=False, batch=batch_of(large, executor), resume=True)
        assert 8 * ITEMS_AT_ONCE <= executor.items < 12 * ITEMS_AT_ONCE
        assert report.objects == OBJECTS == len(paths)
        assert sorted((one.kind, Path(one.where).name) for one in report.findings) == [
            (MISSING_FILE, late.name),
            (WRONG_DIGEST, rotten.name),
        ]
    finally:
        for file, content in contents.items():
            file.write_bytes(content)
    with _Counted() as executor:  # it came to its end: the next one reads all
        assert large.verify(rows=False, batch=batch_of(large, executor), resume=True).is_clean
        assert executor.items == OBJECTS


@pytest.mark.slow
def test_a_rebuild_that_was_broken_off_is_gone_on_with(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        keep(archive, range(1, 3001))
        for instance in (1, 7, 900):
            archive.delete(*key_of(1, 1, instance))
        broken_off(archive, archive.reindex, 12)
        # It goes on after more has come, and with what was deleted since
        keep(archive, range(3001, 3101))
        archive.delete(*key_of(1, 1, 9))
        former = list(archive.index.canonical_dump())
        with _Counted() as executor:
            rebuilt = archive.reindex(batch=batch_of(archive, executor), resume=True)
        assert rebuilt.versions == 3104
        assert 1600 < executor.items < 2700
        assert list(archive.index.canonical_dump()) == former


def test_an_object_that_workers_die_of_is_read_here_and_keeps_its_row(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        keep(archive, range(1, 301))
        former = list(archive.index.canonical_dump())
        [location] = archive.locate(*key_of(1, 1, 150))
        with _Deadly(location.path) as executor:
            assert archive.verify(batch=batch_of(archive, executor)).is_clean
            rebuilt = archive.reindex(batch=batch_of(archive, executor))
            assert executor.deaths == 6  # of each look, the comparison and the rebuild: its share, and alone
        assert rebuilt.skipped == ()
        assert list(archive.index.canonical_dump()) == former
        file = archive.real_path(location)
        assert file is not None
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
        with _Deadly(location.path) as executor:
            found = archive.verify(rows=False, batch=batch_of(archive, executor)).findings
        assert [(one.kind, one.where) for one in found] == [(WRONG_DIGEST, location.path)]


@pytest.mark.slow
def test_a_rebuild_begins_anew_where_the_folder_is_another(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        keep(archive, range(1, 2001))
        broken_off(archive, archive.reindex, 10)
        path = archive.real_path(archive.locate(*key_of(1, 1, 3))[0])
        assert path is not None
        path.unlink()
        with _Counted() as executor:
            rebuilt = archive.reindex(batch=batch_of(archive, executor), resume=True)
        assert executor.items == rebuilt.versions == 1999
        assert archive.verify().is_clean
