"""Frames to volumes: which frames belong together, in which order, and the affine that places them.

The convention is the one that NIfTI programs expect of a DICOM series: the first axis runs along the columns
(to the next column), the second *against* the rows (so that it begins with the last row), the third along the
normal of the frames, the fourth is time. The affine leads from voxel indexes to RAS millimetres: DICOM's LPS
with x and y negated. Its determinant is always negative, whatever the orientation, and no voxel is resampled.

Slices must lie on a line at equal distances, or no affine is true; where they do not, `Uneven` says which.
A line that is not perpendicular to the frames, as a tilted gantry makes it, is an affine with a shear:
exact, and noted, since not every program reads one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.volume.frames import Frame
from gantry.volume.plane import LEAST_MM, MOST_MM, Plane, Vector, dot, length, minus

SAME_PLACE_MM = 0.002
"""Frames nearer to each other than this are at the same place: positions have three decimals, or more."""

EVEN_SHARE = 0.05
"""How far, as a share of the distance between slices, a slice may be from where the affine puts it. Positions
are often rounded to a tenth of a millimetre."""

LEAST_TILT_DEGREES = 0.1
"""A smaller tilt is rounding."""


class UnevenSlices(DataSetError):
    """The frames do not lie at equal distances: gaps, places that come twice, or a set that is incomplete."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames of one volume, `frames[time][slice]`; all times have the same slices.

    `step_mm` leads from one slice to the next. `notes` are words for the person on what is unusual. Images
    that have no place in the patient are stacked at the origin, not `in_patient`.
    """

    frames: tuple[tuple[Frame, ...], ...]
    step_mm: Vector
    notes: tuple[str, ...] = ()
    in_patient: bool = True

    @property
    def first(self) -> Frame:
        """The first slice."""
        return self.frames[0][0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Columns, rows, slices, times."""
        rows, columns = self.first.kind.size
        return columns, rows, len(self.frames[0]), len(self.frames)

    @property
    def tilt_degrees(self) -> float:
        """The angle between the line of slices and the normal of the frames."""
        plane = self.first.plane
        size = length(self.step_mm)
        if plane is None or not size:
            return 0.0
        return math.degrees(math.acos(min(1.0, abs(dot(self.step_mm, plane.normal)) / size)))

    def affine(self) -> NDArray[np.float64]:
        """Voxel indexes to RAS mm, 4 by 4; see the module's theory for the axes."""
        return affine_of(self.first.plane or _NOWHERE, self.first.kind.size[0], self.step_mm)


_NOWHERE = Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 1.0))


def affine_of(plane: Plane, rows: int, step_mm: Vector) -> NDArray[np.float64]:
    """The affine of a stack that begins with `plane`, of frames with so many rows."""
    lps = np.eye(4)
    between_rows, between_columns = plane.spacing_mm
    lps[:3, 0] = np.multiply(plane.row, between_columns)
    lps[:3, 1] = np.multiply(plane.column, -between_rows)
    lps[:3, 2] = step_mm
    lps[:3, 3] = plane.at_pixel(rows - 1, 0).position_mm
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def stacks(frames: Iterable[Frame], *, uneven: bool = False) -> tuple[list[Stack], list[UnevenSlices]]:
    """The volumes in these frames, in the order of their first frames, and why others are none.

    With `uneven` slices at unequal distances are stacked all the same, with the mean distance and a note.
    """
    made: list[Stack] = []
    failed: list[UnevenSlices] = []
    for group in _alike(frames):
        try:
            made.append(_stack(group, uneven))
        except UnevenSlices as error:
            failed.append(error)
    return made, failed


