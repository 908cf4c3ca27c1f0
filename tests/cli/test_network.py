"""`gantry echo`, `send`, `find`, `get` and `move` against our own server by both doors, and against DCMTK."""

from __future__ import annotations

import csv
import io
import signal
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

import command
import dcmtk
from cli.conftest import Gantry
from command import READY_S, Server, serving
from gantry.cli.exits import Exit
from serving import ROOT, dataset, dataset_bytes, part10, series
from support import shared_data

pytestmark = pytest.mark.slow  # real servers, DICOM and web; make test runs it

STUDY = f"{ROOT}.7"


@pytest.fixture(scope="module")
def store_port() -> int:
    return dcmtk.free_port()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, store_port: int) -> Iterator[Server]:
    """A server with one study of three CT slices and two compressed ones, which may move to DCMTK's storescp."""
    home = tmp_path_factory.mktemp("served")
    peers = f"STORESCP@127.0.0.1:{store_port}"
    with serving(home, GANTRY_PEERS=peers) as running:
        given = home / "given"
        given.mkdir()
        for n, content in enumerate(series(3, study=7)):
            (given / f"{n}.dcm").write_bytes(content)
        done = command.run(home, "send", "-p", running.peer, given)
        assert done.stdout == f"3 of 3 objects sent to {running.aet} at {running.dicom}\n", done.stderr
        yield running


@pytest.fixture(params=["dimse", "dicomweb"])
def peer(request: pytest.FixtureRequest, server: Server) -> str:
    """The server by each of its doors."""
    return server.peer if request.param == "dimse" else server.web


def stored(server: Server) -> set[bytes]:
    """What lies in the folder once the server was asked: files are made before anything is answered."""
    httpx.get(f"{server.web}/studies").raise_for_status()
    return {path.read_bytes() for path in (server.data / "objects").rglob("*.dcm")}


# --- echo


def test_echo(gantry: Gantry, peer: str) -> None:
    for words in (["echo", peer], ["echo", "-p", peer]):
        done = gantry(*words)
        assert done.code == 0
        assert " answered, " in done.out
    [answer] = gantry("echo", "--json", peer).json
    assert answer["ok"]


def test_without_a_peer_our_own_server_is_asked(gantry: Gantry, server: Server) -> None:
    assert gantry("echo", "--data", server.data).out.startswith(f"{server.aet} at {server.dicom} answered")
    assert len(gantry("find", "study", "--data", server.data, "--json").json) >= 1


@pytest.mark.parametrize("where", ["A@127.0.0.1:{port}", "http://127.0.0.1:{port}/dicom-web"])
def test_nobody_there(where: str, gantry: Gantry) -> None:
    done = gantry("echo", where.format(port=dcmtk.free_port()))
    assert (done.code, done.out) == (Exit.NETWORK, "")
    assert "refused" in done.err.lower()


