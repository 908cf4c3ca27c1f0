"""What an `Association` tells whoever drives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gantry.dimse.message import Command
from gantry.dimse.negotiation import AcceptedContext
from gantry.dimse.pdu import AssociateAC, AssociateRJ, AssociateRQ


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """A peer asks for an association (acceptor); `answer` is what the policy says to it.

    Told only where the policy leaves the decision to the driver; otherwise the answer is on its way.
    """

    request: AssociateRQ
    answer: AssociateAC | AssociateRJ


@dataclass(frozen=True, slots=True)
class Associated:
    """The association stands. `contexts` are those accepted, by presentation context ID."""

    request: AssociateRQ
    answer: AssociateAC
    contexts: Mapping[int, AcceptedContext]


@dataclass(frozen=True, slots=True)
class Rejected:
    """No association came about: the peer refused ours, or we its. `text` says why, for people."""

    result: int
    source: int
    reason: int
    text: str
    request: AssociateRQ | None = None


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """The command set of a message is there; a C-CANCEL comes only for an operation that is going on."""

    context_id: int
    command: Command
    has_dataset: bool


@dataclass(frozen=True, slots=True)
class DataFragment:
    """A piece of the message's Data Set: a view of the bytes given to `receive`, valid until they change."""

    context_id: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class MessageComplete:
    """The last byte of a message is there."""

    context_id: int
    command: Command


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer wants to end the association; it is answered once its operations are. A message of which
    a part is missing will never be completed."""


@dataclass(frozen=True, slots=True)
class Released:
    """The association ended in order."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association broke off. `by_peer` is False where it was we who found a fault or lost patience."""

    source: int
    reason: int
    text: str
    by_peer: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing more will come and nothing can be sent; the transport is closed or to be closed.

    `text` says why where no other event did.
    """

    text: str = ""


Event = (
    AssociationRequested
    | Associated
    | Rejected
    | CommandReceived
    | DataFragment
    | MessageComplete
    | ReleaseRequested
    | Released
    | Aborted
    | Closed
)
