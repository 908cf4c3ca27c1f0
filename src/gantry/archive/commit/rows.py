"""Rows are added to the index, and what a failed index holds after all is found out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gantry.archive.commit.arrival import same_bytes
from gantry.archive.commit.batch import Batch
from gantry.archive.commit.writable import Writable
from gantry.archive.damage import Damage
from gantry.archive.index.protocol import (
    AddEdit,
    AddVersion,
    CurrentVersion,
    Index,
    IndexChange,
    LetGo,
    at_once,
    change_key,
)
from gantry.archive.records import ObjectRecord
from gantry.errors import OutOfSpace, Raced, StorageError, Unreachable


@dataclass(frozen=True, slots=True)
class Committed:
    """What was applied, and the number of the feed's last entry.

    Not `certain` where the index failed so that nobody knows whether it was applied.
    """

    changes: tuple[IndexChange, ...]
    last_change: int
    certain: bool = True


class Rows:
    """The index as who commits sees it.

    `last_change` is the number of the feed's last entry, and `state` one that goes up whenever the index may
    know more than before. `told` is called of each commit.
    `damage` says which of the files that have rows are known to be damaged.
    """

    def __init__(
        self,
        index: Index,
        last_change: int,
        writable: Writable,
        told: Callable[[Committed], None],
        damage: Damage,
    ) -> None:
        self.index = index
        self.former: list[Index] = []
        self.last_change = last_change
        self.state = 0
        self._writable = writable
        self._told = told
        self._damage = damage

    def is_damaged(self, path: str) -> bool:
        """Whether the file at this path is known not to hold what was acknowledged (N14)."""
        return bool(self._damage.of(path))

    def is_whole(self, record: ObjectRecord, current: CurrentVersion) -> bool:
        """Whether an object's very bytes are the current version, which is not known to be damaged."""
        return same_bytes(record, current) and not self.is_damaged(current.path)

    def take(self, index: Index) -> None:
        """Go on with another index. The former one stays open for who is reading it."""
        self.last_change = index.stats().last_change
        self.state += 1
        self.former.append(self.index)
        self.index = index

    def add(
        self, batch: Batch, ready: Callable[[], object] = at_once, *, void: Callable[[str], object]
    ) -> list[IndexChange]:
        """Add the rows, committed when `ready`; answers what was applied.

        Raises Raced and Unreachable, where nothing was, and StorageError. An act of which the index did not
        say whether it is done is asked about before anything else is written, and is `void` if it is not.
        """
        changes = [_with_act(change, batch.act) for change in batch.changes]
        try:
            last = self.index.apply(changes, ready)
        except (Raced, Unreachable):
            raise
        except StorageError as error:
            # Nothing may be withdrawn before it is known that the index does not hold it after all.
            published, batch.published = batch.published, []
            act, batch.act = batch.act, ""
            if not self._holds_surely(changes, act, void):
                batch.published = published if isinstance(error, OutOfSpace) else []
                batch.act = act
                raise
            last = self.last_change + len(changes)
        # From here on the files have rows, whatever else may fail.
        self.state += 1
        batch.published, batch.act = [], ""
        self.last_change = last or self.last_change
        return changes

    def tell(self, applied: Sequence[IndexChange]) -> None:
        """Tell of rows that were added."""
        self._told(Committed(tuple(applied), self.last_change))

    def _holds_surely(self, changes: Sequence[IndexChange], act: str, void: Callable[[str], object]) -> bool:
        """Whether a transaction that answered with an error took place all the same. Raises StorageError."""
        try:
            return self._holds(changes)
        except StorageError as error:
            self._told(Committed(tuple(changes), self.last_change, certain=False))
            if act and isinstance(error, Unreachable):
                self._writable.leave_open(lambda: self._find_out(changes, act, void))
            elif act:
                # Whether the act is done cannot be told: the next start finds out, before another follows.
                self._writable.end(f"the index does not answer ({error})")
            raise

    def _find_out(self, changes: Sequence[IndexChange], act: str, void: Callable[[str], object]) -> None:
        """Whether an act was done after all, now that the index answers again. Raises StorageError."""
        if self._holds(changes):
            self.state += 1
            self.last_change = self.index.stats().last_change
            self.tell(changes)
        else:
            void(act)

    def _holds(self, changes: Sequence[IndexChange]) -> bool:
        newest = {change_key(c): c.number for c in changes if not isinstance(c, AddEdit)}
        # First, because it waits until a commit that was sent has come to its end
        found = self.index.lookup(newest)
        gone = [change for change in changes if isinstance(change, LetGo)]
        if any(all(row.act != c.act for row in self.index.versions(c.key)) for c in gone):
            return False
        told = [change for change in changes if isinstance(change, AddEdit)]
        if any(self.index.edit(change.row.number) is None for change in told):
            return False
        return all(key in found and found[key].last_number >= number for key, number in newest.items())


def _with_act(change: IndexChange, act: str) -> IndexChange:
    return change if isinstance(change, AddVersion | AddEdit) else replace(change, act=act)
