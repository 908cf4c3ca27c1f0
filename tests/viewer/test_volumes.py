"""Volumes: cuts in three planes, held against reslices by NumPy; series that are no volume say why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from chromium import Page
from image_values import image_object
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, send, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.7"
COLUMNS, ROWS, SLICES = 48, 40, 30
SPACING = (1.0, 1.25, 2.0)  # x, y, z in mm
ORIGIN = (-20.0, -30.0, 100.0)
SPOT = (33, 12, 22)  # column, row, slice
WIDTH, CENTER = 400, 40

Grey = np.ndarray[Any, np.dtype[np.float64]]


def volume() -> np.ndarray[Any, np.dtype[np.int16]]:
    """(z, y, x) in HU: waves that differ along each axis, and a bright spot of 3 voxels a side."""
    z, y, x = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    values = 40 + 90 * np.sin(x / 7) + 60 * np.sin(y / 5 + 1) + 40 * np.cos(z / 4) + z
    i, j, k = SPOT
    values[k - 1 : k + 2, j - 1 : j + 2, i - 1 : i + 2] = 900
    return values.round().astype(np.int16)


def ct(
    series: int, number: int, pixels: np.ndarray[Any, Any], position: Sequence[float], **more: Any
) -> bytes:
    attributes = {
        "Modality": "CT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.{series}",
        "SOPInstanceUID": f"{STUDY}.{series}.{number}",
        "SeriesNumber": series,
        "InstanceNumber": number,
        "FrameOfReferenceUID": f"{STUDY}.99",
        "ImagePositionPatient": list(position),
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [SPACING[1], SPACING[0]],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
        "WindowCenter": CENTER,
        "WindowWidth": WIDTH,
    }
    return image_object((pixels.astype(np.int32) + 1024).astype(np.uint16)[None], **(attributes | more))


def objects() -> Iterator[bytes]:
    cube = volume()
    for k in range(SLICES):
        position = (ORIGIN[0], ORIGIN[1], ORIGIN[2] + k * SPACING[2])
        yield ct(1, k + 1, cube[k], position, SeriesDescription="even")
    for number, z in enumerate((0, 2, 4, 8, 10, 12), 1):
        yield ct(2, number, cube[number], (*ORIGIN[:2], z), SeriesDescription="gap")
    for number in range(5):
        yield ct(
            3, number + 1, cube[number], (ORIGIN[0], number * 1.0, number * 4), SeriesDescription="tilted"
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("archive")) as ready:
        address = f"http://{ready['http']}"
        for part10 in objects():
            send(address, part10)
        yield address


CELLS = "[...document.querySelectorAll('.cell:not(.hidden)')]"
SHOWN = f"{CELLS}.map((cell) => cell.querySelector('.corner.bottom-left .strong')?.innerText ?? '')"
WINDOWS = f"{CELLS}.map((cell) => cell.querySelector('.corner.bottom-right .strong')?.innerText ?? '')"
AXIAL, CORONAL, SAGITTAL, STACK = range(4)

# Greys of one cell's canvas at the middles of the picture's pixels, row by row, once it stays the same.
GREYS = """new Promise((resolve) => {
    const look = () => {
        const canvas = document.querySelectorAll('.cell:not(.hidden)')[CELL].querySelector('canvas');
        const { width, height } = canvas;
        const small = new OffscreenCanvas(width, height);
        const context = small.getContext('2d', { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const { data } = context.getImageData(0, 0, width, height);
        const scale = Math.min(width / (COLUMNS * SX), height / (ROWS * SY));
        const greys = [];
        for (let row = 0; row < ROWS; row += 1) for (let column = 0; column < COLUMNS; column += 1) {
            const x = Math.floor(width / 2 + (column + 0.5 - COLUMNS / 2) * SX * scale);
            const y = Math.floor(height / 2 + (row + 0.5 - ROWS / 2) * SY * scale);
            greys.push(data[(y * width + x) * 4]);
        }
        return greys;
    };
    let before = [], left = 100;
    const again = () => {
        const now = look();
        if ((now.every((grey, at) => grey === before[at]) && new Set(now).size > 8) || (left -= 1) === 0)
            return resolve(now);
        before = now;
        setTimeout(() => requestAnimationFrame(again), 30);
    };
    again();
})"""


def seen(page: Page, cell: int, shape: tuple[int, int], spacing: tuple[float, float]) -> Grey:
    """What a cell shows, as (rows, columns) of greys; `spacing` is across and down."""
    script = GREYS.replace("CELL", str(cell))
    for name, value in {"COLUMNS": shape[1], "ROWS": shape[0], "SX": spacing[0], "SY": spacing[1]}.items():
        script = script.replace(name, str(value))
    return np.array(page.evaluate(script), dtype=np.float64).reshape(shape)


def windowed(values: np.ndarray[Any, Any], center: float = CENTER, width: float = WIDTH) -> Grey:
    """Greys as PS3.3 C.11.2.1.2.1 (LINEAR) makes them."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255).astype(np.float64)


def assert_alike(shown: Grey, wanted: Grey) -> None:
    """The pixel of the screen that holds a middle is up to half of its size beside it."""
    away = np.abs(shown - wanted)
    assert float(np.median(away)) <= 2, f"median difference {np.median(away)} greys"
    assert float(np.percentile(away, 95)) <= 6, f"95 % within {np.percentile(away, 95)} greys"


def open_series(page: Page, server: str, series: int = 1, query: str = "") -> None:
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def open_planes(page: Page, server: str) -> None:
    open_series(page, server)
    page.key("v")
    page.wait_until(f"{SHOWN}.filter((words) => words.includes('/')).length === 4")
    page.wait_until(NO_LONGER_LOADING)


def show_slice(page: Page, cell: int, index: int) -> None:
    """Makes a cell the active one and goes to a slice, counted from 0."""
    for _ in range(4):
        if page.evaluate(f"{CELLS}[{cell}].classList.contains('active')"):
            break
        page.key("n")
    page.key("Home")
    tens, ones = divmod(index, 10)
    for _ in range(tens):
        page.key("PageDown")
    for _ in range(ones):
        page.key("ArrowDown")
    page.wait_until(f"{SHOWN}[{cell}].startsWith('{index + 1} / ')")


def edges(page: Page, cell: int) -> str:
    """Letters above, right, below, left."""
    return "".join(
        page.evaluate(
            f"""['top', 'right', 'bottom', 'left'].map(
                (side) => {CELLS}[{cell}].querySelector('.edge.' + side).innerText)"""
        )
    )


def point_at(page: Page, cell: int, fraction: tuple[float, float], *, press: bool = False) -> None:
    """The pointer to a place in the picture's cell, given from its middle in shares of its size."""
    box = page.evaluate(
        f"(() => {{ const b = {CELLS}[{cell}].querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    x, y = box[0] + box[2] / 2 + fraction[0], box[1] + box[3] / 2 + fraction[1]
    if press:
        mouse = {"x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        page.command("Input.dispatchMouseEvent", type="mousePressed", **mouse)
        page.command("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


def pixels_per_mm(page: Page, cell: int, across_mm: float, down_mm: float) -> float:
    box = page.evaluate(
        f"(() => {{ const b = {CELLS}[{cell}].querySelector('.viewport').getBoundingClientRect();"
        " return [b.width, b.height]; })()"
    )
    return float(min(box[0] / across_mm, box[1] / down_mm))


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
