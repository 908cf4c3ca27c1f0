"""The DICOM JSON Model (PS3.18 Annex F) of a Data Set, and back from what a peer sends.

Out: `to_json_model` gives the dict, `to_json` the bytes. Bulk data leaves as a BulkDataURI that the caller
makes from the attribute's path, or inline, or not at all. What a value is follows pydicom's
`Dataset.to_json_dict`, so that programs reading either see the same; that includes three places where it
departs from the letter of Annex F: one empty value among several is "", an empty sequence has an empty
"Value", and group lengths are kept. Beyond it, because a server may not fail on one odd value:

- a DS or IS that is no number stays the text it is, and so does one that JSON cannot hold as a number
  (infinite, or beyond 64 bits); PS3.18 Table F.2.3-1 allows both forms. Empty ones among several are null;
- an FL or FD that is not finite is one of the strings "NaN", "Infinity", "-Infinity";
- a binary value whose length does not fit its VR leaves as UN, inline;
- an attribute that implicit VR left open (US or SS, private attributes of known creators) gets its VR from
  the attributes around it (see `vr`).

In: `from_json` checks everything that later code relies on. Nothing from outside decides how deep we recurse
or how large a number becomes.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from gantry.dataset.json_values import READERS
from gantry.dataset.model_check import JsonModel, checked_model
from gantry.dataset.scan import DataSet, Element
from gantry.dataset.vr import element_vr, is_open
from gantry.errors import DataSetError
from gantry.standard.dictionary import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA

__all__ = [
    "INLINE_LIMIT",
    "PIXEL_TAGS",
    "BulkUri",
    "JsonModel",
    "from_json",
    "list_from_json",
    "to_json",
    "to_json_model",
]

BulkUri = Callable[[str, Element], str]
"""Called with the path of an attribute (``7FE00010``, or ``54000100/1/54001010`` inside the first Item of a
sequence) and its element; answers the BulkDataURI."""

INLINE_LIMIT = (
    1024  # bytes of a binary value that still travel inside the JSON: pydicom's default, one packet
)

PIXEL_TAGS = frozenset({PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA})

_TEXT_LIMIT = 1 << 20  # longer texts leave as bulk data where there is somebody to serve it


@dataclass(frozen=True, slots=True)
class _Form:
    """How bulk data is to leave."""

    bulk_uri: BulkUri | None
    inline_limit: int
    inline_pixel_data: bool


def to_json_model(
    ds: DataSet,
    *,
    bulk_uri: BulkUri | None = None,
    inline_limit: int = INLINE_LIMIT,
    inline_pixel_data: bool = False,
) -> JsonModel:
    """The Data Set as a DICOM JSON Model object, attributes in ascending order.

    With `bulk_uri`, binary values above `inline_limit` bytes and pixel data of any size are BulkDataURIs.
    Without it, binary values are all inline; pixel data is inline if `inline_pixel_data`, else left out.
    """
    return _model(ds, "", _Form(bulk_uri, inline_limit, inline_pixel_data))


def to_json(
    ds: DataSet,
    *,
    bulk_uri: BulkUri | None = None,
    inline_limit: int = INLINE_LIMIT,
    inline_pixel_data: bool = False,
) -> bytes:
    """As `to_json_model`, as UTF-8."""
    return _encode(_model(ds, "", _Form(bulk_uri, inline_limit, inline_pixel_data)))


_encode = msgspec.json.Encoder().encode


def _model(ds: DataSet, path: str, form: _Form) -> JsonModel:
    model: JsonModel = {}
    elements = ds.elements
    implicit = ds.syntax.implicit_vr
    for tag in sorted(elements):
        element = elements[tag]
        vr = element[1]
        if vr == "UN" or (implicit and is_open(tag)):
            vr = element_vr(ds, element)
        key = f"{tag:08X}"
        reader = READERS.get(vr)
        if reader is not None and element[3] <= _TEXT_LIMIT:
            if not element[3]:
                model[key] = {"vr": vr}
                continue
            values = reader(ds, element)
            if values is None:
                model[key] = _binary(ds, element, "UN", path + key, form)
            else:
                model[key] = {"vr": vr, "Value": values} if values else {"vr": vr}
        elif vr == "SQ":
            model[key] = {"vr": vr, "Value": _items(ds, tag, path + key, form)}
        elif tag not in PIXEL_TAGS or form.bulk_uri is not None or form.inline_pixel_data:
            model[key] = _binary(ds, element, vr, path + key, form)
    return model


def _items(ds: DataSet, tag: int, path: str, form: _Form) -> list[JsonModel]:
    return [_model(item, f"{path}/{number}/", form) for number, item in enumerate(ds.items(tag), 1)]


def _binary(ds: DataSet, element: Element, vr: str, path: str, form: _Form) -> JsonModel:
    tag, _, offset, length, _ = element
    if not length:
        return {"vr": vr}
    if form.bulk_uri is not None and (length > form.inline_limit or tag in PIXEL_TAGS):
        return {"vr": vr, "BulkDataURI": form.bulk_uri(path, element)}
    reader = READERS.get(vr)
    if reader is not None:
        return {"vr": vr, "Value": reader(ds, element)}
    raw = memoryview(ds.buffer)[offset : offset + length]
    return {"vr": vr, "InlineBinary": b2a_base64(raw, newline=False).decode("ascii")}


def from_json(data: bytes | bytearray | memoryview | str | Mapping[str, Any]) -> JsonModel:
    """The model in what a peer sent, checked (see `model_check`): bytes of JSON, or JSON already parsed.

    An array that holds one object is taken for that object. Raises DataSetError.
    """
    models = list_from_json(data)
    if len(models) != 1:
        raise DataSetError(f"one Data Set expected, not an array of {len(models)}")
    return models[0]


def list_from_json(
    data: bytes | bytearray | memoryview | str | Mapping[str, Any] | list[Any],
) -> list[JsonModel]:
    """The models in an array, or in a single object, of JSON (PS3.18 F.2.1). Raises DataSetError."""
    parsed = data if isinstance(data, (Mapping, list)) else _parsed(data)
    if isinstance(parsed, Mapping):
        parsed = [parsed]
    if not isinstance(parsed, list):
        raise DataSetError("not a DICOM JSON Model: neither an object nor an array")
    if any(not isinstance(item, Mapping) for item in parsed):
        raise DataSetError("not a DICOM JSON Model: an array of something else than objects")
    return [checked_model(dict(item)) for item in parsed]


def _parsed(data: bytes | bytearray | memoryview | str) -> object:
    """JSON by RFC 8259 to the letter, each name once in its object."""
    try:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:  # the decoder stops itself long before the stack ends
        raise DataSetError("not JSON: objects or arrays in one another without end") from None
    except ValueError as error:
        raise DataSetError(f"not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object with the same name twice")
    return found


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
