"""How long each frame of a moving picture stands (PS3.3 C.7.6.5 Cine, C.7.6.6 Multi-frame)."""

from __future__ import annotations

import math

from gantry.dataset.scan import DataSet

DEFAULT_FRAME_MS = 100.0
"""Of what says nothing: a stack of slices is looked at, at ten a second."""

_SHORTEST_MS, _LONGEST_MS = 1.0, 10_000.0
"""What a header says beyond these is no time that anybody wants to wait."""

_FRAME_INCREMENT_POINTER = 0x00280009
_FRAME_TIME = 0x00181063
_FRAME_TIME_VECTOR = 0x00181065
_RATES = (0x00082144, 0x00180040)
"""Recommended Display Frame Rate and Cine Rate, frames a second."""


def frame_durations_ms(ds: DataSet, frames: int) -> tuple[float, ...]:
    """Milliseconds for each of `frames` frames: by Frame Time Vector where that is what frames go by, else
    Frame Time, else one of the two rates, else `DEFAULT_FRAME_MS`.
    """
    vector = ds.floats(_FRAME_TIME_VECTOR)
    goes_by_vector = _FRAME_TIME_VECTOR in ds.ints(_FRAME_INCREMENT_POINTER) or _FRAME_TIME not in ds
    if goes_by_vector and len(vector) == frames > 1:
        # Each increment is the time since the frame before; the last frame stands as long as the one before.
        increments = [*vector[1:], vector[-1]]
        return tuple(_bounded(value) for value in increments)
    for value in ds.floats(_FRAME_TIME)[:1]:
        if value > 0:
            return (_bounded(value),) * frames
    for tag in _RATES:
        for value in ds.floats(tag)[:1]:
            if value > 0:
                return (_bounded(1000 / value),) * frames
    return (DEFAULT_FRAME_MS,) * frames


def _bounded(value: float) -> float:
    return min(max(value, _SHORTEST_MS), _LONGEST_MS) if math.isfinite(value) else DEFAULT_FRAME_MS
