"""What a codec is: transfer syntaxes, and functions from and to the bytes of one frame.

A codec works in three steps. `look` reads what the stream says of itself, without decoding, so that a lying
stream is refused before memory is taken for it. `decode` gives the samples. `plan` says what a header must
say of a frame that the codec has encoded, and refuses what the standard does not allow (PS3.5 8.2); `encode`
makes that frame. Samples are arrays of shape (rows, columns) or (rows, columns, samples).

The libraries behind are not ours: they run in guarded processes (docs/architecture.md, "Pixels under guard").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantry.errors import CallerError, DataSetError
from gantry.pixels.image import MAX_FRAME_BYTES, ImageHeader
from gantry.standard.dictionary import PIXEL_DATA

Pixels = NDArray[Any]

MAX_TILE_PIXELS = 1 << 22
"""The largest frame of which a stream may fill a part: slides have tiles of up to 2048 by 2048."""

MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
COLOR_BY_LUMINANCE = ("YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")


@dataclass(frozen=True, slots=True)
class Compression:
    """How much a lossy codec may lose; lossless ones take no notice.

    `quality` is from 1 to 100, 90 being what people do not see. `near` is the largest error of a sample in
    JPEG-LS. `ratio` asks for native bytes over compressed ones, 0 for what the quality gives.
    """

    quality: int = 90
    near: int = 2
    ratio: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise CallerError("quality is from 1 to 100")
        if not 1 <= self.near <= 127:
            raise CallerError("near is from 1 to 127")
        if self.ratio and not 1 <= self.ratio <= 1000:
            raise CallerError("ratio is from 1 to 1000")


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What a compressed frame says of itself; None where the kind of stream does not say.

    `precision` is bits a sample, `photometric` what the samples are in once they are decoded.
    """

    rows: int
    columns: int
    samples: int
    precision: int | None = None
    signed: bool | None = None
    photometric: str | None = None
    lossy: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """The samples of a frame, the header as it is true of them, and where stream and header disagreed."""

    pixels: Pixels
    header: ImageHeader
    notes: tuple[str, ...] = ()


Look = Callable[[bytes, str, ImageHeader], "StreamFacts | None"]
Decode = Callable[[bytes, str, ImageHeader, "StreamFacts | None"], Pixels]
Plan = Callable[[str, ImageHeader], ImageHeader]
Encode = Callable[[Pixels, str, ImageHeader, Compression], bytes]


@dataclass(frozen=True, slots=True)
class Codec:
    """One family. `plan` and `encode` are None where frames can be read only.

    With `keeps_words` a frame is the samples as they lie in their allocated bits, used or not: overlays in
    unused bits survive, and any high bit does. `lossy_syntaxes` lose something whenever they are encoded.
    `method` is the defined term of Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1).
    """

    name: str
    syntaxes: tuple[str, ...]
    decode: Decode
    look: Look
    plan: Plan | None = None
    encode: Encode | None = None
    keeps_words: bool = False
    lossy_syntaxes: tuple[str, ...] = ()
    method: str = ""
    decodes_to_rgb: tuple[str, ...] = ()
    """Photometric interpretations that come out of `decode` as RGB."""


def says_nothing(data: bytes, syntax_uid: str, header: ImageHeader) -> StreamFacts | None:
    """`look` of a family whose frames have no header of their own."""
    return None


def cannot(name: str, why: str) -> CallerError:
    """The error for pixels that a transfer syntax cannot carry."""
    return CallerError(f"{name} cannot carry these pixels: {why}")


def broken(cause: str) -> DataSetError:
    """The error for a frame that cannot be decoded."""
    return DataSetError(cause, tag=PIXEL_DATA)


def dtype_of(header: ImageHeader, order: str = "<") -> np.dtype[Any]:
    """The type of one sample in its allocated bits."""
    if header.is_float:
        return np.dtype(f"{order}f{header.bits_allocated // 8}")
    kind = "i" if header.signed else "u"
    return np.dtype(f"{order}{kind}{max(1, header.bits_allocated // 8)}")


def unsigned(pixels: Pixels) -> Pixels:
    """The same bits as unsigned numbers."""
    return pixels.view(np.dtype(f"u{pixels.dtype.itemsize}")) if pixels.dtype.kind == "i" else pixels


def stored_values(pixels: Pixels, header: ImageHeader) -> Pixels:
    """The values in Bits Stored below High Bit, sign extended; what lies in the other bits is left out.

    PS3.5 8.1.1. Values that are clean already come back as they are, without a copy.
    """
    if pixels.dtype.kind not in "iu":
        return pixels
    width = pixels.dtype.itemsize * 8
    stored = min(header.bits_stored, width)
    high = header.high_bit if stored - 1 <= header.high_bit < width else stored - 1
    if stored == width:
        return pixels.view(np.dtype(f"i{pixels.dtype.itemsize}")) if header.signed else unsigned(pixels)
    words = unsigned(np.ascontiguousarray(pixels)) << (width - 1 - high)
    if header.signed:
        words = words.view(np.dtype(f"i{pixels.dtype.itemsize}"))
    return np.asarray(words >> (width - stored))


