"""Pictures of stored frames: the header read here, the pixels decoded under guard, the result kept.

A rendition is a function of bytes that never change, so it is kept by the object's digest and what was
asked, in memory, and on disk where it took a guarded process to make; a new version has another digest and
misses. Several who ask for the same at once share one decoding.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.dicomweb.rendering import RenderingParameters
from gantry.errors import DataSetError
from gantry.pixels.display.pnm import PNM
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.states.presented import Presented
from gantry.server.decoder_worker import Request, answer
from gantry.server.decoders import Decoders, StoredFrame, syntax_name
from gantry.server.flights import Flights
from gantry.server.images import Images
from gantry.server.kept import Kept
from gantry.server.renditions import Renditions
from gantry.server.states import State, States
from gantry.server.traces import DECODE, part
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, is_video

CACHE_BYTES = 64 << 20
DEFAULT_QUALITY = 90

PIPELINE = 1
"""Raised whenever the same request would give other pixels than before: what was kept is then made anew."""

MAX_UNGUARDED_PIXELS = 4_500_000
"""A plain frame that is rendered in a thread: a radiograph of 2048 by 2048 takes some 15 ms."""

_PLAIN_SYNTAXES = frozenset({IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN})
_WRITES_AT_ONCE = 32  # beyond it a rendition is kept in memory only: the disk is slower than the decoders
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


@dataclass(frozen=True, slots=True)
class _Found:
    """A picture, or what a guarded process is to make it of: one frame, or those that a state shows."""

    picture: bytes = b""
    frame: StoredFrame = b""
    source: tuple[list[bytes], ImageHeader | Presented, Rendering] | None = None


class Renderer:
    """Makes pictures (`picture`, `plain`) and plain samples (`decode`) of stored frames."""

    def __init__(self, archive: Archive, decoders: Decoders, renditions: Renditions | None = None) -> None:
        self.images = Images(archive)
        self.states = States(archive, self.images)
        self.renditions = renditions
        self._decoders = decoders
        self._kept = Kept[bytes](CACHE_BYTES, len)
        self._flights = Flights[bytes]()
        self._writes: set[asyncio.Future[None]] = set()
        self._threads = ThreadPoolExecutor(max(1, os.cpu_count() or 1), "gantry-pictures")

    async def picture(
        self,
        location: Location,
        frame: int,
        asked: RenderingParameters,
        media_type: str,
        state: State | None = None,
    ) -> bytes:
        """The picture of frame `frame`, from 1, by a presentation state if one is given.

        Raises DataSetError where it cannot be made, WebRequestError 400 for a region outside of it.
        """
        key = digest_of([(location, frame)], asked, media_type, *by_state(state))
        picture = self._kept.get(key)
        if picture is None:
            picture = await self._flights.join(
                key, lambda: self._make(key, location, frame, asked, media_type, state)
            )
        return picture

    async def plain(self, location: Location, frame: int, asked: RenderingParameters, side: int) -> bytes:
        """The picture as PNM, no side longer than `side`; not kept. Raises as `picture`."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, copy_context().run, self._plain, location, frame, asked, side
        )
        if isinstance(found, bytes):
            return found
        data, header, wanted = found
        return await self._decoders.render(data, location.transfer_syntax_uid, header, wanted)

    def _plain(
        self, location: Location, frame: int, asked: RenderingParameters, side: int
    ) -> bytes | tuple[StoredFrame, ImageHeader, Rendering]:
        header = self.images.header(location, frame)
        wanted = self._rendering(location, header, asked, PNM)
        width, height = wanted.width or header.columns, wanted.height or header.rows
        if max(width, height) > side:
            wanted = replace(wanted, width=min(width, side), height=min(height, side))
        if not _needs_guard(location, header):
            return self._made_here(location, frame, header, wanted)
        return self._frame(location, frame), header, wanted

    def _made_here(self, location: Location, frame: int, header: ImageHeader, wanted: Rendering) -> bytes:
        """The picture of a frame that needs no guard."""
        request = Request(location.transfer_syntax_uid, header, wanted)
        data = self.images.frame(location, frame)
        with part(DECODE) as span:
            if span is not None:
                span.note("gantry.transfer_syntax", syntax_name(request))
            reply, picture = answer(request, data)
            if reply.error:
                raise DataSetError(reply.error, tag=reply.tag)
        return picture

    async def decode(self, location: Location, frame: int) -> tuple[str, bytes]:
        """Photometric interpretation and samples (little endian, colour by pixel) of a frame, from 1."""
        header, data = await asyncio.to_thread(self._stored, location, frame)
        return await self._decoders.decode(data, location.transfer_syntax_uid, header)

    async def _make(
        self,
        key: str,
        location: Location,
        frame: int,
        asked: RenderingParameters,
        media_type: str,
        state: State | None,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads,
            copy_context().run,
            self._found_or_read,
            key,
            location,
            frame,
            asked,
            media_type,
            state,
        )
        picture = found.picture
        if found.source is not None:
            frames, plan, wanted = found.source
            if isinstance(plan, ImageHeader):
                picture = await self._decoders.render(found.frame, location.transfer_syntax_uid, plan, wanted)
            else:
                picture = await self._decoders.present(frames, plan, wanted)
            self._write(key, picture)
        self._kept.put(key, picture)
        return picture

    def _found_or_read(
        self,
        key: str,
        location: Location,
        frame: int,
        asked: RenderingParameters,
        media_type: str,
        state: State | None,
    ) -> _Found:
        """The rendition from disk, or made here; else all that it is to be made of."""
        header = self.images.header(location, frame)
        if state is None and not _needs_guard(location, header):
            wanted = self._rendering(location, header, asked, media_type)
            return _Found(self._made_here(location, frame, header, wanted))
        kept = self.renditions.get(key) if self.renditions is not None else None
        if kept is not None:
            return _Found(kept)
        if state is None:
            wanted = self._rendering(location, header, asked, media_type)
            return _Found(frame=self._frame(location, frame), source=([], header, wanted))
        plan, frames = self.states.planned(state, location, frame)
        wanted = self._rendering(location, plan.below.header, asked, media_type)
        return _Found(source=(frames, plan, wanted))

    def _stored(self, location: Location, frame: int) -> tuple[ImageHeader, StoredFrame]:
        return self.images.header(location, frame), self._frame(location, frame)

    def _frame(self, location: Location, frame: int) -> StoredFrame:
        if is_video(location.transfer_syntax_uid):
            return self.images.video_frame(location, frame)
        return self.images.frame(location, frame)

    def _rendering(
        self, location: Location, header: ImageHeader, asked: RenderingParameters, media_type: str
    ) -> Rendering:
        notes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
        if asked.annotations:
            facts = self.images.facts(location)
            notes = (
                facts.patient if "patient" in asked.annotations else (),
                facts.technique if "technique" in asked.annotations else (),
            )
        number = int(asked.voi) if asked.voi.isascii() and asked.voi.isdigit() else 0
        window, region = asked.window, asked.region
        return Rendering(
            width=asked.viewport.width if asked.viewport else 0,
            height=asked.viewport.height if asked.viewport else 0,
            window=None if window is None else Window(window.center, window.width),
            voi_function="" if window is None else _FUNCTIONS[window.function],
            media_type=media_type,
            quality=asked.quality or DEFAULT_QUALITY,
            voi_name=asked.voi,
            voi_number=number,
            region=None if region is None else region.in_image(header.columns, header.rows),
            flip_horizontal=asked.flip_horizontal,
            flip_vertical=asked.flip_vertical,
            icc_profile=asked.icc_profile,
            notes=notes,
            is_draft=asked.is_thumbnail,
        )

    def _write(self, key: str, picture: bytes) -> None:
        """Keep a rendition on disk, behind the answer."""
        if self.renditions is None or len(self._writes) >= _WRITES_AT_ONCE:
            return
        loop = asyncio.get_running_loop()
        write = loop.run_in_executor(None, self.renditions.put, key, picture)
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)


