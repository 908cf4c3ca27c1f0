"""Drafts follow what they measure: where an edit takes instances into another study, and back again.

Measurements go with the image that they are of, as a new version in the draft of either study; earlier
versions stay where they are. The draft of the study that instances came to is durable before the other is
emptied, and what is there already (by its id) is not added twice, so that whoever does it again, after a
crash or beside another node, makes the same of it. ``drafts/.followed/<number>`` says which edit was
followed last; the next start goes on from there.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import suppress
from typing import Final

import msgspec

from gantry.archive.acts import ActEntry, ActKind
from gantry.archive.drafts import Drafts, NotCurrent
from gantry.archive.edits.model import EditDone, EditKind
from gantry.archive.index.protocol import EditFilter, EditRow
from gantry.errors import Corrupt, NotFound, StorageError

MAX_MEASUREMENTS: Final = 1000
"""Of one draft, as `gantry.toolkit.measurements` reads it: what has no room stays where it was."""

_MOVING = frozenset(
    kind.value for kind in (EditKind.IDENTIFIERS, EditKind.SPLIT, EditKind.MERGE_STUDIES, EditKind.REVERT)
)
_PAGE = 100
_TRIES = 20
"""How often a draft is read anew because its person saved meanwhile."""

_log = logging.getLogger(__name__)

_Image = tuple[str, str]
"""Series and SOP Instance UID."""


class _ImageOf(msgspec.Struct, rename="camel"):
    series_instance_uid: str
    sop_instance_uid: str


class _Measurement(msgspec.Struct):
    id: str
    image: _ImageOf


class _Content(msgspec.Struct):
    """As much of a draft as is needed; each measurement stays as it is, to the byte."""

    measurements: list[msgspec.Raw] = []


class Following:
    """Has the drafts of an archive follow its edits.

    `edits` lists them as `Index.edits` does, `done` gives one with its act.
    """

    def __init__(
        self,
        drafts: Drafts,
        edits: Callable[[EditFilter, int, int], list[EditRow]],
        done: Callable[[int], EditDone],
    ) -> None:
        self._drafts = drafts
        self._edits = edits
        self._done = done

    def after(self, done: EditDone) -> None:
        """An edit was done. What cannot be followed now is by the next such edit, or the next start."""
        if done.row.kind in _MOVING:
            self.catch_up()

    def catch_up(self) -> None:
        """Follow all edits that were not followed yet; what goes wrong is in the log."""
        try:
            self._catch_up()
        except StorageError as error:
            _log.warning("drafts do not follow the edits yet: %s", error)

    def _catch_up(self) -> None:
        last = self._drafts.followed()
        rows: list[EditRow] = []
        while page := self._edits(EditFilter(), rows[-1].number if rows else 0, _PAGE):
            rows += [row for row in page if row.number > last]
            if page[-1].number <= last or len(page) < _PAGE:
                break
        moving = [row.number for row in rows if row.kind in _MOVING]
        if not moving and len(rows) < _PAGE:
            return
        persons = self._drafts.folders_of_persons()
        for number in sorted(moving) if persons else ():
            for (former, now), images in self._moved(number).items():
                for person in persons:
                    self._follow(person, former, now, images)
        self._drafts.note_followed(rows[0].number)

    def _moved(self, number: int) -> Mapping[tuple[str, str], Set[_Image]]:
        try:
            return moved(self._done(number).act.entries)
        except Corrupt as error:  # `verify` tells of it; those behind it are followed all the same
            _log.warning("drafts do not follow edit %d: %s", number, error)
            return {}

    def _follow(self, folder: str, former: str, now: str, images: Set[_Image]) -> None:
        try:
            person = self._drafts.person_of(folder, former)
            if person is None:
                return
            for _ in range(_TRIES):
                with suppress(NotCurrent):
                    self._take(person, former, now, images)
                    return
            _log.warning("the draft of study %s is saved too often to be moved to study %s", former, now)
        except Corrupt as error:
            _log.warning("the draft of study %s does not follow to study %s: %s", former, now, error)

    def _take(self, person: str, former: str, now: str, images: Set[_Image]) -> None:
        """Take the measurements of these images from one draft to the other. Raises NotCurrent."""
        source = self._drafts.current(person, former)
        stays: list[msgspec.Raw] = []
        goes: dict[str, msgspec.Raw] = {}
        for raw in _read(source.content).measurements:
            one = _measurement(raw)
            if one is not None and (one.image.series_instance_uid, one.image.sop_instance_uid) in images:
                goes[one.id] = raw
            else:
                stays.append(raw)
        if not goes:
            return
        version, kept = 0, _Content()
        with suppress(NotFound):
            target = self._drafts.current(person, now)
            version, kept = target.version, _read(target.content)
        there = {one.id for raw in kept.measurements if (one := _measurement(raw)) is not None}
        for name, raw in goes.items():
            if name in there:
                continue
            if len(kept.measurements) < MAX_MEASUREMENTS:
                kept.measurements.append(raw)
            else:
                stays.append(raw)
        self._drafts.save(person, now, msgspec.json.encode(kept), after=version)
        self._drafts.save(person, former, msgspec.json.encode(_Content(stays)), after=source.version)


def moved(entries: Iterable[ActEntry]) -> Mapping[tuple[str, str], Set[_Image]]:
    """Which images an edit took from one study into another: hidden in the former, shown in the latter."""
    shown = {
        (entry.key.series_uid, entry.key.sop_uid): entry.key.study_uid
        for entry in entries
        if entry.kind is not ActKind.DELETE
    }
    found: defaultdict[tuple[str, str], set[_Image]] = defaultdict(set)
    for entry in entries:
        image = entry.key.series_uid, entry.key.sop_uid
        study = shown.get(image)
        if entry.kind is ActKind.DELETE and study is not None and study != entry.key.study_uid:
            found[entry.key.study_uid, study].add(image)
    return found


def _read(content: msgspec.Raw) -> _Content:
    try:
        return msgspec.json.decode(content, type=_Content)
    except msgspec.DecodeError as error:
        raise Corrupt(f"it cannot be read: {error}") from error


def _measurement(raw: msgspec.Raw) -> _Measurement | None:
    """None for what does not say which image it is of: that stays where it is."""
    try:
        return msgspec.json.decode(raw, type=_Measurement)
    except msgspec.DecodeError:
        return None