def narrowed(pixels: Pixels, bits: int) -> Pixels:
    """Samples in the smallest type that holds so many bits, as encoders want them."""
    size = next(size for size in (1, 2, 4, 8) if size * 8 >= bits)
    return np.ascontiguousarray(pixels, np.dtype(f"{pixels.dtype.kind}{size}"))


def has_stray_bits(pixels: Pixels, header: ImageHeader) -> bool:
    """Whether bits outside of Bits Stored hold anything but an extended sign, or the values stand higher."""
    if pixels.dtype.kind not in "iu" or not pixels.size:
        return False
    if header.high_bit != header.bits_stored - 1:
        return True
    width = pixels.dtype.itemsize * 8
    if header.bits_stored >= width:
        return False
    if not header.signed:
        return int(unsigned(pixels).max()) >> header.bits_stored != 0
    limit = 1 << (header.bits_stored - 1)
    return int(pixels.min()) < -limit or int(pixels.max()) >= limit


def sign_extended(pixels: Pixels, bits_stored: int) -> Pixels:
    """Codecs without a sign keep the bits; the header says that the highest stored one is a sign."""
    width = pixels.dtype.itemsize * 8
    shift = max(0, width - bits_stored)
    return np.asarray((pixels << shift).view(np.dtype(f"i{pixels.dtype.itemsize}")) >> shift)


def by_pixel(header: ImageHeader, photometric: str | None = None) -> ImageHeader:
    """The header of a frame whose samples lie pixel by pixel."""
    return replace(
        header,
        planar_configuration=0,
        photometric_interpretation=photometric or header.photometric_interpretation,
    )


def require_samples(name: str, header: ImageHeader, most_bits: int, *, least_bits: int = 1) -> None:
    """Refuse floats, alpha, and samples of more bits than a codec has."""
    if header.is_float:
        raise cannot(name, "they are floating point (PS3.5 8.2)")
    if header.samples_per_pixel not in (1, 3):
        raise cannot(name, f"Samples per Pixel is {header.samples_per_pixel}")
    if header.bits_stored > most_bits:
        raise cannot(name, f"{header.bits_stored} bits are stored, {most_bits} is the most")
    if header.bits_allocated < least_bits:
        raise cannot(name, f"Bits Allocated is {header.bits_allocated}")


def is_tile(header: ImageHeader) -> bool:
    """Whether the frame is of a size that tiles of slides have."""
    return header.rows * header.columns <= MAX_TILE_PIXELS


def fits(facts: StreamFacts, header: ImageHeader) -> tuple[str, ...]:
    """Hold a stream's own words against the header before memory is taken; what they disagree on.

    In depth and colour the stream is right, being what was compressed (PS3.5 8.2.1). Rows and columns stay
    those of the header, because everything else in the object (overlays, references, spacing) counts in them:
    a smaller stream, as writers make for the last tiles of a slide, fills a part of a frame that is no larger
    than a tile; every other size is refused. Raises DataSetError.
    """
    too_large = facts.rows > header.rows or facts.columns > header.columns
    agrees = (facts.rows, facts.columns) == (header.rows, header.columns)
    if too_large or not (agrees or (facts.rows * facts.columns > 0 and is_tile(header))):
        raise broken(_sizes(facts.rows, facts.columns, header))
    if facts.samples not in (1, 3, 4):
        raise broken(f"the stream holds {facts.samples} components")
    precision = facts.precision or header.bits_allocated
    if facts.rows * facts.columns * facts.samples * math.ceil(precision / 8) > MAX_FRAME_BYTES:
        raise broken(
            f"a stream of {facts.columns}x{facts.rows}x{facts.samples} is over the limit for decoding"
        )
    notes = list(facts.notes)
    if not agrees:
        notes.append(_sizes(facts.rows, facts.columns, header))
    if facts.samples != header.samples_per_pixel:
        notes.append(
            f"the stream has {facts.samples} components where Samples per Pixel is {header.samples_per_pixel}"
        )
    if precision > header.bits_allocated:
        notes.append(f"the stream has {precision} bits where Bits Allocated is {header.bits_allocated}")
    elif facts.precision is not None and facts.precision < header.bits_stored:
        notes.append(f"the stream has {precision} bits where Bits Stored is {header.bits_stored}")
    if facts.signed is not None and facts.signed != header.signed:
        notes.append(f"the stream is {'signed' if facts.signed else 'unsigned'}, the header says otherwise")
    return tuple(notes)


def as_shaped(pixels: Pixels, header: ImageHeader) -> Pixels:
    """What a codec gave as (rows, columns[, samples]) of the header; what it did not give is black."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3):
        raise broken(f"the stream holds samples in {pixels.ndim} dimensions")
    rows, columns = pixels.shape[:2]
    if (rows, columns) == (header.rows, header.columns):
        return pixels
    if rows > header.rows or columns > header.columns or not is_tile(header):
        raise broken(_sizes(rows, columns, header))
    frame = np.zeros((header.rows, header.columns, *pixels.shape[2:]), pixels.dtype)
    if pixels.ndim == 3 and header.photometric_interpretation in COLOR_BY_LUMINANCE:
        frame[..., 1:3] = 1 << (header.bits_stored - 1)  # no chrominance
    frame[:rows, :columns] = pixels
    return frame


def _sizes(rows: int, columns: int, header: ImageHeader) -> str:
    return f"the stream holds {columns}x{rows} pixels, the header says {header.columns}x{header.rows}"
