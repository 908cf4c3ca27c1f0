"""The tool that draws contact sheets, run as people run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from image_values import gray, image_object

TOOL = Path(__file__).resolve().parents[2] / "tools" / "contact_sheets.py"


def sheets(folder: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), str(folder), str(out), "--tile", "64"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_sheet_for_each_folder_with_a_tile_for_each_object(tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "inner").mkdir(parents=True)
    (given / "a.dcm").write_bytes(image_object(gray()))
    (given / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM broken")
    (given / "notes.txt").write_text("no object")
    (given / "inner" / "b.dcm").write_bytes(image_object(gray()))
    done = sheets(given, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rpartition(": ")[2] for line in done.stdout.splitlines()] == ["2 of 3 files", "1 of 1 files"]
    with Image.open(tmp_path / "out" / "given.png") as sheet:
        assert np.asarray(sheet.convert("L"))[:64, :64].std() > 10  # the picture
    assert (tmp_path / "out" / "inner.png").exists()


def test_nothing_found_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert sheets(tmp_path / "empty", tmp_path / "out").returncode == 1
