"""The walk over the bytes of a Data Set: where each Data Element lies. Values are stepped over, never read.

A Data Set (PS3.5 Chapter 7) is a run of Data Elements: tag, VR (written only in the explicit layouts),
length, value. A value of VR SQ holds Items, each of them a Data Set again; its length, and that of an Item,
may be left undefined and is then ended by a delimiter. `read_level` lists the elements of one Data Set or
Item. Whatever is nested inside is only stepped over by `_Nested`, with a stack of its own instead of
recursion, so that depth costs nothing; on the way it notes in `Marks` where each undefined length ends, and
a later `read_level` of an Item jumps by those marks instead of walking again.

What is accepted beyond the letter of the standard, because equipment makes it:

- Explicit VR, a VR that PS3.5 6.2 does not know: taken as UN, in whichever of three forms (32-bit length,
  16-bit length, Implicit VR) leads to a good next element. So one implicit element among explicit ones is
  read, and a Data Set that turns implicit for good, or was so from its beginning, is refused.
- An Item of an explicit Data Set may itself be implicit, as Items in a UN of undefined length are by rule
  (PS3.5 6.2.2). A UN of undefined length may hold explicit Items.
- An end delimiter may stand at the end of a Sequence or Item that has a defined length.
- Zeros, even in number, may follow the last element of the whole Data Set.

What is refused: any length that leaves its parent, an undefined length that is never delimited, delimiters
that close nothing, groups 0000, 0002 and FFFF (command and file meta elements smuggled into a Data Set),
and more of anything than `limits` allows.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import repeat
from mmap import mmap
from struct import Struct
from typing import Final

from gantry.dataset.limits import (
    MAX_ELEMENTS,
    MAX_ELEMENTS_OF_ONE_LEVEL,
    MAX_ITEMS,
    MAX_NESTING,
)
from gantry.errors import DataSetError
from gantry.standard.dictionary import vr_of

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
_FIRST_DELIMITER: Final = 0xFFFE0000
_FIRST_DATA_SET_TAG: Final = 0x00080000

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
    """How elements are written: PS3.5 A.1 (implicit), A.2 (explicit), A.3 (big endian); and the tools to
    read it.
    """

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


class Marks:
    """Where the undefined lengths of one Data Set end, and how many elements and items it may still hold.

    Offsets of starts only ever grow during the walk, so that two flat arrays and a binary search do.
    """

    __slots__ = ("elements_left", "ends", "items_left", "starts")

    def __init__(self) -> None:
        self.starts = array("Q")
        self.ends = array("Q")
        self.elements_left = MAX_ELEMENTS
        self.items_left = MAX_ITEMS

    def open(self, start: int) -> int:
        """Notes a value of undefined length that starts here; what comes back is for `close`."""
        self.starts.append(start)
        self.ends.append(0)
        return len(self.starts) - 1

    def close(self, index: int, end: int) -> None:
        """The value opened as `index` ends before `end`, where its delimiter begins."""
        self.ends[index] = end

    def end_of(self, start: int) -> int:
        """Where the value of undefined length that starts here ends (its delimiter follows)."""
        index = bisect_left(self.starts, start)
        if index == len(self.starts) or self.starts[index] != start:
            raise DataSetError("a nested value was not walked", offset=start)
        return self.ends[index]

    def take_item(self, tag: int, offset: int) -> None:
        self.items_left -= 1
        if self.items_left < 0:
            raise DataSetError(f"more than {MAX_ITEMS} items and fragments", tag=tag, offset=offset)


def read_level(
    buffer: Buffer, start: int, end: int, layout: Layout, marks: Marks, *, depth: int, walked: bool
) -> dict[int, Element]:
    """The elements between two offsets: a Data Set (`depth` 0) or the content of an Item.

    With `walked` the nested values have been stepped over before and `marks` knows their ends. Where a tag
    comes twice the last one counts. Raises DataSetError with the tag and the offset of the element at
    fault.
    """
    read = _read_implicit if layout.implicit_vr else _read_explicit
    elements: dict[int, Element] = {}
    pos = read(buffer, start, end, layout, marks, depth, walked, elements)
    if pos != end:
        _check_tail(buffer, pos, end, depth, elements)
    if depth and layout.implicit_vr and elements.get(ITEM_DELIMITER, (0, "", 0))[2] == end:
        del elements[ITEM_DELIMITER]  # at the end of a defined length, as the walk has found
    if elements and not depth and (max(elements) >= _FIRST_DELIMITER or min(elements) < _FIRST_DATA_SET_TAG):
        _check_groups(elements)
    return elements


def _read_explicit(
    buffer: Buffer,
    pos: int,
    end: int,
    layout: Layout,
    marks: Marks,
    depth: int,
    walked: bool,
    elements: dict[int, Element],
) -> int:
    unpack = layout.four_words.unpack_from
    short_vrs = layout.short_vrs
    last = end - 8
    for _ in repeat(None, MAX_ELEMENTS_OF_ONE_LEVEL):
        if pos > last:
            return pos
        group, element, code, length = unpack(buffer, pos)
        tag = group << 16 | element
        vr = short_vrs[code]
        if vr is not None:
            pos += 8
            elements[tag] = (tag, vr, pos, length, False)
            pos += length
            continue
        if not tag and not depth and _is_zero(buffer, pos, end):
            return end
        if tag == ITEM_DELIMITER and depth and pos + 8 == end:
            return end
        tag, vr, value, length = long_header(buffer, pos, end, layout, first=not elements and not depth)
        if length == UNDEFINED or vr == "SQ":
            length, pos, undefined = _nested_value(
                buffer, tag, vr, value, length, end, layout, marks, depth, walked
            )
            elements[tag] = (tag, vr, value, length, undefined)
        else:
            elements[tag] = (tag, vr, value, length, False)
            pos = value + length
    raise _full_level(pos)


def _read_implicit(
    buffer: Buffer,
    pos: int,
    end: int,
    layout: Layout,
    marks: Marks,
    depth: int,
    walked: bool,
    elements: dict[int, Element],
) -> int:
    unpack = layout.two_words_and_long.unpack_from
    last = end - 8
    for _ in repeat(None, MAX_ELEMENTS_OF_ONE_LEVEL):
        if pos > last:
            return pos
        group, element, length = unpack(buffer, pos)
        tag = group << 16 | element
        if not tag and not depth and _is_zero(buffer, pos, end):
            return end
        pos += 8
        vr = vr_of(tag)
        if length == UNDEFINED or vr == "SQ":
            vr = implicit_vr(buffer, tag, vr, pos, length, end)
            value = pos
            length, pos, undefined = _nested_value(
                buffer, tag, vr, value, length, end, layout, marks, depth, walked
            )
            elements[tag] = (tag, vr, value, length, undefined)
        else:
            elements[tag] = (tag, vr, pos, length, False)
            pos += length
    raise _full_level(pos)


def implicit_vr(buffer: Buffer, tag: int, vr: str, value: int, length: int, end: int) -> str:
    """The VR of an element that may be nested, where none is written: what no dictionary knows shows its
    Items.
    """
    if vr == "UN" and length == UNDEFINED:
        return "SQ"
    if vr != "SQ" and length == UNDEFINED and tag >> 16 == 0xFFFE:
        raise _stray(tag, value - 8)
    return vr


def _nested_value(
    buffer: Buffer,
    tag: int,
    vr: str,
    value: int,
    length: int,
    end: int,
    layout: Layout,
    marks: Marks,
    depth: int,
    walked: bool,
) -> tuple[int, int, bool]:
    """(length without delimiter, offset of the next element, undefined) of a Sequence or of fragments."""
    undefined = length == UNDEFINED
    if not undefined:
        after = value + length
        if after > end:
            raise overrun(tag, value, length, end)
        if not walked:
            _Nested(buffer, marks, depth).walk(tag, vr, value, after, layout, undefined=False)
        return length, after, False
    if walked:
        stop = marks.end_of(value)
    else:
        stop = _Nested(buffer, marks, depth).walk(tag, vr, value, end, layout, undefined=True)
    return stop - value, stop + 8, True


def long_header(
    buffer: Buffer, pos: int, end: int, layout: Layout, *, first: bool = False
) -> tuple[int, str, int, int]:
    """(tag, VR, offset of the value, length) of an explicit element whose VR has a 32-bit length or is
    unknown.
    """
    group, element, code, _ = layout.four_words.unpack_from(buffer, pos)
    tag = group << 16 | element
    if group == 0xFFFE:
        raise _stray(tag, pos)
    vr = layout.long_vrs[code]
    if vr is None:
        if first:
            raise DataSetError(
                "the Data Set is declared as Explicit VR but its first element has no known VR",
                tag=tag,
                offset=pos,
            )
        return _odd_header(buffer, pos, end, layout, tag)
    if pos + 12 > end:
        raise _cut_header(pos, tag)
    length = layout.long.unpack_from(buffer, pos + 8)[0]
    if length == UNDEFINED and vr == "UN":
        vr = "SQ"  # PS3.5 6.2.2 note 2
    return tag, vr, pos + 12, length


def _odd_header(buffer: Buffer, pos: int, end: int, layout: Layout, tag: int) -> tuple[int, str, int, int]:
    """The header of an element whose VR is none of the standard's: the first form after which all is well."""
    _, _, code, short_length = layout.four_words.unpack_from(buffer, pos)
    letters = bytes(buffer[pos + 4 : pos + 6])
    short = (pos + 8, short_length, "UN")
    implicit = (pos + 8, layout.long.unpack_from(buffer, pos + 4)[0], vr_of(tag))
    forms = [short, implicit] if letters.isalpha() else [implicit, short]
    if short_length == 0 and pos + 12 <= end:  # the reserved bytes of a 32-bit length, PS3.5 7.1.2
        forms.insert(
            0 if letters.isalpha() else 1, (pos + 12, layout.long.unpack_from(buffer, pos + 8)[0], "UN")
        )
    for value, length, vr in forms:
        may_repeat = code if vr == "UN" and (value, length, vr) != implicit else None
        if _leads_on(buffer, value + length, end, layout, tag, may_repeat):
            return tag, vr, value, length
    raise DataSetError(
        f"VR {letters!r} is not known, and no way to read the element leads to a next one",
        tag=tag,
        offset=pos,
    )


