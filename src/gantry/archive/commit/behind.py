"""New objects are logged and acknowledged, and get their files and rows behind the answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from gantry.archive.backlog import Backlog, Waiting, groups_for_log
from gantry.archive.blobs.files import NO_ROOM, SyncFailed
from gantry.archive.clock import Stamps
from gantry.archive.commit.arrival import Arrival
from gantry.archive.commit.rows import Rows
from gantry.archive.commit.stage import Stager
from gantry.archive.commit.writable import Writable
from gantry.archive.commit.writer import Writer
from gantry.archive.disk import Disk
from gantry.archive.log import LogFull
from gantry.archive.outcome import Reason, Refused, Stored
from gantry.archive.records import InstanceKey
from gantry.errors import StorageError, Unreachable

_log = logging.getLogger(__name__)

LINGER_S = 0.03
"""How long rows wait for others to be written with them; nobody waits for it (see `Behind.catch_up`)."""
RETRY_S = 1.0
"""How long to wait before a disk or an index that refused is asked again."""
_LOG_ROOM = 4
"""Segments of the log that must fit on the disk for it to be used: two of it, and what they hold as files."""


class Behind:
    """What one committer has acknowledged and not made yet.

    `alone` is held by who changes files and index. `log` is for the thread that receives, all else for any.
    """

    def __init__(
        self,
        disk: Disk,
        backlog: Backlog,
        rows: Rows,
        stager: Stager,
        writer: Writer,
        stamps: Stamps,
        writable: Writable,
        alone: threading.RLock,
        *,
        log_bytes: int,
        reserve_bytes: int,
    ) -> None:
        self.acknowledged = 0
        self._is_away = False
        self._no_room = False
        self._disk = disk
        self._backlog = backlog
        self._rows = rows
        self._stager = stager
        self._writer = writer
        self._stamps = stamps
        self._writable = writable
        self._alone = alone
        self._is_used = log_bytes > 0
        # Nothing is acknowledged that might find no room for its file, or for the log itself
        self._room_for_log = reserve_bytes + _LOG_ROOM * log_bytes
        self._work = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Make things in the background from now on; without it, nothing is made until somebody asks."""
        self._thread = threading.Thread(target=self._make_behind, name="gantry-behind", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Make what waits, and let go of the log."""
        self._closing.set()
        self._work.set()
        if self._thread is not None:
            self._thread.join()
        if not self.catch_up():
            _log.warning("acknowledged objects wait in the log for the next start")
        self._backlog.log.close()

    def __bool__(self) -> bool:
        return bool(self._backlog)

    def __contains__(self, key: InstanceKey) -> bool:
        return key in self._backlog

    def unknown_at(self, key: InstanceKey) -> int | None:
        """A number to be put into the arrival of an instance of which nothing is known; None where it is.

        Asked by each thread for itself, it need not be asked by the one that leads: as long as the index has
        not changed, the answer holds.
        """
        if not self._is_used:
            return None
        state = self._rows.state
        try:
            return None if key in self._backlog or self._rows.index.known([key]) else state
        except StorageError:
            return None

    # --- before the answer ---------------------------------------------------------------------

    def log(self, arrivals: Sequence[Arrival]) -> None:
        """Write those that nobody has seen before into the log, and answer them."""
        if self._writable.ended or not self._is_used:
            return
        new = self._new_ones(arrivals)
        for group in groups_for_log([one for _, one in new]):
            if not self._log_group(group):
                return
            self.acknowledged += len(group)
            logged = {id(one) for one in group}
            for arrival, one in new:
                if id(one) in logged:
                    record, arrival.block = arrival.record, None
                    arrival.outcome = Stored(record.key, 1, record.sop_class_uid, record.transfer_syntax_uid)
        if new:
            self._work.set()

    def _new_ones(self, arrivals: Sequence[Arrival]) -> list[tuple[Arrival, Waiting]]:
        """Arrivals in memory of instances that neither backlog nor index know."""
        new: list[tuple[Arrival, Waiting]] = []
        seen: set[InstanceKey] = set()
        for arrival in arrivals:
            key, block = arrival.record.key, arrival.block
            if block is not None and key not in seen and self._is_new(key, arrival.unknown_at):
                new.append((arrival, Waiting(arrival.record, self._stamps.next(), block)))
            seen.add(key)
        return new

    def _is_new(self, key: InstanceKey, unknown_at: int | None) -> bool:
        # The backlog before the index: what leaves the one is in the other by then.
        if unknown_at is None or key in self._backlog:
            return False
        return unknown_at == self._rows.state or self.unknown_at(key) is not None

    def _log_group(self, group: list[Waiting]) -> bool:
        """Whether the log holds them now. After a failure their files are tried, and tell what is wrong."""
        try:
            if self._disk.free_space() < self._room_for_log:
                return False
            if self._backlog.is_full:
                self.catch_up()
            try:
                self._backlog.add(group)
            except LogFull:
                if not self.catch_up():
                    return False
                self._backlog.add(group)
        except SyncFailed as error:
            self._writable.end(str(error))
            return False
        except (LogFull, OSError):
            return False
        return True

    # --- behind the answer ---------------------------------------------------------------------

    def catch_up(self) -> bool:
        """Have all that was acknowledged before this call in its files and rows.

        False where disk or index refuse: it stays in the log, and is made when they do not, or by the next
        start. While they have no room it is for the background to try again, not for all who ask.
        """
        if self._no_room and self._backlog and self._thread is not None and not self._closing.is_set():
            return False
        return self._catch_up()

    def _catch_up(self) -> bool:
        if not self._backlog:
            return True
        with self._alone:
            all_made = True
            for batch in self._backlog.batches():
                all_made = self._make(batch) and all_made
                if self._no_room:
                    break
            return all_made

    def _make_behind(self) -> None:
        while not self._closing.is_set():
            self._work.wait()
            self._work.clear()
            self._closing.wait(LINGER_S)
            while not self._catch_up() and not self._closing.wait(RETRY_S):
                pass

    def _make(self, batch: list[Waiting]) -> bool:
        """Give logged objects their files and rows; whether all have them."""
        if not self._index_answers(batch[0].record.key):
            return False
        if self._no_room:
            # One of them tells at little cost whether there is room by now
            if self._try_to_make(batch[:1]):
                return False
            batch = batch[1:]
            if not batch:
                return True
        could_write = not self._writable.ended
        left = self._try_to_make(batch)
        if left and could_write and self._writable.ended:
            # A sync has failed: once more, without promising anything of it
            left = self._try_to_make(left)
        if left and len(batch) > 1:
            left = self._one_by_one(left)
        return not left

    def _one_by_one(self, batch: list[Waiting]) -> list[Waiting]:
        """Those that could not be made: one must not keep the others from it, but where there is no room."""
        left: list[Waiting] = []
        for number, one in enumerate(batch):
            left += self._try_to_make([one])
            if self._no_room:
                return [*left, *batch[number + 1 :]]
        return left

    def _index_answers(self, key: InstanceKey) -> bool:
        """Whether the index can be reached, so that no files are written in vain."""
        try:
            self._rows.index.known([key])
        except Unreachable as error:
            if not self._is_away:
                _log.warning("acknowledged objects wait in the log: %s", error)
            self._is_away = True
            return False
        except StorageError:
            pass  # whoever writes to it is told more
        self._is_away = False
        return True

    def _try_to_make(self, batch: list[Waiting]) -> list[Waiting]:
        """Those that could not be made; nothing of them stays but what the log holds."""
        staged: list[str] = []
        self._no_room = False
        try:
            staged = self._stager.stage([(one.block, one.record.file_size) for one in batch])
            arrivals = [Arrival(one.record, name, at=one.at) for one, name in zip(batch, staged, strict=True)]
            self._writer.write(arrivals, is_logged=True)
        except SyncFailed as error:
            self._writable.end(str(error))
            return batch
        except OSError as error:
            self._no_room = error.errno in NO_ROOM
            _log.warning("acknowledged objects wait in the log: %s", error.strerror)
            return batch
        except Exception:  # noqa: BLE001 - the door of the thread that makes files and rows, and it is logged
            _log.exception("acknowledged objects wait in the log for the next start")
            if len(batch) == 1:
                batch[0].is_stuck = True
            self._stager.remove(staged)
            return batch
        made, left = [], []
        for one, arrival in zip(batch, arrivals, strict=True):
            if isinstance(arrival.outcome, Refused):
                _log.warning("an acknowledged object waits in the log: %s", arrival.outcome.message)
                self._no_room |= arrival.outcome.reason is Reason.OUT_OF_SPACE
                left.append(one)
            else:
                made.append(one)
            if not isinstance(arrival.outcome, Stored):
                self._stager.remove([arrival.staged or ""])
        self._backlog.made(made, durably=not self._writable.ended)
        return left
