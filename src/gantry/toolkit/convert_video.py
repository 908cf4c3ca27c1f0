"""Frames to MP4 and WebM, through PyAV where it is installed: pip install 'gantry[video]'.

Both are written as AV1 or VP9 rather than with the encoders of H.264, which are under another licence.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gantry.errors import CallerError, DataSetError
from gantry.toolkit.convert_images import Facts, by_series, series_stem
from gantry.toolkit.convert_options import Converted, Made, Options, Piece
from gantry.toolkit.convert_pictures import (
    check_joined_size,
    displayed,
    frame_numbers,
    frame_seconds,
    open_images,
)
from gantry.toolkit.images import Candidate, Image

_CODECS = {".mp4": "libsvtav1", ".webm": "libvpx-vp9"}
_OPTIONS = {
    ".mp4": {"preset": "10", "crf": "28", "svtav1-params": "logical-processors=0"},
    ".webm": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "28", "b": "0"},
}
_LEAST_SIDE = 64
"""SVT-AV1 takes no smaller picture; smaller ones are enlarged by whole factors."""


def plan(candidates: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """A video of each object with several frames; of the others, and of all with `series`, one a series."""
    _library()
    found, failed = open_images(candidates)
    several = [] if options.series else [pair for pair in found if pair[0].frame_count > 1]
    pieces = []
    for image, facts in several:
        frames = [(image, number) for number in frame_numbers(image, options)]
        pieces.append(
            Piece(
                image.candidate.stem,
                suffix,
                image.candidate.name,
                _maker(frames, facts, options, suffix),
                True,
            )
        )
    taken: set[str] = set()
    series, twice = by_series(pair for pair in found if pair not in several)
    for one in series:
        frames = [(image, n) for image, _ in one.in_order() for n in frame_numbers(image, options)]
        what = f"series {one.number} ({one.uid})"
        maker = _maker(frames, one.facts[0], options, suffix)
        pieces.append(Piece(series_stem(one, taken), suffix, what, maker, True))
    return pieces, failed + twice


def _library() -> Any:
    try:
        import av
    except ImportError:
        raise CallerError("video needs PyAV: pip install 'gantry[video]'; GIF does not") from None
    return av


def _maker(
    frames: list[tuple[Image, int]], facts: Facts, options: Options, suffix: str
) -> Callable[[Path], Made]:
    def make(path: Path) -> Made:
        check_joined_size(frames)
        _write(path, frames, frame_seconds(facts, options), options, suffix)
        return Made()

    return make


def _write(
    path: Path, frames: list[tuple[Image, int]], seconds: float, options: Options, suffix: str
) -> None:
    av = _library()
    rate = Fraction(1 / seconds).limit_denominator(1000)
    first = _even(displayed(*frames[0], options))
    try:
        with av.open(str(path), "w", format=suffix[1:]) as container:
            stream = container.add_stream(_CODECS[suffix], rate=rate, options=_OPTIONS[suffix])
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = "yuv420p"
            for image, number in frames:
                picture = _even(displayed(image, number, options))
                if picture.shape[:2] != first.shape[:2]:
                    raise DataSetError("the frames are not all of one size; a video has one")
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    except av.FFmpegError as error:
        raise DataSetError(f"the video encoder failed: {error}") from error


def _even(picture: Any) -> Any:
    """RGB, both sides even (chrominance is halved) and not too small."""
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    factor = -(-_LEAST_SIDE // min(picture.shape[:2]))
    if factor > 1:
        picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    rows, columns = picture.shape[:2]
    padded = np.pad(picture, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(padded)
