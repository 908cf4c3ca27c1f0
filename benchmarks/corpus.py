"""The data that everybody is measured with: CT studies of 512 x 512 x 16 bit slices, 0.5 MB each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.10.1338"


@dataclass(frozen=True, slots=True)
class Slice:
    """One object: its UIDs, the Part 10 file and the Data Set behind the meta information."""

    study_uid: str
    series_uid: str
    sop_uid: str
    part10: bytes
    dataset_offset: int

    @property
    def dataset(self) -> memoryview:
        return memoryview(self.part10)[self.dataset_offset :]


def study(number: int, slices: int = 250, size: int = 512) -> Iterator[Slice]:
    """One CT study; another `number` gives other UIDs and the same kind of pixels."""
    pixels = _anatomy(size)
    generator = np.random.default_rng(number)
    for n in range(slices):
        ds = _header(number, n, size)
        noisy = pixels + generator.integers(0, 64, pixels.shape, dtype=np.uint16)
        ds.PixelData = np.roll(noisy, n, axis=0).tobytes()
        data = _part10(ds)
        yield Slice(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, data, _dataset_offset(data))


def _anatomy(size: int) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    body = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, 1050, 24)
    return np.where((x / 0.2) ** 2 + ((y - 0.2) / 0.15) ** 2 < 1, 1800, body).astype(np.uint16)


def _header(number: int, n: int, size: int) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CT_IMAGE
    ds.StudyInstanceUID = f"{ROOT}.{number}"
    ds.SeriesInstanceUID = f"{ROOT}.{number}.1"
    ds.SOPInstanceUID = f"{ROOT}.{number}.1.{n + 1}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = (
        f"2026{number % 12 + 1:02d}{number % 28 + 1:02d}"
    )
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101530"
    ds.AccessionNumber = f"A{number:06d}"
    ds.Modality = "CT"
    ds.Manufacturer, ds.ManufacturerModelName, ds.StationName = "Bench", "Bench 64", "CT1"
    ds.InstitutionName = "Bench Hospital"
    ds.ReferringPhysicianName = "Refer^Anna"
    ds.StudyDescription, ds.SeriesDescription = "CT thorax", "Thorax 1.0"
    ds.PatientName, ds.PatientID = f"Bench^Patient{number}", f"B{number:06d}"
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = "19600101", "F", "066Y"
    ds.BodyPartExamined, ds.PatientPosition, ds.ProtocolName = "CHEST", "HFS", "Thorax"
    ds.SliceThickness, ds.KVP, ds.ExposureTime, ds.XRayTubeCurrent, ds.Exposure = 1, 120, 500, 200, 100
    ds.ConvolutionKernel, ds.GantryDetectorTilt, ds.TableHeight = "B30f", 0, 150
    ds.StudyID, ds.SeriesNumber, ds.AcquisitionNumber, ds.InstanceNumber = "1", 1, 1, n + 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = f"{ROOT}.{number}.9", ""
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [-180, -180, n], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceLocation = [0.703125, 0.703125], n
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth, ds.RescaleIntercept, ds.RescaleSlope = [40, -600], [400, 1600], -1024, 1
    return ds


def _part10(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _dataset_offset(part10: bytes) -> int:
    """File meta information is 132 bytes of preamble and prefix, 12 of group length, and that many more."""
    return 144 + int.from_bytes(part10[140:144], "little")
