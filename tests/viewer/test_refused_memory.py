"""Memory that the browser really refuses: a study is read to its end all the same, smaller where it must be, and said so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from chromium import DESK, Page, open_page
from serving import ROOT
from slices import Grey, seen, windowed
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.67"
SIDE, BLOCK, IMAGES = 2048, 128, 12  # 8 MiB an image
CENTER, WIDTH = 1000, 4000

# Takes all that arrays may have, which is addresses and no memory as long as nothing is written there; then lets go of
# so many MiB. From then on the browser itself refuses whatever goes beyond these.
TAKE_ALL_BUT = """(() => {
    if (window.taken) return;
    window.taken = [];
    const room = new ArrayBuffer(ROOM << 20);
    for (let size = 1 << 30; size >= 1 << 20; size /= 2) {
        try {
            for (;;) window.taken.push(new ArrayBuffer(size));
        } catch (refusal) {
            if (!(refusal instanceof RangeError)) throw refusal;
        }
    }
    room.transfer(0);
})()"""


def blocks(number: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """(rows, columns) of the blocks that image `number` is made of: no two images are alike."""
    rows, columns = np.mgrid[: SIDE // BLOCK, : SIDE // BLOCK]
    return (200 * ((rows * 5 + columns * 3 + number * 7) % 16)).astype(np.uint16)


def objects() -> Iterator[bytes]:
    for number in range(1, IMAGES + 1):
        pixels = np.kron(blocks(number), np.ones((BLOCK, BLOCK), np.uint16))
        yield ct_image(pixels, STUDY, 1, number, WindowCenter=CENTER, WindowWidth=WIDTH)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


@contextmanager
def weak(profile: Path, address: str, room_mebibytes: int, drawn_by: str) -> Iterator[Page]:
    """A page of a browser of its own, whose arrays may take so much and no more, and which does not know it."""
    with open_page(profile) as page:
        page.command("Network.setBypassServiceWorker", bypass=True)
        page.size(*DESK)
        page.go(address)
        page.evaluate("localStorage.setItem('gantry.memory-mib', '2048')")
        page.evaluate(f"localStorage.setItem('gantry.drawn-by', '{drawn_by}')")
        script = TAKE_ALL_BUT.replace("ROOM", str(room_mebibytes))
        page.command("Page.addScriptToEvaluateOnNewDocument", source=script)
        yield page
        assert page.errors == []


SAID = f"{CELLS}[0].querySelector('.reduced')?.innerText ?? ''"
REFUSED = f"(() => {{ try {{ new ArrayBuffer({IMAGES} * {SIDE * SIDE * 2}); }} catch {{ return true; }} }})()"


def shown(page: Page) -> Grey:
    return seen(page, 0, (SIDE // BLOCK, SIDE // BLOCK), (1, 1))


def read_through(page: Page, server: str) -> list[str]:
    """Goes through all images; each is the right one. What is said of their size, image by image."""
    page.go(f"{server}/view/{STUDY}?series={STUDY}.1")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)
    page.key("Home")
    said = []
    for number in range(1, IMAGES + 1):
        page.wait_until(f"{SHOWN}[0] === '{number} / {IMAGES}'")
        wanted = windowed(blocks(number), CENTER, WIDTH)
        away = np.abs(shown(page) - wanted).max()
        assert away <= 2, f"image {number} is up to {away} greys away"
        said.append(page.evaluate(SAID))
        page.key("ArrowDown")
    assert page.evaluate(REFUSED), "there was memory for all"
    return said


def rendition(server: str, number: int) -> Grey:
    """The middles of the blocks as the server renders them."""
    address = (
        f"{server}/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{number}/frames/1/rendered"
    )
    picture = Image.open(BytesIO(httpx.get(address, headers={"Accept": "image/png"}).content)).convert("L")
    return np.asarray(picture, dtype=np.float64)[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK]


@pytest.mark.parametrize("drawn_by", ["processor", "card"])
def test_refused_the_oldest_images_go_and_all_are_seen_whole(
    server: str, tmp_path: Path, drawn_by: str
) -> None:
    with weak(tmp_path, server, 96, drawn_by) as page:
        assert read_through(page, server) == [""] * IMAGES
        page.screenshot(ARTIFACTS / f"refused-memory-{drawn_by}-whole.png")


@pytest.mark.parametrize("drawn_by", ["processor", "card"])
def test_refused_again_images_are_smaller_and_say_so(server: str, tmp_path: Path, drawn_by: str) -> None:
    with weak(tmp_path, server, 18, drawn_by) as page:
        said = read_through(page, server)
        assert said[-1].startswith("Reduced for this device: 1/")
        assert np.abs(shown(page) - rendition(server, IMAGES)).max() <= 2
        page.screenshot(ARTIFACTS / f"refused-memory-{drawn_by}-reduced.png")
