"""The HTTP connection itself under guard: what uvicorn leaves to whoever stands in front of it.

uvicorn parses requests well and has no limit on how long or how large their heads may be, nor on how
slowly an answer may be taken. Gantry is meant to stand alone, so its connections have those limits:

- a head (request line and fields) is at most `head_bytes` and comes within `head_timeout_s`;
- an answer is taken at `min_rate` bytes a second or more, over `rate_window_s`, else the connection is cut;
- at most `max_connections` are open; the next is answered 503 with Retry-After (N17).

Bodies on their way in are watched by `body`, which knows what a request is for.

Here is also where parts of files leave, copied by the kernel from the page cache to the socket: frames that
need no application (`plans`), and the objects of a series.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gantry.client.kernel_copy import MORE_COMES, KernelCopy
from gantry.server.asgi import FILE_PIECES
from gantry.server.body import MIN_RATE, RATE_WINDOW_S
from gantry.server.http import FilePiece
from gantry.server.outcome import RETRY_AFTER_S
from gantry.server.plans import Direct, Shortcut

log = logging.getLogger("gantry.server.http")

_TURN_BYTES = 4 << 20
"""What one client may take before others have their turn: a millisecond where it takes all it can get."""

_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one connection; sizes in bytes, times in seconds."""

    head_bytes: int = 32 << 10
    head_timeout_s: float = 10.0
    min_rate: int = MIN_RATE
    rate_window_s: float = RATE_WINDOW_S
    max_connections: int = 512


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's connection with limits; made for uvicorn by `guarded_http`."""

    limits = HttpLimits()
    direct: Shortcut | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_size = 0
        self._head_too_large = False
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._rate_timer: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._answered = False
        self._copy: KernelCopy | None = None
        self._since_turn = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            self._say("one connection too many")
            transport.write(_busy())
            transport.close()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        if self._copy is not None:
            self._copy.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_size += len(data)
        super().data_received(data)
        if self._in_head and self._head_timer is None and not self.transport.is_closing():
            self._expect_head()
        # A head that never ends is seen here, one that came in a single piece in `on_header`.
        if self._in_head and self._head_size > self.limits.head_bytes and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # Past a transport that encrypts, the bytes would go out as they are.
        if self.scheme == "http" and hasattr(os, "sendfile"):
            self.scope["extensions"] = {FILE_PIECES: self._send_piece}  # type: ignore[dict-item]
        self._in_head = True
        self._head_size = 0
        self._head_too_large = False

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count(len(name) + len(value) + 4)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_size = 0
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if self._head_too_large:
            self._refuse_head()
            return
        self._answered = self._answer_directly()
        if not self._answered:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._head_too_large and not self._answered:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._answered:
            self._answered = False
            self.server_state.total_requests += 1
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif not self._head_too_large:
            super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._rate_timer is None:
            self._watch_rate()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._rate_timer is not None:
            self._rate_timer.cancel()
            self._rate_timer = None

    def timeout_keep_alive_handler(self) -> None:
        # Closing would wait for ever for a client that does not take what is left of its answer.
        if not self.transport.is_closing() and self.transport.get_write_buffer_size():
            self._cut()
            return
        super().timeout_keep_alive_handler()

    def _answer_directly(self) -> bool:
        """Answer from a file if that can be done now; False, with nothing done, if not."""
        direct = type(self).direct
        if (
            direct is None
            or self.parser.get_method() != b"GET"
            or b"?" in self.url
            or self.scheme != "http"
            or not self.parser.should_keep_alive()
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.transport.get_write_buffer_size()
            or self.transport.is_closing()
        ):
            return False
        answer = direct(self.url, self.headers)
        if answer is None:
            return False
        own = b"".join(b"%b: %b\r\n" % field for field in self.server_state.default_headers)
        self._send_file(b"HTTP/1.1 200 OK\r\n" + own + answer.head, answer)
        return True

    def _send_file(self, head: bytes, answer: Direct) -> None:
        """Send what the socket takes at once by the kernel's copy, the rest as any answer."""
        try:
            headed, sent = _sent_at_once(self._past_transport().socket, head, answer)
            rest = b"" if sent == answer.length else _read_rest(answer, sent)
        except OSError:
            # The client has gone, or the file does not hold what was announced: nothing else can be said now.
            self.transport.abort()
            return
        self.transport.write(head[headed:] + rest + answer.tail)

    def _past_transport(self) -> KernelCopy:
        if self._copy is None:
            self._copy = KernelCopy(self.transport)
        return self._copy

    async def _send_piece(self, piece: FilePiece) -> bool:
        """Send part of a file as part of a body whose length was announced; see `http.SendPiece`."""
        cycle, copy, limits = self.cycle, self._past_transport(), self.limits
        await copy.emptied(self.flow.drain)
        try:
            await copy.send(
                [(piece.head, piece.length)], piece.file, piece.offset,
                window_s=limits.rate_window_s, min_rate=limits.min_rate,
            )  # fmt: skip
        except TimeoutError:
            self._too_slow()
        except OSError as error:
            # Half a body was sent: the end of the connection is the only way to say that it is half.
            self._say(f"an answer ended early ({error.strerror or error})")
            self.transport.abort()
        else:
            cycle.expected_content_length -= len(piece.head) + piece.length
            self._since_turn += piece.length
            if self._since_turn >= _TURN_BYTES:
                # One client that takes all it can get is no reason for others to wait.
                self._since_turn = 0
                await asyncio.sleep(0)
            return True
        cycle.disconnected = True
        return False

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self._say("an answer is taken too slowly")
            self._cut()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self.limits.head_bytes:
            self._head_too_large = True

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._head_too_slow)

    def _head_too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._say("no whole head in time")
            self.transport.write(_refusal(b"408 Request Timeout", b"the request's head did not come in time"))
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._say("not HTTP")
        super().send_400_response(msg)

    def _say(self, what: str) -> None:
        """A line in the log: what is sent here does not reach the application, which would write one."""
        host, port = self.client or ("-", 0)
        log.warning("connection from %s:%d: %s", host, port, what)

    def _refuse_head(self) -> None:
        self._say("a head larger than the limit")
        self.transport.write(
            _refusal(
                b"400 Bad Request", b"the request's head is larger than %d bytes" % self.limits.head_bytes
            )
        )
        self.transport.close()

    def _watch_rate(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._rate_timer = self.loop.call_later(self.limits.rate_window_s, self._check_rate)

    def _check_rate(self) -> None:
        self._rate_timer = None
        taken = self._unsent - self.transport.get_write_buffer_size()
        if taken < self.limits.min_rate * self.limits.rate_window_s:
            self._too_slow()
        else:
            self._watch_rate()

    def _cut(self) -> None:
        """End the connection at once: what the client did not take is dropped here and in the kernel."""
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _stop_timers(self) -> None:
        for timer in (self._head_timer, self._rate_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._rate_timer = None


def _sent_at_once(out: socket.socket, head: bytes, answer: Direct) -> tuple[int, int]:
    """How many bytes of the head and of the file the socket took without waiting. Raises OSError."""
    headed = sent = 0
    try:
        headed = out.send(head, MORE_COMES)
        while headed == len(head) and sent < answer.length:
            taken = os.sendfile(out.fileno(), answer.file, answer.offset + sent, answer.length - sent)
            if not taken:
                raise OSError("the file ends before the frame")
            sent += taken
    except BlockingIOError:
        pass
    return headed, sent


def _read_rest(answer: Direct, sent: int) -> bytes:
    rest = os.pread(answer.file, answer.length - sent, answer.offset + sent)
    if len(rest) != answer.length - sent:
        raise OSError("the file ends before the frame")
    return rest


def guarded_http(limits: HttpLimits, direct: Shortcut | None = None) -> type[GuardedHttp]:
    """The connection class for ``uvicorn.Config(http=...)``; `direct` is that of the app it serves."""
    # A function found on a class would be bound to the connection.
    made = staticmethod(direct) if direct is not None else None
    return type("GuardedHttp", (GuardedHttp,), {"limits": limits, "direct": made})


def _refusal(status: bytes, cause: bytes, more: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain; charset=utf-8\r\n" + more
        + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(cause) + cause
    )  # fmt: skip


def _busy() -> bytes:
    return _refusal(
        b"503 Service Unavailable", b"too many connections", b"retry-after: %d\r\n" % RETRY_AFTER_S
    )