def _needs_guard(location: Location, header: ImageHeader) -> bool:
    """Whether a library that is not ours reads what an object holds: its pixels, or its ICC profile.

    A plain gray frame of moderate size goes through NumPy alone, and a guarded process would cost it as much
    again as all the rest.
    """
    return not (
        location.transfer_syntax_uid in _PLAIN_SYNTAXES
        and header.samples_per_pixel == 1
        and header.photometric_interpretation in ("MONOCHROME1", "MONOCHROME2")
        and header.bits_allocated in (8, 16)
        and header.frame_samples <= MAX_UNGUARDED_PIXELS
        and not header.icc_profile
    )


def by_state(state: State | None) -> tuple[str, ...]:
    """What more a rendition is kept by where a presentation state made it."""
    return () if state is None else (state.digest,)


def digest_of(
    frames: list[tuple[Location, int]], asked: RenderingParameters, media_type: str, *more: object
) -> str:
    """What a rendition is kept by: the bytes it is made of, what was asked, and the pipeline."""
    digest = hashlib.sha256(repr((PIPELINE, asked, media_type, *more)).encode())
    for location, frame in frames:
        digest.update(location.identity)
        digest.update(b"%d %s " % (frame, location.transfer_syntax_uid.encode()))
    return digest.hexdigest()
