"""The Identifier of a C-FIND, C-GET or C-MOVE, read and held against its information model (PS3.4 C.3, C.4).

Hierarchical queries, the rule unless relational ones were negotiated, name the level and give a single value
for the unique key of every level above it. What breaks that is answered with A900.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gantry.dataset.json_model import to_json_model
from gantry.dataset.scan import scan
from gantry.server.outcome import IdentifierMismatch
from gantry.standard.query_keys import (
    LEVEL_NAMES,
    MODEL_LEVELS,
    QUERY_RETRIEVE_LEVEL,
    UNIQUE_KEYS,
    InformationModel,
    Level,
)
from gantry.standard.transfer_syntaxes import TransferSyntax

SPECIFIC_CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_VIEW = 0x00080053
TIMEZONE_OFFSET = 0x00080201

VIEWS = frozenset({"CLASSIC", "ENHANCED"})
"""Query/Retrieve View (PS3.4 C.6.1.1.4). Nothing is converted here, so both show the stored instances."""

_NO_KEYS = frozenset({SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, QUERY_RETRIEVE_VIEW})
"""What an Identifier holds beside its keys."""

Attribute = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Identifier:
    """A level, the keys asked for by tag, and the character set that the peer used and understands."""

    level: Level
    keys: Mapping[int, Attribute]
    character_set: Attribute | None

    def values(self, tag: int) -> list[str]:
        """The values of a key as text, without empty ones."""
        return [str(v) for v in self.keys.get(tag, {}).get("Value", []) if v not in (None, "")]


def read_identifier(
    data: bytes, syntax: TransferSyntax, model: InformationModel, *, relational: bool
) -> Identifier:
    """The Identifier in `data`. Raises IdentifierMismatch, or DataSetError where it is no Data Set."""
    attributes = {int(tag, 16): value for tag, value in to_json_model(scan(data, syntax)).items()}
    level = _level(attributes, model)
    view = _single(attributes, QUERY_RETRIEVE_VIEW)
    if view not in ("", *VIEWS):
        raise IdentifierMismatch("Query/Retrieve View (0008,0053) is neither CLASSIC nor ENHANCED")
    keys = {tag: value for tag, value in attributes.items() if tag not in _NO_KEYS and tag & 0xFFFF}
    identifier = Identifier(level, keys, attributes.get(SPECIFIC_CHARACTER_SET))
    if not relational:
        _check_keys_above(identifier, model)
    return identifier


def _level(attributes: Mapping[int, Attribute], model: InformationModel) -> Level:
    name = _single(attributes, QUERY_RETRIEVE_LEVEL)
    level = LEVEL_NAMES.get(name)
    if level is None:
        raise IdentifierMismatch("Query/Retrieve Level (0008,0052) is missing or is no level")
    if level not in MODEL_LEVELS[model]:
        raise IdentifierMismatch(f"{name} is no level of the {model.value} model")
    return level


def _check_keys_above(identifier: Identifier, model: InformationModel) -> None:
    for level in MODEL_LEVELS[model]:
        if level >= identifier.level:
            return
        tag = UNIQUE_KEYS[level]
        values = identifier.values(tag)
        if len(values) != 1 or "*" in values[0] or "?" in values[0]:
            raise IdentifierMismatch(
                f"a query at {identifier.level.name} level needs one value of the unique key "
                f"({tag >> 16:04X},{tag & 0xFFFF:04X}) above it"
            )


def _single(attributes: Mapping[int, Attribute], tag: int) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0] or "").strip()
