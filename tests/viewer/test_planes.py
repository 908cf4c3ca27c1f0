"""Planes that a hand turns, volumes of a tilted gantry, and boxes cut out of solids, held against NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from axe import found
from chromium import Page
from serving import ROOT
from slices import Grey, assert_alike, corners, edges, interpolated, lit, seen, show_slice, windowed
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.13"
PLATE, TILTED, TILTED_AWAY, BLOCKS = 1, 2, 3, 4
AXIAL, CORONAL, SAGITTAL = range(3)

SIDE, SPACING = 40, 1.5
PLATE_DEGREES = 25.0
# The middle slices of the three planes meet here: voxel 20 of 40 along each axis.
PIVOT = np.array([20.0, 20.0, 20.0])

GANTRY_DEGREES = 20.0
ROWS, COLUMNS, SLICES = 40, 32, 30
PIXEL, TABLE_STEP = 1.5, 3.0
ROD = (9.0, 4.0)  # x, y in mm of the patient


def plate() -> np.ndarray[Any, np.dtype[np.int16]]:
    """(z, y, x) in HU: a soft plate that leans by 25 degrees about the front-to-back axis, with a ripple in it."""
    z, y, x = np.mgrid[:SIDE, :SIDE, :SIDE] - PIVOT[:, None, None, None]
    lean = math.radians(PLATE_DEGREES)
    away = (x * math.sin(lean) + z * math.cos(lean)) * SPACING
    values = 160 * np.exp(-((away / 5) ** 2)) - 80 + 20 * np.sin(y / 4)
    return values.round().astype(np.int16)


def in_patient(x: Any, y: Any, z: Any) -> Grey:
    """HU of a rod that stands upright, wider than the pixels, in a body that changes slowly from head to feet."""
    rod = np.exp(-((x - ROD[0]) ** 2 + (y - ROD[1]) ** 2) / (2 * 5.0**2))
    return np.asarray(-60 + 260 * rod + 25 * np.sin(z / 14))


def tilted(series: int, degrees: float) -> Iterator[bytes]:
    """Slices that lean about the left-right axis while the table moves along the body's."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    for index in range(SLICES):
        x = -20.0 + columns * PIXEL
        y = -28.0 + rows * PIXEL * cosine
        z = 50.0 + index * TABLE_STEP + rows * PIXEL * sine
        yield image(
            series, index, in_patient(x, y, z),
            ImagePositionPatient=[-20, -28, 50 + index * TABLE_STEP],
            ImageOrientationPatient=[1, 0, 0, 0, round(cosine, 8), round(sine, 8)],
            PixelSpacing=[PIXEL, PIXEL],
            SeriesDescription=f"gantry {degrees:g}",
        )  # fmt: skip


def image(series: int, index: int, values: Grey, **more: Any) -> bytes:
    stored = (np.round(values) + 1024).astype(np.uint16)
    return ct_image(stored, STUDY, series, index + 1, RescaleIntercept=-1024, **more)


def blocks() -> Grey:
    """Air with two blocks as dense as bone: at the left, front and head, and at the right, back and feet."""
    values = np.full((30, 40, 48), -1000.0)
    values[20:26, 4:10, 32:40] = 1200
    values[4:8, 28:34, 8:14] = 1200
    return values


def objects() -> Iterator[bytes]:
    for index, values in enumerate(plate()):
        position = [-30.0, -30.0, index * SPACING]
        yield image(
            PLATE, index, values, ImagePositionPatient=position, PixelSpacing=[SPACING, SPACING],
            SeriesDescription="plate",
        )  # fmt: skip
    yield from tilted(TILTED, GANTRY_DEGREES)
    yield from tilted(TILTED_AWAY, -GANTRY_DEGREES)
    for index, values in enumerate(blocks()):
        yield image(BLOCKS, index, values, ImagePositionPatient=[0, 0, 2 * index], SeriesDescription="blocks")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def shift_key(page: Page, key: str, times: int = 1) -> None:
    for _ in range(times):
        for kind in ("keyDown", "keyUp"):
            page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=8)


