"""WADO-RS in another transfer syntax than the stored one: whole objects and frames, made under guard (PS3.18 8.7.3)."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest

from gantry.dataset.part10 import read_part10
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.decode import decode_frame
from gantry.pixels.image import ImageHeader
from image_values import decoded, gray, image_object, made
from serving import ROOT
from web_serving import WebServed, parts_of, web_served

PATH = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
PIXELS = gray(3)
ORIGINAL = made(image_object(PIXELS), "rle")[0]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        assert served.store(ORIGINAL).status_code == 200
        yield served


@pytest.mark.parametrize(
    "name",
    [
        "explicit",
        "jpeg-lossless",
        "jpeg-ls",
        "jpeg2000-lossless",
        "htj2k-lossless",
        "htj2k-rpcl",
        "jpegxl-lossless",
    ],
)
def test_an_object_comes_in_the_syntax_that_is_asked_for(web: WebServed, name: str) -> None:
    uid = NAMES[name]
    answer = web.http.get(PATH, headers={"accept": f"application/dicom; transfer-syntax={uid}"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    ds = pydicom.dcmread(io.BytesIO(answer.content))
    assert ds.file_meta.TransferSyntaxUID == uid
    assert ds.SOPInstanceUID == f"{ROOT}.1.1.1"
    assert (decoded(answer.content)[0] == PIXELS).all()


def test_a_series_comes_in_the_syntax_that_is_asked_for(web: WebServed) -> None:
    uid = NAMES["htj2k-lossless"]
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={uid}'
    ((headers, data),) = parts_of(web.http.get(PATH.rpartition("/instances")[0], headers={"accept": accept}))
    assert headers["content-type"] == f"application/dicom; transfer-syntax={uid}"
    assert (decoded(data)[0] == PIXELS).all()


def test_nothing_lossy_is_offered(web: WebServed) -> None:
    for name in ("jpeg", "jpeg2000", "htj2k"):
        accept = f"application/dicom; transfer-syntax={NAMES[name]}"
        assert web.http.get(PATH, headers={"accept": accept}).status_code == 406


def test_as_stored_where_anything_is_taken(web: WebServed) -> None:
    answer = web.http.get(PATH, headers={"accept": "application/dicom; transfer-syntax=*"})
    assert answer.content == ORIGINAL


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("image/jls", "jpeg-ls"),
        (f"image/jphc; transfer-syntax={NAMES['htj2k-rpcl']}", "htj2k-rpcl"),
        ("image/jp2", "jpeg2000-lossless"),
        ("image/jpeg", "jpeg-lossless"),
    ],
)
def test_a_frame_comes_in_the_media_type_that_is_asked_for(web: WebServed, accept: str, name: str) -> None:
    answer = web.http.get(f"{PATH}/frames/2", headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].endswith(NAMES[name])
    image = ImageHeader.from_dataset(read_part10(ORIGINAL)[1])
    assert (decode_frame(answer.content, NAMES[name], image) == PIXELS[1]).all()


def test_b57_a_frame_that_is_broken_is_an_error_of_that_frame_only(web: WebServed) -> None:
    at = ORIGINAL.index(b"\x02\0\0\0\x40\0\0\0", ORIGINAL.index(b"\x02\0\0\0\x40\0\0\0") + 8)
    spoiled = ORIGINAL[:at] + b"\xff" + ORIGINAL[at + 1 :]
    spoiled = spoiled.replace(f"{ROOT}.1.1.1".encode(), f"{ROOT}.1.1.9".encode())
    assert web.store(spoiled).status_code == 200
    other = PATH[:-1] + "9"
    jls = {"accept": "image/jls"}
    assert web.http.get(f"{other}/frames/2", headers=jls).status_code >= 400
    for number in (1, 3):
        assert web.http.get(f"{other}/frames/{number}", headers=jls).status_code == 200
    assert web.http.get(f"{PATH}/frames/2", headers=jls).status_code == 200


def test_pixels_that_a_syntax_cannot_carry_are_406(web: WebServed) -> None:
    wide = image_object(np.zeros((1, 4, 4), np.uint32), SOPInstanceUID=f"{ROOT}.1.1.5")
    assert web.store(wide).status_code == 200
    accept = {"accept": f"application/dicom; transfer-syntax={NAMES['jpeg-lossless']}"}
    answer = web.http.get(PATH[:-1] + "5", headers=accept)
    assert answer.status_code == 406
    assert "16 is the most" in answer.text
