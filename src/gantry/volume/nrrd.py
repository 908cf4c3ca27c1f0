"""The header of a NRRD file (format version 4, Teem): lines of text, an empty line, then the voxels.

Axes run as DICOM has them, columns, rows, slices, in DICOM's own coordinates (LPS), so that nothing is
flipped.
"""

from __future__ import annotations

import numpy as np

from gantry.volume.plane import Plane, Vector

_TYPES = {
    "u1": "uint8", "i1": "int8", "u2": "uint16", "i2": "int16", "u4": "uint32", "i4": "int32",
    "u8": "uint64", "i8": "int64", "f4": "float", "f8": "double",
}  # fmt: skip


def nrrd_header(
    shape: tuple[int, int, int, int],
    dtype: np.dtype[np.generic],
    plane: Plane,
    step_mm: Vector,
    *,
    samples: int = 1,
    is_gzipped: bool = True,
) -> bytes:
    """The header of a volume of (columns, rows, slices, times); a single time is no axis."""
    sizes, directions, kinds = [*shape[:3]], [], ["domain"] * 3
    between_rows, between_columns = plane.spacing_mm
    for vector, factor in ((plane.row, between_columns), (plane.column, between_rows), (step_mm, 1.0)):
        directions.append(_vector(tuple(value * factor for value in vector)))
    if samples > 1:
        sizes.insert(0, samples)
        directions.insert(0, "none")
        kinds.insert(0, "RGB-color")
    if shape[3] > 1:
        sizes.append(shape[3])
        directions.append("none")
        kinds.append("list")
    lines = [
        "NRRD0004",
        "# Written by Gantry",
        f"type: {_TYPES[dtype.str[1:]]}",
        f"dimension: {len(sizes)}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(kinds)}",
        "endian: little",
        f"encoding: {'gzip' if is_gzipped else 'raw'}",
        f"space origin: {_vector(plane.position_mm)}",
    ]
    return ("\n".join(lines) + "\n\n").encode("ascii")


def _vector(values: tuple[float, ...]) -> str:
    return f"({','.join(repr(float(value)) for value in values)})"
