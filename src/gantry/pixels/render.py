"""Stored values to a picture: the display pipeline in the order of PS3.4 N.2 and PS3.3 C.11.

Grayscale through Modality, VOI and Presentation LUT (`grayscale`), palettes (`palette`) and colour (`color`)
give display values for each stored pixel; overlays and shutter lie over them. Then the picture is cropped,
turned and scaled (`geometry`), drawn upon (`annotate`), brought into a colour space (`icc`) and coded
(`picture_format`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.annotate import burn_notes, draw_presentation
from gantry.pixels.codecs.codec import Pixels, stored_values
from gantry.pixels.color import color_picture
from gantry.pixels.geometry import place
from gantry.pixels.grayscale import gray_picture
from gantry.pixels.icc import converted
from gantry.pixels.image import ImageHeader, Rendering
from gantry.pixels.overlay import Overlay, burn_overlays, painted
from gantry.pixels.palette import through_palette
from gantry.pixels.picture_format import encode

__all__ = ["Picture", "Rendering", "render", "to_picture"]

Picture = NDArray[np.uint8]


def render(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> bytes:
    """Make an encoded picture of one decoded frame; raises DataSetError where there is no way to show it.

    `pixels` and `photometric` are what `decode_frame` and `decoded_photometric` gave.
    """
    pixels, header = _thinned(pixels, header, wanted)
    return finished(to_picture(pixels, photometric, header, wanted), header, wanted)


def finished(picture: Picture, header: ImageHeader, wanted: Rendering) -> bytes:
    """Make an encoded picture of display values, as `to_picture` and `blended` give them.

    Raises DataSetError for one that would be over the limits.
    """
    picture, placement = place(picture, header, wanted)
    profile = b""
    if picture.ndim == 2 and wanted.icc_profile not in ("", "no"):
        picture = np.repeat(picture[..., None], 3, axis=2)
    if picture.ndim == 3:
        picture, profile = converted(picture, header.icc_profile, wanted.icc_profile)
    if header.presentation is not None:
        picture = draw_presentation(picture, header.presentation, placement)
    picture = burn_notes(picture, wanted.notes)
    return encode(picture, wanted.media_type, wanted.quality, profile)


def _thinned(pixels: Pixels, header: ImageHeader, wanted: Rendering) -> tuple[Pixels, ImageHeader]:
    """For a draft of a quarter of the size or less: four pixels of the image for each of the output."""
    lies_over = header.overlays or header.shutter is not None or header.presentation is not None
    if not (wanted.is_draft and wanted.width and wanted.height) or lies_over or wanted.region is not None:
        return pixels, header
    rows, columns = pixels.shape[:2]
    step = min(rows // wanted.height, columns // wanted.width) // 2
    if step < 2:
        return pixels, header
    thin = pixels[::step, ::step]
    return thin, replace(header, rows=thin.shape[0], columns=thin.shape[1])


def to_picture(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> Picture:
    """Display values, 0 to 255, one for each stored pixel: (rows, columns) or (rows, columns, 3).

    Overlays and shutter are in it. Raises DataSetError.
    """
    picture = _display_values(pixels, photometric, header, wanted)
    picture = _shuttered(picture, pixels, header)
    # PS3.4 N.2.3.1: annotations follow the shutter, and are seen on it.
    return burn_overlays(picture, pixels, _shown_overlays(header))


def _display_values(pixels: Pixels, photometric: str, header: ImageHeader, wanted: Rendering) -> Picture:
    is_pseudo_color = header.presentation is not None and header.presentation.palette is not None
    if photometric == "PALETTE COLOR" and not is_pseudo_color:
        if header.palette is None or pixels.ndim != 2:
            raise DataSetError("a PALETTE COLOR image without its lookup tables", tag=0x00281201)
        return through_palette(pixels, header.palette)
    if pixels.ndim == 3:
        return color_picture(pixels, photometric, header)
    picture = gray_picture(pixels, photometric, header, wanted)
    if header.is_supplemental and header.palette is not None:
        return _supplemented(picture, pixels, header)
    if is_pseudo_color:
        return _pseudo_colored(picture, header)
    return picture


def _supplemented(picture: Picture, pixels: Pixels, header: ImageHeader) -> Picture:
    """Values from the palette's first on in its colours, the others gray (PS3.3 C.7.6.19)."""
    assert header.palette is not None
    stored = stored_values(pixels, header)
    colors = through_palette(stored, header.palette)
    is_colored = stored >= header.palette[0].first_mapped
    return np.where(is_colored[..., None], colors, picture[..., None])


def _pseudo_colored(picture: Picture, header: ImageHeader) -> Picture:
    """Gray spread over the entries of a presentation state's palette (PS3.4 N.2.6)."""
    assert header.presentation is not None
    assert header.presentation.palette is not None
    palette = header.presentation.palette
    last = len(palette[0].entries()) - 1
    codes = np.arange(256) * last // 255 + palette[0].first_mapped
    return np.asarray(through_palette(codes, palette)[picture])


def _shown_overlays(header: ImageHeader) -> tuple[Overlay, ...]:
    """All but the one that is the shutter's bitmap."""
    shutter = None if header.shutter is None else header.shutter.overlay_group
    return tuple(overlay for overlay in header.overlays if overlay.group != shutter)


def _shuttered(picture: Picture, pixels: Pixels, header: ImageHeader) -> Picture:
    shutter = header.shutter
    if shutter is None:
        return picture
    covered = shutter.covered(picture.shape[0], picture.shape[1], header.pixel_aspect)
    for overlay in header.overlays:
        if overlay.group == shutter.overlay_group and overlay.bits:
            covered |= overlay.mask(pixels)
    return painted(picture, covered, shutter.color)
