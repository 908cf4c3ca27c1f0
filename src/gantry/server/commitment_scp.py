"""Storage Commitment Push Model as SCP: what is asked for, and what is reported (PS3.4 J.3.2, J.3.3).

The N-ACTION is answered when the request is durable. All else follows by N-EVENT-REPORT, which `committing`
brings: on this association while it stands, or on one of ours.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from gantry.archive.commitment.requests import (
    MAX_REFERENCES,
    OpenRequest,
    Reference,
    TooManyRequests,
)
from gantry.client.requests import Requests
from gantry.client.wire import Wire
from gantry.dataset.encode import encode
from gantry.dataset.scan import scan
from gantry.dimse.message import n_event_report_rq, response
from gantry.errors import ConnectError, DataSetError, GantryError, OutOfSpace
from gantry.server.logs import escaped
from gantry.server.operation import Operation
from gantry.standard import sop_classes as sop
from gantry.standard import status
from gantry.standard.status import Category, category
from gantry.standard.transfer_syntaxes import TransferSyntax
from gantry.standard.uids import is_tolerated_uid

log = logging.getLogger("gantry.dimse.commitment")

PUSH_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
"""The well-known SOP Instance that all requests are made of (PS3.4 J.3.5)."""
REQUEST_STORAGE_COMMITMENT: Final = 1
"""The Action Type ID (PS3.4 Table J.3-1)."""
SUCCESSFUL, FAILURES_EXIST = 1, 2
"""Event Type IDs (PS3.4 Table J.3-2)."""
REPORT_TIMEOUT_S: Final = 60.0
"""How long a peer may take to answer a report; it need only note it."""

_TRANSACTION_UID, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_CLASS, _INSTANCE = 0x00081150, 0x00081155


class _NotAskedRightError(Exception):
    """A request that is refused: the status, and why."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class Standing:
    """An association on which a request came, as long as it stands: reports go back on it, one at a time."""

    def __init__(self, wire: Wire, requests: Requests, context_id: int, syntax: TransferSyntax) -> None:
        self._wire = wire
        self._requests = requests
        self._context_id = context_id
        self._syntax = syntax
        self._turn = asyncio.Lock()

    @property
    def is_over(self) -> bool:
        return self._wire.is_lost

    async def report(self, one: OpenRequest, retrieve_aet: str) -> None:
        """Tell the peer. Raises ConnectError where it did not take it."""
        async with self._turn:
            await report(self._wire, self._requests, self._context_id, self._syntax, one, retrieve_aet)


async def answer_n_action(operation: Operation) -> None:
    """Answer one N-ACTION: durable, or refused."""
    services, command = operation.services, operation.command
    try:
        if command.sop_instance_uid != PUSH_INSTANCE:
            raise _NotAskedRightError(status.NO_SUCH_SOP_INSTANCE, "not the well-known SOP Instance")
        if command.action_type_id != REQUEST_STORAGE_COMMITMENT:
            raise _NotAskedRightError(status.NO_SUCH_ACTION, "the only action is 1")
        path = await asyncio.get_running_loop().run_in_executor(services.store_executor, _asked, operation)
    except _NotAskedRightError as refused:
        log.warning(
            "N-ACTION refused with %04XH: %s; peer=%s aet=%s",
            refused.code, refused, operation.peer_address, escaped(operation.calling_aet),
        )  # fmt: skip
        operation.respond(response(command, refused.code, error_comment=str(refused)))
        return
    operation.respond(response(command, status.SUCCESS))
    if services.committing is not None:
        standing = Standing(
            operation.wire, operation.requests, operation.context.context_id, operation.syntax
        )
        services.committing.acknowledged(path, operation.calling_aet, standing)


def _asked(operation: Operation) -> str:
    """Keep a request, durably; its name. Raises _NotAskedRightError, StorageError."""
    transaction_uid, references = _read(operation.identifier, operation.syntax)
    requests = operation.services.archive.commitments
    try:
        return requests.ask(transaction_uid, operation.calling_aet, operation.peer_address, references)
    except (TooManyRequests, OutOfSpace) as error:
        raise _NotAskedRightError(status.RESOURCE_LIMITATION, str(error)) from error
    except GantryError as error:
        raise _NotAskedRightError(status.PROCESSING_FAILURE, str(error)) from error


