"""Pictures as files: JPEG, PNG, GIF, JPEG 2000, JPEG XL, plain PNM; several as one moving GIF."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantry.errors import DataSetError
from gantry.pixels.pnm import PNM, to_pnm

Picture = NDArray[np.uint8]

JPEG, PNG, GIF, JP2, JXL = "image/jpeg", "image/png", "image/gif", "image/jp2", "image/jxl"

HOLDS_PROFILE = frozenset({JPEG, PNG, JP2})
"""Formats in which an ICC profile can be embedded. JPEG XL says sRGB by itself."""


def encode(picture: Picture, media_type: str, quality: int = 90, profile: bytes = b"") -> bytes:
    """A gray or RGB picture as a file; `profile` is embedded where the format can. Raises DataSetError.

    `quality`, 1 to 100, is for JPEG; for JPEG 2000 and JPEG XL 100 is lossless.
    """
    picture = np.ascontiguousarray(picture)
    if media_type == JPEG:
        coded = bytes(imagecodecs.jpeg8_encode(picture, level=quality))
        return _jpeg_with_profile(coded, profile) if profile else coded
    if media_type == PNG:
        coded = bytes(imagecodecs.png_encode(picture, level=3))
        return _png_with_profile(coded, profile) if profile else coded
    if media_type == GIF:
        return animated([picture], 100)
    if media_type == JP2:
        # The level is a signal-to-noise ratio in dB: 30 at the worst, 60 at 99.
        options = {"reversible": True} if quality >= 100 else {"level": 30 + 0.3 * quality}
        coded = bytes(imagecodecs.jpeg2k_encode(picture, codecformat="jp2", **options))
        return _jp2_with_profile(coded, profile) if profile else coded
    if media_type == JXL:
        if quality >= 100:
            return bytes(imagecodecs.jpegxl_encode(picture, lossless=True, effort=3))
        return bytes(imagecodecs.jpegxl_encode(picture, distance=_distance(quality), effort=3))
    if media_type == PNM:
        return to_pnm(picture)
    raise DataSetError(f"there is no encoder for {media_type}")


def animated(pictures: Sequence[Picture], frame_ms: float | Sequence[float]) -> bytes:
    """A GIF of all pictures, repeated where there are several; it counts hundredths of a second.

    `frame_ms` is how long each stands, one number for all or one for each.
    """
    images = [Image.fromarray(picture) for picture in pictures]
    images = [image if image.mode == "L" else image.quantize(256) for image in images]
    out = io.BytesIO()
    if len(images) == 1:
        images[0].save(out, "GIF")
    else:
        each = [frame_ms] * len(images) if isinstance(frame_ms, (int, float)) else frame_ms
        duration = [max(20, round(one / 10) * 10) for one in each]  # viewers slow down more than 50 a second
        images[0].save(
            out, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=False
        )
    return out.getvalue()


def _distance(quality: int) -> float:
    """The distance that libjxl's own tools take for a quality of JPEG."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def _jpeg_with_profile(coded: bytes, profile: bytes) -> bytes:
    """APP2 segments behind the start of image, 65,519 bytes of profile each (ICC.1 Annex B.4)."""
    most = 65_519
    parts = [profile[start : start + most] for start in range(0, len(profile), most)]
    if len(parts) > 255:
        return coded
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", len(part) + 16) + b"ICC_PROFILE\0" + bytes([n, len(parts)]) + part
        for n, part in enumerate(parts, 1)
    )
    return coded[:2] + segments + coded[2:]


def _png_with_profile(coded: bytes, profile: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(coded)) as image:
        image.save(out, "PNG", icc_profile=profile, compress_level=3)
    return out.getvalue()


def _jp2_with_profile(coded: bytes, profile: bytes) -> bytes:
    """The colour specification box with the profile instead of a number (ISO 15444-1 I.5.3.3)."""
    start = coded.find(b"jp2h") - 4
    length = struct.unpack(">I", coded[start : start + 4])[0]
    header = coded[start + 8 : start + length]
    boxes, position = b"", 0
    while position + 8 <= len(header):
        size = struct.unpack(">I", header[position : position + 4])[0]
        box = header[position : position + size]
        if box[4:8] == b"colr":
            box = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
        boxes += box
        position += size
    return coded[:start] + struct.pack(">I4s", len(boxes) + 8, b"jp2h") + boxes + coded[start + length :]
