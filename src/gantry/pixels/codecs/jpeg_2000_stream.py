"""What a JPEG 2000 or HTJ2K codestream says of itself: its SIZ and COD segments (ISO 15444-1 A.5, A.6)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

from gantry.pixels.codecs.codec import broken

_START: Final = b"\xff\x4f\xff\x51"
_SIZ: Final = Struct(">HHIIIIIIIIH")
_SOT: Final = Struct(">HHHIBB")
_JP2: Final = b"\x00\x00\x00\x0cjP  "

MAX_TILES: Final = 65_535
"""What ISO 15444-1 B.3 allows; decoders take memory for each."""

MAX_COMPONENTS: Final = 4
"""Of one frame: three colors and one that is not shown. The standard's 16,384 are for other uses."""


@dataclass(frozen=True, slots=True)
class Codestream:
    """Sizes are in samples. `has_color_transform` and `is_reversible` are None where COD is not found."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    is_high_throughput: bool
    has_color_transform: bool | None
    is_reversible: bool | None


def read_codestream(data: bytes) -> Codestream:
    """Read the main header, of a bare codestream or one in a JP2 file. Raises DataSetError."""
    start = 0 if data.startswith(_START) else data.find(_START, 0, 1 << 16)
    if start < 0 or (start and not data.startswith(_JP2)):
        raise broken("the frame does not begin like JPEG 2000")
    if len(data) < start + 4 + _SIZ.size + 3:
        raise broken("the JPEG 2000 header is cut")
    length, rsiz, right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, count = _SIZ.unpack_from(
        data, start + 4
    )
    if not (left < right and top < bottom and tile_w and tile_h and tile_x <= left and tile_y <= top):
        raise broken("the JPEG 2000 image has no size")
    tiles = -(-(right - tile_x) // tile_w) * -(-(bottom - tile_y) // tile_h)
    if tiles > MAX_TILES:
        raise broken(f"the JPEG 2000 stream has {tiles} tiles, {MAX_TILES} is the most")
    if not 1 <= count <= MAX_COMPONENTS:
        more = (
            ""
            if count <= MAX_COMPONENTS
            else ": frames of a Part 2 collection in one stream are not told apart"
        )
        raise broken(f"the JPEG 2000 stream has {count} components{more}")
    components = data[start + 4 + _SIZ.size : start + 4 + _SIZ.size + 3 * count]
    if len(components) < 3 * count or length < _SIZ.size + 3 * count:
        raise broken("the JPEG 2000 header is cut")
    depths = {components[3 * n] for n in range(count)}
    if len(depths) > 1:
        raise broken("the components of the JPEG 2000 stream have different depths")
    if any(components[3 * n + 1] != 1 or components[3 * n + 2] != 1 for n in range(count)):
        raise broken("the components of the JPEG 2000 stream are subsampled")
    depth = components[0]
    transform, reversible = _coding_style(data, start)
    return Codestream(
        bottom - top,
        right - left,
        count,
        (depth & 0x7F) + 1,
        bool(depth & 0x80),
        bool(rsiz & 0x4000),
        transform,
        reversible,
    )


def require_whole(data: bytes) -> None:
    """Raise DataSetError where a tile-part does not reach its end (ISO 15444-1 A.4.2).

    Decoders of HTJ2K make a picture of what they are given, and do not tell what it lacks. A last marker that
    is left out is none of the picture.
    """
    pos, last = _first_tile_part(data), False
    while pos is not None and pos + _SOT.size <= len(data) and data[pos : pos + 2] == b"\xff\x90":
        _, _, _, length, index, count = _SOT.unpack_from(data, pos)
        if length == 0:  # it reaches to the end
            return
        if length < _SOT.size + 2:
            raise broken("a tile-part of the JPEG 2000 stream has no length")
        last = count in (0, index + 1)
        pos += length
    if pos is None or not (
        data[pos : pos + 2] == b"\xff\xd9" or (last and pos in (len(data), len(data) - 1))
    ):
        raise broken("the JPEG 2000 stream ends before its picture does")


def _first_tile_part(data: bytes) -> int | None:
    pos = max(0, data.find(_START, 0, 1 << 16)) + 2
    while data[pos : pos + 1] == b"\xff" and pos + 4 <= len(data):
        if data[pos + 1] == 0x90:
            return pos
        pos += 2 + max(2, int.from_bytes(data[pos + 2 : pos + 4], "big"))
    return None


def _coding_style(data: bytes, start: int) -> tuple[bool | None, bool | None]:
    pos = start + 2
    while data[pos : pos + 1] == b"\xff" and pos + 4 <= len(data):
        marker = data[pos + 1]
        if marker in (0x90, 0x93, 0xD9):  # a tile begins: the main header is over
            break
        if marker == 0x52 and pos + 14 <= len(data):
            if data[pos + 8] > 1:
                raise broken(
                    "the stream has a multiple component transformation of JPEG 2000 Part 2 (ISO 15444-2 "
                    "Annex J), which the library does not undo"
                )
            return data[pos + 8] != 0, data[pos + 13] == 1
        pos += 2 + max(2, int.from_bytes(data[pos + 2 : pos + 4], "big"))
    return None, None
