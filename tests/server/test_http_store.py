"""STOW-RS and uploads over a real server (PS3.18 10.5)."""

from __future__ import annotations

import gzip
import io
import json
import threading
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from gantry.archive.outcome import Reason, Refused
from gantry.archive.records import Origin
from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import read_part10
from gantry.dataset.xml_model import to_xml
from gantry.dicomweb.stow import InstanceResult
from gantry.server.intake import Intake
from gantry.server.outcome import answer_for
from gantry.server.policy import HttpPolicy
from serving import ROOT, dataset, part10, series
from web_serving import BOUNDARY, STORE_TYPE, WebServed, related, status_of, web_served

STUDIES = "/dicom-web/studies"
JSON_TYPE = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
XML_TYPE = f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}'


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServed]:
    with web_served(tmp_path) as served:
        yield served


def count(web: WebServed) -> int:
    """How many instances are visible."""
    visible: int = web.http.get("/api/stats").json()["instances"]
    return visible


def failures(answer: dict[str, Any]) -> list[int]:
    return [
        item["00081197"]["Value"][0]
        for tag in ("00081198", "0008119A")
        for item in answer.get(tag, {}).get("Value", [])
    ]


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        ((Reason.STORAGE, Reason.READ_ONLY), 503),
        ((Reason.READ_ONLY, Reason.OUT_OF_SPACE), 507),
        ((Reason.STORAGE, Reason.BAD_UID), None),
    ],
)
def test_n05_what_failed_on_our_side_alone_is_no_conflict(
    web: WebServed, reasons: tuple[Reason, ...], status: int | None
) -> None:
    intake = Intake(web.archive, Origin("TEST", "192.0.2.7:104", "web"), None)
    for reason in reasons:
        intake.add(InstanceResult(), answer_for(Refused(reason, reason.value)))
    common = intake.common_failure()
    assert (common and common.http_status) == status
    assert common is None or common.retry_after_s


def instance(web: WebServed, number: int = 1, study: int = 1) -> bytes:
    where = f"{STUDIES}/{ROOT}.{study}/series/{ROOT}.{study}.1/instances/{ROOT}.{study}.1.{number}"
    return web.http.get(where, headers={"accept": "application/dicom; transfer-syntax=*"}).content


def test_every_part_is_stored_and_answered(web: WebServed) -> None:
    files = series(20)
    answer = web.store(*files)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    stored = answer.json()["00081199"]["Value"]
    assert [item["00081155"]["Value"][0] for item in stored] == [f"{ROOT}.1.1.{n}" for n in range(1, 21)]
    assert web.http.get(stored[0]["00081190"]["Value"][0]).status_code == 200
    assert [instance(web, n) for n in (1, 20)] == [files[0], files[19]]


def test_one_object_without_wrapping(web: WebServed) -> None:
    answer = web.http.post(STUDIES, content=part10(dataset()), headers={"content-type": "application/dicom"})
    assert (answer.status_code, count(web)) == (200, 1)


def test_the_answer_in_xml(web: WebServed) -> None:
    headers = {"content-type": STORE_TYPE, "accept": "application/dicom+xml"}
    answer = web.http.post(STUDIES, content=related(series(1)), headers=headers)
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert b"ReferencedSOPSequence" in answer.content


def test_an_object_larger_than_memory_is_held_for_is_given_back(web: WebServed) -> None:
    file = part10(dataset(size=3 << 20, PixelData=bytes(range(256)) * (3 << 12)))
    assert web.store(file, part10(dataset(2))).status_code == 200
    assert instance(web) == file


def test_the_same_again_is_unchanged_and_other_bytes_are_a_version(web: WebServed) -> None:
    for _ in range(2):
        assert web.store(part10(dataset())).status_code == 200
    assert web.store(part10(dataset(PatientName="Other"))).status_code == 200
    where = f"/api/versions/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    assert [v["version"] for v in web.http.get(where).json()] == [1, 2]
    assert web.http.get("/api/conflicts").json()["conflicts"][0]["kind"] == "version"


