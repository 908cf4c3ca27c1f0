"""The short way for frames and objects: what was answered before is answered again by one look-up.

A viewer asks for the frames of a series in the same words, only the number changes, and comes back for
them. The first answer leaves a *plan*: the file, the place in it, and the headers, all made. A plan
holds as long as its instance does not change: when the archive has committed something, the feed tells
whose plans to forget before the next one is used.

Such an answer leaves from the connection itself (`http_guard`), file to socket without passing through
this process: measured, that halves the cost of a frame of 512 KiB. It is only tried where the bytes are in
the page cache; what is not there goes the long way, in a thread, so that a slow disk never holds up the
loop.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from gantry.archive.archive import Archive
from gantry.archive.open_object import is_in_memory
from gantry.archive.records import Location
from gantry.dicomweb import accept
from gantry.dicomweb.multipart import closing, part_head, related_content_type
from gantry.dicomweb.ranges import not_modified
from gantry.errors import StorageError
from gantry.server.generation import Generation
from gantry.server.http import Headers, Request, new_boundary
from gantry.server.policy import HttpPolicy

MAX_PLANS = 20_000
"""About 20 MB of plans: eighty series of 250 slices."""

MAX_PLAN_BYTES = 8 << 20
"""Frames that go out in one piece; larger ones are streamed the long way."""

MAX_OPEN_FILES = 256
"""Files kept open; a process may have 1024 and associations need theirs."""

_Words = tuple[bytes, bytes, bytes]
"""Raw path, Accept and Host: what a request for a frame differs in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One frame, or a whole object, as it lies in its file, and the form it is sent in.

    `fields` are header fields besides those that every such answer has.
    """

    location: Location
    offset: int
    length: int
    offer: accept.Offer
    content_type: str
    path: str
    etag: str
    fields: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Direct:
    """An answer that can leave at once: `head` (header fields on), a piece of an open file, `tail`.

    `head` is what follows the status line and the server's own fields, up to the body's first bytes. `route`
    is the template of the route that answered so first.
    """

    head: bytes
    file: int
    offset: int
    length: int
    tail: bytes
    route: str


Shortcut = Callable[[bytes, Headers], Direct | None]
"""The answer to a GET on a raw path with these headers, where it can leave at once."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plan with everything made that does not change from one request to the next."""

    location: Location
    file: str
    offset: int
    length: int
    head: bytes
    tail: bytes
    etag: bytes
    route: str


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
        self._good_for = generation.current
        self._refreshing: asyncio.Task[None] | None = None
        self._files = OpenFiles(MAX_OPEN_FILES)
        self._damage_state = archive.damage_state
        self.followed = 0
        """How many answers left by a plan."""

    def generation(self) -> int:
        """Names the archive's present state; take it before looking anything up."""
        return self._now.current

    def remember(self, request: Request, plan: Plan, generation: int) -> None:
        """Keep `plan` for requests in the same words, unless the archive has changed meanwhile."""
        if not self._ready:
            self._good_for = generation  # there is nothing that could have changed since
        if request.query or plan.length > MAX_PLAN_BYTES or generation != self._good_for:
            return
        if not self._archive.is_at_hand(plan.location):
            return  # parts of it were read, and the rest may never be needed
        real = self._archive.real_path(plan.location)
        if real is None:
            return
        host = (request.header(b"host") or "").encode("latin-1")
        words = (request.scope["raw_path"], (request.header(b"accept") or "").encode("latin-1"), host)
        self._ready[words] = self._made(plan, str(real), request)
        if len(self._ready) > MAX_PLANS:
            self._ready.popitem(last=False)

    async def refresh(self) -> None:
        """Forget the plans of instances that changed since the plans were last known to be good."""
        number = self._now.current
        changed = await asyncio.to_thread(self._now.changed_since, self._good_for)
        if changed is None:
            self._ready.clear()
        else:
            for words in [w for w, ready in self._ready.items() if ready.location.key in changed]:
                del self._ready[words]
        self._good_for = number

    def _refresh_soon(self) -> None:
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(self.refresh())

    def _made(self, plan: Plan, file: str, request: Request) -> _Ready:
        head, tail, content_type = b"", b"", plan.content_type
        if plan.offer.multipart:
            boundary = new_boundary()
            location = request.base + plan.path
            part = {"Content-Type": plan.content_type, "Content-Location": location}
            head, tail = part_head(boundary, part, first=True), closing(boundary)
            content_type = related_content_type(plan.offer.media_type, boundary)
        fields: Headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(head) + plan.length + len(tail)).encode()),
            (b"etag", plan.etag.encode()),
            (b"cache-control", b"private, no-cache"),
            (b"vary", b"Accept, Accept-Encoding, Origin"),
            *plan.fields,
            *self._base_headers,
        ]
        head = b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n" + head
        etag = plan.etag.encode()
        return _Ready(plan.location, file, plan.offset, plan.length, head, tail, etag, request.route)

    def direct(self, raw_path: bytes, headers: Headers) -> Direct | None:
        """The answer to a GET without query, if there is a plan for it that can be followed at once."""
        if not self._ready:
            return None
        if self._good_for != self._now.current:
            self._refresh_soon()
            return None
        words, held = _words(raw_path, headers)
        ready = self._ready.get(words) if words is not None else None
        if words is None or ready is None or not self._policy.allows_host(words[2].decode("latin-1")):
            return None
        if held is not None and not_modified(held.decode("latin-1"), ready.etag.decode()):
            return None
        try:
            self._archive.refuse_damaged(ready.location)  # N14: it may have been found so since
            if self._damage_state != self._archive.damage_state:
                # Or have been healed, by another file of that name. Asked after it was found not to be
                # refused, because the number goes up before a healed object can be read.
                self._damage_state = self._archive.damage_state
                self._files.close()
                self._ready.clear()
                return None
            file = self._files.open(ready.file)
        except (OSError, StorageError):
            return None
        if not is_in_memory(file, ready.offset, ready.length):
            return None
        self.followed += 1
        return Direct(ready.head, file, ready.offset, ready.length, ready.tail, ready.route)

    def close(self) -> None:
        """Let go of all files."""
        self._files.close()


def _words(raw_path: bytes, headers: Headers) -> tuple[_Words | None, bytes | None]:
    """What names a plan, and If-None-Match; None for requests that a plan does not fit."""
    given = host = b""
    held: bytes | None = None
    for name, value in headers:
        if name == b"accept":
            given = given + b", " + value if given else value
        elif name == b"host":
            host = value
        elif name == b"if-none-match":
            held = value
        elif name in (b"range", b"origin"):
            return None, None
    return (raw_path, given, host), held


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
