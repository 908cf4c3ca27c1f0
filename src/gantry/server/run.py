"""One process that serves an archive: DICOM listener and HTTP server on one event loop.

Stopping (SIGTERM, SIGINT): both doors close, what is in flight ends within its time, the rest is broken off;
then the archive is closed. Everything acknowledged was durable before it was acknowledged, so there is
nothing to save at the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import uvicorn

from gantry.archive.archive import Archive
from gantry.archive.blobs.files import CACHE
from gantry.archive.places import Places, options_of
from gantry.client.sockets import listening_socket
from gantry.errors import ConnectError, StorageError
from gantry.server.among_nodes import Alone, AmongNodes, Work
from gantry.server.app import build_app
from gantry.server.asgi import App
from gantry.server.compressing import Compressing
from gantry.server.copies import copies_from
from gantry.server.decoders import Decoders
from gantry.server.http_guard import HttpLimits, guarded_http
from gantry.server.listener import DicomServer, DimseOptions
from gantry.server.metrics import Metrics, own_families
from gantry.server.policy import HttpPolicy
from gantry.server.rejecting import Rejecting
from gantry.server.renderer import Renderer
from gantry.server.renditions import Renditions
from gantry.server.scrubbing import Scrubbing
from gantry.server.tiering import MovingToTier
from gantry.server.traces import Traces, traces_to
from gantry.server.worker_counts import Colleagues
from gantry.settings import Address, Settings
from gantry.toolkit.compress import checked_rules

log = logging.getLogger("gantry.server")

HTTP_DRAIN_S = 30
KEEP_ALIVE_S = 75
BACKLOG = 512

SERVING_FILE = "serving.json"
"""Beside the archive while it is served: where other commands of this machine can reach it."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: where it listens, with the ports that the system chose for port 0."""

    aet: str
    http: Address
    dicom: Address
    data: Path

    @property
    def page(self) -> str:
        return f"http://{self.http}/"


@dataclass(frozen=True, slots=True)
class Worker:
    """One process among those that serve an archive on this machine, and the sockets that they share.

    `counts` is its own, to the process that looks after them all.
    """

    name: str
    http: socket.socket
    dicom: socket.socket
    counts: socket.socket


