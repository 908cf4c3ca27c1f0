"""The viewer's page in Chromium, on a real server that a test fills: what tests of it share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest

import gantry
from chromium import Page, chromium_path
from image_values import image_object

VIEWER = Path(gantry.__file__).parent / "server" / "_viewer"
SOURCE = Path(gantry.__file__).parents[1]
ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"


def viewer_files() -> Path:
    """Where the built viewer lies; skips where the package was installed without it."""
    if not (VIEWER / "index.html").is_file():
        pytest.skip("the viewer is not built (pip install . or hatch_build.py makes it)")
    return VIEWER


@contextmanager
def serving(
    data: Path, *options: str, http: str = "127.0.0.1:0", **variables: str
) -> Iterator[dict[str, str]]:
    """What a server of its own says when it is ready; `variables` join its environment."""
    viewer_files()
    chromium_path()
    command = [sys.executable, "-m", "gantry", "serve", "--data", str(data), "--json", *options]
    ports = ["--http", http, "--dicom", "127.0.0.1:0"]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **variables}
    process = subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, env=environment, text=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, "gantry serve ended before it was ready; what it said stands above"
        yield {**json.loads(ready), "pid": str(process.pid)}
    finally:
        process.terminate()
        process.wait(timeout=60)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def filled(data: Path, objects: Iterable[bytes]) -> Iterator[str]:
    """The address of a server of its own that holds these objects."""
    with serving(data) as ready:
        address = f"http://{ready['http']}"
        for part10 in objects:
            send(address, part10)
        yield address


def ct_image(pixels: np.ndarray[Any, Any], study: str, series: int, number: int, **attributes: Any) -> bytes:
    """Image `number`, from 1, of a CT series: axial, a millimetre apart, values in HU as stored."""
    usual = {
        "Modality": "CT",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.{series}",
        "SOPInstanceUID": f"{study}.{series}.{number}",
        "SeriesNumber": series,
        "InstanceNumber": number,
        "FrameOfReferenceUID": f"{study}.99",
        "ImagePositionPatient": [0, 0, number - 1],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [1, 1],
        "RescaleSlope": 1,
        "RescaleIntercept": 0,
        "RescaleType": "HU",
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    return image_object(pixels[None], **(usual | attributes))


def send(address: str, part10: bytes) -> None:
    request = Request(f"{address}/api/upload", part10, {"Content-Type": "application/dicom"})
    with urlopen(request, timeout=30) as answer:
        assert json.load(answer)["stored"] == 1


STUDY_SHOWN = "document.querySelector('a.study strong')?.innerText"
SLICE = "document.querySelector('.corner.bottom-left .strong')?.innerText"
WINDOW = "document.querySelector('.corner.bottom-right .strong')?.innerText"
CELLS = "[...document.querySelectorAll('.cell:not(.hidden)')]"
SHOWN = f"{CELLS}.map((cell) => cell.querySelector('.corner.bottom-left .strong')?.innerText ?? '')"
NO_LONGER_LOADING = "!document.querySelector('.loading')"


# Draws the picture in small, so that what two looks differ in is seen whole and cheaply.
LOOK = """new Promise((resolve) => {
    const small = new OffscreenCanvas(96, 64);
    const context = small.getContext('2d', { willReadFrequently: true });
    const look = () => {
        const canvas = document.querySelector('.viewport canvas');
        context.drawImage(canvas, 0, 0, 96, 64);
        return [...context.getImageData(0, 0, 96, 64).data].filter((_, at) => at % 4 === 0);
    };
    let before = [], left = 200;
    const again = () => {
        const now = look();
        const same = now.every((grey, at) => grey === before[at]);
        if ((same && new Set(now).size > 8) || (left -= 1) === 0) return resolve(now);
        before = now;
        setTimeout(() => requestAnimationFrame(again), 30);
    };
    again();
})"""


def settled(page: Page) -> list[int]:
    """Greys of the image once two looks in a row agree and it shows something."""
    seen = list(page.evaluate(LOOK))
    assert len(set(seen)) > 8, f"the image shows {len(set(seen))} greys"
    return seen


def changed(page: Page, before: list[int]) -> list[int]:
    """Greys of the image once it is another one than before."""
    for _ in range(50):
        seen = settled(page)
        if seen != before:
            return seen
    raise AssertionError("the image stayed as it was")


def held(page: Page) -> float:
    """What arrays of the page hold, in MiB, once what nobody uses is let go of."""
    page.command("HeapProfiler.collectGarbage")
    return float(page.command("Runtime.getHeapUsage")["backingStorageSize"]) / 2**20


def probe(page: Page, column: int, row: int, columns: int, rows: int) -> None:
    """Put the mouse on a pixel of the first viewport, which shows all of an image of square pixels."""
    x, y, width, height = page.evaluate(
        "(() => { const b = document.querySelector('.viewport').getBoundingClientRect();"
        " return [b.x, b.y, b.width, b.height]; })()"
    )
    pixel = min(width / columns, height / rows)
    page.command(
        "Input.dispatchMouseEvent",
        type="mouseMoved",
        x=x + width / 2 + (column - (columns - 1) / 2) * pixel,
        y=y + height / 2 + (row - (rows - 1) / 2) * pixel,
    )


def open_study(page: Page) -> None:
    page.wait_until(STUDY_SHOWN)
    page.click("a.study")
    page.wait_until(SLICE)
    page.wait_until(NO_LONGER_LOADING)


def open_series(page: Page, modality: str) -> None:
    """Open the series whose rail item begins with a modality."""
    page.wait_until(
        f"""(() => {{
            const items = [...document.querySelectorAll('.rail-item')];
            const item = items.find((one) => one.innerText.includes({json.dumps(modality)}));
            item?.click();
            return item;
        }})()"""
    )
    page.wait_until(
        f"document.querySelector('.rail-item[aria-current=\"true\"]')?.innerText.includes('{modality}')"
    )
