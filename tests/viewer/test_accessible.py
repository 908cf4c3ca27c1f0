"""What axe-core finds on every main view: WCAG 2.2 AA, and its best practices."""

from __future__ import annotations

from pathlib import Path

import pytest

from axe import found
from chromium import PHONE, Page
from gantry.toolkit.example import example_study
from viewing import NO_LONGER_LOADING, SLICE, STUDY_SHOWN, open_series, open_study

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]


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


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_all_attributes_and_the_size_of_the_screen(page: Page, theme: str) -> None:
    page.evaluate(f"localStorage.setItem('gantry.theme', '{theme}')")
    page.command("Page.reload")
    open_study(page)
    for key, shown in (("I", ".attribute-value"), ("Z", "dialog[open]")):
        page.command("Input.dispatchKeyEvent", type="keyDown", key=key, code=f"Key{key}", modifiers=8)
        if key == "I":
            # What stands in the head of the file comes later, above the others, and moves them.
            page.wait_until("document.querySelector('.info-row')?.innerText.startsWith('File')")
            page.wait_until("document.querySelector('.info-row.attribute')")
            page.click(".info-row.attribute")
        page.wait_until(f"document.querySelector('{shown}')")
        assert found(page) == []
        page.key("Escape")


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


def test_files_on_the_device(page: Page, tmp_path: Path) -> None:
    for number, (_, file) in enumerate(example_study(size=64, slices=3)):
        (tmp_path / str(number)).write_bytes(file)
    (tmp_path / "cut").write_bytes(file[:-900])
    page.click(".open-button")
    page.wait_until("document.querySelector('.open-files[open]')")
    assert found(page) == []
    page.choose_files("input[aria-label='Folder to read here']", [tmp_path])
    page.wait_until(
        "document.querySelector('.local-study img.shown') && document.querySelector('.local-problems')"
    )
    assert found(page) == []
    page.click(".local-study")
    page.wait_until(f"{SLICE} && {NO_LONGER_LOADING}")
    page.wait_until("document.querySelector('.rail img.shown')")
    assert found(page) == []
