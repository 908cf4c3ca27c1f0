"""Sends objects by C-STORE over one association: for `store`, and for the sub-operations of C-GET and C-MOVE.

While the peer works on one object the next are opened or read in threads, so neither waits for the other. As
many requests are outstanding as the asynchronous operations window allows (PS3.7 D.3.3.3); without one, each
waits for the answer before it. An object that fails is reported, and the next is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass

from gantry.client.objects import OpenDataSet, Outgoing, StoreResult
from gantry.client.requests import Answers, Requests
from gantry.dimse.association import Prepared
from gantry.dimse.message import Command, c_store_rq
from gantry.errors import ConnectError, GantryError
from gantry.standard import status

PRELOAD_BYTES = 4 << 20
"""Objects up to this are read whole, ahead of time; larger ones in pieces while they are sent."""

GROUP_OBJECTS, GROUP_BYTES = 8, 2 << 20
"""Objects opened or read in one go: eight open files, or four slices to be read, or one larger object."""

READ_AHEAD = 2
"""Such groups being opened or read while another is sent: at most 24 files, or 12 MiB."""

MAX_WINDOW = 32
"""Requests outstanding at once where the peer sets no limit."""

Loaded = Iterable[bytes | memoryview] | OpenDataSet


@dataclass(frozen=True, slots=True)
class MoveOriginator:
    """Who asked for the C-MOVE that a sub-operation belongs to (PS3.7 9.1.1.1.7)."""

    aet: str
    message_id: int


@dataclass(frozen=True, slots=True)
class _Message:
    """A request that only has to be sent."""

    answers: Answers
    context_id: int
    command: Command
    data: Loaded
    prepared: Prepared | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """How to send on one association.

    `context_for` gives the presentation context for an object, or None where none was accepted for it;
    `convert` may then give the object in a form for which there is one. `window` is the number of
    requests outstanding at once, 0 for no limit.
    """

    requests: Requests
    executor: Executor
    context_for: Callable[[Outgoing], int | None]
    window: int = 1
    originator: MoveOriginator | None = None

    async def send(
        self,
        objects: Iterable[Outgoing],
        on_result: Callable[[Outgoing, StoreResult], None],
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send until `objects` ends; `on_result` is told of each that was taken, in their order.

        Never raises for one object. When the association goes, those taken that have no answer get a
        result without a status, and no more are taken: `objects` may be shared with other associations.
        After a cancel those taken and not sent are not told of.
        """
        waiting: deque[tuple[Outgoing, Answers | StoreResult]] = deque()
        window = min(self.window or MAX_WINDOW, MAX_WINDOW)
        async with aclosing(_read_ahead(self._while_standing(objects), self.executor)) as ready:
            async for outgoing, data in ready:
                # Made ready while the peer works on the one before: then its answer only lets this one go.
                message = self._prepared(outgoing, data)
                while len(waiting) >= window:
                    await self._settle(waiting, on_result)
                if is_cancelled():
                    _forget(message)
                    break
                waiting.append((outgoing, await self._ask(outgoing, message)))
        while waiting:
            await self._settle(waiting, on_result)

    def _while_standing(self, objects: Iterable[Outgoing]) -> Iterator[Outgoing]:
        # Asked before an object is taken, so that none is lost to others who share `objects`.
        source = iter(objects)
        while self.requests.lost_cause is None:
            try:
                yield next(source)
            except StopIteration:
                return

    def _prepared(self, outgoing: Outgoing, data: Loaded | Exception) -> _Message | StoreResult:
        if isinstance(data, Exception):
            return result_for(outgoing, status.PROCESSING_FAILURE, f"cannot be read: {data}")
        context_id = self.context_for(outgoing)
        if context_id is None:
            return result_for(
                outgoing,
                status.SOP_CLASS_NOT_SUPPORTED,
                "the peer accepted no presentation context for its SOP class and transfer syntax",
            )
        answers = self.requests.open()
        command = c_store_rq(
            answers.message_id,
            outgoing.sop_class_uid,
            outgoing.sop_instance_uid,
            move_originator_aet=self.originator.aet if self.originator else None,
            move_originator_id=self.originator.message_id if self.originator else None,
        )
        if not isinstance(data, OpenDataSet):
            return _Message(answers, context_id, command, data)
        prepared = self.requests.wire.association.prepare(context_id, command, outgoing.size)
        return _Message(answers, context_id, command, data, prepared)

    async def _ask(self, outgoing: Outgoing, message: _Message | StoreResult) -> Answers | StoreResult:
        if isinstance(message, StoreResult):
            return message
        try:
            await self._transmit(outgoing, message)
        except (GantryError, OSError) as error:
            message.answers.withdraw()
            return result_for(outgoing, None, str(error))
        return message.answers

    async def _transmit(self, outgoing: Outgoing, message: _Message) -> None:
        wire, data = self.requests.wire, message.data
        if isinstance(data, OpenDataSet):
            assert message.prepared is not None
            try:
                await wire.transmit_file(message.prepared, data.file, data.offset)
            finally:
                data.close()
        else:
            executor = None if outgoing.size <= PRELOAD_BYTES else self.executor
            await wire.transmit(message.context_id, message.command, data, executor)

    @staticmethod
    async def _settle(
        waiting: deque[tuple[Outgoing, Answers | StoreResult]],
        on_result: Callable[[Outgoing, StoreResult], None],
    ) -> None:
        outgoing, answer = waiting.popleft()
        if isinstance(answer, Answers):
            try:
                response = await answer.next()
                answer = result_for(outgoing, response.status, response.command.error_comment or "")
            except ConnectError as error:
                answer = result_for(outgoing, None, str(error))
        on_result(outgoing, answer)


