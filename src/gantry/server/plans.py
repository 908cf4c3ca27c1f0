"""The short way for frames: what was answered before is answered again by one look-up and one read.

A viewer asks for the frames of a series in the same words, only the number changes, and comes back for
them. The first answer leaves a *plan*: the file, the place in it, and the headers, all made. A plan
holds as long as its instance does not change: when the archive has committed something, the feed tells
whose plans to forget before the next one is used.

The read is tried without waiting (``RWF_NOWAIT``): bytes in the page cache cost no thread. What is not
there is read in a thread, so that a slow disk never holds up the loop.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gantry.archive.archive import Archive
from gantry.archive.records import InstanceKey, Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified
from gantry.server.generation import Generation
from gantry.server.http import Headers, Request, Scope, Send, new_boundary
from gantry.server.policy import HttpPolicy

MAX_PLANS = 20_000
"""About 20 MB of plans: eighty series of 250 slices."""

MAX_PLAN_BYTES = 8 << 20
"""Frames that go out in one piece; larger ones are streamed the long way."""

MAX_OPEN_FILES = 256
"""Files kept open; a process may have 1024 and associations need theirs."""

_NOWAIT = getattr(os, "RWF_NOWAIT", 0)

_Words = tuple[bytes, bytes, bytes]
"""Raw path, Accept and Host: what a request for a frame differs in."""


@dataclass(frozen=True, slots=True)
class FramePlan:
    """One frame as it lies in its file, and the form it is sent in."""

    location: Location
    offset: int
    length: int
    offer: accept.Offer
    content_type: str
    path: str
    etag: str


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plan with everything made that does not change from one request to the next."""

    key: InstanceKey
    file: str
    offset: int
    length: int
    head: bytes
    tail: bytes
    headers: Headers
    etag: bytes


class Plans:
    """Remembers how requests were answered, and answers them."""

    def __init__(
        self, archive: Archive, generation: Generation, policy: HttpPolicy, base_headers: Headers
    ) -> None:
        self._archive = archive
        self._now = generation
        self._policy = policy
        self._base_headers = base_headers
        self._ready: OrderedDict[_Words, _Ready] = OrderedDict()
        self._generation = generation.current
        self._refreshing = False
        self._files = OpenFiles(MAX_OPEN_FILES)

    def generation(self) -> int:
        """Names the archive's present state; take it before looking anything up."""
        return self._now.current

    def remember(self, request: Request, plan: FramePlan, generation: int) -> None:
        """Keep `plan` for requests in the same words, unless the archive has changed meanwhile."""
        if request.query or plan.length > MAX_PLAN_BYTES or generation != self._generation:
            return
        real = self._archive.real_path(plan.location)
        if real is None:
            return
        host = (request.header(b"host") or "").encode("latin-1")
        words = (request.scope["raw_path"], (request.header(b"accept") or "").encode("latin-1"), host)
        self._ready[words] = self._made(plan, str(real), request.base)
        if len(self._ready) > MAX_PLANS:
            self._ready.popitem(last=False)

    async def _refresh(self) -> None:
        """Forget the plans of instances that changed since the plans were last known to be good."""
        if self._refreshing:
            return
        self._refreshing = True
        try:
            number = self._now.current
            changed = await asyncio.to_thread(self._now.changed_since, self._generation)
            if changed is None:
                self._ready.clear()
            else:
                for words in [w for w, ready in self._ready.items() if ready.key in changed]:
                    del self._ready[words]
            self._generation = number
        finally:
            self._refreshing = False

    def _made(self, plan: FramePlan, file: str, base: str) -> _Ready:
        head, tail, content_type = b"", b"", plan.content_type
        if plan.offer.multipart:
            boundary = new_boundary()
            location = base + plan.path
            part = {"Content-Type": plan.content_type, "Content-Location": location}
            head, tail = part_head(boundary, part, first=True), closing(boundary)
            content_type = related_content_type(plan.offer.media_type, boundary)
        headers: Headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(head) + plan.length + len(tail)).encode()),
            (b"etag", plan.etag.encode()),
            *self._base_headers,
        ]
        key = plan.location.key
        return _Ready(key, file, plan.offset, plan.length, head, tail, headers, plan.etag.encode())

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Answer a GET at once if there is a plan for it; False, with nothing done, if not."""
        if scope["query_string"] or not self._ready:
            return False
        if self._generation != self._now.current:
            await self._refresh()
            if self._generation != self._now.current:
                return False
        words, held = _words(scope)
        if words is None:
            return False
        ready = self._ready.get(words)
        if ready is None or not self._policy.allows_host(words[2].decode("latin-1")):
            return False
        if held is not None and not_modified(held.decode("latin-1"), ready.etag.decode()):
            return False
        data = await self._read(ready)
        if data is None:
            return False
        await send({"type": "http.response.start", "status": 200, "headers": ready.headers})
        if ready.head:
            await send({"type": "http.response.body", "body": ready.head, "more_body": True})
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": ready.tail})
        else:
            await send({"type": "http.response.body", "body": data})
        return True

    async def _read(self, ready: _Ready) -> memoryview | None:
        """The frame's bytes; None where the file cannot be read to that place."""
        # Not zeroed first, unlike a bytearray: that would cost as much as the read.
        buffer = np.empty(ready.length, dtype=np.uint8).data
        try:
            got = _read_at_once(self._files.open(ready.file), buffer, ready.offset)
            if got < ready.length:
                got += await asyncio.to_thread(_read_waiting, ready.file, buffer[got:], ready.offset + got)
        except OSError:
            return None
        return buffer if got == ready.length else None

    def close(self) -> None:
        """Let go of all files."""
        self._files.close()


def _words(scope: Scope) -> tuple[_Words | None, bytes | None]:
    """What names a plan, and If-None-Match; None for requests that a plan does not fit."""
    given = host = b""
    held: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"accept":
            given = given + b", " + value if given else value
        elif name == b"host":
            host = value
        elif name == b"if-none-match":
            held = value
        elif name in (b"range", b"origin"):
            return None, None
    return (scope["raw_path"], given, host), held


def _read_at_once(fd: int, buffer: memoryview, offset: int) -> int:
    """How many bytes could be read without waiting."""
    if not _NOWAIT:
        return 0
    try:
        return os.preadv(fd, [buffer], offset, _NOWAIT)
    except BlockingIOError:
        return 0
    except OSError:
        return 0  # a file system that does not know the flag


def _read_waiting(file: str, buffer: memoryview, offset: int) -> int:
    """Read in a thread, by a descriptor of its own: the shared one may be closed meanwhile."""
    got = 0
    with Path(file).open("rb", buffering=0) as opened:
        while got < len(buffer):
            more = os.preadv(opened.fileno(), [buffer[got:]], offset + got)
            if not more:
                break
            got += more
    return got


class OpenFiles:
    """Files held open for reading, the least used closed first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[str, int] = OrderedDict()

    def open(self, path: str) -> int:
        """A descriptor of the file. Raises OSError."""
        fd = self._open.get(path)
        if fd is None:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._open[path] = fd
            if len(self._open) > self._most:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(path)
        return fd

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])
