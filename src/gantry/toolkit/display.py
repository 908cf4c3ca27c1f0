"""What a person would see of a frame, as an array: the one place where conversions use `pixels.render`."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.image import MAX_FRAME_PIXELS, ImageHeader, Rendering, Window
from gantry.toolkit.convert_options import Options
from gantry.toolkit.images import StoredFrame, kept_object

Picture = NDArray[Any]

_PIXEL_DATA = 0x7FE00010
_SOP_CLASS = 0x00080016


def displayed(frame: StoredFrame, options: Options) -> Picture:
    """(rows, columns) or (rows, columns, 3), 8 bits. Raises DataSetError where there is no way to show it."""
    window = Window(*options.window) if options.window else None
    wanted = Rendering(width=options.width, height=options.height, window=window, media_type="image/png")
    try:
        if options.state is not None:
            return _by_state(frame, options.state, wanted)
        header = _header_of(frame)
        pixels = displayed_pixels(header, options)
        if pixels > MAX_FRAME_PIXELS:
            raise DataSetError(f"a picture of {pixels:,} pixels is over the limit", tag=0x00280030)
        decoded = frame.decoded(header)
        return _rendered(decoded.pixels, decoded.header, wanted)
    except MemoryError:
        raise DataSetError("showing it takes more memory than there is", tag=_PIXEL_DATA) from None
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        # A header that contradicts itself in a way nobody thought of: an error of this frame only.
        raise DataSetError(f"the frame does not fit its header: {error}", tag=_PIXEL_DATA) from error


def _by_state(frame: StoredFrame, path: Path, wanted: Rendering) -> Picture:
    """As a presentation state wants it. Raises DataSetError for one that is not for this frame."""
    import imagecodecs

    from gantry.pixels.presentation_state import BLENDING
    from gantry.pixels.presented import Coded, presented
    from gantry.pixels.render_presented import render_presented

    with _reading:
        state = kept_object(path).ds
        if state.text(_SOP_CLASS) == BLENDING:
            raise DataSetError("a blending state shows two images, this is one", tag=_SOP_CLASS)
        ds = kept_object(frame.path).ds
        plan = presented(Coded(ds, frame.syntax_uid), state, frame.number + 1)
    masks = [replace(frame, number=number - 1, spans=()) for number in plan.frames[1:]]
    return np.asarray(
        imagecodecs.png_decode(render_presented(plan, [one.data() for one in (frame, *masks)], wanted))
    )


def _rendered(pixels: Picture, header: ImageHeader, wanted: Rendering) -> Picture:
    from gantry.pixels.render import render, to_picture

    photometric = header.photometric_interpretation
    is_square = header.pixel_aspect[0] == header.pixel_aspect[1]
    if is_square and not wanted.width and not wanted.height and not header.icc_profile:
        return np.asarray(to_picture(pixels, photometric, header, wanted))
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(render(pixels, photometric, header, wanted)))


def _header_of(frame: StoredFrame) -> ImageHeader:
    """The header with all that display needs: windows, shutter and overlays may be others for each frame."""
    if not frame.is_header_plain:
        return frame.header
    with _reading:
        kept = kept_object(frame.path)
        return ImageHeader.from_dataset(kept.ds, frame.number + 1, kept.groups)


_reading = threading.Lock()
"""Functional groups are read as they are asked for, by one at a time."""


def with_one_window(frames: list[StoredFrame], options: Options) -> Options:
    """The options with a window for all of these frames, where neither they nor anybody names one.

    By themselves each would be shown with a window from its own pixels, and a movie of them would flicker.
    """
    from gantry.pixels.grayscale import modality_values, padding_mask
    from gantry.pixels.voi import default_window, thinned

    if options.window is not None or options.state is not None or len(frames) < 2:
        return options
    samples = []
    for frame in frames[:: -(-len(frames) // _SAMPLED_FRAMES)]:
        header = _header_of(frame)
        if _has_window(header):
            return options
        stored = thinned(frame.values())
        padding = padding_mask(stored, header)
        values = modality_values(stored, header)
        samples.append(values.ravel() if padding is None else values[~padding])
    window, _ = default_window(
        np.concatenate(samples).astype(np.float64),
        modality=header.modality,
        hounsfield=header.rescale_type == "HU" or header.rescale_intercept < 0,
        bits_stored=None,
    )
    return replace(options, window=(window.center, window.width))


_SAMPLED_FRAMES = 8


def _has_window(header: ImageHeader) -> bool:
    """Whether how a frame is shown does not depend on its own pixels."""
    return (
        any(window.is_usable for window in header.windows)
        or bool(header.voi_luts)
        or not header.photometric_interpretation.startswith("MONOCHROME")
        or header.samples_per_pixel != 1
        or header.bits_stored <= 8
    )


def displayed_pixels(header: ImageHeader, options: Options) -> int:
    """How many pixels `displayed` will have: those that are not square are enlarged, and so is what is
    smaller than was asked for.
    """
    tall, wide = header.pixel_aspect
    rows, columns = header.rows * max(1.0, tall / wide), header.columns * max(1.0, wide / tall)
    scale = 1.0
    if options.width or options.height:
        scale = min((options.width or math.inf) / columns, (options.height or math.inf) / rows)
    return math.ceil(rows * scale * columns * scale)
