"""What JPEG and JPEG-LS streams say of themselves, read from their marker segments (ISO 10918-1 B, 14495-1
C)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from gantry.pixels.codecs.codec import broken

_SOI: Final = b"\xff\xd8"
_SOS_WORD: Final = 0xDAFF  # FF DA, read little endian
_SOF55: Final = 0xF7
_FRAME_HEADERS: Final = frozenset({*range(0xC0, 0xD0), _SOF55}) - {0xC4, 0xC8, 0xCC}
_LOSSLESS: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})

MAX_SCANS: Final = 100
"""Scans of one frame. A sequential image has four at most, a progressive one some ten; each costs the
decoder a pass over the whole image, which 80,000 of them make a day (B57)."""

MAX_SEGMENTS: Final = 4096
"""Marker segments before the image's own data."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame header, and what the segments around it tell of color.

    `process` is the marker's second byte (0xC0 baseline … 0xF7 JPEG-LS); `adobe_transform` and `is_jfif` are
    the two ways in which such a stream may name its colour space; `near` is of the first scan of JPEG-LS.
    """

    process: int
    precision: int
    rows: int
    columns: int
    component_ids: bytes
    is_jfif: bool
    adobe_transform: int | None
    near: int = 0
    predictor: int = 0

    @property
    def is_ls(self) -> bool:
        """Whether it is JPEG-LS."""
        return self.process == _SOF55

    @property
    def is_lossless(self) -> bool:
        """Whether every sample is what was encoded."""
        return self.near == 0 if self.is_ls else self.process in _LOSSLESS

    @property
    def color_space(self) -> str | None:
        """RGB or YBR where the stream says so; None where that is left to the header around it."""
        if len(self.component_ids) != 3:
            return None
        if self.adobe_transform is not None:
            return "RGB" if self.adobe_transform == 0 else "YBR"
        if self.is_jfif:
            return "YBR"
        return "RGB" if self.component_ids.upper() == b"RGB" else None


def read_jpeg(data: bytes) -> JpegHeader:
    """Read up to the first scan. Raises DataSetError for what is no JPEG, or has more scans than one may."""
    if data[:2] != _SOI:
        raise broken("the frame does not begin like JPEG")
    frame, jfif, adobe = None, False, None
    for marker, body in _segments(data):
        if marker == 0xE0 and body[:5] == b"JFIF\0":
            jfif = True
        elif marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker in _FRAME_HEADERS and frame is None:
            frame = marker, body
        elif marker == 0xDA:
            if frame is None:
                raise broken("the JPEG stream has a scan before its frame header")
            scans = _scans(data)
            if scans > MAX_SCANS:
                raise broken(f"the JPEG stream has {scans} scans, {MAX_SCANS} is the most")
            return _header(*frame, jfif, adobe, body)
    raise broken("the JPEG stream ends before its first scan")


def _scans(data: bytes) -> int:
    """How often a scan begins, as far as the markers tell: what is coded has none of them."""
    # By words at even and odd offsets, which takes a seventh of the time of bytes.count.
    words = (np.frombuffer(data, "<u2", (len(data) - first) // 2, first) for first in (0, 1))
    return sum(int(np.count_nonzero(half == _SOS_WORD)) for half in words)


def _header(marker: int, body: bytes, jfif: bool, adobe: int | None, scan: bytes) -> JpegHeader:
    if len(body) < 6 or len(body) < 6 + 3 * body[5] or not scan or len(scan) < 1 + 2 * scan[0] + 3:
        raise broken("the JPEG frame header is cut")
    rows, columns = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    parameter = scan[1 + 2 * scan[0]]  # NEAR of JPEG-LS, the predictor of lossless JPEG
    return JpegHeader(
        marker,
        body[0],
        rows,
        columns,
        bytes(body[6 : 6 + 3 * body[5] : 3]),
        jfif,
        adobe,
        near=parameter if marker == _SOF55 else 0,
        predictor=parameter if marker in _LOSSLESS else 0,
    )


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    pos = 2
    for _ in range(MAX_SEGMENTS):
        pos = data.find(b"\xff", pos)
        if pos < 0 or pos + 2 > len(data):
            return
        marker = data[pos + 1]
        if marker in (0x00, 0xFF):
            pos += 1
            continue
        if marker in _STANDALONE:
            pos += 2
            continue
        length = int.from_bytes(data[pos + 2 : pos + 4], "big")
        if length < 2 or pos + 2 + length > len(data):
            raise broken("a JPEG marker segment is cut")
        yield marker, data[pos + 4 : pos + 2 + length]
        pos += 2 + length


def without_application_segments(data: bytes) -> bytes:
    """The stream without what applications put into its head (JFIF, SPIFF): PS3.5 8.2.1 wants none."""
    kept = [_SOI]
    pos = 2
    while data[pos : pos + 1] == b"\xff":
        marker = data[pos + 1]
        length = int.from_bytes(data[pos + 2 : pos + 4], "big") + 2
        if marker == 0xDA or marker in _STANDALONE:
            break
        if marker not in (0xE0, 0xE8):
            kept.append(data[pos : pos + length])
        pos += length
    return b"".join([*kept, data[pos:]])
