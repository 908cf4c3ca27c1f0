"""A phone, upright and sideways, and a tablet: targets for fingers, menus and texts that are wholly on the screen."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest

from chromium import Page, open_page
from serving import ROOT
from touched import DEVICES, beyond, covered, tap, too_small
from viewing import (
    ARTIFACTS,
    CELLS,
    NO_LONGER_LOADING,
    SHOWN,
    SLICE,
    STUDY_SHOWN,
    ct_image,
    filled,
    settled,
)

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.21"
SIDE, SLICES = 64, 24
MORE = "[aria-label='More tools']"
MENU = "document.querySelector('[role=menu]')"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    z, y, x = np.mgrid[:SLICES, :SIDE, :SIDE]
    ball = np.where((x - 32) ** 2 + (y - 32) ** 2 + 4 * (z - 12) ** 2 < 24**2, 40 + 3 * z, -1000)
    ball = ball + np.random.default_rng(1).integers(-60, 60, ball.shape)
    objects = (
        ct_image(
            (layer + series).astype(np.int16),
            STUDY,
            series,
            number,
            PatientName="Handheld^Somebody",
            PatientID="HAND-1",
            SeriesDescription="Thorax 2 mm",
            ImagePositionPatient=[0, 0, 2 * number],
        )
        for series in (1, 2)
        for number, layer in enumerate(ball, 1)
    )
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with open_page(tmp_path_factory.mktemp("profile")) as opened:
        opened.command("Network.setBypassServiceWorker", bypass=True)
        yield opened


@pytest.fixture(params=DEVICES)
def device(tab: Page, server: str, request: pytest.FixtureRequest) -> Iterator[tuple[Page, str]]:
    """A page at the list, and what it is held on."""
    held: str = request.param
    tab.size(*DEVICES[held], touch=True)
    tab.go(server)
    tab.evaluate("localStorage.clear()")
    tab.go(server)
    tab.wait_until(STUDY_SHOWN)
    tab.errors.clear()
    yield tab, held
    assert tab.errors == []


def open_stack(page: Page) -> None:
    tap(page, "a.study")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def kept(page: Page, name: str, held: str) -> None:
    page.screenshot(ARTIFACTS / f"{name}-{held}.png")


def close(page: Page, selector: str) -> None:
    page.key("Escape")
    page.wait_until(f"!document.querySelector(\"{selector}\")")


def test_targets_of_the_list_are_large(device: tuple[Page, str]) -> None:
    page, held = device
    assert page.evaluate("document.documentElement.scrollWidth") <= DEVICES[held][0]
    page.wait_until("document.querySelector('.study .thumbnail img.shown')")
    assert too_small(page) == []
    kept(page, "list", held)
    tap(page, ".filters .segment")
    page.wait_until("!document.querySelector('.amount.waiting')")
    tap(page, ".saved-button")
    page.wait_until("document.querySelector('.save-search')")
    tap(page, ".save-search .button")
    page.wait_until("!document.querySelector('.save-search')")
    tap(page, ".saved-button")
    page.wait_until("document.querySelector('.saved-search')")
    assert too_small(page) == [] and beyond(page, ".menu") == []
    close(page, ".searches-menu")
    if page.evaluate("document.querySelector('.columns-button').checkVisibility()"):
        tap(page, ".columns-button")
        page.wait_until("document.querySelector('.columns-menu')")
        assert too_small(page) == [] and beyond(page, ".menu") == []
        close(page, ".columns-menu")
    for button, dialog in ((".open-button", ".open-files[open]"), ("[aria-label='Language']", ".languages[open]")):
        tap(page, button)
        page.wait_until(f"document.querySelector('{dialog}')")
        assert too_small(page) == [] and beyond(page, dialog) == []
        close(page, dialog)


def test_targets_at_an_image_are_large_and_its_texts_apart(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    assert (too_small(page), beyond(page), covered(page)) == ([], [], [])
    kept(page, "image", held)
    for opener, opened in (
        (".measure-menu [aria-haspopup]", "[role=menu]"),
        ("[aria-label^='Layout']", ".layout-grid"),
        (".priors-button", ".priors-menu"),
    ):
        tap(page, opener)
        page.wait_until(f"document.querySelector('{opened}')")
        assert too_small(page) == [] and beyond(page, ".menu") == []
        close(page, opened)
    tap(page, "[aria-label='Play']")
    page.wait_until("document.querySelector('.cine')")
    assert too_small(page) == [] and beyond(page, ".cine, .cine > *") == []
    tap(page, ".cine .button")
    page.wait_until("!document.querySelector('.cine')")
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel')")
    assert too_small(page) == [] and beyond(page, ".measure-panel") == []


@pytest.mark.parametrize("by", ["button", "holding"])
def test_all_of_the_menu_is_reached(device: tuple[Page, str], by: str) -> None:
    page, held = device
    open_stack(page)
    if by == "button":
        tap(page, MORE)
    else:
        x, y = page.middle_of(".viewport")
        page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        page.wait_until(MENU)
        page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.wait_until(f"{MENU}.getBoundingClientRect().height > 100")
    kept(page, f"menu-{by}", held)
    assert beyond(page, "[role=menu]") == [] and too_small(page) == []
    title = page.evaluate(
        "(() => { const box = document.querySelector('.menu-title').getBoundingClientRect();"
        " const at = document.elementFromPoint(box.x + 20, box.y + box.height / 2);"
        " return at?.className; })()"
    )
    assert title == "menu-title"
    # Each entry can be brought on the screen and touched, the first as well as the last.
    hidden = page.evaluate(
        """[...document.querySelectorAll('[role=menuitem]')].filter((item) => {
            item.scrollIntoView({ block: 'nearest' });
            const box = item.getBoundingClientRect();
            return !item.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
        }).map((item) => item.innerText)"""
    )
    assert hidden == []
    words = page.evaluate("[...document.querySelectorAll('[role=menuitem]')].map((item) => item.innerText)")
    assert any("Lung" in one for one in words) and any("Language" in one for one in words)


def test_what_the_bar_has_no_room_for_is_in_the_menu(device: tuple[Page, str]) -> None:
    page, _ = device
    open_stack(page)
    tap(page, MORE)
    page.wait_until(MENU)
    offered = page.evaluate(
        "[...document.querySelectorAll('.tools [aria-label], [role=menuitem] .grow')]"
        ".map((one) => one.ariaLabel ?? one.innerText)"
    )
    for words in ("Zoom", "Move", "3D cursor", "Invert", "Reset", "Three planes (MPR)", "Information"):
        assert words in offered
    close(page, "[role=menu]")


def test_an_image_has_nearly_all_of_a_phone_held_sideways(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    width, height = DEVICES[held]
    stage = page.evaluate("(({ width, height }) => [width, height])(document.querySelector('.stage').getBoundingClientRect())")
    if held.endswith("phone-sideways"):
        assert stage[1] >= 0.85 * height and stage[0] >= 0.7 * width
    elif "phone" in held:
        assert stage[0] == width and stage[1] >= 0.6 * height


def test_keys_are_read_from_their_first_line(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    tap(page, MORE)
    page.wait_until(MENU)
    page.evaluate("[...document.querySelectorAll('[role=menuitem]')].find((one) => one.innerText === 'Keys').click()")
    page.wait_until("document.querySelector('dialog.keys[open]')")
    kept(page, "keys", held)
    assert page.evaluate("document.querySelector('dialog.keys').scrollTop") == 0
    assert beyond(page, "dialog.keys, .keys h2, .keys-head .tool") == [] and too_small(page) == []
    assert page.evaluate(
        "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('dialog.keys'))"
    ) == 0
    # What fingers do stands first.
    assert page.evaluate("document.querySelector('.keys h3').innerText") == "Fingers"
    tap(page, ".keys-head .tool")
    page.wait_until("!document.querySelector('dialog.keys[open]')")


def test_planes_are_named_and_no_letter_is_covered(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    page.key("7")
    page.wait_until(f"{CELLS}.length === 4 && {SHOWN}.every((words) => words.includes('/'))", 60)
    page.wait_until(NO_LONGER_LOADING)
    page.wait_until("document.querySelectorAll('.turn-handle').length === 12")
    settled(page)
    kept(page, "planes", held)
    assert page.evaluate(
        f"{CELLS}.map((cell) => cell.querySelector('.corner .cut')).map((one) => one?.checkVisibility() && one.innerText)"
    )[:3] == ["Axial", "Coronal", "Sagittal"]
    assert (covered(page), beyond(page), too_small(page)) == ([], [], [])


def test_sixteen_images_say_whose_they_are_and_nothing_by_halves(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    tap(page, "[aria-label^='Layout']")
    tap(page, ".layout-grid [aria-label='4 × 4']")
    page.wait_until(f"{CELLS}.length === 16")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 2")
    page.wait_until(NO_LONGER_LOADING)
    kept(page, "sixteen", held)
    assert (covered(page), beyond(page)) == ([], [])
    names = page.evaluate(
        f"{CELLS}.slice(0, 2).map((cell) => cell.querySelector('.top-left p'))"
        ".map((one) => one.checkVisibility() && one.getBoundingClientRect().width)"
    )
    assert min(names) >= 60


def test_two_taps_fill_the_stage_and_give_it_back(device: tuple[Page, str]) -> None:
    page, _ = device
    open_stack(page)
    page.key("g")
    page.wait_until(f"{CELLS}.length === 4")
    page.wait_until(NO_LONGER_LOADING)
    for cells in (1, 4):
        now = time.time()
        tap(page, ".cell:not(.hidden) .viewport", now)
        tap(page, ".cell:not(.hidden) .viewport", now + 0.2)
        page.wait_until(f"{CELLS}.length === {cells}")
    # Two that are far apart are two touches.
    tap(page, ".cell .viewport", time.time() + 1)
    tap(page, ".cell .viewport", time.time() + 2)
    assert page.evaluate(f"{CELLS}.length") == 4


def stroke(page: Page, dx: float, dy: float, takes_s: float) -> None:
    """One finger over the image, in so many seconds of its own clock."""
    x, y = page.middle_of(".viewport")
    start_s, steps = time.time(), 8
    touch = "Input.dispatchTouchEvent"
    page.command(touch, type="touchStart", touchPoints=[{"x": x, "y": y}], timestamp=start_s)
    for step in range(1, steps + 1):
        share = step / steps
        points = [{"x": x + dx * share, "y": y + dy * share}]
        page.command(touch, type="touchMove", touchPoints=points, timestamp=start_s + takes_s * share)
    page.command(touch, type="touchEnd", touchPoints=[], timestamp=start_s + takes_s)


def test_a_swipe_goes_to_the_next_series_and_back(device: tuple[Page, str]) -> None:
    page, _ = device
    open_stack(page)
    series = "[...document.querySelectorAll('.rail-item')].findIndex((one) => one.ariaCurrent === 'true')"
    assert page.evaluate(series) == 0
    stroke(page, 100, 5, 0.8)  # Slow: it is a drag, and no swipe.
    assert page.evaluate(series) == 0
    stroke(page, -100, 5, 0.1)
    page.wait_until(f"{series} === 1")
    page.wait_until(SLICE)
    stroke(page, 100, 5, 0.1)
    page.wait_until(f"{series} === 0")


def test_a_pen_draws_where_it_points(device: tuple[Page, str]) -> None:
    page, _ = device
    open_stack(page)
    page.key("d")
    page.wait_until("document.querySelector('.viewport[data-tool=measure]')")
    x, y = page.middle_of(".viewport")
    for kind, dx in (("mousePressed", 0), ("mouseMoved", 30), ("mouseMoved", 60), ("mouseReleased", 60)):
        page.command(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x - 30 + dx,
            y=y,
            button="left",
            buttons=0 if kind == "mouseReleased" else 1,
            clickCount=1,
            pointerType="pen",
            force=0.5,
        )
    page.wait_until("document.querySelector('.measure-layer text')")
    ends = page.evaluate(
        "(() => { const box = document.querySelector('.measure-layer path:not(.halo)').getBoundingClientRect();"
        " return [box.left, box.right, box.top]; })()"
    )
    assert abs(ends[0] - (x - 30)) < 3 and abs(ends[1] - (x + 30)) < 3 and abs(ends[2] - y) < 3
