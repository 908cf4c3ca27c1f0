"""Renditions on disk: what was made once of bytes that never change is there for the next run too.

A rendition is a file below ``cache/renditions``, named by a digest of all that it follows from. The folder
is derived and may be emptied at any time. Small ones carry a checksum and are written without a sync,
moving ones are synced before they get their name; either way half a file is never served. What is kept is
bounded in bytes and in number, the reserve of the disk is left alone, and any failure only costs time.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import threading
import zlib
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path

from gantry.archive.blobs.files import CACHE

FOLDER = f"{CACHE}/renditions"
MAX_CACHE_BYTES = 1 << 30
"""Some 50,000 pictures of 512 by 512, or a few hundred videos."""
MAX_CACHE_FILES = 100_000

_CHECK_BYTES = 4
_TEMPORARY = "new-"

_log = logging.getLogger(__name__)


class Renditions:
    """Files by key, in the data folder of an archive; for any number of threads."""

    def __init__(
        self,
        data: Path,
        keep_free: int = 0,
        *,
        max_bytes: int = MAX_CACHE_BYTES,
        max_files: int = MAX_CACHE_FILES,
    ) -> None:
        self._folder = data / FOLDER
        self._keep_free = keep_free
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] | None = None
        self._total = 0
        self._temporary = itertools.count(1)

    def get(self, key: str) -> bytes | None:
        """The rendition that `put` kept, whole; None where there is none."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        body = data[:-_CHECK_BYTES]
        if zlib.crc32(body).to_bytes(_CHECK_BYTES, "little") != data[-_CHECK_BYTES:]:
            self._forget(key)  # a power cut came before its bytes were on the disk
            return None
        self._used(key)
        return body

    def put(self, key: str, data: bytes) -> None:
        """Keep a rendition, if there is room."""
        temporary = None
        try:
            temporary = self.temporary()
            temporary.write_bytes(data + zlib.crc32(data).to_bytes(_CHECK_BYTES, "little"))
            self._named(temporary, key)
        except OSError as error:
            _log.info("a rendition could not be kept: %s", error.strerror)
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def find(self, key: str) -> Path | None:
        """The file that `adopt` kept; None where there is none. It may go, so open it at once."""
        path = self._path(key)
        if not path.is_file():
            return None
        self._used(key)
        return path

    def temporary(self) -> Path:
        """A new place to write to. Raises OSError, also where free space is kept for objects."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._entries()  # what an earlier run left half done is removed before there is anything new
        if shutil.disk_usage(self._folder).free < self._keep_free:
            raise OSError(28, "the free space is kept for objects")
        return self._folder / f"{_TEMPORARY}{os.getpid()}-{next(self._temporary)}"

    def adopt(self, temporary: Path, key: str) -> Path:
        """Keep a file written to a `temporary` place. Raises OSError."""
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        return self._named(temporary, key)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _named(self, temporary: Path, key: str) -> Path:
        path = self._path(key)
        size = temporary.stat().st_size
        path.parent.mkdir(exist_ok=True)
        temporary.replace(path)
        with self._lock:
            entries = self._entries_locked()
            self._total += size - entries.pop(key, 0)
            entries[key] = size
            while len(entries) > 1 and (self._total > self._max_bytes or len(entries) > self._max_files):
                oldest, length = entries.popitem(last=False)
                self._total -= length
                with suppress(OSError):
                    self._path(oldest).unlink()
        return path

    def _used(self, key: str) -> None:
        with self._lock:
            if self._sizes is not None and key in self._sizes:
                self._sizes.move_to_end(key)

    def _forget(self, key: str) -> None:
        with self._lock:
            if self._sizes is not None:
                self._total -= self._sizes.pop(key, 0)
        with suppress(OSError):
            self._path(key).unlink()

    def _entries(self) -> None:
        with self._lock:
            self._entries_locked()

    def _entries_locked(self) -> OrderedDict[str, int]:
        """Size by key, oldest first; the folder is looked through once, when something is first kept."""
        if self._sizes is None:
            found: list[tuple[int, str, int]] = []
            for path in self._folder.rglob("*"):
                with suppress(OSError):
                    if path.name.startswith(_TEMPORARY):
                        path.unlink()
                    elif path.is_file():
                        stat = path.stat()
                        found.append((stat.st_mtime_ns, path.name, stat.st_size))
            self._sizes = OrderedDict((name, size) for _, name, size in sorted(found))
            self._total = sum(self._sizes.values())
        return self._sizes
