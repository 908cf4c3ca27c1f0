"""Videos that are cut, spoiled or lie, under guard: errors of their frames, flat memory, the next video fine (B54 to B58)."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader
from gantry.pixels.stretches import Stretches, in_buffer
from gantry.pixels.video import VideoFrame
from gantry.pixels.video_stream import look
from gantry.server.decoders import Decoders
from video_values import COLUMNS, FRAMES, H264, HEVC, MPEG2, ROWS, all_frames, stream, video_object

KINDS = [(H264, "mp4"), (H264, "mpegts"), (HEVC, "mp4"), (HEVC, "mpegts"), (MPEG2, "mpegts"), (MPEG2, "vob")]
MOST_MEMORY = 96 << 20
DEADLINE_S = 10.0


def spoiled(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits and bytes changed anywhere, or in the tables that lead to the rest; or the end cut off."""
    out = bytearray(data)
    kind = int(rng.integers(0, 3))
    if kind == 0:
        for place in rng.integers(0, len(out), 8):
            out[place] ^= 1 << int(rng.integers(0, 8))
    elif kind == 1:
        for place in rng.integers(0, min(len(out), 2000), 4):
            out[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
    else:
        out = out[: int(rng.integers(1, len(out)))]
    return bytes(out)


def written(path: Path, data: bytes, index: int) -> VideoFrame:
    """A frame, from 0, of a stream in a file of its own."""
    path.write_bytes(data)
    return VideoFrame(str(path), ((0, len(data)),), index)


def removed(frame: VideoFrame) -> None:
    Path(frame.path).unlink()


async def spoil(syntax: str, container: str, count: int, seed: int, folder: Path) -> int:
    data, rng = stream(syntax, container), np.random.default_rng(seed)
    header = ImageHeader.from_dataset(read_part10(video_object(data, syntax))[1])
    decoders = Decoders(size=1, deadline_s=DEADLINE_S)
    good, bad = folder / "good", folder / "bad"
    sound = written(good, data, 0)
    expected = [frame.tobytes() for frame in all_frames(data)]
    errors = 0
    memory: list[int] = []
    for number in range(count):
        wanted = written(bad.with_name(f"bad{number}"), spoiled(data, rng), int(rng.integers(0, FRAMES)))
        try:
            _, octets = await decoders.decode(wanted, syntax, header)
            assert len(octets) == ROWS * COLUMNS * 3
        except DataSetError as error:
            errors += 1
            assert "longer than" not in error.cause
        removed(wanted)
        if number % 20 == 0:
            sound = replace(sound, index=number % FRAMES)
            assert (await decoders.decode(sound, syntax, header))[1] == expected[number % FRAMES]
            memory += [_resident(worker) for worker in decoders._all]
    await decoders.close()
    assert max(memory) - memory[0] < MOST_MEMORY, "memory grows with spoiled videos"
    return errors


def _resident(worker: object) -> int:
    pid = worker._process.pid  # type: ignore[attr-defined]
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.parametrize(("syntax", "container"), KINDS)
def test_b57_spoiled_videos_are_errors_or_frames_and_the_next_video_is_fine(
    syntax: str, container: str, tmp_path: Path
) -> None:
    assert asyncio.run(spoil(syntax, container, 100, 57, tmp_path)) > 10


@pytest.mark.soak
@pytest.mark.parametrize(("syntax", "container"), KINDS)
def test_b57_thousands_of_spoiled_videos(syntax: str, container: str, tmp_path: Path) -> None:
    assert asyncio.run(spoil(syntax, container, 2000, 58, tmp_path)) > 100


@pytest.mark.parametrize(("syntax", "container"), KINDS)
def test_b57_a_spoiled_video_is_described_or_refused(syntax: str, container: str) -> None:
    """In Python alone: nothing but DataSetError, whatever the tables say."""
    data, rng = stream(syntax, container), np.random.default_rng(59)
    refused = 0
    for _ in range(1500):
        wrong = spoiled(data, rng)
        try:
            facts = look(Stretches(in_buffer(wrong), [(0, len(wrong))]))
            assert facts.rows > 0
            assert facts.columns > 0
        except DataSetError:
            refused += 1
    assert 0 < refused < 1500


def test_b54_a_stream_that_says_it_is_as_large_as_can_be_is_an_error(tmp_path: Path) -> None:
    """Header and stream agree on 4095x4095, and there are bytes for 64x48."""
    data = stream(MPEG2, "mpeg2video")
    place = data.index(b"\0\0\1\xb3") + 4
    lying = data[:place] + b"\xff\xff\xff" + data[place + 3 :]
    facts = look(Stretches(in_buffer(lying), [(0, len(lying))]))
    assert (facts.rows, facts.columns) == (4095, 4095)
    file = video_object(lying, MPEG2, size=(4095, 4095))
    header = ImageHeader.from_dataset(read_part10(file)[1])

    async def journey(frame: VideoFrame) -> None:
        decoders = Decoders(size=1, deadline_s=DEADLINE_S)
        with pytest.raises(DataSetError):
            await decoders.decode(frame, MPEG2, header)
        await decoders.close()

    asyncio.run(journey(written(tmp_path / "lying", lying, 0)))


def test_a_video_whose_file_is_gone_is_an_error(tmp_path: Path) -> None:
    header = ImageHeader.from_dataset(read_part10(video_object(stream()))[1])

    async def journey() -> None:
        decoders = Decoders(size=1)
        with pytest.raises(DataSetError, match="the video cannot be read"):
            await decoders.decode(VideoFrame(str(tmp_path / "none"), ((0, 100),), 0), H264, header)
        await decoders.close()

    asyncio.run(journey())