def _alike(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Frames of one kind, parallel to each other."""
    groups: dict[object, list[list[Frame]]] = {}
    ordered: list[list[Frame]] = []
    for frame in frames:
        kind = frame.kind
        # Objects without a place differ in nothing else that would keep them apart, such as single pictures.
        of_kind = groups.setdefault((kind, frame.plane is None), [])
        for group in of_kind:
            if _parallel(group[0].plane, frame.plane):
                group.append(frame)
                break
        else:
            of_kind.append([frame])
            ordered.append(of_kind[-1])
    return ordered


def _parallel(one: Plane | None, other: Plane | None) -> bool:
    return one is None or other is None or one.is_parallel(other)


def _stack(frames: list[Frame], uneven: bool) -> Stack:
    if frames[0].plane is None:
        return _without_place(frames)
    places = _places(frames)
    counts = {len(place) for place in places}
    if len(counts) > 1:
        raise UnevenSlices(_of_unequal_counts(places))
    slices = [place[0] for place in places]
    step, notes = _step(slices, uneven)
    times = tuple(tuple(place[n] for place in places) for n in range(counts.pop()))
    stack = Stack(times, step, tuple(notes))
    if stack.tilt_degrees > LEAST_TILT_DEGREES:
        words = (
            f"the slices are tilted by {stack.tilt_degrees:.2f} degrees against their line: the affine has a "
            "shear, and programs that read no shear will show them displaced"
        )
        stack = replace(stack, notes=(*stack.notes, words))
    return stack


def _without_place(frames: list[Frame]) -> Stack:
    """Frames that say nothing of the patient: one after the other, as numbers only."""
    ordered = sorted(frames, key=lambda frame: frame.order)
    words = "the images do not say where in the patient they are; the affine is of voxels, not of the patient"
    spacing = ordered[0].kind.spacing_mm
    is_believed = all(LEAST_MM <= size <= MOST_MM for size in spacing)
    plane = replace(_NOWHERE, spacing_mm=spacing if is_believed else (1.0, 1.0))
    placed = tuple(replace(frame, plane=plane) for frame in ordered)
    return Stack((placed,), (0.0, 0.0, ordered[0].step_mm or 1.0), (words,), in_patient=False)


def _depth(frame: Frame, normal: Vector) -> float:
    assert frame.plane is not None
    return dot(frame.plane.position_mm, normal)


def _places(frames: list[Frame]) -> list[list[Frame]]:
    """Frames by where they are, along the normal, and those of one place in their order in time."""
    first = frames[0].plane
    assert first is not None
    normal = first.normal
    ordered = sorted(frames, key=lambda frame: _depth(frame, normal))
    places: list[list[Frame]] = []
    for frame in ordered:
        if places and _depth(frame, normal) - _depth(places[-1][0], normal) < SAME_PLACE_MM:
            places[-1].append(frame)
        else:
            places.append([frame])
    for place in places:
        place.sort(key=lambda frame: frame.order)
        if _spread(place) > place[0].kind.spacing_mm[0] / 2:
            raise UnevenSlices("frames lie beside each other in one plane: they are no stack of slices")
    return places


def _spread(place: list[Frame]) -> float:
    first = place[0].plane
    assert first is not None
    return max(
        length(minus(frame.plane.position_mm, first.position_mm))
        for frame in place
        if frame.plane is not None
    )


def _of_unequal_counts(places: list[list[Frame]]) -> str:
    counts = sorted(len(place) for place in places)
    told = ", ".join(f"{len(list(same))} with {count}" for count, same in groupby(counts))
    return (
        f"{len(places)} slice positions do not all have the same number of frames ({told}): "
        "frames are missing, or come twice"
    )


def _step(slices: list[Frame], uneven: bool) -> tuple[Vector, list[str]]:
    """From one slice to the next; and what is to be said of it."""
    planes = [frame.plane for frame in slices if frame.plane is not None]
    if len(planes) == 1:
        normal = planes[0].normal
        size = slices[0].step_mm or 1.0
        return (normal[0] * size, normal[1] * size, normal[2] * size), []
    first, last = planes[0].position_mm, planes[-1].position_mm
    count = len(planes) - 1
    whole = minus(last, first)
    step = (whole[0] / count, whole[1] / count, whole[2] / count)
    off = [
        length(
            minus(plane.position_mm, (first[0] + n * step[0], first[1] + n * step[1], first[2] + n * step[2]))
        )
        for n, plane in enumerate(planes)
    ]
    if max(off) <= max(EVEN_SHARE * length(step), SAME_PLACE_MM):
        return step, []
    words = _of_distances(planes)
    if not uneven:
        raise UnevenSlices(words)
    return step, [f"{words}; written with the mean distance, so that places in it are not true"]


def _of_distances(planes: Sequence[Plane]) -> str:
    gaps = [length(minus(b.position_mm, a.position_mm)) for a, b in pairwise(planes)]
    usual = sorted(gaps)[len(gaps) // 2]
    worst = max(range(len(gaps)), key=lambda n: abs(gaps[n] - usual))
    missing = round(gaps[worst] / usual) - 1 if usual else 0
    words = (
        f"{len(planes)} slices are not at equal distances: {gaps[worst]:.4g} mm between slice {worst + 1} "
        f"and {worst + 2}, where {usual:.4g} mm are usual"
    )
    if missing > 0 and abs(gaps[worst] - (missing + 1) * usual) < EVEN_SHARE * usual:
        words += f"; {missing} slice{'s' if missing > 1 else ''} may be missing there"
    return words
