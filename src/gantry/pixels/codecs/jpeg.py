"""JPEG: baseline and extended of 8 and 12 bits, lossless of 2 to 16 (PS3.5 8.2.1, A.4.1 and A.4.2).

Which process it is, and how many bits, is read from the stream. Lossy color comes out as RGB: the stream's
own word for its colour space (Adobe or JFIF segment, components named R, G, B) is believed, and where it has
none, the header's. Lossless JPEG knows no colour spaces: its components are what the header says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import imagecodecs
import numpy as np

from gantry.pixels.codecs import jpeg_ls
from gantry.pixels.codecs.codec import (
    COLOR_BY_LUMINANCE,
    MONOCHROME,
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    by_pixel,
    cannot,
    has_stray_bits,
    narrowed,
    require_samples,
    sign_extended,
    unsigned,
)
from gantry.pixels.codecs.jpeg_stream import JpegHeader, read_jpeg, without_application_segments
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import (
    JPEG_BASELINE_8_BIT,
    JPEG_EXTENDED_12_BIT,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
)

_RETIRED_LOSSY = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (52, 53, 54, 55, 56))
_LEAST_LOSSLESS_BITS = 2
_TWELVE_BITS = 12
_MOST_HALVINGS = 8


def _look(data: bytes, syntax_uid: str, header: ImageHeader) -> StreamFacts:
    stream = read_jpeg(data)
    return _facts(stream, syntax_uid, header)


def _facts(stream: JpegHeader, syntax_uid: str, header: ImageHeader) -> StreamFacts:
    notes = []
    lossless = syntax_uid in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1)
    if stream.is_ls:
        notes.append("the stream is JPEG-LS")
    elif stream.is_lossless != lossless:
        notes.append(f"the stream is {'lossless' if stream.is_lossless else 'lossy'} JPEG")
    samples = len(stream.component_ids)
    photometric = header.photometric_interpretation
    if samples == 3 and not stream.is_lossless and not stream.is_ls:
        space = stream.color_space
        if space is not None and (space == "RGB") != (photometric == "RGB"):
            notes.append(f"the stream says that it is {space}, the header {photometric or 'nothing'}")
        photometric = "RGB"
    elif samples == 3 and photometric in (*MONOCHROME, "PALETTE COLOR"):
        photometric = stream.color_space or "RGB"
    elif samples == 1 and header.samples_per_pixel != 1:
        photometric = "MONOCHROME2"
    return StreamFacts(
        stream.rows,
        stream.columns,
        samples,
        stream.precision,
        photometric=photometric,
        lossy=not stream.is_lossless,
        notes=tuple(notes),
    )


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    stream = read_jpeg(data)
    if stream.is_ls:
        return jpeg_ls.decode(data, header)
    if stream.is_lossless:
        space = "RGB" if len(stream.component_ids) == 3 else None  # RGB to RGB: nothing is converted
        pixels = np.asarray(imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace=space))
        return sign_extended(pixels, header.bits_stored) if header.signed else pixels
    if len(stream.component_ids) != 3:
        return np.asarray(imagecodecs.jpeg8_decode(data))
    named = stream.color_space or ("RGB" if header.photometric_interpretation == "RGB" else "YBR")
    space = "RGB" if named == "RGB" else "YCBCR"
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace="RGB"))


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    if syntax_uid in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        require_samples("lossless JPEG", header, 16, least_bits=8)
        if header.bits_allocated > 16:
            raise cannot("lossless JPEG", f"Bits Allocated is {header.bits_allocated}")
        if header.photometric_interpretation in COLOR_BY_LUMINANCE:
            return by_pixel(header, "YBR_FULL")
        return by_pixel(header)
    name = "JPEG Baseline" if syntax_uid == JPEG_BASELINE_8_BIT else "JPEG Extended"
    require_samples(name, header, 8 if syntax_uid == JPEG_BASELINE_8_BIT else _TWELVE_BITS, least_bits=8)
    if header.bits_allocated > 16:
        raise cannot(name, f"Bits Allocated is {header.bits_allocated}")
    if header.signed:
        raise cannot(name, "they are signed (PS3.5 8.2.1)")
    bits = 8 if header.bits_stored <= 8 else _TWELVE_BITS
    if bits == 8 and header.bits_allocated > 8 and header.samples_per_pixel == 1:
        header = replace(header, bits_allocated=8)
    planned = replace(by_pixel(header), bits_stored=bits, high_bit=bits - 1)
    if header.photometric_interpretation == "PALETTE COLOR":
        raise cannot(name, "they are indexes of a palette, of which none may be lost")
    if header.samples_per_pixel == 1:
        return planned
    if syntax_uid != JPEG_BASELINE_8_BIT:
        raise cannot(name, "they are color, which the standard allows in JPEG Baseline only")
    return replace(planned, photometric_interpretation="YBR_FULL_422", bits_allocated=8)


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    if syntax_uid in (JPEG_LOSSLESS, JPEG_LOSSLESS_SV1):
        return _encode_losslessly(pixels, header)
    samples = pixels.astype(np.uint8 if header.bits_stored == 8 else np.uint16, copy=False)
    samples = np.ascontiguousarray(np.minimum(samples, (1 << header.bits_stored) - 1))
    if not compression.ratio:
        return _encode_at(samples, header, compression.quality)
    return to_ratio(
        samples, compression.ratio, lambda share: _encode_at(samples, header, round(1 + 99 * share))
    )


def _encode_at(samples: Pixels, header: ImageHeader, quality: int) -> bytes:
    if samples.ndim == 2:
        bits = header.bits_stored if header.bits_stored > 8 else None
        data = imagecodecs.jpeg8_encode(samples, level=quality, bitspersample=bits)
    else:
        data = imagecodecs.jpeg8_encode(
            samples, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="422"
        )
    return without_application_segments(bytes(data))


def _encode_losslessly(pixels: Pixels, header: ImageHeader) -> bytes:
    # As many bits as are stored; all that are allocated where the others hold something, or a sign is
    # extended into them, which readers disagree about.
    whole = header.signed or has_stray_bits(pixels, header)
    bits = header.bits_allocated if whole else max(header.bits_stored, _LEAST_LOSSLESS_BITS)
    words = narrowed(unsigned(pixels), bits)
    if words.ndim == 2:
        data = imagecodecs.jpeg8_encode(words, lossless=True, predictor=1, bitspersample=bits)
    else:
        data = imagecodecs.jpeg8_encode(
            words, lossless=True, predictor=1, bitspersample=bits, colorspace="RGB", outcolorspace="RGB"
        )
    return without_application_segments(bytes(data))


def to_ratio(samples: Pixels, ratio: float, encode: Callable[[float], bytes]) -> bytes:
    """The stream nearest to a ratio of native bytes over its own: halves the range of an encoder's scale."""
    low, high = 0.0, 1.0
    best, distance = b"", math.inf
    for _ in range(_MOST_HALVINGS):
        middle = (low + high) / 2
        data = encode(middle)
        reached = samples.nbytes / len(data)
        if abs(math.log(reached / ratio)) < distance:
            best, distance = data, abs(math.log(reached / ratio))
        low, high = (middle, high) if reached > ratio else (low, middle)
    return best


JPEG = Codec(
    "JPEG",
    (JPEG_BASELINE_8_BIT, JPEG_EXTENDED_12_BIT, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1, *_RETIRED_LOSSY),
    _decode,
    _look,
    _plan,
    _encode,
    lossy_syntaxes=(JPEG_BASELINE_8_BIT, JPEG_EXTENDED_12_BIT),
    method="ISO_10918_1",
    decodes_to_rgb=COLOR_BY_LUMINANCE,
)
