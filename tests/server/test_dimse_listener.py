"""The DICOM listener under crowds, silence and shutdown: limits say no politely, and others go on."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dcmtk import run
from gantry.client import sync
from gantry.client.connection import Peer
from gantry.client.objects import outgoing_bytes
from gantry.client.scu import store_files
from gantry.dimse.events import Associated, Rejected
from gantry.errors import ConnectError
from raw_peer import CONTEXTS, RawPeer
from serving import Served, dataset, dataset_bytes, part10, served


@pytest.fixture
def gantry(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "data") as running:
        yield running


def echo(running: Served, called: str = "GANTRY", calling: str = "TESTER") -> int:
    return sync.echo(Peer("127.0.0.1", running.port, called), calling_aet=calling)


@pytest.mark.peer
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-aet", "SOMEBODY"),
        ("-pts", "3"),
        ("-pdu", "4096"),
        ("--propose-pc", "128"),
        ("--repeat", "5"),
        ("--abort",),
    ],
    ids=" ".join,
)
def test_echoscu(gantry: Served, options: tuple[str, ...]) -> None:
    done = run("echoscu", *options, "-aec", "GANTRY", "127.0.0.1", gantry.port)
    assert done.returncode == 0, done.stderr


# Silence


def test_b01_silence_is_closed_at_artim_and_others_are_served(tmp_path: Path) -> None:
    with served(tmp_path / "data", artim_timeout_s=0.2) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
        try:
            assert echo(running) == 0
            running.wait_until(lambda: running.server.connection_count == 0)
            for sock in silent:
                sock.settimeout(10)
                assert sock.recv(1) == b""
        finally:
            for sock in silent:
                sock.close()


def test_silent_connections_take_no_place_of_associations(tmp_path: Path) -> None:
    with served(tmp_path / "data", max_associations=2, max_associations_per_peer=2) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(100)]
        try:
            assert echo(running) == 0
        finally:
            for sock in silent:
                sock.close()


def test_b02_a_request_byte_by_byte_does_not_reset_artim(tmp_path: Path) -> None:
    with served(tmp_path / "data", artim_timeout_s=0.3) as running, RawPeer(running.port) as peer:
        began = time.monotonic()
        stop = threading.Event()
        data = peer.request_bytes()

        def drip() -> None:
            for byte in data:
                if stop.wait(0.02):
                    return
                try:
                    peer.sock.send(bytes([byte]))
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert peer.is_closed(5)
        assert time.monotonic() - began < 3
        stop.set()
        dripping.join()


def test_an_idle_association_is_aborted(tmp_path: Path) -> None:
    with served(tmp_path / "data", idle_timeout_s=0.2) as running, RawPeer(running.port) as peer:
        peer.associate()
        assert peer.aborted().by_peer
        peer.sock.close()
        running.wait_until(lambda: running.server.association_count == 0)


@pytest.mark.slow
def test_b21_a_thousand_connections_without_data_leave_nothing(gantry: Served) -> None:
    for _ in range(1000):
        socket.create_connection(("127.0.0.1", gantry.port)).close()
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    assert gantry.server.association_count == 0
    assert echo(gantry) == 0


# Limits


def rejection(peer: RawPeer) -> tuple[int, int, int]:
    event = peer.wait_for(Rejected)
    return event.result, event.source, event.reason


@pytest.mark.parametrize("limits", [{"max_associations": 2}, {"max_associations_per_peer": 2}], ids=str)
def test_b20_one_association_too_many(tmp_path: Path, limits: dict[str, int]) -> None:
    with served(tmp_path / "data", **limits) as running:
        with RawPeer(running.port) as one, RawPeer(running.port) as two, RawPeer(running.port) as three:
            one.associate()
            two.associate()
            three.send(three.request_bytes())
            assert rejection(three) == (2, 3, 2)
            one.association.release()
            one.send(one.output())
            assert one.is_closed()
        running.wait_until(lambda: running.server.connection_count == 0)
        assert echo(running) == 0


def test_n17_two_hundred_senders(tmp_path: Path) -> None:
    """At the limit new ones are rejected for now; accepted ones finish, and nothing acknowledged is missing."""
    objects = [outgoing_bytes(part10(dataset(number, size=4096))) for number in range(1, 201)]
    with served(tmp_path / "data", max_associations=20, max_associations_per_peer=20) as running:
        peer = Peer("127.0.0.1", running.port, "GANTRY")

        async def send_one(number: int) -> str:
            try:
                [result] = await store_files(peer, [objects[number]], calling_aet=f"S{number}")
            except ConnectError as error:
                return (
                    "rejected for now"
                    if "rejected for now: local limit exceeded" in str(error)
                    else str(error)
                )
            return "stored" if result.ok else result.comment

        async def send_all() -> list[str]:
            return await asyncio.gather(*(send_one(n) for n in range(200)))

        outcomes = Counter(asyncio.run(send_all()))
        assert set(outcomes) <= {"stored", "rejected for now"}, outcomes
        assert outcomes["stored"] >= 20
        assert len(running.archive.locate()) == outcomes["stored"]
        running.wait_until(lambda: running.server.connection_count == 0)
        assert echo(running) == 0


# Negotiation


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda rq: rq[:6] + b"\x00\x02" + rq[8:], (1, 2, 2)),
        (lambda rq: rq.replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"), (1, 1, 2)),
        (lambda rq: rq[:26] + b"BAD\\AET         " + rq[42:], (1, 1, 3)),
        (lambda rq: rq[:26] + b"BAD\r\nAET        " + rq[42:], (1, 1, 3)),
        (lambda rq: rq[:26] + b"../../etc       " + rq[42:], (1, 1, 3)),
        (lambda rq: rq[:26] + b"T\xc4TER           " + rq[42:], (1, 1, 3)),
        (lambda rq: rq[:10] + b"BAD\\AET         " + rq[26:], (1, 1, 7)),
    ],
    ids=["b15", "b16", "b18 backslash", "b18 crlf", "b18 path", "b18 non-ascii", "b18 called"],
)
def test_b15_b16_b18_rejections(gantry: Served, change: object, answer: tuple[int, int, int]) -> None:
    with RawPeer(gantry.port) as peer:
        peer.send(change(peer.request_bytes()))  # type: ignore[operator]
        assert rejection(peer) == answer


def test_b17_an_unknown_called_title_is_rejected_where_set(tmp_path: Path) -> None:
    with served(tmp_path / "data", check_called_aet=True, ae_title="HERE") as running:
        assert echo(running, "HERE") == 0
        with pytest.raises(ConnectError, match="called AE title not recognized"):
            echo(running, "THERE")


def test_any_called_title_is_accepted_by_default(gantry: Served) -> None:
    assert echo(gantry, "WHOEVER") == 0


def test_b12_duplicate_and_even_context_ids(gantry: Served) -> None:
    with RawPeer(gantry.port, contexts=(*CONTEXTS, CONTEXTS[0])) as peer:
        request = bytearray(peer.request_bytes())
        # The third context takes the ID of the first: neither can be used any more.
        at = request.rindex(b"\x20\x00", 0, request.rindex(b"1.2.840.10008.1.1"))
        request[at + 4] = 1
        peer.send(bytes(request))
        answer = peer.wait_for(Associated).answer
        assert [c.accepted for c in answer.contexts if c.context_id == 1] == [False]


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"\x00" * 64, 1),
        (b"\x08" + b"\x00" * 63, 1),
        (b"\xff" * 64, 1),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x00", 2),
        (b"\x01\x00\xff\xff\xff\xff", 6),
        (b"\x01\x00\x00\x00\x00\x00", 6),
    ],
    ids=["b03 type 0", "b03 type 8", "b03 type ff", "b04 data first", "b06 length ffffffff", "b08 length 0"],
)
def test_b03_b04_b06_b08_garbage_first(gantry: Served, garbage: bytes, reason: int) -> None:
    with socket.create_connection(("127.0.0.1", gantry.port), 10) as sock:
        sock.sendall(garbage)
        answer = sock.recv(64)
    assert answer[0] == 7
    assert (answer[8], answer[9]) == (2, reason)


def test_b05_a_second_request(gantry: Served) -> None:
    with RawPeer(gantry.port) as peer, RawPeer(gantry.port) as other:
        peer.associate()
        peer.send(other.request_bytes())
        assert peer.aborted().reason == 2


def pdu(*values: bytes, length: int | None = None) -> bytes:
    """A P-DATA-TF of presentation data values, with a length of its own or a wrong one."""
    body = b"".join(values)
    return struct.pack(">BxI", 4, len(body) if length is None else length) + body


def value(context_id: int, control: int, data: bytes, *, length: int | None = None) -> bytes:
    """A presentation data value (PS3.8 9.3.5.1); control 1 is command, 2 last."""
    return struct.pack(">IBB", len(data) + 2 if length is None else length, context_id, control) + data


def element(tag: int, data: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(data)) + data


US = struct.Struct("<H").pack
ECHO = {
    0x00000002: b"1.2.840.10008.1.1\0",
    0x00000100: US(0x0030),
    0x00000110: US(1),
    0x00000800: US(0x0101),
}


def command_set(changes: dict[int, bytes | None]) -> bytes:
    """A C-ECHO-RQ with elements changed or, where None, left out."""
    elements = {**ECHO, **changes}
    body = b"".join(element(tag, data) for tag, data in sorted(elements.items()) if data is not None)
    return element(0, struct.pack("<I", len(body))) + body


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (pdu(value(1, 3, b"", length=1)), 6),
        (pdu(value(1, 3, b"", length=0)), 6),
        (pdu(value(1, 3, b"abcd", length=99)), 6),
        (pdu(length=2) + b"ab", 6),
        (pdu(value(1, 3, command_set({0x00000100: None}))), None),
        (pdu(value(1, 3, command_set({0x00000110: None}))), None),
        (pdu(value(1, 3, command_set({0x00000100: US(0x0999)}))), None),
        (pdu(value(1, 3, command_set({}) + element(0x00000110, US(2)))), None),
        (pdu(value(1, 3, b"\0\0\0\0UL\x04\0\0\0\0\0")), None),
        (pdu(value(1, 1, bytes(60_000)), value(1, 1, bytes(10_000))), None),
        (pdu(value(1, 0, b"no command before")), 2),
        (pdu(value(1, 3, command_set({}))) + pdu(value(1, 2, b"data that was not announced")), 2),
        (pdu(value(1, 3, command_set({0x00000800: US(1)}))) + pdu(value(1, 3, command_set({}))), 2),
        (pdu(value(99, 3, command_set({}))), 5),
    ],
    ids=[
        "b09 length 1", "b09 length 0", "b09 past the end", "b08 too short", "b22 no command field",
        "b22 no message id", "b22 unknown command", "b22 duplicate", "b22 explicit VR", "b22 too long",
        "b23 data first", "b23 data not announced", "b23 data missing", "b24 unknown context",
    ],
)  # fmt: skip
def test_b08_b09_b22_b23_b24_broken_messages(gantry: Served, sent: bytes, reason: int | None) -> None:
    """Each ends its own association with the right reason, and no other."""
    with RawPeer(gantry.port) as bystander, RawPeer(gantry.port) as peer:
        bystander.associate()
        peer.associate()
        peer.send(sent)
        aborted = peer.aborted()
        assert aborted.source == 2
        assert reason is None or aborted.reason == reason
        bystander.send(bystander.echo_bytes())
        assert bystander.status() == 0


def test_http_at_the_dicom_port_is_aborted(gantry: Served) -> None:
    with socket.create_connection(("127.0.0.1", gantry.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(64)[:1] == b"\x07"
    assert echo(gantry) == 0


# Logs


def test_b18_titles_are_escaped_in_logs(gantry: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gantry.dimse")
    with RawPeer(gantry.port) as peer:
        request = peer.request_bytes()
        peer.send(request[:26] + b"X\r\nFAKE LINE    " + request[42:])
        peer.wait_for(Rejected)
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    [line] = [r.getMessage() for r in caplog.records if "association ended" in r.getMessage()]
    assert "\n" not in line
    assert "\r" not in line
    assert r"X\r\nFAKE LINE" in line


def test_one_line_per_association_and_none_with_patient_data(
    gantry: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "gantry")
    files = [part10(dataset(1)), part10(dataset(2))]
    sync.store(Peer("127.0.0.1", gantry.port, "GANTRY"), files, calling_aet="SCANNER")
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    lines = [r.getMessage() for r in caplog.records]
    [ended] = [line for line in lines if "association ended" in line]
    assert "released" in ended
    assert "calling=SCANNER" in ended
    assert "C-STORE:2" in ended
    assert "127.0.0.1" in ended
    assert not any("Doe" in line or "Jane" in line for line in lines)


def test_a_refused_object_is_logged_with_the_place(gantry: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gantry.dimse")
    with RawPeer(gantry.port, calling="SCANNER") as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(part10(dataset()))[:300], str(dataset().SOPInstanceUID)))
        assert peer.status() & 0xF000 == 0xC000
    [line] = [r.getMessage() for r in caplog.records if "C-STORE refused" in r.getMessage()]
    assert "offset" in line
    assert "aet=SCANNER" in line
    assert "peer=127.0.0.1" in line
    assert "Doe" not in line


# Shutdown


@pytest.mark.slow
def test_n18_drain_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Senders keep sending while the server stops: what they were told is kept, is kept."""
    acknowledged: set[str] = set()
    enough = threading.Event()
    lock = threading.Lock()

    def send(sender: int) -> None:
        objects = [outgoing_bytes(part10(dataset(n, study=sender, size=16384))) for n in range(1, 120)]

        def note(result: object) -> None:
            if result.ok:  # type: ignore[attr-defined]
                with lock:
                    acknowledged.add(result.sop_instance_uid)  # type: ignore[attr-defined]
                    if len(acknowledged) >= 20:
                        enough.set()

        results = sync.store(Peer("127.0.0.1", running.port, "GANTRY"), objects, progress=note)
        assert len(results) == len(objects)

    with served(tmp_path / "data") as running:
        with ThreadPoolExecutor(4) as pool:
            senders = [pool.submit(send, n) for n in range(1, 5)]
            assert enough.wait(30)
            running.call(running.server.drain(10))
            for sender in senders:
                sender.result(30)
        kept = {location.key.sop_uid for location in running.archive.locate()}
    assert acknowledged <= kept
    assert len(acknowledged) >= 20


def test_drain_refuses_new_connections_and_ends_idle_ones(tmp_path: Path) -> None:
    with served(tmp_path / "data") as running, RawPeer(running.port) as idle:
        idle.associate()
        draining = threading.Thread(target=lambda: running.call(running.server.drain(5)))
        draining.start()
        # The server asks for the release; we answer as any peer would.
        while not idle.association.closed and draining.is_alive():
            if not idle._read(time.monotonic() + 0.1):
                break
            output = idle.output()
            if output:
                idle.send(output)
        draining.join(10)
        assert not draining.is_alive()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), 1)


@pytest.mark.slow
def test_drain_aborts_a_peer_that_does_not_end(tmp_path: Path) -> None:
    with served(tmp_path / "data") as running, RawPeer(running.port) as stubborn:
        stubborn.associate()
        half = stubborn.store_bytes(dataset_bytes(part10(dataset(size=65536))), "1.2.3")[:1000]
        stubborn.send(half)
        began = time.monotonic()
        running.call(running.server.drain(0.3))
        assert time.monotonic() - began < 5
        assert stubborn.is_closed()
