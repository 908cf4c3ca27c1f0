"""The Grayscale Standard Display Function: P-Values to luminance, for calibrated output (PS3.14).

Equal steps of P-Values are equally many just-noticeable differences (JNDs) on any display. A display that is
no standard one needs a table from P-Values to its own driving levels: `calibration`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gantry.errors import CallerError

MIN_LUMINANCE, MAX_LUMINANCE = 0.05, 3993.404
"""Luminance in cd/m2 at JND index 1 and 1023: the ends of the function (PS3.14 Table B-1)."""

Numbers = NDArray[np.float64]

# PS3.14 equation 7-1: a rational polynomial in ln j, numerator a, c, e, g, m, denominator 1, b, d, f, h, k.
_NUMERATOR = (-1.3011877, 8.0242636e-2, 1.3646699e-1, -2.5468404e-2, 1.3635334e-3)
_DENOMINATOR = (1.0, -2.5840191e-2, -1.0320229e-1, 2.8745620e-2, -3.1978977e-3, 1.2992634e-4)
# Equation 7-2: a polynomial in log10 L.
_INVERSE = (
    71.498068, 94.593053, 41.912053, 9.8247004, 0.28175407, -1.1878455, -0.18014349, 0.14710899, -0.017046845,
)  # fmt: skip


def luminance(jnd_index: ArrayLike) -> Numbers:
    """Luminance in cd/m2 of JND indices from 1 to 1023."""
    log = np.log(np.asarray(jnd_index, np.float64))
    powers = [log**n for n in range(6)]
    above = sum(a * power for a, power in zip(_NUMERATOR, powers, strict=False))
    below = sum(b * power for b, power in zip(_DENOMINATOR, powers, strict=True))
    return np.asarray(10 ** (above / below), np.float64)


def jnd_index(luminances: ArrayLike) -> Numbers:
    """JND index of luminances in cd/m2, from 0.05 to 3993."""
    log = np.log10(np.asarray(luminances, np.float64))
    return np.asarray(sum(a * log**n for n, a in enumerate(_INVERSE)), np.float64)


def standard_luminance(p_values: ArrayLike, bits: int, darkest: float, brightest: float) -> Numbers:
    """Luminance that P-Values of so many bits have on a standard display of that range, in cd/m2.

    Raises CallerError for a range that the function does not cover.
    """
    if not MIN_LUMINANCE <= darkest < brightest <= MAX_LUMINANCE:
        raise CallerError(
            f"luminance is from {MIN_LUMINANCE} to {MAX_LUMINANCE}, not {darkest:g} to {brightest:g}"
        )
    low, high = jnd_index([darkest, brightest])
    share = np.asarray(p_values, np.float64) / ((1 << bits) - 1)
    return luminance(low + share * (high - low))


def calibration(measured: ArrayLike, bits: int = 8, ambient: float = 0.0) -> NDArray[np.uint16]:
    """The driving level for each P-Value of so many bits, shape (2\\*\\*bits,).

    `measured` is the luminance of a display in cd/m2 at each of its driving levels, rising; `ambient` is
    the light that its surface reflects, which is added. Raises CallerError for luminances that do not rise.
    """
    levels = np.asarray(measured, np.float64) + ambient
    if levels.ndim != 1 or len(levels) < 2 or not (np.diff(levels) >= 0).all() or levels[0] == levels[-1]:
        raise CallerError("the luminances of a display rise with its driving levels")
    if not 1 <= bits <= 16:
        raise CallerError("P-Values have 1 to 16 bits")
    wanted = standard_luminance(np.arange(1 << bits), bits, float(levels[0]), float(levels[-1]))
    above = np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1)
    nearer_below = wanted - levels[above - 1] <= levels[above] - wanted
    return np.asarray(above - nearer_below, np.uint16)
