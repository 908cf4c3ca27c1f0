"""``POST /api/upload``: files from the page's drag and drop, one by one, as a form, or zipped.

A body is a DICOM file as it is, a form (``multipart/form-data``) with a file in each part, or a zip of
DICOM files. Names are only ever shown back; nothing of them reaches a path. A zip is read from an
unnamed file under the caps of B53: its entries, what they inflate to in all, and zips in zips.
"""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO

from gantry.archive.archive import Archive
from gantry.archive.records import Origin
from gantry.dicomweb.media_types import parse_media_type
from gantry.dicomweb.multipart import Event, MultipartParser, PartBegin, PartData, boundary_of
from gantry.errors import GantryError, WebRequestError
from gantry.server.body import MAX_INFLATE_RATIO, RATIO_GRACE_BYTES, check_announced, read_body
from gantry.server.delete import origin_of
from gantry.server.http import Request, Response, json_response
from gantry.server.intake import Intake, in_store_thread
from gantry.server.outcome import RETRY_AFTER_S
from gantry.server.policy import HttpPolicy
from gantry.server.stow import Admission

MAX_ZIP_ENTRIES = 100_000
"""Files in one zip: a year of a small clinic."""

_ZIP_START = b"PK\x03\x04"
_ZIP_EMPTY = b"PK\x05\x06"
_READ = 1 << 18
_SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A piece of one file of a zip; `data` is None at the file's end."""

    data: bytes | None


class Uploads:
    """Answers ``/api/upload``."""

    def __init__(self, archive: Archive, policy: HttpPolicy, admission: Admission) -> None:
        self._archive = archive
        self._policy = policy
        self._admission = admission

    async def upload(self, request: Request) -> Response:
        with self._admission:
            check_announced(request, self._policy.max_body_bytes)
            origin = Origin(peer=request.peer, via="upload")
            self._archive.begin(origin_of(request), request.content_length).abort()
            intake = Intake(self._archive, origin, None)
            try:
                await self._read(request, intake)
                await intake.finish()
            finally:
                intake.abandon()
        return _answer(intake)

    async def _read(self, request: Request, intake: Intake) -> None:
        media = parse_media_type(request.header(b"content-type") or "application/octet-stream")
        body = read_body(request, max_bytes=self._policy.max_body_bytes, window_s=self._policy.body_window_s)
        try:
            async with aclosing(body):
                if media.essence == "multipart/form-data":
                    await _read_form(body, MultipartParser(boundary_of(media)), intake)
                else:
                    await _read_file(body, intake)
        except GantryError as error:
            if not intake.statuses:
                raise
            intake.fail(error)


class _FileIntake:
    """One file of unknown kind: a zip is spooled and unpacked, anything else is an object."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._head = b""
        self._zip: IO[bytes] | None = None
        self._begun = False

    async def write(self, data: bytes | memoryview) -> None:
        if not self._begun:
            self._head += bytes(data)
            if len(self._head) < len(_ZIP_START):
                return
            data = self._head
            await self._begin()
        if self._zip is not None:
            await in_store_thread(self._zip.write, data)
        else:
            await self._intake.write(data)

    async def end(self) -> None:
        if not self._begun:
            await self._begin()
            await self._intake.write(self._head)
        if self._zip is None:
            await self._intake.end()
            return
        with self._zip as spool:
            await _unpack(spool, self._intake)

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    async def _begin(self) -> None:
        self._begun = True
        if self._head.startswith((_ZIP_START, _ZIP_EMPTY)):
            self._zip = tempfile.TemporaryFile(prefix="gantry-")  # noqa: SIM115 - closed by end and close
        else:
            self._intake.begin()


async def _read_file(body: AsyncIterator[bytes], intake: Intake) -> None:
    file = _FileIntake(intake)
    try:
        async for piece in body:
            await file.write(piece)
        await file.end()
    finally:
        file.close()


async def _read_form(body: AsyncIterator[bytes], parser: MultipartParser, intake: Intake) -> None:
    form = _Form(intake)
    try:
        async for piece in body:
            try:
                events = parser.feed(piece)
            except WebRequestError:
                await form.take(parser.taken())
                raise
            await form.take(events)
        parser.finish()
    finally:
        form.close()


class _Form:
    """The parts of a form that are files; fields without a file name are left aside."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._file: _FileIntake | None = None

    async def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, PartBegin):
                is_file = "filename" in event.headers.get("content-disposition", "")
                self._file = _FileIntake(self._intake) if is_file else None
            elif self._file is None:
                continue
            elif isinstance(event, PartData):
                await self._file.write(event.data)
            else:
                await self._file.end()
                self._file = None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


async def _unpack(spool: IO[bytes], intake: Intake) -> None:
    """Take the files of a zip, one after the other. Raises WebRequestError 400, 413."""
    size = await asyncio.to_thread(spool.seek, 0, 2)
    chunks = _zip_chunks(spool, size)
    open_file = False
    while True:
        chunk = await asyncio.to_thread(next, chunks, None)
        if chunk is None:
            return
        if chunk.data is None:
            if open_file:
                await intake.end()
            open_file = False
            continue
        if not open_file:
            intake.begin()
            open_file = True
        await intake.write(chunk.data)


def _zip_chunks(spool: IO[bytes], size: int) -> Iterator[_Chunk]:
    allowed = max(RATIO_GRACE_BYTES, size * MAX_INFLATE_RATIO)
    given = 0
    try:
        with zipfile.ZipFile(spool) as unpacked:
            entries = unpacked.infolist()
            if len(entries) > MAX_ZIP_ENTRIES:
                raise WebRequestError(413, f"the zip has more than {MAX_ZIP_ENTRIES} files")
            for entry in entries:
                if entry.is_dir() or entry.filename.rpartition("/")[2] == "DICOMDIR":
                    continue
                with unpacked.open(entry) as file:
                    # What is declared of an entry's size is never believed: what comes out counts.
                    while data := file.read(_READ):
                        given += len(data)
                        if given > allowed:
                            raise WebRequestError(
                                413, f"the zip inflates more than {MAX_INFLATE_RATIO} times"
                            )
                        yield _Chunk(data)
                yield _Chunk(None)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise WebRequestError(400, f"the zip cannot be read: {type(error).__name__}") from error


def _answer(intake: Intake) -> Response:
    failed = [a for a in intake.statuses if a.http_status >= 300]
    stored = len(intake.statuses) - len(failed)
    messages = list(dict.fromkeys(a.comment for a in failed if a.comment))[:_SHOWN_FAILURES]
    status = 200 if not failed else 202 if stored else failed[0].http_status
    message = "; ".join(messages) if messages else "" if stored else "there was no file in the request"
    answer = {"stored": stored, "failed": len(failed), "message": message, "failures": messages}
    response = json_response(answer, status if intake.statuses else 400)
    if status in (503, 507):
        response.with_header(b"retry-after", str(RETRY_AFTER_S))
    return response
