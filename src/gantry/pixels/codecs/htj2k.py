"""High-Throughput JPEG 2000 (PS3.5 8.2.14, A.4.4): lossless, lossless in RPCL order, lossy.

All streams go resolution by resolution (RPCL), each in a tile-part of its own with their lengths in front
(TLM), so that a client can stop after the size that it needs; the smallest has no side above 64. The
library writes 8, 16 or 32 bits, whatever is stored; what is lossy then may leave the range of Bits Stored, so
that its header tells of all.
"""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np

from gantry.pixels.codecs.codec import Codec, Compression, Pixels, StreamFacts, broken, cannot
from gantry.pixels.codecs.jpeg import to_ratio
from gantry.pixels.codecs.jpeg_2000 import look, noise_ratio, plan, signed_as_said
from gantry.pixels.codecs.jpeg_2000_stream import read_codestream, require_whole
from gantry.pixels.codecs.unraised import unraised
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL

_BY_RESOLUTION = 1
_USUAL_DECOMPOSITIONS = 5
_THUMBNAIL = 64
_MOST_LOSSY_BITS = 16
"""Transforms are in single precision, which holds 24 bits with what they add."""


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    if read_codestream(data).is_reversible is False:
        # What quantization pushes past the range OpenJPH lets in again at the other end; OpenJPEG does not.
        return signed_as_said(np.asarray(imagecodecs.jpeg2k_decode(data)), header)
    require_whole(data)
    with unraised("imagecodecs._htj2k") as errors:
        pixels = np.asarray(imagecodecs.htj2k_decode(data, planar=False))
    if errors:
        raise broken("the HTJ2K stream is damaged")
    return signed_as_said(pixels, header)


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    lossless = syntax_uid != HTJ2K
    if header.bits_allocated < 8:
        raise cannot("HTJ2K", f"Bits Allocated is {header.bits_allocated}")
    planned = plan(
        "HTJ2K", syntax_uid, header, most_bits=32 if lossless else _MOST_LOSSY_BITS, lossless=lossless
    )
    if lossless:
        return planned
    return replace(planned, bits_stored=header.bits_allocated, high_bit=header.bits_allocated - 1)


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    samples = np.ascontiguousarray(pixels)
    if syntax_uid != HTJ2K:
        return _encode_at(samples, header, None)
    if compression.ratio:
        scale = lambda share: _encode_at(samples, header, 10 ** (-6 * share))  # noqa: E731
        return to_ratio(samples, compression.ratio, scale)
    decibel = noise_ratio(samples, samples.dtype.itemsize * 8, compression.quality)
    return _encode_at(samples, header, 2 * 10 ** (-decibel / 20))


def _decompositions(header: ImageHeader) -> int:
    """How often the size is halved: to a thumbnail (PS3.5 A.4.8), and never less often than is usual."""
    return max(_USUAL_DECOMPOSITIONS, ((max(header.rows, header.columns) - 1) // _THUMBNAIL).bit_length())


def _encode_at(samples: Pixels, header: ImageHeader, step: float | None) -> bytes:
    """`step` is that of quantization, the whole scale being 1; None loses nothing."""
    return bytes(
        imagecodecs.htj2k_encode(
            samples,
            level=step,
            reversible=step is None,
            rgb=header.photometric_interpretation in ("YBR_RCT", "YBR_ICT") if samples.ndim == 3 else None,
            planar=False if samples.ndim == 3 else None,
            resolutions=_decompositions(header),
            tlm=True,
            tilepart=_BY_RESOLUTION,
        )
    )


CODEC = Codec(
    "HTJ2K",
    (HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K),
    _decode,
    look,
    _plan,
    _encode,
    lossy_syntaxes=(HTJ2K,),
    method="ISO_15444_15",
    decodes_to_rgb=("YBR_RCT", "YBR_ICT"),
)
