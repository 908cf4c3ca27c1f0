"""VOI LUT functions, and the window of an image that has none (PS3.3 C.11.2).

Default windows, by what the image is, from the pixels that are not padding:

- 8 bits stored or fewer, no rescale: all values that the bits can have, so that a picture stays as it is;
- CT in Hounsfield units: centre 40, width 400, soft tissue;
- PET, nuclear medicine, dose, maps of numbers: from zero (or the smallest, where there are negative ones) to
  the 99.9th percentile, since the largest value is often one hot pixel;
- binary and fractional segmentations: from the smallest to the largest;
- all others: from the 0.5th to the 99.5th percentile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LINEAR, LINEAR_EXACT, SIGMOID = "LINEAR", "LINEAR_EXACT", "SIGMOID"

_FROM_ZERO = frozenset({"PT", "NM", "RTDOSE", "RWV", "PM"})
_SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Window:
    """One window of the VOI LUT module (PS3.3 C.11.2), in output units of the Modality LUT."""

    center: float
    width: float
    explanation: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether both are numbers and the width is more than nothing."""
        return math.isfinite(self.center) and math.isfinite(self.width) and self.width > 0


def function_for(window: Window, function: str, *, whole: bool) -> str:
    """LINEAR_EXACT where LINEAR was said of values that are no whole numbers, with a window of one or less.

    By the letter (PS3.3 C.11.2.1.2.1) LINEAR is then a threshold, or not allowed; writers of maps of
    fractions mean a ramp.
    """
    return LINEAR_EXACT if function == LINEAR and window.width <= 1 and not whole else function


def windowed(values: NDArray[Any], window: Window, function: str) -> NDArray[np.floating]:
    """Values through a window, from 0 (black) to 1; NaN is 0 (PS3.3 C.11.2.1.2.1 and C.11.2.1.3)."""
    center, width = window.center, window.width
    if function == SIGMOID:
        share = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -80, 80)))
    elif function == LINEAR_EXACT:
        share = (values - center) / width + 0.5
    elif width <= 1:
        share = (values > center - 0.5).astype(np.float32)
    else:
        share = (values - (center - 0.5)) / (width - 1) + 0.5
    return np.nan_to_num(np.clip(share, 0.0, 1.0), nan=0.0)


def spanning(low: float, high: float) -> Window:
    """The LINEAR window that shows `low` black, `high` white, and all between in even steps."""
    return Window((low + high + 1) / 2, high - low + 1)


def default_window(
    values: NDArray[Any], *, modality: str, hounsfield: bool, bits_stored: int | None
) -> tuple[Window, str]:
    """Window and function for `values`, output of the Modality LUT without padding; see the module.

    `bits_stored` is None where the values are not as stored.
    """
    if bits_stored is not None and bits_stored <= 8:
        return spanning(0, (1 << bits_stored) - 1), LINEAR
    if modality == "CT" and hounsfield:
        return Window(40, 400), LINEAR
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Window(0.5, 1.0), LINEAR_EXACT
    if modality == "SEG":
        low, high = float(finite.min()), float(finite.max())
    elif modality in _FROM_ZERO:
        low, high = min(0.0, float(finite.min())), float(np.percentile(finite, 99.9))
    else:
        low, high = (float(edge) for edge in np.percentile(finite, [0.5, 99.5]))
    if low >= high:
        low, high = float(finite.min()), float(finite.max())
    if low == high:
        # Nothing to tell apart: black, and what is above it white.
        return Window(low + 0.5, 1.0), LINEAR_EXACT
    return Window((low + high) / 2, high - low), LINEAR_EXACT


def thinned(values: NDArray[Any]) -> NDArray[Any]:
    """Rows and columns enough to judge a frame by: percentiles of 100 Mpixel take seconds."""
    rows, columns = values.shape[:2]
    return values[:: max(1, rows // _SAMPLES), :: max(1, columns // _SAMPLES)]
