"""The driver on real sockets: order of messages, back-pressure both ways, stalls, and broken senders."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace

from gantry.client.receiving import BACKLOG_BYTES, PIECE_BYTES, StoreReceiver
from gantry.client.sinks import STORED, Arriving, Verdict
from gantry.client.wire import READ_BUFFER_BYTES, Wire
from gantry.dimse.association import Association, Role
from gantry.dimse.events import Aborted, CommandReceived, DataFragment, Event, MessageComplete
from gantry.dimse.message import Command, CommandField, c_echo_rq, c_echo_rsp, c_store_rq, c_store_rsp
from gantry.dimse.negotiation import AcceptorPolicy, Timers
from gantry.errors import ConnectError
from raw_peer import CT, CT_ID, ECHO_ID, RawPeer
from serving import dataset, dataset_bytes, part10

LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]
LOOP_IDS = ["uvloop", "asyncio"]


class Acceptor:
    """The least that a server needs: answers C-ECHO, and what `react` does with other events."""

    def __init__(self, react: Callable[[Acceptor, Event], None] | None = None, **options: Any) -> None:
        timers = Timers(**options.pop("timers", {}))
        policy = AcceptorPolicy(timers=timers)
        self.wire = Wire(
            Association(Role.ACCEPTOR, policy, asyncio.get_running_loop().time()), self, **options
        )
        self.events: list[Event] = []
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._react = react

    def on_event(self, event: Event) -> None:
        if not isinstance(event, DataFragment):
            self.events.append(event)
        if self._react is not None:
            self._react(self, event)
        elif isinstance(event, MessageComplete) and event.command.field is CommandField.C_ECHO_RQ:
            self.wire.post(event.context_id, c_echo_rsp(event.command))

    def on_lost(self, cause: str) -> None:
        self.lost.set_result(cause)


@asynccontextmanager
async def accepting(
    react: Callable[[Acceptor, Event], None] | None = None, **options: Any
) -> AsyncIterator[tuple[int, asyncio.Future[Acceptor]]]:
    """A listener for one connection: its port, and the acceptor once somebody has connected."""
    loop = asyncio.get_running_loop()
    came: asyncio.Future[Acceptor] = loop.create_future()

    def make() -> Wire:
        acceptor = Acceptor(react, **options)
        came.set_result(acceptor)
        return acceptor.wire

    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()


def on_each_loop(test: Callable[[], Awaitable[None]]) -> Any:
    """Run a coroutine function on uvloop and on asyncio's own loop."""

    @pytest.mark.parametrize("loop_factory", LOOPS, ids=LOOP_IDS)
    def run(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_within(test()))

    run.__doc__ = test.__doc__
    return run


async def _within(test: Awaitable[None]) -> None:
    async with asyncio.timeout(30):
        await test


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; the test's own time-out ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0)


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)


@on_each_loop
async def test_echo_and_release() -> None:
    def talk(port: int) -> int:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes())
            status = peer.status()
            peer.association.release()
            peer.send(peer.output())
            assert peer.is_closed()
            return status

    async with accepting() as (port, came):
        assert await in_thread(lambda: talk(port)) == 0
        assert await (await came).lost == "connection closed"


@on_each_loop
async def test_what_is_posted_during_a_long_message_follows_it() -> None:
    """PS3.7 6.3.1: messages of one direction do not interleave; a C-ECHO answer waits for the C-STORE."""
    size = 8 << 20

    def react(acceptor: Acceptor, event: Event) -> None:
        if isinstance(event, MessageComplete) and event.command.field is CommandField.C_ECHO_RQ:
            if event.command.message_id == 1:
                wire = acceptor.wire
                request = c_store_rq(1, CT, "1.2.3")
                acceptor.sending = asyncio.ensure_future(  # type: ignore[attr-defined]
                    wire.transmit(CT_ID, request, [bytes(size)])
                )
            else:
                acceptor.wire.post(event.context_id, c_echo_rsp(event.command))

    def talk(port: int) -> list[CommandField]:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes(1))
            first = peer.wait_for(CommandReceived)
            peer.send(peer.echo_bytes(2))
            received = 0
            while received < size:
                received += len(peer.wait_for(DataFragment).data)
            return [first.command.field, peer.wait_for(CommandReceived).command.field]

    async with accepting(react) as (port, _):
        assert await in_thread(lambda: talk(port)) == [CommandField.C_STORE_RQ, CommandField.C_ECHO_RSP]


