"""Rendered resources and thumbnails: pictures that any browser shows (PS3.18 10.4.1.1.3, 10.4.1.1.4).

One frame is one picture. Several are one part each of a multipart answer, or one moving picture where GIF
or MP4 is what the client takes. Asked for one picture of an object with many frames, the frame shown is the
one that the object names as its representative, else the first; a thumbnail shows that, else the middle
one, of the middle object of the largest series. What is no image is not rendered. A presentation state is
rendered as the images that it is for, by it; among other objects it is left out (8.3.5, 10.4.1.1.3).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.paths import instance_path
from gantry.dicomweb.ranges import not_modified, parse_range
from gantry.dicomweb.rendering import (
    GIF,
    RenderingParameters,
    check_profile,
    moving_offers,
    parse_rendering,
    parse_thumbnail,
    picture_offers,
    refuse_mixture,
    refuse_with_state,
)
from gantry.dicomweb.wado import parse_frame_list
from gantry.errors import Corrupt, DataSetError, GantryError, NotFound, StorageError, WebRequestError
from gantry.server.ahead import ahead
from gantry.server.holdings import Holdings, etag
from gantry.server.http import Headers, Request, Response, add_warnings, new_boundary
from gantry.server.moving import MovingPictures
from gantry.server.order import in_order
from gantry.server.renderer import Renderer, by_state, digest_of
from gantry.server.states import State, is_state
from gantry.server.videos import VideoRetrievals

MAX_RENDERED_PARTS = 10_000
"""Most pictures of one answer: each costs a decode."""

_THUMBNAIL_TRIES = 4
"""Objects of a series that are tried: where more in a row are broken, that is what there is to say."""

_NO_PICTURE = 422
_PARTS_AHEAD = 2
_PIECE_BYTES = 1 << 20
_PLAYS_ITSELF = (
    b"content-security-policy",
    b"default-src 'none'; media-src 'self'; frame-ancestors 'none'",
)
"""A browser shows a video in a page of its own, which must be let load it: scripts stay shut out."""

_REVALIDATE = (b"cache-control", b"private, no-cache")

_log = logging.getLogger("gantry.server.http")

Frames = Sequence[tuple[Location, int]]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to make."""

    location: Location
    frame: int
    asked: RenderingParameters
    media_type: str
    state: State | None = None

    @property
    def key(self) -> str:
        """What it is kept by."""
        return digest_of([(self.location, self.frame)], self.asked, self.media_type, *by_state(self.state))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """All frames of a resource, the one that stands for them if one does, whether none was left out, and the
    presentation state that shows them."""

    frames: Frames
    single: tuple[Location, int] | None
    is_whole: bool = True
    state: State | None = None


