"""Lookup tables of one channel: Modality, VOI and Presentation LUT (PS3.3 C.11.1, C.11.2, C.11.4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet

_DESCRIPTOR, _EXPLANATION, _DATA = 0x00283002, 0x00283003, 0x00283006

MAX_TABLES = 64
"""Tables of one sequence that are read; objects have one for each view of a physician, a handful."""


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`data` are `count` entries of 16 bits, little endian, for the values from `first_mapped` on.

    `bits` is what the descriptor says of an entry. Entries are never fewer than one.
    """

    first_mapped: int
    bits: int
    data: bytes
    explanation: str = ""

    @property
    def count(self) -> int:
        """Entries that there are, which may differ from what the descriptor says."""
        return len(self.data) // 2

    @property
    def top(self) -> int:
        """The largest value of the output's range: white."""
        bits = self.bits
        highest = int(self.entries().max())
        while highest >> bits:
            bits += 1  # a descriptor that says fewer bits than its entries have
        return (1 << bits) - 1

    def entries(self) -> NDArray[np.uint16]:
        """The entries as numbers."""
        return np.frombuffer(self.data, "<u2")

    def look_up(self, values: NDArray[Any]) -> NDArray[np.uint16]:
        """Values through the table: beyond an end that end's entry (PS3.3 C.11.1.1.1), for NaN the first."""
        finite = np.nan_to_num(values, nan=-np.inf) if values.dtype.kind == "f" else values.astype(np.int64)
        index = np.clip(finite - self.first_mapped, 0, self.count - 1)
        return np.asarray(self.entries()[index.astype(np.int64)])


def read_tables(items: Iterable[DataSet], *, signed_input: bool) -> tuple[LookupTable, ...]:
    """The tables in the Items of a LUT sequence; one without descriptor or data is left out.

    `signed_input` says what the first mapped value is where its VR does not: that follows Pixel
    Representation, which writers forget.
    """
    found = (_read(item, signed_input) for item in list(items)[:MAX_TABLES])
    return tuple(table for table in found if table is not None)


def _read(item: DataSet, signed_input: bool) -> LookupTable | None:
    descriptor = item.ints(_DESCRIPTOR)
    if len(descriptor) != 3:
        return None
    count, first, bits = descriptor
    if signed_input and first > 0x7FFF:
        first -= 0x10000
    bits = bits if 1 <= bits <= 16 else 16
    data = entries_of(item, _DATA, count & 0xFFFF or 0x10000, bits)
    return LookupTable(first, bits, data, item.text(_EXPLANATION) or "") if data else None


def entries_of(ds: DataSet, tag: int, count: int, bits: int) -> bytes:
    """The entries of a table as 16-bit words, little endian: no more than `count`, fewer where some lack.

    Entries of 8 bits may lie two in a word (PS3.3 C.7.6.3.1.6). Where the length says 8 bits or 16, it is
    right and the descriptor is not.
    """
    raw = ds.raw(tag)
    element = ds.elements.get(tag)
    if element is not None and not ds.syntax.little_endian and element[1] != "OB":
        raw = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2").byteswap().tobytes()
    packed = (bits <= 8 and len(raw) < 2 * count) or (len(raw) in (count, count + count % 2) and count > 1)
    if packed:
        return np.frombuffer(raw[:count], np.uint8).astype("<u2").tobytes()
    return raw[: 2 * count][: len(raw) // 2 * 2]
