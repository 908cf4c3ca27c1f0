"""The same Data Set with some attributes changed: everything else comes out bit for bit.

Elements are copied with their headers, as they lie in the bytes, whatever lengths and padding they have;
pixels are never looked at. What is written anew: the attributes that are changed; sequences that hold a UID
to be replaced, or text in another character set (their Items get defined lengths); group lengths of groups
in which something changes are left out, which are retired and would be wrong. Only where elements come
twice or out of order, so that a copy would not say what the original did, each is written anew, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from gantry.dataset.charset import CHARSET_VRS, UTF_8, decode_text
from gantry.dataset.encode import element_header, encode_element
from gantry.dataset.layout import ITEM, LONG_VRS, SEQUENCE_DELIMITER, UNDEFINED
from gantry.dataset.reencode import encoded_element
from gantry.dataset.scan import Buffer, DataSet, Element
from gantry.dataset.values import Value
from gantry.dataset.vr import element_vr
from gantry.errors import DataSetError
from gantry.standard.dictionary import PIXEL_DATA, SPECIFIC_CHARACTER_SET
from gantry.standard.transfer_syntaxes import TransferSyntax

_PIECE: Final = 1 << 20
_LONG: Final = frozenset(LONG_VRS)
_UNREADABLE: Final = "\ufffd"


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of a Data Set.

    `values` maps a tag to VR and value bytes in the byte order of the Data Set, None to leave the attribute
    out. `uids` replaces UIDs wherever a sequence refers to them. `to_utf_8` writes all texts in UTF-8; the
    values are in it already, and Specific Character Set need not be among them.
    """

    values: Mapping[int, Value | None]
    uids: Mapping[str, str] = field(default_factory=dict)
    to_utf_8: bool = False


def rewrite(ds: DataSet, changes: Changes) -> Iterator[Buffer]:
    """The bytes of a Data Set with changes, in pieces, not deflated.

    Raises DataSetError where text cannot be read, so that nobody knows how to write it in UTF-8.
    """
    values = dict(changes.values)
    if changes.to_utf_8:
        values[SPECIFIC_CHARACTER_SET] = "CS", UTF_8.encode("ascii")
    touched = {tag >> 16 for tag in values}
    spans = _spans(ds)
    for tag in sorted(ds.elements.keys() | values.keys()):
        if tag in values:
            value = values[tag]
            if value is not None:
                yield encode_element(tag, *value, ds.syntax)
            continue
        if not tag & 0xFFFF and tag >> 16 in touched:
            continue
        element = ds.elements[tag]
        if tag != PIXEL_DATA:
            anew = _anew(ds, element, changes, ds.syntax)
            if anew is not None:
                yield anew
                continue
        if spans is None:
            yield from _written(ds, element)
        else:
            yield from _copied(ds.buffer, *spans[tag])


def _spans(ds: DataSet) -> dict[int, tuple[int, int]] | None:
    """Where each element lies with its header; None where that is not in one piece, once, and in order."""
    spans: dict[int, tuple[int, int]] = {}
    elements = sorted(ds.elements.values(), key=lambda element: element[2])
    order = "<" if ds.syntax.little_endian else ">"
    head = Struct(order + "HH")
    last, end = -1, -1
    for tag, vr, value, length, undefined in elements:
        size = 12 if not ds.syntax.implicit_vr and vr in _LONG else 8
        start = value - size if end < 0 else end
        if tag <= last or value - start not in (8, 12):
            return None
        group, element = head.unpack_from(ds.buffer, start)
        if group << 16 | element != tag:
            return None
        last, end = tag, value + length + (8 if undefined else 0)
        spans[tag] = start, end
    return spans


def _copied(buffer: Buffer, start: int, end: int) -> Iterator[Buffer]:
    view = memoryview(buffer)
    for place in range(start, end, _PIECE):
        yield view[place : min(place + _PIECE, end)]


