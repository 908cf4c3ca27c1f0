"""Frames to pictures: JPEG, PNG, TIFF, BMP, GIF, WebP, AVIF, JPEG XL.

With 8 bits a sample a picture is what a person would see, made by the display pipeline. With 16 bits it
holds stored values as they are, unwindowed, so that it can be measured in; where the format has no signed
values they are moved up, which is noted. TIFF and GIF hold all frames of an object, and on demand of a
series, in one file; of the others each frame is a file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL.TiffImagePlugin import AppendingTiffWriter

from gantry.errors import CallerError, DataSetError
from gantry.toolkit.convert_images import Facts, Known, Series, by_series, read_images, series_stem
from gantry.toolkit.convert_options import MAX_ANIMATION_VALUES, Converted, Made, Options, Piece
from gantry.toolkit.display import Picture, displayed, displayed_pixels, with_one_window
from gantry.toolkit.images import Candidate, Image, StoredFrame

DEFAULT_FPS = 10.0
"""For frames whose object does not say how fast they follow each other, and for the images of a series."""

_DEEP = {".png", ".tif", ".jxl"}
_JOINED = {".tif", ".gif"}
_PILLOW = {".bmp": "BMP", ".webp": "WEBP", ".avif": "AVIF"}
_LOSSY = {".webp", ".avif"}

_SAMPLE_FORMAT = 339
_SIGNED = 2
_CLASSIC_TIFF_BYTES = 3 << 30
"""A TIFF counts bytes in 32 bits; what may become larger is a BigTIFF, which Pillow writes uncompressed."""

_LEAST_GIF_SECONDS = 0.02
"""GIF counts in hundredths of a second, and browsers take less than two of them for ten."""


def plan(found: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """A piece for each frame, object or series. See `convert.Planner`."""
    depth = _depth(options, suffix)
    if options.series and suffix not in _JOINED:
        raise CallerError(f"{suffix} holds one picture; a series is joined in GIF, TIFF, MP4 or WebM")
    known, failed = read_images(found)
    failed += incomplete(known)
    pieces: list[Piece] = []
    if options.series:
        all_series, twice = by_series(known)
        taken: set[str] = set()
        for series in all_series:
            _add(pieces, failed, series.name, lambda s=series: _of_series(s, options, suffix, taken, depth))
        return pieces, failed + twice
    for one in known:
        name = one.image.candidate.name
        _add(pieces, failed, name, lambda o=one: _of_image(o, options, suffix, depth, failed))
    return pieces, failed


def incomplete(known: list[Known]) -> list[Converted]:
    """The word on objects that lack frames, of which the others are converted."""
    return [
        Converted(one.image.candidate.name, None, error=one.image.missing_frames)
        for one in known
        if one.image.missing_frames
    ]


def _add(pieces: list[Piece], failed: list[Converted], name: str, make: Any) -> None:
    try:
        pieces += make()
    except DataSetError as error:
        failed.append(Converted(name, None, error=str(error)))


def _depth(options: Options, suffix: str) -> int:
    depth = options.depth or (16 if suffix == ".tif" else 8)
    if depth == 8:
        return depth
    if suffix not in _DEEP:
        raise CallerError(f"{suffix} has no pictures of 16 bits; PNG, TIFF and JPEG XL have")
    if options.window or options.width or options.height or options.state:
        raise CallerError("pictures of 16 bits hold stored values: no window, size or state, or --depth 8")
    return depth


def _of_image(
    one: Known, options: Options, suffix: str, depth: int, failed: list[Converted]
) -> Iterator[Piece]:
    image = one.image
    name, stem = image.candidate.name, image.candidate.stem
    numbers = frame_numbers(image, options)
    if suffix in _JOINED:
        frames = [image.frame(number) for number in numbers]
        yield _joined(stem, suffix, name, frames, one.facts, options, depth)
        return
    several = image.table.declared > 1 or image.frame_count > 1
    for number in numbers:
        one_of = f"{stem}_{number + 1:04d}" if several else stem
        what = f"{name}, frame {number + 1}" if several else name
        try:
            frame = image.frame(number)
        except DataSetError as error:
            failed.append(Converted(what, None, error=str(error)))
            continue
        make = partial(_write_one, frame, options, suffix, depth)
        yield Piece(one_of, suffix, what, make, runs_codec=frame.needs_codec)


def frame_numbers(image: Image, options: Options) -> list[int]:
    """The frames asked for, from 0. Raises DataSetError where there is none of that number."""
    if options.frames is None:
        return list(range(image.frame_count))
    missing = [number for number in options.frames if not 1 <= number <= image.frame_count]
    if missing:
        raise DataSetError(f"there is no frame {missing[0]}: the object has {image.frame_count}")
    return [number - 1 for number in options.frames]


def series_frames(series: Series, options: Options) -> list[StoredFrame]:
    """All frames of a series in order, those of each image that were asked for. Raises DataSetError."""
    return [
        one.image.frame(number) for one in series.in_order() for number in frame_numbers(one.image, options)
    ]


def _of_series(series: Series, options: Options, suffix: str, taken: set[str], depth: int) -> Iterator[Piece]:
    frames = series_frames(series, options)
    stem = series_stem(series, taken)
    yield _joined(stem, suffix, series.name, frames, series.known[0].facts, options, depth)


def _joined(
    stem: str,
    suffix: str,
    name: str,
    frames: list[StoredFrame],
    facts: Facts,
    options: Options,
    depth: int,
) -> Piece:
    make = (
        partial(_write_tiff, frames, options, depth)
        if suffix == ".tif"
        else partial(_write_gif, frames, frame_seconds(facts, options), options)
    )
    runs_codec = any(frame.needs_codec for frame in frames)
    return Piece(stem, suffix, name, make, runs_codec=runs_codec, frame_count=len(frames))


def frame_seconds(facts: Facts, options: Options) -> float:
    """How long one frame stands."""
    if options.fps:
        return 1 / options.fps
    return facts.frame_ms / 1000 if facts.frame_ms else 1 / DEFAULT_FPS


# One frame


def measured(frame: StoredFrame) -> Picture:
    """The stored values of a frame in 16 bits, signed or not. Raises DataSetError where they do not fit."""
    header = frame.header
    if header.samples_per_pixel != 1 or header.photometric_interpretation == "PALETTE COLOR":
        raise DataSetError("colour has no 16-bit picture here; ask for --depth 8", tag=0x00280002)
    values = frame.values()
    if values.dtype.kind not in "iu" or header.bits_stored > 16:
        raise DataSetError(
            f"values of {header.bits_allocated} bits do not fit in 16; convert to NumPy or NIfTI",
            tag=0x00280101,
        )
    return np.asarray(values.astype(np.int16 if values.dtype.kind == "i" else np.uint16))


def _write_one(frame: StoredFrame, options: Options, suffix: str, depth: int, path: Path) -> Made:
    notes: tuple[str, ...] = ()
    if depth == 8:
        picture = displayed(frame, options)
    else:
        picture, notes = _unsigned(measured(frame))
    path.write_bytes(_encoded(picture, suffix, options))
    return Made(notes)


def _unsigned(values: Picture) -> tuple[Picture, tuple[str, ...]]:
    if values.dtype.kind == "u":
        return values, ()
    moved = (values.astype(np.int32) + 32768).astype(np.uint16)
    return moved, ("stored values have a sign, which the format has not: 32768 was added to each",)


def _encoded(picture: Picture, suffix: str, options: Options) -> bytes:
    import imagecodecs

    picture = np.ascontiguousarray(picture)
    try:
        if suffix == ".jpg":
            return bytes(imagecodecs.jpeg8_encode(picture, level=options.quality))
        if suffix == ".png":
            return bytes(imagecodecs.png_encode(picture, level=5))
        if suffix == ".jxl":
            return bytes(imagecodecs.jpegxl_encode(picture, lossless=True, effort=3))
        out = io.BytesIO()
        lossy = {"quality": options.quality} if suffix in _LOSSY else {}
        Pillow.fromarray(picture).save(out, _PILLOW[suffix], **lossy)
        return out.getvalue()
    except MemoryError:
        raise
    except Exception as error:  # each encoder raises types of its own, for sizes that its format has not
        size = f"{picture.shape[1]}x{picture.shape[0]}"
        raise DataSetError(f"a picture of {size} cannot be written as {suffix[1:]}: {error}") from error


# Several frames in one file


class _Pages(AppendingTiffWriter):
    """Pages of a file that somebody else closes, after which Python closes what it collects once more."""

    def close(self) -> None:
        if not self.f.closed:
            super().close()


def _write_tiff(frames: list[StoredFrame], options: Options, depth: int, path: Path) -> Made:
    """A page for each frame, written as it is made."""
    if not frames:
        raise DataSetError("there are no frames")
    notes: dict[str, None] = {}
    is_big = sum(frame.header.frame_samples for frame in frames) * depth // 8 > _CLASSIC_TIFF_BYTES
    compression = "raw" if is_big else "tiff_adobe_deflate"
    # Pillow writes the place of a page into the one before it, which it reads for that.
    with path.open("x+b") as out, _Pages(out) as pages:
        for frame in frames:
            picture, tags = _tiff_page(frame, options, depth, notes)
            page = Pillow.fromarray(picture)
            page.save(pages, "TIFF", compression=compression, tiffinfo=tags, big_tiff=is_big)
            pages.newFrame()
    return Made(tuple(notes))


def _tiff_page(
    frame: StoredFrame, options: Options, depth: int, notes: dict[str, None]
) -> tuple[Picture, dict[int, int]]:
    header = frame.header
    is_color = header.samples_per_pixel != 1 or header.photometric_interpretation == "PALETTE COLOR"
    if depth == 8 or is_color:
        if depth == 16:
            notes["colour has 8 bits a sample"] = None
        return displayed(frame, options), {}
    values = measured(frame)
    return values.view(np.uint16), {_SAMPLE_FORMAT: _SIGNED} if values.dtype.kind == "i" else {}


def check_animation(frames: list[StoredFrame], options: Options) -> None:
    """Raise DataSetError for more frames than one animation is to hold, or for none."""
    if not frames:
        raise DataSetError("there are no frames")
    size = sum(displayed_pixels(frame.header, options) for frame in frames)
    if size > MAX_ANIMATION_VALUES:
        raise DataSetError(
            f"{len(frames)} frames are {size:,} pixels, more than the {MAX_ANIMATION_VALUES:,} of one file"
        )


def _write_gif(frames: list[StoredFrame], seconds: float, options: Options, path: Path) -> Made:
    check_animation(frames, options)
    options = with_one_window(frames, options)
    pictures = [displayed(frame, options) for frame in frames]
    if len({picture.shape[:2] for picture in pictures}) > 1:
        raise DataSetError("the frames are not all of one size; a GIF has one")
    is_color = any(picture.ndim == 3 for picture in pictures)
    images = [_gif_frame(picture, is_color) for picture in pictures]
    # optimize would give each frame a table of its own, and numbers that are no longer grey levels.
    several = {}
    if len(images) > 1:
        duration = round(max(_LEAST_GIF_SECONDS, seconds) * 100) * 10
        several = {"save_all": True, "append_images": images[1:], "duration": duration, "loop": 0}
    with path.open("xb") as out:
        images[0].save(out, "GIF", optimize=False, **several)
    return Made(("GIF has 256 colours at most; others became their nearest",) if is_color else ())


def _gif_frame(picture: Picture, is_color: bool) -> Pillow.Image:
    image = Pillow.fromarray(np.ascontiguousarray(picture))
    return image.convert("RGB") if is_color and picture.ndim == 2 else image
