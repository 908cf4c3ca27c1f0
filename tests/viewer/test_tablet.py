"""A tablet, held either way: find, open, scroll, zoom, several images, planes, measure, all by finger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chromium import Page, open_page
from serving import ROOT
from touched import DEVICES, beyond, tap, too_small
from viewing import (
    ARTIFACTS,
    CELLS,
    NO_LONGER_LOADING,
    SHOWN,
    SLICE,
    STUDY_SHOWN,
    changed,
    ct_image,
    filled,
    open_study,
    settled,
)

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

TABLETS = {"upright": DEVICES["tablet"], "lying": DEVICES["tablet-lying"]}
STUDY = f"{ROOT}.8"
SIDE, SLICES = 128, 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    z, y, x = np.mgrid[:SLICES, :SIDE, :SIDE]
    ball = np.where((x - 64) ** 2 + (y - 64) ** 2 + 9 * (z - 16) ** 2 < 48**2, 40 + 3 * z, -1000)
    ball = ball + np.random.default_rng(1).integers(-60, 60, ball.shape)
    objects = (
        ct_image(
            (layer + series).astype(np.int16),
            STUDY,
            series,
            number,
            PatientName="Tablet^Test",
            ImagePositionPatient=[0, 0, 3 * number],
        )
        for series in (1, 2)
        for number, layer in enumerate(ball, 1)
    )
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


@pytest.fixture(params=TABLETS)
def tablet(server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Page, str]]:
    """A page at the list, and how it is held.

    A browser of its own: after a pinch in one page, Chromium takes the first fingers on the next for its own.
    """
    held: str = request.param
    with open_page(tmp_path) as page:
        page.size(*TABLETS[held], touch=True)
        page.go(server)
        page.wait_until(STUDY_SHOWN)
        yield page, held
        assert page.errors == []


def test_the_list_and_a_stack(tablet: tuple[Page, str]) -> None:
    page, held = tablet
    assert page.evaluate("document.documentElement.scrollWidth") <= TABLETS[held][0]
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    page.screenshot(ARTIFACTS / f"list-tablet-{held}.png")
    open_study(page)
    first = settled(page)
    assert too_small(page) == [] and beyond(page) == []
    page.screenshot(ARTIFACTS / f"image-tablet-{held}.png")
    shown = page.evaluate(SLICE)
    page.touch_drag(".viewport", ((0, 0), (4, 90)))
    page.wait_until(f"{SLICE} !== {json.dumps(shown)}")
    scrolled = changed(page, first)
    page.touch_drag(".viewport", ((-40, 0), (-160, 0)), ((40, 0), (160, 0)))
    changed(page, scrolled)


def test_several_images_and_planes(tablet: tuple[Page, str]) -> None:
    page, held = tablet
    open_study(page)
    page.wait_until("document.querySelectorAll('.rail-item').length === 2")
    tap(page, "[aria-label^='Layout']")
    tap(page, ".layout-grid button[aria-label^='2']")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 2")
    page.wait_until(NO_LONGER_LOADING)
    assert too_small(page) == [] and beyond(page) == []
    page.screenshot(ARTIFACTS / f"grid-tablet-{held}.png")
    tap(page, ".tools [aria-label*='planes' i]")
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words.includes('/'))", 60)
    page.wait_until(NO_LONGER_LOADING)
    settled(page)
    assert beyond(page) == []
    page.screenshot(ARTIFACTS / f"planes-tablet-{held}.png")


def test_a_length_is_drawn_taken_hold_of_and_told(tablet: tuple[Page, str]) -> None:
    page, held = tablet
    open_study(page)
    tap(page, ".measure-menu .tool:first-child")
    page.wait_until("document.querySelector('.viewport[data-tool=measure]')")
    # A pixel is a millimetre, and an image fills the smaller side of its viewport.
    told = "parseFloat(document.querySelector('.measure-layer .chosen text')?.textContent)"
    mm = page.evaluate(
        f"(({{ width, height }}) => {SIDE} / Math.min(width, height))"
        "(document.querySelector('.viewport').getBoundingClientRect())"
    )
    # What was drawn while it was held the other way is still there.
    y = {"upright": -90, "lying": 90}[held]
    page.touch_drag(".viewport", ((-60, y), (60, y)))
    page.wait_until(f"Math.abs({told} - {120 * mm}) < 0.6")
    page.touch_drag(".viewport", ((68, y + 8), (120, y)))
    page.wait_until(f"Math.abs({told} - {180 * mm}) < 0.6")
    page.screenshot(ARTIFACTS / f"measure-tablet-{held}.png")
    tap(page, ".measure-menu .narrow")
    page.wait_until("document.querySelectorAll('[role=menuitem]').length === 12")
    tap(page, "[role=menu] > [role=menuitem]")
    page.wait_until("document.querySelector('.measure-panel li')")
    assert (too_small(page), beyond(page, ".measure-panel")) == ([], [])
