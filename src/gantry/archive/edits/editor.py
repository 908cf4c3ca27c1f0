"""Edits done, looked at beforehand, and undone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from gantry.archive.acts import (
    ActEntry,
    ActKind,
    AttributeChange,
    EditHead,
    read_whole_act,
)
from gantry.archive.blobs.files import INCOMING, SyncFailed, object_path, write_durably
from gantry.archive.commit.committer import Committer
from gantry.archive.commit.writer import Made
from gantry.archive.disk import Disk
from gantry.archive.edits.attributes import ISSUER, PATIENT_ID
from gantry.archive.edits.build import About, Changed, Rewrite, changed, make
from gantry.archive.edits.guard import Guard
from gantry.archive.edits.hidden import was_deleted
from gantry.archive.edits.model import (
    EXPIRED,
    MAX_OBJECTS,
    MAX_WORDS_CHARS,
    Concerned,
    EditConflict,
    EditDone,
    EditKind,
    EditRefused,
    EditRequest,
    Preview,
    Progress,
    Target,
    require_words,
)
from gantry.archive.edits.plan import Plan, Planner, names
from gantry.archive.edits.rejection import (
    CODES,
    description_of,
    note,
    rejected_by,
    rejection_of,
    require_code,
)
from gantry.archive.incoming import storage_error
from gantry.archive.index import CurrentVersion, EditRow
from gantry.archive.records import OTHER_FORM, InstanceKey, JsonModel, Location, Origin
from gantry.archive.retrieve import Retriever
from gantry.archive.store import examine_file
from gantry.errors import Corrupt, NotFound, ReadOnly
from gantry.standard.query_keys import Level

NOBODY = Origin()


@dataclass(frozen=True, slots=True)
class _Ready:
    """An object that an edit will make: what of, which one, and what it holds."""

    source: Location
    made: Made
    key: InstanceKey
    told: tuple[AttributeChange, ...]
    patients: tuple[tuple[str, str], ...]


def new_uid() -> str:
    """A UID that nothing has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


