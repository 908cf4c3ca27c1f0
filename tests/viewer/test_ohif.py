"""OHIF, unchanged, reads what Gantry keeps: its list, a series, and its pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image

from chromium import DESK, Page, open_page
from ohif import static_site, unpacked
from serving import ROOT
from viewing import ARTIFACTS, ct_image, send, serving

pytestmark = [pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(600)]

STUDY = f"{ROOT}.77"
SLICES, SIDE = 24, 128
LONG_S = 50
CANVASES = "document.querySelectorAll('.cornerstone-viewport-element canvas')"


def body(number: int) -> np.ndarray:
    """A disc of 40 HU with a brighter rod that wanders from slice to slice."""
    y, x = np.mgrid[:SIDE, :SIDE]
    values = np.where((x - 64) ** 2 + (y - 64) ** 2 < 50**2, 40, -1000)
    values[(x - 30 - 2 * number) ** 2 + (y - 50) ** 2 < 8**2] = 180
    return values.astype(np.int16)


@pytest.fixture(scope="module")
def archive_and_ohif(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Addresses of an archive with one CT study, and of OHIF on a plain web server of its own."""
    place = tmp_path_factory.mktemp("ohif")
    with (
        static_site(place / "package" / "dist") as port,
        serving(tmp_path_factory.mktemp("archive"), GANTRY_CORS_ORIGINS=f"http://127.0.0.1:{port}") as ready,
    ):
        archive = f"http://{ready['http']}"
        for number in range(1, SLICES + 1):
            names = {"PatientName": "Berg^Anna", "PatientID": "B-77", "StudyDate": "20260102"}
            send(archive, ct_image(body(number), STUDY, 1, number, SeriesDescription="Rod", **names))
        unpacked(place, f"{archive}/dicom-web")
        yield archive, f"http://127.0.0.1:{port}"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with open_page(tmp_path / "profile") as opened:
        opened.size(*DESK)
        yield opened


def seen(page: Page) -> np.ndarray:
    """What the viewport's canvas holds: greys (rows, columns) of the square in its middle, in the image's size."""
    greys = page.evaluate(
        f"""(() => {{
            const canvas = {CANVASES}[0], side = Math.min(canvas.width, canvas.height);
            const small = new OffscreenCanvas({SIDE}, {SIDE}).getContext('2d');
            small.drawImage(canvas, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side,
                0, 0, {SIDE}, {SIDE});
            return [...small.getImageData(0, 0, {SIDE}, {SIDE}).data].filter((_, at) => at % 4 === 0);
        }})()"""
    )
    return np.array(greys).reshape(SIDE, SIDE)


def rendered(archive: str, number: int) -> np.ndarray:
    """Greys (rows, columns) of the server's own rendition of an image."""
    address = f"{archive}/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{number}/rendered"
    with urlopen(Request(address, headers={"Accept": "image/png"}), timeout=30) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("L")).astype(int)


def test_the_list_shows_the_study(page: Page, archive_and_ohif: tuple[str, str]) -> None:
    _, ohif = archive_and_ohif
    page.go(ohif)
    row = (
        "[...document.querySelectorAll('tr')].find((row) => row.innerText.includes('Berg, Anna'))?.innerText"
    )
    page.wait_until(row, LONG_S)
    words = page.evaluate(row)
    assert "02-Jan-2026" in words and "CT" in words and str(SLICES) in words
    page.screenshot(ARTIFACTS / "ohif-list.png")


def test_a_series_is_read_and_looks_as_the_server_renders_it(
    page: Page, archive_and_ohif: tuple[str, str]
) -> None:
    archive, ohif = archive_and_ohif
    page.go(f"{ohif}/viewer?StudyInstanceUIDs={STUDY}")
    page.wait_until(f"{CANVASES}.length === 1", LONG_S)
    page.wait_until(f"document.body.innerText.match(/1\\/{SLICES}/)", LONG_S)
    page.evaluate(
        "[...document.querySelectorAll('button')].find((one) => one.innerText === 'Skip all')?.click()"
    )
    for place in (1, 2, 3):
        words = f"document.body.innerText.match(/I:(\\d+) \\({place}\\/{SLICES}\\)/)"
        page.wait_until(words, LONG_S)
        number = int(page.evaluate(f"{words}[1]"))
        page.evaluate("new Promise((resolve) => setTimeout(resolve, 1000))")
        shown = seen(page)
        differences = {one: np.abs(shown - rendered(archive, one)) for one in range(1, SLICES + 1)}
        assert np.median(differences[number]) <= 2
        assert min(differences, key=lambda one: float(differences[one].mean())) == number
        page.screenshot(ARTIFACTS / f"ohif-{place}.png")
        page.wheel(".cornerstone-viewport-element", 120)
