"""Make the index anew from the folder alone (N12): objects, acts and the journal of when they came.

Objects are described again from their bytes, acts replayed, each version under the number that its path or
its act gives it, in the order and with the times and origins of the journal. What the journal does not know
(files put there by hand, or whose lines a power cut took) comes after, by the time of its file. The new index
is made beside the old one and takes its place in one step.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from gantry.archive.acts import (
    Act,
    ActEntry,
    ActKind,
    act_number,
    edit_change,
    index_change,
    read_whole_act,
)
from gantry.archive.blobs.files import ACTS, AWAY, INCOMING, OBJECTS, object_path, parse_object_path, uid_name
from gantry.archive.disk import Disk
from gantry.archive.index import AddVersion, Index, IndexChange
from gantry.archive.index.protocol import AddRestore
from gantry.archive.index_files import IndexFiles, closed_on_error
from gantry.archive.received import Journal, Receipt
from gantry.archive.records import InstanceKey, ObjectRecord, Origin
from gantry.archive.store import Unfit, examine_file
from gantry.errors import Corrupt, StorageError

BATCH = 500
"""Objects for each transaction of a rebuild."""
_READERS = 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Names = tuple[str, str, str]
_Version = tuple[_Names, int]

Skipped = tuple[str, str]
"""A file that could not be noted, and why."""

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_log = logging.getLogger(__name__)


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def always() -> bool:
    """Nobody else could have gone on."""
    return True


@dataclass(frozen=True, slots=True)
class _Event:
    """One version to be noted: an object file, or an entry of an act."""

    instance: _Names
    number: int
    path: str
    entry: ActEntry | None
    # The number of the edit that made it, and what that says of an object
    edit: int = 0
    edited: ActEntry | None = None

    @property
    def sop(self) -> str:
        return self.entry.key.sop_uid if self.entry is not None else self.instance[2]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new index, in place; `skipped` are files that could not be noted, each with the reason."""

    index: Index
    versions: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Folder:
    """All versions that a folder holds, in the order in which they came; `skipped` cannot be read.

    `edits` are those that took place, by their acts.
    """

    disk: Disk
    events: tuple[_Event, ...]
    receipts: Mapping[_Version, Receipt]
    skipped: tuple[Skipped, ...]
    edits: Mapping[str, Act]

    def without(self, skipped: Sequence[Skipped]) -> Folder:
        """Itself; without skipped files where something that was let go would be made from one."""
        paths = {path for path, _ in skipped}
        broken = {(e.instance, e.number) for e in self.events if e.entry is None and e.path in paths}
        if not broken & set(_made_from(self.events).values()):
            return self
        events = tuple(e for e in self.events if (e.instance, e.number) not in broken)
        gone = {e.path for e in self.events if (e.instance, e.number) in broken}
        told = tuple(one for one in skipped if one[0] in gone)
        return Folder(self.disk, events, self.receipts, self.skipped + told, self.edits)

    def only(self, paths: Set[str]) -> Folder:
        """The versions that these files hold."""
        events = tuple(e for e in self.events if e.path in paths or (e.entry and e.entry.path in paths))
        skipped = tuple(s for s in self.skipped if s[0] in paths)
        edits = {path: act for path, act in self.edits.items() if path in paths}
        return Folder(self.disk, events, self.receipts, skipped, edits)