def test_b64_an_object_of_another_study_is_refused_and_the_rest_is_kept(web: WebServed) -> None:
    answer = web.store(part10(dataset()), part10(dataset(study=2)), path=f"{STUDIES}/{ROOT}.1")
    assert (answer.status_code, count(web)) == (202, 1)
    assert failures(answer.json()) == [0xA900]
    alone = web.store(part10(dataset(study=2)), path=f"{STUDIES}/{ROOT}.1")
    assert (alone.status_code, count(web)) == (409, 1)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 400),
        ('multipart/related; type="application/dicom"', 400),
        (f'multipart/related; type="application/dicom"; boundary={"x" * 71}', 400),
        ("text/plain", 415),
        (f"multipart/related; type=text/html; boundary={BOUNDARY}", 415),
        ('multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
def test_b63_a_wrong_content_type_stores_nothing(web: WebServed, content_type: str, status: int) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = web.http.post(STUDIES, content=related(series(1)), headers=headers)
    assert (answer.status_code, count(web)) == (status, 0)
    assert answer.json()["error"]


def test_b63_without_the_closing_delimiter_the_whole_parts_are_kept_and_told(web: WebServed) -> None:
    body = related(series(6))
    cut = body[: body.rindex(b"--" + BOUNDARY.encode()) - 40]
    answer = web.http.post(STUDIES, content=cut, headers={"content-type": STORE_TYPE})
    assert (answer.status_code, count(web)) == (202, 5)
    assert len(answer.json()["00081199"]["Value"]) == 5
    assert failures(answer.json()) != []


@pytest.mark.parametrize(
    "body", [b"", b"no parts", f"--{BOUNDARY}--\r\n".encode(), f"--{BOUNDARY}\r\n\r\n".encode()]
)
def test_b63_a_body_without_a_whole_part_is_400(web: WebServed, body: bytes) -> None:
    answer = web.http.post(STUDIES, content=body, headers={"content-type": STORE_TYPE})
    assert (answer.status_code, count(web)) == (400, 0)


@pytest.mark.slow
def test_b63_ten_thousand_and_one_parts_are_refused(web: WebServed) -> None:
    body = f"--{BOUNDARY}\r\n\r\nx\r\n".encode() * 10_001 + f"--{BOUNDARY}--\r\n".encode()
    answer = web.http.post(STUDIES, content=body, headers={"content-type": STORE_TYPE})
    assert (answer.status_code, count(web)) == (409, 0)
    assert "more than 10000 parts" in answer.text


def test_b63_a_part_of_another_type_ends_the_request_with_415(web: WebServed) -> None:
    body = related([b"x"], "image/jpeg")
    answer = web.http.post(STUDIES, content=body, headers={"content-type": STORE_TYPE})
    assert (answer.status_code, count(web)) == (415, 0)


def test_b63_a_part_without_headers_is_an_object(web: WebServed) -> None:
    body = b"--%b\r\n\r\n%b\r\n--%b--\r\n" % (BOUNDARY.encode(), series(1)[0], BOUNDARY.encode())
    assert web.http.post(STUDIES, content=body, headers={"content-type": STORE_TYPE}).status_code == 200


@pytest.mark.parametrize("cut", [10, 131, 140, 400, -1, -600])
def test_b43_an_object_cut_anywhere_is_refused_and_its_neighbours_are_kept(web: WebServed, cut: int) -> None:
    whole = series(3, size=1024)
    answer = web.store(whole[0], whole[1][:cut], whole[2])
    assert (answer.status_code, count(web)) == (202, 2)
    assert len(failures(answer.json())) == 1
    assert "offset" in answer.headers["warning"] or cut < 200


@pytest.mark.parametrize("uid", ["../../etc/passwd", "/abs", "..\\..\\x", "1.2/../3", "x" * 300, ""])
def test_b33_a_uid_that_would_climb_is_refused_and_nothing_is_written_outside(
    tmp_path: Path, uid: str
) -> None:
    root = tmp_path / "archive"
    ds = dataset()
    with pydicom.config.disable_value_validation():
        ds.SOPInstanceUID = uid
        file = part10(dataset())
        buffer = io.BytesIO()
        ds.file_meta = pydicom.dcmread(io.BytesIO(file)).file_meta
        ds.save_as(buffer, enforce_file_format=True)
    with web_served(root) as web:
        answer = web.store(buffer.getvalue())
        assert (answer.status_code, count(web)) == (409, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]
    assert not list((root / "objects").rglob("*.dcm"))


def test_b35_a_name_that_is_a_script_is_kept_and_inert(web: WebServed) -> None:
    name = "<script>alert(1)</script>"
    web.store(part10(dataset(PatientName=name)))
    answer = web.http.get("/api/studies?q=P1")
    assert answer.json()["studies"][0]["patientName"] == name
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_content_encoding_gzip_is_undone(web: WebServed) -> None:
    headers = {"content-type": STORE_TYPE, "content-encoding": "gzip"}
    answer = web.http.post(STUDIES, content=gzip.compress(related(series(3))), headers=headers)
    assert (answer.status_code, count(web)) == (200, 3)


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"not gzip", 400),
        ("gzip", gzip.compress(b"x" * 5000)[:-9], 400),
        ("deflate", zlib.compress(bytes(64 << 20), 9), 413),
        ("gzip", gzip.compress(bytes(64 << 20), 9), 413),
    ],
)
def test_b53_a_packed_body_that_is_a_bomb_or_broken_is_refused(
    web: WebServed, encoding: str, body: bytes, status: int
) -> None:
    headers = {"content-type": "application/dicom", "content-encoding": encoding}
    answer = web.http.post(STUDIES, content=body, headers=headers)
    assert (answer.status_code, count(web)) == (status, 0)


