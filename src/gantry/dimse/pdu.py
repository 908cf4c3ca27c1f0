"""The seven Protocol Data Units of PS3.8 9.3, as values: `decode_pdu(type, body)` and `.encode()`.

All numbers are big endian. `body` is what follows the six bytes of type, reserved byte and length.
A reader of bytes off the wire is in `reader`; P-DATA-TF passes there and in `pdata` without being
built as a value, which `PDataTF` is for tests and tools.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Final

from gantry.dimse.items import PduError, bytes_of, iter_items, pack_item, text_of
from gantry.dimse.limits import MAX_CONTEXTS, MAX_TRANSFER_SYNTAXES, MAX_UNKNOWN_ITEM_BYTES, MAX_USER_ITEMS
from gantry.dimse.reasons import AbortReason, ContextResult
from gantry.dimse.user_information import UserInformation, decode_user_information

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
"""PS3.7 A.2.1, the only application context there is."""

PROTOCOL_VERSION: Final = 1

_PDU_HEADER: Final = Struct(">BxI")
_PDV_HEADER: Final = Struct(">IBB")
_ASSOCIATE_HEAD: Final = Struct(">H2x16s16s32x")
ASSOCIATE_FIXED_BYTES: Final = _ASSOCIATE_HEAD.size

_APPLICATION_ITEM: Final = 0x10
_CONTEXT_RQ_ITEM: Final = 0x20
_CONTEXT_AC_ITEM: Final = 0x21
_ABSTRACT_SYNTAX_ITEM: Final = 0x30
_TRANSFER_SYNTAX_ITEM: Final = 0x40
_USER_ITEM: Final = 0x50


class PduType(IntEnum):
    """PS3.8 9.3.1, first byte of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA_TF = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


@dataclass(frozen=True, slots=True)
class PresentationContextRQ:
    """One abstract syntax with the transfer syntaxes offered for it (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]

    def encode(self) -> bytes:
        parts = [pack_item(_ABSTRACT_SYNTAX_ITEM, bytes_of(self.abstract_syntax))]
        parts += [pack_item(_TRANSFER_SYNTAX_ITEM, bytes_of(uid)) for uid in self.transfer_syntaxes]
        return pack_item(_CONTEXT_RQ_ITEM, bytes((self.context_id, 0, 0, 0)) + b"".join(parts))


@dataclass(frozen=True, slots=True)
class PresentationContextAC:
    """The answer to one context (PS3.8 9.3.3.2); `transfer_syntax` means nothing unless accepted."""

    context_id: int
    result: int
    transfer_syntax: str

    @property
    def accepted(self) -> bool:
        """Whether messages may be exchanged on this context."""
        return self.result == ContextResult.ACCEPTANCE

    def encode(self) -> bytes:
        syntax = pack_item(_TRANSFER_SYNTAX_ITEM, bytes_of(self.transfer_syntax))
        return pack_item(_CONTEXT_AC_ITEM, bytes((self.context_id, 0, self.result, 0)) + syntax)


@dataclass(frozen=True, slots=True)
class AssociateRQ:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2). AE titles are without their padding."""

    called_aet: str
    calling_aet: str
    contexts: tuple[PresentationContextRQ, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        return _encode_associate(PduType.ASSOCIATE_RQ, self)


@dataclass(frozen=True, slots=True)
class AssociateAC:
    """A-ASSOCIATE-AC (PS3.8 9.3.3). The AE titles repeat those of the request."""

    called_aet: str
    calling_aet: str
    contexts: tuple[PresentationContextAC, ...]
    user: UserInformation = field(default_factory=UserInformation)
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        return _encode_associate(PduType.ASSOCIATE_AC, self)


@dataclass(frozen=True, slots=True)
class AssociateRJ:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4); the codes are in `reasons`."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        return _encode_fixed(PduType.ASSOCIATE_RJ, 0, self.result, self.source, self.reason)


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """One fragment of a message (PS3.8 9.3.5.1 and Annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: bytes

    def encode(self) -> bytes:
        control = self.is_command | self.is_last << 1
        return _PDV_HEADER.pack(len(self.data) + 2, self.context_id, control) + self.data


@dataclass(frozen=True, slots=True)
class PDataTF:
    """P-DATA-TF (PS3.8 9.3.5)."""

    values: tuple[PresentationDataValue, ...]

    def encode(self) -> bytes:
        return _frame(PduType.P_DATA_TF, b"".join(value.encode() for value in self.values))


@dataclass(frozen=True, slots=True)
class ReleaseRQ:
    """A-RELEASE-RQ (PS3.8 9.3.6)."""

    def encode(self) -> bytes:
        return _encode_fixed(PduType.RELEASE_RQ)


@dataclass(frozen=True, slots=True)
class ReleaseRP:
    """A-RELEASE-RP (PS3.8 9.3.7)."""

    def encode(self) -> bytes:
        return _encode_fixed(PduType.RELEASE_RP)


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8); the codes are in `reasons`."""

    source: int
    reason: int

    def encode(self) -> bytes:
        return _encode_fixed(PduType.ABORT, 0, 0, self.source, self.reason)


