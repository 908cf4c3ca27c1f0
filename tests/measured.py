"""Measurements for tests, on the objects that `serving` makes."""

from __future__ import annotations

import io
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from serving import CT, ROOT


def image(number: int = 1, **more: Any) -> dict[str, Any]:
    """The image `serving.dataset(number)`, as a measurement names it."""
    named = {"seriesInstanceUid": f"{ROOT}.1.1", "sopInstanceUid": f"{ROOT}.1.1.{number}", "sopClassUid": CT}
    return {**named, "frame": 1, **more}


def length(name: str = "a", **more: Any) -> dict[str, Any]:
    """A length of 30 mm."""
    return {
        "id": name,
        "kind": "length",
        "image": image(),
        "points": [[10.5, 20.5], [40.5, 20.5]],
        "label": "Läsion 1",
        "values": [{"name": "length", "value": 30.0, "unit": "mm"}],
        **more,
    }


def parsed(file: bytes) -> Dataset:
    """A file as pydicom reads it."""
    return dcmread(io.BytesIO(file))
