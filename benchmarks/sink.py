"""Receives C-STORE requests and drops them: where a C-MOVE is sent to, and what reads a C-GET.

It shares the machine's cores with the server that is measured, so it does as little as a receiver can. It
reads PDUs one by one, looks at command sets, and has the kernel drop the Data Sets without copying them
(MSG_TRUNC), as if the receiver were another machine. Every request is answered with Success. It accepts any
presentation context with the first transfer syntax proposed, PDUs as long as DCMTK's tools do, and no
asynchronous operations, like most receivers. Every server is measured against this same program, which
shares no code with Gantry.

`python -m benchmarks.sink PORT` listens until it is ended.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from functools import lru_cache

MAX_PDU = 131072
ASSOCIATE_RQ, ASSOCIATE_AC, P_DATA, RELEASE_RQ, RELEASE_RP = 1, 2, 4, 5, 6
COMMAND, LAST = 1, 2
C_STORE_RQ = 0x0001
NO_DATASET = 0x0101
_GROUP_LENGTH = struct.pack("<HHI", 0, 0, 4)
_MESSAGE_ID = struct.pack("<HHI", 0, 0x0110, 2)


class Incoming:
    """What comes over one connection, the Data Sets dropped."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._head = memoryview(bytearray(12))
        self._dropped = memoryview(bytearray(1 << 20))  # given to the kernel, never written

    def pdu(self) -> tuple[int, bytes]:
        """A whole PDU: its type and what follows its header."""
        head = self.exactly(6)
        return head[0], self.exactly(int.from_bytes(head[2:6], "big"))

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Each DIMSE message as context and command set, once its Data Set has come too.

        Ends where the peer asks for the release of the association, or has closed the connection.
        """
        command = b""
        for context_id, control, value in self._pdvs():
            command += value
            if control & LAST and (not control & COMMAND or field(command, 0x0800) == NO_DATASET):
                yield context_id, command
                command = b""

    def _pdvs(self) -> Iterator[tuple[int, int, bytes]]:
        """Each fragment as context, control header, and its bytes where it is part of a command set."""
        head = self._head
        while True:
            # The heads of the PDU and of its first fragment; an A-RELEASE-RQ is shorter.
            got = self.connection.recv_into(head)
            if not got or head[0] != P_DATA:
                return
            while got < len(head):
                got += self._read(head[got:])
            left = int.from_bytes(head[2:6], "big")
            while True:
                length = int.from_bytes(head[6:10], "big") - 2
                value = self.exactly(length) if head[11] & COMMAND else self._drop(length)
                left -= length + 6
                yield head[10], head[11], value
                if left <= 0:
                    break
                self._read(head[6:])

    def exactly(self, count: int) -> bytes:
        parts = self.connection.recv(count, socket.MSG_WAITALL)
        if len(parts) < count:
            raise ConnectionError("the connection was closed within a message")
        return parts

    def _read(self, into: memoryview) -> int:
        got = self.connection.recv_into(into, len(into), socket.MSG_WAITALL)
        if got < len(into):
            raise ConnectionError("the connection was closed within a message")
        return got

    def _drop(self, count: int) -> bytes:
        while count:
            got = self.connection.recv_into(
                self._dropped, min(count, len(self._dropped)), socket.MSG_TRUNC | socket.MSG_WAITALL
            )
            if not got:
                raise ConnectionError("the connection was closed within a Data Set")
            count -= got
        return b""


def field(command: bytes, element: int) -> int:
    """The value of a number of a command set, which a PDV header may precede; -1 where it is absent."""
    at = max(0, command.find(_GROUP_LENGTH))
    while at + 8 <= len(command):
        group, number, length = struct.unpack_from("<HHI", command, at)
        if (group, number) == (0, element):
            return int.from_bytes(command[at + 8 : at + 8 + length], "little")
        at += 8 + length
    return -1


def store_rsp(context_id: int, command: bytes) -> bytes:
    """The PDU that answers a C-STORE request with Success."""
    before, after = _store_rsp_around_id(context_id)
    at = command.find(_MESSAGE_ID)
    return before + command[at + 8 : at + 10] + after


@lru_cache
def _store_rsp_around_id(context_id: int) -> tuple[bytes, bytes]:
    def element(number: int, value: int) -> bytes:
        return struct.pack("<HHIH", 0, number, 2, value)

    before = element(0x0100, 0x8001) + struct.pack("<HHI", 0, 0x0120, 2)
    after = element(0x0800, NO_DATASET) + element(0x0900, 0)
    size = len(before) + 2 + len(after)
    head = struct.pack(">BBIIBB", P_DATA, 0, size + 18, size + 14, context_id, COMMAND | LAST)
    return head + struct.pack("<HHII", 0, 0, 4, size) + before, after


def _associate_ac(request: bytes) -> bytes:
    """Yes to every presentation context (PS3.8 9.3.3)."""
    items, at = [_item(0x10, b"1.2.840.10008.3.1.1.1")], 68
    while at < len(request):
        kind, length = request[at], int.from_bytes(request[at + 2 : at + 4], "big")
        body = request[at + 4 : at + 4 + length]
        if kind == 0x20:
            syntax = next(value for kind, value in _items(body[4:]) if kind == 0x40)
            items.append(_item(0x21, bytes([body[0], 0, 0, 0]) + _item(0x40, syntax)))
        at += 4 + length
    items.append(_item(0x50, _item(0x51, struct.pack(">I", MAX_PDU)) + _item(0x52, b"2.25.1")))
    body = request[:68] + b"".join(items)
    return struct.pack(">BBI", ASSOCIATE_AC, 0, len(body)) + body


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at], data[at + 4 : at + 4 + length]
        at += 4 + length


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A connection that only looks whether anybody listens ends without a word.
    with connection, contextlib.suppress(ConnectionError):
        incoming = Incoming(connection)
        kind, request = incoming.pdu()
        if kind != ASSOCIATE_RQ:
            return
        connection.sendall(_associate_ac(request))
        for context_id, command in incoming.messages():
            if field(command, 0x0100) == C_STORE_RQ:
                connection.sendall(store_rsp(context_id, command))
        connection.sendall(struct.pack(">BBII", RELEASE_RP, 0, 4, 0))


def main() -> None:
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
