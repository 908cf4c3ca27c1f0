"""Videos as tests make them: streams from the video library in each container, and objects around them."""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from serving import dataset, part10

VIDEO_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
MPEG2 = "1.2.840.10008.1.2.4.100"
H264 = "1.2.840.10008.1.2.4.102"
H264_FRAGMENTABLE = "1.2.840.10008.1.2.4.102.1"
HEVC = "1.2.840.10008.1.2.4.107"
HEVC_10 = "1.2.840.10008.1.2.4.108"
ROWS, COLUMNS, FRAMES, RATE = 48, 64, 40, 25

_LIBRARY = {MPEG2: "mpeg2video", H264: "libx264", HEVC: "libx265", HEVC_10: "libx265"}


def stream(
    syntax: str = H264,
    container: str = "mp4",
    frames: int = FRAMES,
    *,
    gop: int = 12,
    size: tuple[int, int] = (ROWS, COLUMNS),
) -> bytes:
    """A stream whose frame n is brighter than the one before it, with a bar that moves."""
    rows, columns = size
    with tempfile.NamedTemporaryFile(suffix=f".{container}") as made:  # an MP4 is written in two goes
        first = {"movflags": "faststart"} if container == "mp4" else {}
        with av.open(made.name, "w", format=container, options=first) as out:
            video = out.add_stream(_LIBRARY[syntax], rate=RATE, options=_options(syntax, gop))
            video.width, video.height, video.gop_size = columns, rows, gop
            video.pix_fmt = "yuv420p10le" if syntax == HEVC_10 else "yuv420p"
            for index in range(frames):
                picture = np.full((rows, columns, 3), level(index), np.uint8)
                picture[:, index % (columns - 8) : index % (columns - 8) + 8] = (255, 0, 0)
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, RATE)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
        return Path(made.name).read_bytes()


def _options(syntax: str, gop: int) -> dict[str, str]:
    if syntax == H264:
        return {
            "preset": "ultrafast",
            "crf": "18",
            "bf": "2",
            "x264-params": f"keyint={gop}:scenecut=0:threads=1:8x8dct=1",
        }
    if syntax in (HEVC, HEVC_10):
        return {"preset": "ultrafast", "x265-params": f"keyint={gop}:log-level=none:pools=1:frame-threads=1"}
    return {"b": "400000", "bf": "2"}


def level(index: int) -> int:
    """The brightness of frame `index` beside the bar."""
    return 20 + 5 * (index % 44)


def video_object(
    data: bytes,
    syntax: str = H264,
    *,
    frames: int = FRAMES,
    fragment: int = 0,
    size: tuple[int, int] = (ROWS, COLUMNS),
    **attributes: Any,
) -> bytes:
    """A Part 10 file around a stream; in fragments of `fragment` bytes, in one if 0."""
    ds: Dataset = dataset(1, sop_class=VIDEO_PHOTOGRAPHIC, Modality="XC")
    ds.Rows, ds.Columns = size
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_PARTIAL_420", 0
    ds.BitsAllocated = 16 if syntax == HEVC_10 else 8
    ds.BitsStored = 10 if syntax == HEVC_10 else 8
    ds.HighBit = ds.BitsStored - 1
    ds.NumberOfFrames = frames
    ds.CineRate, ds.FrameTime, ds.FrameIncrementPointer = RATE, str(1000 / RATE), 0x00181063
    ds.LossyImageCompression = "01"
    step = fragment or len(data)
    pieces = [data[start : start + step] for start in range(0, len(data), step)]
    ds.PixelData = encapsulate([b"".join(pieces)], has_bot=False) if not fragment else _fragments(pieces)
    ds["PixelData"].VR = "OB"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds, syntax)


def _fragments(pieces: list[bytes]) -> bytes:
    def item(data: bytes) -> bytes:
        padded = data + b"\0" * (len(data) % 2)
        return b"\xfe\xff\x00\xe0" + len(padded).to_bytes(4, "little") + padded

    return item(b"") + b"".join(map(item, pieces))


def all_frames(data: bytes) -> list[np.ndarray]:
    """Every frame of a stream in RGB, as the library gives them when it reads from the beginning."""
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
