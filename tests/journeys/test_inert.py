"""Objects that would harm whoever believes them: kept bit for bit, found, served so that nothing acts on them.

Rows of the table of bad inputs that are about what is stored and given back, on a real server.
"""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bad_input import canary
from gantry.client import sync
from gantry_process import running
from senders import assert_sound, digest, path_of
from serving import ROOT, dataset, part10
from web_serving import STORE_TYPE, related

pytestmark = pytest.mark.slow

NAMES = [
    "'; DROP TABLE instances; --",
    "100%_*?\\\\",
    "<script>alert(1)</script>",
    '"><img onerror=alert(1) src=x>',
    "{{7*7}}${jndi:ldap://x/y}%n%s",
    "=cmd|' /C calc'!A0",
    "CR\rLF\nESC\x1b[31mRTL\u202eZW\u200b",
]


def test_b34_b35_b36_odd_names_are_kept_found_and_inert(tmp_path: Path) -> None:
    with running(tmp_path / "data", reserve_bytes=0) as server, server.client() as http:
        for number, name in enumerate(NAMES, 1):
            ds = dataset(1, study=number, PatientID=str(number), SpecificCharacterSet="ISO_IR 192")
            ds.StudyDescription = name.replace("\\", "/")
            file = part10(ds)
            answer = http.post(
                "/dicom-web/studies", content=related([file]), headers={"content-type": STORE_TYPE}
            )
            assert answer.status_code == 200
            stored = http.get(
                path_of(f"{ROOT}.{number}.1.1"), headers={"accept": "application/dicom; transfer-syntax=*"}
            )
            assert stored.content == file
            [found] = http.get(
                "/dicom-web/studies", params={"PatientID": str(number), "includefield": "00081030"}
            ).json()
            assert found["00081030"]["Value"] == [ds.StudyDescription]
        for path in (
            "/api/studies",
            "/dicom-web/studies?includefield=00081030",
            "/api/conflicts",
            "/api/changes",
        ):
            answer = http.get(path)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"].startswith("application/")
            assert "sandbox" in answer.headers["content-security-policy"]
        assert not any(piece in server.words for piece in ("DROP TABLE", "<script>", "jndi", "\x1b"))


DOCUMENTS = {
    "application/pdf": b"%PDF-1.7 1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
    "text/XML": b"<ClinicalDocument><script>alert(1)</script></ClinicalDocument>",
    "image/svg+xml": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "text/html": b"<html><script>alert(1)</script></html>",
}


def test_b59_documents_that_would_act_are_handed_over_as_files(tmp_path: Path) -> None:
    with running(tmp_path / "data", reserve_bytes=0) as server, server.client() as http:
        for number, (kind, document) in enumerate(DOCUMENTS.items(), 1):
            ds = dataset(1, study=number, sop_class="1.2.840.10008.5.1.4.1.1.104.1")
            ds.MIMETypeOfEncapsulatedDocument = kind
            ds.EncapsulatedDocument = document * 50
            del ds.PixelData
            store(http, part10(ds))
            place = f"{path_of(f'{ROOT}.{number}.1.1')}/bulkdata/00420011"
            answer = http.get(place, headers={"accept": kind.lower()})
            assert answer.status_code == 200
            assert answer.content.startswith(document)
            check_inert(answer)
            in_parts = http.get(place, headers={"accept": "*/*"})
            assert in_parts.headers["content-type"].startswith("multipart/related")
            assert "sandbox" in in_parts.headers["content-security-policy"]


PREAMBLES = [b"MZ\x90\0", b"\x7fELF\2\1\1", b'{"a":1}', b"<html><script>", b"%PDF-1.7", b"PK\3\4", b"II*\0"]


def test_b48_a_preamble_that_is_a_program_is_given_back_inert(tmp_path: Path) -> None:
    with running(tmp_path / "data", reserve_bytes=0) as server, server.client() as http:
        for number, preamble in enumerate(PREAMBLES, 1):
            file = preamble.ljust(128, b"\0") + part10(dataset(number))[128:]
            store(http, file)
            answer = http.get(path_of(f"{ROOT}.1.1.{number}"), headers={"accept": "application/dicom"})
            assert answer.content == file
            check_inert(answer)


def test_b62_an_address_in_an_object_is_never_called(tmp_path: Path) -> None:
    """A Retrieve URL that points at a server of ours, which is never asked."""

    with (
        socket.create_server(("127.0.0.1", 0)) as trap,
        running(tmp_path / "data", reserve_bytes=0) as server,
    ):
        trap.setblocking(False)
        address = f"http://127.0.0.1:{trap.getsockname()[1]}/secret"
        with server.client() as http:
            store(http, part10(dataset(1, RetrieveURL=address)))
            kind = 'multipart/related; type="application/dicom+json"; boundary=PartOfATest'
            model = dataset(2).to_json_dict()
            for uri in (address, "file:///etc/passwd", "http://169.254.169.254/latest"):
                model["7FE00010"] = {"vr": "OW", "BulkDataURI": uri}
                body = related([json.dumps([model]).encode()], "application/dicom+json")
                answer = http.post("/dicom-web/studies", content=body, headers={"content-type": kind})
                assert answer.status_code in (400, 409)
            assert http.get(f"{path_of(f'{ROOT}.1.1.1')}/metadata").status_code == 200
        with pytest.raises(BlockingIOError):
            trap.accept()


def test_b77_b78_races_over_both_doors_tear_nothing(tmp_path: Path) -> None:
    """Eight senders, half of them over STOW, give one UID eight contents and one study two patients."""
    files = [canary(1, PatientID=f"P{n % 2}", ImageComments=f"version {n}") for n in range(8)]
    with running(tmp_path / "data", reserve_bytes=0) as server:

        def send(number: int) -> bool:
            if number % 2:
                return [r.status for r in sync.store(server.peer, [files[number]])] == [0]
            with server.client() as http:
                store(http, files[number])
            return True

        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(send, range(8)))
        uid = f"{ROOT}.4711.1.1"
        with server.client() as http:
            found = {
                digest(
                    http.get(f"{path_of(uid)}?version={n}", headers={"accept": "application/dicom"}).content
                )
                for n in range(1, 9)
            }
            assert found == {digest(file) for file in files}
            kinds = {conflict["kind"] for conflict in http.get("/api/conflicts").json()["conflicts"]}
        assert len(kinds) >= 2, kinds
    assert_sound(tmp_path / "data")


def store(http: httpx.Client, file: bytes) -> None:
    answer = http.post("/dicom-web/studies", content=related([file]), headers={"content-type": STORE_TYPE})
    assert answer.status_code == 200, answer.text


def check_inert(answer: httpx.Response) -> None:
    """A browser neither guesses, nor runs, nor shows it."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
