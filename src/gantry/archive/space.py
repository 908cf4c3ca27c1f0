"""Room on the disk: an object is refused before its bytes come when they would not fit (N7).

A reserve is kept free, for the index, for acts and for whatever else lives on the disk. Nothing is remembered
of a refusal, so that the archive takes objects again as soon as there is room.
"""

from __future__ import annotations

import threading

from gantry.archive.disk import Disk
from gantry.archive.incoming import storage_error
from gantry.errors import OutOfSpace


class Space:
    """What is free, less the reserve, less what was promised to arrivals under way."""

    def __init__(self, disk: Disk, reserve_bytes: int) -> None:
        self._disk = disk
        self._reserve_bytes = reserve_bytes
        self._promised = 0
        self._lock = threading.Lock()

    def claim(self, size: int) -> None:
        """Promise room for `size` bytes, until `release`. Raises OutOfSpace, StorageError."""
        try:
            free = self._disk.free_space()
        except OSError as error:
            raise storage_error(error) from error
        with self._lock:
            if free - self._promised < self._reserve_bytes + size:
                raise OutOfSpace(
                    f"{free} bytes are free, {self._promised} promised, {self._reserve_bytes} to be kept"
                )
            self._promised += size

    def release(self, size: int) -> None:
        """Take back a promise."""
        with self._lock:
            self._promised -= size
