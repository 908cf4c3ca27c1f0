"""Objects with bits flipped, or cut: each is converted or refused with a word, and nothing else happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from gantry.toolkit.convert import convert
from image_values import color, gray, image_object, made
from volume.test_frames import enhanced, mosaic
from volume_values import numbered, slice_object

FILES = {
    "slice": slice_object(numbered(1, 8, 8)[0], 1, (1, 2, 3), WindowCenter="40", WindowWidth="400"),
    "enhanced": enhanced(),
    "mosaic": mosaic(3),
    "color": image_object(color()),
    "deflated": made(image_object(gray(2, size=8)), "deflated")[0],
    "big-endian": made(image_object(gray(2, size=8)), "big-endian")[0],
}
# Those that run in this process: what a codec does to a worker is told elsewhere.
FORMATS = ("nii", "nrrd", "npy", "npz", "tiff", "gif", "json", "xml", "csv")


def check(content: bytes, folder: Path, to: str) -> None:
    source, out = folder / "x.dcm", folder / "out"
    source.write_bytes(content)
    done = convert(source, out, to)
    files = sorted(path for path in out.rglob("*") if path.is_file()) if out.exists() else []
    assert files == sorted(path for one in done if one.path for path in (one.path, *one.beside))
    assert all(one.path is not None or one.error for one in done)
    shutil.rmtree(out, ignore_errors=True)


def flipped(content: bytes, seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    broken = bytearray(content)
    # Mostly where headers are: behind the preamble and before the pixels.
    end = len(broken) if generator.random() < 0.1 else min(len(broken), 2000)
    for place in generator.integers(132, end, int(generator.integers(1, 6))):
        broken[place] ^= 1 << int(generator.integers(8))
    return bytes(broken)


@pytest.mark.slow
@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", FILES)
def test_flipped_bits(name: str, to: str, tmp_path: Path) -> None:
    for seed in range(25):
        check(flipped(FILES[name], seed), tmp_path, to)


@pytest.mark.soak
@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("name", FILES)
def test_thousands_of_flipped_bits(name: str, to: str, tmp_path: Path) -> None:
    for seed in range(1000, 2500):
        check(flipped(FILES[name], seed), tmp_path, to)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["nii", "tiff", "json"])
@pytest.mark.parametrize("name", FILES)
def test_cut_anywhere(name: str, to: str, tmp_path: Path) -> None:
    content = FILES[name]
    for cut in range(0, len(content), max(1, len(content) // 40)):
        check(content[:cut], tmp_path, to)
