"""What the archive holds, as the retrieve handlers ask for it: by the UIDs of a path, read in pieces.

Everything that touches disk or index runs in a thread; pieces of large objects are read one ahead, so
that the disk works while the network does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from gantry.archive.archive import Archive
from gantry.archive.frames import Span, StoredFrames
from gantry.archive.index import Location
from gantry.archive.open_object import OpenObject
from gantry.archive.records import InstanceKey
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.dicomweb.paths import instance_path, require_uid
from gantry.errors import Corrupt, NotFound
from gantry.server.http import Request

log = logging.getLogger("gantry.server.http")

PIECE_BYTES = 1 << 20
"""How much of a large object is in memory at a time, times two for reading ahead."""


class Holdings:
    """Objects by UID, their frames and their bytes."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    async def locate(
        self, request: Request, study_uid: str, series_uid: str | None = None, sop_uid: str | None = None
    ) -> list[Location]:
        """The objects of a path, or the `version` that the query asks for. Raises NotFound."""
        for uid in (study_uid, series_uid, sop_uid):
            if uid is not None:
                require_uid(uid)
        version = _version(request)
        found = await asyncio.to_thread(self.archive.locate, study_uid, series_uid, sop_uid, version)
        if not found:
            raise NotFound("no such object, or none that is visible")
        return found

    async def one(self, request: Request, study_uid: str, series_uid: str, sop_uid: str) -> Location:
        """The object of an instance's path. Raises NotFound, and Corrupt where it is known to be damaged."""
        location = (await self.locate(request, study_uid, series_uid, sop_uid))[0]
        self.archive.refuse_damaged(location)
        return location

    def sound(self, locations: Sequence[Location]) -> list[Location]:
        """Those of `locations` that are not known to be damaged. Raises Corrupt where none is left."""
        good, worst = [], Corrupt("nothing here can be read")
        for location in locations:
            try:
                self.archive.refuse_damaged(location)
            except Corrupt as error:
                worst = error
                log.error("left out of an answer: %s", error)
            else:
                good.append(location)
        if not good:
            raise worst
        return good

    async def frames(self, location: Location) -> StoredFrames:
        """Where the frames are. Raises NotFound where the object has no pixels."""
        return self.archive.frames(location)

    async def read(self, location: Location, offset: int, length: int) -> bytes:
        """`length` bytes of the file from `offset`."""
        return await asyncio.to_thread(self.archive.read_range, location, offset, length)

    async def read_spans(self, location: Location, spans: Sequence[Span]) -> bytes:
        """Several pieces of the file as one."""
        if len(spans) == 1:
            return await self.read(location, *spans[0])
        return await asyncio.to_thread(self._joined, location, spans)

    def _joined(self, location: Location, spans: Sequence[Span]) -> bytes:
        return b"".join(self.archive.read_range(location, offset, length) for offset, length in spans)

    async def stream(self, location: Location, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes of the file from `start` to `stop`, in pieces.

        The first is read before this returns, so that what cannot be read can still be answered as an
        error. Raises Corrupt, StorageError.
        """
        first = await self.read(location, start, min(PIECE_BYTES, stop - start))
        return self._pieces(location, first, start + len(first), stop)

    async def open(self, locations: Sequence[Location]) -> list[OpenObject] | None:
        """Files of small objects, opened and in the page cache; None where they cannot be had as files.

        Raises Corrupt, StorageError.
        """
        return await asyncio.to_thread(self._open, locations)

    def _open(self, locations: Sequence[Location]) -> list[OpenObject] | None:
        opened: list[OpenObject] = []
        try:
            for location in locations:
                one = self.archive.open_object(location)
                if one is None:
                    return None
                opened.append(one)
        except BaseException:
            # Not left to whoever keeps the error, and the frames that it remembers.
            for one in opened:
                one.close()
            raise
        return opened

    async def _pieces(self, location: Location, piece: bytes, start: int, stop: int) -> AsyncIterator[bytes]:
        """A piece that was read, and those from `start` on, each read while the one before goes out."""
        while start < stop:
            length = min(PIECE_BYTES, stop - start)
            following = asyncio.create_task(self.read(location, start, length))
            try:
                yield piece
            except BaseException:
                following.cancel()
                raise
            piece = await following
            start += length
        yield piece


def _version(request: Request) -> int | None:
    if "version=" not in request.query:
        return None
    text = single(split_query(request.query), "version")
    return None if text is None else unsigned("version", text)


def instance_uri(base: str, key: InstanceKey) -> str:
    """Where an object is below `base` (scheme and authority), empty for a path."""
    return f"{base}/dicom-web{instance_path(key.study_uid, key.series_uid, key.sop_uid)}"


def etag(location: Location, form: str = "") -> str:
    """The entity tag of an object in one form: a digest of its bytes, so that it holds across restarts."""
    digest = location.identity[:12].hex() + location.meta_sha256[:4].hex()
    return f'"{digest}{"-" if form else ""}{form}"'
