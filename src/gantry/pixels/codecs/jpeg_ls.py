"""JPEG-LS, lossless and near-lossless, of 2 to 16 bits (PS3.5 8.2.3, A.4.3).

The library writes 8 or 16 bits, whatever is stored; near-lossless then may leave the range of Bits Stored by
its error, so that a header tells of all 8 or 16.
"""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np

from gantry.pixels.codecs.codec import (
    COLOR_BY_LUMINANCE,
    Codec,
    Compression,
    Pixels,
    StreamFacts,
    broken,
    by_pixel,
    cannot,
    require_samples,
    sign_extended,
    unsigned,
)
from gantry.pixels.codecs.jpeg_stream import read_jpeg, without_application_segments
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS

_MOST_NEAR = 127
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def _look(data: bytes, syntax_uid: str, header: ImageHeader) -> StreamFacts:
    stream = read_jpeg(data)
    notes = []
    if not stream.is_ls:
        raise broken("the stream is JPEG, not JPEG-LS")
    if stream.near > min(255, (1 << stream.precision) - 1) // 2:
        raise broken(f"JPEG-LS with an error of {stream.near} allowed is more than a sample holds")
    if _has_no_end(data):
        notes.append("the JPEG-LS stream has no end marker")
    if stream.near and syntax_uid == JPEG_LS_LOSSLESS:
        notes.append(f"the stream is near-lossless (NEAR={stream.near}) in a lossless transfer syntax")
    return StreamFacts(
        stream.rows,
        stream.columns,
        len(stream.component_ids),
        stream.precision,
        photometric=_photometric(len(stream.component_ids), header),
        lossy=bool(stream.near),
        notes=tuple(notes),
    )


def _photometric(samples: int, header: ImageHeader) -> str:
    if samples == header.samples_per_pixel:
        return header.photometric_interpretation
    return "RGB" if samples == 3 else "MONOCHROME2"


def _decode(data: bytes, _: str, header: ImageHeader, __: StreamFacts | None) -> Pixels:
    return decode(data, header)


def decode(data: bytes, header: ImageHeader) -> Pixels:
    """The samples of a JPEG-LS stream; a sign is where the header says."""
    if _has_no_end(data):
        data += _END_OF_IMAGE  # the library looks for it for ever, past the last byte (B57)
    pixels = np.asarray(imagecodecs.jpegls_decode(data))
    return sign_extended(pixels, header.bits_stored) if header.signed else pixels


def _has_no_end(data: bytes) -> bool:
    # In what is coded, no octet above 0x7F follows 0xFF (ISO/IEC 14495-1 A.1)
    return data.rfind(_END_OF_IMAGE) < data.find(_START_OF_SCAN)


def _plan(syntax_uid: str, header: ImageHeader) -> ImageHeader:
    require_samples("JPEG-LS", header, 16, least_bits=8)
    if header.bits_allocated > 16:
        raise cannot("JPEG-LS", f"Bits Allocated is {header.bits_allocated}")
    planned = by_pixel(header)
    if header.photometric_interpretation in COLOR_BY_LUMINANCE:
        planned = by_pixel(header, "YBR_FULL")
    if syntax_uid == JPEG_LS_LOSSLESS:
        return planned
    if header.photometric_interpretation == "PALETTE COLOR":
        raise cannot("near-lossless JPEG-LS", "they are indexes of a palette, of which none may be lost")
    return replace(planned, bits_stored=header.bits_allocated, high_bit=header.bits_allocated - 1)


def _encode(pixels: Pixels, syntax_uid: str, header: ImageHeader, compression: Compression) -> bytes:
    near = 0
    if syntax_uid == JPEG_LS_NEAR_LOSSLESS:
        near = min(compression.near, _MOST_NEAR)
        if header.signed:
            # Two's complement: the least value must not become the greatest by an error of one, so that the
            # ends of the range move in by the error.
            ends = np.iinfo(pixels.dtype)
            pixels = np.clip(pixels, ends.min + near, ends.max - near)
    words = unsigned(np.ascontiguousarray(pixels))
    return without_application_segments(bytes(imagecodecs.jpegls_encode(words, level=near)))


JPEG_LS = Codec(
    "JPEG-LS",
    (JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS),
    _decode,
    _look,
    _plan,
    _encode,
    lossy_syntaxes=(JPEG_LS_NEAR_LOSSLESS,),
    method="ISO_14495_1",
)
