"""One stored frame to numbers: the codec by transfer syntax, the shape by the header.

The stream is right where stream and header disagree on depth or colour, since the stream is what
the scanner compressed; rows and columns must agree, because everything else in the object
(overlays, references, spacing) counts in them. Runs inside a guarded worker: codecs are not ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gantry.errors import DataSetError
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import transfer_syntax

Pixels = NDArray[Any]

PIXEL_DATA = 0x7FE00010

_JPEG = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
)
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93))
_HTJ2K = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203))
_JPEG_XL = tuple(f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112))
_RLE = "1.2.840.10008.1.2.5"
_DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
_YBR_DECODED_AS_RGB = (*_JPEG_2000, *_HTJ2K, *_JPEG_XL)


def decode_frame(data: bytes, syntax_uid: str, header: ImageHeader) -> Pixels:
    """Decode one frame.

    `data` is the frame as stored (all its fragments joined). Returns an array of shape
    (rows, columns) or (rows, columns, samples) in the depth and sign of the header, colour still
    in the photometric interpretation that `decoded_photometric` names. Raises DataSetError for a
    frame that cannot be decoded or is not of the header's size.
    """
    header.check_size()
    syntax = transfer_syntax(syntax_uid)
    if not syntax.encapsulated:
        return _native(data, header, ">" if not syntax.little_endian else "<")
    if syntax_uid == _DEFLATED_FRAME:
        limit = header.frame_samples * max(1, header.bits_allocated // 8) + 1
        return _native(zlib.decompressobj(-15).decompress(data, limit), header, "<")
    if syntax_uid == _RLE:
        return _run_length(data, header)
    codec = _CODECS.get(syntax_uid)
    if codec is None:
        raise DataSetError(f"transfer syntax {syntax_uid} ({syntax.name}) cannot be decoded", tag=PIXEL_DATA)
    try:
        pixels = np.asarray(codec(data))
    except Exception as error:  # every codec raises types of its own; this is their door
        raise DataSetError(f"the {syntax.name} stream cannot be decoded: {error}", tag=PIXEL_DATA) from error
    return _as_declared(pixels, header)


def decoded_photometric(syntax_uid: str, header: ImageHeader) -> str:
    """The photometric interpretation that `decode_frame` leaves its pixels in."""
    if header.samples_per_pixel != 3:
        return header.photometric_interpretation
    if syntax_uid in _YBR_DECODED_AS_RGB or (
        syntax_uid in _JPEG[:2] and header.photometric_interpretation != "RGB"
    ):
        return "RGB"
    return header.photometric_interpretation


def _jpeg(data: bytes) -> Pixels:
    return np.asarray(imagecodecs.jpeg_decode(data))


_CODECS: dict[str, Callable[[bytes], Pixels]] = {
    **dict.fromkeys(_JPEG, _jpeg),
    **dict.fromkeys(_JPEG_LS, imagecodecs.jpegls_decode),
    **dict.fromkeys(_JPEG_2000, imagecodecs.jpeg2k_decode),
    **dict.fromkeys(_HTJ2K, imagecodecs.htj2k_decode),
    **dict.fromkeys(_JPEG_XL, imagecodecs.jpegxl_decode),
}


def _dtype(header: ImageHeader, order: str = "<") -> np.dtype[np.generic]:
    kind = "i" if header.signed else "u"
    return np.dtype(f"{order}{kind}{max(1, header.bits_allocated // 8)}")


def _native(data: bytes, header: ImageHeader, order: str) -> Pixels:
    """Uncompressed pixels; missing ones are zero, so that no foreign memory is ever shown (B55)."""
    if header.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return _shaped(_filled(bits, header.frame_samples), header)
    dtype = _dtype(header, order)
    if header.photometric_interpretation == "YBR_FULL_422" and header.samples_per_pixel == 3:
        return _chroma_doubled(data, header)
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
    pairs = header.rows * (header.columns // 2)
    quads = _filled(np.frombuffer(data, np.uint8), pairs * 4).reshape(header.rows, header.columns // 2, 4)
    full = np.empty((header.rows, header.columns // 2 * 2, 3), np.uint8)
    full[:, 0::2, 0] = quads[..., 0]
    full[:, 1::2, 0] = quads[..., 1]
    full[..., 1:] = np.repeat(quads[..., 2:], 2, axis=1)
    return np.pad(full, ((0, 0), (0, header.columns - full.shape[1]), (0, 0)), mode="edge")


def _run_length(data: bytes, header: ImageHeader) -> Pixels:
    """RLE (PS3.5 Annex G): one segment per byte of a sample, most significant first, by sample."""
    width = max(1, header.bits_allocated // 8)
    planes = header.samples_per_pixel * width
    if len(data) < 64:
        raise DataSetError("an RLE frame is shorter than its header", tag=PIXEL_DATA)
    numbers = np.frombuffer(data[:64], "<u4")
    count = int(numbers[0])
    offsets = [int(offset) for offset in numbers[1 : count + 1]] if count <= 15 else []
    if count != planes or any(not 64 <= offset <= len(data) for offset in offsets):
        raise DataSetError(f"an RLE header names {count} segments where {planes} belong", tag=PIXEL_DATA)
    area = header.rows * header.columns
    bytes_by_plane = np.zeros((planes, area), np.uint8)
    for n, start in enumerate(offsets):
        end = offsets[n + 1] if n + 1 < count else len(data)
        segment = _packbits(data[start:end], area)
        bytes_by_plane[n, : len(segment)] = segment
    samples = np.ascontiguousarray(
        bytes_by_plane.reshape(header.samples_per_pixel, width, area)[:, ::-1].transpose(0, 2, 1)
    ).view(_dtype(header))
    pixels = samples.reshape(header.samples_per_pixel, header.rows, header.columns)
    return pixels[0] if header.samples_per_pixel == 1 else np.moveaxis(pixels, 0, -1)


def _packbits(segment: bytes, area: int) -> NDArray[np.uint8]:
    if len(segment) * 128 < area:
        raise DataSetError("an RLE segment is too short for the image", tag=PIXEL_DATA)
    decoded = np.frombuffer(imagecodecs.packbits_decode(segment), np.uint8)
    return decoded[:area]


def _as_declared(pixels: Pixels, header: ImageHeader) -> Pixels:
    """Check what the codec gave against the header; planes first or last both become samples last."""
    if pixels.ndim == 3 and pixels.shape[0] in (3, 4) and pixels.shape[1:] == (header.rows, header.columns):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.shape[:2] != (header.rows, header.columns):
        held = "x".join(str(side) for side in pixels.shape[1::-1])
        declared = f"{header.columns}x{header.rows}"
        raise DataSetError(f"the stream holds {held} pixels, the header says {declared}", tag=PIXEL_DATA)
    if header.signed and pixels.dtype.kind == "u":
        return _sign_extended(pixels, header.bits_stored)
    return pixels


def _sign_extended(pixels: Pixels, bits_stored: int) -> Pixels:
    """Codecs without a sign keep the bits; the header says that the highest stored one is a sign."""
    width = pixels.dtype.itemsize * 8
    shift = max(0, width - bits_stored)
    return np.asarray((pixels << shift).view(np.dtype(f"i{pixels.dtype.itemsize}")) >> shift)
