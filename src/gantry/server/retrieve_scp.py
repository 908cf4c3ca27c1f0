"""C-GET and C-MOVE SCP: what matches is sent by C-STORE sub-operations (PS3.4 C.4.2, C.4.3).

C-GET sends over the association that asked, in the contexts for which the peer took the SCP role. C-MOVE
opens an association to the destination, an AE of the settings, and proposes what the objects are. Objects
leave bit for bit as they are kept, the Data Set after its File Meta Information; only where the peer took no
context for an object's transfer syntax it goes in another that the peer took: decompressed, or compressed
without loss, by the guarded processes.

How far it is, is told in pending answers, a few a second. A sub-operation that fails is counted and listed,
and the next goes on. The final status is Success, B000 when some failed, A702 when all did, FE00 after a
cancel.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from gantry.archive.archive import Archive
from gantry.archive.query import Query
from gantry.archive.records import Location
from gantry.client.connection import Connection, Options, Peer, connect
from gantry.client.native import in_accepted_form, proposals
from gantry.client.objects import OpenDataSet, Outgoing, StoreResult, groups_for_association
from gantry.client.sending import PRELOAD_BYTES, MoveOriginator, Sending, result_for
from gantry.dataset.encode import encode
from gantry.dimse.limits import DEFAULT_ASYNC_WINDOW, RESPONSE_S
from gantry.dimse.message import Command, c_retrieve_rsp
from gantry.dimse.negotiation import AcceptedContext, ProposedContext, Timers
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError
from gantry.pixels.transcode import FrameJob
from gantry.server.find_scp import negotiated_options
from gantry.server.identifier import Identifier, read_identifier
from gantry.server.logs import escaped
from gantry.server.operation import Operation
from gantry.server.outcome import IdentifierMismatch
from gantry.server.sub_operations import SubOperations
from gantry.server.traces import part, within
from gantry.settings import Address
from gantry.standard import status
from gantry.standard.query_keys import UNIQUE_KEYS, InformationModel, Level
from gantry.standard.status import Category, category

log = logging.getLogger("gantry.dimse.retrieve")

FAILED_UID_LIST = "00080058"
MAX_FAILED_UIDS = 1000
"""A value of VR UI holds 65,534 bytes at most; the count tells of those that do not fit."""

BLOCK_BYTES = 1 << 20

FRUITLESS_ASSOCIATIONS = 2
"""After so many associations in a row that a destination breaks off without taking an object, we give up."""

PENDING_EVERY_S = 0.1
"""How often a peer is told how far it is (PS3.7 9.1.3.1 leaves that to us): an answer to each of a thousand
objects costs both sides a tenth of the time, and people see no more of it."""


@dataclass(slots=True)
class Tally:
    """Counts of sub-operations, and which failed."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def note(self, result: StoreResult) -> None:
        """One sub-operation has ended."""
        self.remaining -= 1
        kind = Category.FAILURE if result.status is None else category(result.status)
        if kind is Category.SUCCESS:
            self.completed += 1
        elif kind is Category.WARNING:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(result.sop_instance_uid)

    def final_status(self) -> int:
        """PS3.4 C.4.2.3.1: success, a warning where some failed or warned, a failure where all failed.

        Of the failures of Table C.4-2 it is A702, which other archives answer then, whatever the cause was.
        """
        if not self.failed and not self.warning:
            return status.SUCCESS
        if not self.completed and not self.warning:
            return status.UNABLE_TO_PERFORM_SUB_OPERATIONS
        return status.SUB_OPERATIONS_COMPLETE_WITH_FAILURES


async def answer_get(operation: Operation) -> None:
    """Answer one C-GET-RQ. Raises GantryError for one that cannot be answered at all."""
    await _answer(operation, _send_back)


async def answer_move(operation: Operation) -> None:
    """Answer one C-MOVE-RQ."""
    destination = operation.command.move_destination or ""
    address = _address_of(destination, operation)
    if address is None or destination == operation.services.ae_title:
        # To ourselves it would be a loop: every object is here already.
        reason = "not known here" if address is None else "is this archive itself"
        log.warning("C-MOVE to %s refused, %s; peer=%s", escaped(destination), reason, operation.peer_address)
        operation.respond(
            c_retrieve_rsp(
                operation.command,
                status.MOVE_DESTINATION_UNKNOWN,
                error_comment=f"destination {destination} {reason}",
            )
        )
        return
    peer = Peer(address.host, address.port, destination)
    await _answer(operation, lambda *arguments: _send_to(peer, *arguments))


def _address_of(destination: str, operation: Operation) -> Address | None:
    known = operation.services.remote_aes.get(destination)
    port = operation.services.calling_host_port
    if known is None and port is not None and destination == operation.calling_aet:
        return Address(operation.peer_address, port)
    return known


_Report = Callable[[Outgoing, StoreResult], None]
_Send = Callable[[Operation, Sequence[Outgoing], _Report], Awaitable[None]]


