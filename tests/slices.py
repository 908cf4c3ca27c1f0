"""What a cell of the viewer's page shows of a volume, to be held against what NumPy makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chromium import Page
from viewing import CELLS, SHOWN

Grey = np.ndarray[Any, np.dtype[np.float64]]

WINDOWS = f"{CELLS}.map((cell) => cell.querySelector('.corner.bottom-right .strong.window')?.innerText ?? '')"

# Colours of one cell's canvas at the middles of the picture's pixels, row by row, once it stays the same.
COLOURS = """new Promise((resolve) => {
    const look = () => {
        const canvas = document.querySelectorAll('.cell:not(.hidden)')[CELL].querySelector('canvas');
        const { width, height } = canvas;
        const small = new OffscreenCanvas(width, height);
        const context = small.getContext('2d', { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const { data } = context.getImageData(0, 0, width, height);
        const scale = Math.min(width / (COLUMNS * SX), height / (ROWS * SY));
        const colours = [];
        for (let row = 0; row < ROWS; row += 1) for (let column = 0; column < COLUMNS; column += 1) {
            const x = Math.floor(width / 2 + (column + 0.5 - COLUMNS / 2) * SX * scale);
            const y = Math.floor(height / 2 + (row + 0.5 - ROWS / 2) * SY * scale);
            colours.push(...data.slice((y * width + x) * 4, (y * width + x) * 4 + 3));
        }
        return colours;
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
    return colours_seen(page, cell, shape, spacing)[..., 0]


def colours_seen(page: Page, cell: int, shape: tuple[int, int], spacing: tuple[float, float]) -> Grey:
    """As `seen`, of (rows, columns, 3) of red, green and blue."""
    script = COLOURS.replace("CELL", str(cell))
    for name, value in {"COLUMNS": shape[1], "ROWS": shape[0], "SX": spacing[0], "SY": spacing[1]}.items():
        script = script.replace(name, str(value))
    return np.array(page.evaluate(script), dtype=np.float64).reshape((*shape, 3))


def windowed(values: np.ndarray[Any, Any], center: float = 40, width: float = 400) -> Grey:
    """Greys as PS3.3 C.11.2.1.2.1 (LINEAR) makes them."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255).astype(np.float64)


def assert_alike(shown: Grey, wanted: Grey) -> None:
    """The pixel of the screen that holds a middle is up to half of its size beside it."""
    away = np.abs(shown - wanted)
    assert float(np.median(away)) <= 2, f"median difference {np.median(away)} greys"
    assert float(np.percentile(away, 95)) <= 6, f"95 % within {np.percentile(away, 95)} greys"


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


def place_of(
    page: Page, cell: int, pixel: tuple[int, int], shape: tuple[int, int], spacing: Sequence[float]
) -> Any:
    """Where the middle of a picture's pixel (column, row) is on the page; `shape` is (rows, columns)."""
    x, y, width, height = page.evaluate(
        f"(() => {{ const b = {CELLS}[{cell}].querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    scale = min(width / (shape[1] * spacing[0]), height / (shape[0] * spacing[1]))
    return (
        x + width / 2 + (pixel[0] + 0.5 - shape[1] / 2) * spacing[0] * scale,
        y + height / 2 + (pixel[1] + 0.5 - shape[0] / 2) * spacing[1] * scale,
    )


def press(page: Page, at: tuple[float, float]) -> None:
    mouse = {"x": at[0], "y": at[1], "button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", **mouse)


def hover(page: Page, at: tuple[float, float]) -> None:
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])


LIT = """new Promise((resolve) => setTimeout(() => requestAnimationFrame(() => {
    const canvas = document.querySelectorAll('.cell:not(.hidden)')[CELL].querySelector('canvas');
    const small = new OffscreenCanvas(48, 48);
    const context = small.getContext('2d', { willReadFrequently: true });
    context.drawImage(canvas, 0, 0, 48, 48);
    const { data } = context.getImageData(0, 0, 48, 48);
    const lit = [];
    for (let at = 0; at < 48 * 48; at += 1) if (data[at * 4] > 40) lit.push([at % 48, Math.floor(at / 48)]);
    resolve(lit);
}), 300))"""


def lit(page: Page, cell: int) -> list[tuple[int, int]]:
    """Where a solid is seen, of 48 by 48 places, once two looks agree."""
    before: list[tuple[int, int]] = []
    for _ in range(40):
        now = [(x, y) for x, y in page.evaluate(LIT.replace("CELL", str(cell)))]
        if now and now == before:
            return now
        before = now
    raise AssertionError("the solid is not drawn, or does not come to rest")


def corners(places: list[tuple[int, int]]) -> set[str]:
    return {("top " if y < 24 else "bottom ") + ("left" if x < 24 else "right") for x, y in places}


def interpolated(cube: Grey, places: Grey) -> Grey:
    """Between eight voxels; `places` are (..., 3) of slice, row and column. NaN outside of the centres."""
    last = np.array(cube.shape) - 1
    low = np.clip(np.floor(places).astype(int), 0, last - 1)
    share = places - low
    total = np.zeros(places.shape[:-1])
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(np.array(corner) == 1, share, 1 - share), axis=-1)
        at = low + np.array(corner)
        total += weight * cube[at[..., 0], at[..., 1], at[..., 2]]
    return np.where(((places >= 0) & (places <= last)).all(axis=-1), total, np.nan)
