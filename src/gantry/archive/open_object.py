"""An object as an open file whose bytes are in memory, for those who let the kernel send it."""

from __future__ import annotations

import os
from pathlib import Path

from gantry.archive.records import Location
from gantry.errors import Corrupt, StorageError

BLOCK = 1 << 20
_NOWAIT = getattr(os, "RWF_NOWAIT", 0)


class OpenObject:
    """The file of an object, open for reading and in memory; closed by `close`, or when nobody refers to it.

    `file` is its descriptor, `length` that of the whole file. Raises Corrupt, StorageError.
    """

    __slots__ = ("file", "length")

    def __init__(self, path: Path, location: Location) -> None:
        self.file = -1
        self.length = location.file_size
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Corrupt(f"{location.path} is missing") from error
        except OSError as error:
            raise StorageError(f"{location.path} cannot be read: {error.strerror}") from error
        try:
            self._bring_in(location)
        except BaseException:
            self.close()
            raise

    def _bring_in(self, location: Location) -> None:
        """Have it in memory, so that whoever sends it does not wait for the disk."""
        if is_in_memory(self.file, 0, self.length):
            return
        try:
            size = sum(len(os.pread(self.file, BLOCK, at)) for at in range(0, self.length, BLOCK))
        except OSError as error:
            raise StorageError(f"{location.path} cannot be read: {error.strerror}") from error
        if size < self.length:
            raise Corrupt(f"{location.path} ends before byte {self.length}")

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; harmless twice."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)


def is_in_memory(file: int, offset: int, length: int) -> bool:
    """Whether the first and the last byte can be read without waiting.

    The kernel reads and drops pages in runs, so the ones between are there too, or nearly always: then a
    wait of milliseconds is the price, never a wrong byte.
    """
    try:
        return all(os.preadv(file, [bytearray(1)], at, _NOWAIT) for at in (offset, offset + length - 1))
    except OSError:
        return False  # not in memory, or a file system that cannot tell
