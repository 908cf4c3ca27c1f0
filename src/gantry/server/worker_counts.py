"""What the workers of a node have counted, added up, so that whichever is asked answers for all of them.

Each worker has a socket to the process that looks after them. A line ``?`` asks that process for the sum of
all, or a worker for what it has counted. Any other line is an answer, in JSON; each question has one. Who
looks after them outlives them, and keeps what those that ended had counted when they were last asked: a
count that somebody was told never falls.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import msgspec

from gantry.errors import Unreachable
from gantry.server.metric_families import Family, added

_ASK: Final = b"?\n"
_MAX_LINE_BYTES: Final = 16 << 20
"""Routes, methods and statuses are few: all of them are some hundred kilobytes."""
_WORKER_S: Final = 2.0
"""How long a worker is waited for; of one that does not answer, what it said last counts."""
_ALL_S: Final = 5.0

_encode = msgspec.json.encode
_decoder = msgspec.json.Decoder(list[Family])


class Colleagues:
    """All workers of the node, as one of them asks for their counts and tells its `own`."""

    def __init__(self, own: Callable[[], list[Family]]) -> None:
        self._own = own
        self._line: _Line | None = None

    async def run(self, channel: socket.socket) -> None:
        """Answer whoever looks after the workers, until it is gone."""
        self._line = await _Line.over(channel)
        while (line := await self._line.read()) is not None:
            if line == _ASK:
                await self._line.send(await asyncio.to_thread(self._own))

    async def all(self) -> list[Family]:
        """What all workers have counted. Raises Unreachable where nobody adds it up."""
        if self._line is not None:
            found = await self._line.ask(_ALL_S)
            if found is not None:
                return found
        raise Unreachable("the process that looks after the workers does not say what they have counted")


class Totals:
    """What all workers have counted, those that ended too, as the process that looks after them keeps it."""

    def __init__(self) -> None:
        self._lines: set[_Line] = set()
        self._ended: list[Family] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def follow(self, channel: socket.socket) -> None:
        """Answer a worker that serves now, until it ends."""
        self._begin(self._listen(channel))

    async def end(self) -> None:
        """Forget all of them, who have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, channel: socket.socket) -> None:
        line = await _Line.over(channel)
        self._lines.add(line)
        try:
            while await line.read() is not None:
                # Not here, where the answer of this worker is waited for, too
                self._begin(self._tell(line))
        finally:
            self._lines.discard(line)
            counted = [family for family in line.last if family.is_counted]
            self._ended = added([self._ended, counted])

    async def _tell(self, line: _Line) -> None:
        await asyncio.gather(*(one.ask(_WORKER_S) for one in self._lines))
        await line.send(added([*(one.last for one in self._lines), self._ended]))


class _Line:
    """One end of a socket between a worker and who looks after it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked: deque[asyncio.Future[list[Family] | None]] = deque()
        self.last: list[Family] = []
        """The last answer that came."""

    @classmethod
    async def over(cls, channel: socket.socket) -> _Line:
        return cls(*await asyncio.open_unix_connection(sock=channel, limit=_MAX_LINE_BYTES))

    async def read(self) -> bytes | None:
        """The next question; None once the other end is gone. Answers go to whoever asked first."""
        try:
            while line := await self._reader.readline():
                if line == _ASK:
                    return line
                self.last = _decoder.decode(line)
                self._answered(self.last)
        except ConnectionError:
            pass  # it was killed, which is the same as gone
        while self._asked:
            self._answered(None)
        self._writer.close()
        return None

    def _answered(self, answer: list[Family] | None) -> None:
        waiting = self._asked.popleft()
        if not waiting.done():
            waiting.set_result(answer)

    async def ask(self, patience_s: float) -> list[Family] | None:
        """What the other end has counted; None where it does not answer in time."""
        if self._writer.is_closing():
            return None
        waiting: asyncio.Future[list[Family] | None] = asyncio.get_running_loop().create_future()
        self._asked.append(waiting)
        self._writer.write(_ASK)
        with suppress(TimeoutError):
            return await asyncio.wait_for(waiting, patience_s)
        return None

    async def send(self, answer: list[Family]) -> None:
        """Answer a question; nobody hears it where the other end is gone."""
        with suppress(ConnectionError):
            self._writer.write(_encode(answer) + b"\n")
            await self._writer.drain()
