"""Bulk data and Pixel Data of studies, series and instances (PS3.18 10.4.1.1.5, 10.4.1.1.6)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from gantry.server import bulk_parts
from image_values import gray, image_object, made
from serving import ROOT, dataset, part10
from web_serving import WebServed, bulk_uris, parts_of, web_served

EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
OCTETS = 'multipart/related; type="application/octet-stream"'
DOCUMENT = b"%PDF-1.4 a document\n" * 100
WAVE = array("H", range(3000)).tobytes()
LONG = bytes(range(256)) * (3 << 12)
"""Three megabytes: more than is read at a time."""


def without_pixels(ds: Dataset) -> Dataset:
    for keyword in ("Rows", "Columns", "PixelData", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(ds, keyword)
    return ds


def document(study: int = 1) -> Dataset:
    ds = without_pixels(
        dataset(1, study=study, series=2, sop_class="1.2.840.10008.5.1.4.1.1.104.1", Modality="DOC")
    )
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = DOCUMENT
    return ds


def waveform(study: int = 1, words: bytes = WAVE) -> Dataset:
    ds = without_pixels(
        dataset(1, study=study, series=3, sop_class="1.2.840.10008.5.1.4.1.1.9.1.1", Modality="ECG")
    )
    item = Dataset()
    item.WaveformBitsAllocated = 16
    item.add_new(0x54001010, "OW", words)
    ds.WaveformSequence = Sequence([item])
    ds.add_new(0x00091001, "OB", LONG)
    return ds


PIXELS = gray(2)
COMPRESSED = made(image_object(PIXELS), "rle")[0]
COMPRESSED_STUDY = ROOT + ".1"


def path(study: int, series: int | None = None, number: int | None = None) -> str:
    where = f"/dicom-web/studies/{ROOT}.{study}"
    if series is not None:
        where += f"/series/{ROOT}.{study}.{series}"
    return where if number is None else f"{where}/instances/{ROOT}.{study}.{series}.{number}"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        answer = served.store(
            *(part10(dataset(number, size=512)) for number in (1, 2)),
            part10(document()),
            part10(waveform()),
            part10(without_pixels(dataset(1, study=2))),
            part10(waveform(3), ExplicitVRBigEndian),
            part10(waveform(4), DeflatedExplicitVRLittleEndian),
        )
        assert answer.status_code == 200, answer.text
        yield served


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    """A study of two frames in RLE and a document."""
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        assert served.store(COMPRESSED, part10(document())).status_code == 200
        yield served


@pytest.mark.parametrize("where", [path(1), path(1, 1), path(1, 3), path(1, 3, 1), path(3), path(4)])
def test_every_value_that_the_metadata_refers_to_is_a_part(web: WebServed, where: str) -> None:
    answer = web.http.get(f"{where}/bulkdata", headers={"accept": OCTETS})
    assert answer.status_code == 200
    parts = {headers["content-location"]: data for headers, data in parts_of(answer)}
    expected = bulk_uris(web.http.get(f"{where}/metadata").json())
    assert sorted(parts) == sorted(expected)
    for uri, data in parts.items():
        assert web.http.get(uri, headers={"accept": "application/octet-stream"}).content == data


def test_values_are_those_that_were_stored(web: WebServed) -> None:
    answer = web.http.get(f"{path(1)}/bulkdata")
    assert answer.headers["content-type"].startswith("multipart/related")
    parts = parts_of(answer)
    found = {
        headers["content-location"].rpartition("/instances/")[2]: (headers["content-type"], data)
        for headers, data in parts
    }
    assert found == {
        f"{ROOT}.1.1.1/bulkdata/7FE00010": ("application/octet-stream", dataset(1, size=512).PixelData),
        f"{ROOT}.1.1.2/bulkdata/7FE00010": ("application/octet-stream", dataset(2, size=512).PixelData),
        f"{ROOT}.1.2.1/bulkdata/00420011": ("application/pdf", DOCUMENT),
        f"{ROOT}.1.3.1/bulkdata/54000100/1/54001010": ("application/octet-stream", WAVE),
        f"{ROOT}.1.3.1/bulkdata/00091001": ("application/octet-stream", LONG),
    }


@pytest.mark.parametrize("study", [3, 4])
def test_values_come_in_little_endian_and_inflated(web: WebServed, study: int) -> None:
    where = f"{path(study, 3, 1)}/bulkdata/54000100/1/54001010"
    words = WAVE if study == 4 else array("H", [(n & 255) << 8 | n >> 8 for n in range(3000)]).tobytes()
    assert web.http.get(where, headers={"accept": "application/octet-stream"}).content == words
    some = web.http.get(where, headers={"accept": "application/octet-stream", "range": "bytes=100-199"})
    assert (some.status_code, some.content) == (206, words[100:200])


def test_a_long_value_is_had_whole_and_in_part(web: WebServed) -> None:
    where = f"{path(1, 3, 1)}/bulkdata/00091001"
    whole = web.http.get(where, headers={"accept": "application/octet-stream"})
    assert (whole.content, int(whole.headers["content-length"])) == (LONG, len(LONG))
    tail = web.http.get(where, headers={"accept": "application/octet-stream", "range": "bytes=-1000"})
    assert (tail.status_code, tail.content) == (206, LONG[-1000:])
    ((headers, data),) = parts_of(web.http.get(where, headers={"accept": OCTETS}))
    assert (headers["content-location"], data) == (f"http://127.0.0.1:{web.port}{where}", LONG)


def test_what_the_client_holds_is_304(web: WebServed) -> None:
    for name in ("bulkdata", "pixeldata"):
        first = web.http.get(f"{path(1)}/{name}")
        again = web.http.get(f"{path(1)}/{name}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = web.http.get(f"{path(1, 1, 1)}/{name}", headers={"if-none-match": first.headers["etag"]})
        assert other.status_code == 200


@pytest.mark.parametrize("name", ["bulkdata", "pixeldata"])
@pytest.mark.parametrize(
    ("where", "status"),
    [(path(2), 404), (path(9), 404), (path(1, 9), 404), (path(1, 1, 9), 404), ("/dicom-web/studies/x", 400)],
)
def test_what_has_none_is_404(web: WebServed, where: str, status: int, name: str) -> None:
    answer = web.http.get(f"{where}/{name}")
    assert answer.status_code == status
    assert answer.json()["error"]


def test_what_is_not_taken_is_left_out_with_206_or_406(web: WebServed) -> None:
    headers = {"accept": 'multipart/related; type="application/pdf"'}
    answer = web.http.get(f"{path(1)}/bulkdata", headers=headers)
    assert answer.status_code == 206
    assert [data for _, data in parts_of(answer)] == [DOCUMENT]
    assert web.http.get(f"{path(1, 1)}/bulkdata", headers=headers).status_code == 406
    assert web.http.get(f"{path(1, 1)}/pixeldata", headers=headers).status_code == 406
    assert web.http.get(f"{path(1)}/bulkdata", headers={"accept": "application/pdf"}).status_code == 406


def test_encapsulated_pixels_come_frame_by_frame_below_their_uri(compressed: WebServed) -> None:
    parts = parts_of(compressed.http.get(f"/dicom-web/studies/{COMPRESSED_STUDY}/bulkdata"))
    by_type = [headers["content-type"] for headers, _ in parts]
    assert by_type == [f"image/dicom-rle; transfer-syntax={RLE}"] * 2 + ["application/pdf"]
    for number, (headers, data) in enumerate(parts[:2], 1):
        uri = headers["content-location"]
        assert uri.endswith(f"/bulkdata/7FE00010/frames/{number}")
        again = compressed.http.get(uri, headers={"accept": "image/dicom-rle"})
        assert again.content == data


def test_encapsulated_pixels_are_decompressed_for_who_takes_octets(compressed: WebServed) -> None:
    where = f"/dicom-web/studies/{COMPRESSED_STUDY}"
    parts = parts_of(compressed.http.get(f"{where}/bulkdata", headers={"accept": OCTETS}))
    assert [headers["content-type"] for headers, _ in parts] == [
        f"application/octet-stream; transfer-syntax={EXPLICIT}"
    ] * 2 + ["application/octet-stream"]
    frames = [np.frombuffer(data, "<u2").reshape(PIXELS.shape[1:]) for _, data in parts[:2]]
    assert (np.stack(frames) == PIXELS).all()
    assert parts_of(compressed.http.get(f"{where}/pixeldata", headers={"accept": OCTETS})) != []


@pytest.mark.parametrize("where", ["", f"/series/{ROOT}.1.1", f"/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"])
def test_pixel_data_is_all_frames_of_all_objects(compressed: WebServed, where: str) -> None:
    parts = parts_of(compressed.http.get(f"/dicom-web/studies/{COMPRESSED_STUDY}{where}/pixeldata"))
    assert [headers["content-location"].rpartition("/instances/")[2] for headers, _ in parts] == [
        f"{ROOT}.1.1.1/frames/1",
        f"{ROOT}.1.1.1/frames/2",
    ]


def test_pixel_data_of_a_native_series(web: WebServed) -> None:
    parts = parts_of(web.http.get(f"{path(1)}/pixeldata"))
    assert [data for _, data in parts] == [dataset(n, size=512).PixelData for n in (1, 2)]


def test_a_damaged_object_is_left_out_with_206_and_410_by_itself(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        web.store(*(part10(dataset(number, size=512)) for number in (1, 2)))
        real = web.archive.real_path(web.archive.locate(sop_uid=f"{ROOT}.1.1.1")[0])
        assert real is not None
        data = bytearray(real.read_bytes())
        data[-1] ^= 1
        real.write_bytes(data)
        web.archive.verify()
        for name in ("bulkdata", "pixeldata"):
            answer = web.http.get(f"{path(1)}/{name}")
            assert answer.status_code == 206
            assert [data for _, data in parts_of(answer)] == [dataset(2, size=512).PixelData]
            assert web.http.get(f"{path(1, 1, 1)}/{name}").status_code == 410


def test_a_video_is_given_as_it_is_and_not_decompressed(tmp_path: Path) -> None:
    ds = dataset(1, size=512)
    ds.PixelData = pydicom.encaps.encapsulate([b"a video"])
    ds["PixelData"].is_undefined_length = True
    with web_served(tmp_path, pictures=True) as web:
        web.store(part10(ds, "1.2.840.10008.1.2.4.102"), part10(document()))
        ((headers, data), _) = parts_of(web.http.get(f"{path(1)}/bulkdata"))
        assert headers["content-type"] == "video/mp4; transfer-syntax=1.2.840.10008.1.2.4.102"
        assert data.rstrip(b"\0") == b"a video"
        some = web.http.get(f"{path(1)}/bulkdata", headers={"accept": OCTETS})
        assert (some.status_code, [data for _, data in parts_of(some)]) == (206, [DOCUMENT])
        for name in ("bulkdata", "pixeldata", "bulkdata/7FE00010"):
            answer = web.http.get(f"{path(1, 1, 1)}/{name}", headers={"accept": OCTETS})
            assert answer.status_code == 406
        # A frame would be taken out of it, were it a video
        assert web.http.get(f"{path(1, 1, 1)}/frames/1", headers={"accept": OCTETS}).status_code in (406, 422)


def test_too_many_values_are_413(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_parts, "MAX_PARTS", 3)
    answer = web.http.get(f"{path(1)}/bulkdata")
    assert answer.status_code == 413
    assert web.http.get(f"{path(1, 1)}/bulkdata").status_code == 200


def test_the_only_frame_of_an_encapsulated_object_is_had_without_parts(tmp_path: Path) -> None:
    pixels = gray(1)
    stored, _ = made(image_object(pixels, SOPInstanceUID=f"{ROOT}.1.1.1"), "rle")
    uri = f"{path(1, 1, 1)}/bulkdata/7FE00010"
    with web_served(tmp_path, pictures=True) as web:
        assert web.store(stored).status_code == 200
        answer = web.http.get(uri, headers={"accept": "application/octet-stream"})
        assert answer.status_code == 200, answer.text
        assert answer.content == pixels.tobytes()
        part = web.http.get(uri, headers={"accept": "application/octet-stream", "range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, pixels.tobytes()[2:6])
