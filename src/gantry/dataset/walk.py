"""The walk over the bytes of a Data Set: where each Data Element lies. Values are stepped over, never read.

A Data Set (PS3.5 Chapter 7) is a run of Data Elements: tag, VR (written only in the explicit layouts),
length, value. A value of VR SQ holds Items, each of them a Data Set again; its length, and that of an Item,
may be left undefined and is then ended by a delimiter. `read_level` lists the elements of one Data Set or
Item. Whatever is nested inside is only stepped over (`nested`), with a stack of its own instead of
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

from itertools import repeat
from typing import Final

from gantry.dataset.header import cut_header, full_level, long_header, overrun, stray
from gantry.dataset.layout import ITEM_DELIMITER, UNDEFINED, Buffer, Element, Layout
from gantry.dataset.limits import MAX_ELEMENTS_OF_ONE_LEVEL
from gantry.dataset.nested import Marks, implicit_vr, step_over
from gantry.errors import DataSetError
from gantry.standard.dictionary import VR_OF_TAG, vr_of

_FIRST_DELIMITER: Final = 0xFFFE0000
_FIRST_DATA_SET_TAG: Final = 0x00080000


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
    if elements and not depth:
        ascending = sorted(elements)  # nearly sorted as it is, which makes this cheaper than min and max
        if ascending[0] < _FIRST_DATA_SET_TAG or ascending[-1] >= _FIRST_DELIMITER:
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
        if not tag and not depth:
            return _end_of_padding(buffer, pos, end)
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
    raise full_level(pos)


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
    unpack, known = layout.two_words_and_long.unpack_from, VR_OF_TAG
    last = end - 8
    for _ in repeat(None, MAX_ELEMENTS_OF_ONE_LEVEL):
        if pos > last:
            return pos
        group, element, length = unpack(buffer, pos)
        tag = group << 16 | element
        if not tag and not depth:
            return _end_of_padding(buffer, pos, end)
        pos += 8
        vr = known.get(tag) or vr_of(tag)
        if length == UNDEFINED or vr == "SQ":
            vr = implicit_vr(tag, vr, pos, length)
            value = pos
            length, pos, undefined = _nested_value(
                buffer, tag, vr, value, length, end, layout, marks, depth, walked
            )
            elements[tag] = (tag, vr, value, length, undefined)
        else:
            elements[tag] = (tag, vr, pos, length, False)
            pos += length
    raise full_level(pos)


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
            step_over(buffer, marks, depth, tag, vr, value, after, layout, undefined=False)
        return length, after, False
    if walked:
        stop = marks.end_of(value)
    else:
        stop = step_over(buffer, marks, depth, tag, vr, value, end, layout, undefined=True)
    return stop - value, stop + 8, True


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


def _end_of_padding(buffer: Buffer, pos: int, end: int) -> int:
    """The end, where zeros stand instead of an element; (0000,0000) has no place in a Data Set."""
    if _is_zero(buffer, pos, end):
        return end
    raise _misplaced(0, pos)


def _check_tail(buffer: Buffer, pos: int, end: int, depth: int, elements: dict[int, Element]) -> None:
    """Says what is wrong where the last element does not end with its Data Set."""
    if pos > end:
        tag, _, value, length, _ = max(elements.values(), key=lambda e: e[2])
        raise overrun(tag, value, length, end)
    if depth or not _is_zero(buffer, pos, end):
        raise cut_header(pos, None)


def _check_groups(elements: dict[int, Element]) -> None:
    for tag, _, value, _, _ in elements.values():
        if tag >> 16 == 0xFFFE:
            raise stray(tag, value - 8)
        if tag >> 16 in (0x0000, 0x0002, 0xFFFF):  # PS3.5 7.1: not for Data Sets
            raise _misplaced(tag, value - 8)


def _misplaced(tag: int, pos: int) -> DataSetError:
    return DataSetError("this group has no place in a Data Set", tag=tag, offset=pos)
