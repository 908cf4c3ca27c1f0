"""Pictures of stored frames: the header read here, the pixels decoded under guard, the result kept a while.

A rendition is a function of bytes that never change, so it is cached by the object's digest and what was
asked; a new version has another digest and misses.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import lru_cache

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.dicomweb.wado import Window as WantedWindow
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.server.decoders import Decoders, StoredFrame
from gantry.server.videos import video_frame
from gantry.standard.transfer_syntaxes import is_video

CACHE_BYTES = 64 << 20
_HEADERS_REMEMBERED = 1024

_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}


class Renderer:
    """Makes pictures (`__call__`) and plain samples (`decode`) of stored frames."""

    def __init__(self, archive: Archive, decoders: Decoders) -> None:
        self._archive = archive
        self._decoders = decoders
        self._cache = _ByteCache(CACHE_BYTES)
        self._header = lru_cache(maxsize=_HEADERS_REMEMBERED)(self._read_header)

    async def __call__(
        self,
        location: Location,
        frame: int,
        *,
        width: int = 0,
        height: int = 0,
        window: WantedWindow | None = None,
        media_type: str = "image/jpeg",
        quality: int = 90,
    ) -> bytes:
        """The picture of frame `frame`, from 1; DataSetError where it cannot be made."""
        wanted = Rendering(width, height, *_window(window), media_type=media_type, quality=quality)
        key = (location.dataset_sha256, frame, wanted)
        picture = self._cache.get(key)
        if picture is None:
            header, data = await asyncio.to_thread(self._stored, location, frame)
            picture = await self._decoders.render(data, location.transfer_syntax_uid, header, wanted)
            self._cache.put(key, picture)
        return picture

    async def decode(self, location: Location, frame: int) -> tuple[str, bytes]:
        """Photometric interpretation and samples (little endian, colour by pixel) of a frame, from 1."""
        header, data = await asyncio.to_thread(self._stored, location, frame)
        return await self._decoders.decode(data, location.transfer_syntax_uid, header)

    def _stored(self, location: Location, frame: int) -> tuple[ImageHeader, StoredFrame]:
        if is_video(location.transfer_syntax_uid):
            return self._header(location), video_frame(self._archive, location, frame)
        return self._header(location), self._archive.read_frame(location, frame)

    def _read_header(self, location: Location) -> ImageHeader:
        with self._archive.dataset(location) as ds:
            return ImageHeader.from_dataset(ds)


def _window(wanted: WantedWindow | None) -> tuple[Window | None, str]:
    if wanted is None:
        return None, ""
    return Window(wanted.center, wanted.width), _FUNCTIONS.get(wanted.function, "LINEAR")


class _ByteCache:
    """The renditions used last, up to so many bytes in all."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._held: OrderedDict[object, bytes] = OrderedDict()

    def get(self, key: object) -> bytes | None:
        if key not in self._held:
            return None
        self._held.move_to_end(key)
        return self._held[key]

    def put(self, key: object, value: bytes) -> None:
        self._size += len(value) - len(self._held.pop(key, b""))
        self._held[key] = value
        while self._size > self._limit:
            self._size -= len(self._held.popitem(last=False)[1])
