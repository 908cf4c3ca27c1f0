"""Which version an arrival becomes, or whether it is kept already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gantry.archive.acts import ActEntry, ActKind
from gantry.archive.blobs.files import object_path
from gantry.archive.clock import Stamps
from gantry.archive.commit.arrival import Arrival, bytes_of, unchanged
from gantry.archive.commit.batch import Batch
from gantry.archive.commit.rows import Rows
from gantry.archive.edits.hidden import was_deleted
from gantry.archive.index.protocol import AddRestore, AddVersion, CurrentVersion, VersionRow
from gantry.archive.outcome import NewVersion, Reason, Refused, Stored
from gantry.archive.received import Receipt
from gantry.archive.records import OTHER_FORM, InstanceKey, ObjectRecord


class Placing:
    """Decides for one committer, by what the index holds.

    `policy` says what becomes of another object with a known UID: it is current from now on (``newest``), it
    is kept beside the one that is (``first``), or it is refused (``reject``). Bytes that are kept as an
    earlier version are no others: a scanner may send again what has since been kept in a smaller form.
    """

    def __init__(self, rows: Rows, stamps: Stamps, policy: str) -> None:
        self._rows = rows
        self._stamps = stamps
        self._policy = policy

    def likely_path(self, record: ObjectRecord, *, replaces: bool) -> str | None:
        """Which name `place` would give an object if nothing changed until then; None for none.

        `replaces` tells that it is what is current in another form. Raises StorageError.
        """
        current = self._rows.index.lookup([record.key]).get(record.key)
        if current is None or current.deleted or replaces:
            return object_path(record.key, current.last_number + 1 if current is not None else 1)
        if self._policy == "reject" or self._rows.is_whole(record, current):
            return None
        return object_path(record.key, current.last_number + 1, aside=self._policy == "first")

    def place(self, arrival: Arrival, batch: Batch) -> None:
        """Decide what becomes of one arrival, and which name it gets. Raises StorageError."""
        record = arrival.record
        current = batch.state.get(record.key)
        if arrival.replaces is not None:
            if current is None or current.deleted or current.object_number != arrival.replaces:
                batch.answers.append((arrival, _conflict(record)))
            else:
                self._replace(arrival, batch, current)
        elif current is None:
            self._add(arrival, batch, 1, aside=False)
        elif self._rows.is_whole(record, current):
            if current.deleted and was_deleted(self._rows.index, current):
                self._restore(arrival, batch, current, current.object_number)
            else:
                batch.answers.append((arrival, unchanged(record, current.object_number)))
        elif (
            current.deleted
            and not was_deleted(self._rows.index, current)
            and bytes_of(record) in self._kept_versions(record.key, batch)
        ):
            # Somebody moved or rejected it: who sends it again is told that it is kept, and it stays away
            number = self._kept_versions(record.key, batch)[bytes_of(record)]
            batch.answers.append((arrival, unchanged(record, number)))
        elif current.deleted or self._heals(record, current, batch):
            self._add(arrival, batch, current.last_number + 1, aside=False)
        else:
            self._place_other_bytes(arrival, batch, current)

    def _heals(self, record: ObjectRecord, current: CurrentVersion, batch: Batch) -> bool:
        """Whether bytes that were acknowledged come again, while what stands for them is damaged."""
        return self._rows.is_damaged(current.path) and bytes_of(record) in self._kept_versions(
            record.key, batch
        )

    def _replace(self, arrival: Arrival, batch: Batch, current: CurrentVersion) -> None:
        """Another form of what is current: the one that was kept before, where that is the same."""
        key = arrival.record.key
        earlier = self._kept_versions(key, batch).get(bytes_of(arrival.record))
        if earlier is None or (key, earlier) in batch.let_go or (key, earlier) in batch.damaged:
            self._add(arrival, batch, current.last_number + 1, aside=False)
        else:
            self._restore(arrival, batch, current, earlier)

    def _place_other_bytes(self, arrival: Arrival, batch: Batch, current: CurrentVersion) -> None:
        record = arrival.record
        earlier = self._kept_versions(record.key, batch).get(bytes_of(record))
        if earlier is not None and (record.key, earlier) in batch.let_go:
            if batch.let_go[record.key, earlier] == current.object_number:
                batch.answers.append((arrival, unchanged(record, earlier)))
                return
            earlier = None
        if (record.key, earlier) in batch.damaged:
            earlier = None
        if earlier is not None and record.key in batch.edited:
            # What was edited since stays edited, whoever sends the object as it was before
            batch.answers.append((arrival, unchanged(record, earlier)))
        elif earlier is not None and self._policy != "newest":
            batch.answers.append((arrival, unchanged(record, earlier)))
        elif earlier is not None:
            self._restore(arrival, batch, current, earlier)
        elif self._policy == "reject":
            batch.answers.append((arrival, _conflict(record)))
        else:
            self._add(arrival, batch, current.last_number + 1, aside=self._policy == "first")

    def _kept_versions(self, key: InstanceKey, batch: Batch) -> dict[tuple[bytes, str], int]:
        """All object versions of an instance by their bytes, those of this batch included."""
        if key not in batch.kept:
            rows = self._rows.index.versions(key)
            objects = [row.location for row in rows if row.location is not None]
            if _is_edited(rows, batch.state[key].object_number if key in batch.state else 0):
                batch.edited.add(key)
            batch.kept[key] = {(o.dataset_sha256, o.transfer_syntax_uid): o.number for o in objects}
            batch.let_go |= {(key, o.number): o.made_from for o in objects if o.made_from}
            batch.damaged |= {(key, o.number) for o in objects if self._rows.is_damaged(o.path)}
            for change in batch.changes:
                if isinstance(change, AddVersion) and change.record.key == key:
                    batch.kept[key][bytes_of(change.record)] = change.number
        return batch.kept[key]

    def _add(self, arrival: Arrival, batch: Batch, number: int, *, aside: bool) -> None:
        at = arrival.at or self._stamps.next()
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
            batch.naming.append((arrival.staged, Receipt(0, record.key, number, at, record.origin, path)))
            record = record.placed(path, at)
        batch.changes.append(AddVersion(record, number, aside))
        before = batch.state.get(record.key)
        if aside and before is not None:
            batch.state[record.key] = replace(before, last_number=number)
        else:
            batch.state[record.key] = _current(record, number, number, record.path)
        if record.key in batch.kept:
            batch.kept[record.key][bytes_of(record)] = number
        kind = (record.key, number, record.sop_class_uid, record.transfer_syntax_uid)
        outcome = Stored(*kind) if number == 1 else NewVersion(*kind, current=not aside)
        batch.answers.append((arrival, outcome))

    def _restore(self, arrival: Arrival, batch: Batch, current: CurrentVersion, restores: int) -> None:
        record, number, at = arrival.record, current.last_number + 1, self._stamps.next()
        batch.acts.append(ActEntry(ActKind.RESTORE, record.key, number, at, record.origin, restores=restores))
        batch.changes.append(AddRestore(record.key, number, restores, at, record.origin))
        batch.state[record.key] = _current(record, number, restores, current.path)
        batch.answers.append((arrival, unchanged(record, restores, restored=True)))


def _is_edited(rows: Sequence[VersionRow], current: int) -> bool:
    """Whether an edit made an object version, or the one that it is in another form."""
    upto = [row for row in rows if row.location is not None and row.number <= current]
    made = next((row for row in reversed(upto) if row.origin.via != OTHER_FORM), None)
    return made is not None and made.edit > 0


def _current(record: ObjectRecord, number: int, object_number: int, path: str) -> CurrentVersion:
    return CurrentVersion(
        record.key,
        number,
        False,
        object_number,
        record.dataset_sha256,
        record.meta_sha256,
        record.transfer_syntax_uid,
        path,
        record.file_size,
    )


def _conflict(record: ObjectRecord) -> Refused:
    return Refused(Reason.CONFLICT, Reason.CONFLICT.value, key=record.key, sop_class_uid=record.sop_class_uid)
