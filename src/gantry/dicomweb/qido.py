"""QIDO-RS: a search request from path and query string (PS3.18 8.3.4 and 10.6).

The answer is a `SearchRequest`: level, keys as one DICOM JSON Model object (so that a C-FIND Identifier
and a QIDO query become the same thing), attributes to include, paging, and the warnings that the
response must carry in ``Warning: 299`` fields.

What is refused and what is warned of: a name that is no attribute, a value that its VR cannot hold, a
repeated key and a negative limit are answered 400, because ignoring them would answer another question
than was asked. A limit above the server's and an unknown includefield are clamped or skipped, with a
warning: the answer is still true, only shorter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gantry.dicomweb.parameters import boolean, split_query, unsigned
from gantry.errors import WebRequestError
from gantry.standard.dictionary import tag_of, vr_of
from gantry.standard.query_keys import Level

JsonModel = dict[str, Any]
TagPath = tuple[int, ...]

MAX_PATH_DEPTH = 16
"""Deepest attribute path; PS3.18's own example has three."""

MAX_INCLUDE_FIELDS = 500
"""Most attributes asked for by name; whoever wants more asks for all."""

MAX_VALUE_CHARS = 1024
"""Longest text value of a key: 16 times the longest VR that is matched."""

MAX_UIDS = 1000
"""Most UIDs in one list; a URL of 32 KiB holds about 500 of full length."""

_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_DECIMAL_VRS = frozenset({"DS", "FD", "FL"})
_TAG_VR = "AT"
_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_INTEGER = re.compile(r" *[+-]?[0-9]{1,20} *")
_DECIMAL = re.compile(r" *[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})? *")
_HEX_TAG = re.compile(r"[0-9A-Fa-f]{8}")

_STUDY_INSTANCE_UID = "0020000D"
_SERIES_INSTANCE_UID = "0020000E"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. `limit` is within the server's; `keys` is a DICOM JSON Model object."""

    level: Level
    keys: JsonModel
    include: tuple[TagPath, ...] = ()
    include_all: bool = False
    limit: int = 0
    offset: int = 0
    fuzzy: bool = False
    empty_value: bool = False
    multiple_value: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Controls:
    """Parameters that steer the search rather than match."""

    limit: int
    offset: int = 0
    fuzzy: bool = False
    empty_value: bool = False
    multiple_value: bool = False


def parse(
    level: Level,
    query: str,
    *,
    study_uid: str | None = None,
    series_uid: str | None = None,
    max_results: int,
) -> SearchRequest:
    """Read a search. UIDs from the path become keys. Raises WebRequestError 400 or 414.

    `max_results` is the most that one answer holds: the limit where none is given.
    """
    pairs = split_query(query)
    warnings: list[str] = []
    controls, matches, fields = _sort(pairs, max_results, warnings)
    include, include_all = _include_fields(fields, warnings)
    keys: JsonModel = {}
    for path, values in _grouped(matches).items():
        _put(keys, path, _key_value(path, values, multiple=controls.multiple_value))
    _bind(keys, _STUDY_INSTANCE_UID, study_uid)
    _bind(keys, _SERIES_INSTANCE_UID, series_uid)
    return SearchRequest(
        level,
        keys,
        include,
        include_all,
        controls.limit,
        controls.offset,
        controls.fuzzy,
        controls.empty_value,
        controls.multiple_value,
        tuple(warnings),
    )


def _sort(
    pairs: Sequence[tuple[str, str]], max_results: int, warnings: list[str]
) -> tuple[_Controls, list[tuple[str, str]], list[str]]:
    """Split parameters into controls, matches and include fields."""
    controls = _Controls(max_results)
    matches: list[tuple[str, str]] = []
    fields: list[str] = []
    seen: set[str] = set()
    for name, value in pairs:
        if name == "includefield":
            fields += [field.strip() for field in value.split(",") if field.strip()]
            continue
        if name in _CONTROL_NAMES:
            if name in seen:
                raise WebRequestError(400, f"the parameter {name} is given twice")
            seen.add(name)
            _control(controls, name, value, max_results, warnings)
        else:
            matches.append((name, value))
    if len(fields) > MAX_INCLUDE_FIELDS:
        raise WebRequestError(400, f"more than {MAX_INCLUDE_FIELDS} attributes in includefield; ask for all")
    return controls, matches, fields


_CONTROL_NAMES = frozenset(
    {"limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching", "accept", "charset"}
)


def _control(controls: _Controls, name: str, value: str, max_results: int, warnings: list[str]) -> None:
    match name:
        case "limit":
            controls.limit = unsigned(name, value)
            if controls.limit > max_results:
                warnings.append(
                    f"limit={controls.limit} was reduced to {max_results}, the most one answer holds"
                )
                controls.limit = max_results
        case "offset":
            controls.offset = unsigned(name, value)
        case "fuzzymatching":
            controls.fuzzy = boolean(name, value)
        case "emptyvaluematching":
            controls.empty_value = boolean(name, value)
        case "multiplevaluematching":
            controls.multiple_value = boolean(name, value)


