"""Videos: what a stream says of itself, and frames out of the middle of it (PS3.5 8.2.5 to 8.2.11)."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pydicom
import pytest

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader
from gantry.pixels.stretches import Stretches, in_buffer, places
from gantry.pixels.transcode import plan
from gantry.pixels.video import VideoReader, describe
from gantry.pixels.video_stream import Container, VideoCodec, look
from image_values import decoded, made
from support import shared_data
from video_values import (
    COLUMNS,
    FRAMES,
    H264,
    H264_FRAGMENTABLE,
    HEVC,
    HEVC_10,
    MPEG2,
    RATE,
    ROWS,
    all_frames,
    level,
    stream,
    video_object,
)  # fmt: skip

CASES = [
    (H264, "mp4", Container.MP4), (H264, "mpegts", Container.TRANSPORT_STREAM), (H264, "h264", Container.ELEMENTARY_STREAM),
    (HEVC, "mp4", Container.MP4), (HEVC, "mpegts", Container.TRANSPORT_STREAM), (HEVC, "hevc", Container.ELEMENTARY_STREAM),
    (MPEG2, "mpegts", Container.TRANSPORT_STREAM), (MPEG2, "vob", Container.PROGRAM_STREAM),
    (MPEG2, "mpeg2video", Container.ELEMENTARY_STREAM),
]  # fmt: skip
CODECS = {H264: VideoCodec.H264, HEVC: VideoCodec.HEVC, HEVC_10: VideoCodec.HEVC, MPEG2: VideoCodec.MPEG2}


def whole(data: bytes) -> Stretches:
    return Stretches(in_buffer(data), [(0, len(data))])


def reader(file: bytes) -> VideoReader:
    _, ds = read_part10(file)
    table = frame_table(ds)
    assert table is not None
    return VideoReader(Stretches(in_buffer(ds.buffer), table.frame(0)), ImageHeader.from_dataset(ds))


@pytest.mark.parametrize(("syntax", "container", "expected"), CASES)
def test_a_stream_says_what_it_is(syntax: str, container: str, expected: Container) -> None:
    facts = look(whole(stream(syntax, container)))
    assert (facts.container, facts.codec) == (expected, CODECS[syntax])
    assert (facts.rows, facts.columns, facts.bits) == (ROWS, COLUMNS, 8)
    if expected is Container.MP4:
        assert facts.frames == FRAMES
    if expected is Container.MP4 or syntax != HEVC:
        assert facts.rate == RATE
    assert facts.profile.startswith({H264: "High", HEVC: "Main", MPEG2: "Main Profile"}[syntax])


def test_the_size_is_the_one_that_is_shown_not_the_one_that_is_coded() -> None:
    for syntax in (H264, HEVC):
        facts = look(whole(stream(syntax, "mp4", 2, size=(50, 70))))
        assert (facts.rows, facts.columns) == (50, 70)


def test_ten_bits_are_seen() -> None:
    facts = look(whole(stream(HEVC_10, "mp4", 3)))
    assert (facts.bits, facts.profile) == (10, "Main 10")


def test_a_video_that_agrees_with_its_header_has_nothing_to_say() -> None:
    _, ds = read_part10(video_object(stream()))
    found = describe(ds)
    assert found is not None
    assert found.notes == ()
    assert found.facts.text.endswith("64x48, 40 frames, 25 a second, in an MP4")


def test_where_stream_and_header_disagree_it_is_said() -> None:
    lying = video_object(stream(), HEVC_10, frames=39, size=(48, 32), FrameTime="20")
    _, ds = read_part10(lying)
    found = describe(ds)
    assert found is not None
    assert [note.partition(" where ")[0].partition(", the header")[0] for note in found.notes] == [
        "the stream is H.264", "the stream is 64x48", "the stream has 8 bits", "the stream has 40 frames",
        "the stream has 25 frames a second",
    ]  # fmt: skip


def test_what_is_no_video_has_no_description() -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "MR_small_RLE.dcm"
    assert describe(read_part10(path.read_bytes())[1]) is None


@pytest.mark.parametrize(("syntax", "container", "_"), CASES)
def test_any_frame_in_any_order_is_the_one_that_playing_shows(
    syntax: str, container: str, _: Container
) -> None:
    data = stream(syntax, container)
    expected = all_frames(data)
    assert len(expected) == FRAMES
    order = [0, 1, 2, 30, 31, 5, 39, 38, 12, 11, 13, 24, 0, 39]
    with reader(video_object(data, syntax)) as video:
        assert len(video) == FRAMES
        for index in order:
            frame = video.frame(index)
            assert frame.header.photometric_interpretation == "RGB"
            assert (frame.pixels == expected[index]).all(), index
            assert abs(int(frame.pixels[:, -8:].mean()) - level(index)) < 12


def test_a_video_in_many_fragments_is_one_stream() -> None:
    data = stream()
    file = video_object(data, H264_FRAGMENTABLE, fragment=len(data) // FRAMES & ~1)
    _, ds = read_part10(file)
    table = frame_table(ds)
    assert table is not None
    assert table.is_stream
    assert len(table.frame(0)) >= FRAMES
    with reader(file) as video:
        assert (video.frame(33).pixels == all_frames(data)[33]).all()


def test_ten_bits_stay_ten_bits() -> None:
    with reader(video_object(stream(HEVC_10, "mp4", 6), HEVC_10, frames=6)) as video:
        frame = video.frame(5)
        assert (frame.header.bits_allocated, frame.header.bits_stored, frame.pixels.dtype) == (
            16,
            10,
            np.uint16,
        )
        assert abs(int(frame.pixels[:, -8:].mean()) - 4 * level(5)) < 48
        assert frame.pixels.max() < 1024


def test_one_sample_a_pixel_is_gray() -> None:
    file = video_object(
        stream(frames=3), frames=3, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2"
    )
    with reader(file) as video:
        assert video.frame(2).pixels.shape == (ROWS, COLUMNS)


def test_only_what_is_needed_is_read_to_reach_a_frame() -> None:
    """Frame 290 of 300 costs the frames since its key frame, not all before it."""
    data = stream(frames=300, gop=10)
    read: list[int] = []

    def read_at(offset: int, length: int) -> bytes:
        read.append(length)
        return data[offset : offset + length]

    header = ImageHeader.from_dataset(read_part10(video_object(data, frames=300))[1])
    with VideoReader(Stretches(read_at, [(0, len(data))]), header) as video:
        video.frame(290)
        assert video._next == 291
        held = video._frames
        video.frame(292)
        assert video._frames is held  # went on, without seeking
        video.frame(3)
        assert video._frames is not held
    assert max(read) <= 1 << 20


def test_a_video_becomes_frames_of_any_lossless_syntax(tmp_path: Path) -> None:
    data = stream(frames=5)
    expected = np.stack(all_frames(data))
    for name in ("explicit", "rle", "jpeg-ls", "htj2k-lossless"):
        file, found = made(video_object(data, frames=5), name)
        ds = pydicom.dcmread(io.BytesIO(file))
        assert ds.PhotometricInterpretation == ("YBR_RCT" if name == "htj2k-lossless" else "RGB")
        assert (ds.NumberOfFrames, ds.BitsStored) == (5, 8)
        assert ds.LossyImageCompression == "01"
        assert not found.lossy
        assert (decoded(file)[0] == expected).all()


def test_ten_bits_become_sixteen_allocated() -> None:
    file, _ = made(video_object(stream(HEVC_10, "mp4", 3), HEVC_10, frames=3), "jpeg-ls")
    ds = pydicom.dcmread(io.BytesIO(file))
    assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, 10, 9)
    assert decoded(file)[0].max() < 1024


def test_nothing_is_made_a_video() -> None:
    _, ds = read_part10(video_object(stream(frames=2), frames=2))
    with pytest.raises(CallerError, match="nothing is written in HEVC"):
        plan(ds, HEVC, Compression())


@pytest.mark.parametrize("path", ["endoscopy_h264.dcm", "endoscopy_hevc.dcm", "photographic_mpeg2.dcm"])
def test_videos_of_the_shared_data_are_described_and_every_frame_is_had(path: str) -> None:
    file = (shared_data() / "synthetic" / "video" / path).read_bytes()
    _, ds = read_part10(file)
    found = describe(ds)
    assert found is not None
    assert found.notes == ()
    assert found.facts.rate == Fraction(25)
    table = frame_table(ds)
    assert table is not None
    expected = all_frames(b"".join(bytes(ds.buffer[o : o + n]) for o, n in table.frame(0)))
    with reader(file) as video:
        assert len(video) == table.declared == len(expected)
        for index in (*range(0, len(video), 7), 0, len(video) - 1, 3):
            assert (video.frame(index).pixels == expected[index]).all()


# Bad input


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"ten bytes!", b"\0\0\1\xba" + bytes(40), b"\x47" * 4000, b"\0\0\0\x18ftypmp42" + bytes(12)])  # fmt: skip
def test_b57_what_is_no_video_is_refused(data: bytes) -> None:
    with pytest.raises(DataSetError):
        look(whole(data))


def test_b57_a_playlist_that_names_other_files_is_not_opened() -> None:
    """What the library would follow to files and servers is never given to it."""
    with pytest.raises(DataSetError, match="does not begin like a video"):
        reader(video_object(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" + b" " * 41))


@pytest.mark.parametrize(("syntax", "container", "_"), CASES)
def test_b57_a_video_that_is_cut_loses_its_end_and_no_more(syntax: str, container: str, _: Container) -> None:
    data = stream(syntax, container)
    tables = max(0, data.find(b"mdat"))
    with reader(video_object(data[: tables + (len(data) - tables) * 2 // 3 & ~1], syntax)) as video:
        expected = all_frames(data)
        assert (video.frame(3).pixels == expected[3]).all()
        with pytest.raises(DataSetError):
            video.frame(FRAMES - 1)
        assert (video.frame(1).pixels == expected[1]).all()


def test_b54_a_header_that_lies_about_the_size_or_the_frames_is_told() -> None:
    data = stream()
    with pytest.raises(DataSetError, match="64x48 pixels, the header says 32x48"):
        reader(video_object(data, size=(48, 32)))
    with pytest.raises(DataSetError, match="over the limit"):
        reader(video_object(data, size=(65535, 65535)))
    with (
        reader(video_object(data, frames=999_999)) as video,
        pytest.raises(DataSetError, match="frame 41 of a stream that holds 40; Number of Frames is 999999"),
    ):
        video.frame(40)
    with pytest.raises(DataSetError, match="40 frames where 999999 are declared"):
        made(video_object(data, frames=999_999), "rle")


def test_stretches_are_read_as_one_file() -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 256, 1000, np.uint8).tobytes()
    spans = [(10, 100), (200, 1), (300, 0), (301, 99), (900, 100)]
    joined = b"".join(data[o : o + n] for o, n in spans)
    file = Stretches(in_buffer(data), spans)
    assert file.size == len(joined)
    for _ in range(300):
        start, length = int(rng.integers(0, 320)), int(rng.integers(0, 320))
        file.seek(start)
        assert file.read(length) == joined[start : start + length]
        assert (
            b"".join(data[o : o + n] for o, n in places(spans, start, start + length))
            == joined[start : start + length]
        )
    assert file.seek(-5, 2) == len(joined) - 5
    assert file.read() == joined[-5:]


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    file = video_object(stream(frames=2), frames=2)
    monkeypatch.setitem(sys.modules, "av", None)
    _, ds = read_part10(file)
    assert describe(ds) is not None  # needs none
    with pytest.raises(
        DataSetError, match=r"need the library PyAV: install gantry with its extra, gantry\[video\]"
    ):
        reader(file)
