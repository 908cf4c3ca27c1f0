"""The one place where objects become part of the archive: durable, then answered, never without a row.

**The log first.** A new instance that is small enough to be held in memory, as nearly all are, is written
into the log (`gantry.archive.log`) with all that came together with it, and is answered when that is
durable. Its file and its row are made *behind* the answer, many at a time, by a thread that lingers a moment
so that many come together. Whoever asks the archive for anything first has them made (`catch_up`), so nobody
ever sees less than what was acknowledged. All else (versions of what is known, large objects, acts,
references) has its file and row before it is answered, after all that waits.

**Group commit.** Any number of threads bring arrivals. The first to come leads: it takes everything that
waits, logs what is new or gives each object its final name, makes each folder durable once, and adds all
rows in one transaction. Then it wakes the others, whose outcomes are ready, and one of those who came
meanwhile leads the next batch. Nobody waits longer than the batch in progress and their own.

**Order.** File, name, folder sync, then index transaction, then answer (or the object's place in the log is
free). A crash between two steps leaves at most a file without a row (an orphan), never a row without a file.
A later arrival that wants the path of an orphan replaces it when the bytes are the same (its own copy is
known to be durable, the orphan's is not), and moves it to ``lost-found/`` otherwise.

**Failure.** An object that cannot be given its name is refused alone. When the index fails, it is asked what
it holds: rows that are there were committed, although the answer was lost. Without rows, the files of the
batch are removed again where the index only lacked room; otherwise they stay as orphans, because a failed
commit might still come true when the index recovers. What was answered already stays in the log and is tried
again. A failed fsync ends writing (N6): what is in the log is then made without promising anything of it, to
be readable, and made again by the next start.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from gantry.archive.acts import ActEntry, ActKind, act_path, index_change, write_act
from gantry.archive.backlog import Backlog, Waiting, groups_for_log
from gantry.archive.beside import beside
from gantry.archive.blobs.files import (
    ACTS,
    INCOMING,
    LOST_FOUND,
    SyncFailed,
    object_path,
    sync_file,
    sync_folders,
)
from gantry.archive.blocks import Block, Blocks
from gantry.archive.clock import Clock
from gantry.archive.disk import Disk
from gantry.archive.incoming import refusal_for, storage_error
from gantry.archive.index.protocol import (
    AddRestore,
    AddVersion,
    CurrentVersion,
    Index,
    IndexChange,
    LetGo,
    at_once,
)
from gantry.archive.log import LogFull
from gantry.archive.outcome import NewVersion, Outcome, Reason, Refused, Stored, Unchanged
from gantry.archive.received import Receipt
from gantry.archive.records import InstanceKey, ObjectRecord
from gantry.archive.renames import Renames
from gantry.errors import OutOfSpace, ReadOnly, StorageError

_log = logging.getLogger(__name__)

POLICIES = ("newest", "first", "reject")
LINGER_S = 0.03
"""How long rows wait for others to be written with them; nobody waits for it (see `Committer.catch_up`)."""
STAGERS = 2
"""Files that are made durable at once; more gain nothing on one disk."""
RETRY_S = 1.0
"""How long to wait before a disk or an index that refused is asked again."""
_FOLDERS_REMEMBERED = 65_536
_LOG_ROOM = 4
"""Segments of the log that must fit on the disk for it to be used: two of it, and what they hold as files."""
_TICK = timedelta(microseconds=1)


@dataclass(slots=True, eq=False)
class Arrival:
    """An object that wants to be kept: its record, and the name under which its bytes are durable.

    `staged` is None for one whose bytes are still in memory, in `block`, and for one referenced in place,
    whose record names its own path. `unknown_at` tells when nothing was known of its instance (see
    `Committer.unknown_at`), `at` its time where that is settled already. `replaces` is the version that this
    one is in another form, and takes the place of whatever the policy, as long as that is current.
    """

    record: ObjectRecord
    staged: str | None
    block: Block | None = None
    unknown_at: int | None = None
    at: datetime | None = None
    replaces: int | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What was applied, and the number of the feed's last entry.

    Not `certain` where the index failed so that nobody knows whether it was applied.
    """

    changes: tuple[IndexChange, ...]
    last_change: int
    certain: bool = True


