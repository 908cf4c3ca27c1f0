"""Make the index anew from the folder alone (N12): objects, acts and the journal of when they came.

Objects are described again from their bytes, acts replayed, each version under the number that its path or
its act gives it, in the order and with the times and origins of the journal. What the journal does not know
(files put there by hand, or whose lines a power cut took) comes after, by the time of its file. The new index
is made beside the old one and takes its place in one step.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec

from gantry.archive.acts import ActEntry, ActKind, act_number, edit_change, index_change, read_whole_act
from gantry.archive.batch import Batch, Lost, in_threads
from gantry.archive.blobs.files import AWAY, INCOMING, object_path
from gantry.archive.disk import Disk
from gantry.archive.folder_versions import Event, Folder, Names, Skipped, Version
from gantry.archive.index import AddVersion, Index, IndexChange
from gantry.archive.index.protocol import AddEdit, AddRestore
from gantry.archive.index_files import IndexFiles, closed_on_error
from gantry.archive.mark import Mark
from gantry.archive.received import Journal, Receipt
from gantry.archive.records import ObjectRecord, Origin
from gantry.archive.store import Unfit, examine_file
from gantry.errors import StorageError

BATCH = 500
"""Objects for each transaction of a rebuild."""
_EDITS_AT_ONCE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is."""

_log = logging.getLogger(__name__)


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""


