"""Volumes: cuts in three planes, held against reslices by NumPy; series that are no volume say why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from slices import (
    WINDOWS,
    assert_alike,
    corners,
    edges,
    hover,
    lit,
    place_of,
    press,
    seen,
    show_slice,
    windowed,
)
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.7"
COLUMNS, ROWS, SLICES = 48, 40, 30
SPACING = (1.0, 1.25, 2.0)  # x, y, z in mm
ORIGIN = (-20.0, -30.0, 100.0)
SPOT = (33, 12, 22)  # column, row, slice
WIDTH, CENTER = 400, 40
# Sagittal, with rows towards the back and columns towards the feet, turned by 20 degrees about the body's axis.
OBLIQUE = (-0.34202014, 0.93969262, 0.0, 0.0, 0.0, -1.0)


def volume() -> np.ndarray[Any, np.dtype[np.int16]]:
    """(z, y, x) in HU: waves that differ along each axis, and a bright spot of 3 voxels a side."""
    z, y, x = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    values = 40 + 90 * np.sin(x / 7) + 60 * np.sin(y / 5 + 1) + 40 * np.cos(z / 4) + z
    i, j, k = SPOT
    values[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = 900
    return values.round().astype(np.int16)


def blocks() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Air, with one block as dense as bone at the left, front and head, and one at the right, back and feet."""
    values = np.full((SLICES, ROWS, COLUMNS), -1000, dtype=np.int16)
    values[20:26, 4:10, 32:40] = 1200
    values[4:8, 28:34, 8:14] = 1200
    return values


def ct(
    series: int, number: int, pixels: np.ndarray[Any, Any], position: Sequence[float], **more: Any
) -> bytes:
    return ct_image(
        (pixels.astype(np.int32) + 1024).astype(np.uint16), STUDY, series, number,
        **{
            "ImagePositionPatient": list(position),
            "PixelSpacing": [SPACING[1], SPACING[0]],
            "RescaleIntercept": -1024,
            "WindowCenter": CENTER,
            "WindowWidth": WIDTH,
            **more,
        },
    )  # fmt: skip


def objects() -> Iterator[bytes]:
    cube = volume()
    for k in range(SLICES):
        position = (ORIGIN[0], ORIGIN[1], ORIGIN[2] + k * SPACING[2])
        yield ct(1, k + 1, cube[k], position, SeriesDescription="even")
    for number, z in enumerate((0, 2, 4, 8, 10, 12), 1):
        yield ct(2, number, cube[number], (*ORIGIN[:2], z), SeriesDescription="gap")
    for number in range(5):
        yield ct(
            3, number + 1, cube[number], (number * 3, number * 4, number * 5), SeriesDescription="sheared"
        )
    for number in range(3):
        yield ct(4, number + 1, np.zeros((8, 2100)), (0, 0, number), SeriesDescription="long")
    for k, pixels in enumerate(blocks()):
        yield ct(5, k + 1, pixels, (*ORIGIN[:2], k * SPACING[2]), SeriesDescription="blocks")
    # Taken obliquely from the left, from head to feet in number, each slice with a slope of its own.
    row, column = OBLIQUE[:3], OBLIQUE[3:]
    normal = np.cross(row, column)
    for k in range(SLICES):
        slope = 0.05 * (1 + k % 3)
        stored = (cube[k] + 1024.0) / slope
        position = [float(mm) for mm in np.array(ORIGIN) - k * SPACING[2] * normal]
        yield ct(
            6, k + 1, stored.round().astype(np.int32) - 1024, position, SeriesDescription="oblique",
            ImageOrientationPatient=list(OBLIQUE), RescaleSlope=slope,
        )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


AXIAL, CORONAL, SAGITTAL, STACK = range(4)


def open_series(page: Page, server: str, series: int = 1, query: str = "") -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def open_planes(page: Page, server: str) -> None:
    open_series(page, server)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)


