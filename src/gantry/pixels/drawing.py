"""Smooth lines, areas and words on a picture, clipped to it and bounded in what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gantry.pixels.lettering import font_for
from gantry.pixels.presentation import Color, Point

Picture = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Run = list[Point]

_SMOOTHING = 4
"""Each pixel of a smooth line is this many by this many while it is drawn."""

_TILE = 64
"""A smooth line is drawn in squares of so many pixels, those that it goes through."""

_SMOOTH_TILES = 12_000
"""Squares of all smooth lines on one picture, two seconds; further lines have steps."""

_PLAIN_PIXELS = 1_000_000_000
"""Pixels of all areas, words and lines with steps, some seconds; what comes then is not drawn."""

_WORDS_COST = 8
"""How much more a pixel of words costs than one of an area, for the sake of their edge."""

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
        self._tiles, self._pixels = _SMOOTH_TILES, _PLAIN_PIXELS

    def picture(self) -> Picture:
        return np.asarray(self.image)

    def stroke(
        self, path: Sequence[Point], width: float, color: Color, opacity: float = 1.0, *, dash: float = 0.0
    ) -> None:
        """A line through points, in pixels of the picture from its corner; `dash` is the length of a dash."""
        runs = clipped(path, (-width, -width, self.width + width, self.height + width))
        length = sum(math.dist(a, b) for run in runs for a, b in pairwise(run))
        if dash and length <= _MAX_DASHED * (self.width + self.height):
            runs = [piece for run in runs for piece in _dashes(run, dash, 0.8 * dash)]
        if not runs:
            return
        # A line goes through about so many squares, or fewer: it may turn in one, or touch four at a corner.
        squares = 2 * (length / _TILE + sum(map(len, runs)))
        if squares <= self._tiles:
            self._stroke_smoothly(runs, width, color, opacity)
        else:
            self._stroke_plainly(runs, length, width, color, opacity)

    def area(self, path: Sequence[Point], color: Color, opacity: float = 1.0) -> None:
        """What points surround; the last is joined to the first."""
        points = [(_near(x), _near(y)) for x, y in path]
        if len(points) < 3:
            return
        box = self._inside(_bounds(points, 1))
        if box is not None and self._may_cost((box[2] - box[0]) * (box[3] - box[1])):
            mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
            placed = [(x - box[0] - 0.5, y - box[1] - 0.5) for x, y in points]
            ImageDraw.Draw(mask).polygon(placed, fill=255)
            self._paste(mask, box, color, opacity)

    def dot(self, center: Point, radius: float, color: Color, opacity: float = 1.0) -> None:
        """A round dot."""
        box = self._inside(_bounds([center], radius)) if math.isfinite(sum(center)) else None
        if box is not None:
            mask = Image.new("L", ((box[2] - box[0]) * _SMOOTHING, (box[3] - box[1]) * _SMOOTHING))
            (x, y), reach = _finer(center, box), radius * _SMOOTHING
            ImageDraw.Draw(mask).ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
            self._paste(mask.reduce(_SMOOTHING), box, color, opacity)

    def words(self, position: Point, text: str, size: int, color: Color, align: str = "left") -> None:
        """Lines of text from their top left, with a dark edge that shows them on white."""
        width, height = extent(text, size)
        if not self._may_cost(_WORDS_COST * width * height):
            return
        is_gray = self.image.mode == "L"
        level = 0 if max(color) > 127 else 255
        dark = level if is_gray else (level, level, level)
        ImageDraw.Draw(self.image).multiline_text(
            position, text, fill=color[0] if is_gray else color, font=font_for(text, size), align=align,
            stroke_width=_edge(size), stroke_fill=dark,
        )  # fmt: skip

    def _stroke_smoothly(self, runs: list[Run], width: float, color: Color, opacity: float) -> None:
        tiles = _tiled([_divided(run) for run in runs], width)
        self._tiles -= len(tiles)
        thick = max(1, round(width * _SMOOTHING))
        for (column, row), pieces in tiles.items():
            corner = column * _TILE, row * _TILE
            box = self._inside((*corner, corner[0] + _TILE, corner[1] + _TILE))
            if box is None:
                continue
            mask = Image.new("L", ((box[2] - box[0]) * _SMOOTHING, (box[3] - box[1]) * _SMOOTHING))
            draw = ImageDraw.Draw(mask)
            for piece in pieces:
                placed = [_finer(point, box) for point in piece]
                draw.line(placed, fill=255, width=thick, joint="curve")
            self._paste(mask.reduce(_SMOOTHING), box, color, opacity)

    def _stroke_plainly(
        self, runs: list[Run], length: float, width: float, color: Color, opacity: float
    ) -> None:
        box = self._inside(_bounds([point for run in runs for point in run], width))
        if box is None:
            return
        if not self._may_cost(length * (width + 2) + (box[2] - box[0]) * (box[3] - box[1])):
            return
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        draw = ImageDraw.Draw(mask)
        for run in runs:
            placed = [(x - box[0] - 0.5, y - box[1] - 0.5) for x, y in run]
            draw.line(placed, fill=255, width=max(1, round(width)))
        self._paste(mask, box, color, opacity)

    def _paste(self, mask: Image.Image, box: tuple[int, int, int, int], color: Color, opacity: float) -> None:
        if opacity < 1:
            mask = mask.point([round(level * opacity) for level in range(256)])
        self.image.paste(color[0] if self.image.mode == "L" else color, box, mask)

    def _inside(self, bounds: Box) -> tuple[int, int, int, int] | None:
        """The part of a box that is in the picture, in whole pixels."""
        left, top = (max(0, math.floor(_near(edge))) for edge in bounds[:2])
        right, bottom = math.ceil(_near(bounds[2])), math.ceil(_near(bounds[3]))
        box = left, top, min(self.width, right), min(self.height, bottom)
        return box if box[2] > left and box[3] > top else None

    def _may_cost(self, pixels: float) -> bool:
        """Whether there is room for so many more, which are then taken."""
        if pixels > self._pixels:
            return False
        self._pixels -= int(pixels)
        return True


def _near(part: float) -> float:
    return min(max(part, -_FARTHEST), _FARTHEST)


def _finer(point: Point, box: tuple[int, int, int, int]) -> Point:
    """A point in the finer mask of a box: the centre of a pixel of that is half of it from its corner."""
    return (point[0] - box[0]) * _SMOOTHING - 0.5, (point[1] - box[1]) * _SMOOTHING - 0.5


def _divided(run: Run) -> Run:
    """The run with points at most a square apart."""
    out = [run[0]]
    for start, end in pairwise(run):
        steps = math.ceil(math.dist(start, end) / _TILE) or 1
        for step in range(1, steps):
            share = step / steps
            out.append((start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
        out.append(end)
    return out


def _tiled(runs: list[Run], width: float) -> dict[tuple[int, int], list[Run]]:
    """For each square, by column and row, the pieces of runs that go through it or near it."""
    tiles: dict[tuple[int, int], list[Run]] = {}
    reach = width / 2 + 2
    for run in runs:
        for start, end in pairwise(run):
            columns, rows = (
                range(int((min(a, b) - reach) // _TILE), int((max(a, b) + reach) // _TILE) + 1)
                for a, b in zip(start, end, strict=True)
            )
            for key in ((column, row) for column in columns for row in rows):
                pieces = tiles.setdefault(key, [])
                if pieces and pieces[-1][-1] is start:
                    pieces[-1].append(end)
                else:
                    pieces.append([start, end])
    return tiles


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


def clipped(path: Sequence[Point], box: Box) -> list[list[Point]]:
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


def _inside(a: Point, b: Point, box: Box) -> tuple[Point, Point] | None:
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


def _bounds(points: Sequence[Point], margin: float) -> Box:
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    reach = margin + 1
    return min(xs) - reach, min(ys) - reach, max(xs) + reach, max(ys) + reach
