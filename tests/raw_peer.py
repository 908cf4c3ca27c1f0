"""A peer on a plain socket that can misbehave: it makes correct bytes, and the test decides how they are sent."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import TypeVar

from msgspec.structs import replace

from gantry.dimse.association import Association, Role
from gantry.dimse.events import Aborted, Associated, CommandReceived, DataFragment, Event, MessageComplete
from gantry.dimse.message import Command, c_echo_rq, c_store_rq
from gantry.dimse.negotiation import ProposedContext, RequestorParameters, Timers
from gantry.dimse.user_information import AsyncWindow, ExtendedNegotiation, RoleSelection

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
CONTEXTS = (ProposedContext(VERIFICATION, (IMPLICIT,)), ProposedContext(CT, (EXPLICIT,)))
ECHO_ID, CT_ID = 1, 3

E = TypeVar("E")


class RawPeer:
    """Connects to a port of this machine; `association` is the protocol value behind the bytes."""

    def __init__(
        self,
        port: int,
        *,
        contexts: Sequence[ProposedContext] = CONTEXTS,
        calling: str = "TESTER",
        called: str = "GANTRY",
        window: AsyncWindow | None = None,
        roles: tuple[RoleSelection, ...] = (),
        extended: tuple[ExtendedNegotiation, ...] = (),
        max_pdu: int = 131_072,
    ) -> None:
        parameters = RequestorParameters(
            calling_aet=calling,
            called_aet=called,
            contexts=tuple(contexts),
            async_window=window,
            roles=roles,
            extended=extended,
            max_pdu=max_pdu,
            timers=Timers(artim_s=60, idle_s=None, association_s=None, release_s=None),
        )
        self.parameters = parameters
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.association = Association(Role.REQUESTOR, parameters, time.monotonic())
        self._events: list[Event] = []

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def request_bytes(self) -> bytes:
        """The A-ASSOCIATE-RQ."""
        self.association.request_association()
        return self.output()

    def associate(self) -> Associated:
        """Send the request and wait for the acceptance."""
        self.send(self.request_bytes())
        return self.wait_for(Associated)

    def output(self) -> bytes:
        """What the association wants to say, as bytes that are not sent yet."""
        return b"".join(bytes(b) for b in self.association.take_output())

    def message(self, context_id: int, command: Command, dataset: bytes | None = None) -> bytes:
        """The bytes of a message."""
        self.association.send_message(context_id, command, dataset)
        return self.output()

    def echo_bytes(self, message_id: int = 1) -> bytes:
        """The bytes of a C-ECHO-RQ."""
        return self.message(ECHO_ID, c_echo_rq(message_id))

    def store_bytes(
        self,
        dataset: bytes,
        sop_instance_uid: str,
        message_id: int = 1,
        *,
        sop_class_uid: str = CT,
        context_id: int = CT_ID,
        **changes: object,
    ) -> bytes:
        """The bytes of a C-STORE-RQ; `changes` are fields of the command to set otherwise."""
        command = c_store_rq(message_id, sop_class_uid, sop_instance_uid)
        return self.message(context_id, replace(command, **changes), dataset)  # type: ignore[arg-type]

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def wait_for(self, kind: type[E], timeout_s: float = 10.0) -> E:
        """The next event of a kind, passing others by; fails when the connection ends first."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kind):
                    return event
            assert time.monotonic() < deadline, f"no {kind.__name__}"
            assert self._read(deadline), f"closed before {kind.__name__}"

    def status(self) -> int:
        """The status of the next response."""
        while True:
            event = self.wait_for(CommandReceived)
            if event.command.field.is_response:
                return event.command.status or 0

    def response(self) -> tuple[Command, bytes]:
        """The next response and its Data Set."""
        command = self.wait_for(CommandReceived).command
        dataset = b""
        while True:
            event = self.wait_for(object)
            if isinstance(event, DataFragment):
                dataset += event.data
            elif isinstance(event, MessageComplete):
                return command, dataset

    def aborted(self) -> Aborted:
        """The A-ABORT that ends the association."""
        return self.wait_for(Aborted)

    def is_closed(self, timeout_s: float = 10.0) -> bool:
        """Whether the association ends in time, or the other side closes, whatever it says before.

        After a release it is the requestor, so this peer, that closes the connection (PS3.8 9.2.3, AR-3).
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.association.closed or not self._read(deadline):
                return True
        return False

    def _read(self, deadline: float) -> bool:
        self.sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            data = b""
        except TimeoutError:
            return True
        now = time.monotonic()
        # Fragments are views of `data`, which stays as it is.
        self._events += self.association.receive(data, now) if data else self.association.eof(now)
        return bool(data)
