"""What stays within the machine is not paced; what leaves it is sent as the system says."""

from __future__ import annotations

import asyncio
import socket

import pytest

from gantry.client.sockets import connected_socket, is_loopback, listening_socket

pytestmark = pytest.mark.skipif(not hasattr(socket, "TCP_CONGESTION"), reason="Linux has the choice")


def control(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.127", False), ("pacs.example", False)],
)  # fmt: skip
def test_addresses_of_this_machine(host: str, here: bool) -> None:
    assert is_loopback(host) is here


def test_neither_side_paces_within_the_machine() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        listener.listen()
        with asyncio.run(connected_socket("127.0.0.1", listener.getsockname()[1])) as connection:
            accepted, _ = listener.accept()
            with accepted:
                assert control(connection) == control(accepted) == b"reno"


def test_a_socket_for_the_network_is_left_as_the_system_makes_it() -> None:
    with socket.socket() as plain, listening_socket("0.0.0.0", 0) as listener:
        assert control(listener) == control(plain)


def test_nobody_there_leaves_no_socket_behind() -> None:
    with listening_socket("127.0.0.1", 0) as not_listening, pytest.raises(ConnectionRefusedError):
        asyncio.run(connected_socket("127.0.0.1", not_listening.getsockname()[1]))
