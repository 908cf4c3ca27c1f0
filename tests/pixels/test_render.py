"""Windows, palettes and colour give the display values that PS3.3 C.11 and C.7 prescribe."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader, LookupTable, Window
from gantry.pixels.render import Rendering, render, to_picture

GRAY = ImageHeader(
    rows=4, columns=4, samples_per_pixel=1, photometric_interpretation="MONOCHROME2", planar_configuration=0,
    bits_allocated=16, bits_stored=12, high_bit=11, signed=False, number_of_frames=1, rescale_slope=1.0,
    rescale_intercept=-1024.0, windows=(Window(40, 400),), voi_lut_function="LINEAR", presentation_lut_shape="",
    pixel_padding_value=None, palette=None, pixel_aspect=(1.0, 1.0),
)  # fmt: skip


def _linear(value: float, center: float, width: float) -> float:
    """The formula of PS3.3 C.11.2.1.2.1, written out."""
    if value <= center - 0.5 - (width - 1) / 2:
        return 0.0
    if value > center - 0.5 + (width - 1) / 2:
        return 255.0
    return ((value - (center - 0.5)) / (width - 1) + 0.5) * 255


@pytest.mark.parametrize("stored", [0, 800, 863, 864, 865, 1000, 1064, 1200, 1262, 1263, 1264, 4095])
def test_linear_window_follows_the_formula(stored: int) -> None:
    pixels = np.full((4, 4), stored, np.uint16)
    shown = to_picture(pixels, "MONOCHROME2", GRAY, Rendering())
    assert abs(int(shown[0, 0]) - _linear(stored - 1024, 40, 400)) <= 1


def test_b56_a_linear_window_of_width_1_is_a_threshold() -> None:
    header = replace(GRAY, rescale_intercept=0.0, windows=(Window(100, 1),))
    pixels = np.array([[98, 99, 100, 101]], np.uint16)
    assert to_picture(pixels, "MONOCHROME2", header, Rendering())[0].tolist() == [0, 0, 255, 255]


def test_monochrome1_is_the_inverse() -> None:
    pixels = np.arange(16, dtype=np.uint16).reshape(4, 4) * 90
    plain = to_picture(pixels, "MONOCHROME2", GRAY, Rendering())
    inverse = to_picture(pixels, "MONOCHROME1", GRAY, Rendering())
    assert np.abs(plain.astype(int) + inverse - 255).max() <= 1


def test_sigmoid_is_half_at_its_center() -> None:
    header = replace(GRAY, voi_lut_function="SIGMOID")
    shown = to_picture(np.full((4, 4), 1064, np.uint16), "MONOCHROME2", header, Rendering())
    assert abs(int(shown[0, 0]) - 128) <= 1


def test_bits_above_bits_stored_are_not_shown() -> None:
    clean = np.full((4, 4), 1064, np.uint16)
    shown = to_picture(clean | 0xF000, "MONOCHROME2", GRAY, Rendering())
    assert (shown == to_picture(clean, "MONOCHROME2", GRAY, Rendering())).all()


def test_signed_values_keep_their_sign() -> None:
    header = replace(GRAY, signed=True, rescale_intercept=0.0, windows=(Window(0, 200),))
    pixels = np.array([[-1000, -50, 50, 1000]], np.int16).repeat(4, axis=0)
    shown = to_picture(pixels, "MONOCHROME2", header, Rendering())[0]
    assert shown[0] == 0
    assert 0 < shown[1] < shown[2] < 255
    assert shown[3] == 255


@pytest.mark.parametrize("windows", [(), (Window(math.nan, 10),), (Window(40, 0),), (Window(40, math.inf),)])
def test_b56_without_a_usable_window_the_pixels_decide(windows: tuple[Window, ...]) -> None:
    pixels = np.linspace(0, 4000, 16, dtype=np.uint16).reshape(4, 4)
    shown = to_picture(pixels, "MONOCHROME2", replace(GRAY, windows=windows), Rendering())
    assert shown.min() < 10
    assert shown.max() > 245


def test_nan_in_float_pixels_is_black() -> None:
    pixels = np.array([[math.nan, 0.0], [500.0, 1000.0]], np.float32)
    header = replace(GRAY, rows=2, columns=2, rescale_intercept=0.0, windows=())
    shown = to_picture(pixels, "MONOCHROME2", header, Rendering())
    assert shown[0, 0] == 0
    assert shown[1, 1] > 245


def test_palette_shorter_than_its_indices_takes_its_ends() -> None:
    channel = LookupTable(first_mapped=2, bits=16, data=np.array([0x1000, 0x8000], "<u2").tobytes())
    header = replace(GRAY, palette=(channel, channel, channel))
    shown = to_picture(np.array([[0, 2, 3, 4000]], np.uint16), "PALETTE COLOR", header, Rendering())
    assert shown[0, :, 0].tolist() == [0x10, 0x10, 0x80, 0x80]


def test_palette_color_without_tables_is_an_error() -> None:
    with pytest.raises(DataSetError, match="lookup"):
        to_picture(np.zeros((4, 4), np.uint16), "PALETTE COLOR", GRAY, Rendering())


def test_ybr_of_a_gray_pixel_is_gray_and_red_is_red() -> None:
    header = replace(GRAY, samples_per_pixel=3, bits_allocated=8, bits_stored=8)
    ybr = np.array([[[128, 128, 128], [76, 85, 255]]], np.uint8)
    shown = to_picture(ybr, "YBR_FULL", header, Rendering())
    assert shown[0, 0].tolist() == [128, 128, 128]
    assert np.abs(shown[0, 1].astype(int) - [254, 0, 0]).max() <= 1


@pytest.mark.parametrize(
    ("media_type", "kind"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")]
)
def test_pictures_open_elsewhere_and_fit_the_viewport(media_type: str, kind: str) -> None:
    pixels = np.linspace(900, 1300, 64 * 128).astype(np.uint16).reshape(64, 128)
    header = replace(GRAY, rows=64, columns=128)
    coded = render(pixels, "MONOCHROME2", header, Rendering(width=40, height=40, media_type=media_type))
    picture = Image.open(io.BytesIO(coded))
    assert picture.format == kind
    assert picture.size == (40, 20)


def test_tall_pixels_are_shown_tall() -> None:
    header = replace(GRAY, rows=8, columns=8, pixel_aspect=(2.0, 1.0))
    coded = render(np.full((8, 8), 1064, np.uint16), "MONOCHROME2", header, Rendering(media_type="image/png"))
    assert Image.open(io.BytesIO(coded)).size == (8, 16)
