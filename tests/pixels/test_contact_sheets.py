"""The tool that draws sheets of pictures: one for each folder, a tile for each object, the broken ones named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from image_values import image_object

TOOL = Path(__file__).parents[2] / "tools" / "contact_sheets.py"


def test_a_sheet_for_each_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "ct"
    folder.mkdir(parents=True)
    bright = image_object(np.full((3, 8, 8), 255, np.uint8))
    (folder / "bright.dcm").write_bytes(bright)
    (folder / "cut.dcm").write_bytes(bright[:-20])
    (folder / "notes.txt").write_text("no DICOM")
    done = subprocess.run(
        [sys.executable, TOOL, tmp_path / "in", tmp_path / "out", "--tile", "64"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "2 of 3 files" in done.stdout
    sheet = np.asarray(Image.open(tmp_path / "out" / "ct.png"))
    assert sheet.shape[1] == 2 * 68
    assert sheet[32, 32].tolist() == [255, 255, 255]
    assert sheet[32, 68 + 32].max() < 255  # words, not a picture


def test_a_folder_without_objects_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = subprocess.run([sys.executable, TOOL, tmp_path / "in", tmp_path / "out"], check=False)
    assert done.returncode == 1
