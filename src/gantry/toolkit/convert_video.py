"""Frames to MP4 and WebM, through PyAV where it is installed: pip install 'gantry[video]'.

Both are written as AV1 or VP9 rather than with the encoders of H.264, which are under another licence. (What
the server renders is H.264: a page must play on every phone, and its operator decides whether to have it.)
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gantry.errors import CallerError, DataSetError
from gantry.pixels.display.video_frame import say_bt709, video_frame
from gantry.toolkit.convert_images import Facts, Known, by_series, read_images, series_stem
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.convert_pictures import (
    check_animation,
    frame_numbers,
    frame_seconds,
    incomplete,
    series_frames,
)
from gantry.toolkit.cores import in_order
from gantry.toolkit.display import Picture, displayed, with_one_window
from gantry.toolkit.images import Candidate, StoredFrame

_CODECS = {".mp4": "libsvtav1", ".webm": "libvpx-vp9"}
_OPTIONS = {
    ".mp4": {"preset": "10", "crf": "28"},
    ".webm": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "28", "b": "0"},
}
_LEAST_SIDE = 64
"""SVT-AV1 takes no smaller picture; smaller ones are enlarged by whole factors."""

_MOST_SIDE = 8192
"""Of a video picture; decoders take no more. Larger ones can be asked for with a size."""


def plan(found: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """A video of each object with several frames; of the others, and of all with `series`, one a series."""
    video_library()
    known, failed = read_images(found)
    failed += incomplete(known)
    pieces: list[Piece] = []
    joined: list[Known] = []
    for one in known:
        if options.series or one.image.frame_count == 1:
            joined.append(one)
            continue
        image = one.image
        try:
            frames = [image.frame(number) for number in frame_numbers(image, options)]
        except DataSetError as error:
            failed.append(Converted(image.candidate.name, None, error=str(error)))
            continue
        pieces.append(_piece(image.candidate.stem, suffix, image.candidate.name, frames, one.facts, options))
    taken: set[str] = set()
    all_series, twice = by_series(joined)
    for series in all_series:
        try:
            frames = series_frames(series, options)
        except DataSetError as error:
            failed.append(Converted(series.name, None, error=str(error)))
            continue
        stem = series_stem(series, taken)
        pieces.append(_piece(stem, suffix, series.name, frames, series.known[0].facts, options))
    return pieces, failed + twice


def video_library() -> Any:
    """PyAV. Raises CallerError where it is not installed."""
    try:
        import av
    except ImportError:
        raise CallerError("video needs PyAV: pip install 'gantry[video]'; GIF does not") from None
    return av


def _piece(
    stem: str, suffix: str, name: str, frames: list[StoredFrame], facts: Facts, options: Options
) -> Piece:
    make = partial(_write, frames, frame_seconds(facts, options), options, suffix)
    return Piece(stem, suffix, name, make, uses_all_cores=True, runs_codec=True, frame_count=len(frames))


def _write(frames: list[StoredFrame], seconds: float, options: Options, suffix: str, path: Path) -> Made:
    check_animation(frames, options)
    av = video_library()
    options = with_one_window(frames, options)
    rate = Fraction(1 / seconds).limit_denominator(1000)
    pictures = in_order(len(frames), lambda n: _even(displayed(frames[n], options)))
    first = next(pictures)
    try:
        with av.open(str(path), "w", format=suffix[1:]) as container:
            stream = container.add_stream(_CODECS[suffix], rate=rate, options=_OPTIONS[suffix])
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = "yuv420p"
            say_bt709(stream.codec_context)
            container.mux(stream.encode(video_frame(first)))
            for picture in pictures:
                if picture.shape[:2] != first.shape[:2]:
                    raise DataSetError("the frames are not all of one size; a video has one")
                container.mux(stream.encode(video_frame(picture)))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise DataSetError(f"the video encoder failed: {error}") from error
    return Made()


def _even(picture: Picture) -> Picture:
    """Both sides even (chrominance is halved) and not too small."""
    factor = max(1, -(-_LEAST_SIDE // min(picture.shape[:2])))
    if max(picture.shape[:2]) * factor > _MOST_SIDE:
        raise DataSetError(f"a video has at most {_MOST_SIDE} pixels along a side; ask for a smaller size")
    if factor > 1:
        picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    rows, columns = picture.shape[:2]
    more = ((0, rows % 2), (0, columns % 2), (0, 0))[: picture.ndim]
    return np.ascontiguousarray(np.pad(picture, more, mode="edge"))
