"""Pixel Data that came as a part of a store request: what it is kept as, and what the header must say of it.

Compressed streams are kept as they are, in the transfer syntax that the sender names or, where it names none,
the one that they are in; PNG and GIF, which no transfer syntax carries, are kept as plain samples (PS3.18
10.5.2). What the metadata leaves out of the Image Pixel Description Macro comes from the stream.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from gantry.dicomweb.accept import OCTET_STREAM
from gantry.dicomweb.media_types import MediaType
from gantry.dicomweb.wado import EXPLICIT_VR_LITTLE_ENDIAN, syntaxes_of
from gantry.errors import DataSetError, WebRequestError
from gantry.pixels import pictures
from gantry.pixels.described import Described, describe, pixel_description
from gantry.pixels.image import ImageHeader
from gantry.standard.transfer_syntaxes import transfer_syntax

JsonModel = dict[str, Any]
Buffer = bytes | memoryview | mmap.mmap

ReadPicture = Callable[[bytes, str], Awaitable[tuple[ImageHeader, bytes]]]
"""Read a PNG or GIF, of this media type, under guard: one frame's header, and the samples of all frames."""

PIXEL_DATA = "7FE00010"
_NUMBER_OF_FRAMES = "00280008"
_MACRO = pixel_description(1, 1, 1, "MONOCHROME2", 8).keys()
_SAMPLES_PER_PIXEL, _PLANAR_CONFIGURATION = "00280002", "00280006"
_PALETTES = tuple(f"002811{n:02X}" for n in (0x01, 0x02, 0x03, 0x99)) + tuple(
    f"002812{n:02X}" for n in (0x01, 0x02, 0x03, 0x21, 0x22, 0x23)
)


class Pictures:
    """Reads pictures; who holds `turn` may have one in memory, which may be 500 MB of samples (N16)."""

    def __init__(self, read: ReadPicture) -> None:
        self.read = read
        self.turn = asyncio.Semaphore(1)


@dataclass(frozen=True, slots=True)
class Kept:
    """Pixel Data as it is to be kept: its transfer syntax, the metadata as it is true of it, its bytes."""

    transfer_syntax_uid: str
    model: JsonModel
    data: Buffer


def is_picture(media: MediaType) -> bool:
    """Whether a part has to be read as a picture first."""
    return media.essence in (pictures.PNG, pictures.GIF)


def from_picture(model: JsonModel, header: ImageHeader, samples: bytes) -> Kept:
    """Samples of a picture, in the place of what the metadata says of it."""
    description = pixel_description(
        header.rows,
        header.columns,
        header.samples_per_pixel,
        header.photometric_interpretation,
        header.bits_stored,
    )
    kept = {tag: element for tag, element in model.items() if tag not in _PALETTES}
    kept.pop(_PLANAR_CONFIGURATION, None)
    kept |= description | {PIXEL_DATA: {"vr": header.pixel_vr}}
    frames = len(samples) // pictures.frame_bytes(header)
    if frames > 1:
        kept[_NUMBER_OF_FRAMES] = {"vr": "IS", "Value": [frames]}
    return Kept(EXPLICIT_VR_LITTLE_ENDIAN, kept, samples)


def from_stream(model: JsonModel, media: MediaType, named: str, data: bytes | mmap.mmap) -> Kept:
    """Native or compressed Pixel Data; `named` is the transfer syntax that the metadata names.

    Raises WebRequestError 415 for another type of stream, or one that does not tell what the metadata leaves
    out.
    """
    if media.essence == OCTET_STREAM:
        given = media.parameters.get("transfer-syntax")
        native = EXPLICIT_VR_LITTLE_ENDIAN if transfer_syntax(named).encapsulated else named
        return Kept(given or native, model, data)
    possible = syntaxes_of(media.essence)
    if not possible:
        raise WebRequestError(415, f"Pixel Data as {media.essence} cannot be stored")
    uid = media.parameters.get("transfer-syntax") or (named if named in possible else "")
    missing = _missing(model)
    found = _described(data, media, required=bool(missing))
    if found is None:
        return Kept(uid or possible[0], model, data)
    if missing:
        description = found.attributes()
        model = model | {tag: description[tag] for tag in missing if tag in description}
    view: Buffer = data if found.stop is None else memoryview(data)[found.start : found.stop]
    return Kept(uid or found.transfer_syntax_uid, model, view)


def _missing(model: JsonModel) -> list[str]:
    """What of the macro the metadata does not say."""
    missing = [tag for tag in _MACRO if not model.get(tag, {}).get("Value")]
    if (model.get(_SAMPLES_PER_PIXEL, {}).get("Value") or [0])[0] != 1 and not model.get(
        _PLANAR_CONFIGURATION, {}
    ).get("Value"):
        missing.append(_PLANAR_CONFIGURATION)
    return missing


def _described(data: bytes | mmap.mmap, media: MediaType, *, required: bool) -> Described | None:
    try:
        return describe(data, media.essence)
    except DataSetError as error:
        if not required:
            return None  # the metadata says all; what cannot be read here is for who decodes it
        raise WebRequestError(
            415, f"the metadata leaves out what {media.essence} does not tell: {error.cause}"
        ) from error
