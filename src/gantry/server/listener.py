"""Listens for DICOM associations, keeps their limits, and stops without losing what was acknowledged.

Limits (B20, N17): so many associations in all and from one address; whoever comes beyond is rejected for now,
which senders take as "try again". A connection that has not asked for an association yet takes no place among
them, so that silent connections shut nobody out (B1); of those the oldest are closed when they become many.

Stopping (N18): no new connections, then messages in flight get `drain_timeout_s` to end, each association is
released as soon as it is idle, and what is left is aborted.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast

from gantry.archive.archive import Archive
from gantry.client.native import RunFrame, run_here
from gantry.client.sockets import listening_socket
from gantry.client.wire import STALL_TIMEOUT_S, Wire
from gantry.dimse.association import Association, Role
from gantry.dimse.limits import ARTIM_S, ASSOCIATION_S, DEFAULT_ASYNC_WINDOW, DEFAULT_MAX_PDU, IDLE_S
from gantry.dimse.negotiation import AcceptorPolicy, Timers
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError
from gantry.server.committing import Committing
from gantry.server.metrics import Metrics
from gantry.server.operation import DimseServices
from gantry.server.session import Session
from gantry.server.traces import Traces
from gantry.settings import Address, Settings

log = logging.getLogger("gantry.dimse.listener")

MAX_NEGOTIATING = 32
"""Connections without an association that are left alone; honest ones ask within milliseconds."""

NEGOTIATING_GRACE_S = 1.0
"""How long a connection may be silent before a crowd of others gets it closed."""

MAX_CONNECTIONS = 512
"""Connections of any kind; beyond, a new one is closed unheard, to keep file descriptors for files."""

STORE_THREADS = 16
"""Threads that store. More than cores: most of their time they wait for an fsync, and those who wait
together share it."""

QUERY_THREADS = 8
"""Threads that search and read."""

DRAIN_TIMEOUT_S = 30.0
DRAIN_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseOptions:
    """What can be set of the DICOM listener; the defaults are those of `Settings`."""

    address: Address = field(default_factory=lambda: Address("127.0.0.1", 11112))
    ae_title: str = "GANTRY"
    check_called_aet: bool = False
    accept_unknown_sop_classes: bool = True
    prefer_transfer_syntaxes: tuple[str, ...] = ()
    remote_aes: Mapping[str, Address] = field(default_factory=dict)
    max_associations: int = 64
    max_associations_per_peer: int = 16
    artim_timeout_s: float = ARTIM_S
    idle_timeout_s: float = IDLE_S
    stall_timeout_s: float = STALL_TIMEOUT_S
    max_pdu: int = DEFAULT_MAX_PDU
    async_operations: int = DEFAULT_ASYNC_WINDOW
    max_object_bytes: int = 8 << 30
    find_limit: int = 10_000
    destination_timeout_s: float = ASSOCIATION_S
    calling_host_port: int | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> DimseOptions:
        """The part of all settings that concerns DICOM associations."""
        return cls(
            address=settings.dicom,
            ae_title=settings.aet,
            check_called_aet=settings.check_called_aet,
            accept_unknown_sop_classes=settings.accept_unknown_sop_classes,
            prefer_transfer_syntaxes=settings.prefer_transfer_syntaxes,
            remote_aes={peer.aet: peer.address for peer in settings.peers},
            max_associations=settings.max_associations,
            max_associations_per_peer=settings.max_associations_per_peer,
            artim_timeout_s=settings.artim_timeout_s,
            idle_timeout_s=settings.idle_timeout_s,
            stall_timeout_s=settings.idle_timeout_s,
            max_pdu=settings.max_pdu,
            async_operations=settings.async_operations,
            max_object_bytes=settings.max_object_bytes,
            find_limit=settings.find_limit,
        )

    def policy(self) -> AcceptorPolicy:
        """What is accepted of an association request."""
        return AcceptorPolicy(
            ae_title=self.ae_title,
            check_called_aet=self.check_called_aet,
            accept_unknown_storage=self.accept_unknown_sop_classes,
            preferred_transfer_syntaxes=self.prefer_transfer_syntaxes,
            automatic=False,
            max_pdu=self.max_pdu,
            async_window=AsyncWindow(self.async_operations, self.async_operations),
            timers=Timers(artim_s=self.artim_timeout_s, idle_s=self.idle_timeout_s),
        )


class DicomServer:
    """The DICOM side of one archive. `start`, then `drain`; both on the loop that serves.

    `run_frame` makes frames in other transfer syntaxes. `address` is where it listens, with the port that the
    system chose for port 0.
    """

    def __init__(
        self,
        archive: Archive,
        options: DimseOptions | None = None,
        run_frame: RunFrame = run_here,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._options = options or DimseOptions()
        self._policy = self._options.policy()
        self._store_executor = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="gantry-store")
        self._executor = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="gantry-query")
        self._committing = Committing(archive, self._options.ae_title, self._options.remote_aes)
        self._services = DimseServices(
            archive=archive,
            executor=self._executor,
            store_executor=self._store_executor,
            ae_title=self._options.ae_title,
            remote_aes=self._options.remote_aes,
            find_limit=self._options.find_limit,
            destination_timeout_s=self._options.destination_timeout_s,
            calling_host_port=self._options.calling_host_port,
            run_frame=run_frame,
            metrics=metrics,
            traces=traces,
            committing=self._committing,
        )
        waiting = "Requests for storage commitment without a report.", lambda: self._committing.open_count
        metrics.gauges["gantry_commitments_open"] = waiting
        standing = "Associations that stand now.", lambda: float(self.association_count)
        metrics.gauges["gantry_associations"] = standing
        self._server: asyncio.Server | None = None
        self._sessions: set[Session] = set()
        self._established: Counter[str] = Counter()
        self.address = self._options.address

    @property
    def association_count(self) -> int:
        """Associations that stand now."""
        return self._established.total()

    @property
    def connection_count(self) -> int:
        """TCP connections that are open now, with an association or without."""
        return len(self._sessions)

    async def start(self, shared: socket.socket | None = None) -> None:
        """Begin to listen, on a `shared` socket if there is one. Raises ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            sock = shared or listening_socket(self._options.address.host, self._options.address.port)
        except OSError as error:
            raise ConnectError(f"cannot listen on {self._options.address}: {error.strerror}") from error
        self._server = await loop.create_server(lambda: _Arrival(self), sock=sock, backlog=256)
        self.address = Address(self._options.address.host, sock.getsockname()[1])
        self._committing.start()
        log.info("listening for DICOM on %s as %s", self.address, self._options.ae_title)

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Stop: finish what is in flight within `timeout_s`, release or abort the rest. Idempotent."""
        loop = asyncio.get_running_loop()
        if self._server is not None:
            self._server.close()
            self._server = None
        deadline = loop.time() + timeout_s
        while self._sessions and loop.time() < deadline:
            for session in [s for s in self._sessions if not s.is_busy and not s.is_releasing]:
                session.release()
            await asyncio.sleep(DRAIN_POLL_S)
        await self._committing.stop()
        for session in list(self._sessions):
            log.warning("aborting an association that did not end in time; peer=%s", session.peer_address)
            session.abort()
        await asyncio.to_thread(self._store_executor.shutdown)
        await asyncio.to_thread(self._executor.shutdown)

    # What sessions ask

    def has_room_for(self, session: Session) -> bool:
        """Whether one more association may stand; the place is taken when so."""
        host = session.peer_address
        if self._established.total() >= self._options.max_associations:
            return False
        if self._established[host] >= self._options.max_associations_per_peer:
            return False
        self._established[host] += 1
        return True

    def ended(self, session: Session) -> None:
        """A connection is gone."""
        self._sessions.discard(session)
        if session.is_established:
            self._established[session.peer_address] -= 1
            if not self._established[session.peer_address]:
                del self._established[session.peer_address]

    def session_for(self, peer_address: str, now: float) -> Session | None:
        """The session of a new connection; None where there are too many."""
        if len(self._sessions) >= MAX_CONNECTIONS or self._server is None:
            log.warning("connection closed unheard, %d are open; peer=%s", len(self._sessions), peer_address)
            return None
        self._close_silent(now)
        session = Session(
            self,
            self._services,
            Association(Role.ACCEPTOR, self._policy, now),
            peer_address,
            stall_timeout_s=self._options.stall_timeout_s,
            max_object_bytes=self._options.max_object_bytes,
        )
        self._sessions.add(session)
        return session

    def _close_silent(self, now: float) -> None:
        if len(self._sessions) - self.association_count < MAX_NEGOTIATING:
            return
        silent = [
            s for s in self._sessions if not s.is_established and now - s.began_at > NEGOTIATING_GRACE_S
        ]
        if silent:
            min(silent, key=lambda s: s.began_at).wire.drop("closed in favour of a newer connection")


class _Arrival(asyncio.Protocol):
    """A connection in the moment of its making, when the peer's address is not known yet."""

    def __init__(self, server: DicomServer) -> None:
        self._server = server

    def connection_made(self, made: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, made)
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if peer else "-"
        session = self._server.session_for(host, asyncio.get_running_loop().time())
        if session is None:
            transport.abort()
            return
        wire: Wire = session.wire
        transport.set_protocol(wire)
        wire.connection_made(transport)
