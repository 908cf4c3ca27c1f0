"""The verbs of a service class user: echo, store, find, get, move (PS3.4 A, B, C).

Each works on a `Connection`; `store_files` also makes the connections, because only the files say which
presentation contexts to propose. Queries and answers are DICOM JSON models (PS3.18 F.2). What goes wrong with
the peer or the association as a whole is raised (ConnectError, ProtocolError), what goes wrong with one
object is its result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantry.client.connection import Connection, Options, Peer, connect
from gantry.client.keys import Keys, keys_model
from gantry.client.native import in_accepted_form, proposals
from gantry.client.objects import Outgoing, StoreResult, groups_for_association, outgoing
from gantry.client.requests import Answers, Response
from gantry.client.sending import Sending, result_for
from gantry.client.sinks import Sink
from gantry.dataset.encode import encode
from gantry.dataset.json_model import to_json_model
from gantry.dataset.scan import scan
from gantry.dimse.extended import QueryOptions
from gantry.dimse.limits import DEFAULT_ASYNC_WINDOW, MAX_CONTEXTS
from gantry.dimse.message import (
    c_cancel_rq,
    c_echo_rq,
    c_find_rq,
    c_get_rq,
    c_move_rq,
)
from gantry.dimse.negotiation import AcceptedContext, ProposedContext
from gantry.dimse.user_information import AsyncWindow, ExtendedNegotiation, RoleSelection
from gantry.errors import CallerError, ConnectError, DataSetError, ProtocolError
from gantry.standard import sop_classes as sop
from gantry.standard import status
from gantry.standard.query_keys import LEVEL_NAMES, InformationModel, Level
from gantry.standard.status import Category, Service, category
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)

NATIVE_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

FIND_CLASSES = {
    InformationModel.PATIENT_ROOT: sop.PATIENT_ROOT_FIND,
    InformationModel.STUDY_ROOT: sop.STUDY_ROOT_FIND,
    InformationModel.PATIENT_STUDY_ONLY: sop.PATIENT_STUDY_ONLY_FIND,
}
MOVE_CLASSES = {
    InformationModel.PATIENT_ROOT: sop.PATIENT_ROOT_MOVE,
    InformationModel.STUDY_ROOT: sop.STUDY_ROOT_MOVE,
    InformationModel.PATIENT_STUDY_ONLY: sop.PATIENT_STUDY_ONLY_MOVE,
}
GET_CLASSES = {
    InformationModel.PATIENT_ROOT: sop.PATIENT_ROOT_GET,
    InformationModel.STUDY_ROOT: sop.STUDY_ROOT_GET,
    InformationModel.PATIENT_STUDY_ONLY: sop.PATIENT_STUDY_ONLY_GET,
}

CANCEL_POLL_S = 0.05
"""How often somebody who may cancel is asked."""

MAX_STORAGE_CONTEXTS = MAX_CONTEXTS - 1
"""Of the 128 contexts of a C-GET, one is for the C-GET itself."""


@dataclass(frozen=True, slots=True)
class RetrieveProgress:
    """Where a C-GET or C-MOVE stands: counts of sub-operations; `status` is the last answer's.

    `failed_uids` and `comment` are told at the end, where there is something to tell.
    """

    status: int
    remaining: int = 0
    completed: int = 0
    failed: int = 0
    warning: int = 0
    comment: str = ""
    failed_uids: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Every object went over."""
        return self.status == status.SUCCESS and not self.failed


def echo_contexts() -> list[ProposedContext]:
    """What `echo` needs."""
    return [ProposedContext(sop.VERIFICATION, NATIVE_SYNTAXES)]


def find_contexts(model: InformationModel = InformationModel.STUDY_ROOT) -> list[ProposedContext]:
    """What `find` needs."""
    return [ProposedContext(FIND_CLASSES[model], NATIVE_SYNTAXES)]


def move_contexts(model: InformationModel = InformationModel.STUDY_ROOT) -> list[ProposedContext]:
    """What `move` needs."""
    return [ProposedContext(MOVE_CLASSES[model], NATIVE_SYNTAXES)]


