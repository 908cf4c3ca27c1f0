"""Enhanced objects laid flat: every frame has its own attributes, its own pixels, and a way back."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels.single_frame import SingleFrames
from image_values import decoded, made
from multiframe_values import ENHANCED_CT, enhanced_mr, scanned, slice_pixels, split_files
from serving import MR, ROOT, part10


def frames_of(ds: Dataset) -> list[pydicom.Dataset]:
    return [pydicom.dcmread(io.BytesIO(file)) for file in split_files(part10(ds))]


def test_each_frame_has_its_pixels_and_the_attributes_of_its_groups() -> None:
    frames = frames_of(enhanced_mr())
    assert len(frames) == 4
    for n, ds in enumerate(frames, start=1):
        assert ds.SOPClassUID == MR
        assert "NumberOfFrames" not in ds
        assert (ds.pixel_array == slice_pixels(n)).all()
        assert ds.ImagePositionPatient == [-100.5, -90.25, 2.5 * (1 + (4 - n) // 2)]
        assert ds.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
        assert (ds.PixelSpacing, ds.SliceThickness) == ([0.5, 0.75], 2.5)
        assert (ds.RescaleSlope, ds.RescaleIntercept) == (2, 5)
        assert (ds.WindowCenter, ds.WindowWidth) == (100 + n, 300)
        assert ds.PatientName == "Doe^Jane"


def test_what_the_classic_class_calls_otherwise_is_there_under_its_name() -> None:
    ds = frames_of(enhanced_mr())[1]
    assert ds.EchoTime == 9.2  # its own, over the shared one
    assert (ds.RepetitionTime, ds.FlipAngle, ds.EchoTrainLength) == (250, 52, 2)
    assert (ds.InversionTime, ds.ImagingFrequency, ds.ImagedNucleus) == (900, 123.210568, "1H")
    assert (ds.ScanningSequence, ds.SequenceVariant) == (["GR", "IR"], "SP")
    assert (ds.InPlanePhaseEncodingDirection, ds.AcquisitionMatrix) == ("COL", [64, 0, 0, 48])
    assert (ds.TriggerTime, ds.NominalInterval, ds.AcquisitionNumber) == (25, 850, 7)
    assert (ds.AcquisitionDate, ds.AcquisitionTime) == ("20260102", "101002.25")
    assert (ds.ContentDate, ds.ContentTime) == ("20260102", "101102.75")
    assert ds.ImageType == ["ORIGINAL", "PRIMARY", "T1", "NONE"]
    assert ds.DiffusionBValue == 1000
    assert ds.DiffusionGradientOrientation == [0, 0.6, 0.8]


def test_instance_numbers_follow_the_dimensions_not_the_order_of_the_frames() -> None:
    assert [ds.InstanceNumber for ds in frames_of(enhanced_mr())] == [3, 4, 1, 2]


def test_parts_of_a_concatenation_are_one_series_numbered_through() -> None:
    parts = [enhanced_mr(2, ConcatenationUID=f"{ROOT}.8", ConcatenationFrameOffsetNumber=n) for n in (0, 2)]
    parts[1].SOPInstanceUID += ".2"
    found = [one for part in parts for one in frames_of(part)]
    assert [one.InstanceNumber for one in found] == [1, 2, 3, 4]
    assert len({one.SeriesInstanceUID for one in found}) == 1
    assert len({one.SOPInstanceUID for one in found}) == 4
    assert not any("ConcatenationUID" in one for one in found)


def test_private_groups_of_two_makers_do_not_mix() -> None:
    ds = frames_of(enhanced_mr())[2]
    shared, own = ds.private_block(0x0021, "MAKER SHARED"), ds.private_block(0x0021, "MAKER FRAME")
    assert shared[0xFE].value[0].PatientComments == "shared"
    assert own[0xFE].value[0].PatientComments == "frame 3"


def test_uids_are_new_the_same_each_time_and_lead_back() -> None:
    once, again = frames_of(enhanced_mr()), frames_of(enhanced_mr())
    assert [ds.SOPInstanceUID for ds in once] == [ds.SOPInstanceUID for ds in again]
    assert len({ds.SOPInstanceUID for ds in once}) == 4
    assert len({ds.SeriesInstanceUID for ds in once}) == 1
    assert once[0].SeriesInstanceUID != enhanced_mr().SeriesInstanceUID
    assert once[0].StudyInstanceUID == enhanced_mr().StudyInstanceUID
    for n, ds in enumerate(once, start=1):
        (reference,) = ds.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == enhanced_mr().SOPInstanceUID
        assert reference.ReferencedFrameNumber == n
        assert ds.ContributingEquipmentSequence[-1].PurposeOfReferenceCodeSequence[0].CodeValue == "109106"


@pytest.mark.parametrize("name", ["implicit", "big-endian", "deflated"])
def test_other_native_transfer_syntaxes_stay(name: str) -> None:
    whole, _ = made(part10(enhanced_mr()), name)
    for n, file in enumerate(split_files(whole), start=1):
        ds = pydicom.dcmread(io.BytesIO(file))
        assert (
            ds.file_meta.TransferSyntaxUID == pydicom.dcmread(io.BytesIO(whole)).file_meta.TransferSyntaxUID
        )
        assert (decoded(file)[0][0] == slice_pixels(n)).all()
        assert ds.EchoTime == (4.6 if n % 2 else 9.2)


def test_compressed_frames_are_copied_fragment_for_fragment() -> None:
    whole, _ = made(part10(enhanced_mr()), "jpeg-ls")
    for n, file in enumerate(split_files(whole), start=1):
        assert pydicom.dcmread(io.BytesIO(file)).file_meta.TransferSyntaxUID.endswith(".80")
        assert (decoded(file)[0][0] == slice_pixels(n)).all()


def test_a_frame_of_several_fragments_keeps_them() -> None:
    ds = enhanced_mr(2)
    ds.PixelData = encapsulate([b"\xff\xd8first!", b"\xff\xd8second"], fragments_per_frame=2)
    ds["PixelData"].is_undefined_length = True
    file = part10(ds, "1.2.840.10008.1.2.4.80")
    found = [pydicom.dcmread(io.BytesIO(one)) for one in split_files(file)]
    parts = [list(pydicom.encaps.generate_fragments(one.PixelData)) for one in found]
    assert [len(p) - 1 for p in parts] == [2, 2]  # an empty offset table before them
    assert [b"".join(p) for p in parts] == [b"\xff\xd8first!", b"\xff\xd8second"]


def test_bytes_of_odd_frames_are_padded_each() -> None:
    ds = enhanced_mr(3)
    ds.Rows = ds.Columns = 3
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(range(27)) + b"\0"
    ds["PixelData"].VR = "OB"
    assert [one.PixelData for one in frames_of(ds)] == [
        bytes(range(9 * n, 9 * n + 9)) + b"\0" for n in range(3)
    ]


def test_a_plane_of_a_multi_frame_overlay_stays_with_its_frame() -> None:
    ds = enhanced_mr(3)
    planes = np.random.default_rng(1).integers(0, 2, (3, 15 * 15), np.uint8)
    for tag, vr, value in (
        (0x60000010, "US", 15), (0x60000011, "US", 15), (0x60000015, "IS", "3"), (0x60000040, "CS", "G"),
        (0x60000050, "SS", [1, 1]), (0x60000051, "US", 1), (0x60000100, "US", 1), (0x60000102, "US", 0),
    ):  # fmt: skip
        ds.add_new(tag, vr, value)
    bits = np.packbits(planes.reshape(-1), bitorder="little").tobytes()
    ds.add_new(0x60003000, "OB", bits + b"\0" * (len(bits) % 2))
    for n, one in enumerate(frames_of(ds)):
        assert 0x60000015 not in one
        flags = np.unpackbits(np.frombuffer(one[0x60003000].value, np.uint8), bitorder="little")
        assert (flags[:225] == planes[n]).all()


def test_text_of_a_group_in_another_character_set_is_moved_into_that_of_the_object() -> None:
    ds = enhanced_mr(1, SpecificCharacterSet="ISO_IR 192")
    content = ds.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0]
    content.SpecificCharacterSet, content.FrameComments = "ISO_IR 100", "Schädel"
    (one,) = frames_of(ds)
    assert one.ImageComments == "Schädel"


def test_ct_says_axial_and_exposure_in_whole_numbers() -> None:
    ds = enhanced_mr(1)
    ds.SOPClassUID, ds.Modality = ENHANCED_CT, "CT"
    group = ds.PerFrameFunctionalGroupsSequence[0]
    kind, exposure = Dataset(), Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    exposure.ExposureTimeInms, exposure.XRayTubeCurrentInmA, exposure.ExposureInmAs = 500.4, 210.0, 105.6
    group.CTImageFrameTypeSequence, group.CTExposureSequence = [kind], [exposure]
    (one,) = frames_of(ds)
    assert one.ImageType == ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]
    assert (one.ExposureTime, one.XRayTubeCurrent, one.Exposure) == (500, 210, 106)
    assert (one.ExposureInmAs, one.KVP) == (105.6, None)


def test_what_a_second_x_ray_source_does_hides_nothing_of_the_first() -> None:
    ds = enhanced_mr(1)
    ds.SOPClassUID, ds.Modality = ENHANCED_CT, "CT"
    first, second = Dataset(), Dataset()
    first.KVP, second.KVP = "120", "80"
    shared = ds.SharedFunctionalGroupsSequence[0]
    shared.CTXRayDetailsSequence, shared.CTAdditionalXRaySourceSequence = [first], [second]
    (one,) = frames_of(ds)
    assert (one.KVP, one.CTAdditionalXRaySourceSequence[0].KVP) == (120, 80)


def test_pet_has_units_corrections_and_the_time_since_the_series_began() -> None:
    ds = enhanced_mr(2, DecayCorrected="YES", AttenuationCorrected="YES", ScatterCorrected="NO")
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.130", "PT"
    ds.SeriesDate, ds.SeriesTime = "20260102", "101000"
    mapping, unit = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "Bq/ml", "UCUM", "Bq/ml"
    mapping.MeasurementUnitsCodeSequence = [unit]
    ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [mapping]
    frames = frames_of(ds)
    for one in frames:
        assert one.SOPClassUID == "1.2.840.10008.5.1.4.1.1.128"
        assert (one.Units, one.CorrectedImage, one.DecayCorrection) == ("BQML", ["DECY", "ATTN"], "START")
        assert (one.ImageIndex, one.ActualFrameDuration) == (one.InstanceNumber, 20)
        assert one.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "Bq/ml"
    assert [one.FrameReferenceTime for one in frames] == [61_750, 62_750]


def test_xa_frames_need_no_position() -> None:
    ds = enhanced_mr(2)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.12.1.1", "XA"
    for group in ds.PerFrameFunctionalGroupsSequence:
        positioner = Dataset()
        positioner.PositionerPrimaryAngle, positioner.PositionerSecondaryAngle = "30", "-10"
        del group.PlanePositionSequence
        group.PositionerPositionSequence = [positioner]
    for one in frames_of(ds):
        assert one.SOPClassUID == "1.2.840.10008.5.1.4.1.1.12.1"
        assert (one.PositionerPrimaryAngle, one.PositionerSecondaryAngle) == (30, -10)
        assert one.RadiationSetting == "GR"


def test_a_macro_of_several_items_stays_a_sequence_and_the_first_is_flat_too() -> None:
    ds = enhanced_mr(1)
    details = [Dataset(), Dataset()]
    details[0].PercentSampling, details[1].PercentSampling = "90", "80"
    ds.SharedFunctionalGroupsSequence[0].MRFOVGeometrySequence = details
    (one,) = frames_of(ds)
    assert one.PercentSampling == 90
    assert [item.PercentSampling for item in one.MRFOVGeometrySequence] == [90, 80]


def test_sources_of_all_derivations_are_kept() -> None:
    ds = enhanced_mr(1)
    derivations = [Dataset(), Dataset()]
    for n, derivation in enumerate(derivations):
        source = Dataset()
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = MR, f"{ROOT}.77.{n}"
        derivation.DerivationDescription, derivation.SourceImageSequence = f"step {n}", [source]
    ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence = derivations
    (one,) = frames_of(ds)
    named = [item.ReferencedSOPInstanceUID for item in one.SourceImageSequence]
    assert named == [f"{ROOT}.77.0", f"{ROOT}.77.1", ds.SOPInstanceUID]
    assert one.DerivationDescription == "step 0"


def test_a_legacy_converted_object_of_another_program_gives_back_what_it_has() -> None:
    ds = enhanced_mr(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.4", PixelPresentation="MONOCHROME")
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedInstanceSequence = f"{ROOT}.50", []
    for n, group in enumerate(ds.PerFrameFunctionalGroupsSequence, start=1):
        source, unassigned = Dataset(), Dataset()
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = MR, f"{ROOT}.50.{n}"
        unassigned.ImageComments, unassigned.InstanceNumber = f"comment {n}", 40 + n
        group.ConversionSourceAttributesSequence = [source]
        group.UnassignedPerFrameConvertedAttributesSequence = [unassigned]
        series.ReferencedInstanceSequence.append(source)
    ds.ReferencedSeriesSequence = [series]
    for n, one in enumerate(frames_of(ds), start=1):
        assert (one.SOPInstanceUID, one.SeriesInstanceUID) == (f"{ROOT}.50.{n}", f"{ROOT}.50")
        assert (one.ImageComments, one.InstanceNumber) == (f"comment {n}", 40 + n)
        assert (one.AcquisitionNumber, one.AcquisitionTime) == (7, f"1010{n:02d}.25")
        assert one.SliceThickness == 2.5
        assert "SourceImageSequence" not in one
        for keyword in ("PixelPresentation", "StackID", "ReferencedSeriesSequence", "FrameType"):
            assert keyword not in one


def test_without_conversion_source_it_gets_uids_as_others_do() -> None:
    ds = enhanced_mr(2, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.4")
    for n, one in enumerate(frames_of(ds), start=1):
        assert one.SOPClassUID == MR
        assert one.SourceImageSequence[-1].ReferencedFrameNumber == n


def without(*keywords: str) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        for keyword in keywords:
            delattr(ds, keyword)

    return change


def change(**attributes: Any) -> Callable[[Dataset], None]:
    def change(ds: Dataset) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return change


def shorter(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[-1]


def no_position(ds: Dataset) -> None:
    del ds.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def wrong_vr(ds: Dataset) -> None:
    ds.PerFrameFunctionalGroupsSequence[1].add_new("PlanePositionSequence", "OB", b"\1\2")


def no_groups(ds: Dataset) -> None:
    ds.add_new("SharedFunctionalGroupsSequence", "OB", b"\0\0")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (shorter, "3 Items for 4 frames"),
        (
            without("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
            "no functional groups",
        ),
        (without("PerFrameFunctionalGroupsSequence"), "0 Items for 4 frames"),
        (no_groups, "OB where functional groups are a sequence"),
        (wrong_vr, "OB where functional groups are a sequence"),
        (no_position, r"frame 3 has no Image Position \(Patient\)"),
        (change(NumberOfFrames=5), "there are 4 frames where 5 are declared"),
        (change(NumberOfFrames=0), "less than 1"),
        (change(NumberOfFrames=2_000_000_000), "2000000000 frames, the limit is"),
        (without("NumberOfFrames"), "Number of Frames is missing"),
        (without("PixelData"), "no Pixel Data"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words(harm: Callable[[Dataset], None], words: str) -> None:
    ds = enhanced_mr()
    harm(ds)
    with pytest.raises(DataSetError, match=words):
        list(SingleFrames(scanned(ds)))


def test_an_object_without_a_uid_has_nothing_to_derive_others_from() -> None:
    uid = enhanced_mr().SOPInstanceUID.encode()
    file = part10(enhanced_mr()).replace(uid, bytes(len(uid)))
    with pytest.raises(DataSetError, match="no SOP Instance UID"):
        SingleFrames(read_part10(file)[1])


@pytest.mark.parametrize("uid", ["1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.3.1", f"{ROOT}.1"])
def test_what_has_no_single_frame_class_is_refused(uid: str) -> None:
    with pytest.raises(CallerError, match="no single-frame class"):
        SingleFrames(scanned(enhanced_mr(SOPClassUID=uid)))