class Editor:
    """Edits one archive. Each method blocks; none may be called by who holds the committer."""

    def __init__(
        self,
        disk: Disk,
        committer: Committer,
        names: Iterator[int],
        retriever: Retriever,
        require_room: Callable[[int], None],
        guard: Guard,
    ) -> None:
        self._disk = disk
        self._committer = committer
        self._names = names
        self._retriever = retriever
        self._require_room = require_room
        self._guard = guard

    # --- asked for -------------------------------------------------------------------------------

    def preview(self, request: EditRequest, progress: Progress) -> Preview:
        """What an edit would do. Raises EditRefused, DataSetError, NotFound, Corrupt, StorageError."""
        if request.kind is EditKind.RESTORE:
            request.check()
            return Preview(request.kind, _as_concerned(self._shown_again(request, self._committer.stamp())))
        plan = self._planned(request)
        self._reason(request, [location.key for location in plan.hidden])
        concerned: list[Concerned] = []
        for done, rewrite in enumerate(plan.rewrites, 1):
            with self._changed(rewrite, plan, self._committer.stamp()) as one:
                if one is not None:
                    concerned.append(Concerned(rewrite.location.key, rewrite.key, one.told))
            progress(done, len(plan.rewrites))
        concerned += [Concerned(location.key, None) for location in plan.hidden]
        _require_something(concerned)
        return Preview(request.kind, tuple(concerned))

    def edit(self, request: EditRequest, origin: Origin, progress: Progress) -> EditDone:
        """Do an edit, all or none of it.

        Raises EditRefused, also where something changed meanwhile; DataSetError, NotFound, Corrupt, ReadOnly,
        OutOfSpace, StorageError.
        """
        if request.kind in (EditKind.DELETE, EditKind.RESTORE):
            return self._hide_or_show(request, origin)
        plan = self._planned(request)
        self._require_room(sum(rewrite.location.file_size for rewrite in plan.rewrites))
        ready: list[_Ready] = []
        staged: list[str] = []
        try:
            for done, rewrite in enumerate(plan.rewrites, 1):
                one = self._make(rewrite, plan, origin, staged)
                if one is not None:
                    ready.append(one)
                progress(done, len(plan.rewrites))
            _require_something([*ready, *plan.hidden])
            with self._committer.alone():
                return self._commit(request, plan, ready, origin, staged)
        except SyncFailed as error:
            self._committer.stop_writing(str(error))
            raise ReadOnly(self._committer.read_only) from error
        except OSError as error:
            raise storage_error(error) from error
        finally:
            for name in staged:
                # What has its place is not here any more; what cannot be removed is by the next start
                with suppress(OSError):
                    self._disk.unlink(name)

    def reject_by(self, found: Location, codes: Container[str]) -> EditDone | None:
        """Hide what a note of rejection names, if it is one, by one of these codes; None where it is not.

        What an edit made is no news: it was hidden then. Raises Corrupt, ReadOnly, StorageError.
        """
        with self._committer.alone():
            index = self._committer.index
            rows = index.versions(found.key)
            row = next((row for row in rows if row.number == found.number), None)
            if row is None or row.edit:
                return None
            with self._retriever.dataset(found) as ds:
                code, why = rejection_of(ds), description_of(ds)
                named = list(islice(rejected_by(ds), MAX_OBJECTS + 1)) if code in codes else []
            if len(named) > MAX_OBJECTS:
                raise EditRefused(f"it names more than {MAX_OBJECTS} instances")
            known = index.lookup(dict.fromkeys(key for key in named if key != found.key))
            visible = [one for one in known.values() if not one.deleted]
            if not visible:
                return None
            if code == EXPIRED:
                self._guard.reason([one.key for one in visible], "", why, force=False)
            at = self._committer.stamp()
            patients = self._patients([self._location(one.key, one.object_number) for one in visible])
            words = f"{CODES[code]}: {why}" if why else CODES[code]
            head = EditHead(
                EditKind.REJECT.value, row.origin.source_aet or row.origin.peer, words[:MAX_WORDS_CHARS], at,
                row.origin, 0, tuple(dict.fromkeys(patients)),
            )  # fmt: skip
            return self.done(self._committer.edit(head, [_hide(one, at, row.origin) for one in visible], {}))

    def done(self, number: int) -> EditDone:
        """An edit as the history has it. Raises NotFound, Corrupt, StorageError."""
        row = self._committer.index.edit(number)
        if row is None:
            raise NotFound(f"there is no edit {number}")
        try:
            return EditDone(row, read_whole_act(self._disk, row.act))
        except FileNotFoundError as error:
            raise Corrupt(f"{row.act} is missing") from error
        except OSError as error:
            raise storage_error(error) from error

    # --- done ------------------------------------------------------------------------------------

    def _planned(self, request: EditRequest) -> Plan:
        request.check()
        if request.kind is EditKind.REJECT:
            require_code(request.code)
        self._committer.catch_up()
        return Planner(self._committer.index, self._retriever.header, new_uid).plan(request)

    def _changed(self, rewrite: Rewrite, plan: Plan, at: datetime) -> _Guarded:
        self._retriever.refuse_damaged(rewrite.location)
        rows = self._committer.index.versions(rewrite.location.key)
        source = next((row.origin.source_aet for row in rows if row.number == rewrite.location.number), "")
        return _Guarded(self._disk, rewrite, plan, About(source, at, plan.reason))

    def _make(self, rewrite: Rewrite, plan: Plan, origin: Origin, staged: list[str]) -> _Ready | None:
        with self._changed(rewrite, plan, self._committer.stamp()) as one:
            if one is None:
                return None
            name = f"{INCOMING}/edit-{next(self._names)}"
            staged.append(name)
            record = make(self._disk, name, one, rewrite.key, origin)
            return _Ready(rewrite.location, Made(record, name), rewrite.key, one.told, one.patients)

    def _commit(
        self, request: EditRequest, plan: Plan, ready: Sequence[_Ready], origin: Origin, staged: list[str]
    ) -> EditDone:
        why = self._reason(request, [location.key for location in plan.hidden])
        at = self._committer.stamp()
        sources = [*(one.source for one in ready), *plan.hidden]
        known = self._committer.index.lookup(
            {location.key for location in sources} | {one.key for one in ready}
        )
        for location in sources:
            current = known[location.key]
            if current.deleted or current.object_number != location.number:
                raise EditConflict(f"{location.key.sop_uid} has changed meanwhile: try again")
        entries: list[ActEntry] = []
        for one in ready:
            entries += _entries_of(one, known, at, origin)
        entries += [_hide(known[location.key], at, origin) for location in plan.hidden]
        made = {one.key: one.made for one in ready}
        patients = [pair for one in ready for pair in one.patients]
        if plan.hidden:
            patients += self._patients(plan.hidden)
        if plan.code:
            entry, document = self._note(plan, request.why, at, origin, staged)
            entries.append(entry)
            made[entry.key] = document
        head = EditHead(request.kind.value, request.who, why, at, origin, 0, tuple(dict.fromkeys(patients)))
        return self.done(self._committer.edit(head, entries, made))

    def _reason(self, request: EditRequest, hidden: Sequence[InstanceKey]) -> str:
        """The reason that the history keeps; raises as `Guard.reason`."""
        if not request.is_guarded:
            return request.why
        return self._guard.reason(hidden, request.who, request.why, force=request.force)

    def _note(
        self, plan: Plan, why: str, at: datetime, origin: Origin, staged: list[str]
    ) -> tuple[ActEntry, Made]:
        header = self._header(plan.hidden)
        key, data = note(header, plan.hidden, plan.code, why, at, (new_uid(), new_uid()))
        name = f"{INCOMING}/edit-{next(self._names)}"
        staged.append(name)
        write_durably(self._disk, name, [data])
        record = examine_file(self._disk, name, f"{name}-read", origin)
        entry = ActEntry(
            ActKind.EDIT, key, 1, at, origin, path=object_path(key, 1), dataset_sha256=record.dataset_sha256
        )
        return entry, Made(record, name)

    def _patients(self, hidden: Sequence[Location]) -> list[tuple[str, str]]:
        """The patients of studies, by what an object of each says."""
        found: dict[str, tuple[str, str]] = {}
        for location in hidden:
            study = location.key.study_uid
            if study in found:
                continue
            with suppress(Corrupt), self._retriever.dataset(location) as ds:  # the next may be whole
                found[study] = ds.text(PATIENT_ID) or "", ds.text(ISSUER) or ""
        return list(found.values())

    def _header(self, hidden: Sequence[Location]) -> JsonModel:
        """The attributes of the first object that is not damaged. Raises Corrupt where all are."""
        for location in hidden:
            with suppress(Corrupt):
                return self._retriever.header(location)
        raise Corrupt("none of the objects can be read, which a note of rejection would say what they are of")

    # --- restored and undone ---------------------------------------------------------------------

    def _shown_again(self, request: EditRequest, at: datetime, origin: Origin = NOBODY) -> list[ActEntry]:
        """What a restore comes to: all that was deleted, or the one version that it names."""
        if not request.version:
            return [_show(one, one.object_number, at, origin) for one in self._hidden(request.target)]
        if len(request.target.instances) != 1 or request.target.level is not Level.IMAGE:
            raise EditRefused("a version belongs to an instance: name study, series and instance")
        self._committer.catch_up()
        key = InstanceKey(request.target.study, request.target.series[0], request.target.instances[0])
        self._require_bytes(key, request.version)
        (current,) = self._committer.index.lookup([key]).values()
        entry = _show(current, request.version, at, origin)
        if entry.was == request.version:
            raise EditConflict(f"version {request.version} is current already")
        return [entry]

    def _require_bytes(self, key: InstanceKey, number: int) -> None:
        """Raise NotFound for a version that is none, or whose bytes were let go."""
        source = self._location(key, number).made_from
        if source:
            raise NotFound(
                f"version {number} of {key.sop_uid} was let go, and must be made again from {source} first"
            )

    def _hidden(self, target: Target) -> list[CurrentVersion]:
        """Instances that were deleted, and not moved or rejected. Raises EditRefused, NotFound."""
        if target.patient is not None:
            raise EditRefused("restore takes a study, series or instances")
        target.level  # noqa: B018 - says what is wrong with the target
        self._committer.catch_up()
        index = self._committer.index
        ever = [location.key for location in index.locate(target.study, version=1)]
        chosen = [
            key
            for key in ever
            if (not target.series or key.series_uid in target.series)
            and (not target.instances or key.sop_uid in target.instances)
        ]
        deleted = [one for one in index.lookup(chosen).values() if one.deleted and one.object_number]
        found = [one for one in deleted if was_deleted(index, one)]
        if not found and deleted:
            raise EditConflict(f"edit {deleted[0].edit} took it away: revert that")
        if not found:
            raise NotFound("there is nothing deleted to restore")
        return found

    def _hide_or_show(self, request: EditRequest, origin: Origin) -> EditDone:
        """Delete or restore: nothing is made, so nothing can change between the look and the deed."""
        request.check()
        with self._committer.alone():
            at = self._committer.stamp()
            if request.kind is EditKind.RESTORE:
                entries = self._shown_again(request, at, origin)
                why = request.why
            else:
                found = [location.key for location in self._planned(request).hidden]
                why = self._reason(request, found)
                known = self._committer.index.lookup(found)
                entries = [_hide(known[key], at, origin) for key in found]
            patients = self._patients([self._location(one.key, one.restores or one.was) for one in entries])
            head = EditHead(
                request.kind.value, request.who, why, at, origin, 0, tuple(dict.fromkeys(patients))
            )
            return self.done(self._committer.edit(head, entries, {}))

    def revert(self, number: int, who: str, why: str, origin: Origin, *, force: bool = False) -> EditDone:
        """Undo an edit: what was visible before it is again, and what it made is not.

        Refused where something came later, unless `force` says to go back all the same. Raises EditRefused,
        NotFound, Corrupt, ReadOnly, StorageError.
        """
        require_words(who, why)
        with self._committer.alone():
            undone = self.done(number)
            at = self._committer.stamp()
            entries = self._inverse(undone, at, origin, force=force)
            why = self._guard.reason(_shown_before(undone, entries), who, why, force=force)
            head = undone.act.head
            assert head is not None, "the index calls it an edit"
            merged = head.kind == EditKind.MERGE.value
            kind = EditKind.UNMERGE if merged else EditKind.REVERT
            told = EditHead(kind.value, who, why, at, origin, number, head.patients)
            return self.done(self._committer.edit(told, entries, {}))

    def preview_revert(self, number: int, *, force: bool = False) -> Preview:
        """What undoing an edit would do. Raises as `revert`."""
        with self._committer.alone():
            undone = self.done(number)
            entries = self._inverse(undone, self._committer.stamp(), Origin(), force=force)
            self._guard.reason(_shown_before(undone, entries), "preview", "preview", force=force)
        return Preview(EditKind.REVERT, _as_concerned(entries))

    def _inverse(self, undone: EditDone, at: datetime, origin: Origin, *, force: bool) -> list[ActEntry]:
        """The entries that lead back to what was visible before an edit. For use when alone."""
        known = self._committer.index.lookup(entry.key for entry in undone.act.entries)
        entries: list[ActEntry] = []
        for entry in undone.act.entries:
            current = known.get(entry.key)
            if current is None:
                raise NotFound(f"{entry.key.sop_uid} of edit {undone.row.number} is not there any more")
            now = 0 if current.deleted else current.object_number
            if now != _left_by(entry) and not force and not self._is_other_form(entry, now):
                raise EditConflict(self._came_later(undone.row, entry, current))
            if now == entry.was:
                continue
            if entry.was:
                self._require_bytes(entry.key, entry.was)
                back = _show(current, entry.was, at, origin)
            else:
                back = _hide(current, at, origin)
            turned = tuple(AttributeChange(one.tag, one.after, one.before) for one in entry.changes)
            entries.append(replace(back, was=now, changes=turned))
        if not entries:
            raise EditConflict(f"all is as it was before edit {undone.row.number}")
        return entries

    def _is_other_form(self, entry: ActEntry, now: int) -> bool:
        """Whether all that came after an entry is its object in a smaller form, which changes nothing."""
        later = [row for row in self._committer.index.versions(entry.key) if row.number > entry.number]
        return bool(now) and all(row.origin.via == OTHER_FORM for row in later)

    def _came_later(self, row: EditRow, entry: ActEntry, current: CurrentVersion) -> str:
        """Which later thing an edit cannot be undone for."""
        later = [v for v in self._committer.index.versions(entry.key) if v.number > entry.number]
        for version in reversed(later):
            edit = self._committer.index.edit(version.edit) if version.edit else None
            if edit is not None:
                by = f" by {edit.who}" if edit.who else ""
                return (
                    f"edit {edit.number} ({edit.kind}, {edit.at:%Y-%m-%d %H:%M} UTC{by}) came after edit "
                    f"{row.number} on {entry.key.sop_uid}: revert that first, or force"
                )
        return (
            f"version {current.last_number} of {entry.key.sop_uid} came after edit {row.number}: force to go "
            "back all the same"
        )

    def _location(self, key: InstanceKey, number: int) -> Location:
        for row in self._committer.index.versions(key):
            if row.number == number and row.location is not None:
                return row.location
        raise NotFound(f"{key.sop_uid} has no object as version {number}")


