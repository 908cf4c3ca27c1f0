"""Data Sets made byte by byte, right ones and wrong ones, for tests that must not depend on our own encoder."""

from __future__ import annotations

from struct import pack

from gantry.dataset.scan import DataSet, scan
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE_8_BIT,
    transfer_syntax,
)

EXPLICIT = transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN)
IMPLICIT = transfer_syntax(IMPLICIT_VR_LITTLE_ENDIAN)
BIG = transfer_syntax(EXPLICIT_VR_BIG_ENDIAN)
JPEG = transfer_syntax(JPEG_BASELINE_8_BIT)

UNDEFINED = 0xFFFFFFFF
LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}

PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
PIXEL_DATA = 0x7FE00010
CONTENT = 0x0040A730  # Content Sequence


def short(tag: int, vr: str | bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An explicit element with a 16-bit length, which may be a lie."""
    code = vr.encode() if isinstance(vr, str) else vr
    size = len(value) if length is None else length
    return pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, code, size) + value


def long(tag: int, vr: str | bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    """An explicit element with a 32-bit length, which may be a lie."""
    code = vr.encode() if isinstance(vr, str) else vr
    size = len(value) if length is None else length
    return pack(order + "HH2sHL", tag >> 16, tag & 0xFFFF, code, 0, size) + value


def explicit(tag: int, vr: str, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    return (long if vr in LONG else short)(tag, vr, value, length, order)


def implicit(tag: int, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    return pack(order + "HHL", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, length: int | None = None, order: str = "<") -> bytes:
    return implicit(0xFFFEE000, content, length, order)


def undefined_item(content: bytes, order: str = "<") -> bytes:
    return item(content, UNDEFINED, order) + implicit(0xFFFEE00D, b"", order=order)


def end_of_sequence(order: str = "<") -> bytes:
    return implicit(0xFFFEE0DD, b"", order=order)


def undefined_sequence(tag: int, items: bytes, order: str = "<") -> bytes:
    return long(tag, "SQ", items, UNDEFINED, order) + end_of_sequence(order)


def encapsulated(table: bytes, *fragments: bytes) -> bytes:
    body = item(table) + b"".join(item(fragment) for fragment in fragments)
    return long(PIXEL_DATA, "OB", body, UNDEFINED) + end_of_sequence()


def nested(depth: int) -> bytes:
    """Sequences of undefined length in each other, `depth` of them."""
    opening = long(CONTENT, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
    closing = implicit(0xFFFEE00D, b"") + end_of_sequence()
    return opening * depth + closing * depth


def read(data: bytes) -> DataSet:
    """Explicit VR Little Endian."""
    return scan(data, EXPLICIT)


NAME = short(PATIENT_NAME, "PN", b"Doe^Jane")
IDENTIFIER = short(PATIENT_ID, "LO", b"4711")
