"""One DICOM association, of either side, as a value: bytes and the time in, events and bytes out.

A driver gives what the socket delivers to `receive`, handles the events that come back, writes what
`take_output` has, calls `tick` when `next_deadline` has come, and closes the socket once `closed` is True and
all is written. Every step runs through PS3.8 Table 9-10 (`fsm`).

What is sent in one direction must not interleave (PS3.8 E.1): finish one `iter_pdata` before the next
`send_message`. What another call than `receive`, `eof` or `tick` brings about is told by the next of these.

Three rules beyond the table. A fault found in Sta2 is told, and answered with its reason as service-provider;
AA-1 as written would hide it. A release is answered by itself once no operation of the peer is unanswered. An
abort asked for before there is an association closes the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, TypeVar

from gantry.dimse import fsm, pdata
from gantry.dimse.events import (
    Aborted,
    Associated,
    AssociationRequested,
    Closed,
    CommandReceived,
    DataFragment,
    Event,
    MessageComplete,
    Rejected,
    Released,
    ReleaseRequested,
)
from gantry.dimse.exchange import MessageAssembler, Operations
from gantry.dimse.fsm import Effect, State
from gantry.dimse.items import PduError
from gantry.dimse.limits import MIN_PEER_PDU
from gantry.dimse.message import Command, encode_command
from gantry.dimse.negotiation import (
    AcceptedContext,
    AcceptorPolicy,
    RequestorParameters,
    accepted_contexts,
    negotiate,
    sendable_pdu,
)
from gantry.dimse.pdata import Buffer
from gantry.dimse.pdu import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PduType,
    ReleaseRP,
    ReleaseRQ,
    decode_pdu,
)
from gantry.dimse.reader import Fragment, PduBegin, PduBody, PduReader
from gantry.dimse.reasons import AbortReason, AbortSource, RejectSource, abort_text, reject_text
from gantry.dimse.timers import Patience, Timeout
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import CallerError

__all__ = [
    "Aborted",
    "Associated",
    "Association",
    "AssociationRequested",
    "Buffer",
    "Closed",
    "CommandReceived",
    "DataFragment",
    "Event",
    "MessageComplete",
    "Prepared",
    "Rejected",
    "ReleaseRequested",
    "Released",
    "Role",
]


class Role(Enum):
    """Which side of the association we are."""

    ACCEPTOR = "acceptor"
    REQUESTOR = "requestor"


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why an event of the state machine happens; what its effects need to know."""

    answer: AssociateAC | AssociateRJ | None = None
    source: int = AbortSource.PROVIDER
    reason: int = AbortReason.NOT_SPECIFIED
    text: str = ""
    by_peer: bool = False


_NO_CAUSE: Final = _Cause()
_Batch = TypeVar("_Batch")
_EVENT_OF: Final = {
    PduType.ASSOCIATE_RQ: fsm.Event.ASSOCIATE_RQ,
    PduType.ASSOCIATE_AC: fsm.Event.ASSOCIATE_AC,
    PduType.ASSOCIATE_RJ: fsm.Event.ASSOCIATE_RJ,
    PduType.P_DATA_TF: fsm.Event.P_DATA_TF,
    PduType.RELEASE_RQ: fsm.Event.RELEASE_RQ,
    PduType.RELEASE_RP: fsm.Event.RELEASE_RP,
    PduType.ABORT: fsm.Event.ABORT,
}
_REFUSED: Final = frozenset(
    pair for pair, action in fsm.TABLE.items() if action.name in ("AA-1", "AA-6", "AA-7", "AA-8")
)
"""Where a PDU is out of place. Its body is not even read."""

_AA_1: Final = fsm.ACTIONS["AA-1"]