def reindex(
    disk: Disk,
    index_files: IndexFiles,
    journal: Journal,
    progress: Progress = no_progress,
    may_take: Callable[[], bool] = always,
) -> Rebuilt:
    """Make the index anew and put it in its place; no commit may happen meanwhile, as `may_take` confirms.

    Raises OSError, StorageError.
    """
    folder = versions_in_folder(disk, journal)
    fresh = index_files.open_fresh()
    with closed_on_error(fresh):
        skipped = fill(fresh, folder, progress)
    needed = folder.without(skipped)
    if needed is not folder:  # what was let go was noted before what it is made from turned out to be broken
        index_files.drop_fresh(fresh)
        fresh = index_files.open_fresh()
    with closed_on_error(fresh):
        if needed is not folder:
            skipped = fill(fresh, needed, progress)
        for path, why in skipped:
            _log.warning("not indexed: %s: %s", path, why)
    if not may_take():
        index_files.drop_fresh(fresh)
        raise StorageError(
            "the connection to the index broke, and others may have gone on; nothing is changed"
        )
    index = index_files.take_fresh(fresh)
    with closed_on_error(index):
        journal.rewrite_from(index)
        return Rebuilt(index, index.stats().versions, tuple(skipped))


def versions_in_folder(disk: Disk, journal: Journal) -> Folder:
    """Look through objects, acts and journal. Raises OSError."""
    skipped: list[Skipped] = []
    receipts = {(_names_of(r.key), r.number): r for r in journal.read()}
    acts = _acts(disk, skipped)
    edits = {path: act for path, act in acts.items() if act.head is not None}
    undone = [path for path, act in edits.items() if not _took_place(disk, path, act, receipts)]
    left_out = {*undone, *_never_named(acts, undone, receipts)}
    skipped += [(path, "of an edit that never took place") for path in sorted(left_out)]
    found = _events(disk, acts, left_out, skipped)
    events = _in_order(_one_of_each(found, receipts, skipped), receipts)
    edits = {path: act for path, act in edits.items() if path not in left_out}
    return Folder(disk, tuple(events), receipts, tuple(skipped), edits)


def fill(index: Index, folder: Folder, progress: Progress = no_progress) -> list[Skipped]:
    """Note all versions of a folder in an index; answers what could not be noted, and why.

    What speaks of an object that is lost cannot: one lost file must not keep all others from being found.
    """
    skipped = list(folder.skipped)
    events = _makeable(folder.events, skipped)
    noted = _Noted(folder.receipts)
    edits: set[int] = set()
    with ThreadPoolExecutor(_READERS) as readers:
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            good: list[IndexChange] = []
            for event, change in zip(batch, readers.map(partial(_change, folder), batch), strict=True):
                if isinstance(change, str):
                    skipped.append((event.path, change))
                    continue
                why = noted.objection(event, change)
                if why:
                    skipped.append((event.path, why))
                else:
                    good.append(change)
                    edits.add(event.edit)
            if good:
                index.apply(good)
            progress(min(start + BATCH, len(events)), len(events))
    told = [
        edit_change(act.head, act.entries, path)
        for path, act in folder.edits.items()
        if act.head is not None and act_number(path) in edits
    ]
    if told:
        index.apply(told)
    return skipped


def _acts(disk: Disk, skipped: list[Skipped]) -> dict[str, Act]:
    acts: dict[str, Act] = {}
    for path in disk.walk(ACTS):
        try:
            acts[path] = read_whole_act(disk, path)
        except Corrupt as error:
            skipped.append((path, str(error)))
    return acts


def _took_place(disk: Disk, path: str, act: Act, receipts: Mapping[_Version, Receipt]) -> bool:
    """Whether an edit was committed: the journal says so, or all of it is there.

    What a power cut took from the journal was committed, or was whole and merely not answered. One that is
    not whole was broken off, and nothing of it may be seen.
    """
    for entry in act.entries:
        receipt = receipts.get((_names_of(entry.key), entry.number))
        if receipt is not None and receipt.at == entry.at and receipt.path in (entry.path, path):
            return True
    return all(_is_there(disk, entry) for entry in act.entries if entry.kind is ActKind.EDIT)


def _is_there(disk: Disk, entry: ActEntry) -> bool:
    try:
        return describe_file(disk, entry.path, None).dataset_sha256 == entry.dataset_sha256
    except (Unfit, OSError):
        return False


