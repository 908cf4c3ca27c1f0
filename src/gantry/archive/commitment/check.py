"""Looks at each instance that is to be committed, and notes those that are whole (N8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gantry.archive.commit.committer import Committer
from gantry.archive.commitment.kept import Kept
from gantry.archive.commitment.requests import Asked, Reference
from gantry.archive.index import Index
from gantry.archive.records import InstanceKey, Location
from gantry.archive.scrub import Pace
from gantry.errors import StorageError
from gantry.standard import status

_AT_ONCE: Final = 1_000
"""References that are noted together: commits wait for as long as that takes."""
_LOOKS: Final = 4
"""How often an instance is looked at that is given other bytes meanwhile."""

Look = Callable[[Location, Pace], str | None]


class Ended(Exception):
    """The pace ended a check; nothing is decided."""


class Checker:
    """Decides over requests, for one archive; each method blocks."""

    def __init__(self, committer: Committer, kept: Kept, look: Look) -> None:
        self._committer = committer
        self._kept = kept
        self._look = look

    def check(self, asked: Asked, pace: Pace) -> dict[int, int]:
        """The Failure Reasons of what cannot be committed, by the number of the reference, from 0.

        All others are whole as the store itself holds them, with the digests that were acknowledged, and are
        noted as committed when this returns. Raises Ended where `pace` says so; ReadOnly, OutOfSpace and
        StorageError, where disk, index or object store cannot be asked: that says nothing of an instance.
        """
        everything = range(len(asked.references))
        if asked.is_duplicate:
            return dict.fromkeys(everything, status.DUPLICATE_TRANSACTION_UID)
        failures: dict[int, int] = {}
        for start in range(0, len(asked.references), _AT_ONCE):
            failures |= self._checked(asked, everything[start : start + _AT_ONCE], pace)
        return failures

    def _checked(self, asked: Asked, numbers: Sequence[int], pace: Pace) -> dict[int, int]:
        failures: dict[int, int] = {}
        for _ in range(_LOOKS):
            whole: dict[int, list[Location]] = {}
            again: list[int] = []
            for number in numbers:
                found = self._examined(asked.references[number], pace)
                if isinstance(found, int):
                    failures[number] = found
                elif found:
                    whole[number] = found
                else:
                    again.append(number)
            again += self._noted(asked, whole) if whole else ()
            if not again:
                return failures
            numbers = again
        return failures | dict.fromkeys(numbers, status.PROCESSING_FAILURE)

    def _examined(self, reference: Reference, pace: Pace) -> list[Location] | int:
        """The instances that a reference names, all whole; or why not; none where they changed meanwhile."""
        if not self._committer.catch_up():
            raise StorageError("objects that were acknowledged still wait for disk or index")
        found = self._committer.index.locate(sop_uid=reference.sop_instance_uid)
        if not found:
            return status.NO_SUCH_SOP_INSTANCE
        of_class = [one for one in found if one.sop_class_uid == reference.sop_class_uid]
        if not of_class:
            return status.CLASS_INSTANCE_CONFLICT
        for one in of_class:
            if one.path.startswith("/"):
                return status.PROCESSING_FAILURE  # it lies elsewhere, in others' keeping
            why = self._look(one, pace)
            if why is None:
                if not pace(0):
                    raise Ended
                return []
            if why:
                return status.PROCESSING_FAILURE
        return of_class

    def _noted(self, asked: Asked, whole: dict[int, list[Location]]) -> list[int]:
        """Note what is still what was looked at; answers the numbers of what is not."""
        with self._committer.alone():
            keys: list[InstanceKey] = []
            changed = []
            current = _Current(self._committer.index, [one.key for some in whole.values() for one in some])
            for number, some in whole.items():
                if all(current.is_it(one) for one in some):
                    keys += [one.key for one in some]
                else:
                    changed.append(number)
            self._kept.note(asked, keys)
        return changed


class _Current:
    """What is visible of some instances now."""

    def __init__(self, index: Index, keys: Sequence[InstanceKey]) -> None:
        self._known = index.lookup(dict.fromkeys(keys))

    def is_it(self, location: Location) -> bool:
        now = self._known.get(location.key)
        return now is not None and not now.deleted and now.object_number == location.number
