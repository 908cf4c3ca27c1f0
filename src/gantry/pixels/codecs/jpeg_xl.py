"""JPEG XL: lossless, recompressed JPEG, and any (PS3.5 8.2.15, A.4.12).

A baseline JPEG becomes JPEG XL and back without a change of any bit (`recompress`, `original_jpeg`). Samples
are unsigned; lossless keeps the bits of a sign, lossy refuses one.
"""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np

from gantry.pixels.codecs.codec import (
    COLOR_BY_LUMINANCE,
    MONOCHROME,
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    broken,
    by_pixel,
    cannot,
    has_stray_bits,
    narrowed,
    require_samples,
    sign_extended,
    unsigned,
)
from gantry.pixels.codecs.jpeg import JPEG, to_ratio
from gantry.pixels.codecs.jpeg_xl_stream import read_jpeg_xl
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import (
    JPEG_BASELINE_8_BIT,
    JPEG_XL,
    JPEG_XL_JPEG_RECOMPRESSION,
    JPEG_XL_LOSSLESS,
)

_EFFORT = 3
"""Of the encoder: above this each step costs twice the time for a hundredth of the bytes."""

_LEAST_DISTANCE, _MOST_DISTANCE = 0.01, 25.0


def _look(data: bytes, _: str, header: ImageHeader) -> StreamFacts:
    stream = read_jpeg_xl(data)
    said = header.photometric_interpretation
    return StreamFacts(
        stream.rows,
        stream.columns,
        header.samples_per_pixel,
        stream.precision,
        photometric=said if header.samples_per_pixel == 1 else "RGB",
    )


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    pixels = np.asarray(imagecodecs.jpegxl_decode(data))
    return sign_extended(pixels, header.bits_stored) if header.signed and pixels.dtype.kind == "u" else pixels


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    require_samples("JPEG XL", header, 16)
    if header.bits_allocated > 16:
        raise cannot("JPEG XL", f"Bits Allocated is {header.bits_allocated}; the library has 16")
    if header.photometric_interpretation not in (*MONOCHROME, "RGB", *COLOR_BY_LUMINANCE):
        raise cannot("JPEG XL", f"they are {header.photometric_interpretation} (PS3.5 8.2.15)")
    if syntax_uid == JPEG_XL_JPEG_RECOMPRESSION:
        assert JPEG.plan is not None
        return JPEG.plan(JPEG_BASELINE_8_BIT, header)
    if syntax_uid == JPEG_XL_LOSSLESS:
        if header.photometric_interpretation in COLOR_BY_LUMINANCE:
            raise cannot("JPEG XL Lossless", "they are not RGB, and to convert them loses something")
        return by_pixel(header)
    if header.signed:
        raise cannot("lossy JPEG XL", "they are signed")
    if header.bits_stored == 1:
        raise cannot("lossy JPEG XL", "of one bit nothing may be lost")
    planned = replace(by_pixel(header), high_bit=header.bits_stored - 1)
    return planned if header.samples_per_pixel == 1 else replace(planned, photometric_interpretation="XYB")


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    if syntax_uid == JPEG_XL_JPEG_RECOMPRESSION:
        assert JPEG.encode is not None
        return recompress(JPEG.encode(pixels, JPEG_BASELINE_8_BIT, header, compression))
    words = unsigned(np.ascontiguousarray(pixels))
    if syntax_uid == JPEG_XL_LOSSLESS:
        whole = header.signed or has_stray_bits(pixels, header)
        bits = words.dtype.itemsize * 8 if whole else header.bits_stored
        words = narrowed(words, bits)
        return bytes(
            imagecodecs.jpegxl_encode(words, lossless=True, bitspersample=bits, effort=_EFFORT, numthreads=1)
        )
    if compression.ratio:
        scale = lambda share: _encode_at(words, header, _MOST_DISTANCE * (1 - share) + 0.01)  # noqa: E731
        return to_ratio(words, compression.ratio, scale)
    return _encode_at(words, header, _distance(words, header, compression.quality))


def _distance(words: Pixels, header: ImageHeader, quality: int) -> float:
    """The library's own scale of 100 steps: 90 is 1, where a difference begins to be seen.

    It takes the type's whole range to be what is seen; grayscale uses a part of it, which a window spreads.
    """
    used = 1.0
    if words.ndim == 2:
        used = max(1, int(words.max()) - int(words.min())) / (1 << header.bits_stored)
    return max(_LEAST_DISTANCE, (0.1 + (100 - quality) * 0.09) * min(1.0, used))


def _encode_at(words: Pixels, header: ImageHeader, distance: float) -> bytes:
    words = narrowed(words, header.bits_stored)
    return bytes(
        imagecodecs.jpegxl_encode(
            words, distance=distance, bitspersample=header.bits_stored, effort=_EFFORT, numthreads=1
        )
    )


def recompress(jpeg: bytes) -> bytes:
    """A JPEG XL stream of which `original_jpeg` gives the same JPEG again. Raises DataSetError."""
    try:
        return bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, numthreads=1))
    except imagecodecs.JpegxlError as error:
        raise broken(f"the JPEG stream cannot be recompressed: {error}") from error


def original_jpeg(data: bytes) -> bytes:
    """The JPEG stream that was recompressed. Raises DataSetError where there was none."""
    try:
        return bytes(imagecodecs.jpegxl_decode_jpeg(data, numthreads=1))
    except imagecodecs.JpegxlError as error:
        raise broken(f"the JPEG XL stream holds no JPEG: {error}") from error


CODEC = Codec(
    "JPEG XL",
    (JPEG_XL_LOSSLESS, JPEG_XL_JPEG_RECOMPRESSION, JPEG_XL),
    _decode,
    _look,
    _plan,
    _encode,
    lossy_syntaxes=(JPEG_XL_JPEG_RECOMPRESSION, JPEG_XL),
    method="ISO_18181_1",
    decodes_to_rgb=("XYB", "YBR_RCT", *COLOR_BY_LUMINANCE),
)