def _never_named(
    acts: Mapping[str, Act], undone: Iterable[str], receipts: Mapping[_Version, Receipt]
) -> Iterator[str]:
    """Objects of edits that never took place, but for those that came another way since."""
    known = {receipt.path for receipt in receipts.values()}
    for path in undone:
        for entry in acts[path].entries:
            if entry.kind is ActKind.EDIT and entry.path not in known:
                yield entry.path


def _events(
    disk: Disk, acts: Mapping[str, Act], left_out: Set[str], skipped: list[Skipped]
) -> Iterator[_Event]:
    edited = {
        entry.path: (act_number(path), entry)
        for path, act in acts.items()
        if act.head is not None and path not in left_out
        for entry in act.entries
        if entry.kind is ActKind.EDIT
    }
    # An edited object may have been let go since, and then only that act is there
    nothing: tuple[int, ActEntry | None] = (0, None)
    for path in disk.walk(OBJECTS):
        name = parse_object_path(path)
        if name is None:
            skipped.append((path, "not the name of an object"))
        elif path not in left_out:
            number, entry = edited.get(path, nothing)
            yield _Event((name.study, name.series, name.sop), name.version, path, None, number, entry)
    for path, act in acts.items():
        if path in left_out:
            continue
        number = act_number(path) if act.head is not None else 0
        for one in act.entries:
            if one.kind is ActKind.LET_GO:
                number = edited.get(one.path, nothing)[0]
            if one.kind is not ActKind.EDIT:
                yield _Event(_names_of(one.key), one.number, path, one, number)


def _one_of_each(
    events: Iterable[_Event], receipts: Mapping[_Version, Receipt], skipped: list[Skipped]
) -> list[_Event]:
    """Each version once: where two files claim to be it, the one that the journal knows."""
    chosen: dict[_Version, _Event] = {}
    for event in events:
        version = (event.instance, event.number)
        rival = chosen.setdefault(version, event)
        if rival is event:
            continue
        if _is_let_go(rival):  # let go, made again, and let go once more: the last act counts
            chosen[version] = event
            continue
        if _is_let_go(event):  # objects come first: what was let go, and is there, is there again
            continue
        receipt = receipts.get(version)
        if receipt is not None and _is_of(event, receipt):
            chosen[version], event = event, rival
        skipped.append((event.path, f"version {event.number} of its instance is another file"))
    return list(chosen.values())


def _is_of(event: _Event, receipt: Receipt) -> bool:
    return receipt.path == event.path or (event.entry is not None and event.entry.at == receipt.at)


def _is_let_go(event: _Event) -> bool:
    return event.entry is not None and event.entry.kind is ActKind.LET_GO


def _in_order(events: list[_Event], receipts: Mapping[_Version, Receipt]) -> list[_Event]:
    """Events as the journal orders them; versions of one instance never after a later one."""
    unknown = len(receipts) + 1
    order: dict[_Version, int] = {}
    earliest: dict[_Names, int] = {}
    for event in sorted(events, key=lambda e: -e.number):
        receipt = receipts.get((event.instance, event.number))
        place = min(receipt.n if receipt else unknown, earliest.get(event.instance, unknown))
        order[event.instance, event.number] = earliest[event.instance] = place
    return sorted(events, key=lambda e: (order[e.instance, e.number], e.number, e.path))


class _Noted:
    """Objects that an index has been told of, for acts to be held against."""

    def __init__(self, receipts: Mapping[_Version, Receipt]) -> None:
        self._receipts = receipts
        self._newest: dict[_Names, _Version] = {}
        self._objects: set[_Version] = set()

    def objection(self, event: _Event, change: IndexChange) -> str:
        """Why the index must not be told of this, empty where it may; an object counts from then on."""
        version = (event.instance, event.number)
        if isinstance(change, AddVersion):
            self._objects.add(version)
            self._newest[event.instance] = version
            return ""
        newest = self._newest.get(event.instance)
        if newest is None:
            return f"the instance {event.sop} has no object any more"
        if isinstance(change, AddRestore) and (event.instance, change.restores) not in self._objects:
            return f"version {change.restores} of {event.sop} is not there any more"
        came = self._receipts.get(newest)
        if came is not None and version not in self._receipts and event.entry and event.entry.at < came.at:
            # Of objects that were lost; those that came since have taken their numbers
            return f"it is of an object that {event.sop} had before"
        return ""