def test_three_planes_show_what_numpy_cuts(page: Page, server: str) -> None:
    open_planes(page, server)
    assert page.evaluate(SHOWN) == ["16 / 30", "21 / 40", "25 / 48", "16 / 30"]
    names = page.evaluate(f"{CELLS}.map((cell) => cell.querySelector('.cut')?.innerText ?? '')")
    assert names == ["Axial", "Coronal", "Sagittal", ""]
    page.screenshot(ARTIFACTS / "planes-desk.png")
    assert [edges(page, cell) for cell in range(3)] == ["ALPR", "HLFR", "HPFA"]
    cube = volume()
    x, y, z = SPACING
    assert_alike(seen(page, AXIAL, cube[15].shape, (x, y)), windowed(cube[15]))
    for cell, index, cut, spacing in (
        (AXIAL, 22, cube[22], (x, y)),
        (CORONAL, 12, cube[::-1, 12, :], (x, z)),
        (CORONAL, 31, cube[::-1, 31, :], (x, z)),
        (SAGITTAL, 33, cube[::-1, :, 33], (y, z)),
        (SAGITTAL, 5, cube[::-1, :, 5], (y, z)),
    ):
        show_slice(page, cell, index)
        assert_alike(seen(page, cell, cut.shape, spacing), windowed(cut))


def test_an_oblique_series_is_cut_along_its_own_axes(page: Page, server: str) -> None:
    """Its rows run to the back, its columns to the feet, and its images to the left as their numbers rise."""
    open_series(page, server, 6)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)
    page.screenshot(ARTIFACTS / "planes-oblique-desk.png")
    assert [edges(page, cell) for cell in range(4)] == ["ALLPPRRA", "HLPFRA", "HPRFAL", "HPRFAL"]
    cube = volume().astype(float)  # (to the left, to the feet, to the back)
    x, y, z = SPACING
    for cell, index, cut, spacing in (
        (SAGITTAL, 7, cube[7], (x, y)),
        (CORONAL, 30, cube[:, :, 30].T, (z, y)),
        (AXIAL, 5, cube[:, ROWS - 1 - 5, :].T, (z, x)),
    ):
        show_slice(page, cell, index)
        assert_alike(seen(page, cell, cut.shape, spacing), windowed(cut))


def test_the_cursor_finds_the_spot_in_all_planes(page: Page, server: str) -> None:
    open_planes(page, server)
    show_slice(page, AXIAL, SPOT[2])
    page.key("c")
    shape, spacing = (ROWS, COLUMNS), SPACING[:2]
    press(page, place_of(page, AXIAL, (SPOT[0], SPOT[1]), shape, spacing))
    page.wait_until(f"{SHOWN}.join() === '23 / 30,13 / 40,34 / 48,23 / 30'")
    assert page.evaluate("document.querySelectorAll('.cursor-3d:not(.far)').length") == 4
    hover(page, place_of(page, AXIAL, (SPOT[0], SPOT[1]), shape, spacing))
    probe = f"{CELLS}.map((cell) => cell.querySelector('.probe')?.innerText).join('|')"
    page.wait_until(f"{probe} === '33, 12: 900 HU|||'")
    # In the coronal picture the spot is as far below the top as it is below the last slice.
    spot = (SPOT[0], SLICES - 1 - SPOT[2])
    hover(page, place_of(page, CORONAL, spot, (SLICES, COLUMNS), (SPACING[0], SPACING[2])))
    page.wait_until(f"{CELLS}[1].querySelector('.probe')?.innerText === '33, 7: 900 HU'")
    page.screenshot(ARTIFACTS / "planes-cursor-desk.png")
    # Pointing in the sagittal picture moves the others.
    press(page, place_of(page, SAGITTAL, (30, 19), (SLICES, ROWS), (SPACING[1], SPACING[2])))
    page.wait_until(f"{SHOWN}.join() === '11 / 30,31 / 40,34 / 48,11 / 30'")


