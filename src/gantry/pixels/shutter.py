"""Display shutters: what lies outside of them is covered (PS3.3 C.7.6.11 and C.7.6.15)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet
from gantry.pixels.cielab import cielab_to_rgb

_SHAPE, _VALUE, _COLOR, _GROUP = 0x00181600, 0x00181622, 0x00181624, 0x00181623
_EDGES = (0x00181602, 0x00181604, 0x00181606, 0x00181608)  # left, right, upper, lower
_CENTER, _RADIUS, _VERTICES = 0x00181610, 0x00181612, 0x00181620

MAX_VERTICES = 10_000
"""Corners of a polygon: far more than a hand draws."""

_FARTHEST = 1_000_000
"""Images have at most 65,535 rows and columns."""


@dataclass(frozen=True, slots=True)
class Shutter:
    """Shapes of which all must let a pixel through; rows and columns count from 1.

    `edges`: left, right, upper, lower. `circle`: row, column, radius in pixels. `vertices`: row and column of
    each corner. What lies on an edge is not outside of the shape, and so is seen (PS3.3 C.7.6.11).
    `overlay_group`: the plane whose set bits cover.
    """

    edges: tuple[int, int, int, int] | None = None
    circle: tuple[int, int, int] | None = None
    vertices: tuple[tuple[int, int], ...] = ()
    overlay_group: int | None = None
    color: tuple[int, int, int] = (0, 0, 0)

    def covered(self, rows: int, columns: int, pixel_aspect: tuple[float, float]) -> NDArray[np.bool_]:
        """Which pixels the shapes cover; the bitmap is not among them."""
        out = np.zeros((rows, columns), np.bool_)
        row = np.arange(1, rows + 1)[:, None]
        column = np.arange(1, columns + 1)[None, :]
        if self.edges is not None:
            left, right, upper, lower = self.edges
            out |= (column < left) | (column > right) | (row < upper) | (row > lower)
        if self.circle is not None:
            y, x, radius = self.circle
            tall = pixel_aspect[0] / pixel_aspect[1]  # the radius counts columns (C.7.6.11)
            reach = radius**2 - ((row - float(y)) * tall) ** 2
            out |= np.abs(column - x) > np.sqrt(np.maximum(reach, 0.0))
            out |= reach < 0
        if len(self.vertices) >= 3:
            from PIL import Image, ImageDraw  # not in a process that reads headers only

            image = Image.new("1", (columns, rows), 1)
            corners = [(x - 1, y - 1) for y, x in self.vertices]
            ImageDraw.Draw(image).polygon(corners, fill=0, outline=0)
            out |= np.asarray(image)
        return out


def _places(ds: DataSet, tag: int) -> list[int]:
    """Rows and columns; one far outside of any image is brought nearer, where it means the same."""
    return [min(max(value, -_FARTHEST), _FARTHEST) for value in ds.ints(tag)]


def read_shutter(ds: DataSet) -> Shutter | None:
    """The shutter of a Data Set or Item; None where it has none of a known shape."""
    shapes = {shape.upper() for shape in ds.texts(_SHAPE)}
    edges = [value for tag in _EDGES for value in _places(ds, tag)[:1]]
    center, radius, corners = (_places(ds, tag) for tag in (_CENTER, _RADIUS, _VERTICES))
    if len(corners) % 2 or len(corners) > 2 * MAX_VERTICES:
        corners = []
    group = ds.ints(_GROUP)
    shutter = Shutter(
        (edges[0], edges[1], edges[2], edges[3]) if "RECTANGULAR" in shapes and len(edges) == 4 else None,
        (center[0], center[1], radius[0]) if "CIRCULAR" in shapes and len(center) == 2 and radius else None,
        tuple(zip(corners[::2], corners[1::2], strict=False)) if "POLYGONAL" in shapes else (),
        group[0] if "BITMAP" in shapes and group else None,
        shutter_color(ds),
    )
    empty = shutter.edges is None and shutter.circle is None and len(shutter.vertices) < 3
    return None if empty and shutter.overlay_group is None else shutter


def shutter_color(ds: DataSet) -> tuple[int, int, int]:
    """What covers: the colour, else the gray; black where neither is told."""
    lab = ds.ints(_COLOR)
    if len(lab) == 3:
        return cielab_to_rgb((lab[0], lab[1], lab[2]))
    value = ds.ints(_VALUE)
    gray = min(255, round((value[0] if value else 0) * 255 / 65535))
    return gray, gray, gray
