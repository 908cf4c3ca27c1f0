"""Mask subtraction: what came into the vessels, without what was there before (PS3.3 C.7.6.10, C.11.13).

    subtraction = subtraction_of(state, frame)
    if subtraction is not None:
        masks = [decoded frame number n for n in subtraction.mask_frames]
        pixels, header = subtracted(pixels, masks, header, subtraction)

It follows the Modality LUT and comes before the VOI LUT (PS3.4 N.2.1.2), so the pixels that it gives are what
that takes. AVG_SUB and TID are done; REV_TID, Contrast Frame Averaging and shifts of regions are not. A mask
frame past the end of the image is for the caller to leave out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Pixels, stored_values
from gantry.pixels.grayscale import modality_range, modality_values
from gantry.pixels.image import ImageHeader
from gantry.pixels.voi import spanning

_SEQUENCE, _OPERATION, _RANGE, _MASKS, _SHIFT, _OFFSET, _MODE = (
    0x00286100, 0x00286101, 0x00286102, 0x00286110, 0x00286114, 0x00286120, 0x00281090,
)  # fmt: skip

MAX_MASK_FRAMES = 32
"""Frames whose mean is the mask: each is decoded; runs have a handful before the contrast comes."""

_FARTHEST_SHIFT = 1000.0


@dataclass(frozen=True, slots=True)
class Subtraction:
    """The frames, from 1, whose mean is the mask, and by how many rows and columns it is moved first."""

    mask_frames: tuple[int, ...]
    shift: tuple[float, float] = (0.0, 0.0)


def subtraction_of(state: DataSet, frame: int) -> Subtraction | None:
    """What is subtracted from a frame, from 1; None where a presentation state, or an image that recommends
    it, asks for nothing."""
    if (state.text(_MODE) or "SUB").upper() != "SUB":
        return None
    for item in state.items(_SEQUENCE):
        ranges = item.ints(_RANGE)
        pairs = list(zip(ranges[::2], ranges[1::2], strict=False))
        if pairs and not any(first <= frame <= last for first, last in pairs):
            continue
        masks = _mask_frames(item, frame)
        if masks:
            return Subtraction(masks, _shift(item))
    return None


def _mask_frames(item: DataSet, frame: int) -> tuple[int, ...]:
    operation = (item.text(_OPERATION) or "").upper()
    if operation == "AVG_SUB":
        return tuple(number for number in item.ints(_MASKS)[:MAX_MASK_FRAMES] if number >= 1)
    if operation == "TID":
        offset = next(iter(item.ints(_OFFSET)), 1)
        return (frame - offset,) if frame > offset and offset else ()
    return ()


def _shift(item: DataSet) -> tuple[float, float]:
    values = item.floats(_SHIFT)
    if len(values) != 2 or not all(map(math.isfinite, values)):
        return 0.0, 0.0
    down, right = (min(max(value, -_FARTHEST_SHIFT), _FARTHEST_SHIFT) for value in values)
    return down, right


def subtracted(
    pixels: Pixels, masks: Sequence[Pixels], header: ImageHeader, subtraction: Subtraction
) -> tuple[Pixels, ImageHeader]:
    """The difference in units of the Modality LUT, and the header that is true of it: no contrast is 0.

    Raises DataSetError for masks of another size, colour, or none at all.
    """
    if not masks or any(mask.shape != pixels.shape for mask in masks) or pixels.ndim != 2:
        raise DataSetError("the mask to subtract is not of the same kind as the image", tag=_SEQUENCE)
    mask = np.mean([modality_values(stored_values(one, header), header) for one in masks], axis=0)
    difference = modality_values(stored_values(pixels, header), header) - _moved(mask, subtraction.shift)
    low, high = modality_range(header)
    windows = header.windows or (spanning(low - high, high - low),)
    changed = replace(
        header,
        pixel_vr="OF",
        modality_lut=None,
        rescale_slope=1.0,
        rescale_intercept=0.0,
        windows=windows,
        pixel_padding_value=None,
    )
    return difference.astype(np.float32), changed


def _moved(mask: Pixels, shift: tuple[float, float]) -> Pixels:
    """Down and right, between pixels linearly; the edge is repeated."""
    for axis, distance in enumerate(shift):
        whole = math.floor(distance)
        part = np.float32(distance - whole)
        mask = _stepped(mask, whole, axis) * (1 - part) + _stepped(mask, whole + 1, axis) * part
    return mask


def _stepped(mask: Pixels, steps: int, axis: int) -> Pixels:
    places = np.clip(np.arange(mask.shape[axis]) - steps, 0, mask.shape[axis] - 1)
    return np.asarray(np.take(mask, places, axis=axis))
