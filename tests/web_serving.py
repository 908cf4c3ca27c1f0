"""A real archive behind a real uvicorn on a port of the system's choice, and ways to talk to it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import uvloop

from gantry.archive.archive import Archive, Options
from gantry.archive.index_files import index_files_for
from gantry.dicomweb.multipart import MultipartParser, PartBegin, PartData
from gantry.server.app import build_app
from gantry.server.decoders import Decoders
from gantry.server.http_guard import HttpLimits, guarded_http
from gantry.server.policy import HttpPolicy
from gantry.server.renderer import Renderer
from gantry.server.renditions import Renditions

BOUNDARY = "PartOfATest"
STORE_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'


@dataclass(frozen=True, slots=True)
class WebServed:
    """A running server and a client of it."""

    archive: Archive
    port: int
    http: httpx.Client

    def raw(
        self, data: bytes | Iterable[bytes], *, timeout_s: float = 10.0, half_close: bool = False
    ) -> bytes:
        """Send bytes on a new connection; all that comes back until the server closes it."""
        with self.connect(timeout_s) as connection:
            for piece in [data] if isinstance(data, bytes) else data:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return read_all(connection)

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)

    def store(self, *objects: bytes, path: str = "/dicom-web/studies") -> httpx.Response:
        """Store Part 10 objects in one request."""
        return self.http.post(path, content=related(objects), headers={"content-type": STORE_TYPE})


def read_all(connection: socket.socket) -> bytes:
    """What the peer sends until it closes or resets."""
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def related(
    parts: Iterable[bytes], content_type: str = "application/dicom", boundary: str = BOUNDARY
) -> bytes:
    """A multipart body whose parts are all of one type."""
    head = f"--{boundary}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def parts_of(answer: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer: their headers and bodies."""
    parser = MultipartParser(answer.headers["content-type"].rpartition("boundary=")[2])
    parts: list[tuple[dict[str, str], bytes]] = []
    for event in parser.feed(answer.content):
        if isinstance(event, PartBegin):
            parts.append((dict(event.headers), b""))
        elif isinstance(event, PartData):
            parts[-1] = parts[-1][0], parts[-1][1] + bytes(event.data)
    parser.finish()
    return parts


def bulk_uris(metadata: Any) -> list[str]:
    """All BulkDataURIs in some metadata, in their order."""
    if isinstance(metadata, list):
        return [uri for item in metadata for uri in bulk_uris(item)]
    if not isinstance(metadata, dict):
        return []
    own = [metadata["BulkDataURI"]] if "BulkDataURI" in metadata else []
    return own + [uri for value in metadata.values() for uri in bulk_uris(value)]


def status_of(answer: bytes) -> int:
    """The status of a raw HTTP answer; 0 where the connection was closed without one."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@contextmanager
def web_served(
    folder: Path,
    *,
    policy: HttpPolicy | None = None,
    limits: HttpLimits | None = None,
    reserve_bytes: int = 0,
    max_object_bytes: int = 8 << 30,
    same_uid: str = "newest",
    pictures: bool = False,
    tls: tuple[Path, Path] | None = None,
    index: str = "",
    **app: Any,
) -> Iterator[WebServed]:
    """Serve an archive in `folder` over HTTP; `app` goes to `build_app`, `pictures` adds the decoders.

    `tls` is a certificate and its key. `index` is the URL of a database, empty for a file in the folder.
    """
    archive = Archive.open(
        folder,
        Options(same_uid=same_uid, reserve_bytes=reserve_bytes, max_object_bytes=max_object_bytes),
        index_files=index_files_for(folder, index, 4),
    )
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    decoders = Decoders(1)
    if pictures:
        renderer = Renderer(archive, decoders, Renditions(folder))
        app |= {"renderer": renderer, "transcode": decoders.transcode}
        app["read_picture"] = decoders.read_picture
    built = build_app(archive, policy, **app)
    server = _Server(
        uvicorn.Config(
            built,
            http=guarded_http(limits or HttpLimits(), built.direct),
            loop="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            ssl_certfile=tls and tls[0],
            ssl_keyfile=tls and tls[1],
        )
    )
    scheme = "https" if tls else "http"
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop, server, listening, decoders), name="web-served")
    thread.start()
    try:
        with httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", timeout=30, verify=False) as client:
            yield WebServed(archive, port, client)
    finally:
        loop.call_soon_threadsafe(built.close)
        loop.call_soon_threadsafe(server.ended.set)
        thread.join()
        loop.close()
        archive.close()


class _Server(uvicorn.Server):
    """uvicorn, which looks every 0.1 s whether it is to end and then waits as long again, but ends at once.

    Most of what a small test took were these two waits.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.ended.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        connections = self.server_state.connections
        for connection in list(connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while connections or self.server_state.tasks:  # noqa: ASYNC110 - they have no event of their own
                    await asyncio.sleep(0.001)
        for task in self.server_state.tasks:
            task.cancel()


def _run(
    loop: asyncio.AbstractEventLoop, server: uvicorn.Server, listening: socket.socket, decoders: Decoders
) -> None:
    asyncio.set_event_loop(loop)
    loop.run_until_complete(server._serve([listening]))
    loop.run_until_complete(decoders.close())
    loop.run_until_complete(loop.shutdown_default_executor())