def get_contexts(
    storage: Iterable[ProposedContext], model: InformationModel = InformationModel.STUDY_ROOT
) -> list[ProposedContext]:
    """What `get` needs: the service, and the storage classes with the syntaxes to receive them in.

    Propose the roles of `get_roles` with them. Raises CallerError for more than fit into an association.
    """
    contexts = [ProposedContext(GET_CLASSES[model], NATIVE_SYNTAXES), *storage]
    if len(contexts) > MAX_CONTEXTS:
        raise CallerError(f"{len(contexts) - 1} storage contexts; {MAX_STORAGE_CONTEXTS} fit into a C-GET")
    return contexts


def get_roles(contexts: Iterable[ProposedContext]) -> tuple[RoleSelection, ...]:
    """That we are SCP of the storage classes in `contexts` (PS3.7 D.3.3.4)."""
    classes = dict.fromkeys(c.abstract_syntax for c in contexts)
    services = {*GET_CLASSES.values(), *FIND_CLASSES.values(), *MOVE_CLASSES.values()}
    return tuple(RoleSelection(uid, scu=False, scp=True) for uid in classes if uid not in services)


def query_options(
    model: InformationModel, options: QueryOptions | None = None
) -> tuple[ExtendedNegotiation, ...]:
    """Extended negotiation that asks for `options` in C-FIND; by default for all that there are."""
    return (ExtendedNegotiation(FIND_CLASSES[model], (options or QueryOptions()).encode()),)


async def echo(connection: Connection) -> int:
    """C-ECHO; the status, 0 when all is well. Raises CallerError without an accepted context."""
    context = _context_of(connection, {InformationModel.STUDY_ROOT: sop.VERIFICATION})[1]
    answers = connection.requests.open()
    connection.wire.post(context.context_id, c_echo_rq(answers.message_id))
    return (await answers.next()).status


async def store(
    connection: Connection,
    objects: Iterable[Outgoing | Path | str | bytes],
    *,
    progress: Callable[[StoreResult], None] | None = None,
) -> list[StoreResult]:
    """C-STORE of objects for which `connection` has contexts; one result each, those unreadable first."""
    report = _Report(progress)
    readable, unreadable = await asyncio.to_thread(_readable, list(objects))
    for result in unreadable:
        report.add(result)
    waiting = iter(readable)
    await _send_over(connection, waiting, report)
    for left in waiting:
        report.add(result_for(left, None, connection.requests.lost_cause or "not sent"))
    return report.results


async def store_files(
    peer: Peer,
    sources: Iterable[Outgoing | Path | str | bytes],
    *,
    calling_aet: str = "GANTRY",
    associations: int = 1,
    options: Options | None = None,
    progress: Callable[[StoreResult], None] | None = None,
) -> list[StoreResult]:
    """C-STORE of files, on as many associations at once as asked for, proposing what the files are.

    Results come in no particular order; a source that is not DICOM has a result without a status. Raises
    ConnectError when no association can be had.
    """
    if associations < 1:
        raise CallerError("store needs at least one association")
    options = options or Options(async_window=AsyncWindow(DEFAULT_ASYNC_WINDOW, 1))
    report = _Report(progress)
    objects, unreadable = await asyncio.to_thread(_readable, list(sources))
    for result in unreadable:
        report.add(result)
    for group in groups_for_association(objects, proposals):
        waiting = iter(group)
        proposed = list(dict.fromkeys(p for o in group for p in proposals(o)))
        sending = [
            _store_share(peer, waiting, proposed, calling_aet, options, report)
            for _ in range(min(associations, len(group)))
        ]
        ended = await asyncio.gather(*sending)
        broken = [error for error in ended if error is not None]
        if len(broken) == len(ended) and len(report.results) == len(unreadable):
            raise broken[0]
        for left in waiting:
            report.add(result_for(left, None, str(broken[0]) if broken else "the association ended"))
    return report.results


