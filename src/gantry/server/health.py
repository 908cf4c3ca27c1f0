"""Whether the archive works, how much it holds, and where DICOM is sent to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gantry import __version__
from gantry.archive.archive import Archive
from gantry.errors import Unreachable
from gantry.server.http import TEXT_TYPE, Request, Response, json_response

MAX_DAMAGED = 1000
"""More than that is a broken disk, and no list."""

ScrubReport = Callable[[], dict[str, object]]
"""Tells how far the scrub of the server is."""

DicomDoor = Callable[[], tuple[str, int]]
"""Gives AE title and port of the DICOM listener, once it listens."""


class Health:
    """Answers ``/api/health``, ``/api/damaged`` and ``/api/stats``."""

    def __init__(
        self, archive: Archive, dicom: DicomDoor | None = None, scrub: ScrubReport | None = None
    ) -> None:
        self._archive = archive
        self._dicom = dicom
        self._scrub = scrub

    async def health(self, _request: Request) -> Response:
        """200 where objects can be stored and found; 503 where they cannot (N6), or the index is away."""
        status, why = await self._state()
        answer: dict[str, object] = {
            "status": status,
            "reason": why,
            "version": __version__,
            "damaged": len(self._archive.damaged()),
        }
        if self._scrub is not None:
            answer["scrub"] = self._scrub()
        if self._dicom is not None:
            answer["dicom"] = dict(zip(("aet", "port"), self._dicom(), strict=True))
        return json_response(answer, 503 if why else 200).with_header(b"cache-control", b"no-store")

    async def lives(self, _request: Request) -> Response:
        """200 as long as the process answers at all: whoever hears nothing may start it anew."""
        return _word(200, "ok")

    async def is_ready(self, _request: Request) -> Response:
        """200 where objects can be stored and found; 503 and why, where nobody should be sent here."""
        _, why = await self._state()
        return _word(503, why) if why else _word(200, "ok")

    async def _state(self) -> tuple[str, str]:
        """A word for how it is, and why it is not well, empty where it is."""
        if self._archive.read_only:
            return "read-only", self._archive.read_only
        try:
            await asyncio.to_thread(self._archive.reach_index)
        except Unreachable as error:
            return "no index", str(error)
        return "ok", ""

    async def damaged(self, _request: Request) -> Response:
        """Objects whose bytes are not what was acknowledged, and which are refused until they are healed."""
        known = sorted(self._archive.damaged().items())
        answer = {
            "count": len(known),
            "damaged": [{"path": path, "reason": why} for path, why in known[:MAX_DAMAGED]],
        }
        return json_response(answer).with_header(b"cache-control", b"no-store")

    async def stats(self, _request: Request) -> Response:
        """What is visible, and all versions ever noted."""
        stats = await asyncio.to_thread(self._archive.stats)
        answer = {
            "patients": stats.patients,
            "studies": stats.studies,
            "series": stats.series,
            "instances": stats.instances,
            "size_bytes": stats.size_bytes,
            "versions": stats.versions,
            "conflicts": stats.conflicts,
            "last_change": stats.last_change,
        }
        return json_response(answer).with_header(b"cache-control", b"no-store")


def _word(status: int, text: str) -> Response:
    headers = [(b"content-type", TEXT_TYPE), (b"cache-control", b"no-store")]
    return Response(status, f"{text}\n".encode(), headers)
