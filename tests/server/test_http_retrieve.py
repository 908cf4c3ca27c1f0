"""WADO-RS and WADO-URI over a real server (PS3.18 9, 10.4)."""

from __future__ import annotations

import gzip
import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from serving import ROOT, dataset, dataset_bytes, part10
from web_serving import WebServed, parts_of, web_served

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
RLE = "1.2.840.10008.1.2.5"
JPEG = "1.2.840.10008.1.2.4.50"
ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
DOCUMENT = b"%PDF-1.4 a document\n"


def multiframe() -> Any:
    ds = dataset(1, study=2, size=256)
    ds.NumberOfFrames = 4
    ds.PixelData = b"".join(bytes([frame]) * 256 for frame in range(4))
    return ds


def compressed() -> bytes:
    """Three frames in RLE, of which the middle one is two fragments."""
    ds = dataset(1, study=3, size=256)
    ds.NumberOfFrames = 2
    ds.PixelData = pydicom.encaps.encapsulate([b"\x01\x02\x03\x04", b"\x05\x06"])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return part10(ds, RLE)


def document() -> Any:
    ds = dataset(1, study=4, sop_class="1.2.840.10008.5.1.4.1.1.104.1")
    for keyword in (
        "Rows",
        "Columns",
        "PixelData",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
    ):
        delattr(ds, keyword)
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = DOCUMENT * 100
    return ds


FILES = {
    "1": [part10(dataset(number, size=512)) for number in (1, 2, 3)],
    "2": [part10(multiframe())],
    "3": [compressed()],
    "4": [part10(document())],
    "5": [part10(dataset(1, study=5, size=256), ImplicitVRLittleEndian)],
    "6": [part10(dataset(1, study=6, size=256), ExplicitVRBigEndian)],
    "7": [part10(dataset(1, study=7, size=256), DeflatedExplicitVRLittleEndian)],
}


def path(study: str, number: int = 1) -> str:
    return f"/dicom-web/studies/{ROOT}.{study}/series/{ROOT}.{study}.1/instances/{ROOT}.{study}.1.{number}"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive")) as served:
        answer = served.store(*(file for files in FILES.values() for file in files))
        assert answer.status_code == 200, answer.text
        yield served


@pytest.mark.parametrize("study", FILES)
def test_every_object_is_given_back_bit_for_bit(web: WebServed, study: str) -> None:
    for where in ("", f"/series/{ROOT}.{study}.1"):
        answer = web.http.get(f"/dicom-web/studies/{ROOT}.{study}{where}", headers={"accept": ANY_DICOM})
        assert answer.status_code == 200
        assert sorted(data for _, data in parts_of(answer)) == sorted(FILES[study])
    bare = web.http.get(path(study), headers={"accept": "application/dicom; transfer-syntax=*"})
    assert bare.content == FILES[study][0]
    assert int(bare.headers["content-length"]) == len(bare.content)


def test_parts_say_what_and_where_they_are(web: WebServed) -> None:
    ((headers, _),) = parts_of(web.http.get(path("2"), headers={"accept": "*/*"}))
    assert headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert headers["content-location"] == f"http://127.0.0.1:{web.port}{path('2')}"


@pytest.mark.parametrize("study", ["5", "6", "7"])
def test_without_transfer_syntax_an_object_comes_in_explicit_little_endian(
    web: WebServed, study: str
) -> None:
    answer = web.http.get(path(study), headers={"accept": "application/dicom"})
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={EXPLICIT}"
    converted = pydicom.dcmread(io.BytesIO(answer.content))
    assert converted.file_meta.TransferSyntaxUID == EXPLICIT
    stored = pydicom.dcmread(io.BytesIO(FILES[study][0]))
    words = stored.PixelData
    if study == "6":
        words = b"".join(words[i + 1 : i + 2] + words[i : i + 1] for i in range(0, len(words), 2))
    assert converted.PixelData == words
    del converted.PixelData, stored.PixelData
    assert converted.to_json_dict() == stored.to_json_dict()


def test_a_compressed_object_cannot_be_had_uncompressed_without_a_decoder(web: WebServed) -> None:
    assert web.http.get(path("3"), headers={"accept": "application/dicom"}).status_code == 406
    assert (
        web.http.get(f"{path('3')}/frames/1", headers={"accept": "application/octet-stream"}).status_code
        == 406
    )


