"""What the archive notes about an object when it arrives.

An `ObjectRecord` is everything that the index keeps of one stored file: where it lies, what proves that
its bytes are whole, where its pixels are, and the attributes that people ask for, sorted by the level of
the query model they belong to (PS3.4 C.6) in the form of the DICOM JSON model (PS3.18 F.2).

A record is made once, from the scan that the object gets on its way in, and never changes; a later version
of the same instance has a record of its own. UIDs and Patient IDs are compared without their padding.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

JsonModel = dict[str, Any]
"""Attributes in the DICOM JSON model, PS3.18 F.2: ``{"00100020": {"vr": "LO", "Value": ["7"]}}``."""


OTHER_FORM = "compress"
"""`Origin.via` of versions that are an earlier one in a smaller form, without loss."""

_EMPTY: JsonModel = {}
_PADDING = " \0"


class InstanceKey(NamedTuple):
    """The three UIDs that name an instance, without padding."""

    study_uid: str
    series_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Who brought an object or asked for an act: AE title or user, network peer, and by which door."""

    source_aet: str = ""
    peer: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where the pixels lie in the file.

    `offset` and `length` (bytes, from the start of the file) span the value of the Pixel Data element;
    `frame_table` is the compact form that the archive's frame code writes and reads, empty where frames
    follow from the header alone.
    """

    offset: int
    length: int
    frame_table: bytes = b""


@dataclass(frozen=True, slots=True)
class ObjectRecord:
    """One stored object as the index keeps it.

    `path` is relative to the data folder; `dataset_offset` is the byte where the Data Set begins in the
    file; the digests are the 32 bytes of SHA-256 over the Data Set and over what stands before it;
    `received_at` is UTC. `truncated` says that some text was too long for the index (the file keeps it).
    """

    key: InstanceKey
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    file_size: int
    dataset_offset: int
    dataset_sha256: bytes
    meta_sha256: bytes
    received_at: datetime
    origin: Origin = field(default_factory=Origin)
    pixel: PixelLocation | None = None
    patient: JsonModel = field(default_factory=dict)
    study: JsonModel = field(default_factory=dict)
    series: JsonModel = field(default_factory=dict)
    instance: JsonModel = field(default_factory=dict)
    truncated: bool = False

    @property
    def patient_id(self) -> str:
        """Patient ID without padding; empty when there is none."""
        return _first_text(self.patient, "00100020")

    @property
    def issuer(self) -> str:
        """Issuer of Patient ID without padding; empty when there is none."""
        return _first_text(self.patient, "00100021")

    def placed(self, path: str, received_at: datetime) -> ObjectRecord:
        """The same record at the path and time that the commit gave it."""
        return replace(self, path=path, received_at=received_at)


@dataclass(frozen=True, slots=True)
class Location:
    """One object version and where its bytes lie; see `ObjectRecord` for the fields they share."""

    key: InstanceKey
    number: int
    current: bool
    aside: bool
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    file_size: int
    dataset_offset: int
    dataset_sha256: bytes
    meta_sha256: bytes
    received_at: datetime
    pixel: PixelLocation | None
    made_from: int = 0
    """The version that the bytes can be made from again, where they were let go; else 0."""
    turns: int = 0
    """How often the file was found damaged, and whole again, in all; see `identity`."""

    @property
    def identity(self) -> bytes:
        """32 bytes by which caches, ours and those of clients, know what is made of the file.

        The digest of the Data Set, and another one after each turn: what was made of damaged bytes, before
        anybody knew, is never taken for what the whole ones give (N14).
        """
        if not self.turns:
            return self.dataset_sha256
        return hashlib.sha256(b"%b %d" % (self.dataset_sha256, self.turns)).digest()


def _first_text(attributes: JsonModel, tag: str) -> str:
    values = attributes.get(tag, _EMPTY).get("Value") or ("",)
    return str(values[0] or "").strip(_PADDING)
