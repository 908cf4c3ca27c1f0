"""What healthy senders lose beside peers that are slow, silent or senseless: `python -m benchmarks.crowd`.

The crowd is a process of its own: what it costs its own side shall not slow the senders beyond its share.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks import peers, scu
from benchmarks.corpus import CT_IMAGE, study
from benchmarks.peers import Peer
from benchmarks.results import Line

SLOW, SILENT, SENSELESS = 64, 20, 20
ROUNDS = 5
SENDERS = {4: 480, 96: 960}
"""How many senders at once, and the slices that they send in a round together."""
STANDING_S = 3.0
"""After it every slow and silent peer has its association; a slow one is cut after thirty seconds."""


def lines(folder: Path) -> Iterator[Line]:
    """The rates beside the crowd, with those of the same server without it as the peer's figures."""
    with peers.gantry(folder, max_associations="256", max_associations_per_peer="256") as server:
        number = iter(range(1, 1000))

        def rate(senders: int) -> float:
            items = list(study(next(number), SENDERS[senders]))
            return len(items) / scu.store_parallel(server.dicom, server.aet, items, senders)

        for senders in SENDERS:
            rate(senders)
            alone, beside = [], []
            for _ in range(ROUNDS):
                alone.append(rate(senders))
                with _crowd(server):
                    beside.append(rate(senders))
            crowd = f"{SLOW} slow, {SILENT} silent, {SENSELESS} senseless peers"
            work = f"C-STORE, {senders} associations, beside {crowd}"
            yield Line(work, "obj/s", statistics.median(beside), "alone", statistics.median(alone), 0.8)


@contextmanager
def _crowd(server: Peer) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.crowd", "--stand", str(server.dicom), server.aet]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        time.sleep(STANDING_S)
        try:
            yield
        finally:
            process.kill()


async def _stand(port: int, called: str) -> None:
    """Be the crowd until killed."""
    tasks = [asyncio.create_task(_slow(port, called)) for _ in range(SLOW)]
    tasks += [asyncio.create_task(_silent(port, called)) for _ in range(SILENT)]
    tasks += [asyncio.create_task(_senseless(port, number)) for number in range(SENSELESS)]
    await asyncio.wait(tasks)


async def _associated(port: int, called: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(scu.associate_rq(called, CT_IMAGE))
    await reader.readexactly(6)
    return reader, writer


async def _slow(port: int, called: str) -> None:
    _, writer = await _associated(port, called)
    message = scu.store_pdus(1, next(iter(study(5000, 1))), scu.MAX_PDU)
    for at in range(len(message)):
        writer.write(message[at : at + 1])
        await writer.drain()
        await asyncio.sleep(1)


async def _silent(port: int, called: str) -> None:
    reader, _ = await _associated(port, called)
    while await reader.read(1 << 16):
        pass


async def _senseless(port: int, number: int) -> None:
    dice = random.Random(number)
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(dice.randbytes(dice.randint(1, 5000)))
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await reader.read()
            writer.close()
        await asyncio.sleep(dice.uniform(0.2, 1))


def main() -> None:
    """Print the line, or be the crowd."""
    if sys.argv[1:2] == ["--stand"]:
        asyncio.run(_stand(int(sys.argv[2]), sys.argv[3]))
        return
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        for line in lines(Path(folder)):
            print(
                f"{line.work}: {line.gantry:.0f} {line.unit}, alone {line.peer:.0f}, ratio {line.ratio:.2f}"
            )


if __name__ == "__main__":
    main()