def open_planes(page: Page, server: str, series: int) -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)


CUTS = f"{CELLS}.map((cell) => cell.querySelector('.cut')?.innerText ?? '')"


def turned_axial(degrees: float, off_mm: float = 0) -> Grey:
    """(rows, columns) in HU of the axial picture through the pivot, turned about the line that runs down."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    turn = math.radians(degrees)
    right = np.array([-math.sin(turn), 0, math.cos(turn)])
    normal = np.array([math.cos(turn), 0, math.sin(turn)])
    places = PIVOT + (columns - PIVOT[2])[..., None] * right + (rows - PIVOT[1])[..., None] * [0, 1, 0]
    return interpolated(plate().astype(float), places + normal * off_mm / SPACING)


def assert_shows(page: Page, wanted: Grey) -> None:
    shown = seen(page, AXIAL, (SIDE, SIDE), (SPACING, SPACING))
    inside = ~np.isnan(wanted)
    assert inside.sum() > SIDE * SIDE / 2
    assert_alike(shown[inside], windowed(wanted[inside]))


def flatness(page: Page) -> float:
    """How much the middle of the axial picture differs from column to column, in greys."""
    middle = seen(page, AXIAL, (SIDE, SIDE), (SPACING, SPACING))[10:31, 8:33]
    return float(np.std(middle.mean(axis=0)))


def test_a_leaning_plate_is_flat_once_the_plane_is_turned(page: Page, server: str) -> None:
    open_planes(page, server, PLATE)
    assert_shows(page, turned_axial(0))
    assert flatness(page) > 20
    shift_key(page, "ArrowRight", 5)
    page.wait_until(f"{CUTS}[0] === 'Axial · turned'")
    assert_shows(page, turned_axial(PLATE_DEGREES))
    assert flatness(page) < 2
    page.screenshot(ARTIFACTS / "planes-turned-desk.png")
    # The line of this plane in the coronal picture leans as the plate does; that in the sagittal one does not.
    line = f"{CELLS}[1].querySelector('.cross-lines .of-active')"
    x1, y1, x2, y2 = page.evaluate(f"['x1', 'y1', 'x2', 'y2'].map((at) => +{line}.getAttribute(at))")
    assert abs(math.degrees(math.atan((y2 - y1) / (x2 - x1))) - PLATE_DEGREES) < 0.2
    assert page.evaluate(CUTS)[1:] == ["Coronal", "Sagittal", ""]
    page.key("0")
    page.wait_until(f"{CUTS}[0] === 'Axial'")
    assert_shows(page, turned_axial(0))


def handles(page: Page, cell: int, cut: str) -> list[tuple[float, float]]:
    """Middles of the handles on the line of a plane, on the page; from left to right."""
    found = page.wait_until(
        f"(() => {{ const found = [...{CELLS}[{cell}].querySelectorAll('.turn-handle[data-cut={cut}] .reach')]"
        ".map((one) => { const b = one.getBoundingClientRect();"
        " return [b.x + b.width / 2, b.y + b.height / 2]; }); return found.length && found; })()"
    )
    return sorted((x, y) for x, y in found)


def drag_around(page: Page, centre: tuple[float, float], start: tuple[float, float], degrees: float) -> None:
    """Clockwise on the screen."""
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    radius = math.hypot(start[0] - centre[0], start[1] - centre[1])
    first = math.atan2(start[1] - centre[1], start[0] - centre[0])
    for step in range(9):
        turn = first + math.radians(degrees) * step / 8
        at = {"x": centre[0] + radius * math.cos(turn), "y": centre[1] + radius * math.sin(turn)}
        kind = "mousePressed" if step == 0 else "mouseMoved"
        page.command("Input.dispatchMouseEvent", type=kind, **at, **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", **at, **mouse)


def test_a_plane_is_turned_by_the_handle_on_its_line(page: Page, server: str) -> None:
    open_planes(page, server, PLATE)
    left, right = handles(page, CORONAL, "axial")
    centre = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    drag_around(page, centre, right, PLATE_DEGREES)
    page.wait_until(f"{CUTS}[0] === 'Axial · turned'")
    page.screenshot(ARTIFACTS / "planes-handle-desk.png")
    assert flatness(page) < 2
    assert_shows(page, turned_axial(PLATE_DEGREES))
    # Its pictures are walked through along the plane that is turned.
    for _ in range(2):
        show_next(page)
    assert_shows(page, turned_axial(PLATE_DEGREES, 2 * SPACING))
    # The reset of any plane takes those back that were turned.
    show_slice(page, CORONAL, 20)
    page.key("0")
    page.wait_until(f"{CUTS}[0] === 'Axial'")


def show_next(page: Page) -> None:
    for _ in range(4):
        if page.evaluate(f"{CELLS}[{AXIAL}].classList.contains('active')"):
            break
        page.key("n")
    before = page.evaluate(f"{SHOWN}[{AXIAL}]")
    page.key("ArrowDown")
    page.wait_until(f"{SHOWN}[{AXIAL}] !== '{before}'")


def test_a_slab_follows_its_plane(page: Page, server: str) -> None:
    open_planes(page, server, PLATE)
    shift_key(page, "ArrowRight", 5)
    page.wait_until(f"{CUTS}[0] === 'Axial · turned'")
    page.click("[aria-label=Slab]")
    for words in ("MinIP", "10 mm"):
        page.wait_until(
            "(() => { const found = [...document.querySelectorAll('.slab-menu .segment')]"
            f".find((one) => one.innerText === '{words}'); found?.click(); return found; }})()"
        )
    page.key("Escape")
    page.wait_until(f"{CUTS}[0] === 'Axial · turned · MinIP'")
    # Of 1.5 mm slices seven, from the middle of the first to that of the last; rays end within an eighth beyond.
    steps = np.linspace(-4.6, 4.6, 49)
    wanted = np.min([turned_axial(PLATE_DEGREES, float(off)) for off in steps], axis=0)
    assert_shows(page, wanted)
    page.screenshot(ARTIFACTS / "planes-turned-slab-desk.png")


@pytest.mark.parametrize(("series", "degrees"), [(TILTED, GANTRY_DEGREES), (TILTED_AWAY, -GANTRY_DEGREES)])
def test_a_rod_stands_upright_though_the_gantry_was_tilted(
    page: Page, server: str, series: int, degrees: float
) -> None:
    open_planes(page, server, series)
    page.screenshot(ARTIFACTS / f"planes-tilted-{degrees:g}-desk.png")
    assert [edges(page, cell) for cell in range(3)] == ["ALPR", "HLFR", "HPFA"]
    assert page.evaluate("document.querySelector('.straightened').innerText") == (
        "gantry tilt of 20° straightened"
    )
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rise = (ROWS - 1) * PIXEL * sine / TABLE_STEP
    first = math.floor(min(0.0, rise))
    layers = math.ceil(SLICES - 1 + max(0.0, rise)) - first + 1
    column = round((ROD[0] + 20) / PIXEL)
    show_slice(page, SAGITTAL, column)
    assert page.evaluate(f"{SHOWN}[{SAGITTAL}]") == f"{column + 1} / {COLUMNS}"
    shown = seen(page, SAGITTAL, (layers, ROWS), (PIXEL * cosine, TABLE_STEP))
    y = -28.0 + np.arange(ROWS) * PIXEL * cosine
    z = 50.0 + (first + np.arange(layers)[::-1]) * TABLE_STEP
    z, y = np.meshgrid(z, y, indexing="ij")
    place = (z - 50.0) / TABLE_STEP - (y + 28.0) * math.tan(math.radians(degrees)) / TABLE_STEP
    inside = (place >= 0.5) & (place <= SLICES - 1.5)
    truth = windowed(in_patient(-20.0 + column * PIXEL, y, z))
    assert_alike(shown[inside], truth[inside])
    # The brightest column is that of the rod, in every row that holds it from side to side.
    whole = inside[:, 12:32].all(axis=1)
    assert whole.sum() > 15
    brightest = np.argmax(np.where(inside, shown, 0), axis=1)[whole]
    assert set(brightest) <= {round((ROD[1] + 28) / PIXEL / cosine) + off for off in (-1, 0, 1)}
    assert brightest.std() < 0.6
    # Across the body the rod is as round as it is.
    layer = layers // 2
    show_slice(page, AXIAL, layer)
    across = seen(page, AXIAL, (ROWS, COLUMNS), (PIXEL, PIXEL * cosine))
    y, x = np.meshgrid(
        -28.0 + np.arange(ROWS) * PIXEL * cosine, -20.0 + np.arange(COLUMNS) * PIXEL, indexing="ij"
    )
    z_of = 50.0 + (first + layer) * TABLE_STEP
    place = (first + layer) - (y + 28.0) * math.tan(math.radians(degrees)) / TABLE_STEP
    inside = (place >= 0.5) & (place <= SLICES - 1.5)
    assert_alike(across[inside], windowed(in_patient(x, y, z_of))[inside])


def set_face(page: Page, face: int, percent: float) -> None:
    page.wait_until(
        f"(() => {{ const slider = document.querySelectorAll('.crop-menu input')[{face}]; if (!slider) return false;"
        f" slider.value = {percent * 2}; slider.dispatchEvent(new Event('input', {{ bubbles: true }})); return true; }})()"
    )


def test_a_box_is_cut_out_of_a_solid(page: Page, server: str) -> None:
    page.size(900, 500)  # without a graphics card a large picture takes seconds
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{BLOCKS}")
    page.wait_until(SLICE)
    shift_key(page, "B")
    page.wait_until(f"{CELLS}[0].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    page.wait_until("document.querySelectorAll('.crop-menu input').length === 6")
    assert corners(lit(page, 0)) == {"top right", "bottom left"}
    assert page.evaluate("document.querySelectorAll('.crop-box line').length") == 12
    right, left, front, back, feet, head = range(6)
    set_face(page, left, 50)
    assert corners(lit(page, 0)) == {"bottom left"}
    page.screenshot(ARTIFACTS / "crop-desk.png")
    assert found(page) == []
    set_face(page, left, 100)
    set_face(page, feet, 50)
    assert corners(lit(page, 0)) == {"top right"}
    set_face(page, feet, 0)
    for face, at, kept in ((back, 50, "top right"), (front, 50, "bottom left")):
        set_face(page, face, at)
        assert corners(lit(page, 0)) == {kept}
        set_face(page, face, 100 if face == back else 0)
    # Half of a block is cut off where the face goes through it: columns 32 to 40 of 48.
    set_face(page, left, 75)
    widths = {side: [x for x, y in lit(page, 0) if (y < 24) == (side == "top")] for side in ("top", "bottom")}
    assert max(widths["top"]) - min(widths["top"]) < max(widths["bottom"]) - min(widths["bottom"])
    page.click(".crop-menu .button")
    assert corners(lit(page, 0)) == {"top right", "bottom left"}
    set_face(page, right, 60)
    assert corners(lit(page, 0)) == {"top right"}
    set_face(page, right, 0)
    set_face(page, head, 40)
    assert corners(lit(page, 0)) == {"bottom left"}
    # Turned upwards and back, it is the same box.
    page.key("Escape")
    page.wait_until("!document.querySelector('.crop-menu')")
    for dy in (60, -60):
        page.drag(".viewport", 0, dy, steps=1)
    assert corners(lit(page, 0)) == {"bottom left"}


def test_the_greatest_value_on_each_line_of_sight(page: Page, server: str) -> None:
    page.size(900, 500)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{BLOCKS}")
    page.wait_until(SLICE)
    page.key("8")
    page.wait_until(f"{CELLS}[0].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    before = lit(page, 0)
    page.click("[aria-label=Rendering]")
    page.click(".rendering-menu .menu-item:nth-child(5)")
    page.wait_until("document.querySelector('.corner.bottom-right .window')")
    page.key("3")
    assert corners(lit(page, 0)) == corners(before)
    page.screenshot(ARTIFACTS / "solid-greatest-desk.png")
