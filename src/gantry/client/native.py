"""An object in another native transfer syntax, for a peer that does not take the one it is kept in.

Only headers and byte order change, never a value (PS3.5 Annex A), which is cheap enough to do while sending.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gantry.client.objects import Outgoing
from gantry.dataset.reencode import reencode
from gantry.dataset.scan import scan
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)

NATIVE_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
"""The syntaxes that differ in headers and byte order only, those preferred for sending first."""

MAX_CONVERTED_BYTES = 64 << 20
"""An object is held in memory to be rewritten; a larger one is sent as it is or not at all."""


def can_convert(outgoing: Outgoing) -> bool:
    """Whether `as_native` takes this object."""
    return outgoing.transfer_syntax_uid in NATIVE_SYNTAXES and outgoing.size <= MAX_CONVERTED_BYTES


def as_native(outgoing: Outgoing, target_uid: str) -> Outgoing:
    """`outgoing` in the native syntax `target_uid`; it is read and rewritten when it is sent.

    Reading may then raise DataSetError as well.
    """

    def read() -> Iterable[bytes]:
        source = transfer_syntax(outgoing.transfer_syntax_uid)
        ds = scan(b"".join(outgoing.read()), source)
        return [bytes(piece) for piece in reencode(ds, transfer_syntax(target_uid))]

    return replace(outgoing, transfer_syntax_uid=target_uid, read=read, open=None)
