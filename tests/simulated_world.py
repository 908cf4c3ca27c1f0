"""A world without wires and seconds: an event loop whose time is jumped, connections that are cut, and threads that
are no threads; all of it told by one seed.

The server's own code runs in it unchanged: `Session`, `Wire`, `Association`, the archive. What is simulated is what
they stand on: the loop's clock, the transport, the executor, the disk.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, TypeVar

from gantry.archive.sim import PowerCut

_T = TypeVar("_T")


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: lets the time pass that would have been waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        self.now += max(timeout, 0.0)
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds cost nothing, and that goes the same way each time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)


class World:
    """Who is alive. When the server's power goes, nothing of it runs any more; what it has said is on its way."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dice: random.Random) -> None:
        self.loop = loop
        self.dice = dice
        self.is_dark = False
        self._waiters: list[asyncio.Future[None]] = []
        self.failures: list[BaseException] = []
        loop.set_exception_handler(self._on_exception)

    def go_dark(self) -> None:
        """The server is gone, in the middle of whatever it did."""
        self.is_dark = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def darkness(self) -> None:
        """Wait until the server is gone."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiters.append(waiter)
        if not self.is_dark:
            await waiter

    def server(self, work: Callable[..., _T], *args: object) -> _T | None:
        """Run something of the server, as long as there is one."""
        if self.is_dark:
            return None
        try:
            return work(*args)
        except PowerCut:
            self.go_dark()
            return None

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, PowerCut):
            self.go_dark()
        else:
            self.failures.append(error or AssertionError(context.get("message")))


class SimExecutor(Executor):
    """Threads whose work begins a while later, one after the other, and is done at once."""

    def __init__(self, world: World, slowest_s: float) -> None:
        self._world = world
        self._slowest_s = slowest_s

    def submit(self, work: Callable[..., _T], /, *args: Any, **named: Any) -> Future[_T]:
        future: Future[_T] = Future()
        delay = self._world.dice.uniform(0, self._slowest_s)
        self._world.loop.call_later(delay, self._run, future, work, args, named)
        return future

    def _run(self, future: Future[Any], work: Callable[..., Any], args: Any, named: Any) -> None:
        if self._world.is_dark:
            return
        try:
            result = work(*args, **named)
        except PowerCut:
            self._world.go_dark()
        except Exception as error:  # noqa: BLE001 - what a thread raises is the future's to tell
            future.set_exception(error)
        else:
            future.set_result(result)


@dataclass(frozen=True)
class LinkFaults:
    """What becomes of one connection: after how many bytes of a direction it breaks, or goes silent for ever.

    `most_piece` is the size of the largest piece that arrives at once, `slowest_s` the longest a piece takes.
    """

    most_piece: int = 1 << 16
    slowest_s: float = 0.01
    breaks_after: int | None = None
    silent_after: int | None = None


class SimTransport(asyncio.Transport):
    """One end of a connection: the other is its `peer`. Bytes leave in order, in pieces of any size."""

    def __init__(
        self, world: World, protocol: asyncio.BufferedProtocol, faults: LinkFaults, *, is_server: bool
    ) -> None:
        super().__init__()
        self.peer: SimTransport | None = None
        self._world = world
        self._protocol = protocol
        self._faults = faults
        self._is_server = is_server
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._sent_bytes = 0
        self._high = 1 << 16
        self._is_paused = False
        self._has_paused_writer = False
        self._arrived = bytearray()
        self._is_eof = False
        self._is_closing = False
        self._is_lost = False
        self._is_carrying = False

    # What the protocol calls

    def write(self, data: Any) -> None:
        if self._is_closing or (self._is_server and self._world.is_dark):
            return
        self._unsent.append(bytes(data))
        self._unsent_bytes += len(data)
        if self._unsent_bytes > self._high and not self._has_paused_writer:
            self._has_paused_writer = True
            self._protocol.pause_writing()
        self._carry_soon()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else 1 << 16

    def get_write_buffer_size(self) -> int:
        return self._unsent_bytes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._world.loop.call_soon(self._give)

    def close(self) -> None:
        """What was written still leaves."""
        self._is_closing = True
        self._carry_soon()

    def abort(self) -> None:
        self._unsent.clear()
        self._unsent_bytes = 0
        self._is_closing = True
        self._carry_soon()

    # The wire

    def _carry_soon(self) -> None:
        if not self._is_carrying:
            self._is_carrying = True
            delay = self._world.dice.uniform(0, self._faults.slowest_s)
            self._world.loop.call_later(delay, self._carry)

    def _carry(self) -> None:
        """Bring the next piece to the other end."""
        self._is_carrying = False
        faults = self._faults
        assert self.peer is not None
        if faults.silent_after is not None and self._sent_bytes >= faults.silent_after:
            if self._is_closing:
                self._lose(None)
            return
        if not self._unsent:
            if self._is_closing and not self._is_lost:
                self._lose(None)
                self.peer._eof()
            return
        if faults.breaks_after is not None and self._sent_bytes >= faults.breaks_after:
            self._lose(ConnectionResetError("cut"))
            self.peer._lose(ConnectionResetError("cut"))
            return
        data = self._unsent.popleft()
        size = self._world.dice.randint(1, faults.most_piece)
        for limit in (faults.breaks_after, faults.silent_after):
            if limit is not None:
                size = max(1, min(size, limit - self._sent_bytes))
        piece, rest = data[:size], data[size:]
        if rest:
            self._unsent.appendleft(rest)
        self._sent_bytes += len(piece)
        self._unsent_bytes -= len(piece)
        self.peer._arrive(piece)
        if self._has_paused_writer and self._unsent_bytes <= self._high // 2:
            self._has_paused_writer = False
            self._call(self._protocol.resume_writing)
        self._carry_soon()

    def _arrive(self, piece: bytes) -> None:
        self._arrived += piece
        self._give()

    def _give(self) -> None:
        while self._arrived and not self._is_paused and not self._is_lost:
            buffer = self._protocol.get_buffer(-1)
            size = min(len(buffer), len(self._arrived))
            buffer[:size] = self._arrived[:size]
            del self._arrived[:size]
            self._call(self._protocol.buffer_updated, size)
            if self._is_server and self._world.is_dark:
                return
        if self._is_eof and not self._arrived and not self._is_paused and not self._is_lost:
            self._call(self._protocol.eof_received)
            self._lose(None)

    def _eof(self) -> None:
        self._is_eof = True
        self._give()

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_closing = self._is_lost = True
            self._world.loop.call_soon(self._call, self._protocol.connection_lost, error)

    def _call(self, work: Callable[..., object], *args: object) -> None:
        if self._is_server:
            self._world.server(work, *args)
        else:
            work(*args)


def joined(
    world: World,
    client: asyncio.BufferedProtocol,
    server: asyncio.BufferedProtocol,
    towards_server: LinkFaults,
    towards_client: LinkFaults,
) -> None:
    """Connect two protocols."""
    ours = SimTransport(world, client, towards_server, is_server=False)
    theirs = SimTransport(world, server, towards_client, is_server=True)
    ours.peer, theirs.peer = theirs, ours
    world.server(server.connection_made, theirs)
    client.connection_made(ours)
