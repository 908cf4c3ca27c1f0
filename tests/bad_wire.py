"""Bytes that break PS3.8 and PS3.7 9: PDUs, association requests, messages (B1 to B28)."""

from __future__ import annotations

import contextlib
import socket
import struct

from bad_input import BODY, MAX_OBJECT_BYTES, MB, UID, BadInput, into
from gantry_process import Gantry
from raw_peer import CT_ID, IMPLICIT, RawPeer
from web_serving import read_all

CASES: list[BadInput] = []
case = into(CASES)


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def aborted(server: Gantry, sent: bytes, reason: int, *, associated: bool = False) -> None:
    """`sent` is answered with an A-ABORT of the service provider."""
    with RawPeer(server.dicom) as peer:
        if associated:
            peer.associate()
        peer.send(sent)
        # Read without our own state machine: it may not expect an A-ABORT here.
        answer = peer.sock.recv(100)
    assert answer == pdu(7, bytes([0, 0, 2, reason])), answer


@case
def b01_silence(server: Gantry) -> None:
    with server.connect() as connection:
        assert read_all(connection) == b""


@case
def b03_unknown_pdu_type(server: Gantry) -> None:
    for kind in (0, 8, 255):
        aborted(server, pdu(kind, bytes(10)), 1)


@case
def b04_data_before_the_association(server: Gantry) -> None:
    aborted(server, pdu(4, struct.pack(">IBB", 6, 1, 3) + bytes(4)), 2)


@case
def b05_a_second_request(server: Gantry) -> None:
    with RawPeer(server.dicom) as other:
        aborted(server, other.request_bytes(), 2, associated=True)


@case
def b06_length_ffffffff(server: Gantry) -> None:
    aborted(server, pdu(1, bytes(100), 0xFFFFFFFF), 6)


@case
def b07_data_longer_than_announced(server: Gantry) -> None:
    aborted(server, pdu(4, b"", 1 << 24), 6, associated=True)


@case
def b08_shorter_than_its_fixed_part(server: Gantry) -> None:
    aborted(server, pdu(1, b""), 6)


@case
def b09_a_value_past_the_end_of_its_pdu(server: Gantry) -> None:
    aborted(server, pdu(4, struct.pack(">IBB", 1000, CT_ID, 3) + bytes(4)), 6, associated=True)


@case
def b10_half_a_message_then_the_end(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        peer.send(peer.store_bytes(BODY, UID)[:-100])
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.is_closed()


@case
def b11_half_a_message_then_a_reset(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        peer.send(peer.store_bytes(BODY, UID)[:-100])
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def request(items: bytes, version: int = 1, calling: bytes = b"TESTER") -> bytes:
    """An A-ASSOCIATE-RQ made by hand."""
    head = struct.pack(">HH16s16s32x", version, 0, b"GANTRY".ljust(16), calling.ljust(16))
    return pdu(1, head + items)


def part(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxH", kind, len(body) if length is None else length) + body


APPLICATION = part(0x10, b"1.2.840.10008.3.1.1.1")
USER = part(0x50, part(0x51, struct.pack(">I", 16384)) + part(0x52, b"1.2.3"))


def proposal(number: int) -> bytes:
    syntaxes = part(0x30, b"1.2.840.10008.1.1") + part(0x40, IMPLICIT.encode())
    return part(0x20, bytes([number & 0xFF, 0, 0, 0]) + syntaxes)


@case
def b12_129_contexts(server: Gantry) -> None:
    aborted(server, request(APPLICATION + b"".join(map(proposal, range(1, 260, 2))) + USER), 6)


@case
def b13_ten_thousand_user_items(server: Gantry) -> None:
    aborted(server, request(APPLICATION + proposal(1) + part(0x50, part(0xFF, b"") * 10_000)), 6)


@case
def b14_an_item_past_the_end(server: Gantry) -> None:
    aborted(server, request(APPLICATION + part(0x20, b"\1\0\0\0", 5000)), 6)


def rejected(server: Gantry, sent: bytes, answer: tuple[int, int, int]) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        assert connection.recv(100) == pdu(3, bytes([0, *answer]))


@case
def b15_protocol_version_0(server: Gantry) -> None:
    rejected(server, request(APPLICATION + proposal(1) + USER, version=2), (1, 2, 2))


@case
def b16_another_application(server: Gantry) -> None:
    rejected(server, request(part(0x10, b"1.2.3") + proposal(1) + USER), (1, 1, 2))


@case
def b18_a_title_with_line_ends(server: Gantry) -> None:
    rejected(server, request(APPLICATION + proposal(1) + USER, calling=b"X\r\nERROR all \x1b"), (1, 1, 3))


@case
def b19_an_unknown_kind_of_identity(server: Gantry) -> None:
    identity = part(0x58, struct.pack(">BBH", 255, 0, 6) + b"CANARY" + struct.pack(">H", 0))
    user = part(0x50, part(0x51, struct.pack(">I", 16384)) + part(0x52, b"1.2.3") + identity)
    with server.connect() as connection:
        connection.sendall(request(APPLICATION + proposal(1) + user))
        assert connection.recv(100)[0] == 3


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


@case
def b22_a_command_set_without_a_field(server: Gantry) -> None:
    command = element(0x00000110, b"\1\0") + element(0x00000800, b"\1\1")
    command = element(0x00000000, struct.pack("<I", len(command))) + command
    aborted(server, pdu(4, struct.pack(">IBB", len(command) + 2, 1, 3) + command), 6, associated=True)


@case
def b22_a_command_set_of_100_kib(server: Gantry) -> None:
    values = [pdu(4, struct.pack(">IBB", 10_002, 1, 1) + bytes(10_000)) for _ in range(10)]
    aborted(server, b"".join(values), 6, associated=True)


@case
def b23_data_where_the_command_says_none(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        peer.send(peer.echo_bytes() + pdu(4, struct.pack(">IBB", 6, 1, 2) + bytes(4)))
        assert peer.aborted().reason == 2


@case
def b24_a_context_that_nobody_agreed_on(server: Gantry) -> None:
    aborted(server, pdu(4, struct.pack(">IBB", 6, 77, 3) + bytes(4)), 5, associated=True)


@case
def b25_interleaved_messages(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        peer.association.peer_max_pdu = 512
        first = peer.store_bytes(BODY, UID, 1)
        command_of_first = first[: 6 + struct.unpack_from(">I", first, 2)[0]]
        with RawPeer(server.dicom) as other:
            other.associate()
            peer.send(command_of_first + other.echo_bytes(2))
        assert peer.aborted().reason == 2


@case
def b26_an_object_that_never_ends(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        with contextlib.suppress(ConnectionError):  # cut while we send, which is the point
            peer.send(peer.store_bytes(BODY + bytes(MAX_OBJECT_BYTES + 8 * MB), UID))
        assert peer.is_closed()


@case
def b27_an_abort_in_the_middle(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        peer.association.peer_max_pdu = 512
        sent = peer.store_bytes(BODY, UID)
        first = 6 + struct.unpack_from(">I", sent, 2)[0]
        peer.association.abort()
        peer.send(sent[:first] + peer.output())
        assert peer.is_closed()


@case
def b28_data_after_a_release(server: Gantry) -> None:
    with RawPeer(server.dicom) as peer:
        peer.associate()
        echo = peer.echo_bytes()
        peer.association.release()
        peer.send(peer.output() + echo)
        assert peer.is_closed()
