"""What a person would see of a frame, as an array: the one place where conversions use `pixels.render`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.image import MAX_FRAME_PIXELS, ImageHeader, Rendering, Window
from gantry.toolkit.convert_options import Options
from gantry.toolkit.images import StoredFrame

Picture = NDArray[Any]

_PIXEL_DATA = 0x7FE00010


def displayed(frame: StoredFrame, options: Options) -> Picture:
    """(rows, columns) or (rows, columns, 3), 8 bits. Raises DataSetError where there is no way to show it."""
    decoded = frame.decoded()
    header = decoded.header
    window = Window(*options.window) if options.window else None
    wanted = Rendering(width=options.width, height=options.height, window=window, media_type="image/png")
    pixels = displayed_pixels(header, options)
    if pixels > MAX_FRAME_PIXELS:
        raise DataSetError(f"a picture of {pixels:,} pixels is over the limit", tag=0x00280030)
    try:
        return _rendered(decoded.pixels, header, wanted)
    except MemoryError:
        raise DataSetError("showing it takes more memory than there is", tag=_PIXEL_DATA) from None
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        # A header that contradicts itself in a way nobody thought of: an error of this frame only.
        raise DataSetError(f"the frame does not fit its header: {error}", tag=_PIXEL_DATA) from error


def _rendered(pixels: Picture, header: ImageHeader, wanted: Rendering) -> Picture:
    from gantry.pixels.render import render, to_picture

    photometric = header.photometric_interpretation
    if not wanted.width and not wanted.height and header.pixel_aspect[0] == header.pixel_aspect[1]:
        return np.asarray(to_picture(pixels, photometric, header, wanted))
    import imagecodecs

    return np.asarray(imagecodecs.png_decode(render(pixels, photometric, header, wanted)))


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
