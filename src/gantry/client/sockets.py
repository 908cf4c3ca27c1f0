"""TCP sockets as we want them: buffers for a slice, no waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket

SOCKET_BUFFER_BYTES = 1 << 20
"""Kernel buffers: a whole slice of 0.5 MB fits, so the peer need not wait for our next turn."""

_UNPACED = b"reno"
"""A congestion control that does not pace, and that every Linux has."""


def tune_socket(sock: socket.socket | None) -> None:
    """No Nagle delay, which costs 40 ms per message on loopback, and room for a slice in the kernel."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket, not listening yet, whose connections get the receive buffer they need.

    The receive buffer is set here because the window is scaled when a connection is made; what else is set
    here goes to the connections as well. Raises OSError.
    """
    sock = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        if is_loopback(host):
            _do_not_pace(sock)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def connected_socket(host: str, port: int) -> socket.socket:
    """A connection to an address of this machine. Raises OSError."""
    sock = socket.socket(_family(host), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        _do_not_pace(sock)
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def is_loopback(host: str) -> bool:
    """Whether what is sent to this address never leaves the machine."""
    return host.startswith("127.") or host == "::1"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _do_not_pace(sock: socket.socket) -> None:
    """Have a socket that talks within this machine, and is not connected yet, send without timers.

    BBR, which many servers have as their default, sets a timer for each segment so that no queue builds up
    on the way. Here is no way for one to build up on, and the timers cost more than the copying. What was
    connected under BBR goes on pacing, whatever it is told.
    """
    with contextlib.suppress(OSError, AttributeError):  # no such choice on this system
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _UNPACED)