class _Ticket:
    """What one thread waits for: `turn` is released when its arrivals are `done`, or when it is to lead."""

    __slots__ = ("arrivals", "done", "turn")

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()


@dataclass(slots=True)
class _Batch:
    """What one leader does, as it grows. What `is_logged` was answered before, and is in the log."""

    is_logged: bool = False
    changes: list[IndexChange] = field(default_factory=list)
    acts: list[ActEntry] = field(default_factory=list)
    act: str = ""
    folders: set[str] = field(default_factory=set)
    published: list[str] = field(default_factory=list)
    # Instances as they will be after this batch, and all object versions of those looked at closely.
    state: dict[InstanceKey, CurrentVersion] = field(default_factory=dict)
    kept: dict[InstanceKey, dict[tuple[bytes, str], int]] = field(default_factory=dict)
    # Object versions whose bytes are gone, and the ones that they can be made from again
    let_go: dict[tuple[InstanceKey, int], int] = field(default_factory=dict)
    answers: list[tuple[Arrival, Outcome]] = field(default_factory=list)


class Committer:
    """Owns the write side of disk and index.

    `act_count` is the number of the last act there is, `last_change` that of the feed's last entry.
    `told` is called, under the lock, of each commit. `names` number temporary files. Without `in_background`
    nothing is made behind an answer until somebody asks.
    """

    def __init__(
        self,
        disk: Disk,
        index: Index,
        clock: Clock,
        blocks: Blocks,
        names: Iterator[int],
        *,
        policy: str,
        log_bytes: int,
        reserve_bytes: int,
        in_background: bool,
        act_count: int,
        last_change: int,
        told: Callable[[Committed], None],
    ) -> None:
        self.read_only = ""
        self.policy = policy
        self.last_change = last_change
        self.acknowledged = 0
        self.index = index
        self.former: list[Index] = []
        self._act_count = act_count
        # Acts that failed and could not be removed: no other act is written while one is there.
        self._void_acts: list[str] = []
        self._disk = disk
        self._clock = clock
        self._blocks = blocks
        self._names = names
        self._told = told
        # Held by who decides what becomes of arrivals: the leader of a batch, or a person with an act.
        self._turn = threading.RLock()
        # Held by who changes files and index; taken after the turn by who needs both.
        self._alone = threading.RLock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Ticket] = []
        self._led = False
        self._durable_folders: set[str] = set()
        self._renames = Renames(disk)
        self._syncs = ThreadPoolExecutor(1, thread_name_prefix="gantry-sync")
        self._last_stamp: datetime | None = None
        self._index_state = 0
        self._backlog = Backlog(disk, blocks, log_bytes)
        # Nothing is acknowledged that might find no room for its file, or for the log itself
        self._room_for_log = reserve_bytes + _LOG_ROOM * log_bytes
        self._work = threading.Event()
        self._closing = threading.Event()
        self._behind: threading.Thread | None = None
        self._stagers: ThreadPoolExecutor | None = None
        if in_background:
            self._stagers = ThreadPoolExecutor(STAGERS, thread_name_prefix="gantry-files")
            self._behind = threading.Thread(target=self._make_behind, name="gantry-behind", daemon=True)
            self._behind.start()

    # --- what others call ----------------------------------------------------------------------

    def commit(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Keep the arrivals, together with those of other threads; answers when all are durable."""
        ticket = _Ticket(arrivals)
        with self._queue_lock:
            self._queue.append(ticket)
            leads = not self._led
            self._led = True
        if not leads:
            ticket.turn.acquire()
            leads = not ticket.done
        if leads:
            self._lead_one_batch()
        return [outcome_of(arrival) for arrival in arrivals]

    def _lead_one_batch(self) -> None:
        """Commit all that waits now, then let one of those who came meanwhile lead, and wake the others."""
        batch: list[_Ticket] = []
        try:
            with self._turn:
                with self._queue_lock:
                    batch, self._queue = self._queue, []
                self._receive([arrival for ticket in batch for arrival in ticket.arrivals])
        finally:
            with self._queue_lock:
                following = self._queue[0] if self._queue else None
                self._led = following is not None
            # The next leader first: the disk need not wait for those who only take their answer.
            if following is not None:
                following.turn.release()
            for ticket in batch:
                ticket.done = True
                ticket.turn.release()

    @property
    def is_behind(self) -> bool:
        """Whether anything that was acknowledged waits for its file or its row."""
        return bool(self._backlog)

    def catch_up(self) -> bool:
        """Have all that was acknowledged before this call in its files and rows.

        False where disk or index refuse: it stays in the log, and is made when they do not, or by the next
        start.
        """
        if not self._backlog:
            return True
        with self._alone:
            done = [self._make(batch) for batch in self._backlog.batches()]
            return all(done)

    def unknown_at(self, key: InstanceKey) -> int | None:
        """A number to be put into the arrival of an instance of which nothing is known; None where it is.

        Asked by each thread for itself, it need not be asked by the one that leads: as long as the index has
        not changed, the answer holds.
        """
        state = self._index_state
        try:
            return None if key in self._backlog or self.index.known([key]) else state
        except StorageError:
            return None

    def may_be_kept(self, key: InstanceKey) -> bool:
        """Whether something of the instance may be kept already, at the cost of a look at one name."""
        return key in self._backlog or self._disk.exists(object_path(key, 1))

    def already_kept(self, record: ObjectRecord) -> Unchanged | None:
        """The answer for an object whose very bytes are current already, without writing anything."""
        with self._alone:
            self.catch_up()
            current = self.index.lookup([record.key]).get(record.key)
        if current is None or current.deleted or not _same_bytes(record, current):
            return None
        return _unchanged(record, current.object_number)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off all commits meanwhile, after what was acknowledged. Raises ReadOnly, StorageError."""
        with self._turn, self._alone:
            self.require_writable()
            if not self.catch_up():
                raise StorageError("objects that were acknowledged still wait for disk or index")
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold off all commits meanwhile, also where nothing can be written."""
        with self._turn, self._alone:
            self.catch_up()
            yield

    def take_index(self, index: Index) -> None:
        """Go on with another index; for use when `alone`. The former one stays open for who is reading it."""
        self.last_change = index.stats().last_change
        self._index_state += 1
        self.former.append(self.index)
        self.index = index

    def act(self, entries: Sequence[ActEntry]) -> None:
        """Do what an act says, as one act; for use when `alone`. Raises ReadOnly, StorageError."""
        batch = _Batch(acts=list(entries))
        batch.changes = [index_change(entry, "") for entry in entries]
        try:
            self._make_durable(batch)
            applied = self._index(batch)
        except SyncFailed as error:
            self.stop_writing(str(error))
            raise ReadOnly(self.read_only) from error
        except OSError as error:
            self._withdraw(batch)
            raise storage_error(error) from error
        except StorageError:
            self._withdraw(batch)
            raise
        self._told(Committed(tuple(applied), self.last_change))

    def close(self) -> None:
        """Make what waits, and let go of what commits need; none may follow."""
        self._closing.set()
        self._work.set()
        if self._behind is not None:
            self._behind.join()
        if not self.catch_up():
            _log.warning("acknowledged objects wait in the log for the next start")
        self._backlog.log.close()
        self._syncs.shutdown()
        if self._stagers is not None:
            self._stagers.shutdown()
        with suppress(OSError):  # the next start wipes it
            self._renames.forget()

    def require_writable(self) -> None:
        """Raises ReadOnly after a failed fsync."""
        if self.read_only:
            raise ReadOnly(self.read_only)

    def stop_writing(self, why: str) -> None:
        """Be read-only until the next start (N6)."""
        self.read_only = self.read_only or f"{Reason.READ_ONLY.value}: {why}"

    def stamp(self) -> datetime:
        """Now, but later than any stamp before, so that order survives a clock that is set back (N20)."""
        now = self._clock.now()
        if self._last_stamp is not None and now <= self._last_stamp:
            now = self._last_stamp + _TICK
        self._last_stamp = now
        return now

    # --- the log -------------------------------------------------------------------------------

    def _receive(self, waiting: Sequence[Arrival]) -> None:
        """Log what is new; all else is committed at once, after all that was logged."""
        try:
            self._log_new(waiting)
            if any(arrival.outcome is None for arrival in waiting):
                with self._alone:
                    self.catch_up()
                    self._stage_known(waiting)
                    self._lead([arrival for arrival in waiting if arrival.outcome is None])
        finally:
            # Whatever went wrong, nobody may wait for ever or take silence for success.
            self._refuse(waiting, Refused(Reason.STORAGE, Reason.STORAGE.value))
            for arrival in waiting:
                if arrival.block is not None:
                    self._blocks.give(arrival.block)
                    if arrival.staged is not None and not isinstance(arrival.outcome, Stored | NewVersion):
                        self._remove([arrival.staged])

    def _log_new(self, waiting: Sequence[Arrival]) -> None:
        """Write those that nobody has seen before into the log, and answer them."""
        if self.read_only:
            return
        new = self._new_ones(waiting)
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

    def _new_ones(self, waiting: Sequence[Arrival]) -> list[tuple[Arrival, Waiting]]:
        """Arrivals in memory of instances that neither backlog nor index know."""
        new: list[tuple[Arrival, Waiting]] = []
        seen: set[InstanceKey] = set()
        for arrival in waiting:
            key, block = arrival.record.key, arrival.block
            if block is not None and key not in seen and self._is_new(key, arrival.unknown_at):
                new.append((arrival, Waiting(arrival.record, self.stamp(), block)))
            seen.add(key)
        return new

    def _is_new(self, key: InstanceKey, unknown_at: int | None) -> bool:
        # The backlog before the index: what leaves the one is in the other by then.
        if unknown_at is None or key in self._backlog:
            return False
        return unknown_at == self._index_state or self.unknown_at(key) is not None

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
            self.stop_writing(str(error))
            return False
        except (LogFull, OSError):
            return False
        return True

    def _stage_known(self, waiting: Sequence[Arrival]) -> None:
        """Put what is still in memory into files, unless its very bytes are current already."""
        for arrival in waiting:
            record = arrival.record
            if arrival.outcome is None and record.key in self._backlog:
                # It cannot come after a version that disk or index still refuse to take.
                arrival.outcome = Refused(Reason.STORAGE, Reason.STORAGE.value)
            if arrival.outcome is not None or arrival.block is None:
                continue
            try:
                self.require_writable()
                current = self.index.lookup([record.key]).get(record.key)
                if current is not None and not current.deleted and _same_bytes(record, current):
                    arrival.outcome = _unchanged(record, current.object_number)
                else:
                    (arrival.staged,) = self._stage([(arrival.block, record.file_size)])
            except SyncFailed as error:
                self.stop_writing(str(error))
                arrival.outcome = Refused(Reason.READ_ONLY, self.read_only)
            except ReadOnly as error:
                arrival.outcome = Refused(Reason.READ_ONLY, str(error))
            except OSError as error:
                arrival.outcome = refusal_for(error)
            except StorageError as error:
                arrival.outcome = Refused(Reason.STORAGE, f"{Reason.STORAGE.value} ({error})")

    def _stage(self, objects: Sequence[tuple[Block, int]]) -> list[str]:
        """Files under temporary names, durable unless writing has ended. Raises OSError, SyncFailed."""
        names = [f"{INCOMING}/{next(self._names)}" for _ in objects]
        try:
            if self._stagers is None or len(objects) == 1:
                for name, content in zip(names, objects, strict=True):
                    self._write_file(name, content)
            else:
                # A disk that is asked for several at once makes them durable together
                writing = [
                    beside(self._stagers, self._write_file, name, content)
                    for name, content in zip(names, objects, strict=True)
                ]
                # All are waited for, so that nothing is written any more, and no failed sync is passed over
                errors = [error for one in writing if (error := one.exception()) is not None]
                if errors:
                    raise next((error for error in errors if isinstance(error, SyncFailed)), errors[0])
        except BaseException:
            self._remove(names)
            raise
        return names

    def _write_file(self, name: str, content: tuple[Block, int]) -> None:
        file = self._disk.create(name)
        try:
            file.write_block(*content)
            if not self.read_only:
                sync_file(file)
        finally:
            file.close()

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            # What cannot be removed is wiped at the next start.
            with suppress(OSError):
                self._disk.unlink(name)

    # --- behind the answers --------------------------------------------------------------------

    def _make_behind(self) -> None:
        while not self._closing.is_set():
            self._work.wait()
            self._work.clear()
            self._closing.wait(LINGER_S)
            while not self.catch_up() and not self._closing.wait(RETRY_S):
                pass

    def _make(self, batch: list[Waiting]) -> bool:
        """Give logged objects their files and rows; whether all have them."""
        could_write = not self.read_only
        left = self._try_to_make(batch)
        if left and could_write and self.read_only:
            # A sync has failed: once more, without promising anything of it
            left = self._try_to_make(left)
        if left and len(batch) > 1:
            # One that cannot be made must not keep the others from being
            left = [one for one in left if self._try_to_make([one])]
        return not left

    def _try_to_make(self, batch: list[Waiting]) -> list[Waiting]:
        """Those that could not be made; nothing of them stays but what the log holds."""
        staged: list[str] = []
        try:
            staged = self._stage([(one.block, one.record.file_size) for one in batch])
            arrivals = [Arrival(one.record, name, at=one.at) for one, name in zip(batch, staged, strict=True)]
            self._lead(arrivals, is_logged=True)
        except SyncFailed as error:
            self.stop_writing(str(error))
            return batch
        except OSError as error:
            _log.warning("acknowledged objects wait in the log: %s", error.strerror)
            return batch
        except Exception:  # noqa: BLE001 - the door of the thread that makes files and rows, and it is logged
            _log.exception("acknowledged objects wait in the log for the next start")
            if len(batch) == 1:
                batch[0].is_stuck = True
            self._remove(staged)
            return batch
        made, left = [], []
        for one, arrival in zip(batch, arrivals, strict=True):
            if isinstance(arrival.outcome, Refused):
                _log.warning("an acknowledged object waits in the log: %s", arrival.outcome.message)
                left.append(one)
            else:
                made.append(one)
            if not isinstance(arrival.outcome, Stored):
                self._remove([arrival.staged or ""])
        self._backlog.made(made, durably=not self.read_only)
        return left

    # --- one batch -----------------------------------------------------------------------------

    def _lead(self, waiting: Sequence[Arrival], *, is_logged: bool = False) -> None:
        batch = _Batch(is_logged)
        try:
            self._run(waiting, batch)
        except SyncFailed as error:
            self.stop_writing(str(error))
            self._refuse(waiting, Refused(Reason.READ_ONLY, self.read_only))
        except ReadOnly as error:
            self._refuse(waiting, Refused(Reason.READ_ONLY, str(error)))
        except OSError as error:
            self._withdraw(batch)
            self._refuse(waiting, refusal_for(error))
        except OutOfSpace as error:
            self._withdraw(batch)
            self._refuse(waiting, Refused(Reason.OUT_OF_SPACE, str(error)))
        except StorageError as error:
            self._withdraw(batch)
            self._refuse(waiting, Refused(Reason.STORAGE, f"{Reason.STORAGE.value} ({error})"))
        finally:
            # Whatever else went wrong, nobody may wait for ever or take silence for success.
            self._refuse(waiting, Refused(Reason.STORAGE, Reason.STORAGE.value))

    def _refuse(self, waiting: Sequence[Arrival], refusal: Refused) -> None:
        for arrival in waiting:
            if arrival.outcome is None:
                arrival.outcome = refusal

    def _run(self, waiting: Sequence[Arrival], batch: _Batch) -> None:
        if not batch.is_logged:
            self.require_writable()
            self._renames.begin_batch()
        batch.state = self.index.lookup({arrival.record.key for arrival in waiting})
        for arrival in waiting:
            try:
                self._place(arrival, batch)
            except SyncFailed:
                raise
            except OSError as error:
                arrival.outcome = refusal_for(error)
        applied: list[IndexChange] = []
        if batch.changes:
            applied = self._index_when_durable(batch)
        for arrival, outcome in batch.answers:
            arrival.outcome = outcome
        if applied:
            self._told(Committed(tuple(applied), self.last_change))

    def _place(self, arrival: Arrival, batch: _Batch) -> None:
        """Decide what becomes of one arrival and give it its final name."""
        record = arrival.record
        current = batch.state.get(record.key)
        if arrival.replaces is not None:
            if current is None or current.deleted or current.object_number != arrival.replaces:
                batch.answers.append((arrival, _conflict(record)))
            else:
                self._add(arrival, batch, current.last_number + 1, aside=False)
        elif current is None:
            self._add(arrival, batch, 1, aside=False)
        elif _same_bytes(record, current):
            if current.deleted:
                self._restore(arrival, batch, current, current.object_number)
            else:
                batch.answers.append((arrival, _unchanged(record, current.object_number)))
        elif current.deleted:
            self._add(arrival, batch, current.last_number + 1, aside=False)
        else:
            self._place_other_bytes(arrival, batch, current)

    def _place_other_bytes(self, arrival: Arrival, batch: _Batch, current: CurrentVersion) -> None:
        record = arrival.record
        earlier = self._kept_versions(record.key, batch).get(_bytes_of(record))
        if earlier is not None and (record.key, earlier) in batch.let_go:
            if batch.let_go[record.key, earlier] == current.object_number:
                batch.answers.append((arrival, _unchanged(record, earlier)))
                return
            earlier = None
        if self.policy == "reject":
            batch.answers.append((arrival, _conflict(record)))
        elif earlier is None:
            self._add(arrival, batch, current.last_number + 1, aside=self.policy == "first")
        elif self.policy == "first":
            batch.answers.append((arrival, _unchanged(record, earlier)))
        else:
            self._restore(arrival, batch, current, earlier)

    def _kept_versions(self, key: InstanceKey, batch: _Batch) -> dict[tuple[bytes, str], int]:
        """All object versions of an instance by their bytes, those of this batch included."""
        if key not in batch.kept:
            objects = [row.location for row in self.index.versions(key) if row.location is not None]
            batch.kept[key] = {(o.dataset_sha256, o.transfer_syntax_uid): o.number for o in objects}
            batch.let_go |= {(key, o.number): o.made_from for o in objects if o.made_from}
            for change in batch.changes:
                if isinstance(change, AddVersion) and change.record.key == key:
                    batch.kept[key][_bytes_of(change.record)] = change.number
        return batch.kept[key]

    def _add(self, arrival: Arrival, batch: _Batch, number: int, *, aside: bool) -> None:
        at = arrival.at or self.stamp()
        record = arrival.record
        if arrival.staged is None:
            record = record.placed(record.path, at)
            batch.acts.append(
                ActEntry(
                    ActKind.REFERENCE, record.key, number, at, record.origin, path=record.path, aside=aside
                )
            )
        else:
            path = object_path(record.key, number, aside=aside)
            if not batch.is_logged:
                self._renames.note(Receipt(0, record.key, number, at, record.origin, path))
            self._publish(arrival.staged, path, batch)
            record = record.placed(path, at)
        batch.changes.append(AddVersion(record, number, aside))
        self._note_version(record, number, aside, batch)
        kind = (record.key, number, record.sop_class_uid, record.transfer_syntax_uid)
        outcome = Stored(*kind) if number == 1 else NewVersion(*kind, current=not aside)
        batch.answers.append((arrival, outcome))

    def _note_version(self, record: ObjectRecord, number: int, aside: bool, batch: _Batch) -> None:
        before = batch.state.get(record.key)
        if aside and before is not None:
            batch.state[record.key] = replace(before, last_number=number)
        else:
            batch.state[record.key] = CurrentVersion(
                record.key,
                number,
                False,
                number,
                record.dataset_sha256,
                record.meta_sha256,
                record.transfer_syntax_uid,
                record.path,
                record.file_size,
            )
        if record.key in batch.kept:
            batch.kept[record.key][_bytes_of(record)] = number

    def _restore(self, arrival: Arrival, batch: _Batch, current: CurrentVersion, restores: int) -> None:
        record, number, at = arrival.record, current.last_number + 1, self.stamp()
        batch.acts.append(ActEntry(ActKind.RESTORE, record.key, number, at, record.origin, restores=restores))
        batch.changes.append(AddRestore(record.key, number, restores, at, record.origin))
        batch.state[record.key] = CurrentVersion(
            record.key,
            number,
            False,
            restores,
            record.dataset_sha256,
            record.meta_sha256,
            record.transfer_syntax_uid,
            current.path,
            record.file_size,
        )
        batch.answers.append((arrival, _unchanged(record, restores, restored=True)))

    # --- files ---------------------------------------------------------------------------------

    def _publish(self, staged: str, path: str, batch: _Batch) -> None:
        folder = path.rpartition("/")[0]
        self._prepare_folder(folder, batch)
        try:
            self._rename(staged, path)
        except FileNotFoundError:
            # Somebody removed the folder while we ran (B79): make it again, once.
            self._durable_folders.clear()
            self._prepare_folder(folder, batch)
            self._rename(staged, path)
        batch.published.append(path)
        batch.folders.add(folder)

    def _prepare_folder(self, folder: str, batch: _Batch) -> None:
        """See that a folder exists, and that it will be durable when the batch is.

        A folder that is merely there proves nothing: a process killed before its sync leaves names
        that a power cut still takes away. So each is synced once by each run.
        """
        while folder and folder not in self._durable_folders:
            above, _, _ = folder.rpartition("/")
            if folder in batch.folders:
                # Made for an earlier object of this batch, and everything above it as well.
                return
            self._prepare_folder(above, batch)
            with suppress(FileExistsError):
                self._disk.make_folder(folder)
            batch.folders.add(above)
            batch.folders.add(folder)
            return

    def _rename(self, staged: str, path: str) -> None:
        try:
            self._disk.rename(staged, path)
        except FileExistsError:
            if _digest(self._disk, staged) == _digest(self._disk, path):
                self._disk.replace(staged, path)
            else:
                set_aside(self._disk, path, self.stamp())
                self._disk.rename(staged, path)

    def _make_durable(self, batch: _Batch) -> None:
        self._write_act(batch)
        self._sync(batch)

    def _index_when_durable(self, batch: _Batch) -> list[IndexChange]:
        """`_make_durable` and `_index` at once: the rows are written while the folders are synced.

        The index commits after the sync, so the order that counts is kept; measured, the rows cost nothing
        then. A failed sync is never passed over, also where the index fails before it is known.
        """
        self._write_act(batch)
        if self.read_only:
            return self._index(batch)  # logged, and nothing is promised of it
        syncing = beside(self._syncs, self._sync, batch)
        try:
            return self._index(batch, syncing.result)
        finally:
            failure = syncing.exception()
            if isinstance(failure, SyncFailed):
                self.stop_writing(str(failure))

    def _write_act(self, batch: _Batch) -> None:
        if batch.acts:
            self._remove_void_acts()
            self._act_count += 1
            batch.act = act_path(self._act_count, self.stamp())
            write_act(self._disk, batch.act, batch.acts)
            batch.folders.add(ACTS)

    def _sync(self, batch: _Batch) -> None:
        sync_folders(self._disk, batch.folders)
        if len(self._durable_folders) > _FOLDERS_REMEMBERED:
            self._durable_folders.clear()
        self._durable_folders |= batch.folders

    def _withdraw(self, batch: _Batch) -> None:
        """Remove again what the batch published and the index does not hold."""
        for path in batch.published:
            # What cannot be removed stays as an orphan; `verify` lists it.
            with suppress(OSError):
                self._disk.unlink(path)
        if batch.act:
            self._void_acts.append(batch.act)
            with suppress(OSError):
                self._remove_void_acts()

    def _remove_void_acts(self) -> None:
        while self._void_acts:
            with suppress(FileNotFoundError):
                self._disk.unlink(self._void_acts[-1])
            self._void_acts.pop()

    # --- index ---------------------------------------------------------------------------------

    def _index(self, batch: _Batch, ready: Callable[[], object] = at_once) -> list[IndexChange]:
        """Add the rows, committed when `ready`; answers what was applied. Raises StorageError."""
        changes = [_with_act(change, batch.act) for change in batch.changes]
        try:
            last = self.index.apply(changes, ready)
        except StorageError as error:
            # Nothing may be withdrawn before it is known that the index does not hold it after all.
            published, batch.published = batch.published, []
            act, batch.act = batch.act, ""
            if not self._holds_surely(changes, act):
                batch.published = published if isinstance(error, OutOfSpace) else []
                batch.act = act
                raise
            last = self.last_change + len(changes)
        # From here on the files have rows, whatever else may fail.
        self._index_state += 1
        batch.published, batch.act = [], ""
        self.last_change = last or self.last_change
        return changes

    def _holds_surely(self, changes: Sequence[IndexChange], act: str) -> bool:
        """Whether a transaction that answered with an error took place all the same. Raises StorageError."""
        try:
            return self._holds(changes)
        except StorageError as error:
            self._told(Committed(tuple(changes), self.last_change, certain=False))
            if act:
                # Whether the act is done cannot be told: the next start finds out, before another follows.
                self.stop_writing(f"the index does not answer ({error})")
            raise

    def _holds(self, changes: Sequence[IndexChange]) -> bool:
        gone = [change for change in changes if isinstance(change, LetGo)]
        if any(all(row.act != c.act for row in self.index.versions(c.key)) for c in gone):
            return False
        newest = {change_key(change): change.number for change in changes}
        found = self.index.lookup(newest)
        return all(key in found and found[key].last_number >= number for key, number in newest.items())


def set_aside(disk: Disk, path: str, at: datetime) -> str:
    """Move a file that has no business at its path to ``lost-found/``; answers its new name."""
    place = f"{LOST_FOUND}/{at:%Y%m%dT%H%M%SZ}-{path.replace('/', '_')[-180:]}"
    for name in itertools.chain([place], (f"{place}.{n}" for n in itertools.count(2))):
        if not disk.exists(name):
            disk.rename(path, name)
            return name
    raise AssertionError("numbers do not end")


def _digest(disk: Disk, path: str) -> bytes:
    digest = hashlib.sha256()
    offset = 0
    while block := disk.read_at(path, offset, 1 << 20):
        digest.update(block)
        offset += len(block)
    return digest.digest()


def _bytes_of(record: ObjectRecord) -> tuple[bytes, str]:
    return record.dataset_sha256, record.transfer_syntax_uid


def _same_bytes(record: ObjectRecord, current: CurrentVersion) -> bool:
    return _bytes_of(record) == (current.dataset_sha256, current.transfer_syntax_uid)


def _unchanged(record: ObjectRecord, number: int, *, restored: bool = False) -> Unchanged:
    return Unchanged(record.key, number, record.sop_class_uid, record.transfer_syntax_uid, restored)


def _conflict(record: ObjectRecord) -> Refused:
    return Refused(Reason.CONFLICT, Reason.CONFLICT.value, key=record.key, sop_class_uid=record.sop_class_uid)


def outcome_of(arrival: Arrival) -> Outcome:
    """What became of an arrival that was committed."""
    assert arrival.outcome is not None
    return arrival.outcome


def change_key(change: IndexChange) -> InstanceKey:
    """The instance that a change is about."""
    return change.record.key if isinstance(change, AddVersion) else change.key


def _with_act(change: IndexChange, act: str) -> IndexChange:
    return change if isinstance(change, AddVersion) else replace(change, act=act)
