"""Give objects back as they came: whole, by range, by frame.

A read proves cheaply that it gives what was acknowledged (the file is there, has its size, is a DICOM file);
the digests are compared by `verify`, and what that found damaged is not served until it is repaired (N14).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gantry.archive.blobs.files import AWAY
from gantry.archive.damage import Damage
from gantry.archive.disk import Buffer, Disk, unmap
from gantry.archive.frames import StoredFrames
from gantry.archive.records import Location
from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import PREAMBLE_BYTES, PREFIX, read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import Corrupt, DataSetError, NotFound, StorageError, Unreachable

BLOCK = 1 << 20


class Retriever:
    """Reads objects of one archive folder; for any number of threads."""

    def __init__(self, disk: Disk, damage: Damage) -> None:
        self._disk = disk
        self._damage = damage

    def read(self, location: Location, *, check: bool = False) -> bytes:
        """The whole file; with `check` its digests are compared first. Raises Corrupt, StorageError."""
        data = self._read(location, 0, location.file_size)
        if location.dataset_offset > PREAMBLE_BYTES and data[128:132] != PREFIX:
            raise Corrupt(f"{location.path} does not begin like a DICOM file any more")
        if check and not digests_agree(location, data):
            raise Corrupt(f"{location.path} does not hold the bytes that were acknowledged")
        return data

    def read_range(self, location: Location, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer at the end of the file. Raises Corrupt, StorageError."""
        return self._read(location, offset, max(0, min(length, location.file_size - offset)))

    def blocks(self, location: Location) -> Iterator[bytes]:
        """The whole file, a megabyte at a time, so that an object of any size costs one."""
        if location.file_size <= BLOCK:
            yield self.read(location)
            return
        for offset in range(0, location.file_size, BLOCK):
            yield self.read_range(location, offset, BLOCK)

    def frames(self, location: Location) -> StoredFrames:
        """Where each frame lies. Raises NotFound for an object without pixels."""
        pixel = location.pixel
        if pixel is None:
            raise NotFound("the object has no pixels that can be reached in its file")
        return StoredFrames.decode(pixel)

    def read_frame(self, location: Location, frame: int) -> bytes:
        """The bytes of frame number `frame` (from 1): native, or one compressed image. Raises NotFound.

        The first pixel is at the first bit, wherever it is in the file.
        """
        table = self.frames(location)
        data = b"".join(self.read_range(location, *span) for span in table.spans(frame))
        return table.from_first_bit(frame, data)

    def header(self, location: Location) -> dict[str, Any]:
        """All attributes but bulk data, in the DICOM JSON model. Raises Corrupt, StorageError."""
        with self.dataset(location) as ds:
            return to_json_model(ds)

    @contextmanager
    def dataset(self, location: Location) -> Iterator[DataSet]:
        """The Data Set over its mapped file, to be used within the context. Raises Corrupt, StorageError."""
        self.refuse_damaged(location)
        try:
            content = self._disk.map(location.path)
        except OSError as error:
            raise _unreadable(location, error) from error
        try:
            yield _scanned(location, content)
        finally:
            unmap(content)

    def real_path(self, location: Location) -> Path | None:
        """The file, for who can send it without reading it; None on a simulated disk.

        Raises Corrupt, StorageError.
        """
        self.refuse_damaged(location)
        try:
            return self._disk.real_path(location.path)
        except OSError as error:
            raise _unreadable(location, error) from error

    def is_at_hand(self, location: Location) -> bool:
        """Whether the file need not be fetched from an object store first."""
        return self._disk.is_at_hand(location.path)

    def _read(self, location: Location, offset: int, length: int) -> bytes:
        self.refuse_damaged(location)
        try:
            data = self._disk.read_at(location.path, offset, length)
        except OSError as error:
            raise _unreadable(location, error) from error
        if len(data) != length:
            raise Corrupt(f"{location.path} ends before byte {offset + length}")
        return data

    def refuse_damaged(self, location: Location) -> None:
        if location.made_from:
            raise NotFound(
                f"version {location.number} was let go; `gantry compress --undo` makes it again, "
                f"bit for bit, from version {location.made_from}"
            )
        why = self._damage.of(location.path)
        if why:
            raise Corrupt(f"{location.path} is damaged: {why}")


def _scanned(location: Location, content: Buffer) -> DataSet:
    try:
        return read_part10(content)[1]
    except DataSetError as error:
        raise Corrupt(f"{location.path}: {error}") from error


def _unreadable(location: Location, error: OSError) -> StorageError:
    if isinstance(error, FileNotFoundError):
        return Corrupt(f"{location.path} is missing")
    if error.errno == AWAY:
        return Unreachable(f"{location.path} cannot be read now: {error.strerror}")
    return StorageError(f"{location.path} cannot be read: {error.strerror}")


def digests_agree(location: Location, data: bytes) -> bool:
    """Whether bytes are those that were acknowledged."""
    view = memoryview(data)
    return (
        hashlib.sha256(view[: location.dataset_offset]).digest() == location.meta_sha256
        and hashlib.sha256(view[location.dataset_offset :]).digest() == location.dataset_sha256
    )
