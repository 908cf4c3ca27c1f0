"""What axe-core finds on every main view: WCAG 2.2 AA, and its best practices."""

from __future__ import annotations

from pathlib import Path

import pytest

from chromium import PHONE, Page
from viewing import NO_LONGER_LOADING, SLICE, STUDY_SHOWN, open_series, open_study

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

AXE = Path(__file__).resolve().parents[2] / "viewer" / "node_modules" / "axe-core" / "axe.min.js"

# An open menu belongs to its button, and to no landmark.
RUN = """axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(
    ({ id, nodes }) => nodes
        .filter(({ target }) => id !== 'region' || !document.querySelector(target[0]).closest('[role=menu]'))
        .map(({ html, any }) => `${id}: ${html.slice(0, 160)} ${any[0]?.message ?? ''}`)))"""


def found(page: Page) -> list[str]:
    if not AXE.is_file():
        pytest.skip("axe-core is not here (npm ci in viewer/ fetches it)")
    # Halfway between two colours there is less contrast than at either end.
    page.wait_until("document.getAnimations().every((one) => one.playState !== 'running')")
    page.evaluate(AXE.read_text() + "\n;true")
    return list(page.evaluate(RUN))


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_list(page: Page, server: str, theme: str) -> None:
    page.wait_until(STUDY_SHOWN)
    page.evaluate(f"localStorage.setItem('gantry.theme', '{theme}')")
    page.go(server)
    page.wait_until(STUDY_SHOWN)
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    assert found(page) == []


@pytest.mark.parametrize("modality", ["CT", "US", "SR", "DOC", "ECG"])
def test_viewer(page: Page, modality: str) -> None:
    open_study(page)
    open_series(page, modality)
    page.wait_until(f"document.querySelector('.sheet') || ({SLICE} && {NO_LONGER_LOADING})")
    assert found(page) == []


def test_grid_keys_and_menus(page: Page) -> None:
    open_study(page)
    page.key("g")
    page.wait_until("document.querySelectorAll('.cell').length === 4")
    assert found(page) == []
    page.key("?")
    page.wait_until("document.querySelector('dialog[open]')")
    assert found(page) == []
    page.key("?")
    page.wait_until("!document.querySelector('dialog[open]')")
    page.click("[aria-haspopup='true'], [aria-haspopup='menu']")
    page.wait_until("document.querySelector('[role=menu]')")
    assert found(page) == []


@pytest.mark.parametrize("mode", ["Picture", "Clip", "Print"])
def test_export(page: Page, mode: str) -> None:
    open_study(page)
    page.command("Input.dispatchKeyEvent", type="rawKeyDown", key="E", modifiers=8, windowsVirtualKeyCode=69)
    choice = (
        f"[...document.querySelectorAll('.export-head .segment')].find((one) => one.innerText === '{mode}')"
    )
    page.wait_until(f"({choice})?.click() ?? {choice}")
    page.wait_until(f"{choice}.ariaChecked === 'true' && document.querySelector('.export-actions')")
    page.wait_until("!document.querySelector('.export-view[aria-busy=true]')")
    assert found(page) == []


def test_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    page.go(server)
    page.wait_until(STUDY_SHOWN)
    assert found(page) == []
    open_study(page)
    assert found(page) == []
