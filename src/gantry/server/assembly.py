"""STOW-RS of metadata and bulk data: objects put together from parts (PS3.18 10.5.1.1.2).

Metadata comes first (one JSON array, or one XML document a part), then a part for each bulk value, named
by its Content-Location. Bulk values are spooled to unnamed files, because they may come in any order and a
Data Set has one. A BulkDataURI is only ever a name for a part of the same request: nothing is fetched (B62).

The count of parts and of distinct BulkDataURIs must agree, else the whole request is invalid (10.5.1.1.2).
"""

from __future__ import annotations

import asyncio
import mmap
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import IO, Any

from gantry.dataset.encode import encode, encode_encapsulated
from gantry.dataset.json_model import list_from_json
from gantry.dataset.part10 import encode_file_meta
from gantry.dataset.reencode import pixel_data_header
from gantry.dataset.xml_model import from_xml
from gantry.dicomweb.accept import DICOM_JSON, DICOM_XML
from gantry.dicomweb.media_types import MediaType, parse_media_type
from gantry.dicomweb.multipart import Event, MultipartParser, PartBegin, PartData
from gantry.dicomweb.stow import InstanceResult, StoreContent, StoreKind
from gantry.dicomweb.wado import EXPLICIT_VR_LITTLE_ENDIAN
from gantry.errors import DataSetError, WebRequestError
from gantry.server.bulk_pixels import PIXEL_DATA, Kept, Pictures, from_picture, from_stream, is_picture
from gantry.server.intake import Intake
from gantry.server.outcome import Answer, answer_for_error
from gantry.standard.transfer_syntaxes import transfer_syntax

JsonModel = dict[str, Any]

MAX_METADATA_BYTES = 64 << 20
"""Metadata of one request: 20,000 instances of a CT."""

MAX_PICTURE_BYTES = 64 << 20
"""One PNG or GIF, which is read whole."""

_IN_MEMORY_BYTES = 1 << 20
_TRANSFER_SYNTAX_UID = "00020010"
_CHUNK = 1 << 20


@dataclass(slots=True)
class _Bulk:
    """One spooled value."""

    file: IO[bytes]
    media: MediaType
    size: int = 0

    def bytes_or_map(self) -> bytes | mmap.mmap:
        """The value as one buffer; large ones are mapped, not read."""
        self.file.flush()
        if self.size <= _IN_MEMORY_BYTES:
            self.file.seek(0)
            return self.file.read()
        return mmap.mmap(self.file.fileno(), self.size, access=mmap.ACCESS_READ)


