"""``/api/studies/{study}/draft``: what a person is measuring, saved as it is drawn, and made a report.

A version has a number, which is its entity tag. Who saves says which version it was made from (``If-Match``,
or ``If-None-Match: *`` for the first), so that two windows or devices cannot overwrite one another unseen.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from typing import Any

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.drafts import DraftVersion, NotCurrent, VersionNote
from gantry.dicomweb.parameters import unsigned
from gantry.dicomweb.paths import require_uid
from gantry.dicomweb.ranges import not_modified
from gantry.errors import Corrupt, NotFound, WebRequestError
from gantry.server.body import read_body
from gantry.server.http import Request, Response, json_response
from gantry.server.persons import person_of
from gantry.server.policy import HttpPolicy
from gantry.toolkit.measurements.model import Content, MeasurementError, read_content

MAX_DRAFT_BYTES = 4 << 20
"""A thousand measurements of four points are 0.5 MB; the rest is for outlines."""

MAX_COUNTED = 500
"""Versions, the newest, whose measurements are counted in a list: each is a file to read."""

_NOT_KEPT = (b"cache-control", b"private, no-cache")
# A proxy that compresses makes an entity tag a weak one.
_TAG = re.compile(r'(?:W/)?"([0-9]{1,9})"', re.ASCII)
EMPTY = msgspec.json.encode(Content())


class _Counted(msgspec.Struct):
    """The measurements of a draft, not looked into."""

    measurements: tuple[msgspec.Raw, ...] = ()


class DraftDoor:
    """Answers for drafts."""

    def __init__(self, archive: Archive, policy: HttpPolicy) -> None:
        self._archive = archive
        self._drafts = archive.drafts
        self._policy = policy

    async def current(self, request: Request, study_uid: str) -> Response:
        """The newest version. Answers 304 where the client has it, 204 where there is none."""
        study = require_uid(study_uid)
        try:
            found = await asyncio.to_thread(self._drafts.current, person_of(request, self._policy), study)
        except NotFound:  # most studies have none: nothing is wrong with that
            return Response(204, b"", [_NOT_KEPT])
        tag = entity_tag(found.version)
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", [(b"etag", tag.encode()), _NOT_KEPT])
        return await _answer(found)

    async def save(self, request: Request, study_uid: str) -> Response:
        """A new version; 412 with the current one where somebody else saved meanwhile."""
        study, person = require_uid(study_uid), person_of(request, self._policy)
        after = wanted_version(request)
        content = await asyncio.to_thread(read_draft, await read_json(request, self._policy))
        # Where there is a draft, there was a study
        if not after and not await asyncio.to_thread(self._archive.locate, study):
            raise WebRequestError(404, "there is no such study")
        return await self._saved(person, study, content, after)

    async def empty(self, request: Request, study_uid: str) -> Response:
        """A new version without measurements; those before stay."""
        study, person = require_uid(study_uid), person_of(request, self._policy)
        after = wanted_version(request, required=False)
        await asyncio.to_thread(self._drafts.current, person, study)
        return await self._saved(person, study, EMPTY, after)

    async def versions(self, request: Request, study_uid: str) -> Response:
        """All versions that are kept, oldest first, each with how many measurements it holds."""
        rows = await asyncio.to_thread(self._listed, person_of(request, self._policy), require_uid(study_uid))
        return json_response({"versions": rows}).with_header(*_NOT_KEPT)

    def _listed(self, person: str, study: str) -> list[dict[str, Any]]:
        notes = self._drafts.versions(person, study)
        uncounted = max(0, len(notes) - MAX_COUNTED)
        return [
            {
                "version": note.number,
                "at": note.at,
                "reported": note.reported,
                "measurements": self._count(note) if place >= uncounted else None,
            }
            for place, note in enumerate(notes)
        ]

    def _count(self, note: VersionNote) -> int | None:
        """None for a version that was let go meanwhile or is damaged: the others are still told."""
        try:
            return len(msgspec.json.decode(self._drafts.read(note).content, type=_Counted).measurements)
        except (NotFound, Corrupt, msgspec.DecodeError):
            return None

    async def version(self, request: Request, study_uid: str, number: str) -> Response:
        """One version."""
        study, wanted = require_uid(study_uid), unsigned("version", number, maximum=10**8 - 1)
        return await _answer(
            await asyncio.to_thread(self._drafts.version, person_of(request, self._policy), study, wanted)
        )

    async def _saved(self, person: str, study: str, content: bytes, after: int | None) -> Response:
        try:
            made = await asyncio.to_thread(self._drafts.save, person, study, content, after=after)
        except NotCurrent as error:
            return await self.not_current(person, study, error)
        response = json_response({"version": made.version, "at": made.at}).with_header(*_NOT_KEPT)
        return response.with_header(b"etag", entity_tag(made.version))

    async def not_current(self, person: str, study: str, error: NotCurrent) -> Response:
        """412 with the version that is current, so that the client need not ask for it."""
        said: dict[str, Any] = {"status": 412, "error": str(error), "current": None}
        if not error.current:
            return json_response(said, 412).with_header(*_NOT_KEPT)
        found = await asyncio.to_thread(self._drafts.current, person, study)
        said["current"] = await asyncio.to_thread(_shown, found)
        response = json_response(said, 412).with_header(*_NOT_KEPT)
        return response.with_header(b"etag", entity_tag(found.version))


async def _answer(found: DraftVersion) -> Response:
    response = json_response(await asyncio.to_thread(_shown, found)).with_header(*_NOT_KEPT)
    return response.with_header(b"etag", entity_tag(found.version))


def _shown(found: DraftVersion) -> dict[str, Any]:
    return {
        "version": found.version,
        "at": found.at,
        "report": found.report or None,
        "measurements": content_of(found).measurements,
    }


def content_of(found: DraftVersion) -> Content:
    """The measurements of a version. Raises Corrupt."""
    try:
        return read_content(bytes(found.content))
    except MeasurementError as error:
        raise Corrupt(f"version {found.version} of the draft cannot be read: {error}") from error


def entity_tag(version: int) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def wanted_version(request: Request, *, required: bool = True) -> int | None:
    """The version that a request is made after: 0 for the first, None for whichever is current.

    Raises WebRequestError 428 where it does not say, 400 where it says what no version has.
    """
    match, none_match = request.header(b"if-match"), request.header(b"if-none-match")
    if none_match is not None and none_match.strip() == "*" and match is None:
        return 0
    if match is None:
        if not required:
            return None
        raise WebRequestError(428, 'say which version this follows: If-Match: "3", or If-None-Match: *')
    found = _TAG.fullmatch(match.strip())
    if found is None:
        raise WebRequestError(400, 'If-Match names one version: "3"')
    return int(found[1])


def read_draft(data: bytes) -> bytes:
    """The content of a draft, checked, in the form that is kept: the same content, the same bytes.

    Raises WebRequestError 400.
    """
    try:
        return msgspec.json.encode(read_content(data))
    except MeasurementError as error:
        raise WebRequestError(400, str(error)) from error


async def read_json(request: Request, policy: HttpPolicy) -> bytes:
    """A JSON body. Raises WebRequestError 408, 413, 415 or 400, and ClientGone."""
    media_type = (request.header(b"content-type") or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        # A page of another origin may send forms and plain text without asking, but not this.
        raise WebRequestError(415, "the body is application/json")
    most = min(MAX_DRAFT_BYTES, policy.max_body_bytes)
    async with aclosing(read_body(request, max_bytes=most, window_s=policy.body_window_s)) as body:
        return b"".join([piece async for piece in body])
