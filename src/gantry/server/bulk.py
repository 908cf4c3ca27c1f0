"""WADO-RS bulk data: single values of an object, by the path that its metadata gave (PS3.18 10.4.1.1.5).

A path is the tag of the attribute, or, inside sequences, tag, number of the Item from 1, tag, and so on:
``54000100/1/54001010``. Values go out in little endian whatever the object was stored in; Pixel Data
goes out frame by frame.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.index import Location
from gantry.dataset.reencode import little_endian_value
from gantry.dataset.scan import DataSet
from gantry.dataset.vr import element_vr
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified, parse_range
from gantry.dicomweb.wado import bulk_offers
from gantry.errors import NotFound, WebRequestError
from gantry.server.frames import FrameRetrievals
from gantry.server.holdings import Holdings, etag
from gantry.server.http import Headers, Request, Response, new_boundary
from gantry.standard.dictionary import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA

MAX_PATH_STEPS = 129
"""64 levels of sequences, two steps each, and the attribute."""

_ENCAPSULATED_DOCUMENT = 0x00420011
_MIME_TYPE_OF_DOCUMENT = 0x00420012
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_PIXEL_TAGS = frozenset({PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA})


@dataclass(frozen=True, slots=True)
class _Value:
    data: bytes
    media_type: str


class BulkRetrievals:
    """Bulk data values of one instance."""

    def __init__(self, archive: Archive, holdings: Holdings, frames: FrameRetrievals) -> None:
        self._archive = archive
        self._holdings = holdings
        self._frames = frames

    async def value(
        self, request: Request, study_uid: str, series_uid: str, sop_uid: str, path: str
    ) -> Response:
        steps = parse_bulk_path(path)
        if steps[0] in _PIXEL_TAGS and len(steps) == 1:
            return await self._frames.pixel_value(request, study_uid, series_uid, sop_uid)
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        value = await asyncio.to_thread(self._read, location, steps)
        form = accept.require(request.accepted(), bulk_offers(value.media_type), "the bulk data")
        tag = etag(location, path.replace("/", "-")[:64])
        headers: Headers = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache")]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if form.multipart:
            return _one_part(value, form, headers)
        return _bare(request, value, form, headers)

    def _read(self, location: Location, steps: tuple[int, ...]) -> _Value:
        *way, last = steps
        with self._archive.dataset(location) as ds:
            for tag, number in zip(way[::2], way[1::2], strict=True):
                items = ds.sequence(tag)
                if not 1 <= number <= len(items):
                    raise NotFound(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) has {len(items)} Items")
                ds = items[number - 1]
            element = ds.elements.get(last)
            if element is None or element_vr(ds, element) == "SQ":
                raise NotFound("no such bulk data in the object")
            return _Value(little_endian_value(ds, element), _media_type(ds, last))


def _media_type(ds: DataSet, tag: int) -> str:
    if tag != _ENCAPSULATED_DOCUMENT:
        return accept.OCTET_STREAM
    named = (ds.text(_MIME_TYPE_OF_DOCUMENT) or "").lower()
    return named if _MEDIA_TYPE.fullmatch(named) else accept.OCTET_STREAM


def _one_part(value: _Value, form: accept.Offer, headers: Headers) -> Response:
    boundary = new_boundary()
    head = part_head(boundary, {"Content-Type": form.media_type}, first=True)
    headers.append((b"content-type", related_content_type(form.media_type, boundary).encode()))
    return Response(200, head + value.data + closing(boundary), headers)


def _bare(request: Request, value: _Value, form: accept.Offer, headers: Headers) -> Response:
    # B59: a document is handed over as a file, never shown by us.
    headers += [
        (b"content-type", form.media_type.encode()),
        (b"content-disposition", b"attachment"),
        (b"accept-ranges", b"bytes"),
    ]
    span = parse_range(request.header(b"range"), len(value.data))
    if span is None:
        return Response(200, value.data, headers)
    headers.append((b"content-range", f"bytes {span[0]}-{span[1] - 1}/{len(value.data)}".encode()))
    return Response(206, value.data[span[0] : span[1]], headers)


def parse_bulk_path(path: str) -> tuple[int, ...]:
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
