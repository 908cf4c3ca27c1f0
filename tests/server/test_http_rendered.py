"""Pictures and decompressed pixels, with the real decoders behind (PS3.18 10.4.1.1.3, 8.7.3)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import RLELossless

from gantry.dicomweb.multipart import MultipartParser, PartBegin, PartData
from serving import ROOT, dataset, part10
from web_serving import WebServed, web_served

EXPLICIT = "1.2.840.10008.1.2.1"


def image(study: int, frames: int = 2) -> Any:
    """Frames of 64 rows and 32 columns, each a gradient."""
    ds = dataset(1, study=study)
    gradient = np.arange(64 * 32, dtype="<u2").reshape(64, 32)
    ds.Rows, ds.Columns, ds.NumberOfFrames = 64, 32, frames
    ds.PixelData = b"".join((gradient + 100 * n).tobytes() for n in range(frames))
    return ds


def compressed(study: int) -> Any:
    ds = image(study)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.compress(RLELossless, generate_instance_uid=False)
    return ds


def path(study: int) -> str:
    return f"/dicom-web/studies/{ROOT}.{study}/series/{ROOT}.{study}.1/instances/{ROOT}.{study}.1.1"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    """1 native, 2 in RLE, 3 without pixels, 4 with more rows than any memory, 5 with pixels missing."""
    without = dataset(1, study=3)
    del without.PixelData
    huge = dataset(1, study=4, Rows=65535, Columns=65535, NumberOfFrames=999_999)
    short = image(5, frames=1)
    short.PixelData = short.PixelData[:1000]
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        files = [part10(image(1)), part10(compressed(2), RLELossless), *map(part10, (without, huge, short))]
        assert served.store(*files).status_code == 200
        yield served


def picture(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def parts_of(answer: Any) -> list[bytes]:
    parser = MultipartParser(answer.headers["content-type"].rpartition("boundary=")[2])
    parts: list[bytes] = []
    for event in parser.feed(answer.content):
        if isinstance(event, PartBegin):
            parts.append(b"")
        elif isinstance(event, PartData):
            parts[-1] += bytes(event.data)
    return parts


@pytest.mark.parametrize("study", [1, 2])
@pytest.mark.parametrize(
    ("accept", "form"), [("*/*", "JPEG"), ("image/png", "PNG"), ("image/jpeg;q=0.1, image/png", "PNG")]
)
def test_a_picture_in_the_form_asked_for(web: WebServed, study: int, accept: str, form: str) -> None:
    shown = picture(web.http.get(f"{path(study)}/rendered", headers={"accept": accept}))
    assert (shown.format, shown.size) == (form, (32, 64))


def test_a_picture_fits_its_viewport(web: WebServed) -> None:
    assert picture(web.http.get(f"{path(1)}/rendered?viewport=16,16")).size == (8, 16)
    assert picture(web.http.get(f"{path(1)}/frames/2/rendered?viewport=1000,128")).size == (64, 128)


def test_a_window_and_a_quality_change_the_picture(web: WebServed) -> None:
    narrow = picture(web.http.get(f"{path(1)}/rendered?window=1,2,linear", headers={"accept": "image/png"}))
    assert set(np.asarray(narrow).ravel()) == {0, 255}
    small = web.http.get(f"{path(1)}/rendered?quality=1")
    assert len(small.content) < len(web.http.get(f"{path(1)}/rendered?quality=100").content)


@pytest.mark.parametrize(
    "where",
    [
        f"/dicom-web/studies/{ROOT}.1",
        f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1",
        path(1),
        f"{path(2)}/frames/1",
    ],
)
def test_thumbnails_of_every_level(web: WebServed, where: str) -> None:
    assert max(picture(web.http.get(f"{where}/thumbnail")).size) == 128
    assert max(picture(web.http.get(f"{where}/thumbnail?viewport=64,64")).size) == 64


def test_a_series_is_rendered_one_part_a_frame(web: WebServed) -> None:
    answer = web.http.get(f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/rendered")
    assert [Image.open(io.BytesIO(part)).format for part in parts_of(answer)] == ["JPEG", "JPEG"]
    assert len(parts_of(web.http.get(f"{path(1)}/frames/2,1,2/rendered"))) == 3


def test_a_picture_the_client_holds_is_304(web: WebServed) -> None:
    first = web.http.get(f"{path(1)}/rendered")
    held = {"if-none-match": first.headers["etag"]}
    assert web.http.get(f"{path(1)}/rendered", headers=held).status_code == 304
    assert web.http.get(f"{path(1)}/rendered?quality=50", headers=held).status_code == 200


@pytest.mark.parametrize(
    ("where", "status"),
    [
        (f"{path(3)}/rendered", 406),
        (f"{path(3)}/frames/1/rendered", 406),
        (f"/dicom-web/studies/{ROOT}.3/rendered", 406),
        (f"{path(3)}/thumbnail", 404),
        (f"/dicom-web/studies/{ROOT}.3/thumbnail", 404),
        (f"{path(1)}/frames/3/rendered", 404),
        (f"{path(1)}/frames/3/thumbnail", 404),
    ],
)
def test_what_has_no_pixels_has_no_picture(web: WebServed, where: str, status: int) -> None:
    answer = web.http.get(where)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("query", ["viewport=1000000000,1", "window=nan,1", "quality=0"])
def test_b68_parameters_that_cannot_be_are_400(web: WebServed, query: str) -> None:
    assert web.http.get(f"{path(1)}/rendered?{query}").status_code == 400


def test_b54_an_image_of_impossible_size_is_kept_and_no_picture_is_made(web: WebServed) -> None:
    answer = web.http.get(f"{path(4)}/rendered")
    assert answer.status_code in (404, 422)
    assert web.http.get(path(4), headers={"accept": "application/dicom"}).status_code == 200
    assert picture(web.http.get(f"{path(1)}/rendered"))


def test_b55_pixels_that_are_missing_show_no_memory(web: WebServed) -> None:
    answer = web.http.get(f"{path(5)}/rendered", headers={"accept": "image/png"})
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert set(np.asarray(picture(answer)).ravel()[600:]) == {0}


def test_frames_of_a_compressed_object_come_decoded_where_that_is_asked(web: WebServed) -> None:
    answer = web.http.get(f"{path(2)}/frames/2", headers={"accept": "application/octet-stream"})
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={EXPLICIT}"
    assert answer.content == image(2).PixelData[64 * 32 * 2 :]


def test_a_compressed_object_comes_decoded_where_that_is_asked(web: WebServed) -> None:
    answer = web.http.get(path(2), headers={"accept": "application/dicom"})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    ds = pydicom.dcmread(io.BytesIO(answer.content))
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    assert ds.PixelData == image(2).PixelData
    assert ds.SOPInstanceUID == f"{ROOT}.2.1.1"


def test_wado_uri_gives_a_picture_by_default(web: WebServed) -> None:
    named = {
        "requestType": "WADO",
        "studyUID": f"{ROOT}.1",
        "seriesUID": f"{ROOT}.1.1",
        "objectUID": f"{ROOT}.1.1.1",
    }
    assert picture(web.http.get("/wado", params=named)).format == "JPEG"
    assert picture(web.http.get("/wado", params=named | {"contentType": "image/png", "rows": "32"})).size == (
        16,
        32,
    )
    assert web.http.get("/wado", params=named | {"frameNumber": "3"}).status_code == 400