_ESTABLISHED: Final = frozenset((State.STA6, State.STA7, State.STA8))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message cut into PDUs for a Data Set that lies elsewhere; see `Association.prepare`."""

    context_id: int
    command: Command
    length: int
    pieces: list[tuple[bytes, int]]


class Association:
    """One association. `policy` is an AcceptorPolicy for an acceptor, RequestorParameters for a requestor.

    For an acceptor the transport connection stands already, and ARTIM runs from `now`. All times are seconds
    of any clock that only goes forward.
    """

    def __init__(self, role: Role, policy: AcceptorPolicy | RequestorParameters, now: float) -> None:
        if isinstance(policy, AcceptorPolicy) is not (role is Role.ACCEPTOR):
            raise CallerError(f"{type(policy).__name__} is not for the {role.value} of an association")
        self.role = role
        self.policy = policy
        self.state = State.STA1
        self.closed = False
        self.request: AssociateRQ | None = None
        self.answer: AssociateAC | None = None
        self.contexts: Mapping[int, AcceptedContext] = MappingProxyType({})
        self.peer_max_pdu = 0
        self.operations = Operations()
        self._assembler = MessageAssembler(self.contexts, self.operations)
        self._reader = PduReader(policy.max_pdu)
        self._patience = Patience(policy.timers, now)
        self._output: list[Buffer] = []
        self._events: list[Event] = []
        self._is_deaf = False
        self._sending = 0
        if role is Role.ACCEPTOR:
            self._step(fsm.Event.TRANSPORT_INDICATION)
        self._patience.observe(now)

    # What the driver calls

    def receive(self, data: bytes | bytearray | memoryview, now: float) -> list[Event]:
        """Take what the peer sent, cut anywhere. Never raises; faults of the peer become an A-ABORT."""
        self._patience.observe(now)
        view = memoryview(data)
        if not self._is_deaf:
            try:
                self._consume(view)
            except PduError as fault:
                # There is no telling where the next PDU begins
                self._is_deaf = True
                self._refuse(fault)
        is_inside = self._reader.is_inside_pdu or self._assembler.is_inside_message
        self._patience.heard(now, len(view), is_inside=is_inside and self.state in _ESTABLISHED)
        self._patience.observe(now)
        return self._take_events()

    def eof(self, now: float) -> list[Event]:
        """The transport connection is closed, in whatever way."""
        self._patience.observe(now)
        self._is_deaf = True
        text = "the peer closed the connection"
        self._step_if_listed(fsm.Event.TRANSPORT_CLOSED, _Cause(text=text, by_peer=True))
        self._close(text)
        return self._take_events()

    def tick(self, now: float) -> list[Event]:
        """Let time pass: time-outs that have come end the association."""
        timeout = None if self.closed else self._patience.expired(now, is_peers_turn=self._is_peers_turn())
        if timeout is Timeout.ARTIM:
            self._step_if_listed(fsm.Event.ARTIM_EXPIRED, _Cause(text=timeout.text))
        elif timeout is not None:
            self._patience.answer.stop()
            cause = _Cause(text=timeout.text)
            self._events.append(Aborted(cause.source, cause.reason, cause.text, by_peer=False))
            self._step_if_listed(fsm.Event.ABORT_REQUEST, cause)
        self._patience.observe(now)
        return self._take_events()

    def next_deadline(self) -> float | None:
        """When to call `tick` next; it may lie in the past. None where nothing is waited for."""
        return None if self.closed else self._patience.next_deadline(is_peers_turn=self._is_peers_turn())

    def take_output(self, now: float | None = None) -> list[Buffer]:
        """What is to be written now, in order; each buffer once.

        Timers that a send or an abort started begin at `now`; without it, at the next `tick` or `receive`.
        """
        if now is not None:
            self._patience.observe(now)
        output, self._output = self._output, []
        return output

    def hold(self) -> None:
        """The driver stops reading: the peer's silence is not its fault."""
        self._patience.hold()

    def resume(self, now: float) -> None:
        """The driver reads again."""
        self._patience.resume(now)

    # Associating

    def request_association(self) -> None:
        """Send the A-ASSOCIATE-RQ; the transport connection stands (requestor only)."""
        if not isinstance(self.policy, RequestorParameters):
            raise CallerError("an acceptor does not request an association")
        self.request = self.policy.request()
        self._step(fsm.Event.ASSOCIATE_REQUEST)
        self._step(fsm.Event.TRANSPORT_CONFIRM)

    def accept(self, answer: AssociateAC) -> None:
        """Answer an `AssociationRequested` with yes."""
        self._step(fsm.Event.ASSOCIATE_ACCEPT, _Cause(answer=answer))

    def reject(self, answer: AssociateRJ) -> None:
        """Answer an `AssociationRequested` with no."""
        self._step(fsm.Event.ASSOCIATE_REJECT, _Cause(answer=answer))

    @property
    def window(self) -> AsyncWindow:
        """Outstanding operations the requestor may invoke and perform; 0 is no limit (PS3.7 D.3.3.3)."""
        agreed = None if self.answer is None else self.answer.user.async_window
        return agreed or AsyncWindow(1, 1)

    # Sending

    def send_message(
        self,
        context_id: int,
        command: Command,
        dataset: bytes | bytearray | memoryview | Iterable[bytes | bytearray | memoryview] | None = None,
    ) -> None:
        """Put a whole message into the output. For a long Data Set use `iter_pdata`."""
        for buffers in self.iter_pdata(context_id, command, dataset):
            self._output += buffers

    def iter_pdata(
        self,
        context_id: int,
        command: Command,
        dataset: bytes | bytearray | memoryview | Iterable[bytes | bytearray | memoryview] | None = None,
    ) -> Iterator[list[Buffer]]:
        """The message as lists of buffers, to be written in order without anything between them.

        Data Set buffers are not copied and must stay as they are until written. Raises CallerError at once
        where the association, the context or the command does not allow it. A broken association ends the
        iteration; an iteration given up, or ended by an error of `dataset`, breaks the association. Take the
        output when it ends: a release that waited for this message follows it.
        """
        self._check_sendable(context_id, command, has_dataset=dataset is not None)
        self._step(fsm.Event.P_DATA_REQUEST)
        if isinstance(dataset, (bytes, bytearray, memoryview)):
            dataset = (dataset,)
        pdus = pdata.fragment(context_id, encode_command(command), dataset, self.peer_max_pdu)
        return self._send(command, pdus)

    def prepare(self, context_id: int, command: Command, length: int) -> Prepared:
        """A message whose Data Set of `length` bytes the driver has elsewhere, to be sent by `iter_prepared`.

        Nothing changes here, so a message may be prepared while another is under way, and forgotten.
        Raises CallerError where the context or the command does not allow it.
        """
        self._check_sendable(context_id, command, has_dataset=True)
        pieces = pdata.heads(context_id, encode_command(command), length, self.peer_max_pdu)
        return Prepared(context_id, command, length, pieces)

    def iter_prepared(self, message: Prepared) -> Iterator[list[tuple[bytes, int]]]:
        """As `iter_pdata`: what to write, and how many bytes of the Data Set to write after it."""
        self._step(fsm.Event.P_DATA_REQUEST)
        return self._send(message.command, iter((message.pieces,)))

    def _check_sendable(self, context_id: int, command: Command, *, has_dataset: bool) -> None:
        if context_id not in self.contexts:
            raise CallerError(f"presentation context {context_id} is not accepted")
        if has_dataset != command.has_dataset:
            word = "with" if has_dataset else "without"
            raise CallerError(f"{command.field.name} {word} a Data Set, while its command says otherwise")

    def _send(self, command: Command, pdus: Iterator[_Batch]) -> Iterator[_Batch]:
        has_begun = is_done = False
        self._sending += 1
        if command.field.is_operation:
            self.operations.sent(command)
        try:
            for buffers in pdus:
                if not self._may_send:
                    return
                has_begun = True
                self._patience.spoke()
                yield buffers
            is_done = True
        finally:
            self._sending -= 1
            self._patience.spoke()
            if not has_begun:
                self.operations.withdraw(command)
            elif not is_done and self._may_send:
                # Half a message is out, and nothing can follow it
                self.abort(AbortSource.PROVIDER)
        if not command.field.is_operation:
            self.operations.sent(command)
            self._answer_release()

    @property
    def _may_send(self) -> bool:
        return (self.state, fsm.Event.P_DATA_REQUEST) in fsm.TABLE

    def release(self) -> None:
        """Ask to end the association in order; CallerError where there is none."""
        self._step(fsm.Event.RELEASE_REQUEST)

    def abort(self, source: int = AbortSource.USER, reason: int = AbortReason.NOT_SPECIFIED) -> None:
        """Break the association off, in any state."""
        text = abort_text(source, reason)
        cause = _Cause(source=source, reason=reason, text=text)
        is_listed = self._step_if_listed(fsm.Event.ABORT_REQUEST, cause)
        if not is_listed and self.state is not State.STA13:
            self._close(text)

    # Received PDUs

    def _consume(self, view: memoryview) -> None:
        for unit in self._reader.feed(view):
            if type(unit) is Fragment:
                self._on_fragment(unit)
            elif type(unit) is PduBegin:
                self._on_begin(unit.kind)
            elif type(unit) is PduBody:
                self._on_body(unit)
            if self._is_deaf:
                return

    def _on_begin(self, kind: PduType) -> None:
        event = _EVENT_OF[kind]
        if (self.state, event) in _REFUSED:
            text = f"{kind.name} PDU while {self.state.text[0].lower()}{self.state.text[1:]}"
            self._step_if_listed(event, _Cause(reason=AbortReason.UNEXPECTED_PDU, text=text))
            self._reader.skip()
        elif kind is PduType.P_DATA_TF:
            self._step_if_listed(event)

    def _on_body(self, unit: PduBody) -> None:
        try:
            pdu = decode_pdu(unit.kind, unit.body)
        except PduError as fault:
            self._refuse(fault)
            return
        if isinstance(pdu, AssociateRQ):
            self._on_request(pdu)
        elif isinstance(pdu, AssociateAC):
            self._on_accept(pdu)
        elif isinstance(pdu, AssociateRJ):
            self._step_if_listed(fsm.Event.ASSOCIATE_RJ, _Cause(answer=pdu, by_peer=True))
        elif isinstance(pdu, ReleaseRQ):
            self._step_if_listed(fsm.Event.RELEASE_RQ, second=self.role is Role.ACCEPTOR)
            self._answer_release()
        elif isinstance(pdu, ReleaseRP):
            self._step_if_listed(fsm.Event.RELEASE_RP)
            self._answer_release()
        elif isinstance(pdu, Abort):
            text = abort_text(pdu.source, pdu.reason)
            cause = _Cause(source=pdu.source, reason=pdu.reason, text=text, by_peer=True)
            self._step_if_listed(fsm.Event.ABORT, cause)

    def _on_request(self, request: AssociateRQ) -> None:
        if not isinstance(self.policy, AcceptorPolicy):
            return
        self.request = request
        answer = negotiate(request, self.policy)
        cause = _Cause(answer=answer)
        is_provider_refusal = isinstance(answer, AssociateRJ) and answer.source != RejectSource.USER
        self._step_if_listed(fsm.Event.ASSOCIATE_RQ, cause, second=is_provider_refusal)
        if self.state is State.STA3 and self.policy.automatic:
            is_accepted = isinstance(answer, AssociateAC)
            self._step(fsm.Event.ASSOCIATE_ACCEPT if is_accepted else fsm.Event.ASSOCIATE_REJECT, cause)

    def _on_accept(self, answer: AssociateAC) -> None:
        if 0 < (answer.user.max_length or 0) < MIN_PEER_PDU:
            self._refuse(PduError(f"the peer accepts P-DATA of {answer.user.max_length} bytes only"))
            return
        self._step_if_listed(fsm.Event.ASSOCIATE_AC, _Cause(answer=answer))

    def _on_fragment(self, piece: Fragment) -> None:
        if self.state not in _ESTABLISHED:
            return
        try:
            self._assembler.add(piece, self._events)
        except PduError as fault:
            self._reader.skip()
            self._refuse(fault)

    def _refuse(self, fault: PduError) -> None:
        self._step_if_listed(fsm.Event.INVALID_PDU, _Cause(reason=fault.reason, text=fault.cause))

    def _answer_release(self) -> None:
        if self.state is State.STA8 and (self._sending or self.operations.performing):
            return
        if (self.state, fsm.Event.RELEASE_RESPONSE) in fsm.TABLE:
            is_over = self.state is not State.STA9
            self._step(fsm.Event.RELEASE_RESPONSE)
            if is_over:
                self._events.append(Released())

    # The state machine

    def _step(self, event: fsm.Event, cause: _Cause = _NO_CAUSE, *, second: bool = False) -> None:
        if not self._step_if_listed(event, cause, second=second):
            raise CallerError(f"{event.text}: not while {self.state.text[0].lower()}{self.state.text[1:]}")

    def _step_if_listed(self, event: fsm.Event, cause: _Cause = _NO_CAUSE, *, second: bool = False) -> bool:
        action = fsm.TABLE.get((self.state, event))
        if action is None:
            return False
        effects, next_state = action.effects, action.next_state
        if second and action.second is not None:
            effects, next_state = action.second
        self.state = next_state
        for effect in effects:
            _EFFECTS[effect](self, cause)
        if action is _AA_1 and event is not fsm.Event.ABORT_REQUEST:
            self._tell_aborted(cause)
        if next_state is State.STA1:
            self._close(cause.text)
        return True

    def _send_rq(self, cause: _Cause) -> None:
        assert self.request is not None
        self._output.append(self.request.encode())
        self._patience.await_answer(self.policy.timers.association_s)

    def _send_ac(self, cause: _Cause) -> None:
        assert isinstance(cause.answer, AssociateAC)
        self._output.append(cause.answer.encode())
        self._establish(cause.answer)

    def _send_rj(self, cause: _Cause) -> None:
        assert isinstance(cause.answer, AssociateRJ)
        self._output.append(cause.answer.encode())
        self._tell_rejected(cause)

    def _send_release_rq(self, cause: _Cause) -> None:
        self._output.append(ReleaseRQ().encode())
        self._patience.await_answer(self.policy.timers.release_s)

    def _send_release_rp(self, cause: _Cause) -> None:
        self._output.append(ReleaseRP().encode())

    def _send_abort(self, cause: _Cause) -> None:
        self._patience.answer.stop()
        self._output.append(Abort(cause.source, cause.reason).encode())

    def _tell_requested(self, cause: _Cause) -> None:
        assert isinstance(self.policy, AcceptorPolicy)
        if not self.policy.automatic:
            assert self.request is not None and cause.answer is not None
            self._events.append(AssociationRequested(self.request, cause.answer))

    def _tell_accepted(self, cause: _Cause) -> None:
        assert isinstance(cause.answer, AssociateAC)
        self._patience.answer.stop()
        self._establish(cause.answer)

    def _tell_rejected(self, cause: _Cause) -> None:
        assert isinstance(cause.answer, AssociateRJ)
        answer = cause.answer
        text = reject_text(answer.result, answer.source, answer.reason)
        self._events.append(Rejected(answer.result, answer.source, answer.reason, text, self.request))

    def _tell_release_requested(self, cause: _Cause) -> None:
        self._assembler.drop()
        self._events.append(ReleaseRequested())

    def _tell_released(self, cause: _Cause) -> None:
        self._patience.answer.stop()
        if self.state is State.STA1:
            self._events.append(Released())

    def _tell_aborted(self, cause: _Cause) -> None:
        self._events.append(Aborted(cause.source, cause.reason, cause.text, cause.by_peer))

    def _start_artim(self, cause: _Cause) -> None:
        self._patience.artim.start()

    def _stop_artim(self, cause: _Cause) -> None:
        self._patience.artim.stop()

    def _close_transport(self, cause: _Cause) -> None:
        self._close(cause.text)

    def _pass(self, cause: _Cause) -> None:
        """P-DATA passes beside the table, which only says whether it may; the driver opens the transport."""

    def _establish(self, answer: AssociateAC) -> None:
        assert self.request is not None
        we_request = self.role is Role.REQUESTOR
        self.answer = answer
        self.contexts = MappingProxyType(dict(accepted_contexts(self.request, answer, we_request=we_request)))
        self._assembler = MessageAssembler(self.contexts, self.operations)
        self.peer_max_pdu = sendable_pdu(answer.user if we_request else self.request.user)
        self._events.append(Associated(self.request, answer, self.contexts))

    def _close(self, text: str) -> None:
        if not self.closed:
            self.closed = self._is_deaf = True
            self.state = State.STA1
            self._events.append(Closed(text))

    def _is_peers_turn(self) -> bool:
        if self.state not in _ESTABLISHED or self._sending:
            return False
        if self.operations.invoked or self._assembler.is_inside_message or self._reader.is_inside_pdu:
            return True
        return self.role is Role.ACCEPTOR and not self.operations.performing

    def _take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events


_EFFECTS: Final[dict[Effect, Callable[[Association, _Cause], None]]] = {
    Effect.OPEN_TRANSPORT: Association._pass,
    Effect.SEND_RQ: Association._send_rq,
    Effect.SEND_AC: Association._send_ac,
    Effect.SEND_RJ: Association._send_rj,
    Effect.SEND_P_DATA: Association._pass,
    Effect.SEND_RELEASE_RQ: Association._send_release_rq,
    Effect.SEND_RELEASE_RP: Association._send_release_rp,
    Effect.SEND_ABORT: Association._send_abort,
    Effect.TELL_REQUESTED: Association._tell_requested,
    Effect.TELL_ACCEPTED: Association._tell_accepted,
    Effect.TELL_REJECTED: Association._tell_rejected,
    Effect.TELL_P_DATA: Association._pass,
    Effect.TELL_RELEASE_REQUESTED: Association._tell_release_requested,
    Effect.TELL_RELEASED: Association._tell_released,
    Effect.TELL_ABORTED: Association._tell_aborted,
    Effect.START_ARTIM: Association._start_artim,
    Effect.STOP_ARTIM: Association._stop_artim,
    Effect.CLOSE_TRANSPORT: Association._close_transport,
}
