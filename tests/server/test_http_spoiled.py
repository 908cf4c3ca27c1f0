"""One broken frame of an object: that frame is an error, its neighbours and the server are fine (B54 to B58)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gantry.dataset.part10 import read_part10
from gantry.pixels.codecs.registry import NAMES
from gantry.pixels.encapsulation import frame_table
from image_values import color, gray, image_object, made
from serving import ROOT
from web_serving import WebServed, web_served

SERIES = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/instances"
CODECS = [
    "deflated-frames", "rle", "jpeg", "jpeg-extended", "jpeg-lossless", "jpeg-ls", "jpeg-ls-near", "jpeg2000-lossless", "jpeg2000",
    "htj2k-lossless", "htj2k", "jpegxl-lossless", "jpegxl",
]  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        yield served


def object_of(codec: str) -> bytes:
    """Three frames."""
    if codec == "jpeg":
        return made(image_object(color(3)), codec)[0]
    return made(image_object(gray(3, 12), BitsStored=12, HighBit=11), codec)[0]


def broken(file: bytes) -> bytes:
    """The same with the beginning of its second frame overwritten."""
    _, ds = read_part10(file)
    table = frame_table(ds)
    assert table is not None
    ((offset, length), *_) = table.frame(1)
    spoiled = min(length, 120)
    return file[:offset] + b"\xfe" * spoiled + file[offset + spoiled :]


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_b57_the_second_frame_is_an_error_and_the_others_are_not(web: WebServed, codec: str) -> None:
    file = broken(object_of(codec))
    stored = web.store(file)
    other = {
        "accept": f"application/dicom; transfer-syntax={NAMES['jpegxl-lossless' if codec != 'jpegxl-lossless' else 'rle']}"
    }
    assert stored.status_code == 200, stored.text
    path = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    for _ in range(2):
        octets = {"accept": "application/octet-stream"}
        assert web.http.get(f"{path}/frames/2", headers=octets).status_code == 422
        in_parts = {"accept": 'multipart/related; type="application/octet-stream"'}
        assert web.http.get(f"{path}/frames/2", headers=in_parts).status_code == 422
        answer = web.http.get(f"{path}/frames/2/rendered")
        assert answer.status_code == 422
        assert answer.text
        assert web.http.get(f"{path}/frames/1,3", headers={"accept": "*/*"}).status_code == 200
        stored_form = {"accept": "application/dicom; transfer-syntax=*"}
        assert web.http.get(path, headers=stored_form).content == file
        assert web.http.get(path, headers=other).status_code == 422
        for frame in (1, 3):
            assert web.http.get(f"{path}/frames/{frame}", headers=octets).status_code == 200
            assert web.http.get(f"{path}/frames/{frame}/rendered").status_code == 200
    assert web.http.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"Rows": 65535, "Columns": 65535}, {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 2147483647},
        {"Rows": 0}, {"Columns": 0}, {"SamplesPerPixel": 65535}, {"BitsAllocated": 65535}, {"BitsAllocated": 0},
        {"NumberOfFrames": 0}, {"NumberOfFrames": -1}, {"NumberOfFrames": 999_999},
    ],
    ids=str,
)  # fmt: skip
def test_b54_headers_that_lie_with_ten_bytes_behind(web: WebServed, changed: dict[str, int]) -> None:
    uid = f"{ROOT}.1.1.{200 + sum(map(ord, str(changed)))}"
    pixels = np.zeros((1, 1, 5), np.uint16)
    assert web.store(image_object(pixels, SOPInstanceUID=uid, **changed)).status_code == 200
    for what in ("/frames/1", "/frames/1/rendered", "/rendered", "/thumbnail", "/frames/999999/rendered"):
        answer = web.http.get(f"{SERIES}/{uid}{what}")
        assert answer.status_code in (200, 404, 406, 422), (what, answer.text)
        assert len(answer.content) < 1 << 20
    assert web.http.get("/api/health").status_code == 200


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_b56_not_a_number_and_infinity_in_float_pixels(web: WebServed, kind: type) -> None:
    values = np.linspace(-1, 1, 64).reshape(1, 8, 8).astype(kind)
    for number, odd in enumerate((np.nan, np.inf, -np.inf)):
        for all_of_it in (False, True):
            pixels = np.full_like(values, odd) if all_of_it else values.copy()
            pixels[0, 0, :3] = odd
            uid = f"{ROOT}.1.1.{300 + 10 * number + 100 * np.dtype(kind).itemsize + all_of_it}"
            assert web.store(float_object(pixels, uid)).status_code == 200
            assert web.http.get(f"{SERIES}/{uid}/rendered").status_code in (200, 422)
            octets = web.http.get(f"{SERIES}/{uid}/frames/1", headers={"accept": "application/octet-stream"})
            assert octets.content == pixels.tobytes()
    assert web.http.get("/api/health").status_code == 200


def float_object(pixels: np.ndarray, uid: str) -> bytes:
    """A Part 10 file with Float or Double Float Pixel Data."""
    import io

    import pydicom

    ds = pydicom.dcmread(io.BytesIO(image_object(np.zeros(pixels.shape, np.uint16), SOPInstanceUID=uid)))
    del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    setattr(ds, "FloatPixelData" if pixels.dtype == np.float32 else "DoubleFloatPixelData", pixels.tobytes())
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def test_names_are_names() -> None:
    assert set(CODECS) <= set(NAMES)
