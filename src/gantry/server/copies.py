"""Where a copy of a damaged object may be had: a backup, a DICOMweb server, another application entity.

A copy is only offered; the archive compares digests before it takes anything (`Archive.heal`). So a source
may hold another version, or rotten bytes itself. What a peer sends is cut where it is longer than the object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gantry.archive.backup.store import Store
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.clock import SystemClock
from gantry.archive.disk import OsDisk
from gantry.archive.records import Location
from gantry.archive.scrub import MAX_HEAD_BYTES
from gantry.client import scu
from gantry.client.connection import Options, Peer, connect
from gantry.client.sinks import OUT_OF_RESOURCES, STORED, Arriving, Reception, Verdict
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import ConnectError, NotFound
from gantry.server.traces import outgoing_headers
from gantry.settings import BUCKETS, RemoteAe, Settings
from gantry.standard.query_keys import Level

FETCH_S = 600.0
"""Longest time for one object: 8 GiB within it are 14 MB/s. A peer that trickles is given up."""


_LOOK_EVERY_S = 0.2

IsOver = Callable[[], bool]
"""Whether nobody waits for a copy any more: the server is being stopped."""


class Copies(Protocol):
    """One place that may have copies; its text says which."""

    def fetch(self, location: Location, folder: Path, is_over: IsOver) -> Path | None:
        """A Part 10 file that may hold the object, in `folder` or where it lies; None where there is none.

        Blocks, but not for long once `is_over`. Raises GantryError, OSError.
        """


@dataclass(frozen=True, slots=True)
class BackupCopies:
    """What `gantry backup` has copied into a folder."""

    place: Path

    def __str__(self) -> str:
        return f"the backup in {self.place}"

    def fetch(self, location: Location, folder: Path, is_over: IsOver) -> Path | None:
        found = Store(OsDisk(self.place), SystemClock()).find(location)
        return None if found is None else self.place / found


@dataclass(frozen=True, slots=True)
class BucketCopies:
    """Another bucket that holds the same objects, as stores replicate them."""

    url: str

    def __str__(self) -> str:
        return self.url.partition("?")[0]

    def fetch(self, location: Location, folder: Path, is_over: IsOver) -> Path | None:
        path = folder / "from-bucket.dcm"
        try:
            with path.open("wb") as file:
                for piece in Bucket.open(self.url).pieces(location.path):
                    file.write(piece)
                    if is_over():
                        return None
        except FileNotFoundError:
            return None
        return path


@dataclass(frozen=True, slots=True)
class WebCopies:
    """A DICOMweb server, asked by WADO-RS (PS3.18 10.4) for the instance as it is stored."""

    url: str

    def __str__(self) -> str:
        return self.url

    def fetch(self, location: Location, folder: Path, is_over: IsOver) -> Path | None:
        # Loads httpx, a quarter of a second of each start, for what most servers never need.
        from gantry.client.web import WebClient

        headers = outgoing_headers()
        sink = _OneFile(folder, location.file_size + MAX_HEAD_BYTES)

        async def run() -> None:
            async with WebClient(self.url, headers=headers) as web:
                await web.retrieve(sink, *location.key)

        try:
            asyncio.run(_in_time(run(), is_over))
        except NotFound:
            return None
        return sink.path


@dataclass(frozen=True, slots=True)
class PeerCopies:
    """Another application entity, asked by C-GET (PS3.4 C.4.3) for the object in its transfer syntax."""

    peer: Peer
    calling_aet: str

    def __str__(self) -> str:
        return str(self.peer)

    def fetch(self, location: Location, folder: Path, is_over: IsOver) -> Path | None:
        sink = _OneFile(folder, location.file_size + MAX_HEAD_BYTES)
        study, series, instance = location.key
        keys = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
        contexts = scu.get_contexts(
            [ProposedContext(location.sop_class_uid, (location.transfer_syntax_uid,))]
        )
        options = Options(roles=scu.get_roles(contexts))

        async def run() -> None:
            async with await connect(
                self.peer, contexts=contexts, calling_aet=self.calling_aet, options=options
            ) as connection:
                await scu.get(connection, Level.IMAGE, keys, sink)

        asyncio.run(_in_time(run(), is_over))
        return sink.path


def copies_from(settings: Settings) -> tuple[Copies, ...]:
    """The places that the settings name, in their order. Raises SettingsError."""
    return tuple(_copies(name, settings) for name in settings.heal_from)


def _copies(name: str, settings: Settings) -> Copies:
    if name.startswith(("http://", "https://")):
        return WebCopies(name)
    if name.startswith(BUCKETS):
        return BucketCopies(name)
    if name.startswith(("/", "~")):
        return BackupCopies(Path(name).expanduser())
    known = next((peer for peer in settings.peers if peer.aet == name), None)
    remote = known or RemoteAe.parse(name)
    return PeerCopies(Peer(remote.address.host, remote.address.port, remote.aet), settings.aet)


async def _in_time(fetching: Coroutine[Any, Any, None], is_over: IsOver) -> None:
    """Wait for a peer, but not for ever. Raises ConnectError, and what `fetching` raises."""
    loop = asyncio.get_running_loop()
    until = loop.time() + FETCH_S
    task = loop.create_task(fetching)
    while not task.done():
        await asyncio.wait({task}, timeout=_LOOK_EVERY_S)
        if is_over() or loop.time() > until:
            break
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task}, timeout=_LOOK_EVERY_S)
    raise ConnectError("the server is being stopped" if is_over() else f"no object within {FETCH_S:g} s")


class _OneFile:
    """A sink for one object, whatever a peer sends: the first one that is no longer than `limit` bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self.path: Path | None = None

    def begin(self, arriving: Arriving) -> Reception | Verdict:
        if self.path is not None:
            return Verdict(OUT_OF_RESOURCES, "one object was asked for")
        return _OneReception(self)


class _OneReception:
    backlog = 0
    room = 0

    def __init__(self, sink: _OneFile) -> None:
        self._sink = sink
        self._left = sink.limit
        self._failed: OSError | None = None
        self._path = sink.folder / "offer"
        self._file = self._path.open("wb")

    def write(self, data: bytes | memoryview) -> None:
        self._left -= len(data)
        if self._left >= 0 and self._failed is None:
            try:
                self._file.write(data)
            except OSError as error:
                self._failed = error

    def finish(self) -> Verdict:
        try:
            self._file.close()
        except OSError as error:
            self._failed = error
        if self._left < 0 or self._failed is not None:
            return Verdict(OUT_OF_RESOURCES, "not the object that was asked for")
        self._sink.path = self._path
        return STORED

    def abort(self) -> None:
        self._file.close()
