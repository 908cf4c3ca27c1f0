"""A small study that Gantry makes itself: one invented patient, six series, no real person's data.

CT and MR slices through the same ellipsoid head phantom, a beating ultrasound cine, a twelve-lead
ECG, a PDF report and a structured report. All UIDs derive from fixed names, so that making it
again makes the same bytes, and an archive that has it already answers "unchanged".
"""

from __future__ import annotations

import io
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "gantry example study")
_DATE = "20260301"
_TIME = "101500"

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ULTRASOUND_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """One body of the phantom: centre and half axes as shares of the half field of view, and its values."""

    center: tuple[float, float, float]
    axes: tuple[float, float, float]
    angle_deg: float
    hounsfield: int
    mr_signal: int


_HEAD = (
    Ellipsoid((0.0, 0.0, 0.0), (0.72, 0.92, 0.90), 0, 1100, 60),  # skull
    Ellipsoid((0.0, -0.01, 0.0), (0.66, 0.86, 0.84), 0, 35, 620),  # brain
    Ellipsoid((0.23, 0.0, 0.0), (0.12, 0.32, 0.26), -18, 8, 180),  # ventricles
    Ellipsoid((-0.23, 0.0, 0.0), (0.15, 0.38, 0.30), 18, 8, 180),
    Ellipsoid((0.0, 0.36, -0.12), (0.20, 0.22, 0.40), 0, 48, 760),
    Ellipsoid((0.0, 0.08, 0.22), (0.045, 0.045, 0.05), 0, 75, 900),  # lesions
    Ellipsoid((0.0, -0.12, 0.22), (0.045, 0.045, 0.05), 0, 75, 900),
    Ellipsoid((-0.08, -0.60, -0.22), (0.05, 0.025, 0.04), 0, 62, 840),
    Ellipsoid((0.06, -0.60, -0.22), (0.025, 0.05, 0.04), 0, 62, 840),
)


def example_study(size: int = 256, slices: int = 32) -> Iterator[tuple[str, bytes]]:
    """Yield a file name and the Part 10 bytes of each object; `size` is rows and columns of CT and MR."""
    for make in (_ct_series, _mr_series):
        yield from make(size, slices)
    for name, maker in _SINGLES:
        yield name, _part10(maker())