async def _answer(operation: Operation, send: _Send) -> None:
    loop = asyncio.get_running_loop()
    objects = await loop.run_in_executor(operation.services.executor, _matching_objects, operation)
    tally = Tally(len(objects))
    told_at = -PENDING_EVERY_S

    def note(outgoing: Outgoing, result: StoreResult) -> None:
        nonlocal told_at
        tally.note(result)
        if result.status != status.SUCCESS:
            _log_failure(operation, result)
        now = loop.time()
        if tally.remaining and now >= told_at + PENDING_EVERY_S:
            told_at = now
            operation.respond(_answer_with(operation, status.PENDING, tally))

    if objects:
        await send(operation, objects, note)
    if operation.is_over and tally.remaining:
        _respond_finally(operation, status.CANCEL, tally)
    else:
        _respond_finally(operation, tally.final_status(), tally)


async def _send_back(operation: Operation, objects: Sequence[Outgoing], report: _Report) -> None:
    """C-GET: over the association that asked."""
    contexts = [c for c in operation.association.contexts.values() if c.we_are_scu]
    spans = SubOperations(operation.span)
    sending = Sending(
        operation.requests,
        operation.services.executor,
        _ContextFinder(contexts, spans).find,
        window=operation.association.window.performed,
    )

    def note(outgoing: Outgoing, result: StoreResult) -> None:
        spans.end(outgoing, result)
        report(outgoing, result)

    try:
        await sending.send(_in_accepted_forms(operation, objects, contexts), note, lambda: operation.is_over)
    finally:
        spans.close()


async def _send_to(peer: Peer, operation: Operation, objects: Sequence[Outgoing], report: _Report) -> None:
    """C-MOVE over associations to the destination; another where one has too few contexts or broke off."""
    for group in groups_for_association(objects, proposals):
        waiting = deque(group)
        proposed = list(dict.fromkeys(p for run, _ in groupby(map(proposals, group)) for p in run))
        fruitless, cause = 0, ""
        while waiting and not operation.is_over and fruitless < FRUITLESS_ASSOCIATIONS:
            try:
                connection = await _connect_to(peer, operation, proposed)
            except ConnectError as error:
                cause = str(error)
                break
            answered = await _send_over(connection, operation, waiting, report)
            cause = connection.requests.lost_cause or "not sent"
            fruitless = 0 if answered else fruitless + 1
        if not operation.is_over:
            for left in waiting:
                report(left, result_for(left, None, cause))


async def _connect_to(peer: Peer, operation: Operation, proposed: Sequence[ProposedContext]) -> Connection:
    with part("connect", operation.span):
        return await connect(
            peer,
            contexts=proposed,
            calling_aet=operation.services.ae_title,
            options=_move_options(operation.services.destination_timeout_s),
        )


async def _send_over(
    connection: Connection, operation: Operation, waiting: deque[Outgoing], report: _Report
) -> int:
    """Send what waits until the association ends; how many had an answer.

    Where the destination breaks the association off, it is over the first object without an answer, as far
    as anybody can tell. That one has failed; those behind it wait for the next association.
    """
    contexts = list(connection.contexts.values())
    spans = SubOperations(operation.span)
    sending = Sending(
        connection.requests,
        operation.services.executor,
        _ContextFinder(contexts, spans).find,
        window=connection.window,
        originator=MoveOriginator(operation.calling_aet, operation.command.message_id or 0),
    )
    answered = 0
    unanswered: list[tuple[Outgoing, StoreResult]] = []

    def note(outgoing: Outgoing, result: StoreResult) -> None:
        nonlocal answered
        spans.end(outgoing, result)
        if result.status is None:
            unanswered.append((outgoing, result))
        else:
            answered += 1
            report(outgoing, result)

    try:
        await sending.send(
            _in_accepted_forms(operation, _taken_from(waiting), contexts), note, lambda: operation.is_over
        )
    finally:
        spans.close()
        await connection.release()
    if unanswered and not operation.is_over:
        report(*unanswered[0])
        waiting.extendleft(outgoing for outgoing, _ in reversed(unanswered[1:]))
    return answered


def _taken_from(waiting: deque[Outgoing]) -> Iterator[Outgoing]:
    while waiting:
        yield waiting.popleft()


def _move_options(timeout_s: float) -> Options:
    return Options(
        async_window=AsyncWindow(DEFAULT_ASYNC_WINDOW, 1),
        connect_timeout_s=timeout_s,
        timers=Timers(idle_s=RESPONSE_S, association_s=timeout_s),
    )


class _ContextFinder:
    """Looks contexts up by SOP class and transfer syntax, when it is an object's turn to be sent."""

    def __init__(self, contexts: Iterable[AcceptedContext], spans: SubOperations) -> None:
        self._spans = spans
        self._ids: dict[tuple[str, str], int] = {}
        for context in contexts:
            self._ids.setdefault((context.abstract_syntax, context.transfer_syntax), context.context_id)

    def find(self, outgoing: Outgoing) -> int | None:
        """The context for an object; None where none was accepted."""
        self._spans.begin(outgoing)
        return self._ids.get((outgoing.sop_class_uid, outgoing.transfer_syntax_uid))


