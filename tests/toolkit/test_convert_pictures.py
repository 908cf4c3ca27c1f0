"""Pictures read back by other readers than wrote them: each format's values, sizes, pages and times."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image

from gantry.errors import CallerError
from gantry.toolkit.convert import convert
from gantry.toolkit.convert_options import Converted, Options
from image_values import color, gray, image_object, made
from serving import ROOT, part10

Array = np.ndarray[Any, Any]


def converted(file: bytes, to: str, folder: Path, **options: Any) -> list[Converted]:
    (folder / "x.dcm").write_bytes(file)
    return convert(folder / "x.dcm", folder / "out", to, options=Options(**options))


def only(done: list[Converted]) -> Path:
    (one,) = done
    assert one.path is not None, one.error
    return one.path


def picture(path: Path) -> Array:
    """The pixels of a picture, as Pillow reads them."""
    with Image.open(path) as image:
        return np.asarray(image)


def shown(pixels: Array, center: float, width: float) -> Array:
    """The linear window of PS3.3 C.11.2.1.2.1, in grey levels."""
    values = (pixels.astype(float) - (center - 0.5)) / (width - 1) + 0.5
    return np.clip(values * 255, 0, 255)


def smooth(size: int = 64) -> Array:
    """A picture that a lossy codec keeps nearly."""
    y, x = np.mgrid[:size, :size]
    return np.asarray((x + y) * 8, np.uint16)[None]


# --- one picture


@pytest.mark.parametrize("to", ["png", "bmp", "jxl", "gif", "tiff"])
def test_a_lossless_picture_of_8_bits_is_what_is_displayed(to: str, tmp_path: Path) -> None:
    pixels = gray(1, 12)
    path = only(converted(image_object(pixels), to, tmp_path, depth=8, window=(2000.0, 3000.0)))
    read = imagecodecs.jpegxl_decode(path.read_bytes()) if to == "jxl" else picture(path)
    assert read.dtype == np.uint8
    assert np.abs(read - shown(pixels[0], 2000, 3000)).max() <= 0.51


@pytest.mark.parametrize("to", ["jpeg", "webp", "avif"])
def test_a_lossy_picture_is_near_to_it(to: str, tmp_path: Path) -> None:
    pixels = smooth()
    path = only(converted(image_object(pixels), to, tmp_path, window=(512.0, 1024.0), quality=95))
    read = picture(path)
    read = read.mean(axis=-1) if read.ndim == 3 else read
    assert np.abs(read - shown(pixels[0], 512, 1024)).max() <= 6


@pytest.mark.parametrize("to", ["jpeg", "webp", "avif"])
def test_less_quality_is_fewer_bytes(to: str, tmp_path: Path) -> None:
    sizes = []
    for quality in (5, 95):
        folder = tmp_path / str(quality)
        folder.mkdir()
        sizes.append(only(converted(image_object(gray(size=64)), to, folder, quality=quality)).stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("to", ["png", "bmp", "jxl", "tiff"])
def test_colour_stays_as_it_is(to: str, tmp_path: Path) -> None:
    pixels = color()
    path = only(converted(image_object(pixels), to, tmp_path))
    read = imagecodecs.jpegxl_decode(path.read_bytes()) if to == "jxl" else picture(path)
    assert (read == pixels[0]).all()


@pytest.mark.parametrize("to", ["png", "tiff", "jxl"])
@pytest.mark.parametrize("bits", [12, 16])
def test_16_bits_are_the_stored_values(to: str, bits: int, tmp_path: Path) -> None:
    pixels = gray(1, bits)
    path = only(converted(image_object(pixels, BitsStored=bits, HighBit=bits - 1), to, tmp_path, depth=16))
    decode = {
        "png": imagecodecs.png_decode,
        "tiff": imagecodecs.tiff_decode,
        "jxl": imagecodecs.jpegxl_decode,
    }
    read = decode[to](path.read_bytes())
    assert read.dtype == np.uint16
    assert (read == pixels[0]).all()


def test_values_with_a_sign(tmp_path: Path) -> None:
    pixels = np.array([[[-32768, -1], [0, 32767]]], np.int16)
    (done,) = converted(image_object(pixels), "png", tmp_path, depth=16)
    assert done.path is not None
    read = imagecodecs.png_decode(done.path.read_bytes())
    assert (read.astype(int) - 32768 == pixels[0]).all()
    assert "32768 was added" in done.notes[0]
    path = only(converted(image_object(pixels), "tiff", tmp_path))
    read = imagecodecs.tiff_decode(path.read_bytes())
    assert read.dtype == np.int16
    assert (read == pixels[0]).all()


def test_bits_that_are_no_value_are_left_out(tmp_path: Path) -> None:
    pixels = np.array([[[0xF001, 0x0FFF]]], np.uint16)
    path = only(converted(image_object(pixels, BitsStored=12, HighBit=11), "png", tmp_path, depth=16))
    assert imagecodecs.png_decode(path.read_bytes()).tolist() == [[1, 0xFFF]]


def test_compressed_frames_are_decoded(tmp_path: Path) -> None:
    pixels = gray(3)
    for name in ("rle", "jpeg2000-lossless", "jpeg-ls"):
        folder = tmp_path / name
        folder.mkdir()
        done = converted(made(image_object(pixels), name)[0], "png", folder, depth=16)
        read = [imagecodecs.png_decode(one.path.read_bytes()) for one in done if one.path]
        assert (np.stack(read) == pixels).all()


@pytest.mark.parametrize("name", ["deflated", "big-endian", "implicit"])
def test_every_way_to_write_native_values_is_read(name: str, tmp_path: Path) -> None:
    pixels = gray(3)
    done = converted(made(image_object(pixels), name)[0], "png", tmp_path, depth=16)
    read = [imagecodecs.png_decode(one.path.read_bytes()) for one in done if one.path]
    assert (np.stack(read) == pixels).all()


def test_single_bits_that_begin_inside_a_byte(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 3, 3), np.uint8)
    ds = pydicom.dcmread(io.BytesIO(image_object(np.zeros((3, 3, 3), np.uint8))))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    done = converted(part10(ds), "png", tmp_path, depth=16)
    read = [imagecodecs.png_decode(one.path.read_bytes()) for one in done if one.path]
    assert (np.stack(read) == bits).all()


def test_a_size_is_fitted_and_pixels_that_are_not_square_are_made_so(tmp_path: Path) -> None:
    path = only(converted(image_object(gray(size=64)), "png", tmp_path, width=16, height=32))
    assert picture(path).shape == (16, 16)
    (tmp_path / "b").mkdir()
    path = only(converted(image_object(gray(size=64), PixelSpacing=[2, 1]), "png", tmp_path / "b"))
    assert picture(path).shape == (128, 64)


def test_pixels_that_would_make_a_giant_are_refused(tmp_path: Path) -> None:
    (done,) = converted(image_object(gray(size=64), PixelSpacing=["1", "0.000001"]), "png", tmp_path)
    assert "over the limit" in done.error
    assert not list((tmp_path / "out").iterdir())


# --- several frames


def test_frames_are_files_or_pages(tmp_path: Path) -> None:
    pixels = gray(4)
    done = converted(image_object(pixels), "png", tmp_path, depth=16, frames=(2, 4))
    assert [one.path.name for one in done if one.path] == ["x_0002.png", "x_0004.png"]
    path = only(converted(image_object(pixels), "tiff", tmp_path))
    with Image.open(path) as pages:
        read = []
        for n in range(pages.n_frames):
            pages.seek(n)
            read.append(np.asarray(pages))
    assert (np.stack(read) == pixels).all()
    assert (imagecodecs.tiff_decode(path.read_bytes(), index=None) == pixels).all()


def test_a_frame_that_is_not_there_is_told_and_those_that_are_are_made(tmp_path: Path) -> None:
    (done,) = converted(image_object(gray(2)), "png", tmp_path, frames=(3,))
    assert "there is no frame 3: the object has 2" in done.error
    file = image_object(gray(2), NumberOfFrames=5)
    done_all = converted(file, "png", tmp_path)
    assert sorted(one.error for one in done_all) == ["", "", "2 of 5 frames are there"]


def test_one_corrupt_frame_is_an_error_of_that_frame_only(tmp_path: Path) -> None:
    file = bytearray(made(image_object(gray(3)), "jpeg-ls")[0])
    second = [n for n in range(len(file)) if file[n : n + 4] == b"\xff\xd8\xff\xf7"][1]
    file[second + 9 : second + 11] = b"\xff\xff"  # columns of the second stream
    done = converted(bytes(file), "png", tmp_path)
    assert [bool(one.error) for one in done] == [False, True, False]
    assert "the stream holds" in done[1].error
    (joined,) = converted(bytes(file), "gif", tmp_path)
    assert "the stream holds" in joined.error
    assert not list((tmp_path / "out").glob("*.gif"))


def test_a_gif_holds_the_grey_levels_themselves_and_how_long_each_stands(tmp_path: Path) -> None:
    pixels = gray(4, 8)
    file = image_object(pixels, FrameTime="250")
    path = only(converted(file, "gif", tmp_path, window=(128.0, 256.0)))
    with Image.open(path) as movie:
        assert movie.n_frames == 4
        assert movie.info["loop"] == 0
        for n in range(4):
            movie.seek(n)
            assert movie.info["duration"] == 250
            assert np.abs(np.asarray(movie.convert("L")) - shown(pixels[n], 128, 256)).max() <= 0.51
    # The table of colours is that of the grey levels, so that numbers in the file are levels too.
    with Image.open(path) as movie:
        assert movie.mode == "L"


def test_a_gif_of_colours_says_what_it_cannot_hold(tmp_path: Path) -> None:
    (done,) = converted(image_object(color(2)), "gif", tmp_path, fps=20)
    assert done.path is not None
    assert "256 colours" in done.notes[0]
    with Image.open(done.path) as movie:
        assert (movie.n_frames, movie.info["duration"]) == (2, 50)


def test_a_series_is_joined_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    pixels = gray(3)
    given = tmp_path / "in"
    given.mkdir()
    for n in range(3):
        file = image_object(
            pixels[n : n + 1], InstanceNumber=n + 1, SOPInstanceUID=f"{ROOT}.5.{n}", SeriesNumber=7
        )
        (given / f"{9 - n}.dcm").write_bytes(file)
    (given / "again.dcm").write_bytes((given / "9.dcm").read_bytes())
    done = convert(given, tmp_path / "out", "tiff", options=Options(series=True))
    assert sorted((one.path.name if one.path else "", one.error) for one in done) == [
        ("", "the same object comes twice; the first one is taken"), ("series0007.tif", ""),
    ]  # fmt: skip
    path = tmp_path / "out" / "series0007.tif"
    read = imagecodecs.tiff_decode(path.read_bytes(), index=None)
    assert sorted(read.tobytes()[n : n + 2048] for n in range(0, len(read.tobytes()), 2048)) == sorted(
        frame.tobytes() for frame in pixels
    )
    assert (read[1] == pixels[1]).all()
    convert(given, tmp_path / "gif", "gif", options=Options(series=True))
    with Image.open(tmp_path / "gif" / "series0007.gif") as movie:
        assert movie.n_frames == 3


def test_frames_of_several_sizes_are_pages_but_no_animation(tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    for n, size in enumerate((16, 32)):
        (given / str(n)).write_bytes(image_object(gray(size=size), SOPInstanceUID=f"{ROOT}.5.{n}"))
    (done,) = convert(given, tmp_path / "out", "gif", options=Options(series=True))
    assert "not all of one size" in done.error
    (done,) = convert(given, tmp_path / "out", "tiff", options=Options(series=True))
    assert done.error == ""


def test_an_animation_that_takes_too_much_memory_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    (done,) = converted(image_object(gray(12)), "gif", tmp_path, width=10_000, height=10_000)
    assert "12 frames are 1,200,000,000 pixels, more than the 1,073,741,824 of one file" in done.error


# --- what cannot be


@pytest.mark.parametrize(
    ("to", "options", "words"),
    [
        ("jpeg", {"depth": 16}, "has no pictures of 16 bits"),
        ("png", {"series": True}, "holds one picture"),
        ("png", {"depth": 16, "window": (1.0, 2.0)}, "hold stored values"),
        ("tiff", {"width": 10}, "hold stored values"),
    ],
)
def test_what_a_format_cannot_do_is_refused(to: str, options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(CallerError, match=words):
        converted(image_object(gray()), to, tmp_path, **options)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [(color(), "colour has no 16-bit picture"), (np.zeros((1, 4, 4), np.uint32), "do not fit in 16")],
)
def test_what_16_bits_cannot_hold_is_refused(pixels: Array, words: str, tmp_path: Path) -> None:
    (done,) = converted(image_object(pixels), "png", tmp_path, depth=16)
    assert words in done.error


def test_a_picture_larger_than_its_format_is_refused(tmp_path: Path) -> None:
    (done,) = converted(image_object(np.zeros((1, 2, 20000), np.uint8)), "webp", tmp_path)
    assert "a picture of 20000x2 cannot be written as webp" in done.error


def test_a_large_tiff_is_a_big_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gantry.toolkit import convert_pictures

    monkeypatch.setattr(convert_pictures, "_CLASSIC_TIFF_BYTES", 100)
    pixels = gray(3)
    path = only(converted(image_object(pixels), "tiff", tmp_path))
    assert struct.unpack("<H", path.read_bytes()[2:4]) == (43,)
    assert (imagecodecs.tiff_decode(path.read_bytes(), index=None) == pixels).all()


def test_float_pixels_are_no_16_bit_picture_but_can_be_shown(tmp_path: Path) -> None:
    ds = pydicom.dcmread(io.BytesIO(image_object(np.zeros((1, 4, 4), np.uint32))))
    del ds.PixelData, ds.BitsStored, ds.HighBit
    ds.FloatPixelData = np.arange(16, dtype="<f4").tobytes()
    (done,) = converted(part10(ds), "png", tmp_path, depth=16)
    assert "do not fit in 16" in done.error
    read = picture(only(converted(part10(ds), "png", tmp_path)))
    assert (np.diff(read.ravel().astype(int)) >= 0).all()
    assert read.max() == 255


def test_each_frame_is_shown_with_its_own_window(tmp_path: Path) -> None:
    """PS3.3 C.7.6.16.2.10: the Frame VOI LUT macro may stand once for each frame."""
    ds = pydicom.dcmread(io.BytesIO(image_object(np.full((3, 8, 8), 100, np.uint16))))
    ds.PerFrameFunctionalGroupsSequence = []
    for center in (50, 100, 500):
        item, voi = pydicom.Dataset(), pydicom.Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 101
        item.FrameVOILUTSequence = [voi]
        ds.PerFrameFunctionalGroupsSequence.append(item)
    done = converted(part10(ds), "png", tmp_path)
    levels = [int(picture(one.path)[0, 0]) for one in done if one.path]
    assert levels == [255, 129, 0]


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    for n, center in enumerate(("200", "50")):
        file = image_object(np.full((2, 8, 8), 100, np.uint16), WindowCenter=center, WindowWidth="101")
        (tmp_path / str(n)).mkdir()
        (tmp_path / "x.dcm").write_bytes(file)
        (done,) = convert(tmp_path / "x.dcm", tmp_path / str(n), "gif")
        assert done.path is not None
        assert picture(done.path)[0, 0] == (0, 255)[n]


def test_overlays_are_shown(tmp_path: Path) -> None:
    overlay = np.zeros((8, 8), np.uint8)
    overlay[2, 3] = 1
    file = image_object(
        np.full((1, 8, 8), 10, np.uint8),
        WindowCenter="128",
        WindowWidth="256",
    )
    ds = pydicom.dcmread(io.BytesIO(file))
    for element, vr, value in (
        (0x10, "US", 8), (0x11, "US", 8), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 1),
        (0x102, "US", 0), (0x3000, "OW", np.packbits(overlay.ravel(), bitorder="little").tobytes()),
    ):  # fmt: skip
        ds.add_new(0x60000000 | element, vr, value)
    read = picture(only(converted(part10(ds), "png", tmp_path)))
    assert (read == 255).sum() == 1
    assert read[2, 3] == 255


def test_frames_without_windows_are_shown_with_one_for_all(tmp_path: Path) -> None:
    """Each with a window of its own, a frame that is twice as bright would look the same."""
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 10
    path = only(converted(image_object(np.stack([ramp, ramp * 2])), "gif", tmp_path))
    with Image.open(path) as movie:
        levels = []
        for n in range(2):
            movie.seek(n)
            levels.append(np.asarray(movie.convert("L")).astype(int))
    assert np.abs(levels[1][4:] - np.minimum(255, levels[0][4:] * 2)).max() <= 3
    with_windows = tmp_path / "b"
    with_windows.mkdir()
    file = image_object(np.stack([ramp, ramp * 2]), WindowCenter="315", WindowWidth="631")
    with Image.open(only(converted(file, "gif", with_windows))) as movie:
        assert np.abs(np.asarray(movie.convert("L")) - shown(ramp, 315, 631)).max() <= 0.51
