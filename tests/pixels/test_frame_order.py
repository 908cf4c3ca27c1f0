"""Slices in the order of frames: stacks, positions, times."""

from __future__ import annotations

import itertools
import math

import pytest

from gantry.errors import DataSetError
from gantry.pixels import frame_order
from gantry.pixels.frame_order import Slice, ordered, organization

AXIAL = [1.0, 0, 0, 0, 1, 0]
SAGITTAL = [0.0, 1, 0, 0, 0, -1]


def at(z: float, time: float = 0.0, *, x: float = 0.0, orientation: list[float] = AXIAL) -> Slice:
    return Slice.of([x, 0, z], orientation, (time,))


def indexes(slices: list[Slice]) -> list[int]:
    return [place.index for place in ordered(slices)]


def test_positions_rise_along_the_normal_whatever_came_first() -> None:
    for order in itertools.permutations([0.0, 2.5, 5.0, 7.5]):
        slices = [at(z) for z in order]
        assert [slices[n].position[2] for n in indexes(slices)] == [0.0, 2.5, 5.0, 7.5]


def test_the_normal_decides_not_an_axis() -> None:
    slices = [at(0.0, x=x, orientation=SAGITTAL) for x in (3.0, 1.0, 2.0)]
    normal = -1  # rows along y, columns down z
    assert [slices[n].along_normal_mm for n in indexes(slices)] == [normal * 3, normal * 2, normal * 1]


def test_times_follow_one_another_at_each_position() -> None:
    slices = [at(z, time) for z in (1.0, 0.0) for time in (2.0, 1.0)]
    places = ordered(slices)
    assert [(p.position, p.time) for p in places] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert [slices[p.index].moment for p in places] == [(1.0,), (2.0,), (1.0,), (2.0,)]


def test_positions_that_decimals_make_different_are_one() -> None:
    assert {place.position for place in ordered([at(1.0), at(1.0000004, 1.0)])} == {1}
    assert {place.position for place in ordered([at(1.0), at(1.01)])} == {1, 2}


@pytest.mark.parametrize(
    ("slices", "kind"),
    [
        ([at(0.0), at(2.5), at(5.0)], "3D"),
        ([at(0.0), at(2.5), at(5.001)], "3D"),
        ([at(0.0), at(2.5), at(6.0)], ""),
        ([at(0.0), at(2.5, x=1.0), at(5.0)], ""),
        ([at(0.0), at(0.0, 1.0), at(1.0), at(1.0, 1.0)], "3D_TEMPORAL"),
        ([at(0.0), at(0.0, 1.0), at(1.0)], ""),
        ([at(0.0), at(0.0, 1.0)], ""),
        ([at(0.0), at(0.0, orientation=SAGITTAL)], ""),
    ],
)
def test_only_what_is_evenly_spaced_is_called_a_volume(slices: list[Slice], kind: str) -> None:
    assert organization(slices, ordered(slices)) == kind


def test_tilted_slices_are_spaced_along_their_own_normal() -> None:
    tilt = [1.0, 0, 0, 0, math.cos(0.3), math.sin(0.3)]
    slices = [Slice.of([0, -math.sin(0.3) * d, math.cos(0.3) * d], tilt, (0.0,)) for d in (4.0, 0.0, 2.0)]
    assert indexes(slices) == [1, 2, 0]
    assert organization(slices, ordered(slices)) == "3D"


@pytest.mark.parametrize(
    ("position", "orientation"),
    [
        ([1, 2], AXIAL),
        ([1, 2, math.inf], AXIAL),
        ([1, 2, 3], [math.nan, 0, 0, 0, 1, 0]),
        ([1, 2, 3], AXIAL[:5]),
        ([1, 2, 3], [0.0] * 6),
        ([1, 2, 3], [1.0, 0, 0, 1, 0, 0]),
    ],
)
def test_what_is_no_place_in_space_is_refused(position: list[float], orientation: list[float]) -> None:
    with pytest.raises(DataSetError):
        Slice.of(position, orientation, ())


def test_orientations_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_order, "MAX_STACKS", 2)
    turned = [
        at(0.0, orientation=[math.cos(a), math.sin(a), 0, -math.sin(a), math.cos(a), 0]) for a in (0, 1, 2)
    ]
    assert len({place.stack for place in ordered(turned[:2])}) == 2
    with pytest.raises(DataSetError, match="more than 2 orientations"):
        ordered(turned)
