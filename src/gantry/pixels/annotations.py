"""Graphic layers and annotations of presentation states, read for one image (PS3.3 C.10.5 and C.10.7).

What breaks the rules of its kind is left out, and so is what goes past the limits. Compound graphics are
shown by the simple ones that stand for them (PS3.3 C.10.5.1.3.1). Fonts, patterns of lines and of what they
surround are not read: a pattern becomes dashes, or plain colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gantry.dataset.scan import DataSet
from gantry.pixels.cielab import cielab_to_rgb
from gantry.pixels.presentation import YELLOW, Color, Graphic, Point, Shadow, Text
from gantry.pixels.references import Target

MAX_ANNOTATIONS = 2000
"""Graphics and texts of one image; a computer's findings in a mammogram are some tens."""

MAX_POINTS = 100_000
"""Points of all of them together: a freehand line has some hundreds."""

MAX_TEXT_CHARS = 1024
"""What a text can have by its VR (PS3.5 6.2, ST)."""

_LAYERS, _LAYER, _ORDER, _GRAY, _LAB = 0x00700060, 0x00700002, 0x00700062, 0x00700066, 0x00700401
_ANNOTATIONS, _TEXTS, _GRAPHICS = 0x00700001, 0x00700008, 0x00700009
_UNITS, _DIMENSIONS, _POINTS, _DATA, _KIND, _FILLED = (
    0x00700005, 0x00700020, 0x00700021, 0x00700022, 0x00700023, 0x00700024,
)  # fmt: skip
_BOX_UNITS, _ANCHOR_UNITS, _WORDS, _BOX, _JUSTIFICATION, _ANCHOR, _VISIBLE = (
    0x00700003, 0x00700004, 0x00700006, (0x00700010, 0x00700011), 0x00700012, 0x00700014, 0x00700015,
)  # fmt: skip
_TEXT_STYLE, _LINE_STYLE, _FILL_STYLE, _TEXT_COLOR = 0x00700231, 0x00700232, 0x00700233, 0x00700241
_SHADOW_STYLE, _SHADOW_X, _SHADOW_Y, _SHADOW_COLOR, _SHADOW_OPACITY = (
    0x00700244, 0x00700245, 0x00700246, 0x00700247, 0x00700258,
)  # fmt: skip
_ON_COLOR, _ON_OPACITY, _THICKNESS, _DASHING = 0x00700251, 0x00700284, 0x00700253, 0x00700254

_FEWEST = {"POINT": 1, "POLYLINE": 2, "INTERPOLATED": 2, "CIRCLE": 2, "ELLIPSE": 4}
_MOST = {"POINT": 1, "CIRCLE": 2, "ELLIPSE": 4}
_THICKEST = 32.0


@dataclass(frozen=True, slots=True)
class Layer:
    """Lower orders are drawn first; the colour is what the state recommends, white where only gray counts."""

    order: int
    color: Color


def read_layers(state: DataSet) -> dict[str, Layer]:
    """The graphic layers by name."""
    layers: dict[str, Layer] = {}
    for item in state.items(_LAYERS):
        if len(layers) >= MAX_ANNOTATIONS:
            break
        order = item.ints(_ORDER)
        gray = item.ints(_GRAY)
        level = min(255, round(gray[0] * 255 / 65535)) if gray else 0
        color = _color(item, _LAB) or ((level, level, level) if gray else YELLOW)
        layers[item.text(_LAYER) or ""] = Layer(order[0] if order else 0, color)
    return layers


def read_annotations(
    state: DataSet, target: Target, layers: dict[str, Layer], matrix_origin: Point
) -> tuple[tuple[Graphic, ...], tuple[Text, ...]]:
    """What is drawn over the target. `matrix_origin` is where its frame begins, column before row from 0, in
    the total pixel matrix that MATRIX units count in."""
    graphics: list[Graphic] = []
    texts: list[Text] = []
    points = 0
    for item in state.items(_ANNOTATIONS):
        if not target.is_meant_by(item):
            continue
        layer = layers.get(item.text(_LAYER) or "", Layer(0, YELLOW))
        for one in _in_item(item, layer):
            points += len(one.points) if isinstance(one, Graphic) else 1
            if len(graphics) + len(texts) >= MAX_ANNOTATIONS or points > MAX_POINTS:
                return tuple(graphics), tuple(texts)
            if isinstance(one, Graphic):
                graphics.append(_graphic_in_frame(one, matrix_origin))
            else:
                texts.append(_text_in_frame(one, matrix_origin))
    return tuple(graphics), tuple(texts)


def _in_item(item: DataSet, layer: Layer) -> Iterator[Graphic | Text]:
    for graphic in item.items(_GRAPHICS):
        read = _graphic(graphic, layer)
        if read is not None:
            yield read
    for text in item.items(_TEXTS):
        words = _text(text, layer)
        if words is not None:
            yield words


