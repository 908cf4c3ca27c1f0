"""Objects that are acknowledged, because the log holds them, and that still wait for their files and rows.

One committer owns it. It only keeps them, by instance, with the memory that holds their bytes; how they are
made is `gantry.archive.commit`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from gantry.archive.blobs.files import object_path
from gantry.archive.blocks import Block, Blocks
from gantry.archive.disk import BLOCK_BYTES, Disk, padded
from gantry.archive.log import MOST_ENTRIES, ArrivalLog, Entry
from gantry.archive.received import Receipt
from gantry.archive.records import InstanceKey, ObjectRecord

MAX_BYTES = 24 << 20
"""Objects that wait at most; beyond it their files and rows come before the next object is acknowledged."""
_BATCH_BYTES = 8 << 20


@dataclass(slots=True, eq=False)
class Waiting:
    """One object that the log holds: its record, when it was acknowledged, and its bytes.

    `is_stuck` after a failure that would only repeat itself: then it waits for the next start.
    """

    record: ObjectRecord
    at: datetime
    block: Block
    segment: int = 0
    is_stuck: bool = False


class Backlog:
    """The objects that wait. `add` is for one thread, all else for any."""

    def __init__(self, disk: Disk, blocks: Blocks, log_bytes: int) -> None:
        self.log = ArrivalLog(disk, log_bytes)
        self._blocks = blocks
        self._lock = threading.Lock()
        self._waiting: dict[InstanceKey, Waiting] = {}
        self._size = 0

    def __contains__(self, key: InstanceKey) -> bool:
        return key in self._waiting

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether more must not be acknowledged before some of it is made."""
        return self._size > MAX_BYTES

    def add(self, objects: Sequence[Waiting]) -> None:
        """Write new instances into the log, durably. Raises LogFull, OSError, SyncFailed."""
        segment = self.log.append([_entry(one) for one in objects])
        with self._lock:
            for one in objects:
                one.segment = segment
                self._waiting[one.record.key] = one
                self._size += one.record.file_size

    def batches(self) -> Iterable[list[Waiting]]:
        """All that waits now and can be tried, oldest first, as many at a time as one transaction takes."""
        with self._lock:
            waiting = [one for one in self._waiting.values() if not one.is_stuck]
        return _shared_out(waiting)

    def made(self, objects: Iterable[Waiting], *, durably: bool) -> None:
        """These have their files and rows. Not `durably`: then the log holds them until the next start."""
        with self._lock:
            for one in objects:
                del self._waiting[one.record.key]
                self._size -= one.record.file_size
                if durably:
                    self.log.release(one.segment)
                self._blocks.give(one.block)


def groups_for_log(objects: Sequence[Waiting]) -> Iterable[list[Waiting]]:
    """Objects in groups that the log takes with one write."""
    return _shared_out(objects)


def _shared_out(objects: Sequence[Waiting]) -> Iterable[list[Waiting]]:
    group: list[Waiting] = []
    size = 0
    for one in objects:
        takes = BLOCK_BYTES + padded(one.record.file_size)
        if group and (size + takes > _BATCH_BYTES or len(group) == MOST_ENTRIES):
            yield group
            group, size = [], 0
        group.append(one)
        size += takes
    if group:
        yield group


def _entry(one: Waiting) -> Entry:
    record = one.record
    receipt = Receipt(0, record.key, 1, one.at, record.origin, object_path(record.key, 1))
    return Entry(receipt, record, one.block)
