"""Rendered resources and thumbnails: pictures that any browser shows (PS3.18 10.4.1.1.3).

The picture itself is made by the function that the app was given, outside of this process; here the
request is read, the object and frame are chosen, and the answer gets its tag. A study or series is
rendered as one part per instance; a thumbnail of one is that of its middle instance.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified
from gantry.dicomweb.wado import (
    RenderingParameters,
    Viewport,
    Window,
    parse_frame_list,
    parse_rendering,
    rendered_offers,
)
from gantry.errors import DataSetError, NotFound, WebRequestError
from gantry.server.holdings import Holdings, etag
from gantry.server.http import Headers, Request, Response, new_boundary
from gantry.server.videos import VideoRetrievals

THUMBNAIL_PIXELS = 128
"""Longest side of a thumbnail unless a viewport is asked for."""

MAX_RENDERED_PARTS = 1000
"""Most pictures of one answer: each costs a decode."""

DEFAULT_QUALITY = 90

_REVALIDATE = (b"cache-control", b"private, no-cache")


class Render(Protocol):
    """Makes the picture of one frame, from 1; sizes of 0 mean as stored. Raises DataSetError."""

    async def __call__(
        self,
        location: Location,
        frame: int,
        *,
        width: int,
        height: int,
        window: Window | None,
        media_type: str,
        quality: int,
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to make."""

    location: Location
    frame: int
    rendering: RenderingParameters
    media_type: str

    @property
    def tag(self) -> str:
        words = repr((self.frame, self.rendering, self.media_type)).encode()
        return etag(self.location, hashlib.sha256(words).hexdigest()[:16])


class RenderedRetrievals:
    """Pictures of studies, series, instances and frames."""

    def __init__(self, holdings: Holdings, render: Render | None, videos: VideoRetrievals) -> None:
        self._holdings = holdings
        self._videos = videos
        self._render = render

    async def study(self, request: Request, study_uid: str) -> Response:
        return await self._all(request, await self._holdings.locate(request, study_uid))

    async def series(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._all(request, await self._holdings.locate(request, study_uid, series_uid))

    async def instance(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Response:
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        if (playing := await self._videos.played(request, location)) is not None:
            return playing
        return await self._one(request, location, 1, parse_rendering(request.query))

    async def frames(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> Response:
        wanted = parse_frame_list(numbers)
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        rendering = parse_rendering(request.query)
        if len(wanted) == 1:
            return await self._one(request, location, wanted[0], rendering)
        return await self._parts(request, [(location, frame) for frame in wanted], rendering)

    async def study_thumbnail(self, request: Request, study_uid: str) -> Response:
        return await self._thumbnail(request, await self._holdings.locate(request, study_uid), None)

    async def series_thumbnail(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._thumbnail(
            request, await self._holdings.locate(request, study_uid, series_uid), None
        )

    async def instance_thumbnail(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str
    ) -> Response:
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        return await self._thumbnail(request, [location], None)

    async def frame_thumbnail(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> Response:
        frame = parse_frame_list(numbers)[0]
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        return await self._thumbnail(request, [location], frame)

    async def picture(self, request: Request, picture: Picture) -> Response:
        """One picture as the whole answer."""
        headers: Headers = [(b"etag", picture.tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), picture.tag):
            return Response(304, b"", headers)
        headers.append((b"content-type", picture.media_type.encode()))
        return Response(200, await self._made(picture), headers)

    async def _one(
        self, request: Request, location: Location, frame: int, rendering: RenderingParameters
    ) -> Response:
        self._require_frame(location, frame)
        form = accept.choose(request.accepted(), rendered_offers())
        if form is None:
            return await self._parts(request, [(location, frame)], rendering)
        return await self.picture(request, Picture(location, frame, rendering, form.media_type))

    async def _thumbnail(
        self, request: Request, locations: Sequence[Location], frame: int | None
    ) -> Response:
        shown = _largest_series([location for location in locations if location.pixel is not None])
        if not shown:
            raise NotFound("nothing here has Pixel Data to make a thumbnail of")
        location = shown[len(shown) // 2]
        if frame is None:
            frame = (self._holdings.archive.frames(location).count + 1) // 2
        rendering = parse_rendering(request.query)
        if rendering.viewport is None:
            viewport = Viewport(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
            rendering = RenderingParameters(viewport, rendering.window, rendering.quality)
        return await self._one(request, location, max(1, frame), rendering)

    async def _all(self, request: Request, locations: Sequence[Location]) -> Response:
        frames = self._holdings.archive.frames
        wanted = [
            (location, frame)
            for location in locations
            if location.pixel is not None
            for frame in range(1, min(frames(location).count, MAX_RENDERED_PARTS) + 1)
        ]
        if not wanted:
            raise NotFound("nothing here has Pixel Data to render")
        return await self._parts(request, wanted, parse_rendering(request.query))

    async def _parts(
        self, request: Request, wanted: Sequence[tuple[Location, int]], rendering: RenderingParameters
    ) -> Response:
        if len(wanted) > MAX_RENDERED_PARTS:
            raise WebRequestError(413, f"{len(wanted)} pictures in one answer; ask for {MAX_RENDERED_PARTS}")
        offers = [accept.Offer(offer.media_type, multipart=True) for offer in rendered_offers()]
        form = accept.require(request.accepted(), offers, "the rendered pictures")
        for location, frame in wanted:
            self._require_frame(location, frame)
        boundary = new_boundary()
        pictures = [Picture(location, frame, rendering, form.media_type) for location, frame in wanted]
        content_type = related_content_type(form.media_type, boundary)
        # The first is made before anything is sent: if it cannot be, that can still be answered.
        body = self._made_parts(await self._made(pictures[0]), pictures, boundary)
        return Response(200, body, [(b"content-type", content_type.encode())])

    async def _made_parts(
        self, first: bytes, pictures: Sequence[Picture], boundary: str
    ) -> AsyncIterator[bytes]:
        headers = {"Content-Type": pictures[0].media_type}
        yield part_head(boundary, headers, first=True) + first
        for picture in pictures[1:]:
            yield part_head(boundary, headers, first=False) + await self._made(picture)
        yield closing(boundary)

    def _require_frame(self, location: Location, frame: int) -> None:
        count = self._holdings.archive.frames(location).count
        if frame > count:
            raise NotFound(f"frame {frame} of an object that has {count}")

    async def _made(self, picture: Picture) -> bytes:
        if self._render is None:
            raise WebRequestError(406, "this server has no renderer")
        wanted = picture.rendering
        try:
            return await self._render(
                picture.location,
                picture.frame,
                width=wanted.viewport.width if wanted.viewport else 0,
                height=wanted.viewport.height if wanted.viewport else 0,
                window=wanted.window,
                media_type=picture.media_type,
                quality=wanted.quality or DEFAULT_QUALITY,
            )
        except DataSetError as error:
            # B54 to B58: the object is kept and served as it is; only a picture of it cannot be made.
            raise WebRequestError(422, f"no picture can be made: {error}") from error


def _largest_series(locations: Sequence[Location]) -> Sequence[Location]:
    """The objects of the series that has most: what a study shows itself by. The first, where several do."""
    series: dict[str, list[Location]] = {}
    for location in locations:
        series.setdefault(location.key.series_uid, []).append(location)
    return max(series.values(), key=len, default=())
