"""Series of single-frame objects and enhanced objects as tests make them, valid by the judges' rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.scan import DataSet
from gantry.dataset.values import Values, values_of
from gantry.pixels.encapsulation import frame_table
from gantry.pixels.frame_source import FrameSource, Headers, arranged, read_source
from gantry.pixels.legacy_converted import LegacyConverted
from gantry.pixels.single_frame import SingleFrames
from gantry.pixels.transcode import stored_frame
from serving import CT, MR, ROOT, dataset, part10

PET = "1.2.840.10008.5.1.4.1.1.128"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def slice_pixels(number: int, size: int = 16) -> np.ndarray[Any, Any]:
    """Values that tell which slice it is."""
    return (np.arange(size * size, dtype=np.uint16).reshape(size, size) * 3 + number) % 4096


def slice_of(number: int, *, position: float | None = None, **attributes: Any) -> Dataset:
    """One CT slice; with `sop_class` and attributes by keyword also one of MR or PET."""
    sop_class = attributes.pop("sop_class", CT)
    ds = dataset(number, sop_class=sop_class)
    ds.Rows = ds.Columns = 16
    ds.PixelData = slice_pixels(number).tobytes()
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if sop_class == CT else ["ORIGINAL", "PRIMARY", "M"]
    ds.ImagePositionPatient = [-100.5, -90.25, position if position is not None else 2.5 * number]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [0.5, 0.75]
    ds.SliceThickness = "2.5"
    ds.FrameOfReferenceUID = f"{ROOT}.9"
    ds.PositionReferenceIndicator = ""
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName = "19700101", "F", ""
    ds.PatientPosition, ds.Manufacturer = "HFS", "Maker"
    ds.AcquisitionNumber, ds.ContentDate, ds.ContentTime = 3, "20260102", f"1011{number % 60:02d}.5"
    ds.AcquisitionDate, ds.AcquisitionTime = "20260102", f"1010{number % 60:02d}"
    ds.SeriesDescription, ds.BodyPartExamined = "made for tests", "HEAD"
    if sop_class == CT:
        ds.RescaleIntercept, ds.RescaleSlope, ds.KVP = "-1024", "1.0", "120"
        ds.WindowCenter, ds.WindowWidth = "40", "400"
        ds.Exposure = str(100 + number)
    if sop_class == MR:
        ds.Modality = "MR"
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "GR", "SP", ""
        ds.MRAcquisitionType, ds.EchoTime, ds.RepetitionTime, ds.EchoTrainLength = "2D", "4.6", "250", "1"
    if sop_class == PET:
        ds.Modality, ds.SeriesDate, ds.SeriesTime, ds.Units, ds.CountsSource = (
            "PT", "20260102", "101000", "BQML", "EMISSION",
        )  # fmt: skip
        ds.SeriesType, ds.NumberOfSlices, ds.CorrectedImage = ["WHOLE BODY", "IMAGE"], 3, ["DECY", "ATTN"]
        ds.DecayCorrection, ds.CollimatorType, ds.ActualFrameDuration = "START", "", "180000"
        ds.RescaleIntercept, ds.RescaleSlope, ds.FrameReferenceTime = "0", f"1.{number}", "90000"
        ds.ImageIndex, ds.BitsStored, ds.HighBit = number, 16, 15
        ds.RadiopharmaceuticalInformationSequence = Sequence([])
        ds.PatientOrientationCodeSequence = ds.PatientGantryRelationshipCodeSequence = Sequence([])
        del ds.PatientPosition
        ds.WindowCenter, ds.WindowWidth = "2000", "4000"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def with_private(ds: Dataset, number: int) -> Dataset:
    """Private attributes, one the same in all slices, one of its own, and a sequence."""
    block = ds.private_block(0x0029, "MAKER 1.0", create=True)
    block.add_new(0x01, "LO", "same")
    block.add_new(0x02, "OB", bytes([number, 0]))
    item = Dataset()
    item.PatientComments = "in a sequence"
    block.add_new(0x03, "SQ", Sequence([item]))
    return ds


def referring(number: int, *others: int) -> Dataset:
    """An MR slice that refers to others."""
    ds = slice_of(number, sop_class=MR)
    ds.ReferencedImageSequence = [Dataset() for _ in others]
    for item, other in zip(ds.ReferencedImageSequence, others, strict=True):
        item.ReferencedSOPClassUID = MR
        item.ReferencedSOPInstanceUID = slice_of(other).SOPInstanceUID
    return ds


def scanned(ds: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> DataSet:
    return read_part10(part10(ds, syntax))[1]


def combined(data_sets: Iterable[DataSet], **options: Any) -> tuple[LegacyConverted, bytes]:
    """The one object that they become, and its file."""
    found = {f"{n}": ds for n, ds in enumerate(data_sets)}
    headers = Headers()
    sources = [read_source(name, ds, headers) for name, ds in found.items()]
    groups, refused = arranged(sources, **options)
    assert not refused, [reason for _, reason in refused]
    assert len(groups) == 1
    made = LegacyConverted(groups[0], 1, {source.sop_instance_uid: source for source in sources})

    def stretches(source: FrameSource) -> list[bytes]:
        return [bytes(found[source.name].buffer[at : at + size]) for at, size in source.spans]

    head = encode_file_meta(
        sop_class_uid=made.sop_class_uid,
        sop_instance_uid=made.sop_instance_uid,
        transfer_syntax_uid=made.transfer_syntax_uid,
    )
    return made, head + b"".join(bytes(piece) for piece in made.pieces(map(stretches, made.frames)))


def split_files(file: bytes) -> Iterator[bytes]:
    """The single-frame files of an enhanced one."""
    for one in SingleFrames(read_part10(file)[1]):
        head = encode_file_meta(
            sop_class_uid=one.sop_class_uid,
            sop_instance_uid=one.sop_instance_uid,
            transfer_syntax_uid=one.transfer_syntax_uid,
        )
        yield head + b"".join(bytes(piece) for piece in one.pieces)


def content(ds: DataSet) -> tuple[Values, bytes]:
    """All attributes but the pixels as bytes, and the bytes of the first frame."""
    table = frame_table(ds)
    assert table is not None
    trailing = {tag for tag in ds.elements if tag >= 0xFFFA0000}
    return values_of(ds, ds.syntax, {0x7FE00010, *trailing}), stored_frame(ds, table, 0)


def _item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def enhanced_mr(frames: int = 4, **attributes: Any) -> Dataset:
    """Enhanced MR: two echoes at each position, most groups shared; frames go from the last position down."""
    ds = slice_of(1, sop_class=MR)
    for keyword in [
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "AcquisitionDate",
        "AcquisitionTime",
        "ScanningSequence",
        "SequenceVariant",
        "ScanOptions",
        "EchoTime",
        "RepetitionTime",
        "EchoTrainLength",
        "AcquisitionNumber",
        "MRAcquisitionType",
    ]:
        delattr(ds, keyword)
    ds.SOPClassUID = ENHANCED_MR
    ds.ImageType = ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    ds.MRAcquisitionType, ds.EchoPulseSequence, ds.Spoiling = "2D", "GRADIENT", "RF"
    ds.ResonantNucleus, ds.MagneticFieldStrength = "1H", "3"
    ds.NumberOfFrames = frames
    ds.PixelData = b"".join(slice_pixels(n).tobytes() for n in range(1, frames + 1))
    kind = _item(FrameType=["ORIGINAL", "PRIMARY", "T1", "NONE"], ComplexImageComponent="MAGNITUDE")
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[0.5, 0.75], SliceThickness="2.5")],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        MRImageFrameTypeSequence=[kind],
        MRTimingAndRelatedParametersSequence=[
            _item(RepetitionTime="250", FlipAngle="52", EchoTrainLength="2")
        ],
        MREchoSequence=[_item(EffectiveEchoTime=99.0)],
        MRModifierSequence=[_item(InversionRecovery="YES", InversionTimes=[900.0], PartialFourier="NO")],
        MRImagingModifierSequence=[_item(PixelBandwidth="2298", TransmitterFrequency=123.210568)],
        MRFOVGeometrySequence=[
            _item(
                InPlanePhaseEncodingDirection="COLUMN",
                MRAcquisitionFrequencyEncodingSteps=64,
                MRAcquisitionPhaseEncodingStepsInPlane=48,
            )
        ],
        PixelValueTransformationSequence=[_item(RescaleIntercept="5", RescaleSlope="2", RescaleType="US")],
    )
    block = shared.private_block(0x0021, "MAKER SHARED", create=True)
    block.add_new(0xFE, "SQ", Sequence([_item(PatientComments="shared")]))
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [_frame(n, 1 + (frames - n) // 2, 1 + (n - 1) % 2) for n in range(1, frames + 1)]
    )
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def _frame(number: int, position: int, echo: int) -> Dataset:
    direction = _item(DiffusionGradientOrientation=[0.0, 0.6, 0.8])
    ds = _item(
        FrameContentSequence=[
            _item(
                FrameAcquisitionDateTime=f"202601021010{number:02d}.25",
                FrameReferenceDateTime=f"202601021011{number:02d}.75",
                FrameAcquisitionDuration=20.0,
                FrameAcquisitionNumber=7,
                StackID="1",
                InStackPositionNumber=position,
                DimensionIndexValues=[1, position, echo],
            )
        ],
        PlanePositionSequence=[_item(ImagePositionPatient=[-100.5, -90.25, 2.5 * position])],
        MREchoSequence=[_item(EffectiveEchoTime=4.6 * echo)],
        MRDiffusionSequence=[
            _item(
                DiffusionBValue=1000.0,
                DiffusionDirectionality="DIRECTIONAL",
                DiffusionGradientDirectionSequence=[direction],
            )
        ],
        CardiacSynchronizationSequence=[
            _item(NominalCardiacTriggerDelayTime=12.5 * number, RRIntervalTimeNominal=850.0)
        ],
        FrameVOILUTSequence=[_item(WindowCenter=str(100 + number), WindowWidth="300")],
    )
    block = ds.private_block(0x0021, "MAKER FRAME", create=True)
    block.add_new(0xFE, "SQ", Sequence([_item(PatientComments=f"frame {number}")]))
    return ds
