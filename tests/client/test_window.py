"""The asynchronous operations window is used as far as it was agreed, and not further (PS3.7 D.3.3.3)."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from gantry.client import scu
from gantry.client.connection import Options, Peer, connect
from gantry.client.objects import StoreResult
from gantry.dimse.association import Association, Role
from gantry.dimse.events import MessageComplete
from gantry.dimse.message import Command, c_store_rsp
from gantry.dimse.negotiation import AcceptorPolicy, ProposedContext
from gantry.dimse.user_information import AsyncWindow
from serving import CT, series

EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class WithholdingScp:
    """Answers C-STORE requests only when `batch` of them wait, last one first."""

    batch: int
    window: AsyncWindow
    most_outstanding: int = 0
    total: int = 0
    waiting: list[tuple[int, Command]] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        policy = AcceptorPolicy(async_window=self.window)
        association = Association(Role.ACCEPTOR, policy, time.monotonic())
        with connection:
            while data := connection.recv(1 << 16):
                for event in association.receive(data, time.monotonic()):
                    if isinstance(event, MessageComplete):
                        self._note(association, event)
                for buffer in association.take_output():
                    connection.sendall(buffer)

    def _note(self, association: Association, event: MessageComplete) -> None:
        self.waiting.append((event.context_id, event.command))
        self.total += 1
        self.most_outstanding = max(self.most_outstanding, len(self.waiting))
        if len(self.waiting) == self.batch:
            for context_id, command in reversed(self.waiting):
                association.send_message(context_id, c_store_rsp(command, 0))
            self.waiting.clear()


@contextmanager
def running(scp: WithholdingScp) -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=scp.serve, args=(listener,))
        thread.start()
        yield Peer("127.0.0.1", listener.getsockname()[1])
        thread.join(10)


def store(peer: Peer, count: int, offered: AsyncWindow | None) -> list[StoreResult]:
    async def run() -> list[StoreResult]:
        contexts = [ProposedContext(CT, (EXPLICIT,))]
        async with await connect(
            peer, contexts=contexts, options=Options(async_window=offered)
        ) as connection:
            return await scu.store(connection, series(count))

    return asyncio.run(run())


@pytest.mark.parametrize("size", [2, 4, 8])
def test_as_many_requests_are_outstanding_as_agreed(size: int) -> None:
    """The peer answers nothing before it has `size` requests: without overlap this would hang."""
    scp = WithholdingScp(size, AsyncWindow(size, 1))
    with running(scp) as peer:
        results = store(peer, 3 * size, AsyncWindow(32, 1))
    assert scp.most_outstanding == size
    assert [r.ok for r in results] == [True] * (3 * size)
    assert [r.sop_instance_uid.rsplit(".", 1)[1] for r in results] == [str(n + 1) for n in range(3 * size)]


def test_without_a_window_each_request_waits_for_its_answer() -> None:
    scp = WithholdingScp(1, AsyncWindow(8, 8))
    with running(scp) as peer:
        assert all(r.ok for r in store(peer, 5, None))
    assert scp.total == 5
    assert scp.most_outstanding == 1
