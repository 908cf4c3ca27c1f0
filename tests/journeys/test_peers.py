"""A day at a real server: other people's programs send, ask, fetch, and get what was sent.

DCMTK with the compressed syntaxes that its tools make, pynetdicom on both ends with asynchronous operations,
dicomweb-client, and Orthanc where it is installed. What each option of one program does is tried in
tests/server and tests/client; here one program's output is the next one's input.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyRootGet

import dcmtk
from gantry.toolkit.example import example_study
from gantry_process import Gantry, gantry, running, wait_until
from senders import digest
from serving import CT, ROOT, dataset, part10, series

pytestmark = pytest.mark.peer

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gantry]:
    with running(tmp_path_factory.mktemp("site") / "data", reserve_bytes=0) as started:
        yield started


# How DCMTK writes each syntax, how storescu proposes it and getscu asks for it
SYNTAXES = [
    pytest.param(("dcmcjpeg", "+e1"), "-xs", "+xs", id="JPEG lossless"),
    pytest.param(("dcmcjpls",), "-xt", "+xt", id="JPEG-LS lossless"),
    pytest.param(("dcmcrle",), "-xr", "+xr", id="RLE"),
    pytest.param(("dcmconv", "+td"), "-xd", "+xd", id="deflated"),
    pytest.param(("dcmconv", "+tb"), "-xb", "+xb", id="big endian"),
]


@pytest.mark.parametrize(("converter", "propose", "accept"), SYNTAXES)
def test_what_dcmtk_compressed_dcmtk_gets_back(
    server: Gantry, tmp_path: Path, converter: tuple[str, ...], propose: str, accept: str
) -> None:
    source, sent = tmp_path / "source.dcm", tmp_path / "sent.dcm"
    source.write_bytes(next(data for name, data in example_study(size=64, slices=1) if name.startswith("CT")))
    assert dcmtk.run(*converter, source, sent).returncode == 0
    assert dcmtk.run("storescu", propose, "127.0.0.1", server.dicom, sent).returncode == 0
    study = pydicom.dcmread(sent).StudyInstanceUID
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
    done = dcmtk.run("getscu", "-S", "+B", accept, *keys, "-od", tmp_path, "127.0.0.1", server.dicom)
    assert done.returncode == 0, done.stderr
    [received] = [path for path in tmp_path.iterdir() if path not in (source, sent)]
    assert digest(received.read_bytes()) == digest(sent.read_bytes())


def test_pynetdicom_moves_to_pynetdicom_with_asynchronous_operations(tmp_path: Path) -> None:
    """Gantry uses the window that the destination grants: requests overlap, answers come in any order."""
    files = series(60, size=8192)
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset())
        return 0

    destination = AE("DEST")
    destination.add_supported_context(CT, EXPLICIT)
    handlers = [(evt.EVT_C_STORE, keep), (evt.EVT_ASYNC_OPS, lambda event: (16, 1))]
    listening = destination.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        peers = f"DEST@127.0.0.1:{listening.server_address[1]}"
        with running(tmp_path / "data", reserve_bytes=0, peers=peers) as server:
            for path in _written(tmp_path / "files", files):
                assert dcmtk.run("storescu", "127.0.0.1", server.dicom, path).returncode == 0
            asker = AE("ASKER")
            move = "1.2.840.10008.5.1.4.1.2.2.2"
            asker.add_requested_context(move)
            association = asker.associate("127.0.0.1", server.dicom, ext_neg=[_window(8, 1)])
            assert association.is_established
            assert association.acceptor.asynchronous_operations == (8, 1)
            answers = list(association.send_c_move(_study_keys(), "DEST", move))
            association.release()
    finally:
        listening.shutdown()
    assert answers[-1][0].Status == 0
    assert answers[-1][0].NumberOfCompletedSuboperations == 60
    assert sorted(map(digest, received)) == sorted(map(digest, files))


def test_pynetdicom_gets_with_asynchronous_operations(server: Gantry, tmp_path: Path) -> None:
    files = series(20, study=20, size=8192)
    received: list[bytes] = []

    def keep(event: evt.Event) -> int:
        received.append(event.encoded_dataset())
        return 0

    for path in _written(tmp_path, files):
        assert dcmtk.run("storescu", "127.0.0.1", server.dicom, path).returncode == 0
    ae = AE("ASKER")
    ae.add_requested_context(StudyRootGet)
    ae.add_requested_context(CT, EXPLICIT)
    association = ae.associate(
        "127.0.0.1",
        server.dicom,
        ext_neg=[build_role(CT, scp_role=True), _window(4, 4)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    answers = list(association.send_c_get(_study_keys(20), StudyRootGet))
    association.release()
    assert answers[-1][0].Status == 0
    assert sorted(map(digest, received)) == sorted(map(digest, files))


def _window(invoked: int, performed: int) -> AsynchronousOperationsWindowNegotiation:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = invoked
    window.maximum_number_operations_performed = performed
    return window


def _study_keys(study: int = 1) -> pydicom.Dataset:
    keys = pydicom.Dataset()
    keys.QueryRetrieveLevel = "STUDY"
    keys.StudyInstanceUID = f"{ROOT}.{study}"
    return keys


def _written(folder: Path, files: list[bytes]) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    for number, file in enumerate(files):
        path = folder / f"{number}.dcm"
        path.write_bytes(file)
        yield path


def test_dicomweb_client_stores_searches_looks_deletes(server: Gantry) -> None:
    client = DICOMwebClient(server.web)
    objects = [pydicom.dcmread(io.BytesIO(data)) for _, data in example_study(size=64, slices=3)]
    answer = client.store_instances(objects)
    assert len(answer.ReferencedSOPSequence) == len(objects)
    assert "FailedSOPSequence" not in answer
    study_uid = objects[0].StudyInstanceUID
    [study] = client.search_for_studies(search_filters={"PatientName": "phantom*", "ModalitiesInStudy": "US"})
    assert study["0020000D"]["Value"] == [study_uid]
    assert study["00201208"]["Value"] == [len(objects)]
    modalities = {found["00080060"]["Value"][0] for found in client.search_for_series(study_uid)}
    assert modalities == {ds.Modality for ds in objects}
    paged = [
        client.search_for_instances(study_uid, limit=4, offset=offset) for offset in range(0, len(objects), 4)
    ]
    uids = [found["00080018"]["Value"][0] for page in paged for found in page]
    assert sorted(uids) == sorted(ds.SOPInstanceUID for ds in objects)
    for ds in objects:
        place = (study_uid, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        back = client.retrieve_instance(*place, media_types=(("application/dicom", "*"),))
        assert back.to_json_dict() == ds.to_json_dict()
        metadata = pydicom.Dataset.from_json(
            client.retrieve_instance_metadata(*place),
            lambda tag, vr, uri: b"".join(client.retrieve_bulkdata(uri)),
        )
        assert metadata.PatientName == ds.PatientName
        if "PixelData" in ds:
            frames = client.retrieve_instance_frames(*place, frame_numbers=[1])
            assert ds.PixelData.startswith(frames[0])
            picture = client.retrieve_instance_rendered(*place, media_types=("image/png",))
            assert picture.startswith(b"\x89PNG")
    client.delete_study(study_uid)
    assert not client.search_for_studies(search_filters={"StudyInstanceUID": study_uid})


def test_a_person_s_first_hour(tmp_path: Path) -> None:
    """The example study, a scanner that sends, our own commands that ask, find and fetch."""
    data = tmp_path / "data"
    assert gantry("example", "--data", data).returncode == 0
    files = series(3, size=8192)
    with running(data, reserve_bytes=0) as server:
        with server.client() as http:
            assert http.get("/").status_code == 200
            assert http.get("/api/studies").status_code == 200
        for path in _written(tmp_path / "scanner", files):
            assert dcmtk.run("storescu", "-aec", "GANTRY", "127.0.0.1", server.dicom, path).returncode == 0
        for number, peer in enumerate((f"GANTRY@127.0.0.1:{server.dicom}", server.web)):
            folder = tmp_path / f"fetched{number}"
            _succeed("echo", peer)
            found = _succeed("find", "study", "PatientName=doe*", "--json", "-p", peer)
            assert f"{ROOT}.1" in found
            _succeed("get", folder, "--study", f"{ROOT}.1", "-p", peer)
            received = [path.read_bytes() for path in folder.rglob("*.dcm")]
            assert sorted(map(digest, received)) == sorted(map(digest, files))
    checked = json.loads(_succeed("verify", "--data", data, "--json").splitlines()[-1])
    assert checked["findings"] == 0


def _succeed(*arguments: object) -> str:
    done = gantry(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_orthanc_sends_asks_and_fetches(tmp_path: Path) -> None:
    """An archive at the other end, in both roles: its C-STORE, C-FIND and C-MOVE, and our C-STORE to it."""
    objects = dict(example_study(size=64, slices=2))
    dicom, web = dcmtk.free_port(), dcmtk.free_port()
    with (
        orthanc(tmp_path / "orthanc", dicom, web) as http,
        running(tmp_path / "data", reserve_bytes=0, peers=f"ORTHANC@127.0.0.1:{dicom}") as server,
    ):
        known = {"AET": "GANTRY", "Host": "127.0.0.1", "Port": server.dicom}
        assert http.put("/modalities/gantry", json=known).status_code == 200
        kept = [http.post("/instances", content=data).json()["ID"] for data in objects.values()]
        assert http.post("/modalities/gantry/store", json=kept).status_code == 200
        assert server.stats()["instances"] == len(objects)
        for study in http.get("/studies").json():
            assert http.delete(f"/studies/{study}").status_code == 200
        query = {"Level": "Study", "Query": {"PatientName": "phantom*"}}
        asked = http.post("/modalities/gantry/query", json=query).json()["ID"]
        assert http.get(f"/queries/{asked}/answers").json() == ["0"]
        assert http.post(f"/queries/{asked}/answers/0/retrieve", content=b"ORTHANC").status_code == 200
        wait_until(lambda: len(http.get("/instances").json()) == len(objects), what="all came back")


def test_orthanc_asks_whether_what_it_sent_is_safe(tmp_path: Path) -> None:
    """Storage commitment with another vendor's user, which is told on an association of ours."""
    objects = [part10(dataset(number)) for number in (1, 2, 3)]
    dicom, web = dcmtk.free_port(), dcmtk.free_port()
    with (
        orthanc(tmp_path / "orthanc", dicom, web) as http,
        running(tmp_path / "data", reserve_bytes=0, peers=f"ORTHANC@127.0.0.1:{dicom}") as server,
    ):
        known = {"AET": "GANTRY", "Host": "127.0.0.1", "Port": server.dicom}
        assert http.put("/modalities/gantry", json=known).status_code == 200
        kept = [http.post("/instances", content=data).json()["ID"] for data in objects]
        assert http.post("/modalities/gantry/store", json=kept[:2]).status_code == 200

        def told(asked: list[str]) -> dict[str, Any]:
            answer = http.post("/modalities/gantry/storage-commitment", json={"Resources": asked})
            path = answer.raise_for_status().json()["Path"]
            wait_until(lambda: http.get(path).json()["Status"] != "Pending", what="a report")
            return dict(http.get(path).json())

        whole = told(kept[:2])
        assert (whole["Status"], len(whole["Success"]), whole["RemoteAET"]) == ("Success", 2, "GANTRY")
        mixed = told(kept)
        assert (mixed["Status"], len(mixed["Success"])) == ("Failure", 2)
        (missing,) = mixed["Failures"]
        assert (missing["SOPInstanceUID"], missing["FailureReason"]) == (f"{ROOT}.1.1.3", 0x0112)
        wait_until(lambda: not list((tmp_path / "data").glob("commitments/open/*/*.json")))


@contextmanager
def orthanc(folder: Path, dicom: int, web: int) -> Iterator[httpx.Client]:
    """Debian's Orthanc without plugins; gives a client of its REST API."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc (Debian package orthanc) is not installed")
    folder.mkdir()
    configuration: dict[str, Any] = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpPort": web,
        "DicomPort": dicom,
        "AuthenticationEnabled": False,
        "Plugins": [],
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{web}", timeout=60, trust_env=False) as http:
            wait_until(lambda: _answers(http), what="Orthanc answers")
            yield http
    finally:
        process.terminate()
        process.wait(20)


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/system").status_code == 200
    except httpx.TransportError:
        return False