def test_a_byte_range_is_206_and_says_which(web: WebServed) -> None:
    headers = {"accept": "application/dicom", "range": "bytes=128-131"}
    answer = web.http.get(path("1"), headers=headers)
    assert (answer.status_code, answer.content) == (206, b"DICM")
    assert answer.headers["content-range"] == f"bytes 128-131/{len(FILES['1'][0])}"
    last = web.http.get(path("1"), headers=headers | {"range": "bytes=-4"})
    assert last.content == FILES["1"][0][-4:]


@pytest.mark.parametrize(
    "spec", ["bytes=5-4", "bytes=99999999-", ",".join(["bytes=0-1"] * 100), "bytes=0-1,2-3"]
)
def test_b67_other_ranges_are_416(web: WebServed, spec: str) -> None:
    answer = web.http.get(path("1"), headers={"accept": "application/dicom", "range": spec})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(FILES['1'][0])}"


@pytest.mark.parametrize("what", ["", "/metadata", "/frames/1"])
def test_what_the_client_holds_is_304(web: WebServed, what: str) -> None:
    first = web.http.get(path("1") + what)
    again = web.http.get(path("1") + what, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = web.http.get(path("1", 2) + what, headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_head_has_the_headers_and_no_body(web: WebServed) -> None:
    headers = {"accept": "application/dicom"}
    answer = web.http.head(path("1"), headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert (
        answer.headers["content-length"] == web.http.get(path("1"), headers=headers).headers["content-length"]
    )


@pytest.mark.parametrize(
    "where",
    [
        "/dicom-web/studies/9.9.9",
        f"/dicom-web/studies/{ROOT}.1/series/9.9",
        f"{path('1')}.9",
        f"{path('1')}/frames/2",
        f"{path('2')}/frames/5",
        f"{path('4')}/frames/1",
        f"{path('1')}/bulkdata/00091010",
        f"{path('1')}/nothing",
        "/dicom-web/studies/",
        "/DICOM-WEB/studies",
        "/dicom-web//studies",
        "/dicom-web/studies;x=1",
    ],
)
def test_what_is_not_there_is_404(web: WebServed, where: str) -> None:
    answer = web.http.get(where)
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize("frame", [1, 2, 3, 4])
def test_frames_of_native_pixels(web: WebServed, frame: int) -> None:
    headers = {"accept": "application/octet-stream"}
    for _ in range(2):
        answer = web.http.get(f"{path('2')}/frames/{frame}", headers=headers)
        assert answer.content == bytes([frame - 1]) * 256
        assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"


def test_several_frames_come_in_parts_in_the_order_asked(web: WebServed) -> None:
    answer = web.http.get(f"{path('2')}/frames/3,1,3")
    parts = parts_of(answer)
    assert [data[0] for _, data in parts] == [2, 0, 2]
    assert parts[0][0]["content-location"].endswith("/frames/3")
    escaped = web.http.get(f"{path('2')}/frames/3%2C1")
    assert [data[0] for _, data in parts_of(escaped)] == [2, 0]


def test_big_endian_frames_come_in_little_endian(web: WebServed) -> None:
    ds = dataset(1, study=6, size=256)
    answer = web.http.get(f"{path('6')}/frames/1", headers={"accept": "application/octet-stream"})
    stored = ds.PixelData
    assert answer.content == b"".join(stored[i + 1 : i + 2] + stored[i : i + 1] for i in range(0, 256, 2))


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", f"image/dicom-rle; transfer-syntax={RLE}"),
        ('multipart/related; type="image/dicom-rle"', f"image/dicom-rle; transfer-syntax={RLE}"),
        ('multipart/related; type="image/x-dicom-rle"', f"image/x-dicom-rle; transfer-syntax={RLE}"),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=*',
         f"application/octet-stream; transfer-syntax={RLE}"),
    ],
)  # fmt: skip
def test_compressed_frames_come_in_the_type_of_their_syntax(
    web: WebServed, accept: str, content_type: str
) -> None:
    answer = web.http.get(f"{path('3')}/frames/1,2", headers={"accept": accept})
    assert [(h["content-type"], data) for h, data in parts_of(answer)] == [
        (content_type, b"\x01\x02\x03\x04"),
        (content_type, b"\x05\x06"),
    ]


def test_pixel_data_is_all_frames(web: WebServed) -> None:
    assert len(parts_of(web.http.get(f"{path('3')}/pixeldata"))) == 2
    assert len(parts_of(web.http.get(f"{path('2')}/pixeldata"))) == 4


