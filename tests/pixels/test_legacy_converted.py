"""Series become legacy converted objects, and come back from them bit for bit."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from gantry.dataset.part10 import read_part10
from gantry.errors import CallerError, DataSetError
from gantry.pixels import frame_source, legacy_converted
from gantry.pixels.frame_source import Headers, arranged, read_source
from gantry.pixels.image import ImageHeader
from image_values import decoded, made
from multiframe_values import (
    IMPLICIT,
    PET,
    combined,
    content,
    referring,
    scanned,
    slice_of,
    slice_pixels,
    split_files,
    with_private,
)
from serving import CT, MR, part10

SYNTAXES = ["1.2.840.10008.1.2.1", IMPLICIT, "1.2.840.10008.1.2.2"]


def ct(count: int = 5) -> list[Dataset]:
    return [with_private(slice_of(n), n) for n in range(1, count + 1)]


def back(file: bytes) -> dict[str, tuple[dict[int, tuple[str, bytes]], bytes]]:
    """By SOP Instance UID."""
    found = [read_part10(one)[1] for one in split_files(file)]
    return {ds.text(0x00080018) or "": content(ds) for ds in found}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_object_comes_back_bit_for_bit(syntax: str) -> None:
    before = [scanned(ds, syntax) for ds in ct()]
    _, file = combined(before)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}


@pytest.mark.parametrize("sop_class", [CT, MR, PET])
def test_so_do_objects_that_differ_in_what_they_have(sop_class: str) -> None:
    """Absent here and empty there; other values where the enhanced class has one for all; other blocks."""
    slices = [slice_of(n, sop_class=sop_class) for n in range(1, 7)]
    slices[0].StudyTime, slices[1].PatientAge = "235959", "040Y"
    slices[2].WindowCenter, slices[2].WindowWidth = [1, 2], [3, 4]
    slices[3].SliceThickness, slices[3].RescaleType = "", ""
    slices[3].RescaleIntercept = slices[3].RescaleSlope = "1"
    slices[4].StationName, slices[4].BurnedInAnnotation, slices[4].NumberOfFrames = "", "NO", "1"
    del slices[5].PixelSpacing, slices[5].InstanceNumber, slices[5].ContentTime, slices[5].ImageType
    slices[0].private_block(0x0029, "ONE", create=True).add_new(1, "LO", "a")
    slices[1].private_block(0x0029, "OTHER", create=True).add_new(1, "LO", "a")
    slices[1].private_block(0x0029, "ONE", create=True).add_new(1, "LO", "a")
    slices[2].private_block(0x5201, "GANTRY MULTIFRAME", create=True).add_new(9, "LO", "not ours")
    slices[3].ContributingEquipmentSequence = [Dataset()]
    slices[3].ContributingEquipmentSequence[0].Manufacturer = "Earlier"
    before = [scanned(ds) for ds in slices]
    _, file = combined(before)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}


# What writers vary, leave empty or forget; None is absent.
VARIED: dict[str, list[object]] = {
    "ImageType": [None, "", ["ORIGINAL", "PRIMARY", "LOCALIZER"], ["DERIVED", "SECONDARY", "MIP"], "X"],
    "SpacingBetweenSlices": [None, "", "2.5"],
    "SliceThickness": [None, "", "2.5", "3"],
    "PixelSpacing": [None, [1, 1], [2, 2]],
    "WindowCenter": [None, "", "40", [40, 400]],
    "WindowWidth": [None, "400", [1, 2]],
    "VOILUTFunction": [None, "SIGMOID"],
    "RescaleSlope": [None, "", "1", "2"],
    "RescaleIntercept": [None, "0"],
    "RescaleType": [None, "", "HU", "US"],
    "InstanceNumber": [None, "", "7"],
    "AcquisitionNumber": [None, "", "3", "-1", "99999999"],
    "AcquisitionDateTime": [None, "", "20260102101112.5"],
    "AcquisitionDate": [None, "", "20260102"],
    "ContentDate": [None, "", "20260102"],
    "StudyTime": [None, "", "101112"],
    "Manufacturer": [None, "", "Maker", "Other"],
    "PatientBirthDate": [None, "", "19700101"],
    "LossyImageCompression": [None, "", "00", "01"],
    "PresentationLUTShape": [None, "IDENTITY"],
    "BurnedInAnnotation": [None, "NO", "YES"],
    "NumberOfFrames": [None, "", "1"],
    "IrradiationEventUID": [None, "", "1.2.3"],
    "KVP": [None, "", "120"],
    "StackID": [None, "5"],
    "PixelPresentation": [None, "COLOR"],
    "AcquisitionContextSequence": [None, []],
    "TemporalPositionIdentifier": [None, "2"],
}
CHOICE = st.fixed_dictionaries({keyword: st.sampled_from(values) for keyword, values in VARIED.items()})


@settings(max_examples=60, deadline=None)
@given(st.lists(CHOICE, min_size=2, max_size=4), st.sampled_from([CT, MR, PET]), st.sampled_from(SYNTAXES))
def test_whatever_varies_each_object_comes_back(
    choices: list[dict[str, object]], sop_class: str, syntax: str
) -> None:
    before = []
    for number, choice in enumerate(choices, start=1):
        ds = slice_of(number, sop_class=sop_class)
        for keyword, value in choice.items():
            if value is not None:
                setattr(ds, keyword, value)
            elif keyword in ds:
                delattr(ds, keyword)
        before.append(scanned(ds, syntax))
    _, file = combined(before)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}


@pytest.mark.parametrize("name", ["rle", "jpeg-ls", "deflated"])
def test_compressed_frames_come_back_as_they_were(name: str) -> None:
    before = [read_part10(made(part10(ds), name)[0])[1] for ds in ct(4)]
    _, file = combined(before)
    after = back(file)
    for n, ds in enumerate(before, start=1):
        assert after[ds.text(0x00080018) or ""] == content(ds)
        assert (decoded(file)[0][n - 1] == slice_pixels(n)).all()


def test_a_compressed_icon_comes_back_too() -> None:
    before = []
    for number in (1, 2):
        ds = slice_of(number)
        icon = Dataset()
        icon.Rows = icon.Columns = 4
        icon.PixelData = encapsulate([b"\xff\xd8icon" + bytes([number, 0])])
        icon["PixelData"].is_undefined_length, icon["PixelData"].VR = True, "OB"
        ds.IconImageSequence = [icon]
        ds.PixelData = encapsulate([b"\xff\xd8image" + bytes([number])])
        ds["PixelData"].is_undefined_length, ds["PixelData"].VR = True, "OB"
        before.append(scanned(ds, "1.2.840.10008.1.2.4.80"))
    _, file = combined(before)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}
    (first, *_) = split_files(file)
    icon = pydicom.dcmread(io.BytesIO(first)).IconImageSequence[0]
    assert list(generate_frames(icon.PixelData, number_of_frames=1)) == [b"\xff\xd8icon\1\0"]


def test_positions_and_values_are_the_same_in_both_forms() -> None:
    slices = [slice_of(n, RescaleIntercept=str(-1000 - n)) for n in (3, 1, 2)]
    _, file = combined(scanned(ds) for ds in slices)
    whole, ds = pydicom.dcmread(io.BytesIO(file)), read_part10(file)[1]
    by_position = sorted(slices, key=lambda ds: ds.ImagePositionPatient[2])
    for n, (one, group) in enumerate(
        zip(by_position, whole.PerFrameFunctionalGroupsSequence, strict=True), start=1
    ):
        assert group.PlanePositionSequence[0].ImagePositionPatient == one.ImagePositionPatient
        assert (whole.pixel_array[n - 1] == slice_pixels(one.InstanceNumber)).all()
        assert ImageHeader.from_dataset(ds, n).rescale_intercept == one.RescaleIntercept
        source = group.ConversionSourceAttributesSequence[0]
        assert source.ReferencedSOPInstanceUID == one.SOPInstanceUID
    shared = whole.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.5, 0.75]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert whole.DimensionOrganizationType == "3D"


def test_the_top_tells_of_all_and_each_attribute_is_where_it_belongs() -> None:
    _, file = combined(scanned(ds) for ds in ct())
    whole = pydicom.dcmread(io.BytesIO(file))
    assert whole.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2.2"
    assert (whole.NumberOfFrames, whole.PatientName, whole.Manufacturer) == (5, "Doe^Jane", "Maker")
    assert whole.SeriesInstanceUID != slice_of(1).SeriesInstanceUID
    shared = whole.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence[0]
    assert (shared.KVP, shared.AcquisitionNumber) == (120, 3)
    assert shared.private_block(0x0029, "MAKER 1.0")[1].value == "same"
    for n, group in enumerate(whole.PerFrameFunctionalGroupsSequence, start=1):
        own = group.UnassignedPerFrameConvertedAttributesSequence[0]
        assert (own.Exposure, own.InstanceNumber) == (100 + n, n)
        assert own.private_block(0x0029, "MAKER 1.0")[2].value == bytes([n, 0])
        frame = group.FrameContentSequence[0]
        assert frame.FrameAcquisitionDateTime == f"202601021010{n:02d}"
        assert list(frame.DimensionIndexValues) == [1, n]
    equipment = whole.ContributingEquipmentSequence[-1]
    assert equipment.ContributionDescription == "Legacy Enhanced Image created from Classic Images"


def test_it_is_the_same_object_whatever_the_order() -> None:
    slices = [scanned(ds) for ds in ct(4)]
    made_of = {combined(order)[1] for order in itertools.permutations(slices)}
    assert len(made_of) == 1


def test_times_at_one_position_have_an_index_and_follow_one_another() -> None:
    slices = [slice_of(n, position=float(n % 3), sop_class=MR) for n in range(1, 7)]
    whole, file = combined(scanned(ds) for ds in slices)
    ds = pydicom.dcmread(io.BytesIO(file))
    assert ds.DimensionOrganizationType == "3D_TEMPORAL"
    index = [
        tuple(g.FrameContentSequence[0].DimensionIndexValues) for g in ds.PerFrameFunctionalGroupsSequence
    ]
    assert index == [(1, 1, 1), (1, 1, 2), (1, 2, 1), (1, 2, 2), (1, 3, 1), (1, 3, 2)]
    numbers = [int(frame.values[0x00200013][1]) for frame in whole.frames]
    assert numbers == [3, 6, 1, 4, 2, 5]
    assert not whole.notes


def test_slices_of_two_orientations_are_two_stacks() -> None:
    slices = [slice_of(n) for n in (1, 2)] + [
        slice_of(n, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]) for n in (3, 4)
    ]
    whole, file = combined(scanned(ds) for ds in slices)
    assert [place.stack for place in whole.places] == [1, 1, 2, 2]
    assert "DimensionOrganizationType" not in pydicom.dcmread(io.BytesIO(file))


@pytest.mark.parametrize("others", [(2, 2, 2), (2, 3, 1), (2, 3, 77)])
def test_references_are_a_group_with_evidence_where_all_is_known(others: tuple[int, ...]) -> None:
    before = [scanned(referring(n, other)) for n, other in enumerate(others, start=1)]
    _, file = combined(before)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}
    ds = pydicom.dcmread(io.BytesIO(file))
    shared = "ReferencedImageSequence" in ds.SharedFunctionalGroupsSequence[0]
    own = ["ReferencedImageSequence" in group for group in ds.PerFrameFunctionalGroupsSequence]
    alike = len(set(others)) == 1
    assert (shared, own) == (alike, [not alike] * 3)
    if 77 in others:
        assert "ReferencedImageEvidenceSequence" not in ds
        return
    (study,) = ds.ReferencedImageEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == slice_of(1).SeriesInstanceUID
    named = {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
    assert named == {slice_of(other).SOPInstanceUID for other in others}


def test_frames_that_nothing_tells_apart_are_told() -> None:
    twins = [slice_of(1, position=5.0), slice_of(1, position=5.0)]
    twins[1].SOPInstanceUID += ".1"
    whole, _ = combined(scanned(ds) for ds in twins)
    assert whole.notes == ("1 has the position and the time of 0",)


def test_mosaics_are_told_of() -> None:
    kind = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    whole, _ = combined(scanned(slice_of(n, sop_class=MR, ImageType=kind)) for n in (1, 2))
    assert whole.notes == ("2 frames are mosaics of slices; split again, they can be read as such",)


def test_more_pixels_than_a_basic_offset_table_can_tell_get_an_extended_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(legacy_converted, "MAX_BASIC_OFFSET", 100)
    before = [read_part10(made(part10(ds), "rle")[0])[1] for ds in ct(3)]
    _, file = combined(before)
    ds = pydicom.dcmread(io.BytesIO(file))
    assert len(ds.ExtendedOffsetTable) == len(ds.ExtendedOffsetTableLengths) == 24
    assert (decoded(file)[0] == np.stack([slice_pixels(n) for n in (1, 2, 3)])).all()
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}


def test_more_native_pixels_than_a_length_can_tell_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy_converted, "MAX_NATIVE_BYTES", 1000)
    with pytest.raises(CallerError, match="more than its length can tell"):
        combined(scanned(ds) for ds in ct())


def test_the_attributes_that_are_held_have_a_limit_equal_ones_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_source, "MAX_HEADER_BYTES", 1500)
    headers = Headers()
    for n in range(1, 12):
        read_source(str(n), scanned(slice_of(n)), headers)
    with pytest.raises(CallerError, match="combine fewer"):
        read_source("big", scanned(slice_of(20, ImageComments="x" * 1500)), headers)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture Image Storage has no legacy"),
        ({"SeriesInstanceUID": ""}, "Series Instance UID is missing"),
        ({"FrameOfReferenceUID": ""}, "Frame of Reference UID is missing"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "not MONOCHROME2"),
        ({"NumberOfFrames": "2"}, "2 frames already"),
        ({"ImagePositionPatient": [1, 2]}, "Position .* is not three numbers"),
        ({"ImageOrientationPatient": ""}, "Orientation .* is not six numbers"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "no plane"),
        ({"Rows": 4000}, "not whole"),
        ({"Rows": 0}, "not whole"),
    ],
)
def test_what_cannot_become_a_frame_is_refused_in_words(attributes: dict[str, object], words: str) -> None:
    with pytest.raises(DataSetError, match=words):
        read_source("one", scanned(slice_of(1, **attributes)), Headers())


@pytest.mark.parametrize(
    ("keyword", "value", "name"),
    [
        ("BitsStored", 11, "Bits Stored"),
        ("FrameOfReferenceUID", "1.2.3", "Frame of Reference UID"),
        ("SpecificCharacterSet", "ISO_IR 192", "Specific Character Set"),
        ("PatientName", "Doe^John", "Patient's Name"),
        ("Rows", 8, "Rows"),
    ],
)
def test_the_one_that_differs_is_left_and_told_in_what(keyword: str, value: object, name: str) -> None:
    slices = [*ct(3), slice_of(9, **{keyword: value})]
    headers = Headers()
    groups, refused = arranged([read_source(str(n), scanned(ds), headers) for n, ds in enumerate(slices)])
    assert [len(group) for group in groups] == [3]
    assert [(source.name, reason) for source, reason in refused] == [
        ("3", f"it differs from the others of its series in {name}")
    ]


def test_one_alone_and_one_twice_are_told() -> None:
    headers = Headers()
    one, twin = (read_source(name, scanned(slice_of(1)), headers) for name in ("a", "b"))
    groups, refused = arranged([one, twin])
    assert not groups
    reasons = {source.name: reason for source, reason in refused}
    assert reasons["b"] == "its SOP Instance UID is that of a"
    assert "alone in its series" in reasons["a"]


def test_slices_with_a_frame_of_reference_each_can_be_taken_together() -> None:
    before = [scanned(slice_of(n, FrameOfReferenceUID=f"1.2.{n}")) for n in (1, 2, 3)]
    _, file = combined(before, one_frame_of_reference=True)
    assert back(file) == {ds.text(0x00080018): content(ds) for ds in before}


def test_a_frame_that_is_not_as_long_as_it_was_ends_it() -> None:
    headers = Headers()
    groups, _ = arranged([read_source(str(n), scanned(slice_of(n)), headers) for n in (1, 2)])
    made_of = legacy_converted.LegacyConverted(groups[0])
    with pytest.raises(DataSetError, match="changed since it was read"):
        b"".join(bytes(piece) for piece in made_of.pieces([[b"12"], [b"34"]]))
