"""The dictionary's look-ups agree with pydicom's, for every attribute there is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag, tag_for_keyword

from gantry.standard import dictionary

TAGS = st.integers(0, 0xFFFFFFFF)


def test_every_attribute_has_its_keyword_name_and_multiplicity() -> None:
    for tag, (_, multiplicity, name, _, keyword) in DicomDictionary.items():
        assert dictionary.keyword_of(tag) == keyword
        assert dictionary.name_of(tag) == name
        assert dictionary.multiplicity_of(tag) == multiplicity


def test_all_attributes_are_listed_with_what_they_are_called() -> None:
    listed = {tag: (vr, keyword, name) for tag, vr, keyword, name in dictionary.attributes()}
    assert listed["00080005"] == ("CS", "SpecificCharacterSet", "Specific Character Set")
    assert listed["60xx0010"] == ("US", "OverlayRows", "Overlay Rows")
    named = {f"{tag:08X}" for tag, entry in DicomDictionary.items() if entry[4]}
    assert named < listed.keys()


def test_every_keyword_leads_to_its_tag() -> None:
    for entry in DicomDictionary.values():
        if entry[4]:
            assert dictionary.tag_of(entry[4]) == tag_for_keyword(entry[4])


def test_every_vr_is_the_dictionarys_or_one_of_its_choice() -> None:
    for tag, entry in DicomDictionary.items():
        assert dictionary.vr_choice(tag) == entry[0] or entry[0] == "NONE"
        assert dictionary.vr_of(tag) in entry[0].split(" or ") or entry[0] == "NONE"


@pytest.mark.parametrize(
    ("tag", "vr", "keyword"),
    [
        (0x60023000, "OW", "OverlayData"),
        (0x60FE0010, "US", "OverlayRows"),
        (0x50060022, "LO", "CurveDescription"),
        (0x00203155, "CS", "SourceImageIDs"),
        (0x00280410, "US", "RowsForNthOrderCoefficients"),
        (0x7FE00010, "OW", "PixelData"),
        (0x00100000, "UL", ""),
        (0x00090010, "LO", ""),
        (0x00091001, "UN", ""),
        (0x00091000, "UN", ""),
        (0x00080099, "UN", ""),
    ],
)
def test_repeating_groups_private_and_unknown_attributes(tag: int, vr: str, keyword: str) -> None:
    assert (dictionary.vr_of(tag), dictionary.keyword_of(tag)) == (vr, keyword)


@given(TAGS)
@example(0xFFFEE00D)
def test_agrees_with_pydicom_on_any_public_tag(tag: int) -> None:
    if dictionary.is_private(tag):
        assert dictionary.keyword_of(tag) == ""
        return
    assert dictionary.keyword_of(tag) == keyword_for_tag(tag)
    try:
        vr, multiplicity = dictionary_VR(tag), dictionary_VM(tag)
    except KeyError:
        assert dictionary.vr_of(tag) == ("UL" if not tag & 0xFFFF else "UN")
        return
    # Items and delimiters have no VR; UN stands for it
    assert dictionary.vr_choice(tag) == ("UN" if vr == "NONE" else vr)
    assert dictionary.multiplicity_of(tag) == multiplicity


@pytest.mark.parametrize("text", ["PatientName", "00100010", "0010,0010", "(0010,0010)", "0010 0010"])
def test_a_tag_is_found_by_any_of_its_spellings(text: str) -> None:
    assert dictionary.tag_of(text) == 0x00100010


@pytest.mark.parametrize("text", ["", "patientname", "0010001", "0010001G", "001000100", "٠٠١٠٠٠١٠"])
def test_what_is_no_tag_is_none(text: str) -> None:
    assert dictionary.tag_of(text) is None


def test_private_attributes_have_the_vr_their_vendor_published() -> None:
    assert dictionary.private_vr("SIEMENS CSA HEADER", 0x00291010) == "OB"
    assert dictionary.private_vr("SIEMENS CSA HEADER", 0x00291110) == "OB"
    assert dictionary.private_vr("GEMS_IDEN_01", 0x00091004) == "SH"
    assert dictionary.private_vr("NOBODY", 0x00291010) == "UN"
    assert dictionary.private_vr("GEMS_IDEN_01", 0x000910FF) == "UN"


def test_private_creators_are_told_from_private_attributes() -> None:
    assert dictionary.is_private_creator(0x00090010)
    assert dictionary.is_private_creator(0x000900FF)
    assert not dictionary.is_private_creator(0x00091001)
    assert not dictionary.is_private_creator(0x0009000F)
    assert not dictionary.is_private_creator(0x00100010)
