"""Stored objects in another transfer syntax, for clients that do not take the stored one (PS3.18 8.7.3).

Headers are rewritten here. Frames are decoded and encoded by the function that was injected, which runs
codecs under guard, one frame a call; without it compressed objects are had as stored only. Nothing is ever
lost on the way: what loses something would be another SOP Instance. The stored object is never changed by
this.

Native frames leave as they are made. Compressed ones wait in a temporary file, since the offset table before
them tells their lengths.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import IO

from gantry.archive.archive import Archive
from gantry.archive.index import Location
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.scan import Buffer
from gantry.dicomweb.wado import EXPLICIT_VR_LITTLE_ENDIAN
from gantry.errors import CallerError, DataSetError, WebRequestError
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import can_decode, can_encode
from gantry.pixels.image import ImageHeader
from gantry.pixels.transcode import (
    Assembly,
    FrameJob,
    Plan,
    frame_error,
    job_for_video,
    join_native,
    keeps_pixels,
    plan,
    plan_frames,
)
from gantry.pixels.video import VideoFrame
from gantry.standard import transfer_syntaxes as ts
from gantry.standard.transfer_syntaxes import is_video, transfer_syntax

Decode = Callable[[Location, int], Awaitable[tuple[str, bytes]]]
"""Decode one frame, from 1: photometric interpretation and samples, little endian, colour by pixel."""

TranscodeFrame = Callable[[bytes | VideoFrame, FrameJob], Awaitable[bytes]]
"""Make one frame in another transfer syntax."""

MAX_CONVERTED_BYTES = 512 << 20
"""Largest stored object that is converted: it is held while what was made of it goes out."""

SPOOL_BYTES = 8 << 20
"""Compressed frames up to this wait in memory, more in a temporary file."""

FRAMES_AHEAD = 4
"""Frames that are made while another is written."""

OFFERED = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    ts.HTJ2K_LOSSLESS,
    ts.HTJ2K_LOSSLESS_RPCL,
    ts.JPEG_LS_LOSSLESS,
    ts.JPEG_LOSSLESS_SV1,
    ts.JPEG_LOSSLESS,
    ts.JPEG_2000_LOSSLESS,
    ts.JPEG_XL_LOSSLESS,
    ts.JPEG_XL_JPEG_RECOMPRESSION,
    ts.JPEG_BASELINE_8_BIT,
    ts.RLE_LOSSLESS,
    ts.DEFLATED_IMAGE_FRAME_COMPRESSION,
    ts.ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
)
"""What objects can be had in, besides what they are stored in; Implicit VR has no place on the web (PS3.18
8.7.3)."""

Pieces = AsyncIterator[bytes | memoryview]


class Conversion:
    """Makes representations of objects that are stored in another."""

    def __init__(self, archive: Archive, transcode: TranscodeFrame | None) -> None:
        self._archive = archive
        self._transcode = transcode

    def targets(self, location: Location) -> tuple[str, ...]:
        """Transfer syntaxes that `made` may give this object in, besides its own."""
        stored = location.transfer_syntax_uid
        if self.is_large(location) or not transfer_syntax(stored).known:
            return ()
        return tuple(uid for uid in OFFERED if uid != stored and self._can_make(location, uid))

    @staticmethod
    def is_large(location: Location) -> bool:
        """Whether an object is over what is converted."""
        return location.file_size > MAX_CONVERTED_BYTES

    def _can_make(self, location: Location, target_uid: str) -> bool:
        stored, target = transfer_syntax(location.transfer_syntax_uid), transfer_syntax(target_uid)
        if location.pixel is None:
            return not target.encapsulated
        if not stored.encapsulated and not target.encapsulated:
            return True
        return self._transcode is not None and can_decode(stored.uid) and keeps_pixels(stored.uid, target_uid)

    def frame_targets(self, location: Location) -> tuple[str, ...]:
        """Compressed transfer syntaxes that `frame` may give frames in, besides the stored one."""
        if is_video(location.transfer_syntax_uid):
            if self._transcode is None:
                return ()
            return tuple(
                uid
                for uid in OFFERED
                if transfer_syntax(uid).encapsulated
                and can_encode(uid)
                and keeps_pixels(EXPLICIT_VR_LITTLE_ENDIAN, uid)
            )
        return tuple(uid for uid in self.targets(location) if transfer_syntax(uid).encapsulated)

    async def frame(self, location: Location, data: bytes | VideoFrame, target_uid: str) -> bytes:
        """A stored frame in a compressed transfer syntax. Raises WebRequestError 406, DataSetError."""
        assert self._transcode is not None

        def job() -> FrameJob:
            with self._archive.dataset(location) as ds:
                header = ImageHeader.from_dataset(ds)
                if isinstance(data, VideoFrame):
                    return job_for_video(ds, header, target_uid, Compression())
            return plan_frames(data, location.transfer_syntax_uid, header, target_uid, Compression())[0]

        try:
            return await self._transcode(data, await asyncio.to_thread(job))
        except CallerError as error:
            raise WebRequestError(406, str(error)) from error

    async def made(self, location: Location, target_uid: str) -> tuple[int | None, Pieces]:
        """The whole file in another transfer syntax: its size where that is known, and its bytes in pieces.

        Raises WebRequestError 406 for pixels that it cannot carry, 422 for those that cannot be decoded,
        StorageError.
        """
        try:
            return await self._made(location, target_uid)
        except CallerError as error:
            raise WebRequestError(406, str(error)) from error
        except DataSetError as error:
            raise WebRequestError(422, f"the object cannot be had so: {error}") from error

    async def _made(self, location: Location, target_uid: str) -> tuple[int | None, Pieces]:
        planned, meta = await asyncio.to_thread(self._planned, location, target_uid)
        if planned.job is None:
            pieces = await asyncio.to_thread(lambda: [meta, *Assembly(planned).pieces()])
            return sum(map(len, pieces)), _each(pieces)
        if planned.target.encapsulated:
            return await self._compressed(planned, meta)
        return await self._native(planned, meta)

    def _planned(self, location: Location, target_uid: str) -> tuple[Plan, bytes]:
        meta, ds = read_part10(self._archive.read(location))
        head = encode_file_meta(
            sop_class_uid=location.sop_class_uid,
            sop_instance_uid=location.key.sop_uid,
            transfer_syntax_uid=target_uid,
            source_aet=meta.text(0x00020016),
        )
        return plan(ds, target_uid, Compression()), head

    async def _compressed(self, planned: Plan, meta: bytes) -> tuple[None, Pieces]:
        spool: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL_BYTES)  # noqa: SIM115 - closed by `_from_spool`
        assembly = Assembly(planned, spool)
        try:
            async for frame in self._frames(planned):
                assembly.add(frame)
        except BaseException:
            spool.close()
            raise
        return None, _from_spool(meta, assembly, spool)

    async def _native(self, planned: Plan, meta: bytes) -> tuple[int, Pieces]:
        assert planned.job is not None
        assembly = Assembly(planned)
        head = [meta, *assembly.head()]
        tail = list(assembly.tail())
        frames = self._frames(planned)
        # The first frame shows a failure while an error can still be answered.
        first = await anext(frames)
        size = sum(map(len, [*head, *tail])) + assembly.native_bytes

        async def pieces() -> Pieces:
            for piece in head:
                yield memoryview(piece)
            async for piece in _joined(first, frames, planned):
                yield piece
            for piece in tail:
                yield memoryview(piece)

        return size, pieces()

    async def _frames(self, planned: Plan) -> AsyncIterator[bytes]:
        """Frames in their order, a few of them being made at once."""
        transcode, job = self._transcode, planned.job
        assert transcode is not None
        assert job is not None
        under_way: deque[asyncio.Task[bytes]] = deque()
        waiting = iter(range(planned.frames))
        try:
            for done in range(planned.frames):
                while len(under_way) < FRAMES_AHEAD and (index := next(waiting, None)) is not None:
                    under_way.append(asyncio.ensure_future(transcode(planned.frame(index), job)))
                try:
                    yield await under_way.popleft()
                except DataSetError as error:
                    raise frame_error(done, error) from error
        finally:
            for task in under_way:
                task.cancel()


async def _joined(first: bytes, frames: AsyncIterator[bytes], planned: Plan) -> Pieces:
    assert planned.job is not None
    header = planned.job.target
    whole = header.frame_samples * header.bits_allocated % 8 == 0
    if not whole:  # single bits: small, and frames share bytes
        everything = [first, *[frame async for frame in frames]]
        for piece in join_native(everything, header, planned.target):
            yield memoryview(piece)
        return
    size, count = len(first), 1
    yield first
    async for frame in frames:
        if len(frame) != size:
            raise DataSetError("a frame decodes to another size than the first")
        count += 1
        yield frame
    if size * count % 2:
        yield b"\0"


async def _from_spool(meta: bytes, assembly: Assembly, spool: IO[bytes]) -> Pieces:
    with spool:
        yield meta
        pieces: Iterator[Buffer] = assembly.pieces()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield memoryview(piece)


async def _each(pieces: list[Buffer]) -> Pieces:
    for piece in pieces:
        yield memoryview(piece)