def test_metadata_is_the_dicom_json_model_with_bulk_data_by_reference(web: WebServed) -> None:
    (model,) = web.http.get(f"{path('4')}/metadata").json()
    uri = model["00420011"]["BulkDataURI"]
    assert uri == f"http://127.0.0.1:{web.port}{path('4')}/bulkdata/00420011"
    bare = web.http.get(uri, headers={"accept": "*/*;q=0.1, application/pdf"})
    assert bare.content.rstrip(b"\0") == DOCUMENT * 100
    assert bare.headers["content-type"] == "application/pdf"
    assert bare.headers["content-disposition"] == "attachment"
    assert "sandbox" in bare.headers["content-security-policy"]
    some = web.http.get(uri, headers={"accept": "application/octet-stream", "range": "bytes=0-3"})
    assert (some.status_code, some.content) == (206, b"%PDF")


def test_pixel_data_as_bulk_data(web: WebServed) -> None:
    uri = web.http.get(f"{path('2')}/metadata").json()[0]["7FE00010"]["BulkDataURI"]
    answer = web.http.get(uri, headers={"accept": "application/octet-stream"})
    assert answer.content == multiframe().PixelData
    assert len(parts_of(web.http.get(uri))) == 1


def test_metadata_of_a_series_is_packed_once_and_the_same_either_way(web: WebServed) -> None:
    where = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/metadata"
    packed = web.http.get(where, headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    plain = web.http.get(where, headers={"accept-encoding": "identity"})
    assert packed.json() == plain.json()
    assert [m["00080018"]["Value"][0] for m in plain.json()] == [f"{ROOT}.1.1.{n}" for n in (1, 2, 3)]
    tag = packed.headers["etag"]
    assert web.http.get(where, headers={"if-none-match": tag}).status_code == 304


def test_metadata_in_xml(web: WebServed) -> None:
    accept = {"accept": 'multipart/related; type="application/dicom+xml"'}
    parts = parts_of(web.http.get(f"/dicom-web/studies/{ROOT}.1/metadata", headers=accept))
    assert len(parts) == 3
    assert all(b"<NativeDicomModel" in data for _, data in parts)


def test_metadata_changes_when_the_series_does(tmp_path: Any) -> None:
    where = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/metadata"
    with web_served(tmp_path) as web:
        web.store(part10(dataset(1)))
        first = web.http.get(where)
        web.store(part10(dataset(1, study=2)))
        assert web.http.get(where, headers={"if-none-match": first.headers["etag"]}).status_code == 304
        web.store(part10(dataset(2)))
        second = web.http.get(where, headers={"if-none-match": first.headers["etag"]})
        assert (second.status_code, len(second.json())) == (200, 2)


def test_a_frame_is_never_answered_from_a_version_that_is_gone(tmp_path: Any) -> None:
    where = f"{path('1')}/frames/1"
    accept = {"accept": "application/octet-stream"}
    with web_served(tmp_path) as web:
        web.store(part10(dataset(1, size=256)))
        old = [web.http.get(where, headers=accept).content for _ in range(3)]
        web.store(part10(dataset(1, size=256, PixelData=b"\x55" * 256)))
        new = [web.http.get(where, headers=accept).content for _ in range(3)]
        assert set(old) == {dataset(1, size=256).PixelData}
        assert set(new) == {b"\x55" * 256}
        assert web.http.get(f"{where}?version=1", headers=accept).content == old[0]
        web.http.delete(path("1"))
        assert [web.http.get(where, headers=accept).status_code for _ in range(2)] == [404, 404]


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="no sendfile here")
def test_frames_asked_for_again_leave_by_the_kernel_whenever_they_came(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sent = os.sendfile, []

    def counted(*arguments: Any) -> int:
        sent.append(arguments[3])
        return real(*arguments)

    monkeypatch.setattr(os, "sendfile", counted)
    where = f"{path('1')}/frames/1"
    accept = {"accept": "application/octet-stream"}

    def ask() -> bytes:
        return web.http.get(where, headers=accept).content

    with web_served(tmp_path) as web:
        web.store(part10(dataset(1, size=512)))
        assert [ask(), ask()] == [dataset(1, size=512).PixelData] * 2
        assert sent == [512]
        # Something else came: the short way is open again as soon as the feed was looked at.
        web.store(part10(dataset(2, size=512)))
        deadline = time.monotonic() + 10
        while len(sent) < 2 and time.monotonic() < deadline:
            assert ask() == dataset(1, size=512).PixelData
        assert sent == [512, 512]


def test_the_transport_compression_of_frames_is_left_alone(web: WebServed) -> None:
    answer = web.http.get(f"{path('2')}/frames/1", headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_the_accept_query_parameter_stands_for_the_field(web: WebServed) -> None:
    where = f"{path('1')}?accept=application%2Fdicom%3Btransfer-syntax%3D*"
    answer = web.http.get(where, headers={"accept": "text/html"})
    assert answer.content == FILES["1"][0]


@pytest.mark.parametrize("frames", ["0", "-1", "9223372036854775808", "1,", "a", "1,2,0"])
def test_b68_frame_lists_that_cannot_be_are_400(web: WebServed, frames: str) -> None:
    assert web.http.get(f"{path('2')}/frames/{frames}").status_code == 400


def test_b68_a_list_of_ten_thousand_frames_is_refused(web: WebServed) -> None:
    answer = web.http.get(f"{path('2')}/frames/{'1,' * 10_000}1")
    assert answer.status_code in (400, 414)


@pytest.mark.parametrize(
    "accept", ["a/b;q=abc", ",".join(["application/dicom"] * 1000), "x" * 30_000, "image/png"]
)
def test_b69_an_accept_that_cannot_be_met_is_400_or_406(web: WebServed, accept: str) -> None:
    answer = web.http.get(path("1"), headers={"accept": accept})
    assert answer.status_code in (400, 406)


def test_b48_a_preamble_that_is_a_program_is_given_back_inert(tmp_path: Any) -> None:
    file = b"MZ<html><script>alert(1)</script>".ljust(128, b"\0") + part10(dataset(1))[128:]
    with web_served(tmp_path) as web:
        web.store(file)
        answer = web.http.get(path("1"), headers={"accept": "application/dicom"})
    assert answer.content == file
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def uri(**parameters: str) -> dict[str, str]:
    named = {"studyUID": f"{ROOT}.1", "seriesUID": f"{ROOT}.1.1", "objectUID": f"{ROOT}.1.1.1"}
    return {"requestType": "WADO"} | named | parameters


def test_wado_uri_gives_an_object(web: WebServed) -> None:
    answer = web.http.get("/wado", params=uri(contentType="application/dicom"))
    assert answer.content == FILES["1"][0]
    assert answer.headers["content-type"].startswith("application/dicom")


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"requestType": "x"}, 400),
        ({"objectUID": "../../etc/passwd"}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "7"}, 400),
        ({"contentType": "text/html"}, 406),
        ({"anonymize": "yes"}, 406),
    ],
)
def test_wado_uri_refuses(web: WebServed, parameters: dict[str, str], status: int) -> None:
    assert web.http.get("/wado", params=uri(**parameters)).status_code == status


