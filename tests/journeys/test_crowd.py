"""N16, N17: senders beside peers that are slow, silent or senseless: all are served, and what is no use is ended.

Two hundred associations stand at one time before the first object is sent.
"""

from __future__ import annotations

import asyncio
import random
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gantry.client import scu
from gantry.client.connection import Options, connect
from gantry.client.objects import contexts_for, outgoing_bytes
from gantry.dimse.user_information import AsyncWindow
from gantry_process import Gantry, running
from raw_peer import RawPeer
from senders import assert_sound
from serving import dataset, dataset_bytes, part10

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

MB = 1 << 20
HEALTHY, SLOW, SILENT, SENSELESS = 116, 64, 20, 20
STANDING = HEALTHY + SLOW + SILENT
"""Associations that stand at one time; who is senseless never has one."""
OBJECTS_EACH = 5
IDLE_S = 25
"""Who is healthy is silent, too, until all others are there."""
RATE_WINDOW_S = 30
BUDGET = 120 * MB
"""For 200 associations; measured 47 MB."""


@dataclass
class Crowd:
    """Peers that do no good. `ended` says how many of each the server has got rid of."""

    server: Gantry
    ended: dict[str, int] = field(default_factory=dict)
    slow_are_gone: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, kind: str) -> None:
        self.ended[kind] = self.ended.get(kind, 0) + 1
        if self.ended.get("slow") == SLOW:
            self.slow_are_gone.set()

    async def slow(self, number: int) -> None:
        """A byte of an object each second."""
        with RawPeer(self.server.dicom, calling=f"SLOW{number}") as peer:
            await asyncio.to_thread(peer.associate)
            file = part10(dataset(1, study=5000 + number, size=MB))
            message = peer.store_bytes(dataset_bytes(file), outgoing_bytes(file).sop_instance_uid)
            peer.send(message[:2000])
            peer.sock.setblocking(False)
            loop = asyncio.get_running_loop()
            with suppress(OSError):
                for at in range(2000, len(message)):
                    if self.over.is_set():
                        return
                    await loop.sock_sendall(peer.sock, message[at : at + 1])
                    await asyncio.sleep(1)
            self.note("slow")

    async def silent(self, number: int) -> None:
        """An association, and nothing more."""
        with RawPeer(self.server.dicom, calling=f"SILENT{number}") as peer:
            await asyncio.to_thread(peer.associate)
            peer.sock.setblocking(False)
            loop = asyncio.get_running_loop()
            with suppress(OSError):
                while await loop.sock_recv(peer.sock, 1 << 16):
                    pass
            self.note("silent")

    async def senseless(self, number: int) -> None:
        """Noise, again and again."""
        dice = random.Random(number)
        while not self.over.is_set():
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.server.dicom)
                writer.write(dice.randbytes(dice.randint(1, 5000)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(15):
                        await reader.read()
                        self.note("senseless")
                writer.close()
            await asyncio.sleep(dice.uniform(0.2, 1))


@dataclass
class Gathering:
    """Where healthy senders wait, each with its association, until everybody is there."""

    expected: int
    doors: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    present: int = 0
    complete: asyncio.Event = field(default_factory=asyncio.Event)
    begin: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        self.present += 1
        if self.present == self.expected:
            self.complete.set()
        await self.begin.wait()


async def store(server: Gantry, number: int, gathering: Gathering) -> list[int | None]:
    files = [part10(dataset(n, study=number, size=64 << 10)) for n in range(1, OBJECTS_EACH + 1)]
    options = Options(async_window=AsyncWindow(4, 1))
    contexts = contexts_for([outgoing_bytes(file) for file in files])
    # All come from one process here: who has connected must get to say something within a second.
    async with gathering.doors:
        connection = await connect(server.peer, contexts=contexts, calling_aet=f"H{number}", options=options)
    async with connection:
        await gathering.wait()
        return [result.status for result in await scu.store(connection, files)]


async def everybody(server: Gantry) -> tuple[list[list[int | None]], Crowd]:
    crowd, gathering = Crowd(server), Gathering(HEALTHY)
    tasks = [asyncio.create_task(crowd.slow(n)) for n in range(SLOW)]
    tasks += [asyncio.create_task(crowd.silent(n)) for n in range(SILENT)]
    tasks += [asyncio.create_task(crowd.senseless(n)) for n in range(SENSELESS)]
    healthy = asyncio.gather(*(store(server, number, gathering) for number in range(1, HEALTHY + 1)))
    async with asyncio.timeout(IDLE_S):
        await gathering.complete.wait()
        while await asyncio.to_thread(standing, server) < STANDING:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.1)
    gathering.begin.set()
    answers = await healthy
    # The slow ones get the time in which they must have sent something.
    with suppress(TimeoutError):
        async with asyncio.timeout(4 * RATE_WINDOW_S):
            await crowd.slow_are_gone.wait()
    crowd.over.set()
    await asyncio.wait(tasks, timeout=30)
    return list(answers), crowd


def standing(server: Gantry) -> int:
    """Associations that stand now, as the server counts them."""
    with server.client() as http:
        text = http.get("/metrics").text
    [count] = re.findall(r"^gantry_associations (\S+)$", text, re.MULTILINE)
    return int(float(count))


async def alone(server: Gantry) -> None:
    gathering = Gathering(1)
    gathering.begin.set()
    await store(server, 4000, gathering)


def test_n16_n17_healthy_senders_are_served_beside_slow_silent_and_senseless_ones(tmp_path: Path) -> None:
    room = STANDING + SENSELESS
    with running(
        tmp_path / "data", reserve_bytes=0, max_associations=room, max_associations_per_peer=room,
        idle_timeout_s=IDLE_S, artim_timeout_s=5,
    ) as server:  # fmt: skip
        asyncio.run(alone(server))
        server.forget_peak()
        before = server.peak_bytes()
        answers, crowd = asyncio.run(everybody(server))
        grown = server.peak_bytes() - before
        assert answers == [[0] * OBJECTS_EACH] * HEALTHY
        assert crowd.ended["slow"] == SLOW, crowd.ended
        assert crowd.ended["silent"] == SILENT, crowd.ended
        assert crowd.ended["senseless"] >= SENSELESS, crowd.ended
        assert grown < BUDGET, f"{grown / MB:.0f} MiB"
        assert server.stats()["instances"] == (HEALTHY + 1) * OBJECTS_EACH
    assert_sound(tmp_path / "data")
