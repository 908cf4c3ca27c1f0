"""What a DICOM JSON Model from outside must be before other code may rely on it (PS3.18 F.2).

`checked_model` builds the model anew from parsed JSON or XML, so that nothing unchecked is carried along, in
one canonical form: tags in upper case and ascending, an empty value among several as the writer in
`json_model` has it, no "Value" where there is no value, always one for a sequence. Names that PS3.18 does not
know are dropped.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from math import isfinite
from typing import Any, NoReturn

from gantry.dataset.limits import MAX_ELEMENTS, MAX_ITEMS, MAX_NESTING, MAX_TEXT_BYTES
from gantry.dataset.person_name import GROUPS
from gantry.errors import DataSetError

JsonModel = dict[str, Any]

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)  # fmt: skip
_INTEGER_RANGES = {
    "SL": (-(1 << 31), (1 << 31) - 1),
    "SS": (-(1 << 15), (1 << 15) - 1),
    "SV": (-(1 << 63), (1 << 63) - 1),
    "UL": (0, (1 << 32) - 1),
    "US": (0, (1 << 16) - 1),
    "UV": (0, (1 << 64) - 1),
}
_LARGEST_INTEGER = (1 << 63) - 1
NOT_FINITE = frozenset({"NaN", "Infinity", "-Infinity"})
_HEXADECIMAL = frozenset("0123456789ABCDEFabcdef")
_CONTENTS = ("Value", "BulkDataURI", "InlineBinary")


def checked_model(value: object) -> JsonModel:
    """The model, checked and canonical. Raises DataSetError, naming the attribute at fault."""
    return _Check().data_set(value, depth=0, inside=None)


class _Check:
    """One pass over one model; what it may still hold."""

    def __init__(self) -> None:
        self.elements_left = MAX_ELEMENTS
        self.items_left = MAX_ITEMS

    def data_set(self, value: object, depth: int, inside: int | None) -> JsonModel:
        if value is None:
            return {}
        if not isinstance(value, dict):
            _refuse("a Data Set is a JSON object", inside)
        if depth > MAX_NESTING:
            _refuse(f"more than {MAX_NESTING} sequences in one another", inside)
        self.elements_left -= len(value)
        if self.elements_left < 0:
            _refuse(f"more than {MAX_ELEMENTS} elements", inside)
        model: JsonModel = {}
        for key, attribute in value.items():
            tag = _tag(key, inside)
            name = f"{tag:08X}"
            if name in model:
                _refuse("an attribute that comes twice", tag)
            model[name] = self._attribute(tag, attribute, depth)
        return dict(sorted(model.items()))

    def _attribute(self, tag: int, attribute: object, depth: int) -> JsonModel:
        if not isinstance(attribute, dict):
            _refuse("an attribute is a JSON object", tag)
        vr = attribute.get("vr")
        if not isinstance(vr, str) or not (vr in _CHECKS or vr in BINARY_VRS or vr == "SQ"):
            _refuse("an attribute names its vr", tag)
        given = [name for name in _CONTENTS if attribute.get(name) is not None]
        if len(given) > 1:
            _refuse(f"an attribute with both {given[0]} and {given[1]}", tag)
        if not given:
            return {"vr": vr, "Value": []} if vr == "SQ" else {"vr": vr}
        content = attribute[given[0]]
        if given[0] == "Value":
            return self._values(tag, vr, content, depth)
        if isinstance(content, list) and len(content) == 1:
            content = content[0]  # an example in PS3.18 F.4 has it so, and so have programs
        text = _string(content, tag, limit=None)
        if given[0] == "BulkDataURI":
            return {"vr": vr, "BulkDataURI": text}
        return {"vr": vr, "InlineBinary": text} if _check_base64(text, tag) else {"vr": vr}

    def _values(self, tag: int, vr: str, values: object, depth: int) -> JsonModel:
        if not isinstance(values, list):
            _refuse("Value is an array", tag)
        if vr in BINARY_VRS:
            if values:
                _refuse(f"a {vr} has InlineBinary or BulkDataURI, not Value", tag)
            return {"vr": vr}
        self.items_left -= len(values)
        if self.items_left < 0:
            _refuse(f"more than {MAX_ITEMS} items and values", tag)
        if vr == "SQ":
            return {"vr": vr, "Value": [self.data_set(item, depth + 1, tag) for item in values]}
        check = _CHECKS[vr]
        checked = [check(value, vr, tag) for value in values]
        if not checked or (len(checked) == 1 and checked[0] in _EMPTY_ALONE):
            return {"vr": vr}
        return {"vr": vr, "Value": checked}


_EMPTY_ALONE: tuple[object, ...] = (None, "", {"Alphabetic": ""})


def _refuse(cause: str, tag: int | None) -> NoReturn:
    raise DataSetError(f"not a DICOM JSON Model: {cause}", tag=tag)


def _tag(key: object, inside: int | None) -> int:
    if isinstance(key, str) and len(key) == 8 and _HEXADECIMAL.issuperset(key):
        return int(key, 16)
    _refuse("an attribute's name is its tag, eight hexadecimal digits", inside)


def _string(value: object, tag: int, limit: int | None = MAX_TEXT_BYTES) -> str:
    if not isinstance(value, str):
        _refuse(f"text expected, not {_kind(value)}", tag)
    if limit is not None and len(value) > limit:
        _refuse(f"a text value of {len(value)} characters, more than {limit}", tag)
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            _refuse("text with half of a surrogate pair", tag)
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, (int, float)) else "text")


def _check_base64(text: str, tag: int) -> int:
    """The number of bytes in `text`. Only the canonical form passes: no line ends, the right padding."""
    try:
        return len(a2b_base64(text, strict_mode=True))
    except (Base64Error, ValueError) as error:
        raise DataSetError("not a DICOM JSON Model: InlineBinary is not base64", tag=tag) from error


def _text(value: object, vr: str, tag: int) -> str:
    return "" if value is None else _string(value, tag)


def _number_or_text(value: object, vr: str, tag: int) -> object:
    """DS and IS: PS3.18 Table F.2.3-1 has them as numbers or as the text of one."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _string(value, tag)
    return _number(value, vr, tag)


