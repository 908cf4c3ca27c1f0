"""WADO-URI: one object as DICOM, as a picture, or as the video that it is (PS3.18 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gantry.dicomweb import accept
from gantry.dicomweb.media_types import MediaType
from gantry.dicomweb.wado import rendered_offers
from gantry.dicomweb.wado_uri import UriRequest, parse
from gantry.errors import NotFound, WebRequestError
from gantry.server.holdings import Holdings
from gantry.server.http import Request, Response
from gantry.server.rendered import Picture, RenderedRetrievals
from gantry.server.videos import VideoRetrievals
from gantry.server.wado import Retrievals


class UriService:
    """Answers ``/wado``."""

    def __init__(
        self,
        holdings: Holdings,
        whole: Retrievals,
        rendered: RenderedRetrievals,
        videos: VideoRetrievals,
    ) -> None:
        self._holdings = holdings
        self._videos = videos
        self._whole = whole
        self._rendered = rendered

    async def retrieve(self, request: Request) -> Response:
        """Read the parameters and answer with one object or picture."""
        wanted = parse(request.query)
        if wanted.anonymize:
            # PS3.18 9.1.2.2.2: a server that cannot remove identity must refuse rather than send it.
            raise WebRequestError(406, "this service does not de-identify")
        location = await self._holdings.one(request, wanted.study_uid, wanted.series_uid, wanted.sop_uid)
        offers = [*rendered_offers(), accept.Offer(accept.DICOM)]
        if location.pixel is None:
            offers = offers[-1:]
        ranges = _ranges(wanted.media_types) or accept.parse_accept(request.header(b"accept"))
        if (playing := await self._videos.played(request, location, ranges, offers)) is not None:
            return playing
        # `contentType`, else what Accept prefers, else a picture if there are pixels
        media_type = accept.require(ranges, offers, "the object").media_type
        if media_type == accept.DICOM:
            return await self._whole.one_object(request, location, (_dicom_range(wanted),))
        frames = self._holdings.archive.frames(location).count
        frame = wanted.frame or 1
        if frame > frames:
            raise NotFound(f"frame {frame} of an object that has {frames}")
        return await self._rendered.picture(
            request, Picture(location, frame, replace(wanted.rendering), media_type)
        )


def _ranges(media_types: Sequence[MediaType]) -> tuple[accept.AcceptRange, ...]:
    if not media_types:
        return ()
    return accept.parse_accept(",".join(m.essence for m in media_types))


def _dicom_range(wanted: UriRequest) -> accept.AcceptRange:
    syntax = f"; transfer-syntax={wanted.transfer_syntax}" if wanted.transfer_syntax else ""
    return accept.parse_accept(accept.DICOM + syntax)[0]
