"""Images and presentation states as tests make and show them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.image import ImageHeader, Rendering, Window
from gantry.pixels.lut import LookupTable
from gantry.pixels.palette import Palette
from gantry.pixels.presentation import Graphic, Text
from gantry.pixels.presented import Coded, presented
from gantry.pixels.render_presented import render_presented
from gantry.pixels.transcode import stored_frame
from gantry.toolkit.presentation_state import Look, write_presentation_state
from image_values import image_object

MADE = datetime(2026, 3, 1, 10, 15)
TWELVE = {"BitsStored": 12, "HighBit": 11}
ROWS, COLUMNS = 60, 80
WINDOW = Window(500, 1500)

_ROW, _COLUMN = np.mgrid[0:ROWS, 0:COLUMNS]
VALUES = (_COLUMN * 40 + _ROW * 13 + np.random.default_rng(1).integers(0, 50, (ROWS, COLUMNS))).astype(
    np.uint16
)
CT_LIKE = image_object(VALUES[None], **TWELVE, RescaleSlope=1, RescaleIntercept=-1000)

WHITE, RED, GREEN = (255, 255, 255), (255, 0, 0), (0, 255, 0)


def table(first: int, bits: int, entries: Any) -> LookupTable:
    return LookupTable(first, bits, np.asarray(entries).astype("<u2").tobytes())


def palette() -> Palette:
    """From blue to yellow, in 16 bits."""
    rising = np.linspace(0, 65535, 256)
    return table(0, 16, rising), table(0, 16, rising), table(0, 16, rising[::-1])


def scanned(file: bytes) -> DataSet:
    return read_part10(file)[1]


def state_for(
    file: bytes, look: Look, change: Callable[[Dataset], object] | None = None, **options: Any
) -> bytes:
    """A state for an image; `change` may do to it what a good writer does not."""
    state = write_presentation_state([scanned(file)], look, made=MADE, **options)
    return state if change is None else changed(state, change)


def changed(file: bytes, change: Callable[[Dataset], object]) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(file))
    change(ds)
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


def shown(
    file: bytes, state: bytes, frame: int = 1, wanted: Rendering | None = None, above: bytes | None = None
) -> np.ndarray:
    """The picture of a frame by a state, as a program that opens a PNG sees it."""
    over = None if above is None else (_coded(above), 1)
    plan = presented(_coded(file), scanned(state), frame, over)
    frames = [_stored(file, number) for number in plan.frames]
    if above is not None:
        frames.append(_stored(above, 1))
    asked = replace(wanted or Rendering(), media_type="image/png")
    return np.asarray(Image.open(io.BytesIO(render_presented(plan, frames, asked))))


def header_by(file: bytes, state: bytes, frame: int = 1) -> ImageHeader:
    return presented(_coded(file), scanned(state), frame).below.header


def line(*points: tuple[float, float], **values: Any) -> Graphic:
    return graphic("POLYLINE", *points, **values)


def graphic(kind: str, *points: tuple[float, float], **values: Any) -> Graphic:
    plain = {"units": "PIXEL", "filled": False, "color": WHITE}
    return Graphic(kind=kind, points=points, **(plain | values))


def text(words: str, **values: Any) -> Text:
    plain = {
        "box": ((5.0, 5.0), (40.0, 20.0)), "box_units": "PIXEL", "anchor": None, "anchor_units": "PIXEL",
        "anchor_visible": False, "justification": "LEFT", "color": WHITE,
    }  # fmt: skip
    return Text(text=words, **(plain | values))


def _coded(file: bytes) -> Coded:
    meta, ds = read_part10(file)
    return Coded(ds, meta.transfer_syntax_uid)


def _stored(file: bytes, frame: int) -> bytes:
    ds = scanned(file)
    frames = frame_table(ds)
    assert frames is not None
    return stored_frame(ds, frames, frame - 1)
