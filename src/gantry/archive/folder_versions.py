"""All versions that a folder holds, in the order in which they came: from objects, acts and journal alone.

They are put in order outside of memory, in a temporary database, instance by instance: a folder may hold more
than memory does. What an act says counts where it took place; where two files claim to be one version, that
which the journal knows is it.
"""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Self

from gantry.archive.acts import Act, ActEntry, ActKind, act_number, read_whole_act
from gantry.archive.blobs.files import ACTS, OBJECTS, parse_object_path
from gantry.archive.disk import Disk
from gantry.archive.received import Journal, Receipt, decode_receipt, encode_receipt
from gantry.archive.records import InstanceKey
from gantry.errors import Corrupt
from gantry.standard.uids import uid_name

Names = tuple[str, str, str]
Version = tuple[Names, int]

Skipped = tuple[str, str]
"""A file that could not be noted, and why."""

IsWhole = Callable[[ActEntry], bool]
"""Whether the object of an entry of an edit is there with the bytes that it says."""

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE receipts (instance TEXT, number INT, line BLOB, PRIMARY KEY (instance, number)) WITHOUT ROWID;
CREATE TABLE edited (path TEXT PRIMARY KEY, edit INT, entry BLOB) WITHOUT ROWID;
CREATE TABLE found (instance TEXT, is_act INT, number INT, path TEXT, entry BLOB, edit INT);
CREATE TABLE ordered (n INT, number INT, path TEXT, event BLOB);
"""
_SEPARATOR = "/"


@dataclass(frozen=True, slots=True)
class Event:
    """One version to be noted: an object file, or an entry of an act, and its line in the journal."""

    instance: Names
    number: int
    path: str
    entry: ActEntry | None
    # The number of the edit that made it, and what that says of an object
    edit: int = 0
    edited: ActEntry | None = None
    receipt: Receipt | None = None
    is_acted_on: bool = False
    """Whether its instance was deleted or restored at any time."""

    @property
    def sop(self) -> str:
        """SOP Instance UID, or the name made of it."""
        return self.entry.key.sop_uid if self.entry is not None else self.instance[2]

    @property
    def version(self) -> Version:
        """Instance and number."""
        return self.instance, self.number

    @property
    def is_object(self) -> bool:
        """Whether its bytes are there."""
        return self.entry is None or self.entry.kind is ActKind.REFERENCE

    @property
    def is_let_go(self) -> bool:
        """Whether it is an object whose bytes were let go."""
        return self.entry is not None and self.entry.kind is ActKind.LET_GO


@dataclass(slots=True)
class Folder:
    """What a folder holds; `skipped` cannot be read, or has no place.

    `edits` are the acts of those that took place. Used as a context, which gives the room on disk back.
    """

    disk: Disk
    skipped: list[Skipped] = field(default_factory=list)
    edits: list[str] = field(default_factory=list)
    count: int = 0
    _database: sqlite3.Connection = field(default_factory=lambda: sqlite3.connect(""))
    _found_wrong: list[Skipped] = field(default_factory=list)
    _only: Container[str] | None = None
    _something_was_let_go: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def events(self) -> Iterator[Event]:
        """All versions, as the journal orders them; those of one instance never after a later one."""
        for (event,) in self._database.execute("SELECT event FROM ordered ORDER BY n, number, path, rowid"):
            yield pickle.loads(event)

    def leave_out(self, skipped: Sequence[Skipped]) -> bool:
        """Whether something that was let go would be made from one of these skipped files.

        Then those are left out from now on, and so is what would be made from them.
        """
        if not skipped or not self._something_was_let_go:
            return False
        paths = {path for path, _ in skipped}
        broken = {e.version: e.path for e in self.events() if e.entry is None and e.path in paths}
        if not any(source in broken for source in _made_from(self.events()).values()):
            return False
        gone = set(broken.values())
        self._found_wrong += [one for one in skipped if one[0] in gone]
        self._arrange(broken)
        return True

    # --- what there is -----------------------------------------------------------------------------

    def look(self, journal: Journal, is_whole: IsWhole, only: Container[str] | None) -> None:
        """Look through journal, acts and objects. Raises OSError."""
        self._only = only
        self._database.executescript(_TABLES)
        self._database.executemany(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)",
            ((_text(names_of(one.key)), one.number, encode_receipt(one, one.n)) for one in journal.read()),
        )
        left_out = self._take_acts(is_whole)
        self._take_objects(left_out)
        self._arrange({})

    def _take_acts(self, is_whole: IsWhole) -> set[str]:
        undone: list[tuple[str, Act]] = []
        for path in self.disk.walk(ACTS):
            try:
                act = read_whole_act(self.disk, path)
            except Corrupt as error:
                self._found_wrong.append((path, str(error)))
                continue
            if act.head is not None and not self._took_place(path, act, is_whole):
                undone.append((path, act))
            else:
                self._take_act(path, act)
        left_out = {*(path for path, _ in undone), *self._never_named(undone)}
        self._found_wrong += [(path, "of an edit that never took place") for path in sorted(left_out)]
        return left_out

    def _take_act(self, path: str, act: Act) -> None:
        number = act_number(path) if act.head is not None else 0
        if act.head is not None and (self._only is None or path in self._only):
            self.edits.append(path)
        for one in act.entries:
            if one.kind is not ActKind.EDIT:
                self._database.execute(
                    "INSERT INTO found VALUES (?, 1, ?, ?, ?, ?)",
                    (_text(names_of(one.key)), one.number, path, pickle.dumps(one), number),
                )
            elif number:
                self._database.execute(
                    "INSERT OR REPLACE INTO edited VALUES (?, ?, ?)", (one.path, number, pickle.dumps(one))
                )

    def _took_place(self, path: str, act: Act, is_whole: IsWhole) -> bool:
        """Whether an edit was committed: the journal says so, or all of it is there.

        What a power cut took from the journal was committed, or was whole and merely not answered. One that
        is not whole was broken off, and nothing of it may be seen.
        """
        for entry in act.entries:
            receipt = self._receipts(names_of(entry.key)).get(entry.number)
            if receipt is not None and receipt.at == entry.at and receipt.path in (entry.path, path):
                return True
        return all(is_whole(entry) for entry in act.entries if entry.kind is ActKind.EDIT)

    def _never_named(self, undone: Sequence[tuple[str, Act]]) -> set[str]:
        """Objects of edits that never took place, but for those that came another way since."""
        made = {entry.path for _, act in undone for entry in act.entries if entry.kind is ActKind.EDIT}
        if made:
            lines = self._database.execute("SELECT line FROM receipts")
            made -= {receipt.path for (line,) in lines if (receipt := decode_receipt(line)).path in made}
        return made

    def _take_objects(self, left_out: Container[str]) -> None:
        for path in self.disk.files_below(OBJECTS):
            name = parse_object_path(path)
            if name is None:
                self._found_wrong.append((path, "not the name of an object"))
            elif path not in left_out:
                self._database.execute(
                    "INSERT INTO found VALUES (?, 0, ?, ?, NULL, 0)",
                    (_text((name.study, name.series, name.sop)), name.version, path),
                )

    # --- in order ----------------------------------------------------------------------------------

    def _arrange(self, broken: Container[Version]) -> None:
        skipped, unmakeable = list(self._found_wrong), list[Skipped]()
        self.count = 0
        self._database.execute("DELETE FROM ordered")
        (receipts,) = self._database.execute("SELECT count(*) FROM receipts").fetchone()
        # What the journal does not know comes after all that it knows
        unknown = receipts + 1
        rows = self._database.execute(
            "SELECT instance, number, path, entry, edit FROM found ORDER BY instance, is_act, path, rowid"
        )
        for instance, group in groupby(rows, key=lambda row: row[0]):
            names = _names(instance)
            receipts_of = self._receipts(names)
            events = _one_of_each(self._events_of(names, group, receipts_of), skipped)
            places = _places(events, unknown)
            events = [one for one in events if self._is_wanted(one) and one.version not in broken]
            events = _makeable(events, unmakeable)
            self.count += len(events)
            self._something_was_let_go |= any(one.is_let_go for one in events)
            self._database.executemany(
                "INSERT INTO ordered VALUES (?, ?, ?, ?)",
                ((places[one.number], one.number, one.path, pickle.dumps(one)) for one in events),
            )
        only = self._only
        self.skipped = [one for one in skipped if only is None or one[0] in only] + unmakeable

    def _events_of(
        self, names: Names, rows: Iterable[tuple[Any, ...]], receipts: Mapping[int, Receipt]
    ) -> list[Event]:
        found = []
        is_acted_on = False
        for _, number, path, pickled, edit in rows:
            entry: ActEntry | None = pickle.loads(pickled) if pickled else None
            edited: ActEntry | None = None
            if entry is None:
                edit, edited = self._edited(path)
            elif entry.kind is ActKind.LET_GO:
                # An edited object may have been let go since, and then only that act is there
                edit, _ = self._edited(entry.path)
            else:
                is_acted_on |= entry.kind is not ActKind.REFERENCE
            found.append((number, path, entry, edit, edited))
        return [Event(names, *one, receipts.get(one[0]), is_acted_on) for one in found]

    def _edited(self, path: str) -> tuple[int, ActEntry | None]:
        row = self._database.execute("SELECT edit, entry FROM edited WHERE path = ?", (path,)).fetchone()
        return (row[0], pickle.loads(row[1])) if row else (0, None)

    def _receipts(self, names: Names) -> dict[int, Receipt]:
        rows = self._database.execute("SELECT number, line FROM receipts WHERE instance = ?", (_text(names),))
        return {number: decode_receipt(line) for number, line in rows}

    def _is_wanted(self, event: Event) -> bool:
        only = self._only
        return only is None or event.path in only or bool(event.entry and event.entry.path in only)


def names_of(key: InstanceKey) -> Names:
    """The names of study, series and instance as paths have them."""
    return uid_name(key.study_uid), uid_name(key.series_uid), uid_name(key.sop_uid)


def _text(names: Names) -> str:
    return _SEPARATOR.join(names)


def _names(text: str) -> Names:
    study, series, sop = text.split(_SEPARATOR)
    return study, series, sop


def _one_of_each(events: Iterable[Event], skipped: list[Skipped]) -> list[Event]:
    """Each version of an instance once: where two files claim to be it, the one that the journal knows."""
    chosen: dict[int, Event] = {}
    for event in events:
        rival = chosen.setdefault(event.number, event)
        if rival is event:
            continue
        if rival.is_let_go:  # let go, made again, and let go once more: the last act counts
            chosen[event.number] = event
            continue
        if event.is_let_go:  # objects come first: what was let go, and is there, is there again
            continue
        if event.receipt is not None and _is_of(event, event.receipt):
            chosen[event.number], event = event, rival
        skipped.append((event.path, f"version {event.number} of its instance is another file"))
    return list(chosen.values())


def _is_of(event: Event, receipt: Receipt) -> bool:
    return receipt.path == event.path or (event.entry is not None and event.entry.at == receipt.at)


def _places(events: Sequence[Event], unknown: int) -> dict[int, int]:
    """The place of each version of an instance in the journal, never behind that of a later one."""
    places: dict[int, int] = {}
    earliest = unknown
    for event in sorted(events, key=lambda e: -e.number):
        earliest = min(event.receipt.n if event.receipt else unknown, earliest)
        places[event.number] = earliest
    return places


def _makeable(events: Sequence[Event], skipped: list[Skipped]) -> list[Event]:
    """Events of an instance without versions that were let go and whose bytes cannot be made again any more.

    Their rows would promise bytes that nobody has, and who sends them again would be told that they are kept.
    """
    made_from = _made_from(events)
    if not made_from:
        return list(events)
    objects = {e.version for e in events if e.is_object} - made_from.keys()
    kept: list[Event] = []
    for event in events:
        version = event.version
        passed: set[Version] = set()
        while version in made_from and version not in passed:
            passed.add(version)
            version = made_from[version]
        if passed and version not in objects:
            skipped.append(
                (event.path, f"version {version[1]} of {event.sop}, which it is made from, is not there")
            )
        else:
            kept.append(event)
    return kept


def _made_from(events: Iterable[Event]) -> dict[Version, Version]:
    """Versions that were let go, and what each is made from again."""
    return {e.version: (e.instance, e.entry.restores) for e in events if e.is_let_go and e.entry is not None}
