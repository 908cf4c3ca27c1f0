"""One association that a peer requested: each message goes to the service that answers it.

C-ECHO is answered at once. C-STORE passes its bytes on as they come. C-FIND, C-GET, C-MOVE and N-ACTION are
collected and answered by a task each, several at once where a window was agreed. Whatever goes wrong in one
of them is logged here, at the door, and answered with a status; the association and all others go on.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from gantry.client.receiving import StoreReceiver, answer_store
from gantry.client.requests import Requests
from gantry.client.sinks import Arriving, Verdict
from gantry.client.wire import Wire
from gantry.dimse.association import Association
from gantry.dimse.events import (
    Aborted,
    AssociationRequested,
    Closed,
    CommandReceived,
    DataFragment,
    Event,
    MessageComplete,
    Rejected,
    Released,
)
from gantry.dimse.message import Command, CommandField, c_echo_rsp, response
from gantry.dimse.negotiation import AcceptedContext
from gantry.dimse.pdu import AssociateRJ
from gantry.errors import GantryError
from gantry.server.commitment_scp import answer_n_action
from gantry.server.find_scp import answer_find
from gantry.server.logs import escaped
from gantry.server.metrics import END_ABORTED, END_LOST, END_REJECTED, END_RELEASED
from gantry.server.operation import DimseServices, Operation
from gantry.server.outcome import answer_for_error
from gantry.server.retrieve_scp import answer_get, answer_move
from gantry.server.store_scp import ArchiveSink
from gantry.server.traces import SOP_INSTANCE, Span, end_dimse
from gantry.standard import sop_classes as sop
from gantry.standard import status
from gantry.standard.query_keys import InformationModel

log = logging.getLogger("gantry.dimse.association")

MAX_IDENTIFIERS_BYTES = 32 << 20
"""Identifiers of operations under way on one association; above it nothing more is read (N16)."""

_numbers = itertools.count(1)

Service = Callable[[Operation], Awaitable[None]]

# Which service an abstract syntax asks for, and in which information model, if in one
_SERVICES: dict[tuple[str, CommandField], tuple[Service, InformationModel | None]] = {
    (sop.STORAGE_COMMITMENT_PUSH, CommandField.N_ACTION_RQ): (answer_n_action, None),
    (sop.PATIENT_ROOT_FIND, CommandField.C_FIND_RQ): (answer_find, InformationModel.PATIENT_ROOT),
    (sop.STUDY_ROOT_FIND, CommandField.C_FIND_RQ): (answer_find, InformationModel.STUDY_ROOT),
    (sop.PATIENT_STUDY_ONLY_FIND, CommandField.C_FIND_RQ): (
        answer_find,
        InformationModel.PATIENT_STUDY_ONLY,
    ),
    (sop.PATIENT_ROOT_GET, CommandField.C_GET_RQ): (answer_get, InformationModel.PATIENT_ROOT),
    (sop.STUDY_ROOT_GET, CommandField.C_GET_RQ): (answer_get, InformationModel.STUDY_ROOT),
    (sop.PATIENT_STUDY_ONLY_GET, CommandField.C_GET_RQ): (answer_get, InformationModel.PATIENT_STUDY_ONLY),
    (sop.PATIENT_ROOT_MOVE, CommandField.C_MOVE_RQ): (answer_move, InformationModel.PATIENT_ROOT),
    (sop.STUDY_ROOT_MOVE, CommandField.C_MOVE_RQ): (answer_move, InformationModel.STUDY_ROOT),
    (sop.PATIENT_STUDY_ONLY_MOVE, CommandField.C_MOVE_RQ): (
        answer_move,
        InformationModel.PATIENT_STUDY_ONLY,
    ),
}
_SERVICE_CLASSES = frozenset({sop.VERIFICATION, *(uid for uid, _ in _SERVICES)})


class Listener(Protocol):
    """What a session asks of the listener that it belongs to."""

    def has_room_for(self, session: Session) -> bool:
        """Whether one more association may be established."""

    def ended(self, session: Session) -> None:
        """The connection is gone."""


class Session:
    """One association that we accepted, from the first byte to the last.

    `is_established` says that it was accepted and counts against the limits; `is_busy` that a message
    is arriving, being stored or being answered.
    """

    def __init__(
        self,
        listener: Listener,
        services: DimseServices,
        association: Association,
        peer_address: str,
        *,
        stall_timeout_s: float,
        max_object_bytes: int,
    ) -> None:
        self.wire = Wire(association, self, stall_timeout_s=stall_timeout_s)
        self.peer_address = peer_address
        self.number = next(_numbers)
        """What log lines call it, from the start of the process on."""
        self.began_at = asyncio.get_running_loop().time()
        self.is_established = False
        self.is_releasing = False
        self._listener = listener
        self._services = services
        self._association = association
        self._span: Span | None = None
        # Of C-STORE requests without an answer, by the identity of their commands
        self._store_spans: dict[int, Span] = {}
        self._requests = Requests(self.wire)
        self._sink = ArchiveSink(services.archive, self.number)
        self._receiver = StoreReceiver(
            self.wire,
            self._sink,
            services.store_executor,
            self._answer_store,
            max_object_bytes=max_object_bytes,
        )
        self._arriving: CommandReceived | None = None
        self._identifier: list[bytes] = []
        self._operations: dict[int, Operation] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: dict[str, int] = {}
        self._end_kind = END_LOST
        self._identifier_bytes = 0
        self._is_full = False
        self._end = ""

    @property
    def is_busy(self) -> bool:
        return bool(self._arriving or self._tasks or self._receiver.outstanding)

    # EventHandler

    def on_event(self, event: Event) -> None:
        # Most events are fragments of Data Sets, then commands; the rest comes once in an association.
        kind = type(event)
        if kind is DataFragment:
            self._on_fragment(event.data)  # type: ignore[union-attr]
        elif kind is CommandReceived:
            self._on_command(event)  # type: ignore[arg-type]
        elif kind is MessageComplete:
            self._on_complete(event)  # type: ignore[arg-type]
        elif isinstance(event, AssociationRequested):
            self._on_requested(event)
        elif isinstance(event, Rejected | Aborted):
            self._end_kind = END_REJECTED if isinstance(event, Rejected) else END_ABORTED
            self._end = event.text
            self._requests.lost(event.text)
        elif isinstance(event, Released):
            self._end_kind = END_RELEASED
            self._end = "released"
        elif isinstance(event, Closed):
            self._end = self._end or event.text

    def on_lost(self, cause: str) -> None:
        self._receiver.lost()
        self._requests.lost(cause)
        for operation in self._operations.values():
            operation.cancelled = True
        # First of all: whatever fails below, nobody waits for this association, or counts it, any more
        self._listener.ended(self)
        self._services.metrics.ends[self._end_kind] += 1
        if self._span is not None:
            self._end_span(self._span)
        self._log_end(self._end or cause)

    # What the listener calls when it stops

    def release(self) -> None:
        """End the association in order, where it stands."""
        self.is_releasing = True
        if self.is_established:
            self.wire.release()
        else:
            self.wire.drop("shutting down")

    def abort(self) -> None:
        """End the connection now."""
        self.wire.abort()
        self.wire.drop("shutting down")

    # Inside

    def _on_requested(self, event: AssociationRequested) -> None:
        self._begin_span()
        if isinstance(event.answer, AssociateRJ):
            self._association.reject(event.answer)
        elif not self._listener.has_room_for(self):
            # PS3.8 9.3.4: rejected-transient, service-provider (presentation), local-limit-exceeded
            self._association.reject(AssociateRJ(2, 3, 2))
        else:
            self.is_established = True
            self._association.accept(event.answer)

    def _on_command(self, event: CommandReceived) -> None:
        self._arriving = event
        command = event.command
        if command.field is CommandField.C_STORE_RQ:
            self._begin_store(event.context_id, command)
        elif command.field is CommandField.C_CANCEL_RQ:
            operation = self._operations.get(command.responded_to or 0)
            if operation is not None:
                operation.cancelled = True

    def _on_fragment(self, data: memoryview) -> None:
        arriving = self._arriving
        if arriving is None:
            return
        kind = arriving.command.field
        if kind is CommandField.C_STORE_RQ:
            self._receiver.fragment(data)
        elif kind.is_response:
            self._requests.fragment(data)
        else:
            self._identifier.append(bytes(data))

    def _on_complete(self, event: MessageComplete) -> None:
        self._arriving = None
        command = event.command
        kind = command.field
        if kind is CommandField.C_STORE_RQ:
            self._receiver.complete()
        elif kind.is_response:
            self._requests.complete(command)
        elif kind is CommandField.C_ECHO_RQ:
            self._echo(event.context_id, command)
        elif kind.is_operation:
            identifier, self._identifier = b"".join(self._identifier), []
            self._start(event.context_id, command, identifier)

    def _echo(self, context_id: int, command: Command) -> None:
        span = self._begin("C-ECHO")
        is_ours = self._association.contexts[context_id].abstract_syntax == sop.VERIFICATION
        code = status.SUCCESS if is_ours else status.SOP_CLASS_NOT_SUPPORTED
        self.wire.post(context_id, c_echo_rsp(command, code))
        if span is not None:
            end_dimse(span, code)

    def _begin_store(self, context_id: int, command: Command) -> None:
        span = self._sink.span = self._begin("C-STORE")
        if span is not None:
            self._store_spans[id(command)] = span
            span.identify(SOP_INSTANCE, command.sop_instance_uid or "")
        context = self._association.contexts[context_id]
        refusal = _store_refusal(context, command)
        if refusal is not None:
            self._log_refusal(command, refusal)
            self._receiver.refuse(context_id, command, refusal)
            return
        request = self._association.request
        arriving = Arriving(
            command.sop_class_uid or "",
            command.sop_instance_uid or "",
            context.transfer_syntax,
            peer_aet=request.calling_aet if request is not None else "",
            peer_address=self.peer_address,
        )
        self._receiver.begin(context_id, command, arriving)

    def _start(self, context_id: int, command: Command, identifier: bytes) -> None:
        span = self._begin(command.field.name.removesuffix("_RQ").replace("_", "-"))
        context = self._association.contexts[context_id]
        found = _SERVICES.get((context.abstract_syntax, command.field))
        message_id = command.message_id or 0
        refusal = _refusal(context, command, known=found is not None)
        if found is None or refusal is not None or message_id in self._operations:
            code = refusal if refusal is not None else status.DUPLICATE_INVOCATION
            self.wire.post(context_id, response(command, code))
            if span is not None:
                end_dimse(span, code)
            return
        service, model = found
        operation = Operation(
            self._services,
            self.wire,
            self._requests,
            context,
            model,
            command,
            identifier,
            self.peer_address,
            span,
        )
        self._operations[message_id] = operation
        self._account(len(identifier))
        task = asyncio.get_running_loop().create_task(self._perform(service, operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, service: Service, operation: Operation) -> None:
        command = operation.command
        try:
            await service(operation)
        except GantryError as error:
            answer = answer_for_error(error)
            self._log_refusal(command, Verdict(answer.dimse_status, answer.comment))
            operation.respond(response(command, answer.dimse_status, error_comment=answer.comment))
        except Exception:
            where = self.number, self.peer_address
            log.exception(
                "%s failed; association=%d peer=%s",
                command.field.name,
                *where,
                extra={"association": self.number},
            )
            is_normalized = command.field is CommandField.N_ACTION_RQ
            code = status.PROCESSING_FAILURE if is_normalized else status.UNABLE_TO_PROCESS
            operation.respond(response(command, code, error_comment="internal error, see the log"))
        finally:
            self._operations.pop(command.message_id or 0, None)
            self._account(-len(operation.identifier))

    def _account(self, size: int) -> None:
        self._identifier_bytes += size
        is_full = self._identifier_bytes > MAX_IDENTIFIERS_BYTES
        if is_full and not self._is_full:
            self.wire.hold()
        elif self._is_full and not is_full:
            self.wire.unhold()
        self._is_full = is_full

    def _answer_store(self, context_id: int, command: Command, verdict: Verdict) -> None:
        self._services.metrics.stored[verdict.status] += 1
        answer_store(self.wire, context_id, command, verdict)
        if self._store_spans:
            span = self._store_spans.pop(id(command), None)
            if span is not None:
                end_dimse(span, verdict.status)

    def _begin(self, verb: str) -> Span | None:
        """Count a request; a span for it where associations have one."""
        self._services.metrics.messages[verb] += 1
        self._counts[verb] = self._counts.get(verb, 0) + 1
        return None if self._span is None else self._span.child(verb)

    def _begin_span(self) -> None:
        traces, request = self._services.traces, self._association.request
        if traces is not None and request is not None:
            # What the log says of it
            self._span = traces.begin(
                "association",
                {
                    "gantry.association": self.number,
                    "network.peer.address": self.peer_address,
                    "dicom.calling_ae_title": escaped(request.calling_aet),
                    "dicom.called_ae_title": escaped(request.called_aet),
                },
            )

    def _end_span(self, span: Span) -> None:
        if self._arriving is not None:
            cut = self._store_spans.pop(id(self._arriving.command), None)
            if cut is not None:
                cut.end(failed=True)
        span.note("gantry.end", self._end_kind)
        span.end(failed=self._end_kind in (END_ABORTED, END_LOST))

    def _log_refusal(self, command: Command, verdict: Verdict) -> None:
        log.warning(
            "%s refused with %04XH: %s; association=%d peer=%s sop_class=%s",
            command.field.name,
            verdict.status,
            escaped(verdict.comment),
            self.number,
            self.peer_address,
            escaped(command.sop_class_uid or ""),
            extra={"association": self.number},
        )

    def _log_end(self, end: str) -> None:
        request = self._association.request
        log.info(
            "association ended: %s; association=%d peer=%s calling=%s called=%s seconds=%.3f messages=%s",
            escaped(end),
            self.number,
            self.peer_address,
            escaped(request.calling_aet) if request is not None else "-",
            escaped(request.called_aet) if request is not None else "-",
            asyncio.get_running_loop().time() - self.began_at,
            ",".join(f"{verb}:{n}" for verb, n in self._counts.items()) or "none",
            extra={"association": self.number},
        )


def _store_refusal(context: AcceptedContext, command: Command) -> Verdict | None:
    if context.abstract_syntax in _SERVICE_CLASSES or not context.we_are_scp:
        return Verdict(status.UNRECOGNIZED_OPERATION, "no C-STORE in this presentation context")
    if command.sop_class_uid != context.abstract_syntax:
        return Verdict(
            status.SOP_CLASS_NOT_SUPPORTED,
            "the SOP Class is not the one of the presentation context",
            (0x00000002,),
        )
    if not command.has_dataset:
        return Verdict(status.CANNOT_UNDERSTAND, "the C-STORE-RQ has no Data Set")
    return None


def _refusal(context: AcceptedContext, command: Command, *, known: bool) -> int | None:
    if not known:
        return status.UNRECOGNIZED_OPERATION
    if command.sop_class_uid != context.abstract_syntax:
        return status.SOP_CLASS_NOT_SUPPORTED
    if not command.has_dataset and command.field is not CommandField.N_ACTION_RQ:
        return status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS
    return None