class RenderedRetrievals:
    """Pictures of studies, series, instances and frames."""

    def __init__(self, holdings: Holdings, renderer: Renderer | None, videos: VideoRetrievals) -> None:
        self._holdings = holdings
        self._videos = videos
        self._renderer = renderer
        self._moving = MovingPictures(renderer) if renderer is not None else None

    async def study(self, request: Request, study_uid: str) -> Response:
        return await self._all(request, await self._holdings.locate(request, study_uid), moves=False)

    async def series(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._all(
            request, await self._holdings.locate(request, study_uid, series_uid), moves=True
        )

    async def instance(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Response:
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        if is_state(location):
            asked = parse_rendering(request.query)
            refuse_with_state(asked)
            return await self._answer(request, await self._by_state(location), asked, moves=False)
        if (playing := await self._videos.played(request, location)) is not None:
            return playing
        count = await self._count(location)
        if not count:
            raise _no_image()
        frames = [(location, frame) for frame in range(1, count + 1)]
        single = location, await self.representative(location, count, otherwise=1)
        return await self._answer(request, _Wanted(frames, single), parse_rendering(request.query))

    async def frames(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> Response:
        frames = await self._listed(request, study_uid, series_uid, sop_uid, numbers)
        single = frames[0] if len(frames) == 1 else None
        return await self._answer(request, _Wanted(frames, single), parse_rendering(request.query))

    async def study_thumbnail(self, request: Request, study_uid: str) -> Response:
        return await self._thumbnail(request, await self._holdings.locate(request, study_uid))

    async def series_thumbnail(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._thumbnail(request, await self._holdings.locate(request, study_uid, series_uid))

    async def instance_thumbnail(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str
    ) -> Response:
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        if is_state(location):
            wanted = await self._by_state(location)
            one = wanted.frames[len(wanted.frames) // 2]
            return await self._answer(
                request, _Wanted([], one, state=wanted.state), parse_thumbnail(request.query)
            )
        return await self._thumbnail(request, [location])

    async def frame_thumbnail(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> Response:
        frames = await self._listed(request, study_uid, series_uid, sop_uid, numbers)
        return await self._answer(request, _Wanted(frames[:1], frames[0]), parse_thumbnail(request.query))

    async def picture(self, request: Request, picture: Picture) -> Response:
        """One picture as the whole answer."""
        check_profile(picture.asked.icc_profile, picture.media_type)
        tag = etag(picture.location, picture.key[:16])
        headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        headers.append((b"content-type", picture.media_type.encode()))
        response = Response(200, await self._made(picture), headers)
        return _warned(response, request, picture.asked)

    async def representative(self, location: Location, count: int, *, otherwise: int) -> int:
        """The frame that stands for all: the one that the object names, if it has it."""
        if count == 1:
            return 1
        facts = await asyncio.to_thread(self._need_renderer().images.facts, location)
        named = facts.representative_frame
        return named if named is not None and 1 <= named <= count else otherwise

    async def count(self, location: Location) -> int:
        """How many frames of an object can be shown; 0 for what is no image, and without a renderer."""
        return await self._count(location) if self._renderer is not None else 0

    async def opened(self, state: Location) -> State:
        """A presentation state to show by. Raises WebRequestError 422 for one that cannot be read."""
        try:
            return await asyncio.to_thread(self._need_renderer().states.open, state)
        except DataSetError as error:
            raise _no_picture(error) from error

    async def _by_state(self, state: Location) -> _Wanted:
        """All frames that a presentation state is for, the first of which stands for them."""
        try:
            shown = await asyncio.to_thread(self._need_renderer().states.shown, state)
        except DataSetError as error:
            raise _no_picture(error) from error
        if len(shown.frames) > MAX_RENDERED_PARTS:
            raise WebRequestError(
                413, f"{len(shown.frames)} pictures in one answer; at most {MAX_RENDERED_PARTS}"
            )
        return _Wanted(shown.frames, shown.frames[0], shown.is_whole, shown.state)

    def _need_renderer(self) -> Renderer:
        if self._renderer is None:
            raise WebRequestError(406, "this server has no renderer")
        return self._renderer

    async def _count(self, location: Location) -> int:
        images = self._need_renderer().images
        if not images.must_be_opened(location):
            return images.frame_count(location)  # the index knows
        return await asyncio.to_thread(images.frame_count, location)

    async def _listed(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> list[tuple[Location, int]]:
        wanted = parse_frame_list(numbers)
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        count = await self._count(location)
        if not count:
            raise _no_image()
        beyond = [frame for frame in wanted if frame > count]
        if beyond:
            raise NotFound(f"frame {beyond[0]} of an object that has {count}")
        return [(location, frame) for frame in wanted]

    async def _thumbnail(self, request: Request, locations: Sequence[Location]) -> Response:
        shown = _largest_series([location for location in locations if await self._count(location)])
        if not shown:
            raise NotFound("nothing here is an image: there is no thumbnail")
        asked, middle = parse_thumbnail(request.query), len(shown) // 2
        first: GantryError | None = None
        for location in [*shown[middle:], *shown[:middle]][:_THUMBNAIL_TRIES]:
            count = await self._count(location)
            frame = await self.representative(location, count, otherwise=(count + 1) // 2)
            try:
                return await self._answer(request, _Wanted([], (location, frame)), asked)
            except (WebRequestError, Corrupt) as error:
                if isinstance(error, WebRequestError) and error.status != _NO_PICTURE:
                    raise
                first = first or error  # one broken object does not stand for all the others
        assert first is not None
        raise first

    async def _all(self, request: Request, locations: Sequence[Location], *, moves: bool) -> Response:
        sound = self._holdings.sound(locations)
        images = [(location, count) for location in sound if (count := await self._count(location))]
        if not images:
            raise _no_image()
        total = sum(count for _, count in images)
        if total > MAX_RENDERED_PARTS:
            raise WebRequestError(413, f"{total} pictures in one answer; at most {MAX_RENDERED_PARTS}")
        asked = parse_rendering(request.query)
        ordered = await asyncio.to_thread(in_order, self._need_renderer().images, [one for one, _ in images])
        counts = dict(images)
        frames = [(one, frame) for one in ordered for frame in range(1, counts[one] + 1)]
        # PS3.18 10.4.1.1.3: presentation states are rendered only where they are asked for by themselves.
        is_whole = len(images) == sum(not is_state(location) for location in locations)
        wanted = _Wanted(frames, frames[0] if total == 1 else None, is_whole)
        return await self._answer(request, wanted, asked, moves=moves)

    async def _answer(
        self, request: Request, wanted: _Wanted, asked: RenderingParameters, *, moves: bool = True
    ) -> Response:
        """In the form that the client prefers: one picture, one part for each frame, or a moving one."""
        ranges = request.accepted()
        refuse_mixture(ranges)
        frames = wanted.frames or ([wanted.single] if wanted.single is not None else [])
        offers = list(picture_offers()) if wanted.single is not None else []
        moving: list[accept.Offer] = []
        if moves and len(frames) > 1 and self._moving is not None:
            moving = list(moving_offers(video=self._moving.has_video))
            offers = [offer for offer in offers if offer.media_type != GIF]
        form = accept.require(
            ranges, [*offers, *picture_offers(multipart=True), *moving], "the rendered resource"
        )
        check_profile(asked.icc_profile, form.media_type)
        if form.multipart:
            return await self._parts(request, replace(wanted, frames=frames), asked, form.media_type)
        if form in moving:
            return await self._move(request, frames, asked, form.media_type)
        assert wanted.single is not None
        return await self.picture(request, Picture(*wanted.single, asked, form.media_type, wanted.state))

    def moving_types(self, frames: int) -> tuple[str, ...]:
        """Media types in which so many frames are one moving picture."""
        if frames < 2 or self._moving is None:
            return ()
        return tuple(offer.media_type for offer in moving_offers(video=self._moving.has_video))

    async def moving(
        self, request: Request, location: Location, count: int, asked: RenderingParameters, media_type: str
    ) -> Response:
        """All frames of an object, moving."""
        return await self._move(request, [(location, n) for n in range(1, count + 1)], asked, media_type)

    async def _move(
        self, request: Request, frames: Frames, asked: RenderingParameters, media_type: str
    ) -> Response:
        assert self._moving is not None
        tag = f'"{digest_of(list(frames), asked, media_type)[:32]}"'
        headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        try:
            path = await self._moving.made(frames, asked, media_type)
        except DataSetError as error:
            raise _no_picture(error) from error
        headers += [(b"content-type", media_type.encode()), (b"accept-ranges", b"bytes"), _PLAYS_ITSELF]
        try:
            response = _file_response(request, path, headers)
        except OSError as error:
            raise StorageError(f"the moving picture is gone again: {error.strerror}") from error
        return _warned(response, request, asked)

    async def _parts(
        self, request: Request, wanted: _Wanted, asked: RenderingParameters, media_type: str
    ) -> Response:
        boundary, frames = new_boundary(), wanted.frames
        made = [Picture(*one, asked, media_type, wanted.state) for one in frames]
        pictures = ahead(made, self._made, _PARTS_AHEAD)
        # The first that can be made is made before anything is sent: if there is none, that is the answer.
        skipped, first, refusal = 0, b"", None
        async for task in pictures:
            refusal = _refusal(task)
            if refusal is None:
                first = task.result()
                break
            skipped += 1
        if refusal is not None:
            raise refusal
        body = self._made_parts(request, boundary, frames, skipped, first, media_type, pictures)
        content_type = related_content_type(media_type, boundary)
        # PS3.18 Table 10.4.3-1: 206 where it is known that some of the resource is not in the answer.
        status = 200 if wanted.is_whole and not skipped else 206
        response = Response(status, body, [(b"content-type", content_type.encode())])
        return _warned(response, request, asked)

    async def _made_parts(
        self,
        request: Request,
        boundary: str,
        frames: Frames,
        at: int,
        first: bytes,
        media_type: str,
        pictures: AsyncIterator[asyncio.Task[bytes]],
    ) -> AsyncIterator[bytes]:
        yield _head(request, boundary, frames[at], media_type, is_first=True) + first
        async for task in pictures:
            at += 1
            refusal = _refusal(task)
            if refusal is None:
                yield _head(request, boundary, frames[at], media_type, is_first=False) + task.result()
            else:
                location, frame = frames[at]
                _log.error("frame %d of %s left out of an answer: %s", frame, location.key.sop_uid, refusal)
        yield closing(boundary)

    async def _made(self, picture: Picture) -> bytes:
        try:
            return await self._need_renderer().picture(
                picture.location, picture.frame, picture.asked, picture.media_type, picture.state
            )
        except DataSetError as error:
            raise _no_picture(error) from error


def _refusal(task: asyncio.Task[bytes]) -> GantryError | None:
    """Why there is no picture of one frame, others may have one. Raises what concerns all."""
    error = task.exception()
    if error is None:
        return None
    if isinstance(error, (WebRequestError, Corrupt, NotFound)):
        return error
    raise error


def _no_image() -> WebRequestError:
    return WebRequestError(406, "nothing here is an image: it can be had as application/dicom")


def _no_picture(error: DataSetError) -> WebRequestError:
    # B54 to B58: the object is kept and served as it is; only a picture of it cannot be made.
    return WebRequestError(_NO_PICTURE, f"no picture can be made: {error}")


def _head(
    request: Request, boundary: str, frame: tuple[Location, int], media_type: str, *, is_first: bool
) -> bytes:
    key = frame[0].key
    path = instance_path(key.study_uid, key.series_uid, key.sop_uid)
    where = f"{request.base}/dicom-web{path}/frames/{frame[1]}/rendered"
    headers = {"Content-Type": media_type, "Content-Location": where}
    return part_head(boundary, headers, first=is_first)


def _warned(response: Response, request: Request, asked: RenderingParameters) -> Response:
    if asked.unknown_annotations:
        named = ", ".join(asked.unknown_annotations)
        add_warnings(response, request, [f"The following annotation values are not supported: {named}"])
    return response


def _file_response(request: Request, path: Path, headers: Headers) -> Response:
    """A file, or the range of it that was asked for. Raises OSError where it was removed meanwhile."""
    size = path.stat().st_size
    span = parse_range(request.header(b"range"), size)
    start, stop = span or (0, size)
    if span is not None:
        headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
    return Response(206 if span else 200, _pieces(path, start, stop), headers, length=stop - start)


async def _pieces(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    try:
        with await asyncio.to_thread(path.open, "rb", 0) as file:
            while start < stop:
                piece = await asyncio.to_thread(
                    os.pread, file.fileno(), min(_PIECE_BYTES, stop - start), start
                )
                if not piece:
                    return
                start += len(piece)
                yield piece
    except OSError as error:
        raise StorageError(f"the moving picture cannot be read any more: {error.strerror}") from error


def _largest_series(locations: Sequence[Location]) -> Sequence[Location]:
    """The objects of the series that has most: what a study shows itself by. The first, where several do."""
    series: dict[str, list[Location]] = {}
    for location in locations:
        series.setdefault(location.key.series_uid, []).append(location)
    return max(series.values(), key=len, default=())
