"""Overlay planes: one bit a pixel, in an element of their own or in unused bits of pixels (PS3.3 C.9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.dataset.scan import DataSet

_GROUPS = range(0x6000, 0x6020, 2)
_ROWS, _COLUMNS, _FRAMES, _TYPE = 0x0010, 0x0011, 0x0015, 0x0040
_ORIGIN, _FRAME_ORIGIN, _BITS, _POSITION, _DATA, _LAYER = 0x0050, 0x0051, 0x0100, 0x0102, 0x3000, 0x1001

WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Overlay:
    """The plane over one frame. `origin` is the row and column, from 1, of its first pixel in the image.

    `bits` are packed, lowest bit first, row after row; where they are empty the plane is bit `embedded_bit`
    of the stored pixels. `color` is what a set bit shows.
    """

    group: int
    rows: int
    columns: int
    origin: tuple[int, int]
    bits: bytes
    embedded_bit: int = 0
    color: tuple[int, int, int] = WHITE
    is_region: bool = False

    def mask(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        """Which pixels of an image the plane sets; what lies outside of the image is cut off."""
        shape = pixels.shape[0], pixels.shape[1]
        if not self.bits:
            return np.asarray((pixels >> self.embedded_bit) & 1 != 0)
        flags = np.unpackbits(np.frombuffer(self.bits, np.uint8), bitorder="little")
        missing = self.rows * self.columns - len(flags)
        if missing > 0:
            flags = np.concatenate([flags, np.zeros(missing, np.uint8)])
        plane = flags[: self.rows * self.columns].reshape(self.rows, self.columns)
        out = np.zeros(shape, np.bool_)
        top, left = self.origin[0] - 1, self.origin[1] - 1
        bottom, right = min(shape[0], top + self.rows), min(shape[1], left + self.columns)
        if bottom > max(0, top) and right > max(0, left):
            out[max(0, top) : bottom, max(0, left) : right] = plane[
                max(0, -top) : bottom - top, max(0, -left) : right - left
            ]
        return out


def read_overlays(ds: DataSet, frame: int, *, stored_bits: range) -> tuple[Overlay, ...]:
    """The planes of a Data Set that lie over frame `frame`, from 1.

    `stored_bits` are the bit positions of pixel values: an embedded plane in one of them is no plane.
    """
    found = (_read(ds, group << 16, frame, stored_bits) for group in _GROUPS)
    return tuple(overlay for overlay in found if overlay is not None)


def activation_layers(ds: DataSet) -> dict[int, str]:
    """The graphic layer in which each overlay group is shown (PS3.3 C.11.7); absent ones are not shown."""
    named = ((group, ds.text(group << 16 | _LAYER)) for group in _GROUPS)
    return {group: name for group, name in named if name}


def _read(ds: DataSet, base: int, frame: int, stored_bits: range) -> Overlay | None:
    rows, columns = _number(ds, base | _ROWS, 0), _number(ds, base | _COLUMNS, 0)
    if rows < 1 or columns < 1:
        return None
    is_region = (ds.text(base | _TYPE) or "G").upper() == "R"
    at = [value - (value > 0x7FFF) * 0x10000 for value in ds.ints(base | _ORIGIN)]
    origin = (at[0], at[1]) if len(at) == 2 else (1, 1)
    if base | _DATA in ds:
        first = _number(ds, base | _FRAME_ORIGIN, 1)
        frames = _number(ds, base | _FRAMES, 1) if base | _FRAMES in ds else 0
        # Without a number of frames the plane lies over all of them.
        index = frame - first if frames else 0
        if not 0 <= index < max(1, frames):
            return None
        bits = _frame_bits(ds, base, rows * columns, index)
        return Overlay(base >> 16, rows, columns, origin, bits, is_region=is_region) if bits else None
    bit = _number(ds, base | _POSITION, 0)
    if _number(ds, base | _BITS, 1) == 1 or bit in stored_bits or not 0 <= bit < 16:
        return None
    return Overlay(base >> 16, rows, columns, origin, b"", bit, is_region=is_region)


def _frame_bits(ds: DataSet, base: int, size: int, index: int) -> bytes:
    """The bits of one frame, beginning in the first byte; frames follow without a gap (PS3.5 8.1.2)."""
    element = ds.elements[base | _DATA]
    data = ds.raw(base | _DATA)
    if element[1] == "OW" and not ds.syntax.little_endian:
        data = np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()
    first = size * index
    chunk = data[first // 8 : (first + size + 7) // 8]
    if first % 8 == 0:
        return chunk
    flags = np.unpackbits(np.frombuffer(chunk, np.uint8), bitorder="little")[first % 8 :][:size]
    return np.packbits(flags, bitorder="little").tobytes()


def _number(ds: DataSet, tag: int, default: int) -> int:
    values = ds.ints(tag)
    return values[0] if values else default


def burn_overlays(
    picture: NDArray[np.uint8], pixels: NDArray[Any], overlays: tuple[Overlay, ...]
) -> NDArray[np.uint8]:
    """The picture with the planes over it; `pixels` are the stored ones, of the same rows and columns."""
    for overlay in overlays:
        if not overlay.bits and (pixels.ndim != 2 or pixels.dtype.kind not in "iu"):
            continue
        mask = overlay.mask(pixels)
        picture = painted(picture, mask, overlay.color)
    return picture


def painted(
    picture: NDArray[np.uint8], mask: NDArray[np.bool_], color: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The picture with one colour where the mask is set: gray stays gray for a gray colour."""
    if not mask.any():
        return picture
    if picture.ndim == 2 and len(set(color)) > 1:
        picture = np.repeat(picture[..., None], 3, axis=2)
    shown: Any = color[0] if picture.ndim == 2 else color
    out = picture.copy()
    out[mask] = shown
    return out
