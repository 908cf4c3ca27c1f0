"""The dump: what people see of a file, and that nothing in a file reaches their terminal unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_files

from dataset_bytes import (
    CONTENT,
    NAME,
    PATIENT_ID,
    PATIENT_NAME,
    PIXEL_DATA,
    encapsulated,
    explicit,
    implicit,
    item,
    long,
    short,
    undefined_sequence,
)
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.errors import DataSetError
from gantry.standard.sop_classes import CT_IMAGE
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, JPEG_BASELINE_8_BIT
from gantry.toolkit.dump import dump_json, dump_lines, dump_text, printable
from support import shared_data
from video_values import stream, video_object


def part10(data_set: bytes, syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    return (
        encode_file_meta(sop_class_uid=CT_IMAGE, sop_instance_uid="1.2.3", transfer_syntax_uid=syntax)
        + data_set
    )


def line(data_set: bytes, tag: int, **how: int) -> str:
    """The one line about an attribute."""
    place = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    (found,) = [text for text in dump_lines(part10(data_set), **how) if text.lstrip().startswith(place)]
    return found


def test_a_line_has_tag_vr_length_keyword_and_value() -> None:
    assert line(NAME, PATIENT_NAME).split() == ["(0010,0010)", "PN", "8", "PatientName", "Doe^Jane"]
    assert line(explicit(0x00280010, "US", b"\x00\x02"), 0x00280010).split()[-2:] == ["Rows", "512"]
    assert line(explicit(0x00200032, "DS", b"1.5\\2 "), 0x00200032).endswith("1.5\\2.0")
    assert line(short(PATIENT_ID, "LO", b""), PATIENT_ID).split() == ["(0010,0020)", "LO", "0", "PatientID"]


def test_file_meta_comes_first_and_uids_have_their_names() -> None:
    lines = dump_text(part10(NAME)).splitlines()
    assert lines[0].startswith("(0002,0000) UL")
    assert any("TransferSyntaxUID" in text and text.endswith("= Explicit VR Little Endian") for text in lines)
    assert any("MediaStorageSOPClassUID" in text and text.endswith("= CT Image Storage") for text in lines)
    assert lines[-1].startswith("(0010,0010) PN")


def test_what_is_nested_is_indented_and_counted() -> None:
    inner = undefined_sequence(0x00081140, item(NAME))
    data = long(CONTENT, "SQ", item(inner) + item(b"")) + long(0x00880200, "SQ", b"")
    lines = [text for text in dump_lines(part10(data)) if not text.startswith("(0002")]
    assert lines[0].startswith("(0040,A730) SQ") and lines[0].endswith("2 Items")
    assert lines[1] == "  Item 1"
    assert lines[2].startswith("    (0008,1140) SQ") and lines[2].endswith("1 Item") and "u/" in lines[2]
    assert lines[3] == "      Item 1"
    assert lines[4].startswith("        (0010,0010) PN")
    assert lines[5] == "  Item 2"
    assert lines[6].endswith("0 Items")


def test_long_values_are_shortened() -> None:
    text = line(explicit(0x0040A160, "UT", b"a" * 5_000_000), 0x0040A160, value_width=20)
    assert text.endswith("  " + "a" * 19 + "…")
    assert line(explicit(0x0040A160, "UT", b"a" * 20), 0x0040A160, value_width=20).endswith("a" * 20)
    assert line(explicit(0x00091001, "OB", bytes(17)), 0x00091001).endswith("00 " * 16 + "…")
    assert line(explicit(0x00091001, "OB", b"\x01\xff"), 0x00091001).endswith("01 FF")


def test_pixel_data_is_summed_up() -> None:
    assert line(explicit(PIXEL_DATA, "OW", bytes(1000)), PIXEL_DATA).split()[2:] == [
        "1000",
        "PixelData",
        "native",
    ]
    data = part10(encapsulated(b"\0\0\0\0" * 2, b"abcd", b"efgh12"), JPEG_BASELINE_8_BIT)
    assert dump_text(data).splitlines()[-1].endswith("2 fragments, 10 bytes, Basic Offset Table of 2")
    data = part10(encapsulated(b"", b"abcd"), JPEG_BASELINE_8_BIT)
    assert dump_text(data).splitlines()[-1].endswith("1 fragment, 4 bytes, no Basic Offset Table")


def test_private_and_unknown_attributes_say_so() -> None:
    assert "Private Creator" in line(short(0x00090010, "LO", b"ACME"), 0x00090010)
    assert "Private" in line(short(0x00091001, "LO", b"a "), 0x00091001)
    assert "Unknown" in line(short(0x00080099, "LO", b"a "), 0x00080099)


@pytest.mark.parametrize(
    "text", ["a\r\nb", "\x1b[31mred", "\u202egnp.exe", "zero\u200bwidth", "tab\t", "\x00", "\x9b1m"]
)
def test_b36_what_a_terminal_would_act_upon_is_escaped(text: str) -> None:
    raw = text.encode()
    data = short(0x00080005, "CS", b"ISO_IR 192") + long(0x00091001, "UT", raw + b" " * (len(raw) % 2))
    shown = dump_text(part10(data))
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(shown.splitlines()) == len(list(dump_lines(part10(data))))
    assert printable(text).isprintable()


def test_a_data_set_without_file_meta_is_read_as_what_it_seems() -> None:
    lines = list(dump_lines(implicit(0x00080020, b"20200101") + implicit(0x00080060, b"CT")))
    assert "Implicit VR Little Endian" in lines[0]
    assert lines[2].endswith("CT")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"hello world, this is no DICOM", bytes(132), b"\x89PNG\r\n\x1a\n" + bytes(200)]
)
def test_what_is_no_dicom_is_refused_before_the_first_line(data: bytes) -> None:
    with pytest.raises(DataSetError):
        dump_lines(data)
    with pytest.raises(DataSetError):
        dump_json(data)


@pytest.mark.parametrize("cut", [140, 200, 340])
def test_a_file_that_is_cut_is_refused_with_the_place(cut: int) -> None:
    data = part10(NAME + long(0x00091001, "OB", bytes(500)))
    with pytest.raises(DataSetError):
        dump_text(data[:cut])


def test_json_holds_file_meta_and_data_set() -> None:
    model = dump_json(part10(NAME + explicit(PIXEL_DATA, "OW", b"ab")))
    assert model["00020010"] == {"vr": "UI", "Value": [EXPLICIT_VR_LITTLE_ENDIAN]}
    assert model["00020001"] == {"vr": "OB", "InlineBinary": "AAE="}
    assert model["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    assert "7FE00010" not in model
    assert dump_json(part10(explicit(PIXEL_DATA, "OW", b"ab")), inline_pixel_data=True)["7FE00010"][
        "InlineBinary"
    ]
    assert list(model) == sorted(model)
    json.dumps(model, allow_nan=False)


@given(st.binary(max_size=120))
def test_any_data_set_is_dumped_or_refused(data: bytes) -> None:
    try:
        shown = dump_text(part10(data))
    except DataSetError:
        return
    assert all(c.isprintable() or c == "\n" for c in shown)
    json.dumps(dump_json(part10(data)), allow_nan=False)


def check_that_it_dumps(path: Path) -> bool:
    data = path.read_bytes()
    try:
        _, ds = read_part10(data)
    except DataSetError:
        return False
    shown = dump_text(data)
    assert shown.count("\n") > len(ds.elements), path.name
    assert all(c.isprintable() or c == "\n" for c in shown), path.name
    json.dumps(dump_json(data), allow_nan=False)
    return True


def test_pydicoms_own_files_are_dumped() -> None:
    root = Path(pydicom.__file__).parent
    paths = [path for name in get_testdata_files() if root in (path := Path(name)).parents and path.is_file()]
    assert sum(check_that_it_dumps(path) for path in paths) > 60


@pytest.mark.slow
def test_every_shared_file_that_can_be_read_is_dumped() -> None:
    paths = [path for path in shared_data().rglob("*") if path.is_file()]
    assert sum(check_that_it_dumps(path) for path in paths) > 500


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (
            lambda: video_object(stream(frames=4), frames=4),
            "H.264 High 1.0, 64x48, 4 frames, 25 a second, in an MP4",
        ),
        (
            lambda: video_object(stream(frames=4), frames=9),
            "the stream has 4 frames where Number of Frames is 9",
        ),
        (lambda: video_object(b"no video at all."), "the Pixel Data does not begin like a video"),
    ],
    ids=["agrees", "disagrees", "broken"],
)
def test_a_video_is_described_where_its_pixels_are(file: Callable[[], bytes], words: str) -> None:
    (line,) = [line for line in dump_lines(file()) if line.startswith("(7FE0,0010)")]
    assert words in line
