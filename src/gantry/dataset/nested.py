"""Steps over what is nested in a Data Set: Sequences, and the fragments of encapsulated values.

The walk keeps a stack of its own, so that depth costs nothing, and notes in `Marks` where each undefined
length ends. Items of a sequence are taken one after the other in one loop as long as they hold nothing
nested themselves, which nearly all do: an enhanced multi-frame object has some hundred thousand of them.
Only for an Item that goes on with something else than a plain element a frame is pushed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from gantry.dataset.header import full_level, long_header, overrun, stray
from gantry.dataset.layout import (
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    UNDEFINED,
    Buffer,
    Layout,
    content_layout,
    item_layout,
)
from gantry.dataset.limits import MAX_ELEMENTS, MAX_ELEMENTS_OF_ONE_LEVEL, MAX_ITEMS, MAX_NESTING
from gantry.errors import DataSetError
from gantry.standard.dictionary import VR_OF_TAG, vr_of


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
        """Counts an Item or fragment of this element."""
        self.items_left -= 1
        if self.items_left < 0:
            raise DataSetError(f"more than {MAX_ITEMS} items and fragments", tag=tag, offset=offset)


def implicit_vr(tag: int, vr: str, value: int, length: int) -> str:
    """The VR of what may be nested, where none is written: undefined length and unknown, it is a Sequence."""
    if vr == "UN" and length == UNDEFINED:
        return "SQ"
    if vr != "SQ" and length == UNDEFINED and tag >> 16 == 0xFFFE:
        raise stray(tag, value - 8)
    return vr


def step_over(
    buffer: Buffer,
    marks: Marks,
    depth: int,
    tag: int,
    vr: str,
    value: int,
    end: int,
    layout: Layout,
    *,
    undefined: bool,
) -> int:
    """Where the value of a Sequence, or of an encapsulated element, ends, its delimiter not counted.

    `end` is its own end, or where its length is undefined that of what encloses it; `depth` counts the
    sequences that enclose it. Raises DataSetError.
    """
    walk = _Walk(buffer, marks, depth)
    if vr != "SQ":
        return walk.skip_fragments(tag, value, end, layout)
    return walk.skip_sequence(tag, value, end, layout, undefined=undefined)


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


class _Walk:
    """One walk, and where it is: see the module's theory."""

    __slots__ = ("buffer", "depth", "marks", "stack")

    def __init__(self, buffer: Buffer, marks: Marks, depth: int) -> None:
        self.buffer = buffer
        self.marks = marks
        self.depth = depth
        self.stack: list[_Frame] = []

    def skip_sequence(self, tag: int, value: int, end: int, layout: Layout, *, undefined: bool) -> int:
        """The offset of the delimiter of an undefined length, or the end of a defined one."""
        stack = self.stack
        self._push_sequence(tag, value, end, layout, undefined)
        pos = value
        while stack:
            frame = stack[-1]
            if not frame.is_item:
                pos = self._step_sequence(frame, pos)
            elif frame.layout.implicit_vr:
                pos = self._step_implicit(frame, pos)
            else:
                pos = self._step_explicit(frame, pos)
        return pos - 8 if undefined else pos

    def _push_sequence(self, tag: int, value: int, end: int, layout: Layout, undefined: bool) -> None:
        if self.depth + len(self.stack) // 2 >= MAX_NESTING:
            raise DataSetError(f"sequences nested deeper than {MAX_NESTING}", tag=tag, offset=value)
        layout = content_layout(self.buffer, value, end, layout)
        index = self.marks.open(value) if undefined else -1
        self.stack.append(_Frame(False, tag, value, end, undefined, layout, index))

    def _step_sequence(self, frame: _Frame, pos: int) -> int:
        """Items, up to the first that holds something nested, or to the end of the sequence."""
        unpack = frame.layout.two_words_and_long.unpack_from
        end, marks = frame.end, self.marks
        while pos != end or frame.undefined:
            if pos + 8 > end:
                raise _unended(frame, pos)
            group, element, length = unpack(self.buffer, pos)
            if element != 0xE000 or group != 0xFFFE:
                return self._end_sequence(frame, pos, group << 16 | element)
            marks.take_item(frame.tag, pos)
            start = pos + 8
            stop = end if length == UNDEFINED else start + length
            if stop > end:
                raise DataSetError(
                    f"an Item of {length} bytes leaves its Sequence", tag=frame.tag, offset=pos
                )
            index = marks.open(start) if length == UNDEFINED else -1
            pos = self._step_plain_item(frame, start, stop, index)
            if self.stack[-1] is not frame:
                return pos
        self.stack.pop()
        return pos

    def _step_plain_item(self, frame: _Frame, start: int, end: int, index: int) -> int:
        """Where an Item of plain elements ends; pushes one that is not, to be gone on with from there."""
        layout, pos, count, group, element = frame.layout, start, 0, 0, 0
        if not layout.implicit_vr:
            unpack, short_vrs, last = layout.four_words.unpack_from, layout.short_vrs, end - 8
            buffer = self.buffer
            for count in range(min(self.marks.elements_left, MAX_ELEMENTS_OF_ONE_LEVEL)):  # noqa: B007
                if pos > last:
                    break
                group, element, code, length = unpack(buffer, pos)
                if short_vrs[code] is None or group == 0xFFFE:
                    break
                pos += 8 + length
            if index < 0:
                if pos == end:
                    self.marks.elements_left -= count
                    return pos
            elif pos <= last and group == 0xFFFE and element == 0xE00D:
                self.marks.elements_left -= count
                self.marks.close(index, pos)
                return pos + 8
        if pos == start:
            layout = item_layout(self.buffer, start, end, layout)
        self._push_item(frame.tag, start, end, layout, index, count)
        return pos

    def _push_item(self, tag: int, start: int, end: int, layout: Layout, index: int, count: int) -> None:
        item = _Frame(True, tag, start, end, index >= 0, layout, index)
        self._spend(item, count)
        self.stack.append(item)

    def _end_sequence(self, frame: _Frame, pos: int, tag: int) -> int:
        if tag != SEQUENCE_DELIMITER or not (frame.undefined or pos + 8 == frame.end):
            cause = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) stands where an Item should begin"
            raise DataSetError(cause, tag=frame.tag, offset=pos)
        if frame.undefined:
            self.marks.close(frame.index, pos)
        self.stack.pop()
        return pos + 8

    def _step_explicit(self, frame: _Frame, pos: int) -> int:
        buffer, layout, end = self.buffer, frame.layout, frame.end
        unpack, short_vrs = layout.four_words.unpack_from, layout.short_vrs
        last = end - 8
        for count in range(self._budget(frame)):
            if pos > last:
                return self._end_item(frame, pos, count)
            group, element, code, length = unpack(buffer, pos)
            if short_vrs[code] is not None and group != 0xFFFE:
                pos += 8 + length
                continue
            if group == 0xFFFE:
                return self._delimiter(frame, pos, group << 16 | element, count)
            tag, vr, value, length = long_header(buffer, pos, end, layout)
            if length == UNDEFINED or vr == "SQ":
                self._spend(frame, count + 1)
                return self._enter(frame, tag, vr, value, length)
            pos = value + length
        raise self._too_many(frame, pos)

    def _step_implicit(self, frame: _Frame, pos: int) -> int:
        buffer, layout, end = self.buffer, frame.layout, frame.end
        unpack, known = layout.two_words_and_long.unpack_from, VR_OF_TAG
        last = end - 8
        for count in range(self._budget(frame)):
            if pos > last:
                return self._end_item(frame, pos, count)
            group, element, length = unpack(buffer, pos)
            tag = group << 16 | element
            if group == 0xFFFE:
                return self._delimiter(frame, pos, tag, count)
            vr = known.get(tag) or vr_of(tag)
            pos += 8
            if length == UNDEFINED or vr == "SQ":
                vr = implicit_vr(tag, vr, pos, length)
                self._spend(frame, count + 1)
                return self._enter(frame, tag, vr, pos, length)
            pos += length
        raise self._too_many(frame, pos)

    def _budget(self, frame: _Frame) -> int:
        return min(self.marks.elements_left, frame.elements_left)

    def _spend(self, frame: _Frame, count: int) -> None:
        self.marks.elements_left -= count
        frame.elements_left -= count

    def _too_many(self, frame: _Frame, pos: int) -> DataSetError:
        if frame.elements_left <= self.marks.elements_left:
            return full_level(pos)
        return DataSetError(f"more than {MAX_ELEMENTS} elements", tag=frame.tag, offset=pos)

    def _enter(self, frame: _Frame, tag: int, vr: str, value: int, length: int) -> int:
        undefined = length == UNDEFINED
        end = frame.end if undefined else value + length
        if end > frame.end:
            raise overrun(tag, value, length, frame.end)
        if vr != "SQ":
            index = self.marks.open(value)
            stop = self.skip_fragments(tag, value, end, frame.layout)
            self.marks.close(index, stop)
            return stop + 8
        self._push_sequence(tag, value, end, frame.layout, undefined)
        return value

    def _end_item(self, frame: _Frame, pos: int, count: int) -> int:
        self._spend(frame, count)
        if frame.undefined or pos != frame.end:
            raise _unended(frame, pos)
        self.stack.pop()
        return pos

    def _delimiter(self, frame: _Frame, pos: int, tag: int, count: int) -> int:
        self._spend(frame, count)
        if tag != ITEM_DELIMITER or not (frame.undefined or pos + 8 == frame.end):
            raise stray(tag, pos)
        if frame.undefined:
            self.marks.close(frame.index, pos)
        self.stack.pop()
        return pos + 8

    def skip_fragments(self, tag: int, pos: int, end: int, layout: Layout) -> int:
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


def _unended(frame: _Frame, pos: int) -> DataSetError:
    what = "an Item" if frame.is_item else "a Sequence"
    if frame.undefined:
        return DataSetError(
            f"{what} of undefined length is not ended by a delimiter", tag=frame.tag, offset=frame.start
        )
    return DataSetError(
        f"the content of {what} does not end where its length says", tag=frame.tag, offset=pos
    )
