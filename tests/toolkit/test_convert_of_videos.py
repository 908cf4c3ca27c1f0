"""Videos that are stored, converted: their frames come out of the stream by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantry.toolkit.convert import convert
from gantry.toolkit.convert_options import Options

pytest.importorskip("av", reason="PyAV (gantry[video]) is not installed")


from video_values import FRAMES, H264, HEVC_10, MPEG2, all_frames, stream, video_object


@pytest.mark.parametrize(("syntax", "container"), [(H264, "mp4"), (MPEG2, "mpegts")])
def test_frames_are_pictures_of_their_own(syntax: str, container: str, tmp_path: Path) -> None:
    data = stream(syntax, container)
    (tmp_path / "v.dcm").write_bytes(video_object(data, syntax))
    done = convert(tmp_path / "v.dcm", tmp_path / "out", "png")
    assert [one.error for one in done] == [""] * FRAMES
    made = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "out").iterdir())]
    assert np.array_equal(made, all_frames(data))


def test_frames_that_are_asked_for_are_sought(tmp_path: Path) -> None:
    data = stream()
    (tmp_path / "v.dcm").write_bytes(video_object(data))
    done = convert(tmp_path / "v.dcm", tmp_path / "out", "png", options=Options(frames=(31, 3)))
    assert {one.error for one in done} == {""}
    for number in (3, 31):
        made = np.asarray(Image.open(tmp_path / "out" / f"v_{number:04d}.png"))
        assert np.array_equal(made, all_frames(data)[number - 1])


def test_a_video_of_a_video_and_its_array_hold_all_frames(tmp_path: Path) -> None:
    import av

    data = stream(HEVC_10)
    (tmp_path / "v.dcm").write_bytes(video_object(data, HEVC_10))
    (array,) = convert(tmp_path / "v.dcm", tmp_path / "v.npy")
    assert array.error == ""
    voxels = np.load(tmp_path / "v.npy")
    assert voxels.shape[0] == FRAMES
    assert np.abs(voxels.astype(int) - all_frames(data)).max() <= 4  # 10 bits to 8, by another way
    (movie,) = convert(tmp_path / "v.dcm", tmp_path / "v.mp4")
    assert movie.error == ""
    with av.open(str(tmp_path / "v.mp4")) as made:
        assert sum(1 for _ in made.decode(video=0)) == FRAMES


def test_frames_that_the_stream_lacks_are_told_and_the_others_made(tmp_path: Path) -> None:
    (tmp_path / "v.dcm").write_bytes(video_object(stream(frames=5), frames=9))
    done = convert(tmp_path / "v.dcm", tmp_path / "out", "png")
    assert [one.error for one in done if one.error] == ["5 of 9 frames are there"]
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_stream_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.dcm").write_bytes(video_object(b"no video at all " * 64))
    (done,) = convert(tmp_path / "v.dcm", tmp_path / "out", "png")
    assert done.path is None
    assert "video" in done.error or "stream" in done.error
