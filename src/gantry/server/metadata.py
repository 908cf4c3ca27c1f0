"""Metadata of studies, series and instances: all attributes, bulk data by reference (PS3.18 10.4.1.1.2).

Metadata of a series is asked for again and again (each opening of it, by each viewer), so the archive keeps
its answer as it is sent: compressed, with its entity tag. Other levels are made as they go out.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from gantry.archive.archive import Archive
from gantry.archive.bundle import Bundle
from gantry.archive.records import InstanceKey, Location
from gantry.dataset.json_model import to_json, to_json_model
from gantry.dataset.xml_model import to_xml
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.paths import require_uid
from gantry.dicomweb.ranges import not_modified
from gantry.errors import StorageError
from gantry.server.compression import accepts_gzip, gunzipped
from gantry.server.holdings import Holdings, instance_uri
from gantry.server.http import Headers, Request, Response, new_boundary

PREPARE_EVERY_S = 1.0
QUIET_S = 3.0
"""A series that has not grown for so long has probably arrived."""

_GROUP = 64
"""Instances whose metadata are made in one go by a thread."""

_REVALIDATE = (b"cache-control", b"private, no-cache")


class Metadata:
    """Answers metadata requests of all levels."""

    def __init__(self, archive: Archive, holdings: Holdings) -> None:
        self._archive = archive
        self._holdings = holdings
        self._base = ""

    async def of_study(self, request: Request, study_uid: str) -> Response:
        return await self._answer(request, await self._holdings.locate(request, study_uid))

    async def of_instance(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Response:
        location = await self._holdings.one(request, study_uid, series_uid, sop_uid)
        return await self._answer(request, [location])

    async def of_series(self, request: Request, study_uid: str, series_uid: str) -> Response:
        """Metadata of a series, from its bundle where JSON is asked for."""
        form = accept.require(request.accepted(), accept.METADATA_OFFERS, "the metadata")
        if form.media_type == accept.DICOM_XML or form.multipart or "version=" in request.query:
            return await self._answer(request, await self._holdings.locate(request, study_uid, series_uid))
        self._base = request.base
        bundle = await asyncio.to_thread(
            self._archive.series_metadata,
            require_uid(study_uid),
            require_uid(series_uid),
            _bulk_uris(request.base),
            request.base,
        )
        return _packed_answer(request, bundle, form.media_type)

    async def prepare(self, default_base: str) -> None:
        """Make bundles of series once they have arrived, so that no viewer need wait. Until cancelled.

        They are made for the address that was asked under last, `default_base` before anybody asked.
        """
        while True:
            await asyncio.sleep(PREPARE_EVERY_S)
            base = self._base or default_base
            for study_uid, series_uid in await asyncio.to_thread(self._archive.quiet_series, QUIET_S):
                with suppress(StorageError):  # deleted meanwhile, or damaged: whoever asks is told
                    await asyncio.to_thread(
                        self._archive.series_metadata, study_uid, series_uid, _bulk_uris(base), base
                    )

    async def _answer(self, request: Request, locations: Sequence[Location]) -> Response:
        """Metadata of any objects, made and sent a group at a time."""
        form = accept.require(request.accepted(), accept.METADATA_OFFERS, "the metadata")
        tag = _tag(locations, request.base + form.media_type)
        headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        if form.media_type == accept.DICOM_XML:
            boundary = new_boundary()
            headers.append((b"content-type", related_content_type(accept.DICOM_XML, boundary).encode()))
            return Response(200, self._xml_parts(locations, request.base, boundary), headers)
        if form.multipart:
            boundary = new_boundary()
            headers.append((b"content-type", related_content_type(accept.DICOM_JSON, boundary).encode()))
            return Response(200, self._json_part(locations, request.base, boundary), headers)
        headers.append((b"content-type", form.media_type.encode()))
        if len(locations) <= _GROUP:
            body = b"".join([piece async for piece in self._json_array(locations, request.base)])
            return Response(200, body, headers, compressible=True)
        return Response(200, self._json_array(locations, request.base), headers, compressible=True)

    async def _json_array(self, locations: Sequence[Location], base: str) -> AsyncIterator[bytes]:
        opening = b"["
        async for documents in self._groups(locations, base, self._json):
            yield opening + b",".join(documents)
            opening = b","
        yield b"]"

    async def _json_part(
        self, locations: Sequence[Location], base: str, boundary: str
    ) -> AsyncIterator[bytes]:
        yield part_head(boundary, {"Content-Type": accept.DICOM_JSON}, first=True)
        async for piece in self._json_array(locations, base):
            yield piece
        yield closing(boundary)

    async def _xml_parts(
        self, locations: Sequence[Location], base: str, boundary: str
    ) -> AsyncIterator[bytes]:
        first = True
        async for documents in self._groups(locations, base, self._xml):
            for document in documents:
                yield part_head(boundary, {"Content-Type": accept.DICOM_XML}, first=first)
                yield document
                first = False
        yield closing(boundary)

    async def _groups(
        self, locations: Sequence[Location], base: str, make: Callable[[Location, str], bytes]
    ) -> AsyncIterator[list[bytes]]:
        for start in range(0, len(locations), _GROUP):
            group = locations[start : start + _GROUP]
            yield await asyncio.to_thread(_made, make, group, base)

    def _json(self, location: Location, base: str) -> bytes:
        with self._archive.dataset(location) as ds:
            return to_json(ds, bulk_uri=_bulk_uri(location, base))

    def _xml(self, location: Location, base: str) -> bytes:
        with self._archive.dataset(location) as ds:
            return to_xml(to_json_model(ds, bulk_uri=_bulk_uri(location, base)))


def _made(make: Callable[[Location, str], bytes], locations: Sequence[Location], base: str) -> list[bytes]:
    return [make(location, base) for location in locations]


def _bulk_uris(base: str) -> Callable[[InstanceKey, str], str]:
    def uri(key: InstanceKey, path: str) -> str:
        return f"{instance_uri(base, key)}/bulkdata/{path}"

    return uri


def _bulk_uri(location: Location, base: str) -> Callable[[str, object], str]:
    uris = _bulk_uris(base)
    return lambda path, _: uris(location.key, path)


def _tag(locations: Sequence[Location], form: str) -> str:
    digest = hashlib.sha256(form.encode())
    for location in locations:
        digest.update(location.identity)
        digest.update(location.key.sop_uid.encode())
    return f'"{digest.hexdigest()[:32]}"'


def _packed_answer(request: Request, bundle: Bundle, media_type: str) -> Response:
    tag = f'"{bundle.tag}"'
    headers: Headers = [(b"etag", tag.encode()), _REVALIDATE]
    if not_modified(request.header(b"if-none-match"), tag):
        return Response(304, b"", headers)
    headers.append((b"content-type", media_type.encode()))
    if accepts_gzip(request):
        headers.append((b"content-encoding", b"gzip"))
        return Response(200, bundle.packed, headers)
    return Response(200, gunzipped(bundle.packed), headers)