def _leads_on(buffer: Buffer, pos: int, end: int, layout: Layout, tag: int, may_repeat: int | None) -> bool:
    """Whether a good explicit element, a delimiter, or the end is at `pos`."""
    if pos == end:
        return True
    if pos > end - 8:
        return False
    group, element, code, _ = layout.four_words.unpack_from(buffer, pos)
    following = group << 16 | element
    if following in (ITEM_DELIMITER, SEQUENCE_DELIMITER):
        return True
    known = layout.short_vrs[code] or layout.long_vrs[code] or code == may_repeat
    return bool(known) and following > tag


def walk_sequence(
    buffer: Buffer, tag: int, start: int, end: int, layout: Layout, marks: Marks, depth: int
) -> None:
    """Walks the Items between two offsets; DataSetError where they are none."""
    _Nested(buffer, marks, depth).walk(tag, "SQ", start, end, layout, undefined=False)


class _Nested:
    """Steps over one Sequence, with all that is nested in it, or over fragments. See the module's theory."""

    __slots__ = ("buffer", "depth", "marks")

    def __init__(self, buffer: Buffer, marks: Marks, depth: int) -> None:
        self.buffer = buffer
        self.marks = marks
        self.depth = depth  # sequences that enclose what is walked

    def walk(self, tag: int, vr: str, value: int, end: int, layout: Layout, *, undefined: bool) -> int:
        """Where the value ends, its delimiter not counted. `end` is its own end, or where undefined its
        parent's.
        """
        if vr != "SQ":
            return self._skip_fragments(tag, value, end, layout)
        stack: list[_Frame] = [
            self._sequence(tag, value, end, undefined, content_layout(self.buffer, value, end, layout))
        ]
        pos = value
        while True:
            frame = stack[-1]
            if frame.is_item:
                pos = self._step_item(frame, pos, stack)
            else:
                pos = self._step_sequence(frame, pos, stack)
            if not stack:
                return pos - 8 if undefined else pos

    def _sequence(self, tag: int, value: int, end: int, undefined: bool, layout: Layout) -> _Frame:
        index = self.marks.open(value) if undefined else -1
        return _Frame(False, tag, value, end, undefined, layout, index)

    def _push_sequence(self, stack: list[_Frame], frame: _Frame) -> None:
        if self.depth + (len(stack) + 1) // 2 >= MAX_NESTING:
            raise DataSetError(
                f"sequences nested deeper than {MAX_NESTING}", tag=frame.tag, offset=frame.start
            )
        stack.append(frame)

    def _step_sequence(self, frame: _Frame, pos: int, stack: list[_Frame]) -> int:
        """One item header, or the end of the sequence."""
        if pos == frame.end and not frame.undefined:
            stack.pop()
            return pos
        if pos + 8 > frame.end:
            raise _unended(frame, pos)
        group, element, length = frame.layout.two_words_and_long.unpack_from(self.buffer, pos)
        tag = group << 16 | element
        if tag == ITEM:
            self.marks.take_item(frame.tag, pos)
            stack.append(self._item(frame, pos + 8, length))
            return pos + 8
        if tag == SEQUENCE_DELIMITER and (frame.undefined or pos + 8 == frame.end):
            if frame.undefined:
                self.marks.close(frame.index, pos)
            stack.pop()
            return pos + 8
        raise DataSetError(
            f"({tag >> 16:04X},{tag & 0xFFFF:04X}) stands where an Item should begin",
            tag=frame.tag,
            offset=pos,
        )

    def _item(self, parent: _Frame, start: int, length: int) -> _Frame:
        undefined = length == UNDEFINED
        end = parent.end if undefined else start + length
        if end > parent.end:
            raise DataSetError(
                f"an Item of {length} bytes leaves its Sequence", tag=parent.tag, offset=start - 8
            )
        layout = item_layout(self.buffer, start, end, parent.layout)
        index = self.marks.open(start) if undefined else -1
        return _Frame(True, parent.tag, start, end, undefined, layout, index)

    def _step_item(self, frame: _Frame, pos: int, stack: list[_Frame]) -> int:
        """Elements up to the next Sequence, which is pushed, or to the end of the item."""
        step = self._step_implicit if frame.layout.implicit_vr else self._step_explicit
        return step(frame, pos, stack)

    def _step_explicit(self, frame: _Frame, pos: int, stack: list[_Frame]) -> int:
        buffer, layout, end = self.buffer, frame.layout, frame.end
        unpack, short_vrs = layout.four_words.unpack_from, layout.short_vrs
        last = end - 8
        for count in range(self._budget(frame)):
            if pos > last:
                return self._end_item(frame, pos, stack, count)
            group, element, code, length = unpack(buffer, pos)
            if short_vrs[code] is not None and group != 0xFFFE:
                pos += 8 + length
                continue
            if group == 0xFFFE:
                return self._delimiter(frame, pos, stack, group << 16 | element, count)
            tag, vr, value, length = long_header(buffer, pos, end, layout)
            if length == UNDEFINED or vr == "SQ":
                self._spend(frame, count + 1)
                return self._enter(frame, stack, tag, vr, value, length)
            pos = value + length
        raise self._too_many(frame, pos)

    def _step_implicit(self, frame: _Frame, pos: int, stack: list[_Frame]) -> int:
        buffer, layout, end = self.buffer, frame.layout, frame.end
        unpack = layout.two_words_and_long.unpack_from
        last = end - 8
        for count in range(self._budget(frame)):
            if pos > last:
                return self._end_item(frame, pos, stack, count)
            group, element, length = unpack(buffer, pos)
            tag = group << 16 | element
            if group == 0xFFFE:
                return self._delimiter(frame, pos, stack, tag, count)
            vr = vr_of(tag)
            pos += 8
            if length == UNDEFINED or vr == "SQ":
                vr = implicit_vr(buffer, tag, vr, pos, length, end)
                self._spend(frame, count + 1)
                return self._enter(frame, stack, tag, vr, pos, length)
            pos += length
        raise self._too_many(frame, pos)

    def _budget(self, frame: _Frame) -> int:
        return min(self.marks.elements_left, frame.elements_left)

    def _spend(self, frame: _Frame, count: int) -> None:
        self.marks.elements_left -= count
        frame.elements_left -= count

    def _too_many(self, frame: _Frame, pos: int) -> DataSetError:
        if frame.elements_left <= self.marks.elements_left:
            return _full_level(pos)
        return DataSetError(f"more than {MAX_ELEMENTS} elements", tag=frame.tag, offset=pos)

    def _enter(self, frame: _Frame, stack: list[_Frame], tag: int, vr: str, value: int, length: int) -> int:
        undefined = length == UNDEFINED
        end = frame.end if undefined else value + length
        if end > frame.end:
            raise overrun(tag, value, length, frame.end)
        if vr != "SQ":
            index = self.marks.open(value)
            stop = self._skip_fragments(tag, value, end, frame.layout)
            self.marks.close(index, stop)
            return stop + 8
        layout = content_layout(self.buffer, value, end, frame.layout)
        self._push_sequence(stack, self._sequence(tag, value, end, undefined, layout))
        return value

    def _end_item(self, frame: _Frame, pos: int, stack: list[_Frame], count: int) -> int:
        self._spend(frame, count)
        if frame.undefined or pos != frame.end:
            raise _unended(frame, pos)
        stack.pop()
        return pos

    def _delimiter(self, frame: _Frame, pos: int, stack: list[_Frame], tag: int, count: int) -> int:
        self._spend(frame, count)
        if tag != ITEM_DELIMITER or not (frame.undefined or pos + 8 == frame.end):
            raise _stray(tag, pos)
        if frame.undefined:
            self.marks.close(frame.index, pos)
        stack.pop()
        return pos + 8

    def _skip_fragments(self, tag: int, pos: int, end: int, layout: Layout) -> int:
        """The offset of the delimiter after a run of fragments (PS3.5 A.4)."""
        unpack = layout.two_words_and_long.unpack_from
        marks = self.marks
        while pos + 8 <= end:
            group, element, length = unpack(self.buffer, pos)
            item = group << 16 | element
            if item == SEQUENCE_DELIMITER:
                return pos
            if item != ITEM:
                raise DataSetError(
                    "a fragment is neither followed by another nor by the delimiter", tag=tag, offset=pos
                )
            marks.take_item(tag, pos)
            if pos + 8 + length > end:
                raise overrun(tag, pos + 8, length, end, what="fragment")
            pos += 8 + length
        raise DataSetError("the fragments are not ended by a delimiter", tag=tag, offset=pos)


