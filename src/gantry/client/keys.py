"""Query keys as people write them, ``{"PatientName": "Doe*"}``, as a DICOM JSON model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gantry.errors import QueryError
from gantry.standard.dictionary import tag_of, vr_of

Keys = Mapping[str, Any]
"""Keyword or ``GGGGEEEE`` to a value, a list of values, None or "" to ask for it, or a JSON attribute."""

_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_DECIMAL_VRS = frozenset({"DS", "FD", "FL"})


def keys_model(keys: Keys) -> dict[str, Any]:
    """`keys` as a DICOM JSON model (PS3.18 F.2). Raises QueryError for an attribute nobody knows."""
    model: dict[str, Any] = {}
    for name, value in keys.items():
        tag = tag_of(name)
        if tag is None:
            raise QueryError(f"{name!r} is neither a keyword nor GGGGEEEE")
        model[f"{tag:08X}"] = _attribute(tag, value)
    return model


def _attribute(tag: int, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and "vr" in value:
        return dict(value)
    vr = vr_of(tag)
    if isinstance(value, Mapping):
        return {"vr": "SQ", "Value": [keys_model(value)]}
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    values = [v for v in values if v is not None and v != ""]
    if not values:
        return {"vr": vr, "Value": [{}]} if vr == "SQ" else {"vr": vr}
    return {"vr": vr, "Value": [_value(vr, v) for v in values]}


def _value(vr: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return keys_model(value) if vr == "SQ" else dict(value)
    if vr == "PN":
        return {"Alphabetic": str(value)}
    try:
        if vr in _INTEGER_VRS:
            return int(value)
        if vr in _DECIMAL_VRS:
            return float(value)
    except (TypeError, ValueError) as error:
        raise QueryError(f"{value!r} is not a number, which a key of VR {vr} needs") from error
    return str(value)