@on_each_loop
async def test_a_data_set_that_cannot_be_read_to_its_end_aborts() -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(1 << 20)
        raise OSError("the disk is gone")

    failed: list[BaseException] = []

    async def transmit(wire: Wire) -> None:
        try:
            await wire.transmit(CT_ID, c_store_rq(1, CT, "1.2.3"), broken())
        except OSError as error:
            failed.append(error)

    def react(acceptor: Acceptor, event: Event) -> None:
        if isinstance(event, MessageComplete):
            acceptor.sending = asyncio.ensure_future(transmit(acceptor.wire))  # type: ignore[attr-defined]

    def talk(port: int) -> Aborted:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes())
            return peer.aborted()

    async with accepting(react) as (port, came):
        assert (await in_thread(lambda: talk(port))).by_peer
        await (await came).lost
    assert [str(error) for error in failed] == ["the disk is gone"]


@on_each_loop
async def test_b74_a_peer_that_stops_reading_is_dropped_and_memory_stays_bounded() -> None:
    produced: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            produced.append(1)
            yield bytes(1 << 20)

    outcome: list[str] = []

    async def transmit(wire: Wire) -> None:
        try:
            await wire.transmit(CT_ID, c_store_rq(1, CT, "1.2.3"), endless())
        except ConnectError as error:
            outcome.append(str(error))

    def react(acceptor: Acceptor, event: Event) -> None:
        if isinstance(event, MessageComplete):
            acceptor.sending = asyncio.ensure_future(transmit(acceptor.wire))  # type: ignore[attr-defined]

    async with accepting(react, stall_timeout_s=0.2) as (port, came):
        peer = await in_thread(lambda: RawPeer(port))
        with peer:
            await in_thread(peer.associate)
            peer.send(peer.echo_bytes())
            cause = await (await came).lost
            await (await came).sending  # type: ignore[attr-defined]
    assert "took no data" in cause
    assert "took no data" in outcome[0]
    # What the kernel took on both sides, and our own buffer; not what could have been produced.
    assert len(produced) < 32


