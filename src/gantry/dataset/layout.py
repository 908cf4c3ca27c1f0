"""How the bytes of a Data Set are laid out (PS3.5 Chapter 7, Annex A): the headers of elements and Items.

Three layouts are of the standard: Implicit VR Little Endian, Explicit VR Little Endian and Explicit VR Big
Endian. The fourth, implicit and big endian, some writers make inside Items of the third.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from mmap import mmap
from struct import Struct
from typing import Final

Buffer = bytes | bytearray | memoryview | mmap

Element = tuple[int, str, int, int, bool]
"""(tag, VR, offset of the value, length of the value, length was undefined). An undefined length is
replaced by the number of bytes before the delimiter. A plain tuple, because 150 of them are made for each
object that arrives.
"""

UNDEFINED: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD

# PS3.5 Table 7.1-2 and 7.1-1: VRs with a 16-bit length, and those with two reserved bytes and a 32-bit length
SHORT_VRS: Final = [
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "FD",
    "FL",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "SL",
    "SS",
    "ST",
    "TM",
    "UI",
    "UL",
    "US",
]
LONG_VRS: Final = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
VRS: Final = frozenset(SHORT_VRS + LONG_VRS)


def _table(vrs: list[str], byte_order: str) -> list[str | None]:
    """VR by the 16-bit number that its two letters make in this byte order; None elsewhere."""
    table: list[str | None] = [None] * 0x10000
    for vr in vrs:
        table[int.from_bytes(vr.encode(), "little" if byte_order == "<" else "big")] = vr
    return table


@dataclass(frozen=True, slots=True)
class Layout:
    """How elements are written (PS3.5 A.1 to A.3), and the tools to read it."""

    implicit_vr: bool
    little_endian: bool
    four_words: Struct  # group, element, VR, 16-bit length
    two_words_and_long: Struct  # group, element, 32-bit length
    long: Struct
    short_vrs: list[str | None] = field(repr=False)
    long_vrs: list[str | None] = field(repr=False)


def _layout(implicit_vr: bool, byte_order: str) -> Layout:
    return Layout(
        implicit_vr,
        byte_order == "<",
        Struct(byte_order + "HHHH"),
        Struct(byte_order + "HHL"),
        Struct(byte_order + "L"),
        _table(SHORT_VRS, byte_order),
        _table(LONG_VRS, byte_order),
    )


EXPLICIT_LITTLE: Final = _layout(False, "<")
IMPLICIT_LITTLE: Final = _layout(True, "<")
EXPLICIT_BIG: Final = _layout(False, ">")
IMPLICIT_BIG: Final = _layout(True, ">")
_LITTLE_ENDIAN_ITEMS: Final = (b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0")


def content_layout(buffer: Buffer, value: int, end: int, layout: Layout) -> Layout:
    """The layout of a sequence's Items: nearly always that of its Data Set.

    A UN of undefined length is Implicit VR Little Endian in a big-endian Data Set too, unless its writer
    forgot; the tag of the first Item tells.
    """
    if layout.little_endian or bytes(buffer[value : min(value + 4, end)]) not in _LITTLE_ENDIAN_ITEMS:
        return layout
    return IMPLICIT_LITTLE


def item_layout(buffer: Buffer, start: int, end: int, layout: Layout) -> Layout:
    """The layout of one Item's content; see the module's theory for why it may differ from its Data Set's."""
    if end - start < 8:
        return layout
    group, _, code, _ = layout.four_words.unpack_from(buffer, start)
    if group == 0xFFFE:
        return layout
    explicit = EXPLICIT_LITTLE if layout.little_endian else EXPLICIT_BIG
    known = explicit.short_vrs[code] is not None or explicit.long_vrs[code] is not None
    if known == (not layout.implicit_vr):
        return layout
    if known:
        return _explicit_in_implicit(buffer, start, end, layout, explicit)
    length = layout.long.unpack_from(buffer, start + 4)[0]
    if length == UNDEFINED or start + 8 + length <= end:
        return IMPLICIT_LITTLE if layout.little_endian else IMPLICIT_BIG
    return layout


def _explicit_in_implicit(buffer: Buffer, start: int, end: int, layout: Layout, explicit: Layout) -> Layout:
    """An implicit length that happens to spell a VR is at least 16,705: it is one if so much is there."""
    length = layout.long.unpack_from(buffer, start + 4)[0]
    return layout if start + 8 + length <= end else explicit
