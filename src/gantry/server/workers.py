"""Several processes that serve one archive from the same two sockets, and the one that looks after them.

The one that looks after them serves nobody. It holds both sockets, so that callers wait in the system's queue
and not before a closed door while a worker is started anew, and starts one for each that ends. A worker ends
when it is told to, when it cannot go on, or when the pipe from the one that started it breaks: none is ever
left alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from gantry.archive.lock import FolderLock
from gantry.archive.places import Places
from gantry.client.sockets import listening_socket
from gantry.errors import ConnectError, SettingsError, StorageError
from gantry.server.run import BACKLOG, Serving, announced
from gantry.server.worker_counts import Totals
from gantry.settings import Address, Settings

READY = b"ready\n"
AGAIN_S = (1.0, 30.0)
"""How long a worker that ended soon after its start is waited with: doubled each time, up to the second."""
_STEADY_S = 10.0
_END_S = 60.0

log = logging.getLogger("gantry.server.workers")


async def serve_with_workers(settings: Settings, ready: Callable[[Serving], None]) -> None:
    """Serve by `settings.workers` processes until SIGTERM or SIGINT; calls `ready` once all of them are.

    Raises SettingsError, StorageError where one of them cannot be started at first, ConnectError.
    """
    if not Places.of(settings).index:
        raise SettingsError("several workers need an index in a database (index): see docs/nodes.md")
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(settings.data)
    http, dicom = _listening(settings.http), _listening(settings.dicom)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    totals = Totals()
    workers = [_Worker(str(n), settings, http, dicom, totals) for n in range(1, settings.workers + 1)]
    keeping: list[asyncio.Task[None]] = []
    try:
        # The first makes or migrates what the others find
        for worker in workers:
            await worker.start()
        keeping = [asyncio.create_task(worker.keep(stop)) for worker in workers]
        running = Serving(
            settings.aet, _bound(settings.http, http), _bound(settings.dicom, dicom), settings.data
        )
        with announced(running):
            ready(running)
            await stop.wait()
            log.info("stopping")
    finally:
        stop.set()
        await asyncio.gather(*(worker.end() for worker in workers))
        await asyncio.gather(*keeping)
        await totals.end()
        http.close()
        dicom.close()
        lock.release()


def _listening(address: Address) -> socket.socket:
    try:
        found = listening_socket(address.host, address.port)
        found.listen(BACKLOG)
    except OSError as error:
        raise ConnectError(f"cannot listen on {address}: {error.strerror}") from error
    return found


def _bound(address: Address, found: socket.socket) -> Address:
    return Address(address.host, found.getsockname()[1])


class _Worker:
    def __init__(
        self, name: str, settings: Settings, http: socket.socket, dicom: socket.socket, totals: Totals
    ) -> None:
        self.name = name
        self._settings = settings
        self._sockets = (http.fileno(), dicom.fileno())
        self._totals = totals
        self._process: asyncio.subprocess.Process | None = None
        self._ends = False

    async def start(self) -> None:
        """Start it and wait until it serves. Raises StorageError where it ends instead."""
        ours, counts = socket.socketpair()
        with counts:
            fds = (*self._sockets, counts.fileno())
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gantry", "worker", self.name, *map(str, fds),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=fds,
                # Several wait at one socket: each takes one caller at a time, and leaves the next to others
                env={**os.environ, "UV_TCP_SINGLE_ACCEPT": "1"},
                # A Ctrl-C is for the one that looks after them
                start_new_session=True,
            )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        words = pickle.dumps(self._settings)
        with suppress(ConnectionError):
            process.stdin.write(len(words).to_bytes(8, "big") + words)
            await process.stdin.drain()
        if await process.stdout.readline() != READY:
            ours.close()
            code = await process.wait()
            raise StorageError(f"worker {self.name} could not be started: it ended with exit code {code}")
        self._totals.follow(ours)
        log.info("worker %s serves; pid=%d", self.name, process.pid)

    async def keep(self, stop: asyncio.Event) -> None:
        """Start it anew whenever it ends, until `stop`."""
        loop = asyncio.get_running_loop()
        pause, began = AGAIN_S[0], loop.time()
        while self._process is not None:
            code = await self._process.wait()
            if stop.is_set():
                return
            steady = loop.time() - began > _STEADY_S
            pause = AGAIN_S[0] if steady else min(2 * pause, AGAIN_S[1])
            log.error("worker %s ended with exit code %d, and is started anew", self.name, code)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.0 if steady else pause)
            if stop.is_set():
                return
            began = loop.time()
            try:
                await self.start()
            except (StorageError, OSError) as error:
                log.error("%s", error)

    async def end(self) -> None:
        """Tell it to end, and see that it does."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            log.error("worker %s does not end, and is killed", self.name)
            process.kill()
            await process.wait()
