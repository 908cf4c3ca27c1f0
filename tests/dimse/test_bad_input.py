"""Rows B1 to B28 of the list of bad inputs, as far as they concern the wire; and any bytes at all."""

from __future__ import annotations

import random
import tracemalloc
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimse_pair import (
    CT,
    CT_ID,
    ECHO_ID,
    EXPLICIT,
    FIND_ID,
    acceptor,
    assert_aborted,
    associated,
    deliver,
    exchange,
    kinds,
    output,
    parameters,
    pdus,
    random_cuts,
    requestor,
    single_bytes,
)
from gantry.dimse import message
from gantry.dimse.association import Aborted, Association, Closed, Rejected
from gantry.dimse.items import pack_counted, pack_item
from gantry.dimse.limits import MAX_COMMAND_BYTES, MAX_IDENTIFIER_BYTES
from gantry.dimse.message import Command, encode_command
from gantry.dimse.pdu import (
    Abort,
    AssociateAC,
    AssociateRJ,
    AssociateRQ,
    PDataTF,
    PresentationContextRQ,
    PresentationDataValue,
    ReleaseRQ,
)
from gantry.dimse.user_information import UserIdentity, UserInformation
from support import examples

RQ = parameters().request().encode()


def established() -> Association:
    """An acceptor with an association."""
    return associated()[1]


def p_data(*values: tuple[int, bool, bool, bytes]) -> bytes:
    return PDataTF(tuple(PresentationDataValue(*value) for value in values)).encode()


def store(number: int = 1) -> bytes:
    return encode_command(message.c_store_rq(number, CT, "1.2.3"))


def rejected_with(association: Association) -> tuple[int, int, int]:
    (pdu,) = pdus(output(association))
    assert isinstance(pdu, AssociateRJ)
    assert association.state == 13
    return pdu.result, pdu.source, pdu.reason


def rq_with(items: bytes, version: int = 1) -> bytes:
    body = pack(">H2x16s16s32x", version, b"GANTRY".ljust(16), b"CALLER".ljust(16)) + items
    return pack(">BxI", 1, len(body)) + body


def memory_of(association: Association, pieces: list[bytes]) -> int:
    """The most bytes held at once while it takes these pieces."""
    tracemalloc.start()
    for piece in pieces:
        association.receive(piece, 0.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


# Connection and PDU header


def test_b01_silence_is_closed_at_artim() -> None:
    association = acceptor()
    assert association.tick(9.9) == []
    assert association.tick(10.0) == [Closed("ARTIM timer expired")]
    assert association.closed


def test_b02_dripping_bytes_do_not_reset_artim() -> None:
    association = acceptor()
    for number in range(2):
        assert association.receive(RQ[number : number + 1], 5.0 * number) == []
        assert association.tick(5.0 * number) == []
    assert association.next_deadline() == 10.0
    assert kinds(association.tick(10.0)) == ["Closed"]


@pytest.mark.parametrize("kind", [0x00, 0x08, 0xFF])
@pytest.mark.parametrize("make", [acceptor, established])
def test_b03_an_unknown_pdu_type_is_abort_1(kind: int, make: type) -> None:
    association = make()
    events = association.receive(bytes([kind, 0, 0, 0, 0, 4]), 0.0)
    assert kinds(events) == ["Aborted"]
    assert_aborted(association, 1)


def test_b04_p_data_before_the_association_is_abort_2() -> None:
    association = acceptor()
    events = association.receive(p_data((1, True, True, b"ab")), 0.0)
    assert kinds(events) == ["Aborted"]
    assert_aborted(association, 2)


def test_b05_a_second_request_is_abort_2() -> None:
    association = established()
    events = association.receive(RQ, 0.0)
    assert kinds(events) == ["Aborted"]
    assert_aborted(association, 2)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x80000000, (1 << 20) + 1])
def test_b06_pdu_length_ffffffff(length: int) -> None:
    association = acceptor()
    head = pack(">BxI", 1, length)
    assert memory_of(association, [head[:3], head[3:], bytes(65536)]) < 65536
    assert_aborted(association, 6)
    association.receive(bytes(65536), 1.0)
    assert output(association) == b""


def test_b07_p_data_longer_than_announced_is_abort_6() -> None:
    association = associated(policy={"max_pdu": 1000})[1]
    association.receive(pack(">BxIIBB", 4, 1000, 996, CT_ID, 1), 0.0)
    assert association.state == 6
    association = associated(policy={"max_pdu": 1000})[1]
    association.receive(pack(">BxI", 4, 1001), 0.0)
    assert_aborted(association, 6)


