"""Acts: what was done to objects that left no bytes of its own, written beside them so it can be replayed.

Deleting hides an instance without touching its file; restoring brings an earlier version back; a
reference keeps an object where it lies, outside of the folder. Each is a version of its instance with a
number of its own. Letting go removes the file of an object version whose bytes can be made again from
another; its entry holds all that the file told. Each is a line in an act file, durable before the index
hears of it. So
``reindex`` finds deletions again from the folder alone (promise 3).

An *edit* is an act with a head: who did it, when, why, and all its entries, which are objects with changed
attributes, deletes and restores, happen together or not at all (`gantry.archive.edits`). Its act is durable
before its first object has its name, and names all of them with their digests: so whoever finds it, beside
an index or without one, can tell whether the edit took place.

An act file is one JSON document, made once and never changed; its name begins with its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum

import msgspec

from gantry.archive.blobs.files import ACTS, INCOMING, write_durably
from gantry.archive.disk import Disk
from gantry.archive.index.protocol import AddEdit, AddRestore, AddTombstone, EditRow, LetGo
from gantry.archive.records import InstanceKey, ObjectRecord, Origin
from gantry.errors import Corrupt


class ActKind(Enum):
    """What an act does."""

    DELETE = "delete"
    RESTORE = "restore"
    REFERENCE = "reference"
    LET_GO = "let go"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """What became of one attribute, as people read it: values shortened, empty where it was absent."""

    tag: int
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ActEntry:
    """One act on one instance, which became its version `number`.

    `restores` is the version brought back, by a restore; `path` the absolute path of the object, and
    `aside` whether it did not become current, for a reference.

    Of a version that was let go, `number` is its own, `restores` the version that it can be made from,
    `path` where it lay, `record` what the index knows of it, `head` and `tail` the bytes that stood before
    and behind the value of its Pixel Data, and `why` the rule that let it go.

    Of all that an edit does, `was` is the object version that was visible before, 0 for none. Of an object
    that it made, `path` is where that lies, `dataset_sha256` its digest, `source` the object version that it
    was made of (None for a new document), and `changes` what became of its attributes.
    """

    kind: ActKind
    key: InstanceKey
    number: int
    at: datetime
    origin: Origin = field(default_factory=Origin)
    restores: int = 0
    path: str = ""
    aside: bool = False
    record: ObjectRecord | None = None
    head: bytes = b""
    tail: bytes = b""
    why: str = ""
    was: int = 0
    source: tuple[InstanceKey, int] | None = None
    dataset_sha256: bytes = b""
    changes: tuple[AttributeChange, ...] = ()


@dataclass(frozen=True, slots=True)
class EditHead:
    """What one person did at one time, for one reason.

    `reverts` is the number of the edit that this one undoes, else 0. `patients` are ID and issuer of all that
    it speaks of, before and after.
    """

    kind: str
    who: str
    why: str
    at: datetime
    origin: Origin
    reverts: int = 0
    patients: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Act:
    """What an act file says; `head` only of an edit."""

    entries: tuple[ActEntry, ...]
    head: EditHead | None = None


def act_path(count: int, at: datetime) -> str:
    """The path of act number `count`: names sort in the order of the acts, whatever the clock did (N20)."""
    return f"{ACTS}/{count:08}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def act_number(path: str) -> int:
    """The number of an act, by its path; 0 for what is no name of one."""
    name = path.rpartition("/")[2].partition("-")[0]
    return int(name) if name.isdecimal() else 0


def last_count(disk: Disk) -> int:
    """The number of the newest act; 0 where there is none. Raises OSError."""
    return max((act_number(entry.name) for entry in disk.list_folder(ACTS)), default=0)


def write_act(disk: Disk, path: str, entries: Sequence[ActEntry], head: EditHead | None = None) -> None:
    """Write an act durably; its name is durable after a sync of the folder. Raises OSError, SyncFailed."""
    staged = f"{INCOMING}/{path.replace('/', '-')}"
    content: object = [_as_json(entry) for entry in entries]
    if head is not None:
        content = _edit_as_json(head, entries)
    write_durably(disk, staged, [msgspec.json.encode(content)])
    disk.rename(staged, path)


def read_act(disk: Disk, path: str) -> Sequence[ActEntry]:
    """The entries of an act file. Raises Corrupt."""
    return read_whole_act(disk, path).entries


def read_whole_act(disk: Disk, path: str) -> Act:
    """What an act file says. Raises Corrupt."""
    try:
        found = msgspec.json.decode(disk.read(path), type=list[_Entry] | _Edit)
        if isinstance(found, _Edit):
            return _edit_from_json(found)
        return Act(tuple(_from_json(item) for item in found))
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise Corrupt(f"the act {path} cannot be read: {error}") from error


def index_change(entry: ActEntry, act: str, edit: int = 0) -> AddTombstone | AddRestore | LetGo:
    """What the index is told of a delete, a restore, or what was let go; `edit` is its edit's number."""
    if entry.kind is ActKind.LET_GO:
        return LetGo(entry.key, entry.number, entry.restores, act)
    if entry.kind is ActKind.DELETE:
        return AddTombstone(entry.key, entry.number, entry.at, entry.origin, act, edit)
    assert entry.kind is ActKind.RESTORE
    return AddRestore(entry.key, entry.number, entry.restores, entry.at, entry.origin, act, edit)


