"""Stored values to a picture: Modality LUT, window, palette or colour, size, JPEG or PNG (PS3.3 C.11).

The first cut of the display pipeline, enough for thumbnails and renditions: rescale, the header's
first window or one that is asked for, MONOCHROME1, palettes, YBR. Presentation states, overlays and
shutters belong to the display pipeline that follows.
"""

from __future__ import annotations

import io
import math

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantry.errors import DataSetError
from gantry.pixels.decode import Pixels
from gantry.pixels.image import ImageHeader, PaletteChannel, Rendering, Window

Picture = NDArray[np.uint8]


def render(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> bytes:
    """Make an encoded picture of one decoded frame; raises DataSetError where there is no way to show it."""
    picture = to_picture(pixels, photometric, header, wanted)
    picture = _resized(picture, header.pixel_aspect, wanted)
    return _encoded(picture, wanted)


def to_picture(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> Picture:
    """Display values, 0 to 255, of shape (rows, columns) or (rows, columns, 3)."""
    if photometric == "PALETTE COLOR":
        return _palette_picture(pixels, header)
    if pixels.ndim == 3:
        return _color_picture(pixels, photometric, header)
    return _gray_picture(pixels, photometric, header, wanted)


def _gray_picture(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> Picture:
    inverted = (photometric == "MONOCHROME1") != (header.presentation_lut_shape == "INVERSE")
    window = wanted.window or _usable(header.windows)
    function = wanted.voi_function or header.voi_lut_function
    stored = _masked(pixels, header)
    if window is None:
        window, function = _window_of_pixels(stored, header), "LINEAR_EXACT"
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        table = _lookup_table(stored.dtype, header, window, function, inverted)
        return np.asarray(table[stored.view(np.dtype(f"u{stored.dtype.itemsize}"))])
    values = stored.astype(np.float64) * header.rescale_slope + header.rescale_intercept
    return _windowed(values, window, function, inverted)


def _masked(pixels: Pixels, header: ImageHeader) -> Pixels:
    """Drop bits outside of Bits Stored (old overlays live there) and spread the sign."""
    if pixels.dtype.kind not in "iu":
        return pixels
    width = pixels.dtype.itemsize * 8
    stored = min(header.bits_stored, width)
    if stored == width:
        return pixels
    left = width - stored
    kind = "i" if header.signed else "u"
    right_aligned = pixels
    if stored - 1 < header.high_bit < width:
        right_aligned = pixels >> (header.high_bit + 1 - stored)
    aligned = (right_aligned.view(np.dtype(f"u{pixels.dtype.itemsize}")) << left).view(
        np.dtype(f"{kind}{pixels.dtype.itemsize}")
    )
    return np.asarray(aligned >> left)


def _lookup_table(
    dtype: np.dtype[np.generic], header: ImageHeader, window: Window, function: str, inverted: bool
) -> Picture:
    """All 256 or 65,536 stored values through the pipeline once: faster than each pixel through it."""
    codes = np.arange(1 << (dtype.itemsize * 8), dtype=np.dtype(f"u{dtype.itemsize}"))
    values = codes.view(dtype).astype(np.float32) * header.rescale_slope + header.rescale_intercept
    return _windowed(values, window, function, inverted)


def _windowed(values: NDArray[np.floating], window: Window, function: str, inverted: bool) -> Picture:
    """The VOI functions of PS3.3 C.11.2.1.2 and .3, output 0 to 255."""
    width = max(window.width, 1e-6)
    if function == "SIGMOID":
        share = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - window.center) / width, -80, 80)))
    elif function == "LINEAR_EXACT":
        share = (values - window.center) / width + 0.5
    elif width <= 1:
        share = (values > window.center - 0.5).astype(np.float32)  # a threshold (C.11.2.1.2.1)
    else:
        share = (values - (window.center - 0.5)) / (width - 1) + 0.5
    share = np.nan_to_num(np.clip(share, 0.0, 1.0), nan=0.0)
    if inverted:
        share = 1.0 - share
    return np.asarray(share * 255.0 + 0.5).astype(np.uint8)


def _usable(windows: tuple[Window, ...]) -> Window | None:
    for window in windows:
        if math.isfinite(window.center) and math.isfinite(window.width) and window.width > 0:
            return window
    return None


