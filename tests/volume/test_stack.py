"""Frames to volumes: where each voxel is, which slices belong together, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.dataset.part10 import read_part10
from gantry.pixels.image import ImageHeader
from gantry.volume.frames import Frame, frames_of
from gantry.volume.stack import Stack, affine_of, stacks
from volume_values import AXIAL, numbered, places, series_of, slice_object


def frames(files: list[bytes]) -> list[Frame]:
    found = []
    for n, file in enumerate(files):
        _, ds = read_part10(file)
        header = ImageHeader.from_dataset(ds)
        found += frames_of(ds, header, header.number_of_frames, n)
    return found


def one(files: list[bytes], **options: Any) -> Stack:
    made, failed = stacks(frames(files), **options)
    assert not failed
    (stack,) = made
    return stack


def rotation(a: float, b: float, c: float) -> np.ndarray[Any, Any]:
    """Any rotation, of three angles."""
    ca, sa, cb, sb, cc, sc = (f(x) for x in (a, b, c) for f in (math.cos, math.sin))
    x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return np.asarray(x @ y @ z)


angles = st.floats(-math.pi, math.pi)


@given(angles, angles, angles, st.booleans())
def test_each_voxel_is_where_the_standard_puts_its_pixel(a: float, b: float, c: float, back: bool) -> None:
    axes = rotation(a, b, c)
    orientation = [*axes[:, 0], *axes[:, 1]]
    step = axes[:, 2] * (-2.5 if back else 2.5)
    volume = numbered(3, 4, 5)
    files, truth = [], {}
    for n, pixels in enumerate(volume):
        position = np.round(np.array([-10.0, 20.0, -30.0]) + n * step, 6)
        files.append(slice_object(pixels, n + 1, position, orientation))
        truth |= places(pixels, position, orientation, (0.5, 0.75))
    stack = one([files[1], files[2], files[0]])
    affine = stack.affine()
    assert np.linalg.det(affine[:3, :3]) < 0
    for k, frame in enumerate(stack.frames[0]):
        pixels = volume[[1, 2, 0][frame.instance]][
            ::-1
        ]  # the second axis of the volume begins at the last row
        for j, i in np.ndindex(pixels.shape):
            ras = affine @ (i, j, k, 1)
            assert np.allclose(ras[:3] * (-1, -1, 1), truth[int(pixels[j, i])], atol=1e-4)


def test_the_affine_of_an_axial_series_by_hand() -> None:
    stack = one(series_of(numbered(3, 4, 5)))
    assert stack.shape == (5, 4, 3, 1)
    expected = [[-0.75, 0, 0, 10], [0, 0.5, 0, -(20 + 3 * 0.5)], [0, 0, 2, -30], [0, 0, 0, 1]]
    assert np.allclose(stack.affine(), expected)


def test_slices_at_one_place_are_times_in_their_order() -> None:
    volume = numbered(4, 2, 2)
    files = [
        slice_object(pixels, n + 1, (0, 0, 2.0 * (n % 2)), TemporalPositionIdentifier=n // 2 + 1)
        for n, pixels in enumerate(volume)
    ]
    stack = one([files[3], files[0], files[2], files[1]])
    assert stack.shape == (2, 2, 2, 2)
    assert [[frame.instance for frame in time] for time in stack.frames] == [[1, 3], [2, 0]]


def test_slices_that_are_missing_are_named() -> None:
    files = series_of(numbered(6, 2, 2))
    made, failed = stacks(frames([files[n] for n in (0, 1, 2, 4, 5)]))
    assert not made
    assert str(failed[0]) == (
        "5 slices are not at equal distances: 4 mm between slice 3 and 4, where 2 mm are usual; "
        "1 slice may be missing there"
    )
    stack = one([files[n] for n in (0, 1, 2, 4, 5)], uneven=True)
    assert "mean distance" in stack.notes[0]
    assert np.allclose(stack.step_mm, (0, 0, 2.5))


def test_a_time_that_lacks_a_slice_is_refused() -> None:
    files = [
        slice_object(pixels, n + 1, (0, 0, 2.0 * (n % 2)), TemporalPositionIdentifier=n // 2 + 1)
        for n, pixels in enumerate(numbered(3, 2, 2))
    ]
    _, failed = stacks(frames(files))
    assert "do not all have the same number of frames (1 with 1, 1 with 2)" in str(failed[0])


def test_frames_beside_each_other_are_no_stack() -> None:
    files = [slice_object(pixels, n, (n * 40.0, 0, 0)) for n, pixels in enumerate(numbered(2, 2, 2))]
    assert "beside each other in one plane" in str(stacks(frames(files))[1][0])


def test_a_tilted_gantry_is_a_shear_that_is_said() -> None:
    stack = one(series_of(numbered(4, 2, 2), step=(0, 0.5, 2)))
    assert stack.tilt_degrees == pytest.approx(math.degrees(math.atan(0.25)))
    assert "tilted by 14.04 degrees" in stack.notes[0]
    assert np.allclose(stack.affine()[:3, 2], (0, -0.5, 2))


@pytest.mark.parametrize(
    "other",
    [
        {"ImageType": ["DERIVED", "SECONDARY"]},
        {"EchoTime": "30"},
        {"PixelSpacing": [1, 1]},
        {"ImageOrientationPatient": [1, 0, 0, 0, 0, -1], "step": (0, 2, 0)},
        {"BitsStored": 12, "HighBit": 11},
    ],
)
def test_what_differs_makes_another_volume(other: dict[str, Any]) -> None:
    files = series_of(numbered(2, 2, 2))
    files += series_of(numbered(2, 2, 2), **other)
    made, failed = stacks(frames(files))
    assert not failed
    assert [stack.shape for stack in made] == [(2, 2, 2, 1), (2, 2, 2, 1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ImagePositionPatient": [float("1e300"), 0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"PixelSpacing": [0, 1]},
        {"PixelSpacing": ["1e-40", "1"]},
        {"PixelSpacing": ["1e30", "1e30"]},
        {"PixelSpacing": None},
    ],
)
def test_a_place_that_cannot_be_is_none(wrong: dict[str, Any]) -> None:
    stack = one([slice_object(numbered(1, 2, 2)[0], 1, (0, 0, 0), **wrong)])
    assert not stack.in_patient
    assert np.isfinite(stack.affine()).all()
    assert np.linalg.det(stack.affine()) != 0
    assert "do not say where in the patient" in stack.notes[0]


def test_one_slice_is_as_thick_as_it_says() -> None:
    files = [slice_object(numbered(1, 2, 2)[0], 1, (0, 0, 0), AXIAL, SliceThickness="3.5")]
    assert one(files).step_mm == (0, 0, 3.5)


def test_the_affine_leads_from_indexes_to_millimetres() -> None:
    plane = one(series_of(numbered(1, 2, 2))).first.plane
    assert plane is not None
    assert np.allclose(affine_of(plane, 1, (0, 0, 1))[:3, 3], (10, -20, -30))
