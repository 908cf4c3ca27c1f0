"""What a JPEG XL codestream says of its size and depth in SizeHeader and ImageMetadata (ISO 18181-1 D)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gantry.pixels.codecs.codec import broken

_BARE: Final = b"\xff\x0a"
_BOX: Final = b"\x00\x00\x00\x0cJXL "
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_SIZE_BITS: Final = (9, 13, 18, 30)
_READ_BYTES: Final = 64
_MOST_BOXES: Final = 64


@dataclass(frozen=True, slots=True)
class JpegXlHeader:
    """`precision` is None where the header goes into more than size and depth before it."""

    rows: int
    columns: int
    precision: int | None


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise broken("the JPEG XL header is cut")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value


def read_jpeg_xl(data: bytes) -> JpegXlHeader:
    """Read the head of a codestream, bare or in boxes. Raises DataSetError."""
    bits = _Bits(_codestream(data)[2 : 2 + _READ_BYTES])
    rows, columns = _size(bits)
    return JpegXlHeader(rows, columns, _precision(bits))


def _codestream(data: bytes) -> bytes:
    if data.startswith(_BARE):
        return data[: _READ_BYTES + 2]
    pos = 0
    for _ in range(_MOST_BOXES if data.startswith(_BOX) else 0):
        length, kind = int.from_bytes(data[pos : pos + 4], "big"), data[pos + 4 : pos + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(data[pos + 8 : pos + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            start = pos + head + (4 if kind == b"jxlp" else 0)
            if data[start : start + 2] == _BARE:
                return data[start : start + _READ_BYTES + 2]
            break
        if length < head:
            break
        pos += length
    raise broken("the frame does not begin like JPEG XL")


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    rows = _side(bits, small)
    ratio = bits.take(3)
    if ratio:
        wide, high = _RATIOS[ratio - 1]
        return rows, rows * wide // high
    return rows, _side(bits, small)


def _side(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_SIZE_BITS[bits.take(2)]) + 1


def _precision(bits: _Bits) -> int | None:
    if bits.take(1):
        return 8  # all by default
    if bits.take(1):
        return None  # extra fields: orientation, preview, animation
    if bits.take(1):
        return None  # floating point
    selector = bits.take(2)
    return bits.take(6) + 1 if selector == 3 else (8, 10, 12)[selector]