class Assembly:
    """Reads one request of metadata and bulk data. `close` it."""

    def __init__(self, intake: Intake, pictures: Pictures | None) -> None:
        self._intake = intake
        self._pictures = pictures
        self._models: list[tuple[JsonModel, str | None]] = []
        self._bulk: dict[str, _Bulk] = {}
        self._metadata: bytearray | None = None
        self._metadata_type = MediaType("")
        self._metadata_bytes = 0
        self._current: _Bulk | None = None

    async def read(self, body: AsyncIterator[bytes], content: StoreContent) -> None:
        """Take the whole body, then store the objects. Raises WebRequestError 400, 413, 415."""
        if content.boundary is None:
            await self._read_bare(body, content.kind)
        else:
            await self._read_parts(body, MultipartParser(content.boundary), content.kind)
        if not self._models:
            raise WebRequestError(400, "the request has no metadata")
        self._check_bulk()
        for model, syntax in self._models:
            await self._store(model, syntax)

    def close(self) -> None:
        """Let go of spooled values."""
        for bulk in self._bulk.values():
            bulk.file.close()
        self._bulk.clear()

    async def _read_bare(self, body: AsyncIterator[bytes], kind: StoreKind) -> None:
        self._begin_metadata(MediaType(kind.value))
        async for piece in body:
            self._more_metadata(piece)
        await self._end_metadata(kind)

    async def _read_parts(self, body: AsyncIterator[bytes], parser: MultipartParser, kind: StoreKind) -> None:
        async for piece in body:
            for event in parser.feed(piece):
                await self._take(event, kind)
        parser.finish()

    async def _take(self, event: Event, kind: StoreKind) -> None:
        if isinstance(event, PartBegin):
            self._begin_part(event, kind)
        elif isinstance(event, PartData):
            if self._metadata is not None:
                self._more_metadata(event.data)
            elif self._current is not None:
                self._current.size += len(event.data)
                await asyncio.to_thread(self._current.file.write, event.data)
        elif self._metadata is not None:
            await self._end_metadata(kind)
        else:
            self._current = None

    def _begin_part(self, part: PartBegin, kind: StoreKind) -> None:
        media = parse_media_type(part.headers.get("content-type") or kind.value)
        if media.essence in (DICOM_JSON, DICOM_XML, "application/json"):
            if media.essence == DICOM_XML and kind is not StoreKind.XML:
                raise WebRequestError(415, f"a part is {media.essence} in a request of {kind.value}")
            self._begin_metadata(media)
            return
        if not self._models:
            raise WebRequestError(400, "the first part must be metadata")
        location = part.headers.get("content-location", "").strip()
        if not location or location in self._bulk:
            raise WebRequestError(400, "a bulk data part needs a Content-Location of its own")
        spool = tempfile.TemporaryFile(prefix="gantry-")  # noqa: SIM115 - closed by `close`
        self._current = self._bulk[location] = _Bulk(spool, media)

    def _begin_metadata(self, media: MediaType) -> None:
        self._metadata = bytearray()
        self._metadata_type = media

    def _more_metadata(self, data: bytes | memoryview) -> None:
        assert self._metadata is not None
        self._metadata_bytes += len(data)
        if self._metadata_bytes > MAX_METADATA_BYTES:
            raise WebRequestError(413, f"the metadata is larger than {MAX_METADATA_BYTES} bytes")
        self._metadata += data

    async def _end_metadata(self, kind: StoreKind) -> None:
        assert self._metadata is not None
        raw, self._metadata = bytes(self._metadata), None
        syntax = self._metadata_type.parameters.get("transfer-syntax")
        is_xml = self._metadata_type.essence == DICOM_XML
        try:
            models = await asyncio.to_thread(lambda: [from_xml(raw)] if is_xml else list_from_json(raw))
        except DataSetError as error:
            raise WebRequestError(400, f"the metadata cannot be read: {error}") from error
        if not models:
            raise WebRequestError(400, "the metadata names no instances")
        self._models += [(model, syntax) for model in models]

    def _check_bulk(self) -> None:
        """PS3.18 10.5.1.1.2: as many bulk data parts as distinct BulkDataURIs."""
        wanted = {uri for model, _ in self._models for uri in _uris(model)}
        if wanted != self._bulk.keys():
            missing, extra = len(wanted - self._bulk.keys()), len(self._bulk.keys() - wanted)
            raise WebRequestError(
                400, f"{missing} BulkDataURIs have no part, {extra} parts have no BulkDataURI"
            )

    async def _store(self, model: JsonModel, syntax: str | None) -> None:
        bulk = self._pixels(model)
        try:
            if bulk is None or not is_picture(bulk.media):
                await self._take_in(await asyncio.to_thread(self._encoded, model, syntax, None))
            elif self._pictures is None:
                raise WebRequestError(415, f"this server does not read {bulk.media.essence}")
            else:
                async with self._pictures.turn:
                    kept = await _as_samples(model, bulk, self._pictures)
                    await self._take_in(await asyncio.to_thread(self._encoded, model, syntax, kept))
        except (DataSetError, WebRequestError) as error:
            answer = answer_for_error(error)
            self._intake.add(_failed(model, answer), answer)

    async def _take_in(self, pieces: list[bytes | memoryview | mmap.mmap]) -> None:
        self._intake.begin()
        for piece in pieces:
            for start in range(0, len(piece), _CHUNK):
                await self._intake.write(memoryview(piece)[start : start + _CHUNK])
        await self._intake.end()

    def _pixels(self, model: JsonModel) -> _Bulk | None:
        uri = model.get(PIXEL_DATA, {}).get("BulkDataURI")
        return self._bulk[uri] if uri is not None else None

    def _encoded(
        self, model: JsonModel, syntax: str | None, picture: Kept | None
    ) -> list[bytes | memoryview | mmap.mmap]:
        """A whole Part 10 file in pieces. Raises DataSetError, WebRequestError 415."""
        named = _first(model, _TRANSFER_SYNTAX_UID) or syntax or EXPLICIT_VR_LITTLE_ENDIAN
        bulk, kept = self._pixels(model), picture
        if bulk is not None and kept is None:
            kept = from_stream(model, bulk.media, named, bulk.bytes_or_map())
        uid = named if kept is None else kept.transfer_syntax_uid
        model = model if kept is None else kept.model
        model = {tag: element for tag, element in model.items() if not tag.startswith("0002")}
        target = transfer_syntax(uid)
        if not target.known or target.deflated:
            raise DataSetError(f"metadata cannot be stored in transfer syntax {uid[:64]}")
        head = encode_file_meta(
            sop_class_uid=_first(model, "00080016"),
            sop_instance_uid=_first(model, "00080018"),
            transfer_syntax_uid=uid,
        )
        if kept is None:
            return [head, encode(model, target, bulk_data=self._value)]
        before = {tag: element for tag, element in model.items() if tag < PIXEL_DATA}
        after = {tag: element for tag, element in model.items() if tag > PIXEL_DATA}
        data = kept.data
        pieces: list[bytes | memoryview | mmap.mmap] = [head, encode(before, target, bulk_data=self._value)]
        if target.encapsulated:
            pieces += encode_encapsulated([memoryview(data)], target)
        else:
            pieces += [pixel_data_header(model[PIXEL_DATA]["vr"], len(data) + len(data) % 2, target), data]
            pieces += [b"\0"] * (len(data) % 2)
        return [*pieces, encode(after, target, bulk_data=self._value)] if after else pieces

    def _value(self, uri: str) -> bytes:
        return bytes(self._bulk[uri].bytes_or_map())


