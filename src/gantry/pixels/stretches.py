"""Bytes that lie in several places, read as one file: a video in fragments (PS3.5 A.4)."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

from gantry.dataset.scan import Buffer

Span = tuple[int, int]
"""Offset and length, in bytes."""

ReadAt = Callable[[int, int], bytes]
"""Bytes from an offset on, so many, fewer at the end."""


def places(spans: Sequence[Span], start: int, stop: int) -> Iterator[Span]:
    """Where bytes `start` to `stop`, counted as if the spans were one, really lie."""
    position = 0
    for offset, length in spans:
        first, last = max(start, position), min(stop, position + length)
        if first < last:
            yield offset + first - position, last - first
        position += length


def in_buffer(buffer: Buffer) -> ReadAt:
    """A reader of something that lies in memory or is mapped."""
    return lambda offset, length: bytes(buffer[offset : offset + length])


class Stretches(io.RawIOBase):
    """A file to be read, made of spans of another, each of which may be large: nothing is held."""

    def __init__(self, read_at: ReadAt, spans: Sequence[Span]) -> None:
        super().__init__()
        self._read_at = read_at
        self._spans = tuple(spans)
        self._starts = list(accumulate((length for _, length in self._spans), initial=0))
        self._position = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self._starts[-1]

    def at(self, position: int, length: int) -> bytes:
        """Bytes from a position on, fewer at the end; where the file stands is left as it is."""
        stop = min(position + max(length, 0), self.size)
        return b"".join(self._read_at(*place) for place in places(self._near(position), position, stop))

    def _near(self, position: int) -> Sequence[Span]:
        # A video in thousands of fragments is read a piece at a time; all before are one to be passed over.
        index = max(0, bisect_right(self._starts, position) - 1)
        return ((0, self._starts[index]), *self._spans[index:]) if index else self._spans

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.at(self._position, self.size if size < 0 else size)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position
