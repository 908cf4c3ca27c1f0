"""Which bytes of an object are frame n: found once, at ingest, so that a frame is one ranged read.

Native Pixel Data is arithmetic: rows, columns, samples and bits (PS3.5 8.1). Frames are not padded, so that
one of single-bit pixels may begin inside a byte.

Encapsulated Pixel Data (PS3.5 A.4) is a run of fragments. Which of them are frame n is said by the Extended
Offset Table (PS3.3 C.7.6.3.1.8), by the Basic Offset Table, or by neither. A table is believed only where
it has an entry for each frame, rising, and each at the beginning of a fragment. Otherwise: as many
fragments as frames, or one frame only, leave no question, and what remains is told apart by the markers that
a compressed image begins with. A video is one stream for all frames, whatever its fragments are. Where even
those do not add up to the Number of Frames, the frames that they show are what there is, and no frame where
they show none.

Nothing is allocated by what an object claims: its claimed Number of Frames counts only as far as bytes are
there.

A `FrameTable` is its own serialised form, a few flat arrays behind a header, kept in the index as it is;
looking a frame up reads a few bytes of it:

    header      version, kind, source, declared frames, frames, three numbers NATIVE      nothing more:
    offset, length in bytes, bits of one frame SINGLE      offset of each frame (8 bytes each), then length
    of each (4 bytes each) GROUPED     first fragment of each frame and one more (4 each), offset of each
    fragment (8), length of each (4)
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct, error
from typing import Final

from gantry.dataset.fragments import Fragments
from gantry.dataset.scan import DataSet, PixelData
from gantry.errors import DataSetError
from gantry.standard import transfer_syntaxes

_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_SAMPLES_PER_PIXEL: Final = 0x00280002
_PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
_NUMBER_OF_FRAMES: Final = 0x00280008
_BITS_ALLOCATED: Final = 0x00280100
_EXTENDED_OFFSET_TABLE: Final = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS: Final = 0x7FE00002

_VERSION: Final = 1
_HEADER: Final = Struct("<BBBxIIQQQ")
_MOST_FRAMES: Final = 0x7FFFFFFF
_MOST_BITS: Final = 1 << 62  # what a table can write down; no object has so many
_OFFSET: Final = Struct("<Q")
_LENGTH: Final = Struct("<I")
_TWO_INDEXES: Final = Struct("<II")

# What a compressed image begins with: JPEG and JPEG-LS, JPEG 2000 and HTJ2K, JP2, JPEG XL, JPEG XL in boxes
_IMAGE_MARKERS: Final = (
    b"\xff\xd8",
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cjP  ",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJXL ",
)
_RLE_FIRST_SEGMENT: Final = 64
_RLE_MOST_SEGMENTS: Final = 15
_RLE_SYNTAX: Final = "1.2.840.10008.1.2.5"


class Kind(IntEnum):
    """How a frame table is laid out."""

    NATIVE = 0
    SINGLE = 1
    GROUPED = 2


class Source(IntEnum):
    """What told the frames apart."""

    ARITHMETIC = 0
    EXTENDED_OFFSET_TABLE = 1
    BASIC_OFFSET_TABLE = 2
    FRAGMENT_PER_FRAME = 3
    SINGLE_FRAME = 4
    MARKERS = 5
    STREAM = 6
    UNKNOWN = 7


@dataclass(frozen=True, slots=True)
class FrameTable:
    """Where each frame lies, in bytes from the beginning of the scanned buffer. Made by `frame_table`."""

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) < _HEADER.size or self.data[0] != _VERSION or self.data[1] > max(Kind):
            raise DataSetError("not a frame table of this version")

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameTable:
        """The table that `to_bytes` gave. DataSetError where it is none."""
        table = cls(data)
        if len(data) != table._expected_size():
            raise DataSetError("a frame table that is cut")
        return table

    def to_bytes(self) -> bytes:
        """The table for the index; see the module's theory for the layout."""
        return self.data

    def __len__(self) -> int:
        """How many frames have bytes, the last one perhaps not all of its own."""
        count: int = _HEADER.unpack_from(self.data)[4]
        return count

    @property
    def kind(self) -> Kind:
        """How the table is laid out."""
        return Kind(self.data[1])

    @property
    def source(self) -> Source:
        """What told the frames apart."""
        return Source(self.data[2])

    @property
    def declared(self) -> int:
        """Number of Frames as the object says; 1 where it does not."""
        count: int = _HEADER.unpack_from(self.data)[3]
        return count

    @property
    def is_stream(self) -> bool:
        """Whether all frames are one video, which is the one entry of the table (PS3.5 A.4.5)."""
        return self.source is Source.STREAM

    @property
    def frame_bits(self) -> int | None:
        """Bits of one native frame; None where frames are compressed."""
        bits: int = _HEADER.unpack_from(self.data)[7]
        return bits if self.kind is Kind.NATIVE else None

    def frame(self, index: int) -> tuple[tuple[int, int], ...]:
        """(offset, length) of each stretch of bytes that together are the frame; `index` counts from 0.

        A native frame is one stretch, which holds bits of its neighbours where frames do not end with a byte
        (`first_bit`) and is too short where Pixel Data is (`is_complete`). Raises IndexError.
        """
        _, kind, _, _, count, first, second, third = _HEADER.unpack_from(self.data)
        if not 0 <= index < count:
            raise IndexError(f"frame {index} of {count}")
        if kind == Kind.NATIVE:
            start = index * third // 8
            stop = min(-(-(index + 1) * third // 8), second)
            return ((first + start, stop - start),)
        if kind == Kind.SINGLE:
            return (self._fragment(_HEADER.size, count, index),)
        begin, end = _TWO_INDEXES.unpack_from(self.data, _HEADER.size + 4 * index)
        base = _HEADER.size + 4 * (count + 1)
        return tuple(self._fragment(base, first, n) for n in range(begin, end))

    def first_bit(self, index: int) -> int:
        """The bit of the first byte at which a native frame begins, 0 the least significant; 0 for others."""
        bits = self.frame_bits
        return index * bits % 8 if bits is not None else 0

    def is_complete(self, index: int) -> bool:
        """Whether all bytes of the frame are there, as far as can be told without decoding it."""
        _, kind, _, _, count, _, length, bits = _HEADER.unpack_from(self.data)
        if not 0 <= index < count:
            return False
        return bool(kind != Kind.NATIVE or (index + 1) * bits <= length * 8)

    def _fragment(self, base: int, count: int, index: int) -> tuple[int, int]:
        (offset,) = _OFFSET.unpack_from(self.data, base + 8 * index)
        (length,) = _LENGTH.unpack_from(self.data, base + 8 * count + 4 * index)
        return offset, length

    def _expected_size(self) -> int:
        _, kind, _, _, count, fragments, _, _ = _HEADER.unpack_from(self.data)
        if kind == Kind.NATIVE:
            return _HEADER.size
        if kind == Kind.SINGLE:
            return _HEADER.size + 12 * int(count)
        return _HEADER.size + 4 * (int(count) + 1) + 12 * int(fragments)


def frame_table(ds: DataSet) -> FrameTable | None:
    """The frames of a Data Set; None where it has no pixel data. Never fails on what an object claims.

    Where a deflated Data Set was inflated before the scan, the offsets are those of the inflated bytes.
    """
    pixels = ds.pixel_data
    if pixels is None:
        return None
    declared = _declared_frames(ds)
    if pixels.fragments is None:
        return _native(ds, pixels, declared)
    return _encapsulated(ds, pixels, pixels.fragments, declared)


def _declared_frames(ds: DataSet) -> int:
    values = ds.ints(_NUMBER_OF_FRAMES)
    return min(max(values[0], 1), _MOST_FRAMES) if values else 1


def _native(ds: DataSet, pixels: PixelData, declared: int) -> FrameTable:
    bits = _frame_bits(ds, pixels.length, declared)
    count = min(declared, -(-pixels.length * 8 // bits)) if bits else 0
    return _table(Kind.NATIVE, Source.ARITHMETIC, declared, count, pixels.offset, pixels.length, bits)


def _frame_bits(ds: DataSet, length: int, declared: int) -> int:
    """Bits of one native frame; 0 where the object does not say enough, or says it is empty."""
    rows, columns = _first(ds, _ROWS, 0), _first(ds, _COLUMNS, 0)
    samples, allocated = _first(ds, _SAMPLES_PER_PIXEL, 1), _first(ds, _BITS_ALLOCATED, 0)
    if min(rows, columns, samples, allocated) <= 0:
        return 0
    bits = min(rows * columns * samples * allocated, _MOST_BITS)
    if samples == 3 and bits * declared > length * 8:
        # PS3.3 C.7.6.3.1.2: two, or one, chrominance samples for four pixels; some writers keep all of them
        halved = {"YBR_FULL_422": 3, "YBR_PARTIAL_422": 3, "YBR_PARTIAL_420": 2}
        saved = halved.get(ds.text(_PHOTOMETRIC_INTERPRETATION) or "")
        if saved is not None:
            return bits * 2 // 3 if saved == 3 else bits // 2
    return bits


def _first(ds: DataSet, tag: int, default: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else default


def _encapsulated(ds: DataSet, pixels: PixelData, fragments: Fragments, declared: int) -> FrameTable:
    if not fragments:
        return _table(Kind.SINGLE, Source.UNKNOWN, declared, 0, 0, 0, 0)
    if transfer_syntaxes.is_video(ds.syntax.uid):
        return _grouped(Source.STREAM, declared, fragments, [0])
    if declared <= len(fragments):
        found = _by_extended_offset_table(ds, fragments, declared) or _by_basic_offset_table(
            ds, pixels, fragments, declared
        )
        if found is not None:
            return found
    if len(fragments) == declared:
        return _single(Source.FRAGMENT_PER_FRAME, declared, fragments.offsets, fragments.lengths)
    if declared == 1:
        return _grouped(Source.SINGLE_FRAME, declared, fragments, [0])
    return _by_markers(ds, fragments, declared)


def _by_extended_offset_table(ds: DataSet, fragments: Fragments, declared: int) -> FrameTable | None:
    """Each frame is one fragment, and its length may leave out the padding (PS3.3 C.7.6.3.1.8)."""
    element = ds.elements.get(_EXTENDED_OFFSET_TABLE)
    if element is None or element[3] != 8 * declared:
        return None
    starts = _starts_at(_numbers("Q", ds.raw(_EXTENDED_OFFSET_TABLE)), fragments)
    if starts is None:
        return None
    if declared != len(fragments):
        return _grouped(Source.EXTENDED_OFFSET_TABLE, declared, fragments, starts)
    lengths = _numbers("Q", ds.raw(_EXTENDED_OFFSET_TABLE_LENGTHS))
    if len(lengths) != declared or any(
        not 0 < said <= there for said, there in zip(lengths, fragments.lengths, strict=True)
    ):
        lengths = fragments.lengths
    return _single(Source.EXTENDED_OFFSET_TABLE, declared, fragments.offsets, lengths)


def _by_basic_offset_table(
    ds: DataSet, pixels: PixelData, fragments: Fragments, declared: int
) -> FrameTable | None:
    if pixels.basic_offset_table is None or pixels.basic_offset_table[1] != 4 * declared:
        return None
    offset, length = pixels.basic_offset_table
    entries = _numbers("I", bytes(ds.buffer[offset : offset + length]))
    starts = _starts_at(entries, fragments)
    if starts is None:
        return None
    return _grouped(Source.BASIC_OFFSET_TABLE, declared, fragments, starts)


def _starts_at(entries: Iterable[int], fragments: Fragments) -> list[int] | None:
    """The fragment that each entry of an offset table points at; None where one hits no fragment's beginning.

    Offsets count from the first byte of the Item Tag of the first fragment.
    """
    base = fragments.offsets[0]
    starts: list[int] = []
    index = 0
    for entry in entries:
        while index < len(fragments) and fragments.offsets[index] - base < entry:
            index += 1
        if index == len(fragments) or fragments.offsets[index] - base != entry:
            return None
        if starts and starts[-1] == index:
            return None
        starts.append(index)
    return starts if starts and starts[0] == 0 else None


def _by_markers(ds: DataSet, fragments: Fragments, declared: int) -> FrameTable:
    """Frames told apart by what compressed images begin with."""
    rle = ds.syntax.uid == _RLE_SYNTAX
    starts = [n for n, place in enumerate(fragments) if _begins_image(ds, *place, rle=rle)]
    if starts and starts[0] == 0:
        return _grouped(Source.MARKERS, declared, fragments, starts[:declared], end=_end(starts, declared))
    if len(fragments) < declared:
        return _single(Source.FRAGMENT_PER_FRAME, declared, fragments.offsets, fragments.lengths)
    return _table(Kind.SINGLE, Source.UNKNOWN, declared, 0, 0, 0, 0)


def _end(starts: list[int], declared: int) -> int | None:
    return starts[declared] if declared < len(starts) else None


def _begins_image(ds: DataSet, offset: int, length: int, *, rle: bool) -> bool:
    head = bytes(ds.buffer[offset : offset + min(length, 12)])
    if not rle:
        return head.startswith(_IMAGE_MARKERS)
    try:
        segments, first = _TWO_INDEXES.unpack_from(head)  # PS3.5 G.5: the RLE header
    except error:
        return False
    return bool(1 <= segments <= _RLE_MOST_SEGMENTS and first == _RLE_FIRST_SEGMENT)


def _single(source: Source, declared: int, offsets: array[int], lengths: array[int]) -> FrameTable:
    header = _table_header(Kind.SINGLE, source, declared, len(offsets), 0, 0, 0)
    return FrameTable(header + _bytes("Q", offsets) + _bytes("I", lengths))


def _grouped(
    source: Source, declared: int, fragments: Fragments, starts: list[int], end: int | None = None
) -> FrameTable:
    """Frames that begin at these fragments; the last one ends before fragment `end` or with all of them."""
    used = fragments if end is None else fragments[:end]
    if len(starts) == len(used):
        return _single(source, declared, used.offsets, used.lengths)
    header = _table_header(Kind.GROUPED, source, declared, len(starts), len(used), 0, 0)
    bounds = [*starts, len(used)]
    return FrameTable(header + _bytes("I", bounds) + _bytes("Q", used.offsets) + _bytes("I", used.lengths))


def _table(
    kind: Kind, source: Source, declared: int, count: int, first: int, second: int, third: int
) -> FrameTable:
    return FrameTable(_table_header(kind, source, declared, count, first, second, third))


def _table_header(
    kind: Kind, source: Source, declared: int, count: int, first: int, second: int, third: int
) -> bytes:
    return _HEADER.pack(_VERSION, kind, source, declared, count, first, second, third)


def _bytes(code: str, values: Iterable[int]) -> bytes:
    numbers = array(code, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _numbers(code: str, raw: bytes) -> array[int]:
    numbers: array[int] = array(code)
    numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
