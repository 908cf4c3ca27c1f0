"""Files on the device read in the page: nothing of them is sent, and every value is the one that is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chromium import Page
from serving import ROOT
from viewing import ARTIFACTS, NO_LONGER_LOADING, SLICE, ct_image, serving

pytestmark = [pytest.mark.peer, pytest.mark.timeout(240)]

STUDY = f"{ROOT}.7"
SIDE, SLICES = 64, 6


def pixels(number: int) -> np.ndarray:
    ramp = np.add.outer(np.arange(SIDE) * 7, np.arange(SIDE) * 3) + 11 * number
    return (ramp - 400).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("given") / "disc"
    (root / "a" / "b").mkdir(parents=True)
    for n in range(SLICES):
        part10 = ct_image(pixels(n), STUDY, 1, n + 1, RescaleIntercept=-24, PatientName="Local^Lena", PatientID="L1",
            StudyDescription="Chest", StudyDate="20260102", SeriesDescription="thin")
        (root / "a" / "b" / f"I{n}").write_bytes(part10)
    (root / "README.TXT").write_text("not an image\n" * 100)
    return root


@pytest.fixture
def local(page: Page, folder: Path) -> Iterator[Page]:
    page.wait_until("document.querySelector('.open-button')")
    page.choose_files("input[aria-label='Folder to read here']", [folder])
    page.wait_until("document.querySelector('.local-study') && !document.querySelector('.local-reading')")
    yield page


def test_a_folder_is_listed(local: Page) -> None:
    local.wait_until("document.querySelector('.local-study img.shown')")
    local.screenshot(ARTIFACTS / "local-list.png")
    print(local.evaluate("document.body.innerText"))
    local.click(".local-study")
    local.wait_until(SLICE)
    local.wait_until(NO_LONGER_LOADING)
    local.wait_until("document.querySelector('.rail .thumbnail img.shown')")
    local.screenshot(ARTIFACTS / "local-study.png")
    print(local.errors)
