"""Moving pictures: the encoder's process on its own, and what guards it."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from chromium import open_page
from gantry.pixels.pnm import to_pnm
from gantry.server import moving
from gantry.server.moving_worker import FRAME_HEAD, uniform
from pictured import gray, path
from serving import ROOT, part10
from web_serving import WebServed, web_served


def flat(value: int | tuple[int, int, int], rows: int = 32, columns: int = 48) -> Any:
    shape = (rows, columns) if isinstance(value, int) else (rows, columns, 3)
    return np.broadcast_to(np.array(value, np.uint8), shape)


def made(tmp_path: Path, media_type: str, frames: list[tuple[float, Any]], cut: int = 0) -> tuple[Path, str]:
    """The file that the encoder's process makes, and what it says."""
    pieces = [(ms, to_pnm(picture)) for ms, picture in frames]
    data = b"".join(FRAME_HEAD.pack(round(ms * 1000), len(piece)) + piece for ms, piece in pieces)
    place = tmp_path / "out"
    command = [sys.executable, "-m", "gantry.server.moving_worker", media_type, "90", str(place)]
    done = subprocess.run(command, input=data[: len(data) - cut], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return place, done.stdout.decode()


def video_frames(place: Path) -> list[Any]:
    av = pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    with av.open(str(place)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        return list(container.decode(stream))


def test_mp4_keeps_the_time_of_each_frame_and_its_colours(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    colors: list[int | tuple[int, int, int]] = [0, 255, (200, 30, 60), (10, 220, 90)]
    times = [40.0, 1000.0, 33.3, 500.0]
    place, said = made(tmp_path, "video/mp4", list(zip(times, map(flat, colors), strict=True)))
    assert said == ""
    frames = video_frames(place)
    assert [round(frame.time * 1000) for frame in frames] == [0, 40, 1040, 1073]
    for frame, color in zip(frames, colors, strict=True):
        assert frame.colorspace == 1  # BT.709, and it says so
        shown = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()[8:-8, 8:-8].astype(int)
        assert np.abs(shown - np.array(color)).max() <= 4


def test_mp4_can_be_played_before_it_is_all_there(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    place, _ = made(tmp_path, "video/mp4", [(100, flat(n)) for n in range(0, 250, 50)])
    data = place.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_frames_of_other_sizes_are_fitted_into_the_first() -> None:
    frames = [flat(100, 33, 49), flat(200, 66, 49), flat((9, 8, 7), 10, 100), flat(50, 33, 49)]
    fitted = [picture for _, picture in uniform(iter([(1.0, frame) for frame in frames]), even=True)]
    assert [picture.shape[:2] for picture in fitted] == [(34, 50)] * 4
    assert (fitted[0] == 100).all()  # the edge goes on into the padding
    assert fitted[1][20].tolist().count(200) in (24, 25)
    assert fitted[2].ndim == 3
    odd = [picture for _, picture in uniform(iter([(1.0, frames[0])]), even=False)]
    assert odd[0].shape == (33, 49)


def test_gif_of_frames_with_times_of_their_own(tmp_path: Path) -> None:
    frames = [(50.0, flat(0)), (200.0, flat((200, 30, 60))), (1.0, flat(255))]
    place, said = made(tmp_path, "image/gif", frames)
    assert said == ""
    image: Any = Image.open(io.BytesIO(place.read_bytes()))
    durations = []
    for n in range(image.n_frames):
        image.seek(n)
        durations.append(image.info["duration"])
    assert durations == [50, 200, 20]


@pytest.mark.parametrize("media_type", ["image/gif", "video/mp4"])
def test_frames_that_break_off_make_no_file_that_is_served(tmp_path: Path, media_type: str) -> None:
    if media_type == "video/mp4":
        pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    _, said = made(tmp_path, media_type, [(40, flat(0)), (40, flat(1))], cut=5)
    assert said == "the frames broke off"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    broken = gray(2, 3)
    broken.BitsAllocated = 8
    later = gray(3, instance=2, BitsAllocated=3, InstanceNumber=2)
    with web_served(tmp_path_factory.mktemp("archive"), pictures=True) as served:
        files = [part10(gray(1, 5)), part10(gray(3, InstanceNumber=1)), part10(later)]
        assert served.store(*files).status_code == 200
        yield served


GIF = {"accept": "image/gif"}


def test_a_frame_that_cannot_be_shown_is_named(web: WebServed) -> None:
    where = f"/dicom-web/studies/{ROOT}.3/series/{ROOT}.3.1/rendered"
    answer = web.http.get(where, headers=GIF)
    assert answer.status_code == 422
    assert f"frame 1 of {ROOT}.3.1.2" in answer.json()["error"]
    assert not list(web.archive.real_path(_location(web)).parents[4].rglob("cache/renditions/new-*"))  # type: ignore[union-attr]
    parts = web.http.get(where)
    assert parts.status_code == 200
    assert parts.content.count(b"Content-Type: image/jpeg") == 1


def _location(web: WebServed) -> Any:
    return web.archive.locate(f"{ROOT}.1", None, None, None)[0]


def test_limits_of_a_moving_picture(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "MAX_GIF_PIXELS", 48 * 80 * 4)
    answer = web.http.get(f"{path(1)}/rendered?quality=31", headers=GIF)
    assert answer.status_code == 413
    assert "viewport" in answer.json()["error"]
    assert web.http.get(f"{path(1)}/rendered?viewport=40,40", headers=GIF).status_code == 200
    monkeypatch.setattr(moving, "MAX_MOVING_FRAMES", 4)
    assert web.http.get(f"{path(1)}/rendered?viewport=41,41", headers=GIF).status_code == 413


def test_one_that_takes_too_long_is_ended(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "DEADLINE_S", 0.001)
    answer = web.http.get(f"{path(1)}/rendered?viewport=42,42", headers=GIF)
    assert answer.status_code == 422
    assert "longer" in answer.json()["error"]
    monkeypatch.undo()
    assert web.http.get(f"{path(1)}/rendered?viewport=42,42", headers=GIF).status_code == 200


def test_without_the_library_there_is_no_video(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "video_is_there", lambda: False)
    answer = web.http.get(f"{path(1)}/rendered", headers={"accept": "video/mp4"})
    assert answer.status_code == 406
    assert "image/gif" in answer.json()["error"]


def test_the_same_moving_picture_is_made_once(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    where = f"{path(1)}/rendered?viewport=43,43"
    first = web.http.get(where, headers=GIF)

    async def never(*_: Any) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(moving.MovingPictures, "_encode", never)
    assert web.http.get(where, headers=GIF).content == first.content
    assert Image.open(io.BytesIO(first.content)).size == (43, 26)


@pytest.mark.peer
def test_chromium_plays_it(web: WebServed, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'gantry[video]'")
    with open_page(tmp_path) as page:
        page.command("Page.navigate", url=f"http://127.0.0.1:{web.port}{path(1)}/rendered?accept=video/mp4")
        page.wait_until("document.querySelector('video').readyState >= 2")
        size = page.evaluate(
            "(v => [v.videoWidth, v.videoHeight, v.duration])(document.querySelector('video'))"
        )
        assert size == [80, 48, 0.5]
        page.evaluate("document.querySelector('video').currentTime = 0.45")
        assert page.wait_until(
            "document.querySelector('video').readyState >= 2 && document.querySelector('video').currentTime"
        )
