"""One association that we requested: made by `connect`, ended by `release`, used by the verbs in `scu`.

Everything that arrives is routed here: responses to the requests that wait for them, and the C-STORE requests
of a C-GET to the sink that was named for them. Every way in which an association can end comes out as a
ConnectError with the cause in words: refused, aborted, timed out, closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

from gantry.client.receiving import StoreReceiver, answer_store
from gantry.client.requests import Requests
from gantry.client.sinks import Arriving, Sink, Verdict
from gantry.client.sockets import connected_socket, is_loopback
from gantry.client.wire import Wire
from gantry.dimse.association import Association, Role
from gantry.dimse.events import (
    Aborted,
    Associated,
    CommandReceived,
    DataFragment,
    Event,
    MessageComplete,
    Rejected,
)
from gantry.dimse.limits import DEFAULT_MAX_PDU, RELEASE_S, RESPONSE_S
from gantry.dimse.message import CommandField, response
from gantry.dimse.negotiation import AcceptedContext, ProposedContext, RequestorParameters, Timers
from gantry.dimse.user_information import (
    AsyncWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
)
from gantry.errors import ConnectError
from gantry.standard import status

CONNECT_TIMEOUT_S = 10.0
"""How long a TCP connection may take; peers of a hospital answer within milliseconds or not at all."""

ABORT_GRACE_S = 1.0
"""How long a peer has to close the connection after our A-ABORT, which it should at once."""

THREADS = 4
"""Threads of one connection that read files to send and write files received."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another application entity, where it listens and what it is called."""

    host: str
    port: int
    called_aet: str = "ANY-SCP"

    def __str__(self) -> str:
        return f"{self.called_aet} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is negotiated besides contexts, and how long to wait.

    `async_window` None proposes none, which every peer understands.
    """

    max_pdu: int = DEFAULT_MAX_PDU
    async_window: AsyncWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    connect_timeout_s: float = CONNECT_TIMEOUT_S
    timers: Timers = field(default_factory=lambda: Timers(idle_s=RESPONSE_S))


class Connection:
    """An established association. Not for several event loops; several verbs may run at once.

    `contexts` are the accepted presentation contexts by ID, `window` how many requests may be
    outstanding (0: any number), `peer_max_pdu` what the peer accepts (0: any length).
    """

    def __init__(self, peer: Peer, parameters: RequestorParameters) -> None:
        loop = asyncio.get_running_loop()
        self.peer = peer
        self.contexts: Mapping[int, AcceptedContext] = {}
        self.window = 1
        self.associated: Associated | None = None
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="gantry-scu")
        association = Association(Role.REQUESTOR, parameters, loop.time())
        self.wire = Wire(association, self)
        self.requests = Requests(self.wire)
        self._receiver: StoreReceiver | None = None
        self._established: asyncio.Future[None] = loop.create_future()
        self._end_cause: str | None = None
        self._arriving: CommandReceived | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.release()
        else:
            await self.abort()

    async def open(self, timeout_s: float) -> None:
        """Connect and associate; `connect` calls this once. Raises ConnectError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                if is_loopback(self.peer.host):
                    sock = await connected_socket(self.peer.host, self.peer.port)
                    await loop.create_connection(lambda: self.wire, sock=sock)
                else:
                    await loop.create_connection(lambda: self.wire, self.peer.host, self.peer.port)
        except (OSError, TimeoutError) as error:
            self._shut_down()
            raise ConnectError(f"{self.peer}: {_words_for(error, timeout_s)}") from error
        except asyncio.CancelledError:
            self._give_up()
            raise
        try:
            await self._established
        except BaseException:
            self._give_up()
            raise

    def context(self, abstract_syntax: str, transfer_syntax: str | None = None) -> AcceptedContext | None:
        """An accepted context for a SOP class, with this transfer syntax or with any."""
        for context in self.contexts.values():
            if context.abstract_syntax == abstract_syntax and transfer_syntax in (
                None,
                context.transfer_syntax,
            ):
                return context
        return None

    def receive_into(self, sink: Sink | None) -> None:
        """Where objects go that the peer sends during a C-GET; None refuses them."""
        self._receiver = (
            None
            if sink is None
            else StoreReceiver(self.wire, sink, self.executor, partial(answer_store, self.wire))
        )

    async def release(self) -> None:
        """End the association in order; waits until the connection is closed.

        Requests that were cancelled get a moment for their last response; not all peers take an
        A-RELEASE-RQ before it.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                await self.requests.settled()
        if not self.wire.is_lost:
            self.wire.release()
        await self.wire.closed
        self._shut_down()

    async def abort(self) -> None:
        """Break the association off."""
        self.wire.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ABORT_GRACE_S):
                await asyncio.shield(self.wire.closed)
        self.wire.drop("aborted by us")
        await self.wire.closed
        self._shut_down()

    # EventHandler

    def on_event(self, event: Event) -> None:
        match event:
            case DataFragment():
                self._on_fragment(event.data)
            case CommandReceived():
                self._arriving = event
                if event.command.field is CommandField.C_STORE_RQ and self._receiver is not None:
                    self._begin_store(self._receiver, event)
            case MessageComplete():
                self._on_complete(event)
            case Associated():
                self._on_associated(event)
            case Rejected() | Aborted():
                self._end_cause = event.text
                self._fail(event.text)
            case _:
                pass

    def on_lost(self, cause: str) -> None:
        if self._receiver is not None:
            self._receiver.lost()
        self._fail(self._end_cause or cause)

    # Inside

    def _fail(self, cause: str) -> None:
        """Tell whoever waits; the connection itself may take a while longer to close."""
        words = f"{self.peer}: {cause}"
        self.requests.lost(words)
        if not self._established.done():
            self._established.set_exception(ConnectError(words))

    def _on_associated(self, event: Associated) -> None:
        self.associated = event
        self.contexts = event.contexts
        window = event.answer.user.async_window
        if window is not None and event.request.user.async_window is not None:
            self.window = window.invoked
        self._established.set_result(None)

    def _on_fragment(self, data: memoryview) -> None:
        if self._arriving is None:
            return
        if self._arriving.command.field.is_response:
            self.requests.fragment(data)
        elif self._receiver is not None:
            self._receiver.fragment(data)

    def _on_complete(self, event: MessageComplete) -> None:
        command = event.command
        self._arriving = None
        if command.field.is_response:
            self.requests.complete(command)
        elif command.field is CommandField.C_STORE_RQ and self._receiver is not None:
            self._receiver.complete()
        elif command.field.is_operation:
            # We are SCP of nothing but storage, and of that only during a C-GET.
            self.wire.post(event.context_id, response(command, status.UNRECOGNIZED_OPERATION))

    def _begin_store(self, receiver: StoreReceiver, event: CommandReceived) -> None:
        context = self.contexts[event.context_id]
        command = event.command
        if not context.we_are_scp or command.sop_class_uid != context.abstract_syntax:
            receiver.refuse(
                event.context_id, command, Verdict(status.SOP_CLASS_NOT_SUPPORTED, "not the class agreed on")
            )
            return
        arriving = Arriving(
            command.sop_class_uid or "",
            command.sop_instance_uid or "",
            context.transfer_syntax,
            peer_aet=self.peer.called_aet,
            peer_address=self.peer.host,
            via="C-GET",
        )
        receiver.begin(event.context_id, command, arriving)

    def _give_up(self) -> None:
        self._established.cancel()  # what becomes of the association, nobody waits for
        self.wire.drop("given up")
        self._shut_down()

    def _shut_down(self) -> None:
        self.executor.shutdown(wait=False)


def _words_for(error: OSError, timeout_s: float) -> str:
    if not error.errno:
        return f"no connection within {timeout_s:g} s"
    if isinstance(error, socket.gaierror):
        return error.strerror or "no such host"
    return os.strerror(error.errno)  # asyncio puts its own words in the place of the system's


async def connect(
    peer: Peer,
    *,
    contexts: Sequence[ProposedContext],
    calling_aet: str = "GANTRY",
    options: Options | None = None,
) -> Connection:
    """An association with `peer`, in which at least one of `contexts` was accepted.

    Raises ConnectError, whose words say whether the peer could not be reached, refused, or accepted none
    of the contexts.
    """
    options = options or Options()
    parameters = RequestorParameters(
        calling_aet=calling_aet,
        called_aet=peer.called_aet,
        contexts=tuple(contexts),
        max_pdu=options.max_pdu,
        async_window=options.async_window,
        roles=options.roles,
        extended=options.extended,
        common_extended=options.common_extended,
        user_identity=options.user_identity,
        timers=options.timers,
    )
    connection = Connection(peer, parameters)
    await connection.open(options.connect_timeout_s)
    if not connection.contexts:
        await connection.release()
        raise ConnectError(f"{peer} accepted none of the {len(contexts)} proposed presentation contexts")
    return connection
