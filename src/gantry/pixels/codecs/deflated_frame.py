"""Deflated Image Frame Compression: each frame's native octets as one raw deflate stream (PS3.5 8.2.16,
A.4.13)."""

from __future__ import annotations

import zlib

import numpy as np

from gantry.errors import CallerError
from gantry.pixels.codecs import native
from gantry.pixels.codecs.codec import (
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    broken,
    cannot,
    says_nothing,
)
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import DEFLATED_IMAGE_FRAME_COMPRESSION

_LEVEL = 6
_SLACK_BYTES = 1 << 10
"""What may follow the samples of a frame, such as padding; what inflates to more is a bomb."""


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    size = -(-header.frame_samples * max(1, header.bits_allocated) // 8)
    inflater = zlib.decompressobj(-15)
    try:
        octets = inflater.decompress(data, size + _SLACK_BYTES)
    except zlib.error as error:
        raise broken(f"the deflated frame is broken: {error}") from error
    if len(octets) >= size + _SLACK_BYTES:
        raise broken(f"the deflated frame holds more than the {size} bytes of its pixels")
    if len(octets) < size:
        raise broken(f"the deflated frame holds {len(octets)} of the {size} bytes of its pixels")
    return native.from_octets(octets, header)


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    if header.is_float:
        raise cannot("Deflated Image Frame Compression", "they are floating point (PS3.5 8.2)")
    return native.plan(syntax_uid, header)


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    octets = native.encode(np.asarray(pixels), syntax_uid, header, compression)
    if len(octets) > 0xFFFFFFFF:
        raise CallerError("a frame of more than 4 GiB")
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return deflater.compress(octets) + deflater.flush()


DEFLATED_FRAME = Codec(
    "deflated frame",
    (DEFLATED_IMAGE_FRAME_COMPRESSION,),
    _decode,
    says_nothing,
    _plan,
    _encode,
    keeps_words=True,
)
