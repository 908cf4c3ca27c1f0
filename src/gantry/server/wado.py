"""WADO-RS: studies, series and instances as DICOM (PS3.18 10.4).

Objects go out as they are stored wherever the client takes that; otherwise in a transfer syntax that it
takes, made on the way. Nothing larger than a piece of an object is held in memory, whatever the size of the
study. Metadata, frames, bulk data and renderings are in files of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gantry.archive.index import Location
from gantry.archive.open_object import OpenObject
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified, range_of_held
from gantry.dicomweb.wado import instance_offers
from gantry.server.conversion import Conversion
from gantry.server.holdings import Holdings, etag, instance_uri
from gantry.server.http import FilePiece, Headers, Request, Response, new_boundary
from gantry.server.plans import Plan, Plans

REVALIDATE = (b"cache-control", b"private, no-cache")
"""Keep it, but ask before each use: objects have versions, and asking costs one 304."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """One object of an answer and the transfer syntax it goes out in."""

    location: Location
    offer: accept.Offer

    @property
    def syntax(self) -> str:
        return self.offer.transfer_syntax or self.location.transfer_syntax_uid

    @property
    def as_stored(self) -> bool:
        return self.offer.transfer_syntax == self.location.transfer_syntax_uid


class Retrievals:
    """Whole objects."""

    def __init__(self, holdings: Holdings, conversion: Conversion, plans: Plans) -> None:
        self._holdings = holdings
        self._conversion = conversion
        self._plans = plans

    async def study(self, request: Request, study_uid: str) -> Response:
        return await self._many(request, await self._holdings.locate(request, study_uid))

    async def series(self, request: Request, study_uid: str, series_uid: str) -> Response:
        return await self._many(request, await self._holdings.locate(request, study_uid, series_uid))

    async def instance(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Response:
        generation = self._plans.generation()
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        ranges = request.accepted()
        offer = accept.choose(ranges, self._offers(location, single_part=True))
        if offer is not None and offer.transfer_syntax == location.transfer_syntax_uid:
            self._remember(request, location, offer, generation)
        return await self.one_object(request, location, ranges)

    def _remember(self, request: Request, location: Location, offer: accept.Offer, generation: int) -> None:
        """Let the next request for the same object in the same form take the short way."""
        path = instance_uri("", location.key)
        tag = _tag_of_all([_Sent(location, offer)]) if offer.multipart else etag(location)
        fields = () if offer.multipart else (_attachment(location), _RANGES)
        plan = Plan(location, 0, location.file_size, offer, _dicom_type(offer), path, tag, fields)
        self._plans.remember(request, plan, generation)

    async def one_object(
        self, request: Request, location: Location, ranges: Sequence[accept.AcceptRange]
    ) -> Response:
        """One object, bare or as the only part."""
        offers = self._offers(location, single_part=True)
        sent = _Sent(location, accept.require(ranges, offers, "the object"))
        if sent.offer.multipart:
            return await self._in_parts(request, [sent], whole=True)
        tag = etag(location, "" if sent.as_stored else sent.syntax)
        headers: Headers = [
            (b"content-type", _dicom_type(sent.offer).encode()),
            _attachment(location),
            (b"etag", tag.encode()),
            REVALIDATE,
        ]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if sent.as_stored:
            return await self._stored(request, location, tag, headers)
        size, body = await self._conversion.made(location, sent.syntax)
        return Response(200, body, headers, length=size)

    async def _stored(self, request: Request, location: Location, tag: str, headers: Headers) -> Response:
        headers.append(_RANGES)
        size = location.file_size
        span = range_of_held(request.header(b"range"), request.header(b"if-range"), tag, size)
        start, stop = span or (0, size)
        if span is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
        body = await self._holdings.stream(location, start, stop)
        return Response(206 if span else 200, body, headers, length=stop - start)

    def _offers(self, location: Location, *, single_part: bool) -> tuple[accept.Offer, ...]:
        others = self._conversion.targets(location)
        return instance_offers(location.transfer_syntax_uid, others, single_part=single_part)

    async def _many(self, request: Request, locations: Sequence[Location]) -> Response:
        ranges = request.accepted()
        sent, chosen = [], dict[tuple[str, bool, bool], accept.Offer | None]()
        for location in self._holdings.sound(locations):
            kind = (location.transfer_syntax_uid, location.pixel is None, self._conversion.is_large(location))
            if kind not in chosen:
                chosen[kind] = accept.choose(ranges, self._offers(location, single_part=False))
            offer = chosen[kind]
            if offer is not None:
                sent.append(_Sent(location, offer))
        if not sent:
            accept.require(ranges, self._offers(locations[0], single_part=False), "the objects")
        return await self._in_parts(request, sent, whole=len(sent) == len(locations))

    async def _in_parts(self, request: Request, sent: Sequence[_Sent], *, whole: bool) -> Response:
        tag = _tag_of_all(sent)
        headers: Headers = [(b"etag", tag.encode()), REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        boundary = new_boundary()
        headers.append((b"content-type", related_content_type(accept.DICOM, boundary).encode()))
        heads = [_head(boundary, item, request.base, first=n == 0) for n, item in enumerate(sent)]
        length = None
        if all(item.as_stored for item in sent):
            length = sum(len(head) for head in heads) + sum(item.location.file_size for item in sent)
            length += len(closing(boundary))
        # PS3.18 Table 10.4.3-1: 206 where some of the objects cannot be had in the form asked for.
        # Before anything is answered: an object store that is away is a status of its own
        groups = _groups(sent)
        first = await self._opened(groups[0])
        body = self._parts(boundary, first, groups[1:], heads)
        return Response(200 if whole else 206, body, headers, length=length)

    async def _parts(
        self,
        boundary: str,
        opened: list[_Opened],
        groups: Sequence[Sequence[_Sent]],
        heads: Sequence[bytes],
    ) -> AsyncIterator[bytes | memoryview | FilePiece]:
        # One group of objects ahead: opening it overlaps with sending the one before.
        ahead: asyncio.Task[list[_Opened]] | None = None
        head = iter(heads)
        try:
            for following in [*groups, None]:
                if ahead is not None:
                    opened = await ahead
                if following is not None:
                    ahead = asyncio.create_task(self._opened(following))
                for body in opened:
                    if isinstance(body, OpenObject):
                        yield FilePiece(next(head), body.file, 0, body.length)
                        body.close()
                    else:
                        yield next(head)
                        async for piece in body:
                            yield piece
            yield closing(boundary)
        finally:
            if ahead is not None:
                ahead.add_done_callback(_look_at_error)

    async def _opened(self, group: Sequence[_Sent]) -> list[_Opened]:
        """The objects of a group: open files that lie in memory, or else what they are read or made from."""
        if len(group) > 1 or _is_small(group[0]):
            files = await self._holdings.open([item.location for item in group])
            if files is not None:
                return list(files)
        return [await self._streamed(item) for item in group]

    async def _streamed(self, item: _Sent) -> AsyncIterator[bytes | memoryview]:
        if item.as_stored:
            return await self._holdings.stream(item.location, 0, item.location.file_size)
        return (await self._conversion.made(item.location, item.syntax))[1]


_Opened = OpenObject | AsyncIterator[bytes | memoryview]


def _is_small(item: _Sent) -> bool:
    return item.as_stored and item.location.file_size <= _GROUP_BYTES


def _groups(sent: Sequence[_Sent]) -> list[list[_Sent]]:
    """Small objects that go out as they are, several at once: to ask a thread costs more than to open one."""
    groups: list[list[_Sent]] = []
    size = _GROUP_BYTES + 1
    for item in sent:
        weight = item.location.file_size if _is_small(item) else _GROUP_BYTES + 1
        if size + weight > _GROUP_BYTES or len(groups[-1]) == _GROUP_OBJECTS:
            groups.append([])
            size = 0
        groups[-1].append(item)
        size += weight
    return groups


def _look_at_error(task: asyncio.Task[list[_Opened]]) -> None:
    # A group that nobody waits for any more; not cancelled, because its thread would go on all the same.
    if not task.cancelled():
        task.exception()


_GROUP_OBJECTS, _GROUP_BYTES = 16, 16 << 20
_RANGES = (b"accept-ranges", b"bytes")


def _attachment(location: Location) -> tuple[bytes, bytes]:
    # The UID was checked to be digits and points before it came here: it is the path's.
    return b"content-disposition", f'attachment; filename="{location.key.sop_uid}.dcm"'.encode()


def _dicom_type(offer: accept.Offer) -> str:
    return f"{accept.DICOM}; transfer-syntax={offer.transfer_syntax}"


def _head(boundary: str, item: _Sent, base: str, *, first: bool) -> bytes:
    headers = {
        "Content-Type": _dicom_type(item.offer),
        "Content-Location": instance_uri(base, item.location.key),
    }
    return part_head(boundary, headers, first=first)


def _tag_of_all(sent: Sequence[_Sent]) -> str:
    digest = hashlib.sha256()
    for item in sent:
        digest.update(item.location.identity)
        digest.update(item.location.meta_sha256)
        digest.update((item.offer.transfer_syntax or "").encode())
    return f'"{digest.hexdigest()[:32]}-parts"'