def _read(information: bytes, syntax: TransferSyntax) -> tuple[str, tuple[Reference, ...]]:
    """Transaction UID and references of an Action Information (PS3.4 Table J.3-1)."""
    if not information:
        raise _NotAskedRightError(status.INVALID_ARGUMENT_VALUE, "no Action Information")
    try:
        ds = scan(information, syntax)
        transaction_uid = ds.text(_TRANSACTION_UID) or ""
        if not is_tolerated_uid(transaction_uid):
            raise _NotAskedRightError(status.INVALID_ARGUMENT_VALUE, "no Transaction UID (0008,1195)")
        references: list[Reference] = []
        for item in ds.items(_REFERENCED):
            if len(references) == MAX_REFERENCES:
                raise _NotAskedRightError(
                    status.RESOURCE_LIMITATION, f"more than {MAX_REFERENCES} instances in one request"
                )
            references.append(Reference(item.text(_CLASS) or "", item.text(_INSTANCE) or ""))
    except DataSetError as error:
        raise _NotAskedRightError(status.INVALID_ARGUMENT_VALUE, str(error)) from error
    if not references:
        raise _NotAskedRightError(status.INVALID_ARGUMENT_VALUE, "no Referenced SOP Sequence (0008,1199)")
    if not all(is_tolerated_uid(one.sop_class_uid) for one in references) or not all(
        is_tolerated_uid(one.sop_instance_uid) for one in references
    ):
        raise _NotAskedRightError(status.INVALID_ARGUMENT_VALUE, "a reference without its two UIDs")
    return transaction_uid, tuple(references)


async def report(
    wire: Wire,
    requests: Requests,
    context_id: int,
    syntax: TransferSyntax,
    one: OpenRequest,
    retrieve_aet: str,
) -> None:
    """N-EVENT-REPORT of a request that is decided. Raises ConnectError where the peer did not take it."""
    event, information = await asyncio.to_thread(_information, one, retrieve_aet, syntax)
    answers = requests.open()
    command = n_event_report_rq(
        answers.message_id,
        sop.STORAGE_COMMITMENT_PUSH,
        PUSH_INSTANCE,
        event,
        has_dataset=True,
    )
    try:
        async with asyncio.timeout(REPORT_TIMEOUT_S):
            try:
                await wire.transmit(context_id, command, (information,))
            except ConnectError:
                answers.withdraw()
                raise
            code = (await answers.next()).status
    except TimeoutError:
        answers.ignore_rest()
        raise ConnectError(f"no answer to the report within {REPORT_TIMEOUT_S:g} s") from None
    if category(code) is Category.FAILURE:
        raise ConnectError(f"the report was answered with {code:04X}H")


def _information(one: OpenRequest, retrieve_aet: str, syntax: TransferSyntax) -> tuple[int, bytes]:
    """The Event Type ID and the Event Information (PS3.4 Table J.3-2)."""
    asked, failures = one.asked, one.failures or {}
    good, bad = [], []
    for number, reference in enumerate(asked.references):
        item = {
            "00081150": {"vr": "UI", "Value": [reference.sop_class_uid]},
            "00081155": {"vr": "UI", "Value": [reference.sop_instance_uid]},
        }
        if number in failures:
            bad.append({**item, "00081197": {"vr": "US", "Value": [failures[number]]}})
        else:
            good.append(item)
    model: dict[str, Any] = {
        "00080054": {"vr": "AE", "Value": [retrieve_aet]},
        "00081195": {"vr": "UI", "Value": [asked.transaction_uid]},
        **({"00081198": {"vr": "SQ", "Value": bad}} if bad else {}),
        **({"00081199": {"vr": "SQ", "Value": good}} if good else {}),
    }
    return (FAILURES_EXIST if bad else SUCCESSFUL), encode(model, syntax)
