"""Which attributes may be changed where, and their new values as bytes.

An attribute belongs to a level (PS3.3 by way of `standard.query_keys`): what is said of a study must be
said of all of its objects, or they contradict each other. So an attribute is changed on the level that it
belongs to; those of the patient also for one study, where it was given to the wrong patient. What names
things (UIDs, Patient ID, Accession Number) has verbs of its own, and what says how pixels are to be read is
not for editing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gantry.archive.edits.model import EditRefused
from gantry.archive.records import JsonModel
from gantry.dataset.encode import encode
from gantry.dataset.model_check import BINARY_VRS, checked_model
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError
from gantry.standard.dictionary import keyword_of, multiplicity_of, tag_of, vr_of
from gantry.standard.query_keys import Level, level_of
from gantry.standard.transfer_syntaxes import TransferSyntax

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
ISSUER: Final = 0x00100021
ISSUER_QUALIFIERS: Final = 0x00100024
ACCESSION: Final = 0x00080050
STUDY_INSTANCE_UID: Final = 0x0020000D
ORIGINAL_ATTRIBUTES: Final = 0x04000561
SPECIFIC_CHARACTER_SET: Final = 0x00080005

IDENTIFIERS: Final = frozenset({PATIENT_ID, ISSUER, ACCESSION, STUDY_INSTANCE_UID})
"""What `identifiers` changes, and `modify` does not."""
IDENTIFICATION: Final = (PATIENT_NAME, PATIENT_ID, ISSUER, ISSUER_QUALIFIERS, 0x00100030, 0x00100040)
"""What objects take from the patient that they are given to: name, ID with issuer, birth date, sex."""
OF_STUDY: Final = (0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00081030, 0x00200010)
"""What objects take from the study that they are merged into: date, time, accession, physician."""

_OF_PIXELS: Final = frozenset(
    {
        0x00280002, 0x00280003, 0x00280004, 0x00280006, 0x00280008, 0x00280009, 0x00280010, 0x00280011,
        0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00282000, 0x00280A02,
    }
)  # fmt: skip
_PIXEL_GROUPS: Final = frozenset({0x7FE0, 0x5400})
_REQUIRED: Final = frozenset({PATIENT_NAME, PATIENT_ID, 0x00080020, 0x00080030, 0x00080050, 0x00200010})
"""Of type 2 in the modules of patient and study: emptied, never left out."""

Wanted = dict[int, JsonModel | None]
"""Attributes and what they are to be, in the JSON model; None to leave one out."""


def parsed(changes: Mapping[str, Any]) -> Wanted:
    """The changes by tag, checked against VR and multiplicity. Raises EditRefused, DataSetError."""
    wanted: Wanted = {}
    for name, value in changes.items():
        tag = tag_of(name)
        if tag is None:
            raise EditRefused(f"{name[:64]!r} is neither keyword nor tag of an attribute")
        if tag in wanted:
            raise EditRefused(f"{shown_tag(tag)} is changed twice")
        _refuse_what_nobody_edits(tag)
        if value is None and tag not in _REQUIRED:
            wanted[tag] = None
        else:
            wanted[tag] = _attribute(tag, value)
    return wanted


def require_level(wanted: Wanted, level: Level) -> None:
    """Raise EditRefused for attributes that do not belong to what is edited, or have a verb of their own."""
    for tag in wanted:
        if tag in IDENTIFIERS:
            raise EditRefused(f"{shown_tag(tag)} is an identifier, which has a verb of its own: identifiers")
        if vr_of(tag) == "UI":
            raise EditRefused(f"{shown_tag(tag)} is a UID; UIDs are changed by move, split and identifiers")
        owner = level_of(tag)
        if owner is not level and (owner, level) != (Level.PATIENT, Level.STUDY):
            raise EditRefused(
                f"{shown_tag(tag)} belongs to the {_name(owner)}, and the edit is of {_article(level)}: all "
                f"objects of the {_name(owner)} must say the same"
            )


def require_only(wanted: Wanted, allowed: Sequence[int] | frozenset[int], what: str) -> None:
    """Raise EditRefused for other attributes than these."""
    for tag in wanted:
        if tag not in allowed:
            raise EditRefused(f"{shown_tag(tag)} is not {what}")


def shown_tag(tag: int) -> str:
    """A tag as people read it: keyword and numbers."""
    return f"{keyword_of(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})".lstrip()


def encoded(wanted: Wanted, charset: tuple[str, ...], syntax: TransferSyntax) -> DataSet | None:
    """The new values as they are written in a character set; None where that does not hold them.

    Raises DataSetError for values that cannot be written at all.
    """
    model = {f"{tag:08X}": attribute for tag, attribute in wanted.items() if attribute is not None}
    if charset:
        model["00080005"] = {"vr": "CS", "Value": list(charset)}
    made = scan(encode(model, syntax), syntax)
    return made if made.charset == charset else None


def _refuse_what_nobody_edits(tag: int) -> None:
    group = tag >> 16
    if group == 0x0002:
        raise EditRefused(f"{shown_tag(tag)} is File Meta Information, which says how the file is written")
    if group in _PIXEL_GROUPS or tag in _OF_PIXELS or 0x6000 <= group <= 0x60FF:
        raise EditRefused(f"{shown_tag(tag)} is pixel data, or says how it is read")
    if group & 1:
        raise EditRefused(f"{shown_tag(tag)} is private: only its creator knows what it means")
    if group < 0x0008 or group >= 0xFFFA or not tag & 0xFFFF or not keyword_of(tag):
        raise EditRefused(f"{shown_tag(tag)} is no attribute that can be changed")
    if tag in (SPECIFIC_CHARACTER_SET, ORIGINAL_ATTRIBUTES):
        raise EditRefused(f"{shown_tag(tag)} follows from what is changed")


def _attribute(tag: int, value: object) -> JsonModel:
    vr = vr_of(tag)
    if isinstance(value, dict) and ("Value" in value or "vr" in value) and "Alphabetic" not in value:
        if value.get("vr", vr) != vr:
            raise EditRefused(f"{shown_tag(tag)} has VR {vr}")
        values = value.get("Value", [])
    else:
        values = value if isinstance(value, list) else [value]
    if vr in BINARY_VRS:
        raise EditRefused(f"{shown_tag(tag)} holds binary values, which are not for editing")
    model = checked_model({f"{tag:08X}": {"vr": vr, "Value": [None if v == "" else v for v in values]}})
    attribute: JsonModel = model[f"{tag:08X}"]
    found = attribute.get("Value", [])
    if multiplicity_of(tag) == "1" and vr != "SQ" and len(found) > 1:
        raise EditRefused(f"{shown_tag(tag)} has one value")
    for one in found:
        _check_value(tag, vr, one)
    return attribute


def _check_value(tag: int, vr: str, value: object) -> None:
    """Hold a value against its VR (PS3.5 6.2). Raises DataSetError."""
    # What checks values brings pydicom, half a second that only who edits shall wait for
    from pydicom import config
    from pydicom.valuerep import validate_value

    if isinstance(value, dict) and vr == "SQ":
        for key, attribute in value.items():
            for inner in attribute.get("Value", []):
                _check_value(int(key, 16), attribute["vr"], inner)
    if vr == "SQ" or value is None:
        return
    text = "=".join(map(str, value.values())) if isinstance(value, dict) else value
    if isinstance(text, str):
        if "\\" in text and vr not in ("LT", "ST", "UT"):
            raise DataSetError("a backslash divides values, and is in none", tag=tag)
        if any(ord(c) < 32 and (vr not in ("LT", "ST", "UT") or c not in "\t\n\f\r") for c in text):
            raise DataSetError("a control character", tag=tag)
    try:
        validate_value(vr, text, config.RAISE)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataSetError(f"this is no value of VR {vr} (PS3.5 6.2)", tag=tag) from error


def _name(level: Level) -> str:
    return {Level.PATIENT: "patient", Level.STUDY: "study", Level.SERIES: "series", Level.IMAGE: "instance"}[
        level
    ]


def _article(level: Level) -> str:
    return f"an {_name(level)}" if level is Level.IMAGE else f"a {_name(level)}"
