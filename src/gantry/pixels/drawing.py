"""Smooth lines, areas and words on a picture, clipped to it and bounded in what they cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gantry.pixels.lettering import font_for
from gantry.pixels.presentation import Color, Point

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_SMOOTHING = 4
"""Each pixel of a drawing is this many by this many while it is drawn."""

_SMOOTH_PIXELS, _ALL_PIXELS = 300_000_000, 2_000_000_000
"""Pixels of drawing at the finer and at the plain resolution, some seconds each; no more is drawn."""

_FARTHEST = 1e6
"""Corners of an area further out than this, in pixels, are brought there."""

_MAX_DASHED = 200
"""A line this many times longer than the picture is not dashed."""


class Canvas:
    """A picture that is drawn upon: gray stays gray as long as `colors`, all that will be used, are."""

    def __init__(self, picture: Picture, colors: Sequence[Color]) -> None:
        image = Image.fromarray(np.ascontiguousarray(picture))
        is_gray = picture.ndim == 2 and all(len(set(color)) == 1 for color in colors)
        self.image = image if is_gray else image.convert("RGB")
        self.width, self.height = image.size
        self.unit = max(1.0, min(image.size) / 512)
        """Width of a thin line that is well seen, in pixels."""
        self._smooth, self._left = _SMOOTH_PIXELS, _ALL_PIXELS

    def picture(self) -> Picture:
        return np.asarray(self.image)

    def stroke(
        self, path: Sequence[Point], width: float, color: Color, opacity: float = 1.0, *, dash: float = 0.0
    ) -> None:
        """A line through points, in pixels of the picture from its corner; `dash` is the length of a dash."""
        runs = clipped(path, (-width, -width, self.width + width, self.height + width))
        if dash:
            runs = self._dashed(runs, dash)
        if not runs:
            return

        def draw(onto: ImageDraw.ImageDraw, place: Callable[[Point], Point], scale: int) -> None:
            thick = max(1, round(width * scale))
            for run in runs:
                placed = [place(point) for point in run]
                onto.line(placed, fill=255, width=thick, joint="curve" if thick > 2 else None)

        self._paint(_bounds([point for run in runs for point in run], width), draw, color, opacity)

    def area(self, path: Sequence[Point], color: Color, opacity: float = 1.0) -> None:
        """What points surround; the last is joined to the first."""
        near = [tuple(min(max(part, -_FARTHEST), _FARTHEST) for part in point) for point in path]
        points = [(x, y) for x, y in near]
        if len(points) < 3:
            return

        def draw(onto: ImageDraw.ImageDraw, place: Callable[[Point], Point], scale: int) -> None:
            onto.polygon([place(point) for point in points], fill=255)

        self._paint(_bounds(points, 1), draw, color, opacity)

    def dot(self, center: Point, radius: float, color: Color, opacity: float = 1.0) -> None:
        """A round dot."""
        if not (abs(center[0]) < _FARTHEST and abs(center[1]) < _FARTHEST):
            return

        def draw(onto: ImageDraw.ImageDraw, place: Callable[[Point], Point], scale: int) -> None:
            x, y = place(center)
            reach = radius * scale
            onto.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)

        self._paint(_bounds([center], radius), draw, color, opacity)

    def words(self, position: Point, text: str, size: int, color: Color, align: str = "left") -> None:
        """Lines of text from their top left, with a dark edge that shows them on white."""
        is_gray = self.image.mode == "L"
        level = 0 if max(color) > 127 else 255
        dark = level if is_gray else (level, level, level)
        ImageDraw.Draw(self.image).multiline_text(
            position, text, fill=color[0] if is_gray else color, font=font_for(text, size), align=align,
            stroke_width=_edge(size), stroke_fill=dark,
        )  # fmt: skip

    def _paint(
        self,
        bounds: tuple[float, float, float, float],
        draw: Callable[[ImageDraw.ImageDraw, Callable[[Point], Point], int], None],
        color: Color,
        opacity: float,
    ) -> None:
        left, top = max(0, math.floor(bounds[0])), max(0, math.floor(bounds[1]))
        right, bottom = min(self.width, math.ceil(bounds[2])), min(self.height, math.ceil(bounds[3]))
        if right <= left or bottom <= top:
            return
        pixels = (right - left) * (bottom - top)
        scale = _SMOOTHING if pixels * _SMOOTHING**2 <= self._smooth else 1
        if scale > 1:
            self._smooth -= pixels * _SMOOTHING**2
        elif pixels > self._left:
            return
        else:
            self._left -= pixels
        mask = Image.new("L", ((right - left) * scale, (bottom - top) * scale))
        # The centre of a pixel of the finer mask is half of it from its corner.
        draw(ImageDraw.Draw(mask), lambda p: ((p[0] - left) * scale - 0.5, (p[1] - top) * scale - 0.5), scale)
        mask = mask.reduce(scale) if scale > 1 else mask
        if opacity < 1:
            mask = mask.point([round(level * opacity) for level in range(256)])
        self.image.paste(color[0] if self.image.mode == "L" else color, (left, top), mask)

    def _dashed(self, runs: list[list[Point]], dash: float) -> list[list[Point]]:
        lengths = [math.dist(a, b) for run in runs for a, b in pairwise(run)]
        if sum(lengths) > _MAX_DASHED * (self.width + self.height):
            return runs
        return [piece for run in runs for piece in _dashes(run, dash, 0.8 * dash)]


def extent(text: str, size: int) -> tuple[float, float]:
    """Width and height of lines of text, their dark edge included."""
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    box = draw.multiline_textbbox((0, 0), text, font=font_for(text, size), stroke_width=_edge(size))
    return box[2], box[3]


def _edge(size: int) -> int:
    """Width of the dark edge around letters."""
    return max(1, size // 12)


def text_size(width: int, height: int) -> int:
    """Height in pixels of words that are read well on a picture of that size."""
    return max(10, min(72, min(width, height) // 34))


def clipped(path: Sequence[Point], box: tuple[float, float, float, float]) -> list[list[Point]]:
    """The runs of a path inside of left, top, right, bottom (Liang and Barsky): a line that goes far out of a
    picture costs no more than what is seen of it."""
    runs: list[list[Point]] = []
    for start, end in pairwise(path):
        piece = _inside(start, end, box)
        if piece is None:
            continue
        if runs and runs[-1][-1] == piece[0]:
            runs[-1].append(piece[1])
        else:
            runs.append([*piece])
    return runs


def _inside(a: Point, b: Point, box: tuple[float, float, float, float]) -> tuple[Point, Point] | None:
    dx, dy = b[0] - a[0], b[1] - a[1]
    if not (math.isfinite(dx) and math.isfinite(dy)):
        return None
    first, last = 0.0, 1.0
    edges = ((-dx, a[0] - box[0]), (dx, box[2] - a[0]), (-dy, a[1] - box[1]), (dy, box[3] - a[1]))
    for step, room in edges:
        if step == 0:
            if room < 0:
                return None
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
    if first > last:
        return None
    start = a if first == 0 else (a[0] + first * dx, a[1] + first * dy)
    end = b if last == 1 else (a[0] + last * dx, a[1] + last * dy)
    return start, end


def _dashes(run: list[Point], on: float, off: float) -> list[list[Point]]:
    dashes: list[list[Point]] = []
    is_on, left = True, on
    current = [run[0]]
    for start, end in pairwise(run):
        length, done = math.dist(start, end), 0.0
        while length - done > left:
            done += left
            share = done / length
            at = (start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]))
            if is_on:
                dashes.append([*current, at])
            current = [at]
            is_on, left = not is_on, off if is_on else on
        left -= length - done
        current.append(end)
    if is_on and len(current) > 1:
        dashes.append(current)
    return dashes


def _bounds(points: Sequence[Point], margin: float) -> tuple[float, float, float, float]:
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    reach = margin + 1
    return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach
