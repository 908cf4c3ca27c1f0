"""Drafts: what a person is working on in a study, in versions, before it becomes an object.

::

    drafts/<person>/<2 hex of sha256(study)>/<study>/00000001-20260101T120000Z.json    version 1, and its time
                                                    /00000002-20260101T120501Z-report.json  became a report
                                                    /reports/<hex>.json         which report a key stands for
    drafts/.followed/00000007       all edits up to number 7 were followed

A version is one file, made once, durable in bytes and name before `save` answers, so that a crash leaves the
version before or the new one, whole. The newest is current. The archive does not look into a content, which
is JSON. Nothing is overwritten; what piles up while somebody draws is thinned by `kept_of`.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import re
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from gantry.archive.blobs.files import DRAFTS
from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.archive.small_files import SmallFiles
from gantry.errors import CallerError, Corrupt, NotFound
from gantry.standard.uids import uid_name

ALL_WITHIN: Final = timedelta(hours=1)
"""Every version this young is kept."""
HOURLY_WITHIN: Final = timedelta(days=1)
"""The last version of each hour is kept this long; of what is older, the last of each day."""

_VERSION = re.compile(r"(?P<number>[0-9]{8})-(?P<at>[0-9]{8}T[0-9]{6}Z)(?P<report>-report)?\.json", re.ASCII)
_TIME = "%Y%m%dT%H%M%SZ"
_FOLLOWED = f"{DRAFTS}/.followed"
_PLAIN_PERSON = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)

_log = logging.getLogger(__name__)


class NotCurrent(CallerError):
    """Somebody else saved meanwhile; `current` is the number of the version that is current, 0 for none."""

    def __init__(self, current: int) -> None:
        self.current = current
        super().__init__(f"version {current} of the draft is current" if current else "there is no draft yet")


class MadeReport(msgspec.Struct, frozen=True, rename="camel"):
    """The report that was made of version `version` of a draft, as the client's key named it."""

    key: str
    version: int
    sop_instance_uid: str
    series_instance_uid: str
    made: datetime
    request: msgspec.Raw = msgspec.Raw(b"{}")
    """What the report was asked to say besides the draft."""


class DraftVersion(msgspec.Struct, frozen=True):
    """One version. `content` is JSON, `sha256` its digest; `report` is set where it became a report."""

    version: int
    person: str
    study: str
    at: datetime
    sha256: str
    content: msgspec.Raw
    report: str = ""


@dataclass(frozen=True, slots=True)
class VersionNote:
    """A version as its name tells: number, time (UTC, whole seconds), and whether it became a report."""

    number: int
    at: datetime
    reported: bool
    path: str


