"""What does not fit a device's memory is reduced and said to be so; what is measured in it lies where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from chromium import PHONE, Page
from image_values import image_object
from serving import ROOT
from slices import Grey, assert_alike, colours_seen, hover, place_of, seen, show_slice, windowed
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled, held

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.61"
COLUMNS, ROWS, SLICES = 128, 96, 64
SPACING = (1.25, 1.25, 2.0)  # x, y, z in mm
ORIGIN = np.array([-20.0, -30.0, 100.0])
AXIAL, CORONAL, SAGITTAL, STACK = range(4)
# In MiB. A volume may take 0.7 of it at 4 bytes a voxel: 3 MiB whole, 0.75 MiB halved, 0.19 MiB halved twice.
ENOUGH, HALF, QUARTER = "64", "4", "1"


def volume() -> Grey:
    """(z, y, x) in HU: waves that differ along each axis, under noise that halving takes away."""
    z, y, x = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    noise = np.random.default_rng(61).integers(-20, 20, z.shape)
    return np.asarray((40 + 90 * np.sin(x / 9) + 60 * np.sin(y / 7 + 1) + 40 * np.cos(z / 5) + noise).round())


def halved(cube: Grey, times: int = 1) -> Grey:
    """Means of squares in each slice, as whole numbers."""
    side = 2**times
    squares = cube.reshape(SLICES, ROWS // side, side, COLUMNS // side, side)
    return np.floor(squares.mean(axis=(2, 4)) + 0.5)


def place(column: float, row: float, number: int) -> Grey:
    """The middle of a pixel, in mm of the patient."""
    return np.asarray(ORIGIN + np.multiply(SPACING, (column, row, number)))


def objects() -> Iterator[bytes]:
    for k, values in enumerate(volume()):
        yield ct_image(
            (values + 1024).astype(np.uint16), STUDY, 1, k + 1,
            ImagePositionPatient=[float(mm) for mm in place(0, 0, k)],
            PixelSpacing=[SPACING[1], SPACING[0]], RescaleIntercept=-1024, SeriesDescription="even",
        )  # fmt: skip
    yield long_image()
    noise = np.random.default_rng(62)
    for number in range(1, MANY + 1):
        yield ct_image(noise.integers(0, 4000, (512, 512)).astype(np.uint16), STUDY, 3, number)


MANY = 160  # images of 0.5 MiB
LONG, WIDE, BLOCK = 6000, 5000, 250
FINE = 0.1  # mm between pixels of the long image


def blocks() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(rows, columns) of the blocks that the long image is made of: each another grey than those beside it."""
    rows, columns = np.mgrid[: LONG // BLOCK, : WIDE // BLOCK]
    return (20 + (rows * 53 + columns * 31) % 200).astype(np.uint8)


def long_image() -> bytes:
    pixels = np.kron(blocks(), np.ones((BLOCK, BLOCK), np.uint8))
    middle = pixels[LONG // 2 - 100 : LONG // 2 + 100, WIDE // 2 - 100 : WIDE // 2 + 100]
    middle[:, ::2], middle[:, 1::2] = 10, 240  # which no smaller picture shows
    return ct_image(
        pixels, STUDY, 2, 1, Modality="DX", SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", SeriesDescription="long",
        PixelSpacing=[FINE, FINE], WindowCenter=128, WindowWidth=256, RescaleType=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def opened(page: Page, server: str, mebibytes: str, series: int = 1) -> None:
    page.evaluate(f"localStorage.setItem('gantry.memory-mib', '{mebibytes}')")
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def planes(page: Page, server: str, mebibytes: str) -> None:
    opened(page, server, mebibytes)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)


SAID = f"{CELLS}.map((cell) => cell.querySelector('.reduced')?.innerText ?? '')"


@pytest.mark.parametrize(("mebibytes", "times"), [(HALF, 1), (QUARTER, 2)])
def test_a_volume_over_the_budget_is_reduced_and_says_so(
    page: Page, server: str, mebibytes: str, times: int
) -> None:
    planes(page, server, mebibytes)
    by = 2**times
    assert page.evaluate(SAID) == [f"Reduced for this device: 1/{by} of the detail"] * 3 + [""]
    small = halved(volume(), times)
    show_slice(page, AXIAL, 20)
    shape = (ROWS // by, COLUMNS // by)
    assert_alike(seen(page, AXIAL, shape, (SPACING[0] * by, SPACING[1] * by)), windowed(small[20]))
    show_slice(page, CORONAL, 9)
    shape = (SLICES, COLUMNS // by)
    shown = seen(page, CORONAL, shape, (SPACING[0] * by, SPACING[2]))
    assert_alike(shown, windowed(small[::-1, 9, :]))
    page.screenshot(ARTIFACTS / f"reduced-{by}-desk.png")
    # The pointer says what a voxel is: the mean of pixels, and not a value that was stored.
    hover(page, place_of(page, CORONAL, (11, 30), shape, (SPACING[0] * by, SPACING[2])))
    wanted = f"11, 30: mean {small[SLICES - 1 - 30, 9, 11]:.0f} HU"
    page.wait_until(f"{CELLS}[{CORONAL}].querySelector('.probe').innerText === '{wanted}'")


def test_with_memory_enough_it_is_exact_and_nothing_is_said(page: Page, server: str) -> None:
    planes(page, server, ENOUGH)
    assert page.evaluate(SAID) == [""] * 4
    show_slice(page, CORONAL, 40)
    shown = seen(page, CORONAL, (SLICES, COLUMNS), (SPACING[0], SPACING[2]))
    assert_alike(shown, windowed(volume()[::-1, 40, :]))
    hover(page, place_of(page, CORONAL, (50, 30), (SLICES, COLUMNS), (SPACING[0], SPACING[2])))
    wanted = f"50, 30: {volume()[SLICES - 1 - 30, 40, 50]:.0f} HU"
    page.wait_until(f"{CELLS}[{CORONAL}].querySelector('.probe').innerText === '{wanted}'")


STATUS = "document.querySelector('.stage > .unseen[role=status]').textContent"
WORDS = (
    "[...document.querySelectorAll('.cell:not(.hidden):nth-child(CELL) .measure-layer g:not(.reported) tspan')]"
    ".map((one) => one.textContent)"
)


def press(page: Page, key: str, times: int = 1, *, shift: bool = False) -> None:
    for _ in range(times):
        for kind in ("rawKeyDown", "keyUp"):
            page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8 * shift)


def cross_to(page: Page, column: int, row: int) -> None:
    """Moves the cross of the keys to a pixel of the picture, from 0."""
    page.wait_until(f"{STATUS}.startsWith('Column')")
    words = page.evaluate(STATUS).split(".")[0].replace(",", "").split()
    for by, keys in (
        (column + 1 - int(words[1]), ("ArrowRight", "ArrowLeft")),
        (row + 1 - int(words[3]), ("ArrowDown", "ArrowUp")),
    ):
        press(page, keys[by < 0], abs(by) // 10, shift=True)
        press(page, keys[by < 0], abs(by) % 10)
    page.wait_until(f"{STATUS}.startsWith('Column {column + 1}, row {row + 1}')")


def saved(page: Page, server: str) -> list[dict[str, Any]]:
    press(page, "u")
    page.wait_until("document.querySelector('.measure-panel footer p')?.innerText === 'Saved'")
    press(page, "u")
    found: list[dict[str, Any]] = httpx.get(f"{server}/api/studies/{STUDY}/draft").json()["measurements"]
    return found


def draw(page: Page, key: str, *ends: tuple[int, int]) -> None:
    press(page, key)
    press(page, "Enter")
    for column, row in ends:
        cross_to(page, column, row)
        press(page, "Enter")


def test_a_line_on_a_reduced_plane_is_as_long_and_lies_where_it_lies(page: Page, server: str) -> None:
    httpx.delete(f"{server}/api/studies/{STUDY}/draft")
    planes(page, server, HALF)
    show_slice(page, CORONAL, 9)
    # Reduced pixels are 2.5 mm wide: 40 of them.
    draw(page, "d", (5, 30), (45, 30))
    words = WORDS.replace("CELL", str(CORONAL + 1))
    page.wait_until(f"{words}.length === 1")
    assert page.evaluate(words) == ["100.0 mm"]
    (kept,) = saved(page, server)
    assert kept["values"][0]["value"] == pytest.approx(100, abs=1e-6)
    # The middle of each square of pixels: half a pixel beside that of the first of them.
    ends = [place(2 * column + 0.5, 2 * 9 + 0.5, SLICES - 1 - 30) for column in (5, 45)]
    assert np.allclose(kept["points3d"], ends, atol=1e-4)
    page.screenshot(ARTIFACTS / "reduced-measured-desk.png")
    # Of an area, its size is told, and no statistics of values that are means.
    draw(page, "q", (50, 30), (58, 40))
    page.wait_until(f"{words}.length === 2")
    assert page.evaluate(f"{words}[1]") == f"{8 * 2.5 * 10 * 2:.1f} mm²"
    httpx.delete(f"{server}/api/studies/{STUDY}/draft")


def test_a_solid_is_reduced_too(page: Page, server: str) -> None:
    page.size(800, 400)
    opened(page, server, HALF)
    page.key("8")
    page.wait_until(f"{CELLS}[0].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    assert page.evaluate(SAID) == ["Reduced for this device: 1/2 of the detail"]
    page.screenshot(ARTIFACTS / "reduced-solid.png")


def test_it_is_said_on_a_phone(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    opened(page, server, HALF)
    page.key("7")
    page.wait_until(f"{SAID}.filter((words) => words.endsWith('1/2 of the detail')).length === 3")
    page.wait_until(NO_LONGER_LOADING)
    # Seen, with all of its words, however small the cell is.
    whole = "[...document.querySelectorAll('.reduced')].map((one) => one.offsetHeight > 0 && one.scrollWidth <= one.offsetWidth)"
    assert page.evaluate(whole) == [True] * 3
    page.screenshot(ARTIFACTS / "reduced-phone.png")


def lines(page: Page) -> list[tuple[float, float]]:
    """Ends of the lines that are drawn in the first cell, on the page."""
    return [
        (x, y)
        for x, y in page.evaluate(
            "(() => { const box = document.querySelector('.viewport').getBoundingClientRect();"
            " return [...document.querySelectorAll('.cell:not(.hidden) .measure-layer g path')].slice(-1).flatMap((path) => {"
            " const end = path.getTotalLength(); return [0, end].map((at) => path.getPointAtLength(at))"
            ".map(({ x, y }) => [box.x + x, box.y + y]); }); })()"
        )
    ]


def test_a_frame_over_the_budget_is_shown_as_the_server_renders_it(page: Page, server: str) -> None:
    httpx.delete(f"{server}/api/studies/{STUDY}/draft")
    opened(page, server, "64", series=2)
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    page.screenshot(ARTIFACTS / "reduced-frame-desk.png")
    shape = blocks().shape
    shown = seen(page, 0, (shape[0], shape[1]), (1, 1))
    assert np.abs(shown - blocks()).max() <= 2
    draw(page, "d", (1000, 2000), (2000, 2000))
    words = WORDS.replace("CELL", "1")
    page.wait_until(f"{words}.length === 1")
    assert page.evaluate(words) == ["100.0 mm"]
    (kept,) = saved(page, server)
    assert kept["values"][0]["value"] == pytest.approx(100, abs=1e-6)
    ends = [place_of(page, 0, at, (LONG, WIDE), (1, 1)) for at in ((1000, 2000), (2000, 2000))]
    assert np.allclose(sorted(lines(page)), sorted(ends), atol=0.6)
    page.screenshot(ARTIFACTS / "reduced-frame-measured-desk.png")
    httpx.delete(f"{server}/api/studies/{STUDY}/draft")


WINDOW = "document.querySelector('.corner.bottom-right .window').innerText"


def assert_windowed(page: Page) -> None:
    """The long image is seen in the window that is said, within what 8 bits of the server's picture round."""
    words = page.evaluate(WINDOW).split()
    wanted = windowed(blocks(), float(words[3]), float(words[1]))
    for _ in range(40):
        shown = seen(page, 0, wanted.shape, (1, 1))
        if np.abs(shown - wanted).max() <= 2:
            return
    raise AssertionError(f"{words}: up to {np.abs(shown - wanted).max()} greys away")


def test_a_reduced_frame_has_a_window_that_the_server_sets(page: Page, server: str) -> None:
    page.evaluate("localStorage.setItem('gantry.memory-mib', '64')")
    page.go(f"{server}/view/{STUDY}?series={STUDY}.2&window=60,81")
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    page.wait_until(f"{WINDOW} === 'W 81 L 60'")
    assert_windowed(page)
    page.drag(".viewport", 60, 25)
    page.wait_until(f"{WINDOW} !== 'W 81 L 60'")
    page.control("z")
    page.wait_until(f"{WINDOW} === 'W 81 L 60'")
    assert_windowed(page)
    page.control("z", shift=True)
    page.wait_until(f"{WINDOW} !== 'W 81 L 60'")
    assert_windowed(page)
    page.screenshot(ARTIFACTS / "reduced-frame-windowed-desk.png")
    # What is looked at closely is in the same window: the middle block of four, beside the stripes.
    for kind in ("keyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key="!", code="Digit1", modifiers=8)
    page.wait_until(f"document.querySelector('.detail-layer')?.complete && {SAID}[0] === ''")
    name = "reduced-frame-windowed-close-desk.png"
    stripes(page, name)
    x, y = page.middle_of(".viewport")
    grey = np.asarray(Image.open(ARTIFACTS / name).convert("L"))[round(y) - 150, round(x) - 150]
    words = page.evaluate(WINDOW).split()
    assert abs(float(grey) - float(windowed(blocks(), float(words[3]), float(words[1]))[11, 9])) <= 2
    page.key("0")
    page.wait_until(f"{WINDOW} === 'W 256 L 128'")
    assert_windowed(page)


def stripes(page: Page, name: str) -> float:
    """How much the columns in the middle of the first cell differ, in greys of a screenshot."""
    page.screenshot(ARTIFACTS / name)
    x, y = page.middle_of(".viewport")
    greys = np.asarray(Image.open(ARTIFACTS / name).convert("L"), dtype=np.float64)
    return float(greys[round(y) - 40 : round(y) + 40, round(x) - 40 : round(x) + 40].mean(axis=0).std())


def test_a_piece_of_it_is_sharp_where_it_is_looked_at_closely(page: Page, server: str) -> None:
    opened(page, server, "64", series=2)
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    for kind in ("keyDown", "keyUp"):  # pixel for pixel
        page.command("Input.dispatchKeyEvent", type=kind, key="!", code="Digit1", modifiers=8)
    page.wait_until(f"document.querySelector('.detail-layer')?.complete && {SAID}[0] === ''")
    assert stripes(page, "reduced-frame-close-desk.png") > 100
    # Moved with the picture; what comes into sight is fetched anew.
    page.drag(".viewport", 300, 200)
    page.wait_until(f"{SAID}[0] === ''")
    page.key("0")
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    assert stripes(page, "reduced-frame-whole-desk.png") < 100


def pressed(element: str) -> str:
    """A condition that presses an element as soon as it is there."""
    return f"(() => {{ const one = {element}; one?.click(); return one; }})()"


def open_folder(page: Page, server: str, folder: Path) -> None:
    page.go(server)
    field = "input[aria-label='Folder to read here']"
    page.wait_until(pressed("[...document.querySelectorAll('.open-button')].find((one) => one.offsetWidth)"))
    page.wait_until(f'document.querySelector("{field}")')
    page.choose_files(field, [folder])
    page.wait_until("document.querySelector('.local-study') && !document.querySelector('.local-reading')")
    page.wait_until(pressed("document.querySelector('.local-study')"))


def test_a_file_on_the_device_is_halved_here_and_keeps_its_window(
    page: Page, server: str, tmp_path: Path
) -> None:
    (tmp_path / "long.dcm").write_bytes(long_image())
    page.evaluate("localStorage.setItem('gantry.memory-mib', '64')")
    open_folder(page, server, tmp_path)
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    assert_windowed(page)
    hover(page, place_of(page, 0, (1001, 2001), (LONG, WIDE), (1, 1)))
    page.wait_until(f"document.querySelector('.probe').innerText === '1001, 2001: mean {blocks()[8, 4]}'")
    page.drag(".viewport", 60, 25)
    page.wait_until(f"{WINDOW} !== 'W 256 L 128'")
    assert_windowed(page)
    page.screenshot(ARTIFACTS / "reduced-local-desk.png")


def test_a_picture_on_the_device_is_halved_here_in_its_colours(
    page: Page, server: str, tmp_path: Path
) -> None:
    rows, columns = np.mgrid[: LONG // BLOCK, : WIDE // BLOCK]
    colours = np.stack([20 + rows * 9, 40 + columns * 10, 230 - rows * 4 - columns * 5], axis=-1).astype(
        np.uint8
    )
    pixels = np.kron(colours, np.ones((BLOCK, BLOCK, 1), np.uint8))
    pixels[::2, :, 0] += 6  # of which each pixel that is seen is the mean
    (tmp_path / "picture.dcm").write_bytes(image_object(pixels[None], Modality="XC"))
    page.evaluate("localStorage.setItem('gantry.memory-mib', '64')")
    open_folder(page, server, tmp_path)
    page.wait_until(f"{SAID}[0] === 'Reduced for this device: 1/4 of the detail'")
    wanted = colours + np.array([3.0, 0, 0])
    assert np.abs(colours_seen(page, 0, colours.shape[:2], (1, 1)) - wanted).max() <= 2
    hover(page, place_of(page, 0, (1001, 2001), (LONG, WIDE), (1, 1)))
    red, green, blue = (int(value) for value in wanted[8, 4])
    page.wait_until(f"document.querySelector('.probe').innerText === '1001, 2001: mean {red} {green} {blue}'")
    page.screenshot(ARTIFACTS / "reduced-local-colours-desk.png")


def test_a_frame_that_fits_is_shown_with_its_values(page: Page, server: str) -> None:
    opened(page, server, "1024", series=2)
    page.wait_until("document.querySelector('.corner.bottom-right .window')")
    assert page.evaluate(SAID) == [""]
    hover(page, place_of(page, 0, (1000, 2000), (LONG, WIDE), (1, 1)))
    page.wait_until(f"document.querySelector('.probe').innerText.endsWith(': {blocks()[8, 4]}')")


def scrolled_through(page: Page, server: str, mebibytes: str) -> list[float]:
    """Memory while a series is scrolled through, every 20 images."""
    opened(page, server, mebibytes, series=3)
    page.key("Home")
    page.wait_until(f"{SHOWN}[0] === '1 / {MANY}'")
    found = []
    for number in range(2, MANY + 1):
        page.key("ArrowDown")
        page.wait_until(f"{SHOWN}[0] === '{number} / {MANY}'")
        if number % 20 == 0:
            found.append(held(page))
    return found


def test_a_long_series_never_takes_more_than_the_budget(page: Page, server: str) -> None:
    opened(page, server, "16", series=2)
    before = held(page)
    within = scrolled_through(page, server, "16")
    assert max(within) - before < 16 + 8, (
        f"{within}, {before} before"
    )  # frames that are decoded just now, too
    without = scrolled_through(page, server, "1024")
    assert without[-1] - before > MANY / 2 * 0.9, "the measure sees what is kept"


@pytest.fixture
def drawing(page: Page) -> Iterator[str]:
    """An expression for the WebGL contexts that the page's pictures are drawn with, the last one last."""
    source = (
        "window.drawing = []; const given = HTMLCanvasElement.prototype.getContext;"
        " HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        " const context = given.call(this, kind, ...more);"
        " if (kind === 'webgl2' && context && !window.drawing.includes(context)) window.drawing.push(context);"
        " return context; };"
    )
    added = page.command("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
    yield "window.drawing.filter((one) => !one.isContextLost())"
    page.command("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


def test_graphics_that_give_up_draw_anew_with_smaller_volumes(page: Page, server: str, drawing: str) -> None:
    planes(page, server, ENOUGH)
    show_slice(page, CORONAL, 40)
    before = page.evaluate(f"{SHOWN}[{STACK}]")
    lose = f"{drawing}.map((one) => one.getExtension('WEBGL_lose_context').loseContext()).length"
    assert page.evaluate(lose) >= 1
    page.wait_until(f"{SAID}.join() === 'X,X,X,'".replace("X", "Reduced for this device: 1/2 of the detail"))
    page.wait_until("document.querySelector('.cell [role=status]')?.innerText.includes('drawn anew')")
    page.screenshot(ARTIFACTS / "reduced-drawn-anew-desk.png")
    assert page.evaluate(f"{SHOWN}[{STACK}]") == before
    page.wait_until(NO_LONGER_LOADING)
    assert page.evaluate(f"{SHOWN}[{CORONAL}]").startswith("21 / ")  # at the same place
    shown = seen(page, CORONAL, (SLICES, COLUMNS // 2), (SPACING[0] * 2, SPACING[2]))
    assert_alike(shown, windowed(halved(volume())[::-1, 20, :]))