def test_planes_are_windowed_together_and_turned_one_by_one(page: Page, server: str) -> None:
    open_planes(page, server)
    show_slice(page, CORONAL, 12)
    page.key("3")
    page.wait_until(f"{WINDOWS}.join() === 'W 2500 L 480,W 2500 L 480,W 2500 L 480,W 2500 L 480'")
    cut = volume()[::-1, 12, :]
    x, _, z = SPACING
    assert_alike(seen(page, CORONAL, cut.shape, (x, z)), windowed(cut, 480, 2500))
    page.key("0")
    page.wait_until(f"{WINDOWS}.join() === 'W 400 L 40,W 400 L 40,W 400 L 40,W 400 L 40'")
    page.key("h")
    page.wait_until(f"{CELLS}[1].querySelector('.edge.right').innerText === 'R'")
    assert_alike(seen(page, CORONAL, cut.shape, (x, z)), windowed(cut[:, ::-1]))
    page.key("r")  # what was on the left is above
    page.wait_until(f"{CELLS}[1].querySelector('.edge.top').innerText === 'L'")
    turned = np.rot90(cut[:, ::-1], -1)
    assert edges(page, CORONAL) == "LHRF"
    assert_alike(seen(page, CORONAL, turned.shape, (z, x)), windowed(turned))
    page.key("i")
    page.wait_until("document.querySelector('[aria-label=Invert]').ariaPressed === 'true'")
    assert_alike(seen(page, CORONAL, turned.shape, (z, x)), 255 - windowed(turned))
    assert edges(page, AXIAL) == "ALPR"


def test_planes_are_moved_and_zoomed_by_hand(page: Page, server: str) -> None:
    open_planes(page, server)
    show_slice(page, SAGITTAL, 20)
    before = seen(page, SAGITTAL, (SLICES, ROWS), (SPACING[1], SPACING[2]))
    page.key("p")
    page.drag(".cell:nth-child(3) .viewport", 60, -40)
    moved = seen(page, SAGITTAL, (SLICES, ROWS), (SPACING[1], SPACING[2]))
    assert float(np.abs(moved - before).max()) > 20
    page.drag(".cell:nth-child(3) .viewport", -60, 40)
    again = seen(page, SAGITTAL, (SLICES, ROWS), (SPACING[1], SPACING[2]))
    assert float(np.abs(again - before).max()) <= 2
    size = f"{CELLS}[2].querySelector('.corner.bottom-right p:nth-child(2)').innerText"
    percent = float(page.evaluate(size).split()[0])
    page.key("+")
    assert float(page.wait_until(f"{size} !== '{percent:.0f} %' && {size}").split()[0]) == round(
        percent * 1.25
    )
    page.wheel(".cell:nth-child(3) .viewport", 120)
    page.wait_until(f"{SHOWN}[2] === '22 / 48'")


def test_planes_begin_where_the_stack_is_and_go_back_to_it(page: Page, server: str) -> None:
    open_series(page, server, query="&frame=6&window=100,700")
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)
    assert page.evaluate(f"{SHOWN}[0] + {SHOWN}[3]") == "6 / 306 / 30"
    assert set(page.evaluate(WINDOWS)) == {"W 700 L 100"}
    page.key("ArrowDown")
    page.wait_until(f"{SHOWN}[3] === '7 / 30'")  # its images scroll along
    page.key("7")
    page.wait_until(f"{CELLS}.length === 1 && {SHOWN}[0] === '7 / 30'")
    assert page.evaluate(f"{WINDOWS}[0]") == "W 700 L 100"
    page.key("7")  # the volume is made anew
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)
    cut = volume()[6]
    assert_alike(seen(page, AXIAL, cut.shape, SPACING[:2]), windowed(cut, 100, 700))


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (2, "Images are missing after image 3: the next is 4 mm away, the others 2 mm."),
        (
            3,
            "Its images shift sideways by 45° from one to the next, in a way that cannot be straightened.",
        ),
    ],
)
def test_what_is_no_volume_says_why_and_stays_a_stack(
    page: Page, server: str, series: int, words: str
) -> None:
    open_series(page, server, series)
    page.key("7")
    said = page.wait_until("document.querySelector('.said').innerText")
    assert said == f"This series cannot be cut into other planes. {words}"
    page.screenshot(ARTIFACTS / f"no-volume-{series}-desk.png")
    assert page.evaluate(f"{CELLS}.length") == 1
    page.key("Home")
    page.wait_until(f"{SHOWN}[0].startsWith('1 / ')")


