"""What became of an object that was handed in. One of four answers, never an exception.

`Stored`, `Unchanged` and `NewVersion` are given only when bytes and index row would survive pulling
the plug (promise 1). `Refused` names the reason; its kinds are turned into DIMSE status and HTTP
status by one table of the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gantry.archive.records import InstanceKey


class Reason(Enum):
    """Why an object was refused."""

    NOT_PART10 = "not a DICOM file: no preamble and prefix, or broken File Meta Information"
    NOT_A_DATA_SET = "the Data Set cannot be read to its end"
    MISSING_UID = "a UID that every object needs is missing"
    BAD_UID = "a UID holds what no UID may hold"
    SOP_CLASS_MISMATCH = "the SOP Class is not the one that was announced"
    SOP_INSTANCE_MISMATCH = "the SOP Instance UID is not the one that was announced"
    STUDY_MISMATCH = "the object belongs to another study than the one it was sent into"
    CONFLICT = "another object has this SOP Instance UID, and the policy is to reject"
    TOO_LARGE = "the object, or a value in it, is larger than the limit"
    OUT_OF_SPACE = "there is no room for new objects"
    READ_ONLY = "the archive does not write since a write to its disk has failed"
    UNREACHABLE = "the index or the object store does not answer; nothing was kept"
    STORAGE = "disk or index failed; nothing was kept"


STORAGE_REASONS = frozenset({Reason.OUT_OF_SPACE, Reason.READ_ONLY, Reason.UNREACHABLE, Reason.STORAGE})
"""Reasons that are ours: the same object may be accepted later."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A new instance is kept."""

    key: InstanceKey
    number: int
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The same bytes are kept already, as version `number`; nothing was written.

    `restored` tells that the instance had been deleted, or was another version, and is current again.
    """

    key: InstanceKey
    number: int
    sop_class_uid: str
    transfer_syntax_uid: str
    restored: bool = False


@dataclass(frozen=True, slots=True)
class NewVersion:
    """The instance was known with other bytes; these are kept as version `number` and noted as conflict."""

    key: InstanceKey
    number: int
    sop_class_uid: str
    transfer_syntax_uid: str
    current: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is kept. `tag` and `offset` tell the place in the bytes, the UIDs what could be read."""

    reason: Reason
    message: str
    tag: int | None = None
    offset: int | None = None
    key: InstanceKey | None = None
    sop_class_uid: str | None = None


Outcome = Stored | Unchanged | NewVersion | Refused
