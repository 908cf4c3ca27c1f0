"""Frames to pictures: JPEG, PNG, TIFF, BMP, GIF, WebP, AVIF, JPEG XL.

With 8 bits a sample a picture is what a person would see, made by the display pipeline. With 16 bits it
holds stored values as they are, unwindowed, so that it can be measured in; where the format has no signed
values they are moved up, which is noted. TIFF and GIF hold all frames of an object, and on demand of a
series, in one file; of the others each frame is a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from gantry.errors import CallerError, DataSetError
from gantry.pixels.image import Rendering, Window
from gantry.toolkit.convert_images import Facts, Series, by_series, open_image, refused, series_stem
from gantry.toolkit.convert_options import MAX_PICTURES_BYTES, Converted, Made, Options, Piece
from gantry.toolkit.images import Candidate, Image

Picture = NDArray[Any]

DEFAULT_FPS = 10.0
"""For frames whose object does not say how fast they follow each other, and for the images of a series."""

_DEEP = {".png", ".tif", ".jxl"}
_JOINED = {".tif", ".gif"}
_LOSSLESS = {".png", ".tif", ".bmp", ".gif", ".jxl"}
_SAMPLE_FORMAT = 339
_SIGNED = 2


def plan(candidates: list[Candidate], options: Options, suffix: str) -> tuple[list[Piece], list[Converted]]:
    """A piece for each frame, object or series. See `convert.Planner`."""
    depth = _depth(options, suffix)
    if options.series and suffix not in _JOINED:
        raise CallerError(f"{suffix} holds one picture; a series is joined in GIF, TIFF, MP4 or WebM")
    found, failed = open_images(candidates)
    if options.series:
        series, twice = by_series(found)
        taken: set[str] = set()
        pieces = [joined_series(one, options, suffix, taken, depth) for one in series]
        return pieces, failed + twice
    pieces = []
    for image, facts in found:
        try:
            pieces += _pieces(image, facts, options, suffix, depth)
        except DataSetError as error:
            failed.append(refused(image.candidate, error))
    return pieces, failed


def open_images(candidates: list[Candidate]) -> tuple[list[tuple[Image, Facts]], list[Converted]]:
    """The images among candidates, and why others are none."""
    found, failed = [], []
    for candidate in candidates:
        try:
            found.append(open_image(candidate))
        except (DataSetError, OSError) as error:
            failed.append(refused(candidate, error))
    return found, failed


def _depth(options: Options, suffix: str) -> int:
    depth = options.depth or (16 if suffix == ".tif" else 8)
    if depth not in (8, 16):
        raise CallerError("the depth of a picture is 8 or 16 bits")
    if depth == 16 and suffix not in _DEEP:
        raise CallerError(f"{suffix} has no pictures of 16 bits; PNG, TIFF and JPEG XL have")
    return depth


def _pieces(image: Image, facts: Facts, options: Options, suffix: str, depth: int) -> Iterator[Piece]:
    numbers = frame_numbers(image, options)
    name, stem = image.candidate.name, image.candidate.stem
    if suffix in _JOINED:
        frames = [(image, number) for number in numbers]
        yield Piece(stem, suffix, name, _joiner(frames, facts, options, suffix, depth))
        return
    for number in numbers:
        one_of = stem if image.frame_count == 1 else f"{stem}_{number + 1:04d}"
        what = name if image.frame_count == 1 else f"{name}, frame {number + 1}"
        yield Piece(one_of, suffix, what, _single(image, number, options, suffix, depth))


def frame_numbers(image: Image, options: Options) -> list[int]:
    """The frames asked for, from 0. Raises DataSetError where there is none of that number."""
    if options.frames is None:
        return list(range(image.frame_count))
    missing = [number for number in options.frames if not 1 <= number <= image.frame_count]
    if missing:
        raise DataSetError(f"there is no frame {missing[0]}: the object has {image.frame_count}")
    return [number - 1 for number in options.frames]


def joined_series(series: Series, options: Options, suffix: str, taken: set[str], depth: int) -> Piece:
    """All frames of a series in one file."""
    frames = [(image, number) for image, _ in series.in_order() for number in frame_numbers(image, options)]
    what = f"series {series.number} ({series.uid})"
    make = _joiner(frames, series.facts[0], options, suffix, depth)
    return Piece(series_stem(series, taken), suffix, what, make)


def frame_seconds(facts: Facts, options: Options) -> float:
    """How long one frame stands."""
    if options.fps:
        return 1 / options.fps
    return facts.frame_ms / 1000 if facts.frame_ms else 1 / DEFAULT_FPS


# One frame


def displayed(image: Image, number: int, options: Options) -> Picture:
    """What a person would see of a frame: (rows, columns) or (rows, columns, 3), 8 bits."""
    import imagecodecs

    from gantry.pixels.decode import decoded_photometric
    from gantry.pixels.render import render

    pixels = image.decoded(number)
    photometric = decoded_photometric(image.syntax_uid, image.header)
    window = Window(*options.window) if options.window else None
    wanted = Rendering(width=options.width, height=options.height, window=window, media_type="image/png")
    return np.asarray(imagecodecs.png_decode(render(pixels, photometric, image.header, wanted)))


def _rendered_jpeg(image: Image, number: int, options: Options) -> bytes:
    from gantry.pixels.decode import decoded_photometric
    from gantry.pixels.render import render

    pixels = image.decoded(number)
    photometric = decoded_photometric(image.syntax_uid, image.header)
    window = Window(*options.window) if options.window else None
    wanted = Rendering(
        width=options.width,
        height=options.height,
        window=window,
        media_type="image/jpeg",
        quality=options.quality,
    )
    return render(pixels, photometric, image.header, wanted)


def measured(image: Image, number: int) -> Picture:
    """The stored values of a frame in 16 bits, signed or not. Raises DataSetError where they do not fit."""
    header = image.header
    if header.samples_per_pixel != 1 or header.photometric_interpretation == "PALETTE COLOR":
        raise DataSetError("colour has no 16-bit picture here; ask for --depth 8", tag=0x00280002)
    values = image.values(number)
    if values.dtype.kind == "f" or header.bits_stored > 16:
        raise DataSetError(
            f"values of {header.bits_allocated} bits do not fit in 16; convert to NumPy or NIfTI",
            tag=0x00280101,
        )
    return np.asarray(values.astype(np.int16 if header.signed else np.uint16))


def _single(image: Image, number: int, options: Options, suffix: str, depth: int) -> Callable[[Path], Made]:
    def make(path: Path) -> Made:
        if suffix == ".jpg":
            path.write_bytes(_rendered_jpeg(image, number, options))
            return Made()
        if depth == 8:
            path.write_bytes(_encoded(displayed(image, number, options), suffix, options))
            return Made()
        values, notes = _unsigned(measured(image, number))
        path.write_bytes(_encoded(values, suffix, options))
        return Made(notes)

    return make


def _unsigned(values: Picture) -> tuple[Picture, tuple[str, ...]]:
    if values.dtype.kind == "u":
        return values, ()
    moved = (values.astype(np.int32) + 32768).astype(np.uint16)
    return moved, ("stored values have a sign, which the format has not: 32768 was added to each",)


def _encoded(picture: Picture, suffix: str, options: Options) -> bytes:
    import imagecodecs

    picture = np.ascontiguousarray(picture)
    if suffix == ".png":
        return bytes(imagecodecs.png_encode(picture, level=5))
    if suffix == ".jxl":
        return bytes(imagecodecs.jpegxl_encode(picture, lossless=True, effort=3))
    out = io.BytesIO()
    if suffix in (".webp", ".avif"):
        Pillow.fromarray(picture).save(out, suffix[1:].upper(), quality=options.quality)
    else:
        Pillow.fromarray(picture).save(out, suffix[1:].upper())
    return out.getvalue()


# Several frames in one file


def _joiner(
    frames: list[tuple[Image, int]], facts: Facts, options: Options, suffix: str, depth: int
) -> Callable[[Path], Made]:
    def make(path: Path) -> Made:
        check_joined_size(frames)
        if suffix == ".tif":
            return _write_tiff(path, frames, options, depth)
        _write_gif(path, frames, frame_seconds(facts, options), options)
        return Made()

    return make


def check_joined_size(frames: list[tuple[Image, int]]) -> None:
    """Raise DataSetError for more frames than one file is to hold, or for none."""
    if not frames:
        raise DataSetError("there are no frames")
    size = sum(image.header.frame_samples for image, _ in frames)
    if size > MAX_PICTURES_BYTES:
        raise DataSetError(
            f"{len(frames)} frames are {size:,} values, more than the {MAX_PICTURES_BYTES:,} of one file"
        )


def _write_tiff(path: Path, frames: list[tuple[Image, int]], options: Options, depth: int) -> Made:
    notes: set[str] = set()
    signed = False

    def pages() -> Iterator[Pillow.Image]:
        nonlocal signed
        for image, number in frames:
            if depth == 8 or image.header.samples_per_pixel != 1 or image.header.palette is not None:
                if depth == 16:
                    notes.add("colour has 8 bits a sample")
                yield Pillow.fromarray(displayed(image, number, options))
                continue
            values = measured(image, number)
            signed = values.dtype.kind == "i"
            yield Pillow.fromarray(values.view(np.uint16))

    made = pages()
    first = next(made)
    tags: dict[int, Any] = {_SAMPLE_FORMAT: _SIGNED} if signed else {}
    with path.open("xb") as out:
        first.save(
            out, "TIFF", compression="tiff_adobe_deflate", save_all=True, append_images=made, tiffinfo=tags
        )
    return Made(tuple(sorted(notes)))


def _write_gif(path: Path, frames: list[tuple[Image, int]], seconds: float, options: Options) -> None:
    pictures = (Pillow.fromarray(displayed(image, number, options)) for image, number in frames)
    first = next(pictures)
    with path.open("xb") as out:
        if len(frames) == 1:
            first.save(out, "GIF")
            return
        # GIF counts in hundredths, and browsers take less than two of them for ten.
        duration = max(20, round(seconds * 100) * 10)
        first.save(out, "GIF", save_all=True, append_images=pictures, duration=duration, loop=0)
