"""The simulated index: the real `SqlIndex`, failing on demand, and cut off with the power of a `SimDisk`.

Each call on the write side counts as a call on the disk, so that "fail the k-th call" and "cut the power at
the k-th call" reach the index too: before its transaction, or `after` it, when the commit has taken place
and only the answer is lost. What was committed survives a power cut, as SQLite with ``synchronous=FULL``
promises; the folder it lies in should therefore be one that is kept (a temporary folder of the test).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from gantry.archive.index import CurrentVersion, Index, IndexChange, IndexStats
from gantry.archive.index.protocol import at_once
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index_files import SqlIndexFiles
from gantry.archive.records import InstanceKey
from gantry.archive.sim import SimDisk
from gantry.errors import OutOfSpace, StorageError

_T = TypeVar("_T")


class SimIndex(SqlIndex):
    """A `SqlIndex` whose write side obeys the faults of a disk."""

    def __init__(self, path: Path, disk: SimDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def lookup(self, keys: Iterable[InstanceKey]) -> dict[InstanceKey, CurrentVersion]:
        return self._guarded("index lookup", lambda: super(SimIndex, self).lookup(keys))

    def apply(self, changes: Sequence[IndexChange], ready: Callable[[], object] = at_once) -> int:
        # A call on this disk is one step, and what `ready` waits for are other calls: they come before.
        ready()
        return self._guarded("index apply", lambda: super(SimIndex, self).apply(changes))

    def stats(self) -> IndexStats:
        return self._guarded("index stats", super().stats)

    def _guarded(self, what: str, call: Callable[[], _T]) -> _T:
        try:
            with self._disk.call(what):
                return call()
        except OSError as error:
            kind = OutOfSpace if error.errno == errno.ENOSPC else StorageError
            raise kind(f"{what}: {error.strerror}") from error


class SimIndexFiles(SqlIndexFiles):
    """The place of a `SimIndex`; the disk passed in is the one whose faults it obeys."""

    def __init__(self, folder: Path, disk: SimDisk) -> None:
        super().__init__(folder)
        self._disk = disk

    def exists(self) -> bool:
        with self._disk.call("index exists"):
            return super().exists()

    def open(self) -> Index:
        return SimIndex(self._path, self._disk)

    def take_fresh(self, fresh: Index) -> Index:
        with self._disk.call("index swap"):
            super().take_fresh(fresh).close()
        return self.open()

    def set_aside(self, at: datetime) -> None:
        with self._disk.call("index set aside"):
            super().set_aside(at)
