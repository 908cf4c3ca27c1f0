"""Records, and how an arriving object is described."""

from __future__ import annotations

from datetime import UTC, datetime
from struct import pack

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from dataset_bytes import EXPLICIT, explicit, item
from gantry.archive.describe import MAX_ELEMENT_BYTES, MAX_TEXT, MAX_VALUES, describe
from gantry.archive.query import serialise
from gantry.archive.records import InstanceKey, ObjectRecord, Origin
from gantry.dataset.part10 import FileMeta, read_part10
from gantry.dataset.scan import DataSet, scan
from gantry.standard.query_keys import Level
from index_records import at, element, record

KEY = InstanceKey("1.2", "1.2.3", "1.2.3.4")
NOW = datetime(2024, 5, 6, tzinfo=UTC)
META, _ = read_part10(
    b"\0" * 128
    + b"DICM"
    + explicit(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    + explicit(0x00080018, "UI", b"1.2\0")
)


def described(ds: DataSet, meta: FileMeta = META) -> ObjectRecord:
    return describe(
        meta,
        ds,
        key=KEY,
        file_size=1000,
        dataset_sha256=b"d" * 32,
        meta_sha256=b"m" * 32,
        received_at=NOW,
        origin=Origin("AE", "192.0.2.1", "dimse"),
    )


def of(*elements: bytes) -> ObjectRecord:
    return described(scan(b"".join(elements), EXPLICIT))


def test_attributes_are_sorted_by_the_level_they_belong_to() -> None:
    found = of(
        explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        explicit(0x00080018, "UI", b"1.2.3.4\0"),
        explicit(0x00080020, "DA", b"20240506"),
        explicit(0x00080060, "CS", b"CT"),
        explicit(0x00100010, "PN", b"Doe^Jane"),
        explicit(0x00180060, "DS", b"120 "),
        explicit(0x0020000D, "UI", b"1.2\0"),
        explicit(0x0020000E, "UI", b"1.2.3\0"),
        explicit(0x00200013, "IS", b"7 "),
        explicit(0x00280010, "US", pack("<H", 512)),
    )
    assert found.patient == {"00100010": element("PN", "Doe^Jane")}
    assert found.study == {"00080020": element("DA", "20240506"), "0020000D": element("UI", "1.2")}
    assert found.series == {"00080060": element("CS", "CT"), "0020000E": element("UI", "1.2.3")}
    assert found.instance == {
        "00080016": element("UI", "1.2.840.10008.5.1.4.1.1.2"),
        "00080018": element("UI", "1.2.3.4"),
        "00200013": element("IS", 7),
        "00280010": element("US", 512),
    }
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert not found.truncated


def test_padding_of_identifiers_does_not_count() -> None:
    found = of(explicit(0x00100020, "LO", b"  P1  "), explicit(0x00100021, "LO", b"HOSPITAL\0\0"))
    assert (found.patient_id, found.issuer) == ("P1", "HOSPITAL")
    assert of(explicit(0x00100020, "LO", b"")).patient_id == ""
    assert of().patient_id == ""


def test_what_the_archive_computes_is_not_taken_from_the_object() -> None:
    found = of(explicit(0x00080061, "CS", b"XX"), explicit(0x00201208, "IS", b"99"))
    assert "00080061" not in found.study and "00201208" not in found.study


def test_the_time_zone_goes_to_every_level_that_answers_it() -> None:
    found = of(explicit(0x00080201, "SH", b"+0100 "))
    for attributes in (found.study, found.series, found.instance):
        assert attributes["00080201"] == element("SH", "+0100")


def test_a_sequence_is_kept_with_its_items() -> None:
    found = of(explicit(0x00081032, "SQ", item(explicit(0x00080100, "SH", b"CHEST "))))
    assert found.study["00081032"] == element("SQ", {"00080100": element("SH", "CHEST")})
    assert of(explicit(0x00081032, "SQ", b"")).study["00081032"] == {"vr": "SQ"}


@pytest.mark.parametrize(("tag", "vr"), [(0x00100010, "PN"), (0x00100020, "LO"), (0x00081030, "LO")])
@pytest.mark.parametrize("size", [65_534, 2_000])
def test_b38_long_text_is_cut_in_the_record_and_said_so(tag: int, vr: str, size: int) -> None:
    found = of(explicit(tag, vr, b"x" * size))
    value = (found.patient | found.study)[f"{tag:08X}"]["Value"][0]
    assert (value["Alphabetic"] if vr == "PN" else value) == "x" * MAX_TEXT
    assert found.truncated


def test_b38_a_megabyte_of_text_or_sequence_does_not_reach_the_index() -> None:
    found = of(
        explicit(0x00081032, "SQ", item(explicit(0x00080104, "UT", b"y" * MAX_ELEMENT_BYTES))),
        explicit(0x00102160, "SH", b"\\".join([b"v"] * 5000)),
        explicit(0x001021B0, "UT", b"z" * (1 << 20)),
    )
    assert "00081032" not in found.study
    assert len(found.patient["00102160"]["Value"]) == MAX_VALUES
    assert found.study["001021B0"]["Value"] == ["z" * MAX_TEXT]
    assert found.truncated
    assert len(serialise(Level.STUDY, found.patient | found.study).more) < 4 * MAX_TEXT


def test_b39_text_in_a_wrong_character_set_is_described() -> None:
    found = of(
        explicit(0x00080005, "CS", b"ISO_IR 192"),
        explicit(0x00100010, "PN", b"M\xfcller^J\xf6rg"),
        explicit(0x00100020, "LO", b"\xff\xfe\x80 "),
    )
    assert serialise(Level.STUDY, found.patient)
    assert "ller^J" in found.patient["00100010"]["Value"][0]["Alphabetic"]


def test_a_series_has_one_modality() -> None:
    assert of(explicit(0x00080060, "CS", b"CT\\MR ")).series["00080060"] == element("CS", "CT")


def test_a_record_is_placed_without_being_changed() -> None:
    made = record()
    placed = made.placed("objects/x.dcm", at(5))
    assert (placed.path, placed.received_at) == ("objects/x.dcm", at(5))
    assert (placed.key, placed.study) == (made.key, made.study)
    assert made.path != placed.path


@given(st.binary(max_size=40), st.sampled_from(["PN", "LO", "DA", "IS", "DS", "UI", "SQ", "UN", "OB", "US"]))
def test_no_value_keeps_an_object_from_being_described(value: bytes, vr: str) -> None:
    if vr == "SQ":
        value = item(explicit(0x00080104, "LO", value + b" " * (len(value) % 2)))
    padded = value + b"\0" * (len(value) % 2)
    tags = (0x00080020, 0x00080060, 0x00100010, 0x00100020, 0x00200011, 0x00200013)
    found = of(*(explicit(tag, vr, padded) for tag in tags))
    for level, attributes in (
        (Level.STUDY, found.patient | found.study),
        (Level.SERIES, found.series),
        (Level.IMAGE, found.instance),
    ):
        assert serialise(level, attributes).attributes() == attributes
    assert isinstance(found.patient_id, str)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "rtplan.dcm"])
def test_described_attributes_are_those_that_pydicom_reads(name: str) -> None:
    path = get_testdata_file(name)
    if path is None:
        pytest.skip(f"pydicom ships no {name} here")
    assert isinstance(path, str)
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()
    meta, ds = read_part10(content)
    reference = pydicom.dcmread(path)
    reference.decode()
    expected = reference.to_json_dict(suppress_invalid_tags=True)
    found = described(ds, meta)
    forced = {"0020000D", "0020000E", "00080018"}
    for attributes in (found.patient, found.study, found.series, found.instance):
        for tag, value in attributes.items():
            if tag not in forced:
                assert value == expected[tag], tag
    assert found.pixel is None or found.pixel.offset > meta.dataset_offset
