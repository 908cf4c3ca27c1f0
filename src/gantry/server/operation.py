"""One C-FIND, C-GET, C-MOVE or N-ACTION that a peer asked for and that is being answered."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gantry.archive.archive import Archive
from gantry.client.native import RunFrame, run_here
from gantry.client.requests import Requests
from gantry.client.wire import Wire
from gantry.dimse.association import Association
from gantry.dimse.message import Command
from gantry.dimse.negotiation import AcceptedContext
from gantry.server.metrics import Metrics
from gantry.server.traces import Span, Traces, end_dimse
from gantry.settings import Address
from gantry.standard.query_keys import InformationModel
from gantry.standard.transfer_syntaxes import TransferSyntax, transfer_syntax

if TYPE_CHECKING:
    from gantry.server.committing import Committing


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseServices:
    """What the services of every association share.

    `remote_aes` are the AEs that C-MOVE may send to, and `destination_timeout_s` how long one of them may
    take to accept an association. With `calling_host_port`, an AE that is not among them and asks for itself
    is sent to at that port of its host. `executor` runs queries and reads, `store_executor` what is stored,
    so that neither can take the other's threads.
    """

    archive: Archive
    executor: Executor
    store_executor: Executor
    ae_title: str
    remote_aes: Mapping[str, Address]
    find_limit: int
    destination_timeout_s: float
    calling_host_port: int | None
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces | None = None
    run_frame: RunFrame = run_here
    """Makes a frame in another transfer syntax, called in the threads of `executor`."""
    committing: Committing | None = None
    """Reports what storage commitments came to."""


@dataclass(slots=True)
class Operation:
    """A request with its Identifier or Action Information, and the means to answer it.

    `cancelled` turns True by a C-CANCEL. `span` is of it where requests are traced, and ends with the last
    answer.
    """

    services: DimseServices
    wire: Wire
    requests: Requests
    context: AcceptedContext
    model: InformationModel | None
    command: Command
    identifier: bytes
    peer_address: str
    span: Span | None = None
    cancelled: bool = field(default=False)

    @property
    def association(self) -> Association:
        return self.wire.association

    @property
    def information_model(self) -> InformationModel:
        """Of a query or retrieve operation."""
        assert self.model is not None, f"{self.command.field.name} has an information model"
        return self.model

    @property
    def syntax(self) -> TransferSyntax:
        """What Identifiers in this context are encoded in."""
        return transfer_syntax(self.context.transfer_syntax)

    @property
    def calling_aet(self) -> str:
        request = self.association.request
        return request.calling_aet if request is not None else ""

    @property
    def is_over(self) -> bool:
        """Nobody waits for answers any more: cancelled, or the association is gone."""
        return self.cancelled or self.wire.is_lost

    def respond(self, response: Command, dataset: bytes | None = None) -> None:
        """Send one answer."""
        self.wire.post(self.context.context_id, response, dataset)
        if self.span is not None and response.is_final:
            end_dimse(self.span, response.status or 0)
            self.span = None
