"""Two associations wired back to back, with a wire that may cut anywhere; and what tests read off that wire."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from gantry.dimse.association import Association, Event, Role
from gantry.dimse.negotiation import AcceptorPolicy, ProposedContext, RequestorParameters
from gantry.dimse.pdu import Abort, Pdu, decode_pdu

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"

CONTEXTS = (
    ProposedContext(VERIFICATION, (IMPLICIT,)),
    ProposedContext(CT, (EXPLICIT, IMPLICIT)),
    ProposedContext(STUDY_FIND, (IMPLICIT,)),
    ProposedContext(STUDY_GET, (IMPLICIT,)),
)
ECHO_ID, CT_ID, FIND_ID, GET_ID = 1, 3, 5, 7

Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    """No cut at all."""
    return [data]


def single_bytes(data: bytes) -> list[bytes]:
    """A cut after every byte."""
    return [data[i : i + 1] for i in range(len(data))]


def random_cuts(seed: int) -> Cut:
    """Cuts anywhere, the same ones for the same seed."""
    rng = random.Random(seed)

    def cut(data: bytes) -> list[bytes]:
        at = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
        return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]

    return cut


def parameters(**changes: Any) -> RequestorParameters:
    """What a requestor of these tests asks for."""
    values: dict[str, Any] = {"calling_aet": "CALLER", "called_aet": "GANTRY", "contexts": CONTEXTS}
    return RequestorParameters(**values | changes)


def acceptor(now: float = 0.0, **policy: Any) -> Association:
    """An acceptor on a new connection."""
    return Association(Role.ACCEPTOR, AcceptorPolicy(**policy), now)


def requestor(now: float = 0.0, **changes: Any) -> Association:
    """A requestor that has sent its A-ASSOCIATE-RQ into its output."""
    association = Association(Role.REQUESTOR, parameters(**changes), now)
    association.request_association()
    return association


def output(association: Association) -> bytes:
    """What it wants written, as one piece."""
    return b"".join(association.take_output())


def deliver(data: bytes, to: Association, now: float = 0.0, cut: Cut = whole) -> list[Event]:
    """Give it these bytes; the views in the events stay valid."""
    return [event for piece in cut(data) for event in to.receive(piece, now)]


def exchange(
    one: Association, other: Association, now: float = 0.0, cut: Cut = whole
) -> tuple[list[Event], list[Event]]:
    """Carry bytes both ways until neither has more to say; the events of each."""
    events: tuple[list[Event], list[Event]] = ([], [])
    while True:
        to_other, to_one = output(one), output(other)
        if not to_other and not to_one:
            return events
        events[1].extend(deliver(to_other, other, now, cut))
        events[0].extend(deliver(to_one, one, now, cut))


def associated(
    cut: Cut = whole, policy: dict[str, Any] | None = None, **changes: Any
) -> tuple[Association, Association]:
    """Requestor and acceptor with an association between them."""
    asking, answering = requestor(**changes), acceptor(**policy or {})
    exchange(asking, answering, cut=cut)
    assert asking.state == answering.state == 6
    return asking, answering


def pdus(data: bytes) -> list[Pdu]:
    """The PDUs in these bytes, which hold nothing else."""
    found: list[Pdu] = []
    while data:
        length = int.from_bytes(data[2:6], "big")
        found.append(decode_pdu(data[0], data[6 : 6 + length]))
        data = data[6 + length :]
    return found


def kinds(events: list[Event]) -> list[str]:
    """The names of the events."""
    return [type(event).__name__ for event in events]


def assert_aborted(association: Association, reason: int) -> None:
    """Its only output is an A-ABORT of the service-provider with this reason, and it waits for the end."""
    assert pdus(output(association)) == [Abort(2, reason)]
    assert association.state == 13
