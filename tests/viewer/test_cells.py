"""Several images side by side: layout, scrolling together, reference lines, the 3D cursor, links."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest

from chromium import Page
from serving import ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, WINDOW, ct_image, filled, settled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SIDE = 64
SAID = "document.querySelector('.said').innerText"
STUDY, APART, NAMED = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"
PLANES = {"axial": [1, 0, 0, 0, 1, 0], "coronal": [1, 0, 0, 0, 0, -1], "sagittal": [0, 1, 0, 0, 0, -1]}


def volume() -> np.ndarray:
    """(z, y, x) of 64 each, 1 mm: a ball of 40 HU with a bright spot at x 40, y 24, z 48."""
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE]
    values = np.where((x - 32) ** 2 + (y - 32) ** 2 + (z - 32) ** 2 < 28**2, 40, -1000)
    values[46:51, 22:27, 38:43] = 1000
    return values.astype(np.int16)


def slices() -> Iterator[bytes]:
    cube = volume()
    stacks = {
        "axial": [cube[n] for n in range(SIDE)],
        "coronal": [cube[::-1, n, :] for n in range(SIDE)],
        "sagittal": [cube[::-1, :, n] for n in range(SIDE)],
    }
    origins = {
        "axial": lambda n: [0, 0, n],
        "coronal": lambda n: [0, n, SIDE - 1],
        "sagittal": lambda n: [n, 0, SIDE - 1],
    }
    for number, (name, stack) in enumerate(stacks.items(), 1):
        for n, pixels in enumerate(stack):
            yield ct_image(
                pixels,
                STUDY,
                number,
                n + 1,
                SeriesDescription=name,
                ImagePositionPatient=origins[name](n),
                ImageOrientationPatient=PLANES[name],
            )


def apart() -> Iterator[bytes]:
    """The same stretch of a body twice: 20 slices 3 mm apart, 12 that are 5 mm apart."""
    for series, (count, mm) in enumerate(((20, 3), (12, 5)), 1):
        for n in range(count):
            pixels = np.full((16, 16), 10 * n, np.int16)
            pixels[:8] += 200
            yield ct_image(pixels, APART, series, n + 1, ImagePositionPatient=[0, 0, mm * n])


WINDOWS = {
    name: (40 + 100 * n, 400 + 10 * n)
    for n, name in enumerate(("ABDOMEN", "LUNG", "BONE", "BRAIN", "LIVER", "NECK"))
}


def named_windows() -> bytes:
    return ct_image(
        volume()[32], NAMED, 1, 1, WindowCenterWidthExplanation=list(WINDOWS),
        WindowCenter=[center for center, _ in WINDOWS.values()], WindowWidth=[width for _, width in WINDOWS.values()],
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), (*slices(), *apart(), named_windows())) as address:
        yield address


def open_at(page: Page, server: str, query: str = "") -> None:
    page.go(f"{server}/view/{STUDY}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def two_by_two(page: Page) -> None:
    page.wait_until("document.querySelectorAll('.rail-item').length === 3")
    page.key("g")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 3")
    page.wait_until(NO_LONGER_LOADING)


def lines(page: Page) -> list[list[float]]:
    """Of the second cell's picture: ends of the lines drawn over it, in its pixels."""
    return list(
        page.evaluate(
            f"""[...{CELLS}[1].querySelectorAll('.cross-lines > line')].map(
                (one) => ['x1', 'y1', 'x2', 'y2'].map((name) => one[name].baseVal.value))"""
        )
    )


def test_a_link_opens_exactly_what_it_names(page: Page, server: str) -> None:
    open_at(page, server, f"?series={STUDY}.2&frame=10&window=-500,1500")
    assert page.wait_until(SLICE) == "10 / 64"
    assert page.wait_until(WINDOW) == "W 1500 L -500"
    assert "coronal" in page.evaluate("document.querySelector('.corner.top-right').innerText")
    page.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.key("y")
    page.wait_until("document.querySelector('.said').innerText === 'Link copied'")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{server}/view/{STUDY}?series={STUDY}.2&frame=10&window=-500,1500"


def test_a_link_names_an_image_of_a_stack(page: Page, server: str) -> None:
    coronal = next(file for number, file in enumerate(slices()) if number == SIDE + 40)
    uid = pydicom.dcmread(io.BytesIO(coronal)).SOPInstanceUID
    open_at(page, server, f"?instance={uid}")
    assert page.wait_until(SLICE) == "41 / 64"
    assert "coronal" in page.evaluate("document.querySelector('.corner.top-right').innerText")