async def serve(settings: Settings, ready: Callable[[Serving], None], worker: Worker | None = None) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once both doors are open.

    Raises StorageError when the archive cannot be opened, or not be served any more; ConnectError when an
    address cannot be had.
    """
    stop = asyncio.Event()
    failures: list[str] = []
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def fail(why: str) -> None:
        failures.append(why)
        stop.set()

    async with serving(settings, worker, fail) as running:
        ready(running)
        await stop.wait()
        log.info("stopping")
    if failures:
        raise StorageError(failures[0])


def _nowhere(why: str) -> None:
    log.error("%s", why)


@asynccontextmanager
async def serving(
    settings: Settings, worker: Worker | None = None, fail: Callable[[str], None] = _nowhere
) -> AsyncIterator[Serving]:
    """Serve for as long as the context lasts; `fail` is told why it should not last any longer."""
    traces = traces_to(settings.traces, identifiers=settings.trace_identifiers)
    try:
        async with _serving(settings, worker, fail, traces) as running:
            yield running
    finally:
        if traces is not None:
            await asyncio.to_thread(traces.close)


@asynccontextmanager
async def _serving(
    settings: Settings, worker: Worker | None, fail: Callable[[str], None], traces: Traces | None
) -> AsyncIterator[Serving]:
    places = replace(Places.of(settings), node=worker.name if worker else "")
    archive = await asyncio.to_thread(places.open, options_of(settings))
    decoders = Decoders()
    try:
        metrics = Metrics()
        dicom = DicomServer(
            archive, DimseOptions.from_settings(settings), decoders.run_frame(), metrics, traces
        )
        renderer = Renderer(archive, decoders, Renditions(places.own_folder, settings.reserve_bytes))
        works = _Works(archive, settings, places.own_folder / CACHE, traces)
        colleagues = Colleagues(partial(own_families, archive, metrics)) if worker else None
        app = build_app(
            archive,
            HttpPolicy.from_settings(settings),
            renderer=renderer,
            transcode=decoders.transcode,
            read_picture=decoders.read_picture,
            dicom=lambda: (settings.aet, dicom.address.port),
            scrub=works.scrub_report if settings.scrub_bytes_per_s else None,
            metrics=metrics,
            traces=traces,
            colleagues=colleagues,
        )
        http = _HttpServer(app, settings.http)
        http.listen(worker.http if worker else None)
        await dicom.start(worker.dicom if worker else None)
        running = Serving(settings.aet, http.address, dicom.address, settings.data)
        with nullcontext() if worker else announced(running):
            answering = asyncio.create_task(http.run())
            preparing = asyncio.create_task(app.run_background(f"http://{http.address}"))
            beside: Work = (
                AmongNodes(archive, works.make, fail) if archive.is_shared else Alone(works.make(None))
            )
            working = asyncio.create_task(beside.run())
            counting = asyncio.create_task(colleagues.run(worker.counts)) if worker and colleagues else None
            try:
                yield running
            finally:
                preparing.cancel()
                beside.stop()
                app.close()
                http.stop()
                await asyncio.gather(dicom.drain(), answering, working)
                if counting is not None:
                    counting.cancel()
    finally:
        await decoders.close()
        await asyncio.to_thread(archive.close)


def _beside(archive: Archive, works: _Works, fail: Callable[[str], None]) -> Work:
    return AmongNodes(archive, works.make, fail) if archive.is_shared else Alone(works.make(None))


class _Works:
    """What a server does by itself, as its settings say, or the one that leads among several."""

    def __init__(self, archive: Archive, settings: Settings, folder: Path, traces: Traces | None) -> None:
        self._archive = archive
        self._settings = settings
        self._folder = folder
        self._traces = traces
        self._copies = copies_from(settings)
        # The arrivals of a server without rules are nobody's work.
        self._rules = checked_rules(settings.compress)
        self._codes = frozenset(settings.hide_rejected)
        self._scrubbing: Scrubbing | None = None

    def make(self, since: int | None) -> list[Work]:
        """All of it, to be begun; of what others led until now, after number `since` of the feed."""
        works: list[Work] = []
        if self._rules:
            works.append(Compressing(self._archive, self._rules, self._folder))
        if self._codes:
            works.append(Rejecting(self._archive, self._codes, self._folder, since))
        settings = self._settings
        if settings.tier_rules:
            works.append(MovingToTier(self._archive, settings.tier_rules))
        self._scrubbing = None
        if settings.scrub_bytes_per_s:
            rate, every_s = settings.scrub_bytes_per_s, settings.scrub_every_s
            self._scrubbing = Scrubbing(
                self._archive, rate, every_s, self._copies, self._folder, self._traces
            )
            works.append(self._scrubbing)
        return works

    def scrub_report(self) -> dict[str, object]:
        """How far the scrub is, where it is done here."""
        return self._scrubbing.report() if self._scrubbing is not None else {"by": "another node"}


@contextmanager
def announced(running: Serving) -> Iterator[None]:
    """Leave word beside the archive, so that `gantry import` and others find who has it."""
    path = running.data / SERVING_FILE
    word = {"pid": os.getpid(), "http": str(running.http), "dicom": str(running.dicom), "aet": running.aet}
    path.write_bytes(msgspec.json.encode(word))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


class _HttpServer(uvicorn.Server):
    """uvicorn on our loop, our socket and our signals."""

    def __init__(self, app: App, address: Address) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=guarded_http(HttpLimits(), app.direct),
                loop="none",
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=HTTP_DRAIN_S,
                backlog=BACKLOG,
            )
        )
        self.address = address
        self._socket: socket.socket | None = None

    def listen(self, shared: socket.socket | None = None) -> None:
        """Take the address, or a socket that has one, and let callers queue there. Raises ConnectError."""
        try:
            self._socket = shared or listening_socket(self.address.host, self.address.port)
            # Now: whoever is told that we are ready may call before `run` gets its turn.
            self._socket.listen(BACKLOG)
        except OSError as error:
            raise ConnectError(f"cannot listen on {self.address}: {error.strerror}") from error
        self.address = Address(self.address.host, self._socket.getsockname()[1])

    async def run(self) -> None:  # type: ignore[override]  # ours runs on the loop that is there
        """Answer until `stop`."""
        assert self._socket is not None
        await self.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Take no more connections, let requests in flight end."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's affair."""
        yield
