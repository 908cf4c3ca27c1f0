"""SOP Class Extended Negotiation: what a service can do beyond its basics, one byte each.

PS3.4 C.5.1.1 (C-FIND), C.5.2.1 and C.5.3.1 (C-MOVE, C-GET), B.3.1 (storage).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What may be asked for in a C-FIND; the first also in a C-MOVE and C-GET. Absent bytes are False.

    The fields are in the order of the bytes in PS3.4 Table C.5-1.
    """

    relational: bool = True
    combined_datetime: bool = True
    fuzzy: bool = True
    timezone: bool = False
    enhanced_multiframe: bool = False

    def encode(self) -> bytes:
        """The five bytes for C-FIND."""
        return bytes(astuple(self))


NO_OPTIONS: Final = QueryOptions(False, False, False, False, False)

# A storage SCP of level 2 keeps all attributes, and does not coerce them (PS3.4 Table B.3-1 and B.3-2):
# level, reserved, digital signature level, reserved, coercion, reserved
_STORAGE: Final = bytes((2, 0, 0, 0, 0, 0))


def decode_query_options(information: bytes) -> QueryOptions:
    """What the application information of a C-FIND says; bytes that are missing say no."""
    flags = [byte == 1 for byte in information[:5]]
    return QueryOptions(*flags, *[False] * (5 - len(flags)))


def answer_query(kind: str | None, information: bytes, ours: QueryOptions) -> bytes | None:
    """What of the proposed options we support, in as many bytes as were proposed; None for other services."""
    if kind == "query":
        supported = ours.encode()
    elif kind == "retrieve":
        supported = bytes((ours.relational, ours.enhanced_multiframe))
    else:
        return None
    return bytes(asked == 1 and can for asked, can in zip(information, supported, strict=False))


def answer_storage(information: bytes) -> bytes:
    """How we store, in as many bytes as were proposed."""
    return _STORAGE[: max(len(information), 1)]
