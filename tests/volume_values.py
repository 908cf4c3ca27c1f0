"""Series of slices as tests make them: every pixel another number, so that each tells where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from image_values import image_object
from serving import ROOT

Array = np.ndarray[Any, Any]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def numbered(slices: int, rows: int, columns: int, kind: str = "u2") -> Array:
    """(slices, rows, columns) of numbers that differ."""
    return np.arange(slices * rows * columns).reshape(slices, rows, columns).astype(kind)


def slice_object(
    pixels: Array,
    number: int,
    position: Sequence[float],
    orientation: Sequence[float] = AXIAL,
    *,
    syntax: str = "1.2.840.10008.1.2.1",
    **attributes: Any,
) -> bytes:
    """A Part 10 file of one slice, (rows, columns), at that place; spacing is 0.5 mm between rows and 0.75 mm
    between columns.
    """
    values: dict[str, Any] = {
        "SOPInstanceUID": f"{ROOT}.9.9.{number}",
        "InstanceNumber": number,
        "ImagePositionPatient": [round(value, 6) for value in position],
        "ImageOrientationPatient": [round(value, 12) for value in orientation],
        "PixelSpacing": [0.5, 0.75],
    }
    return image_object(pixels[None], syntax, **(values | attributes))


def series_of(volume: Array, step: Sequence[float] = (0.0, 0.0, 2.0), **attributes: Any) -> list[bytes]:
    """The slices of a volume (slices, rows, columns), the first at (-10, 20, -30)."""
    return [
        slice_object(pixels, n + 1, np.array([-10.0, 20.0, -30.0]) + n * np.array(step), **attributes)
        for n, pixels in enumerate(volume)
    ]


def written(folder: Path, files: Sequence[bytes], seed: int = 1) -> Path:
    """The files in a folder, in an order that says nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(files))
    for name, n in enumerate(order):
        (folder / f"{name:04d}.dcm").write_bytes(files[n])
    return folder


def places(
    pixels: Array, position: Sequence[float], orientation: Sequence[float], spacing: Sequence[float]
) -> dict[int, Array]:
    """Where PS3.3 C.7.6.2.1.1 puts the centre of each pixel, LPS mm, by its number."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    return {
        int(pixels[r, c]): np.array(position) + row * spacing[1] * c + column * spacing[0] * r
        for r in range(pixels.shape[0])
        for c in range(pixels.shape[1])
    }
