"""STOW-RS: objects and metadata from a request body into the archive (PS3.18 10.5).

The body is parsed as it comes and written on as it comes: a request of any size costs the memory of a few
small objects. An error in the middle of a body ends the reading; what was whole by then is stored, and
the answer tells both (B63).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import msgspec

from gantry.archive.archive import Archive
from gantry.dataset.xml_model import to_xml
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import Event, MultipartParser, PartBegin, PartData
from gantry.dicomweb.paths import require_uid
from gantry.dicomweb.stow import (
    InstanceResult,
    StoreContent,
    StoreKind,
    check_part_type,
    parse_content_type,
    response_model,
    status_of,
)
from gantry.errors import GantryError, WebRequestError
from gantry.server.assembly import Assembly
from gantry.server.body import check_announced, read_body
from gantry.server.bulk_pixels import Pictures, ReadPicture
from gantry.server.delete import origin_of
from gantry.server.http import Request, Response, add_warnings, json_response
from gantry.server.intake import Intake
from gantry.server.outcome import RETRY_AFTER_S
from gantry.server.policy import HttpPolicy

_WARNED_FAILURES = 5


class Admission:
    """At most so many store requests at once; the next is sent away with Retry-After (N17)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now = 0

    def __enter__(self) -> None:
        if self._now >= self._most:
            raise WebRequestError(503, f"{self._most} store requests are under way; try again later")
        self._now += 1

    def __exit__(self, *_: object) -> None:
        self._now -= 1


class StoreDoor:
    """The store transaction, for any study or for one."""

    def __init__(
        self,
        archive: Archive,
        policy: HttpPolicy,
        admission: Admission,
        read_picture: ReadPicture | None = None,
    ) -> None:
        self._archive = archive
        self._pictures = None if read_picture is None else Pictures(read_picture)
        self._policy = policy
        self._admission = admission

    async def store(self, request: Request, study_uid: str | None = None) -> Response:
        if study_uid is not None:
            require_uid(study_uid)
        form = accept.require(request.accepted(), accept.STORE_RESPONSE_OFFERS, "the answer")
        content = parse_content_type(request.header(b"content-type"))
        try:
            with self._admission:
                return await self._admitted(request, content, study_uid, form)
        except WebRequestError as error:
            if error.status != 503:
                raise
            response = json_response({"status": 503, "error": error.cause}, 503)
            return response.with_header(b"retry-after", str(RETRY_AFTER_S))

    async def _admitted(
        self, request: Request, content: StoreContent, study_uid: str | None, form: accept.Offer
    ) -> Response:
        check_announced(request, self._policy.max_body_bytes)
        # N7: refused for want of room before the body is taken.
        self._archive.begin(origin_of(request), request.content_length).abort()
        intake = Intake(self._archive, origin_of(request), study_uid)
        try:
            await self._read(request, content, intake)
            results = await intake.finish()
        finally:
            intake.abandon()
        return _answer(request, results, intake, form)

    async def _read(self, request: Request, content: StoreContent, intake: Intake) -> None:
        """Take the whole body. Raises what is wrong with it, unless something of it was whole."""
        reader = Assembly(intake, self._pictures) if content.kind is not StoreKind.OBJECTS else None
        body = read_body(request, max_bytes=self._policy.max_body_bytes, window_s=self._policy.body_window_s)
        try:
            async with aclosing(body):
                if reader is not None:
                    await reader.read(body, content)
                elif content.boundary is None:
                    await _read_object(body, intake, request.content_length)
                else:
                    await _read_objects(body, MultipartParser(content.boundary), intake)
        except GantryError as error:
            if not intake.statuses:
                raise
            intake.fail(error)
        finally:
            if reader is not None:
                reader.close()


async def _read_object(body: AsyncIterator[bytes], intake: Intake, size: int | None) -> None:
    intake.begin(size)
    async for piece in body:
        await intake.write(piece)
    await intake.end()


async def _read_objects(body: AsyncIterator[bytes], parser: MultipartParser, intake: Intake) -> None:
    async for piece in body:
        try:
            events = parser.feed(piece)
        except WebRequestError:
            await _take(parser.taken(), intake)
            raise
        await _take(events, intake)
    parser.finish()
    if not parser.parts_begun:
        raise WebRequestError(400, "the request has no parts")


async def _take(events: list[Event], intake: Intake) -> None:
    for event in events:
        if isinstance(event, PartData):
            await intake.write(event.data)
        elif isinstance(event, PartBegin):
            check_part_type(StoreKind.OBJECTS, event.headers.get("content-type"))
            intake.begin(_announced(event))
        else:
            await intake.end()


def _announced(part: PartBegin) -> int | None:
    text = part.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _answer(request: Request, results: list[InstanceResult], intake: Intake, form: accept.Offer) -> Response:
    common = intake.common_failure()
    status = common.http_status if common is not None else status_of(results)
    model = response_model(results, f"{request.base}/dicom-web")
    if form.media_type == accept.DICOM_XML:
        response = Response(status, to_xml(model), [(b"content-type", b"application/dicom+xml")])
    else:
        response = json_response(msgspec.json.encode(model), status, content_type=form.media_type.encode())
    failed = [r for r in results if r.failure_reason is not None and r.comment]
    add_warnings(
        response, request, [f"{r.failure_reason:04X}: {r.comment}" for r in failed[:_WARNED_FAILURES]]
    )
    if common is not None and common.retry_after_s is not None:
        response.with_header(b"retry-after", str(common.retry_after_s))
    return response
