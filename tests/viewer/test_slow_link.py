"""On a slow link frames come compressed, without loss: every value is the one that is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from chromium import Page
from compared import compare
from image_values import image_object
from serving import ROOT
from viewing import NO_LONGER_LOADING, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

SIDE, COUNT = 256, 8
STUDY, WALKED = f"{ROOT}.1", f"{ROOT}.2"
WALK, NOISE_SIDE = 60, 64
BYTES_A_SECOND = 400_000
DTYPES = {"signed": np.int16, "unsigned": np.uint16}


def frame(number: int, dtype: type) -> np.ndarray:
    """A ramp down and across; of signed ones half is below zero."""
    ramp = np.add.outer(np.arange(SIDE) * 7, np.arange(SIDE) * 3) + 11 * number
    return (ramp - (1200 if dtype is np.int16 else 0)).astype(dtype)


COLOURS = {"RGB": 0, "YBR_FULL": 0, "RGB by plane": 1, "YBR_FULL by plane": 1}


def coloured(name: str) -> bytes:
    """Colours that differ along rows and down columns, and in each component."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([x, y, (x + y) // 2 + 20 * (y // 32 % 2)], axis=2).clip(0, 255).astype(np.uint8)
    uid, planar = f"{STUDY}.{list(COLOURS).index(name) + 3}", COLOURS[name]
    return image_object(
        pixels[None],
        PhotometricInterpretation=name.split()[0], PlanarConfiguration=planar, Modality="OT",
        PixelData=(np.moveaxis(pixels, 2, 0) if planar else pixels).tobytes(),
        StudyInstanceUID=STUDY, SeriesInstanceUID=uid, SOPInstanceUID=f"{uid}.1", SeriesDescription=name,
    )  # fmt: skip


SIZES = (
    "performance.getEntriesByType('resource').filter((one) => /frames.\\d+$/.test(one.name))"
    ".map((one) => one.encodedBodySize)"
)


def walked() -> Iterator[bytes]:
    """One image, and a stack that no codec makes smaller."""
    values = np.random.default_rng(4).integers(-1000, 1000, (WALK, NOISE_SIDE, NOISE_SIDE)).astype(np.int16)
    yield ct_image(values[0], WALKED, 1, 1)
    for number, pixels in enumerate(values, 1):
        yield ct_image(pixels, WALKED, 2, number)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    images = (
        ct_image(frame(n, dtype), STUDY, series, n + 1, RescaleIntercept=-24)
        for series, dtype in enumerate(DTYPES.values(), 1)
        for n in range(COUNT)
    )
    objects = (*images, *map(coloured, COLOURS), *walked())
    with filled(tmp_path_factory.mktemp("archive"), objects) as address:
        yield address


@pytest.mark.parametrize("kind", DTYPES)
def test_values_are_those_stored(page: Page, server: str, kind: str) -> None:
    series = list(DTYPES).index(kind) + 1
    page.command(
        "Network.emulateNetworkConditions",
        offline=False, latency=20, downloadThroughput=BYTES_A_SECOND, uploadThroughput=BYTES_A_SECOND,
    )  # fmt: skip
    page.evaluate("localStorage.setItem('gantry.slow-link', '1')")
    page.go(f"{server}/view/{STUDY}?series={STUDY}.{series}&frame=1")
    page.wait_until(SLICE, 120)
    page.wait_until(f"{SIZES}.length >= {COUNT}", 120)
    sizes = page.evaluate(SIZES)
    assert sum(size < SIDE * SIDE for size in sizes) >= COUNT // 2, sizes
    box = page.evaluate(
        "(() => { const b = document.querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    pixel = min(box[2], box[3]) / SIDE
    for n in range(COUNT):
        page.wait_until(f"{SLICE} === '{n + 1} / {COUNT}'")
        for column, row in ((5, 3), (200, 40), (120, 250)):
            x = box[0] + box[2] / 2 + (column - (SIDE - 1) / 2) * pixel
            y = box[1] + box[3] / 2 + (row - (SIDE - 1) / 2) * pixel
            page.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
            wanted = int(frame(n, DTYPES[kind])[row, column]) - 24
            page.wait_until(
                f"document.querySelector('.probe').innerText === '{column}, {row}: {wanted} HU'", 5
            )
        page.key("ArrowDown")
    page.command(
        "Network.emulateNetworkConditions",
        offline=False,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_those_stored(page: Page, server: str, name: str) -> None:
    """Whatever the components are and however they lie in the object, in the stream they are pixel by pixel."""
    series = f"{STUDY}.{list(COLOURS).index(name) + 3}"
    page.evaluate("localStorage.setItem('gantry.slow-link', '1')")
    page.go(f"{server}/view/{STUDY}?series={series}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    sizes = page.evaluate(SIZES)
    assert sizes and max(sizes) < SIDE * SIDE * 3 / 2, f"it came compressed: {sizes}"
    path = f"/dicom-web/studies/{STUDY}/series/{series}/instances/{series}.1/frames/1"
    found = compare(page, path, [1, 1], [SIDE, SIDE])
    assert found is not None and found.greys > 100
    assert found.median <= 1 and found.most <= 4, found


def frame_numbers(urls: Iterable[str]) -> list[int]:
    """Of the walked stack's images whose frames these addresses ask for."""
    found = (re.search(rf"/instances/{re.escape(WALKED)}\.2\.(\d+)/frames/1$", url) for url in urls)
    return [int(one[1]) for one in found if one]


def test_what_is_gone_to_comes_first_and_what_was_left_is_given_up(page: Page, server: str) -> None:
    page.go(f"{server}/view/{WALKED}?series={WALKED}.1")
    page.wait_until(SLICE)
    page.wait_until(f"document.querySelectorAll('.rail-item')[1]?.innerText.includes('{WALK} images')")
    link = {"offline": False, "latency": 0, "uploadThroughput": -1}
    page.command("Network.emulateNetworkConditions", downloadThroughput=15_000, **link)
    page.click(".rail-item:nth-child(2)")
    page.wait_until(f"{SLICE} === '{WALK // 2 + 1} / {WALK}'")
    page.given_up.clear()
    page.key("End")
    page.wait_until(f"{SLICE} === '{WALK} / {WALK}'")
    asked, left = frame_numbers(page.requests.values()), frame_numbers(page.given_up)
    page.command("Network.emulateNetworkConditions", downloadThroughput=-1, **link)
    # Those around the middle were on their way, and are let go; no other is waited for.
    assert left and all(number < WALK - 20 for number in left), (left, asked)
    assert asked.index(WALK) < WALK // 2, asked
    assert all(number > WALK - 20 for number in asked[asked.index(WALK) :]), asked
