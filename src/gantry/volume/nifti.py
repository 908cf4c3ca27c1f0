"""The header of a NIfTI-1 file (nifti1.h of the NIfTI-1.1 standard, 2005): 348 bytes, then four that say that
nothing follows, then the voxels.

Written here, because it is one record of fixed size: importing nibabel takes as long as dcm2niix needs for a
whole series. The tests read everything with nibabel.
"""

from __future__ import annotations

import math
from struct import Struct

import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError

HEADER_BYTES = 352

_HEADER = Struct("<i10s18sihcB8hfffhhhh8ffffhBBffffii80s24shh6f4f4f4f16s4s")
_CODES = {
    "u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280,
}  # fmt: skip
_RGB24 = 128
_MM_AND_SECONDS = 2 | 8
_SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_MOST_FLOAT = 3.4e38  # fields are 32-bit floating point
_MOST_VOXELS = 32767  # dim is a signed 16-bit number

_SHEAR = 1e-3
"""Cosine between axes from which on a rotation, all that a qform holds, no longer tells the truth."""


def nifti_header(
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
    affine: NDArray[np.float64],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    repetition_s: float = 0.0,
    description: str = "",
    is_rgb: bool = False,
    in_patient: bool = True,
) -> bytes:
    """Header and empty extension of a file with voxels of `shape`, first axis fastest.

    `affine` leads from voxel indexes to RAS mm. Without `in_patient` both transformations are marked as
    unknown. Raises DataSetError for a size that NIfTI-1 cannot say.
    """
    if max(shape) > _MOST_VOXELS:
        raise DataSetError(f"NIfTI-1 holds at most {_MOST_VOXELS} voxels along an axis, not {max(shape)}")
    dims = [len(shape), *shape, *[1] * (7 - len(shape))]
    quaternion, handed, is_sheared = _quaternion(affine)
    spacing = [float(np.linalg.norm(affine[:3, n])) for n in range(3)]
    pixdim = [handed, *spacing, repetition_s if len(shape) > 3 else 0.0, 0.0, 0.0, 0.0]
    code = _RGB24 if is_rgb else _CODES[dtype.str[1:]]
    bits = 24 if is_rgb else dtype.itemsize * 8
    offset = [float(value) for value in affine[:3, 3]]
    rows = [float(value) for value in affine[:3].ravel()]
    sform = _SCANNER if in_patient else 0
    if max(abs(slope), abs(intercept)) > _MOST_FLOAT:
        raise DataSetError(f"NIfTI-1 cannot say a slope of {slope:g} and an intercept of {intercept:g}")
    return (
        _HEADER.pack(
            348, b"", b"", 0, 0, b"r", 0,
            *dims,
            0.0, 0.0, 0.0, 0, code, bits, 0,
            *pixdim,
            float(HEADER_BYTES), slope, intercept, 0, 0, _MM_AND_SECONDS, 0.0, 0.0, 0.0, 0.0, 0, 0,
            description.encode("ascii", "replace")[:79], b"",
            0 if is_sheared else sform, sform,
            *quaternion, *offset, *rows, b"", b"n+1\0",
        )
        + bytes(4)
    )  # fmt: skip


def _quaternion(affine: NDArray[np.float64]) -> tuple[tuple[float, float, float], float, bool]:
    """(b, c, d), the sign of the third axis, and whether the axes are not perpendicular to each other."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    is_sheared = bool(np.abs(axes.T @ axes - np.eye(3)).max() > _SHEAR)
    handed = -1.0 if np.linalg.det(axes) < 0 else 1.0
    axes[:, 2] *= handed
    left, _, right = np.linalg.svd(axes)  # the nearest rotation
    r = left @ right
    a = math.sqrt(max(0.0, 1.0 + r[0, 0] + r[1, 1] + r[2, 2])) / 2
    if a > 0.01:
        b, c, d = (r[2, 1] - r[1, 2]) / (4 * a), (r[0, 2] - r[2, 0]) / (4 * a), (r[1, 0] - r[0, 1]) / (4 * a)
    else:
        # Half a turn, where the axis is found from the diagonal, its largest component first.
        squares = [max(0.0, (1 + 2 * r[n, n] - np.trace(r)) / 4) for n in range(3)]
        largest = int(np.argmax(squares))
        vector = [0.0, 0.0, 0.0]
        vector[largest] = math.sqrt(squares[largest])
        for n in range(3):
            if n != largest:
                vector[n] = (r[n, largest] + r[largest, n]) / (4 * vector[largest])
        # a is not negative by definition, so the sign of the vector follows from the antisymmetric part.
        sign = r[(largest + 2) % 3, (largest + 1) % 3] - r[(largest + 1) % 3, (largest + 2) % 3]
        b, c, d = (value if sign >= 0 else -value for value in vector)
    return (float(b), float(c), float(d)), handed, is_sheared
