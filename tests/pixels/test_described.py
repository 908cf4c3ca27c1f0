"""What compressed streams say of their images, without being decoded (PS3.18 10.5.2)."""

from __future__ import annotations

import io
from contextlib import suppress
from struct import pack
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gantry.dataset.part10 import read_part10
from gantry.errors import DataSetError
from gantry.pixels.described import describe
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.transcode import stored_frame
from image_values import color, gray, image_object, made

MEDIA_TYPES = ("image/jpeg", "image/jls", "image/jp2", "image/jpx", "image/jphc", "video/mpeg2", "video/mp4")


def frame_of(name: str, pixels: np.ndarray[Any, Any]) -> tuple[bytes, str]:
    """A frame as our encoders make it, and the transfer syntax that it is in."""
    file, found = made(image_object(pixels), name)
    _, ds = read_part10(file)
    table = frame_table(ds)
    assert table is not None
    return stored_frame(ds, table, 0), found.transfer_syntax_uid


@pytest.mark.parametrize(
    ("name", "media_type", "photometric"),
    [
        ("jpeg-lossless", "image/jpeg", "RGB"),
        ("jpeg", "image/jpeg", "YBR_FULL_422"),
        ("jpeg-ls", "image/jls", "RGB"),
        ("jpeg2000-lossless", "image/jp2", "YBR_RCT"),
        ("jpeg2000", "image/jp2", "YBR_ICT"),
        ("htj2k-lossless", "image/jphc", "YBR_RCT"),
    ],
)
def test_color_of_eight_bits(name: str, media_type: str, photometric: str) -> None:
    stream, syntax = frame_of(name, color())
    found = describe(stream, media_type)
    assert found.transfer_syntax_uid == syntax
    assert (found.rows, found.columns, found.samples, found.precision) == (24, 32, 3, 8)
    assert found.photometric == photometric
    values = {tag: element["Value"][0] for tag, element in found.attributes().items()}
    assert values == {
        "00280002": 3, "00280004": photometric, "00280006": 0, "00280010": 24, "00280011": 32,
        "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0,
    }  # fmt: skip


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize(
    ("name", "media_type"),
    [("jpeg-lossless", "image/jpeg"), ("jpeg2000-lossless", "image/jp2")],
)
def test_gray_of_more_bits(name: str, media_type: str, bits: int) -> None:
    file = image_object(gray(1, bits), BitsStored=bits, HighBit=bits - 1)
    encoded, found = made(file, name)
    _, ds = read_part10(encoded)
    table = frame_table(ds)
    assert table is not None
    described = describe(stored_frame(ds, table, 0), media_type)
    assert described.transfer_syntax_uid == found.transfer_syntax_uid
    assert (described.precision, described.photometric, described.samples) == (bits, "MONOCHROME2", 1)
    assert described.attributes()["00280100"]["Value"] == [16]
    assert "00280006" not in described.attributes()


def test_near_lossless_and_progressive_have_their_syntaxes() -> None:
    near = imagecodecs.jpegls_encode(gray()[0], level=3)
    assert describe(near, "image/jls").transfer_syntax_uid == "1.2.840.10008.1.2.4.81"
    buffer = io.BytesIO()
    Image.fromarray(color()[0]).save(buffer, "JPEG", progressive=True)
    progressive = describe(buffer.getvalue(), "image/jpeg")
    assert progressive.transfer_syntax_uid == "1.2.840.10008.1.2.4.55"
    assert progressive.photometric == "YBR_FULL_422"


def test_a_jp2_file_gives_its_codestream_alone() -> None:
    bare = imagecodecs.jpeg2k_encode(color()[0], codecformat="j2k", reversible=True)
    boxed = imagecodecs.jpeg2k_encode(color()[0], codecformat="jp2", reversible=True)
    found = describe(boxed, "image/jp2")
    assert boxed[found.start : found.stop] == bare
    assert found.transfer_syntax_uid == "1.2.840.10008.1.2.4.90"
    assert describe(bare, "image/jpx").transfer_syntax_uid == "1.2.840.10008.1.2.4.92"
    assert describe(bare, "image/jp2").stop is None


@pytest.mark.parametrize(
    ("columns", "rows", "syntax"),
    [(720, 576, "1.2.840.10008.1.2.4.100"), (1920, 1080, "1.2.840.10008.1.2.4.101")],
)
def test_mpeg_2_says_its_size(columns: int, rows: int, syntax: str) -> None:
    stream = b"\x00\x00\x01\xb3" + (columns << 12 | rows).to_bytes(3, "big") + bytes(20)
    found = describe(stream, "video/mpeg2")
    assert (found.transfer_syntax_uid, found.columns, found.rows) == (syntax, columns, rows)
    assert found.photometric == "YBR_PARTIAL_420"


def box(kind: bytes, *inner: bytes) -> bytes:
    content = b"".join(inner)
    return pack(">I4s", 8 + len(content), kind) + content


def mp4(entry: bytes, columns: int = 640, rows: int = 480, *children: bytes) -> bytes:
    """A file whose first track is sound and whose second has one picture sample entry."""
    visual = bytes(24) + pack(">HH", columns, rows) + bytes(50)
    sound = box(
        b"trak", box(b"mdia", box(b"minf", box(b"stbl", box(b"stsd", bytes(8), box(b"mp4a", bytes(28))))))
    )
    stsd = box(b"stsd", bytes(8), box(entry, visual, *children))
    video = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", stsd))))
    return box(b"ftyp", b"isom") + box(b"mdat", bytes(5000)) + box(b"moov", sound, video)


@pytest.mark.parametrize(
    ("file", "syntax", "precision"),
    [
        (mp4(b"avc1"), "1.2.840.10008.1.2.4.102", 8),
        (mp4(b"hvc1"), "1.2.840.10008.1.2.4.107", 8),
        (mp4(b"hvc1", 640, 480, box(b"hvcC", b"\x01\x02", bytes(20))), "1.2.840.10008.1.2.4.108", 10),
    ],
    ids=["H.264", "H.265", "H.265 of ten bits"],
)
def test_mp4_says_the_size_of_its_pictures(file: bytes, syntax: str, precision: int) -> None:
    found = describe(file, "video/mp4")
    assert (found.transfer_syntax_uid, found.columns, found.rows) == (syntax, 640, 480)
    assert found.attributes()["00280101"]["Value"] == [precision]
    for cut in range(0, len(file) - 300, 97):
        with pytest.raises(DataSetError):
            describe(file[:cut], "video/mp4")


@pytest.mark.parametrize("media_type", [*MEDIA_TYPES, "image/dicom-rle", "image/jxl"])
@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff", b"\x00\x00\x00\x0cjP  \r\n\x87\n", bytes(100)])
def test_what_does_not_tell_is_an_error(media_type: str, data: bytes) -> None:
    with pytest.raises(DataSetError):
        describe(data, media_type)


@given(st.sampled_from(MEDIA_TYPES), st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", mp4(b"avc1"),
       b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51", b"\x00\x00\x01\xb3"]))  # fmt: skip
def test_any_bytes_are_described_or_refused(media_type: str, data: bytes, head: bytes) -> None:
    with suppress(DataSetError):
        assert describe(head + data, media_type).rows >= 0
