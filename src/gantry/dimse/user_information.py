"""The User Information item: what two Application Entities agree on besides contexts (PS3.7 D.3.3).

`UserInformation` holds each sub-item under its name, not the list in which they came. Sub-items of
unrecognised types are skipped, as PS3.8 9.3.1 wants, and kept in `unknown`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import Any, Final

from gantry.dimse.items import (
    PduError,
    bytes_of,
    iter_items,
    pack_counted,
    pack_item,
    take_counted,
    text_of,
)
from gantry.dimse.limits import MAX_UNKNOWN_ITEM_BYTES, MAX_USER_ITEMS

_MAXIMUM_LENGTH: Final = 0x51
_IMPLEMENTATION_CLASS_UID: Final = 0x52
_ASYNC_WINDOW: Final = 0x53
_ROLE: Final = 0x54
_IMPLEMENTATION_VERSION: Final = 0x55
_EXTENDED: Final = 0x56
_COMMON_EXTENDED: Final = 0x57
_IDENTITY_RQ: Final = 0x58
_IDENTITY_AC: Final = 0x59

_U32: Final = Struct(">I")
_TWO_U16: Final = Struct(">HH")


class IdentityType(IntEnum):
    """PS3.7 Table D.3-14, User-Identity-Type."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True, slots=True)
