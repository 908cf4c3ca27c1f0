"""One HTTP request and one answer as values, on the bare ASGI interface.

A handler takes a `Request` and returns a `Response`; how that goes out (headers, compression, CORS,
HEAD) is the app's. A body is bytes, or an asynchronous iterator of pieces for what does not fit in
memory: bytes, or parts of open files, which a connection can send without reading them. Header names are
lower case bytes, as ASGI has them.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import msgspec

from gantry.dicomweb.accept import AcceptRange, parse_accept
from gantry.dicomweb.parameters import split_query

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class FilePiece:
    """Bytes of an open file, after some of our own; the file stays the owner's to close."""

    head: bytes
    file: int
    offset: int
    length: int


Body = bytes | memoryview | AsyncIterator[bytes | memoryview | FilePiece]
SendPiece = Callable[[FilePiece], Awaitable[bool]]
"""Sends a piece as part of a body whose length was announced; False where the client has gone."""

_LOOPBACK_WITHOUT_PORT = frozenset({"localhost", "127.0.0.1", "[::1]"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RUN = secrets.token_hex(4)
_numbers = count(1)

JSON_TYPE = b"application/json"
TEXT_TYPE = b"text/plain; charset=utf-8"
HTML_TYPE = b"text/html; charset=utf-8"


class Request:
    """What a client asked for. `query` is raw; `base` is scheme and authority as the client wrote them."""

    __slots__ = (
        "_headers", "_id", "body_begun", "body_read", "method", "path", "query", "receive", "route", "scope",
    )  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("latin-1")
        self.query: str = scope["query_string"].decode("latin-1")
        self.route = ""
        """The template of the route that answers, once it is known."""
        self.body_begun = False
        self.body_read = False
        self._id = ""
        self._headers: dict[bytes, bytes] | None = None

    def header(self, name: bytes) -> str | None:
        """A header field, its lines joined with commas (RFC 9110 5.2); None where it is absent."""
        if self._headers is None:
            self._headers = {}
            for key, value in self.scope["headers"]:
                held = self._headers.get(key)
                self._headers[key] = value if held is None else held + b", " + value
        found = self._headers.get(name)
        return None if found is None else found.decode("latin-1")

    @property
    def id(self) -> str:
        """What log lines and answers of failure call this request: the client's ``X-Request-ID``, or ours."""
        if not self._id:
            given = self.header(b"x-request-id") or ""
            self._id = given if _REQUEST_ID.fullmatch(given) else f"{_RUN}-{next(_numbers)}"
        return self._id

    @property
    def peer(self) -> str:
        """Address and port of the client."""
        client = self.scope.get("client")
        return f"{client[0]}:{client[1]}" if client else "unknown"

    @property
    def base(self) -> str:
        """``http://host:port`` as the client addressed us."""
        host = self.header(b"host") or "localhost"
        server = self.scope.get("server")
        if server and server[1] not in (None, 80) and host in _LOOPBACK_WITHOUT_PORT:
            # Some clients leave the port out. On the same machine there is no proxy that could mean it.
            host = f"{host}:{server[1]}"
        return f"{self.scope.get('scheme', 'http')}://{host}"

    @property
    def content_length(self) -> int | None:
        """The announced size of the body; None for chunked or absent."""
        text = self.header(b"content-length")
        return int(text) if text is not None and text.isascii() and text.isdigit() else None

    def accepted(self) -> tuple[AcceptRange, ...]:
        """What the client takes: the `accept` query parameter, else the field (PS3.18 8.3.3.1)."""
        if "accept=" in self.query:
            given = [value for name, value in split_query(self.query) if name == "accept"]
            if given:
                return parse_accept(",".join(given))
        return parse_accept(self.header(b"accept"))


@dataclass(slots=True)
class Response:
    """An answer. `length` is that of a streamed body where it is known."""

    status: int = 200
    body: Body = b""
    headers: Headers = field(default_factory=list)
    length: int | None = None
    compressible: bool = False

    def with_header(self, name: bytes, value: str | bytes) -> Response:
        """Add a header field; text is made safe for one (no line ends, Latin-1)."""
        self.headers.append((name, header_value(value) if isinstance(value, str) else value))
        return self


Handler = Callable[..., Awaitable[Response]]


def header_value(text: str) -> bytes:
    """`text` as a field value: what could end the line or is not Latin-1 becomes ``?``."""
    safe = "".join(c if " " <= c != "\x7f" else "?" for c in text)
    return safe.encode("latin-1", "replace")


def json_response(value: object, status: int = 200, content_type: bytes = JSON_TYPE) -> Response:
    """An answer in JSON; `value` is anything that msgspec encodes, or bytes that are JSON already."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Response(status, body, [(b"content-type", content_type)], compressible=True)


def text_response(status: int, text: str) -> Response:
    """A short answer for a person."""
    return Response(status, text.encode(), [(b"content-type", TEXT_TYPE)])


def error_response(status: int, cause: str) -> Response:
    """What went wrong, for programs and people alike."""
    return json_response({"status": status, "error": cause}, status)


def add_warnings(response: Response, request: Request, warnings: Iterable[str]) -> None:
    """``Warning: 299`` fields (PS3.18 8.3.4)."""
    for warning in warnings:
        text = warning.replace("\\", "/").replace('"', "'")
        response.with_header(b"warning", f'299 {request.base} "{text}"')


_BOUNDARY_ROOT = secrets.token_hex(12)
_boundaries = count()


def new_boundary() -> str:
    """A boundary that no object can hold by intent: its first half is drawn when the process starts."""
    return f"{_BOUNDARY_ROOT}{next(_boundaries):x}"
