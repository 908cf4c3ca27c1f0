"""Where the index lies, how a new one takes its place, and what becomes of one that is broken.

The index is derived, so losing it costs time and nothing else. A rebuild makes a new file beside the old one
and swaps it in by a rename; a broken one is set aside with its time, never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gantry.archive.disk import FILE_MODE, Disk, OsDisk
from gantry.archive.index import Index
from gantry.archive.index.sql_index import SqlIndex
from gantry.errors import SettingsError, StorageError

_SIDE_FILES = ("", "-wal", "-shm")


class Lead(Protocol):
    """Being the one node that does what one must do for all."""

    @property
    def lasts(self) -> bool:
        """Whether no other node can have taken it."""

    def end(self) -> None:
        """Let another node take it."""


class ForEver:
    """The lead of the only node there is."""

    lasts = True

    def end(self) -> None:
        """There is no other."""


class IndexFiles(Protocol):
    """The place of the index."""

    def exists(self) -> bool:
        """Whether there is an index, whole or broken."""

    def open(self) -> Index:
        """The index, made if there is none. Raises Corrupt, StorageError."""

    def open_fresh(self, *, former: bool = False) -> Index:
        """A new index beside the one in use: an empty one, or the `former` if one was broken off."""

    def take_fresh(self, fresh: Index) -> Index:
        """Put the fresh index in the place of the other, durably; answers it, opened again there."""

    def drop_fresh(self, fresh: Index) -> None:
        """Close a fresh index that is not wanted any more, and remove it."""

    def set_aside(self, at: datetime) -> None:
        """Move a broken index out of the way, and keep it."""

    @property
    def is_current(self) -> bool:
        """Whether the index that was opened has not been replaced by another node. Raises StorageError."""

    def alone(self) -> AbstractContextManager[None]:
        """While it lasts no other node opens the index, or makes it anew. Raises StorageError."""

    def lead(self) -> Lead | None:
        """Be the one node that does what one must do for all; None while another is. Raises StorageError."""


class SqlIndexFiles:
    """The index as ``index.sqlite`` in the archive folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "index.sqlite"
        self._fresh = folder / "index.fresh.sqlite"

    def exists(self) -> bool:
        return self._path.exists()

    def open(self) -> Index:
        return SqlIndex(_private(self._path))

    is_current = True

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # the folder is open in one process only

    def lead(self) -> Lead | None:
        return ForEver()

    def open_fresh(self, *, former: bool = False) -> Index:
        if not former:
            self._remove_fresh()
        return SqlIndex(_private(self._fresh))

    def drop_fresh(self, fresh: Index) -> None:
        try:
            fresh.close()
        finally:
            self._remove_fresh()

    def _remove_fresh(self) -> None:
        for suffix in _SIDE_FILES:
            _side(self._fresh, suffix).unlink(missing_ok=True)

    def take_fresh(self, fresh: Index) -> Index:
        # Closing carries the log over into the file, so that one rename moves all of it.
        fresh.close()
        for suffix in _SIDE_FILES[1:]:
            _side(self._path, suffix).unlink(missing_ok=True)
        self._fresh.replace(self._path)
        return SqlIndex(self._path)

    def set_aside(self, at: datetime) -> None:
        for suffix in _SIDE_FILES:
            file = _side(self._path, suffix)
            if file.exists():
                file.rename(_side(self._path.with_name(f"index.broken-{at:%Y%m%dT%H%M%SZ}.sqlite"), suffix))


def index_files_for(folder: Path, url: str, connections: int, disk: Disk | None = None) -> IndexFiles:
    """The index of the archive in a folder: in the database at `url`, in the folder where that is empty.

    `disk` holds the archive's files where that is not the folder.

    Raises SettingsError for a URL that cannot be read, or a database for which a library is missing.
    """
    if not url:
        return SqlIndexFiles(folder)
    try:
        from gantry.archive.index_in_postgres import PostgresIndexFiles
    except ImportError as error:
        raise SettingsError(
            f"an index in PostgreSQL needs psycopg: pip install 'gantry[postgres]' ({error})"
        ) from error
    return PostgresIndexFiles(disk or OsDisk(folder), url, connections)


def _private(path: Path) -> Path:
    # SQLite gives its side files the mode of the file; names of patients are nobody else's to read.
    path.touch(mode=FILE_MODE)
    return path


def _side(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


@contextmanager
def closed_on_error(index: Index) -> Iterator[None]:
    """Let go of an index that is not used after all."""
    try:
        yield
    except BaseException:
        with suppress(StorageError):  # a broken one cannot carry its log over; what broke it is told
            index.close()
        raise
