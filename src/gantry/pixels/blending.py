"""Two pictures of a blending presentation state laid on each other (PS3.3 C.11.14, PS3.4 N.2.4).

    underlying, superimposed = blending_sets(state)
    below = to_picture(pixels, photometric, applied(header, image, state, frame), wanted)      # of the first
    above = to_picture(...)                                                    # of the second, in its colours
    picture = blended(below, above, relative_opacity(state))
    finished(picture, header of the first, as applied, wanted)

Which image of the second set belongs to one of the first is not said by the state: `plane.nearest` finds that
in the same slice, `plane.resampled` brings it there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Pixels, stored_values
from gantry.pixels.grayscale import padding_mask
from gantry.pixels.image import ImageHeader
from gantry.pixels.references import ReferencedImage, referenced_images

Picture = NDArray[np.uint8]

_BLENDING, _POSITION, _OPACITY = 0x00700402, 0x00700405, 0x00700403


def blending_sets(state: DataSet) -> tuple[tuple[ReferencedImage, ...], tuple[ReferencedImage, ...]]:
    """The images below and those above. Raises DataSetError where the state does not have both."""
    sets = {(item.text(_POSITION) or "").upper(): referenced_images(item) for item in state.items(_BLENDING)}
    below, above = sets.get("UNDERLYING", ()), sets.get("SUPERIMPOSED", ())
    if not below or not above:
        raise DataSetError("a blending state that does not have two sets of images", tag=_BLENDING)
    return below, above


def relative_opacity(state: DataSet) -> float:
    """From 0, where the superimposed image is not seen, to 1. Raises DataSetError where it is missing."""
    values = state.floats(_OPACITY)
    if len(values) != 1 or not math.isfinite(values[0]):
        raise DataSetError("a blending state without Relative Opacity", tag=_OPACITY)
    return min(max(values[0], 0.0), 1.0)


def blended(
    below: Picture, above: Picture, opacity: float, covers: NDArray[np.bool_] | None = None
) -> Picture:
    """RGB of shape (rows, columns, 3). `below` and `above` are gray or RGB of the same rows and columns.

    `covers` says where there is anything above: elsewhere what is below is seen alone. Raises DataSetError
    for pictures of different sizes.
    """
    if below.shape[:2] != above.shape[:2]:
        raise DataSetError(
            "the images to blend have different sizes, and say not where they lie", tag=_BLENDING
        )
    share = np.float32(opacity)
    mixed = _rgb(above) * share + _rgb(below) * (1 - share) + np.float32(0.5)
    out = mixed.astype(np.uint8)
    return out if covers is None else np.where(covers[..., None], out, _rgb(below))


def is_image(pixels: Pixels, header: ImageHeader) -> NDArray[np.bool_]:
    """Which pixels are no padding: padding above lets what is below be seen."""
    padding = padding_mask(stored_values(pixels, header), header) if pixels.ndim == 2 else None
    return np.ones(pixels.shape[:2], np.bool_) if padding is None else ~padding


def _rgb(picture: Picture) -> Picture:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