def test_n07_a_full_disk_is_507_before_the_body_and_reading_goes_on(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        web.store(*series(1))
    with web_served(tmp_path, reserve_bytes=1 << 60) as web:
        head = (
            f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n"
            "Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = web.raw(head.encode())
        assert status_of(answer) == 507
        assert b"retry-after" in answer.lower()
        assert (count(web), len(instance(web)) > 0) == (1, True)
        assert web.http.get("/api/health").status_code == 200


def test_n17_a_store_request_past_the_limit_is_503_with_retry_after(tmp_path: Path) -> None:
    body = related(series(1))
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    with web_served(tmp_path, policy=HttpPolicy(max_uploads=1)) as web, web.connect() as first:
        first.sendall(head + body[:100])
        refused = _until(lambda: web.store(*series(1)), lambda answer: answer.status_code == 503)
        assert int(refused.headers["retry-after"]) > 0
        first.sendall(body[100:])
        assert b"200 OK" in first.recv(65536)
        assert web.store(*series(1)).status_code == 200


def _until(ask: Any, good: Any) -> Any:
    """Ask until the server has got as far; the request that holds it is on its way already."""
    for _ in range(200):
        answer = ask()
        if good(answer):
            return answer
    raise AssertionError("the state was not reached")


def test_n11_a_connection_that_breaks_leaves_nothing_of_the_broken_object(web: WebServed) -> None:
    body = related(series(2, size=1 << 16))
    head = (
        f"POST {STUDIES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    web.raw(head + body[: 1 << 15], half_close=True)
    assert count(web) == 0
    assert web.store(*series(1)).status_code == 200
    assert not list((web.archive.real_path(web.archive.locate()[0]).parents[4] / "incoming").iterdir())  # type: ignore[union-attr]


def test_n09_one_uid_with_other_bytes_at_once_keeps_all_versions(web: WebServed) -> None:
    files = [part10(dataset(StudyDescription=f"version {n}")) for n in range(6)]
    answers: list[int] = []
    threads = [threading.Thread(target=lambda f=f: answers.append(web.store(f).status_code)) for f in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6
    where = f"{STUDIES}/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    kept = {
        web.http.get(f"{where}?version={n}", headers={"accept": "application/dicom"}).content
        for n in range(1, 7)
    }
    assert kept == set(files)


def json_and_pixels(ds: Any) -> tuple[bytes, bytes]:
    _, scanned = read_part10(part10(ds))
    model = to_json_model(scanned, bulk_uri=lambda path, _: f"bulk/{path}")
    return json.dumps([model]).encode(), scanned.raw(0x7FE00010)


def part(content_type: str, data: bytes, location: str = "") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: {content_type}\r\n"
    head += f"Content-Location: {location}\r\n" if location else ""
    return head.encode() + b"\r\n" + data + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def test_metadata_and_bulk_data_become_an_object(web: WebServed) -> None:
    ds = dataset(
        size=2 << 20,
        PixelData=bytes(range(256)) * (2 << 12),
        PatientName="Müller",
        SpecificCharacterSet="ISO_IR 192",
    )
    model, pixels = json_and_pixels(ds)
    body = (
        part("application/dicom+json", model)
        + part("application/octet-stream", pixels, "bulk/7FE00010")
        + END
    )
    answer = web.http.post(STUDIES, content=body, headers={"content-type": JSON_TYPE})
    assert answer.status_code == 200, answer.text
    stored = pydicom.dcmread(io.BytesIO(instance(web)))
    assert stored.PixelData == ds.PixelData
    assert stored.PatientName == "Müller"
    assert stored.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_metadata_in_xml_and_bulk_data_become_an_object(web: WebServed) -> None:
    ds = dataset(size=256)
    model, pixels = json_and_pixels(ds)
    document = to_xml(json.loads(model)[0])
    body = (
        part("application/dicom+xml", document)
        + part("application/octet-stream", pixels, "bulk/7FE00010")
        + END
    )
    answer = web.http.post(STUDIES, content=body, headers={"content-type": XML_TYPE})
    assert answer.status_code == 200, answer.text
    assert pydicom.dcmread(io.BytesIO(instance(web))).PixelData == ds.PixelData


def test_compressed_pixels_are_encapsulated_unchanged(web: WebServed) -> None:
    model, _ = json_and_pixels(dataset(size=256))
    jpeg = b"\xff\xd8\xff\xe0 not really"
    body = part("application/dicom+json", model)
    body += part("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", jpeg, "bulk/7FE00010") + END
    assert web.http.post(STUDIES, content=body, headers={"content-type": JSON_TYPE}).status_code == 200
    where = f"{STUDIES}/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1/frames/1"
    answer = web.http.get(where, headers={"accept": "image/jpeg"})
    assert answer.content.rstrip(b"\0") == jpeg


@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([("application/dicom+json", b"[]", "")], 400),
        ([("application/dicom+json", b"{", "")], 400),
        ([("application/octet-stream", b"x", "bulk/7FE00010")], 400),
        ([], 400),
    ],
)
def test_b61_metadata_that_is_none_is_400(
    web: WebServed, parts: list[tuple[str, bytes, str]], status: int
) -> None:
    body = b"".join(part(*p) for p in parts) + END
    answer = web.http.post(STUDIES, content=body, headers={"content-type": JSON_TYPE})
    assert (answer.status_code, count(web)) == (status, 0)


@pytest.mark.parametrize(
    "value",
    [
        '{"vr":"SQ","Value":[' * 1000 + "]}" * 1000,
        '{"vr":"DS","Value":[1e400]}',
        '{"vr":"DS","Value":[NaN]}',
        '{"vr":"OB","InlineBinary":"not base64!"}',
        '{"vr":"LO","Value":["\\ud800"]}',
    ],
)
def test_b61_json_that_no_data_set_can_be_is_400(web: WebServed, value: str) -> None:
    body = part("application/dicom+json", b'[{"00100020":%b}]' % value.encode()) + END
    answer = web.http.post(STUDIES, content=body, headers={"content-type": JSON_TYPE})
    assert (answer.status_code, count(web)) == (400, 0)


def test_b60_xml_with_a_document_type_is_400(web: WebServed) -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><NativeDicomModel>&x;</NativeDicomModel>'
    answer = web.http.post(
        STUDIES, content=part("application/dicom+xml", bomb) + END, headers={"content-type": XML_TYPE}
    )
    assert (answer.status_code, count(web)) == (400, 0)
    assert "root:" not in answer.text


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://169.254.169.254/x", "http://localhost/self"]
)
def test_b62_bulk_data_is_never_fetched(web: WebServed, location: str) -> None:
    model, _ = json_and_pixels(dataset(size=256))
    model = model.replace(b"bulk/7FE00010", location.encode())
    answer = web.http.post(
        STUDIES, content=part("application/dicom+json", model) + END, headers={"content-type": JSON_TYPE}
    )
    assert (answer.status_code, count(web)) == (400, 0)
    assert "BulkDataURI" in answer.json()["error"]


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def upload(web: WebServed, body: bytes, content_type: str) -> Any:
    return web.http.post("/api/upload?name=x", content=body, headers={"content-type": content_type})


