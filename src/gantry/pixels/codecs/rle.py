"""RLE Lossless (PS3.5 Annex G): a PackBits segment for each byte of a sample, most significant first, by
sample.

Rows are encoded one by one (G.3.1), planes of all samples one after the other.
"""

from __future__ import annotations

from itertools import pairwise
from struct import pack
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gantry.pixels.codecs import native
from gantry.pixels.codecs.codec import (
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    broken,
    cannot,
    dtype_of,
    says_nothing,
    unsigned,
)
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import RLE_LOSSLESS

_HEADER_BYTES: Final = 64
_MOST_SEGMENTS: Final = 15
_MOST_EXPANSION: Final = 64
"""Two bytes of PackBits give 128 at most, so that a segment's size bounds what it can become."""

_SAYS_NOTHING: Final = b"\x80"
_SLACK_BYTES: Final = 256
"""Room for a last run past the image's end; of more, only what the image takes is unpacked."""


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    width = max(1, header.bits_allocated // 8)
    area = header.rows * header.columns
    if header.bits_allocated == 1:
        area = -(-area // 8)
    planes = _planes(data, header.samples_per_pixel * width, area)
    if header.bits_allocated == 1:
        return native.from_octets(planes[0].tobytes(), header)
    samples = [_joined(planes[n : n + width]).view(dtype_of(header)) for n in range(0, len(planes), width)]
    if len(samples) == 1:
        return samples[0].reshape(header.rows, header.columns)
    return np.stack(samples, axis=-1).reshape(header.rows, header.columns, -1)


def _joined(planes: list[NDArray[np.uint8]]) -> NDArray[Any]:
    """Words of their bytes, the highest first: shifting whole arrays is faster than laying bytes in turn."""
    if len(planes) == 1:
        return planes[0]
    words = planes[0].astype(f"u{len(planes)}")
    for plane in planes[1:]:
        words <<= 8
        words |= plane
    return words


def _planes(data: bytes, count: int, area: int) -> list[NDArray[np.uint8]]:
    if len(data) < _HEADER_BYTES:
        raise broken("an RLE frame is shorter than its header")
    numbers = [int(number) for number in np.frombuffer(data[:_HEADER_BYTES], "<u4")]
    if numbers[0] != count:
        raise broken(f"an RLE header names {numbers[0]} segments where {count} belong")
    offsets = [*numbers[1 : count + 1], len(data)]
    if offsets[0] < _HEADER_BYTES or any(start > stop for start, stop in pairwise(offsets)):
        raise broken("an RLE header points at segments that are not there")
    if any((stop - start) * _MOST_EXPANSION < area for start, stop in pairwise(offsets)):
        raise broken("an RLE segment is too short for the image")
    return [_unpacked(data[start:stop], area) for start, stop in pairwise(offsets)]


def _unpacked(segment: bytes, size: int) -> NDArray[np.uint8]:
    """One segment; what is missing is zero (B55), what is too much is not unpacked."""
    try:
        # Behind the null byte that makes a segment even the library misses a literal: give it one, or, where
        # there is none, an octet that says nothing.
        octets = imagecodecs.packbits_decode(segment + _SAYS_NOTHING, out=bytearray(size + _SLACK_BYTES))
    except imagecodecs.PackbitsError:
        octets = _unpacked_slowly(segment, size)
    plane = np.frombuffer(octets, np.uint8)[:size]
    return plane if len(plane) == size else np.concatenate([plane, np.zeros(size - len(plane), np.uint8)])


def _unpacked_slowly(segment: bytes, most: int) -> bytes:
    """As much of a segment as is whole: the library gives up where the last run is cut, or there is more."""
    out = bytearray()
    pos = 0
    while pos + 1 < len(segment) and len(out) < most:
        head = segment[pos]
        if head < 128:
            out += segment[pos + 1 : pos + 2 + head]
            pos += 2 + head
        else:
            out += segment[pos + 1 : pos + 2] * (257 - head if head > 128 else 0)
            pos += 2 if head > 128 else 1
    return bytes(out)


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    if header.is_float:
        raise cannot("RLE Lossless", "they are floating point (PS3.5 8.2)")
    if header.samples_per_pixel * max(1, header.bits_allocated // 8) > _MOST_SEGMENTS:
        raise cannot("RLE Lossless", f"they take more than {_MOST_SEGMENTS} segments")
    if header.bits_allocated == 1 and header.samples_per_pixel > 1:
        raise cannot("RLE Lossless", "colour of single bits")
    return native.plan(syntax_uid, header)


def _encode(pixels: Pixels, _: str, header: ImageHeader, compression: Compression) -> bytes:
    if header.bits_allocated == 1:
        octets = np.frombuffer(native.encode(pixels, "", header, compression), np.uint8)
        segments = [_packed(octets.reshape(1, -1))]
    else:
        words = unsigned(np.ascontiguousarray(pixels, dtype_of(header)))
        width = words.dtype.itemsize
        samples = words.reshape(header.rows, header.columns, header.samples_per_pixel)
        segments = [
            _packed((samples[..., n] >> (8 * byte) if byte else samples[..., n]).astype(np.uint8))
            for n in range(header.samples_per_pixel)
            for byte in reversed(range(width))
        ]
    offsets = [_HEADER_BYTES]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    head = pack(f"<{1 + len(offsets)}L", len(offsets), *offsets).ljust(_HEADER_BYTES, b"\0")
    return head + b"".join(segments)


def _packed(plane: NDArray[np.uint8]) -> bytes:
    """A plane by rows, of even length (PS3.5 G.5)."""
    data = bytes(imagecodecs.packbits_encode(plane, axis=-1))
    return data + b"\0" * (len(data) % 2)


RLE = Codec("RLE", (RLE_LOSSLESS,), _decode, says_nothing, _plan, _encode, keeps_words=True)
