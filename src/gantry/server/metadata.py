"""Metadata of studies, series and instances: all attributes, bulk data by reference (PS3.18 10.4.1.1.2).

Metadata of a series is asked for again and again (each opening of it, by each viewer), so its answer is
made once and kept as it is sent: compressed, with its entity tag. Such a *bundle* holds for the state of
the archive it was made in. When something was stored since, the objects are looked up again and the
bundle is made anew only if they changed.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.index import Location
from gantry.dataset.json_model import to_json, to_json_model
from gantry.dataset.xml_model import to_xml
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.paths import instance_path
from gantry.dicomweb.ranges import not_modified
from gantry.server.compression import accepts_gzip, gunzipped
from gantry.server.generation import Generation
from gantry.server.holdings import Holdings
from gantry.server.http import Headers, Request, Response, new_boundary

MAX_BUNDLED_BYTES = 64 << 20
"""Compressed bundles held in memory: about 500 series of 250 slices."""

_GROUP = 64
"""Instances whose metadata are made in one go by a thread."""

_REVALIDATE = (b"cache-control", b"private, no-cache")


@dataclass(frozen=True, slots=True)
class _Bundle:
    generation: int
    tag: str
    packed: bytes


class Metadata:
    """Answers metadata requests of all levels."""

    def __init__(self, archive: Archive, holdings: Holdings, generation: Generation) -> None:
        self._archive = archive
        self._holdings = holdings
        self._generation = generation
        self._bundles: OrderedDict[tuple[str, str, str], _Bundle] = OrderedDict()
        self._bundled_bytes = 0

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
        words = (request.base, study_uid, series_uid)
        bundle = self._bundles.get(words)
        generation = self._generation.current
        if bundle is None or bundle.generation != generation:
            locations = await self._holdings.locate(request, study_uid, series_uid)
            bundle = await self._bundle(words, bundle, locations, generation)
        return _packed_answer(request, bundle, form.media_type)

    async def _bundle(
        self, words: tuple[str, str, str], old: _Bundle | None, locations: Sequence[Location], generation: int
    ) -> _Bundle:
        tag = _tag(locations, words[0])
        if old is not None and old.tag == tag:
            bundle = _Bundle(generation, tag, old.packed)
        else:
            packed = await asyncio.to_thread(self._packed, locations, words[0])
            bundle = _Bundle(generation, tag, packed)
        self._keep(words, bundle)
        return bundle

    def _packed(self, locations: Sequence[Location], base: str) -> bytes:
        documents = [self._json(location, base) for location in locations]
        return gzip.compress(b"[" + b",".join(documents) + b"]", 6, mtime=0)

    def _keep(self, words: tuple[str, str, str], bundle: _Bundle) -> None:
        replaced = self._bundles.pop(words, None)
        self._bundled_bytes += len(bundle.packed) - (len(replaced.packed) if replaced else 0)
        self._bundles[words] = bundle
        while self._bundled_bytes > MAX_BUNDLED_BYTES and len(self._bundles) > 1:
            self._bundled_bytes -= len(self._bundles.popitem(last=False)[1].packed)

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


def _bulk_uri(location: Location, base: str) -> Callable[[str, object], str]:
    key = location.key
    root = f"{base}/dicom-web{instance_path(key.study_uid, key.series_uid, key.sop_uid)}/bulkdata/"
    return lambda path, _: root + path


def _tag(locations: Sequence[Location], form: str) -> str:
    digest = hashlib.sha256(form.encode())
    for location in locations:
        digest.update(location.dataset_sha256)
        digest.update(location.key.sop_uid.encode())
    return f'"{digest.hexdigest()[:32]}"'


def _packed_answer(request: Request, bundle: _Bundle, media_type: str) -> Response:
    headers: Headers = [(b"etag", bundle.tag.encode()), _REVALIDATE]
    if not_modified(request.header(b"if-none-match"), bundle.tag):
        return Response(304, b"", headers)
    headers.append((b"content-type", media_type.encode()))
    if accepts_gzip(request):
        headers.append((b"content-encoding", b"gzip"))
        return Response(200, bundle.packed, headers)
    return Response(200, gunzipped(bundle.packed), headers)
