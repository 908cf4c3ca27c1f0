"""Where one frame lies in the patient (PS3.3 C.7.6.2.1.1).

Vectors are in the patient's coordinate system: x grows to the left, y to the back, z to the head (LPS), in
mm. They are plain tuples, because a few hundred of them are made for each series and none of them is large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Vector = tuple[float, float, float]

_LEAST_LENGTH = 0.9
"""Direction cosines shorter than this are no unit vectors that were rounded, but wrong."""

LEAST_MM, MOST_MM = 1e-6, 1e6
"""Distances between pixels and slices that are believed: an atom to a kilometre."""

_MOST_POSITION_MM = 1e9

_MOST_SLANT = 0.02
"""Cosine of the angle between rows and columns: they are perpendicular, rounding apart."""


def dot(one: Vector, other: Vector) -> float:
    """The scalar product."""
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def cross(one: Vector, other: Vector) -> Vector:
    """The vector product."""
    return (
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    )


def minus(one: Vector, other: Vector) -> Vector:
    """The difference."""
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def moved(start: Vector, direction: Vector, distance: float) -> Vector:
    """The point that far from `start`."""
    return (
        start[0] + direction[0] * distance,
        start[1] + direction[1] * distance,
        start[2] + direction[2] * distance,
    )


def length(vector: Vector) -> float:
    """The Euclidean length."""
    return math.sqrt(dot(vector, vector))


@dataclass(frozen=True, slots=True)
class Plane:
    """The plane of one frame.

    `position_mm` is the centre of the first pixel; `row` points along a row, to the next column, and `column`
    along a column, to the next row; both have length 1. `spacing_mm` is the distance between rows and the
    distance between columns, in the order of Pixel Spacing.
    """

    position_mm: Vector
    row: Vector
    column: Vector
    spacing_mm: tuple[float, float]

    @property
    def normal(self) -> Vector:
        """Perpendicular to the frame, so that row, column and normal are right-handed."""
        return cross(self.row, self.column)

    def is_parallel(self, other: Plane, tolerance: float = 1e-4) -> bool:
        """Whether rows and columns of both point the same way; the tolerance is 1 minus the cosine."""
        return dot(self.row, other.row) > 1 - tolerance and dot(self.column, other.column) > 1 - tolerance

    def at_pixel(self, row: float, column: float) -> Plane:
        """The same plane, begun at another pixel: for a tile of a mosaic."""
        start = moved(self.position_mm, self.row, column * self.spacing_mm[1])
        start = moved(start, self.column, row * self.spacing_mm[0])
        return Plane(start, self.row, self.column, self.spacing_mm)


def plane_from(position: list[float], orientation: list[float], spacing: list[float]) -> Plane | None:
    """The plane that the values of the three attributes describe; None where they describe none."""
    if len(position) != 3 or len(orientation) != 6 or len(spacing) != 2:
        return None
    values = (*position, *orientation, *spacing)
    if not all(map(math.isfinite, values)) or max(map(abs, position)) > _MOST_POSITION_MM:
        return None
    if min(spacing) < LEAST_MM or max(spacing) > MOST_MM:
        return None
    row = (orientation[0], orientation[1], orientation[2])
    column = (orientation[3], orientation[4], orientation[5])
    row_length, column_length = length(row), length(column)
    if min(row_length, column_length) < _LEAST_LENGTH or max(row_length, column_length) > 2 - _LEAST_LENGTH:
        return None
    if abs(dot(row, column)) > _MOST_SLANT:
        return None
    return Plane(
        (position[0], position[1], position[2]),
        _scaled(row, 1 / row_length),
        _scaled(column, 1 / column_length),
        (spacing[0], spacing[1]),
    )


def _scaled(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor
