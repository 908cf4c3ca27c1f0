"""ICC profiles: of objects, and of the spaces a client can ask for (PS3.3 C.11.15, PS3.18 8.3.5.1.5).

The profiles of the named spaces are made here, from the primaries and curves of their definitions: they are
the same bytes each time, which a cache and an entity tag need.
"""

from __future__ import annotations

import io
import struct
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Picture = NDArray[np.uint8]

SRGB, ADOBE_RGB, ROMM_RGB, DISPLAY_P3 = "srgb", "adobergb", "rommrgb", "displayp3"
NAMED = (SRGB, ADOBE_RGB, ROMM_RGB, DISPLAY_P3)

_D50 = (0.9642, 1.0, 0.8249)
# Red, green, blue and white as x, y; the curve is a gamma, or the five parameters of sRGB's.
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_D65, _D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)
_SPACES: dict[str, tuple[str, tuple[tuple[float, float], ...], tuple[float, ...]]] = {
    SRGB: ("sRGB", ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65), _SRGB_CURVE),
    ADOBE_RGB: (
        "Like Adobe RGB (1998)",
        ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65),
        (563 / 256,),
    ),
    ROMM_RGB: (
        "ROMM RGB",
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), _D50_XY),
        (1.8, 1.0, 0.0, 1 / 16, 0.031248),
    ),
    DISPLAY_P3: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65), _SRGB_CURVE),
}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@cache
def profile(space: str) -> bytes:
    """A display profile, version 4, of one of the `NAMED` spaces."""
    name, points, curve = _SPACES[space]
    columns = _colorants(points)
    shared = {b"rTRC": _parametric(curve)}
    tags = {
        b"desc": _text(name),
        b"cprt": _text("No copyright"),
        b"wtpt": _xyz(_D50),
        **{tag: _xyz(column) for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), shared[b"rTRC"]),
    }
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    head = struct.pack(
        ">I4sI4s4s4s6H4s4sIIIQI3I", size, b"\0\0\0\0", 0x04300000, b"mntr", b"RGB ", b"XYZ ",
        2026, 1, 1, 0, 0, 0, b"acsp", b"\0\0\0\0", 0, 0, 0, 0, 1, 0x0000F6D6, 0x00010000, 0x0000D32D,
    )  # fmt: skip
    return head.ljust(128, b"\0") + table + body


def _colorants(points: tuple[tuple[float, float], ...]) -> list[tuple[float, ...]]:
    """The three primaries in XYZ, adapted to D50 by Bradford."""
    xyz = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in points])
    primaries, white = xyz[:3].T, xyz[3]
    matrix = primaries * np.linalg.solve(primaries, white)
    there, here = _BRADFORD @ white, _BRADFORD @ np.array(_D50)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(here / there) @ _BRADFORD @ matrix
    return [tuple(float(value) for value in column) for column in adapted.T]


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _parametric(curve: tuple[float, ...]) -> bytes:
    kind = 0 if len(curve) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, curve))


def _text(text: str) -> bytes:
    data = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(data), 28) + data


def converted(picture: Picture, source: bytes, asked: str) -> tuple[Picture, bytes]:
    """An RGB picture in the space asked for, and the profile to embed; empty for none.

    `source` is the profile that its colours are in, empty for sRGB. `asked` is no (colours as they are),
    yes (as they are, and the profile says so), a named space, or empty: sRGB without a profile, what a
    browser takes it for. A profile that cannot be read, or is not for RGB, counts as sRGB.
    """
    held = _opened(source)
    if asked == "no":
        return picture, b""
    if asked == "yes":
        return picture, source if held is not None else profile(SRGB)
    space = asked or SRGB
    embedded = profile(space) if asked else b""
    if held is None and space == SRGB:
        return picture, embedded
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile(space)))
    held = held or ImageCms.ImageCmsProfile(io.BytesIO(profile(SRGB)))
    try:
        shown = ImageCms.profileToProfile(Image.fromarray(picture), held, target, outputMode="RGB")
    except ImageCms.PyCMSError:
        return picture, embedded
    return np.asarray(shown), embedded


def _opened(source: bytes) -> ImageCms.ImageCmsProfile | None:
    if len(source) < 128 or source[16:20] != b"RGB ":
        return None
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(source))
    except (OSError, ImageCms.PyCMSError):
        return None
