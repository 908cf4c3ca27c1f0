"""The Grayscale Standard Display Function gives the numbers of PS3.14."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.errors import CallerError
from gantry.pixels.gsdf import calibration, jnd_index, luminance, standard_luminance


@pytest.mark.parametrize(
    ("index", "expected"),
    [(1, 0.05), (2, 0.0547), (10, 0.0991), (20, 0.1750), (30, 0.2752), (44, 0.4605), (1023, 3993.404)],
)
def test_luminance_of_table_b_1(index: int, expected: float) -> None:
    assert float(luminance(index)) == pytest.approx(expected, rel=1e-3)


@given(st.floats(1, 1023))
def test_the_inverse_comes_back(index: float) -> None:
    assert float(jnd_index(luminance(index))) == pytest.approx(index, abs=0.3)


def test_p_values_run_in_equal_steps_of_jnd_over_the_range_of_the_display() -> None:
    found = standard_luminance(np.arange(256), 8, 0.5, 500.0)
    assert found[0] == pytest.approx(0.5, rel=5e-3)
    assert found[-1] == pytest.approx(500, rel=5e-3)
    steps = np.diff(jnd_index(found))
    assert steps.max() - steps.min() < 0.05


def test_a_display_that_is_standard_needs_no_table() -> None:
    levels = standard_luminance(np.arange(256), 8, 0.5, 500.0)
    assert np.abs(calibration(levels).astype(int) - np.arange(256)).max() <= 1


def test_a_display_of_gamma_2_2_is_made_standard() -> None:
    levels = 0.4 + 300 * (np.arange(1024) / 1023) ** 2.2
    table = calibration(levels, ambient=0.3)
    shown = levels[table] + 0.3
    wanted = standard_luminance(np.arange(256), 8, 0.7, 300.7)
    assert np.abs(jnd_index(shown) - jnd_index(wanted)).max() < 0.9  # half a driving level
    assert table.shape == (256,)
    assert (np.diff(table.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    "measured", [[1.0], [2.0, 1.0], [1.0, 1.0], [[1.0, 2.0]], [0.001, 5.0], [1.0, 9000.0]]
)
def test_luminances_that_no_display_has(measured: list[float]) -> None:
    with pytest.raises(CallerError):
        calibration(measured)


def test_bits_that_no_p_value_has() -> None:
    with pytest.raises(CallerError):
        calibration([1.0, 2.0], bits=0)