@pytest.mark.parametrize(
    ("kind", "length"),
    [(1, 0), (1, 67), (2, 67), (3, 0), (3, 5), (4, 0), (4, 5), (5, 0), (5, 3), (6, 5), (7, 3)],
)
@pytest.mark.parametrize("make", [acceptor, established])
def test_b08_a_length_shorter_than_the_fixed_part_is_abort_6(kind: int, length: int, make: type) -> None:
    association = make()
    association.receive(pack(">BxI", kind, length), 0.0)
    assert_aborted(association, 6)


@pytest.mark.parametrize(
    "body",
    [
        pack(">IBB", 0, CT_ID, 0) + b"ab",
        pack(">IBB", 1, CT_ID, 0) + b"ab",
        pack(">IBB", 100, CT_ID, 0) + b"ab",
        pack(">IBB", 0xFFFFFFFF, CT_ID, 0) + b"ab",
        pack(">IBB", 4, CT_ID, 1) + b"ab" + b"\0\0\0",
    ],
    ids=["0", "1", "past the end", "4 GiB", "a rest"],
)
@pytest.mark.parametrize("cut", [lambda raw: [raw], single_bytes], ids=["whole", "single bytes"])
def test_b09_a_pdv_that_does_not_fit_is_abort_6(body: bytes, cut: type) -> None:
    association = established()
    deliver(pack(">BxI", 4, len(body)) + body, association, cut=cut)
    assert_aborted(association, 6)


@pytest.mark.parametrize("at", [1, 6, 7, 12, 13, 60])
def test_b10_b11_half_a_pdu_and_the_end_is_a_quiet_close(at: int) -> None:
    association = established()
    pdu = p_data((CT_ID, True, True, store()), (CT_ID, False, True, b"abcd"))
    events = association.receive(pdu[:at], 0.0)
    assert "MessageComplete" not in kinds(events)
    assert kinds(association.eof(1.0)) == ["Aborted", "Closed"]
    assert output(association) == b""
    association = acceptor()
    association.receive(RQ[:at], 0.0)
    assert kinds(association.eof(1.0)) == ["Closed"]
    assert output(association) == b""


# The association request


def _contexts(*numbers: int) -> bytes:
    return b"".join(PresentationContextRQ(number, CT, (EXPLICIT,)).encode() for number in numbers)


def _rest() -> bytes:
    return pack_item(0x50, UserInformation(max_length=16384).encode())


APPLICATION = pack_item(0x10, b"1.2.840.10008.3.1.1.1")


def test_b12_more_than_128_contexts_are_abort_6() -> None:
    association = acceptor()
    association.receive(rq_with(APPLICATION + _contexts(*range(1, 256, 2), 1) + _rest()), 0.0)
    assert_aborted(association, 6)


def test_b12_duplicate_and_even_context_ids_are_rejected_and_the_others_not() -> None:
    association = acceptor()
    association.receive(rq_with(APPLICATION + _contexts(1, 3, 3, 4, 0, 255) + _rest()), 0.0)
    (answer,) = pdus(output(association))
    assert isinstance(answer, AssociateAC)
    assert {c.context_id: c.result for c in answer.contexts} == {1: 0, 3: 2, 4: 2, 0: 2, 255: 0}
    assert list(association.contexts) == [1, 255]


@pytest.mark.parametrize(
    "user",
    [
        b"".join(pack_item(0x56, pack_counted(b"1.2")) for _ in range(5_000)),
        bytes(65_532),
        pack_item(0x00, bytes(65_000)),
        pack_item(0x51, bytes(4)) + bytes(65_000),
    ],
    ids=["5000 items", "zeros", "one item of zeros", "zeros after an item"],
)
def test_b13_too_many_user_items_are_abort_6(user: bytes) -> None:
    association = acceptor()
    association.receive(rq_with(APPLICATION + _contexts(1) + pack_item(0x50, user)), 0.0)
    assert_aborted(association, 6)


