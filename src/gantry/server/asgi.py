"""The HTTP door: one ASGI callable over a table of routes.

What every answer shares happens here, once: the name we may be called by, which web pages may call,
the route, errors as statuses (`outcome` holds the table), HEAD, compression, the headers that keep
content inert. Frames and instances that were asked for before take the short way: when nothing has
changed since, one look-up and one read answer them (`plans`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from gantry.errors import GantryError, NotSatisfiable, WebRequestError
from gantry.server.body import ClientGone, drain
from gantry.server.compression import accepts_gzip, pack
from gantry.server.http import (
    FilePiece,
    Headers,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    SendPiece,
    error_response,
)
from gantry.server.logs import current_request
from gantry.server.metrics import CLIENT_GONE, Metrics
from gantry.server.outcome import Answer, answer_for_error
from gantry.server.plans import Shortcut
from gantry.server.policy import HttpPolicy
from gantry.server.routes import RouteTable
from gantry.server.traced_http import trace_direct, trace_request
from gantry.server.traces import Traces

log = logging.getLogger("gantry.server.http")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# A DICOM object, or a value in one, may be a web page or a script under another name (B35, B48, B59):
# browsers are told not to guess types, not to run, not to frame, not to share.
BASE_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
INERT_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox")
SAME_ORIGIN_ONLY = (b"cross-origin-resource-policy", b"same-origin")

_EXPOSED = b"x-request-id, x-total-count, warning, etag, content-range, content-location, retry-after"
_PREFLIGHT_S = b"600"
_BLOCK = 1 << 20

FILE_PIECES = "gantry.file-pieces"
"""The extension of a scope by which a connection takes pieces of files: a `SendPiece`."""


class App:
    """The ASGI application over a table of routes.

    `direct` answers what can leave at once, for a connection that knows how (`http_guard`);
    `settle` is awaited before anything is read; `run_background` is work beside requests, until cancelled;
    `close` ends what would never end by itself (event streams, long polls) and lets go of files.
    """

    def __init__(
        self,
        routes: RouteTable,
        policy: HttpPolicy,
        *,
        direct: Shortcut | None = None,
        background: Callable[[str], Awaitable[None]] | None = None,
        settle: Callable[[], Awaitable[None]] | None = None,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        closers: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.routes = routes
        self.policy = policy
        self.direct = direct if direct is None or traces is None else trace_direct(direct, traces)
        self._background = background
        self._settle = settle
        self._metrics = metrics or Metrics()
        self._traces = traces
        self._closers = tuple(closers)

    async def run_background(self, base: str) -> None:
        """Prepare answers ahead of requests; `base` is the URL that people will ask under."""
        if self._background is not None:
            await self._background(base)

    def close(self) -> None:
        """No more requests will come: end streams, let go of files. Called in the loop."""
        for close in self._closers:
            close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _other_protocol(scope, receive, send)
            return
        request = Request(scope, receive)
        told = current_request.set(request)
        try:
            if self._traces is None:
                await self._counted(request, send)
            else:
                await trace_request(self._traces, request, lambda: self._counted(request, send))
        finally:
            current_request.reset(told)

    async def _counted(self, request: Request, send: Send) -> int:
        """Answer, and count it; the status."""
        metrics, began = self._metrics, time.monotonic()
        metrics.in_flight += 1
        status = CLIENT_GONE
        try:
            response = await self._answer(request)
            if not request.body_read and not await drain(request):
                response.headers.append((b"connection", b"close"))
            await _send(request, self._finished(request, response), send)
            status = response.status
        except ClientGone:
            pass
        finally:
            metrics.in_flight -= 1
            metrics.note_request(request.method, request.route, status, time.monotonic() - began)
        return status

    async def _answer(self, request: Request) -> Response:
        """The handler's answer, or what went wrong as one. ClientGone passes through."""
        try:
            self._check_caller(request)
            return await self._routed(request)
        except GantryError as error:
            answer = answer_for_error(error)
            log.info(
                "%s %s from %s: %d %s; request=%s",
                request.method,
                ascii(request.path[:200]),
                request.peer,
                answer.http_status,
                type(error).__name__ if isinstance(error, WebRequestError) else ascii(answer.comment),
                request.id,
            )
            return _refusal(answer, error)
        except ClientGone:
            named = request.method, ascii(request.path[:200]), request.peer, request.id
            log.info("%s %s from %s: broken off; request=%s", *named)
            raise
        except Exception:
            named = request.method, ascii(request.path[:200]), request.peer, request.id
            log.exception("%s %s from %s; request=%s", *named)
            return error_response(500, "the server failed; its log says how")

    def _check_caller(self, request: Request) -> None:
        """B82: the name we are called by, and whose page calls."""
        host = request.header(b"host")
        # HTTP/1.0 has no such field and no browser speaks it: so balancers ask whether we are ready
        is_probe = host is None and request.scope.get("http_version") == "1.0"
        if not is_probe and not self.policy.allows_host(host):
            raise WebRequestError(400, "the Host field is not a name of this server")
        origin = request.header(b"origin")
        if origin is None or request.method in SAFE_METHODS:
            return
        if not _same_origin(request, origin) and not self.policy.allows_origin(origin):
            raise WebRequestError(403, "a page of another origin may not change anything here")

    async def _routed(self, request: Request) -> Response:
        methods, values = self.routes.match(request.path)
        method = "GET" if request.method == "HEAD" and "HEAD" not in methods else request.method
        route = methods.get(method)
        request.route = (route or next(iter(methods.values()))).template
        if route is not None and not (method == "OPTIONS" and _is_preflight(request)):
            if self._settle is not None and method in SAFE_METHODS:
                await self._settle()
            return await route.handler(request, *values)
        allowed = sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())})
        if method == "OPTIONS":
            return Response(204, b"", [(b"allow", ", ".join(allowed).encode())])
        response = error_response(405, f"{request.method} is not for this path")
        return response.with_header(b"allow", ", ".join(allowed))

    def _finished(self, request: Request, response: Response) -> Response:
        """Add what every answer has."""
        headers = response.headers
        names = {name for name, _ in headers}
        headers += BASE_HEADERS
        if response.status >= 400 or request.header(b"x-request-id"):
            headers.append((b"x-request-id", request.id.encode("ascii")))
        if b"content-security-policy" not in names:
            headers.append(INERT_POLICY)
        origin = request.header(b"origin")
        if origin is not None and self.policy.allows_origin(origin):
            headers += self._cors(request, origin)
        else:
            headers.append(SAME_ORIGIN_ONLY)
        vary = [b"Accept", b"Accept-Encoding"] if request.method in ("GET", "HEAD") else []
        if self.policy.cors_origins:
            vary.append(b"Origin")
        if vary:
            headers.append((b"vary", b", ".join(vary)))
        return response

    def _cors(self, request: Request, origin: str) -> Headers:
        """What lets a page of an allowed origin read the answer (Fetch standard, 3.2)."""
        headers: Headers = [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED),
            (b"cross-origin-resource-policy", b"cross-origin"),
        ]
        if _is_preflight(request):
            asked = request.header(b"access-control-request-headers") or ""
            headers += [
                (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE, OPTIONS"),
                (b"access-control-allow-headers", asked.encode("latin-1")),
                (b"access-control-max-age", _PREFLIGHT_S),
            ]
        return headers


def _refusal(answer: Answer, error: GantryError) -> Response:
    response = error_response(answer.http_status, answer.comment)
    if isinstance(error, NotSatisfiable):
        response.with_header(b"content-range", f"bytes */{error.size}")
    if answer.retry_after_s is not None:
        response.with_header(b"retry-after", str(answer.retry_after_s))
    return response


def _same_origin(request: Request, origin: str) -> bool:
    scheme, _, authority = origin.partition("://")
    return scheme in ("http", "https") and authority == request.header(b"host")


def _is_preflight(request: Request) -> bool:
    return (
        request.method == "OPTIONS"
        and request.header(b"origin") is not None
        and request.header(b"access-control-request-method") is not None
    )


async def _send(request: Request, response: Response, send: Send) -> None:
    body = response.body
    if not isinstance(body, bytes | memoryview):
        await _send_stream(request, response, body, send)
        return
    if response.compressible and accepts_gzip(request):
        await pack(response)
        body = response.body
        assert isinstance(body, bytes | memoryview)
    if response.status not in (204, 304):
        response.headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def _send_stream(
    request: Request, response: Response, body: AsyncIterator[bytes | memoryview | FilePiece], send: Send
) -> None:
    if response.length is not None:
        response.headers.append((b"content-length", str(response.length).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    if request.method != "HEAD":
        # A client that has gone takes nothing and says so only when asked: nobody else stops the reading.
        gone = asyncio.create_task(_gone(request))
        try:
            async for piece in body:
                if gone.done():
                    return
                if not isinstance(piece, FilePiece):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                elif not await _send_piece(request, response, piece, send):
                    return
        except GantryError as error:
            log.warning("%s broken off: %s", ascii(request.path[:200]), ascii(str(error)))
            return
        finally:
            gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _send_piece(request: Request, response: Response, piece: FilePiece, send: Send) -> bool:
    """Send part of a file: by the connection itself where it can, else by reading it."""
    send_piece: SendPiece | None = request.scope.get("extensions", {}).get(FILE_PIECES)
    if send_piece is not None and response.length is not None:
        return await send_piece(piece)
    await send({"type": "http.response.body", "body": piece.head, "more_body": True})
    for at in range(piece.offset, piece.offset + piece.length, _BLOCK):
        size = min(_BLOCK, piece.offset + piece.length - at)
        block = await asyncio.to_thread(os.pread, piece.file, size, at)
        await send({"type": "http.response.body", "body": block, "more_body": True})
    return True


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _other_protocol(scope: Scope, receive: Receive, send: Send) -> None:
    """Start and stop notices are acknowledged; there are no web sockets."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await receive()
    await send({"type": "websocket.close", "code": 1000})