def _window_of_pixels(stored: Pixels, header: ImageHeader) -> Window:
    """Where a header gives no window: from the 0.5th to the 99.5th percentile, padding left out."""
    sample = stored[:: max(1, stored.shape[0] // 256), :: max(1, stored.shape[1] // 256)]
    values = sample.astype(np.float64)
    if header.pixel_padding_value is not None:
        kept = values[sample != header.pixel_padding_value]
        values = kept if kept.size else values
    values = values[np.isfinite(values)]
    if not values.size:
        return Window(0.0, 1.0)
    values = values * header.rescale_slope + header.rescale_intercept
    low, high = np.percentile(values, [0.5, 99.5])
    if low == high:
        low, high = float(values.min()), float(values.max())
    return Window(float(low + high) / 2, max(float(high - low), 1.0))


def _palette_picture(pixels: Pixels, header: ImageHeader) -> Picture:
    if header.palette is None or pixels.ndim != 2:
        raise DataSetError("a PALETTE COLOR image without its lookup tables", tag=0x00281201)
    channels = [_through_palette(pixels, channel) for channel in header.palette]
    return np.stack(channels, axis=-1)


def _through_palette(pixels: Pixels, channel: PaletteChannel) -> Picture:
    if channel.bits > 8 or len(channel.data) >= 2 * 256:
        usable = len(channel.data) // 2 * 2
        table = (np.frombuffer(channel.data[:usable], "<u2") >> 8).astype(np.uint8)
        if channel.bits <= 8:
            table = np.frombuffer(channel.data[:usable], "<u2").astype(np.uint8)
    else:
        table = np.frombuffer(channel.data, np.uint8)
    # Values past either end take the end's colour (PS3.3 C.7.6.3.1.5), so no index can leave the table.
    index = np.clip(pixels.astype(np.int64) - channel.first_mapped, 0, len(table) - 1)
    return table[index]


def _color_picture(pixels: Pixels, photometric: str, header: ImageHeader) -> Picture:
    rgb = pixels[..., :3]
    if rgb.dtype.itemsize > 1:
        rgb = rgb >> max(0, header.bits_stored - 8)
    rgb = rgb.astype(np.uint8)
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        return _ybr_to_rgb(rgb)
    return rgb


def _ybr_to_rgb(ybr: Picture) -> Picture:
    """PS3.3 C.7.6.3.1.2, full range."""
    y, cb, cr = (ybr[..., n].astype(np.float32) for n in range(3))
    red = y + 1.402 * (cr - 128)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    blue = y + 1.772 * (cb - 128)
    return np.asarray(np.clip(np.stack([red, green, blue], axis=-1) + 0.5, 0, 255)).astype(np.uint8)


def _resized(picture: Picture, aspect: tuple[float, float], wanted: Rendering) -> Picture:
    """Fit into the viewport, true to the pixel's aspect, never larger than asked."""
    rows, columns = picture.shape[:2]
    tall, wide = aspect
    true_rows, true_columns = (
        (rows * tall / wide, float(columns)) if tall > wide else (float(rows), columns * wide / tall)
    )
    scale = 1.0
    if wanted.width or wanted.height:
        scale = min(
            (wanted.width or math.inf) / true_columns,
            (wanted.height or math.inf) / true_rows,
        )
    size = max(1, round(true_columns * scale)), max(1, round(true_rows * scale))
    if size == (columns, rows):
        return picture
    shrinking = size[0] < columns
    method = Image.Resampling.BOX if shrinking else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize(size, method, reducing_gap=2.0 if shrinking else None))


def _encoded(picture: Picture, wanted: Rendering) -> bytes:
    picture = np.ascontiguousarray(picture)
    if wanted.media_type == "image/jpeg":
        return bytes(imagecodecs.jpeg8_encode(picture, level=wanted.quality))
    if wanted.media_type == "image/png":
        return bytes(imagecodecs.png_encode(picture, level=3))
    if wanted.media_type == "image/gif":
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "GIF")
        return out.getvalue()
    raise DataSetError(f"there is no encoder for {wanted.media_type}")
