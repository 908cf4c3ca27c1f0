"""Small files that people's or peers' work is kept in, beside objects and acts: durable in bytes and name.

What `write` has answered survives a power cut; a crash before leaves what was there, whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from gantry.archive.blobs.files import INCOMING, SyncFailed, sync_folders, write_durably
from gantry.archive.disk import Disk, make_folders
from gantry.archive.incoming import storage_error
from gantry.errors import Corrupt

_FOLDERS_REMEMBERED = 65_536

_Kept = TypeVar("_Kept")


class SmallFiles:
    """Reads and writes such files; `what` says in words what one of them is. Not for several threads."""

    def __init__(
        self,
        disk: Disk,
        names: itertools.count[int],
        what: str,
        *,
        require_room: Callable[[int], None],
        stop_writing: Callable[[str], None],
    ) -> None:
        self._disk = disk
        self._names = names
        self._what = what
        self._require_room = require_room
        self._stop_writing = stop_writing
        self._durable_folders: set[str] = set()

    def names_in(self, folder: str) -> list[str]:
        """Names in a folder, none where it is not there. Raises StorageError."""
        try:
            return [entry.name for entry in self._disk.list_folder(folder)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(error) from error

    def walk(self, folder: str) -> list[str]:
        """Paths of all files below a folder, none where it is not there. Raises StorageError."""
        try:
            return list(self._disk.walk(folder))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_error(error) from error

    def exists(self, path: str) -> bool:
        """Whether there is a file. Raises StorageError."""
        try:
            return self._disk.exists(path)
        except OSError as error:
            raise storage_error(error) from error

    def read(self, path: str, kind: type[_Kept]) -> _Kept | None:
        """What a file says; None where there is none. Raises Corrupt, StorageError."""
        try:
            return msgspec.json.decode(self._disk.read(path), type=kind)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Corrupt(f"the {self._what} {path} cannot be read: {error}") from error

    def write(self, path: str, data: bytes, *, replacing: bool = False) -> None:
        """Make a file, or with `replacing` put it in the place of one. Raises OutOfSpace, ReadOnly,
        StorageError."""
        self._require_room(len(data))
        staged = f"{INCOMING}/{self._what}-{next(self._names)}"
        folder = path.rpartition("/")[0]
        try:
            make_folders(self._disk, folder)
            try:
                write_durably(self._disk, staged, [data])
                (self._disk.replace if replacing else self._disk.rename)(staged, path)
            except OSError:
                with suppress(OSError):  # what is left of it goes at the next start
                    self._disk.unlink(staged)
                raise
            self._sync(folder)
        except SyncFailed as error:
            self._stop_writing(str(error))
            raise storage_error(error) from error
        except OSError as error:
            raise storage_error(error) from error

    def unlink(self, path: str) -> None:
        """Remove a file, which need not be durable. Raises StorageError."""
        try:
            self._disk.unlink(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise storage_error(error) from error

    def _sync(self, folder: str) -> None:
        """Make the names on the way to a file durable, those above its folder once."""
        if folder in self._durable_folders:
            sync_folders(self._disk, [folder])
            return
        parts = folder.split("/")
        sync_folders(self._disk, ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)])
        if len(self._durable_folders) >= _FOLDERS_REMEMBERED:
            self._durable_folders.clear()
        self._durable_folders.add(folder)
