"""What all items of PS3.8 9.3 share: one byte of type, one reserved, two of length, then the value.

Each length is held against what is really there before anything is taken; what does not fit is a
`PduError`, which carries the reason that an A-ABORT gives for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from gantry.dimse.reasons import AbortReason
from gantry.errors import ProtocolError

_HEADER: Final = Struct(">BBH")
_LENGTH: Final = Struct(">H")


class PduError(ProtocolError):
    """A PDU that breaks PS3.8 9.3; `reason` goes into the A-ABORT that answers it."""

    def __init__(self, cause: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE) -> None:
        self.cause = cause
        self.reason = reason
        super().__init__(cause)


def iter_items(view: memoryview, where: str) -> Iterator[tuple[int, int, memoryview]]:
    """The items of `view` as (type, reserved byte, value); `where` names the place in errors."""
    position, end = 0, len(view)
    while position < end:
        if end - position < 4:
            raise PduError(f"{where}: {end - position} bytes left over at offset {position}")
        kind, reserved, length = _HEADER.unpack_from(view, position)
        position += 4
        if length > end - position:
            raise PduError(f"{where}: item {kind:02X}H of {length} bytes where {end - position} are left")
        yield kind, reserved, view[position : position + length]
        position += length


def pack_item(kind: int, value: bytes, reserved: int = 0) -> bytes:
    """One item; a value over 65,535 bytes cannot be told and is a ValueError."""
    if len(value) > 0xFFFF:
        raise ValueError(f"item {kind:02X}H: {len(value)} bytes do not fit its two-byte length")
    return _HEADER.pack(kind, reserved, len(value)) + value


def pack_counted(value: bytes) -> bytes:
    """A two-byte length and the value, as the sub-fields of PS3.7 D.3.3 have it."""
    if len(value) > 0xFFFF:
        raise ValueError(f"{len(value)} bytes do not fit a two-byte length")
    return _LENGTH.pack(len(value)) + value


def take_counted(view: memoryview, position: int, where: str) -> tuple[bytes, int]:
    """The value whose two-byte length stands at `position`, and the position after it."""
    if position + 2 > len(view):
        raise PduError(f"{where}: no room for a length at offset {position}")
    start = position + 2
    end = start + _LENGTH.unpack_from(view, position)[0]
    if end > len(view):
        raise PduError(f"{where}: a field of {end - start} bytes where {len(view) - start} are left")
    return bytes(view[start:end]), end


def text_of(value: bytes | memoryview) -> str:
    """A UID or a name without its padding. Latin-1 loses no byte, so that wrong ones can be shown."""
    return str(value, "latin-1").rstrip("\0 ")


def bytes_of(text: str) -> bytes:
    """The bytes of a UID or name; unpadded, as PS3.8 Annex F wants it."""
    return text.encode("latin-1")
