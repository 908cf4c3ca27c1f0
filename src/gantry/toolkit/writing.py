"""What writers of DICOM objects share: Items, numbers, UIDs, character sets, and the file around all."""

from __future__ import annotations

import io
import uuid

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from gantry.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

PATIENT_AND_STUDY = (
    (0x00100010, "PatientName"), (0x00100020, "PatientID"), (0x00100030, "PatientBirthDate"),
    (0x00100040, "PatientSex"), (0x0020000D, "StudyInstanceUID"), (0x00080020, "StudyDate"),
    (0x00080030, "StudyTime"), (0x00080090, "ReferringPhysicianName"), (0x00200010, "StudyID"),
    (0x00080050, "AccessionNumber"),
)  # fmt: skip
"""What an object made for a study has in common with its images, by tag and keyword."""


def new_item(**attributes: object) -> Dataset:
    """An Item with these attributes, by keyword."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def decimal(value: float) -> str:
    """A number as DS: no more than 16 characters."""
    text = repr(value)
    if text.endswith(".0"):
        text = text[:-2]
    digits = 16
    while len(text) > 16:
        digits -= 1
        text = f"{value:.{digits}g}"
    return text


def new_uid() -> str:
    """A UID that nothing else has."""
    return f"2.25.{uuid.uuid4().int}"


def character_set(ds: Dataset) -> str:
    """The plainest that has all letters: not every reader knows UTF-8."""
    kinds = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
    texts = [str(element.value) for element in ds.iterall() if element.VR in kinds]
    for encoding, name in (("ascii", ""), ("latin-1", "ISO_IR 100")):
        try:
            "".join(texts).encode(encoding)
        except UnicodeEncodeError:
            continue
        return name
    return "ISO_IR 192"


def part10(ds: Dataset) -> bytes:
    """The file of a Data Set, Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    ds.file_meta = meta
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True, implicit_vr=False, little_endian=True)
    return out.getvalue()
