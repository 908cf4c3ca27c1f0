"""Make an archive again of a backup point, in a folder that holds nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count, islice

import msgspec

from gantry.archive.backup.manifest import Content, File, Line, Lost, Version
from gantry.archive.backup.store import FILES, NOT_COUNTED, Store, copy_checked, files_of
from gantry.archive.blobs.files import (
    ACTS,
    COMMITMENTS,
    DRAFTS,
    FOLDERS,
    INCOMING,
    OBJECTS,
    RESTORING,
    prepare_folders,
    sync_folders,
    wipe_incoming,
    write_again,
)
from gantry.archive.disk import Disk, make_folders
from gantry.archive.folder_versions import Skipped
from gantry.archive.incoming import storage_error
from gantry.archive.index_files import IndexFiles
from gantry.archive.received import Journal
from gantry.archive.reindex import Progress, no_progress, reindex
from gantry.errors import CallerError, Corrupt

_WORKERS = 4
_AT_ONCE = 64
_LINES_AT_ONCE = 1_000
_RESTORED = (OBJECTS, ACTS, DRAFTS, COMMITMENTS)
_STAGED_MARK = f"{RESTORING}.new"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore, or a check, did: `files` were whole, `damaged` are not, and `lost` the point never had.

    `skipped` could not be noted in the index, for want of those.
    """

    point: str
    files: int
    size_bytes: int
    versions: int
    damaged: tuple[Lost, ...]
    lost: tuple[Lost, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not (self.damaged or self.lost or self.skipped)


def check(store: Store, name: str | None = None, progress: Progress = no_progress) -> Restored:
    """Read all files of a point, the latest without a name, and compare digests.

    Raises NotFound, Corrupt where the list itself is damaged, StorageError.
    """
    try:
        return _gone_through(store, store.chosen(name), store.check, progress)
    except OSError as error:
        raise storage_error(error) from error


def restore(
    store: Store,
    disk: Disk,
    index_files: IndexFiles,
    name: str | None = None,
    progress: Progress = no_progress,
) -> Restored:
    """Restore a point, the latest without a name, into the empty folder `disk`.

    What is damaged in the backup is left out and told; all else is restored. A restore that was broken off
    goes on when it is called again for the same point. Raises CallerError where the folder is not empty,
    NotFound, Corrupt where the list itself is damaged, StorageError.
    """
    try:
        name = store.chosen(name)
        _take_folder(disk, name)
        names = count(1)
        # `next` of a count is one step: threads get different numbers
        one = _gone_through(
            store, name, lambda content, path: _place(store, disk, next(names), content, path), progress
        )
        journal = Journal(disk)
        _write_journal(journal, store.lines(name))
        sync_folders(disk, _all_folders(disk))
        rebuilt = reindex(disk, index_files, journal, progress)
        rebuilt.index.close()
        journal.shut()
        disk.unlink(RESTORING)
        sync_folders(disk, [""])
        return replace(one, skipped=rebuilt.skipped)
    except OSError as error:
        raise storage_error(error) from error


def _gone_through(
    store: Store, name: str, do: Callable[[Content, str], object], progress: Progress
) -> Restored:
    """Do something with each file of a point; what raises Corrupt is damaged."""
    versions, lost = _looked_over(store.lines(name))
    files = size = seen = 0
    damaged: list[Lost] = []

    def one(line: Version | File) -> Lost | None:
        content = line.content
        assert content is not None
        try:
            do(content, line.path)
        except Corrupt as error:
            return Lost(line.path, str(error))
        return None

    missing = {entry.path for entry in lost}
    with ThreadPoolExecutor(_WORKERS) as workers:
        lines = files_of(store.lines(name), missing)
        while some := list(islice(lines, _AT_ONCE)):
            for line, wrong in zip(some, workers.map(one, some), strict=True):
                if wrong is None:
                    files += 1
                    size += line.size
                else:
                    damaged.append(wrong)
            seen += len(some)
            progress(seen, max(versions, seen))
    return Restored(name, files, size, versions, tuple(damaged), tuple(lost))


def _looked_over(lines: Iterable[Line]) -> tuple[int, list[Lost]]:
    """How many versions a list has, and what is lost; read to its end, so that it is known to be whole."""
    versions = 0
    lost: list[Lost] = []
    for line in lines:
        if isinstance(line, Version):
            versions += 1
        elif isinstance(line, Lost):
            lost.append(line)
    return versions, lost


def _take_folder(disk: Disk, name: str) -> None:
    """Make the folder ours, unless it is by now. Raises CallerError, OSError."""
    mark = msgspec.json.encode({"point": name})
    if disk.exists(RESTORING):
        if disk.read(RESTORING) != mark:
            raise CallerError(
                f"another point was being restored into this folder, not {name}; empty it first"
            )
    else:
        there = {entry.name for entry in disk.list_folder("")} - NOT_COUNTED - {_STAGED_MARK}
        if there:
            raise CallerError(f"the folder to restore into is not empty; {min(there)} is in it, for one")
        write_again(disk, _STAGED_MARK, [mark])
        disk.rename(_STAGED_MARK, RESTORING)
        sync_folders(disk, [""])
    prepare_folders(disk)
    wipe_incoming(disk)


def _place(store: Store, disk: Disk, number: int, content: Content, path: str) -> None:
    """Put a file where it was. Raises Corrupt, naming the backup's file, and OSError."""
    parts = path.split("/")
    if len(parts) < 2 or parts[0] not in _RESTORED or {"", ".", ".."} & set(parts):
        raise Corrupt(f"the backup point names a path that no archive has: {path}")
    if disk.exists(path):
        return  # placed before this restore was broken off: whole, since it has its name
    staged = f"{INCOMING}/{number}"
    copy_checked(store.disk, f"{FILES}/{content.name}", disk, staged, content)
    make_folders(disk, "/".join(parts[:-1]))
    with suppress(FileExistsError):
        disk.rename(staged, path)


def _write_journal(journal: Journal, lines: Iterable[Line]) -> None:
    receipts = (line.receipt for line in lines if isinstance(line, Version))
    journal.rewrite([])
    while some := list(islice(receipts, _LINES_AT_ONCE)):
        journal.add(some)
    journal.sync()


def _all_folders(disk: Disk) -> list[str]:
    folders = ["", *FOLDERS]
    for folder in folders[1:]:
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            below = [f"{here}/{entry.name}" for entry in disk.list_folder(here) if entry.is_folder]
            folders += below
            waiting += below
    return folders