@pytest.mark.parametrize("loop_factory", LOOPS, ids=LOOP_IDS)
def test_a_peer_that_asks_and_never_listens_is_dropped_and_memory_stays_bounded(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small buffers, so that small answers fill them; the requests are long, so that few fit into a read."""
    monkeypatch.setattr("gantry.client.wire.WRITE_HIGH_BYTES", 32 << 10)
    monkeypatch.setattr("gantry.client.wire.FLOOD_BYTES", 64 << 10)
    monkeypatch.setattr("gantry.client.sockets.SOCKET_BUFFER_BYTES", 4096)

    def flood(peer: RawPeer) -> None:
        request = peer.message(ECHO_ID, replace(c_echo_rq(1), extra={0x00009999: bytes(8192)}))
        with contextlib.suppress(OSError):
            while True:
                peer.send(request)

    async def main() -> tuple[str, int]:
        async with accepting(stall_timeout_s=0.3) as (port, came):
            peer = await in_thread(lambda: RawPeer(port))
            with peer:
                await in_thread(peer.associate)
                flooding = asyncio.ensure_future(in_thread(lambda: flood(peer)))
                acceptor = await came
                cause = await acceptor.lost
                await flooding
        return cause, sum(isinstance(event, MessageComplete) for event in acceptor.events)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        cause, answers = runner.run(main())
    assert "took no data" in cause
    # A read holds 32 requests; what the kernels took on both sides is some megabytes at most.
    assert answers * 80 < (64 << 10) + (8 << 20)


@on_each_loop
async def test_a_slow_reader_is_not_dropped() -> None:
    size = 6 << 20

    def react(acceptor: Acceptor, event: Event) -> None:
        if isinstance(event, MessageComplete):
            acceptor.sending = asyncio.ensure_future(  # type: ignore[attr-defined]
                acceptor.wire.transmit(CT_ID, c_store_rq(1, CT, "1.2.3"), [bytes(size)])
            )

    def talk(port: int) -> int:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes())
            received, pause = 0, threading.Event()
            while received < size:
                received += len(peer.wait_for(DataFragment).data)
                pause.wait(0.005)
            return received

    async with accepting(react, stall_timeout_s=0.3) as (port, _):
        assert await in_thread(lambda: talk(port)) == size


# Data Sets that the kernel copies


@contextmanager
def file_of(content: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.fileno()


def sends_file(
    file: int, length: int, outcome: list[str], *, copies: bool = True
) -> Callable[[Acceptor, Event], None]:
    """Answers the first C-ECHO with a C-STORE of a file from byte 100 on, others as usual."""

    async def transmit(wire: Wire) -> None:
        wire._can_copy &= copies
        message = wire.association.prepare(CT_ID, c_store_rq(1, CT, "1.2.3"), length)
        try:
            await wire.transmit_file(message, file, 100)
        except (ConnectError, OSError) as error:
            outcome.append(str(error))
        else:
            outcome.append("sent")

    def react(acceptor: Acceptor, event: Event) -> None:
        if isinstance(event, MessageComplete) and event.command.field is CommandField.C_ECHO_RQ:
            if event.command.message_id == 1:
                acceptor.sending = asyncio.ensure_future(transmit(acceptor.wire))  # type: ignore[attr-defined]
            else:
                acceptor.wire.post(event.context_id, c_echo_rsp(event.command))

    return react


@pytest.mark.parametrize("copies", [True, False], ids=["copied", "read"])
@pytest.mark.parametrize("loop_factory", LOOPS, ids=LOOP_IDS)
def test_a_file_arrives_whole_and_what_is_posted_meanwhile_follows_it(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], copies: bool
) -> None:
    """More than the socket's buffers hold, taken slowly, so that it waits for room."""
    content = random.Random(1).randbytes(8 << 20)
    outcome: list[str] = []

    def talk(port: int) -> tuple[bytes, CommandField]:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes(1))
            peer.wait_for(CommandReceived)
            peer.send(peer.echo_bytes(2))
            received, pause = bytearray(), threading.Event()
            while len(received) < len(content) - 100:
                received += peer.wait_for(DataFragment).data
                pause.wait(0.001)
            return bytes(received), peer.wait_for(CommandReceived).command.field

    async def main() -> None:
        with file_of(content) as file:
            react = sends_file(file, len(content) - 100, outcome, copies=copies)
            async with accepting(react) as (port, came):
                received, then = await in_thread(lambda: talk(port))
                assert received == content[100:]
                assert then is CommandField.C_ECHO_RSP
                await (await came).lost

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_within(main()))
    assert outcome == ["sent"]


@on_each_loop
async def test_a_file_that_ends_early_ends_the_connection() -> None:
    """Within a PDU there is no place for an A-ABORT: the peer must not take it for data."""
    outcome: list[str] = []

    def talk(port: int) -> int:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes())
            received = 0
            with contextlib.suppress(AssertionError, OSError):
                while True:
                    received += len(peer.wait_for(DataFragment).data)
            return received

    with file_of(bytes(1 << 20)) as file:
        async with accepting(sends_file(file, 2 << 20, outcome)) as (port, came):
            assert await in_thread(lambda: talk(port)) < 1 << 20
            assert await (await came).lost == "broken off within a message"
    assert outcome == ["the file ends before its announced length"]


@on_each_loop
async def test_a_peer_that_takes_no_more_of_a_file_is_dropped() -> None:
    outcome: list[str] = []
    with file_of(bytes(16 << 20)) as file:
        react = sends_file(file, (16 << 20) - 100, outcome)
        async with accepting(react, stall_timeout_s=0.2) as (port, came):
            peer = await in_thread(lambda: RawPeer(port))
            with peer:
                await in_thread(peer.associate)
                peer.send(peer.echo_bytes())
                acceptor = await came
                assert "took no data" in await acceptor.lost
                await acceptor.sending  # type: ignore[attr-defined]
    assert "took no data" in outcome[0]


