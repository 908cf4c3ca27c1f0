"""What a case of bad input is, and the object that all of them carry.

Its patient's name and identifier must turn up nowhere else than in the archive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import dataset_bytes as raw
from gantry_process import Gantry
from raw_peer import CT
from serving import ROOT, dataset, dataset_bytes, part10

NAME = "CANARY^PATIENT"
PATIENT_ID = "CANARY-4711"
MB = 1 << 20
MAX_OBJECT_BYTES = 24 * MB
"""What the server under test takes; above a million empty items, below what makes tests slow."""

Send = Callable[[Gantry], None]


@dataclass(frozen=True, slots=True)
class BadInput:
    """One case: `send` fails where the server answers otherwise than it must.

    The name begins with the row of the table of bad inputs (B1 to B84).
    """

    name: str
    send: Send


def into(cases: list[BadInput]) -> Callable[[Send], Send]:
    """A decorator that adds a function to `cases`."""

    def case(send: Send) -> Send:
        cases.append(BadInput(send.__name__.replace("_", "-"), send))
        return send

    return case


def canary(number: int = 1, **attributes: object) -> bytes:
    """A file of the patient whom nobody must see."""
    ds = dataset(number, study=4711, PatientName=NAME, PatientID=PATIENT_ID)
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return part10(ds)


UID = f"{ROOT}.4711.1.1"
BODY = dataset_bytes(canary())


def elements(**changed: bytes | None) -> bytes:
    """The few elements of an object, one by one; UIDs may be changed or left out."""
    values: dict[str, tuple[int, str, bytes]] = {
        "sop_class": (0x00080016, "UI", CT.encode() + b"\0"),
        "sop": (0x00080018, "UI", UID.encode()),
        "name": (raw.PATIENT_NAME, "PN", NAME.encode()),
        "patient_id": (raw.PATIENT_ID, "LO", PATIENT_ID.encode() + b" "),
        "study": (0x0020000D, "UI", f"{ROOT}.4711".encode() + b"\0"),
        "series": (0x0020000E, "UI", f"{ROOT}.4711.1".encode() + b"\0"),
    }
    body = b""
    for name, (tag, vr, value) in values.items():
        given = changed.get(name, value)
        if given is not None:
            body += raw.short(tag, vr, given + b"\0" * (len(given) % 2))
    return body
