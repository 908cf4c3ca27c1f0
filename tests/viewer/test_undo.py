"""What a reader does in a study is taken back step by step, and done again: measurements and all that is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from touched import DEVICES, beyond, tap, too_small
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SLICE, WINDOW, ct_image, filled, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.31"
SIDE, SLICES = 64, 24
PET = {"Modality": "PT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Units": "BQML", "RescaleType": "US"}
SHAPES = "document.querySelectorAll('.cell:not(.hidden) .measure-layer g').length"
UNDO, REDO = ".tools [aria-label='Undo']", ".tools [aria-label='Redo']"

# What is written in each cell that is seen, but for the number of its image, and its picture in small.
WORDS = f"""JSON.stringify([{SHAPES}, ...{CELLS}.map((cell) => ['.top-right', '.bottom-right'].map(
    (corner) => cell.querySelector('.corner' + corner)?.innerText ?? ''))])"""
PICTURES = f"""new Promise((resolve) => requestAnimationFrame(() => resolve({CELLS}.map((cell) => {{
    const canvas = cell.querySelector('.viewport:not(.hidden) canvas');
    if (!canvas) return [];
    const context = new OffscreenCanvas(48, 32).getContext('2d');
    context.drawImage(canvas, 0, 0, 48, 32);
    return [...context.getImageData(0, 0, 48, 32).data].filter((_, at) => at % 4 < 3);
}}))))"""
# What colours of two pictures differ in that nobody would tell apart: places and sizes are counted anew.
ALIKE = 3
# Of 4608 of a solid: where it is shown anew its rays are sampled from another place.
FEW = 100


def objects() -> Iterator[bytes]:
    z, y, x = np.mgrid[:SLICES, :SIDE, :SIDE]
    body = np.where((x - 32) ** 2 + (y - 30) ** 2 < 26**2, 20 + 4 * z, -1000)
    body[(x > 34) & (x < 46) & (y > 12) & (y < 20)] = 300
    hot = np.where((x - 40) ** 2 + (y - 40) ** 2 + (z - 12) ** 2 < 9**2, 3000, 10)
    stacks: list[tuple[str, Any, dict[str, Any]]] = [
        ("body", body, {}),
        ("turned", body[:, ::-1, ::-1], {"FrameOfReferenceUID": f"{STUDY}.98"}),
        ("hot", hot, PET),
    ]
    for series, (name, values, attributes) in enumerate(stacks, 1):
        for number, pixels in enumerate(values.astype(np.int16), 1):
            yield ct_image(pixels, STUDY, series, number, SeriesDescription=name, **attributes)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def open_at(page: Page, server: str, frame: int = 12) -> None:
    page.go(server)  # what the page before was still saving is saved, or never will be
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.1&frame={frame}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.wait_until("document.querySelectorAll('.rail-item').length === 3")
    settled(page)


def in_four(page: Page) -> None:
    page.key("g")
    page.wait_until(f"{CELLS}.length === 4 && {CELLS}[2].innerText.includes('/ 24')")


def undo(page: Page) -> None:
    page.control("z")


def redo(page: Page) -> None:
    page.control("z", shift=True)


def zoom_by_wheel(page: Page, *notches: float) -> None:
    x, y = page.middle_of(".cell.active .viewport, .cell .viewport")
    for dy in notches:
        page.command(
            "Input.dispatchMouseEvent", type="mouseWheel", x=x + 20, y=y, deltaX=0, deltaY=dy, modifiers=2
        )


# Each picture is as large as its cell by now.
DRAWN = f"""{CELLS}.flatMap((cell) => [...cell.querySelectorAll('.viewport:not(.hidden) canvas')]).every((canvas) =>
    Math.abs(canvas.width - canvas.parentElement.clientWidth * devicePixelRatio) <= 1)"""

Look = tuple[str, list[list[int]]]


def look(page: Page) -> Look:
    """What is seen, once two looks in a row agree."""
    before: Look | None = None
    for _ in range(200):
        is_ready = page.evaluate(f"{NO_LONGER_LOADING} && {DRAWN}")
        now: Look = (page.evaluate(WORDS), page.evaluate(PICTURES))
        if is_ready and now == before:
            return now
        before = now if is_ready else None
    raise AssertionError("what is seen does not come to rest")


def differ(a: Look, b: Look, few: int = 0) -> bool:
    if a[0] != b[0] or [len(one) for one in a[1]] != [len(one) for one in b[1]]:
        return True
    pairs = zip(a[1], b[1], strict=True)
    return any((np.abs(np.subtract(one, other)) > ALIKE).sum() > few for one, other in pairs)


def another(page: Page, before: Look) -> Look:
    """What is seen once it is something else."""
    for _ in range(100):
        now = look(page)
        if differ(now, before):
            return now
    raise AssertionError(f"nothing changed: {before[0]}")


def reached(page: Page, wanted: Look, few: int = 0) -> None:
    """Wait until what was seen before is seen again."""
    for _ in range(60):
        now = look(page)
        if not differ(now, wanted, few):
            return
    page.screenshot(ARTIFACTS / "undo-late.png")
    others = [
        int((np.abs(np.subtract(a, b)) > ALIKE).sum())
        for a, b in zip(now[1], wanted[1], strict=False)
        if len(a) == len(b)
    ]
    raise AssertionError(f"seen: {now[0]}\nwanted: {wanted[0]}\ncolours that are others: {others}")


def test_what_a_person_does_is_taken_back_and_done_again(page: Page, server: str) -> None:
    open_at(page, server)
    assert page.evaluate(
        f"[{json.dumps(UNDO)}, {json.dumps(REDO)}].every((one) => document.querySelector(one).disabled)"
    )

    def line() -> None:
        page.key("d")
        page.drag(".cell:nth-child(2) .viewport", 60, 40)
        page.key("w")

    def put() -> None:
        page.drag_onto(".rail-item:nth-child(3)", *page.middle_of(".cell:nth-child(2)"))
        page.wait_until(f"{CELLS}[1].innerText.includes('hot')")

    acts = {
        "window": lambda: page.drag(".viewport", 90, -40),
        "zoom": lambda: zoom_by_wheel(page, -120, -120, -120),
        "pan": lambda: (page.key("p"), page.drag(".viewport", 50, 30), page.key("w")),
        "invert": lambda: page.key("i"),
        "rotate": lambda: page.key("r"),
        "flip": lambda: page.key("h"),
        "reset": lambda: page.key("0"),
        "preset": lambda: page.key("2"),
        "grid": lambda: in_four(page),
        "line": line,
        "put": put,
        "alone": lambda: page.key("m"),
        "window alone": lambda: page.drag(".cell:not(.hidden) .viewport", -60, 30),
    }
    looks = [look(page)]
    for act in acts.values():
        act()
        looks.append(another(page, looks[-1]))
    page.screenshot(ARTIFACTS / "undo-done.png")
    for wanted in looks[-2::-1]:
        undo(page)
        reached(page, wanted)
    assert page.evaluate(f"document.querySelector({json.dumps(UNDO)}).disabled")
    undo(page)
    reached(page, looks[0])
    for wanted in looks[1:]:
        page.click(REDO)
        reached(page, wanted)
    assert page.evaluate(f"document.querySelector({json.dumps(REDO)}).disabled")
    page.click(UNDO)
    reached(page, looks[-2])
    page.control("y")
    reached(page, looks[-1])
    # Something new leaves nothing to be done again.
    page.click(UNDO)
    page.click(UNDO)
    reached(page, looks[-3])
    page.key("i")
    another(page, looks[-3])
    assert page.evaluate(f"document.querySelector({json.dumps(REDO)}).disabled")


def test_a_drag_and_a_burst_are_one_step_and_scrolling_is_none(page: Page, server: str) -> None:
    open_at(page, server)
    first = look(page)
    for _ in range(4):
        page.key("+")
    larger = another(page, first)
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '13 / 24'")
    page.key("n")
    page.key("s")
    undo(page)
    # The image stays, and the tool in hand; it is as large as it was.
    page.wait_until("document.querySelector('.viewport').dataset.tool === 'scroll'")
    assert page.evaluate(SLICE) == "13 / 24"
    page.key("ArrowUp")
    reached(page, first)
    redo(page)
    reached(page, larger)
    # With its tool in hand Enter gives the arrows to brightness and contrast.
    undo(page)
    page.key("w")
    page.evaluate("document.querySelector('main').focus()")
    page.key("Enter")
    for _ in range(5):
        page.key("ArrowUp")
    page.key("Enter")
    page.wait_until(f"{WINDOW} !== 'W 400 L 40'")
    undo(page)
    page.wait_until(f"{WINDOW} === 'W 400 L 40'")
    reached(page, first)


def test_planes_slabs_and_colours_are_taken_back(page: Page, server: str) -> None:
    open_at(page, server)

    def slab() -> None:
        page.click("[aria-label='Slab']")
        page.evaluate(
            "[...document.querySelectorAll('.slab-menu [role=radio]')].find((one) => one.innerText === 'MIP').click()"
        )
        page.key("Escape")
        page.wait_until("!document.querySelector('.slab-menu')")

    def palette() -> None:
        page.click("[aria-label='Fusion']")
        page.evaluate("document.querySelectorAll('.fusion-menu .palette')[2].click()")
        page.key("Escape")
        page.wait_until("!document.querySelector('.fusion-menu')")

    acts = {
        "zoom": lambda: page.key("+"),
        "planes": lambda: (page.key("7"), page.wait_until(f"{CELLS}.length === 4", 60)),
        "window of all": lambda: page.drag(".cell:nth-child(1) .viewport", 90, -40),
        "slab": slab,
        "turn": lambda: turn(page),
        "fusion": lambda: page.key("9"),
        "palette": palette,
        "fusion off": lambda: page.key("9"),
        "planes off": lambda: page.key("7"),
    }
    looks = [look(page)]
    for act in acts.values():
        act()
        looks.append(another(page, looks[-1]))
    for wanted in looks[-2::-1]:
        undo(page)
        reached(page, wanted)
    # Nobody has to wait for what comes between.
    for _ in acts:
        redo(page)
    reached(page, looks[-1])
    for _ in acts:
        undo(page)
    reached(page, looks[0])


def turn(page: Page) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        page.command(
            "Input.dispatchKeyEvent",
            type=kind,
            key="ArrowLeft",
            code="ArrowLeft",
            modifiers=8,
            windowsVirtualKeyCode=37,
        )


def test_a_solid_is_turned_cut_and_seen_otherwise_and_back(page: Page, server: str) -> None:
    page.size(800, 500)  # without a graphics card a large picture takes seconds
    open_at(page, server)
    in_four(page)

    def crop() -> None:
        page.click("[aria-label='Crop']")
        page.evaluate(
            """(() => { const slider = document.querySelector('.crop-menu input');
                slider.value = 90; slider.dispatchEvent(new InputEvent('input', { bubbles: true }));
                slider.focus(); })()"""
        )

    acts = {
        "solid": lambda: (
            page.key("8"),
            page.wait_until("document.querySelector('[aria-label=Rendering]')", 60),
        ),
        "turned": lambda: page.drag(".viewport", 60, 20),
        "greatest values": lambda: (
            page.click("[aria-label='Rendering']"),
            page.click(".rendering-menu .menu-item:nth-child(5)"),
            page.wait_until("!document.querySelector('.rendering-menu')"),
        ),
        "cropped": crop,
    }
    looks = [look(page)]
    for act in acts.values():
        act()
        looks.append(another(page, looks[-1]))
    # A slider has the focus; nothing is typed there that could be undone.
    undo(page)
    reached(page, looks[-2], FEW)
    page.key("Escape")
    for wanted in looks[-3::-1]:
        undo(page)
        reached(page, wanted, FEW)
    for _ in acts:
        redo(page)
    reached(page, looks[-1], FEW)


def test_what_is_taken_back_is_saved(page: Page, server: str) -> None:
    open_at(page, server)
    page.key("d")
    page.drag(".viewport", 60, 40)
    page.wait_until(f"{SHAPES} === 1")
    page.key("i")
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel footer').innerText.includes('Saved')")
    page.click(".measure-panel [aria-label^='Undo']")
    assert page.evaluate(SHAPES) == 1
    page.click(".measure-panel [aria-label^='Undo']")
    page.wait_until(f"{SHAPES} === 0")
    page.wait_until("!document.querySelector('.measure-panel footer').innerText.includes('Saving')")
    draft = httpx.get(f"{server}/api/studies/{STUDY}/draft").json()
    assert draft["measurements"] == []
    # What was measured can still be done again by who comes back; what was seen is seen anew.
    page.evaluate("document.querySelector('.viewer-head .tool').click()")
    page.wait_until("!document.querySelector('.viewer') && document.querySelector('a.study')")
    page.click("a.study")
    page.wait_until(SLICE)
    page.wait_until(f"!document.querySelector({json.dumps(REDO)}).disabled")
    redo(page)
    assert page.evaluate(f"document.querySelector({json.dumps(REDO)}).disabled")


def test_a_phone_has_both_in_its_menu(page: Page, server: str) -> None:
    page.size(*DEVICES["phone"], touch=True)
    open_at(page, server)
    first = look(page)

    def choose(words: str, place: int) -> None:
        tap(page, "[aria-label='More tools']")
        item = f"[role=menu] > [role=menuitem]:nth-child({place})"
        assert page.wait_until(f"document.querySelector('{item}')?.innerText.startsWith('{words}')")
        assert too_small(page) == []
        page.screenshot(ARTIFACTS / f"undo-phone-{words}.png")
        tap(page, item)
        page.wait_until("!document.querySelector('[role=menu]')")

    page.touch_drag(".viewport", ((-20, 0), (-80, 0)), ((20, 0), (80, 0)))
    pinched = another(page, first)
    choose("Undo", 1)
    reached(page, first)
    choose("Redo", 2)
    reached(page, pinched)


@pytest.mark.parametrize("size", [(800, 500), (1024, 600)])
def test_the_bar_is_not_crowded(page: Page, server: str, size: tuple[int, int]) -> None:
    page.size(*size)
    open_at(page, server)
    page.key("+")
    assert beyond(page, ".tools .tool") == []
    is_in_bar = page.evaluate(f"document.querySelector({json.dumps(UNDO)}) !== null")
    page.click("[aria-label='More tools']")
    menu = page.wait_until("document.querySelector('[role=menu]')?.innerText.split('\\n')")
    assert is_in_bar == (size[0] > 1000) == ("Undo" not in menu)
    page.screenshot(ARTIFACTS / f"undo-bar-{size[0]}.png")
