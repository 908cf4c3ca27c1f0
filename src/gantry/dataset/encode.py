"""From the DICOM JSON Model (PS3.18 F.2) to the bytes of a Data Set (PS3.5 Chapter 7).

The model is what queries, answers and edits are held in. Elements come out in ascending order, padded to
even length, sequences and Items with defined lengths. Text is written in the Specific Character Set that
the model names; where that cannot hold a character, or none is named, everything is written in UTF-8 and
the model's term replaced by ``ISO_IR 192``, so that no character is lost.

Values are taken as they come where a reader can make sense of them: numbers as text, text as numbers, null
as an empty value. What cannot be written raises DataSetError with the tag.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from struct import Struct, error
from typing import Any, Final

from gantry.dataset.charset import CHARSET_VRS, UTF_8, can_encode, encode_text
from gantry.dataset.layout import ITEM, LONG_VRS, SEQUENCE_DELIMITER, SHORT_VRS, UNDEFINED
from gantry.dataset.limits import MAX_NESTING
from gantry.errors import DataSetError
from gantry.standard.dictionary import PIXEL_DATA, SPECIFIC_CHARACTER_SET, vr_of
from gantry.standard.transfer_syntaxes import TransferSyntax

Model = Mapping[str, Mapping[str, Any]]
BulkData = Callable[[str], bytes]

_KEY: Final = re.compile(r"[0-9A-Fa-f]{8}")
_SHORT: Final = frozenset(SHORT_VRS)
_ALL: Final = frozenset(SHORT_VRS + LONG_VRS)
_MOST_SHORT_BYTES: Final = 0xFFFE
_MOST_LONG_BYTES: Final = 0xFFFFFFFE
_NULL_PADDED: Final = frozenset({"UI", "OB", "UN"})
_NUMBERS: Final = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
_BINARY: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_WORD_BYTES: Final = {  # array codes: how a value is swapped
    "OW": "H", "OF": "I", "OL": "I", "OD": "Q", "OV": "Q", "US": "H", "SS": "H", "UL": "I", "SL": "I",
    "UV": "Q", "SV": "Q", "FL": "I", "FD": "Q", "AT": "H",
}  # fmt: skip
_MOST_DS_CHARACTERS: Final = 16
_ITEM_TAG: Final = Struct("<HH").pack(ITEM >> 16, ITEM & 0xFFFF)
_PN_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


class _NotInRepertoireError(Exception):
    """A character that the Specific Character Set does not hold; never leaves this module."""


def encode(
    model: Model,
    syntax: TransferSyntax,
    *,
    bulk_data: BulkData | None = None,
    inline_fragments: bool = False,
) -> bytes:
    """The bytes of a Data Set, not deflated. `bulk_data` gives the bytes, little endian, of a BulkDataURI.

    With `inline_fragments` Pixel Data whose InlineBinary begins with an Item Tag, in an encapsulated syntax,
    is written as the Items that it is (PS3.5 A.4).

    Group lengths, which are retired, are left out. Raises DataSetError for what is no model, for command and
    file meta groups, and for a BulkDataURI where nobody can resolve it.
    """
    try:
        return _Encoder(syntax, bulk_data, utf_8=False, fragments=inline_fragments).data_set(model, (), 0)
    except _NotInRepertoireError:
        return _Encoder(syntax, bulk_data, utf_8=True, fragments=inline_fragments).data_set(
            model, (UTF_8,), 0
        )


def encode_element(tag: int, vr: str, value: bytes, syntax: TransferSyntax) -> bytes:
    """Header and value of one element, the value padded to an even length.

    A value that is too long for the 16-bit length of its VR is written as UN (PS3.5 6.2.2).
    """
    if len(value) % 2:
        value += b"\0" if vr in _NULL_PADDED or vr in _NUMBERS else b" "
    return _header(tag, vr, len(value), syntax) + value


def encode_encapsulated(
    fragments: Iterable[bytes | memoryview], syntax: TransferSyntax, *, offset_table: Sequence[int] = ()
) -> Iterable[bytes | memoryview]:
    """Pixel Data of compressed fragments (PS3.5 A.4), as buffers to be written one after the other.

    `offset_table` is the Basic Offset Table, possibly empty. A fragment of odd length gets one null byte.
    """
    item = Struct("<HHL" if syntax.little_endian else ">HHL")
    order = "<" if syntax.little_endian else ">"
    table = Struct(f"{order}{len(offset_table)}L").pack(*offset_table)
    yield _header(PIXEL_DATA, "OB", UNDEFINED, syntax)
    yield item.pack(ITEM >> 16, ITEM & 0xFFFF, len(table)) + table
    for fragment in fragments:
        pad = len(fragment) % 2
        yield item.pack(ITEM >> 16, ITEM & 0xFFFF, len(fragment) + pad)
        yield fragment
        if pad:
            yield b"\0"
    yield item.pack(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)


def element_header(tag: int, vr: str, length: int, syntax: TransferSyntax) -> bytes:
    """What stands before a value of `length` bytes, which is even. Raises DataSetError for 4 GiB and more."""
    return _header(tag, vr, length, syntax)


def _header(tag: int, vr: str, length: int, syntax: TransferSyntax) -> bytes:
    order = "<" if syntax.little_endian else ">"
    group, element = tag >> 16, tag & 0xFFFF
    if length > _MOST_LONG_BYTES and length != UNDEFINED:
        raise DataSetError("a value of more than 4 GiB", tag=tag)
    if syntax.implicit_vr:
        return Struct(order + "HHL").pack(group, element, length)
    if vr in _SHORT and length <= _MOST_SHORT_BYTES:
        return Struct(order + "HH2sH").pack(group, element, vr.encode("ascii"), length)
    long_vr = "UN" if vr in _SHORT else vr
    return Struct(order + "HH2sHL").pack(group, element, long_vr.encode("ascii"), 0, length)


class _Encoder:
    """One Data Set being written: where to, in which characters, and who knows the bulk data."""

    def __init__(
        self, syntax: TransferSyntax, bulk_data: BulkData | None, *, utf_8: bool, fragments: bool
    ) -> None:
        self.syntax = syntax
        self.order = "<" if syntax.little_endian else ">"
        self.bulk_data = bulk_data
        self.utf_8 = utf_8
        self.fragments = fragments and syntax.encapsulated

    def data_set(self, model: Model, charset: tuple[str, ...], depth: int) -> bytes:
        """The elements of one Data Set or Item; `charset` is that of what encloses it."""
        if depth > MAX_NESTING:
            raise DataSetError(f"sequences nested deeper than {MAX_NESTING}")
        attributes = sorted((_tag(key), attribute) for key, attribute in _pairs(model))
        charset = self._charset(attributes, charset)
        out: list[bytes] = []
        unnamed = self.utf_8 and not depth
        for tag, attribute in attributes:
            if unnamed and tag >= SPECIFIC_CHARACTER_SET:
                out.append(self._utf_8_term())
                unnamed = False
            if tag & 0xFFFF == 0 or (tag == SPECIFIC_CHARACTER_SET and self.utf_8):
                continue  # one term for all of it, at the top: Items inherit it (PS3.5 7.5.3)
            out.append(self._attribute(tag, attribute, charset, depth))
        if unnamed:
            out.append(self._utf_8_term())
        return b"".join(out)

    def _utf_8_term(self) -> bytes:
        return encode_element(SPECIFIC_CHARACTER_SET, "CS", UTF_8.encode("ascii"), self.syntax)

    def _charset(
        self, attributes: list[tuple[int, Mapping[str, Any]]], inherited: tuple[str, ...]
    ) -> tuple[str, ...]:
        if self.utf_8:
            return (UTF_8,)
        for tag, attribute in attributes:
            if tag == SPECIFIC_CHARACTER_SET:
                return tuple(_text(value, tag) for value in _values(attribute, tag))
        return inherited

    def _attribute(
        self, tag: int, attribute: Mapping[str, Any], charset: tuple[str, ...], depth: int
    ) -> bytes:
        vr = attribute.get("vr") or vr_of(tag)
        if not isinstance(vr, str) or vr not in _ALL:
            raise DataSetError(f"VR {str(vr)[:20]!r} is not known", tag=tag)
        if vr == "SQ":
            return self._sequence(tag, attribute, charset, depth)
        if tag == PIXEL_DATA and self.fragments and "InlineBinary" in attribute:
            items = _decoded_base64(attribute["InlineBinary"], tag)
            if items.startswith(_ITEM_TAG):
                end = Struct("<HHL").pack(SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)
                return _header(tag, vr, UNDEFINED, self.syntax) + items + end
        return encode_element(tag, vr, self._value(tag, vr, attribute, charset), self.syntax)

    def _sequence(
        self, tag: int, attribute: Mapping[str, Any], charset: tuple[str, ...], depth: int
    ) -> bytes:
        item = Struct(self.order + "HHL")
        out: list[bytes] = []
        for value in _values(attribute, tag):
            content = self.data_set({} if value is None else value, charset, depth + 1)
            out += (item.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)), content)
        body = b"".join(out)
        return _header(tag, "SQ", len(body), self.syntax) + body

    def _value(self, tag: int, vr: str, attribute: Mapping[str, Any], charset: tuple[str, ...]) -> bytes:
        if "InlineBinary" in attribute:
            return self._swapped(vr, _decoded_base64(attribute["InlineBinary"], tag))
        if "BulkDataURI" in attribute:
            if self.bulk_data is None:
                raise DataSetError("bulk data that is elsewhere cannot be written", tag=tag)
            return self._swapped(vr, self.bulk_data(attribute["BulkDataURI"]))
        values = _values(attribute, tag)
        if vr in _NUMBERS:
            return self._packed(tag, vr, values)
        if vr == "AT":
            return b"".join(self._attribute_tag(tag, value) for value in values if value is not None)
        if vr in _BINARY:
            if values:
                raise DataSetError(f"a {vr} needs InlineBinary or BulkDataURI", tag=tag)
            return b""
        return self._text(tag, vr, values, charset)

    def _text(self, tag: int, vr: str, values: Sequence[Any], charset: tuple[str, ...]) -> bytes:
        write = {"PN": _person_name, "DS": _decimal, "IS": _integer}.get(vr, _text)
        text = "\\".join(write(value, tag) for value in values)
        if vr in CHARSET_VRS and not can_encode(text, charset):
            raise _NotInRepertoireError
        return encode_text(text, charset, vr)

    def _packed(self, tag: int, vr: str, values: Sequence[Any]) -> bytes:
        code = _NUMBERS[vr]
        convert: Callable[[Any], int | float] = float if code in "fd" else _whole
        try:
            numbers = [convert(value) for value in values if value is not None]
            return Struct(f"{self.order}{len(numbers)}{code}").pack(*numbers)
        except (ValueError, TypeError, OverflowError, error) as cause:
            raise DataSetError(f"a value that is no {vr}: {cause}", tag=tag) from cause

    def _attribute_tag(self, tag: int, value: Any) -> bytes:
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise DataSetError("an AT value is eight hexadecimal digits", tag=tag)
        return Struct(self.order + "HH").pack(int(value[:4], 16), int(value[4:], 16))

    def _swapped(self, vr: str, value: bytes) -> bytes:
        """Binary values are little endian in the model (PS3.18 F.2.7)."""
        code = _WORD_BYTES.get(vr) or {"US": "H", "SS": "H", "UL": "I", "SL": "I", "FL": "I", "FD": "Q"}.get(
            vr
        )
        if self.syntax.little_endian or code is None:
            return value
        words: array[int] = array(code)
        whole = len(value) - len(value) % words.itemsize
        words.frombytes(value[:whole])
        words.byteswap()
        return words.tobytes() + value[whole:]


def _pairs(model: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if not isinstance(model, Mapping):
        raise DataSetError("a Data Set is an object of attributes")
    for key, attribute in model.items():
        if not isinstance(attribute, Mapping):
            raise DataSetError("an attribute is an object with a vr", tag=_tag(key))
        yield key, attribute


def _tag(key: Any) -> int:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise DataSetError(f"{str(key)[:32]!r} is no tag of eight hexadecimal digits")
    tag = int(key, 16)
    if tag >> 16 in (0x0000, 0x0002, 0xFFFE, 0xFFFF):  # PS3.5 7.1
        raise DataSetError("this group has no place in a Data Set", tag=tag)
    return tag


def _values(attribute: Mapping[str, Any], tag: int) -> list[Any]:
    values = attribute.get("Value", [])
    if not isinstance(values, list):
        raise DataSetError("Value is an array", tag=tag)
    return values


def _decoded_base64(text: Any, tag: int) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as cause:
        raise DataSetError("InlineBinary is not base64", tag=tag) from cause


def _text(value: Any, tag: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise DataSetError("a text value is a string", tag=tag)


def _person_name(value: Any, tag: int) -> str:
    if not isinstance(value, Mapping):
        return _text(value, tag)
    return "=".join(_text(value.get(group), tag) for group in _PN_GROUPS).rstrip("=")


def _integer(value: Any, tag: int) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _text(value, tag)


def _decimal(value: Any, tag: int) -> str:
    """At most 16 characters (PS3.5 6.2), with as many digits as they hold."""
    if not isinstance(value, float):
        return _text(value, tag)
    if not math.isfinite(value):
        raise DataSetError("a DS is a finite number", tag=tag)
    text = repr(value)
    digits = _MOST_DS_CHARACTERS
    while len(text) > _MOST_DS_CHARACTERS:
        digits -= 1
        text = f"{value:.{digits}g}"
    return text


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is no whole number")
    return int(value)
