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


def on(*held: str) -> pytest.MarkDecorator:
    """On which devices a test is made."""
    return pytest.mark.parametrize("device", held, indirect=True)


@pytest.fixture
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
    # The focus goes back a moment later; what is opened before that is closed by it.
    page.wait_until(f'!document.querySelector("{selector}") && document.activeElement !== document.body')


@on("phone", "phone-sideways", "tablet")
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
    for button, dialog in (
        (".open-button", ".open-files[open]"),
        ("[aria-label='Language']", ".languages[open]"),
    ):
        tap(page, button)
        page.wait_until(f"document.querySelector('{dialog}')")
        assert too_small(page) == [] and beyond(page, dialog) == []
        close(page, dialog)


@on("phone", "small-phone", "phone-sideways", "small-phone-sideways", "tablet")
def test_targets_at_an_image_are_large_and_its_texts_apart(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    kept(page, "image", held)
    assert (too_small(page), beyond(page), covered(page)) == ([], [], [])
    width, height = DEVICES[held]
    seen = page.evaluate(
        "(({ width, height }) => [width, height])(document.querySelector('.stage').getBoundingClientRect())"
    )
    # The image is the largest thing.
    least = (0.7, 0.85) if "sideways" in held else (1, 0.6) if "phone" in held else (0.8, 0.8)
    assert seen[0] >= least[0] * width and seen[1] >= least[1] * height
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


@on("small-phone", "phone-sideways", "tablet")
def test_all_of_the_menu_is_reached(device: tuple[Page, str]) -> None:
    page, held = device
    open_stack(page)
    # A finger that rests opens it, as the button does, and it stays when the finger leaves.
    x, y = page.middle_of(".viewport")
    page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    page.wait_until(MENU)
    page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.wait_until(f"{MENU}.getBoundingClientRect().height > 100")
    assert beyond(page, "[role=menu]") == []
    close(page, "[role=menu]")
    tap(page, MORE)
    page.wait_until(f"{MENU}.getBoundingClientRect().height > 100")
    kept(page, "menu", held)
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
    # What the bar has no room for is here.
    offered = [
        *words,
        *page.evaluate("[...document.querySelectorAll('.tools .tool')].map((one) => one.ariaLabel)"),
    ]
    for command in ("Zoom", "Move", "3D cursor", "Invert", "Reset", "Three planes (MPR)", "Information"):
        assert command in offered
    # Fingers and keys are told of.
    tap(page, "[role=menu] > [role=menuitem]:nth-last-of-type(3)")
    page.wait_until("document.querySelector('dialog.keys[open]')")
    kept(page, "keys", held)
    assert page.evaluate("document.querySelector('dialog.keys').scrollTop") == 0
    assert beyond(page, "dialog.keys, .keys h2, .keys-head .tool") == [] and too_small(page) == []
    wider = (
        "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('dialog.keys'))"
    )
    assert page.evaluate(wider) == 0
    assert page.evaluate("document.querySelector('.keys h3').innerText") == "Fingers"
    tap(page, ".keys-head .tool")
    page.wait_until("!document.querySelector('dialog.keys[open]')")


@on("phone", "phone-sideways", "tablet")
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


@on("phone", "phone-sideways", "tablet")
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


@on("phone")
def test_two_taps_fill_the_stage_and_give_it_back(device: tuple[Page, str]) -> None:
    page, _ = device
    open_stack(page)
    page.key("g")
    page.wait_until(f"{CELLS}.length === 4")
    page.wait_until(NO_LONGER_LOADING)
    now_s = time.time()
    for cells, taps in ((1, 2), (4, 2), (1, 3), (1, 1)):
        # Two that are far apart are two touches, and a third one soon after two is the first of others.
        for again in range(taps):
            tap(page, ".cell:not(.hidden) .viewport", now_s + 0.2 * again)
        now_s += 5
        page.wait_until(f"{CELLS}.length === {cells}")


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


@on("phone")
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


@on("tablet")
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
    page.wait_until("document.querySelector('.measure-layer .chosen text')")
    ends = page.evaluate(
        "(() => { const box = document.querySelector('.measure-layer .chosen path:not(.halo)').getBoundingClientRect();"
        " return [box.left, box.right, box.top]; })()"
    )
    assert abs(ends[0] - (x - 30)) < 3 and abs(ends[1] - (x + 30)) < 3 and abs(ends[2] - y) < 3