def test_a_volume_the_graphics_cannot_hold_is_refused_in_its_cells(page: Page, server: str) -> None:
    open_series(page, server, 4)
    page.key("7")
    page.wait_until(f"{CELLS}.filter((cell) => cell.innerText.includes('has 2,100 voxels')).length === 3")
    page.wait_until(f"{SHOWN}[3] === '2 / 3'")
    page.screenshot(ARTIFACTS / "no-volume-4-desk.png")


INVERTED = "(document.querySelector('[aria-label^=\"Invert\"]').ariaPressed === 'true')"


def choose_slab(page: Page, projection: str, thickness: str) -> None:
    page.click("[aria-label=Slab]")
    for words in (projection, thickness):
        page.wait_until(
            "(() => { const found = [...document.querySelectorAll('.slab-menu .segment')]"
            f".find((one) => one.innerText === '{words}'); found?.click(); return found; }})()"
        )
    page.key("Escape")
    page.wait_until("!document.querySelector('.slab-menu')")


@pytest.mark.parametrize(
    ("projection", "project"),
    [("MIP", np.max), ("MinIP", np.min), ("Mean", np.mean)],
)
def test_slabs_show_what_numpy_projects(page: Page, server: str, projection: str, project: Any) -> None:
    open_planes(page, server)
    show_slice(page, AXIAL, 14)
    choose_slab(page, projection, "20 mm")  # of 2 mm slices: an odd number of them
    page.wait_until(f"{CELLS}[0].querySelector('.corner.bottom-left').innerText.includes('22 mm thick')")
    cut = project(volume()[9:20].astype(float), axis=0)
    assert_alike(seen(page, AXIAL, cut.shape, SPACING[:2]), windowed(cut))
    assert page.evaluate(f"{CELLS}[0].querySelector('.cut').innerText") == f"Axial · {projection}"
    page.screenshot(ARTIFACTS / f"slab-{projection}-desk.png")
    page.key("i")
    page.wait_until(INVERTED)
    assert_alike(seen(page, AXIAL, cut.shape, SPACING[:2]), 255 - windowed(cut))
    page.screenshot(ARTIFACTS / f"slab-{projection}-inverted-desk.png")
    # In another window, on another slice, and then in black on white no more.
    page.key("3")
    page.key("ArrowDown")
    page.wait_until(f"{WINDOWS}[0] === 'W 2500 L 480'")
    after = project(volume()[10:21].astype(float), axis=0)
    assert_alike(seen(page, AXIAL, cut.shape, SPACING[:2]), 255 - windowed(after, 480, 2500))
    page.key("i")
    page.wait_until(f"!{INVERTED}")
    assert_alike(seen(page, AXIAL, cut.shape, SPACING[:2]), windowed(after, 480, 2500))
    page.key("1")
    page.key("ArrowUp")
    page.wait_until(f"{WINDOWS}[0] === 'W 400 L 40'")
    choose = "[...document.querySelectorAll('.slab-menu .segment')].find((one) => one.innerText === 'Slice')"
    page.click("[aria-label=Slab]")
    page.wait_until(f"{choose} && ({choose}.click() ?? true)")
    page.wait_until(f"{CELLS}[0].querySelector('.corner.bottom-left').innerText.includes('2 mm thick')")
    page.key("Escape")
    one = volume()[14]
    assert_alike(seen(page, AXIAL, one.shape, SPACING[:2]), windowed(one))


