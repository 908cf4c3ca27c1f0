"""WADO-RS frames and pixel data: pieces of a file at places noted at ingest (PS3.18 10.4.1.1.4).

A frame as stored is one read. Native pixels go out as octets in little endian, compressed ones in the
media type of their transfer syntax, or as octets when the client names the syntax. Uncompressed pixels of
a compressed object need the decoder that was injected; without one the answer is 406.
A video is given whole, as the one value it is; its single frames are decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gantry.archive.frames import Span, StoredFrames
from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified, range_of_held
from gantry.dicomweb.wado import EXPLICIT_VR_LITTLE_ENDIAN, frame_offers, parse_frame_list, video_offers
from gantry.errors import DataSetError, NotFound, WebRequestError
from gantry.pixels.codecs.registry import can_decode
from gantry.pixels.stretches import places
from gantry.server.conversion import Conversion, Decode
from gantry.server.holdings import Holdings, etag, instance_uri
from gantry.server.http import Headers, Request, Response, new_boundary
from gantry.server.kept import Kept
from gantry.server.plans import Plan, Plans
from gantry.server.videos import VideoRetrievals, video_frame
from gantry.standard.transfer_syntaxes import is_video, transfer_syntax

_REVALIDATE = (b"cache-control", b"private, no-cache")

KEPT_BYTES = 64 << 20
"""Frames that were made and are asked for by ranges: a viewer comes for the rest of one within seconds."""


@dataclass(frozen=True, slots=True)
class _Frames:
    """The frames of one answer: of which object, where, in which form."""

    location: Location
    table: StoredFrames
    offer: accept.Offer

    @property
    def decoded(self) -> bool:
        """Whether the frames are to be decompressed."""
        stored = self.location.transfer_syntax_uid
        return (
            transfer_syntax(stored).encapsulated and self.offer.transfer_syntax == EXPLICIT_VR_LITTLE_ENDIAN
        )

    @property
    def transcoded_to(self) -> str | None:
        """The compressed transfer syntax to make of the stored one."""
        wanted = self.offer.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
        stored = self.location.transfer_syntax_uid
        return wanted if wanted != stored and transfer_syntax(wanted).encapsulated else None

    @property
    def content_type(self) -> str:
        syntax = self.offer.transfer_syntax or EXPLICIT_VR_LITTLE_ENDIAN
        return f"{self.offer.media_type}; transfer-syntax={syntax}"


class FrameRetrievals:
    """Frames by number, and all of them."""

    def __init__(
        self,
        holdings: Holdings,
        decode: Decode | None,
        conversion: Conversion,
        plans: Plans,
        videos: VideoRetrievals,
    ) -> None:
        self._holdings = holdings
        self._decode = decode
        self._conversion = conversion
        self._plans = plans
        self._videos = videos
        self._made_for_ranges = Kept[bytes](KEPT_BYTES, len)

    async def frames(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, numbers: str
    ) -> Response:
        wanted = parse_frame_list(numbers)
        generation = self._plans.generation()
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        found = await self._choose(request, location, len(wanted))
        beyond = [n for n in wanted if n > found.table.count]
        if beyond:
            raise NotFound(f"frame {beyond[0]} of an object that has {found.table.count}")
        response = await self._answer(request, found, wanted, f"frames/{numbers}")
        if len(wanted) == 1:
            self._remember(request, found, wanted[0], generation)
        return response

    async def of_value(self, request: Request, location: Location, uri: str) -> Response:
        """Encapsulated Pixel Data as the bulk data at `uri`: one part a frame, or the video that it is.

        The only frame of an object may be had without parts too, as what is not encapsulated may.
        """
        if is_video(location.transfer_syntax_uid):
            return await self._videos.value(request, location, uri)
        found = await self._choose(request, location, None)
        return await self._answer(request, found, range(1, found.table.count + 1), "bulk", uri)

    def forms(self, location: Location) -> tuple[accept.Offer, ...]:
        """What the Pixel Data of an object can be had as, in parts."""
        if is_video(location.transfer_syntax_uid):
            return tuple(offer for offer in video_offers(location.transfer_syntax_uid) if offer.multipart)
        return self._forms(location, single_part=False)

    def _forms(self, location: Location, *, single_part: bool) -> tuple[accept.Offer, ...]:
        """What the frames of an object can be had as."""
        stored = location.transfer_syntax_uid
        return frame_offers(
            None if is_video(stored) else stored,
            self._conversion.frame_targets(location),
            decodable=self._decode is not None and (can_decode(stored) or is_video(stored)),
            single_part=single_part,
        )

    async def parts_of_all(
        self, location: Location, form: accept.Offer, boundary: str, root: str, *, first: bool
    ) -> AsyncIterator[bytes | memoryview]:
        """All frames of an object in one of its `forms`, as parts of an answer that others close.

        Their Content-Location is below `root`. Raises NotFound where the frames cannot be told apart.
        """
        if is_video(location.transfer_syntax_uid):
            async for part in self._videos.part(location, form, boundary, root, first=first):
                yield part
            return
        found = _Frames(location, await self._holdings.frames(location), form)
        async for piece in self._parts(found, range(1, found.table.count + 1), boundary, root, first=first):
            yield piece

    async def _choose(self, request: Request, location: Location, wanted: int | None) -> _Frames:
        """The form for so many frames; None is all there are."""
        table = await self._holdings.frames(location)
        offers = self._forms(location, single_part=(table.count if wanted is None else wanted) == 1)
        return _Frames(location, table, accept.require(request.accepted(), offers, "the frames"))

    async def _answer(
        self, request: Request, found: _Frames, wanted: Sequence[int], what: str, root: str = ""
    ) -> Response:
        tag = etag(found.location, f"{what.replace('/', '-')[:64]}-{found.content_type.rpartition('=')[2]}")
        headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if not found.offer.multipart:
            return await self._bare(request, found, wanted[0], tag, headers)
        boundary = new_boundary()
        headers.append((b"content-type", related_content_type(found.offer.media_type, boundary).encode()))
        root = root or instance_uri(request.base, found.location.key)
        # The first is made before anything is sent: if it cannot be, that can still be answered.
        ready = await self._frame(found, wanted[0]) if wanted else None
        return Response(200, self._closed_parts(found, wanted, boundary, root, ready), headers)

    async def _bare(
        self, request: Request, found: _Frames, frame: int, tag: str, headers: Headers
    ) -> Response:
        headers += [
            (b"content-type", found.content_type.encode()),
            (b"content-disposition", b"attachment"),
            (b"accept-ranges", b"bytes"),
        ]
        field = request.header(b"range")
        if field is None:
            return Response(200, await self._frame(found, frame), headers)
        held, spans = request.header(b"if-range"), self._stored_spans(found, frame)
        data = None if spans else await self._frame_for_ranges(found, frame, tag)
        size = sum(length for _, length in spans) if data is None else len(data)
        span = range_of_held(field, held, tag, size)
        start, stop = span or (0, size)
        if span is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
        if data is None:
            body: bytes | memoryview = await self._holdings.read_spans(
                found.location, list(places(spans, start, stop))
            )
        else:
            body = memoryview(data)[start:stop]
        return Response(206 if span else 200, body, headers)

    @staticmethod
    def _stored_spans(found: _Frames, frame: int) -> Sequence[Span]:
        """Where the frame lies that is sent as it is stored; none where it is made first."""
        is_made = found.decoded or found.transcoded_to or found.table.is_stream
        if is_made or not _is_plain(found.location, found.table, frame):
            return ()
        return found.table.spans(frame)

    async def _frame_for_ranges(self, found: _Frames, frame: int, tag: str) -> bytes:
        """A frame that is made, or was a moment ago: its entity tag names it and its form."""
        data = self._made_for_ranges.get(tag)
        if data is None:
            data = await self._frame(found, frame)
            self._made_for_ranges.put(tag, data)
        return data

    async def _closed_parts(
        self, found: _Frames, wanted: Sequence[int], boundary: str, root: str, ready: bytes | None
    ) -> AsyncIterator[bytes | memoryview]:
        async for piece in self._parts(found, wanted, boundary, root, first=True, ready=ready):
            yield piece
        yield closing(boundary)

    async def _parts(
        self,
        found: _Frames,
        wanted: Sequence[int],
        boundary: str,
        root: str,
        *,
        first: bool,
        ready: bytes | None = None,
    ) -> AsyncIterator[bytes | memoryview]:
        """`ready` is the first of the frames, where it is made already."""
        for frame in wanted:
            headers = {"Content-Type": found.content_type, "Content-Location": f"{root}/frames/{frame}"}
            yield part_head(boundary, headers, first=first)
            yield await self._frame(found, frame) if ready is None else ready
            first, ready = False, None

    async def _frame(self, found: _Frames, frame: int) -> bytes:
        try:
            return await self._made(found, frame)
        except DataSetError as error:
            # B54 to B58: the object is kept and served as it is; only this frame cannot be decoded.
            raise WebRequestError(422, f"frame {frame} cannot be had so: {error}") from error

    async def _made(self, found: _Frames, frame: int) -> bytes:
        if found.decoded:
            assert self._decode is not None
            return (await self._decode(found.location, frame))[1]
        if found.table.is_stream:
            assert found.transcoded_to is not None
            video = video_frame(self._holdings.archive, found.location, frame)
            return await self._conversion.frame(found.location, video, found.transcoded_to)
        data = await self._holdings.read_spans(found.location, found.table.spans(frame))
        if found.transcoded_to is not None:
            shifted = found.table.from_first_bit(frame, data)
            return await self._conversion.frame(found.location, shifted, found.transcoded_to)
        return native_frame(found.location, found.table, frame, data)

    def _remember(self, request: Request, found: _Frames, frame: int, generation: int) -> None:
        """Let the next request for the same frame in the same form take the short way."""
        spans = found.table.spans(frame)
        if (
            found.decoded
            or found.transcoded_to
            or len(spans) != 1
            or not _is_plain(found.location, found.table, frame)
        ):
            return
        root = instance_uri("", found.location.key)
        tag = etag(found.location, f"frames-{frame}-{found.content_type.rpartition('=')[2]}")
        plan = Plan(found.location, *spans[0], found.offer, found.content_type, f"{root}/frames/{frame}", tag)
        self._plans.remember(request, plan, generation)


def _is_plain(location: Location, table: StoredFrames, frame: int) -> bool:
    """Whether a frame's bytes in the file are the frame as it is sent."""
    starts_and_ends_with_a_byte = not table.first_bit(frame) and not (table.frame_bits or 0) % 8
    return transfer_syntax(location.transfer_syntax_uid).little_endian and starts_and_ends_with_a_byte


def native_frame(location: Location, table: StoredFrames, frame: int, data: bytes) -> bytes:
    """A frame as PS3.18 sends it: in little endian, its first pixel at the first bit."""
    if not table.is_native:
        return data
    syntax = transfer_syntax(location.transfer_syntax_uid)
    if not syntax.little_endian:
        data = swapped_words(data)
    return table.from_first_bit(frame, data)


def swapped_words(data: bytes) -> bytes:
    """16-bit words with their bytes exchanged: OW of Explicit VR Big Endian (PS3.5 A.3)."""
    swapped = bytearray(data)
    even = len(data) & ~1
    swapped[0:even:2], swapped[1:even:2] = data[1:even:2], data[0:even:2]
    return bytes(swapped)
