"""SCUs made for measuring: every byte is prepared beforehand, so that the server is what is timed.

They speak just enough of PS3.8: one association, one presentation context, C-STORE requests one after
another, each waiting for its answer; or one C-MOVE or C-GET. They share no code with Gantry.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence

from benchmarks.corpus import CT_IMAGE, Slice
from benchmarks.sink import C_STORE_RQ, Incoming, field, store_rsp

MAX_PDU = 131072
EXPLICIT_LE = "1.2.840.10008.1.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PENDING = 0xFF00


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _context(context_id: int, abstract_syntax: str) -> bytes:
    syntaxes = _item(0x30, abstract_syntax.encode()) + _item(0x40, EXPLICIT_LE.encode())
    return _item(0x20, bytes([context_id, 0, 0, 0]) + syntaxes)


def associate_rq(called: str, abstract_syntax: str) -> bytes:
    """The A-ASSOCIATE-RQ for one abstract syntax."""
    contexts = _context(1, abstract_syntax)
    user = _item(0x51, struct.pack(">I", MAX_PDU)) + _item(0x52, b"2.25.1")
    if abstract_syntax == STUDY_ROOT_GET:
        contexts += _context(3, CT_IMAGE)
        # PS3.7 D.3.3.4: SCP of what comes, and not SCU
        user += _item(0x54, struct.pack(">H", len(CT_IMAGE)) + CT_IMAGE.encode() + bytes([0, 1]))
    body = struct.pack(">HH", 1, 0) + called.ljust(16).encode() + b"BENCH".ljust(16) + bytes(32)
    body += _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user)
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _short_element(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _uid(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)


def _store_rq(message_id: int, item: Slice) -> bytes:
    command = (
        _element(0x0002, _uid(CT_IMAGE))
        + _element(0x0100, b"\x01\0")
        + _element(0x0110, struct.pack("<H", message_id))
        + _element(0x0700, b"\0\0")
        + _element(0x0800, b"\0\0")
        + _element(0x1000, _uid(item.sop_uid))
    )
    return _element(0, struct.pack("<I", len(command))) + command


def store_pdus(message_id: int, item: Slice, peer_max: int) -> bytes:
    command = _store_rq(message_id, item)
    parts = [struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3), command]
    data, room = item.dataset, min(peer_max or MAX_PDU, MAX_PDU) - 6
    for start in range(0, len(data), room):
        piece = data[start : start + room]
        last = 2 if start + room >= len(data) else 0
        parts += [struct.pack(">BBIIBB", 4, 0, len(piece) + 6, len(piece) + 2, 1, last), bytes(piece)]
    return b"".join(parts)


def _receive_pdu(connection: socket.socket) -> tuple[int, bytes]:
    header = _receive(connection, 6)
    return header[0], _receive(connection, int.from_bytes(header[2:6], "big"))


def _receive(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise ConnectionError("the server closed the connection")
        parts += part
    return bytes(parts)


def _peer_maximum(accept: bytes) -> int:
    at = accept.find(b"\x51\x00\x00\x04")
    return int.from_bytes(accept[at + 4 : at + 8], "big") if at >= 0 else 0


def _status(pdu: bytes) -> int:
    return field(pdu, 0x0900)


class Association:
    """One association with one presentation context (CT images, or what is named), explicit little endian."""

    def __init__(
        self, port: int, called: str, timeout_s: float | None = None, abstract_syntax: str = CT_IMAGE
    ) -> None:
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sendall(associate_rq(called, abstract_syntax))
        kind, accept = _receive_pdu(self._connection)
        if kind != 2:
            raise ConnectionError(f"the association was not accepted (PDU type {kind})")
        self._peer_maximum = _peer_maximum(accept)

    def prepare(self, items: Sequence[Slice]) -> list[bytes]:
        """All PDUs of each item, ready to be written."""
        return [store_pdus(n % 65535 + 1, item, self._peer_maximum) for n, item in enumerate(items)]

    def send(self, message: bytes) -> None:
        """Write one prepared message and wait until it is acknowledged."""
        self._connection.sendall(message)
        _, answer = _receive_pdu(self._connection)
        if _status(answer) != 0:
            raise ConnectionError(f"C-STORE was answered with status {_status(answer):04X}")

    def send_pieces(self, item: Slice, pieces: Iterable[bytes]) -> None:
        """Send one object whose Data Set comes in pieces, and wait until it is acknowledged."""
        command = _store_rq(1, item)
        head = struct.pack(">BBIIBB", 4, 0, len(command) + 6, len(command) + 2, 1, 3)
        self._connection.sendall(head + command)
        room = min(self._peer_maximum or MAX_PDU, MAX_PDU) - 6
        for piece in pieces:
            for start in range(0, len(piece), room):
                part = piece[start : start + room]
                self._connection.sendall(
                    struct.pack(">BBIIBB", 4, 0, len(part) + 6, len(part) + 2, 1, 0) + part
                )
        self._connection.sendall(struct.pack(">BBIIBB", 4, 0, 6, 2, 1, 2))
        _, answer = _receive_pdu(self._connection)
        if _status(answer) != 0:
            raise ConnectionError(f"C-STORE was answered with status {_status(answer):04X}")

    def move(self, study_uid: str, destination: str) -> int:
        """Have a study sent to an AE title; answers the number of completed sub-operations (PS3.7 9.1.4)."""
        title = destination.encode() + b" " * (len(destination) % 2)
        self._ask_for_study(STUDY_ROOT_MOVE, 0x0021, _element(0x0600, title), study_uid)
        while True:
            _, answer = _receive_pdu(self._connection)
            status = _status(answer)
            if status == 0:
                return field(answer, 0x1021)
            if status != PENDING:
                raise ConnectionError(f"C-MOVE was answered with status {status:04X}")

    def get(self, study_uid: str) -> int:
        """Have a study sent over this association, and dropped; answers as `move` does (PS3.7 9.1.3)."""
        self._ask_for_study(STUDY_ROOT_GET, 0x0010, b"", study_uid)
        for context_id, command in Incoming(self._connection).messages():
            if field(command, 0x0100) == C_STORE_RQ:
                self._connection.sendall(store_rsp(context_id, command))
            elif (status := _status(command)) == 0:
                return field(command, 0x1021)
            elif status != PENDING:
                raise ConnectionError(f"C-GET was answered with status {status:04X}")
        raise ConnectionError("the association ended within a C-GET")

    def _ask_for_study(self, abstract_syntax: str, command_field: int, destination: bytes, uid: str) -> None:
        command = (
            _element(0x0002, _uid(abstract_syntax))
            + _element(0x0100, struct.pack("<H", command_field))
            + _element(0x0110, b"\x01\0")
            + destination
            + _element(0x0700, b"\0\0")
            + _element(0x0800, b"\0\0")
        )
        command = _element(0, struct.pack("<I", len(command))) + command
        identifier = _short_element(0x0008, 0x0052, b"CS", b"STUDY ")
        identifier += _short_element(0x0020, 0x000D, b"UI", _uid(uid))
        for control, body in ((3, command), (2, identifier)):
            head = struct.pack(">BBIIBB", 4, 0, len(body) + 6, len(body) + 2, 1, control)
            self._connection.sendall(head + body)

    def release(self) -> None:
        """Release the association and close the connection."""
        self._connection.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        _receive_pdu(self._connection)
        self._connection.close()


def store(port: int, called: str, items: Sequence[Slice], ready: threading.Barrier | None = None) -> float:
    """Send all items over one association; answers the seconds from first byte sent to last answer."""
    association = Association(port, called)
    prepared = association.prepare(items)
    if ready is not None:
        ready.wait()
    started = time.perf_counter()
    for message in prepared:
        association.send(message)
    elapsed = time.perf_counter() - started
    association.release()
    return elapsed


def store_until_cut(port: int, called: str, items: Sequence[Slice], acknowledged: list[str]) -> None:
    """Send until the server no longer answers; `acknowledged` takes the UID of each success as it comes."""
    try:
        association = Association(port, called, timeout_s=5)
        for message, item in zip(association.prepare(items), items, strict=True):
            association.send(message)
            acknowledged.append(item.sop_uid)
    except OSError:
        return  # the cut


def store_parallel(port: int, called: str, items: Sequence[Slice], associations: int) -> float:
    """Send the items over several associations at once; answers the seconds until all are done."""
    ready = threading.Barrier(associations + 1)
    failures: list[BaseException] = []

    def work(share: Sequence[Slice]) -> None:
        try:
            store(port, called, share, ready)
        except (OSError, threading.BrokenBarrierError) as error:
            failures.append(error)
            ready.abort()

    threads = [threading.Thread(target=work, args=(items[n::associations],)) for n in range(associations)]
    for thread in threads:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - started
