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
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvicorn

from gantry.archive.archive import Archive
from gantry.archive.places import Places, options_of
from gantry.client.sockets import listening_socket
from gantry.errors import ConnectError
from gantry.server.app import build_app
from gantry.server.asgi import App
from gantry.server.compressing import Compressing
from gantry.server.copies import copies_from
from gantry.server.decoders import Decoders
from gantry.server.http_guard import HttpLimits, guarded_http
from gantry.server.listener import DicomServer, DimseOptions
from gantry.server.metrics import Metrics
from gantry.server.policy import HttpPolicy
from gantry.server.rejecting import Rejecting
from gantry.server.renderer import Renderer
from gantry.server.renditions import Renditions
from gantry.server.scrubbing import Scrubbing
from gantry.server.traces import Traces, traces_to
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


async def serve(settings: Settings, ready: Callable[[Serving], None]) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once both doors are open.

    Raises StorageError when the archive cannot be opened, ConnectError when an address cannot be had.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings) as running:
        ready(running)
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Serving]:
    """Serve for as long as the context lasts."""
    traces = traces_to(settings.traces)
    try:
        async with _serving(settings, traces) as running:
            yield running
    finally:
        if traces is not None:
            await asyncio.to_thread(traces.close)


@asynccontextmanager
async def _serving(settings: Settings, traces: Traces | None) -> AsyncIterator[Serving]:
    archive = await asyncio.to_thread(Places.of(settings).open, options_of(settings))
    decoders = Decoders()
    try:
        metrics = Metrics()
        dicom = DicomServer(
            archive, DimseOptions.from_settings(settings), decoders.run_frame(), metrics, traces
        )
        renderer = Renderer(archive, decoders, Renditions(settings.data, settings.reserve_bytes))
        scrubbing = _scrubbing(archive, settings, traces)
        app = build_app(
            archive,
            HttpPolicy.from_settings(settings),
            renderer=renderer,
            transcode=decoders.transcode,
            read_picture=decoders.read_picture,
            dicom=lambda: (settings.aet, dicom.address.port),
            scrub=scrubbing.report if scrubbing is not None else None,
            metrics=metrics,
            traces=traces,
        )
        # The arrivals of a server without rules are nobody's work.
        rules = checked_rules(settings.compress)
        compressing = Compressing(archive, rules, settings.data / "cache") if rules else None
        codes = frozenset(settings.hide_rejected)
        rejecting = Rejecting(archive, codes, settings.data / "cache") if codes else None
        http = _HttpServer(app, settings.http)
        http.listen()
        await dicom.start()
        running = Serving(settings.aet, http.address, dicom.address, settings.data)
        with _announced(running):
            answering = asyncio.create_task(http.run())
            preparing = asyncio.create_task(app.run_background(f"http://{http.address}"))
            beside = [one for one in (compressing, scrubbing, rejecting) if one is not None]
            working = [asyncio.create_task(one.run()) for one in beside]
            try:
                yield running
            finally:
                preparing.cancel()
                for one in beside:
                    one.stop()
                app.close()
                http.stop()
                await asyncio.gather(dicom.drain(), answering, *working)
    finally:
        await decoders.close()
        await asyncio.to_thread(archive.close)


def _scrubbing(archive: Archive, settings: Settings, traces: Traces | None) -> Scrubbing | None:
    if not settings.scrub_bytes_per_s:
        return None
    rate, every_s, folder = settings.scrub_bytes_per_s, settings.scrub_every_s, settings.data / "cache"
    return Scrubbing(archive, rate, every_s, copies_from(settings), folder, traces)


@contextmanager
def _announced(running: Serving) -> Iterator[None]:
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

    def listen(self) -> None:
        """Take the address and let callers queue there. Raises ConnectError when it cannot be had."""
        try:
            self._socket = listening_socket(self.address.host, self.address.port)
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