def _uid(name: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def _part10(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def _object(sop_class: str, modality: str, series: int, description: str, instance: int = 1) -> Dataset:
    """Patient, study, series and equipment, the same in every object."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = _uid(f"{modality} {series} {instance}")
    ds.InstanceCreationDate, ds.InstanceCreationTime = _DATE, _TIME
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = _DATE
    ds.StudyTime = _TIME
    ds.SeriesTime = ds.ContentTime = f"10{15 + series:02d}00"
    ds.AccessionNumber = "EX0001"
    ds.Modality = modality
    ds.Manufacturer = "Gantry"
    ds.ManufacturerModelName = "Phantom"
    ds.DeviceSerialNumber = "1"
    ds.SoftwareVersions = "1"
    ds.ReferringPhysicianName = "Example^Referring"
    ds.StudyDescription = "Example: head phantom"
    ds.SeriesDescription = description
    ds.PatientName = "Phantom^Gantry"
    ds.PatientID = "GANTRY-1"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.StudyInstanceUID = _uid("study")
    ds.SeriesInstanceUID = _uid(f"series {series}")
    ds.StudyID = "1"
    ds.SeriesNumber = series
    ds.InstanceNumber = instance
    return ds


# --- CT and MR ------------------------------------------------------------------------------


def _ct_series(size: int, slices: int) -> Iterator[tuple[str, bytes]]:
    volume = _phantom(size, slices, lambda body: body.hounsfield, background=-1000)
    noise = np.random.default_rng(1).normal(0, 6, volume.shape)
    for n in range(slices):
        ds = _object(CT_IMAGE, "CT", 1, "CT head", n + 1)
        _slice_geometry(ds, size, slices, n)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.KVP = 120
        ds.AcquisitionNumber = 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
        ds.WindowCenter, ds.WindowWidth = [40, 400], [80, 2000]
        ds.WindowCenterWidthExplanation = ["BRAIN", "BONE"]
        _gray_pixels(ds, np.clip(volume[n] + noise[n] + 1024, 0, 4095).astype(np.uint16), bits_stored=12)
        yield f"CT/{n + 1:04d}.dcm", _part10(ds)


def _mr_series(size: int, slices: int) -> Iterator[tuple[str, bytes]]:
    volume = _phantom(size, slices, lambda body: body.mr_signal, background=0)
    generator = np.random.default_rng(2)
    for n in range(slices):
        ds = _object(MR_IMAGE, "MR", 2, "MR head T1-like", n + 1)
        _slice_geometry(ds, size, slices, n)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "SP", ""
        ds.MRAcquisitionType = "3D"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength, ds.FlipAngle = 9.0, 4.0, 1, 8
        ds.MagneticFieldStrength = 3
        ds.WindowCenter, ds.WindowWidth = 450, 900
        noisy = np.hypot(
            volume[n] + generator.normal(0, 12, (size, size)), generator.normal(0, 12, (size, size))
        )
        _gray_pixels(ds, np.clip(noisy, 0, 4095).astype(np.uint16), bits_stored=12)
        yield f"MR/{n + 1:04d}.dcm", _part10(ds)


def _slice_geometry(ds: Dataset, size: int, slices: int, n: int) -> None:
    spacing_mm, step_mm = 240.0 / size, 180.0 / slices
    z = (n - (slices - 1) / 2) * step_mm
    ds.FrameOfReferenceUID = _uid("frame of reference")
    ds.BodyPartExamined = "HEAD"
    ds.PositionReferenceIndicator = ""
    ds.PatientPosition = "HFS"
    ds.PixelSpacing = [round(spacing_mm, 4)] * 2
    ds.SliceThickness = round(step_mm, 4)
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [round(-120 + spacing_mm / 2, 3), round(-120 + spacing_mm / 2, 3), round(z, 3)]
    ds.SliceLocation = round(z, 3)
    ds.PatientOrientation = ["L", "P"]


def _phantom(
    size: int, slices: int, value: Callable[[Ellipsoid], int], background: int
) -> NDArray[np.float32]:
    """The head as values of shape (slices, size, size), later bodies painted over earlier ones."""
    side = (np.arange(size) - (size - 1) / 2) / (size / 2)
    depth = (np.arange(slices) - (slices - 1) / 2) / (slices / 2)
    z, y, x = np.meshgrid(depth, side, side, indexing="ij")
    volume = np.full((slices, size, size), background, np.float32)
    for body in _HEAD:
        cos, sin = math.cos(math.radians(body.angle_deg)), math.sin(math.radians(body.angle_deg))
        dx, dy, dz = x - body.center[0], y - body.center[1], z - body.center[2]
        u, v = dx * cos + dy * sin, dy * cos - dx * sin
        inside = (u / body.axes[0]) ** 2 + (v / body.axes[1]) ** 2 + (dz / body.axes[2]) ** 2 <= 1
        volume[inside] = value(body)
    return volume


def _gray_pixels(ds: Dataset, pixels: NDArray[np.generic], bits_stored: int) -> None:
    frames = pixels.shape[0] if pixels.ndim == 3 else None
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    if frames is not None:
        ds.NumberOfFrames = frames
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits_stored, bits_stored - 1, 0
    ds.add_new("PixelData", "OW" if ds.BitsAllocated > 8 else "OB", pixels.tobytes())


# --- ultrasound, ECG, documents --------------------------------------------------------------


def _ultrasound() -> Dataset:
    """A sector scan of a chamber that fills and empties once a second, 24 frames."""
    frames, rows, columns = 24, 240, 320
    ds = _object(ULTRASOUND_MULTIFRAME, "US", 3, "US heart cine")
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BodyPartExamined = "HEART"
    ds.LossyImageCompression = "00"
    ds.FrameTime = 41.67
    ds.FrameIncrementPointer = 0x00181063
    ds.CineRate = ds.RecommendedDisplayFrameRate = 24
    ds.PatientOrientation = ""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    radius, angle = np.hypot(x - columns / 2, y + 10), np.arctan2(x - columns / 2, y + 10)
    sector = (np.abs(angle) < 0.65) & (radius > 25) & (radius < 235)
    speckle = np.random.default_rng(3).rayleigh(38, (rows, columns))
    cine = np.zeros((frames, rows, columns), np.uint8)
    for n in range(frames):
        beat = 1 + 0.22 * math.sin(2 * math.pi * n / frames)
        wall = np.abs(np.hypot((x - 160) / (44 * beat), (y - 130) / (62 * beat)) - 1)
        echo = speckle * np.where(wall < 0.16, 3.4, 1.0)
        echo[np.hypot((x - 160) / (44 * beat), (y - 130) / (62 * beat)) < 0.84] *= 0.12
        cine[n] = np.where(sector, np.clip(echo * np.exp(-radius / 420), 0, 255), 0)
    _gray_pixels(ds, cine, bits_stored=8)
    return ds


_LEADS = (
    ("I", "2:1", 0.55), ("II", "2:2", 1.0), ("III", "2:61", 0.45), ("aVR", "2:62", -0.75),
    ("aVL", "2:63", 0.15), ("aVF", "2:64", 0.7), ("V1", "2:3", -0.5), ("V2", "2:4", -0.2),
    ("V3", "2:5", 0.4), ("V4", "2:6", 1.1), ("V5", "2:7", 1.2), ("V6", "2:8", 0.9),
)  # fmt: skip


def _ecg() -> Dataset:
    """Ten seconds of a regular rhythm, twelve leads, 500 Hz, one unit a microvolt."""
    rate_hz, seconds = 500, 10
    ds = _object(TWELVE_LEAD_ECG, "ECG", 4, "ECG at rest")
    ds.AcquisitionDateTime = f"{_DATE}101900"
    ds.AcquisitionContextSequence = Sequence()
    time_s = np.arange(rate_hz * seconds) / rate_hz
    beat_uv = _heart_beat(time_s % 0.85)
    noise = np.random.default_rng(4).normal(0, 8, (len(time_s), len(_LEADS)))
    channels = np.stack([beat_uv * gain for _, _, gain in _LEADS], axis=1) + noise
    item = Dataset()
    item.WaveformOriginality = "ORIGINAL"
    item.NumberOfWaveformChannels = len(_LEADS)
    item.NumberOfWaveformSamples = len(time_s)
    item.SamplingFrequency = rate_hz
    item.MultiplexGroupLabel = "RHYTHM"
    item.ChannelDefinitionSequence = Sequence([_ecg_channel(*lead[:2]) for lead in _LEADS])
    item.WaveformBitsAllocated = 16
    item.WaveformSampleInterpretation = "SS"
    item.add_new("WaveformData", "OW", np.round(channels).astype("<i2").tobytes())
    ds.WaveformSequence = Sequence([item])
    return ds


def _heart_beat(phase_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """P, Q, R, S and T as bells: place in seconds, width in seconds, height in microvolts."""
    waves = (
        (0.16, 0.025, 120),
        (0.27, 0.009, -110),
        (0.30, 0.011, 1050),
        (0.33, 0.010, -240),
        (0.52, 0.045, 290),
    )
    bells = [height * np.exp(-(((phase_s - place) / width) ** 2)) for place, width, height in waves]
    return np.asarray(np.sum(bells, axis=0))


def _ecg_channel(label: str, mdc_code: str) -> Dataset:
    channel = Dataset()
    channel.ChannelLabel = label
    channel.ChannelSourceSequence = Sequence([_code(mdc_code, "MDC", f"Lead {label}")])
    channel.ChannelSensitivity = 1
    channel.ChannelSensitivityUnitsSequence = Sequence([_code("uV", "UCUM", "microvolt")])
    channel.ChannelSensitivityCorrectionFactor = 1
    channel.ChannelBaseline = 0
    channel.ChannelSampleSkew = 0
    channel.WaveformBitsStored = 16
    channel.FilterLowFrequency, channel.FilterHighFrequency = 0.05, 150
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _pdf() -> Dataset:
    ds = _object(ENCAPSULATED_PDF, "DOC", 5, "Report as PDF")
    ds.ConversionType = "SYN"
    ds.BurnedInAnnotation = "NO"
    ds.RecognizableVisualFeatures = "NO"
    ds.DocumentTitle = "Example report"
    ds.AcquisitionDateTime = f"{_DATE}{_TIME}"
    ds.ConceptNameCodeSequence = Sequence([_code("18748-4", "LN", "Diagnostic imaging report")])
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document = _pdf_document()
    ds.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    ds.EncapsulatedDocumentLength = len(document)
    return ds


def _pdf_document() -> bytes:
    buffer = io.BytesIO()
    page = Canvas(buffer, pagesize=A4, invariant=True)
    page.setTitle("Example report")
    page.setFont("Helvetica-Bold", 16)
    page.drawString(72, 760, "Example report: head phantom")
    page.setFont("Helvetica", 11)
    for n, line in enumerate(_REPORT):
        page.drawString(72, 728 - 16 * n, line)
    page.showPage()
    page.save()
    return buffer.getvalue()


_REPORT = (
    "Patient: Phantom, Gantry    ID: GANTRY-1",
    "Study: CT and MR of the head, ultrasound, ECG",
    "",
    "Findings: nested ellipsoids, as drawn. Two small round bodies near the midline.",
    "Impression: this patient is a formula. No action is needed.",
)


def _structured_report() -> Dataset:
    ds = _object(BASIC_TEXT_SR, "SR", 6, "Structured report")
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    ds.PerformedProcedureCodeSequence = Sequence()
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ValueType = "CONTAINER"
    ds.ConceptNameCodeSequence = Sequence([_code("18748-4", "LN", "Diagnostic imaging report")])
    ds.ContinuityOfContent = "SEPARATE"
    ds.ContentSequence = Sequence(
        [
            _text_item("121071", "Finding", _REPORT[3].removeprefix("Findings: ")),
            _text_item("121077", "Conclusion", _REPORT[4].removeprefix("Impression: ")),
        ]
    )
    return ds


def _text_item(code: str, meaning: str, text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = "TEXT"
    item.ConceptNameCodeSequence = Sequence([_code(code, "DCM", meaning)])
    item.TextValue = text
    return item


_SINGLES: tuple[tuple[str, Callable[[], Dataset]], ...] = (
    ("US/0001.dcm", _ultrasound),
    ("ECG/0001.dcm", _ecg),
    ("DOC/0001.dcm", _pdf),
    ("SR/0001.dcm", _structured_report),
)