async def _as_samples(model: JsonModel, bulk: _Bulk, pictures: Pictures) -> Kept:
    """Pixel Data that is PNG or GIF, read. Raises WebRequestError 413, 415."""
    essence = bulk.media.essence
    if bulk.size > MAX_PICTURE_BYTES:
        raise WebRequestError(413, f"a picture of more than {MAX_PICTURE_BYTES} bytes")
    data = await asyncio.to_thread(lambda: bytes(bulk.bytes_or_map()))
    try:
        return from_picture(model, *await pictures.read(data, essence))
    except DataSetError as error:
        raise WebRequestError(415, f"Pixel Data as {essence} cannot be read: {error.cause}") from error


def _uris(model: JsonModel) -> Iterator[str]:
    """All BulkDataURIs of a model, at any depth."""
    waiting: list[JsonModel] = [model]
    while waiting:
        for element in waiting.pop().values():
            if "BulkDataURI" in element:
                yield element["BulkDataURI"]
            if element.get("vr") == "SQ":
                waiting += [item for item in element.get("Value", ()) if item]


def _first(model: JsonModel, tag: str) -> str:
    values = model.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _failed(model: JsonModel, answer: Answer) -> InstanceResult:
    return InstanceResult(
        sop_class_uid=_first(model, "00080016"),
        sop_instance_uid=_first(model, "00080018"),
        study_uid=_first(model, "0020000D"),
        series_uid=_first(model, "0020000E"),
        failure_reason=answer.dimse_status,
        comment=answer.comment,
    )