def _written(ds: DataSet, element: Element) -> Iterator[Buffer]:
    tag, vr, value, length, undefined = element
    if not undefined or vr in ("SQ", "UN"):
        yield from encoded_element(ds, element, ds.syntax)
        return
    header = Struct("<HH2sHL" if ds.syntax.little_endian else ">HH2sHL")
    yield header.pack(tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0, UNDEFINED)
    yield from _copied(ds.buffer, value, value + length)
    yield Struct("<HHL" if ds.syntax.little_endian else ">HHL").pack(
        SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0
    )


def _anew(ds: DataSet, element: Element, changes: Changes, syntax: TransferSyntax) -> bytes | None:
    """An element that does not stay as it is; None for one that does."""
    tag, vr, _, length, _ = element
    if not length:
        return None
    if vr == "SQ" or element_vr(ds, element) == "SQ":
        return _sequence(ds, tag, changes, syntax) if _concerns(ds, tag, changes) else None
    vr = element_vr(ds, element)
    if vr == "UI" and changes.uids and ds.parent is not None:
        texts = ds.raw(tag).decode("latin-1").rstrip("\0 ").split("\\")
        if any(text in changes.uids for text in texts):
            return encode_element(
                tag, vr, "\\".join(changes.uids.get(t, t) for t in texts).encode("latin-1"), syntax
            )
    if changes.to_utf_8 and vr in CHARSET_VRS:
        raw = ds.raw(tag)
        if not raw.isascii() or b"\x1b" in raw:
            return encode_element(tag, vr, _utf_8(raw, ds.charset, vr, tag), syntax)
    return None


def _utf_8(raw: bytes, charset: tuple[str, ...], vr: str, tag: int) -> bytes:
    text = decode_text(raw, charset, vr)
    if _UNREADABLE in text:
        cause = "text that its character set does not explain, so that it cannot be written in UTF-8"
        raise DataSetError(cause, tag=tag)
    return text.encode("utf-8")


def _concerns(ds: DataSet, tag: int, changes: Changes) -> bool:
    """Whether anything in a sequence may have to be written anew."""
    raw = ds.raw(tag)
    if changes.to_utf_8 and (not raw.isascii() or b"\x1b" in raw or _names_charset(raw, ds)):
        return True
    return any(uid.encode("latin-1") in raw for uid in changes.uids)


def _names_charset(raw: bytes, ds: DataSet) -> bool:
    order = "<" if ds.syntax.little_endian else ">"
    return Struct(order + "HH").pack(SPECIFIC_CHARACTER_SET >> 16, SPECIFIC_CHARACTER_SET & 0xFFFF) in raw


def _sequence(ds: DataSet, tag: int, changes: Changes, syntax: TransferSyntax) -> bytes:
    content = b"".join(items(ds, tag, changes, syntax))
    if not ds.elements[tag][4]:
        return encode_element(tag, "SQ", content, syntax)
    # In Implicit VR its undefined length may be all that says that an unknown element is a sequence
    end = Struct("<HHL" if syntax.little_endian else ">HHL")
    return (
        element_header(tag, "SQ", UNDEFINED, syntax)
        + content
        + end.pack(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)
    )


def items(ds: DataSet, tag: int, changes: Changes, syntax: TransferSyntax) -> Iterator[bytes]:
    """The Items of a sequence with what `changes` says of UIDs and text, each with its header.

    Raises DataSetError.
    """
    header = Struct("<HHL" if syntax.little_endian else ">HHL")
    for item in ds.items(tag):
        content = b"".join(_item_elements(item, changes, syntax))
        yield header.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)) + content


def _item_elements(item: DataSet, changes: Changes, syntax: TransferSyntax) -> Iterator[bytes]:
    for tag in sorted(item.elements):
        if not tag & 0xFFFF or (changes.to_utf_8 and tag == SPECIFIC_CHARACTER_SET):
            continue  # one term for all of it, at the top: Items inherit it (PS3.5 7.5.3)
        element = item.elements[tag]
        anew = _anew(item, element, changes, syntax)
        if anew is None and element[4] and element[1] == "SQ":
            anew = _sequence(item, tag, changes, syntax)
        if anew is not None:
            yield anew
        else:
            yield from (bytes(piece) for piece in encoded_element(item, element, syntax))