def _graphic(item: DataSet, layer: Layer) -> Graphic | None:
    kind = (item.text(_KIND) or "").upper()
    points = _points(item)
    if kind not in _FEWEST or len(points) < _FEWEST[kind]:
        return None
    line = next(item.items(_LINE_STYLE), None)
    fill = next(item.items(_FILL_STYLE), None)
    return Graphic(
        kind=kind,
        units=_units(item, _UNITS),
        points=points[: _MOST.get(kind)],
        filled=(item.text(_FILLED) or "").upper() == "Y",
        color=(_color(line, _ON_COLOR) if line else None) or layer.color,
        thickness=min(max(_number(line, _THICKNESS, 1.0), 0.1), _THICKEST),
        dashed=line is not None and (line.text(_DASHING) or "").upper() == "DASHED",
        opacity=_share(line, _ON_OPACITY),
        fill=_color(fill, _ON_COLOR) if fill else None,
        fill_opacity=_share(fill, _ON_OPACITY),
        shadow=_shadow(line) if line else None,
        order=layer.order,
    )


def _points(item: DataSet) -> tuple[Point, ...]:
    """The points that are there, if all of them are; none where any is no number (PS3.3 C.10.5.1.2)."""
    declared = item.ints(_POINTS)
    if item.ints(_DIMENSIONS)[:1] not in ([], [2]) or len(item.view(_DATA)) > 8 * MAX_POINTS:
        return ()
    values = item.floats(_DATA)
    if len(values) % 2 or not all(map(math.isfinite, values)):
        return ()
    points = tuple(zip(values[::2], values[1::2], strict=True))
    return points if not declared or len(points) >= declared[0] else ()


def _text(item: DataSet, layer: Layer) -> Text | None:
    words = (item.text(_WORDS) or "")[:MAX_TEXT_CHARS]
    corners = [point for tag in _BOX if (point := _point(item, tag)) is not None]
    anchor = _point(item, _ANCHOR)
    if not words.strip() or (len(corners) < 2 and anchor is None):
        return None
    style = next(item.items(_TEXT_STYLE), None)
    return Text(
        text=words,
        box=(corners[0], corners[1]) if len(corners) == 2 else None,
        box_units=_units(item, _BOX_UNITS),
        anchor=anchor,
        anchor_units=_units(item, _ANCHOR_UNITS),
        anchor_visible=(item.text(_VISIBLE) or "").upper() == "Y",
        justification=(item.text(_JUSTIFICATION) or "LEFT").upper(),
        color=(_color(style, _TEXT_COLOR) if style else None) or layer.color,
        order=layer.order,
    )


def _graphic_in_frame(one: Graphic, origin: Point) -> Graphic:
    """MATRIX units told as PIXEL of the frame that is shown."""
    if one.units != "MATRIX":
        return one
    return replace(one, units="PIXEL", points=tuple(_moved(point, origin) for point in one.points))


def _text_in_frame(one: Text, origin: Point) -> Text:
    if one.box is not None and one.box_units == "MATRIX":
        one = replace(one, box_units="PIXEL", box=(_moved(one.box[0], origin), _moved(one.box[1], origin)))
    if one.anchor is not None and one.anchor_units == "MATRIX":
        one = replace(one, anchor_units="PIXEL", anchor=_moved(one.anchor, origin))
    return one


def _moved(point: Point, origin: Point) -> Point:
    return point[0] - origin[0], point[1] - origin[1]


def _shadow(line: DataSet) -> Shadow | None:
    style = (line.text(_SHADOW_STYLE) or "OFF").upper()
    if style not in ("NORMAL", "OUTLINED"):
        return None
    offset = (_number(line, _SHADOW_X, 1.0), _number(line, _SHADOW_Y, 1.0))
    bounded = tuple(min(max(part, -_THICKEST), _THICKEST) for part in offset)
    color = _color(line, _SHADOW_COLOR) or (0, 0, 0)
    return Shadow(color, _share(line, _SHADOW_OPACITY), (bounded[0], bounded[1]), style == "OUTLINED")


def _color(item: DataSet, tag: int) -> Color | None:
    lab = item.ints(tag)
    return cielab_to_rgb((lab[0], lab[1], lab[2])) if len(lab) == 3 else None


def _point(item: DataSet, tag: int) -> Point | None:
    values = item.floats(tag)
    return (values[0], values[1]) if len(values) == 2 and all(map(math.isfinite, values)) else None


def _units(item: DataSet, tag: int) -> str:
    return (item.text(tag) or "PIXEL").upper()


def _number(item: DataSet | None, tag: int, default: float) -> float:
    values = item.floats(tag) if item is not None else []
    return values[0] if values and math.isfinite(values[0]) else default


def _share(item: DataSet | None, tag: int) -> float:
    return min(max(_number(item, tag, 1.0), 0.0), 1.0)
