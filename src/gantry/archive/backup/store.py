"""The folder that holds backups: files under their digests, points by number and time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from gantry.archive.backup.manifest import FORMAT, Content, File, Head, Line, Version, Writer, read_lines
from gantry.archive.blobs.files import (
    INCOMING,
    LOST_FOUND,
    sync_file,
    sync_folders,
    wipe_incoming,
    write_durably,
)
from gantry.archive.clock import Clock
from gantry.archive.disk import Disk, write_all
from gantry.archive.incoming import storage_error
from gantry.archive.lost_found import set_aside
from gantry.archive.records import Location
from gantry.archive.stored_digests import StoredDigests
from gantry.errors import CallerError, Corrupt, NotFound, StorageError

FILES = "files"
POINTS = "points"
MARK = "gantry-backup.json"
LOCK = "lock"
_FOLDERS = (FILES, POINTS, INCOMING, LOST_FOUND)
NOT_COUNTED = frozenset({LOCK, "lost+found"})
"""What an empty folder may hold: our lock, and what a fresh file system has of itself."""
_POINT = re.compile(r"(?P<name>[0-9]{8}-[0-9]{8}T[0-9]{6}Z)\.jsonl\.gz", re.ASCII)
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class PointNote:
    """A backup point as it says at its top: its name, its moment (UTC), and how many versions it holds."""

    name: str
    at: datetime
    versions: int


class Store:
    """The backups in one folder. `copy` may be called from several threads."""

    def __init__(self, disk: Disk, clock: Clock) -> None:
        self.disk = disk
        self._clock = clock
        self._names = itertools.count(1)

    def prepare(self) -> None:
        """Make the folder ready to be written to. Raises CallerError where it is something else, OSError."""
        disk = self.disk
        if not disk.exists(MARK):
            staged = f"{MARK}.new"
            there = {entry.name for entry in disk.list_folder("")} - NOT_COUNTED - {staged, *_FOLDERS}
            if there:
                raise CallerError(
                    f"the folder is neither empty nor a backup of ours; {min(there)} is in it, for one"
                )
            with suppress(FileNotFoundError):
                disk.unlink(staged)
            write_durably(disk, staged, [msgspec.json.encode({"gantry-backup": FORMAT})])
            disk.replace(staged, MARK)
        for folder in _FOLDERS:
            with suppress(FileExistsError):
                disk.make_folder(folder)
        wipe_incoming(disk)
        sync_folders(disk, [""])

    def temporary(self) -> str:
        """A free name for a file that is being written."""
        return f"{INCOMING}/{next(self._names)}"

    # --- points ----------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """All points, oldest first. Raises NotFound where the folder is no backup, StorageError."""
        try:
            if not self.disk.exists(MARK):
                raise NotFound("there is no backup in this folder")
            entries = self.disk.list_folder(POINTS)
        except OSError as error:
            raise storage_error(error) from error
        return [match["name"] for entry in entries if (match := _POINT.fullmatch(entry.name))]

    def chosen(self, name: str | None) -> str:
        """The point of that name, the latest without one. Raises NotFound, StorageError."""
        names = self.names()
        if name is None and names:
            return names[-1]
        if name not in names:
            raise NotFound(
                f"there is no backup point {name}; there are {', '.join(names[-5:])}"
                if names
                else "there is no finished backup in this folder"
            )
        return name

    def note(self, name: str) -> PointNote:
        """What a point says at its top. Raises Corrupt, StorageError."""
        for line in self.lines(name):
            assert isinstance(line, Head)
            return PointNote(name, line.at, line.versions)
        raise AssertionError("a list has a head")

    def lines(self, name: str) -> Iterator[Line]:
        """All that a point says. Raises Corrupt, StorageError."""
        try:
            yield from read_lines(self.disk, _path(name))
        except OSError as error:
            raise storage_error(error) from error

    def add_point(self, at: datetime, lines: Iterable[Line]) -> str:
        """Write a point, whose files and folders are durable; its name. Raises OSError, SyncFailed."""
        staged = self.temporary()
        file = self.disk.create(staged)
        try:
            writer = Writer(file)
            for line in lines:
                writer.put(line)
            writer.end()
            sync_file(file)
        finally:
            file.close()
        # By number first: points sort as they were made, whatever the clock did (N20)
        last = max((int(name.partition("-")[0]) for name in self.names()), default=0)
        name = f"{last + 1:08}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        self.disk.rename(staged, _path(name))
        sync_folders(self.disk, [POINTS])
        return name

    # --- files -----------------------------------------------------------------------------------

    def has(self, content: Content) -> bool:
        """Whether a file is there; one of another size is set aside, to be copied anew. Raises OSError."""
        path = f"{FILES}/{content.name}"
        try:
            if self.disk.stat(path).size == content.size:
                return True
        except FileNotFoundError:
            return False
        with suppress(FileNotFoundError):
            set_aside(self.disk, path, self._clock.now())
        return False

    def copy(self, source: Disk, path: str, content: Content) -> None:
        """Take a file in, durable but for its name. Raises Corrupt as `copy_checked`, OSError."""
        staged = self.temporary()
        copy_checked(source, path, self.disk, staged, content)
        folder = f"{FILES}/{content.name[:2]}"
        with suppress(FileExistsError):
            self.disk.make_folder(folder)
        try:
            self.disk.rename(staged, f"{FILES}/{content.name}")
        except FileExistsError:  # the same bytes under two names, copied at once
            self.disk.unlink(staged)

    def sync(self, folders: Iterable[str]) -> None:
        """Make the names in folders of `FILES` durable, whoever has made them. Raises SyncFailed."""
        sync_folders(self.disk, [FILES, LOST_FOUND, *(f"{FILES}/{folder}" for folder in folders)])

    def check(self, content: Content, path: str) -> None:
        """Read the file that was at `path`, and compare its digests. Raises Corrupt, naming ours."""
        name = f"{FILES}/{content.name}"
        digests = StoredDigests(content.offset)
        for block in _readable(self.disk, name):
            digests.update(block)
        if not _agree(digests, content):
            raise Corrupt(f"{name} does not hold the bytes of {path}")

    def find(self, location: Location) -> str | None:
        """Where the backup has the bytes of an object, not compared yet; None where it has not."""
        path = f"{FILES}/{content_of(location).name}"
        try:
            return path if self.disk.stat(path).size == location.file_size else None
        except OSError:
            return None


def content_of(location: Location) -> Content:
    """What the file of an object holds, as the index knows it."""
    meta, dataset = location.meta_sha256.hex(), location.dataset_sha256.hex()
    return Content(location.file_size, location.dataset_offset, meta, dataset, ".dcm")


def copy_checked(source: Disk, path: str, target: Disk, staged: str, content: Content) -> None:
    """Write what a file holds into a new one, durably, and compare digests on the way.

    Raises Corrupt where they differ or cannot be read, OSError of `target`; then no new file is left.
    """
    file = target.create(staged)
    digests = StoredDigests(content.offset)
    try:
        for block in _readable(source, path):
            digests.update(block)
            write_all(file, [block])
        if not _agree(digests, content):
            raise Corrupt(f"{path} does not hold the bytes that were acknowledged")
        sync_file(file)
    except (OSError, StorageError):
        file.close()
        with suppress(OSError):  # what is left of it is wiped by the next run
            target.unlink(staged)
        raise
    file.close()


def _agree(digests: StoredDigests, content: Content) -> bool:
    found = digests.size, digests.meta.hexdigest(), digests.dataset.hexdigest()
    return found == (content.size, content.meta, content.dataset)


def _blocks(disk: Disk, path: str) -> Iterator[bytes]:
    position = 0
    while block := disk.read_at(path, position, BLOCK):
        yield block
        position += len(block)


def _readable(disk: Disk, path: str) -> Iterator[bytes]:
    try:
        yield from _blocks(disk, path)
    except FileNotFoundError:
        raise Corrupt(f"{path} is missing") from None
    except OSError as error:
        raise Corrupt(f"{path} cannot be read: {error.strerror}") from error


def _path(name: str) -> str:
    return f"{POINTS}/{name}.jsonl.gz"


def files_of(lines: Iterable[Line], lost: Collection[str]) -> Iterator[Version | File]:
    """The versions and other files of a point that have bytes in the backup."""
    for line in lines:
        if isinstance(line, Version | File) and line.content is not None and line.path not in lost:
            yield line
