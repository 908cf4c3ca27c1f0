"""Palette Color Lookup Tables, segmented ones expanded (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.lut import LookupTable, entries_of

Palette = tuple[LookupTable, LookupTable, LookupTable]
Picture = NDArray[np.uint8]

_DESCRIPTORS, _TABLES, _SEGMENTED = 0x00281101, 0x00281201, 0x00281221

_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


def read_palette(ds: DataSet, *, signed: bool = False) -> Palette | None:
    """The three tables of a Data Set or Item; None where one lacks. `signed`: the pixels are.

    Raises DataSetError for segments that cannot be expanded.
    """
    red, green, blue = (_channel(ds, n, signed) for n in range(3))
    return None if red is None or green is None or blue is None else (red, green, blue)


def _channel(ds: DataSet, n: int, signed: bool) -> LookupTable | None:
    descriptor = ds.ints(_DESCRIPTORS + n)
    if len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    if signed and first > 0x7FFF:
        first -= 0x10000
    count = count & 0xFFFF or 0x10000
    bits = 8 if bits <= 8 else 16
    if ds.raw(_TABLES + n):
        data = entries_of(ds, _TABLES + n, count, bits)
    else:
        data = _expanded(ds, _SEGMENTED + n, count, bits)
    return LookupTable(first, bits, data) if data else None


def through_palette(values: NDArray[Any], palette: Palette) -> Picture:
    """RGB of 8 bits, of shape (\\*values.shape, 3). Values past either end take the end's colour."""
    return np.stack([eight_bits(table)[_places(values, table)] for table in palette], axis=-1)


def eight_bits(table: LookupTable) -> Picture:
    """The entries as 8 bits; 16-bit entries of which none is above 255 were meant as 8."""
    entries: NDArray[Any] = table.entries()
    if table.bits > 8 and int(entries.max()) > 255:
        entries = entries >> 8
    return np.asarray(np.minimum(entries, 255), np.uint8)


def _places(values: NDArray[Any], table: LookupTable) -> NDArray[np.int64]:
    return np.clip(values.astype(np.int64) - table.first_mapped, 0, table.count - 1)


def _expanded(ds: DataSet, tag: int, count: int, bits: int) -> bytes:
    """The entries of a segmented table: never more than the descriptor says, whatever the segments say."""
    raw = ds.raw(tag)
    if not raw:
        return b""
    if bits == 8:
        words = list(raw)
    else:
        order = "<u2" if ds.syntax.little_endian or ds.elements[tag][1] == "OB" else ">u2"
        words = np.frombuffer(raw[: len(raw) // 2 * 2], order).tolist()
    segments = _Segments(words, count, bits, tag)
    segments.expand()
    return np.array(segments.entries[:count], "<u2").tobytes()


class _Segments:
    """Discrete, linear and indirect segments of a table (PS3.3 C.7.9.2), and the entries they make."""

    def __init__(self, words: list[int], count: int, bits: int, tag: int) -> None:
        self.entries: list[int] = []
        self._words = words
        self._count = count
        self._word_bytes = bits // 8
        self._tag = tag

    def expand(self) -> None:
        at = 0
        while at + 1 < len(self._words) and len(self.entries) < self._count:  # one word more is padding
            if self._words[at] == _INDIRECT:
                self._copy(at)
            else:
                self._append(at)
            at += self._length(at)

    def _length(self, at: int) -> int:
        """Words of the segment at a place."""
        kind = self._words[at]
        if kind == _DISCRETE:
            return 2 + self._words[at + 1]
        if kind == _LINEAR:
            return 3
        if kind == _INDIRECT:
            return 2 + 4 // self._word_bytes
        raise self._error(f"a palette segment of kind {kind}, which the standard does not have")

    def _append(self, at: int) -> None:
        words, length = self._words, self._words[at + 1]
        if at + self._length(at) > len(words):
            raise self._error("the last palette segment is cut")
        if words[at] == _DISCRETE:
            self.entries.extend(words[at + 2 : at + 2 + length])
            return
        if not self.entries:
            raise self._error("the first palette segment is a linear one, which begins nowhere")
        start, end = self.entries[-1], words[at + 2]
        self.entries.extend(round(start + (end - start) * step / length) for step in range(1, length + 1))

    def _copy(self, at: int) -> None:
        """Segments that stand before this one, none of them indirect, once more: linear ones from here on."""
        size = 4 // self._word_bytes
        if at + 2 + size > len(self._words):
            raise self._error("the last palette segment is cut")
        words = self._words[at + 2 : at + 2 + size]
        offset = sum(word << (8 * self._word_bytes * n) for n, word in enumerate(words))
        target = offset // self._word_bytes
        for _ in range(self._words[at + 1]):
            if target + 1 >= at or self._words[target] == _INDIRECT:
                raise self._error("an indirect palette segment that points to no segment before it")
            self._append(target)
            if len(self.entries) >= self._count:
                return
            target += self._length(target)

    def _error(self, cause: str) -> DataSetError:
        return DataSetError(cause, tag=self._tag)
