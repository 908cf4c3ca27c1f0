"""A Data Set as a view over its bytes: what is where was found by one walk, values are read when asked for.

`scan` walks everything once (see `walk`), so that a `DataSet` in hand is known to be whole: no length
leaves its parent, every undefined length is delimited, every limit holds. Afterwards a value costs one
slice, and an Item of a sequence one walk over that Item's own elements.

The buffer may be bytes, a memoryview or a memory-mapped file of many gigabytes; it is never copied, and
must not change while the Data Set is used. A deflated Data Set is inflated first (`part10.inflate`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, iter_unpack
from typing import Final

from gantry.dataset.charset import decode_text
from gantry.dataset.fragments import Fragments, read_fragments
from gantry.dataset.layout import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    ITEM,
    UNDEFINED,
    Buffer,
    Element,
    Layout,
    content_layout,
    item_layout,
)
from gantry.dataset.limits import MAX_TEXT_BYTES
from gantry.dataset.nested import Marks, step_over
from gantry.dataset.walk import read_level
from gantry.errors import DataSetError
from gantry.standard.dictionary import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    SPECIFIC_CHARACTER_SET,
    vr_of,
)
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    transfer_syntax,
)

__all__ = ["Buffer", "DataSet", "Element", "PixelData", "beginning", "scan"]

_UNSPLIT_TEXT: Final = frozenset({"LT", "ST", "UT", "UR"})  # PS3.5 6.4: the backslash is a character in these
_INTEGER_FORMATS: Final = {
    "US": "H",
    "SS": "h",
    "UL": "L",
    "SL": "l",
    "UV": "Q",
    "SV": "q",
    "OW": "H",
    "OL": "L",
}
_FLOAT_FORMATS: Final = {"FL": "f", "FD": "d", "OF": "f", "OD": "d"}


@dataclass(frozen=True, slots=True)
class PixelData:
    """Where the pixels are, in bytes from the beginning of the buffer.

    `fragments` is None for native data. Otherwise it excludes the Basic Offset Table, whose place is
    `basic_offset_table` (offset, length; length 0 where the table is empty).
    """

    tag: int
    vr: str
    offset: int
    length: int
    fragments: Fragments | None
    basic_offset_table: tuple[int, int] | None


def scan(buffer: Buffer, syntax: TransferSyntax, *, offset: int = 0, end: int | None = None) -> DataSet:
    """The Data Set that lies between two offsets of the buffer (default: all of it), in this transfer syntax.

    Raises DataSetError with cause, tag and offset for bytes that are no Data Set or go past a limit. For a
    deflated syntax the buffer holds what was inflated.
    """
    if isinstance(buffer, memoryview) and (buffer.format != "B" or buffer.ndim != 1):
        buffer = buffer.cast("B")
    size = len(buffer)
    stop = size if end is None else end
    if not 0 <= offset <= stop <= size:
        raise DataSetError(f"no bytes {offset} to {stop} in a buffer of {size}")
    layout = _LAYOUTS[syntax.implicit_vr, syntax.little_endian]
    marks = Marks()
    elements = read_level(buffer, offset, stop, layout, marks, depth=0, walked=False)
    return DataSet(buffer, syntax, layout, elements, marks, 0, None)


def beginning(buffer: Buffer, syntax: TransferSyntax, last: int, *, offset: int = 0) -> dict[int, bytes]:
    """The values up to tag `last` of a Data Set of which perhaps only the beginning is there.

    They end before an element that is cut, of undefined length, out of order or none at all: nothing is known
    of what follows, so nothing is refused either, and a tag may come again there.
    """
    layout = _LAYOUTS[syntax.implicit_vr, syntax.little_endian]
    values: dict[int, bytes] = {}
    before = 0
    while offset + 8 <= len(buffer):
        group, element, code, length = layout.four_words.unpack_from(buffer, offset)
        tag, value = group << 16 | element, offset + 8
        if not before <= tag <= last or not tag:
            break
        if layout.implicit_vr:
            length = layout.long.unpack_from(buffer, offset + 4)[0]
        elif layout.short_vrs[code] is None:
            if layout.long_vrs[code] is None or offset + 12 > len(buffer):
                break
            value, length = offset + 12, layout.long.unpack_from(buffer, offset + 8)[0]
        before, offset = tag, value + length
        if offset > len(buffer):
            break
        values[tag] = bytes(buffer[value:offset])
    return values


_LAYOUTS: Final = {
    (False, True): EXPLICIT_LITTLE,
    (True, True): IMPLICIT_LITTLE,
    (False, False): EXPLICIT_BIG,
    (True, False): IMPLICIT_BIG,
}


class DataSet:
    """One Data Set, or one Item of a sequence, over bytes that have been walked. Made by `scan`.

    `elements` maps the tag to its Element; where the bytes hold a tag twice the last one counts, everywhere.
    `parent` is the Data Set that holds this Item, None at the top.
    """

    __slots__ = ("_charset", "_depth", "_layout", "_marks", "buffer", "elements", "parent", "syntax")

    def __init__(
        self,
        buffer: Buffer,
        syntax: TransferSyntax,
        layout: Layout,
        elements: dict[int, Element],
        marks: Marks,
        depth: int,
        parent: DataSet | None,
    ) -> None:
        self.buffer = buffer
        self.syntax = syntax
        self.elements = elements
        self.parent = parent
        self._layout = layout
        self._marks = marks
        self._depth = depth
        self._charset: tuple[str, ...] | None = None

    def __contains__(self, tag: object) -> bool:
        return tag in self.elements

    def __len__(self) -> int:
        return len(self.elements)

    def __repr__(self) -> str:
        return f"DataSet({len(self.elements)} elements, {self.syntax.name})"

    @property
    def charset(self) -> tuple[str, ...]:
        """The values of Specific Character Set; where it is absent those of the parent (PS3.5 7.5.3)."""
        if self._charset is None:
            if SPECIFIC_CHARACTER_SET in self.elements:
                raw = self.raw(SPECIFIC_CHARACTER_SET)[:MAX_TEXT_BYTES].decode("latin-1")
                self._charset = tuple(term.strip(" \0") for term in raw.split("\\"))
            else:
                self._charset = self.parent.charset if self.parent is not None else ()
        return self._charset

    def raw(self, tag: int) -> bytes:
        """The bytes of a value as they are, padding included; empty where the element is empty or absent."""
        element = self.elements.get(tag)
        if element is None:
            return b""
        return bytes(self.buffer[element[2] : element[2] + element[3]])

    def view(self, tag: int) -> memoryview:
        """The bytes of a value without a copy."""
        element = self.elements.get(tag)
        if element is None:
            return memoryview(b"")
        return memoryview(self.buffer)[element[2] : element[2] + element[3]]

    def text(self, tag: int) -> str | None:
        """The first value, decoded and without padding; None where the element is absent or has no value."""
        values = self.texts(tag)
        return values[0] or None if values else None

    def texts(self, tag: int) -> list[str]:
        """All values, decoded and without padding; at most the first MAX_TEXT_BYTES of the element.

        Text VRs in which a backslash is an ordinary character give one value (PS3.5 6.4).
        """
        element = self.elements.get(tag)
        if element is None or not element[3]:
            return []
        _, vr, offset, length, _ = element
        raw = bytes(self.buffer[offset : offset + min(length, MAX_TEXT_BYTES)])
        text = decode_text(raw, self.charset, vr)
        if vr in _UNSPLIT_TEXT:
            return [text.rstrip(" \0")]
        return [value.strip(" \0") for value in text.split("\\")]

    def ints(self, tag: int) -> list[int]:
        """The values of a binary or text integer attribute; text that is no integer is left out."""
        element = self.elements.get(tag)
        if element is None:
            return []
        vr = _spoken_vr(element)
        code = _INTEGER_FORMATS.get(vr)
        if code is not None:
            return [int(value) for value in self._numbers(element, code)]
        if vr == "AT":
            words = [int(word) for word in self._numbers(element, "H")]
            return [group << 16 | word for group, word in zip(words[::2], words[1::2], strict=False)]
        return [value for text in self.texts(tag) if (value := _integer(text)) is not None]

    def floats(self, tag: int) -> list[float]:
        """The values of a binary or decimal attribute; text that is no number is left out."""
        element = self.elements.get(tag)
        if element is None:
            return []
        vr = _spoken_vr(element)
        code = _FLOAT_FORMATS.get(vr)
        if code is not None:
            return [float(value) for value in self._numbers(element, code)]
        if vr in _INTEGER_FORMATS:
            return [float(value) for value in self.ints(tag)]
        return [value for text in self.texts(tag) if (value := _decimal(text)) is not None]

    def sequence(self, tag: int) -> list[DataSet]:
        """The Items of a sequence; none where the element is absent, empty, or holds no Items.

        A UN of defined length is read as a sequence where its bytes are one.
        """
        return list(self.items(tag))

    def items(self, tag: int) -> Iterator[DataSet]:
        """The Items of a sequence, one after the other."""
        element = self.elements.get(tag)
        if element is None or not element[3]:
            return
        _, vr, start, length, _ = element
        if vr == "SQ":
            yield from self._items(start, start + length, self._layout, self._marks)
        elif vr == "UN":
            marks = self._walk_unknown(tag, start, start + length)
            if marks is not None:
                yield from self._items(start, start + length, self._layout, marks)

    @property
    def pixel_data(self) -> PixelData | None:
        """Where the pixels are: Pixel Data, Float Pixel Data or Double Float Pixel Data (PS3.3 C.7.6.24)."""
        for tag in (PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA):
            element = self.elements.get(tag)
            if element is None:
                continue
            _, vr, offset, length, undefined = element
            if not undefined:
                return PixelData(tag, vr, offset, length, None, None)
            table, fragments = read_fragments(self.buffer, offset, offset + length, self._layout)
            return PixelData(tag, vr, offset, length, fragments, table)
        return None

    def _walk_unknown(self, tag: int, start: int, end: int) -> Marks | None:
        """Marks of the sequence in a UN value that nobody has walked yet; None where it is no sequence."""
        marks = Marks()
        try:
            step_over(self.buffer, marks, self._depth, tag, "SQ", start, end, self._layout, undefined=False)
        except DataSetError:
            return None  # opaque bytes, which a UN may well be
        return marks

    def _items(self, pos: int, end: int, layout: Layout, marks: Marks) -> Iterator[DataSet]:
        layout = content_layout(self.buffer, pos, end, layout)
        unpack = layout.two_words_and_long.unpack_from
        while pos < end:
            group, element, length = unpack(self.buffer, pos)
            if group << 16 | element != ITEM:
                return  # a delimiter in a sequence of defined length
            start = pos + 8
            stop = marks.end_of(start) if length == UNDEFINED else start + length
            yield self._item(start, stop, item_layout(self.buffer, start, stop, layout), marks)
            pos = stop + 8 if length == UNDEFINED else stop

    def _item(self, start: int, stop: int, layout: Layout, marks: Marks) -> DataSet:
        elements = read_level(self.buffer, start, stop, layout, marks, depth=self._depth + 1, walked=True)
        syntax = self.syntax if layout is self._layout else _syntax_of(layout)
        return DataSet(self.buffer, syntax, layout, elements, marks, self._depth + 1, self)

    def _numbers(self, element: Element, code: str) -> list[int | float]:
        size = _number(code).size
        _, _, offset, length, _ = element
        whole = memoryview(self.buffer)[offset : offset + length - length % size]
        byte_order = "<" if self._layout.little_endian else ">"
        return [value for (value,) in iter_unpack(byte_order + code, whole)]


def _spoken_vr(element: Element) -> str:
    """The VR, or where somebody who did not know it wrote UN, that of the dictionary."""
    return vr_of(element[0]) if element[1] == "UN" else element[1]


@lru_cache(maxsize=16)
def _number(code: str) -> Struct:
    return Struct("<" + code)


def _syntax_of(layout: Layout) -> TransferSyntax:
    if layout.implicit_vr:
        return transfer_syntax(IMPLICIT_VR_LITTLE_ENDIAN)
    return transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN if layout.little_endian else EXPLICIT_VR_BIG_ENDIAN)


def _integer(text: str) -> int | None:
    number = _decimal(text)
    if number is None or number != number or number in (float("inf"), float("-inf")):
        return None
    try:
        return int(text)
    except ValueError:
        return int(number)


def _decimal(text: str) -> float | None:
    if len(text) > 64:  # DS has 16 characters; int() and float() of a megabyte would take minutes
        return None
    try:
        return float(text)
    except ValueError:
        return None
