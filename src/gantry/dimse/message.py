"""DIMSE command sets (PS3.7 sections 9.3, 10.3 and Annex E): values, their bytes, and how to make them.

A command set is always Implicit VR Little Endian and has at most some thirty elements, so it has a small
codec of its own. UIDs and AE titles are kept as the peer sent them, less padding: whether they make sense is
for the service to say, in a status. What the command dictionary does not know, or a message of this kind
should not have, is kept as bytes in `extra`.

`sop_class_uid` and `sop_instance_uid` stand for the Affected pair or the Requested pair, whichever the kind
of message uses; no message uses both.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from msgspec import Struct
from msgspec import field as struct_field

from gantry.dimse.items import bytes_of, text_of
from gantry.dimse.limits import MAX_COMMAND_BYTES
from gantry.errors import ProtocolError


class CommandField(IntEnum):
    """PS3.7 Table E.1-1, Command Field (0000,0100)."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF

    @property
    def is_response(self) -> bool:
        """Whether this answers a request."""
        return self >= 0x8000

    @property
    def is_operation(self) -> bool:
        """Whether this asks for a response: every request but C-CANCEL."""
        return self < 0x8000 and self is not CommandField.C_CANCEL_RQ


class Priority(IntEnum):
    """PS3.7 Table E.1-1, Priority (0000,0700)."""

    MEDIUM = 0
    HIGH = 1
    LOW = 2


NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
_PENDING: Final = frozenset((0xFF00, 0xFF01))


