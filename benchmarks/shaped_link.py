"""A TCP link of so many bits a second and so many milliseconds, in front of a server: `python -m` for no one.

Bytes of all connections of one direction share the rate, in the order in which they come, and arrive half of
the round trip later. A connection costs its round trip, as a handshake does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_PIECE_BYTES = 1 << 14
_AHEAD_S = 0.05
"""What may wait within the link: more would be a buffer that no access network has."""


class _Direction:
    """One way: when the next piece has left is all that is known of it."""

    def __init__(self, bits_a_second: float, delay_s: float) -> None:
        self._seconds_a_byte = 8 / bits_a_second
        self._delay_s = delay_s
        self._free_at = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        arrivals: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, piece = await arrivals.get()
                await asyncio.sleep(max(0.0, at - loop.time()))
                if not piece:
                    if writer.can_write_eof():
                        writer.write_eof()
                    return
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while piece := await reader.read(_PIECE_BYTES):
                self._free_at = max(self._free_at, loop.time()) + len(piece) * self._seconds_a_byte
                arrivals.put_nowait((self._free_at + self._delay_s, piece))
                await asyncio.sleep(max(0.0, self._free_at - loop.time() - _AHEAD_S))
            arrivals.put_nowait((loop.time() + self._delay_s, b""))
            await delivering
        except ConnectionError:
            delivering.cancel()


@contextmanager
def shaped(port: int, bits_a_second: float, round_trip_s: float) -> Iterator[int]:
    """A port of this machine from which all goes to `port` over such a link."""
    ready = threading.Event()
    found: list[int] = []
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        there, back = (_Direction(bits_a_second, round_trip_s / 2) for _ in range(2))

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(round_trip_s)
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(there.carry(reader, far_writer), back.carry(far_reader, writer))
            finally:
                for one in (writer, far_writer):
                    one.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()
        async with server:
            await server.serve_forever()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serving)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    serving = loop.create_task(serve())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(timeout=5)
