"""JPEG 2000, Part 1 and, to be read, the multi-component transfer syntaxes of Part 2 (PS3.5 8.2.4, A.4.4).

Color is encoded with the stream's own transform, which the decoder undoes: YBR_RCT where nothing is lost,
YBR_ICT where something is. What comes as YBR_FULL is encoded as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import imagecodecs
import numpy as np

from gantry.pixels.codecs.codec import (
    COLOR_BY_LUMINANCE,
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
)
from gantry.pixels.codecs.jpeg import to_ratio
from gantry.pixels.codecs.jpeg_2000_stream import Codestream, read_codestream
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import (
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_2000_MC,
    JPEG_2000_MC_LOSSLESS,
)

_MOST_BITS = 24
"""The library keeps samples in 32-bit words with room for the transforms; above this it is not exact."""

_RESOLUTIONS = 6


def look(data: bytes, syntax_uid: str, header: ImageHeader) -> StreamFacts:
    """What the codestream says, for JPEG 2000 and HTJ2K."""
    stream = read_codestream(data)
    lossy = None if stream.is_reversible is None else not stream.is_reversible
    notes: tuple[str, ...] = ()
    if lossy and syntax_uid in (JPEG_2000_LOSSLESS, JPEG_2000_MC_LOSSLESS):
        notes = ("the stream is lossy in a lossless transfer syntax",)
    return StreamFacts(
        stream.rows,
        stream.columns,
        stream.components,
        stream.precision,
        stream.signed,
        photometric(stream, header),
        lossy,
        notes,
    )


def photometric(stream: Codestream, header: ImageHeader) -> str:
    """What the decoded components are: RGB where the stream transformed them, else what the header says."""
    said = header.photometric_interpretation
    if stream.components == 1:
        return said if header.samples_per_pixel == 1 else "MONOCHROME2"
    if stream.has_color_transform or said not in ("YBR_FULL", "YBR_FULL_422"):
        return "RGB"
    return "YBR_FULL"


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    return signed_as_said(np.asarray(imagecodecs.jpeg2k_decode(data)), header)


def signed_as_said(pixels: Pixels, header: ImageHeader) -> Pixels:
    """Samples of an unsigned stream with the sign that the header gives them."""
    return sign_extended(pixels, header.bits_stored) if header.signed and pixels.dtype.kind == "u" else pixels


def plan(name: str, syntax_uid: str, header: ImageHeader, *, most_bits: int, lossless: bool) -> ImageHeader:
    """The header of a frame in JPEG 2000 or HTJ2K."""
    require_samples(name, header, most_bits)
    photometric = header.photometric_interpretation
    if header.bits_stored == 1 and not lossless:
        raise cannot(name, "of one bit nothing may be lost")
    if photometric == "PALETTE COLOR" and not lossless:
        raise cannot(name, "they are indexes of a palette, of which none may be lost")
    if header.samples_per_pixel == 1:
        return by_pixel(header)
    if photometric in COLOR_BY_LUMINANCE:
        return by_pixel(header, "YBR_FULL")
    return by_pixel(header, "YBR_RCT" if lossless else "YBR_ICT")


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    lossless = syntax_uid == JPEG_2000_LOSSLESS
    planned = plan("JPEG 2000", syntax_uid, header, most_bits=_MOST_BITS, lossless=lossless)
    return planned if lossless else replace(planned, high_bit=planned.bits_stored - 1)


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    bits = header.bits_stored
    if has_stray_bits(pixels, header):
        bits = header.bits_allocated
        if bits > _MOST_BITS:
            raise cannot("JPEG 2000", f"bits beside those stored are used, and {_MOST_BITS} is the most")
    samples = narrowed(pixels, bits)
    if syntax_uid == JPEG_2000_LOSSLESS or samples.min() == samples.max():
        # Of a frame that is all one value the library's rate control would keep nothing.
        return _encode_at(samples, header, bits, 0)
    if compression.ratio:
        scale = lambda share: _encode_at(samples, header, bits, 20 + 100 * share)  # noqa: E731
        return to_ratio(samples, compression.ratio, scale)
    return _encode_at(samples, header, bits, noise_ratio(samples, bits, compression.quality))


def noise_ratio(samples: Pixels, bits: int, quality: int) -> float:
    """Peak signal to noise in dB for a quality, the peak being that of the type: what the samples use of it
    counts."""
    used = max(1, int(samples.max()) - int(samples.min()))
    most = 20 * math.log10(1 << bits) + 6  # half of one step
    return min(most, 25 + quality * 0.3 + 20 * math.log10((1 << bits) / used))


def _encode_at(samples: Pixels, header: ImageHeader, bits: int, level: float) -> bytes:
    resolutions = min(_RESOLUTIONS, min(header.rows, header.columns).bit_length())
    return bytes(
        imagecodecs.jpeg2k_encode(
            samples,
            level=round(level),
            codecformat="j2k",
            reversible=not level,
            bitspersample=bits,
            mct=header.photometric_interpretation in ("YBR_RCT", "YBR_ICT"),
            resolutions=max(1, resolutions),
        )
    )


CODEC = Codec(
    "JPEG 2000",
    (JPEG_2000_LOSSLESS, JPEG_2000),
    _decode,
    look,
    _plan,
    _encode,
    lossy_syntaxes=(JPEG_2000,),
    method="ISO_15444_1",
    decodes_to_rgb=("YBR_RCT", "YBR_ICT"),
)

MULTI_COMPONENT = Codec(
    "JPEG 2000 multi-component",
    (JPEG_2000_MC_LOSSLESS, JPEG_2000_MC),
    _decode,
    look,
    decodes_to_rgb=("YBR_RCT", "YBR_ICT"),
)
