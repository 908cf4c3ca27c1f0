"""A zip file from a stranger, read member by member as streams (B53).

Nothing in it is believed: declared sizes are not, members that share bytes are refused, a member that
inflates beyond all reason is cut, and no name in it ever becomes a path. Compression methods other than
Deflate are refused, because their decoders cannot be stopped before one call has filled the memory.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from gantry.errors import DataSetError

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip file begins: with a member, or with the end of an empty directory."""

BLOCK = 1 << 20

MAX_MEMBERS = 1_000_000
"""A hospital's year of CT; more in one zip file is a mistake or an attack."""

MAX_RATIO = 200
"""Times its compressed size that a member may inflate to: noise-free images reach 50, bombs 1000."""

SMALL_BYTES = 64 << 20
"""Members that inflate to less may have any ratio: a segmentation of little is zeros and compresses so."""

_LOCAL_HEADER_BYTES = 30
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises for bytes that are not as they should be.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    ValueError,
)


class ZipMembers:
    """The members of a zip file, folders left out. May be read from several threads at once.

    The file is closed when nobody holds this, or a stream of it, any more.
    """

    def __init__(self, path: Path) -> None:
        self._name = str(path)
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except _BROKEN as error:
            raise DataSetError(f"a broken zip file: {error}") from error
        members = self._zip.infolist()
        if len(members) > MAX_MEMBERS:
            raise DataSetError(f"a zip file of {len(members)} members, the limit is {MAX_MEMBERS}")
        self._members = [member for member in members if not member.is_dir()]
        self._overlapping = _overlapping(members, self._zip.start_dir)

    def __iter__(self) -> Iterator[zipfile.ZipInfo]:
        return iter(self._members)

    def pieces(self, member: zipfile.ZipInfo, first_bytes: int = BLOCK) -> Iterator[bytes]:
        """The bytes of a member, inflated piece by piece, the first piece `first_bytes` long.

        Raises DataSetError for a bomb or a broken member.
        """
        self._refuse(member)
        limit = max(SMALL_BYTES, member.compress_size * MAX_RATIO)
        total = 0
        try:
            # Opening and closing count references without a lock of their own; reading has one.
            with self._lock:
                stream = self._zip.open(member)
            try:
                size = first_bytes
                while piece := stream.read(size):
                    total += len(piece)
                    if total > limit:
                        raise DataSetError(f"it inflates to more than {MAX_RATIO} times its size")
                    yield piece
                    size = BLOCK
            finally:
                with self._lock:
                    stream.close()
        except _BROKEN as error:
            raise DataSetError(f"it cannot be read from the zip file: {error}") from error

    def _refuse(self, member: zipfile.ZipInfo) -> None:
        if member.header_offset < 0:
            raise DataSetError("it lies outside of the zip file")
        if member.header_offset in self._overlapping:
            raise DataSetError("it shares bytes with another member of the zip file")
        if member.flag_bits & 1:
            raise DataSetError("it is encrypted")
        if member.compress_type not in _METHODS:
            raise DataSetError(f"compression method {member.compress_type} is not read, only Deflate is")


def _overlapping(members: list[zipfile.ZipInfo], end: int) -> set[int]:
    """Where members begin whose bytes reach into the next one or beyond the last one's end."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    found: set[int] = set()
    for i, member in enumerate(ordered):
        limit = ordered[i + 1].header_offset if i + 1 < len(ordered) else end
        if member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size > limit:
            found |= {member.header_offset, limit}
    return found
