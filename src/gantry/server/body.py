"""Request bodies: read in pieces, with limits on size, speed and what compression may hide.

The client's speed is judged by the time we waited for it, not by the time our disk took: less than
`MIN_RATE` on average over `RATE_WINDOW_S` of waiting ends the request with 408 (B66). A body in
``Content-Encoding: gzip`` or ``deflate`` is inflated as it comes, and refused once it grows past
`MAX_INFLATE_RATIO` times what was sent (B53).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator

from gantry.errors import WebRequestError
from gantry.server.http import Request

MIN_RATE = 1024
"""Bytes a second; a modem of 1990 does twice that."""

RATE_WINDOW_S = 30.0
"""Waiting time over which the rate is averaged; a radio gap of a few seconds passes."""

MAX_INFLATE_RATIO = 200
"""Deflate cannot exceed 1032; real CT compresses 2 to 4 times, an empty mask 100."""

RATIO_GRACE_BYTES = 1 << 20
"""Small bodies may be as empty as they like."""

_INFLATE_STEP = 1 << 18
_DRAIN_BYTES = 4 << 20
_DRAIN_S = 2.0


class ClientGone(Exception):
    """The client closed the connection before its body was whole."""


async def read_body(
    request: Request, *, max_bytes: int, window_s: float = RATE_WINDOW_S
) -> AsyncGenerator[bytes, None]:
    """The body in pieces, Content-Encoding undone.

    Raises WebRequestError 408, 413, 415 or 400, and ClientGone.
    """
    check_announced(request, max_bytes)
    encoding = (request.header(b"content-encoding") or "identity").strip().lower()
    pieces: AsyncIterator[bytes] = _raw(request, max_bytes, window_s)
    if encoding != "identity":
        pieces = _inflated(pieces, encoding, max_bytes)
    async for piece in pieces:
        yield piece


def check_announced(request: Request, max_bytes: int) -> None:
    """Refuse a body by its Content-Length, before any of it is taken. Raises WebRequestError 413."""
    announced = request.content_length
    if announced is not None and announced > max_bytes:
        raise WebRequestError(413, f"the body has {announced} bytes, more than {max_bytes}")


async def _raw(request: Request, max_bytes: int, window_s: float) -> AsyncGenerator[bytes, None]:
    loop = asyncio.get_running_loop()
    total, waited, in_window = 0, 0.0, 0
    while not request.body_read:
        began = loop.time()
        request.body_begun = True
        try:
            async with asyncio.timeout(max(0.0, window_s - waited)):
                message = await request.receive()
        except TimeoutError:
            raise WebRequestError(408, f"the body came slower than {MIN_RATE} bytes a second") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        request.body_read = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        total += len(piece)
        in_window += len(piece)
        waited += loop.time() - began
        if in_window >= MIN_RATE * window_s:
            waited, in_window = 0.0, 0
        if total > max_bytes:
            raise WebRequestError(413, f"the body is larger than {max_bytes} bytes")
        if piece:
            yield piece


async def _inflated(
    pieces: AsyncIterator[bytes], encoding: str, max_bytes: int
) -> AsyncGenerator[bytes, None]:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise WebRequestError(415, f"Content-Encoding {encoding[:40]} is not known: gzip, deflate or none")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    taken, given = 0, 0
    async for piece in pieces:
        taken += len(piece)
        waiting = piece
        while waiting:
            try:
                out = inflater.decompress(waiting, _INFLATE_STEP)
            except zlib.error:
                raise WebRequestError(400, f"the body is not {encoding} (offset {taken})") from None
            waiting = inflater.unconsumed_tail
            given += len(out)
            _check_growth(taken, given, max_bytes)
            if out:
                yield out
            if inflater.eof:
                break
    if not inflater.eof:
        raise WebRequestError(400, f"the {encoding} body ends before its end mark")


def _check_growth(taken: int, given: int, max_bytes: int) -> None:
    if given > max_bytes:
        raise WebRequestError(413, f"the body inflates to more than {max_bytes} bytes")
    if given > RATIO_GRACE_BYTES and given > taken * MAX_INFLATE_RATIO:
        raise WebRequestError(413, f"the body inflates more than {MAX_INFLATE_RATIO} times")


async def drain(request: Request) -> bool:
    """Read off what is left of a refused body, a little; whether all of it was had.

    Closing a connection that has unread bytes resets it, and the client may never see our answer.
    """
    if not request.content_length and request.header(b"transfer-encoding") is None:
        return True
    if request.header(b"expect") is not None and not request.body_begun:
        return False  # it waits for our word, and that is no
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            while not request.body_read and left > 0:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    return False
                request.body_read = not message.get("more_body", False)
                left -= len(message.get("body", b""))
    except TimeoutError:
        return False
    return request.body_read
