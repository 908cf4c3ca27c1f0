"""All bulk data, or all Pixel Data, of a study, series or instance (PS3.18 10.4.1.1.5, 10.4.1.1.6).

Bulk data is what the metadata refers to: each value is a part, whose Content-Location is the BulkDataURI that
stands there (PS3.18 10.4.3.3.5); encapsulated Pixel Data is a part a frame, below that URI. What there is and
what of it the client takes is found out first, so that the answer can say whether it is all. Then nothing
larger than a piece of a value, or a frame, is held.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from gantry.archive.index import Location
from gantry.dataset.json_model import to_json_model
from gantry.dataset.scan import DataSet
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified
from gantry.dicomweb.wado import bulk_offers
from gantry.errors import Corrupt, NotFound, WebRequestError
from gantry.server.bulk import BulkValue, BulkValues, Steps, is_encapsulated, parse_bulk_path, value_in
from gantry.server.frames import FrameRetrievals
from gantry.server.holdings import Holdings, instance_uri
from gantry.server.http import Headers, Request, Response, new_boundary

log = logging.getLogger("gantry.server.http")

MAX_PARTS = 100_000
"""Most values of one answer, each of which is remembered until it is sent; large studies have 10,000."""

_GROUP = 64
"""Objects that a thread looks through in one go."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One value of an answer, or, without `value`, all frames of an object; `place` is below its URI."""

    location: Location
    place: str
    form: accept.Offer
    steps: Steps = ()
    value: BulkValue | None = None


@dataclass(slots=True)
class _Found:
    """What there is of what a client asks for, in the forms that it takes."""

    ranges: Sequence[accept.AcceptRange]
    parts: list[_Part] = field(default_factory=list)
    is_whole: bool = True
    not_taken: Sequence[accept.Offer] = ()
    """The forms of the first value that the client takes in none of them."""

    def choose(self, offers: Sequence[accept.Offer]) -> accept.Offer | None:
        """The form to send; None, and the answer is not whole, where the client takes none."""
        form = accept.choose(self.ranges, offers)
        if form is None:
            self.is_whole = False
            self.not_taken = self.not_taken or offers
        return form


class BulkParts:
    """Answers with many values at once."""

    def __init__(self, holdings: Holdings, values: BulkValues, frames: FrameRetrievals) -> None:
        self._holdings = holdings
        self._values = values
        self._frames = frames

    async def bulk_data(self, request: Request, *uids: str) -> Response:
        """All bulk data of the study, series or instance that the UIDs of its path name."""
        sound, found = await self._begin(request, uids)
        for start in range(0, len(sound), _GROUP):
            await asyncio.to_thread(self._add_values, sound[start : start + _GROUP], found)
            if len(found.parts) > MAX_PARTS:
                raise WebRequestError(413, f"more than {MAX_PARTS} values; ask for a series or an object")
        return self._answer(request, found, "bulk data")

    async def pixel_data(self, request: Request, *uids: str) -> Response:
        """All frames of the study, series or instance that the UIDs of its path name."""
        sound, found = await self._begin(request, uids)
        for location in sound:
            if location.pixel is not None:
                self._add_frames(location, "", found)
        return self._answer(request, found, "Pixel Data")

    async def _begin(self, request: Request, uids: Sequence[str]) -> tuple[list[Location], _Found]:
        locations = await self._holdings.locate(request, *uids)
        sound = self._holdings.sound(locations)
        return sound, _Found(request.accepted(), is_whole=len(sound) == len(locations))

    def _add_values(self, locations: Sequence[Location], found: _Found) -> None:
        for location in locations:
            try:
                with self._holdings.archive.dataset(location) as ds:
                    for path in _bulk_paths(ds):
                        self._add_value(location, ds, path, found)
            except Corrupt as error:
                # As in the metadata of a series: one damaged object does not hide the others.
                log.error("left out of an answer: %s", error)
                found.is_whole = False

    def _add_value(self, location: Location, ds: DataSet, path: str, found: _Found) -> None:
        steps, place = parse_bulk_path(path), f"/bulkdata/{path}"
        if is_encapsulated(location, steps):
            self._add_frames(location, place, found)
            return
        value = value_in(ds, steps)
        form = found.choose(bulk_offers(value.media_type, single_part=False))
        if form is not None:
            found.parts.append(_Part(location, place, form, steps, value))

    def _add_frames(self, location: Location, place: str, found: _Found) -> None:
        try:
            count = self._holdings.archive.frames(location).count
        except NotFound:  # they cannot be told apart
            count = 0
        if not count:
            found.is_whole = False
            return
        form = found.choose(self._frames.forms(location))
        if form is not None:
            found.parts.append(_Part(location, place, form))

    def _answer(self, request: Request, found: _Found, what: str) -> Response:
        if not found.parts:
            if found.not_taken:
                accept.require(found.ranges, found.not_taken, f"the {what}")
            raise NotFound(f"nothing here has {what}")
        tag = _tag(found.parts)
        headers: Headers = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache")]
        if not_modified(request.header(b"if-none-match"), tag):
            return Response(304, b"", headers)
        boundary = new_boundary()
        content_type = related_content_type(found.parts[0].form.media_type, boundary)
        headers.append((b"content-type", content_type.encode()))
        # PS3.18 Table 10.4.3-1: 206 where some of it cannot be had in the form asked for.
        body = self._pieces(found.parts, request.base, boundary)
        return Response(200 if found.is_whole else 206, body, headers)

    async def _pieces(
        self, parts: Sequence[_Part], base: str, boundary: str
    ) -> AsyncIterator[bytes | memoryview]:
        for number, part in enumerate(parts):
            uri, first = f"{instance_uri(base, part.location.key)}{part.place}", number == 0
            if part.value is None:
                async for piece in self._frames.parts_of_all(
                    part.location, part.form, boundary, uri, first=first
                ):
                    yield piece
                continue
            headers = {"Content-Type": part.form.media_type, "Content-Location": uri}
            yield part_head(boundary, headers, first=first)
            async for piece in await self._values.body(
                part.location, part.steps, part.value, 0, part.value.length
            ):
                yield piece
        yield closing(boundary)


def _bulk_paths(ds: DataSet) -> list[str]:
    """The paths of what the metadata of a Data Set refers to, in their order there."""
    paths: list[str] = []

    def uri(path: str, _: object) -> str:
        paths.append(path)
        return path

    to_json_model(ds, bulk_uri=uri)
    return paths


def _tag(parts: Sequence[_Part]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.location.identity)
        digest.update(part.location.meta_sha256)
        digest.update(f"{part.place} {accept.describe(part.form)}\n".encode())
    return f'"{digest.hexdigest()[:32]}-bulk"'