def test_a_solid_is_seen_from_the_front_turned_and_opened(page: Page, server: str) -> None:
    page.size(800, 400)  # without a graphics card a large picture takes seconds
    page.go(f"{server}/view/{STUDY}?series={STUDY}.5")
    page.wait_until(SLICE)
    page.key("8")
    page.wait_until(f"{CELLS}[0].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    assert edges(page, 0) == "HLFR"
    assert corners(lit(page, 0)) == {"top right", "bottom left"}
    page.screenshot(ARTIFACTS / "solid-desk.png")
    for _ in range(5):  # half of the way through: what is in front is gone
        page.key("PageDown")
    page.wait_until("document.querySelector('.scrubber').ariaValueNow === '51'")
    assert corners(lit(page, 0)) == {"bottom left"}
    page.key("0")
    page.wait_until("document.querySelector('.scrubber').ariaValueNow === '1'")
    page.drag(".cell .viewport", 400, 0, steps=2)  # half around: from behind
    page.wait_until(f"{CELLS}[0].querySelector('.edge.right').innerText === 'R'")
    assert corners(lit(page, 0)) == {"top left", "bottom right"}
    page.key("8")
    page.wait_until(f"{SHOWN}[0] === '16 / 30'")


# The mean colour of what is not black of the fourth cell.
COLOUR = f"""(() => {{
    const canvas = {CELLS}[3].querySelector('canvas'), context = new OffscreenCanvas(96, 96).getContext('2d');
    context.drawImage(canvas, 0, 0, 96, 96);
    const {{ data }} = context.getImageData(0, 0, 96, 96);
    let [sum, n] = [[0, 0, 0], 0];
    for (let at = 0; at < data.length; at += 4) if (data[at] + data[at + 1] + data[at + 2] > 60) {{
        sum = sum.map((value, i) => value + data[at + i]);
        n += 1;
    }}
    return sum.map((value) => value / n);
}})()"""


def test_what_a_solid_is_made_of_is_chosen(page: Page, server: str) -> None:
    page.size(800, 400)  # without a graphics card a large picture takes seconds
    page.go(f"{server}/view/{STUDY}?series={STUDY}.5")
    page.wait_until(SLICE)
    page.key("7")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.key("8")  # beside the planes, where the images were
    page.wait_until(f"{CELLS}[3].querySelector('.cut')?.innerText === '3D'", timeout_s=60)
    page.wait_until(NO_LONGER_LOADING)
    before = lit(page, 3)
    for _ in range(3):
        page.key("n")
    page.click("[aria-label=Rendering]")
    choice = "[...document.querySelectorAll('.rendering-menu .menu-item')]"
    words = page.wait_until(f"{choice}.length === 6 && {choice}.map((one) => one.innerText.trim())")
    assert words == ["Bone", "Vessels", "Soft tissue", "Lung", "Greatest value (MIP)", "Greys of the window"]
    colours: dict[str, np.ndarray[Any, Any]] = {}
    for at, name in enumerate(words[:4], 1):
        if at > 1:
            page.click("[aria-label=Rendering]")
        page.click(f".rendering-menu .menu-item:nth-child({at})")
        page.wait_until(f"{choice}.length === 0")
        if name == "Lung":  # of what is as dense as bone nothing, or next to it
            page.wait_until(f"!({COLOUR}[0] > 60)")
            continue
        lit(page, 3)
        colours[name] = np.array(page.evaluate(COLOUR))
    assert min(np.abs(a - b).max() for a, b in combinations(colours.values(), 2)) > 8, colours
    page.click("[aria-label=Rendering]")
    page.click(".rendering-menu .menu-item:nth-child(6)")
    page.wait_until(f"{WINDOWS}[3] === 'W 400 L 40'")
    assert corners(lit(page, 3)) == corners(before)
    page.screenshot(ARTIFACTS / "planes-solid-desk.png")
