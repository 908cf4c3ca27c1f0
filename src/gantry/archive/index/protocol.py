"""What the archive asks of an index.

The index is derived: every fact in it can be rebuilt from the archive folder. It is told of changes by one
writer at a time (the committer holds its lock while it calls `lookup` and `apply`) and asked by any number of
readers at once, each of which sees one consistent state.

**Versions.** An instance (three UIDs) has versions numbered from 1. Each is an object (a file), a tombstone
(a delete) or a restore (which names the object version that is current again). An object version put *aside*
is kept and can be read, but does not become current. The current object version is what the newest version
that is not aside says: itself, none (tombstone), or the one restored.

**Representative.** What a study or series row answers is taken whole from one instance: of those visible, the
one whose current object was received first (ties: by UIDs). That makes every row a function of the set of
versions alone, so that a rebuild gives equal rows whatever the order in which it reads the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum
from typing import Any, Protocol

from gantry.archive.query import FindResult, HeaderOf, Query, TextQuery
from gantry.archive.records import InstanceKey, Location, ObjectRecord, Origin


class VersionKind(IntEnum):
    """What a version of an instance is."""

    OBJECT = 0
    TOMBSTONE = 1
    RESTORE = 2


@dataclass(frozen=True, slots=True)
class AddVersion:
    """Note an object that is durable on disk as version `number`; `aside` keeps it from becoming current.

    `act` and `made_from` are those of `LetGo`, of one that was let go. `edit` is the number of the edit that
    made it, here and below; 0 for what no edit made.
    """

    record: ObjectRecord
    number: int
    aside: bool = False
    act: str = ""
    made_from: int = 0
    edit: int = 0


@dataclass(frozen=True, slots=True)
class AddTombstone:
    """Note that an instance was deleted; `act` is the path of the written act, within the data folder."""

    key: InstanceKey
    number: int
    at: datetime
    origin: Origin = field(default_factory=Origin)
    act: str = ""
    edit: int = 0


@dataclass(frozen=True, slots=True)
class AddRestore:
    """Note that object version `restores` of an instance is current again."""

    key: InstanceKey
    number: int
    restores: int
    at: datetime
    origin: Origin = field(default_factory=Origin)
    act: str = ""
    edit: int = 0


@dataclass(frozen=True, slots=True)
class LetGo:
    """Note that the bytes of object version `number` are gone, and can be made again from another version.

    It is no version of its own, and nothing in the feed. With `made_from` 0 they are back.
    """

    key: InstanceKey
    number: int
    made_from: int
    act: str = ""


@dataclass(frozen=True, slots=True)
class EditRow:
    """One edit as lists show it; all else of it is in its act.

    `number` is that of its act, which rises with time. `reverts` is the number of the edit that it undoes,
    else 0, and `reverted_by` that of the edit that undid it. `objects` counts the instances concerned.
    """

    number: int
    act: str
    kind: str
    at: datetime
    who: str
    why: str
    origin: Origin
    reverts: int
    objects: int
    reverted_by: int = 0


@dataclass(frozen=True, slots=True)
class AddEdit:
    """Note an edit, after its versions, and of which patients (ID and issuer) and instances it speaks.

    It is no version of its own, and nothing in the feed.
    """

    row: EditRow
    patients: tuple[tuple[str, str], ...]
    keys: tuple[InstanceKey, ...]


@dataclass(frozen=True, slots=True)
class EditFilter:
    """Which edits a list is of: all that speak of what is named, newest first; empty names narrow nothing."""

    patient_id: str = ""
    issuer: str | None = None
    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""


VersionChange = AddVersion | AddTombstone | AddRestore
KeyedChange = VersionChange | LetGo
IndexChange = KeyedChange | AddEdit


def change_key(change: KeyedChange) -> InstanceKey:
    """The instance that a change is about."""
    return change.record.key if isinstance(change, AddVersion) else change.key


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """What a committer must know of an instance that exists.

    `last_number` is the highest version number in use, of any kind. The other fields tell of the object
    version that is current, or that was current when the instance was deleted (`deleted`);
    `object_number` is 0, and they are empty, when every object version is aside.
    """

    key: InstanceKey
    last_number: int
    deleted: bool
    object_number: int
    dataset_sha256: bytes
    meta_sha256: bytes
    transfer_syntax_uid: str
    path: str
    file_size: int
    edit: int = 0
    """The edit that made the current object version, or that hid the instance; 0 where none did."""


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of an instance; only objects have a `location`, and only restores `restores` something.

    `act` is that which made a tombstone or a restore, or let an object go.
    """

    key: InstanceKey
    number: int
    kind: VersionKind
    at: datetime
    origin: Origin
    location: Location | None
    restores: int = 0
    act: str = ""
    edit: int = 0