def test_a_peer_of_the_settings_by_its_title(
    gantry: Gantry, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTRY_PEERS", f"WEST@{server.dicom}")
    assert gantry("echo", "WEST").out.startswith("WEST at ")


@pytest.mark.parametrize("words", [["echo"], ["find", "study"], ["send", "{file}"]])
def test_ctrl_c_while_a_peer_says_nothing(words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(part10(dataset()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(READY_S)
        where = f"A@127.0.0.1:{silent.getsockname()[1]}"
        process = command.start(tmp_path, *(word.format(file=file) for word in words), "-p", where)
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(10)  # it asks for an association and waits
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=READY_S)
    assert (out, err) == ("", "stopped\n")
    assert process.returncode in (Exit.STOPPED, -signal.SIGINT)


# --- send


def test_send_of_all_that_lies_about(gantry: Gantry, peer: str, server: Server, tmp_path: Path) -> None:
    study = 20 if peer == server.peer else 21
    files = [part10(dataset(n, study=study)) for n in (1, 2, 3)]
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc" / "IM1").write_bytes(files[0])
    (tmp_path / "disc" / "notes.txt").write_text("hello")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("IM2", files[1])
        zipped.writestr("../IM3", files[2])
    done = gantry("send", "-p", peer, tmp_path / "disc", tmp_path / "a.zip")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("3 of 3 objects sent to ")
    assert "1 other files passed over" in done.out
    there = {content[-len(dataset_bytes(file)) :] for content in stored(server) for file in files}
    assert {dataset_bytes(file) for file in files} <= there


def test_what_is_not_taken_is_told_with_its_file(gantry: Gantry, peer: str, tmp_path: Path) -> None:
    good, text = tmp_path / "good.dcm", tmp_path / "notes.txt"
    cut = tmp_path / "cut.dcm"
    good.write_bytes(part10(dataset(1, study=22)))
    cut.write_bytes(part10(dataset(2, study=22))[:-10])
    text.write_text("hello")
    done = gantry("send", "-p", peer, good, cut, text)
    assert done.code == Exit.PROBLEMS
    assert done.out.startswith("1 of 3 objects sent")
    assert f"not sent: {text}: not DICOM" in done.err
    assert f"not sent: {cut}: " in done.err
    told = gantry("send", "--json", "-p", peer, good, cut, text).json
    assert {(entry["file"], entry["ok"]) for entry in told} == {
        (str(good), True),
        (str(cut), False),
        (str(text), False),
    }


def test_nothing_to_send_is_no_success(gantry: Gantry, peer: str, tmp_path: Path) -> None:
    assert gantry("send", "-p", peer, tmp_path).code == Exit.PROBLEMS


def test_several_associations(gantry: Gantry, server: Server, tmp_path: Path) -> None:
    for n in range(1, 21):
        (tmp_path / f"{n}.dcm").write_bytes(part10(dataset(n, study=23)))
    done = gantry("send", "--associations", 4, "-p", server.peer, tmp_path)
    assert done.out.startswith("20 of 20 objects sent")


# --- find


def test_find_prints_a_table(gantry: Gantry, peer: str) -> None:
    done = gantry("find", "study", f"StudyInstanceUID={STUDY}", "-p", peer)
    assert done.code == 0
    header, row = done.lines
    assert header.split() == [
        "PatientName", "PatientID", "StudyDate", "Modalities", "StudyDescription", "Instances", "StudyInstanceUID",
    ]  # fmt: skip
    assert row.split() == ["Doe^Jane", "P7", "20260102", "CT", "3", STUDY]
    assert done.err == "1 found\n"


@pytest.mark.parametrize(
    ("level", "keys", "count"),
    [
        ("study", ["PatientID=P7", "PatientName=doe*"], 1),
        ("study", ["PatientID=P7", "StudyDate=20260101-20260131"], 1),
        ("study", ["PatientID=P7", "StudyDate=20270101-"], 0),
        ("study", ["00100020=P7"], 1),
        ("series", [f"StudyInstanceUID={STUDY}"], 1),
        ("instance", [f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1"], 3),
        ("instance", [f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1", "InstanceNumber=2"], 1),
    ],
)
def test_find_at_each_level(level: str, keys: list[str], count: int, gantry: Gantry, peer: str) -> None:
    assert len(gantry("find", level, *keys, "-p", peer, "--json").json) == count


def test_find_of_what_was_asked_for_only(gantry: Gantry, peer: str) -> None:
    words = [
        "find",
        "instance",
        f"StudyInstanceUID={STUDY}",
        f"SeriesInstanceUID={STUDY}.1",
        "SOPInstanceUID",
        "Rows",
    ]
    done = gantry(*words, "--csv", "-p", peer)
    header, *rows = csv.reader(io.StringIO(done.out))
    assert header == ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows"]
    assert sorted(row[2:] for row in rows) == [[f"{STUDY}.1.{n}", "1"] for n in (1, 2, 3)]


def test_find_stops_at_the_limit(gantry: Gantry, peer: str) -> None:
    words = ["find", "instance", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1", "--limit", "2"]
    assert len(gantry(*words, "--json", "-p", peer).json) == 2


def test_find_of_patients(gantry: Gantry, server: Server) -> None:
    [patient] = gantry("find", "patient", "PatientID=P7", "--json", "-p", server.peer).json
    assert patient["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert gantry("find", "patient", "-p", server.web).code == Exit.USAGE


def test_find_of_nothing(gantry: Gantry, peer: str) -> None:
    done = gantry("find", "study", "PatientID=NOBODY", "-p", peer)
    assert (done.code, done.out, done.err) == (0, "", "0 found\n")


def test_a_query_that_cannot_be_answered(gantry: Gantry, peer: str) -> None:
    done = gantry("find", "study", "StudyDate=yesterday", "-p", peer)
    assert done.code in (Exit.NETWORK, Exit.USAGE)
    assert "StudyDate" in done.err


def test_b36_b37_texts_of_strangers(gantry: Gantry, peer: str, server: Server, tmp_path: Path) -> None:
    hostile = {"PatientName": "a\x1b[2Jb\u202ec^\u200b", "StudyDescription": "=cmd|' /C calc'!A0"}
    ds = dataset(1, study=30, SpecificCharacterSet="ISO_IR 192", PatientID="H1", **hostile)
    (tmp_path / "a.dcm").write_bytes(part10(ds))
    assert gantry("send", "-p", server.peer, tmp_path).code == 0
    for words in ([], ["--csv"], ["--json"]):
        done = gantry("find", "study", "PatientID=H1", "-p", peer, *words)
        assert done.out
        assert all(line.isprintable() for line in done.lines)
    table = gantry("find", "study", "PatientID=H1", "StudyDescription", "--csv", "-p", peer).out
    _, [_, description] = csv.reader(io.StringIO(table))
    assert description.startswith("'=cmd")


# --- get


@pytest.mark.parametrize(
    ("target", "count"),
    [
        (["--study", STUDY], 3),
        (["--study", STUDY, "--series", f"{STUDY}.1"], 3),
        (["--study", STUDY, "--series", f"{STUDY}.1", "--instance", f"{STUDY}.1.2"], 1),
    ],
)
def test_get(target: list[str], count: int, gantry: Gantry, peer: str, tmp_path: Path) -> None:
    done = gantry("get", tmp_path / "out", *target, "-p", peer)
    assert (done.code, done.out) == (0, f"{count} objects received into {tmp_path / 'out'}\n")
    got = {path.stem: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert len(got) == count
    for uid, content in got.items():
        assert dataset_bytes(content) == dataset_bytes(series(3, study=7)[int(uid.rpartition(".")[2]) - 1])


def test_get_of_what_is_not_there(gantry: Gantry, peer: str, tmp_path: Path) -> None:
    done = gantry("get", tmp_path / "out", "--study", "1.2.3.4", "-p", peer)
    assert (done.code, done.out) == (Exit.NOT_FOUND, "")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_get_gives_each_shared_syntax_back_as_it_is(
    gantry: Gantry, peer: str, server: Server, tmp_path: Path
) -> None:
    sent = gantry("send", "--json", "-p", server.peer, shared_data() / "syntax")
    files = [Path(entry["file"]) for entry in sent.json if entry["ok"]]
    assert len(files) > 20
    studies: dict[str, set[bytes]] = {}
    for file in files:
        uid = str(dcmread(file, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
        studies.setdefault(uid, set()).add(dataset_bytes(file.read_bytes()))
    for uid, contents in studies.items():
        assert gantry("get", tmp_path / uid, "--study", uid, "-p", peer).code == 0
        got = {dataset_bytes(path.read_bytes()) for path in (tmp_path / uid).iterdir()}
        # Two files may be two versions of one object, of which the later is current.
        assert got <= contents


# --- move


@pytest.mark.peer
def test_move_to_storescp(gantry: Gantry, server: Server, store_port: int, tmp_path: Path) -> None:
    with dcmtk.storescp(tmp_path / "moved", port=store_port):
        done = gantry("move", "STORESCP", "--study", STUDY, "-p", server.peer)
        assert (done.code, done.out) == (0, "3 objects moved to STORESCP\n")
        assert len(list((tmp_path / "moved").iterdir())) == 3
        [told] = gantry("move", "STORESCP", "--study", STUDY, "-p", server.peer, "--json").json
        assert (told["status"], told["completed"], told["failed"]) == ("0000", 3, 0)


def test_move_to_nobody_known(gantry: Gantry, server: Server) -> None:
    done = gantry("move", "NOBODY", "--study", STUDY, "-p", server.peer)
    assert (done.code, done.out) == (Exit.NETWORK, "")
    assert "A801" in done.err


def test_move_to_a_peer_that_is_down(gantry: Gantry, server: Server) -> None:
    done = gantry("move", "STORESCP", "--study", STUDY, "-p", server.peer)
    assert done.code != 0
    assert "Traceback" not in done.err


def test_a_move_needs_application_entities(gantry: Gantry, server: Server) -> None:
    assert gantry("move", "STORESCP", "--study", STUDY, "-p", server.web).code == Exit.USAGE
    assert gantry("move", "NO\\TITLE", "--study", STUDY, "-p", server.peer).code == Exit.USAGE


# --- DCMTK


@pytest.mark.peer
def test_send_and_echo_to_storescp(gantry: Gantry, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.dcm" for n in (1, 2, 3)]
    for path, content in zip(files, series(3), strict=True):
        path.write_bytes(content)
    with dcmtk.storescp(tmp_path / "got") as port:
        peer = f"STORESCP@127.0.0.1:{port}"
        assert gantry("echo", peer).code == 0
        assert gantry("send", "-p", peer, *files).out.startswith("3 of 3 objects sent")
    got = {dataset_bytes(path.read_bytes()) for path in (tmp_path / "got").iterdir()}
    assert got == {dataset_bytes(path.read_bytes()) for path in files}


@pytest.mark.peer
def test_find_and_get_from_dcmqrscp(gantry: Gantry, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    for n, content in enumerate(series(3)):
        (tmp_path / "given" / f"{n}.dcm").write_bytes(content)
    with dcmtk.dcmqrscp(tmp_path / "qr") as peer:
        assert gantry("send", "-p", peer, tmp_path / "given").out.startswith("3 of 3 objects sent")
        [study] = gantry("find", "study", "PatientName=Doe*", "-p", peer, "--json").json
        uid = study["0020000D"]["Value"][0]
        assert gantry("get", tmp_path / "out", "--study", uid, "-p", peer).out.startswith(
            "3 objects received"
        )
    assert len(list((tmp_path / "out").iterdir())) == 3
