"""The change feed: every commit, for whoever follows it, by asking, waiting or listening.

Numbers rise with commit order. A follower keeps the last number it has seen and asks for what came after:
at once, after waiting for something to come (``wait``), or as server-sent events that go on for as long as
the connection does. `epoch` names the index: when it is another one, the follower starts at 0 again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.index import Change
from gantry.dicomweb.parameters import single, split_query, unsigned
from gantry.server.http import Request, Response, json_response

MAX_WAIT_S = 60
"""Longest wait of one request: proxies give up soon after."""

MAX_CHANGES = 1000
HEARTBEAT_S = 15.0
"""A comment line this often tells proxies and followers that the stream lives."""

EVENT_STREAM = "text/event-stream"


class Feed:
    """Answers ``/api/changes``."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._waiters: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._end_listening = archive.listen(self._committed)

    def close(self) -> None:
        """End waiting requests and streams; the connections they hold would outlast the server."""
        self._closing = True
        self._end_listening()
        self._wake()

    async def changes(self, request: Request) -> Response:
        pairs = split_query(request.query)
        after = await self._start(single(pairs, "after") or "0")
        limit = unsigned("limit", single(pairs, "limit") or "100")
        wait = unsigned("wait", single(pairs, "wait") or "0")
        if EVENT_STREAM in (request.header(b"accept") or ""):
            return self._stream(request, after)
        self._loop = asyncio.get_running_loop()
        found = await self._after(after, limit, min(wait, MAX_WAIT_S))
        response = json_response(
            {
                "epoch": self._archive.epoch,
                "last": found[-1].seq if found else after,
                "changes": [_shown(change) for change in found],
            }
        )
        return response.with_header(b"cache-control", b"no-store")

    async def _start(self, text: str) -> int:
        """The number to go on from; ``now`` is that of the last change."""
        if text == "now":
            return (await asyncio.to_thread(self._archive.stats)).last_change
        return unsigned("after", text)

    async def _after(self, after: int, limit: int, wait_s: float) -> list[Change]:
        limit = max(1, min(limit, MAX_CHANGES))
        found = await asyncio.to_thread(self._archive.changes, after, limit)
        if found or not wait_s or self._closing:
            return found
        event = asyncio.Event()
        self._waiters.add(event)
        try:
            # Asked again after listening began: a commit may have come in between.
            found = await asyncio.to_thread(self._archive.changes, after, limit)
            if found:
                return found
            async with asyncio.timeout(wait_s):
                await event.wait()
        except TimeoutError:
            return []
        finally:
            self._waiters.discard(event)
        return await asyncio.to_thread(self._archive.changes, after, limit)

    def _stream(self, request: Request, after: int) -> Response:
        self._loop = asyncio.get_running_loop()
        last = request.header(b"last-event-id")
        if last is not None:
            after = unsigned("Last-Event-ID", last)
        headers = [(b"content-type", EVENT_STREAM.encode()), (b"cache-control", b"no-store")]
        return Response(200, self._events(after), headers)

    async def _events(self, after: int) -> AsyncIterator[bytes]:
        yield f"event: epoch\ndata: {self._archive.epoch}\n\n".encode()
        while not self._closing:
            found = await self._after(after, MAX_CHANGES, HEARTBEAT_S)
            yield _events(found) if found else b": still here\n\n"
            if found:
                after = found[-1].seq

    def _committed(self, _last: int) -> None:
        # In the committing thread.
        loop = self._loop
        if loop is not None and self._waiters and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._waiters:
            event.set()


def _shown(change: Change) -> dict[str, object]:
    return {
        "seq": change.seq,
        "kind": change.kind.name.lower().replace("_", "-"),
        "at": change.at.isoformat(),
        "study": change.key.study_uid,
        "series": change.key.series_uid,
        "instance": change.key.sop_uid,
        "version": change.number,
    }


def _events(changes: Sequence[Change]) -> bytes:
    return b"".join(
        b"id: %d\nevent: change\ndata: %s\n\n" % (change.seq, msgspec.json.encode(_shown(change)))
        for change in changes
    )
