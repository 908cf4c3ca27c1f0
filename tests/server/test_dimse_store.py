"""C-STORE SCP over real sockets: what arrives is kept bit for bit, and bad input leaves no trace."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
import uvloop
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE

from dcmtk import run
from gantry.client import sync
from gantry.client.connection import Peer
from gantry.client.native import as_native
from gantry.client.objects import Outgoing, outgoing_bytes
from gantry.dimse.message import c_store_rq
from gantry.dimse.negotiation import ProposedContext
from gantry.dimse.user_information import AsyncWindow
from raw_peer import CT, CT_ID, EXPLICIT, RawPeer
from serving import MR, Served, dataset, dataset_bytes, part10, series, served


@pytest.fixture
def gantry(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "data") as running:
        yield running


def kept(running: Served) -> dict[str, bytes]:
    """The Data Sets of all visible objects by SOP Instance UID."""
    archive = running.archive
    return {
        location.key.sop_uid: archive.read(location)[location.dataset_offset :]
        for location in archive.locate()
    }


def uid_of(file: bytes) -> str:
    return str(dcmread(DicomBytesIO(file), stop_before_pixels=True).SOPInstanceUID)


def is_untouched(running: Served) -> bool:
    """Nothing visible, nothing on its way, nothing outside its place."""
    return not running.archive.locate() and running.archive.stats().versions == 0


# What people do


@pytest.mark.peer
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-xe",),
        ("-xi",),
        ("-xb",),
        ("-pdu", "4096"),
        ("--max-send-pdu", "4096"),
        ("-R",),
        ("+C",),
        ("-up",),
    ],
    ids=" ".join,
)
def test_storescu(gantry: Served, tmp_path: Path, options: tuple[str, ...]) -> None:
    files = series(3, size=65536)
    for number, file in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(file)
    done = run("storescu", *options, "-aec", "GANTRY", "127.0.0.1", gantry.port, *tmp_path.glob("*.dcm"))
    assert done.returncode == 0, done.stderr
    found = gantry.archive.locate()
    assert len(found) == 3
    for location in found:
        ds = dcmread(DicomBytesIO(gantry.archive.read(location)))
        assert ds.PatientName == "Doe^Jane"
        assert ds.file_meta.SourceApplicationEntityTitle == "STORESCU"


@pytest.mark.peer
@pytest.mark.parametrize(
    ("option", "syntax"),
    [("-xe", ExplicitVRLittleEndian), ("-xi", ImplicitVRLittleEndian)],
)
def test_storescu_in_each_native_syntax(gantry: Served, tmp_path: Path, option: str, syntax: str) -> None:
    """What the sender converts to is what is kept, and it is the same image."""
    (tmp_path / "one.dcm").write_bytes(part10(dataset(size=4096)))
    done = run("storescu", option, "127.0.0.1", gantry.port, tmp_path / "one.dcm")
    assert done.returncode == 0, done.stderr
    [location] = gantry.archive.locate()
    assert location.transfer_syntax_uid == syntax
    assert dcmread(DicomBytesIO(gantry.archive.read(location))).InstanceNumber == 1


@pytest.mark.peer
def test_pynetdicom_sends_with_asynchronous_operations(gantry: Served) -> None:
    ae = AE("SENDER")
    ae.add_requested_context(CT, ExplicitVRLittleEndian)
    from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 8
    window.maximum_number_operations_performed = 1
    association = ae.associate("127.0.0.1", gantry.port, ext_neg=[window])
    assert association.is_established
    answered = association.acceptor.asynchronous_operations
    assert answered == (8, 1)
    for file in series(5):
        assert association.send_c_store(dcmread(DicomBytesIO(file))).Status == 0
    association.release()
    assert len(gantry.archive.locate()) == 5


@pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop])
@pytest.mark.parametrize("size", [256, 65536, 3 << 20])
def test_bytes_are_kept_bit_for_bit(
    tmp_path: Path, loop_factory: Callable[[], asyncio.AbstractEventLoop], size: int
) -> None:
    files = series(4, size=size)
    with served(tmp_path / "data", loop_factory=loop_factory) as running:
        results = sync.store(Peer("127.0.0.1", running.port, "GANTRY"), files)
        assert [r.status for r in results] == [0] * 4
        assert kept(running) == {uid_of(file): dataset_bytes(file) for file in files}


def test_big_endian_is_kept_as_it_came(gantry: Served) -> None:
    swapped = as_native(outgoing_bytes(part10(dataset(size=4096))), ExplicitVRBigEndian)
    assert [r.status for r in sync.store(Peer("127.0.0.1", gantry.port, "GANTRY"), [swapped])] == [0]
    [location] = gantry.archive.locate()
    assert location.transfer_syntax_uid == ExplicitVRBigEndian
    assert list(kept(gantry).values()) == [b"".join(swapped.read())]


def test_four_associations_with_a_window(gantry: Served) -> None:
    files = series(40, size=4096)
    results = sync.store(Peer("127.0.0.1", gantry.port, "GANTRY"), files, associations=4)
    assert len(results) == 40
    assert all(r.ok for r in results)
    assert kept(gantry) == {uid_of(file): dataset_bytes(file) for file in files}


def test_requests_of_one_association_overlap(gantry: Served) -> None:
    """Sixteen requests are sent before one answer is read; each gets its own."""
    files = series(16, size=4096)
    with RawPeer(gantry.port, window=AsyncWindow(16, 1)) as peer:
        assert peer.associate().answer.user.async_window == AsyncWindow(16, 1)
        peer.send(
            b"".join(
                peer.store_bytes(dataset_bytes(file), uid_of(file), number)
                for number, file in enumerate(files, 1)
            )
        )
        answers = {peer.response()[0].responded_to: 0 for _ in files}
    assert sorted(answers) == list(range(1, 17))
    assert len(gantry.archive.locate()) == 16


def test_the_same_again_is_success_and_nothing_new(gantry: Served) -> None:
    peer = Peer("127.0.0.1", gantry.port, "GANTRY")
    file = part10(dataset())
    assert [r.status for r in sync.store(peer, [file, file])] == [0, 0]
    assert gantry.archive.stats().versions == 1


def test_b77_the_same_uid_with_other_bytes_is_a_new_version(gantry: Served) -> None:
    peer = Peer("127.0.0.1", gantry.port, "GANTRY")
    files = [part10(dataset(PatientName=name)) for name in ("Doe^Jane", "Doe^John")]
    assert [r.status for r in sync.store(peer, files)] == [0, 0]
    assert gantry.archive.stats().versions == 2
    assert kept(gantry) == {uid_of(files[1]): dataset_bytes(files[1])}


def test_who_sent_it_is_noted(gantry: Served) -> None:
    sync.store(Peer("127.0.0.1", gantry.port, "GANTRY"), [part10(dataset())], calling_aet="SCANNER")
    [location] = gantry.archive.locate()
    [version] = gantry.archive.versions(location.key)
    assert (version.origin.source_aet, version.origin.peer, version.origin.via) == (
        "SCANNER",
        "127.0.0.1",
        "C-STORE",
    )


# Bad input


def test_b07_p_data_longer_than_announced(tmp_path: Path) -> None:
    with served(tmp_path / "data", max_pdu=4096) as running, RawPeer(running.port) as peer:
        peer.associate()
        peer.send(struct.pack(">BxI", 4, 4097) + bytes(4097))
        assert peer.aborted().reason == 6
        assert is_untouched(running)


def test_b10_half_a_pdu_then_fin(gantry: Served) -> None:
    file = part10(dataset(size=4096))
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(file), uid_of(file))[:-100])
        peer.sock.shutdown(socket.SHUT_WR)
        assert peer.is_closed()
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    assert is_untouched(gantry)


def test_b11_half_a_pdu_then_rst(gantry: Served) -> None:
    file = part10(dataset(size=4096))
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(file), uid_of(file))[:-100])
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    assert is_untouched(gantry)


def test_b24_data_on_a_context_not_accepted(gantry: Served) -> None:
    contexts = (ProposedContext("1.2.840.10008.5.1.4.31", (EXPLICIT,)), ProposedContext(CT, (EXPLICIT,)))
    with RawPeer(gantry.port, contexts=contexts) as peer:
        peer.associate()
        sent = bytearray(peer.store_bytes(b"", "1.2"))
        sent[10] = 1
        peer.send(bytes(sent))
        assert peer.aborted().reason == 5


def test_b26_a_data_set_that_never_ends_is_cut(tmp_path: Path) -> None:
    with served(tmp_path / "data", max_object_bytes=4 << 20) as running:
        with RawPeer(running.port) as peer:
            peer.associate()
            endless = peer.store_bytes(bytes(64 << 20), "1.2.3")
            with contextlib.suppress(ConnectionError):  # cut while we are sending, which is the point
                peer.send(endless)
            assert peer.is_closed()
        running.wait_until(lambda: running.server.connection_count == 0)
        assert is_untouched(running)
        assert not any((tmp_path / "data" / "incoming").iterdir())


def test_b26_the_status_is_a700(tmp_path: Path) -> None:
    with served(tmp_path / "data", max_object_bytes=1 << 20) as running, RawPeer(running.port) as peer:
        peer.associate()
        # Just above the limit: it is all on the wire when the answer comes, so that can be read.
        peer.send(peer.store_bytes(bytes((1 << 20) + 2), "1.2.3"))
        assert peer.status() == 0xA700
        assert is_untouched(running)


def test_b27_abort_in_the_middle_keeps_earlier_ones(gantry: Served) -> None:
    first, second = series(2, size=65536)
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(first), uid_of(first), 1))
        assert peer.status() == 0
        part = peer.store_bytes(dataset_bytes(second), uid_of(second), 2)[:30000]
        # An A-ABORT stands between PDUs, so the PDU that was begun ends here.
        begun = struct.unpack_from(">I", part, 2)[0]
        peer.send(part[:2] + struct.pack(">I", len(part) - 6) + part[6:] if begun else part)
        peer.association.abort()
        peer.send(peer.output())
        assert peer.is_closed()
    gantry.wait_until(lambda: gantry.server.connection_count == 0)
    assert list(kept(gantry)) == [uid_of(first)]


def test_b28_release_while_a_request_is_outstanding_answers_first(gantry: Served) -> None:
    file = part10(dataset(size=65536))
    with RawPeer(gantry.port) as peer:
        peer.associate()
        store = peer.store_bytes(dataset_bytes(file), uid_of(file))
        peer.association.release()
        peer.send(store + peer.output())
        assert peer.status() == 0
        assert peer.is_closed()
    assert list(kept(gantry)) == [uid_of(file)]


@pytest.mark.parametrize("command_uid", ["1.2.3.4", "1.2.826.0.1.3680043.10.1.1.1.10"])
def test_b29_uid_in_command_and_data_set_differ(gantry: Served, command_uid: str) -> None:
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(part10(dataset())), command_uid))
        assert peer.status() == 0xA900
    assert is_untouched(gantry)


def test_b29_sop_class_in_command_and_data_set_differ(gantry: Served) -> None:
    with RawPeer(gantry.port) as peer:
        peer.associate()
        file = part10(dataset(sop_class=MR))
        peer.send(peer.store_bytes(dataset_bytes(file), uid_of(file)))
        assert peer.status() == 0xA900
    assert is_untouched(gantry)


def test_b30_sop_class_not_that_of_the_context(gantry: Served) -> None:
    with RawPeer(gantry.port) as peer:
        peer.associate()
        file = part10(dataset(sop_class=MR))
        peer.send(peer.store_bytes(dataset_bytes(file), uid_of(file), sop_class_uid=MR))
        assert peer.status() in (0xA900, 0x0122)
    assert is_untouched(gantry)


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_b31_missing_uid(gantry: Served, keyword: str, how: str) -> None:
    ds = dataset()
    uid = ds.SOPInstanceUID
    ds.file_meta = None
    file = part10(ds)
    broken = dcmread(DicomBytesIO(file))
    if how == "missing":
        delattr(broken, keyword)
    else:
        setattr(broken, keyword, "")
    buffer = DicomBytesIO()
    broken.save_as(buffer)
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(buffer.getvalue()), uid))
        assert peer.status() & 0xF000 == 0xC000
    assert is_untouched(gantry)


HOSTILE = ["../../etc/x", "..\\..\\x", "/abs", "%2e%2e", "1.2\0/../x", "1" * 300, "1.2 .3"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("uid", HOSTILE)
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_b33_uid_that_is_a_path(tmp_path: Path, keyword: str, uid: str) -> None:
    """Refused in whichever place it stands, and nothing appears beside the archive."""
    root = tmp_path / "root"
    root.mkdir()
    before = sorted(tmp_path.rglob("*"))
    good = dataset_bytes(part10(dataset()))
    placed = _replaced_uid(good, keyword, uid)
    sop = uid if keyword == "SOPInstanceUID" else str(dataset().SOPInstanceUID)
    with served(root / "data") as running, RawPeer(running.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(placed, sop))
        assert peer.status() == 0xA900
        assert is_untouched(running)
    outside = [p for p in tmp_path.rglob("*") if root / "data" not in [p, *p.parents]]
    assert sorted(outside) == sorted(before)


def test_b33_uid_that_is_a_path_in_the_command_only(gantry: Served) -> None:
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(part10(dataset())), "../../etc/x"))
        assert peer.status() == 0xA900
    assert is_untouched(gantry)


def _replaced_uid(data: bytes, keyword: str, uid: str) -> bytes:
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, b"UI")
    at = data.index(head)
    length = struct.unpack_from("<H", data, at + 6)[0]
    value = uid.encode("latin-1")
    value += b"\0" * (len(value) % 2)
    return data[: at + 6] + struct.pack("<H", len(value)) + value + data[at + 8 + length :]


@pytest.mark.parametrize("keep", [1, 7, 50, 300])
def test_a_data_set_cut_anywhere_is_refused(gantry: Served, keep: int) -> None:
    file = part10(dataset())
    with RawPeer(gantry.port) as peer:
        peer.associate()
        peer.send(peer.store_bytes(dataset_bytes(file)[:keep], uid_of(file)))
        assert peer.status() & 0xF000 == 0xC000
        peer.send(peer.echo_bytes(2))
        assert peer.status() == 0
    assert is_untouched(gantry)


def test_a_request_without_data_set_is_refused(gantry: Served) -> None:
    with RawPeer(gantry.port) as peer:
        peer.associate()
        command = c_store_rq(1, CT, "1.2.3")
        from msgspec.structs import replace

        peer.send(peer.message(CT_ID, replace(command, has_dataset=False)))
        assert peer.status() == 0xC000


def test_split_at_every_byte(gantry: Served) -> None:
    """One association whose bytes come singly: request, C-STORE, release."""
    file = part10(dataset())
    with RawPeer(gantry.port) as peer:
        for byte in peer.request_bytes():
            peer.send(bytes([byte]))
        peer.wait_for(_associated())
        for byte in peer.store_bytes(dataset_bytes(file), uid_of(file)):
            peer.send(bytes([byte]))
        assert peer.status() == 0
        peer.association.release()
        for byte in peer.output():
            peer.send(bytes([byte]))
        assert peer.is_closed()
    assert kept(gantry) == {uid_of(file): dataset_bytes(file)}


def _associated() -> Any:
    from gantry.dimse.events import Associated

    return Associated


def test_n07_no_room_is_told_before_the_body_and_reads_go_on(tmp_path: Path) -> None:
    with served(tmp_path / "data", reserve_bytes=1 << 60) as running:
        peer = Peer("127.0.0.1", running.port, "GANTRY")
        [result] = sync.store(peer, [part10(dataset())])
        assert result.status == 0xA700
        assert sync.echo(peer) == 0
        assert is_untouched(running)


def test_n11_abort_after_every_nth_pdu(gantry: Served) -> None:
    """However far a sender comes: what was answered stays, what was not leaves nothing."""
    files = series(3, size=8192)
    whole = 0
    for cut in range(1, 40):
        with RawPeer(gantry.port, calling=f"CUT{cut}") as peer:
            peer.associate()
            pdus = _small_pdus(peer, files, study=cut + 10)
            for pdu in pdus[:cut]:
                peer.send(pdu)
            acknowledged = _answers_ready(peer, pdus[:cut])
            peer.association.abort()
            peer.send(peer.output())
            assert peer.is_closed()
        gantry.wait_until(lambda: gantry.server.connection_count == 0)
        found = gantry.archive.locate(str(dataset(study=cut + 10).StudyInstanceUID))
        assert len(found) == acknowledged
        whole += acknowledged
        if cut >= len(pdus):
            break
    assert whole > 0


def _small_pdus(peer: RawPeer, files: list[bytes], *, study: int) -> list[bytes]:
    """The C-STORE messages of three objects in a study of their own, as single P-DATA-TF PDUs of 2 KiB."""
    peer.association.peer_max_pdu = 2048
    sent = b""
    for number in range(1, len(files) + 1):
        file = part10(dataset(number, study=study, size=8192))
        sent += peer.store_bytes(dataset_bytes(file), uid_of(file), number)
    pdus = []
    while sent:
        length = 6 + struct.unpack_from(">I", sent, 2)[0]
        pdus.append(sent[:length])
        sent = sent[length:]
    return pdus


def _answers_ready(peer: RawPeer, pdus: list[bytes]) -> int:
    """Wait for an answer to each whole message among `pdus`; how many there were."""
    whole = sum(1 for pdu in pdus if _ends_dataset(pdu))
    for _ in range(whole):
        assert peer.status() == 0
    return whole


def _ends_dataset(pdu: bytes) -> bool:
    """Whether the last presentation data value of a PDU ends a Data Set (PS3.8 E.2: control 2)."""
    at = 6
    control = 0
    while at < len(pdu):
        length, _, control = struct.unpack_from(">IBB", pdu, at)
        at += 4 + length
    return control == 2


@pytest.mark.soak
def test_n16_a_large_object_does_not_show_in_memory(tmp_path: Path) -> None:
    """512 MiB over one association: what the process holds of its own grows by a fixed budget at most."""
    head = dataset_bytes(part10(dataset(size=128)))
    at = head.index(b"\xe0\x7f\x10\x00OW\0\0")
    pixels = 512 << 20
    head = head[: at + 8] + struct.pack("<I", pixels)
    block = bytes(1 << 20)
    large = Outgoing(
        CT,
        str(dataset().SOPInstanceUID),
        EXPLICIT,
        len(head) + pixels,
        lambda: chain([head], repeat(block, 512)),
    )
    with served(tmp_path / "data") as running:
        sync.store(Peer("127.0.0.1", running.port, "GANTRY"), [part10(dataset(2))])
        before = _own_memory_bytes()
        watching = _Peak()
        with watching:
            [result] = sync.store(Peer("127.0.0.1", running.port, "GANTRY"), [large])
        assert result.ok
        # Two processes' worth in one: the sender's buffers are here as well.
        assert watching.peak_bytes - before < 64 << 20
        assert running.archive.locate()[0].file_size > pixels


def _own_memory_bytes() -> int:
    """Memory that is not a mapped file."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    pytest.skip("this system does not tell a process's own memory")


class _Peak:
    """Looks at the process's memory while a test runs."""

    def __enter__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.01):
            self.peak_bytes = max(self.peak_bytes, _own_memory_bytes())