def _in_accepted_forms(
    operation: Operation, objects: Iterable[Outgoing], contexts: Sequence[AcceptedContext]
) -> Iterator[Outgoing]:
    """Each object as it is where a context takes it, else in another syntax that one takes."""
    run_frame, span = operation.services.run_frame, operation.span

    def traced(data: bytes, job: FrameJob) -> bytes:
        assert span is not None
        with within(span):  # in a thread, which knows nothing of the request
            return run_frame(data, job)

    for outgoing in objects:
        yield in_accepted_form(outgoing, contexts, run_frame if span is None else traced)


def _matching_objects(operation: Operation) -> list[Outgoing]:
    options = negotiated_options(operation)
    identifier = read_identifier(
        operation.identifier, operation.syntax, operation.information_model, relational=options.relational
    )
    archive = operation.services.archive
    return [
        _outgoing(archive, location) for location in _locate(archive, identifier, operation.information_model)
    ]


def _locate(archive: Archive, identifier: Identifier, model: InformationModel) -> list[Location]:
    """All objects that the unique keys name, without repeats, in the archive's order."""
    own = identifier.values(UNIQUE_KEYS[identifier.level])
    if not own:
        tag = UNIQUE_KEYS[identifier.level]
        raise IdentifierMismatch(
            f"a retrieve at {identifier.level.name} level needs ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        )
    if identifier.level is Level.PATIENT:
        return [o for study in _studies_of(archive, identifier) for o in archive.locate(study)]
    if model is not InformationModel.STUDY_ROOT and identifier.values(UNIQUE_KEYS[Level.PATIENT]):
        studies = set(_studies_of(archive, identifier))
        return [o for o in _locate_by_uid(archive, identifier) if o.key.study_uid in studies]
    return _locate_by_uid(archive, identifier)


def _studies_of(archive: Archive, identifier: Identifier) -> list[str]:
    tag = UNIQUE_KEYS[Level.PATIENT]
    keys = {f"{tag:08X}": dict(identifier.keys[tag])}
    return [row.study_uid for row in archive.find(Query(Level.STUDY, keys=keys)).rows]


def _locate_by_uid(archive: Archive, identifier: Identifier) -> list[Location]:
    studies: Sequence[str | None] = identifier.values(UNIQUE_KEYS[Level.STUDY]) or [None]
    series: Sequence[str | None] = [None]
    instances: Sequence[str] = ()
    if identifier.level >= Level.SERIES:
        series = identifier.values(UNIQUE_KEYS[Level.SERIES]) or [None]
    if identifier.level is Level.IMAGE:
        instances = identifier.values(UNIQUE_KEYS[Level.IMAGE])
    if len(instances) == 1:
        return [o for st in studies for se in series for o in archive.locate(st, se, instances[0])]
    found = [o for st in studies for se in series for o in archive.locate(st, se)]
    if not instances:
        return found
    wanted = set(instances)
    return [o for o in found if o.key.sop_uid in wanted]


def _outgoing(archive: Archive, location: Location) -> Outgoing:
    size = location.file_size - location.dataset_offset

    def read() -> Iterable[bytes]:
        if size <= PRELOAD_BYTES:
            return (archive.read_range(location, location.dataset_offset, size),)
        return _blocks(archive, location)

    def opened() -> OpenDataSet | None:
        found = archive.open_object(location)
        return None if found is None else OpenDataSet(found.file, location.dataset_offset, found.close)

    return Outgoing(
        location.sop_class_uid,
        location.key.sop_uid,
        location.transfer_syntax_uid,
        size,
        read,
        open=opened if 0 < size <= PRELOAD_BYTES else None,
    )


def _blocks(archive: Archive, location: Location) -> Iterator[bytes]:
    for offset in range(location.dataset_offset, location.file_size, BLOCK_BYTES):
        yield archive.read_range(location, offset, BLOCK_BYTES)


def _answer_with(operation: Operation, code: int, tally: Tally, *, has_dataset: bool = False) -> Command:
    # PS3.7 9.1.3.1.6: remaining is told only while there may be some.
    going_on = code in (status.PENDING, status.CANCEL)
    return c_retrieve_rsp(
        operation.command,
        code,
        remaining=tally.remaining if going_on else None,
        completed=tally.completed,
        failed=tally.failed,
        warning=tally.warning,
        has_dataset=has_dataset,
    )


def _respond_finally(operation: Operation, code: int, tally: Tally) -> None:
    dataset = None
    if tally.failed_uids:
        uids = tally.failed_uids[:MAX_FAILED_UIDS]
        dataset = encode({FAILED_UID_LIST: {"vr": "UI", "Value": uids}}, operation.syntax)
    response = _answer_with(operation, code, tally, has_dataset=dataset is not None)
    operation.respond(response, dataset)


def _log_failure(operation: Operation, result: StoreResult) -> None:
    log.warning(
        "%s sub-operation failed with %s: %s; peer=%s sop_instance=%s",
        operation.command.field.name,
        "no answer" if result.status is None else f"{result.status:04X}H",
        escaped(result.comment),
        operation.peer_address,
        escaped(result.sop_instance_uid),
    )
