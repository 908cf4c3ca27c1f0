"""The same Data Set in another native transfer syntax: other headers, other byte order, same values.

Values are copied byte for byte; only words change places when the byte order does (PS3.5 7.3), and
implicit VR has its VRs looked up. Sequences come out with defined lengths, group lengths (retired, and
wrong after any change) are left out. Encapsulated Pixel Data cannot be re-encoded without decoding it:
whoever has decoded it hands the samples in as `NativePixels`. In Items it is copied into the same syntax.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gantry.dataset.encode import encode_element
from gantry.dataset.layout import SEQUENCE_DELIMITER, UNDEFINED
from gantry.dataset.scan import Buffer, DataSet, Element
from gantry.dataset.vr import element_vr
from gantry.errors import DataSetError
from gantry.standard.dictionary import PIXEL_DATA
from gantry.standard.transfer_syntaxes import TransferSyntax

_WORD_CODES: Final = {
    "US": "H", "SS": "H", "OW": "H", "AT": "H", "UL": "I", "SL": "I", "FL": "I", "OF": "I", "OL": "I",
    "FD": "Q", "OD": "Q", "OV": "Q", "SV": "Q", "UV": "Q",
}  # fmt: skip
_LONG_FORM: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_COPIED_WHOLE: Final = 1 << 16
_TRAILING_GROUPS: Final = frozenset({0xFFFA, 0xFFFC})
_ENCAPSULATION_TAGS: Final = frozenset({PIXEL_DATA, 0x7FE00001, 0x7FE00002, 0x7FE00003})


@dataclass(frozen=True, slots=True)
class NativePixels:
    """What takes the place of encapsulated Pixel Data: VR, length in bytes (even), and changed attributes.

    `attributes` maps a tag to VR and value bytes in little endian. The samples themselves follow what
    `reencode` yields: they are larger than memory may be.
    """

    vr: str
    length: int
    attributes: Mapping[int, tuple[str, bytes]]


def reencode(ds: DataSet, syntax: TransferSyntax, pixels: NativePixels | None = None) -> Iterator[Buffer]:
    """The bytes of `ds` in a native syntax, in pieces. With `pixels`, they end at the samples' first byte.

    Attributes that stand behind Pixel Data (padding, digital signatures over other bytes) are left out with
    `pixels`. Raises DataSetError for encapsulated Pixel Data without `pixels`.
    """
    if pixels is None:
        yield from _elements(ds, syntax)
        return
    yield from before_pixels(ds, syntax, pixels.attributes)
    yield _header(PIXEL_DATA, pixels.vr, pixels.length, syntax)


def before_pixels(
    ds: DataSet,
    syntax: TransferSyntax,
    attributes: Mapping[int, tuple[str, bytes]],
    without: frozenset[int] = frozenset(),
) -> Iterator[Buffer]:
    """The elements that stand before Pixel Data, with some replaced or added, each with its VR and value.

    Values are in the byte order of `syntax`. Offset tables of encapsulated pixels are left out unless given,
    and what is in `without`.
    """
    for tag in sorted(ds.elements.keys() | attributes.keys()):
        if tag >= PIXEL_DATA:
            break
        if tag in attributes:
            yield encode_element(tag, *attributes[tag], syntax)
        elif tag & 0xFFFF and tag not in _ENCAPSULATION_TAGS and tag not in without:
            yield from encoded_element(ds, ds.elements[tag], syntax)


def behind_pixels(ds: DataSet, syntax: TransferSyntax) -> Iterator[Buffer]:
    """The elements that stand behind Pixel Data, without padding and signatures over what the pixels were."""
    for tag in sorted(ds.elements):
        if tag > PIXEL_DATA and tag & 0xFFFF and tag >> 16 not in _TRAILING_GROUPS:
            yield from encoded_element(ds, ds.elements[tag], syntax)


def item_bytes(ds: DataSet, tag: int, syntax: TransferSyntax) -> list[bytes]:
    """The Items of a sequence, each as it would be written, with its header."""
    items = [b"".join(bytes(piece) for piece in _elements(item, syntax)) for item in ds.items(tag)]
    header = Struct("<HHL" if syntax.little_endian else ">HHL")
    return [header.pack(0xFFFE, 0xE000, len(item)) + item for item in items]


def element_value(ds: DataSet, element: Element, syntax: TransferSyntax) -> tuple[str, bytes]:
    """VR and value of one element as it would be written in `syntax`; that of a sequence is all its Items.

    Raises DataSetError for encapsulated Pixel Data.
    """
    tag, _, _, _, undefined = element
    vr = element_vr(ds, element)
    if vr == "SQ" or (undefined and vr == "UN" and tag != PIXEL_DATA):
        return "SQ", b"".join(item_bytes(ds, tag, syntax))
    if undefined:
        raise DataSetError("encapsulated Pixel Data cannot be re-encoded without decoding it", tag=tag)
    code = _WORD_CODES.get(vr)
    raw = ds.raw(tag)
    return vr, _swapped(raw, code) if code and ds.syntax.little_endian != syntax.little_endian else raw


def _elements(ds: DataSet, syntax: TransferSyntax) -> Iterator[Buffer]:
    for tag in sorted(ds.elements):
        if tag & 0xFFFF:
            yield from encoded_element(ds, ds.elements[tag], syntax)


def encoded_element(ds: DataSet, element: Element, syntax: TransferSyntax) -> Iterator[Buffer]:
    """One element as it is written in `syntax`, in pieces. Raises DataSetError for compressed Pixel Data."""
    tag, _, _, length, undefined = element
    vr = element_vr(ds, element)
    if vr == "SQ" or (undefined and vr == "UN" and tag != PIXEL_DATA):
        yield from _sequence(ds, tag, syntax)
        return
    if undefined and ds.parent is not None and ds.syntax.uid == syntax.uid:
        # Of an icon, say: compressed in the transfer syntax of the whole (PS3.5 A.4), it stays as it is.
        yield Struct("<HH2sHL").pack(tag >> 16, tag & 0xFFFF, b"OB", 0, UNDEFINED)
        yield ds.view(tag)
        yield Struct("<HHL").pack(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)
        return
    if undefined:
        raise DataSetError("encapsulated Pixel Data cannot be re-encoded without decoding it", tag=tag)
    code = _WORD_CODES.get(vr)
    if code is not None and ds.syntax.little_endian != syntax.little_endian:
        yield encode_element(tag, vr, _swapped(ds.raw(tag), code), syntax)
    elif length <= _COPIED_WHOLE:
        yield encode_element(tag, vr, ds.raw(tag), syntax)
    else:
        yield _header(tag, vr, length + length % 2, syntax)
        yield ds.view(tag)
        if length % 2:
            yield b"\0" if vr in _LONG_FORM else b" "


def _sequence(ds: DataSet, tag: int, syntax: TransferSyntax) -> Iterator[Buffer]:
    items = item_bytes(ds, tag, syntax)
    yield _header(tag, "SQ", sum(map(len, items)), syntax)
    yield from items


def _header(tag: int, vr: str, length: int, syntax: TransferSyntax) -> bytes:
    """Header of an element with a long value (PS3.5 7.1)."""
    order = "<" if syntax.little_endian else ">"
    group, element = tag >> 16, tag & 0xFFFF
    if syntax.implicit_vr:
        return Struct(order + "HHL").pack(group, element, length)
    written = vr if vr in _LONG_FORM else "UN"  # PS3.5 6.2.2: too long for the VR's 16-bit length
    return Struct(order + "HH2sHL").pack(group, element, written.encode("ascii"), 0, length)


def _swapped(value: bytes, code: str) -> bytes:
    words: array[int] = array(code)
    whole = len(value) - len(value) % words.itemsize
    words.frombytes(value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]


def little_endian_value(ds: DataSet, element: Element) -> bytes:
    """The value bytes of an element in little endian, as DICOMweb sends bulk data (PS3.18 8.7.3.3)."""
    code = None if ds.syntax.little_endian else _WORD_CODES.get(element_vr(ds, element))
    raw = ds.raw(element[0])
    return raw if code is None else _swapped(raw, code)


def pixel_data_header(vr: str, length: int, syntax: TransferSyntax) -> bytes:
    """What stands before native Pixel Data of `length` bytes, which is even."""
    return _header(PIXEL_DATA, vr if vr in ("OB", "OW") else "OW", length, syntax)
