"""The process that makes one moving picture, MP4 or GIF, and ends.

It is started by `gantry.server.moving` with a media type, a quality and the place to write to. Frames come
on its standard input, each as 4 bytes of microseconds and 4 bytes of length, little endian, and a PNM;
their end is the end of the input. Nothing on its standard output means that the file is whole; else it is
the reason why there is none. The first frame decides the size; others are fitted into it, and sides are
padded to even numbers, which halved chrominance needs.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gantry.dicomweb.rendering import MP4
from gantry.errors import DataSetError
from gantry.pixels.display.pnm import Picture, from_pnm
from gantry.pixels.display.video_frame import say_bt709, video_frame

FRAME_HEAD = struct.Struct("<II")

MEMORY_LIMIT_BYTES = 4 << 30
"""An encoder looks some forty frames ahead, of at most 4096 by 4096."""

FILE_LIMIT_BYTES = 2 << 30
"""Hours of 512 by 512."""

MAX_SIDE = 4096
"""Of a video picture: what decoders of browsers take."""

MAX_GIF_PIXELS = 1 << 27
"""Of all frames of a GIF together: it is made in memory."""

_TICKS = 90_000  # a second, as in MPEG: all frame rates come out even
_FRAMES_BETWEEN_KEYS = 30  # who seeks lands within a second or three

Timed = tuple[float, Picture]
"""Milliseconds that a picture stands, and the picture."""


def video_is_there() -> bool:
    """Whether the library that encodes video is installed."""
    return importlib.util.find_spec("av") is not None


def main() -> None:
    """Make the moving picture that the arguments name of the frames on standard input."""
    media_type, quality, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    answers = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an encoder prints must not reach the answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT_BYTES, FILE_LIMIT_BYTES))
    try:
        frames = uniform(_read(sys.stdin.buffer), even=media_type == MP4)
        if media_type == MP4:
            _write_mp4(frames, quality, path)
        else:
            _write_gif(frames, path)
    except MemoryError:
        os.write(answers, b"the moving picture took more memory than it may")
    except (DataSetError, OSError, ValueError) as error:
        os.write(answers, str(error).encode()[:1000])


def uniform(frames: Iterator[Timed], *, even: bool) -> Iterator[Timed]:
    """Frames of the size of the first one, the others fitted into it; all in colour if one is.

    One that comes in colour after gray ones is what decides for itself only: both encoders take either.
    """
    size: tuple[int, int] | None = None
    for milliseconds, picture in frames:
        size = size or (picture.shape[0], picture.shape[1])
        fitted = picture if picture.shape[:2] == size else _fitted(picture, size)
        if even:
            more = ((0, size[0] % 2), (0, size[1] % 2), (0, 0))[: fitted.ndim]
            fitted = np.pad(fitted, more, mode="edge")
        yield milliseconds, np.ascontiguousarray(fitted)


def _fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """The picture in the middle of black, as large as the size lets it be."""
    from PIL import Image

    rows, columns = size
    scale = min(rows / picture.shape[0], columns / picture.shape[1])
    shape = max(1, round(picture.shape[0] * scale)), max(1, round(picture.shape[1] * scale))
    scaled = np.asarray(Image.fromarray(picture).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    out = np.zeros((rows, columns, *picture.shape[2:]), np.uint8)
    top, left = (rows - shape[0]) // 2, (columns - shape[1]) // 2
    out[top : top + shape[0], left : left + shape[1]] = scaled
    return out


def _write_gif(frames: Iterator[Timed], path: str) -> None:
    from gantry.pixels.display.picture_format import animated

    timed = list(frames)  # of as many pixels as `MAX_GIF_PIXELS`, which whoever sends them sees to
    pictures, durations = [picture for _, picture in timed], [milliseconds for milliseconds, _ in timed]
    Path(path).write_bytes(animated(pictures, durations))


def _write_mp4(frames: Iterator[Timed], quality: int, path: str) -> None:
    import av

    first = next(frames, None)
    if first is None:
        raise DataSetError("there are no frames")
    # x264: 18 cannot be told from the original, 43 is rubble.
    options = {"preset": "veryfast", "crf": str(round(18 + (100 - quality) / 4))}
    try:
        with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", options=options)
            stream.height, stream.width = first[1].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.gop_size = _FRAMES_BETWEEN_KEYS
            stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
            say_bt709(stream.codec_context)
            at, lengths = 0.0, dict[int, int]()
            for milliseconds, picture in chain([first], frames):
                frame = video_frame(picture)
                frame.pts, frame.time_base = round(at * _TICKS / 1000), Fraction(1, _TICKS)
                lengths[frame.pts] = max(1, round(milliseconds * _TICKS / 1000))
                _mux(container, stream.encode(frame), lengths)
                at += milliseconds
            _mux(container, stream.encode(), lengths)
    except av.FFmpegError as error:
        raise DataSetError(f"the video encoder failed: {error}") from error


def _mux(container: Any, packets: list[Any], lengths: dict[int, int]) -> None:
    """Write packets, each as long as its frame: of the last one nothing else tells."""
    for packet in packets:
        packet.duration = lengths.pop(packet.pts)
        container.mux(packet)


def _read(source: BinaryIO) -> Iterator[Timed]:
    while len(head := source.read(FRAME_HEAD.size)) == FRAME_HEAD.size:
        microseconds, length = FRAME_HEAD.unpack(head)
        data = source.read(length)
        if len(data) < length:
            raise DataSetError("the frames broke off")
        yield microseconds / 1000, from_pnm(data)


if __name__ == "__main__":
    main()
