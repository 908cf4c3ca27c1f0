"""How far work on all objects came, so that what was broken off can be gone on with.

A mark is a file in ``cache/`` that nobody misses: without it, work begins anew. It is good for the archive's
index as it was, and for the version of this program that wrote it.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from gantry import __version__
from gantry.archive.blobs.files import CACHE, INCOMING, replace_durably
from gantry.archive.disk import Disk

Told = TypeVar("Told", bound=msgspec.Struct)


class Mark(Generic[Told]):
    """The mark of one kind of work, which tells of it in a struct of this type. All raise OSError."""

    def __init__(self, disk: Disk, name: str, kind: type[Told]) -> None:
        self._disk = disk
        self._path = f"{CACHE}/{name}-{__version__}.json"
        self._staged = f"{INCOMING}/{name}.json"
        self._kind = kind

    def read(self) -> Told | None:
        """What was told last; None where the work came to its end, or never began."""
        try:
            return msgspec.json.decode(self._disk.read(self._path), type=self._kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, told: Told) -> None:
        """The work came so far."""
        replace_durably(self._disk, self._staged, self._path, [msgspec.json.encode(told)])

    def remove(self) -> None:
        """The work came to its end."""
        if self._disk.exists(self._path):
            self._disk.unlink(self._path)