def _makeable(events: Sequence[_Event], skipped: list[Skipped]) -> list[_Event]:
    """Events without those versions that were let go and whose bytes cannot be made again any more.

    Their rows would promise bytes that nobody has, and who sends them again would be told that they are kept.
    """
    made_from = _made_from(events)
    objects = {(e.instance, e.number) for e in events if _is_object(e)} - made_from.keys()
    kept: list[_Event] = []
    for event in events:
        version = (event.instance, event.number)
        passed: set[_Version] = set()
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


def _made_from(events: Iterable[_Event]) -> dict[_Version, _Version]:
    """Versions that were let go, and what each is made from again."""
    return {
        (e.instance, e.number): (e.instance, e.entry.restores)
        for e in events
        if e.entry is not None and e.entry.kind is ActKind.LET_GO
    }


def _is_object(event: _Event) -> bool:
    return event.entry is None or event.entry.kind is ActKind.REFERENCE


def _change(folder: Folder, event: _Event) -> IndexChange | str:
    """What the index is told of an event; a string says why it is told nothing."""
    entry = event.entry
    if entry is not None and entry.kind is ActKind.LET_GO:
        if entry.record is None:
            return "it does not say what was let go"
        record, number = entry.record, entry.number
        return AddVersion(record, number, entry.aside, event.path, entry.restores, event.edit)
    if entry is not None and entry.kind is not ActKind.REFERENCE:
        return index_change(entry, event.path, event.edit)
    disk = folder.disk
    receipt = folder.receipts.get((event.instance, event.number))
    try:
        if entry is not None:
            return _referenced(disk, entry)
        return _stored(disk, event, receipt)
    except Unfit as unfit:
        return f"no object that can be kept: {unfit}"
    except OSError as error:
        if error.errno == AWAY:
            raise  # which says nothing of the object
        return f"it cannot be read: {error.strerror}"


def _stored(disk: Disk, event: _Event, receipt: Receipt | None) -> IndexChange | str:
    path, number, edited = event.path, event.number, event.edited
    if receipt is None and edited is not None:
        receipt = Receipt(0, edited.key, number, edited.at, edited.origin, path)
    record = describe_file(disk, path, receipt)
    aside = ".aside." in path
    if object_path(record.key, number, aside=aside) != path:
        return "it holds another object than its path says"
    return AddVersion(record, number, aside, edit=event.edit)


def _referenced(disk: Disk, entry: ActEntry) -> IndexChange | str:
    record = examine_file(disk, entry.path, _temporary(entry.path), entry.origin).placed(entry.path, entry.at)
    if record.key != entry.key:
        return "the file referenced holds another object now"
    return AddVersion(record, entry.number, entry.aside)


def describe_file(disk: Disk, path: str, receipt: Receipt | None) -> ObjectRecord:
    """The record of a stored object, from its bytes and its line in the journal. Raises Unfit, OSError."""
    origin = receipt.origin if receipt is not None else Origin()
    at = receipt.at if receipt is not None else _modified(disk, path)
    return examine_file(disk, path, _temporary(path), origin).placed(path, at)


_temporaries = itertools.count(1)


def _temporary(path: str) -> str:
    return f"{INCOMING}/read-{next(_temporaries)}"


def _modified(disk: Disk, path: str) -> datetime:
    return _EPOCH + timedelta(microseconds=disk.stat(path).modified_ns // 1000)


def _names_of(key: InstanceKey) -> _Names:
    return uid_name(key.study_uid), uid_name(key.series_uid), uid_name(key.sop_uid)