@dataclass(slots=True)
class _Frame:
    """A Sequence or an Item that the walk is inside of. `end` is its own, or its parent's where undefined."""

    is_item: bool
    tag: int  # of the sequence
    start: int
    end: int
    undefined: bool
    layout: Layout
    index: int  # in the marks, where undefined
    elements_left: int = MAX_ELEMENTS_OF_ONE_LEVEL


def content_layout(buffer: Buffer, value: int, end: int, layout: Layout) -> Layout:
    """The layout of a sequence's Items: that of its Data Set, except for what PS3.5 6.2.2 note 2 brings
    about.

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


def _is_zero(buffer: Buffer, pos: int, end: int) -> bool:
    """Whether only zeros follow, even in number, so that a header cut after its first byte is no padding."""
    if (end - pos) % 2:
        return False
    while pos < end:
        step = min(end - pos, 1 << 16)
        if bytes(buffer[pos : pos + step]).count(0) != step:
            return False
        pos += step
    return True


def _check_tail(buffer: Buffer, pos: int, end: int, depth: int, elements: dict[int, Element]) -> None:
    """Says what is wrong where the last element does not end with its Data Set."""
    if pos > end:
        tag, _, value, length, _ = max(elements.values(), key=lambda e: e[2])
        raise overrun(tag, value, length, end)
    if depth or not _is_zero(buffer, pos, end):
        raise _cut_header(pos, None)


def _check_groups(elements: dict[int, Element]) -> None:
    for tag, _, value, _, _ in elements.values():
        if tag >> 16 == 0xFFFE:
            raise _stray(tag, value - 8)
        if tag >> 16 in (0x0000, 0x0002, 0xFFFF):  # PS3.5 7.1: not for Data Sets
            raise DataSetError("this group has no place in a Data Set", tag=tag, offset=value - 8)


def overrun(tag: int, value: int, length: int, end: int, what: str = "value") -> DataSetError:
    """The error of a length that goes past the end."""
    return DataSetError(
        f"a {what} of {length} bytes where {max(end - value, 0)} are left", tag=tag, offset=value
    )


def _cut_header(pos: int, tag: int | None) -> DataSetError:
    return DataSetError("the Data Set is cut in the header of an element", tag=tag, offset=pos)


def _full_level(pos: int) -> DataSetError:
    return DataSetError(f"more than {MAX_ELEMENTS_OF_ONE_LEVEL} elements in one Data Set or Item", offset=pos)


def _stray(tag: int, pos: int) -> DataSetError:
    return DataSetError("an item or a delimiter that belongs to no sequence", tag=tag, offset=pos)


def _unended(frame: _Frame, pos: int) -> DataSetError:
    what = "an Item" if frame.is_item else "a Sequence"
    if frame.undefined:
        return DataSetError(
            f"{what} of undefined length is not ended by a delimiter", tag=frame.tag, offset=frame.start
        )
    return DataSetError(
        f"the content of {what} does not end where its length says", tag=frame.tag, offset=pos
    )
