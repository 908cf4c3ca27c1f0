"""The codes by which PS3.8 says why an association or a presentation context was refused or ended."""

from __future__ import annotations

from enum import IntEnum


class AbortSource(IntEnum):
    """PS3.8 Table 9-26, Source."""

    USER = 0
    PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8 Table 9-26, Reason/Diag. where the source is the service-provider."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER_VALUE = 6


class RejectResult(IntEnum):
    """PS3.8 Table 9-21, Result."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """PS3.8 Table 9-21, Source."""

    USER = 1
    ACSE = 2
    PRESENTATION = 3


class ContextResult(IntEnum):
    """PS3.8 Table 9-18, Result/Reason of one presentation context."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


_ABORT_TEXT = {
    0: "no reason given",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}

_REJECT_TEXT = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by the service provider",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}


def abort_text(source: int, reason: int) -> str:
    """What an A-ABORT with these codes says, for people."""
    if source == AbortSource.USER:
        return "aborted by the application"
    return f"aborted by the service provider: {_ABORT_TEXT.get(reason, f'reason {reason}')}"


def reject_text(result: int, source: int, reason: int) -> str:
    """What an A-ASSOCIATE-RJ with these codes says, for people."""
    lasting = {1: "permanently", 2: "for now"}.get(result, f"with result {result}")
    why = _REJECT_TEXT.get((source, reason), f"source {source}, reason {reason}")
    return f"rejected {lasting}: {why}"
