"""Drawings and words on the finished picture: those of presentation states, and notes that a client wants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gantry.pixels.drawing import Canvas, extent, text_size
from gantry.pixels.geometry import Placement
from gantry.pixels.presentation import Color, Graphic, Point, Presentation, Shadow, Text

Picture = NDArray[np.uint8]

_WHITE: Color = (255, 255, 255)

_SMALLEST_NOTED = 64
"""A picture with a shorter side has no room for words."""

_SMALLEST_LETTERS = 11
"""Pixels of height below which words are not read."""

_CURVE_STEPS = 12
"""Straight pieces between two points of an interpolated curve."""

_DASH = 5
"""Length of a dash in widths of its line."""

_EDGE = 0.45
"""Opacity of the dark edge on both sides of a line that has no shadow of its own."""


def draw_presentation(picture: Picture, state: Presentation, placement: Placement) -> Picture:
    """The picture with the graphics and texts of a presentation state (PS3.3 C.10.5)."""
    annotations: list[Graphic | Text] = [*state.graphics, *state.texts]
    if not annotations:
        return picture
    canvas = Canvas(picture, [color for one in annotations for color in _colors(one)])
    for one in sorted(annotations, key=lambda one: one.order):  # words over drawings of the same layer
        if isinstance(one, Graphic):
            _draw_graphic(canvas, one, _placer(placement, one.units))
        else:
            _draw_text(canvas, one, placement)
    return canvas.picture()


def _colors(one: Graphic | Text) -> list[Color]:
    colors = [one.color]
    if isinstance(one, Graphic):
        colors += [one.fill] if one.fill is not None else []
        colors += [one.shadow.color] if one.shadow is not None else []
    return colors


def _placer(placement: Placement, units: str) -> Callable[[Point], Point]:
    return placement.from_area if units == "DISPLAY" else placement.from_image


def _draw_graphic(canvas: Canvas, graphic: Graphic, to_output: Callable[[Point], Point]) -> None:
    placed = tuple(to_output(point) for point in graphic.points)
    width = canvas.unit * graphic.thickness
    if graphic.kind == "POINT":
        canvas.dot(placed[0], 3 * width, _edge_of(graphic.color), graphic.opacity * _EDGE)
        canvas.dot(placed[0], 2 * width, graphic.color, graphic.opacity)
        return
    path = _outline(graphic.kind, placed)
    dash = _DASH * max(width, canvas.unit) if graphic.dashed else 0.0
    if graphic.filled and path[0] == path[-1]:
        canvas.area(path, graphic.fill or graphic.color, graphic.fill_opacity)
    if graphic.shadow is not None:
        _draw_shadow(canvas, path, width, graphic.shadow)
    else:
        edge = width + 2 * canvas.unit
        canvas.stroke(path, edge, _edge_of(graphic.color), graphic.opacity * _EDGE, dash=dash)
    canvas.stroke(path, width, graphic.color, graphic.opacity, dash=dash)


def _draw_shadow(canvas: Canvas, path: tuple[Point, ...], width: float, shadow: Shadow) -> None:
    """PS3.3 C.10.5.1.3.13.2: beside the line, or on all sides of it."""
    right, down = (part * canvas.unit for part in shadow.offset)
    if shadow.outlined:
        canvas.stroke(path, width + 2 * math.hypot(right, down), shadow.color, shadow.opacity)
        return
    canvas.stroke([(x + right, y + down) for x, y in path], width, shadow.color, shadow.opacity)


def _edge_of(color: Color) -> Color:
    """Dark around what is bright, bright around what is dark."""
    return (0, 0, 0) if max(color) > 127 else _WHITE


def _outline(kind: str, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The straight pieces of a graphic, in pixels of the output: a circle is round there."""
    if kind == "CIRCLE":
        radius = math.dist(points[0], points[1])
        return _ellipse(points[0], (radius, 0.0), (0.0, radius))
    if kind == "ELLIPSE":
        (x1, y1), (x2, y2), (x3, y3), (x4, y4) = points
        center = ((x1 + x2) / 2, (y1 + y2) / 2)
        return _ellipse(center, ((x2 - x1) / 2, (y2 - y1) / 2), ((x4 - x3) / 2, (y4 - y3) / 2))
    if kind == "INTERPOLATED" and len(points) > 2:
        return _curve(points)
    return points


