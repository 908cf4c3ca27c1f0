"""Records of made-up objects, for tests of the index."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord, Origin, PixelLocation

START = datetime(2024, 1, 1, tzinfo=UTC)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def at(tick: int) -> datetime:
    """A moment that many ticks after the beginning."""
    return START + timedelta(microseconds=tick)


def element(vr: str, *values: Any) -> JsonModel:
    """An attribute of the JSON model; a PN may be given as text."""
    if vr == "PN":
        values = tuple({"Alphabetic": value} if isinstance(value, str) else value for value in values)
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def record(
    study: str = "1.1",
    series: str = "1.1.1",
    sop: str = "1.1.1.1",
    *,
    tick: int = 0,
    patient_id: str = "P1",
    name: str | JsonModel = "Doe^Jane",
    modality: str = "CT",
    study_date: str = "20240101",
    study_time: str = "101500",
    accession: str = "A1",
    description: str = "Chest CT",
    number: int | None = 1,
    sop_class_uid: str = CT_IMAGE,
    content: bytes = b"",
    size: int = 1000,
    patient: JsonModel | None = None,
    of_study: JsonModel | None = None,
    of_series: JsonModel | None = None,
    of_instance: JsonModel | None = None,
) -> ObjectRecord:
    """A record; the dictionaries add to the attributes of their level or replace them."""
    key = InstanceKey(study, series, sop)
    digest = (content or sop.encode()).ljust(32, b".")[:32]
    return ObjectRecord(
        key=key,
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=EXPLICIT,
        path=f"objects/{study}/{series}/{sop}.{tick}.dcm",
        file_size=size,
        dataset_offset=400,
        dataset_sha256=digest,
        meta_sha256=digest[::-1],
        received_at=at(tick),
        origin=Origin("SCANNER", "192.0.2.7", "dimse"),
        pixel=PixelLocation(800, 200),
        patient={
            "00100010": element("PN", name),
            "00100020": element("LO", *([patient_id] if patient_id else [])),
            "00100030": element("DA", "19700102"),
            "00100040": element("CS", "F"),
            **(patient or {}),
        },
        study={
            "00080020": element("DA", *([study_date] if study_date else [])),
            "00080030": element("TM", *([study_time] if study_time else [])),
            "00080050": element("SH", *([accession] if accession else [])),
            "00081030": element("LO", *([description] if description else [])),
            "0020000D": element("UI", study),
            "00200010": element("SH", "S-7"),
            **(of_study or {}),
        },
        series={
            "00080060": element("CS", modality),
            "0008103E": element("LO", "axial"),
            "0020000E": element("UI", series),
            "00200011": element("IS", 3),
            **(of_series or {}),
        },
        instance={
            "00080016": element("UI", sop_class_uid),
            "00080018": element("UI", sop),
            "00200013": element("IS", *([number] if number is not None else [])),
            "00280010": element("US", 512),
            "00280011": element("US", 512),
            **(of_instance or {}),
        },
    )
