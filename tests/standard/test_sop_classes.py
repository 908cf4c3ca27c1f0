"""The table of SOP classes against pydicom's dictionary and the standard's own tables."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydicom._uid_dict import UID_dictionary

from gantry.standard import sop_classes
from gantry.standard.sop_classes import (
    NON_PATIENT_STORAGE,
    SOP_CLASSES,
    STORAGE_SOP_CLASSES,
    is_storage,
    name_of,
)
from support import shared_root

_OF_PYDICOM = {
    uid: entry for uid, entry in UID_dictionary.items() if entry[1] in ("SOP Class", "Meta SOP Class")
}
_STORAGE_BY_NAME_ONLY = {
    "1.2.840.10008.1.3.10",  # Media Storage Directory
    "1.2.840.10008.1.20.1",  # Storage Commitment
    "1.2.840.10008.1.20.2",
}


def test_every_sop_class_pydicom_knows_is_there() -> None:
    assert set(_OF_PYDICOM) <= set(SOP_CLASSES)
    for uid, (name, _, _, retired, _) in _OF_PYDICOM.items():
        if name:
            assert (SOP_CLASSES[uid].name, SOP_CLASSES[uid].retired) == (name, bool(retired))


def test_every_storage_uid_pydicom_knows_is_storage() -> None:
    named = {uid for uid, entry in _OF_PYDICOM.items() if "Storage" in entry[0]}
    assert named - _STORAGE_BY_NAME_ONLY <= STORAGE_SOP_CLASSES


def test_nothing_else_is_storage() -> None:
    for uid in STORAGE_SOP_CLASSES:
        assert "Storage" in SOP_CLASSES[uid].name or SOP_CLASSES[uid].retired
    for uid in (sop_classes.VERIFICATION, sop_classes.STUDY_ROOT_FIND, *_STORAGE_BY_NAME_ONLY, "1.2.3", ""):
        assert not is_storage(uid)


def table(name: str) -> Any:
    """A shared table of the standard; skips without it."""
    root = shared_root()
    if root is None or not (root / "standard" / name).is_file():
        pytest.skip("the shared tables of the standard (../shared/standard) are not on this machine")
    return json.loads((root / "standard" / name).read_text(encoding="utf-8"))


def test_every_storage_class_of_the_standards_own_table_is_there() -> None:
    rows = table("sops.json")
    assert rows
    missing = {row["id"] for row in rows if not is_storage(row["id"])}
    assert missing <= {sop_classes.MEDIA_STORAGE_DIRECTORY}


def test_objects_without_a_study_are_those_of_the_standards_own_tables() -> None:
    of_name = {row["name"]: row["id"] for row in table("ciods.json")}
    with_study = {
        row["ciodId"] for row in table("ciod_to_modules.json") if row["moduleId"] == "general-study"
    }
    without = {row["id"] for row in table("sops.json") if of_name[row["ciod"]] not in with_study}
    assert without - {sop_classes.MEDIA_STORAGE_DIRECTORY} == NON_PATIENT_STORAGE
    assert NON_PATIENT_STORAGE <= STORAGE_SOP_CLASSES


@pytest.mark.parametrize(
    ("uid", "kind"),
    [
        (sop_classes.CT_IMAGE, "storage"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "storage"),
        ("1.2.840.10008.5.1.4.38.1", "storage"),
        (sop_classes.PATIENT_STUDY_ONLY_FIND, "query"),
        (sop_classes.STUDY_ROOT_MOVE, "retrieve"),
        (sop_classes.COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET, "retrieve"),
        (sop_classes.MODALITY_WORKLIST_FIND, "worklist"),
        (sop_classes.STORAGE_COMMITMENT_PUSH, "commitment"),
        ("1.2.840.10008.5.1.1.9", "print"),
    ],
)
def test_kind_says_which_service_the_class_belongs_to(uid: str, kind: str) -> None:
    assert SOP_CLASSES[uid].kind == kind


def test_every_constant_names_a_class_of_the_table() -> None:
    constants = {
        name: value for name, value in vars(sop_classes).items() if name.isupper() and isinstance(value, str)
    }
    assert len(constants) > 20
    assert {name for name, uid in constants.items() if uid not in SOP_CLASSES} == set()


def test_name_of_an_unknown_class_is_its_uid() -> None:
    assert name_of(sop_classes.CT_IMAGE) == "CT Image Storage"
    assert name_of("1.2.3") == "1.2.3"
