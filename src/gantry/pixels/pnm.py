"""Pixels and nothing else: the format in which one part of this program hands another a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PNM = "image/x-portable-anymap"


def to_pnm(picture: Picture) -> bytes:
    """A gray or RGB picture as binary PGM or PPM."""
    rows, columns = picture.shape[:2]
    kind = 5 if picture.ndim == 2 else 6
    return b"P%d\n%d %d\n255\n" % (kind, columns, rows) + picture.tobytes()


def from_pnm(data: bytes) -> Picture:
    """The picture in a PNM that `to_pnm` made."""
    kind, size, _, samples = data.split(b"\n", 3)
    columns, rows = (int(side) for side in size.split())
    shape = (rows, columns) if kind == b"P5" else (rows, columns, 3)
    return np.frombuffer(samples, np.uint8).reshape(shape)