class _Guarded:
    """`changed` as a context, without objects of other patients; what the disk says becomes ours."""

    def __init__(self, disk: Disk, rewrite: Rewrite, plan: Plan, about: About) -> None:
        self._inner = changed(disk, rewrite, about)
        self._patient = plan.of_patient

    def __enter__(self) -> Changed | None:
        try:
            one = self._inner.__enter__()
        except FileNotFoundError as error:
            raise Corrupt(f"{error.filename} is missing") from error
        except SyncFailed:
            raise
        except OSError as error:
            raise storage_error(error) from error
        if one is not None and self._patient is not None and not names(self._patient, one.patients[0]):
            return None
        return one

    def __exit__(self, *details: object) -> None:
        self._inner.__exit__(*details)  # type: ignore[arg-type]


def _shown_before(undone: EditDone, entries: Sequence[ActEntry]) -> list[InstanceKey]:
    """What is hidden because a restore is undone: it was deleted before, and would be so again."""
    restored = {entry.key for entry in undone.act.entries if entry.kind is ActKind.RESTORE}
    return [entry.key for entry in entries if entry.kind is ActKind.DELETE and entry.key in restored]


def _as_concerned(entries: Sequence[ActEntry]) -> tuple[Concerned, ...]:
    """Entries that hide or show, as a preview has them."""
    return tuple(
        Concerned(
            entry.key if entry.was else None,
            entry.key if entry.kind is ActKind.RESTORE else None,
            entry.changes,
        )
        for entry in entries
    )


