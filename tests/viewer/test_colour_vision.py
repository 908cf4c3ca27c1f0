"""What is drawn over images, for people who see fewer colours: told apart by lightness and form."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chromium import Page
from eyes import DEFICIENCIES, contrast, luminance_seen
from serving import ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.22"
SIDE, SLICES = 64, 16
LEAST_CONTRAST = 3
"""WCAG 2.2 1.4.11: of what is needed to understand a picture."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ramp = np.broadcast_to(np.linspace(-160, 240, SIDE), (SIDE, SIDE)).astype(np.int16)
    objects = (ct_image(ramp, STUDY, 1, number) for number in range(1, SLICES + 1))
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


def draw_line(page: Page, dy: float) -> None:
    x, y = page.middle_of(".viewport")
    ways = ((-380, "mousePressed"), (0, "mouseMoved"), (380, "mouseMoved"), (380, "mouseReleased"))
    for dx, kind in ways:
        buttons = 0 if kind == "mouseReleased" else 1
        at = {"x": x + dx, "y": y + dy}
        page.command(
            "Input.dispatchMouseEvent", type=kind, button="left", buttons=buttons, clickCount=1, **at
        )


def test_lines_stand_out_on_every_grey(page: Page, server: str) -> None:
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("d")
    draw_line(page, -120)
    draw_line(page, 120)
    page.wait_until("document.querySelectorAll('.measure-layer text').length === 2")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.measure-layer path:not(.halo)')].map((one) => one.getBoundingClientRect())"
        ".map(({ left, right, top }) => [left, right, top])"
    )
    assert len(boxes) == 2
    for deficiency in DEFICIENCIES:
        luminance = luminance_seen(page, deficiency)
        for left, right, top in boxes:
            columns = np.arange(int(left) + 12, int(right) - 12)
            # Across the line and its dark edge, wherever the screen puts them between its pixels.
            across = luminance[int(top) - 4 : int(top) + 5][:, columns]
            most = contrast(across.max(axis=0), across.min(axis=0))
            assert most.min() >= LEAST_CONTRAST, f"{deficiency}: {most.min():.2f} at {columns[most.argmin()]}"
    page.screenshot(ARTIFACTS / "lines-on-greys.png")


def test_lines_of_the_active_viewport_are_told_by_their_form(page: Page, server: str) -> None:
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.key("7")
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words.includes('/'))", 60)
    dashes = (
        "((of) => new Set([...document.querySelectorAll(`.cross-lines line${of}`)]"
        ".map((line) => getComputedStyle(line).strokeDasharray)))"
    )
    page.wait_until("document.querySelectorAll('.cross-lines line:not(.of-active)').length > 1")
    assert page.evaluate(f"[...{dashes}('.of-active')]") == ["none"]
    assert page.evaluate(f"[...{dashes}(':not(.of-active)')]") == ["5px, 4px"]
