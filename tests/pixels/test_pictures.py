"""PNG and GIF as plain samples (PS3.18 10.5.2)."""

from __future__ import annotations

import io
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gantry.errors import DataSetError
from gantry.pixels import pictures
from gantry.pixels.pictures import GIF, PNG, frame_bytes, look, read
from image_values import color, gray


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "pixels",
    [gray(1, 8)[0], gray(1, 16)[0], color()[0], color()[0].astype("u2") * 257],
    ids=["gray", "gray of 16 bits", "color", "color of 16 bits"],
)
def test_png_is_read_without_loss(pixels: np.ndarray[Any, Any]) -> None:
    data = imagecodecs.png_encode(pixels)
    header = look(data, PNG)
    assert (header.rows, header.columns) == pixels.shape[:2]
    assert header.bits_stored == pixels.dtype.itemsize * 8
    assert header.photometric_interpretation == ("RGB" if pixels.ndim == 3 else "MONOCHROME2")
    assert read(data, PNG) == pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize(
    ("mode", "samples"), [("1", 1), ("L", 1), ("P", 3), ("LA", 1), ("RGBA", 3), ("RGB", 3)]
)
def test_png_of_every_mode_loses_its_transparency_and_palette(mode: str, samples: int) -> None:
    image = Image.linear_gradient("L").resize((9, 7)).convert(mode)
    header, data = look(saved(image, "PNG"), PNG), read(saved(image, "PNG"), PNG)
    plain = image.convert("RGB" if samples == 3 else "L")
    assert header.samples_per_pixel == samples
    assert data == plain.tobytes()


def test_a_gif_has_all_its_frames() -> None:
    frames = [Image.fromarray(np.full((6, 8), value, "u1")).convert("P") for value in (10, 90, 200)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    header = look(data, GIF)
    assert (header.rows, header.columns, header.samples_per_pixel) == (6, 8, 3)
    samples = np.frombuffer(read(data, GIF), "u1").reshape(3, 6, 8, 3)
    assert [int(frame[0, 0, 0]) for frame in samples] == [10, 90, 200]


PNG_FILE = imagecodecs.png_encode(gray(1, 8)[0])
GIF_FILE = saved(Image.new("P", (8, 6), 3), "GIF")


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"", PNG),
        (b"", GIF),
        (PNG_FILE, GIF),
        (GIF_FILE, PNG),
        (PNG_FILE[:40], PNG),
        (GIF_FILE[:14], GIF),
        (PNG_FILE[:16] + b"\xff\xff\xff\xff\xff\xff\xff\xff" + PNG_FILE[24:], PNG),
        (PNG_FILE[:16] + b"\0\0\0\0" + PNG_FILE[20:], PNG),
        (PNG_FILE[:25] + b"\x05" + PNG_FILE[26:], PNG),
        (GIF_FILE[:6] + b"\xff\xff\xff\xff" + GIF_FILE[10:], GIF),
    ],
)
def test_b57_what_is_broken_or_larger_than_may_be_is_an_error(data: bytes, media_type: str) -> None:
    with pytest.raises(DataSetError):
        read(data, media_type)


def test_b57_a_gif_of_too_many_frames_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Image.fromarray(np.full((4, 4), value, "u1")).convert("P") for value in range(0, 180, 20)]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(pictures, "MAX_FRAME_BYTES", 4 * frame_bytes(look(data, GIF)))
    with pytest.raises(DataSetError, match="more frames"):
        read(data, GIF)


@given(st.sampled_from([(PNG_FILE, PNG), (GIF_FILE, GIF)]), st.integers(0, 200), st.binary(max_size=40))
def test_any_change_is_read_or_refused(file: tuple[bytes, str], place: int, data: bytes) -> None:
    whole, media_type = file
    place %= len(whole)
    changed = whole[:place] + data + whole[place + len(data) :]
    try:
        header = look(changed, media_type)
        if header.rows * header.columns < 1 << 16:
            assert len(read(changed, media_type)) % frame_bytes(header) == 0
    except DataSetError:
        pass
