"""The grayscale pipeline: stored values through Modality, VOI and Presentation LUT to gray (PS3.4 N.2).

Every step is a function of one value, so integers of up to 16 bits go through it once each, as a table.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.pixels.codecs.codec import stored_values
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.lut import LookupTable
from gantry.pixels.voi import Window, default_window, function_for, spanning, thinned, windowed

Picture = NDArray[np.uint8]

_PIXELS_AT_ONCE = 32_768
_TABLES = 64
"""Tables kept, 64 KiB each."""


def gray_picture(pixels: NDArray[Any], photometric: str, header: ImageHeader, wanted: Rendering) -> Picture:
    """Gray, 0 to 255, of shape (rows, columns); padding is black."""
    voi = _voi(pixels, header, wanted)
    inverted = header.presentation_lut_shape == "INVERSE"
    if photometric == "MONOCHROME1" and header.presentation is None:
        # A presentation state says all about polarity, and an image's own INVERSE says the same again.
        inverted = True
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize <= 2:
        # Without what is large and has no part in it.
        plain = replace(header, overlays=(), icc_profile=b"", palette=None, shutter=None, presentation=None)
        table = _table(plain, voi, inverted, pixels.dtype.str)
        return _looked_up(table, pixels.view(f"u{pixels.dtype.itemsize}"))
    return _shown(stored_values(pixels, header), header, voi, inverted)


def _looked_up(table: Picture, codes: NDArray[Any]) -> Picture:
    """Some rows at a time: NumPy widens the codes to 8 bytes each, which then stay in its cache."""
    out = np.empty(codes.shape, np.uint8)
    step = max(1, _PIXELS_AT_ONCE // max(1, codes.shape[1]))
    for row in range(0, codes.shape[0], step):
        # Every code is in the table: to clip is only quicker than to look whether one is not.
        np.take(table, codes[row : row + step], out=out[row : row + step], mode="clip")
    return out


@lru_cache(maxsize=_TABLES)
def _table(header: ImageHeader, voi: Voi, inverted: bool, dtype: str) -> Picture:
    """What each code that pixels of this type can hold is shown as; frames of a series share one."""
    codes = np.arange(1 << (np.dtype(dtype).itemsize * 8), dtype=f"u{np.dtype(dtype).itemsize}")
    table = _shown(stored_values(codes.view(dtype), header), header, voi, inverted)
    table.flags.writeable = False
    return table


def modality_values(stored: NDArray[Any], header: ImageHeader) -> NDArray[np.floating]:
    """Stored values through Modality LUT or rescale, in the unit that these name (PS3.3 C.11.1)."""
    if header.modality_lut is not None and stored.dtype.kind in "iu":
        return header.modality_lut.look_up(stored).astype(np.float32)
    values: NDArray[Any] = stored.astype(np.float32 if stored.dtype.itemsize <= 2 else np.float64)
    return np.asarray(values * header.rescale_slope + header.rescale_intercept)


def padding_mask(stored: NDArray[Any], header: ImageHeader) -> NDArray[np.bool_] | None:
    """Which values are padding (PS3.3 C.7.5.1.1.2); None where none can be."""
    if header.pixel_padding_value is None:
        return None
    first = header.pixel_padding_value
    last = first if header.padding_limit is None else header.padding_limit
    low, high = min(first, last), max(first, last)
    return np.asarray(stored == low if low == high else (stored >= low) & (stored <= high))


Voi = LookupTable | tuple[Window, str]


def _voi(pixels: NDArray[Any], header: ImageHeader, wanted: Rendering) -> Voi:
    """The VOI asked for, else the header's first, table before window, else the default."""
    function = wanted.voi_function or header.voi_lut_function
    whole = _is_whole(pixels, header)
    if wanted.window is not None:
        return wanted.window, function_for(wanted.window, function, whole=whole)
    windows = (one for one in header.windows if one.is_usable)
    choices: list[Voi] = [
        *header.voi_luts,
        *((one, function_for(one, function, whole=whole)) for one in windows),
    ]
    chosen = _chosen(choices, wanted)
    if chosen is not None:
        return chosen
    if header.presentation is not None:
        return spanning(*modality_range(header)), "LINEAR"  # PS3.4 N.2.2: without VOI, identity
    sample = stored_values(thinned(pixels), header)
    padding = padding_mask(sample, header)
    values = modality_values(sample, header)
    if padding is not None and not padding.all():
        values = values[~padding]
    plain = header.modality_lut is None and (header.rescale_slope, header.rescale_intercept) == (1.0, 0.0)
    plain = plain and not header.signed and sample.dtype.kind in "iu"
    return default_window(
        values.astype(np.float64),
        modality=header.modality,
        hounsfield=header.rescale_type == "HU" or header.rescale_intercept < 0,
        bits_stored=header.bits_stored if plain and header.modality != "SEG" else None,
    )


def _is_whole(pixels: NDArray[Any], header: ImageHeader) -> bool:
    """Whether the output of the Modality LUT is whole numbers."""
    if pixels.dtype.kind == "f":
        return False
    rescale = (header.rescale_slope, header.rescale_intercept)
    return header.modality_lut is not None or all(value.is_integer() for value in rescale)


def _chosen(choices: list[Voi], wanted: Rendering) -> Voi | None:
    """By name, then by number from 1; the first where there is none such."""
    if wanted.voi_name:
        for one in choices:
            name = one.explanation if isinstance(one, LookupTable) else one[0].explanation
            if name.casefold() == wanted.voi_name.casefold():
                return one
    if 0 < wanted.voi_number <= len(choices):
        return choices[wanted.voi_number - 1]
    return choices[0] if choices else None


def modality_range(header: ImageHeader) -> tuple[float, float]:
    """The smallest and the largest value that the Modality LUT can give."""
    if header.modality_lut is not None:
        return 0.0, float(header.modality_lut.top)
    low = -(1 << (header.bits_stored - 1)) if header.signed else 0
    high = low + (1 << header.bits_stored) - 1
    ends = [value * header.rescale_slope + header.rescale_intercept for value in (low, high)]
    return min(ends), max(ends)


def _shown(stored: NDArray[Any], header: ImageHeader, voi: Voi, inverted: bool) -> Picture:
    values = modality_values(stored, header)
    if isinstance(voi, LookupTable):
        share: NDArray[np.floating] = np.minimum(voi.look_up(values) / np.float32(voi.top), 1.0)
    else:
        share = windowed(values, *voi)
    table = header.presentation_lut
    if table is not None:
        # PS3.3 C.11.4.1: what the VOI gives is spread over the entries.
        places = share * (table.count - 1) + table.first_mapped
        share = np.minimum(table.look_up(np.floor(places + 0.5)) / np.float32(table.top), 1.0)
    elif inverted:
        share = 1.0 - share
    shown = np.asarray(share * 255.0 + 0.5).astype(np.uint8)
    padding = padding_mask(stored, header)
    if padding is not None:
        shown[padding] = 0
    return shown
