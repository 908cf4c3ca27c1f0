"""Other people's programs read what we write, and give the same pixels."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dcmtk import run
from image_values import color, gray, header, image_object, made, samples

pytestmark = pytest.mark.peer

DECODERS = {
    "rle": "dcmdrle", "jpeg": "dcmdjpeg", "jpeg-extended": "dcmdjpeg", "jpeg-lossless": "dcmdjpeg",
    "jpeg-lossless-57": "dcmdjpeg", "jpeg-ls": "dcmdjpls", "jpeg-ls-near": "dcmdjpls", "deflated": "dcmconv",
    "big-endian": "dcmconv", "implicit": "dcmconv",
}  # fmt: skip
GDCM = ["rle", "jpeg", "jpeg-lossless", "jpeg-lossless-57", "jpeg-ls", "jpeg2000-lossless", "jpeg2000"]


def pixels_of(path: Path) -> np.ndarray:
    return pydicom.dcmread(path).pixel_array


def images() -> dict[str, np.ndarray]:
    signed = samples(header(rows=32, columns=33, signed=True))[None]
    return {
        "16": gray(),
        "12": gray(bits=12),
        "8": gray(bits=8),
        "frames": gray(3),
        "signed": signed,
        "rgb": color(),
    }


def judged(tmp_path: Path, name: str, kind: str) -> tuple[Path, np.ndarray] | None:
    """A file in that transfer syntax, or None where these pixels have no place in it."""
    pixels = images()[kind]
    bits = {"12": {"BitsStored": 12, "HighBit": 11}}.get(kind, {})
    lossy = {"jpeg": ("8", "rgb"), "jpeg-extended": ("8", "12"), "jpeg-ls-near": ("8", "12", "16", "rgb")}
    if name in lossy and kind not in lossy[name]:
        return None
    if name in lossy and kind == "rgb":  # noise is what JPEG is worst at
        slope = np.add.outer(np.arange(24), np.arange(32)) * 4
        pixels = np.stack([slope, 255 - slope, slope // 2], axis=-1).astype(np.uint8)[None]
    file, _ = made(image_object(pixels, **bits), name)
    path = tmp_path / f"{name}-{kind}.dcm"
    path.write_bytes(file)
    return path, pixels


@pytest.mark.parametrize("kind", ["16", "12", "8", "frames", "signed", "rgb"])
@pytest.mark.parametrize("name", sorted(DECODERS))
def test_dcmtk_gives_the_same_pixels(tmp_path: Path, name: str, kind: str) -> None:
    case = judged(tmp_path, name, kind)
    if case is None:
        return
    path, pixels = case
    done = run(DECODERS[name], path, tmp_path / "out.dcm")
    assert done.returncode == 0, done.stderr
    found = pixels_of(tmp_path / "out.dcm")
    most = {"jpeg": 160, "jpeg-extended": 600, "jpeg-ls-near": 2}.get(name, 0)
    assert np.abs(found.astype(int) - pixels.squeeze().astype(int)).max() <= most


@pytest.mark.parametrize("kind", ["16", "12", "8", "frames", "signed", "rgb"])
@pytest.mark.parametrize("name", GDCM)
def test_gdcm_gives_the_same_pixels(tmp_path: Path, name: str, kind: str) -> None:
    if shutil.which("gdcmconv") is None:
        pytest.skip("gdcmconv (Debian package libgdcm-tools) is not installed")
    case = judged(tmp_path, name, kind)
    if case is None:
        return
    path, pixels = case
    done = subprocess.run(
        ["gdcmconv", "-w", path, tmp_path / "out.dcm"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = pixels_of(tmp_path / "out.dcm")
    most = {"jpeg": 160, "jpeg2000": 2000}.get(name, 0)
    assert np.abs(found.astype(int) - pixels.squeeze().astype(int)).max() <= most


@pytest.mark.parametrize("kind", ["16", "8", "frames", "signed", "rgb"])
@pytest.mark.parametrize("name", ["rle", "deflated", "big-endian", "implicit"])
def test_pydicom_gives_the_same_pixels(tmp_path: Path, name: str, kind: str) -> None:
    case = judged(tmp_path, name, kind)
    assert case is not None
    path, pixels = case
    assert (pixels_of(path) == pixels.squeeze()).all()


@pytest.mark.parametrize("kind", ["16", "8", "frames", "signed", "rgb"])
@pytest.mark.parametrize("name", ["encapsulated", "deflated-frames"])
def test_pydicom_finds_the_octets_of_each_frame(tmp_path: Path, name: str, kind: str) -> None:
    """It decodes neither; what is in the fragments is native octets, plain or deflated (PS3.5 A.4.11, A.4.13)."""
    case = judged(tmp_path, name, kind)
    assert case is not None
    path, pixels = case
    ds = pydicom.dcmread(path)
    frames = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=len(pixels))
    for frame, expected in zip(frames, pixels, strict=True):
        octets = zlib.decompressobj(-15).decompress(frame) if name == "deflated-frames" else frame
        assert octets[: expected.nbytes] == expected.tobytes()


@pytest.mark.parametrize("name", ["explicit", "rle", "jpeg", "jpeg-lossless", "jpeg-ls-near", "jpeg2000"])
def test_dciodvfy_finds_nothing_new(tmp_path: Path, name: str) -> None:
    """An error that was there before stays; none may come by it. Of HTJ2K and JPEG XL it has not heard yet."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    found = []
    original = image_object(color(), ConversionType="WSD")
    for number, file in enumerate((original, made(original, name)[0])):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file)
        done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        found.append({line for line in done.stderr.splitlines() if line.startswith("Error")})
    assert found[1] <= found[0]
