"""Colour frames to RGB of 8 bits (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader

Picture = NDArray[np.uint8]


def color_picture(pixels: NDArray[Any], photometric: str, header: ImageHeader) -> Picture:
    """RGB of shape (rows, columns, 3). `pixels` has three samples, or four of which the last is dropped.

    A photometric interpretation that nobody knows is shown as RGB; retired ones that are known raise
    DataSetError.
    """
    if photometric in ("CMYK", "HSV", "ARGB"):
        raise DataSetError(f"{photometric} is retired and cannot be shown", tag=0x00280004)
    if photometric == "YBR_RCT":
        return _eight_bits(_from_rct(pixels[..., :3].astype(np.int32)), header)
    samples = _eight_bits(pixels[..., :3], header)
    if photometric in ("YBR_FULL", "YBR_FULL_422", "YBR_ICT"):
        return ybr_full_to_rgb(samples)
    if photometric in ("YBR_PARTIAL_422", "YBR_PARTIAL_420"):
        return ybr_partial_to_rgb(samples)
    return samples


def _eight_bits(samples: NDArray[Any], header: ImageHeader) -> Picture:
    extra = max(0, header.bits_stored - 8)
    if samples.dtype.itemsize > 1:
        samples = np.clip(samples >> extra, 0, 255)
    return np.asarray(samples, np.uint8)


def ybr_full_to_rgb(ybr: Picture) -> Picture:
    """All three from 0 to 255, chroma around 128; YBR_ICT is the same matrix."""
    red, green, blue = _chroma_tables()
    y = ybr[..., 0].astype(np.int16)
    cb, cr = ybr[..., 1], ybr[..., 2]
    out = np.empty(ybr.shape, np.uint8)
    out[..., 0] = np.clip(y + red[cr], 0, 255)
    out[..., 1] = np.clip(y + green[cb.astype(np.uint16) << 8 | cr], 0, 255)
    out[..., 2] = np.clip(y + blue[cb], 0, 255)
    return out


@cache
def _chroma_tables() -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """What chroma adds to luma, which is whole: rounding the table is rounding the sum. Green is of both."""
    chroma = np.arange(256) - 128.0
    both = -0.344136 * chroma[:, None] - 0.714136 * chroma[None, :]
    red, green, blue = (
        np.floor(part + 0.5).astype(np.int16) for part in (1.402 * chroma, both, 1.772 * chroma)
    )
    return red, green.ravel(), blue


def ybr_partial_to_rgb(ybr: Picture) -> Picture:
    """Luma from 16 to 235, chroma from 16 to 240, as CCIR 601 has it."""
    y, cb, cr = (ybr[..., n].astype(np.float32) for n in range(3))
    y = (y - 16) * (255 / 219)
    cb, cr = (cb - 128) * (255 / 224), (cr - 128) * (255 / 224)
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.asarray(np.clip(rgb + 0.5, 0, 255), np.uint8)


def _from_rct(ybr: NDArray[np.int32]) -> NDArray[np.int32]:
    """The reversible transform of JPEG 2000 undone; chroma is signed."""
    y, cb, cr = (ybr[..., n] for n in range(3))
    green = y - ((cb + cr) >> 2)
    return np.stack([cr + green, green, cb + green], axis=-1)