async def find(
    connection: Connection,
    level: Level,
    keys: Keys,
    *,
    limit: int | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """C-FIND: the matches as they come, each a JSON model.

    With `limit` the query is cancelled after that many. Leaving the iterator early cancels too. Raises
    ProtocolError when the peer answers with a failure.
    """
    model, context = _context_of(connection, FIND_CLASSES)
    answers = connection.requests.open()
    identifier = _identifier(level, keys, context)
    command = c_find_rq(answers.message_id, FIND_CLASSES[model])
    await connection.wire.transmit(context.context_id, command, (identifier,))
    found = 0
    finished = False
    try:
        while True:
            response = await answers.next()
            if response.command.is_final:
                finished = True
                _raise_for(response, Service.FIND, allow_cancel=False)
                return
            found += 1
            yield _model_of(response.dataset, context)
            if found == limit:
                return
    finally:
        if not finished:
            _cancel(connection, context, answers)


async def get(
    connection: Connection,
    level: Level,
    keys: Keys,
    sink: Sink,
    *,
    progress: Callable[[RetrieveProgress], None] | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> RetrieveProgress:
    """C-GET: what matches goes to `sink` over this association; the final counts come back.

    A failed sub-operation is no error here, see the counts. Raises ProtocolError when the peer refuses
    the whole.
    """
    model, context = _context_of(connection, GET_CLASSES)
    answers = connection.requests.open()
    identifier = _identifier(level, keys, context)
    connection.receive_into(sink)
    try:
        command = c_get_rq(answers.message_id, GET_CLASSES[model])
        await connection.wire.transmit(context.context_id, command, (identifier,))
        return await _follow(connection, context, answers, Service.GET, progress, is_cancelled)
    finally:
        connection.receive_into(None)


async def move(
    connection: Connection,
    level: Level,
    keys: Keys,
    destination: str,
    *,
    progress: Callable[[RetrieveProgress], None] | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> RetrieveProgress:
    """C-MOVE: the peer sends what matches to the AE title `destination`; the final counts come back."""
    model, context = _context_of(connection, MOVE_CLASSES)
    answers = connection.requests.open()
    identifier = _identifier(level, keys, context)
    command = c_move_rq(answers.message_id, MOVE_CLASSES[model], destination)
    await connection.wire.transmit(context.context_id, command, (identifier,))
    return await _follow(connection, context, answers, Service.MOVE, progress, is_cancelled)


def _readable(
    sources: Sequence[Outgoing | Path | str | bytes],
) -> tuple[list[Outgoing], list[StoreResult]]:
    objects: list[Outgoing] = []
    unreadable: list[StoreResult] = []
    for source in sources:
        try:
            objects.append(outgoing(source))
        except (OSError, DataSetError) as error:
            label = "" if isinstance(source, bytes | Outgoing) else str(source)
            unreadable.append(StoreResult("", "", None, str(error), label))
    return objects, unreadable


class _Report:
    """Gathers results and tells of each."""

    def __init__(self, progress: Callable[[StoreResult], None] | None) -> None:
        self.results: list[StoreResult] = []
        self._progress = progress

    def add(self, result: StoreResult) -> None:
        self.results.append(result)
        if self._progress is not None:
            self._progress(result)


async def _send_over(connection: Connection, objects: Iterable[Outgoing], report: _Report) -> None:
    sending = Sending(
        connection.requests,
        connection.executor,
        lambda o: _id_of(connection.context(o.sop_class_uid, o.transfer_syntax_uid)),
        window=connection.window,
    )
    contexts = list(connection.contexts.values())
    forms = (in_accepted_form(outgoing, contexts) for outgoing in objects)
    await sending.send(forms, lambda _, result: report.add(result))


async def _store_share(
    peer: Peer,
    objects: Iterator[Outgoing],
    contexts: Sequence[ProposedContext],
    calling_aet: str,
    options: Options,
    report: _Report,
) -> ConnectError | None:
    """Send what `objects` still has, beside others that take from it too; why no association was had."""
    try:
        connection = await connect(peer, contexts=contexts, calling_aet=calling_aet, options=options)
    except ConnectError as error:
        return error
    try:
        await _send_over(connection, objects, report)
    finally:
        await connection.release()
    return None


def _context_of(
    connection: Connection, classes: dict[InformationModel, str]
) -> tuple[InformationModel, AcceptedContext]:
    for model, uid in classes.items():
        context = connection.context(uid)
        if context is not None:
            return model, context
    names = " or ".join(sop.name_of(uid) for uid in classes.values())
    raise CallerError(f"{connection.peer} accepted no context for {names}")


def _id_of(context: AcceptedContext | None) -> int | None:
    return context.context_id if context is not None else None


def _identifier(level: Level, keys: Keys, context: AcceptedContext) -> bytes:
    model = keys_model(keys)
    name = next(name for name, value in LEVEL_NAMES.items() if value is level)
    model["00080052"] = {"vr": "CS", "Value": [name]}
    return encode(dict(sorted(model.items())), transfer_syntax(context.transfer_syntax))


def _model_of(dataset: bytes, context: AcceptedContext) -> dict[str, Any]:
    try:
        return to_json_model(scan(dataset, transfer_syntax(context.transfer_syntax)))
    except DataSetError as error:
        raise ProtocolError(f"an answer's Identifier is broken: {error}") from error


def _cancel(connection: Connection, context: AcceptedContext, answers: Answers) -> None:
    if connection.requests.lost_cause is None:
        connection.wire.post(context.context_id, c_cancel_rq(answers.message_id))
    answers.ignore_rest()


async def _follow(
    connection: Connection,
    context: AcceptedContext,
    answers: Answers,
    service: Service,
    progress: Callable[[RetrieveProgress], None] | None,
    is_cancelled: Callable[[], bool],
) -> RetrieveProgress:
    # Beside the answers, because a peer need not send one before it has ended.
    watching = asyncio.create_task(_cancel_when(is_cancelled, connection, context, answers))
    try:
        while True:
            response = await answers.next()
            state = _progress_of(response, context)
            if progress is not None:
                progress(state)
            if response.command.is_final:
                if not (state.completed or state.failed or state.warning):
                    _raise_for(response, service, allow_cancel=True)
                if watching.done():
                    watching.result()  # what went wrong in asking is the caller's to know
                return state
    finally:
        watching.cancel()


async def _cancel_when(
    is_cancelled: Callable[[], bool], connection: Connection, context: AcceptedContext, answers: Answers
) -> None:
    while not is_cancelled():  # noqa: ASYNC110 - a callback of the caller's, who has no event of ours
        await asyncio.sleep(CANCEL_POLL_S)
    connection.wire.post(context.context_id, c_cancel_rq(answers.message_id))


def _progress_of(response: Response, context: AcceptedContext) -> RetrieveProgress:
    command = response.command
    return RetrieveProgress(
        response.status,
        command.remaining or 0,
        command.completed or 0,
        command.failed or 0,
        command.warning or 0,
        command.error_comment or "",
        _failed_uids(response.dataset, context),
    )


def _failed_uids(dataset: bytes, context: AcceptedContext) -> tuple[str, ...]:
    """Failed SOP Instance UID List (0008,0058)."""
    if not dataset:
        return ()
    try:
        return tuple(scan(dataset, transfer_syntax(context.transfer_syntax)).texts(0x00080058))
    except DataSetError as error:
        raise ProtocolError(f"an answer's Identifier is broken: {error}") from error


def _raise_for(response: Response, service: Service, *, allow_cancel: bool) -> None:
    kind = category(response.status)
    if kind is Category.SUCCESS or kind is Category.WARNING or (kind is Category.CANCEL and allow_cancel):
        return
    words = status.status(service, response.status).text
    comment = f": {response.command.error_comment}" if response.command.error_comment else ""
    raise ProtocolError(f"the peer answered {service.value} with {response.status:04X}H, {words}{comment}")
