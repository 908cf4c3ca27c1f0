"""Planes are drawn while images come: coarse and said to be so, and right in every voxel once all are here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from slices import Grey, assert_alike, hover, place_of, seen, windowed
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.31"
SIDE, COUNT, GAP = 128, 48, 16
AXIAL, CORONAL = 0, 1
BYTES_A_SECOND, HARDLY_ANY = 100_000, 200
WINDOW = {"plain": (500, 1000), "wide": (25_000, 50_000)}


def cube(kind: str) -> Grey:
    """(z, y, x): a ramp under noise that no compression takes away; "wide" needs 16 bits between the images that come
    first."""
    z, y, x = np.mgrid[:COUNT, :SIDE, :SIDE]
    values = 200 + 2 * x + y + 4 * z + np.random.default_rng(5).integers(0, 90, z.shape)
    if kind == "wide":
        values = np.where((z - COUNT // 2) % GAP == 0, values, 60 * values)
    return values.astype(np.float64)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    cubes = {kind: cube(kind).astype(np.uint16) for kind in WINDOW}
    images = (
        ct_image(
            cubes[kind][n], STUDY, series, n + 1,
            ImagePositionPatient=[0, 0, n], PixelSpacing=[1, 1], RescaleIntercept=0,
            WindowCenter=WINDOW[kind][0], WindowWidth=WINDOW[kind][1],
        )
        for series, kind in enumerate(WINDOW, 1)
        for n in range(COUNT)
    )  # fmt: skip
    with filled(tmp_path_factory.mktemp("archive"), images) as address:
        yield address


def link(page: Page, bytes_a_second: int) -> None:
    page.command(
        "Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=bytes_a_second,
        uploadThroughput=bytes_a_second,
    )  # fmt: skip


def values_along(page: Page, row: int) -> list[int | None]:
    """What the probe says in the coronal plane, image by image from the head; None where it says nothing."""
    said: list[int | None] = []
    for k in range(COUNT):
        hover(page, place_of(page, CORONAL, (row, k), (COUNT, SIDE), (1, 1)))
        page.evaluate("new Promise(requestAnimationFrame)")
        words = page.evaluate(f"{CELLS}[{CORONAL}].querySelector('.probe')?.innerText ?? ''")
        said.append(int(words.split(": ")[1].split()[0]) if ": " in words else None)
    return said


MEASURED = f"[...{CELLS}[{CORONAL}].querySelectorAll('.measure-layer tspan')].map((one) => one.textContent).join('|')"


def draw_ellipse(page: Page) -> None:
    """In the coronal plane, around its middle."""
    page.key("e")
    page.drag(".cell:nth-child(2) .viewport", 60, 40)
    page.wait_until(f"{MEASURED}.includes('mm')")


@pytest.mark.parametrize("kind", WINDOW)
def test_planes_are_seen_while_images_come(page: Page, server: str, kind: str) -> None:
    volume = cube(kind)
    window = WINDOW[kind]
    try:
        link(page, BYTES_A_SECOND)
        page.go(f"{server}/view/{STUDY}?series={STUDY}.{list(WINDOW).index(kind) + 1}")
        page.wait_until(f"{SHOWN}[0]?.includes('/')", 60)
        page.key("7")
        page.wait_until(f"{CELLS}.length === 4 && {CELLS}[{CORONAL}].querySelector('.forming')", 60)
        link(page, HARDLY_ANY)  # what has come is looked at in peace, however slow the machine is
        coarse = seen(page, CORONAL, (COUNT, SIDE), (1, 1))
        page.screenshot(ARTIFACTS / f"planes-forming-{kind}-desk.png")
        said = values_along(page, 40)
        assert page.evaluate(f"{CELLS}[{CORONAL}].querySelector('.forming').innerText") == (
            "coarse until all images are here"
        )
        # Nothing is made up: where an image has not come the probe says nothing, though there is a picture.
        assert None in said
        assert float(coarse.min()) > (20 if kind == "plain" else 0)
        along = volume[::-1, SIDE // 2, 40]
        known = [(one, along[k]) for k, one in enumerate(said) if one is not None]
        assert len(known) >= COUNT // GAP
        assert all(one == value for one, value in known)
        if kind == "plain":
            draw_ellipse(page)
            assert "Mean" not in page.evaluate(MEASURED)
    finally:
        link(page, -1)
    page.wait_until(f"!{CELLS}[{CORONAL}].querySelector('.forming')", 60)
    page.wait_until(NO_LONGER_LOADING)
    if kind == "plain":
        # What was drawn before is counted now.
        assert "Mean" in page.wait_until(f"{MEASURED}.includes('Mean') && {MEASURED}")
        assert_alike(seen(page, CORONAL, (COUNT, SIDE), (1, 1)), windowed(volume[::-1, SIDE // 2], *window))
        assert_alike(seen(page, AXIAL, (SIDE, SIDE), (1, 1)), windowed(volume[COUNT // 2], *window))
    else:
        cut = seen(page, CORONAL, (COUNT, SIDE), (1, 1))
        assert float(np.median(np.abs(cut - windowed(volume[::-1, SIDE // 2], *window)))) <= 2
    assert values_along(page, 41) == volume[::-1, SIDE // 2, 41].tolist()
