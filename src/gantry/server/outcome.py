"""The one table that turns what the archive answers, or an error, into a DIMSE status and an HTTP status.

`server` is the only translator (docs/architecture.md): the archive never hears of statuses, and no door
invents its own. STOW-RS reports the DIMSE status as Failure Reason (0008,1197) of the instance, so both
doors say the same about the same object.

The words of an `Answer` go to peers and logs: they name tag, offset and cause, never a value of the Data Set.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    ReadOnly,
    StorageError,
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


# The most exact type that fits counts, so order does not matter.
_OF_ERROR: dict[type[GantryError], tuple[int, int]] = {
    GantryError: (status.PROCESSING_FAILURE, 500),
    CallerError: (status.UNABLE_TO_PROCESS, 400),
    QueryError: (status.UNABLE_TO_PROCESS, 400),
    PeerError: (status.CANNOT_UNDERSTAND, 400),
    DataSetError: (status.CANNOT_UNDERSTAND, 400),
    ProtocolError: (status.UNABLE_TO_PROCESS, 400),
    ConnectError: (status.UNABLE_TO_PERFORM_SUB_OPERATIONS, 502),
    StorageError: (status.PROCESSING_FAILURE, 500),
    OutOfSpace: (status.OUT_OF_RESOURCES, 507),
    ReadOnly: (status.OUT_OF_RESOURCES, 503),
    NotFound: (status.NO_SUCH_SOP_INSTANCE, 404),
    Corrupt: (status.UNABLE_TO_PROCESS, 410),
}
_HEALS = (OutOfSpace, ReadOnly)


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
