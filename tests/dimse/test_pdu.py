"""PDUs: what is encoded is decoded, the limits hold, and pynetdicom reads and writes the same bytes."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimse_pair import CT, EXPLICIT, IMPLICIT, VERIFICATION
from dimse_values import pdus
from gantry.dimse.items import PduError, pack_counted, pack_item
from gantry.dimse.limits import MAX_CONTEXTS, MAX_TRANSFER_SYNTAXES, MAX_UNKNOWN_ITEM_BYTES, MAX_USER_ITEMS
from gantry.dimse.pdu import (
    APPLICATION_CONTEXT,
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    Pdu,
    PduType,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
    ReleaseRP,
    ReleaseRQ,
    decode_pdu,
)
from gantry.dimse.reasons import AbortReason
from gantry.dimse.user_information import (
    AsyncWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)

FULL_RQ = AssociateRQ(
    "GANTRY",
    "CALLER",
    (PresentationContextRQ(1, VERIFICATION, (IMPLICIT,)), PresentationContextRQ(3, CT, (EXPLICIT, IMPLICIT))),
    UserInformation(
        max_length=131072,
        implementation_class_uid="1.2.3.4",
        implementation_version="TEST_1",
        async_window=AsyncWindow(5, 0),
        roles=(RoleSelection(CT, True, True),),
        extended=(ExtendedNegotiation(CT, b"\2\0\1\0\0\0"),),
        common_extended=(CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ("1.2.3", "1.2.5")),),
        user_identity=UserIdentity(2, b"jane", b"secret", True),
    ),
)
FULL_AC = AssociateAC(
    "GANTRY",
    "CALLER",
    (PresentationContextAC(1, 0, IMPLICIT), PresentationContextAC(3, 3, IMPLICIT)),
    UserInformation(
        max_length=16384,
        implementation_class_uid="1.2.3.4",
        implementation_version="TEST_1",
        async_window=AsyncWindow(1, 1),
        roles=(RoleSelection(CT, True, False),),
        extended=(ExtendedNegotiation(CT, b"\2"),),
        identity_response=b"",
    ),
)
EACH = [FULL_RQ, FULL_AC, AssociateRJ(1, 2, 2), ReleaseRQ(), ReleaseRP(), Abort(2, 6)]
P_DATA = PDataTF(
    (PresentationDataValue(1, True, True, b"ab"), PresentationDataValue(1, False, False, b"cdef"))
)


def body_of(pdu: Pdu) -> bytes:
    return pdu.encode()[6:]


def decoded(pdu: Pdu) -> Pdu:
    raw = pdu.encode()
    assert int.from_bytes(raw[2:6], "big") == len(raw) - 6
    return decode_pdu(raw[0], raw[6:])


@pytest.mark.parametrize("pdu", [*EACH, P_DATA], ids=lambda pdu: type(pdu).__name__)
def test_each_pdu_comes_back(pdu: Pdu) -> None:
    assert decoded(pdu) == pdu


@given(pdus)
def test_any_pdu_comes_back(pdu: Pdu) -> None:
    assert decoded(pdu) == pdu


@given(st.integers(0, 255), st.binary(max_size=400))
def test_any_body_is_a_pdu_or_a_pdu_error(kind: int, body: bytes) -> None:
    try:
        pdu = decode_pdu(kind, body)
    except PduError:
        return
    assert pdu.encode()[0] == kind


@given(st.sampled_from(EACH), st.data())
def test_any_damage_is_survived(pdu: Pdu, data: st.DataObject) -> None:
    body = bytearray(body_of(pdu))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_pdu(pdu.encode()[0], bytes(body[: data.draw(st.integers(0, len(body)))]))
    except PduError as error:
        assert error.reason in AbortReason


def test_bytes_of_a_release_and_an_abort_are_those_of_the_standard() -> None:
    assert ReleaseRQ().encode() == bytes.fromhex("05000000000400000000")
    assert ReleaseRP().encode() == bytes.fromhex("06000000000400000000")
    assert Abort(2, 6).encode() == bytes.fromhex("07000000000400000206")
    assert AssociateRJ(1, 2, 2).encode() == bytes.fromhex("03000000000400010202")


def test_reserved_fields_are_not_looked_at() -> None:
    raw = bytearray(body_of(FULL_RQ))
    raw[2:4] = b"\xff\xff"
    raw[36:68] = b"\xff" * 32
    assert decode_pdu(1, bytes(raw)) == FULL_RQ


def test_titles_lose_their_padding_only() -> None:
    raw = bytearray(body_of(FULL_RQ))
    raw[4:20] = b"  A B".ljust(16)
    raw[20:36] = b"CALLER".ljust(16, b"\0")
    pdu = decode_pdu(1, bytes(raw))
    assert isinstance(pdu, AssociateRQ)
    assert (pdu.called_aet, pdu.calling_aet) == ("A B", "CALLER")


def test_a_title_that_does_not_fit_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="more than 16"):
        AssociateRQ("SEVENTEEN_LETTERS", "A", ()).encode()


def test_a_passcode_is_not_shown() -> None:
    assert "secret" not in repr(FULL_RQ)
    assert "jane" not in repr(FULL_RQ)


def test_unknown_user_items_are_skipped_and_kept() -> None:
    user = UserInformation(max_length=1000, unknown=((0x5A, b"later"), (0x60, b"")))
    assert decoded(AssociateRQ("A", "B", (), user)) == AssociateRQ("A", "B", (), user)


def test_unknown_items_between_contexts_are_skipped() -> None:
    body = body_of(FULL_RQ) + pack_item(0x77, b"whatever")
    assert decode_pdu(1, body) == FULL_RQ


def test_a_refused_context_may_lack_its_transfer_syntax() -> None:
    head = body_of(AssociateAC("A", "B", ()))
    for rest in (b"", b"\x40", pack_item(0x40, b"")):
        pdu = decode_pdu(2, head + pack_item(0x21, b"\x01\0\x03\0" + rest))
        assert isinstance(pdu, AssociateAC)
        assert pdu.contexts == (PresentationContextAC(1, 3, ""),)


def test_an_accepted_context_needs_its_transfer_syntax() -> None:
    head = body_of(AssociateAC("A", "B", ()))
    with pytest.raises(PduError, match="without a transfer syntax"):
        decode_pdu(2, head + pack_item(0x21, b"\x01\0\0\0"))


def _rq_with(items: bytes) -> bytes:
    return body_of(AssociateRQ("A", "B", ()))[:68] + items


_CONTEXT = PresentationContextRQ(1, CT, (IMPLICIT,)).encode()
_BAD = {
    "unknown type": (0x00, b"", 1),
    "rq shorter than its fixed part": (0x01, b"\0" * 67, 6),
    "ac shorter than its fixed part": (0x02, b"\0" * 67, 6),
    "rj of 3 bytes": (0x03, b"\0" * 3, 6),
    "release of 5 bytes": (0x05, b"\0" * 5, 6),
    "release response of 0 bytes": (0x06, b"", 6),
    "abort of 3 bytes": (0x07, b"\0" * 3, 6),
    "p-data without values": (0x04, b"", 6),
    "p-data with a cut header": (0x04, b"\0\0\0\2\1", 6),
    "p-data past its end": (0x04, b"\0\0\0\xff\1\3ab", 6),
    "p-data of length 1": (0x04, b"\0\0\0\1\1\3", 6),
    "item past the end": (0x01, _rq_with(b"\x10\0\x00\xffabc"), 6),
    "item header cut": (0x01, _rq_with(b"\x10\0\x00"), 6),
    "sub-item past its item": (0x01, _rq_with(pack_item(0x20, b"\1\0\0\0\x30\0\0\x40abc")), 6),
    "context of 3 bytes": (0x01, _rq_with(pack_item(0x20, b"\1\0\0")), 6),
    "answer of 3 bytes": (0x02, _rq_with(pack_item(0x21, b"\1\0\0")), 6),
    "too many contexts": (0x01, _rq_with(_CONTEXT * (MAX_CONTEXTS + 1)), 6),
    "too many transfer syntaxes": (
        0x01,
        _rq_with(PresentationContextRQ(1, CT, ("1.2",) * (MAX_TRANSFER_SYNTAXES + 1)).encode()),
        6,
    ),
    "too many items": (0x01, _rq_with(pack_item(0x77, b"") * (MAX_USER_ITEMS + 1)), 6),
    "too many unknown bytes": (0x01, _rq_with(pack_item(0x77, bytes(MAX_UNKNOWN_ITEM_BYTES + 1))), 6),
    "two user informations": (0x01, _rq_with(pack_item(0x50, b"") * 2), 6),
}
_BAD_USER_ITEMS = {
    "maximum length of 3 bytes": pack_item(0x51, b"\0" * 3),
    "two maximum lengths": pack_item(0x51, b"\0" * 4) * 2,
    "window of 2 bytes": pack_item(0x53, b"\0" * 2),
    "role of 1 byte": pack_item(0x54, pack_counted(b"1.2") + b"\1"),
    "role past its end": pack_item(0x54, pack(">H", 9) + b"1.2"),
    "extended without uid": pack_item(0x56, b"\0"),
    "common extended cut": pack_item(0x57, pack_counted(b"1.2")),
    "common extended with a cut list": pack_item(
        0x57, pack_counted(b"1.2") + pack_counted(b"1.3") + pack_counted(b"\0\7x")
    ),
    "identity of 1 byte": pack_item(0x58, b"\1"),
    "identity past its end": pack_item(0x58, b"\1\0" + pack(">H", 500) + b"jane"),
    "identity response past its end": pack_item(0x59, pack(">H", 500)),
    "too many": pack_item(0x56, pack_counted(b"1.2")) * (MAX_USER_ITEMS + 1),
    "too many unknown bytes": pack_item(0x5F, bytes(MAX_UNKNOWN_ITEM_BYTES + 1)),
}
_BAD |= {
    f"user item, {name}": (0x01, _rq_with(pack_item(0x50, item)), 6) for name, item in _BAD_USER_ITEMS.items()
}


@pytest.mark.parametrize("name", _BAD)
def test_what_breaks_the_structure_says_so(name: str) -> None:
    kind, body, reason = _BAD[name]
    with pytest.raises(PduError) as caught:
        decode_pdu(kind, body)
    assert caught.value.reason == reason


def test_an_identity_without_the_second_length_is_understood() -> None:
    body = _rq_with(pack_item(0x50, pack_item(0x58, b"\1\1" + pack_counted(b"jane"))))
    pdu = decode_pdu(1, body)
    assert isinstance(pdu, AssociateRQ)
    assert pdu.user.user_identity == UserIdentity(1, b"jane", b"", True)


# pynetdicom as the other reader and writer

theirs = pytest.importorskip("pynetdicom.pdu")
_THEIR_CLASSES = {
    AssociateRQ: "A_ASSOCIATE_RQ",
    AssociateAC: "A_ASSOCIATE_AC",
    AssociateRJ: "A_ASSOCIATE_RJ",
    PDataTF: "P_DATA_TF",
    ReleaseRQ: "A_RELEASE_RQ",
    ReleaseRP: "A_RELEASE_RP",
    Abort: "A_ABORT_RQ",
}


@pytest.mark.peer
@pytest.mark.parametrize("pdu", [*EACH, P_DATA], ids=lambda pdu: type(pdu).__name__)
def test_pynetdicom_reads_and_writes_the_same_bytes(pdu: Pdu) -> None:
    other = getattr(theirs, _THEIR_CLASSES[type(pdu)])()
    other.decode(pdu.encode())
    assert decode_pdu(PduType(other.encode()[0]), other.encode()[6:]) == pdu
    if not isinstance(pdu, (AssociateRQ, AssociateAC)):
        assert other.encode() == pdu.encode()


@pytest.mark.peer
def test_a_request_built_by_pynetdicom_is_understood() -> None:
    from pynetdicom import build_context
    from pynetdicom.pdu_primitives import A_ASSOCIATE, AsynchronousOperationsWindowNegotiation

    primitive = A_ASSOCIATE()
    primitive.application_context_name = APPLICATION_CONTEXT
    primitive.calling_ae_title = "PYNETDICOM"
    primitive.called_ae_title = "GANTRY"
    contexts = [build_context(VERIFICATION, [IMPLICIT]), build_context(CT, [EXPLICIT, IMPLICIT])]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = contexts
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 7
    window.maximum_number_operations_performed = 1
    primitive.user_information = [window]
    primitive.maximum_length_received = 16382
    primitive.implementation_class_uid = "1.2.826.0.1"
    pdu = theirs.A_ASSOCIATE_RQ(primitive)
    ours = decode_pdu(1, pdu.encode()[6:])
    assert ours == AssociateRQ(
        "GANTRY",
        "PYNETDICOM",
        FULL_RQ.contexts,
        UserInformation(
            max_length=16382, implementation_class_uid="1.2.826.0.1", async_window=AsyncWindow(7, 1)
        ),
    )
