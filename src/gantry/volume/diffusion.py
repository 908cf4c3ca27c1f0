"""How strongly and in which direction a frame is weighted by diffusion: b-values and b-vectors.

The standard says it in the MR Diffusion macro (PS3.3 C.8.13.5.9). Before it did, each vendor had private
attributes; those that hold directions in the patient's coordinates are read here. GE writes directions along
its gradient axes, which turn with the choice of phase encoding; of GE only the b-value is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gantry.dataset.scan import DataSet
from gantry.volume.plane import Plane, Vector, dot, length
from gantry.volume.private import private_tag

_B_VALUE = 0x00189087
_DIRECTIONALITY = 0x00189075
_GRADIENT_SEQUENCE = 0x00189076
_GRADIENT_ORIENTATION = 0x00189089

_SIEMENS = "SIEMENS MR HEADER"
_PHILIPS_IMAGING = "Philips Imaging DD 001"
_PHILIPS_MR = "Philips MR Imaging DD 001"
_GE = "GEMS_PARM_01"
_UIH = "Image Private Header"

_GE_FLAG = 1_000_000_000
"""GE adds this to b-values of some sequences."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """`b_value` in s/mm²; `gradient` is a unit vector in LPS, None where there is no single direction."""

    b_value: float
    gradient: Vector | None


Find = Callable[[int, int], DataSet | None]
"""Called with macro and attribute; answers the Data Set or Item that holds the attribute, None without it."""


def diffusion_of(ds: DataSet, find: Find) -> Diffusion | None:
    """What a frame says of its diffusion weighting; None where it says nothing."""
    holder = find(0x00189117, _B_VALUE)
    if holder is not None:
        values = holder.floats(_B_VALUE)
        if values and math.isfinite(values[0]):
            return Diffusion(values[0], _standard_gradient(holder))
    for read in (_siemens, _philips, _uih, _ge):
        found = read(ds)
        if found is not None:
            return found
    return None


def _standard_gradient(holder: DataSet) -> Vector | None:
    if (holder.text(_DIRECTIONALITY) or "DIRECTIONAL") not in ("DIRECTIONAL", "BMATRIX"):
        return None
    for item in holder.items(_GRADIENT_SEQUENCE):
        return _unit(item.floats(_GRADIENT_ORIENTATION))
    return _unit(holder.floats(_GRADIENT_ORIENTATION))


def _unit(values: list[float]) -> Vector | None:
    if len(values) != 3 or not all(map(math.isfinite, values)):
        return None
    size = length((values[0], values[1], values[2]))
    if size < 1e-6:
        return None
    return values[0] / size, values[1] / size, values[2] / size


def _private(ds: DataSet, group: int, creator: str, element: int) -> list[float]:
    tag = private_tag(ds, group, creator, element)
    return ds.floats(tag) if tag is not None else []


def _siemens(ds: DataSet) -> Diffusion | None:
    values = _private(ds, 0x0019, _SIEMENS, 0x0C)
    return Diffusion(values[0], _unit(_private(ds, 0x0019, _SIEMENS, 0x0E))) if values else None


def _philips(ds: DataSet) -> Diffusion | None:
    values = _private(ds, 0x2001, _PHILIPS_IMAGING, 0x03)
    if not values or not math.isfinite(values[0]) or values[0] < 0:
        return None
    axes = [_private(ds, 0x2005, _PHILIPS_MR, element)[:1] for element in (0xB0, 0xB1, 0xB2)]
    return Diffusion(values[0], _unit([value for axis in axes for value in axis]))


def _uih(ds: DataSet) -> Diffusion | None:
    values = _private(ds, 0x0065, _UIH, 0x09)
    return Diffusion(values[0], _unit(_private(ds, 0x0065, _UIH, 0x37))) if values else None


def _ge(ds: DataSet) -> Diffusion | None:
    values = _private(ds, 0x0043, _GE, 0x39)
    return Diffusion(values[0] % _GE_FLAG, None) if values and values[0] >= 0 else None


def along_voxels(gradient: Vector | None, plane: Plane) -> Vector:
    """A gradient along the axes of a volume as `stack` lays it: columns, rows from the last, slices.

    These are FSL's axes for a volume whose affine has a negative determinant, which ours always has; a zero
    vector stands for no direction.
    """
    if gradient is None:
        return 0.0, 0.0, 0.0
    return dot(gradient, plane.row), -dot(gradient, plane.column), dot(gradient, plane.normal)
