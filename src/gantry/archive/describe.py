"""From the scan of an arriving object to the record that the index keeps of it.

Only what people search by or see in lists is read: the attributes of the modules above the instance (which
the table of levels names) and a short list of the instance's own. What a record holds is bounded whatever
the object holds: a longer text is cut and a longer sequence left out, and the record says so (B38). The file
keeps all.

Padding is taken off UIDs and identifiers here, once, so that nothing later compares with it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gantry.archive.frames import locate_pixels
from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord, Origin
from gantry.dataset.json_model import to_json_model
from gantry.dataset.json_values import READERS
from gantry.dataset.part10 import FileMeta
from gantry.dataset.scan import DataSet, Element
from gantry.dataset.vr import element_vr
from gantry.standard.query_keys import COMPUTED_KEYS, LEVEL_OF_TAG, Level
from gantry.standard.transfer_syntaxes import transfer_syntax

MAX_TEXT = 1024
"""Characters kept of one value, as many as a query may ask for; the longest short VR has 64 (PS3.5 6.2)."""
MAX_VALUES = 256
"""Values kept of one attribute."""
MAX_ELEMENT_BYTES = 64 * 1024
"""A longer text is read only this far; a longer sequence is left out."""

# Bytes that hold neither more than MAX_TEXT characters nor more than MAX_VALUES values
_SHORT = MAX_VALUES

_TIMEZONE = 0x00080201
_SOP_CLASS_UID = 0x00080016

# Attributes of the instance that lists, searches and viewers ask for before they open the object
_INSTANCE_TAGS = (
    0x00080008, 0x00080012, 0x00080013, 0x00080016, 0x00080018, 0x0008001A, 0x00080022, 0x00080023,
    0x0008002A, 0x00080032, 0x00080033, 0x00080064, 0x00180050, 0x00185101, 0x00200012, 0x00200013,
    0x00200032, 0x00200062, 0x00201041, 0x00204000, 0x00280004, 0x00280008, 0x00280010, 0x00280011,
    0x00280100, 0x0040A043, 0x0040A491, 0x0040A493, 0x00420010, 0x00700080, 0x00700081,
)  # fmt: skip

INDEXED_LEVELS: dict[int, Level] = {
    **dict.fromkeys(_INSTANCE_TAGS, Level.IMAGE),
    **{tag: level for tag, level in LEVEL_OF_TAG.items() if tag not in COMPUTED_KEYS},
}
"""Which attributes a record holds, and at which level; all others are read from the file when asked for."""


def describe(
    meta: FileMeta,
    ds: DataSet,
    *,
    key: InstanceKey,
    file_size: int,
    dataset_sha256: bytes,
    meta_sha256: bytes,
    received_at: datetime,
    path: str = "",
    origin: Origin | None = None,
) -> ObjectRecord:
    """The record of an object.

    `key` holds its UIDs without padding; `ds` lies in the bytes of the file itself, unless those are
    deflated: then pixels have no place in the file and are not located.
    """
    levels, truncated = _attributes(ds)
    patient, study, series, instance = levels
    study["0020000D"] = {"vr": "UI", "Value": [key.study_uid]}
    series["0020000E"] = {"vr": "UI", "Value": [key.series_uid]}
    # VM 1; a second value would make the series two modalities, which no list of modalities could tell
    if len(modality := series.get("00080060", {}).get("Value", ())) > 1:
        del modality[1:]
    instance["00080018"] = {"vr": "UI", "Value": [key.sop_uid]}
    return ObjectRecord(
        key=key,
        sop_class_uid=ds.text(_SOP_CLASS_UID) or "",
        transfer_syntax_uid=meta.transfer_syntax_uid,
        path=path,
        file_size=file_size,
        dataset_offset=meta.dataset_offset,
        dataset_sha256=dataset_sha256,
        meta_sha256=meta_sha256,
        received_at=received_at,
        origin=origin or Origin(),
        pixel=None if transfer_syntax(meta.transfer_syntax_uid).deflated else locate_pixels(ds),
        patient=patient,
        study=study,
        series=series,
        instance=instance,
        truncated=truncated,
    )


def _attributes(ds: DataSet) -> tuple[tuple[JsonModel, JsonModel, JsonModel, JsonModel], bool]:
    """The attributes of the four levels, and whether something was cut."""
    levels: tuple[JsonModel, JsonModel, JsonModel, JsonModel] = ({}, {}, {}, {})
    truncated = False
    elements = ds.elements
    for tag in elements.keys() & INDEXED_LEVELS.keys():
        element = elements[tag]
        found = _json_element(ds, element)
        if found is None:
            truncated = True
            continue
        if element[3] >= _SHORT and found["vr"] != "SQ" and "Value" in found:
            truncated |= _cut(found["Value"])
        levels[INDEXED_LEVELS[tag]][f"{tag:08X}"] = found
    if _TIMEZONE in ds.elements:
        zone = _json_element(ds, ds.elements[_TIMEZONE])
        for attributes in levels[1:]:
            attributes["00080201"] = zone
    return levels, truncated


def _json_element(ds: DataSet, element: Element) -> JsonModel | None:
    """One attribute in the JSON model; None when it is too long, or no text, number or sequence."""
    _, vr, _, length, _ = element
    if ds.syntax.implicit_vr or vr == "UN":
        vr = element_vr(ds, element)
    if vr == "SQ":
        if length > MAX_ELEMENT_BYTES:
            return None
        items = [to_json_model(item) for item in ds.items(element[0])]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    reader = READERS.get(vr)
    if reader is None or not length:
        return {"vr": vr} if not length else None
    if length > MAX_ELEMENT_BYTES:
        element = (element[0], element[1], element[2], MAX_ELEMENT_BYTES, False)
    values = reader(ds, element)
    return {"vr": vr, "Value": values} if values else {"vr": vr}


def _cut(values: list[Any]) -> bool:
    """Shorten what is too long, in place; whether anything was."""
    cut = len(values) > MAX_VALUES
    del values[MAX_VALUES:]
    for i, value in enumerate(values):
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                values[i], cut = value[:MAX_TEXT], True
        elif isinstance(value, dict):
            cut |= _cut_item(value)
    return cut


def _cut_item(item: JsonModel) -> bool:
    """The same for a person name or an Item of a sequence; sequences are bounded by their bytes."""
    cut = False
    for group, text in item.items():
        if isinstance(text, str) and len(text) > MAX_TEXT:
            item[group], cut = text[:MAX_TEXT], True
    return cut
