"""Stored objects as Explicit VR Little Endian, for clients that take nothing else (PS3.18 8.7.3).

Native objects are re-encoded without touching a pixel. Compressed ones are decompressed frame by frame
through the decoder that was injected, so that one frame is in memory at a time; without a decoder
they cannot be had in this form. The stored object is never changed by this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from struct import pack

from gantry.archive.archive import Archive
from gantry.archive.index import Location
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.reencode import NativePixels, reencode
from gantry.dataset.scan import Buffer, DataSet
from gantry.dicomweb.wado import EXPLICIT_VR_LITTLE_ENDIAN
from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import transfer_syntax

Decode = Callable[[Location, int], Awaitable[tuple[str, bytes]]]
"""Decode one frame, from 1: photometric interpretation and samples, little endian, colour by pixel."""

MAX_CONVERTED_BYTES = 512 << 20
"""Largest stored object that is converted: its native bytes are held while it goes out."""

_EXPLICIT = transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
_PHOTOMETRIC = 0x00280004
_PLANAR_CONFIGURATION = 0x00280006

Pieces = AsyncIterator[bytes | memoryview]


class Conversion:
    """Makes the default representation of objects that are stored in another."""

    def __init__(self, archive: Archive, decode: Decode | None) -> None:
        self._archive = archive
        self._decode = decode

    def can_make_explicit(self, location: Location) -> bool:
        """Whether `explicit` can be had of this object."""
        if location.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
            return True
        syntax = transfer_syntax(location.transfer_syntax_uid)
        if location.file_size > MAX_CONVERTED_BYTES or not syntax.known:
            return False
        return not syntax.encapsulated or location.pixel is None or self._decode is not None

    async def explicit(self, location: Location) -> tuple[int | None, Pieces]:
        """The whole file in Explicit VR Little Endian: its size, and its bytes in pieces.

        Raises DataSetError where the pixels cannot be decoded, StorageError.
        """
        ds, meta = await asyncio.to_thread(self._opened, location)
        if location.pixel is not None and ds.pixel_data is not None and ds.pixel_data.fragments is not None:
            return await self._decoded(location, ds, meta)
        pieces = await asyncio.to_thread(lambda: [meta, *reencode(ds, _EXPLICIT)])
        return sum(map(len, pieces)), _each(pieces)

    def _opened(self, location: Location) -> tuple[DataSet, bytes]:
        meta, ds = read_part10(self._archive.read(location))
        head = encode_file_meta(
            sop_class_uid=location.sop_class_uid,
            sop_instance_uid=location.key.sop_uid,
            transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
            source_aet=meta.text(0x00020016),
        )
        return ds, head

    async def _decoded(self, location: Location, ds: DataSet, meta: bytes) -> tuple[int, Pieces]:
        assert self._decode is not None
        # The first frame tells what the decoder makes of the colours, and shows failure while an
        # error can still be answered.
        photometric, first = await self._decode(location, 1)
        frames = self._archive.frames(location).count
        length = len(first) * frames
        header = ImageHeader.from_dataset(ds)
        attributes = {_PHOTOMETRIC: ("CS", photometric.encode("ascii"))}
        if header.samples_per_pixel > 1:
            attributes[_PLANAR_CONFIGURATION] = ("US", pack("<H", 0))
        vr = "OB" if header.bits_allocated <= 8 else "OW"
        head = [meta, *reencode(ds, _EXPLICIT, NativePixels(vr, length + length % 2, attributes))]
        size = sum(map(len, head)) + length + length % 2
        return size, self._with_frames(location, head, first, frames)

    async def _with_frames(
        self, location: Location, head: Sequence[Buffer], first: bytes, frames: int
    ) -> Pieces:
        assert self._decode is not None
        for piece in head:
            yield memoryview(piece)
        yield first
        for frame in range(2, frames + 1):
            _, samples = await self._decode(location, frame)
            if len(samples) != len(first):
                raise DataSetError(f"frame {frame} decodes to another size than frame 1")
            yield samples
        if len(first) * frames % 2:
            yield b"\0"


async def _each(pieces: Sequence[Buffer]) -> Pieces:
    for piece in pieces:
        yield memoryview(piece)
