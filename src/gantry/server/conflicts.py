"""The list of contradictions between objects that are all kept (N9, N10)."""

from __future__ import annotations

import asyncio

from gantry.archive.archive import Archive
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.server.http import Request, Response, json_response

MAX_CONFLICTS = 1000


class Conflicts:
    """Answers ``/api/conflicts``."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def list(self, request: Request) -> Response:
        pairs = split_query(request.query)
        after = unsigned("after", single(pairs, "after") or "0")
        limit = unsigned("limit", single(pairs, "limit") or "100")
        found = await asyncio.to_thread(self._archive.conflicts, after, max(1, min(limit, MAX_CONFLICTS)))
        shown = [
            {
                "seq": conflict.seq,
                "kind": conflict.kind.value,
                "study": conflict.study_uid,
                "series": conflict.series_uid,
                "instance": conflict.sop_uid,
                "parties": list(conflict.parties),
                "first_seen": conflict.first_seen.isoformat(),
                "last_seen": conflict.last_seen.isoformat(),
            }
            for conflict in found
        ]
        return json_response({"conflicts": shown, "last": found[-1].seq if found else after})