def test_an_upload_is_a_file_a_form_or_a_zip(web: WebServed) -> None:
    first, second, third = series(3)
    assert upload(web, first, "application/dicom").json()["stored"] == 1
    assert (
        upload(web, zipped({"a/b.dcm": second, "DICOMDIR": b"x", "c/": b""}), "application/zip").json()[
            "stored"
        ]
        == 1
    )
    form = web.http.post("/api/upload", files={"file": ("../../x.dcm", third)}, data={"note": "not a file"})
    assert form.json() == {"stored": 1, "failed": 0, "message": "", "failures": []}
    assert count(web) == 3


def test_an_upload_that_is_no_dicom_says_why(web: WebServed) -> None:
    answer = upload(web, b"GIF89a", "application/dicom")
    assert answer.status_code == 409
    assert (answer.json()["failed"], answer.json()["stored"]) == (1, 0)
    assert "DICOM" in answer.json()["message"]
    mixed = upload(web, zipped({"a.dcm": series(1)[0], "readme.txt": b"hello"}), "application/zip")
    assert (mixed.status_code, mixed.json()["stored"], mixed.json()["failed"]) == (202, 1, 1)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (zipped({"../../../etc/x": b"x"}), 409),
        (zipped({"bomb": bytes(64 << 20)}), 413),
        (zipped({"nested.zip": zipped({"a": b"x"})}), 409),
        (zipped({"a": b"x"})[:-10], 400),
        (b"PK\x03\x04 broken", 400),
    ],
)
def test_b53_a_zip_that_is_a_bomb_broken_or_climbs_is_refused(
    tmp_path: Path, body: bytes, status: int
) -> None:
    with web_served(tmp_path / "archive") as web:
        answer = upload(web, body, "application/zip")
        assert (answer.status_code, count(web)) == (status, 0)
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]
