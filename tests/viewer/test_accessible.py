"""What axe-core finds on every main view: WCAG 2.2 AA, and its best practices."""

from __future__ import annotations

from pathlib import Path

import pytest

from axe import found
from chromium import DESK, Page
from gantry.toolkit.example import example_study
from touched import DEVICES
from viewing import CELLS, NO_LONGER_LOADING, SHOWN, SLICE, STUDY_SHOWN, open_series, open_study

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


SIZES = {
    "desk": DESK,
    "phone": DEVICES["phone"],
    "sideways": DEVICES["phone-sideways"],
    "tablet": DEVICES["tablet"],
}


def begin(page: Page, server: str, size: str, theme: str) -> None:
    page.size(*SIZES[size], touch=size != "desk")
    page.evaluate(f"localStorage.setItem('gantry.theme', '{theme}')")
    page.go(server)
    page.wait_until(f"document.documentElement.dataset.theme === '{theme}' && {STUDY_SHOWN}")


def opened(page: Page, button: str, shown: str) -> list[str]:
    """What is found once a button has opened something, which is put away again."""
    page.click(button)
    page.wait_until(f"document.querySelector('{shown}')")
    problems = found(page)
    page.key("Escape")
    page.wait_until(f"!document.querySelector('{shown}') && document.activeElement !== document.body")
    return problems


@pytest.mark.parametrize(("size", "theme"), [("phone", "light"), ("tablet", "dark"), ("desk", "light")])
def test_the_list_and_what_it_opens(page: Page, server: str, size: str, theme: str) -> None:
    begin(page, server, size, theme)
    page.click(".filters .segment")
    page.wait_until("!document.querySelector('.amount.waiting')")
    problems = found(page)
    problems += opened(page, ".saved-button", ".save-search")
    problems += opened(page, ".open-button", ".open-files[open]")
    problems += opened(page, "[aria-label='Language']", ".languages[open]")
    if size != "phone":
        problems += opened(page, ".columns-button", ".columns-menu")
    page.go(f"{server}/studies/1.2.3.4")
    page.wait_until("document.querySelector('.note')")
    assert page.evaluate("document.querySelector('h1').innerText") == "Study"
    problems += found(page)
    page.errors.clear()  # the 404, where the server answers so
    assert problems == []


@pytest.mark.parametrize(
    ("size", "theme"), [("phone", "dark"), ("sideways", "light"), ("tablet", "light"), ("desk", "light")]
)
def test_an_image_and_what_it_opens(page: Page, server: str, size: str, theme: str) -> None:
    begin(page, server, size, theme)
    open_study(page)
    problems = found(page)
    for button, shown in (
        ("[aria-label='More tools']", "[role=menu]"),
        (".measure-menu [aria-haspopup]", "[role=menu]"),
        ("[aria-label^='Layout']", ".layout-grid"),
        (".priors-button", ".priors-menu"),
    ):
        problems += opened(page, button, shown)
    page.evaluate("document.querySelector('main.stage').focus()")
    page.key("d")
    page.key("Enter")
    page.wait_until("document.querySelector('.key-cross path')")
    page.key("Enter")
    for _ in range(9):
        page.key("ArrowDown")
    page.key("Enter")
    page.key("Escape")
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel li')")
    problems += found(page)
    page.key("u")
    page.key("7")
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words.includes('/'))", 60)
    page.wait_until(NO_LONGER_LOADING)
    problems += found(page)
    assert problems == []


def test_planes_and_a_solid_and_what_they_open(page: Page, server: str) -> None:
    page.size(800, 500)  # without a graphics card a large picture takes seconds
    page.go(server)
    open_study(page)
    page.key("7")
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words.includes('/'))", 60)
    problems = opened(page, "[aria-label=Slab]", ".slab-menu")
    page.key("8")
    page.wait_until(f"{CELLS}[3].querySelector('.cut')?.innerText === '3D'", 60)
    page.wait_until(NO_LONGER_LOADING)
    problems += found(page)
    for _ in range(3):
        page.key("n")
    problems += opened(page, "[aria-label=Rendering]", ".rendering-menu")
    problems += opened(page, "[aria-label=Crop]", ".crop-menu")
    assert problems == []


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
