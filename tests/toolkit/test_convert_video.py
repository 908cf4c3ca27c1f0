"""Videos, decoded again by PyAV."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gantry.errors import CallerError
from gantry.toolkit.convert import convert
from gantry.toolkit.convert_options import Converted, Options
from image_values import color, gray, image_object
from serving import ROOT

Array = np.ndarray[Any, Any]


@pytest.fixture
def av() -> Any:
    return pytest.importorskip("av", reason="PyAV (gantry[video]) is not installed")


def moving(frames: int = 8, size: int = 96) -> Array:
    """A bright square that moves to the right."""
    pixels = np.zeros((frames, size, size), np.uint8)
    for n in range(frames):
        pixels[n, 20:60, 4 + 4 * n : 44 + 4 * n] = 255
    return pixels


def converted(file: bytes, to: str, folder: Path, **options: Any) -> Converted:
    (folder / "x.dcm").write_bytes(file)
    (one,) = convert(folder / "x.dcm", folder / "out", to, options=Options(**options))
    return one


def read(av: Any, path: Path | None) -> tuple[Array, float, str]:
    """Frames, rate and codec."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(stream)]
        return np.stack(frames), float(stream.average_rate), stream.codec_context.name


@pytest.mark.parametrize(("to", "codec"), [("mp4", "libdav1d"), ("webm", "vp9")])
def test_every_frame_is_there_in_its_order_and_rate(av: Any, to: str, codec: str, tmp_path: Path) -> None:
    pixels = moving()
    done = converted(
        image_object(pixels, RecommendedDisplayFrameRate="25"), to, tmp_path, window=(128.0, 256.0)
    )
    assert done.error == ""
    frames, rate, name = read(av, done.path)
    assert (frames.shape, rate) == (pixels.shape, 25)
    assert codec in name or "av1" in name
    assert np.abs(frames.astype(int) - pixels).mean() < 6
    left = [int(np.argmax(frame[40] > 128)) for frame in frames]
    assert np.abs(np.array(left) - (4 + 4 * np.arange(8))).max() <= 1


def test_what_the_object_does_not_say_is_asked_for(av: Any, tmp_path: Path) -> None:
    done = converted(image_object(moving()), "webm", tmp_path, fps=12.5, frames=(1, 2, 3))
    frames, rate, _ = read(av, done.path)
    assert (len(frames), rate) == (3, 12.5)


def test_odd_and_small_sizes_and_colours(av: Any, tmp_path: Path) -> None:
    pixels = color(3)[:, :23, :31]
    frames, _, _ = read(av, converted(image_object(np.ascontiguousarray(pixels)), "mp4", tmp_path).path)
    assert frames.shape == (3, 70, 94)  # three times as large, then even


def test_the_images_of_a_series_are_one_video(av: Any, tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    for n, frame in enumerate(moving()):
        file = image_object(
            frame[None], InstanceNumber=n + 1, SOPInstanceUID=f"{ROOT}.5.{n}", SeriesNumber=4,
            WindowCenter="128", WindowWidth="256",
        )  # fmt: skip
        (given / f"{9 - n}").write_bytes(file)
    (done,) = convert(given, tmp_path / "out", "mp4")
    assert done.path == tmp_path / "out" / "series0004.mp4"
    frames, rate, _ = read(av, done.path)
    assert (len(frames), rate) == (8, 10)
    left = [int(np.argmax(frame[40] > 128)) for frame in frames]
    assert left == sorted(left)


def test_an_object_of_several_frames_is_a_video_of_its_own(av: Any, tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    (given / "a.dcm").write_bytes(image_object(moving(), SOPInstanceUID=f"{ROOT}.5.1"))
    (given / "b.dcm").write_bytes(image_object(moving(1), SOPInstanceUID=f"{ROOT}.5.2"))
    done = convert(given, tmp_path / "out", "webm")
    assert sorted(one.path.name for one in done if one.path) == ["a.webm", "series0001.webm"]


def test_what_no_video_can_hold_is_refused(av: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = converted(image_object(np.zeros((2, 2, 9000), np.uint8)), "mp4", tmp_path)
    assert "at most 8192 pixels along a side" in wide.error
    given = tmp_path / "in"
    given.mkdir()
    for n, size in enumerate((64, 96)):
        (given / str(n)).write_bytes(image_object(gray(size=size), SOPInstanceUID=f"{ROOT}.5.{n}"))
    (done,) = convert(given, tmp_path / "out", "mp4")
    assert "not all of one size" in done.error
    assert not list((tmp_path / "out").iterdir())


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(CallerError, match=r"pip install 'gantry\[video\]'"):
        converted(image_object(gray(2)), "mp4", tmp_path)


@pytest.mark.parametrize("to", ["mp4", "webm"])
def test_gray_and_colour_are_as_bright_as_displayed(av: Any, to: str, tmp_path: Path) -> None:
    """By BT.709, which the file says: gray in steps across, and plain colours."""
    steps = np.repeat(np.arange(0, 256, 8, dtype=np.uint8), 8)[None, :].repeat(64, 0)
    grays = converted(image_object(np.stack([steps] * 2)), to, tmp_path, window=(128.0, 256.0))
    with av.open(str(grays.path)) as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace == 1  # AVCOL_SPC_BT709
        got = frame.to_ndarray(format="yuv420p")[:64]
    middle = got[32, 4::8].astype(float)
    assert np.abs((middle - 16) * 255 / 219 - steps[32, 4::8]).max() <= 3
    assert abs(float(np.mean((middle - 16) * 255 / 219 - steps[32, 4::8]))) < 0.7
    plain = np.zeros((2, 64, 64, 3), np.uint8)
    plain[..., :] = (200, 40, 90)
    (tmp_path / "out").rename(tmp_path / "grays")
    colours = converted(image_object(plain), to, tmp_path)
    with av.open(str(colours.path)) as container:
        shown = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(shown[32, 32].astype(int) - (200, 40, 90)).max() <= 4
