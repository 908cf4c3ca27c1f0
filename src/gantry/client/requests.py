"""Requests of ours that wait for answers on one association, by Message ID.

Either side of an association asks: the requestor its operations, the acceptor the C-STORE sub-operations of
a C-GET. `Requests` routes each response to the `Answers` of its request and puts the response's Data Set
together. How long an answer may take is the association's to watch, so nothing here has a timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from gantry.client.wire import Wire
from gantry.dimse.message import Command
from gantry.errors import ConnectError

MAX_UNREAD_ANSWERS = 512
"""Pending responses nobody has taken yet; beyond them the wire is held, so a slow reader costs no memory."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response and its Data Set, empty where it has none."""

    command: Command
    dataset: bytes

    @property
    def status(self) -> int:
        """The status (0000,0900)."""
        return self.command.status or 0


class Answers:
    """The responses to one request, in order."""

    def __init__(self, requests: Requests, message_id: int) -> None:
        self.message_id = message_id
        self._requests = requests
        self._unread: deque[Response] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._holding = False
        self._ignoring = False

    async def next(self) -> Response:
        """The next response. Raises ConnectError when the association ends before it comes."""
        while not self._unread:
            if self._requests.lost_cause is not None:
                raise ConnectError(self._requests.lost_cause)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if len(self._unread) <= MAX_UNREAD_ANSWERS // 2:
            self._stop_holding()
        return self._unread.popleft()

    def deliver(self, response: Response) -> None:
        if self._ignoring:
            return
        self._unread.append(response)
        if not self._holding and len(self._unread) > MAX_UNREAD_ANSWERS:
            self._holding = True
            self._requests.wire.hold()
        self.wake()

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def ignore_rest(self) -> None:
        """Drop what comes from now on; the Message ID stays taken until the final response."""
        self._ignoring = True
        self._unread.clear()
        self._stop_holding()

    def withdraw(self) -> None:
        """The request was not sent after all."""
        self._requests.withdraw(self.message_id)

    def _stop_holding(self) -> None:
        if self._holding:
            self._holding = False
            self._requests.wire.unhold()


class Requests:
    """What we asked on one association and have no final answer to."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.lost_cause: str | None = None
        self._open: dict[int, Answers] = {}
        self._last_id = 0
        self._parts: list[bytes] = []
        self._settled: asyncio.Future[None] | None = None

    def open(self) -> Answers:
        """Take a Message ID that is not in use; the request itself is the caller's to send."""
        message_id = self._last_id % 0xFFFF + 1
        while message_id in self._open:
            message_id = message_id % 0xFFFF + 1
        self._last_id = message_id
        answers = self._open[message_id] = Answers(self, message_id)
        return answers

    def withdraw(self, message_id: int) -> None:
        """Give a Message ID back whose request was not sent."""
        self._open.pop(message_id, None)
        self._tell_if_settled()

    def fragment(self, data: memoryview) -> None:
        """Bytes of the Data Set of the response that is arriving."""
        self._parts.append(bytes(data))

    def complete(self, command: Command) -> None:
        """A response has arrived whole. One that nobody waits for any more is dropped."""
        dataset, self._parts = b"".join(self._parts), []
        message_id = command.responded_to or 0
        answers = self._open.get(message_id)
        if answers is None:
            return
        if command.is_final:
            del self._open[message_id]
            self._tell_if_settled()
        answers.deliver(Response(command, dataset))

    def lost(self, cause: str) -> None:
        """The association is gone; whoever waits gets a ConnectError."""
        self.lost_cause = cause
        for answers in self._open.values():
            answers.wake()
        self._open.clear()
        self._tell_if_settled()

    async def settled(self) -> None:
        """Wait until every request has its final response, or the association is gone."""
        if self._open and self.lost_cause is None:
            self._settled = asyncio.get_running_loop().create_future()
            await self._settled

    def _tell_if_settled(self) -> None:
        if self._settled is not None and not self._settled.done() and not self._open:
            self._settled.set_result(None)
