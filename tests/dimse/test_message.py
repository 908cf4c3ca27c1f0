"""Command sets: what is encoded is decoded, required elements are asked for, pynetdicom agrees."""

from __future__ import annotations

from io import BytesIO
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dimse_pair import CT, VERIFICATION
from dimse_values import commands
from gantry.dimse import message
from gantry.dimse.message import Command, CommandField, decode_command, encode_command
from gantry.errors import ProtocolError

_STORE = message.c_store_rq(7, CT, "1.2.3", move_originator_aet="MOVER", move_originator_id=3)
_REQUESTS = [
    _STORE,
    message.c_find_rq(1, "1.2", priority=2),
    message.c_get_rq(2, "1.2"),
    message.c_move_rq(3, "1.2", "DEST"),
    message.c_echo_rq(4),
    message.n_event_report_rq(5, "1.2", "1.3", 1, has_dataset=True),
    message.n_get_rq(6, "1.2", "1.3", (0x00100010, 0x7FE00010)),
    message.n_set_rq(7, "1.2", "1.3"),
    message.n_action_rq(8, "1.2", "1.3", 2),
    message.n_create_rq(9, "1.2"),
    message.n_create_rq(9, "1.2", "1.3", has_dataset=True),
    message.n_delete_rq(10, "1.2", "1.3"),
]


def elements(raw: bytes) -> dict[int, bytes]:
    """The elements of a command set, read the plainest way."""
    found, at = {}, 0
    while at < len(raw):
        tag = int.from_bytes(raw[at : at + 2], "little") << 16 | int.from_bytes(
            raw[at + 2 : at + 4], "little"
        )
        length = int.from_bytes(raw[at + 4 : at + 8], "little")
        found[tag] = raw[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def joined(parts: dict[int, bytes]) -> bytes:
    return b"".join(pack("<HHI", tag >> 16, tag & 0xFFFF, len(v)) + v for tag, v in parts.items())


def meaningful(command: Command) -> Command:
    """The command, without what its kind of message has no room for."""
    return decode_command(encode_command(command))


@pytest.mark.parametrize("command", _REQUESTS, ids=lambda command: command.field.name)
def test_each_request_and_its_response_come_back(command: Command) -> None:
    assert decode_command(encode_command(command)) == command
    answer = message.response(command, 0x0110, has_dataset=True, error_comment="no", error_id=4)
    assert answer.field == command.field | 0x8000
    assert answer.responded_to == command.message_id
    assert decode_command(encode_command(answer)) == answer


def test_a_cancel_comes_back() -> None:
    command = message.c_cancel_rq(9)
    assert decode_command(encode_command(command)) == command


@given(commands)
def test_any_command_comes_back(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_a_protocol_error(raw: bytes) -> None:
    try:
        command = decode_command(raw)
    except ProtocolError:
        return
    assert isinstance(command.field, CommandField)


@given(st.sampled_from(_REQUESTS), st.data())
def test_any_damage_is_survived(command: Command, data: st.DataObject) -> None:
    raw = bytearray(encode_command(command))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode_command(raw)
    except ProtocolError as error:
        assert str(error)


def test_the_bytes_of_an_echo_are_those_of_the_standard() -> None:
    assert encode_command(message.c_echo_rq(1)).hex() == (
        "00000000 04000000 38000000"
        "00000200 12000000 312e322e3834302e31303030382e312e3100"
        "00000001 02000000 3000"
        "00001001 02000000 0100"
        "00000008 02000000 0101"
    ).replace(" ", "")


def test_elements_are_in_order_of_their_tags() -> None:
    for command in _REQUESTS:
        tags = list(elements(encode_command(command)))
        assert tags == sorted(tags)


def test_the_requested_pair_is_used_where_the_standard_wants_it() -> None:
    assert {0x0003, 0x1001} <= elements(encode_command(message.n_get_rq(1, "1.2", "1.3"))).keys()
    assert {0x0002, 0x1000} <= elements(encode_command(_STORE)).keys()


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(0x0000, True), (0xFF00, False), (0xFF01, False), (0xFE00, True), (0xB000, True), (0xA700, True)],
)
def test_only_pending_is_not_the_last_answer(status: int, is_final: bool) -> None:
    assert message.c_find_rsp(_REQUESTS[1], status).is_final is is_final


def test_a_request_is_no_answer() -> None:
    assert not _STORE.is_final
    assert _STORE.field.is_operation
    assert not CommandField.C_CANCEL_RQ.is_operation
    assert not CommandField.C_STORE_RSP.is_operation


def test_counts_of_sub_operations_are_told() -> None:
    answer = message.c_retrieve_rsp(_REQUESTS[2], 0xFF00, remaining=3, completed=2, failed=1, warning=0)
    found = elements(encode_command(answer))
    assert [found[tag] for tag in (0x1020, 0x1021, 0x1022, 0x1023)] == [b"\3\0", b"\2\0", b"\1\0", b"\0\0"]


def test_a_comment_is_cut_to_what_its_vr_holds() -> None:
    answer = message.c_store_rsp(_STORE, 0xC000, error_comment="ü" * 100, offending_elements=(0x00080018,))
    assert answer.error_comment == "?" * 64
    assert meaningful(answer) == answer


def test_what_is_not_known_is_kept() -> None:
    raw = encode_command(_STORE) + joined({0x51B0: b"\1\0\2\0"})
    assert decode_command(raw).extra == {0x51B0: b"\1\0\2\0"}


