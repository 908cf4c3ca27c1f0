"""What a backup must hold, listed for `gantry backup`, which then copies the files itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gantry.archive.archive import Archive
from gantry.archive.backup.listing import Point, listed
from gantry.server.http import Request, Response

JSON_LINES = "application/jsonl"


class BackupDoor:
    """Answers ``/api/backup-list``. It only lists: where copies go, no caller of the API can say."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def list(self, _request: Request) -> Response:
        """This moment of the archive, as JSON lines; the last one proves that none is missing."""
        point = await asyncio.to_thread(self._archive.point)
        headers = [(b"content-type", JSON_LINES.encode()), (b"cache-control", b"no-store")]
        return Response(200, _pieces(point), headers)


async def _pieces(point: Point) -> AsyncIterator[bytes]:
    pieces = listed(point)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
