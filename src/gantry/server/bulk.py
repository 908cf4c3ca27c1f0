"""WADO-RS bulk data: values of an object, by the path that its metadata gave (PS3.18 10.4.1.1.5).

A path is the tag of the attribute, or, inside sequences, tag, number of the Item from 1, tag, and so on:
``54000100/1/54001010``. Values go out in little endian whatever the object was stored in, read in pieces
from where they lie in the file; encapsulated Pixel Data goes out frame by frame, each below the value's
path: ``7FE00010/frames/3``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from gantry.archive.index import Location
from gantry.dataset.reencode import little_endian_value
from gantry.dataset.scan import DataSet
from gantry.dataset.vr import element_vr
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified, range_of_held
from gantry.dicomweb.wado import bulk_offers
from gantry.errors import NotFound, WebRequestError
from gantry.server.frames import FrameRetrievals
from gantry.server.holdings import Holdings, etag, instance_uri
from gantry.server.http import Headers, Request, Response, new_boundary
from gantry.standard.dictionary import PIXEL_DATA
from gantry.standard.transfer_syntaxes import transfer_syntax

MAX_PATH_STEPS = 129
"""64 levels of sequences, two steps each, and the attribute."""

_ENCAPSULATED_DOCUMENT = 0x00420011
_MIME_TYPE_OF_DOCUMENT = 0x00420012
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_FRAMES = re.compile(f"{PIXEL_DATA:08X}/frames/(.*)", re.IGNORECASE)

Steps = tuple[int, ...]
"""Tags and Item numbers of a path, in turn."""


@dataclass(frozen=True, slots=True)
class BulkValue:
    """One value: what it is, its length in bytes, and where it lies in the file.

    `offset` is None where the bytes in the file are others: in big endian, or deflated.
    """

    media_type: str
    length: int
    offset: int | None


class BulkValues:
    """Finds values in objects and reads them."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    async def find(self, location: Location, steps: Steps) -> BulkValue:
        """The value at a path. Raises NotFound, StorageError."""
        return await asyncio.to_thread(self._find, location, steps)

    def _find(self, location: Location, steps: Steps) -> BulkValue:
        with self._holdings.archive.dataset(location) as ds:
            return value_in(ds, steps)

    async def body(
        self, location: Location, steps: Steps, value: BulkValue, start: int, stop: int
    ) -> AsyncIterator[bytes]:
        """The bytes of a value from `start` to `stop`, in pieces, of which the first is read already."""
        if value.offset is not None:
            return await self._holdings.stream(location, value.offset + start, value.offset + stop)
        return _once((await asyncio.to_thread(self._made, location, steps))[start:stop])

    def _made(self, location: Location, steps: Steps) -> bytes:
        with self._holdings.archive.dataset(location) as ds:
            holder = _holder(ds, steps)
            return little_endian_value(holder, holder.elements[steps[-1]])


def value_in(ds: DataSet, steps: Steps) -> BulkValue:
    """The value at a path within a Data Set. Raises NotFound."""
    holder = _holder(ds, steps)
    element = holder.elements.get(steps[-1])
    if element is None or element_vr(holder, element) == "SQ":
        raise NotFound("no such bulk data in the object")
    _, _, offset, length, _ = element
    as_it_lies = ds.syntax.little_endian and not ds.syntax.deflated
    return BulkValue(_media_type(holder, steps[-1]), length, offset if as_it_lies else None)


def _holder(ds: DataSet, steps: Steps) -> DataSet:
    """The Data Set, or the Item of it, that holds what is at a path."""
    for tag, number in zip(steps[:-1:2], steps[1:-1:2], strict=True):
        items = ds.sequence(tag)
        if not 1 <= number <= len(items):
            raise NotFound(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has {len(items)} Items")
        ds = items[number - 1]
    return ds


def _media_type(ds: DataSet, tag: int) -> str:
    if tag != _ENCAPSULATED_DOCUMENT:
        return accept.OCTET_STREAM
    named = (ds.text(_MIME_TYPE_OF_DOCUMENT) or "").lower()
    return named if _MEDIA_TYPE.fullmatch(named) else accept.OCTET_STREAM


def is_encapsulated(location: Location, steps: Steps) -> bool:
    """Whether a path is that of Pixel Data that is had frame by frame."""
    return steps == (PIXEL_DATA,) and transfer_syntax(location.transfer_syntax_uid).encapsulated


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


class BulkRetrievals:
    """Single bulk data values."""

    def __init__(self, holdings: Holdings, values: BulkValues, frames: FrameRetrievals) -> None:
        self._holdings = holdings
        self._values = values
        self._frames = frames

    async def value(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, path: str
    ) -> Response:
        if (frames := _FRAMES.fullmatch(path)) is not None:
            return await self._frames.frames(request, study_uid, series_uid, sop_uid, frames[1])
        steps = parse_bulk_path(path)
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        uri = f"{instance_uri(request.base, location.key)}/bulkdata/{path}"
        if is_encapsulated(location, steps):
            return await self._frames.of_value(request, location, uri)
        value = await self._values.find(location, steps)
        form = accept.require(request.accepted(), bulk_offers(value.media_type), "the bulk data")
        tag = etag(location, path.replace("/", "-")[:64])
        headers: Headers = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache")]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if form.multipart:
            return await self._one_part(location, steps, value, form, uri, headers)
        # B59: a document is handed over as a file, never shown by us.
        headers += [
            (b"content-type", form.media_type.encode()),
            (b"content-disposition", b"attachment"),
            (b"accept-ranges", b"bytes"),
        ]
        span = range_of_held(request.header(b"range"), request.header(b"if-range"), tag, value.length)
        start, stop = span or (0, value.length)
        if span is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{value.length}".encode()))
        body = await self._values.body(location, steps, value, start, stop)
        return Response(206 if span else 200, body, headers, length=stop - start)

    async def _one_part(
        self,
        location: Location,
        steps: Steps,
        value: BulkValue,
        form: accept.Offer,
        uri: str,
        headers: Headers,
    ) -> Response:
        boundary = new_boundary()
        head = part_head(boundary, {"Content-Type": form.media_type, "Content-Location": uri}, first=True)
        headers.append((b"content-type", related_content_type(form.media_type, boundary).encode()))
        body = await self._values.body(location, steps, value, 0, value.length)

        async def pieces() -> AsyncIterator[bytes]:
            yield head
            async for piece in body:
                yield piece
            yield closing(boundary)

        length = len(head) + value.length + len(closing(boundary))
        return Response(200, pieces(), headers, length=length)


def parse_bulk_path(path: str) -> Steps:
    """Tags and Item numbers of a path, in turn. Raises WebRequestError 400."""
    pieces = path.split("/", MAX_PATH_STEPS)
    if len(pieces) % 2 == 0 or len(pieces) > MAX_PATH_STEPS:
        raise WebRequestError(400, "a bulk data path is TAG or TAG/ITEM/TAG and so on")
    steps: list[int] = []
    for place, piece in enumerate(pieces):
        if place % 2 == 0 and _TAG.fullmatch(piece):
            steps.append(int(piece, 16))
        elif place % 2 and piece.isascii() and piece.isdigit() and len(piece) < 8:
            steps.append(int(piece))
        else:
            raise WebRequestError(400, f"{piece[:40]!r} is not a {'number' if place % 2 else 'tag'}")
    return tuple(steps)