def test_padding_is_taken_away() -> None:
    parts = elements(encode_command(_STORE)) | {
        0x0002: b"1.2.840 ",
        0x1000: b"1.2.3\0\0\0",
        0x1030: b"  MOVER  ",
    }
    command = decode_command(joined(parts))
    assert (command.sop_class_uid, command.sop_instance_uid) == ("1.2.840", "1.2.3")
    assert command.move_originator_aet == "MOVER"


def test_a_uid_that_is_none_is_passed_on_for_the_service_to_refuse() -> None:
    parts = elements(encode_command(_STORE)) | {0x1000: b"../../etc/passwd"}
    assert decode_command(joined(parts)).sop_instance_uid == "../../etc/passwd"


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0"])
def test_a_wrong_group_length_does_no_harm(length: bytes) -> None:
    parts = {0x0000: length} | {t: v for t, v in elements(encode_command(_STORE)).items() if t}
    assert decode_command(joined(parts)) == _STORE


def test_a_missing_group_length_and_priority_do_no_harm() -> None:
    parts = {t: v for t, v in elements(encode_command(_STORE)).items() if t not in (0x0000, 0x0700)}
    assert decode_command(joined(parts)).priority is None


def _required() -> list[tuple[Command, int]]:
    of_requests = {
        "C_STORE_RQ": (0x0002, 0x0110, 0x0800, 0x1000),
        "C_FIND_RQ": (0x0002, 0x0110, 0x0800),
        "C_GET_RQ": (0x0002, 0x0110, 0x0800),
        "C_MOVE_RQ": (0x0002, 0x0110, 0x0600, 0x0800),
        "C_ECHO_RQ": (0x0002, 0x0110, 0x0800),
        "N_EVENT_REPORT_RQ": (0x0002, 0x0110, 0x0800, 0x1000, 0x1002),
        "N_GET_RQ": (0x0003, 0x0110, 0x0800, 0x1001),
        "N_SET_RQ": (0x0003, 0x0110, 0x0800, 0x1001),
        "N_ACTION_RQ": (0x0003, 0x0110, 0x0800, 0x1001, 0x1008),
        "N_CREATE_RQ": (0x0002, 0x0110, 0x0800),
        "N_DELETE_RQ": (0x0003, 0x0110, 0x0800, 0x1001),
    }
    pairs = [(command, tag) for command in _REQUESTS for tag in (0x0100, *of_requests[command.field.name])]
    pairs += [(message.response(c, 0), tag) for c in _REQUESTS for tag in (0x0100, 0x0120, 0x0800, 0x0900)]
    return pairs + [(message.c_cancel_rq(1), tag) for tag in (0x0100, 0x0120, 0x0800)]


@pytest.mark.parametrize(("command", "tag"), _required(), ids=lambda each: getattr(each, "field", each))
def test_a_required_element_is_missed_by_name(command: Command, tag: int) -> None:
    parts = elements(encode_command(command))
    del parts[tag]
    with pytest.raises(ProtocolError, match=rf"\(0000,{tag:04X}\)"):
        decode_command(joined(parts))
    with pytest.raises(ProtocolError, match=rf"\(0000,{tag:04X}\)"):
        decode_command(joined(parts | {tag: b""}))


_BAD = {
    "twice": (encode_command(_STORE) + joined({0x0700: b"\0\0"}), r"\(0000,0700\) occurs twice"),
    "other group": (encode_command(_STORE) + joined({0x00080018: b"1.2 "}), r"\(0008,0018\)"),
    "past the end": (encode_command(_STORE)[:-1], r"where 1 are left"),
    "header cut": (encode_command(_STORE) + b"\0\0\0", "3 bytes left over"),
    "us of 4 bytes": (
        joined(elements(encode_command(_STORE)) | {0x0110: b"\1\0\0\0"}),
        r"\(0000,0110\) has 4",
    ),
    "at of 3 bytes": (joined(elements(encode_command(_STORE)) | {0x0901: b"\1\0\0"}), r"\(0000,0901\) has 3"),
    "unknown field": (joined({0x0100: b"\x77\x77"}), "7777H"),
    "too long": (encode_command(_STORE) + joined({0x0902: b" " * 70000}), "more than 65536"),
    "empty": (b"", r"\(0000,0100\)"),
    "explicit vr": (b"\0\0\0\0UL\4\0\x38\0\0\0" + b"\0\0\2\0UI\x12\0" + VERIFICATION.encode(), "where"),
}


@pytest.mark.parametrize("name", _BAD)
def test_what_is_no_command_set_says_why(name: str) -> None:
    raw, cause = _BAD[name]
    with pytest.raises(ProtocolError, match=cause):
        decode_command(raw)


# pynetdicom as the other reader and writer

dsutils = pytest.importorskip("pynetdicom.dsutils")


@pytest.mark.peer
@pytest.mark.parametrize("command", _REQUESTS, ids=lambda command: command.field.name)
def test_pynetdicom_reads_a_request_as_we_mean_it(command: Command) -> None:
    raw = encode_command(command)
    dataset = dsutils.decode(BytesIO(raw), True, True)
    assert dataset.CommandField == command.field
    assert dataset.MessageID == command.message_id
    assert dataset.CommandGroupLength == len(raw) - 12
    assert dsutils.encode(dataset, True, True) == raw
