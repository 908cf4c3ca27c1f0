"""A Data Set taken apart into values, and put together again: how attributes move between Data Sets.

`Values` maps a tag to VR and value bytes, padded as they were and in the byte order of the transfer syntax in
which they will be written; the value of a sequence is its Items. What is not touched comes out bit for bit,
but that sequences get defined lengths and that group lengths, which are retired, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Final

from gantry.dataset.charset import CHARSET_VRS, can_encode, decode_text, encode_text
from gantry.dataset.encode import encode_element
from gantry.dataset.layout import ITEM
from gantry.dataset.reencode import element_value
from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from gantry.standard.dictionary import SPECIFIC_CHARACTER_SET, is_private, is_private_creator
from gantry.standard.transfer_syntaxes import TransferSyntax

Value = tuple[str, bytes]
Values = dict[int, Value]

_MOST_DS_CHARACTERS: Final = 16
_BLOCKS: Final = range(0x10, 0x100)


def values_of(ds: DataSet, syntax: TransferSyntax, without: Iterable[int] = ()) -> Values:
    """The attributes of a Data Set or Item, but `without` some. Raises DataSetError for compressed pixels."""
    left_out = frozenset(without)
    return {
        tag: element_value(ds, element, syntax)
        for tag, element in ds.elements.items()
        if tag & 0xFFFF and tag not in left_out
    }


def in_charset(values: Values, charset: tuple[str, ...], target: tuple[str, ...]) -> Values:
    """The values of an Item that names a character set of its own, for a Data Set in another (PS3.5 7.5.3).

    Raises DataSetError for text that the other cannot hold, and for sequences of text, whose Items inherit.
    """
    values = {tag: value for tag, value in values.items() if tag != SPECIFIC_CHARACTER_SET}
    if charset == target:
        return values
    for tag, (vr, raw) in values.items():
        if vr == "SQ" and not raw.isascii():
            raise DataSetError("a sequence in a character set of its own cannot be moved out of it", tag=tag)
        if vr in CHARSET_VRS and (not raw.isascii() or b"\x1b" in raw):
            text = decode_text(raw, charset, vr)
            if not can_encode(text, target):
                raise DataSetError("text that the character set of the object does not hold", tag=tag)
            values[tag] = vr, encode_text(text, target, vr)
    return values


def encode_values(values: Mapping[int, Value], syntax: TransferSyntax) -> bytes:
    """The elements in ascending order."""
    return b"".join(encode_element(tag, *values[tag], syntax) for tag in sorted(values))


def item(values: Mapping[int, Value], syntax: TransferSyntax) -> bytes:
    """The values as an Item of defined length, with its header."""
    content = encode_values(values, syntax)
    header = Struct("<HHL" if syntax.little_endian else ">HHL")
    return header.pack(ITEM >> 16, ITEM & 0xFFFF, len(content)) + content


def sequence(items: Iterable[Mapping[int, Value]], syntax: TransferSyntax) -> Value:
    """The value of a sequence of these Items."""
    return "SQ", b"".join(item(values, syntax) for values in items)


def text_value(vr: str, *texts: str) -> Value:
    """The value of an attribute of text that every character set holds, padded to an even length."""
    raw = "\\".join(texts).encode("ascii", "replace")
    return vr, raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def number_value(vr: str, syntax: TransferSyntax, *numbers: float) -> Value:
    """The value of an attribute of binary numbers: US, UL, FD, or AT of tags."""
    order = "<" if syntax.little_endian else ">"
    if vr == "AT":
        words = (word for tag in numbers for word in (int(tag) >> 16, int(tag) & 0xFFFF))
        return vr, Struct(f"{order}{2 * len(numbers)}H").pack(*words)
    code = {"US": "H", "UL": "L", "FD": "d"}[vr]
    return vr, Struct(f"{order}{len(numbers)}{code}").pack(*(n if code == "d" else int(n) for n in numbers))


def decimal(number: float) -> str:
    """A DS of at most 16 characters with as many digits as they hold (PS3.5 6.2)."""
    text = f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else repr(number)
    digits = _MOST_DS_CHARACTERS
    while len(text) > _MOST_DS_CHARACTERS:
        digits -= 1
        text = f"{number:.{digits}g}"
    return text


def put(target: Values, source: Mapping[int, Value]) -> None:
    """Put values into others, over what is there.

    A private attribute goes into the block of its creator; where another creator has that block, into the
    next free one (PS3.5 7.8.1).
    """
    moved = dict(_moved_blocks(target, source))
    for tag, value in source.items():
        if is_private(tag) and not is_private_creator(tag):
            block = tag >> 8 & 0xFF
            tag = tag & 0xFFFF00FF | moved.get((tag >> 16, block), block) << 8
            target[tag] = value
        elif not is_private_creator(tag):
            target[tag] = value


def _moved_blocks(target: Values, source: Mapping[int, Value]) -> Iterator[tuple[tuple[int, int], int]]:
    """(group, block) of each creator and its block in the target, where it is named too."""
    for tag in sorted(filter(is_private_creator, source)):
        group, block = tag & 0xFFFF0000, tag & 0xFF
        name = source[tag][1].rstrip(b" \0")
        candidates = [block, *(b for b in _BLOCKS if b != block)]
        held = {b: target[group | b][1].rstrip(b" \0") for b in candidates if group | b in target}
        place = next((b for b in candidates if held.get(b) == name), None)
        if place is None:
            used = {t >> 8 & 0xFF for t in target if t & 0xFFFF0000 == group and not is_private_creator(t)}
            place = next((b for b in candidates if b not in held and b not in used), None)
            if place is None:
                raise DataSetError("no private block is free", tag=tag)
            target[group | place] = source[tag]
        yield (tag >> 16, block), place


def texts_of(values: Mapping[int, Value], tag: int) -> list[str]:
    """The values of an attribute of text that every character set holds, without padding."""
    raw = values.get(tag, ("", b""))[1].decode("latin-1").rstrip(" \0")
    return [text.strip(" ") for text in raw.split("\\")] if raw else []


def floats_of(values: Mapping[int, Value], tag: int, syntax: TransferSyntax) -> list[float]:
    """The numbers of a decimal or binary attribute; what is none, or is not finite, is left out."""
    vr, raw = values.get(tag, ("", b""))
    code = {"FD": "d", "FL": "f", "US": "H", "SS": "h", "UL": "L", "SL": "l"}.get(vr)
    if code is None:
        found = [number for text in texts_of(values, tag) if (number := _number(text)) is not None]
    else:
        one = Struct(("<" if syntax.little_endian else ">") + code)
        found = [float(number) for (number,) in one.iter_unpack(raw[: len(raw) - len(raw) % one.size])]
    return [number for number in found if math.isfinite(number)]


def _number(text: str) -> float | None:
    try:
        return float(text[:64])
    except ValueError:
        return None
