"""The one table that turns what the archive answers, or an error, into a DIMSE status and an HTTP status.

`server` is the only translator (docs/architecture.md): the archive never hears of statuses, and no door
invents its own. STOW-RS reports the DIMSE status as Failure Reason (0008,1197) of the instance, so both
doors say the same about the same object.

The words of an `Answer` go to peers and logs: they name tag, offset and cause, never a value of the Data Set.
"""

from __future__ import annotations

from dataclasses import dataclass

from gantry.archive.edits.model import EditConflict
from gantry.archive.outcome import STORAGE_REASONS, NewVersion, Outcome, Reason, Refused
from gantry.errors import (
    CallerError,
    ConnectError,
    Corrupt,
    DataSetError,
    GantryError,
    NotFound,
    OutOfSpace,
    PeerError,
    ProtocolError,
    QueryError,
    Raced,
    ReadOnly,
    StorageError,
    Unreachable,
    WebRequestError,
)
from gantry.standard import status

RETRY_AFTER_S = 30
"""When a client may try again after a refusal that heals by itself: no space, read-only."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to tell a peer: `dimse_status` of PS3.4 and PS3.7 Annex C, `http_status`, and words.

    `offending` are the tags at fault (0000,0901); `retry_after_s` is set where the same request may
    succeed later.
    """

    dimse_status: int
    http_status: int
    comment: str = ""
    offending: tuple[int, ...] = ()
    retry_after_s: int | None = None


class IdentifierMismatch(QueryError):
    """An Identifier breaks the rules of its information model: wrong level, unique key missing (B72)."""


# The most exact type that fits counts, so order does not matter.
_OF_ERROR: dict[type[GantryError], tuple[int, int]] = {
    GantryError: (status.PROCESSING_FAILURE, 500),
    CallerError: (status.UNABLE_TO_PROCESS, 400),
    QueryError: (status.UNABLE_TO_PROCESS, 400),
    EditConflict: (status.UNABLE_TO_PROCESS, 409),
    IdentifierMismatch: (status.IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, 400),
    PeerError: (status.CANNOT_UNDERSTAND, 400),
    DataSetError: (status.CANNOT_UNDERSTAND, 400),
    ProtocolError: (status.UNABLE_TO_PROCESS, 400),
    ConnectError: (status.UNABLE_TO_PERFORM_SUB_OPERATIONS, 502),
    StorageError: (status.PROCESSING_FAILURE, 500),
    OutOfSpace: (status.OUT_OF_RESOURCES, 507),
    ReadOnly: (status.OUT_OF_RESOURCES, 503),
    Raced: (status.OUT_OF_RESOURCES, 503),
    Unreachable: (status.OUT_OF_RESOURCES, 503),
    NotFound: (status.NO_SUCH_SOP_INSTANCE, 404),
    Corrupt: (status.UNABLE_TO_PROCESS, 410),
}
_HEALS = (OutOfSpace, ReadOnly, Raced, Unreachable)


_OF_REASON: dict[Reason, tuple[int, int]] = {
    Reason.NOT_PART10: (status.CANNOT_UNDERSTAND, 409),
    Reason.NOT_A_DATA_SET: (status.CANNOT_UNDERSTAND, 409),
    Reason.MISSING_UID: (status.CANNOT_UNDERSTAND, 409),
    Reason.BAD_UID: (status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, 409),
    Reason.SOP_CLASS_MISMATCH: (status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, 409),
    Reason.SOP_INSTANCE_MISMATCH: (status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, 409),
    Reason.STUDY_MISMATCH: (status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, 409),
    Reason.CONFLICT: (status.DUPLICATE_SOP_INSTANCE, 409),
    Reason.TOO_LARGE: (status.OUT_OF_RESOURCES, 413),
    Reason.OUT_OF_SPACE: (status.OUT_OF_RESOURCES, 507),
    Reason.READ_ONLY: (status.OUT_OF_RESOURCES, 503),
    Reason.UNREACHABLE: (status.OUT_OF_RESOURCES, 503),
    Reason.STORAGE: (status.PROCESSING_FAILURE, 500),
}

STORED = Answer(status.SUCCESS, 200)


def answer_for(outcome: Outcome) -> Answer:
    """The answer for what became of one object.

    Stored, unchanged and new version are all success: the bytes that were sent are kept (N9).
    """
    if isinstance(outcome, NewVersion) and not outcome.current:
        return Answer(
            status.SUCCESS, 200, "kept beside the first object of this SOP Instance UID, see the conflicts"
        )
    if not isinstance(outcome, Refused):
        return STORED
    dimse_status, http_status = _OF_REASON[outcome.reason]
    if outcome.reason is Reason.TOO_LARGE and outcome.tag is not None:
        # One value past its limit: sending the object again later will not help, so no out of resources.
        dimse_status = status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    return Answer(
        dimse_status,
        http_status,
        outcome.message,
        offending=() if outcome.tag is None else (outcome.tag,),
        retry_after_s=RETRY_AFTER_S if outcome.reason in STORAGE_REASONS else None,
    )


def answer_for_error(error: GantryError) -> Answer:
    """The answer for an error raised on purpose."""
    if isinstance(error, WebRequestError):
        return Answer(status.UNABLE_TO_PROCESS, error.status, error.cause)
    dimse_status, http_status = next(_OF_ERROR[kind] for kind in type(error).__mro__ if kind in _OF_ERROR)
    tag = error.tag if isinstance(error, DataSetError) else None
    return Answer(
        dimse_status,
        http_status,
        str(error),
        offending=() if tag is None else (tag,),
        retry_after_s=RETRY_AFTER_S if isinstance(error, _HEALS) else None,
    )
