"""Strategies that make any PDU and any DIMSE command which PS3.7 and PS3.8 can express."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gantry.dimse.message import Command, CommandField
from gantry.dimse.pdu import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    Pdu,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
)
from gantry.dimse.user_information import (
    AsyncWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

octet = st.integers(0, 255)
u16 = st.integers(0, 0xFFFF)
uids = st.text("0123456789.", min_size=1, max_size=64)
# Latin-1 without what counts as padding at its ends
_printable = st.characters(codec="latin-1", exclude_characters="\0 ")
names = st.text(_printable, min_size=1, max_size=16)
blobs = st.binary(max_size=200)


def tuples_of(strategy: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[tuple[Any, ...]]:
    """Short tuples of what `strategy` makes."""
    return st.lists(strategy, max_size=most).map(tuple)


user_information = st.builds(
    UserInformation,
    max_length=st.none() | st.integers(0, 0xFFFFFFFF),
    implementation_class_uid=st.none() | uids,
    implementation_version=st.none() | names,
    async_window=st.none() | st.builds(AsyncWindow, u16, u16),
    roles=tuples_of(st.builds(RoleSelection, uids, st.booleans(), st.booleans())),
    extended=tuples_of(st.builds(ExtendedNegotiation, uids, blobs)),
    common_extended=tuples_of(st.builds(CommonExtendedNegotiation, uids, uids, tuples_of(uids))),
    user_identity=st.none() | st.builds(UserIdentity, octet, blobs, blobs, st.booleans()),
    identity_response=st.none() | blobs,
    unknown=tuples_of(st.tuples(st.sampled_from([0x00, 0x50, 0x5A, 0xFF]), blobs)),
)

_contexts_rq = st.builds(PresentationContextRQ, octet, uids, tuples_of(uids, 6))
_contexts_ac = st.builds(PresentationContextAC, octet, st.integers(0, 4), uids)


def _associate(kind: type, contexts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        kind,
        called_aet=names,
        calling_aet=names,
        contexts=tuples_of(contexts, 8),
        user=user_information,
        application_context=uids,
        protocol_version=u16,
    )


pdus: st.SearchStrategy[Pdu] = st.one_of(
    _associate(AssociateRQ, _contexts_rq),
    _associate(AssociateAC, _contexts_ac),
    st.builds(AssociateRJ, octet, octet, octet),
    st.builds(
        PDataTF,
        st.lists(
            st.builds(PresentationDataValue, octet, st.booleans(), st.booleans(), blobs),
            min_size=1,
            max_size=5,
        ).map(tuple),
    ),
    st.just(ReleaseRQ()),
    st.just(ReleaseRP()),
    st.builds(Abort, octet, octet),
)

_titles = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=16)
_tags = tuples_of(st.integers(0, 0xFFFFFFFF))
# Not in the command dictionary, or not of this kind of message
_extra = st.dictionaries(st.integers(0x2000, 0xFFFF), blobs.map(lambda raw: raw[: len(raw) & ~1]), max_size=3)

commands: st.SearchStrategy[Command] = st.builds(
    Command,
    field=st.sampled_from(CommandField),
    has_dataset=st.booleans(),
    message_id=u16,
    responded_to=u16,
    sop_class_uid=uids,
    sop_instance_uid=uids,
    priority=st.none() | st.integers(0, 2),
    status=u16,
    move_destination=_titles,
    move_originator_aet=st.none() | _titles,
    move_originator_id=st.none() | u16,
    remaining=st.none() | u16,
    completed=st.none() | u16,
    failed=st.none() | u16,
    warning=st.none() | u16,
    error_comment=st.none() | names,
    error_id=st.none() | u16,
    offending_elements=_tags,
    event_type_id=u16,
    action_type_id=u16,
    attribute_identifiers=_tags,
    extra=_extra,
)