def test_series_fill_the_grid_and_lines_show_where_they_cut(page: Page, server: str) -> None:
    open_at(page, server)
    two_by_two(page)
    assert page.evaluate(f"{CELLS}.length") == 4
    before = lines(page)
    assert len(before) == 2
    page.screenshot(ARTIFACTS / "cells-desk.png")
    page.key("End")  # the active cell is axial: its line on the coronal image goes to the head
    page.wait_until(f"{SHOWN}[0] === '64 / 64'")
    axial_before, axial_now = before[0], lines(page)[0]
    assert axial_now[1] == pytest.approx(axial_now[3], abs=1)
    assert axial_now[1] < axial_before[1] - 20
    page.key("x")
    page.wait_until(f"!{CELLS}[1].querySelector('.cross-lines > line')")


def test_sixteen_cells(page: Page, server: str) -> None:
    open_at(page, server)
    page.wait_until("document.querySelectorAll('.rail-item').length === 3")
    page.click("[aria-label='Layout']")
    page.click("[aria-label='4 × 4']")
    page.wait_until(f"{CELLS}.length === 16")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 3")
    assert (
        page.evaluate(f"{CELLS}.filter((cell) => cell.innerText.includes('Drag a series here')).length") == 13
    )
    page.click(".cell:nth-child(16)")
    page.click(".rail-item:nth-child(3)")
    page.wait_until(f"{SHOWN}[15] !== '' && {CELLS}[15].innerText.includes('sagittal')")
    page.wait_until(NO_LONGER_LOADING)
    boxes = page.evaluate(
        f"{CELLS}.map((cell) => cell.getBoundingClientRect()).map((box) => [box.x, box.y, box.width, box.height])"
    )
    assert len({tuple(box[:2]) for box in boxes}) == 16
    assert np.ptp([box[2:] for box in boxes], axis=0).max() <= 1
    page.screenshot(ARTIFACTS / "sixteen-desk.png")


def test_images_scroll_together_by_where_they_lie(page: Page, server: str) -> None:
    """Slices of 3 mm beside slices of 5 mm: the numbers of images that lie beside one another differ."""
    page.go(f"{server}/view/{APART}?series={APART}.1&frame=1")
    page.wait_until(SLICE)
    page.wait_until("document.querySelectorAll('.rail-item').length === 2")
    page.click("[aria-label='Layout']")
    page.click("[aria-label='1 × 2']")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 2")
    page.wait_until(NO_LONGER_LOADING)
    for _ in range(10):
        page.key("ArrowDown")
    page.wait_until(f"{SHOWN}[0] === '11 / 20' && {SHOWN}[1] === '7 / 12'")  # both at 30 mm
    page.key("End")
    page.wait_until(f"{SHOWN}[0] === '20 / 20' && {SHOWN}[1] === '12 / 12'")  # 57 and 55 mm
    page.key("n")
    for _ in range(3):
        page.key("ArrowUp")
    page.wait_until(f"{SHOWN}[1] === '9 / 12' && {SHOWN}[0] === '14 / 20'")  # 40 and 39 mm


def test_parallel_images_scroll_together(page: Page, server: str) -> None:
    open_at(page, server)
    two_by_two(page)
    page.click(".cell:nth-child(4)")
    page.click(".rail-item:nth-child(1)")  # axial once more
    page.wait_until(f"{SHOWN}[3] !== ''")
    page.wait_until(NO_LONGER_LOADING)
    page.key("Home")
    page.wait_until(f"{SHOWN}[3] === '1 / 64' && {SHOWN}[0] === '1 / 64'")
    assert page.evaluate(f"{SHOWN}[1]") == "33 / 64"
    page.key("l")
    page.key("End")
    page.wait_until(f"{SHOWN}[3] === '64 / 64'")
    assert page.evaluate(f"{SHOWN}[0]") == "1 / 64"