class Drafts:
    """The drafts of an archive. All methods may be called from any thread."""

    def __init__(
        self,
        disk: Disk,
        names: itertools.count[int],
        *,
        now: Callable[[], datetime],
        require_room: Callable[[int], None],
        stop_writing: Callable[[str], None],
        turn: Callable[[str, str, str], AbstractContextManager[None]],
    ) -> None:
        self._disk = disk
        self._files = SmallFiles(disk, names, "draft", require_room=require_room, stop_writing=stop_writing)
        self._now = now
        # Among nodes that share an archive
        self._turn = turn
        self._lock = threading.Lock()

    def current(self, person: str, study_uid: str) -> DraftVersion:
        """The newest version. Raises NotFound, Corrupt, StorageError."""
        notes = self.versions(person, study_uid)
        if not notes:
            raise NotFound("there is no draft of this study")
        return self.read(notes[-1])

    def version(self, person: str, study_uid: str, number: int) -> DraftVersion:
        """One version. Raises NotFound, Corrupt, StorageError."""
        for note in self.versions(person, study_uid):
            if note.number == number:
                return self.read(note)
        raise NotFound(f"there is no version {number} of the draft")

    def versions(self, person: str, study_uid: str) -> list[VersionNote]:
        """All versions that are kept, oldest first. Raises StorageError."""
        return self._notes(draft_folder(person, study_uid))

    # --- when a study becomes another ------------------------------------------------------------

    def folders_of_persons(self) -> list[str]:
        """Names in `drafts/`, one for each person who ever had a draft. Raises StorageError."""
        return [name for name in self._files.names_in(DRAFTS) if not name.startswith(".")]

    def followed(self) -> int:
        """The number of the last edit that drafts followed; 0 for none. Raises StorageError."""
        return max((int(name) for name in self._files.names_in(_FOLLOWED) if name.isdecimal()), default=0)

    def note_followed(self, number: int) -> None:
        """Drafts have followed all edits up to this one. Raises OutOfSpace, ReadOnly, StorageError."""
        name = f"{number:08}"
        former = self._files.names_in(_FOLLOWED)
        if name not in former:  # another node may have been here
            self._files.write(f"{_FOLLOWED}/{name}", b"{}")
        for one in former:
            if one < name:
                with suppress(OSError):  # the highest number counts
                    self._disk.unlink(f"{_FOLLOWED}/{one}")

    def person_of(self, name: str, study_uid: str) -> str | None:
        """Whose draft of a study lies under this name in `drafts/`; None where there is none.

        Raises Corrupt, StorageError.
        """
        notes = self._notes(f"{DRAFTS}/{name}/{_study_folder(study_uid)}")
        return self.read(notes[-1]).person if notes else None

    def save(
        self, person: str, study_uid: str, content: bytes, *, after: int | None, report: str = ""
    ) -> DraftVersion:
        """Keep a new version after version `after` (0: the first; None: after any), durably.

        What equals the current version makes no new one, whatever `after` says, so that a call whose answer
        was lost can be made again; with a `report` it does. Raises NotCurrent, OutOfSpace, ReadOnly,
        StorageError.
        """
        digest = hashlib.sha256(content).hexdigest()
        folder = draft_folder(person, study_uid)
        with self._lock, self._turn("draft", person, study_uid):
            notes = self._notes(folder)
            newest = notes[-1].number if notes else 0
            if notes and not report:
                current = self.read(notes[-1])
                if current.sha256 == digest:
                    return current
            if after is not None and after != newest:
                raise NotCurrent(newest)
            at = self._now()
            made = DraftVersion(newest + 1, person, study_uid, at, digest, msgspec.Raw(content), report)
            mark = "-report" if report else ""
            name = f"{made.version:08}-{at.astimezone(UTC):{_TIME}}{mark}.json"
            self._files.write(f"{folder}/{name}", msgspec.json.encode(made))
            self._thin(notes, at)
        return made

    def made_report(self, person: str, study_uid: str, key: str) -> MadeReport | None:
        """The report that a key stands for, if one was begun. Raises Corrupt, StorageError."""
        return self._files.read(_report_path(draft_folder(person, study_uid), key), MadeReport)

    def begin_report(self, person: str, study_uid: str, report: MadeReport) -> MadeReport:
        """Keep what a key stands for, durably, before the report is made; answers what was there first.

        Raises Corrupt, OutOfSpace, ReadOnly, StorageError.
        """
        path = _report_path(draft_folder(person, study_uid), report.key)
        with self._lock, self._turn("draft", person, study_uid):
            known = self._files.read(path, MadeReport)
            if known is not None:
                return known
            self._files.write(path, msgspec.json.encode(report))
        return report

    def _notes(self, folder: str) -> list[VersionNote]:
        try:
            entries = self._disk.list_folder(folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(error) from error
        found = [(entry.name, match) for entry in entries if (match := _VERSION.fullmatch(entry.name))]
        return [
            VersionNote(
                int(match["number"]),
                datetime.strptime(match["at"], _TIME).replace(tzinfo=UTC),
                match["report"] is not None,
                f"{folder}/{name}",
            )
            for name, match in found
        ]

    def read(self, note: VersionNote) -> DraftVersion:
        """The version of a note. Raises NotFound, Corrupt, StorageError."""
        found = self._files.read(note.path, DraftVersion)
        if found is None:
            raise NotFound(f"version {note.number} of the draft was let go")
        if hashlib.sha256(bytes(found.content)).hexdigest() != found.sha256:
            raise Corrupt(f"the draft {note.path} is damaged")
        return found

    def _thin(self, notes: list[VersionNote], now: datetime) -> None:
        """Let go of earlier versions that the rule does not keep; a crash in between only keeps more."""
        kept = kept_of([(note.number, note.at) for note in notes], now)
        # What became a report stays beside it.
        kept |= {note.number - back for note in notes if note.reported for back in (0, 1)}
        for note in notes:
            if note.number not in kept:
                try:
                    self._disk.unlink(note.path)
                except OSError as error:
                    # The new version is durable; the next save tries again.
                    _log.warning("an earlier version of a draft stays: %s", error.strerror)
                    return


def kept_of(versions: Iterable[tuple[int, datetime]], now: datetime) -> set[int]:
    """Which versions the rule keeps: all of the last hour, then the last of each hour, then of each day."""
    kept: dict[tuple[str, str], int] = {}
    for number, at in sorted(versions):
        age = now - at
        if age <= ALL_WITHIN:
            slot = "each", str(number)
        elif age <= HOURLY_WITHIN:
            slot = "hour", f"{at.astimezone(UTC):%Y%m%d%H}"
        else:
            slot = "day", f"{at.astimezone(UTC):%Y%m%d}"
        kept[slot] = number
    return set(kept.values())


def draft_folder(person: str, study_uid: str) -> str:
    """Where the versions of a person's draft lie."""
    name = person if _PLAIN_PERSON.fullmatch(person) else uid_name(f"person {person}")
    return f"{DRAFTS}/{name}/{_study_folder(study_uid)}"


def _study_folder(study_uid: str) -> str:
    spread = hashlib.sha256(study_uid.encode("utf-8", "surrogateescape")).hexdigest()[:2]
    return f"{spread}/{uid_name(study_uid)}"


def _report_path(folder: str, key: str) -> str:
    return f"{folder}/reports/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}.json"