def test_gzip_of_metadata_is_gzip(web: WebServed) -> None:
    with web.http.stream(
        "GET", f"/dicom-web/studies/{ROOT}.1/metadata", headers={"accept-encoding": "gzip"}
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert gzip.decompress(raw).startswith(b"[{")


def test_dataset_bytes_are_what_was_sent(web: WebServed) -> None:
    answer = web.http.get(path("1"), headers={"accept": "application/dicom"})
    assert dataset_bytes(answer.content) == dataset_bytes(FILES["1"][0])


def test_objects_that_cannot_be_had_in_the_form_asked_for_are_left_out_with_206(tmp_path: Any) -> None:
    plain = part10(dataset(1, study=3, series=2))
    with web_served(tmp_path) as web:
        web.store(compressed(), plain)
        headers = {"accept": 'multipart/related; type="application/dicom"'}
        answer = web.http.get(f"/dicom-web/studies/{ROOT}.3", headers=headers)
        assert answer.status_code == 206
        assert [data for _, data in parts_of(answer)] == [plain]
        only = f"/dicom-web/studies/{ROOT}.3/series/{ROOT}.3.1"
        assert web.http.get(only, headers=headers).status_code == 406


def test_an_object_found_damaged_is_410_by_every_way(tmp_path: Any) -> None:
    where = path("1")
    headers = {"accept": "application/dicom"}
    with web_served(tmp_path) as web:
        web.store(part10(dataset(1, size=256)))
        assert [web.http.get(where, headers=headers).status_code for _ in range(2)] == [200, 200]
        real = web.archive.real_path(web.archive.locate()[0])
        assert real is not None
        data = bytearray(real.read_bytes())
        data[-1] ^= 1
        real.write_bytes(data)
        web.archive.verify()
        assert web.http.get(where, headers=headers).status_code == 410
        assert web.http.get(f"{where}/frames/1").status_code == 410
        assert web.http.get(f"{where}/metadata").status_code == 410