def _float(value: object, vr: str, tag: int) -> object:
    if isinstance(value, str) and value in NOT_FINITE:
        return value
    return _number(value, vr, tag)


def _number(value: object, vr: str, tag: int) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _refuse(f"a number expected, not {_kind(value)}", tag)
    if isinstance(value, float) and not isfinite(value):
        _refuse("a number beyond what a double holds", tag)
    if isinstance(value, int) and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
        _refuse("an integer beyond 64 bits", tag)
    return value


def _integer(value: object, vr: str, tag: int) -> int:
    if isinstance(value, str) and vr in ("SV", "UV") and len(value) <= 20:
        try:
            value = int(value)  # PS3.18 Table F.2.3-1: text for those that cannot hold 64 bits
        except ValueError:
            _refuse("an integer expected, not text", tag)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        _refuse(f"an integer expected, not {_kind(value)}", tag)
    least, most = _INTEGER_RANGES[vr]
    if not least <= value <= most:
        _refuse(f"{vr} holds {least} to {most}", tag)
    return value


def _name(value: object, vr: str, tag: int) -> JsonModel:
    if value is None:
        return {"Alphabetic": ""}
    if isinstance(value, str):
        value = {"Alphabetic": value}  # not the standard's form, and sent all the same
    if not isinstance(value, dict):
        _refuse(f"a person name is an object, not {_kind(value)}", tag)
    groups = {group: _text(value.get(group), vr, tag) for group in GROUPS}
    while len(groups) > 1 and not groups[next(reversed(groups))]:
        groups.popitem()
    return groups


def _attribute_tag(value: object, vr: str, tag: int) -> str:
    text = _string(value, tag)
    if len(text) != 8 or not _HEXADECIMAL.issuperset(text):
        _refuse("an AT value is eight hexadecimal digits", tag)
    return text.upper()


_CHECKS: dict[str, Callable[[object, str, int], object]] = {
    **dict.fromkeys(_TEXT_VRS, _text),
    **dict.fromkeys(("DS", "IS"), _number_or_text),
    **dict.fromkeys(("FD", "FL"), _float),
    **dict.fromkeys(_INTEGER_RANGES, _integer),
    "AT": _attribute_tag,
    "PN": _name,
}