class ChangeKind(IntEnum):
    """What happened, as the feed tells it."""

    STORED = 0
    NEW_VERSION = 1
    ASIDE = 2
    DELETED = 3
    RESTORED = 4


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the feed; `seq` rises by commit order and is never used twice within an epoch."""

    seq: int
    kind: ChangeKind
    at: datetime
    key: InstanceKey
    number: int


class ConflictKind(Enum):
    """Why two objects that are both kept contradict each other."""

    VERSION = "version"
    """One SOP Instance UID, other bytes."""
    PATIENT = "patient"
    """One Study Instance UID under several Patient IDs."""
    SERIES = "series"
    """One Series Instance UID in several studies."""
    INSTANCE = "instance"
    """One SOP Instance UID in several series or studies."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A contradiction that was kept visible instead of being merged.

    The UIDs say what it is about and are empty below that; `parties` are what it stands between, sorted:
    version numbers, ``patient id^issuer`` texts, Study UIDs, or ``study/series`` UIDs. `seq` rises with
    first sight.
    """

    seq: int
    kind: ConflictKind
    study_uid: str
    series_uid: str
    sop_uid: str
    parties: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class IndexStats:
    """Counts of what is visible (`size_bytes` of their files), and of all versions ever noted."""

    patients: int
    studies: int
    series: int
    instances: int
    size_bytes: int
    versions: int
    conflicts: int
    last_change: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the index that contradicts the rest of it: what, where, and both values."""

    kind: str
    where: str
    found: str
    expected: str


def at_once() -> None:
    """Nothing needs to be waited for."""


class Index(Protocol):
    """Finds what the archive keeps. `lookup` and `apply` are for the one committer; all else for anybody."""

    @property
    def epoch(self) -> str:
        """Names this incarnation of the index; a feed cursor of another epoch must start again."""

    def known(self, keys: Iterable[InstanceKey]) -> Set[InstanceKey]:
        """Those of `keys` that anything exists of. For any thread. Raises StorageError."""

    def lookup(self, keys: Iterable[InstanceKey]) -> dict[InstanceKey, CurrentVersion]:
        """What exists of `keys`, deleted instances included; unknown keys are left out."""

    def apply(self, changes: Sequence[IndexChange], ready: Callable[[], object] = at_once) -> int:
        """Make `changes` durable, all or none, and return the `seq` of the last one in the feed.

        `ready` is called when all that is left is to commit: it blocks until what the rows speak of is
        durable itself, and what it raises undoes them. Raises StorageError (OutOfSpace when the disk is
        full); nothing was applied then.
        """

    def turn(self, names: Iterable[Sequence[str]] | None) -> AbstractContextManager[None]:
        """While it lasts no other node changes what these name (instances: their keys), or anything (None).

        An `apply` within it fails where the turn was lost meanwhile. Raises StorageError.
        """

    def take_acts(self) -> None:
        """Within a turn, and as the last thing before an act: no other node writes acts until it is over."""

    @property
    def is_our_turn(self) -> bool:
        """Whether the turn that was begun is not lost, so that what was named in it may be removed again."""

    def find(self, query: Query, header_of: HeaderOf | None = None) -> FindResult:
        """Answer a query; `header_of` gives all attributes of an object for what the index does not hold."""

    def search_text(self, query: TextQuery) -> FindResult:
        """Studies for a person typing."""

    def locate(
        self,
        study_uid: str | None = None,
        series_uid: str | None = None,
        sop_uid: str | None = None,
        version: int | None = None,
    ) -> list[Location]:
        """Objects by UID in a stable order: the current ones, or version `version` of each."""

    def versions(self, key: InstanceKey) -> list[VersionRow]:
        """All versions of an instance, oldest first; empty when unknown."""

    def all_versions(self) -> Iterator[VersionRow]:
        """Every version of every instance, in the order in which they were noted."""

    def versions_after(self, after: int) -> list[tuple[int, VersionRow]]:
        """What `all_versions` gives after place `after` (0: from the first), some at a time, with places."""

    def edits(self, what: EditFilter, before: int = 0, limit: int = 100) -> list[EditRow]:
        """Edits with numbers below `before` (0: all), newest first."""

    def edit(self, number: int) -> EditRow | None:
        """The edit of this number; None where there is none."""

    def changes(self, after: int = 0, limit: int = 1000, sop_class_uid: str = "") -> list[Change]:
        """The feed after `seq` `after`, oldest first: all, or what came of objects of one SOP class."""

    def conflicts(self, after: int = 0, limit: int = 1000) -> list[Conflict]:
        """Conflicts after `seq` `after`, oldest first."""

    def heard(self) -> tuple[int, str]:
        """What nodes ask again and again: the `seq` of the feed's last entry, and the last `tell_damage`."""

    def tell_damage(self, word: str) -> None:
        """Have other nodes hear a new word: what is known of damage has changed. Raises StorageError."""

    def stats(self) -> IndexStats:
        """Counts, at a cost that does not grow with them."""

    def check(self) -> list[Finding]:
        """Compare everything derived within the index with what it is derived from."""

    def repair_counts(self) -> int:
        """Derive rows, counts and lists anew; the number of findings before."""

    def canonical_dump(self, *, in_order: bool = True) -> Iterator[dict[str, Any]]:
        """Every row, in an order and form that do not depend on the order of receipt.

        Where they need not be `in_order` no memory is taken to sort them: there may be any number.
        """

    def close(self) -> None:
        """Close all connections."""
