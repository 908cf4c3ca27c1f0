"""Notes of rejection: a Key Object Selection Document that says which instances are not to be used, and why.

PS3.3 A.35.4 and PS3.16 TID 2010; the codes and their meaning are those of IHE RAD Imaging Object Change
Management. The note is an object of the study like any other, so that whoever fetches the study, or is sent
it, learns of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from gantry.archive.edits.model import MAX_WORDS_CHARS, EditRefused
from gantry.archive.records import InstanceKey, JsonModel, Location
from gantry.dataset.encode import encode
from gantry.dataset.part10 import encode_file_meta
from gantry.dataset.scan import DataSet
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
CODES: Final = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""Why objects are rejected: Document Titles of PS3.16 CID 7011, scheme DCM."""

_TAKEN: Final = (
    "00080020", "00080030", "00080050", "00080090", "00081030", "00100010", "00100020", "00100021",
    "00100030", "00100040", "00200010",
)  # fmt: skip
"""What a note has in common with what it rejects: patient and study."""


def require_code(code: str) -> None:
    """Raise EditRefused for what is no code of a rejection."""
    if code not in CODES:
        known = ", ".join(f"{code} ({meaning})" for code, meaning in CODES.items())
        raise EditRefused(f"{code!r} is no reason to reject; there are {known}")


def note(
    header: JsonModel, rejected: Sequence[Location], code: str, why: str, at: datetime, uids: tuple[str, str]
) -> tuple[InstanceKey, bytes]:
    """A note of rejection as a Part 10 file, and its UIDs: `uids` are those of its series and of itself.

    `header` is that of an object of the study, whose patient and study it has.
    """
    study = rejected[0].key.study_uid
    key = InstanceKey(study, *uids)
    zone = at.astimezone()
    date, time = f"{zone:%Y%m%d}", f"{zone:%H%M%S.%f}"
    model: JsonModel = {
        **{tag: header.get(tag) or _EMPTY[tag] for tag in _TAKEN if tag in header or tag in _EMPTY},
        "00080012": _text("DA", date),
        "00080013": _text("TM", time),
        "00080016": _text("UI", KEY_OBJECT_SELECTION),
        "00080018": _text("UI", key.sop_uid),
        "00080023": _text("DA", date),
        "00080033": _text("TM", time),
        "00080060": _text("CS", "KO"),
        "00080070": _text("LO", "Gantry"),
        "0008103E": _text("LO", CODES[code]),
        "00081111": {"vr": "SQ"},
        "0020000D": _text("UI", study),
        "0020000E": _text("UI", key.series_uid),
        "00200011": _text("IS", "1"),
        "00200013": _text("IS", "1"),
        "0040A040": _text("CS", "CONTAINER"),
        "0040A043": _code(code, CODES[code]),
        "0040A050": _text("CS", "SEPARATE"),
        "0040A375": {"vr": "SQ", "Value": [_evidence(study, rejected)]},
        "0040A504": {
            "vr": "SQ",
            "Value": [{"00080105": _text("CS", "DCMR"), "0040DB00": _text("CS", "2010")}],
        },
        "0040A730": {"vr": "SQ", "Value": [*_description(why), *map(_reference, rejected)]},
    }
    meta = encode_file_meta(
        sop_class_uid=KEY_OBJECT_SELECTION,
        sop_instance_uid=key.sop_uid,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
    )
    return key, meta + encode(model, transfer_syntax(EXPLICIT_VR_LITTLE_ENDIAN))


def rejection_of(ds: DataSet) -> str:
    """The code of rejection that is the title of a note; empty for a document that is none."""
    for item in ds.items(0x0040A043):
        code = item.text(0x00080100) or ""
        if item.text(0x00080102) == "DCM" and code in CODES:
            return code
    return ""


def description_of(ds: DataSet) -> str:
    """What a note says of its reason in words, cut to what a history keeps; empty where it says nothing."""
    for item in ds.items(0x0040A730):
        names = list(item.items(0x0040A043))
        if names and names[0].text(0x00080100) == "113012":
            return (item.text(0x0040A160) or "")[:MAX_WORDS_CHARS]
    return ""


def rejected_by(ds: DataSet) -> Iterator[InstanceKey]:
    """The instances that a note names (PS3.3 C.17.6.2.1)."""
    for study in ds.items(0x0040A375):
        for series in study.items(0x00081115):
            for one in series.items(0x00081199):
                yield InstanceKey(
                    study.text(0x0020000D) or "", series.text(0x0020000E) or "", one.text(0x00081155) or ""
                )


_EMPTY: Final[dict[str, JsonModel]] = {
    "00080020": {"vr": "DA"},
    "00080030": {"vr": "TM"},
    "00080050": {"vr": "SH"},
    "00080090": {"vr": "PN"},
    "00100010": {"vr": "PN"},
    "00100020": {"vr": "LO"},
    "00100030": {"vr": "DA"},
    "00100040": {"vr": "CS"},
    "00200010": {"vr": "SH"},
}
"""Those of them that are of type 2."""


def _text(vr: str, *texts: str) -> JsonModel:
    return {"vr": vr, "Value": list(texts)}


def _code(value: str, meaning: str) -> JsonModel:
    return {
        "vr": "SQ",
        "Value": [
            {"00080100": _text("SH", value), "00080102": _text("SH", "DCM"), "00080104": _text("LO", meaning)}
        ],
    }


def _evidence(study: str, rejected: Sequence[Location]) -> JsonModel:
    ordered = sorted(rejected, key=lambda one: one.key)
    series: list[JsonModel] = [
        {
            "00081199": {"vr": "SQ", "Value": [_sop(one) for one in some]},
            "0020000E": _text("UI", uid),
        }
        for uid, some in groupby(ordered, key=lambda one: one.key.series_uid)
    ]
    return {"00081115": {"vr": "SQ", "Value": series}, "0020000D": _text("UI", study)}


def _sop(one: Location) -> JsonModel:
    return {"00081150": _text("UI", one.sop_class_uid), "00081155": _text("UI", one.key.sop_uid)}


def _description(why: str) -> Iterator[JsonModel]:
    if why.strip():
        yield {
            "0040A010": _text("CS", "CONTAINS"),
            "0040A040": _text("CS", "TEXT"),
            "0040A043": _code("113012", "Key Object Description"),
            "0040A160": _text("UT", why),
        }


def _reference(one: Location) -> JsonModel:
    return {
        "00081199": {"vr": "SQ", "Value": [_sop(one)]},
        "0040A010": _text("CS", "CONTAINS"),
        "0040A040": _text("CS", "IMAGE" if one.pixel is not None else "COMPOSITE"),
    }
