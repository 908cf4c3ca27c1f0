"""Samples as they are: native Pixel Data (PS3.5 8.1), one frame at a time, and the same as fragments
(A.4.11).

A frame is its samples, little endian, padded to a whole byte; how frames of single bits follow one another is
the affair of whoever joins them. Words of Explicit VR Big Endian are swapped where Pixel Data is OW, whatever
Bits Allocated is; octets of OB never are.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gantry.pixels.codecs.codec import (
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    by_pixel,
    dtype_of,
    says_nothing,
)
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

_CHROMA_SHARED = ("YBR_FULL_422", "YBR_PARTIAL_422")


def _decode(data: bytes, syntax_uid: str, header: ImageHeader, _: StreamFacts | None) -> Pixels:
    """Missing samples are zero, so that no foreign memory is ever shown (B55)."""
    big = syntax_uid in (EXPLICIT_VR_BIG_ENDIAN, GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN)
    if big and header.bits_allocated != 16 and header.pixel_vr == "OW":
        # PS3.5 8.2: words of 16 bits are what is in big endian, whatever lies in them.
        data, big = swapped_words(data), False
    return from_octets(data, header, ">" if big else "<")


def from_octets(data: bytes, header: ImageHeader, order: str = "<") -> Pixels:
    """The samples of one native frame."""
    if header.bits_allocated == 1:
        count = header.frame_samples
        bits = np.unpackbits(np.frombuffer(data[: -(-count // 8)], np.uint8), bitorder="little")
        return _shaped(_filled(bits, count), header)
    if header.photometric_interpretation in _CHROMA_SHARED and header.samples_per_pixel == 3:
        return _chroma_doubled(data, header)
    dtype = dtype_of(header, order)
    usable = len(data) - len(data) % dtype.itemsize
    values = _filled(np.frombuffer(data[:usable], dtype), header.frame_samples)
    return _shaped(values.astype(dtype.newbyteorder("="), copy=False), header)


def _filled(values: Pixels, count: int) -> Pixels:
    if len(values) >= count:
        return values[:count]
    return np.concatenate([values, np.zeros(count - len(values), values.dtype)])


def _shaped(values: Pixels, header: ImageHeader) -> Pixels:
    if header.samples_per_pixel == 1:
        return values.reshape(header.rows, header.columns)
    if header.planar_configuration == 1:
        planes = values.reshape(header.samples_per_pixel, header.rows, header.columns)
        return np.moveaxis(planes, 0, -1)
    return values.reshape(header.rows, header.columns, header.samples_per_pixel)


def _chroma_doubled(data: bytes, header: ImageHeader) -> Pixels:
    """Native YBR_FULL_422: Y1 Y2 Cb Cr for each two pixels of a row (PS3.3 C.7.6.3.1.2)."""
    if header.columns % 2 or len(data) >= header.frame_samples:
        plain = replace(header, photometric_interpretation="YBR_FULL")
        return from_octets(data, plain)  # some writers keep all of the chrominance
    pairs = header.rows * (header.columns // 2)
    quads = _filled(np.frombuffer(data, np.uint8), pairs * 4).reshape(header.rows, header.columns // 2, 4)
    full = np.empty((header.rows, header.columns, 3), np.uint8)
    full[:, 0::2, 0] = quads[..., 0]
    full[:, 1::2, 0] = quads[..., 1]
    full[..., 1:] = np.repeat(quads[..., 2:], 2, axis=1)
    return full


def plan(_: str, header: ImageHeader) -> ImageHeader:
    """Anything can be native; chrominance is kept for each pixel."""
    photometric = header.photometric_interpretation
    return by_pixel(header, "YBR_FULL" if photometric in _CHROMA_SHARED else photometric)


def encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, _: Compression) -> bytes:
    return octets(pixels, header)


def octets(pixels: Pixels, header: ImageHeader) -> bytes:
    """One frame as octets, little endian, color by pixel."""
    if header.bits_allocated == 1:
        return np.packbits(pixels.reshape(-1).astype(bool), bitorder="little").tobytes()
    return np.ascontiguousarray(pixels).astype(dtype_of(header), copy=False).tobytes()


def swapped_words(data: bytes) -> bytes:
    """16-bit words with their bytes exchanged: OW of Explicit VR Big Endian (PS3.5 A.3)."""
    swapped = bytearray(data)
    even = len(data) & ~1
    swapped[0:even:2], swapped[1:even:2] = data[1:even:2], data[0:even:2]
    return bytes(swapped)


NATIVE = Codec(
    "native",
    (
        EXPLICIT_VR_LITTLE_ENDIAN,
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN,
        GE_PRIVATE_IMPLICIT_VR_LITTLE_ENDIAN,
    ),
    _decode,
    says_nothing,
    plan,
    encode,
    keeps_words=True,
)
