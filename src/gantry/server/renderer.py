"""Pictures of stored frames: the header read here, the pixels decoded under guard, the result kept.

A rendition is a function of bytes that never change, so it is kept by the object's digest and what was
asked, in memory and on disk; a new version has another digest and misses. Several who ask for the same at
once share one decoding.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.dicomweb.rendering import RenderingParameters
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.picture_format import PNM
from gantry.pixels.presented import Presented
from gantry.server.decoders import Decoders
from gantry.server.flights import Flights
from gantry.server.images import Images
from gantry.server.kept import Kept
from gantry.server.renditions import Renditions
from gantry.server.states import State, States

CACHE_BYTES = 64 << 20
DEFAULT_QUALITY = 90

PIPELINE = 1
"""Raised whenever the same request would give other pixels than before: what was kept is then made anew."""

_WRITES_AT_ONCE = 32  # beyond it a rendition is kept in memory only: the disk is slower than the decoders
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


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
        header, data = await asyncio.to_thread(self._stored, location, frame)
        wanted = await asyncio.to_thread(self._rendering, location, header, asked, PNM)
        width, height = wanted.width or header.columns, wanted.height or header.rows
        if max(width, height) > side:
            wanted = replace(wanted, width=min(width, side), height=min(height, side))
        return await self._decoders.render(data, location.transfer_syntax_uid, header, wanted)

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
        found = await asyncio.to_thread(self._found_or_read, key, location, frame, asked, media_type, state)
        if isinstance(found, bytes):
            picture = found
        else:
            plan, frames, wanted = found
            if isinstance(plan, Presented):
                picture = await self._decoders.present(frames, plan, wanted)
            else:
                picture = await self._decoders.render(frames[0], location.transfer_syntax_uid, plan, wanted)
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
    ) -> bytes | tuple[ImageHeader | Presented, list[bytes], Rendering]:
        """The rendition from disk, or all that it is made of."""
        picture = self.renditions.get(key) if self.renditions is not None else None
        if picture is not None:
            return picture
        if state is not None:
            plan, frames = self.states.planned(state, location, frame)
            return plan, frames, self._rendering(location, plan.below.header, asked, media_type)
        header, data = self._stored(location, frame)
        return header, [data], self._rendering(location, header, asked, media_type)

    def _stored(self, location: Location, frame: int) -> tuple[ImageHeader, bytes]:
        return self.images.header(location, frame), self.images.frame(location, frame)

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
        )

    def _write(self, key: str, picture: bytes) -> None:
        """Keep a rendition on disk, behind the answer."""
        if self.renditions is None or len(self._writes) >= _WRITES_AT_ONCE:
            return
        loop = asyncio.get_running_loop()
        write = loop.run_in_executor(None, self.renditions.put, key, picture)
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)


def by_state(state: State | None) -> tuple[str, ...]:
    """What more a rendition is kept by where a presentation state made it."""
    return () if state is None else (state.digest,)


def digest_of(
    frames: list[tuple[Location, int]], asked: RenderingParameters, media_type: str, *more: object
) -> str:
    """What a rendition is kept by: the bytes it is made of, what was asked, and the pipeline."""
    digest = hashlib.sha256(repr((PIPELINE, asked, media_type, *more)).encode())
    for location, frame in frames:
        digest.update(location.dataset_sha256)
        digest.update(b"%d %s " % (frame, location.transfer_syntax_uid.encode()))
    return digest.hexdigest()