def test_the_cursor_is_at_one_place_of_the_patient(page: Page, server: str) -> None:
    """The bright spot lies at x 40, y 24, z 48; where it is pointed at, all cells go to it."""
    open_at(page, server, f"?series={STUDY}.1&frame=49")
    two_by_two(page)
    page.key("c")
    box = page.evaluate(
        f"(() => {{ const b = {CELLS}[0].getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; }})()"
    )
    pixel = min(box[2], box[3]) / SIDE
    x = box[0] + box[2] / 2 + (40 - 31.5) * pixel
    y = box[1] + box[3] / 2 + (24 - 31.5) * pixel
    mouse = {"x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
    page.wait_until(f"{SHOWN}[1] === '25 / 64' && {SHOWN}[2] === '41 / 64'")
    page.screenshot(ARTIFACTS / "cursor-desk.png")
    assert page.evaluate("document.querySelectorAll('.cursor-3d').length") == 3
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    assert page.wait_until("document.querySelector('.cell.active .probe').innerText") == "40, 24: 1000 HU"


def test_the_cursor_is_set_by_keys(page: Page, server: str) -> None:
    open_at(page, server, f"?series={STUDY}.1&frame=49")
    two_by_two(page)
    page.key("c")
    page.key("Enter")
    page.wait_until("document.querySelector('.cell.active .key-cross')")
    for key in ("ArrowRight", "ArrowUp"):
        for _ in range(8):  # from column and row 32, in the middle, to the bright spot
            page.key(key)
    assert page.evaluate("document.querySelectorAll('.cursor-3d').length") == 0
    page.key("Enter")
    page.wait_until(f"{SHOWN}[1] === '25 / 64' && {SHOWN}[2] === '41 / 64'")
    assert page.evaluate("document.querySelectorAll('.cursor-3d').length") == 3
    page.key("Escape")
    page.key("ArrowDown")
    page.wait_until(f"{SHOWN}[0] === '50 / 64'")


# The middle of what is bright on the image, in pixels of the page.
MIDDLE = """(() => {
    const canvas = document.querySelector('.viewport canvas'), [w, h] = [canvas.clientWidth, canvas.clientHeight];
    const context = new OffscreenCanvas(w, h).getContext('2d');
    context.drawImage(canvas, 0, 0, w, h);
    const data = context.getImageData(0, 0, w, h).data;
    let [x, y, n] = [0, 0, 0];
    for (let at = 0; at < w * h; at += 1) if (data[4 * at] > 100) { x += at % w; y += Math.floor(at / w); n += 1; }
    return [x / n, y / n];
})()"""


def test_arrows_move_the_image_and_its_window_once_enter_gives_them_to_the_tool(
    page: Page, server: str
) -> None:
    open_at(page, server, f"?series={STUDY}.1&frame=33")
    settled(page)
    x, y = page.evaluate(MIDDLE)
    page.key("p")
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '34 / 64'")  # without Enter they are for the images
    page.key("Enter")
    assert page.wait_until(SAID).startswith("Move: arrow keys")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.key(key)
    page.wait_until(f"Math.abs({MIDDLE}[0] - {x + 20}) < 2 && Math.abs({MIDDLE}[1] - {y - 10}) < 2")
    page.key("w")
    page.wait_until(f"{SAID} === ''")
    assert page.evaluate(WINDOW) == "W 400 L 40"
    page.key("Enter")
    page.wait_until(f"{SAID}.startsWith('Brightness and contrast')")
    page.key("ArrowRight")
    page.wait_until(f"{WINDOW} === 'W 413 L 40'")
    page.key("ArrowDown")
    page.wait_until(f"{WINDOW} === 'W 413 L 54'")
    page.screenshot(ARTIFACTS / "window-by-key.png")
    page.key("Escape")
    page.key("ArrowDown")
    page.wait_until(f"{SLICE} === '35 / 64'")
    assert page.evaluate(WINDOW) == "W 413 L 54"


GREYS = f"""(() => {{
    const canvas = document.querySelector('.viewport canvas'), side = Math.min(canvas.width, canvas.height);
    const context = new OffscreenCanvas({SIDE}, {SIDE}).getContext('2d');
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side, 0, 0, {SIDE}, {SIDE});
    return [...context.getImageData(0, 0, {SIDE}, {SIDE}).data].filter((_, at) => at % 4 === 0);
}})()"""
EDGES = "['top', 'right', 'bottom', 'left'].map((side) => document.querySelector(`.edge.${side}`).innerText).join('')"


def looks_like(page: Page, wanted: np.ndarray) -> bool:
    settled(page)
    return float(np.abs(np.array(page.evaluate(GREYS)).reshape(SIDE, SIDE) - wanted).mean()) < 1


def test_rotating_and_flipping_go_the_way_that_is_said(page: Page, server: str) -> None:
    """The bright spot makes each turn of the picture another one."""
    open_at(page, server, f"?series={STUDY}.1&frame=49")
    settled(page)
    shown = np.array(page.evaluate(GREYS)).reshape(SIDE, SIDE)
    assert shown[24, 40] == 255 and shown[40, 24] < 255
    assert page.evaluate(EDGES) == "ALPR"
    turned = shown
    for edges in ("RALP", "PRAL", "LPRA", "ALPR"):
        page.key("r")
        page.wait_until(f"{EDGES} === '{edges}'")
        turned = np.rot90(turned, -1)  # to the right
        assert looks_like(page, turned)
    page.key("r")
    page.key("h")  # left and right of what is seen, however it is turned
    page.wait_until(f"{EDGES} === 'RPLA'")
    assert looks_like(page, np.fliplr(np.rot90(shown, -1)))
    page.key("0")
    page.wait_until(f"{EDGES} === 'ALPR'")
    assert looks_like(page, shown)


def test_each_button_of_the_mouse_does_what_it_says(page: Page, server: str) -> None:
    open_at(page, server, f"?series={STUDY}.1&frame=49")
    settled(page)
    at = page.middle_of(".viewport")
    x, y = page.evaluate(MIDDLE)

    def drag(button: str, dx: float, dy: float) -> None:
        held = {"button": button, "buttons": {"middle": 4, "right": 2}[button], "clickCount": 1}
        for kind, share in (
            ("mousePressed", 0.0),
            ("mouseMoved", 0.5),
            ("mouseMoved", 1.0),
            ("mouseReleased", 1.0),
        ):
            page.command(
                "Input.dispatchMouseEvent", type=kind, x=at[0] + dx * share, y=at[1] + dy * share, **held
            )

    drag("middle", 60, -40)
    page.wait_until(f"Math.abs({MIDDLE}[0] - {x + 60}) < 2 && Math.abs({MIDDLE}[1] - {y - 40}) < 2")
    magnification = "parseInt(document.querySelector('.magnification').innerText)"
    before = page.evaluate(magnification)
    drag("right", 0, -75)  # up is larger, by e to the half here
    page.wait_until(f"Math.abs({magnification} / {before} - Math.exp(0.5)) < 0.02")
    assert page.evaluate(WINDOW) == "W 400 L 40"
    assert page.evaluate(SLICE) == "49 / 64"


def test_every_window_of_the_file_is_offered_by_its_name(page: Page, server: str) -> None:
    page.go(f"{server}/view/{NAMED}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    items = "[...document.querySelectorAll('.menu-item')]"
    for name, (center, width) in WINDOWS.items():
        page.click("[aria-label='More tools']")
        item = page.wait_until(f"{items}.findIndex((one) => one.innerText.includes('{name}')) + 1")
        # The menu takes the focus a moment after it is there.
        page.wait_until("document.activeElement.closest('[role=menu]') !== null")
        page.evaluate(f"{items}[{item - 1}].focus()")
        page.key("Enter")
        page.wait_until(f"{WINDOW} === 'W {width} L {center}' && {items}.length === 0")


def test_one_cell_alone_and_all_again(page: Page, server: str) -> None:
    open_at(page, server)
    two_by_two(page)
    page.key("n")
    page.wait_until(f"{CELLS}[1].classList.contains('active')")
    page.key("m")
    page.wait_until(f"{CELLS}.length === 1 && {SHOWN}[0] !== ''")
    assert "coronal" in page.evaluate(f"{CELLS}[0].innerText")
    page.key("m")
    page.wait_until(f"{CELLS}.length === 4")


def test_a_series_is_dragged_into_a_cell(page: Page, server: str) -> None:
    open_at(page, server)
    two_by_two(page)
    page.drag_onto(".rail-item:nth-child(3)", *page.middle_of(".cell:nth-child(1)"))
    page.wait_until(f"{CELLS}[0].innerText.includes('sagittal')")
    assert page.evaluate(f"{CELLS}[0].classList.contains('active')")


def test_the_layout_is_chosen_by_key_alone(page: Page, server: str) -> None:
    open_at(page, server)
    page.wait_until("document.querySelectorAll('.rail-item').length === 3")
    page.evaluate("document.querySelector('[aria-label=\"Layout\"]').focus()")
    page.key("Enter")
    page.wait_until("document.activeElement.closest('.layout-menu')")
    page.evaluate("document.querySelector('.layout-grid button').focus()")
    page.key("ArrowRight")
    page.wait_until("document.activeElement.ariaLabel === '1 × 2'")
    page.key("Enter")
    page.wait_until(f"{CELLS}.length === 2")


@pytest.mark.parametrize(
    "query", ["series=1.2.3.4", "instance=1.2.3.4", f"series={STUDY}.1&instance=1.2.3.4"]
)
def test_an_address_that_names_nothing_known_says_so(page: Page, server: str, query: str) -> None:
    """What is seen then is the first series, and nobody takes it for what was meant."""
    open_at(page, server, f"?{query}&window={json.dumps('x')}")
    assert "is not in this study" in page.wait_until(SAID)
    assert "axial" in page.evaluate("document.querySelector('.corner.top-right').innerText")


def test_a_number_beyond_the_last_image_opens_that_one_and_says_so(page: Page, server: str) -> None:
    open_at(page, server, f"?series={STUDY}.2&frame=9999")
    assert "is not in this study" in page.wait_until(SAID)
    assert page.evaluate(SLICE) == "64 / 64"
    open_at(page, server, f"?series={STUDY}.2&frame=64")
    assert page.evaluate(SLICE) == "64 / 64"
    assert page.evaluate(SAID) == ""