def _require_something(concerned: Sequence[object]) -> None:
    if not concerned:
        raise EditConflict("all is as wanted already: nothing would change")


def _entries_of(
    one: _Ready, known: dict[InstanceKey, CurrentVersion], at: datetime, origin: Origin
) -> Iterator[ActEntry]:
    """The new object, and where it is another instance's, that the former one is hidden."""
    target = known.get(one.key)
    moved = one.key != one.source.key
    if moved and target is not None and not target.deleted:
        raise EditConflict(f"there is an instance {one.key.sop_uid} already where it is to go")
    number = target.last_number + 1 if target is not None else 1
    was = 0 if moved else one.source.number
    yield ActEntry(
        ActKind.EDIT,
        one.key,
        number,
        at,
        origin,
        path=object_path(one.key, number),
        was=was,
        source=(one.source.key, one.source.number),
        dataset_sha256=one.made.record.dataset_sha256,
        changes=one.told,
    )
    if moved:
        yield _hide(known[one.source.key], at, origin)


def _hide(current: CurrentVersion, at: datetime, origin: Origin) -> ActEntry:
    number = current.last_number + 1
    return ActEntry(ActKind.DELETE, current.key, number, at, origin, was=current.object_number)


def _show(current: CurrentVersion, restores: int, at: datetime, origin: Origin) -> ActEntry:
    number = current.last_number + 1
    was = 0 if current.deleted else current.object_number
    return ActEntry(ActKind.RESTORE, current.key, number, at, origin, restores, was=was)


def _left_by(entry: ActEntry) -> int:
    """The object version that was visible after an entry of an edit; 0 for none."""
    if entry.kind is ActKind.EDIT:
        return entry.number
    return entry.restores if entry.kind is ActKind.RESTORE else 0
