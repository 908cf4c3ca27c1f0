"""The stored values of frames as numbers: mosaics cut, rescaled, types named."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import dtype_of
from gantry.pixels.image import ImageHeader
from gantry.volume.frames import Frame
from gantry.volume.stack import Stack

Values = NDArray[np.generic]


def narrow_type(header: ImageHeader) -> np.dtype[np.generic]:
    """The type of stored values in little endian, but signed where all 16-bit values fit: programs that know
    no unsigned are many.
    """
    dtype: np.dtype[np.generic] = dtype_of(header)
    if dtype == np.dtype("<u2") and header.bits_stored < 16:
        return np.dtype("<i2")
    return dtype


def tile_of(pixels: Values, frame: Frame) -> Values:
    """The part of a stored frame that is this slice."""
    if frame.tile is None:
        return pixels
    row, column = frame.tile
    rows, columns = frame.kind.size
    return pixels[row : row + rows, column : column + columns]


def one_scale(frames: Iterable[Frame]) -> tuple[float, float] | None:
    """Slope and intercept where all frames have the same; None where they differ."""
    found = {(frame.slope, frame.intercept) for frame in frames}
    return found.pop() if len(found) == 1 else None


def all_frames(stack: Stack) -> list[Frame]:
    """The frames of a stack, time by time, slices ascending."""
    return [frame for time in stack.frames for frame in time]


def rescaled_type(header: ImageHeader, frames: Iterable[Frame]) -> np.dtype[np.generic]:
    """The least type that holds every rescaled value exactly: integers where slope and intercept are whole,
    else floating point with more digits than stored values have.
    """
    if header.is_float:
        return np.dtype("<f4") if header.bits_allocated == 32 else np.dtype("<f8")
    if header.bits_allocated > 32:
        return np.dtype("<f8")
    bits = header.bits_stored
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if header.signed else (0, (1 << bits) - 1)
    scales = {(frame.slope, frame.intercept) for frame in frames}
    ends = [end * slope + intercept for slope, intercept in scales for end in (low, high)]
    if all(slope == int(slope) and intercept == int(intercept) for slope, intercept in scales):
        for name in ("<i2", "<u2", "<i4"):
            limits = np.iinfo(np.dtype(name))
            if limits.min <= min(ends) and max(ends) <= limits.max:
                return np.dtype(name)
        return np.dtype("<f8")
    is_narrow = bits <= 16 and max(map(abs, ends)) < float(np.finfo(np.float32).max)
    return np.dtype("<f4") if is_narrow else np.dtype("<f8")


def rescaled(values: Values, frame: Frame, dtype: np.dtype[np.generic]) -> Values:
    """Values in the units of the Modality LUT (PS3.3 C.11.1.1.2), in `dtype`."""
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return values.astype(dtype, copy=False)
    with np.errstate(over="ignore"):  # stored values that are floating point may leave their own range
        result = values.astype(np.float64) * frame.slope + frame.intercept
        return result.astype(dtype)


def check_volume_size(stack: Stack, bytes_per_voxel: int, limit: int) -> int:
    """The bytes of all voxels. Raises DataSetError where they are more than `limit`."""
    columns, rows, slices, times = stack.shape
    size = columns * rows * slices * times * bytes_per_voxel
    if size > limit:
        raise DataSetError(
            f"a volume of {columns}x{rows}x{slices}x{times} is {size:,} bytes, more than the {limit:,} that "
            "are converted"
        )
    return size
