"""Softcopy presentation states, applied to the images that they refer to (PS3.3 A.33, C.10, C.11; PS3.4 N.2).

    header = applied(ImageHeader.from_dataset(image, frame), image, state, frame)
    picture = render(pixels, photometric, header, Rendering())

A state says all about how an image is seen: what it does not have is the identity, whatever the image itself
says (PS3.4 N.2). A blending state takes two images; see `blending`. One that subtracts a mask takes more
frames than one; see `subtraction`.

Not applied, since they show volumes or several steps of blending: the volumetric states and the advanced
blending one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.annotations import Layer, read_annotations, read_layers
from gantry.pixels.functional_groups import FunctionalGroups
from gantry.pixels.image import MAX_ICC_BYTES, ImageHeader, read_windows
from gantry.pixels.lut import LookupTable, read_tables
from gantry.pixels.overlay import Overlay, activation_layers, read_overlays
from gantry.pixels.palette import Palette, read_palette
from gantry.pixels.presentation import YELLOW, Presentation
from gantry.pixels.references import ReferencedImage, Target, referenced_images
from gantry.pixels.shutter import Shutter, read_shutter, shutter_color

__all__ = ["STATES", "ReferencedImage", "applied", "referenced_images"]

GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOR = "1.2.840.10008.5.1.4.1.1.11.3"
BLENDING = "1.2.840.10008.5.1.4.1.1.11.4"
XA_XRF_GRAYSCALE = "1.2.840.10008.5.1.4.1.1.11.5"
VARIABLE_MODALITY_LUT = "1.2.840.10008.5.1.4.1.1.11.12"
STATES = frozenset({GRAYSCALE, COLOR, PSEUDO_COLOR, BLENDING, XA_XRF_GRAYSCALE, VARIABLE_MODALITY_LUT})
"""SOP Class UIDs of the states that are applied."""

UNDERLYING, SUPERIMPOSED = "UNDERLYING", "SUPERIMPOSED"

_SOP_CLASS, _REFERENCED_SERIES = 0x00080016, 0x00081115
_BLENDING_SEQUENCE, _BLENDING_POSITION = 0x00700402, 0x00700405
_VARIABLE_MODALITY, _MODALITY_LUT, _INTERCEPT, _SLOPE, _TYPE = (
    0x00283001, 0x00283000, 0x00281052, 0x00281053, 0x00281054,
)  # fmt: skip
_SOFTCOPY_VOI, _VOI_LUT, _FUNCTION = 0x00283110, 0x00283010, 0x00281056
_PRESENTATION_LUT, _PRESENTATION_SHAPE = 0x20500010, 0x20500020
_AREAS, _TOP_LEFT, _BOTTOM_RIGHT, _MODE, _SPACING, _ASPECT, _MAGNIFICATION, _ORIGIN_MEANING = (
    0x0070005A, 0x00700052, 0x00700053, 0x00700100, 0x00700101, 0x00700102, 0x00700103, 0x00480301,
)  # fmt: skip
_FLIP, _ROTATION = 0x00700041, 0x00700042
_SHUTTERS, _SHUTTER_VALUE, _SHUTTER_COLOR = 0x00189472, 0x00181622, 0x00181624
_ICC = 0x00282000
_MATRIX_COLUMNS, _COLUMNS, _ROWS, _PLANE_SLIDE = 0x00480006, 0x00280011, 0x00280010, 0x0048021A


def applied(
    header: ImageHeader, image: DataSet, state: DataSet, frame: int = 1, position: str = ""
) -> ImageHeader:
    """The header of a frame, from 1, as a presentation state wants it shown.

    `header` is that of the frame, `image` and `state` are whole Data Sets. `position` is UNDERLYING or
    SUPERIMPOSED where the state is a blending one and the image stands in both of its sets. Raises
    DataSetError for an object that is no state of `STATES`, one that is not for this image and frame, or
    one that turns by other than quarters.
    """
    kind = state.text(_SOP_CLASS) or ""
    if kind not in STATES:
        raise DataSetError(
            f"SOP class {kind or 'of no UID'}: no presentation state that is applied", tag=_SOP_CLASS
        )
    target = Target.of(image, frame)
    if not target.is_in(referenced_images(state)):
        raise DataSetError("the presentation state is for other images or frames", tag=_REFERENCED_SERIES)
    source = _blending_item(state, target, position) if kind == BLENDING else state
    is_above = (source.text(_BLENDING_POSITION) or "").upper() == SUPERIMPOSED
    layers = read_layers(state)
    changes: dict[str, Any] = {
        "overlays": () if is_above else _overlays(header, state, layers, frame),
        "shutter": None if is_above else _shutter(state, target),
        "presentation": _presentation(
            image, state, target, layers, read_palette(state) if kind == PSEUDO_COLOR or is_above else None
        ),
        "is_supplemental": False,
    }
    if kind != COLOR:
        changes |= _modality(source, target, header) | _voi(source, target, header)
        changes |= _presentation_lut(state)
    if kind in (COLOR, PSEUDO_COLOR, BLENDING) and 0 < len(state.view(_ICC)) <= MAX_ICC_BYTES:
        changes["icc_profile"] = state.raw(_ICC)
    return replace(header, **changes)


def _blending_item(state: DataSet, target: Target, position: str) -> DataSet:
    for item in state.items(_BLENDING_SEQUENCE):
        if position in ("", (item.text(_BLENDING_POSITION) or "").upper()) and target.is_in(
            referenced_images(item)
        ):
            return item
    raise DataSetError(f"the image is not in the {position.lower()} set", tag=_BLENDING_SEQUENCE)


def _modality(source: DataSet, target: Target, header: ImageHeader) -> dict[str, Any]:
    """Modality LUT or rescale; one for each frame where they differ (PS3.3 C.11.1)."""
    holder = target.first(source.items(_VARIABLE_MODALITY)) or source
    tables = read_tables(_first(holder.items(_MODALITY_LUT)), signed_input=header.signed)
    slope = _finite(holder.floats(_SLOPE), 1.0)
    return {
        "modality_lut": tables[0] if tables else None,
        "rescale_slope": slope or 1.0,
        "rescale_intercept": _finite(holder.floats(_INTERCEPT), 0.0),
        "rescale_type": (holder.text(_TYPE) or "").upper(),
    }


def _voi(source: DataSet, target: Target, header: ImageHeader) -> dict[str, Any]:
    """Windows and tables of the Item that is for the target (PS3.3 C.11.8)."""
    item = target.first(source.items(_SOFTCOPY_VOI))
    if item is None:
        return {"windows": (), "voi_luts": (), "voi_lut_function": "LINEAR"}
    signed = header.signed or _finite(source.floats(_INTERCEPT), 0.0) < 0
    return {
        "windows": read_windows(item),
        "voi_luts": read_tables(item.items(_VOI_LUT), signed_input=signed),
        "voi_lut_function": (item.text(_FUNCTION) or "LINEAR").upper(),
    }


def _presentation_lut(state: DataSet) -> dict[str, Any]:
    tables: tuple[LookupTable, ...] = read_tables(_first(state.items(_PRESENTATION_LUT)), signed_input=False)
    return {
        "presentation_lut": tables[0] if tables else None,
        "presentation_lut_shape": (state.text(_PRESENTATION_SHAPE) or "IDENTITY").upper(),
    }


def _overlays(
    header: ImageHeader, state: DataSet, layers: dict[str, Layer], frame: int
) -> tuple[Overlay, ...]:
    """Those that the state activates, its own before the image's of the same group, and the one that is its
    shutter (PS3.3 C.11.7 and C.7.6.15)."""
    activated = activation_layers(state)
    shutter = read_shutter(state)
    own = {overlay.group: overlay for overlay in read_overlays(state, frame, stored_bits=range(16))}
    planes = {overlay.group: overlay for overlay in header.overlays} | own
    shown = []
    for group, plane in planes.items():
        if shutter is not None and shutter.overlay_group == group:
            if group in own:
                shown.append((-math.inf, plane))
        elif group in activated:
            layer = layers.get(activated[group], Layer(0, YELLOW))
            shown.append((layer.order, replace(plane, color=layer.color)))
    return tuple(plane for _, plane in sorted(shown, key=lambda pair: pair[0]))


def _shutter(state: DataSet, target: Target) -> Shutter | None:
    """The shutter, which in XA/XRF states has Items for frames and its value outside of them."""
    item = target.first(state.items(_SHUTTERS))
    if item is None:
        return read_shutter(state)
    shutter = read_shutter(item)
    if shutter is None or _SHUTTER_VALUE in item or _SHUTTER_COLOR in item:
        return shutter
    return replace(shutter, color=shutter_color(state))


def _presentation(
    image: DataSet, state: DataSet, target: Target, layers: dict[str, Layer], palette: Palette | None
) -> Presentation:
    rotation = state.ints(_ROTATION)[:1] or [0]
    if rotation[0] % 90:
        raise DataSetError(f"Image Rotation is {rotation[0]}, not of 0, 90, 180, 270", tag=_ROTATION)
    area = target.first(state.items(_AREAS))
    graphics, texts = read_annotations(state, target, layers, _matrix_origin(image, target.frame))
    magnifies = area is not None and (area.text(_MODE) or "").upper() == "MAGNIFY"
    ratio = _finite(area.floats(_MAGNIFICATION), 0.0) if area is not None else 0.0
    return Presentation(
        area=_area(area, image) if area is not None else None,
        rotation=rotation[0] % 360,
        flip=(state.text(_FLIP) or "").upper() == "Y",
        magnification=ratio if magnifies and ratio > 0 else None,
        pixel_aspect=_pixel_aspect(area) if area is not None else None,
        graphics=graphics,
        texts=texts,
        palette=palette,
    )


def _area(item: DataSet, image: DataSet) -> tuple[float, float, float, float] | None:
    """Left, top, width, height. The corners are those after turning, so either may be the lower (C.10.4)."""
    corners = [item.ints(tag) for tag in (_TOP_LEFT, _BOTTOM_RIGHT)]
    in_matrix = (item.text(_ORIGIN_MEANING) or "").upper() == "VOLUME" and _MATRIX_COLUMNS in image
    if in_matrix or any(len(corner) != 2 for corner in corners):
        return None  # the area of a whole slide says nothing of one of its tiles
    (x1, y1), (x2, y2) = corners
    if {(x1, y1), (x2, y2)} == {(0, 0), (_first_int(image, _COLUMNS), _first_int(image, _ROWS))}:
        return None  # counted from 0, as many writers do: the whole image is meant
    return min(x1, x2) - 1.0, min(y1, y2) - 1.0, abs(x2 - x1) + 1.0, abs(y2 - y1) + 1.0


def _pixel_aspect(area: DataSet) -> tuple[float, float] | None:
    """Height and width of a pixel, from its spacing or its ratio."""
    for tag in (_SPACING, _ASPECT):
        parts = area.floats(tag)
        if len(parts) == 2 and all(math.isfinite(part) and part > 0 for part in parts):
            return parts[0], parts[1]
    return None


def _matrix_origin(image: DataSet, frame: int) -> tuple[float, float]:
    """Where a tile begins in the total pixel matrix, from 0: told for each frame, or row by row of full tiles
    (PS3.3 C.7.6.17.3)."""
    across, columns, rows = (_first_int(image, tag) for tag in (_MATRIX_COLUMNS, _COLUMNS, _ROWS))
    if across < 1 or columns < 1:
        return 0.0, 0.0
    plane = FunctionalGroups(image).attributes(frame, _PLANE_SLIDE)
    if 0x0048021E in plane:
        return _first_int(plane, 0x0048021E) - 1.0, _first_int(plane, 0x0048021F) - 1.0
    tiles_across = -(-across // columns)
    tiles_down = -(-max(1, _first_int(image, 0x00480007)) // max(1, rows))
    row, column = divmod((frame - 1) % (tiles_across * tiles_down), tiles_across)
    return float(column * columns), float(row * rows)


def _first_int(ds: DataSet, tag: int) -> int:
    return next(iter(ds.ints(tag)), 0)


def _first(items: Iterator[DataSet]) -> list[DataSet]:
    return [item for item in (next(items, None),) if item is not None]


def _finite(values: list[float], default: float) -> float:
    return values[0] if values and math.isfinite(values[0]) else default
