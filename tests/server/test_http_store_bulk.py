"""Metadata with bulk data in every media type that a store request may have (PS3.18 8.7.3.3, 10.5.2)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image

from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import read_part10
from gantry.dicomweb.wado import media_types_of
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES
from image_values import color, decoded, gray
from serving import ROOT, dataset, part10
from web_serving import BOUNDARY, WebServed, web_served

STUDIES = "/dicom-web/studies"
JSON_TYPE = f'multipart/related; type="application/dicom+json"; boundary={BOUNDARY}'
EXPLICIT = "1.2.840.10008.1.2.1"
MACRO = (
    "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation",
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as running:
        yield running


@pytest.fixture
def web(served: WebServed) -> Iterator[WebServed]:
    """The server, with nothing visible in it."""
    yield served
    for study in {location.key.study_uid for location in served.archive.locate()}:
        served.archive.delete(study)


def metadata(number: int = 1, *, without: tuple[str, ...] = MACRO, **attributes: Any) -> dict[str, Any]:
    """The model of an image whose pixels are elsewhere, `without` some of its attributes."""
    ds = dataset(number, size=256, **attributes)
    _, scanned = read_part10(part10(ds))
    model = to_json_model(scanned, bulk_uri=lambda path, _: f"bulk/{number}/{path}")
    return {
        tag: element for tag, element in model.items() if pydicom.datadict.keyword_for_tag(tag) not in without
    }


def body(models: list[dict[str, Any]], *bulk: tuple[str, bytes]) -> bytes:
    parts = [("application/dicom+json", json.dumps(models).encode(), "")]
    parts += [(kind, data, f"bulk/{number}/7FE00010") for number, (kind, data) in enumerate(bulk, 1)]
    pieces = []
    for kind, data, location in parts:
        head = f"--{BOUNDARY}\r\nContent-Type: {kind}\r\n"
        head += f"Content-Location: {location}\r\n" if location else ""
        pieces.append(head.encode() + b"\r\n" + data + b"\r\n")
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


def store(web: WebServed, models: list[dict[str, Any]], *bulk: tuple[str, bytes]) -> Any:
    return web.http.post(STUDIES, content=body(models, *bulk), headers={"content-type": JSON_TYPE})


def stored(web: WebServed, number: int = 1) -> bytes:
    where = f"{STUDIES}/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.{number}"
    return web.http.get(where, headers={"accept": "application/dicom; transfer-syntax=*"}).content


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


GRAY, GRAY_8, COLOR = gray(1, 16)[0], gray(1, 8)[0], color()[0]
LOSSLESS = [
    ("image/jpeg", imagecodecs.ljpeg_encode(GRAY, bitspersample=16), GRAY, "1.2.840.10008.1.2.4.57"),
    ("image/jls", imagecodecs.jpegls_encode(GRAY), GRAY, "1.2.840.10008.1.2.4.80"),
    ("image/x-jls", imagecodecs.jpegls_encode(GRAY_8), GRAY_8, "1.2.840.10008.1.2.4.80"),
    ("image/jp2", imagecodecs.jpeg2k_encode(GRAY, codecformat="j2k", reversible=True), GRAY, "1.2.840.10008.1.2.4.90"),
    ("image/jp2", imagecodecs.jpeg2k_encode(COLOR, codecformat="jp2", reversible=True), COLOR, "1.2.840.10008.1.2.4.90"),
    ("image/jphc", imagecodecs.htj2k_encode(GRAY, reversible=True), GRAY, "1.2.840.10008.1.2.4.201"),
    ("image/png", imagecodecs.png_encode(GRAY), GRAY, EXPLICIT),
    ("image/png", imagecodecs.png_encode(COLOR), COLOR, EXPLICIT),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "pixels", "syntax"), LOSSLESS)
@pytest.mark.parametrize("without", [MACRO, ()], ids=["derived", "replaced or given"])
def test_the_pixels_come_out_as_they_were(
    web: WebServed,
    kind: str,
    data: bytes,
    pixels: np.ndarray[Any, Any],
    syntax: str,
    without: tuple[str, ...],
) -> None:
    given: dict[str, Any] = {}
    if not without and kind != "image/png":
        bits = pixels.dtype.itemsize * 8
        given = {"Rows": pixels.shape[0], "Columns": pixels.shape[1], "BitsAllocated": bits, "BitsStored": bits,
                 "HighBit": bits - 1}  # fmt: skip
        if pixels.ndim == 3:
            given |= {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_RCT", "PlanarConfiguration": 0}
    answer = store(web, [metadata(without=without, **given)], (kind, data))
    assert answer.status_code == 200, answer.text
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert (ds.Rows, ds.Columns, ds.SamplesPerPixel) == (*pixels.shape[:2], 3 if pixels.ndim == 3 else 1)
    assert ds.BitsStored == pixels.dtype.itemsize * 8
    assert (decoded(stored(web))[0][0] == pixels).all()
    picture = web.http.get(
        f"{STUDIES}/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1/rendered",
        headers={"accept": "image/png"},
    )
    assert picture.status_code == 200


@pytest.mark.parametrize(
    ("data", "syntax"),
    [
        (saved(Image.fromarray(COLOR), "JPEG"), "1.2.840.10008.1.2.4.50"),
        (saved(Image.fromarray(COLOR), "JPEG", progressive=True), "1.2.840.10008.1.2.4.55"),
        (saved(Image.fromarray(GRAY_8), "JPEG"), "1.2.840.10008.1.2.4.50"),
    ],
)
def test_a_photograph_is_kept_as_the_jpeg_that_it_is(web: WebServed, data: bytes, syntax: str) -> None:
    assert store(web, [metadata()], ("image/jpeg", data)).status_code == 200
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)).rstrip(
        b"\0"
    ) == data.rstrip(b"\0")
    assert ds.PhotometricInterpretation == ("YBR_FULL_422" if ds.SamplesPerPixel == 3 else "MONOCHROME2")
    reference = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert np.abs(decoded(stored(web))[0][0].astype(int) - reference).max() <= 3


def test_a_gif_becomes_a_multi_frame_of_rgb(web: WebServed) -> None:
    frames = [Image.fromarray(np.full((6, 8), value, "u1")).convert("P") for value in (10, 90, 200)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    palette = {
        "RedPaletteColorLookupTableDescriptor": [1, 0, 8],
        "PhotometricInterpretation": "PALETTE COLOR",
    }
    assert store(web, [metadata(without=(), **palette)], ("image/gif", data)).status_code == 200
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == EXPLICIT
    assert (ds.NumberOfFrames, ds.PhotometricInterpretation, ds.BitsAllocated) == (3, "RGB", 8)
    assert "RedPaletteColorLookupTableDescriptor" not in ds
    assert [int(frame[0, 0, 0]) for frame in ds.pixel_array] == [10, 90, 200]


def test_what_the_metadata_says_is_left_as_it_is(web: WebServed) -> None:
    model = metadata(without=("Rows", "Columns"), PhotometricInterpretation="MONOCHROME1")
    assert store(web, [model], ("image/jls", imagecodecs.jpegls_encode(GRAY))).status_code == 200
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert (ds.PhotometricInterpretation, ds.BitsStored, ds.Rows) == ("MONOCHROME1", 12, 32)


@pytest.mark.parametrize(
    ("syntax", "kind"), [(uid, kind) for uid in TRANSFER_SYNTAXES for kind in media_types_of(uid)]
)
def test_every_media_type_of_the_table_is_kept_unchanged_in_the_syntax_that_is_named(
    web: WebServed, syntax: str, kind: str
) -> None:
    data = b"\xff\x01 a stream that nobody reads"
    answer = store(web, [metadata(without=())], (f"{kind}; transfer-syntax={syntax}", data))
    assert answer.status_code == 200, answer.text
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == syntax
    assert next(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)).rstrip(b"\0") == data


def test_a_stream_that_cannot_be_read_is_of_the_default_of_its_type(web: WebServed) -> None:
    assert store(web, [metadata(without=())], ("image/jpeg", b"no JPEG")).status_code == 200
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"


MPEG2 = b"\x00\x00\x01\xb3" + (720 << 12 | 576).to_bytes(3, "big") + bytes(100)


def test_a_video_without_description_gets_it_from_its_sequence_header(web: WebServed) -> None:
    assert store(web, [metadata()], ("video/mpeg2", MPEG2)).status_code == 200
    ds = pydicom.dcmread(io.BytesIO(stored(web)))
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.100"
    assert (ds.Rows, ds.Columns, ds.PhotometricInterpretation) == (576, 720, "YBR_PARTIAL_420")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("image/bmp", b"BM not ours"),
        ("image/tiff", b"II*\0"),
        ("image/webp", b"RIFF"),
        ("video/quicktime", b"\0\0\0\x08moov"),
        ("video/mj2", b"\0\0\0\x0cjP  "),
        ("text/html", b"<script>"),
        ("image/png", b"\x89PNG broken"),
        ("image/gif", b"GIF89a broken"),
        ("image/jpeg", b"\xff\xd8 broken"),
        ("image/jp2", b"\xff\x4f broken"),
        ("image/dicom-rle", bytes(64)),
        ("video/mp4", b"\0\0\0\x08ftyp"),
    ],
)
def test_what_is_no_type_of_the_table_or_does_not_tell_is_415_with_the_reason(
    web: WebServed, kind: str, data: bytes
) -> None:
    answer = store(web, [metadata()], (kind, data))
    assert answer.status_code == 415
    (item,) = answer.json()["00081198"]["Value"]
    assert item["00081155"]["Value"] == [f"{ROOT}.1.1.1"]
    assert kind in item["00000902"]["Value"][0] or kind in answer.headers["warning"]
    assert not web.archive.locate()


def test_one_that_cannot_be_kept_does_not_end_the_others(web: WebServed) -> None:
    models = [metadata(number) for number in (1, 2, 3)]
    png = ("image/png", imagecodecs.png_encode(GRAY_8))
    answer = store(web, models, png, ("image/bmp", b"BM"), png)
    assert answer.status_code == 202
    assert len(answer.json()["00081198"]["Value"]) == 1
    assert sorted(location.key.sop_uid for location in web.archive.locate()) == [
        f"{ROOT}.1.1.1",
        f"{ROOT}.1.1.3",
    ]


def test_b57_a_picture_that_swells_is_refused_before_it_is_read(web: WebServed) -> None:
    png = imagecodecs.png_encode(GRAY_8)
    huge = png[:16] + b"\x00\x01\x00\x00\x00\x01\x00\x00" + png[24:]
    answer = store(web, [metadata()], ("image/png", huge))
    assert answer.status_code == 415
    assert "limit" in answer.headers["warning"]


def test_without_a_decoder_pictures_are_415_and_the_rest_is_kept(tmp_path: Any) -> None:
    with web_served(tmp_path) as web:
        assert store(web, [metadata()], ("image/png", imagecodecs.png_encode(GRAY_8))).status_code == 415
        assert store(web, [metadata()], ("image/jls", imagecodecs.jpegls_encode(GRAY))).status_code == 200