def edit_change(head: EditHead, entries: Sequence[ActEntry], act: str) -> AddEdit:
    """What the index is told of an edit as a whole."""
    # One that moved has two entries, here and there
    objects = len({entry.key.sop_uid for entry in entries})
    row = EditRow(
        act_number(act), act, head.kind, head.at, head.who, head.why, head.origin, head.reverts, objects
    )
    keys = [entry.key for entry in entries]
    keys += [entry.source[0] for entry in entries if entry.source is not None]
    return AddEdit(row, head.patients, tuple(keys))


class _Entry(msgspec.Struct, omit_defaults=True):
    act: str
    study: str
    series: str
    sop: str
    number: int
    at: datetime
    aet: str = ""
    peer: str = ""
    via: str = ""
    restores: int = 0
    path: str = ""
    aside: bool = False
    record: ObjectRecord | None = None
    head: bytes = b""
    tail: bytes = b""
    why: str = ""
    was: int = 0
    source: tuple[str, str, str, int] | None = None
    sha256: bytes = b""
    # Of an edit: which of its lists of changes, from 1
    changes: int = 0


class _Edit(msgspec.Struct, omit_defaults=True):
    kind: str
    who: str
    why: str
    at: datetime
    aet: str
    peer: str
    via: str
    reverts: int
    patients: list[tuple[str, str]]
    # Objects of a series mostly change alike: each list of changes stands here once
    changes: list[list[tuple[int, str, str]]]
    entries: list[_Entry]


def _edit_as_json(head: EditHead, entries: Sequence[ActEntry]) -> _Edit:
    lists: dict[tuple[AttributeChange, ...], int] = {(): 0}
    items = []
    for entry in entries:
        item = _as_json(entry)
        item.changes = lists.setdefault(entry.changes, len(lists))
        items.append(item)
    told = [[(one.tag, one.before, one.after) for one in changes] for changes in lists if changes]
    origin = head.origin
    return _Edit(
        head.kind, head.who, head.why, head.at, origin.source_aet, origin.peer, origin.via, head.reverts,
        list(head.patients), told, items,
    )  # fmt: skip


def _edit_from_json(found: _Edit) -> Act:
    lists: list[tuple[AttributeChange, ...]] = [()]
    lists += [tuple(AttributeChange(*one) for one in changes) for changes in found.changes]
    head = EditHead(
        found.kind, found.who, found.why, found.at, Origin(found.aet, found.peer, found.via), found.reverts,
        tuple(found.patients),
    )  # fmt: skip
    entries = (replace(_from_json(item), changes=lists[item.changes]) for item in found.entries)
    return Act(tuple(entries), head)


def _as_json(entry: ActEntry) -> _Entry:
    return _Entry(
        entry.kind.value,
        *entry.key,
        entry.number,
        entry.at,
        entry.origin.source_aet,
        entry.origin.peer,
        entry.origin.via,
        entry.restores,
        entry.path,
        entry.aside,
        entry.record,
        entry.head,
        entry.tail,
        entry.why,
        entry.was,
        (*entry.source[0], entry.source[1]) if entry.source is not None else None,
        entry.dataset_sha256,
    )


def _from_json(item: _Entry) -> ActEntry:
    return ActEntry(
        ActKind(item.act),
        InstanceKey(item.study, item.series, item.sop),
        item.number,
        item.at,
        Origin(item.aet, item.peer, item.via),
        item.restores,
        item.path,
        item.aside,
        item.record,
        item.head,
        item.tail,
        item.why,
        item.was,
        (InstanceKey(*item.source[:3]), item.source[3]) if item.source is not None else None,
        item.sha256,
    )
