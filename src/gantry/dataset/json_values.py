"""The values of one element as the DICOM JSON Model holds them, by VR.

Each reader gets the Data Set and a non-empty element and answers the list for "Value": empty where there is
nothing but padding, None where the bytes do not fit the VR. None of them raises.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from struct import Struct
from typing import Any

from gantry.dataset.charset import decode_text
from gantry.dataset.scan import DataSet, Element

Reader = Callable[[DataSet, Element], list[Any] | None]

_LARGEST_INTEGER = (1 << 63) - 1  # what JSON readers in other languages hold
_LONGEST_NUMBER = 64  # an IS has 12 characters, a DS 16; int() of a megabyte of digits would take minutes


def _plain(ds: DataSet, element: Element) -> list[Any]:
    """AS, CS, DA, DT, TM, UI: ASCII by rule, padded at the end, divided by backslashes."""
    _, _, offset, length, _ = element
    text = bytes(ds.buffer[offset : offset + length]).decode("latin-1").rstrip(" \0")
    if "\\" in text:
        return text.split("\\")
    return [text] if text else []


def _title(ds: DataSet, element: Element) -> list[Any]:
    """AE: spaces on either side of a value do not count."""
    _, _, offset, length, _ = element
    text = bytes(ds.buffer[offset : offset + length]).decode("latin-1")
    return _unless_empty([value.strip(" \0") for value in text.split("\\")])


def _uri(ds: DataSet, element: Element) -> list[Any]:
    """UR: one value, trailing spaces do not count."""
    _, _, offset, length, _ = element
    return _unless_empty([bytes(ds.buffer[offset : offset + length]).decode("latin-1").rstrip(" \0")])


def _strings(ds: DataSet, element: Element) -> list[Any]:
    """LO, SH, UC: in the character set of the Data Set, divided by backslashes."""
    _, vr, offset, length, _ = element
    raw = bytes(ds.buffer[offset : offset + length])
    text = raw.decode("ascii") if raw.isascii() and b"\x1b" not in raw else decode_text(raw, ds.charset, vr)
    if "\\" in text:
        return [value.rstrip(" \0") for value in text.split("\\")]
    text = text.rstrip(" \0")
    return [text] if text else []


def _text(ds: DataSet, element: Element) -> list[Any]:
    """LT, ST, UT: one value, in which a backslash is a character like others."""
    _, vr, offset, length, _ = element
    raw = bytes(ds.buffer[offset : offset + length])
    return _unless_empty([decode_text(raw, ds.charset, vr).rstrip(" \0")])


def _names(ds: DataSet, element: Element) -> list[Any]:
    """PN: each value an object of its component groups."""
    _, _, offset, length, _ = element
    raw = bytes(ds.buffer[offset : offset + length]).rstrip(b" \0")
    if not raw:
        return []
    return [name_object(name) for name in decode_text(raw, ds.charset, "PN").split("\\")]


def name_object(name: str) -> dict[str, str]:
    """A person name as PS3.18 F.2.2 writes it. Empty groups at the end are left out."""
    alphabetic, *others = name.rstrip("=").split("=")
    found = {"Alphabetic": alphabetic}
    found.update(zip(("Ideographic", "Phonetic"), others, strict=False))
    return found


def _unless_empty(values: list[Any]) -> list[Any]:
    return values if values != [""] else []


def _decimals(ds: DataSet, element: Element) -> list[Any]:
    """DS: numbers; what JSON cannot hold as a number stays text."""
    _, _, offset, length, _ = element
    text = bytes(ds.buffer[offset : offset + length]).decode("latin-1").strip(" \0")
    if "\\" in text:
        return [decimal_value(value) for value in text.split("\\")]
    return [decimal_value(text)] if text else []


def decimal_value(text: str) -> float | str | None:
    """One DS: a number where JSON can hold it as one, None where it is empty, else the text."""
    text = text.strip(" \0")
    if not text:
        return None
    if len(text) <= _LONGEST_NUMBER and "_" not in text:
        try:
            number = float(text)
        except ValueError:
            return text
        if isfinite(number):
            return number
    return text


def _integers(ds: DataSet, element: Element) -> list[Any]:
    """IS: numbers; what is no integer, or beyond 64 bits, stays text."""
    _, _, offset, length, _ = element
    text = bytes(ds.buffer[offset : offset + length]).decode("latin-1").strip(" \0")
    if "\\" in text:
        return [integer_value(value) for value in text.split("\\")]
    return [integer_value(text)] if text else []


def integer_value(text: str) -> int | str | None:
    """One IS: a number of 64 bits, None where it is empty, else the text."""
    text = text.strip(" \0")
    if not text:
        return None
    if len(text) > _LONGEST_NUMBER or "_" in text:
        return text
    try:
        number = int(text)
    except ValueError:
        decimal = decimal_value(text)
        if not isinstance(decimal, float):
            return text
        number = int(decimal)  # "1.0", and "1.5" as other readers cut it
    return number if -_LARGEST_INTEGER <= number <= _LARGEST_INTEGER else text


@lru_cache(maxsize=1024)
def _numbers_format(byte_order: str, count: int, code: str) -> Struct:
    return Struct(f"{byte_order}{count}{code}")


def _binary_numbers(code: str) -> Reader:
    size = Struct("<" + code).size
    one_little = Struct("<" + code)
    floating = code in "fd"

    def read(ds: DataSet, element: Element) -> list[Any] | None:
        _, _, offset, length, _ = element
        little = ds.syntax.little_endian
        if length == size and little:
            values = one_little.unpack_from(ds.buffer, offset)
        elif length % size:
            return None
        else:
            order = "<" if little else ">"
            values = _numbers_format(order, length // size, code).unpack_from(ds.buffer, offset)
        return [_finite(value) for value in values] if floating else list(values)

    return read


def _finite(value: float) -> float | str:
    if isfinite(value):
        return value
    if value != value:
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _tags(ds: DataSet, element: Element) -> list[Any] | None:
    """AT: tags in hexadecimal."""
    _, _, offset, length, _ = element
    count = length // 4
    if not count:
        return None
    order = "<" if ds.syntax.little_endian else ">"
    words = _numbers_format(order, count * 2, "H").unpack_from(ds.buffer, offset)
    return [f"{group:04X}{word:04X}" for group, word in zip(words[::2], words[1::2], strict=True)]


READERS: dict[str, Reader] = {
    **dict.fromkeys(("AS", "CS", "DA", "DT", "TM", "UI"), _plain),
    **dict.fromkeys(("LO", "SH", "UC"), _strings),
    **dict.fromkeys(("LT", "ST", "UT"), _text),
    "AE": _title,
    "AT": _tags,
    "DS": _decimals,
    "FD": _binary_numbers("d"),
    "FL": _binary_numbers("f"),
    "IS": _integers,
    "PN": _names,
    "SL": _binary_numbers("l"),
    "SS": _binary_numbers("h"),
    "SV": _binary_numbers("q"),
    "UL": _binary_numbers("L"),
    "UR": _uri,
    "US": _binary_numbers("H"),
    "UV": _binary_numbers("Q"),
}