@pytest.mark.parametrize(
    "items",
    [
        b"\x10\0\xff\xff" + b"1.2",
        APPLICATION + b"\x20\0\0\x20\1\0\0\0\x30\0\0\xff1.2",
        APPLICATION + _contexts(1) + b"\x50\0\0\x08\x51\0\0\xff\0\0\0\1",
    ],
)
def test_b14_an_item_past_the_end_is_abort_6(items: bytes) -> None:
    association = acceptor()
    association.receive(rq_with(items), 0.0)
    assert_aborted(association, 6)


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_b15_a_protocol_version_without_bit_0_is_rejected(version: int) -> None:
    association = acceptor()
    association.receive(rq_with(APPLICATION + _contexts(1) + _rest(), version), 0.0)
    assert rejected_with(association) == (1, 2, 2)


@pytest.mark.parametrize("context", [b"1.2.840.10008.3.1.1.2", b"", b"\xff" * 64])
def test_b16_another_application_context_is_rejected(context: bytes) -> None:
    association = acceptor()
    association.receive(rq_with(pack_item(0x10, context) + _contexts(1) + _rest()), 0.0)
    assert rejected_with(association) == (1, 1, 2)


def test_b17_unknown_titles_are_rejected() -> None:
    association = acceptor(check_called_aet=True)
    association.receive(parameters(called_aet="OTHER").request().encode(), 0.0)
    assert rejected_with(association) == (1, 1, 7)
    association = acceptor(calling_aets=frozenset({"FRIEND"}))
    association.receive(RQ, 0.0)
    assert rejected_with(association) == (1, 1, 3)


@pytest.mark.parametrize("title", ["A\x01B", "A\\B", "A\r\nB", "../x", "Ä", "\x7f", "   "])
def test_b18_a_title_that_is_none_is_rejected(title: str) -> None:
    for called, calling, reason in ((title, "CALLER", 7), ("GANTRY", title, 3)):
        association = acceptor()
        request = AssociateRQ(called, calling, (PresentationContextRQ(1, CT, (EXPLICIT,)),))
        events = association.receive(request.encode(), 0.0)
        assert rejected_with(association) == (1, 1, reason)
        assert isinstance(events[0], Rejected)


@pytest.mark.parametrize("kind", [0, 6, 255])
def test_b19_an_unknown_identity_type_is_rejected(kind: int) -> None:
    association = acceptor()
    association.receive(parameters(user_identity=UserIdentity(kind, b"jane")).request().encode(), 0.0)
    assert rejected_with(association) == (1, 2, 1)


def test_b19_an_identity_that_is_wrong_is_rejected() -> None:
    association = acceptor(check_identity=lambda identity: None)
    association.receive(parameters(user_identity=UserIdentity(5, b"a.b.c")).request().encode(), 0.0)
    assert rejected_with(association) == (1, 2, 1)


def test_b19_a_passcode_of_1_mb_does_not_fit_its_item() -> None:
    association = acceptor()
    identity = b"\2\0" + pack_counted(b"jane") + b"\xff\xff" + bytes(1_000_000)
    user = b"\x58\0\xff\xff" + identity
    association.receive(rq_with(APPLICATION + _contexts(1) + b"\x50\0\xff\xff" + user), 0.0)
    assert_aborted(association, 6)


def test_b20_beyond_the_limit_of_associations_is_rejected_for_now() -> None:
    association = acceptor(busy=True)
    association.receive(RQ, 0.0)
    assert rejected_with(association) == (2, 3, 2)


def test_b21_connect_and_close_leaves_nothing() -> None:
    def connect_and_close() -> None:
        acceptor().eof(0.0)

    connect_and_close()
    tracemalloc.start()
    for _ in range(1000):
        connect_and_close()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20_000


# Messages


def _element(tag: int, value: bytes) -> bytes:
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


@pytest.mark.parametrize(
    "command",
    [
        _element(0x0002, b"1.2 ") + _element(0x0110, b"\1\0") + _element(0x0800, b"\1\1"),
        store() + _element(0x0110, b"\1\0"),
        b"\0\0\0\0UL\4\0\x38\0\0\0\0\0\0\1US\2\0\x01\0",
        store() + b"\0\0",
        _element(0x0100, b"\x99\x99"),
        store().replace(b"1.2.3\0", b"")[:-8],
    ],
    ids=["no command field", "duplicate tag", "explicit vr", "a rest", "no such command", "cut"],
)
def test_b22_a_command_set_that_is_none_is_abort_6(command: bytes) -> None:
    association = established()
    events = association.receive(p_data((CT_ID, True, True, command)), 0.0)
    assert kinds(events) == ["Aborted"]
    assert_aborted(association, 6)