@on_each_loop
async def test_a_peer_that_goes_while_a_file_is_sent_ends_the_sending() -> None:
    outcome: list[str] = []

    def talk(port: int) -> None:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.echo_bytes())
            peer.wait_for(DataFragment)

    with file_of(bytes(16 << 20)) as file:
        async with accepting(sends_file(file, (16 << 20) - 100, outcome)) as (port, came):
            await in_thread(lambda: talk(port))
            acceptor = await came
            await acceptor.lost
            await acceptor.sending  # type: ignore[attr-defined]
    assert len(outcome) == 1
    assert outcome[0] != "sent"


@on_each_loop
async def test_an_abort_follows_the_message_that_the_kernel_is_copying() -> None:
    outcome: list[str] = []
    size = (8 << 20) - 100

    def begin(port: int) -> RawPeer:
        peer = RawPeer(port)
        peer.associate()
        peer.send(peer.echo_bytes())
        peer.wait_for(CommandReceived)
        return peer

    def rest(peer: RawPeer) -> Aborted:
        received = 0
        while received < size:
            received += len(peer.wait_for(DataFragment).data)
        return peer.aborted()

    with file_of(bytes(8 << 20)) as file:
        async with accepting(sends_file(file, size, outcome)) as (port, came):
            peer = await in_thread(lambda: begin(port))
            with peer:
                acceptor = await came
                acceptor.wire.abort()
                assert (await in_thread(lambda: rest(peer))).by_peer
            await acceptor.sending  # type: ignore[attr-defined]


@on_each_loop
async def test_timers_run_without_traffic() -> None:
    async with accepting(timers={"artim_s": 0.1}) as (port, came):
        with socket.create_connection(("127.0.0.1", port)):
            await (await came).lost
    async with accepting(timers={"idle_s": 0.1}) as (port, came):
        peer = await in_thread(lambda: RawPeer(port))
        with peer:
            await in_thread(peer.associate)
            aborted = await in_thread(peer.aborted)
            assert aborted.by_peer
        await (await came).lost


# Receiving


class BlockedSink:
    """Takes no byte to its disk before `gate` opens."""

    room = 0

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.received = 0
        self.aborted = 0
        self.finished = 0

    def begin(self, arriving: Arriving) -> Any:
        return self

    def write(self, data: bytes | memoryview) -> None:
        if len(data) > 1000:
            assert self.gate.wait(20)
        self.received += len(data)

    def finish(self) -> Verdict:
        self.finished += 1
        return STORED

    def abort(self) -> None:
        self.aborted += 1


class Receiving(Acceptor):
    """An acceptor with a C-STORE receiver."""

    receiver: StoreReceiver


def receiving_into(sink: Any, **options: Any) -> Callable[[Acceptor, Event], None]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(2)

    def react(acceptor: Acceptor, event: Event) -> None:
        receiver = getattr(acceptor, "receiver", None)
        if receiver is None:

            def respond(context_id: int, command: Command, verdict: Verdict) -> None:
                acceptor.wire.post(context_id, c_store_rsp(command, verdict.status))
                if verdict.breaks_association:
                    acceptor.wire.abort()

            receiver = StoreReceiver(acceptor.wire, sink, pool, respond, **options)
            acceptor.receiver = receiver  # type: ignore[attr-defined]
        if isinstance(event, CommandReceived):
            command = event.command
            arriving = Arriving(
                command.sop_class_uid or "", command.sop_instance_uid or "", "1.2.840.10008.1.2.1"
            )
            receiver.begin(event.context_id, command, arriving)
        elif isinstance(event, DataFragment):
            receiver.fragment(event.data)
        elif isinstance(event, MessageComplete):
            receiver.complete()

    return react


