"""Taking out what is seen: pictures, clips and pages hold what the viewport shows, and no more than was asked for."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from chromium import Page
from serving import ROOT
from viewing import ARTIFACTS, CELLS, NO_LONGER_LOADING, SHOWN, SLICE, ct_image, filled

pytestmark = [pytest.mark.peer, pytest.mark.timeout(300)]

STUDY = f"{ROOT}.21"
SIDE, SLICES = 128, 12
NAME = "Ivanova^Anna=Иванова^Анна"
SHIFT, CONTROL = 8, 2
LONGEST_S = 120
AMBER = (240, 180, 41)


def hounsfield(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Of image `number`, from 1: a ramp across that grows brighter from image to image, and a block of bone."""
    row, column = np.mgrid[:SIDE, :SIDE]
    values = -150 + column * 2 + 20 * np.sin(row / 9) + number * 8
    values[40:60, 70 : 70 + 3 * number] = 900
    return values.round().astype(np.int16)


def objects() -> Iterator[bytes]:
    for number in range(1, SLICES + 1):
        yield ct_image(
            (hounsfield(number).astype(np.int32) + 1024).astype(np.uint16),
            STUDY,
            1,
            number,
            PatientName=NAME,
            PatientID="SECRET-7",
            PatientBirthDate="19610203",
            StudyDate="20260102",
            StudyDescription="Thorax",
            SeriesDescription="ramps",
            InstitutionName="Klinik Süd",
            SpecificCharacterSet="ISO_IR 192",
            RescaleIntercept=-1024,
            PixelSpacing=[2, 2],
            ImagePositionPatient=[0, 0, (number - 1) * 3],
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with filled(tmp_path_factory.mktemp("archive"), objects()) as address:
        yield address


def press(page: Page, key: str, modifiers: int) -> None:
    code = {"code": f"Key{key.upper()}", "windowsVirtualKeyCode": ord(key.upper())}
    for kind in ("rawKeyDown", "keyUp"):
        page.command("Input.dispatchKeyEvent", type=kind, key=key, modifiers=modifiers, **code)


def open_at(page: Page, server: str, image: int, query: str = "") -> None:
    page.go(server)  # what the page before was still saving is saved, or never will be
    assert httpx.delete(f"{server}/api/studies/{STUDY}/draft").status_code in (200, 404)
    page.go(f"{server}/view/{STUDY}?series={STUDY}.1&frame={image}{query}")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def choose(page: Page, words: str) -> None:
    """Press what is called so in the dialog, as a hand does: browsers save one file for each press."""
    page.wait_until(
        f"""(() => {{ document.querySelector('[data-pressed]')?.removeAttribute('data-pressed');
            const found = [...document.querySelectorAll('.export button, .export label')]
                .find((one) => one.innerText.trim() === {json.dumps(words)} && !one.disabled);
            found?.setAttribute('data-pressed', '');
            found?.scrollIntoView({{ block: 'center' }});
            return found; }})()"""
    )
    page.click("[data-pressed]")


def enter(page: Page, label: str, value: int) -> None:
    """Put a number into the field that is called so."""
    page.wait_until(
        f"""(() => {{ const label = [...document.querySelectorAll('.export-number label')]
            .find((one) => one.innerText === {json.dumps(label)});
            const field = label && document.getElementById(label.htmlFor);
            if (!field) return false;
            field.value = {value}; field.dispatchEvent(new Event('change')); return true; }})()"""
    )


MADE = "document.querySelector('.export-view[aria-busy=false] img')?.complete"


def saved(page: Page, downloads: Path, words: str = "Save") -> Path:
    """The file that comes of pressing a button; each has a folder of its own, since names repeat."""
    folder = downloads / str(len(list(downloads.iterdir())))
    page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    choose(page, words)
    for _ in range(LONGEST_S * 20):
        found = [path for path in folder.glob("*") if path.suffix not in (".crdownload", ".tmp")]
        if found:
            page.wait_until("document.querySelector('.export-said')?.innerText.startsWith('Saved')")
            return found[0]
        page.evaluate("new Promise((done) => setTimeout(done, 50))")
    raise AssertionError("nothing was saved")


def windowed(values: np.ndarray[Any, Any], center: float = 40, width: float = 400) -> np.ndarray[Any, Any]:
    """Greys as PS3.3 C.11.2.1.2.1 (LINEAR) makes them."""
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def rendered(server: str, image: int, query: str = "") -> np.ndarray[Any, Any]:
    """Greys of an image as the server renders it."""
    path = f"{server}/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.{image}/rendered{query}"
    answer = httpx.get(path, headers={"Accept": "image/png"})
    answer.raise_for_status()
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("L"), dtype=float)


def amber(picture: np.ndarray[Any, Any]) -> int:
    """How many pixels have the colour of measurements."""
    return int((np.abs(picture.astype(int) - AMBER).max(axis=2) < 24).sum())


def screen(page: Page, column: float, row: float) -> tuple[float, float]:
    """Where the centre of a pixel is on the page."""
    left, top, width, height = page.evaluate(
        "(() => { const b = document.querySelector('.cell .viewport').getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })()"
    )
    scale = min(width, height) / SIDE
    return (
        left + width / 2 + (column + 0.5 - SIDE / 2) * scale,
        top + height / 2 + (row + 0.5 - SIDE / 2) * scale,
    )


def draw_length(page: Page) -> None:
    page.key("d")
    start, end = screen(page, 20, 100), screen(page, 70, 100)
    mouse = {"button": "left", "buttons": 1, "clickCount": 1}
    page.command("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseMoved", x=end[0], y=end[1], **mouse)
    page.command("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], **mouse)
    page.wait_until("document.querySelector('.measure-layer text')?.textContent.includes('100.0 mm')")


def test_a_picture_in_the_images_own_pixels_is_what_the_server_renders(
    page: Page, server: str, tmp_path: Path
) -> None:
    open_at(page, server, 5)
    draw_length(page)
    press(page, "E", SHIFT)
    page.wait_until(MADE)
    page.screenshot(ARTIFACTS / "export-picture-desk.png")
    choose(page, "Image pixels")
    choose(page, "Text at the edges")
    choose(page, "Measurements and lines")
    page.wait_until(f"{MADE} && document.querySelector('.export-picture').naturalWidth === {SIDE}")
    path = saved(page, tmp_path)
    assert path.name == "Ivanova, Anna 02 Jan 2026 CT Series 1 5.png"
    picture = np.asarray(Image.open(path).convert("RGB"))
    assert picture.shape == (SIDE, SIDE, 3)
    assert amber(picture) == 0
    away = np.abs(picture[:, :, 0] - rendered(server, 5))
    assert float(away.max()) <= 1, f"up to {away.max()} greys away"
    choose(page, "Measurements and lines")
    page.wait_until(MADE)
    again = np.asarray(Image.open(saved(page, tmp_path)).convert("RGB"))
    assert amber(again) > 30