Pdu = AssociateRQ | AssociateAC | AssociateRJ | PDataTF | ReleaseRQ | ReleaseRP | Abort


def _frame(kind: PduType, body: bytes) -> bytes:
    return _PDU_HEADER.pack(kind, len(body)) + body


def _encode_fixed(kind: PduType, *four: int) -> bytes:
    return _frame(kind, bytes(four or (0, 0, 0, 0)))


def _encode_aet(title: str) -> bytes:
    raw = bytes_of(title)
    if len(raw) > 16:
        raise ValueError(f"AE title of {len(raw)} characters, more than 16")
    return raw.ljust(16)


def _encode_associate(kind: PduType, pdu: AssociateRQ | AssociateAC) -> bytes:
    head = _ASSOCIATE_HEAD.pack(
        pdu.protocol_version, _encode_aet(pdu.called_aet), _encode_aet(pdu.calling_aet)
    )
    items = [pack_item(_APPLICATION_ITEM, bytes_of(pdu.application_context))]
    items += [context.encode() for context in pdu.contexts]
    items.append(pack_item(_USER_ITEM, pdu.user.encode()))
    return _frame(kind, head + b"".join(items))


def decode_pdu(kind: int, body: memoryview | bytes) -> Pdu:
    """The PDU of this type whose bytes after the header are `body`.

    Raises PduError, with the reason for an A-ABORT, where `body` does not follow PS3.8 9.3.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise PduError(f"PDU of type {kind:02X}H", AbortReason.UNRECOGNIZED_PDU)
    return decoder(memoryview(body))


def _four(body: memoryview, name: str) -> memoryview:
    if len(body) != 4:
        raise PduError(f"{name} of {len(body)} bytes, not 4")
    return body


def _decode_rj(body: memoryview) -> AssociateRJ:
    return AssociateRJ(*_four(body, "A-ASSOCIATE-RJ")[1:4])


def _decode_release_rq(body: memoryview) -> ReleaseRQ:
    _four(body, "A-RELEASE-RQ")
    return ReleaseRQ()


def _decode_release_rp(body: memoryview) -> ReleaseRP:
    _four(body, "A-RELEASE-RP")
    return ReleaseRP()


def _decode_abort(body: memoryview) -> Abort:
    return Abort(*_four(body, "A-ABORT")[2:4])


def _decode_p_data(body: memoryview) -> PDataTF:
    values: list[PresentationDataValue] = []
    position = 0
    while position < len(body):
        if len(body) - position < _PDV_HEADER.size:
            raise PduError(f"{len(body) - position} bytes left over after the last PDV")
        length, context_id, control = _PDV_HEADER.unpack_from(body, position)
        end = position + 4 + length
        if length < 2 or end > len(body):
            raise PduError(f"PDV of {length} bytes where {len(body) - position - 4} are left")
        data = bytes(body[position + _PDV_HEADER.size : end])
        values.append(PresentationDataValue(context_id, bool(control & 1), bool(control & 2), data))
        position = end
    if not values:
        raise PduError("P-DATA-TF without a PDV")
    return PDataTF(tuple(values))


@dataclass(slots=True)
class _Associate:
    """What the variable items of an A-ASSOCIATE-RQ or -AC were, while they are read."""

    application_context: str = ""
    contexts: list[memoryview] = field(default_factory=list)
    user: UserInformation | None = None


def _read_associate(body: memoryview, name: str, context_item: int) -> tuple[int, str, str, _Associate]:
    if len(body) < ASSOCIATE_FIXED_BYTES:
        raise PduError(f"{name} of {len(body)} bytes, less than its fixed {ASSOCIATE_FIXED_BYTES}")
    version, called, calling = _ASSOCIATE_HEAD.unpack_from(body)
    found, unknown_bytes = _Associate(), 0
    for count, (kind, _, value) in enumerate(iter_items(body[ASSOCIATE_FIXED_BYTES:], name), 1):
        if kind == context_item:
            found.contexts.append(value)
        elif kind == _APPLICATION_ITEM:
            found.application_context = text_of(value)
        elif kind == _USER_ITEM:
            if found.user is not None:
                raise PduError(f"{name}: two user information items")
            found.user = decode_user_information(value)
        else:
            unknown_bytes += len(value)
        if (
            len(found.contexts) > MAX_CONTEXTS
            or count > MAX_USER_ITEMS
            or unknown_bytes > MAX_UNKNOWN_ITEM_BYTES
        ):
            raise PduError(f"{name}: more items than the limits allow")
    return version, text_of(called).strip(" "), text_of(calling).strip(" "), found


def _decode_rq(body: memoryview) -> AssociateRQ:
    version, called, calling, found = _read_associate(body, "A-ASSOCIATE-RQ", _CONTEXT_RQ_ITEM)
    contexts = tuple(_decode_context_rq(value) for value in found.contexts)
    user = found.user or UserInformation()
    return AssociateRQ(called, calling, contexts, user, found.application_context, version)


def _decode_ac(body: memoryview) -> AssociateAC:
    version, called, calling, found = _read_associate(body, "A-ASSOCIATE-AC", _CONTEXT_AC_ITEM)
    contexts = tuple(_decode_context_ac(value) for value in found.contexts)
    user = found.user or UserInformation()
    return AssociateAC(called, calling, contexts, user, found.application_context, version)


def _decode_context_rq(value: memoryview) -> PresentationContextRQ:
    if len(value) < 4:
        raise PduError(f"presentation context item of {len(value)} bytes")
    abstract_syntax, transfer_syntaxes = "", []
    for count, (kind, _, sub) in enumerate(iter_items(value[4:], "presentation context")):
        if count > MAX_TRANSFER_SYNTAXES:
            raise PduError(f"more than {MAX_TRANSFER_SYNTAXES} transfer syntaxes in one context")
        if kind == _ABSTRACT_SYNTAX_ITEM:
            abstract_syntax = text_of(sub)
        elif kind == _TRANSFER_SYNTAX_ITEM:
            transfer_syntaxes.append(text_of(sub))
    return PresentationContextRQ(value[0], abstract_syntax, tuple(transfer_syntaxes))


def _decode_context_ac(value: memoryview) -> PresentationContextAC:
    if len(value) < 4:
        raise PduError(f"presentation context item of {len(value)} bytes")
    result = value[2]
    # The sub-item of a refused context "shall not be tested"; some acceptors leave it out or cut it.
    if result != ContextResult.ACCEPTANCE:
        return PresentationContextAC(value[0], result, _lenient_transfer_syntax(value[4:]))
    for kind, _, sub in iter_items(value[4:], "presentation context"):
        if kind == _TRANSFER_SYNTAX_ITEM:
            return PresentationContextAC(value[0], result, text_of(sub))
    raise PduError(f"presentation context {value[0]} accepted without a transfer syntax")


def _lenient_transfer_syntax(view: memoryview) -> str:
    if len(view) < 4 or view[0] != _TRANSFER_SYNTAX_ITEM or len(view) != 4 + (view[2] << 8 | view[3]):
        return ""
    return text_of(view[4:])


_DECODERS: Final[dict[int, Callable[[memoryview], Pdu]]] = {
    PduType.ASSOCIATE_RQ: _decode_rq,
    PduType.ASSOCIATE_AC: _decode_ac,
    PduType.ASSOCIATE_RJ: _decode_rj,
    PduType.P_DATA_TF: _decode_p_data,
    PduType.RELEASE_RQ: _decode_release_rq,
    PduType.RELEASE_RP: _decode_release_rp,
    PduType.ABORT: _decode_abort,
}
