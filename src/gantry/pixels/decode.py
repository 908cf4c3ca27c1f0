"""One stored frame to numbers: the codec by transfer syntax, the shape by the header.

The stream is right where stream and header disagree on depth or colour, since the stream is what was
compressed; rows and columns stay the header's. What a stream claims is looked at before it is decoded, so
that one that lies is refused before memory is taken. Runs inside a guarded worker: codecs are not ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gantry.errors import DataSetError
from gantry.pixels.codecs.codec import Decoded, StreamFacts, as_shaped, broken, by_pixel, fits
from gantry.pixels.codecs.codec import Pixels as Pixels
from gantry.pixels.codecs.codec import stored_values as stored_values
from gantry.pixels.codecs.registry import codec_of
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import transfer_syntax


def decode_frame(data: bytes, syntax_uid: str, header: ImageHeader) -> Pixels:
    """Decode one frame.

    `data` is the frame as stored (all its fragments joined). Returns an array of shape
    (rows, columns) or (rows, columns, samples), colour still in the photometric interpretation that
    `decoded_photometric` names, and with what lies in bits that are not stored: `stored_values` leaves
    that out. Raises DataSetError for a frame that cannot be decoded or is not of the header's size.
    """
    return decode(data, syntax_uid, header).pixels


def decode(data: bytes, syntax_uid: str, header: ImageHeader) -> Decoded:
    """Decode one frame, and tell what is true of it: the header as the stream corrects it, and where they
    differ."""
    codec = codec_of(syntax_uid)
    facts, notes = _looked_at(data, syntax_uid, header)
    try:
        pixels = codec.decode(data, syntax_uid, header, facts)
    except (DataSetError, MemoryError):
        raise
    except Exception as error:  # every codec raises types of its own; this is their door
        name = transfer_syntax(syntax_uid).name
        raise broken(f"the {name} stream cannot be decoded: {error}") from error
    true = _corrected(syntax_uid, header, facts)
    pixels = as_shaped(pixels, true)
    if pixels.dtype.itemsize * 8 < true.bits_allocated and pixels.dtype.kind in "iu":
        pixels = pixels.astype(np.dtype(f"{pixels.dtype.kind}{true.bits_allocated // 8}"))
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    if samples != true.samples_per_pixel:
        raise broken(f"the stream holds {samples} components, the header says {true.samples_per_pixel}")
    return Decoded(pixels, true, notes)


def header_of_frame(
    data: bytes, syntax_uid: str, header: ImageHeader
) -> tuple[ImageHeader, StreamFacts | None, tuple[str, ...]]:
    """What will be true of a frame once it is decoded, told without decoding it. Raises DataSetError."""
    facts, notes = _looked_at(data, syntax_uid, header)
    return _corrected(syntax_uid, header, facts), facts, notes


def _looked_at(
    data: bytes, syntax_uid: str, header: ImageHeader
) -> tuple[StreamFacts | None, tuple[str, ...]]:
    header.check_size()
    if not data:
        raise broken("the frame has no bytes")
    facts = codec_of(syntax_uid).look(data, syntax_uid, header)
    return facts, fits(facts, header) if facts is not None else ()


def decoded_photometric(syntax_uid: str, header: ImageHeader) -> str:
    """The photometric interpretation that `decode_frame` leaves its pixels in, as far as the header knows.

    A stream may know better: `decode` tells.
    """
    if header.samples_per_pixel == 1:
        return header.photometric_interpretation
    photometric = header.photometric_interpretation
    return "RGB" if photometric in codec_of(syntax_uid).decodes_to_rgb else _doubled(photometric)


def _doubled(photometric: str) -> str:
    """Chrominance that was shared by two pixels is given to each of them."""
    return "YBR_FULL" if photometric == "YBR_FULL_422" else photometric


def _corrected(syntax_uid: str, header: ImageHeader, facts: StreamFacts | None) -> ImageHeader:
    if facts is None:
        return by_pixel(header, decoded_photometric(syntax_uid, header))
    allocated, stored = header.bits_allocated, header.bits_stored
    if facts.precision is not None and facts.precision > allocated and allocated != 1:
        stored = facts.precision
        allocated = next(bits for bits in (8, 16, 32, 64) if bits >= stored)
    high = header.high_bit if stored == header.bits_stored and header.high_bit < allocated else stored - 1
    return replace(
        by_pixel(header, facts.photometric),
        samples_per_pixel=facts.samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=header.signed or bool(facts.signed),
    )
