"""Areas with more to tell: smooth curves through points, and the colours of a colour image."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from chromium import PHONE, Page
from image_values import image_object
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.51"
SIDE = 128
SHAPES = "[...document.querySelectorAll('.measure-layer g:not(.reported)')]"
TEXTS = f"{SHAPES}.map((one) => [...one.querySelectorAll('tspan')].map((line) => line.textContent).join('|'))"


def grey() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(900, 1200, (SIDE, SIDE)).astype(np.int16)


def colour() -> np.ndarray[Any, Any]:
    return np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def objects() -> Iterator[bytes]:
    yield ct_image(grey(), STUDY, 1, 1, PixelSpacing=[0.5, 0.5], RescaleIntercept=-1024)
    for series, name in ((2, "ORIGINAL"), (3, "PLANES")):
        pixels = colour()
        planes = np.moveaxis(pixels, -1, 0).reshape(pixels.shape) if name == "PLANES" else pixels
        yield image_object(
            planes[None],
            StudyInstanceUID=STUDY,
            SeriesInstanceUID=f"{STUDY}.{series}",
            SOPInstanceUID=f"{STUDY}.{series}.1",
            SeriesNumber=series,
            InstanceNumber=1,
            Modality="XC",
            PlanarConfiguration=int(name == "PLANES"),
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def opened(page: Page, server: str, series: int) -> None:
    page.go(server)
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def screen(page: Page, column: float, row: float) -> tuple[float, float]:
    left, top, width, height = page.evaluate(
        """(() => { const b = document.querySelector('.viewport').getBoundingClientRect();
            return [b.left, b.top, b.width, b.height]; })()"""
    )
    scale = min(width, height) / SIDE
    return (
        left + width / 2 + (column + 0.5 - SIDE / 2) * scale,
        top + height / 2 + (row + 0.5 - SIDE / 2) * scale,
    )


def mouse(page: Page, kind: str, at: tuple[float, float], *, held: bool = False) -> None:
    button: dict[str, Any] = {"button": "left", "clickCount": 1} if kind != "mouseMoved" or held else {}
    page.command("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], buttons=int(held), **button)


def click(page: Page, column: float, row: float) -> None:
    at = screen(page, column, row)
    mouse(page, "mouseMoved", at)
    mouse(page, "mousePressed", at, held=True)
    mouse(page, "mouseReleased", at)


def drag(page: Page, *way: tuple[float, float]) -> None:
    mouse(page, "mousePressed", screen(page, *way[0]), held=True)
    for at in way[1:]:
        mouse(page, "mouseMoved", screen(page, *at), held=True)
    mouse(page, "mouseReleased", screen(page, *way[-1]))


def ring(radius: float, count: int = 8) -> list[tuple[float, float]]:
    """Points of a circle around 64, 64."""
    turns = 2 * np.pi * np.arange(count) / count
    return [(64 + radius * float(np.cos(turn)), 64 + radius * float(np.sin(turn))) for turn in turns]


def shift_j(page: Page) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key="J", modifiers=8)


def saved(page: Page, server: str) -> Any:
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel footer p')?.innerText === 'Saved'")
    page.key("u")
    (kept,) = httpx.get(f"{server}/api/studies/{STUDY}/draft").json()["measurements"]
    return kept


def test_a_smooth_area_through_points(page: Page, server: str) -> None:
    """Through eight points of a circle: nearly its area, and the values that NumPy finds inside."""
    opened(page, server, 1)
    shift_j(page)
    points = ring(30)
    for point in points:
        click(page, *point)
    assert page.evaluate(f"{SHAPES}.length") == 1
    click(page, *points[0])  # the first one again ends it
    page.wait_until(f"{SHAPES}[0].classList.contains('chosen')")
    assert page.evaluate(f"{SHAPES}[0].querySelectorAll('.handle').length") == 8
    size, spread, _ = page.evaluate(TEXTS)[0].split("|")
    assert float(size.removesuffix(" mm²")) == pytest.approx(np.pi * 30**2 / 4, rel=0.02)
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = grey()[np.hypot(x - 64, y - 64) <= 30].astype(float) - 1024
    read = re.fullmatch(r"Mean (-?[\d.]+) HU, SD ([\d.]+)", spread)
    assert read
    assert float(read[1]) == pytest.approx(inside.mean(), abs=1)
    assert float(read[2]) == pytest.approx(inside.std(), abs=1)
    page.screenshot(ARTIFACTS / "measure-spline.png")
    kept = saved(page, server)
    assert (kept["kind"], len(kept["points"])) == ("spline", 8)
    # It comes back with its points, and one of them can still be pulled.
    page.go(f"{server}/view/{STUDY}?series={STUDY}.1")
    page.wait_until(f"{SHAPES}.length === 1")
    drag(page, points[0], (100, 64), (110, 64))
    page.wait_until(f"{SHAPES}[0].classList.contains('chosen')")
    page.wait_until(f"parseFloat({TEXTS}[0]) > {float(size.removesuffix(' mm²')) + 20}")
    # And a report has the curve, with the points beside it.
    page.key("u")
    page.wait_until("document.querySelector('.measure-panel footer p')?.innerText === 'Saved'")
    page.click(".measure-panel footer .button")
    page.wait_until("document.querySelector('.measure-layer g.reported')?.dataset.kind === 'spline'")


def test_a_smooth_area_ends_with_a_point_set_twice(page: Page, server: str) -> None:
    opened(page, server, 1)
    shift_j(page)
    for point in ring(20, 4):
        click(page, *point)
    click(page, *ring(20, 4)[-1])
    page.wait_until(f"{SHAPES}.at(-1).classList.contains('chosen')")
    assert len(saved(page, server)["points"]) == 4


def test_a_smooth_area_by_finger(page: Page, server: str) -> None:
    page.size(*PHONE, touch=True)
    opened(page, server, 1)
    shift_j(page)
    for column, row in (*ring(30, 4), ring(30, 4)[0]):
        x, y = screen(page, column, row)
        page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    page.wait_until(f"{SHAPES}.at(-1)?.classList.contains('chosen')")
    page.screenshot(ARTIFACTS / "measure-spline-phone.png")
    assert len(saved(page, server)["points"]) == 4


@pytest.mark.parametrize("series", [2, 3])
def test_colour_has_its_luminance_and_channels(page: Page, server: str, series: int) -> None:
    opened(page, server, series)
    page.key("q")
    drag(page, (20, 30), (60, 60), (90, 100))
    page.wait_until(f"{SHAPES}.length === 1")
    box = colour()[30:101, 20:91].reshape(-1, 3).astype(float)
    luminance = box @ (0.299, 0.587, 0.114)
    _, spread, ends, channels = page.evaluate(TEXTS)[0].split("|")
    assert spread == f"Luminance: Mean {luminance.mean():.1f}, SD {luminance.std():.1f}"
    assert ends == f"Min {round(luminance.min(), 1):g}, max {round(luminance.max(), 1):g}"
    red, green, blue = (f"{one.mean():.1f} ± {one.std():.1f}" for one in box.T)
    assert channels == f"R {red}, G {green}, B {blue}"
    page.screenshot(ARTIFACTS / "measure-colour.png")
    values = {one["name"]: one["value"] for one in saved(page, server)["values"]}
    assert values["Luminance Mean"] == pytest.approx(luminance.mean())
    assert values["Green Deviation"] == pytest.approx(box[:, 1].std())
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}")
    page.wait_until(f"{TEXTS}[0]?.endsWith({channels!r})")
    page.key("v")
    click(page, 40, 50)
    page.wait_until(f"{SHAPES}.length === 2")
    r, g, b = colour()[50, 40]
    assert page.evaluate(TEXTS)[1] == f"R {r}, G {g}, B {b}"
