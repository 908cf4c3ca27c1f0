"""Where each frame of a stored object lies in its file, noted once at ingest: frame n of 5 GB is one read.

`pixels.encapsulation` finds the frames; here its table is the compact form in the index, and frames are
counted from 1, as people and PS3.18 do.
"""

from __future__ import annotations

from gantry.archive.records import PixelLocation
from gantry.dataset.scan import DataSet
from gantry.errors import Corrupt, DataSetError, NotFound
from gantry.pixels import encapsulation

Span = tuple[int, int]
"""Offset from the start of the file, and length, in bytes."""


class StoredFrames:
    """The places of all frames of one object, in bytes from the start of its file."""

    __slots__ = ("_table",)

    def __init__(self, table: encapsulation.FrameTable) -> None:
        self._table = table

    @classmethod
    def decode(cls, pixel: PixelLocation) -> StoredFrames:
        """The table that the index holds. Raises NotFound where none could be made, Corrupt."""
        if not pixel.frame_table:
            raise NotFound("the frames of this object cannot be told apart")
        try:
            return cls(encapsulation.FrameTable.from_bytes(pixel.frame_table))
        except DataSetError as error:
            raise Corrupt(f"the index holds a wrong frame table: {error}") from error

    @property
    def count(self) -> int:
        """How many frames there are bytes for; of a video, how many it is declared to have."""
        return self._table.declared if self.is_stream and len(self._table) else len(self._table)

    @property
    def declared(self) -> int:
        """How many frames the object says it has."""
        return self._table.declared

    @property
    def is_native(self) -> bool:
        """Whether frames are uncompressed."""
        return self._table.kind is encapsulation.Kind.NATIVE

    @property
    def is_stream(self) -> bool:
        """Whether all frames are one video: the spans of each are those of the whole."""
        return self._table.is_stream

    @property
    def frame_bits(self) -> int | None:
        """Bits of one native frame; None where frames are compressed."""
        return self._table.frame_bits

    def spans(self, frame: int) -> tuple[Span, ...]:
        """The stretches of bytes that together are frame number `frame`, from 1. Raises NotFound."""
        try:
            return self._table.frame(0 if self.is_stream and 1 <= frame <= self.count else frame - 1)
        except IndexError:
            raise NotFound(f"frame {frame} of an object that has {self.count}") from None

    def first_bit(self, frame: int) -> int:
        """The bit of the first byte where a native frame begins; not 0 only for pixels of single bits."""
        return self._table.first_bit(frame - 1)

    def from_first_bit(self, frame: int, data: bytes) -> bytes:
        """The bytes of `spans` without the bits of neighbouring frames: the first pixel at the first bit.

        Frames of single bits follow one another without padding (PS3.5 8.1.1).
        """
        shift, bits = self.first_bit(frame), self.frame_bits
        if bits is None or (not shift and bits % 8 == 0):
            return data
        number = int.from_bytes(data, "little") >> shift & (1 << bits) - 1
        return number.to_bytes(-(-bits // 8), "little")

    def is_complete(self, frame: int) -> bool:
        """Whether all bytes of the frame are there."""
        return self._table.is_complete(frame - 1)


def locate_pixels(ds: DataSet) -> PixelLocation | None:
    """Where the pixels of a Data Set are, for the index; offsets are those of the buffer that was scanned."""
    pixels = ds.pixel_data
    if pixels is None:
        return None
    table = encapsulation.frame_table(ds)
    return PixelLocation(pixels.offset, pixels.length, table.to_bytes() if table is not None else b"")
