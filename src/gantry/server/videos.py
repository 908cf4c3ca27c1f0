"""Videos as they are kept, for players and for programs, by byte ranges (PS3.18 8.7.3.3, 8.7.4; RFC 9110 14).

A player that jumps asks for a range; what it is given lies in the fragments of Pixel Data and leaves them in
pieces, so that a video of gigabytes costs no more than one picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified, range_of_held
from gantry.dicomweb.rendering import picture_offers
from gantry.dicomweb.wado import media_types_of, playable_offers, video_offers
from gantry.errors import DataSetError, NotFound
from gantry.pixels.stretches import Span, Stretches, places
from gantry.pixels.video import VideoFrame
from gantry.pixels.video_stream import Container, VideoCodec, look
from gantry.server.holdings import Holdings, etag
from gantry.server.http import Headers, Request, Response, new_boundary
from gantry.standard.transfer_syntaxes import is_video

_REVALIDATE = (b"cache-control", b"private, no-cache")
_REMEMBERED = 256
"""Videos whose container is remembered: a player asks for hundreds of ranges of one."""


def video_frame(archive: Archive, location: Location, frame: int) -> VideoFrame:
    """Frame number `frame`, from 1, as a decoder takes it. Raises NotFound, DataSetError."""
    spans, path = archive.frames(location).spans(frame), archive.real_path(location)
    if path is None:
        raise DataSetError("frames are taken out of the file of a video, and this disk has no files")
    return VideoFrame(str(path), spans, frame - 1)


class VideoRetrievals:
    """Whole videos."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._media_types = lru_cache(maxsize=_REMEMBERED)(self._look)

    async def played(
        self,
        request: Request,
        location: Location,
        ranges: Sequence[accept.AcceptRange] | None = None,
        others: Sequence[accept.Offer] = picture_offers(),
    ) -> Response | None:
        """The video of an instance where the client prefers that to the other forms, else None.

        `ranges` is what the client accepts, if not by its Accept field.
        """
        if not is_video(location.transfer_syntax_uid):
            return None
        types = await asyncio.to_thread(self._media_types, location)
        wanted = request.accepted() if ranges is None else ranges
        form = accept.choose(wanted, [*others, *playable_offers(types)])
        if form is None or form.media_type not in types:
            return None
        return await self._stream(request, location, form, form.media_type)

    async def value(self, request: Request, location: Location, uri: str) -> Response:
        """The video as the bulk data at `uri`."""
        offers = video_offers(location.transfer_syntax_uid)
        form = accept.require(request.accepted(), offers, "the video")
        media_type = f"{form.media_type}; transfer-syntax={location.transfer_syntax_uid}"
        return await self._stream(request, location, form, media_type, uri)

    async def part(
        self, location: Location, form: accept.Offer, boundary: str, uri: str, *, first: bool
    ) -> AsyncIterator[bytes]:
        """The video as one part of an answer that others close."""
        spans = (await self._holdings.frames(location)).spans(1)
        media_type = f"{form.media_type}; transfer-syntax={location.transfer_syntax_uid}"
        yield part_head(boundary, {"Content-Type": media_type, "Content-Location": uri}, first=first)
        size = sum(length for _, length in spans)
        async for piece in await self._pieces(location, spans, 0, size):
            yield piece

    def _look(self, location: Location) -> tuple[str, ...]:
        """Media types of what a video really is."""
        archive, named = self._holdings.archive, media_types_of(location.transfer_syntax_uid)
        spans = archive.frames(location).spans(1)
        try:
            stream = Stretches(lambda offset, length: archive.read_range(location, offset, length), spans)
            facts = look(stream)
        except DataSetError:
            return named
        if facts.container is Container.MP4:
            return ("video/mp4", *(name for name in named if name != "video/mp4"))
        own = ("video/mp2t",) if facts.container is Container.TRANSPORT_STREAM else ()
        return (*named, *own) if facts.codec is VideoCodec.MPEG2 else own or named

    async def _stream(
        self, request: Request, location: Location, form: accept.Offer, content_type: str, uri: str = ""
    ) -> Response:
        spans = (await self._holdings.frames(location)).spans(1)
        size = sum(length for _, length in spans)
        if not size:
            raise NotFound("the video has no bytes")
        tag = etag(location, "video")
        headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if form.multipart:
            boundary = new_boundary()
            head = part_head(boundary, {"Content-Type": content_type, "Content-Location": uri}, first=True)
            headers.append((b"content-type", related_content_type(form.media_type, boundary).encode()))
            body = await self._pieces(location, spans, 0, size, head, closing(boundary))
            return Response(200, body, headers, length=len(head) + size + len(closing(boundary)))
        span = range_of_held(request.header(b"range"), request.header(b"if-range"), tag, size)
        start, stop = span or (0, size)
        headers += [(b"content-type", content_type.encode()), (b"accept-ranges", b"bytes")]
        if span is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
        body = await self._pieces(location, spans, start, stop)
        return Response(206 if span else 200, body, headers, length=stop - start)

    async def _pieces(
        self,
        location: Location,
        spans: Sequence[Span],
        start: int,
        stop: int,
        head: bytes = b"",
        tail: bytes = b"",
    ) -> AsyncIterator[bytes]:
        """Bytes of a video; the first are read before this returns, so that an error can be answered."""
        (offset, length), *others = places(spans, start, stop)
        first = await self._holdings.stream(location, offset, offset + length)

        async def pieces() -> AsyncIterator[bytes]:
            if head:
                yield head
            async for piece in first:
                yield piece
            for offset, length in others:
                async for piece in await self._holdings.stream(location, offset, offset + length):
                    yield piece
            if tail:
                yield tail

        return pieces()
