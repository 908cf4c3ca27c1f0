"""What a backup point says, line by line, and how it is proven whole.

JSON, an array a line: a head, a line for each version in the order of their commits, for each other file, for
what could not be copied, and an end that counts the lines and holds a digest of all before it. A list that
stops early, or of which a byte is another, is refused.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from gantry.archive.disk import Disk, OpenFile, write_all
from gantry.archive.received import Receipt
from gantry.archive.records import InstanceKey, Origin
from gantry.errors import Corrupt

FORMAT: Final = 1
NO_BYTES: Final = -1
"""The size of a version that has no file of its own here: a delete, a restore, what was let go."""
ELSEWHERE: Final = -2
"""The size of an object that is kept where it lies, outside of the archive."""

MAX_LINE_BYTES: Final = 1 << 20
"""No line of ours is as long: paths and UIDs are short."""
_BLOCK = 1 << 20
_GZIP: Final = 16 + zlib.MAX_WBITS
_EMPTY_SHA256: Final = hashlib.sha256().hexdigest()


class Head(msgspec.Struct, tag="gantry-backup", array_like=True, frozen=True):
    """The first line: the form of the list, when it was true (UTC), and how many versions there were."""

    format: int
    at: datetime
    versions: int


class Version(msgspec.Struct, tag="version", array_like=True, frozen=True):
    """One version, as the journal tells it, and the file that holds it.

    `path` is that of the object, or of the act; `size` in bytes, or `NO_BYTES`, `ELSEWHERE`; `meta` and
    `dataset` are the digests (SHA-256, hexadecimal) of what stands before byte `offset`, and from there on.
    """

    study: str
    series: str
    sop: str
    number: int
    at: datetime
    aet: str
    peer: str
    via: str
    path: str
    size: int = NO_BYTES
    offset: int = 0
    meta: str = ""
    dataset: str = ""

    @property
    def receipt(self) -> Receipt:
        """Its line of the journal, not numbered."""
        key = InstanceKey(self.study, self.series, self.sop)
        return Receipt(0, key, self.number, self.at, Origin(self.aet, self.peer, self.via), self.path)

    @property
    def content(self) -> Content | None:
        """What its file holds; None where it has none."""
        if self.size < 0:
            return None
        return Content(self.size, self.offset, self.meta, self.dataset, ".dcm")


class Act(msgspec.Struct, tag="act", array_like=True, frozen=True):
    """An act that belongs to the point, by its path; only in the list that an archive gives."""

    path: str


class File(msgspec.Struct, tag="file", array_like=True, frozen=True):
    """A file that is no object (an act, a draft), as it was copied."""

    path: str
    size: int
    sha256: str

    @property
    def content(self) -> Content:
        """What it holds."""
        return Content(self.size, 0, _EMPTY_SHA256, self.sha256, ".json")


class Lost(msgspec.Struct, tag="lost", array_like=True, frozen=True):
    """A file that belongs to the point and could not be copied, and why."""

    path: str
    why: str


class End(msgspec.Struct, tag="end", array_like=True, frozen=True):
    """The last line: how many came before, and the SHA-256 (hexadecimal) of all their bytes."""

    lines: int
    sha256: str


Line = Head | Version | Act | File | Lost | End

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file: their number, and SHA-256 (hexadecimal) before and from `offset`."""

    size: int
    offset: int
    meta: str
    dataset: str
    suffix: str

    @property
    def name(self) -> str:
        """Where a backup keeps it: the same bytes have the same name, and no others."""
        before = f"-{self.meta[:16]}" if self.offset else ""
        return f"{self.dataset[:2]}/{self.dataset}{before}{self.suffix}"


class Encoder:
    """Lines to bytes; `end` gives the last line."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._lines = 0

    def line(self, line: Line) -> bytes:
        data = _encoder.encode(line) + b"\n"
        self._digest.update(data)
        self._lines += 1
        return data

    def end(self) -> bytes:
        return _encoder.encode(End(self._lines, self._digest.hexdigest())) + b"\n"


class Writer:
    """Lines into a file, compressed (RFC 1952)."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._lines = Encoder()
        self._packer = zlib.compressobj(wbits=_GZIP)

    def put(self, line: Line) -> None:
        """Add a line. Raises OSError."""
        self._write(self._packer.compress(self._lines.line(line)))

    def end(self) -> None:
        """Add the last line. Raises OSError."""
        self._write(self._packer.compress(self._lines.end()))
        self._write(self._packer.flush())

    def _write(self, data: bytes) -> None:
        if data:
            write_all(self._file, [data])


def decoded(chunks: Iterable[bytes], what: str) -> Iterator[Line]:
    """The lines in `chunks`, without the end. Raises Corrupt where it is not one whole list."""
    digest = hashlib.sha256()
    count = 0
    for data in _lines(chunks, what):
        try:
            line = _decoder.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Corrupt(f"line {count + 1} of {what} cannot be read: {error}") from error
        if isinstance(line, End):
            if (line.lines, line.sha256) != (count, digest.hexdigest()):
                raise Corrupt(f"{what} is not what was written: its digest is another")
            return
        if count == 0 and not (isinstance(line, Head) and line.format == FORMAT):
            raise Corrupt(f"{what} is no list of a backup that this release can read")
        digest.update(data + b"\n")
        count += 1
        yield line
    raise Corrupt(f"{what} ends early, after {count} lines")


def read_lines(disk: Disk, name: str) -> Iterator[Line]:
    """The lines of a written list. Raises Corrupt, OSError."""
    return decoded(_unpacked(disk, name), name)


def _lines(chunks: Iterable[bytes], what: str) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise Corrupt(f"{what} has a line of more than {MAX_LINE_BYTES} bytes")
        yield from whole
    if rest:
        raise Corrupt(f"{what} ends in the middle of a line")


def _unpacked(disk: Disk, name: str) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=_GZIP)
    position = 0
    try:
        while block := disk.read_at(name, position, _BLOCK):
            position += len(block)
            while block:
                yield unpacker.decompress(block, _BLOCK)
                block = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise Corrupt(f"{name} cannot be unpacked: {error}") from error
