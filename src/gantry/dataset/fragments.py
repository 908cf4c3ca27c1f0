"""The fragments of an encapsulated value (PS3.5 A.4): Items that hold bytes, ended by a delimiter.

The first Item is the Basic Offset Table, possibly empty. Places are kept in two flat arrays, 16 bytes a
fragment, because a whole-slide image has a hundred thousand of them.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import overload

from gantry.dataset.layout import Buffer, Layout


class Fragments(Sequence[tuple[int, int]]):
    """(offset, length) of each fragment, in bytes from the beginning of the buffer, in their order."""

    __slots__ = ("lengths", "offsets")

    def __init__(self, offsets: array[int], lengths: array[int]) -> None:
        self.offsets = offsets
        self.lengths = lengths

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> Fragments: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | Fragments:
        if isinstance(index, slice):
            return Fragments(self.offsets[index], self.lengths[index])
        return self.offsets[index], self.lengths[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Fragments):
            return self.offsets == other.offsets and self.lengths == other.lengths
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Fragments({len(self)}, {sum(self.lengths)} bytes)"


def read_fragments(
    buffer: Buffer, start: int, end: int, layout: Layout
) -> tuple[tuple[int, int] | None, Fragments]:
    """(Basic Offset Table, fragments) of a value that was walked; no table where there is no Item."""
    unpack = layout.two_words_and_long.unpack_from
    offsets, lengths = array("Q"), array("Q")
    pos = start
    while pos < end:
        _, _, length = unpack(buffer, pos)
        offsets.append(pos + 8)
        lengths.append(length)
        pos += 8 + length
    if not offsets:
        return None, Fragments(offsets, lengths)
    return (offsets[0], lengths[0]), Fragments(offsets[1:], lengths[1:])