class Command(Struct, frozen=True, kw_only=True):
    """One command set. None is an element that is absent; PS3.7 says which kind of message has which."""

    field: CommandField
    has_dataset: bool = False
    message_id: int | None = None
    responded_to: int | None = None
    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    priority: int | None = None
    status: int | None = None
    move_destination: str | None = None
    move_originator_aet: str | None = None
    move_originator_id: int | None = None
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    error_comment: str | None = None
    error_id: int | None = None
    offending_elements: tuple[int, ...] = ()
    event_type_id: int | None = None
    action_type_id: int | None = None
    attribute_identifiers: tuple[int, ...] = ()
    extra: Mapping[int, bytes] = struct_field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether this response is the last one to its request: any status but Pending (PS3.7 C.5)."""
        return self.field.is_response and self.status not in _PENDING


# (tag, field of Command, VR); the messages of _USES_REQUESTED have the Requested pair, not the Affected one
_ELEMENTS: Final = (
    (0x00000002, "sop_class_uid", "UI"),
    (0x00000100, "field", "US"),
    (0x00000110, "message_id", "US"),
    (0x00000120, "responded_to", "US"),
    (0x00000600, "move_destination", "AE"),
    (0x00000700, "priority", "US"),
    (0x00000800, "has_dataset", "US"),
    (0x00000900, "status", "US"),
    (0x00000901, "offending_elements", "AT"),
    (0x00000902, "error_comment", "LO"),
    (0x00000903, "error_id", "US"),
    (0x00001000, "sop_instance_uid", "UI"),
    (0x00001002, "event_type_id", "US"),
    (0x00001005, "attribute_identifiers", "AT"),
    (0x00001008, "action_type_id", "US"),
    (0x00001020, "remaining", "US"),
    (0x00001021, "completed", "US"),
    (0x00001022, "failed", "US"),
    (0x00001023, "warning", "US"),
    (0x00001030, "move_originator_aet", "AE"),
    (0x00001031, "move_originator_id", "US"),
)
_REQUESTED: Final = {0x00000002: 0x00000003, 0x00001000: 0x00001001}
_USES_REQUESTED: Final = frozenset(
    (CommandField.N_GET_RQ, CommandField.N_SET_RQ, CommandField.N_ACTION_RQ, CommandField.N_DELETE_RQ)
)
_GROUP_LENGTH: Final = 0x00000000
_COMMAND_FIELD: Final = 0x00000100

_AFFECTED_TABLE: Final = {tag: (name, vr) for tag, name, vr in _ELEMENTS}
_REQUESTED_TABLE: Final = {_REQUESTED.get(tag, tag): (name, vr) for tag, name, vr in _ELEMENTS}


def _table_of(kind: CommandField) -> dict[int, tuple[str, str]]:
    return _REQUESTED_TABLE if kind in _USES_REQUESTED else _AFFECTED_TABLE


# Elements without which a message cannot be answered or understood. Priority is required by PS3.7 as well,
# but nothing depends on it, and some senders leave it out.
_RESPONSE: Final = (0x00000120, 0x00000800, 0x00000900)
_ON_CLASS: Final = (0x00000002, 0x00000110, 0x00000800)
_ON_INSTANCE: Final = (*_ON_CLASS, 0x00001000)
_ON_REQUESTED: Final = (0x00000003, 0x00000110, 0x00000800, 0x00001001)
_REQUIRED: Final = {kind: _RESPONSE for kind in CommandField if kind.is_response} | {
    CommandField.C_STORE_RQ: _ON_INSTANCE,
    CommandField.C_FIND_RQ: _ON_CLASS,
    CommandField.C_GET_RQ: _ON_CLASS,
    CommandField.C_MOVE_RQ: (*_ON_CLASS, 0x00000600),
    CommandField.C_ECHO_RQ: _ON_CLASS,
    CommandField.C_CANCEL_RQ: (0x00000120, 0x00000800),
    CommandField.N_EVENT_REPORT_RQ: (*_ON_INSTANCE, 0x00001002),
    CommandField.N_GET_RQ: _ON_REQUESTED,
    CommandField.N_SET_RQ: _ON_REQUESTED,
    CommandField.N_ACTION_RQ: (*_ON_REQUESTED, 0x00001008),
    CommandField.N_CREATE_RQ: _ON_CLASS,
    CommandField.N_DELETE_RQ: _ON_REQUESTED,
}

_ELEMENT_HEADER: Final = struct.Struct("<HHI")
_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_TAG: Final = struct.Struct("<HH")


def encode_command(command: Command) -> bytes:
    """The command set in Implicit VR Little Endian, with its group length (PS3.7 6.3.1)."""
    elements = list(command.extra.items())
    for tag, (name, vr) in _table_of(command.field).items():
        value = getattr(command, name)
        if name == "has_dataset":
            value = _DATA_SET if value else NO_DATA_SET
        if value is not None and value != ():
            elements.append((tag, _encode_value(vr, value)))
    elements.sort()
    body = b"".join([_encode_element(tag, value) for tag, value in elements])
    return _encode_element(_GROUP_LENGTH, _U32.pack(len(body))) + body


def _encode_element(tag: int, value: bytes) -> bytes:
    return _ELEMENT_HEADER.pack(tag >> 16, tag & 0xFFFF, len(value)) + value


def _encode_value(vr: str, value: Any) -> bytes:
    if vr == "US":
        return _U16.pack(value)
    if vr == "AT":
        return b"".join(_TAG.pack(tag >> 16, tag & 0xFFFF) for tag in value)
    raw = bytes_of(value)
    return raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def decode_command(data: bytes | bytearray | memoryview) -> Command:
    """The command set in these bytes. Raises ProtocolError, naming the element, where they are not one."""
    if len(data) > MAX_COMMAND_BYTES:
        raise ProtocolError(f"command set of more than {MAX_COMMAND_BYTES} bytes")
    elements = _split(memoryview(data))
    if _COMMAND_FIELD not in elements:
        raise ProtocolError("command set without Command Field (0000,0100)")
    number = _decode_value(_COMMAND_FIELD, "US", elements.pop(_COMMAND_FIELD))
    try:
        kind = CommandField(number)
    except ValueError:
        raise ProtocolError(
            f"Command Field (0000,0100) is {number:04X}H, which is no DIMSE message"
        ) from None
    for tag in _REQUIRED[kind]:
        if tag not in elements:
            raise ProtocolError(f"{kind.name} without required element {_tag_text(tag)}")
    return _assemble(kind, elements)


def _assemble(kind: CommandField, elements: dict[int, memoryview]) -> Command:
    table, values, extra = _table_of(kind), {}, {}
    for tag, raw in elements.items():
        if tag not in table:
            extra[tag] = bytes(raw)
            continue
        name, vr = table[tag]
        # An empty value says no more than an absent element
        if len(raw) or name == "has_dataset":
            values[name] = _decode_value(tag, vr, raw)
    for tag in _REQUIRED[kind]:
        if table[tag][0] not in values:
            raise ProtocolError(f"{kind.name}: required element {_tag_text(tag)} is empty")
    values["has_dataset"] = values["has_dataset"] != NO_DATA_SET
    return Command(field=kind, extra=extra, **values)


def _split(view: memoryview) -> dict[int, memoryview]:
    elements: dict[int, memoryview] = {}
    position, end = 0, len(view)
    while position < end:
        if end - position < _ELEMENT_HEADER.size:
            raise ProtocolError(f"command set: {end - position} bytes left over at offset {position}")
        group, element, length = _ELEMENT_HEADER.unpack_from(view, position)
        tag, position = group << 16 | element, position + _ELEMENT_HEADER.size
        if group:
            raise ProtocolError(f"command set: element {_tag_text(tag)} does not belong to group 0000")
        if length > end - position:
            raise ProtocolError(
                f"command set: {_tag_text(tag)} of {length} bytes where {end - position} are left"
            )
        if tag in elements:
            raise ProtocolError(f"command set: {_tag_text(tag)} occurs twice")
        elements[tag] = view[position : position + length]
        position += length
    # The length is not needed to find the end, and wrong ones occur
    elements.pop(_GROUP_LENGTH, None)
    return elements


def _decode_value(tag: int, vr: str, raw: memoryview) -> Any:
    if vr == "US":
        if len(raw) != 2:
            raise ProtocolError(f"command set: {_tag_text(tag)} has {len(raw)} bytes, not 2")
        return raw[0] | raw[1] << 8
    if vr == "AT":
        if len(raw) % 4:
            raise ProtocolError(f"command set: {_tag_text(tag)} has {len(raw)} bytes, not a multiple of 4")
        return tuple(group << 16 | element for group, element in _TAG.iter_unpack(raw))
    text = text_of(raw)
    return text.strip(" ") if vr == "AE" else text


def _tag_text(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


# Making messages. Every request takes its Message ID first; every response is made from its request.


def c_store_rq(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    *,
    priority: int = Priority.MEDIUM,
    move_originator_aet: str | None = None,
    move_originator_id: int | None = None,
) -> Command:
    """C-STORE-RQ (PS3.7 Table 9.3-1); the originator is told in a sub-operation of a C-MOVE."""
    return Command(
        field=CommandField.C_STORE_RQ,
        has_dataset=True,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        priority=priority,
        move_originator_aet=move_originator_aet,
        move_originator_id=move_originator_id,
    )


def c_find_rq(message_id: int, sop_class_uid: str, *, priority: int = Priority.MEDIUM) -> Command:
    """C-FIND-RQ (PS3.7 Table 9.3-3)."""
    return _identifier_rq(CommandField.C_FIND_RQ, message_id, sop_class_uid, priority)


def c_get_rq(message_id: int, sop_class_uid: str, *, priority: int = Priority.MEDIUM) -> Command:
    """C-GET-RQ (PS3.7 Table 9.3-6)."""
    return _identifier_rq(CommandField.C_GET_RQ, message_id, sop_class_uid, priority)


def c_move_rq(
    message_id: int, sop_class_uid: str, destination: str, *, priority: int = Priority.MEDIUM
) -> Command:
    """C-MOVE-RQ (PS3.7 Table 9.3-9); `destination` is an AE title that the peer knows."""
    return _identifier_rq(CommandField.C_MOVE_RQ, message_id, sop_class_uid, priority, destination)


def _identifier_rq(
    kind: CommandField, message_id: int, sop_class_uid: str, priority: int, destination: str | None = None
) -> Command:
    return Command(
        field=kind,
        has_dataset=True,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        priority=priority,
        move_destination=destination,
    )


def c_echo_rq(message_id: int, sop_class_uid: str = "1.2.840.10008.1.1") -> Command:
    """C-ECHO-RQ (PS3.7 Table 9.3-12)."""
    return Command(field=CommandField.C_ECHO_RQ, message_id=message_id, sop_class_uid=sop_class_uid)


def c_cancel_rq(responded_to: int) -> Command:
    """C-CANCEL-RQ (PS3.7 Table 9.3-5) of the C-FIND, C-GET or C-MOVE with this Message ID."""
    return Command(field=CommandField.C_CANCEL_RQ, responded_to=responded_to)


def response(request: Command, status: int, *, has_dataset: bool = False, **elements: Any) -> Command:
    """The response to `request`, of whatever kind; `elements` are further fields of `Command`.

    An `error_comment` is cut to the 64 characters that its VR holds.
    """
    comment = elements.pop("error_comment", None)
    if comment is not None:
        comment = comment.encode("ascii", "replace").decode()[:64].strip()
    return Command(
        field=CommandField(request.field | 0x8000),
        has_dataset=has_dataset,
        responded_to=request.message_id,
        status=status,
        error_comment=comment,
        **{"sop_class_uid": request.sop_class_uid, "sop_instance_uid": request.sop_instance_uid} | elements,
    )


def c_store_rsp(
    request: Command,
    status: int,
    *,
    error_comment: str | None = None,
    offending_elements: tuple[int, ...] = (),
) -> Command:
    """C-STORE-RSP (PS3.7 Table 9.3-2)."""
    return response(request, status, error_comment=error_comment, offending_elements=offending_elements)


def c_find_rsp(
    request: Command,
    status: int,
    *,
    has_dataset: bool = False,
    error_comment: str | None = None,
    offending_elements: tuple[int, ...] = (),
) -> Command:
    """C-FIND-RSP (PS3.7 Table 9.3-4); an answer with a status of Pending has an Identifier."""
    return response(
        request,
        status,
        has_dataset=has_dataset,
        error_comment=error_comment,
        offending_elements=offending_elements,
    )


def c_retrieve_rsp(
    request: Command,
    status: int,
    *,
    remaining: int | None = None,
    completed: int | None = None,
    failed: int | None = None,
    warning: int | None = None,
    has_dataset: bool = False,
    error_comment: str | None = None,
) -> Command:
    """C-GET-RSP or C-MOVE-RSP (PS3.7 Tables 9.3-7 and 9.3-10), with its counts of sub-operations."""
    return response(
        request,
        status,
        has_dataset=has_dataset,
        error_comment=error_comment,
        remaining=remaining,
        completed=completed,
        failed=failed,
        warning=warning,
    )


def c_echo_rsp(request: Command, status: int = 0x0000) -> Command:
    """C-ECHO-RSP (PS3.7 Table 9.3-13)."""
    return response(request, status)


def n_event_report_rq(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    event_type_id: int,
    *,
    has_dataset: bool = False,
) -> Command:
    """N-EVENT-REPORT-RQ (PS3.7 Table 10.3-1)."""
    return Command(
        field=CommandField.N_EVENT_REPORT_RQ,
        has_dataset=has_dataset,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        event_type_id=event_type_id,
    )


def n_get_rq(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, attributes: tuple[int, ...] = ()
) -> Command:
    """N-GET-RQ (PS3.7 Table 10.3-3); no `attributes` asks for all."""
    return Command(
        field=CommandField.N_GET_RQ,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        attribute_identifiers=attributes,
    )


def n_set_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    """N-SET-RQ (PS3.7 Table 10.3-5)."""
    return Command(
        field=CommandField.N_SET_RQ,
        has_dataset=True,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
    )


def n_action_rq(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    action_type_id: int,
    *,
    has_dataset: bool = False,
) -> Command:
    """N-ACTION-RQ (PS3.7 Table 10.3-7)."""
    return Command(
        field=CommandField.N_ACTION_RQ,
        has_dataset=has_dataset,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        action_type_id=action_type_id,
    )


def n_create_rq(
    message_id: int, sop_class_uid: str, sop_instance_uid: str | None = None, *, has_dataset: bool = False
) -> Command:
    """N-CREATE-RQ (PS3.7 Table 10.3-9); without an instance UID the peer makes one."""
    return Command(
        field=CommandField.N_CREATE_RQ,
        has_dataset=has_dataset,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
    )


def n_delete_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    """N-DELETE-RQ (PS3.7 Table 10.3-11)."""
    return Command(
        field=CommandField.N_DELETE_RQ,
        message_id=message_id,
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
    )
