"""Acts: what was done to objects that left no bytes of its own, written beside them so it can be replayed.

Deleting hides an instance without touching its file; restoring brings an earlier version back; a
reference keeps an object where it lies, outside of the folder. Each is a version of its instance with a
number of its own. Letting go removes the file of an object version whose bytes can be made again from
another; its entry holds all that the file told. Each is a line in an act file, durable before the index
hears of it. So
``reindex`` finds deletions again from the folder alone (promise 3).

An act file is one JSON document, made once and never changed; its name begins with its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

import msgspec

from gantry.archive.blobs.files import ACTS, INCOMING, write_durably
from gantry.archive.disk import Disk
from gantry.archive.index.protocol import AddRestore, AddTombstone, LetGo
from gantry.archive.records import InstanceKey, ObjectRecord, Origin
from gantry.errors import Corrupt


class ActKind(Enum):
    """What an act does."""

    DELETE = "delete"
    RESTORE = "restore"
    REFERENCE = "reference"
    LET_GO = "let go"


@dataclass(frozen=True, slots=True)
class ActEntry:
    """One act on one instance, which became its version `number`.

    `restores` is the version brought back, by a restore; `path` the absolute path of the object, and
    `aside` whether it did not become current, for a reference.

    Of a version that was let go, `number` is its own, `restores` the version that it can be made from,
    `path` where it lay, `record` what the index knows of it, `head` and `tail` the bytes that stood before
    and behind the value of its Pixel Data, and `why` the rule that let it go.
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


def act_path(count: int, at: datetime) -> str:
    """The path of act number `count`: names sort in the order of the acts, whatever the clock did (N20)."""
    return f"{ACTS}/{count:08}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"


def last_count(disk: Disk) -> int:
    """The number of the newest act; 0 where there is none. Raises OSError."""
    names = [entry.name.partition("-")[0] for entry in disk.list_folder(ACTS)]
    return max((int(name) for name in names if name.isdecimal()), default=0)


def write_act(disk: Disk, path: str, entries: Sequence[ActEntry]) -> None:
    """Write an act durably; its name is durable after a sync of the folder. Raises OSError, SyncFailed."""
    staged = f"{INCOMING}/{path.replace('/', '-')}"
    write_durably(disk, staged, [msgspec.json.encode([_as_json(entry) for entry in entries])])
    disk.rename(staged, path)


def read_act(disk: Disk, path: str) -> list[ActEntry]:
    """The entries of an act file. Raises Corrupt."""
    try:
        return [_from_json(item) for item in msgspec.json.decode(disk.read(path), type=list[_Entry])]
    except (msgspec.DecodeError, ValueError) as error:
        raise Corrupt(f"the act {path} cannot be read: {error}") from error


def index_change(entry: ActEntry, act: str) -> AddTombstone | AddRestore | LetGo:
    """What the index is told of a delete, a restore, or what was let go."""
    if entry.kind is ActKind.LET_GO:
        return LetGo(entry.key, entry.number, entry.restores, act)
    if entry.kind is ActKind.DELETE:
        return AddTombstone(entry.key, entry.number, entry.at, entry.origin, act)
    assert entry.kind is ActKind.RESTORE
    return AddRestore(entry.key, entry.number, entry.restores, entry.at, entry.origin, act)


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
    )