def _include_fields(fields: Sequence[str], warnings: list[str]) -> tuple[tuple[TagPath, ...], bool]:
    include: list[TagPath] = []
    unknown: list[str] = []
    for field in fields:
        if field == "all":
            continue
        path = attribute_path(field)
        if path is None:
            unknown.append(field)
        else:
            include.append(path)
    if unknown:
        # The names go back in a header: only what cannot break one.
        shown = ", ".join(ascii(name[:40])[1:-1] for name in unknown[:10])
        warnings.append(f"includefield: no such attribute, ignored: {shown}")
    return tuple(dict.fromkeys(include)), "all" in fields


def attribute_path(text: str) -> TagPath | None:
    """The tags of ``00400275.00400009`` or ``RequestAttributesSequence.ScheduledProcedureStepID``.

    None where a step is neither a tag nor a keyword, or the path is deeper than `MAX_PATH_DEPTH`.
    """
    steps = text.split(".", MAX_PATH_DEPTH)
    if len(steps) > MAX_PATH_DEPTH:
        return None
    path: list[int] = []
    for step in steps:
        tag = int(step, 16) if _HEX_TAG.fullmatch(step) else tag_of(step) if step.isalnum() else None
        if tag is None:
            return None
        path.append(tag)
    return tuple(path)


def _grouped(matches: Sequence[tuple[str, str]]) -> dict[TagPath, list[str]]:
    grouped: dict[TagPath, list[str]] = {}
    for name, value in matches:
        path = attribute_path(name)
        if path is None:
            raise WebRequestError(400, f"{name[:80]!r} is no attribute: a tag, a keyword or a path of them")
        if len(value) > MAX_VALUE_CHARS and vr_of(path[-1]) != "UI":
            raise WebRequestError(400, f"{name}: the value is longer than {MAX_VALUE_CHARS} characters")
        grouped.setdefault(path, []).append(value)
    return grouped


def _key_value(path: TagPath, values: Sequence[str], *, multiple: bool) -> JsonModel:
    """The attribute object of one key."""
    tag, name = path[-1], ".".join(f"{t:08X}" for t in path)
    vr = vr_of(tag)
    # PS3.18 8.3.4.1: a key stands once, except that several UIDs are a list.
    if len(values) > 1 and vr != "UI":
        raise WebRequestError(400, f"the key {name} is given {len(values)} times")
    if vr == "SQ":
        if values != [""]:
            raise WebRequestError(400, f"{name} is a sequence: name an attribute inside it")
        return {"vr": vr}
    if vr in _BULK_VRS and values != [""]:
        raise WebRequestError(400, f"{name} has value representation {vr}, which cannot be matched")
    items = _split(vr, values, name, multiple=multiple)
    if not items:
        return {"vr": vr}
    return {"vr": vr, "Value": [_typed(vr, item, name) for item in items]}


def _split(vr: str, values: Sequence[str], name: str, *, multiple: bool) -> list[str]:
    if vr == "UI":
        uids = [uid.strip() for value in values for uid in re.split(r"[,\\]", value)]
        if len(uids) > MAX_UIDS:
            raise WebRequestError(400, f"{name}: more than {MAX_UIDS} UIDs")
        return [uid for uid in uids if uid]
    items = values[0].split("\\") if multiple else [values[0]]
    return items if any(items) else []


def _typed(vr: str, text: str, name: str) -> object:
    """`text` as the JSON value of its VR (PS3.18 F.2.3)."""
    if vr == "PN":
        return {group: part for group, part in zip(_NAME_GROUPS, text.split("=", 2), strict=False) if part}
    if vr in _INTEGER_VRS:
        if not _INTEGER.fullmatch(text):
            raise WebRequestError(400, f"{name}={text[:40]!r} is not an integer")
        return int(text)
    if vr in _DECIMAL_VRS:
        if not _DECIMAL.fullmatch(text):
            raise WebRequestError(400, f"{name}={text[:40]!r} is not a number")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise WebRequestError(400, f"{name}={text[:40]!r} is out of range")
        return number
    if vr == _TAG_VR:
        tag = tag_of(text)
        if tag is None:
            raise WebRequestError(400, f"{name}={text[:40]!r} is not a tag")
        return f"{tag:08X}"
    if "\0" in text:
        raise WebRequestError(400, f"{name}: the value holds a NUL")
    return text


def _put(keys: JsonModel, path: TagPath, value: JsonModel) -> None:
    """Place a key at its path; keys of one sequence share one item (PS3.4 C.2.2.2.6)."""
    level = keys
    for tag in path[:-1]:
        if vr_of(tag) not in ("SQ", "UN"):
            raise WebRequestError(400, f"{tag:08X} in an attribute path is not a sequence")
        sequence = level.setdefault(f"{tag:08X}", {"vr": "SQ"})
        level = sequence.setdefault("Value", [{}])[0]
    name = f"{path[-1]:08X}"
    if value["vr"] == "SQ":
        level.setdefault(name, value)
    else:
        level[name] = value


def _bind(keys: JsonModel, name: str, uid: str | None) -> None:
    """Add a UID of the path; a key that names others as well leaves what both have in common."""
    if uid is None:
        return
    asked = keys.get(name, {}).get("Value")
    if asked and uid not in asked:
        raise WebRequestError(400, f"{name} in the query is another one than in the path")
    keys[name] = {"vr": "UI", "Value": [uid]}
