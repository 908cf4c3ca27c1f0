"""Objects whose pictures tests know pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from serving import ROOT, dataset

DEFLATED = "1.2.840.10008.1.2.1.99"
ROWS, COLUMNS = 48, 80


def item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def gray(study: int, frames: int = 1, *, instance: int = 1, **attributes: Any) -> Any:
    """Frame n has the value 20 n, brighter by 1 for each column and by 2 for each row; 8 bits."""
    ds = dataset(instance, study=study)
    ramp = np.arange(COLUMNS)[None, :] + 2 * np.arange(ROWS)[:, None]
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = ROWS, COLUMNS, 8, 8, 7
    ds.PixelRepresentation = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    ds.PixelData = b"".join((ramp + 20 * n).astype(np.uint8).tobytes() for n in range(frames))
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def color(study: int) -> Any:
    ds = gray(study, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    ds.PixelData = bytes((255, 0, 0)) * (ROWS * COLUMNS)
    return ds


def enhanced(study: int) -> Any:
    """Three frames, each with a window of its own: values below n are black."""
    ds = gray(study, 3)
    ds.PerFrameFunctionalGroupsSequence = [
        item(FrameVOILUTSequence=[item(WindowCenter=100 * n + 0.5, WindowWidth=1)]) for n in range(3)
    ]
    ds.RepresentativeFrameNumber = 2
    return ds


def single_bits(study: int) -> Any:
    """Frames of 5 by 3 single bits, which follow one another without padding: frame n has bit n set."""
    ds = gray(study, 4, Rows=3, Columns=5, BitsAllocated=1, BitsStored=1, HighBit=0)
    bits = np.zeros((4, 15), np.uint8)
    bits[np.arange(4), np.arange(4)] = 1
    ds.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    return ds


def path(study: int, instance: int = 1) -> str:
    return f"/dicom-web/studies/{ROOT}.{study}/series/{ROOT}.{study}.1/instances/{ROOT}.{study}.1.{instance}"
