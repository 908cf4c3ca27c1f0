"""In which order slices become frames: stacks of one orientation, by position and time (PS3.3 C.7.6.16.2.2).

Slices of one orientation are a stack. In it each position along the normal has its In-Stack Position Number,
and what lies at one position has its Temporal Position Index, by Temporal Position Identifier, Instance
Number, time. Frames follow one another in the order of these three numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gantry.errors import DataSetError

SAME_POSITION_MM: Final = 1e-3
"""Positions nearer to one another than this are one: written decimals differ by less, slices by more."""

MAX_STACKS: Final = 1000
"""Orientations in one object: radial scans have some hundreds; each slice is compared with each of them."""

_SAME_DIRECTION: Final = 1e-3
_EVEN_SPACING: Final = 0.01

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Slice:
    """Where one slice lies: Image Position in mm, the directions of its rows and columns, and what orders it
    among those at the same position."""

    position: Vector
    rows: Vector
    columns: Vector
    moment: tuple[float | str, ...]

    @classmethod
    def of(
        cls, position: Sequence[float], orientation: Sequence[float], moment: tuple[float | str, ...]
    ) -> Slice:
        """From the values of the attributes. Raises DataSetError where they are no place."""
        if not all(map(math.isfinite, (*position, *orientation))):
            raise DataSetError("a position or orientation that is not finite", tag=0x00200032)
        if len(position) != 3:
            raise DataSetError("Image Position (Patient) is not three numbers", tag=0x00200032)
        if len(orientation) != 6:
            raise DataSetError("Image Orientation (Patient) is not six numbers", tag=0x00200037)
        rows, columns = _vector(orientation[:3]), _vector(orientation[3:])
        if not math.hypot(*_cross(rows, columns)) > 0.5:
            raise DataSetError("Image Orientation (Patient) is no plane", tag=0x00200037)
        return cls(_vector(position), rows, columns, moment)

    @property
    def along_normal_mm(self) -> float:
        """The position along the normal of the plane."""
        normal = _cross(self.rows, self.columns)
        return sum(p * n for p, n in zip(self.position, normal, strict=True)) / math.hypot(*normal)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a slice among others, from 1; `index` is that in the list that was given, from 0."""

    index: int
    stack: int
    time: int
    position: int


def ordered(slices: Sequence[Slice]) -> list[Place]:
    """The places of slices, in the order of the frames. Raises DataSetError for too many orientations."""
    found: list[Place] = []
    for number, stack in enumerate(_stacks(slices), start=1):
        stack.sort(key=lambda n: slices[n].along_normal_mm)
        position, last = 0, -math.inf
        here: list[list[int]] = []
        for n in stack:
            if slices[n].along_normal_mm - last > SAME_POSITION_MM:
                here.append([])
                last = slices[n].along_normal_mm
            here[-1].append(n)
        for position, together in enumerate(here, start=1):
            together.sort(key=lambda n: slices[n].moment)
            found += [Place(n, number, time, position) for time, n in enumerate(together, start=1)]
    return found


def organization(slices: Sequence[Slice], places: Sequence[Place]) -> str:
    """Dimension Organization Type: 3D for one volume of even spacing, 3D_TEMPORAL for several at the same
    positions, empty for anything else (PS3.3 C.7.6.17.3)."""
    if len({place.stack for place in places}) != 1:
        return ""
    volumes = [[p for p in places if p.time == time] for time in sorted({p.time for p in places})]
    if len({len(volume) for volume in volumes}) != 1 or len(volumes[0]) < 2:
        return ""
    if not all(_is_even([slices[place.index].position for place in volume]) for volume in volumes):
        return ""
    return "3D" if len(volumes) == 1 else "3D_TEMPORAL"


def _stacks(slices: Sequence[Slice]) -> list[list[int]]:
    """Slices of one orientation each, in the order in which they are first met."""
    stacks: list[list[int]] = []
    for n, one in enumerate(slices):
        for stack in stacks:
            if _is_same_direction(slices[stack[0]], one):
                stack.append(n)
                break
        else:
            if len(stacks) == MAX_STACKS:
                raise DataSetError(f"slices of more than {MAX_STACKS} orientations", tag=0x00200037)
            stacks.append([n])
    return stacks


def _is_same_direction(one: Slice, other: Slice) -> bool:
    pairs = zip((*one.rows, *one.columns), (*other.rows, *other.columns), strict=True)
    return all(abs(a - b) <= _SAME_DIRECTION for a, b in pairs)


def _is_even(positions: Sequence[Vector]) -> bool:
    steps = [tuple(b - a for a, b in zip(one, other, strict=True)) for one, other in pairwise(positions)]
    length = math.hypot(*steps[0])
    return all(math.dist(step, steps[0]) <= _EVEN_SPACING * length for step in steps)


def _vector(numbers: Sequence[float]) -> Vector:
    return numbers[0], numbers[1], numbers[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]
