"""Sends parts of files on a connection by the kernel's own copy, past the transport that owns it.

A frame or a slice of half a megabyte then never passes through this process: the kernel lends the pages of
its cache to the socket. What the transport still holds must have left before, and nothing may be written to
it until a copy has ended; both are the caller's to see to, with `emptied` for the first. Not for a transport
that encrypts: the bytes would go out as they are.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable

# The head waits for the body's first bytes: sent alone it would wake the reader for nothing.
MORE_COMES = getattr(socket, "MSG_MORE", 0)


def can_copy(transport: asyncio.Transport) -> bool:
    """Whether there is a way past `transport`: a plain TCP connection on a system that has the call."""
    return hasattr(os, "sendfile") and transport.get_extra_info("sslcontext") is None


class KernelCopy:
    """The way past one transport; `close` it when the connection is lost."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._room: asyncio.Future[None] | None = None

    @property
    def socket(self) -> socket.socket:
        """The connection's socket under a descriptor of our own."""
        if self._socket is None:
            self._socket = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
            self._socket.setblocking(False)
        return self._socket

    async def emptied(self, drained: Callable[[], Awaitable[None]], high: int | None = None) -> None:
        """Wait until the transport holds nothing back.

        `drained` waits while it has told its protocol to pause; `high` is its limit for that.
        """
        transport = self._transport
        if transport.get_write_buffer_size():
            await asyncio.sleep(0)  # it writes at the end of the loop's turn
        while transport.get_write_buffer_size() and not transport.is_closing():
            transport.set_write_buffer_limits(high=0)
            await drained()
            transport.set_write_buffer_limits(high=high)

    async def send(
        self,
        pieces: Iterable[tuple[bytes, int]],
        file: int,
        offset: int,
        *,
        window_s: float,
        min_rate: float = 0.0,
    ) -> None:
        """Send each head and so many bytes of a file, from `offset` on, as fast as the peer takes them.

        Raises TimeoutError where it takes nothing for `window_s` seconds, or less than `min_rate` bytes a
        second in such a time, and another OSError where connection or file ended.
        """
        out, transport = self.socket, self._transport
        since, count = self._loop.time(), 0
        for head, length in pieces:
            rest, left = head, length
            while rest or left:
                if transport.is_closing():
                    raise ConnectionAbortedError("the connection is closed")
                try:
                    if rest:
                        taken = out.send(rest, MORE_COMES if left else 0)
                        rest = rest[taken:]
                    else:
                        taken = os.sendfile(out.fileno(), file, offset, left)
                        if not taken:
                            raise OSError("the file ends before its announced length")
                        offset, left = offset + taken, left - taken
                    count += taken
                except BlockingIOError:
                    await self._has_room(window_s)
                    now = self._loop.time()
                    if now - since >= window_s:
                        if count < min_rate * (now - since):
                            raise TimeoutError("taken too slowly") from None
                        since, count = now, 0

    def close(self) -> None:
        """The connection is lost: wake who waits for it, let go of the socket."""
        self._tell_room()
        if self._socket is not None:
            self._socket.close()

    async def _has_room(self, within_s: float) -> None:
        """Wait until the socket takes more. Raises TimeoutError."""
        self._room = self._loop.create_future()
        self._loop.add_writer(self.socket.fileno(), self._tell_room)
        try:
            await asyncio.wait_for(self._room, within_s)
        finally:
            self._tell_room()

    def _tell_room(self) -> None:
        room, self._room = self._room, None
        if room is None:
            return
        self._loop.remove_writer(self.socket.fileno())
        if not room.done():
            room.set_result(None)