def _forget(message: _Message | StoreResult) -> None:
    if isinstance(message, _Message):
        message.answers.withdraw()


def result_for(outgoing: Outgoing, code: int | None, comment: str) -> StoreResult:
    """The result for `outgoing` with this status, None where no answer came."""
    return StoreResult(outgoing.sop_class_uid, outgoing.sop_instance_uid, code, comment, outgoing.label)


async def _read_ahead(
    objects: Iterable[Outgoing], executor: Executor
) -> AsyncGenerator[tuple[Outgoing, Loaded | Exception], None]:
    loop = asyncio.get_running_loop()
    reading: deque[tuple[list[Outgoing], asyncio.Future[list[Loaded | Exception]]]] = deque()
    groups = _groups(objects)
    try:
        for group in groups:
            reading.append((group, loop.run_in_executor(executor, _load, group)))
            if len(reading) > READ_AHEAD:
                ready, loaded = reading.popleft()
                for pair in zip(ready, await loaded, strict=True):
                    yield pair
        while reading:
            ready, loaded = reading.popleft()
            for pair in zip(ready, await loaded, strict=True):
                yield pair
    finally:
        for _, loaded in reading:
            loaded.cancel()


def _groups(objects: Iterable[Outgoing]) -> Iterator[list[Outgoing]]:
    """Objects that are read in one go, because to ask a thread costs as much as to read one of them."""
    group: list[Outgoing] = []
    size = 0
    for outgoing in objects:
        weight = outgoing.size if outgoing.open is None else 0
        if len(group) == GROUP_OBJECTS or (group and size + weight > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(outgoing)
        size += weight
    if group:
        yield group


def _load(group: Sequence[Outgoing]) -> list[Loaded | Exception]:
    return [_load_one(outgoing) for outgoing in group]


def _load_one(outgoing: Outgoing) -> Loaded | Exception:
    try:
        opened = outgoing.open() if outgoing.open is not None else None
        if opened is not None:
            return opened
        data = outgoing.read()
        return list(data) if outgoing.size <= PRELOAD_BYTES else data
    except (OSError, GantryError) as error:
        return error
