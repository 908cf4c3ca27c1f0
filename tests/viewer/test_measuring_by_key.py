"""Measuring with the keys alone: drawn, read, moved and left, and said to who does not see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.31"
SIDE = 256
SHAPES = "[...document.querySelectorAll('.measure-layer g:not(.reported)')]"
TEXTS = f"{SHAPES}.map((one) => [...one.querySelectorAll('tspan')].map((line) => line.textContent).join('|'))"
STATUS = "document.querySelector('.stage > .unseen[role=status]').textContent"
CROSS = "document.querySelector('.key-cross path')"


def pixels() -> np.ndarray[Any, Any]:
    values = np.full((SIDE, SIDE), 1024, np.int16)
    values[100:120, 60:90] = 1124
    return values


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    images = [
        ct_image(pixels(), STUDY, 1, n, PixelSpacing=[0.5, 0.5], RescaleIntercept=-1024) for n in (1, 2)
    ]
    with filled(tmp_path_factory.mktemp("archive"), images) as address:
        yield address


def opened(page: Page, server: str) -> None:
    page.go(server)
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def press(page: Page, key: str, times: int = 1, *, shift: bool = False) -> None:
    for _ in range(times):
        for kind in ("rawKeyDown", "keyUp"):
            page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 * shift)


def test_a_line_of_100_mm_with_the_keys_alone(page: Page, server: str) -> None:
    opened(page, server)
    before = page.evaluate(SLICE)
    press(page, "d")
    press(page, "Enter")
    # An image of 256 has its middle between two pixels, 128 and 129 from 1.
    page.wait_until(f"{CROSS} && /^Column 12[89], row 12[89]$/.test({STATUS})")
    press(page, "ArrowLeft", 10, shift=True)
    page.wait_until(f"/^Column 2[89], row 12[89]$/.test({STATUS})")
    press(page, "Enter")
    press(page, "ArrowRight", 20, shift=True)
    page.wait_until(f"{TEXTS}.join() === '100.0 mm'")
    page.wait_until(f"/^Column 22[89], row 12[89]. 100.0 mm$/.test({STATUS})")
    page.screenshot(ARTIFACTS / "measure-by-key.png")
    press(page, "ArrowLeft")
    page.wait_until(f"{TEXTS}.join() === '99.5 mm'")
    press(page, "ArrowRight")
    press(page, "Enter")
    page.wait_until(f"{TEXTS}.join() === '100.0 mm' && {STATUS}.endsWith('. 100.0 mm')")
    # The image stayed the same one: arrows were for the cross.
    assert page.evaluate(SLICE) == before
    (kept,) = saved(page, server)
    assert kept["values"] == [{"name": "length", "value": 100.0, "unit": "mm"}]
    (x0, y0), (x1, y1) = kept["points"]
    assert (x1 - x0, y1 - y0, x0 % 1) == (200, 0, 0.5)


def saved(page: Page, server: str, count: int = 1) -> list[dict[str, Any]]:
    """What of this study is on the server, once the panel says that it is."""
    press(page, "u")
    page.wait_until("document.querySelector('.measure-panel footer p')?.innerText === 'Saved'")
    press(page, "u")
    found: list[dict[str, Any]] = httpx.get(f"{server}/api/studies/{STUDY}/draft").json()["measurements"]
    assert len(found) == count
    return found


def test_escape_abandons_step_by_step(page: Page, server: str) -> None:
    opened(page, server)
    press(page, "d")
    press(page, "Enter")
    press(page, "Enter")
    press(page, "ArrowDown", 3, shift=True)
    page.wait_until(f"{TEXTS}.join() === '15.0 mm'")
    press(page, "Escape")
    page.wait_until(f"{SHAPES}.length === 0 && {CROSS}")
    press(page, "Escape")
    page.wait_until(f"!{CROSS} && {STATUS} === ''")
    before = page.evaluate(SLICE)
    press(page, "Escape")
    page.wait_until("document.querySelector('.viewport').dataset.tool === 'window'")
    # Without the cross, arrows walk through the images again.
    press(page, "ArrowUp" if before.startswith("2") else "ArrowDown")
    page.wait_until(f"{SLICE} !== '{before}'")


def test_the_points_of_what_is_selected_are_moved_by_keys(page: Page, server: str) -> None:
    opened(page, server)
    press(page, "d")
    press(page, "Enter", 2)
    press(page, "ArrowRight", 6, shift=True)
    press(page, "Enter")
    page.wait_until(f"{TEXTS}.join() === '30.0 mm'")
    press(page, "Escape", 2)  # the cross, then the tool: the line stays selected
    page.wait_until("document.querySelector('.viewport').dataset.tool === 'window'")
    page.wait_until(f"{SHAPES}[0].classList.contains('chosen')")
    press(page, "Enter")
    press(page, "ArrowLeft", 2, shift=True)
    page.wait_until(f"{TEXTS}.join() === '40.0 mm'")
    press(page, "Enter")  # now the other end
    press(page, "ArrowLeft", 1)
    page.wait_until(f"{TEXTS}.join() === '39.5 mm' && {STATUS}.endsWith('39.5 mm')")
    press(page, "Escape")
    page.wait_until(f"{TEXTS}.join() === '40.0 mm' && !{CROSS}")
    # From the panel, too, without a pointer.
    press(page, "Escape")
    page.wait_until(f"!{SHAPES}[0].classList.contains('chosen')")
    press(page, "u")
    page.wait_until("document.querySelector('.measure-show')")
    page.evaluate("document.querySelector('.measure-show').focus()")
    page.key("Enter")
    page.wait_until(f"{SHAPES}[0].classList.contains('chosen') && document.activeElement.matches('main')")
    press(page, "Enter")
    page.wait_until(CROSS)


def test_a_smooth_area_with_the_keys_alone(page: Page, server: str) -> None:
    opened(page, server)
    press(page, "J", shift=True)
    press(page, "Enter", 2)
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        press(page, key, 4, shift=True)
        press(page, "Enter")
    press(page, "Enter")  # the same point again: done
    page.wait_until(f"{SHAPES}[0]?.classList.contains('chosen') && {SHAPES}[0].dataset.kind === 'spline'")
    (kept,) = saved(page, server)
    assert (kept["kind"], len(kept["points"])) == ("spline", 4)
    # The curve through the corners of a square bulges over each side.
    area = next(one["value"] for one in kept["values"] if one["name"] == "area")
    assert 400 < area < 400 * 1.4
    page.screenshot(ARTIFACTS / "measure-spline-by-key.png")


def test_the_help_says_how(page: Page, server: str) -> None:
    opened(page, server)
    press(page, "?")
    page.wait_until("document.querySelector('dialog.keys[open]')")
    said = page.evaluate("document.querySelector('dialog.keys').innerText")
    assert "with the keys alone" in said
    assert "⇧J" in said
