"""C-GET and C-MOVE SCP: objects leave bit for bit, counts are true, and one that fails does not end the rest."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_role
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet

from dcmtk import free_port, run, storescp
from gantry.client import scu, sync
from gantry.client.connection import Peer
from gantry.client.scu import RetrieveProgress
from gantry.client.sinks import Arriving, FolderSink, MemorySink, Reception, Verdict
from gantry.dataset.encode import encode
from gantry.dimse.message import c_get_rq, c_move_rq
from gantry.dimse.negotiation import ProposedContext
from gantry.dimse.user_information import RoleSelection
from gantry.errors import ProtocolError
from gantry.server import retrieve_scp
from gantry.settings import Address
from gantry.standard import sop_classes as sop
from gantry.standard.query_keys import InformationModel, Level
from gantry.standard.transfer_syntaxes import transfer_syntax
from raw_peer import CT, IMPLICIT, RawPeer
from serving import MR, ROOT, Served, dataset, dataset_bytes, part10, served

STUDY = {"StudyInstanceUID": f"{ROOT}.1"}
EXPLICIT = ProposedContext(CT, (ExplicitVRLittleEndian,))


def fill(running: Served, count: int = 5, **attributes: Any) -> list[bytes]:
    files = [part10(dataset(number, **attributes)) for number in range(1, count + 1)]
    for file in files:
        running.archive.store([file])
    return files


@pytest.fixture
def gantry(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "data") as running:
        yield running


def get(running: Served, keys: dict[str, Any], sink: Any, level: Level = Level.STUDY, **options: Any) -> Any:
    peer = Peer("127.0.0.1", running.port, "GANTRY")
    return sync.get(peer, level, keys, sink, **{"storage": [EXPLICIT], **options})


# C-GET


@pytest.mark.parametrize("size", [256, 70_000 - 70_000 % 128, 9 << 20])
def test_get_gives_back_bit_for_bit(gantry: Served, size: int) -> None:
    files = fill(gantry, 2 if size > 1 << 20 else 5, size=size)
    sink = MemorySink()
    told: list[RetrieveProgress] = []
    result = get(gantry, STUDY, sink, progress=told.append)
    assert result.ok
    assert result.completed == len(files)
    assert {dataset_bytes(f) for f in sink.files} == {dataset_bytes(f) for f in files}
    remaining = [p.remaining for p in told if p.status == 0xFF00]
    assert remaining[0] == len(files) - 1
    assert remaining == sorted(remaining, reverse=True) and 0 not in remaining


def test_a_peer_is_told_how_far_it_is_a_few_times_a_second(
    gantry: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fill(gantry, 5)

    def told() -> list[int]:
        answers: list[RetrieveProgress] = []
        assert get(gantry, STUDY, MemorySink(), progress=answers.append).ok
        return [p.remaining for p in answers if p.status == 0xFF00]

    monkeypatch.setattr(retrieve_scp, "PENDING_EVERY_S", 3600.0)
    assert told() == [len(files) - 1]
    monkeypatch.setattr(retrieve_scp, "PENDING_EVERY_S", 0.0)
    assert told() == [4, 3, 2, 1]


def test_get_of_each_level(gantry: Served) -> None:
    for series in (1, 2):
        fill(gantry, 3, series=series)
    fill(gantry, 2, study=2)

    def count(level: Level, keys: dict[str, Any], **options: Any) -> int:
        sink = MemorySink()
        assert get(gantry, keys, sink, level, **options).ok
        return len(sink.files)

    series_keys = {**STUDY, "SeriesInstanceUID": f"{ROOT}.1.2"}
    uids = [f"{ROOT}.1.2.{n}" for n in (1, 3, 99)]
    assert count(Level.STUDY, STUDY) == 6
    assert count(Level.STUDY, {"StudyInstanceUID": [f"{ROOT}.1", f"{ROOT}.2"]}) == 8
    assert count(Level.SERIES, series_keys) == 3
    assert count(Level.IMAGE, {**series_keys, "SOPInstanceUID": uids}) == 2
    patient = {"model": InformationModel.PATIENT_ROOT}
    assert count(Level.PATIENT, {"PatientID": "P1"}, **patient) == 6
    assert count(Level.STUDY, {"PatientID": "P2", **STUDY}, **patient) == 0
    assert count(Level.STUDY, {"PatientID": "P1", **STUDY}, **patient) == 6


def test_get_of_nothing_is_success(gantry: Served) -> None:
    result = get(gantry, {"StudyInstanceUID": "1.2.3"}, MemorySink())
    assert (result.status, result.completed, result.failed) == (0, 0, 0)


def test_get_rewrites_native_syntaxes_that_the_peer_does_not_take(gantry: Served) -> None:
    [file] = fill(gantry, 1, size=4096)
    sink = MemorySink()
    storage = [ProposedContext(CT, (ImplicitVRLittleEndian,))]
    assert get(gantry, STUDY, sink, storage=storage).ok
    received, sent = dcmread(DicomBytesIO(sink.files[0])), dcmread(DicomBytesIO(file))
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert received.PixelData == sent.PixelData
    assert received.to_json_dict() == sent.to_json_dict()


def test_get_without_role_or_context_counts_failures_and_lists_them(gantry: Served) -> None:
    fill(gantry, 2)
    fill(gantry, 1, series=2, sop_class=MR)
    sink = MemorySink()
    result = get(gantry, STUDY, sink)
    assert (result.status, result.completed, result.failed) == (0xB000, 2, 1)
    assert result.failed_uids == (f"{ROOT}.1.2.1",)
    only_mr = get(gantry, {**STUDY, "SeriesInstanceUID": f"{ROOT}.1.2"}, sink, Level.SERIES)
    assert (only_mr.status, only_mr.failed) == (0xA702, 1)


def test_get_goes_on_after_one_object_is_refused(gantry: Served) -> None:
    fill(gantry, 5)

    class Choosy(MemorySink):
        def begin(self, arriving: Arriving) -> Reception | Verdict:
            if arriving.sop_instance_uid.endswith(".3"):
                return Verdict(0xA700, "not this one")
            return super().begin(arriving)

    sink = Choosy()
    result = get(gantry, STUDY, sink)
    assert (result.status, result.completed, result.failed) == (0xB000, 4, 1)
    assert result.failed_uids == (f"{ROOT}.1.1.3",)
    assert len(sink.files) == 4


def test_get_counts_warnings(gantry: Served) -> None:
    fill(gantry, 2)

    class Warns:
        def begin(self, arriving: Arriving) -> Verdict:
            return Verdict(0xB000, "coerced")

    result = get(gantry, STUDY, Warns())
    assert (result.status, result.warning, result.completed) == (0xB000, 2, 0)


class SlowSink(MemorySink):
    """Takes 20 ms an object."""

    def begin(self, arriving: Arriving) -> Reception | Verdict:
        time.sleep(0.02)
        return super().begin(arriving)


def test_get_can_be_cancelled(gantry: Served) -> None:
    fill(gantry, 60)
    sink = SlowSink()
    result = get(gantry, STUDY, sink, is_cancelled=lambda: len(sink.files) >= 2)
    assert result.status == 0xFE00
    assert 2 <= len(sink.files) < 60
    assert result.remaining + result.completed == 60


def test_what_goes_wrong_in_asking_whether_to_cancel_is_told(gantry: Served) -> None:
    fill(gantry, 3)

    def broken() -> bool:
        raise LookupError("nobody to ask")

    with pytest.raises(LookupError, match="nobody to ask"):
        get(gantry, STUDY, SlowSink(), is_cancelled=broken)


def test_a_damaged_file_fails_alone(gantry: Served, tmp_path: Path) -> None:
    fill(gantry, 3)
    victim = gantry.archive.locate()[1]
    (tmp_path / "data" / victim.path).unlink()
    sink = MemorySink()
    result = get(gantry, STUDY, sink)
    assert (result.status, result.completed, result.failed) == (0xB000, 2, 1)
    assert result.failed_uids == (victim.key.sop_uid,)


@pytest.mark.parametrize("level", ["PATIENT", "", "SERIES", "IMAGE", "STUDY"])
def test_b72_retrieve_without_its_unique_keys(gantry: Served, level: str) -> None:
    contexts = (
        ProposedContext(sop.STUDY_ROOT_GET, (IMPLICIT,)),
        ProposedContext(sop.STUDY_ROOT_MOVE, (IMPLICIT,)),
    )
    identifier = encode(
        {"00080052": {"vr": "CS", "Value": [level]}, "0020000D": {"vr": "UI"}}, transfer_syntax(IMPLICIT)
    )
    with RawPeer(gantry.port, contexts=contexts) as peer:
        peer.associate()
        peer.send(peer.message(1, c_get_rq(1, sop.STUDY_ROOT_GET), identifier))
        assert peer.status() == 0xA900


def test_b74_a_get_scu_that_stops_reading_is_cut(tmp_path: Path) -> None:
    contexts = (ProposedContext(sop.STUDY_ROOT_GET, (IMPLICIT,)), EXPLICIT)
    roles = (RoleSelection(CT, scu=False, scp=True),)
    identifier = encode(
        {"00080052": {"vr": "CS", "Value": ["STUDY"]}, "0020000D": {"vr": "UI", "Value": [f"{ROOT}.1"]}},
        transfer_syntax(IMPLICIT),
    )
    with served(tmp_path / "data", stall_timeout_s=0.3) as running:
        fill(running, 1, size=32 << 20)
        with RawPeer(running.port, contexts=contexts, roles=roles) as peer:
            peer.associate()
            peer.send(peer.message(1, c_get_rq(1, sop.STUDY_ROOT_GET), identifier))
            running.wait_until(lambda: running.server.connection_count == 0)
        assert sync.echo(Peer("127.0.0.1", running.port, "GANTRY")) == 0


@pytest.mark.peer
@pytest.mark.parametrize(
    "options", [("-S",), ("-P",), ("+xi", "-S"), ("--max-pdu", "4096", "-S")], ids=" ".join
)
def test_getscu(gantry: Served, tmp_path: Path, options: tuple[str, ...]) -> None:
    files = fill(gantry, 4, size=16384)
    out = tmp_path / "out"
    out.mkdir()
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={ROOT}.1"]
    if "-P" in options:
        keys += ["-k", "PatientID=P1"]
    done = run("getscu", *options, *keys, "-od", out, "-aec", "GANTRY", "127.0.0.1", gantry.port)
    assert done.returncode == 0, done.stderr
    got = {dcmread(p).SOPInstanceUID: dcmread(p).PixelData for p in out.iterdir()}
    assert got == {dcmread(DicomBytesIO(f)).SOPInstanceUID: dcmread(DicomBytesIO(f)).PixelData for f in files}


@pytest.mark.peer
def test_getscu_bit_preserving(gantry: Served, tmp_path: Path) -> None:
    files = fill(gantry, 2, size=4096)
    out = tmp_path / "out"
    out.mkdir()
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={ROOT}.1"]
    done = run("getscu", "-S", "+B", *keys, "-od", out, "127.0.0.1", gantry.port)
    assert done.returncode == 0, done.stderr
    assert {dataset_bytes(p.read_bytes()) for p in out.iterdir()} == {dataset_bytes(f) for f in files}


@pytest.mark.peer
def test_pynetdicom_gets(gantry: Served) -> None:
    files = fill(gantry, 3)
    received: list[str] = []

    def store(event: Any) -> int:
        received.append(event.dataset.SOPInstanceUID)
        return 0

    ae = AE()
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CT, ExplicitVRLittleEndian)
    association = ae.associate(
        "127.0.0.1",
        gantry.port,
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = "P1"
    answers = [s for s, _ in association.send_c_get(query, PatientRootQueryRetrieveInformationModelGet)]
    association.release()
    assert answers[-1].Status == 0
    assert answers[-1].NumberOfCompletedSuboperations == 3
    assert len(received) == len(files)


# C-MOVE


@contextmanager
def archive_and_destination(folder: Path, *options: str, aet: str = "DEST") -> Iterator[tuple[Served, Path]]:
    """Gantry knowing a storescp as DEST, the dead DEAD, and itself under its own title."""
    with storescp(folder / "in", *options, aet=aet) as port:
        remote = {
            "DEST": Address("127.0.0.1", port),
            "DEAD": Address("127.0.0.1", free_port()),
            "GANTRY": Address("127.0.0.1", 1),
        }
        with served(folder / "data", remote_aes=remote) as running:
            yield running, folder / "in"


def move(
    running: Served, keys: dict[str, Any], destination: str, level: Level = Level.STUDY, **options: Any
) -> Any:
    peer = Peer("127.0.0.1", running.port, "GANTRY")
    return sync.move(peer, level, keys, destination, **options)


@pytest.mark.peer
def test_move_sends_bit_for_bit(tmp_path: Path) -> None:
    with archive_and_destination(tmp_path, "+xa", "+B") as (running, received):
        files = fill(running, 5, size=65536)
        told: list[RetrieveProgress] = []
        result = move(running, STUDY, "DEST", progress=told.append)
        assert result.ok
        assert result.completed == 5
        assert next(p.remaining for p in told if p.status == 0xFF00) == 4
        assert {dataset_bytes(p.read_bytes()) for p in received.iterdir()} == {
            dataset_bytes(f) for f in files
        }


@pytest.mark.peer
def test_b73_move_to_a_peer_that_takes_another_syntax(tmp_path: Path) -> None:
    with archive_and_destination(tmp_path, "+xi") as (running, received):
        [file] = fill(running, 1, size=4096)
        assert move(running, STUDY, "DEST").ok
        [path] = received.iterdir()
        ds = dcmread(path)
        assert ds.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        assert ds.to_json_dict() == dcmread(DicomBytesIO(file)).to_json_dict()


@pytest.mark.peer
def test_b73_move_to_an_unknown_ae(tmp_path: Path) -> None:
    with archive_and_destination(tmp_path, "+xa") as (running, received):
        fill(running, 1)
        with pytest.raises(ProtocolError, match="A801H"):
            move(running, STUDY, "NOBODY")
        assert not list(received.iterdir())


@pytest.mark.peer
def test_b73_move_to_ourselves_is_refused(tmp_path: Path) -> None:
    with archive_and_destination(tmp_path, "+xa") as (running, _):
        fill(running, 1)
        with pytest.raises(ProtocolError, match="A801H"):
            move(running, STUDY, "GANTRY")


@pytest.mark.peer
def test_b73_move_to_a_dead_destination_counts_every_failure(tmp_path: Path) -> None:
    with archive_and_destination(tmp_path, "+xa") as (running, _):
        fill(running, 3)
        result = move(running, STUDY, "DEAD")
        assert (result.status, result.completed, result.failed) == (0xA702, 0, 3)
        assert len(result.failed_uids) == 3


def moved_to_one_that_breaks_off(
    folder: Path, is_too_much: Callable[[str], bool], count: int = 6
) -> tuple[Any, list[str], int]:
    """What came of a C-MOVE to an SCP that aborts over some objects; what it kept, over how many associations."""
    kept: list[str] = []
    accepted: list[int] = []

    def store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if is_too_much(uid):
            event.assoc.abort()
        else:
            kept.append(uid)
        return 0

    ae = AE("DEST")
    ae.add_supported_context(CT, ExplicitVRLittleEndian)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_ACCEPTED, lambda event: accepted.append(1))]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    remote = {"DEST": Address("127.0.0.1", server.socket.getsockname()[1])}
    try:
        with served(folder / "data", remote_aes=remote) as running:
            fill(running, count)
            result = move(running, STUDY, "DEST")
    finally:
        server.shutdown()
    return result, kept, len(accepted)


@pytest.mark.peer
@pytest.mark.parametrize("bad", [{1}, {2}, {6}, {2, 3, 5}], ids=str)
def test_b73_a_destination_that_breaks_off_over_an_object_gets_the_others(
    tmp_path: Path, bad: set[int]
) -> None:
    uids = {f"{ROOT}.1.1.{number}" for number in bad}
    result, kept, associations = moved_to_one_that_breaks_off(tmp_path, uids.__contains__)
    assert (result.status, result.completed, result.failed) == (0xB000, 6 - len(bad), len(bad))
    assert set(result.failed_uids) == uids
    assert len(kept) == len(set(kept)) == 6 - len(bad)
    assert associations <= len(bad) + 1


@pytest.mark.peer
def test_b73_a_destination_that_only_breaks_off_is_given_up(tmp_path: Path) -> None:
    result, kept, associations = moved_to_one_that_breaks_off(tmp_path, lambda uid: True)
    assert (result.status, result.completed, result.failed) == (0xA702, 0, 6)
    assert len(result.failed_uids) == 6
    assert not kept
    assert associations == retrieve_scp.FRUITLESS_ASSOCIATIONS


def test_b73_a_destination_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        remote = {"DEST": Address("127.0.0.1", silent.getsockname()[1])}
        with served(tmp_path / "data", remote_aes=remote, destination_timeout_s=0.3) as running:
            fill(running, 2)
            result = move(running, STUDY, "DEST")
            assert (result.status, result.failed) == (0xA702, 2)


def test_the_originator_of_a_move_is_told(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def store(event: Any) -> int:
        request = event.request
        seen.append((request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID))
        return 0

    ae = AE("DEST")
    ae.add_supported_context(CT, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    remote = {"DEST": Address("127.0.0.1", server.socket.getsockname()[1])}
    try:
        with served(tmp_path / "data", remote_aes=remote) as running:
            fill(running, 1)
            assert move(running, STUDY, "DEST", calling_aet="ASKER").ok
    finally:
        server.shutdown()
    assert seen == [("ASKER", 1)]


@pytest.mark.peer
@pytest.mark.parametrize("option", ["-S", "-P"])
def test_movescu(tmp_path: Path, option: str) -> None:
    with archive_and_destination(tmp_path, "+xa") as (running, received):
        fill(running, 4, size=16384)
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={ROOT}.1", "-k", "PatientID=P1"]
        done = run("movescu", option, "-aem", "DEST", *keys, "-aec", "GANTRY", "127.0.0.1", running.port)
        assert done.returncode == 0, done.stderr
        assert len(list(received.iterdir())) == 4


@pytest.mark.peer
def test_movescu_receiving_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    port = free_port()
    with served(tmp_path / "data", remote_aes={"MOVESCU": Address("127.0.0.1", port)}) as running:
        fill(running, 3)
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={ROOT}.1"]
        done = run(
            "movescu", "-S", "-aem", "MOVESCU", "--port", port, "-od", out, *keys, "127.0.0.1", running.port
        )
        assert done.returncode == 0, done.stderr
        assert len(list(out.iterdir())) == 3


@pytest.mark.peer
def test_move_to_the_calling_host(tmp_path: Path) -> None:
    """An AE that is not in the settings may have its own objects sent to itself, where that is allowed."""
    with storescp(tmp_path / "in", "+xa", aet="ASKER") as port:
        with served(tmp_path / "data", calling_host_port=port) as running:
            fill(running, 2)
            assert move(running, STUDY, "ASKER", calling_aet="ASKER").ok
            with pytest.raises(ProtocolError, match="A801H"):
                move(running, STUDY, "OTHER", calling_aet="ASKER")
        assert len(list((tmp_path / "in").iterdir())) == 2


def test_several_operations_on_one_association(tmp_path: Path) -> None:
    """Two C-MOVEs with different destinations run at once where a window was agreed."""
    barrier = threading.Barrier(2, timeout=20)

    def store(event: Any) -> int:
        barrier.wait()
        return 0

    servers = []
    for aet in ("ONE", "TWO"):
        ae = AE(aet)
        ae.add_supported_context(CT, ExplicitVRLittleEndian)
        servers.append(
            ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        )
    remote = {
        aet: Address("127.0.0.1", server.socket.getsockname()[1])
        for aet, server in zip(("ONE", "TWO"), servers, strict=True)
    }
    identifier = encode(
        {"00080052": {"vr": "CS", "Value": ["STUDY"]}, "0020000D": {"vr": "UI", "Value": [f"{ROOT}.1"]}},
        transfer_syntax(IMPLICIT),
    )
    try:
        with served(tmp_path / "data", remote_aes=remote) as running:
            fill(running, 1)
            contexts = (ProposedContext(sop.STUDY_ROOT_MOVE, (IMPLICIT,)),)
            with RawPeer(running.port, contexts=contexts) as peer:
                peer.associate()
                for message_id, aet in ((1, "ONE"), (2, "TWO")):
                    request = c_move_rq(message_id, sop.STUDY_ROOT_MOVE, aet)
                    peer.send(peer.message(1, request, identifier))
                answers = [peer.response()[0] for _ in range(2)]
    finally:
        for server in servers:
            server.shutdown()
    assert sorted(a.responded_to or 0 for a in answers) == [1, 2]
    assert [a.status for a in answers] == [0, 0]


def test_get_into_a_folder_names_files_by_uid(gantry: Served, tmp_path: Path) -> None:
    fill(gantry, 2)
    sink = FolderSink(tmp_path / "out")
    assert get(gantry, STUDY, sink).ok
    assert sorted(p.name for p in sink.paths) == [f"{ROOT}.1.1.{n}.dcm" for n in (1, 2)]
    assert scu.get_contexts([EXPLICIT])[1] == EXPLICIT
