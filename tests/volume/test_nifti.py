"""The header of a NIfTI-1 file, read by nibabel."""

from __future__ import annotations

import io
import math
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.errors import DataSetError
from gantry.volume.nifti import HEADER_BYTES, nifti_header
from volume.test_stack import rotation

angles = st.floats(-math.pi, math.pi)


def read(data: bytes) -> Any:
    return nibabel.Nifti1Image.from_bytes(data)


def test_every_field_that_is_written_is_read() -> None:
    affine = np.diag([-2.0, 3.0, 4.0, 1.0])
    voxels = np.arange(2 * 3 * 4 * 5, dtype="<i2")
    head = nifti_header((2, 3, 4, 5), voxels.dtype, affine, slope=2, intercept=-5, repetition_s=1.5)
    image = read(head + voxels.tobytes())
    assert len(head) == HEADER_BYTES
    assert image.shape == (2, 3, 4, 5)
    assert image.header.get_zooms() == (2, 3, 4, 1.5)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert (np.asarray(image.dataobj) == voxels.reshape((2, 3, 4, 5), order="F") * 2.0 - 5).all()
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)


@given(angles, angles, angles, st.booleans())
def test_both_transformations_say_the_same(a: float, b: float, c: float, flipped: bool) -> None:
    affine = np.eye(4)
    affine[:3, :3] = rotation(a, b, c) @ np.diag([0.5, 0.75, -2 if flipped else 2])
    affine[:3, 3] = (-100, 50, 7)
    header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(nifti_header((2, 2, 2), np.dtype("<f4"), affine)))
    assert np.allclose(header.get_sform(), affine, atol=1e-5)
    # A quaternion of floats leaves its first number to be found from the others: near half a turn that is rough.
    assert np.allclose(header.get_qform(), affine, atol=4e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_a_turn_about_each_axis(axis: int) -> None:
    turn = -np.eye(3)
    turn[axis, axis] = 1
    affine = np.eye(4)
    affine[:3, :3] = turn
    header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(nifti_header((2, 2, 2), np.dtype("u1"), affine)))
    assert np.allclose(header.get_qform(), affine)


def test_a_shear_is_in_the_one_that_can_say_it() -> None:
    affine = np.eye(4)
    affine[1, 2] = 0.3
    header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(nifti_header((2, 2, 2), np.dtype("u1"), affine)))
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 1)
    assert np.allclose(header.get_best_affine(), affine)


def test_what_is_not_in_the_patient_says_so() -> None:
    data = nifti_header((2, 2, 2), np.dtype("u1"), np.eye(4), in_patient=False)
    header = nibabel.Nifti1Header.from_fileobj(io.BytesIO(data))
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0)


def test_sizes_and_scales_that_it_cannot_say_are_refused() -> None:
    with pytest.raises(DataSetError, match="at most 32767 voxels"):
        nifti_header((40000, 1, 1), np.dtype("u1"), np.eye(4))
    with pytest.raises(DataSetError, match="cannot say a slope"):
        nifti_header((1, 1, 1), np.dtype("u1"), np.eye(4), slope=1e60)
