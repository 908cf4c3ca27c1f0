"""WADO-URI: one object as DICOM, as a picture, or as the video that it is (PS3.18 9)."""

from __future__ import annotations

from collections.abc import Sequence

from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.media_types import MediaType
from gantry.dicomweb.rendering import picture_offers, refuse_mixture
from gantry.dicomweb.wado_uri import UriRequest, parse
from gantry.errors import WebRequestError
from gantry.server.holdings import Holdings
from gantry.server.http import Request, Response
from gantry.server.rendered import Picture, RenderedRetrievals
from gantry.server.states import is_state
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
        if wanted.media_types:
            others = [*picture_offers(), accept.Offer(accept.DICOM)]
            playing = await self._videos.played(request, location, _ranges(wanted.media_types), others)
            if playing is not None:
                return playing
        frames = await self._rendered.count(location)
        one_of_all = wanted.frame is not None or wanted.presentation is not None
        moving = () if one_of_all else self._rendered.moving_types(frames)
        media_type = self._media_type(request, wanted, moving, is_image=frames > 0)
        if media_type == accept.DICOM:
            return await self._object(request, wanted, location)
        if wanted.transfer_syntax is not None:
            raise WebRequestError(400, "transferSyntax is for contentType=application/dicom only")
        if wanted.frame is not None and wanted.frame > frames:
            # PS3.18 9.1.2.3.6: a frame that is not there is a bad request here, not a missing resource.
            raise WebRequestError(400, f"frameNumber is {wanted.frame}, the object has {frames}")
        if media_type in moving:
            return await self._rendered.moving(request, location, frames, wanted.rendering, media_type)
        frame = wanted.frame or await self._rendered.representative(location, frames, otherwise=1)
        state = None
        if wanted.presentation is not None:
            by = await self._holdings.one(request, wanted.study_uid, *wanted.presentation)
            if not is_state(by):
                raise WebRequestError(400, "presentationUID names no presentation state that is applied")
            state = await self._rendered.opened(by)
        picture = Picture(location, frame, wanted.rendering, media_type, state)
        return await self._rendered.picture(request, picture)

    async def _object(self, request: Request, wanted: UriRequest, location: Location) -> Response:
        if wanted.asks_of_image:
            names = ", ".join(wanted.asks_of_image)
            raise WebRequestError(
                400, f"{names}: only for a picture, and the answer would be application/dicom"
            )
        return await self._whole.one_object(request, location, (_dicom_range(wanted),))

    def _media_type(
        self, request: Request, wanted: UriRequest, moving: Sequence[str], *, is_image: bool
    ) -> str:
        """`contentType`, else what Accept prefers, else a picture if there are pixels."""
        dicom = accept.Offer(accept.DICOM)
        offers = [*picture_offers(), dicom] if is_image else [dicom]
        offers += [accept.Offer(name) for name in moving if all(name != one.media_type for one in offers)]
        ranges = _ranges(wanted.media_types)
        if ranges:
            refuse_mixture(ranges)
        else:
            ranges = accept.parse_accept(request.header(b"accept"))
        return accept.require(ranges, offers, "the object").media_type


def _ranges(media_types: Sequence[MediaType]) -> tuple[accept.AcceptRange, ...]:
    """The types of `contentType` with their weights; what a transfer syntax is has a parameter of its own."""
    names = (m.essence + (f";q={m.parameters['q']}" if "q" in m.parameters else "") for m in media_types)
    return accept.parse_accept(",".join(names)) if media_types else ()


def _dicom_range(wanted: UriRequest) -> accept.AcceptRange:
    syntax = f"; transfer-syntax={wanted.transfer_syntax}" if wanted.transfer_syntax else ""
    return accept.parse_accept(accept.DICOM + syntax)[0]
