"""Files and rows of a batch, made durable together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gantry.archive.acts import ActEntry, ActKind, EditHead, act_number, edit_change, index_change
from gantry.archive.beside import beside
from gantry.archive.blobs.files import SyncFailed
from gantry.archive.clock import Stamps
from gantry.archive.commit.arrival import Arrival, refuse
from gantry.archive.commit.batch import Batch
from gantry.archive.commit.placing import Placing
from gantry.archive.commit.publish import Publisher
from gantry.archive.commit.rows import Rows
from gantry.archive.commit.writable import Writable
from gantry.archive.disk import Disk
from gantry.archive.incoming import refusal_for, refusal_of, storage_error
from gantry.archive.index.protocol import AddVersion, IndexChange
from gantry.archive.outcome import Reason, Refused
from gantry.archive.records import InstanceKey, ObjectRecord
from gantry.errors import OutOfSpace, Raced, ReadOnly, StorageError, Unreachable

MOST_RACES = 20
"""How often a batch is done anew because another node has changed what it was about."""


@dataclass(frozen=True, slots=True)
class Made:
    """An object that an edit made: what it is, and the name under which its bytes are durable."""

    record: ObjectRecord
    staged: str


class Writer:
    """Writes for one committer, which lets one thread at a time call it."""

    def __init__(
        self,
        disk: Disk,
        rows: Rows,
        stamps: Stamps,
        writable: Writable,
        *,
        policy: str,
        next_act: Callable[[], int],
    ) -> None:
        self._rows = rows
        self._writable = writable
        self._publisher = Publisher(disk, stamps, next_act, lambda: rows.index.is_our_turn)
        self._placing = Placing(rows, stamps, policy)
        self._syncs = ThreadPoolExecutor(1, thread_name_prefix="gantry-sync")

    def likely_path(self, record: ObjectRecord, *, replaces: bool) -> str | None:
        """See `Placing.likely_path`."""
        return self._placing.likely_path(record, replaces=replaces)

    def write(self, arrivals: Sequence[Arrival], *, is_logged: bool = False) -> None:
        """Give arrivals their files, rows and outcomes. What `is_logged` was answered before."""
        try:
            for _ in range(MOST_RACES):
                batch = Batch(is_logged)
                if self._wrote(arrivals, batch):
                    return
        finally:
            # Whatever else went wrong, nobody may wait for ever or take silence for success.
            refuse(arrivals, Refused(Reason.STORAGE, Reason.STORAGE.value))

    def _wrote(self, arrivals: Sequence[Arrival], batch: Batch) -> bool:
        """Whether the arrivals have what they came for, or a refusal; False where another was faster."""
        try:
            self._write(arrivals, batch)
        except SyncFailed as error:
            self._writable.end(str(error))
            refuse(arrivals, Refused(Reason.READ_ONLY, self._writable.ended))
        except ReadOnly as error:
            refuse(arrivals, refusal_of(error))
        except OSError as error:
            self._publisher.withdraw(batch)
            refuse(arrivals, refusal_for(error))
        except Raced:
            return not self._publisher.take_back(batch)
        except StorageError as error:
            self._publisher.withdraw(batch)
            refuse(arrivals, refusal_of(error))
        return True

    def act(self, entries: Sequence[ActEntry]) -> None:
        """Do what an act says, as one act. Raises ReadOnly, StorageError."""
        batch = Batch(acts=list(entries))
        batch.changes = [index_change(entry, "") for entry in entries]
        try:
            self._writable.settle()
            self._publisher.write_act(batch)
            self._publisher.sync(batch)
            applied = self._rows.add(batch, void=self._publisher.void)
        except SyncFailed as error:
            self._writable.end(str(error))
            raise ReadOnly(self._writable.ended) from error
        except OSError as error:
            self._publisher.withdraw(batch)
            raise storage_error(error) from error
        except StorageError:
            self._publisher.withdraw(batch)
            raise
        self._rows.tell(applied)

    def edit(self, head: EditHead, entries: Sequence[ActEntry], made: Mapping[InstanceKey, Made]) -> int:
        """Do what an edit says, all or none of it; answers its number. Raises ReadOnly, StorageError."""
        batch = Batch(acts=list(entries), head=head)
        try:
            self._writable.settle()
            self._writable.require()
            self._publisher.begin_batch()
            self._publisher.write_act(batch)
            # Before anything has its name: a crash from here on leaves something to tell what was begun
            self._publisher.sync(batch)
            number = act_number(batch.act)
            for entry in entries:
                if entry.kind is ActKind.EDIT:
                    one = made[entry.key]
                    # Before: a call that fails may have done its work
                    batch.published.append(entry.path)
                    self._publisher.publish(one.staged, entry.path, batch)
                    record = one.record.placed(entry.path, entry.at)
                    batch.changes.append(AddVersion(record, entry.number, edit=number))
                else:
                    batch.changes.append(index_change(entry, batch.act, number))
            batch.changes.append(edit_change(head, entries, batch.act))
            self._publisher.sync(batch)
            named = tuple(batch.published)
            applied = self._rows.add(batch, void=lambda act: self._take_back(act, named))
        except SyncFailed as error:
            self._writable.end(str(error))
            raise ReadOnly(self._writable.ended) from error
        except OSError as error:
            self._take_back(batch.act, batch.published)
            raise storage_error(error) from error
        except (OutOfSpace, Raced, Unreachable):
            self._take_back(batch.act, batch.published)
            raise
        except StorageError as error:
            if not self._writable.is_open:
                # Whether it took place shall be seen by the next start, before anything else is done
                self._writable.end(f"an edit was broken off ({error})")
            raise
        self._rows.tell(applied)
        return number

    def _take_back(self, act: str, published: Sequence[str]) -> None:
        try:
            self._publisher.withdraw_edit(act, published)
        except SyncFailed as error:
            self._writable.end(str(error))

    def close(self) -> None:
        """Let go of what writing needs."""
        self._syncs.shutdown()
        self._publisher.close()

    def _write(self, arrivals: Sequence[Arrival], batch: Batch) -> None:
        self._writable.settle()
        if not batch.is_logged:
            self._writable.require()
            self._publisher.begin_batch()
        batch.state = self._rows.index.lookup({arrival.record.key for arrival in arrivals})
        for arrival in arrivals:
            self._placing.place(arrival, batch)
        failed = self._publisher.publish_all(batch)
        if failed:
            # What came of the same instance after it was placed behind it, and comes again with it
            batch.without(failed.keys())
            for arrival in arrivals:
                if arrival.record.key in failed:
                    arrival.outcome = refusal_for(failed[arrival.record.key])
        applied: list[IndexChange] = []
        if batch.changes:
            applied = self._add_rows_when_durable(batch)
        for arrival, outcome in batch.answers:
            arrival.outcome = outcome
        if applied:
            self._rows.tell(applied)

    def _add_rows_when_durable(self, batch: Batch) -> list[IndexChange]:
        """The rows are written while the folders are synced.

        The index commits after the sync, so the order that counts is kept; measured, the rows cost nothing
        then. A failed sync is never passed over, also where the index fails before it is known.
        """
        self._publisher.write_act(batch)
        if self._writable.ended:
            return self._rows.add(batch, void=self._publisher.void)  # logged, and nothing is promised of it
        syncing = beside(self._syncs, self._publisher.sync, batch)
        try:
            return self._rows.add(batch, syncing.result, void=self._publisher.void)
        finally:
            failure = syncing.exception()
            if isinstance(failure, SyncFailed):
                self._writable.end(str(failure))