def always() -> bool:
    """Nobody else could have gone on."""
    return True


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A new index, in place; `skipped` are files that could not be noted, each with the reason."""

    index: Index
    versions: int
    skipped: tuple[Skipped, ...]


def reindex(
    disk: Disk,
    index_files: IndexFiles,
    journal: Journal,
    progress: Progress = no_progress,
    may_take: Callable[[], bool] = always,
    batch: Batch[Disk] | None = None,
    *,
    resume: bool = False,
) -> Rebuilt:
    """Make the index anew and put it in its place; no commit may happen meanwhile, as `may_take` confirms.

    `batch` reads the objects, threads of this process where it is None. With `resume`, a new index that was
    broken off is gone on with, if the folder still holds all that was noted in it, in the same order.
    Raises OSError, StorageError.
    """
    mark = Mark(disk, "reindex", _Reached)
    with (
        nullcontext(batch) if batch is not None else in_threads(disk) as work,
        versions_in_folder(disk, journal) as folder,
    ):
        reached = mark.read() if resume else None
        if reached is not None and not reached.begins(folder):
            reached = None
        fresh = index_files.open_fresh(former=reached is not None)
        if reached is not None and not reached.is_of(fresh):
            reached = None
            index_files.drop_fresh(fresh)
            fresh = index_files.open_fresh()
        with closed_on_error(fresh):
            skipped = fill(fresh, folder, work, progress, mark, reached)
        needs_less = folder.leave_out(skipped)
        if needs_less:  # what was let go was noted before what it is made from turned out to be broken
            index_files.drop_fresh(fresh)
            fresh = index_files.open_fresh()
        with closed_on_error(fresh):
            if needs_less:
                skipped = fill(fresh, folder, work, progress, mark)
            for path, why in skipped:
                _log.warning("not indexed: %s: %s", path, why)
    if not may_take():
        index_files.drop_fresh(fresh)
        raise StorageError(
            "the connection to the index broke, and others may have gone on; nothing is changed"
        )
    mark.remove()
    index = index_files.take_fresh(fresh)
    with closed_on_error(index):
        journal.rewrite_from(index)
        return Rebuilt(index, index.stats().versions, tuple(skipped))


def versions_in_folder(disk: Disk, journal: Journal, only: Container[str] | None = None) -> Folder:
    """Look through objects, acts and journal, for what these files hold alone or for all. Raises OSError."""
    with ExitStack() as on_error:
        folder = on_error.enter_context(Folder(disk))
        folder.look(journal, lambda entry: _is_there(disk, entry), only)
        on_error.pop_all()
    return folder


class _Reached(msgspec.Struct, frozen=True):
    """How far an index came that is being made: its epoch, the events that were taken, with a digest of them,
    the versions it had noted, and what could not be noted."""

    epoch: str
    events: int
    digest: str
    versions: int
    skipped: tuple[Skipped, ...]

    def is_of(self, index: Index) -> bool:
        """Whether this is told of an index, which may have taken one more batch since."""
        return self.epoch == index.epoch and 0 <= index.stats().versions - self.versions <= BATCH

    def begins(self, folder: Folder) -> bool:
        """Whether the events of a folder begin with those that were taken."""
        digest = hashlib.sha256()
        for event in islice(folder.events(), self.events):
            digest.update(_said(event))
        return digest.hexdigest() == self.digest


def fill(
    index: Index,
    folder: Folder,
    batch: Batch[Disk],
    progress: Progress = no_progress,
    mark: Mark[_Reached] | None = None,
    reached: _Reached | None = None,
) -> list[Skipped]:
    """Note all versions of a folder in an index; answers what could not be noted, and why.

    What speaks of an object that is lost cannot: one lost file must not keep all others from being found.
    The `mark` is told how far this came, and what was `reached` before is not done again.
    """
    filling = _Filling(index, folder, list(folder.skipped), mark)
    events = folder.events()
    if reached is not None:
        filling.pass_over(islice(events, reached.events), reached)
    for share in batch.run(_changes, events):
        for event, change in share:
            filling.take(event, _confirmed(folder.disk, event, change))
        progress(filling.done, folder.count)
    filling.apply()
    filling.apply_edits()
    return filling.skipped


class _Filling:
    """An index that is being filled, with what could not be noted in it."""

    def __init__(
        self, index: Index, folder: Folder, skipped: list[Skipped], mark: Mark[_Reached] | None
    ) -> None:
        self.done = 0
        self.skipped = skipped
        self._index = index
        self._folder = folder
        self._mark = mark
        self._digest = hashlib.sha256()
        self._good: list[IndexChange] = []
        self._noted = _Noted()
        self._edits: set[int] = set()
        self._known = 0

    def pass_over(self, events: Iterable[Event], reached: _Reached) -> None:
        """Take what the index was told before it was broken off."""
        for event in events:
            self._digest.update(_said(event))
            self.done += 1
            if event.is_acted_on or event.edit:
                change = _change(self._folder.disk, event)
                if not isinstance(change, str) and not self._noted.objection(event, change):
                    self._edits.add(event.edit)
        self.skipped = list(reached.skipped)
        # It may have been told of more than it came to say
        self._known = self._index.stats().versions - reached.versions

    def take(self, event: Event, change: IndexChange | str) -> None:
        """Note a version, or why it cannot be."""
        self._digest.update(_said(event))
        self.done += 1
        why = change if isinstance(change, str) else self._noted.objection(event, change)
        if why:
            self.skipped.append((event.path, why))
        elif not isinstance(change, str):
            self._edits.add(event.edit)
            self._good.append(change)
            if len(self._good) >= BATCH:
                self.apply()

    def apply(self) -> None:
        """Tell the index of what was taken."""
        new = self._good[self._known :]
        if new:
            self._index.apply(new)
        self._good = []
        self._known = 0
        if self._mark is not None and self._folder.count > BATCH:
            versions = self._index.stats().versions
            self._mark.write(
                _Reached(
                    self._index.epoch, self.done, self._digest.hexdigest(), versions, tuple(self.skipped)
                )
            )

    def apply_edits(self) -> None:
        """Tell it of the edits of which anything was taken."""
        told: list[AddEdit] = []
        for path in self._folder.edits:
            number = act_number(path)
            if number in self._edits and self._index.edit(number) is None:
                act = read_whole_act(self._folder.disk, path)
                assert act.head is not None
                told.append(edit_change(act.head, act.entries, path))
        for start in range(0, len(told), _EDITS_AT_ONCE):
            self._index.apply(told[start : start + _EDITS_AT_ONCE])


def _said(event: Event) -> bytes:
    return f"{event.path} {event.number} {'/'.join(event.instance)}\n".encode()


def _confirmed(disk: Disk, event: Event, change: IndexChange | str | Lost) -> IndexChange | str:
    """What is told of an event. That a file is no good is believed once this process finds it as well.

    That what read it has died says nothing of the file, which must not lose its row for that.
    """
    if not isinstance(change, str | Lost):
        return change
    again = _change(disk, event)
    if not isinstance(again, str) and not isinstance(change, Lost):
        raise StorageError(f"{event.path} is whole here, but not where the work is done: {change}")
    return again


def _is_there(disk: Disk, entry: ActEntry) -> bool:
    try:
        return describe_file(disk, entry.path, None).dataset_sha256 == entry.dataset_sha256
    except (Unfit, OSError):
        return False


class _Noted:
    """Objects that an index has been told of, for acts to be held against."""

    def __init__(self) -> None:
        self._newest: dict[Names, Event] = {}
        self._objects: set[Version] = set()

    def objection(self, event: Event, change: IndexChange) -> str:
        """Why the index must not be told of this, empty where it may; an object counts from then on."""
        if not event.is_acted_on:
            return ""
        if isinstance(change, AddVersion):
            self._objects.add(event.version)
            self._newest[event.instance] = event
            return ""
        newest = self._newest.get(event.instance)
        if newest is None:
            return f"the instance {event.sop} has no object any more"
        if isinstance(change, AddRestore) and (event.instance, change.restores) not in self._objects:
            return f"version {change.restores} of {event.sop} is not there any more"
        came = newest.receipt
        if came is not None and event.receipt is None and event.entry and event.entry.at < came.at:
            # Of objects that were lost; those that came since have taken their numbers
            return f"it is of an object that {event.sop} had before"
        return ""


def _changes(disk: Disk, events: Sequence[Event]) -> list[IndexChange | str]:
    return [_change(disk, event) for event in events]


def _change(disk: Disk, event: Event) -> IndexChange | str:
    """What the index is told of an event; a string says why it is told nothing."""
    entry = event.entry
    if entry is not None and entry.kind is ActKind.LET_GO:
        if entry.record is None:
            return "it does not say what was let go"
        record, number = entry.record, entry.number
        return AddVersion(record, number, entry.aside, event.path, entry.restores, event.edit)
    if entry is not None and entry.kind is not ActKind.REFERENCE:
        return index_change(entry, event.path, event.edit)
    try:
        if entry is not None:
            return _referenced(disk, entry)
        return _stored(disk, event)
    except Unfit as unfit:
        return f"no object that can be kept: {unfit}"
    except OSError as error:
        if error.errno == AWAY:
            raise  # which says nothing of the object
        return f"it cannot be read: {error.strerror}"


def _stored(disk: Disk, event: Event) -> IndexChange | str:
    path, number, edited, receipt = event.path, event.number, event.edited, event.receipt
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
