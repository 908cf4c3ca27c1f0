"""The door to writing: what threads bring, in which order it is done, and who waits for whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime

from gantry.archive.acts import ActEntry, EditHead
from gantry.archive.backlog import Backlog
from gantry.archive.blobs.files import SyncFailed, object_path
from gantry.archive.blocks import Block, Blocks
from gantry.archive.clock import Clock, Stamps
from gantry.archive.commit.arrival import Arrival, outcome_of, refuse, unchanged
from gantry.archive.commit.behind import Behind
from gantry.archive.commit.queue import Queue
from gantry.archive.commit.rows import Committed, Rows
from gantry.archive.commit.stage import Stager
from gantry.archive.commit.writable import Writable
from gantry.archive.commit.writer import Made, Writer
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk
from gantry.archive.incoming import refusal_for, refusal_of
from gantry.archive.index.protocol import Index
from gantry.archive.outcome import NewVersion, Outcome, Reason, Refused, Stored, Unchanged
from gantry.archive.records import InstanceKey, Location, ObjectRecord
from gantry.errors import StorageError


class Committer:
    """Owns the write side of disk and index.

    `next_act` gives the number of the next act, `last_change` is that of the feed's last entry.
    `told` is called, under the lock, of each commit. `names` number temporary files. Without `in_background`
    nothing is made behind an answer until somebody asks. Where the archive is `shared` with other nodes, what
    is looked up and what follows from it is one turn, and nothing is acknowledged from a log of this machine.
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
        next_act: Callable[[], int],
        shared: bool,
        last_change: int,
        told: Callable[[Committed], None],
        damage: Damage,
    ) -> None:
        self.not_removed: Sequence[ActEntry] = []
        """What the last act let go, and a failing disk did not let go."""
        self._disk = disk
        self._blocks = blocks
        self._shared = shared
        # Held by who decides what becomes of arrivals: the leader of a batch, or a person with an act.
        self._turn = threading.RLock()
        # Held by who changes files and index; taken after the turn by who needs both.
        self._alone = threading.RLock()
        self._stamps = Stamps(clock)
        self._writable = Writable()
        self._rows = Rows(index, last_change, self._writable, told, damage)
        self._stager = Stager(disk, names, self._writable, in_background=in_background)
        self._writer = Writer(
            disk, self._rows, self._stamps, self._writable, policy=policy, next_act=next_act
        )
        self._behind = Behind(
            disk,
            Backlog(disk, blocks, log_bytes),
            self._rows,
            self._stager,
            self._writer,
            self._stamps,
            self._writable,
            self._alone,
            log_bytes=log_bytes,
            reserve_bytes=reserve_bytes,
        )
        self._queue = Queue(self._turn, self._receive)
        if in_background:
            self._behind.start()

    # --- what there is -------------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """The index in use; it may lack what waits behind an answer."""
        return self._rows.index

    @property
    def former(self) -> Sequence[Index]:
        """Indexes that were in use before, still open."""
        return self._rows.former

    @property
    def last_change(self) -> int:
        """The number of the feed's last entry."""
        return self._rows.last_change

    @property
    def acknowledged(self) -> int:
        """How many objects were acknowledged from the log."""
        return self._behind.acknowledged

    @property
    def is_shared(self) -> bool:
        """Whether other nodes write to the same archive."""
        return self._shared

    @property
    def is_behind(self) -> bool:
        """Whether anything that was acknowledged waits for its file or its row."""
        return bool(self._behind)

    @property
    def read_only(self) -> str:
        """Why nothing can be written, empty while all is well."""
        return self._writable.ended

    def require_writable(self) -> None:
        """Raises ReadOnly after a failed fsync."""
        self._writable.require()

    def stop_writing(self, why: str) -> None:
        """Be read-only until the next start (N6)."""
        self._writable.end(why)

    def stamp(self) -> datetime:
        """See `Stamps.next`."""
        return self._stamps.next()

    def unknown_at(self, key: InstanceKey) -> int | None:
        """See `Behind.unknown_at`."""
        return self._behind.unknown_at(key)

    def expects(self, location: Location) -> bool:
        """Whether the index still says that this file is there, with these digests."""
        for row in self.index.versions(location.key):
            now = row.location
            if row.number == location.number and now is not None and not now.made_from:
                expected = location.path, location.dataset_sha256, location.meta_sha256
                return (now.path, now.dataset_sha256, now.meta_sha256) == expected
        return False

    def may_be_kept(self, key: InstanceKey) -> bool:
        """Whether something of the instance may be kept already, at the cost of a look at one name."""
        return key in self._behind or self._disk.exists(object_path(key, 1))

    def already_kept(self, record: ObjectRecord) -> Unchanged | None:
        """The answer for an object whose very bytes are current already, without writing anything."""
        with self._alone:
            self.catch_up()
            current = self.index.lookup([record.key]).get(record.key)
        if current is None or current.deleted or not self._rows.is_whole(record, current):
            return None
        return unchanged(record, current.object_number)

    def send_ahead(self, staged: str, record: ObjectRecord, *, replaces: bool) -> None:
        """Do what can be done of keeping a large object before it is committed, while others are.

        Whatever happens to it until then, it is only kept as what `commit` makes of it. Raises OSError,
        StorageError.
        """
        self._disk.send_ahead(staged, lambda: self._writer.likely_path(record, replaces=replaces))

    # --- what is done --------------------------------------------------------------------------

    def commit(self, arrivals: Sequence[Arrival]) -> list[Outcome]:
        """Keep the arrivals, together with those of other threads; answers when all are durable."""
        self._queue.bring(arrivals)
        return [outcome_of(arrival) for arrival in arrivals]

    def catch_up(self) -> bool:
        """See `Behind.catch_up`."""
        return self._behind.catch_up()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off all commits meanwhile, after what was acknowledged. Raises ReadOnly, StorageError."""
        with self._turn, self._alone:
            self.require_writable()
            if not self.catch_up():
                raise StorageError("objects that were acknowledged still wait for disk or index")
            with self._among_nodes(None):
                yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold off all commits meanwhile, also where nothing can be written."""
        with self._turn, self._alone:
            self.catch_up()
            with self._among_nodes(None):
                yield

    def turn(self, *names: str) -> AbstractContextManager[None]:
        """Hold off other nodes from what this names, which is no instance."""
        return self._among_nodes([names])

    def _among_nodes(self, names: Sequence[Sequence[str]] | None) -> AbstractContextManager[None]:
        return self.index.turn(names) if self._shared else nullcontext()

    def take_index(self, index: Index) -> None:
        """Go on with another index; for use when `alone`. The former one stays open for who is reading it."""
        self._rows.take(index)

    def act(self, entries: Sequence[ActEntry]) -> None:
        """Do deletions or restorations, as one act; for use when `alone`. Raises ReadOnly, StorageError."""
        self._writer.act(entries)

    def edit(self, head: EditHead, entries: Sequence[ActEntry], made: Mapping[InstanceKey, Made]) -> int:
        """See `Writer.edit`; for use when `alone`."""
        return self._writer.edit(head, entries, made)

    def close(self) -> None:
        """Make what waits, and let go of what commits need; none may follow."""
        self._behind.close()
        self._stager.close()
        self._writer.close()

    def _receive(self, arrivals: Sequence[Arrival]) -> None:
        """Log what is new; all else is committed at once, after all that was logged."""
        try:
            self._behind.log(arrivals)
            if any(arrival.outcome is None for arrival in arrivals):
                with self._alone:
                    self.catch_up()
                    self._stage_known(arrivals)
                    waiting = [arrival for arrival in arrivals if arrival.outcome is None]
                    with self._among_nodes([arrival.record.key for arrival in waiting]):
                        self._writer.write(waiting)
        except StorageError as error:  # no turn was to be had
            refuse(arrivals, refusal_of(error))
        finally:
            # Whatever went wrong, nobody may wait for ever or take silence for success.
            refuse(arrivals, Refused(Reason.STORAGE, Reason.STORAGE.value))
            for arrival in arrivals:
                if arrival.block is not None:
                    self._blocks.give(arrival.block)
                    if arrival.staged is not None and not isinstance(arrival.outcome, Stored | NewVersion):
                        self._stager.remove([arrival.staged])

    def _stage_known(self, arrivals: Sequence[Arrival]) -> None:
        """Put what is still in memory into files, unless its very bytes are current already."""
        in_memory: list[tuple[Arrival, Block]] = []
        for arrival in arrivals:
            if arrival.outcome is None and arrival.record.key in self._behind:
                # It cannot come after a version that disk or index still refuse to take.
                arrival.outcome = Refused(Reason.STORAGE, Reason.STORAGE.value)
            elif arrival.outcome is None and arrival.block is not None:
                in_memory.append((arrival, arrival.block))
        if not in_memory:
            return
        try:
            self.require_writable()
            current = self.index.lookup([arrival.record.key for arrival, _ in in_memory])
        except StorageError as error:
            refuse([arrival for arrival, _ in in_memory], refusal_of(error))
            return
        new: list[tuple[Arrival, Block]] = []
        for arrival, block in in_memory:
            known = current.get(arrival.record.key)
            if known is not None and not known.deleted and self._rows.is_whole(arrival.record, known):
                arrival.outcome = unchanged(arrival.record, known.object_number)
            else:
                new.append((arrival, block))
        self._stage(new)

    def _stage(self, new: Sequence[tuple[Arrival, Block]]) -> None:
        """All at once where the disk takes them, which is faster; else each gets what it comes to."""
        try:
            names = self._stager.stage([(block, arrival.record.file_size) for arrival, block in new])
        except SyncFailed as error:
            self.stop_writing(str(error))
            refuse([arrival for arrival, _ in new], Refused(Reason.READ_ONLY, self.read_only))
        except OSError as error:
            if len(new) == 1:
                new[0][0].outcome = refusal_for(error)
                return
            for one in new:
                self._stage([one])
        else:
            for (arrival, _), name in zip(new, names, strict=True):
                arrival.staged = name
