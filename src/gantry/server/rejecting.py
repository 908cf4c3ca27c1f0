"""Notes of rejection that others send: what they name is hidden, as an edit that can be undone.

IHE RAD Imaging Object Change Management: a Key Object Selection Document whose title is a code of rejection.
Which codes count is the setting `hide_rejected`; what was rejected for quality may still be looked at, and is
hidden only where that is said. A note is an object like any other, so it is acted upon whichever way it came,
once its sender has had the answer. Where this stands in the feed of changes is kept in a file beside the
archive's caches; without it, or with another index, it begins with what comes from then on, because what a
person has shown again must stay.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.edits.rejection import KEY_OBJECT_SELECTION
from gantry.archive.index import Change, ChangeKind
from gantry.archive.records import Location
from gantry.errors import GantryError

log = logging.getLogger("gantry.server")

WAIT_S = 1.0
"""How long one wait for a change is; a server that stops waits no longer than that."""

_NOTES_AT_ONCE = 1000
_ARRIVED = frozenset({ChangeKind.STORED, ChangeKind.NEW_VERSION})
_FILE = "rejecting.json"


class _Place(msgspec.Struct):
    """How far the feed of one index was followed."""

    epoch: str
    seen: int


@dataclass(slots=True)
class Rejecting:
    """Acts upon notes of rejection until stopped; `folder` keeps how far it is.

    `since` is where to begin, for who goes on with what another node has done.
    """

    archive: Archive
    codes: frozenset[str]
    folder: Path
    since: int | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    async def run(self) -> None:
        """Work beside everything else until `stop`."""
        seen = await asyncio.to_thread(self._begin)
        while not self._stop.is_set():
            if await asyncio.to_thread(self.archive.wait_for_change, seen, WAIT_S) <= seen:
                continue
            # Not after each of many that arrive one after the other
            await asyncio.to_thread(self._stop.wait, WAIT_S)
            try:
                seen = await asyncio.to_thread(self.look, seen)
            except (GantryError, OSError) as error:
                log.warning("notes of rejection wait: %s", error)
                await asyncio.to_thread(self._stop.wait, WAIT_S)

    def stop(self) -> None:
        """Begin nothing more."""
        self._stop.set()

    def look(self, seen: int) -> int:
        """Act upon all notes that came after change number `seen`; the number of the last change seen.

        Raises GantryError, OSError.
        """
        last = self.archive.stats().last_change
        while seen < last:
            notes = self.archive.changes(seen, _NOTES_AT_ONCE, KEY_OBJECT_SELECTION)
            for note in self._current(change for change in notes if change.seq <= last):
                self._act(note)
            seen = min(last, notes[-1].seq) if len(notes) == _NOTES_AT_ONCE else last
            self._keep(seen)
        return seen

    def _current(self, changes: Iterable[Change]) -> Iterable[Location]:
        """The objects that arrived and are still what is seen."""
        for change in changes:
            if change.kind in _ARRIVED:
                yield from (one for one in self.archive.locate(*change.key) if one.number == change.number)

    def _act(self, note: Location) -> None:
        try:
            done = self.archive.reject_by(note, self.codes)
        except GantryError as error:
            # One that cannot be read must not keep those behind it from being acted upon
            log.warning("the note of rejection %s: %s", note.key.sop_uid, error)
            return
        if done is not None:
            log.info(
                "edit %d: %d instances hidden by the note of rejection %s",
                done.row.number, done.row.objects, note.key.sop_uid,
            )  # fmt: skip

    def _begin(self) -> int:
        if self.since is not None:
            return self.since
        with suppress(OSError, msgspec.DecodeError):
            place = msgspec.json.decode((self.folder / _FILE).read_bytes(), type=_Place)
            if place.epoch == self.archive.epoch:
                return place.seen
        seen = self.archive.stats().last_change
        self._keep(seen)
        return seen

    def _keep(self, seen: int) -> None:
        """Raises OSError."""
        place = self.folder / f"{_FILE}.new"
        place.write_bytes(msgspec.json.encode(_Place(self.archive.epoch, seen)))
        place.replace(self.folder / _FILE)