@on_each_loop
async def test_n16_a_blocked_disk_holds_the_wire_and_memory_is_bounded() -> None:
    sink = BlockedSink()
    size = 64 << 20

    def talk(port: int) -> int:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(peer.store_bytes(bytes(size), "1.2.3"))
            return peer.status()

    async with accepting(receiving_into(sink)) as (port, came):
        talking = asyncio.ensure_future(in_thread(lambda: talk(port)))
        acceptor = await came
        await turns_until(lambda: getattr(acceptor, "receiver", None) is not None)
        await turns_until(lambda: acceptor.receiver.is_held)  # type: ignore[attr-defined]
        held = acceptor.receiver.backlog_bytes  # type: ignore[attr-defined]
        assert BACKLOG_BYTES < held <= BACKLOG_BYTES + READ_BUFFER_BYTES
        assert not talking.done()
        sink.gate.set()
        assert await talking == 0
    assert sink.finished == 1
    assert sink.received >= size
    assert PIECE_BYTES < BACKLOG_BYTES


@on_each_loop
async def test_an_association_that_ends_while_a_piece_is_written_drops_the_object() -> None:
    sink = BlockedSink()
    async with accepting(receiving_into(sink)) as (port, came):
        peer = await in_thread(lambda: RawPeer(port))
        with peer:
            await in_thread(peer.associate)
            whole = peer.store_bytes(bytes(4 << 20), "1.2.3")
            await in_thread(lambda: peer.send(whole[: 3 << 20]))
        acceptor = await came
        await acceptor.lost
        acceptor.receiver.lost()  # type: ignore[attr-defined]
        sink.gate.set()
        await turns_until(lambda: sink.aborted > 0)
    assert sink.finished == 0
    assert sink.aborted == 1


@on_each_loop
async def test_objects_of_one_uid_are_kept_in_their_order() -> None:
    order: list[bytes] = []

    class Keeps:
        room = 0

        def __init__(self) -> None:
            self._data = b""

        def write(self, data: bytes | memoryview) -> None:
            self._data += data

        def finish(self) -> Verdict:
            # The first takes longest: without order the later would overtake it.
            time.sleep(0.02 if self._data.endswith(b"\x00") else 0)
            order.append(self._data[-1:])
            return STORED

        def abort(self) -> None:
            raise AssertionError("nothing is dropped")

    class Sink:
        def begin(self, arriving: Arriving) -> Any:
            return Keeps()

    def talk(port: int) -> list[int]:
        with RawPeer(port) as peer:
            peer.associate()
            peer.send(b"".join(peer.store_bytes(bytes(99) + bytes([n]), "1.2.3", n + 1) for n in range(8)))
            return [peer.status() for _ in range(8)]

    async with accepting(receiving_into(Sink())) as (port, _):
        assert await in_thread(lambda: talk(port)) == [0] * 8
    assert order == [bytes([n]) for n in range(8)]


@on_each_loop
async def test_a_sink_that_fails_answers_0110_and_the_association_goes_on() -> None:
    class Fails:
        room = 0

        def begin(self, arriving: Arriving) -> Any:
            return self

        def write(self, data: bytes | memoryview) -> None:
            if len(data) == PIECE_BYTES // 2:
                raise RuntimeError("a fault of ours")

        def finish(self) -> Verdict:
            raise RuntimeError("another fault of ours")

        def abort(self) -> None:
            return

    def talk(port: int) -> list[int]:
        with RawPeer(port) as peer:
            peer.associate()
            statuses = []
            for number, size in enumerate((100, 4 << 20, 100), 1):
                peer.send(peer.store_bytes(bytes(size), "1.2.3", number))
                statuses.append(peer.status())
            return statuses

    async with accepting(receiving_into(Fails())) as (port, _):
        assert await in_thread(lambda: talk(port)) == [0x0110] * 3


def test_the_bytes_of_a_file_and_of_its_c_store_agree() -> None:
    file = part10(dataset())
    assert dataset_bytes(file) == file[-len(dataset_bytes(file)) :]
    assert ECHO_ID != CT_ID