def test_b22_a_command_set_over_64_kib_is_abort_6() -> None:
    association = established()
    for _ in range(MAX_COMMAND_BYTES // 1024):
        association.receive(p_data((CT_ID, True, False, bytes(1024))), 0.0)
        assert association.state == 6
    association.receive(p_data((CT_ID, True, False, b"ab")), 0.0)
    assert_aborted(association, 6)


def test_b22_the_fault_names_the_element() -> None:
    association = established()
    (event,) = association.receive(
        p_data((CT_ID, True, True, _element(0x0100, b"\1\0") + _element(0x0800, b"\1\1"))), 0.0
    )
    assert isinstance(event, Aborted)
    assert event.text == "C_STORE_RQ without required element (0000,0002)"


def test_b23_data_where_the_command_says_none_is_abort_2() -> None:
    association = established()
    echo = encode_command(message.c_echo_rq(1))
    association.receive(p_data((ECHO_ID, True, True, echo), (ECHO_ID, False, True, b"ab")), 0.0)
    assert_aborted(association, 2)


def test_b23_no_data_where_the_command_says_some_is_abort_2() -> None:
    association = established()
    association.receive(p_data((CT_ID, True, True, store(1)), (CT_ID, True, True, store(2))), 0.0)
    assert_aborted(association, 2)


@pytest.mark.parametrize("context_id", [0, 2, 9, 255])
@pytest.mark.parametrize("is_command", [True, False])
def test_b24_a_context_that_is_not_accepted_is_abort_5(context_id: int, is_command: bool) -> None:
    association = established()
    association.receive(p_data((context_id, is_command, True, store())), 0.0)
    assert_aborted(association, 5)


def test_b24_a_context_that_was_refused_is_abort_5() -> None:
    association = acceptor(accept_storage=False)
    association.receive(RQ, 0.0)
    output(association)
    association.receive(p_data((CT_ID, True, True, store())), 0.0)
    assert_aborted(association, 5)


def test_b25_interleaved_messages_are_abort_2() -> None:
    for other in (
        (ECHO_ID, True, True, encode_command(message.c_echo_rq(2))),
        (FIND_ID, False, False, b"ab"),
    ):
        association = established()
        association.receive(p_data((CT_ID, True, True, store()), (CT_ID, False, False, b"ab"), other), 0.0)
        assert_aborted(association, 2)
    association = established()
    association.receive(p_data((CT_ID, True, False, store()[:20]), (CT_ID, False, False, b"ab")), 0.0)
    assert_aborted(association, 2)


def test_b25_a_cancel_of_an_unknown_id_is_ignored() -> None:
    asking, answering = associated()
    asking.send_message(FIND_ID, message.c_cancel_rq(77))
    asking.send_message(ECHO_ID, message.c_echo_rq(1))
    events = exchange(asking, answering)[1]
    assert kinds(events) == ["CommandReceived", "MessageComplete"]
    assert answering.operations.performing == 1


def test_b25_a_cancel_with_data_is_abort_2() -> None:
    association = established()
    cancel = Command(field=message.CommandField.C_CANCEL_RQ, responded_to=1, has_dataset=True)
    association.receive(p_data((FIND_ID, True, True, encode_command(cancel))), 0.0)
    assert_aborted(association, 2)


def test_b26_an_identifier_that_never_ends_is_cut() -> None:
    association = established()
    find = encode_command(message.c_find_rq(1, "1.2"))
    association.receive(p_data((FIND_ID, True, True, find)), 0.0)
    piece = p_data((FIND_ID, False, False, bytes(131_000)))
    for _ in range(MAX_IDENTIFIER_BYTES // 131_000 + 1):
        association.receive(piece, 0.0)
    assert_aborted(association, 6)


def test_b26_a_data_set_that_never_ends_takes_no_memory_here() -> None:
    association = established()
    association.receive(p_data((CT_ID, True, True, store())), 0.0)
    piece = p_data((CT_ID, False, False, bytes(131_000)))
    assert memory_of(association, [piece] * 1000) < 100_000
    assert association.state == 6


def test_b27_an_abort_inside_a_data_set_completes_nothing() -> None:
    association = established()
    first = p_data((CT_ID, True, True, store(1)), (CT_ID, False, True, b"ab"))
    second = p_data((CT_ID, True, True, store(2)), (CT_ID, False, False, b"ab"))
    events = association.receive(first + second + Abort(0, 0).encode(), 0.0)
    assert kinds(events).count("MessageComplete") == 1
    assert kinds(events)[-2:] == ["Aborted", "Closed"]
    assert association.closed


def test_b28_a_release_with_a_request_outstanding_is_answered_after_it() -> None:
    asking, answering = associated()
    request = message.c_echo_rq(1)
    asking.send_message(ECHO_ID, request)
    asking.release()
    assert kinds(exchange(asking, answering)[1]) == ["CommandReceived", "MessageComplete", "ReleaseRequested"]
    answering.send_message(ECHO_ID, message.c_echo_rsp(request))
    assert kinds(exchange(asking, answering)[0])[-2:] == ["Released", "Closed"]


def test_b28_data_after_a_release_is_abort_2() -> None:
    asking, answering = associated()
    asking.send_message(ECHO_ID, message.c_echo_rq(1))
    exchange(asking, answering)
    answering.receive(ReleaseRQ().encode() + p_data((CT_ID, True, True, store())), 0.0)
    assert_aborted(answering, 2)


def test_b28_a_release_collision_follows_the_table() -> None:
    asking, answering = associated()
    asking.release()
    answering.release()
    exchange(asking, answering)
    assert asking.closed
    assert answering.state == 13


# Lengths that lie, and any bytes


@pytest.mark.parametrize("kind", [1, 2])
def test_memory_is_what_came_and_not_what_was_announced(kind: int) -> None:
    association = acceptor() if kind == 1 else requestor()
    assert memory_of(association, [pack(">BxI", kind, 1 << 20), bytes(100)]) < 20_000


def _never_raises(association: Association, pieces: list[bytes]) -> None:
    """Events and an abort are all that bytes can bring about."""
    now = 0.0
    for piece in pieces:
        now += 0.1
        for event in association.receive(piece, now):
            assert kinds([event])
        association.tick(now)
        association.next_deadline()
        for pdu in pdus(output(association)):
            assert not isinstance(pdu, PDataTF)
    association.eof(now)
    assert association.closed


def _any_association(choice: int) -> Association:
    return (acceptor, requestor, established, lambda: associated()[0])[choice]()


@examples(300)
@given(st.integers(0, 3), st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_survived(choice: int, pieces: list[bytes]) -> None:
    _never_raises(_any_association(choice), pieces)


_SEEDS = [
    RQ,
    Abort(2, 0).encode(),
    ReleaseRQ().encode(),
    p_data((CT_ID, True, True, store()), (CT_ID, False, True, bytes(40))),
    p_data((ECHO_ID, True, True, encode_command(message.c_echo_rq(1)))),
    p_data((FIND_ID, True, False, store()[:30])),
    AssociateRJ(1, 1, 1).encode(),
    pack(">BxI", 4, 12) + pack(">IBB", 2, CT_ID, 3) * 2,
]


@pytest.mark.parametrize("seed", range(300))
def test_damaged_streams_are_survived(seed: int) -> None:
    rng = random.Random(seed)
    stream = bytearray(b"".join(rng.choice(_SEEDS) for _ in range(rng.randrange(1, 8))))
    for _ in range(rng.randrange(6)):
        stream[rng.randrange(len(stream))] = rng.choice((0, 1, 2, 0xFF, rng.randrange(256)))
    _never_raises(_any_association(seed % 4), random_cuts(seed)(bytes(stream)))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_thousand_damaged_streams_are_survived() -> None:
    for seed in range(100_000):
        test_damaged_streams_are_survived(seed)


@pytest.mark.parametrize("seed", range(20))
def test_cuts_never_change_what_comes_out(seed: int) -> None:
    rng = random.Random(seed)
    stream = bytearray(b"".join(rng.choice(_SEEDS) for _ in range(4)))
    if seed % 2:
        stream[rng.randrange(len(stream))] ^= 0xFF
    results = []
    for cut in (lambda raw: [raw], single_bytes, random_cuts(seed)):
        association = established()
        events = deliver(bytes(stream), association, cut=cut)
        names = [name for name in kinds(events) if name != "DataFragment"]
        results.append((names, output(association), association.state))
    assert results[0] == results[1] == results[2]


def test_contexts_of_an_association_never_come_from_the_peer_alone() -> None:
    asking = requestor()
    output(asking)
    answer = AssociateAC("GANTRY", "CALLER", ())
    asking.receive(answer.encode(), 0.0)
    asking.receive(p_data((1, True, True, store())), 0.0)
    assert_aborted(asking, 5)
