"""The plane of a frame in the patient, and pictures brought from one plane to another (PS3.3 C.7.6.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.pixels.functional_groups import (
    PIXEL_MEASURES,
    PLANE_ORIENTATION,
    PLANE_POSITION,
    FunctionalGroups,
)

Picture = NDArray[np.uint8]
Vector = tuple[float, float, float]

_FRAME_OF_REFERENCE, _POSITION, _ORIENTATION = 0x00200052, 0x00200032, 0x00200037
_SPACING, _THICKNESS, _BETWEEN = 0x00280030, 0x00180050, 0x00180088

_PARALLEL = 0.999
"""Cosine between normals of planes that count as parallel: 2.5 degrees."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a frame lies: `position` is the centre of its first pixel in mm, `along_row` and
    `along_column` lead from a pixel to the next one in its row, and in its column."""

    frame_of_reference: str
    position: Vector
    along_row: Vector
    along_column: Vector
    thickness: float

    @property
    def normal(self) -> NDArray[np.float64]:
        """Of length one."""
        normal = np.cross(self.along_row, self.along_column)
        return np.asarray(normal / np.linalg.norm(normal))

    def distance(self, other: Plane) -> float:
        """How far, in mm, another plane is from this one; infinite where neither lies on the other."""
        same_space = self.frame_of_reference == other.frame_of_reference
        if not same_space or abs(float(self.normal @ other.normal)) < _PARALLEL:
            return math.inf
        return abs(float(self.normal @ np.subtract(other.position, self.position)))


def read_plane(ds: DataSet, frame: int, groups: FunctionalGroups | None = None) -> Plane | None:
    """The plane of a frame, from 1; None where its header does not say."""
    groups = groups or FunctionalGroups(ds)
    measures = groups.attributes(frame, PIXEL_MEASURES)
    position = groups.attributes(frame, PLANE_POSITION).floats(_POSITION)
    axes = groups.attributes(frame, PLANE_ORIENTATION).floats(_ORIENTATION)
    spacing = measures.floats(_SPACING)
    numbers = [*position, *axes, *spacing]
    if (len(position), len(axes), len(spacing)) != (3, 6, 2) or not all(map(math.isfinite, numbers)):
        return None
    thickness = next((value for tag in (_BETWEEN, _THICKNESS) for value in measures.floats(tag)), 1.0)
    along_row, along_column = (
        [part * step for part in axes[n : n + 3]] for n, step in ((0, spacing[1]), (3, spacing[0]))
    )
    if not np.linalg.norm(np.cross(along_row, along_column)) > 0:
        return None
    reference = ds.text(_FRAME_OF_REFERENCE) or ""
    return Plane(
        reference, _vector(position), _vector(along_row), _vector(along_column), abs(thickness) or 1.0
    )


def _vector(values: Sequence[float]) -> Vector:
    x, y, z = values
    return x, y, z


def nearest(plane: Plane, others: Sequence[Plane | None]) -> int | None:
    """The index of the plane that is nearest, if it is near enough to show the same slice."""
    distances = [math.inf if other is None else plane.distance(other) for other in others]
    best = min(range(len(others)), key=distances.__getitem__, default=None)
    if best is None or (found := others[best]) is None:
        return None
    reach = (plane.thickness + found.thickness) / 2  # slices that touch
    return best if distances[best] <= reach else None


def resampled(
    picture: Picture, source: Plane, target: Plane, shape: tuple[int, int]
) -> tuple[Picture, NDArray[np.bool_]]:
    """A picture of one plane as it lies in another of `shape` rows and columns, and where it covers that.

    Between pixels it is interpolated. Raises DataSetError for planes that are not parallel, or of other
    frames of reference.
    """
    if source.distance(target) == math.inf:
        raise DataSetError(
            "the two images do not lie in parallel planes of one space", tag=_FRAME_OF_REFERENCE
        )
    # A pixel of the target, column and row, in columns and rows of the source.
    axes = np.stack([source.along_row, source.along_column], axis=1)
    to_source = np.linalg.lstsq(
        axes,
        np.stack(
            [target.along_row, target.along_column, np.subtract(target.position, source.position)], axis=1
        ),
        rcond=None,
    )[0]
    (a, b, c), (d, e, f) = to_source
    # The library counts from the corner of a pixel, positions here are of centres.
    matrix = (a, b, c + 0.5 - 0.5 * (a + b), d, e, f + 0.5 - 0.5 * (d + e))
    size = (shape[1], shape[0])
    # Edges are repeated, so that the outermost half pixel has its colour; what lies beyond is not covered.
    from PIL import Image  # not in a process that reads headers only

    padded = Image.fromarray(np.pad(picture, ((1, 1), (1, 1), *((0, 0),) * (picture.ndim - 2)), "edge"))
    shifted = (a, b, matrix[2] + 1, d, e, matrix[5] + 1)
    moved = padded.transform(size, Image.Transform.AFFINE, shifted, Image.Resampling.BILINEAR)
    whole = Image.new("L", (picture.shape[1], picture.shape[0]), 255)
    covers = whole.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    return np.asarray(moved), np.asarray(covers) > 0