class AsyncWindow:
    """Operations that the association requestor may have outstanding; 0 is no limit (PS3.7 D.3.3.3)."""

    invoked: int = 1
    performed: int = 1


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Roles of the association requestor for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """Service-class-application-information of one SOP class (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """Service class of a SOP class, and SOP classes that it specialises (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """Who asks, in a request (PS3.7 D.3.3.7). `kind` is an `IdentityType`, or what the peer sent instead."""

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response_requested: bool = False


@dataclass(frozen=True, slots=True)
class UserInformation:
    """All sub-items of one User Information item; None or empty where a sub-item is absent.

    `max_length` counts the bytes after the header of a P-DATA-TF; 0 is no limit.
    `identity_response` is the server's answer to a `user_identity` (in an A-ASSOCIATE-AC only).
    """

    max_length: int | None = None
    implementation_class_uid: str | None = None
    implementation_version: str | None = None
    async_window: AsyncWindow | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    identity_response: bytes | None = field(default=None, repr=False)
    unknown: tuple[tuple[int, bytes], ...] = ()

    def encode(self) -> bytes:
        """The sub-items in ascending order of type, without the item header (PS3.8 9.3.2.3)."""
        return b"".join(pack_item(kind, value) for kind, value in _sub_items(self))


def _sub_items(info: UserInformation) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    if info.max_length is not None:
        found.append((_MAXIMUM_LENGTH, _U32.pack(info.max_length)))
    if info.implementation_class_uid is not None:
        found.append((_IMPLEMENTATION_CLASS_UID, bytes_of(info.implementation_class_uid)))
    if info.async_window is not None:
        window = info.async_window
        found.append((_ASYNC_WINDOW, _TWO_U16.pack(window.invoked, window.performed)))
    found += [(_ROLE, _pack_role(role)) for role in info.roles]
    if info.implementation_version is not None:
        found.append((_IMPLEMENTATION_VERSION, bytes_of(info.implementation_version)))
    found += [
        (_EXTENDED, pack_counted(bytes_of(item.sop_class_uid)) + item.information) for item in info.extended
    ]
    found += [(_COMMON_EXTENDED, _pack_common(item)) for item in info.common_extended]
    if info.user_identity is not None:
        found.append((_IDENTITY_RQ, _pack_identity(info.user_identity)))
    if info.identity_response is not None:
        found.append((_IDENTITY_AC, pack_counted(info.identity_response)))
    found += info.unknown
    return found


def _pack_role(role: RoleSelection) -> bytes:
    return pack_counted(bytes_of(role.sop_class_uid)) + bytes((role.scu, role.scp))


def _pack_common(item: CommonExtendedNegotiation) -> bytes:
    related = b"".join(pack_counted(bytes_of(uid)) for uid in item.related_general_sop_classes)
    return (
        pack_counted(bytes_of(item.sop_class_uid))
        + pack_counted(bytes_of(item.service_class_uid))
        + pack_counted(related)
    )


def _pack_identity(identity: UserIdentity) -> bytes:
    head = bytes((identity.kind, identity.positive_response_requested))
    return head + pack_counted(identity.primary) + pack_counted(identity.secondary)


def decode_user_information(view: memoryview) -> UserInformation:
    """The User Information item without its header; PduError where a length or a count is wrong."""
    single: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {}
    unknown_bytes = 0
    for count, (kind, _, value) in enumerate(iter_items(view, "user information"), 1):
        if count > MAX_USER_ITEMS:
            raise PduError(f"more than {MAX_USER_ITEMS} user information items")
        if kind in _SINGLE:
            name, decode = _SINGLE[kind]
            if name in single:
                raise PduError(f"two user information items {kind:02X}H")
            single[name] = decode(value)
        elif kind in _REPEATED:
            name, decode = _REPEATED[kind]
            lists.setdefault(name, []).append(decode(value))
        else:
            unknown_bytes += len(value)
            if unknown_bytes > MAX_UNKNOWN_ITEM_BYTES:
                raise PduError(f"more than {MAX_UNKNOWN_ITEM_BYTES} bytes of unrecognised items")
            lists.setdefault("unknown", []).append((kind, bytes(value)))
    fields: dict[str, Any] = {name: tuple(found) for name, found in lists.items()}
    return UserInformation(**single, **fields)


def _max_length(value: memoryview) -> int:
    if len(value) != 4:
        raise PduError(f"maximum length item of {len(value)} bytes, not 4")
    length: int = _U32.unpack(value)[0]
    return length


def _async_window(value: memoryview) -> AsyncWindow:
    if len(value) != 4:
        raise PduError(f"asynchronous operations window of {len(value)} bytes, not 4")
    return AsyncWindow(*_TWO_U16.unpack(value))


def _role(value: memoryview) -> RoleSelection:
    uid, position = take_counted(value, 0, "role selection")
    if len(value) - position != 2:
        raise PduError(f"role selection: {len(value) - position} bytes of roles, not 2")
    return RoleSelection(text_of(uid), value[position] == 1, value[position + 1] == 1)


def _extended(value: memoryview) -> ExtendedNegotiation:
    uid, position = take_counted(value, 0, "extended negotiation")
    return ExtendedNegotiation(text_of(uid), bytes(value[position:]))


def _common_extended(value: memoryview) -> CommonExtendedNegotiation:
    where = "common extended negotiation"
    sop_class, position = take_counted(value, 0, where)
    service_class, position = take_counted(value, position, where)
    related, _ = take_counted(value, position, where)
    uids: list[str] = []
    inner, at = memoryview(related), 0
    while at < len(inner):
        uid, at = take_counted(inner, at, where)
        uids.append(text_of(uid))
    return CommonExtendedNegotiation(text_of(sop_class), text_of(service_class), tuple(uids))


def _identity_rq(value: memoryview) -> UserIdentity:
    if len(value) < 2:
        raise PduError("user identity without type")
    primary, position = take_counted(value, 2, "user identity")
    # Some requestors leave the secondary length out where the type has no secondary field.
    secondary = b"" if position == len(value) else take_counted(value, position, "user identity")[0]
    return UserIdentity(value[0], primary, secondary, value[1] == 1)


def _identity_ac(value: memoryview) -> bytes:
    return take_counted(value, 0, "user identity response")[0]


_SINGLE: Final = {
    _MAXIMUM_LENGTH: ("max_length", _max_length),
    _IMPLEMENTATION_CLASS_UID: ("implementation_class_uid", text_of),
    _ASYNC_WINDOW: ("async_window", _async_window),
    _IMPLEMENTATION_VERSION: ("implementation_version", text_of),
    _IDENTITY_RQ: ("user_identity", _identity_rq),
    _IDENTITY_AC: ("identity_response", _identity_ac),
}

_REPEATED: Final = {
    _ROLE: ("roles", _role),
    _EXTENDED: ("extended", _extended),
    _COMMON_EXTENDED: ("common_extended", _common_extended),
}