def _ellipse(center: Point, major: Point, minor: Point) -> tuple[Point, ...]:
    steps = 144
    angles = [2 * math.pi * step / steps for step in range(steps)]
    path = tuple(
        (
            center[0] + math.cos(angle) * major[0] + math.sin(angle) * minor[0],
            center[1] + math.cos(angle) * major[1] + math.sin(angle) * minor[1],
        )
        for angle in angles
    )
    return (*path, path[0])


def _curve(points: tuple[Point, ...]) -> tuple[Point, ...]:
    """Catmull-Rom, closed where the last point is the first; the standard leaves the kind open."""
    closed = points[0] == points[-1]
    before = points[-2] if closed else points[0]
    after = points[1] if closed else points[-1]
    padded = (before, *points, after)
    out: list[Point] = [points[0]]
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for step in range(1, _CURVE_STEPS):
            t = step / _CURVE_STEPS
            out.append((_between(p0[0], p1[0], p2[0], p3[0], t), _between(p0[1], p1[1], p2[1], p3[1], t)))
        out.append(p2)
    return tuple(out)


def _between(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def _draw_text(canvas: Canvas, text: Text, placement: Placement) -> None:
    size = text_size(canvas.width, canvas.height)
    words = _printable(text.text, 1 + canvas.height // size, 1 + 4 * canvas.width // size)
    anchor = None if text.anchor is None else _placer(placement, text.anchor_units)(text.anchor)
    if text.box is not None:
        place = _placer(placement, text.box_units)
        (x1, y1), (x2, y2) = (place(corner) for corner in text.box)
        left, top, right, bottom = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        size = _fitted(words, size, right - left)
        width, height = extent(words, size)
    else:
        assert anchor is not None
        width, height = extent(words, size)
        left, top = anchor[0] + size / 2, anchor[1] - size / 2
        right, bottom = left + width, top + height
    if right < 0 or bottom < 0 or left > canvas.width or top > canvas.height:
        return  # the part of the image that it belongs to is not shown
    left += {"RIGHT": right - left - width, "CENTER": (right - left - width) / 2}.get(text.justification, 0.0)
    left = max(0.0, min(left, canvas.width - width))
    top = max(0.0, min(top, canvas.height - height))
    if anchor is not None and text.anchor_visible:
        nearest = (min(max(anchor[0], left), left + width), min(max(anchor[1], top), top + height))
        canvas.stroke([anchor, nearest], 3 * canvas.unit, _edge_of(text.color), _EDGE)
        canvas.stroke([anchor, nearest], canvas.unit, text.color)
        canvas.dot(anchor, 2 * canvas.unit, text.color)
    align = {"RIGHT": "right", "CENTER": "center"}.get(text.justification, "left")
    canvas.words((left, top), words, size, text.color, align)


def _fitted(words: str, size: int, room: float) -> int:
    """A smaller size where the box of a text is too narrow for it, as far as that is read."""
    width = extent(words, size)[0]
    return max(_SMALLEST_LETTERS, int(size * room / width)) if width > room > 0 else size


def _printable(text: str, most_lines: int, most_letters: int) -> str:
    """What there is room for, by the narrowest of letters, without what cannot be printed."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:most_lines]
    return "\n".join(
        "".join(letter for letter in line if letter.isprintable())[:most_letters] for line in lines
    )


def burn_notes(picture: Picture, notes: tuple[tuple[str, ...], tuple[str, ...]]) -> Picture:
    """The picture with lines at its top left and bottom left, small, white with a dark shadow."""
    rows, columns = picture.shape[:2]
    if not any(notes) or min(rows, columns) < _SMALLEST_NOTED:
        return picture
    canvas = Canvas(picture, [_WHITE])
    size = text_size(columns, rows)
    top, bottom = ("\n".join(lines) for lines in notes)
    canvas.words((size / 3, size / 3), top, size, _WHITE)
    if bottom:
        canvas.words((size / 3, rows - extent(bottom, size)[1] - size / 2), bottom, size, _WHITE)
    return canvas.picture()
