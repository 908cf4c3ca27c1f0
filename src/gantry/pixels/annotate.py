"""Drawings and words on the finished picture: those of presentation states, and notes that a client wants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gantry.dataset.scan import DataSet
from gantry.pixels.geometry import Placement
from gantry.pixels.presentation import Graphic, Point, Presentation, Text

Picture = NDArray[np.uint8]

_SMALLEST_NOTED = 64
"""A picture with a shorter side has no room for words."""

_CURVE_STEPS = 12
"""Straight pieces between two points of an interpolated curve."""


def draw_presentation(picture: Picture, state: Presentation, placement: Placement) -> Picture:
    """The picture with the graphics and texts of a presentation state (PS3.3 C.10.5)."""
    if not state.graphics and not state.texts:
        return picture
    image = Image.fromarray(picture).convert("RGB")
    draw = ImageDraw.Draw(image)
    for graphic in state.graphics:
        _draw_graphic(draw, graphic, _placer(placement, graphic.units))
    for text in state.texts:
        _draw_text(draw, text, placement)
    return np.asarray(image)


def _placer(placement: Placement, units: str) -> Callable[[Point], Point]:
    return placement.from_area if units == "DISPLAY" else placement.from_image


def _draw_graphic(draw: ImageDraw.ImageDraw, graphic: Graphic, to_output: Callable[[Point], Point]) -> None:
    points = _outline(graphic)
    placed = [to_output(point) for point in points]
    if graphic.kind == "POINT":
        for x, y in placed:
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=graphic.color)
    elif graphic.filled and len(placed) > 2:
        draw.polygon(placed, fill=graphic.color, outline=graphic.color)
    elif len(placed) > 1:
        draw.line(placed, fill=graphic.color, width=1)


def _outline(graphic: Graphic) -> tuple[Point, ...]:
    """Points of straight pieces, in the units of the graphic: placing makes a circle what it should be."""
    points = graphic.points
    if graphic.kind == "CIRCLE" and len(points) >= 2:
        (x, y), edge = points[0], points[1]
        radius = math.dist(points[0], edge)
        return _ellipse((x, y), (radius, 0.0), (0.0, radius))
    if graphic.kind == "ELLIPSE" and len(points) >= 4:
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = points[:4]
        center = ((x1 + x2) / 2, (y1 + y2) / 2)
        return _ellipse(center, ((x2 - x1) / 2, (y2 - y1) / 2), ((x4 - x3) / 2, (y4 - y3) / 2))
    if graphic.kind == "INTERPOLATED" and len(points) > 2:
        return _curve(points)
    return points


def _ellipse(center: Point, major: Point, minor: Point) -> tuple[Point, ...]:
    angles = [2 * math.pi * step / 72 for step in range(73)]
    return tuple(
        (
            center[0] + math.cos(angle) * major[0] + math.sin(angle) * minor[0],
            center[1] + math.cos(angle) * major[1] + math.sin(angle) * minor[1],
        )
        for angle in angles
    )


def _curve(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Catmull-Rom, closed where the last point is the first; the standard leaves the kind open."""
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    padded = (before, *points, after)
    out: list[Point] = [points[0]]
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, _CURVE_STEPS + 1):
            t = step / _CURVE_STEPS
            out.append((_between(p0[0], p1[0], p2[0], p3[0], t), _between(p0[1], p1[1], p2[1], p3[1], t)))
    return tuple(out)


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _draw_text(draw: ImageDraw.ImageDraw, text: Text, placement: Placement) -> None:
    anchor = None if text.anchor is None else _placer(placement, text.anchor_units)(text.anchor)
    lines = text.text.replace("\r\n", "\n").replace("\r", "\n")
    size = _text_size(placement.width, placement.height)
    position = anchor or (0.0, 0.0)
    if text.box is not None:
        corners = [_placer(placement, text.box_units)(corner) for corner in text.box]
        left, right = sorted(corner[0] for corner in corners)
        top, _ = sorted(corner[1] for corner in corners)
        extent = draw.multiline_textbbox((0, 0), lines, font=_font(size))
        slack = (right - left) - extent[2]
        shift = {"RIGHT": slack, "CENTER": slack / 2}.get(text.justification, 0.0)
        position = (left + max(shift, 0.0), top)
        if anchor is not None and text.anchor_visible:
            draw.line((anchor, (position[0] + extent[2] / 2, top + extent[3] / 2)), fill=text.color)
    _shadowed(draw, position, lines, size, text.color)


def burn_notes(picture: Picture, notes: tuple[tuple[str, ...], tuple[str, ...]]) -> Picture:
    """The picture with lines at its top left and bottom left, small, white with a dark shadow."""
    rows, columns = picture.shape[:2]
    if not any(notes) or min(rows, columns) < _SMALLEST_NOTED:
        return picture
    image = Image.fromarray(picture)
    image = image if image.mode == "RGB" else image.convert("L")
    draw = ImageDraw.Draw(image)
    size = _text_size(columns, rows)
    white = (255, 255, 255) if image.mode == "RGB" else 255
    top, bottom = ("\n".join(lines) for lines in notes)
    _shadowed(draw, (size / 3, size / 3), top, size, white)
    if bottom:
        height = draw.multiline_textbbox((0, 0), bottom, font=_font(size))[3]
        _shadowed(draw, (size / 3, rows - height - size / 2), bottom, size, white)
    return np.asarray(image)


def _text_size(width: int, height: int) -> int:
    return max(9, min(24, min(width, height) // 32))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _shadowed(
    draw: ImageDraw.ImageDraw, position: Point, text: str, size: int, color: tuple[int, int, int] | int
) -> None:
    dark = (0, 0, 0) if isinstance(color, tuple) else 0
    draw.multiline_text(position, text, fill=color, font=_font(size), stroke_width=1, stroke_fill=dark)


_PATIENT = ((0x00100010, ""), (0x00100020, "ID "), (0x00100030, "born "), (0x00100040, ""))
_TECHNIQUE = (
    (0x00080060, ""), (0x00080020, ""), (0x0008103E, ""), (0x00200013, "image "), (0x00180060, "kV "),
    (0x00181151, "mA "), (0x00180050, "mm "), (0x00180080, "TR "), (0x00180081, "TE "), (0x00200032, "at "),
)  # fmt: skip
_NOTE_CHARS = 64


def patient_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=patient shows: name, ID, date of birth, sex (PS3.18 8.3.5.1.1)."""
    return _lines(ds, _PATIENT)


def technique_lines(ds: DataSet) -> tuple[str, ...]:
    """What annotation=technique shows: modality, date, series, image number, exposure, position."""
    return _lines(ds, _TECHNIQUE)


def _lines(ds: DataSet, wanted: tuple[tuple[int, str], ...]) -> tuple[str, ...]:
    lines = []
    for tag, label in wanted:
        text = "\\".join(ds.texts(tag))
        if tag == 0x00100010:
            text = text.partition("=")[0].replace("^", " ")
        if text.strip():
            lines.append((label + " ".join(text.split()))[:_NOTE_CHARS])
    return tuple(lines)
