"""XML and JSON of whole files, and the same files made of them again; a table of headers; `gantry.read`."""

from __future__ import annotations

import csv
import io
import json
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

import gantry
from dataset_bytes import BIG, EXPLICIT, explicit, long
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import CallerError, DataSetError
from gantry.toolkit.convert import convert
from gantry.toolkit.convert_options import Options
from gantry.toolkit.exact_model import exact_model, file_from_document, file_from_model
from gantry.toolkit.sources import Kind, kind_of
from image_values import color, gray, image_object, made
from serving import CT, ROOT, dataset, part10
from support import shared_data


def difference(a: DataSet, b: DataSet, path: str = "") -> str:
    """Where two Data Sets differ by an element, its VR or its bytes; empty where they do not.

    Group lengths may go, and values of odd length may get a byte.
    """
    tags = [{tag for tag in ds.elements if tag & 0xFFFF} for ds in (a, b)]
    if tags[0] != tags[1]:
        return f"{path}: {[f'{tag:08X}' for tag in tags[0] ^ tags[1]]}"
    for tag in sorted(tags[0]):
        here = f"{path}/{tag:08X}"
        one, other = a.elements[tag], b.elements[tag]
        if one[1] != other[1]:
            return f"{here}: {one[1]} became {other[1]}"
        if one[1] == "SQ":
            items = a.sequence(tag), b.sequence(tag)
            if len(items[0]) != len(items[1]):
                return f"{here}: {len(items[0])} Items became {len(items[1])}"
            for inner in zip(*items, strict=True):
                if found := difference(*inner, here):
                    return found
        elif tag == 0x7FE00010 and (fragments(a) or fragments(b)):
            if fragments(a) != fragments(b):
                return f"{here}: other fragments"
        else:
            value, again = a.raw(tag), b.raw(tag)
            if again != value and not (len(value) % 2 and again[:-1] == value):
                return f"{here}: {value[:40]!r} became {again[:40]!r}"
    return ""


def fragments(ds: DataSet) -> list[bytes]:
    pixels = ds.pixel_data
    if pixels is None or pixels.fragments is None:
        return []
    return [bytes(ds.buffer[offset : offset + length]) for offset, length in pixels.fragments]


def both_ways(file: bytes) -> list[str]:
    """What is lost of a file on the way through JSON and through XML."""
    import msgspec

    from gantry.dataset.xml_model import to_xml

    meta, ds = read_part10(file)
    documents = [msgspec.json.encode(exact_model(meta, ds)), to_xml(exact_model(meta, ds, for_xml=True))]
    lost = []
    for document in documents:
        again_meta, again = read_part10(file_from_document(document))
        metas = [{t: v.rstrip(b"\0 ") for t, v in m.values.items() if t & 0xFFFF} for m in (meta, again_meta)]
        lost.append("" if metas[0] == metas[1] else "File Meta Information")
        lost.append(difference(ds, again))
    return [words for words in lost if words]


def file_of(body: bytes, syntax: str = EXPLICIT.uid) -> bytes:
    """A file whose Data Set is these bytes."""
    return encode_file_meta(sop_class_uid=CT, sop_instance_uid=f"{ROOT}.1", transfer_syntax_uid=syntax) + body


# --- exact


@pytest.mark.parametrize(
    "name", ["implicit", "explicit", "big-endian", "deflated", "rle", "jpeg-ls", "htj2k-rpcl", "encapsulated"]
)
def test_every_transfer_syntax_comes_back(name: str) -> None:
    assert both_ways(made(image_object(gray(3), FrameTime="33.30"), name)[0]) == []


@pytest.mark.parametrize(
    ("vr", "tag", "value"),
    [
        ("DS", 0x00180050, b"1.50 "),  # a number would become 1.5
        ("DS", 0x00180050, b" 1e3\\0.1000\\+2"),
        ("IS", 0x00200013, b"007 "),
        ("CS", 0x00080060, b" CT\\ MR"),
        ("LO", 0x00081030, b"two  \\ spaces "),
        ("LT", 0x00204000, b"line\r\nand \\ not two values  "),
        ("PN", 0x00100010, b"Doe^Jane^^^  =\x1b= "),
        ("UI", 0x00080018, b"1.2.3\0"),
        ("UI", 0x00080018, b"1.2.3 "),
        ("DA", 0x00080020, b"not a date"),
        ("FD", 0x00189087, bytes.fromhex("000000000000f87f")),  # NaN
        ("FL", 0x00189074, bytes.fromhex("0000807f")),  # infinity
        ("AT", 0x00280009, b"\x18\x00\x63\x10"),
        ("US", 0x00280010, b"\x01\x00\x02\x00"),
        ("OB", 0x00282000, b"\x00\x01\x02\x03"),
        ("SH", 0x00080050, b"\x01\x02control"),
        ("LO", 0x00081030, b"\xe4\xf6"),  # outside of the default repertoire
        ("UN", 0x00100010, b"Doe^Jane"),  # what the dictionary knows and the file does not
        ("UN", 0x00091001, b"\x01\x02\x03\x04"),
    ],
)
def test_every_value_comes_back_byte_for_byte(vr: str, tag: int, value: bytes) -> None:
    value += b" " * (len(value) % 2)
    assert both_ways(file_of(explicit(tag, vr, value))) == []


def test_characters_in_the_character_sets_that_are_named() -> None:
    name = explicit(0x00100010, "PN", "Müller^Jörg".encode("latin-1") + b" ")
    assert both_ways(file_of(explicit(0x00080005, "CS", b"ISO_IR 100") + name)) == []
    japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B "
    charset = explicit(0x00080005, "CS", b"\\ISO 2022 IR 87")
    assert (
        both_ways(file_of(charset + explicit(0x00100010, "PN", japanese + b" " * (len(japanese) % 2)))) == []
    )


def test_unknown_words_of_big_endian_are_not_turned() -> None:
    body = explicit(0x00090010, "LO", b"GEMS_IDEN_01", order=">")
    body += long(0x00091027, "UN", b"\x01\x02\x03\x04", order=">")
    assert both_ways(file_of(body, BIG.uid)) == []


def test_sequences_and_compressed_icons_in_them() -> None:
    icon = Dataset()
    icon.Rows = icon.Columns = 8
    icon.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    icon["PixelData"].VR = "OB"
    icon["PixelData"].is_undefined_length = True
    ds = pydicom.dcmread(io.BytesIO(made(image_object(gray(2)), "rle")[0]))
    ds.IconImageSequence = Sequence([icon])
    ds.ReferencedStudySequence = Sequence([Dataset(), dataset(2)])
    assert both_ways(part10(ds, ds.file_meta.TransferSyntaxUID)) == []


def test_a_deflated_file_is_inflated_again_to_the_same() -> None:
    file = made(image_object(gray(2)), "deflated")[0]
    meta, ds = read_part10(file)
    again = file_from_model(exact_model(meta, ds))
    offset = read_part10(again)[0].dataset_offset
    assert zlib.decompress(again[offset:], -15) == zlib.decompress(file[meta.dataset_offset :], -15)


def test_pydicoms_own_files_come_back() -> None:
    root = Path(pydicom.__file__).parent / "data"
    lost = []
    for path in sorted(root.rglob("*.dcm")):
        lost += _lost(path)
    assert [entry for entry in lost if entry[0] not in KNOWN] == []


@pytest.mark.slow
def test_real_files_come_back() -> None:
    lost = []
    for path in sorted(shared_data().rglob("*")):
        if path.is_file() and path.stat().st_size < 8 << 20:
            lost += _lost(path)
    assert [entry for entry in lost if entry[0] not in KNOWN] == []


KNOWN = {
    "explicit_VR-UN.dcm": "its Specific Character Set is UN, which the model needs as CS",
    "nested_priv_SQ.dcm": "a private sequence in Implicit VR is known by its undefined length only",
}


def _lost(path: Path) -> list[tuple[str, str]]:
    content = path.read_bytes()
    if kind_of(content[: 64 << 10]) is not Kind.OBJECT:
        return []
    try:
        read_part10(content)
    except DataSetError:
        return []
    return [(path.name, words) for words in both_ways(content)]


# --- as files


def test_documents_as_files_and_back(tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    files = {"one": image_object(gray()), "two": made(image_object(color(2)), "rle")[0]}
    for name, content in files.items():
        (given / f"{name}.dcm").write_bytes(content)
    for to in ("json", "xml"):
        convert(given, tmp_path / to, to)
        convert(tmp_path / to, tmp_path / f"from-{to}", "dicom")
        for name, content in files.items():
            again = (tmp_path / f"from-{to}" / f"{name}.dcm").read_bytes()
            assert difference(read_part10(content)[1], read_part10(again)[1]) == ""
            assert (pydicom.dcmread(io.BytesIO(again)).pixel_array == pydicom.dcmread(
                io.BytesIO(content)).pixel_array).all()  # fmt: skip


def test_the_documents_are_what_the_standard_says(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(image_object(gray(), PatientName="Doe^Jane"))
    convert(tmp_path / "x.dcm", tmp_path / "x.json")
    model = json.loads((tmp_path / "x.json").read_text())
    assert model["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}
    assert Dataset.from_json({key: value for key, value in model.items() if key[:4] != "0002"}).Rows == 32
    convert(tmp_path / "x.dcm", tmp_path / "x.xml")
    root = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert root.tag.endswith("NativeDicomModel")
    assert root.find("./*[@keyword='PatientName']/*/*/*").text == "Doe"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "neither XML nor JSON"),
        (b"hello", "neither XML nor JSON"),
        (b"{", "JSON"),
        (b"{}", "SOP Class UID or SOP Instance UID is missing"),
        (b"<html/>", ""),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><NativeDicomModel/>', ""),
        (b'{"00100010": {"vr": "ZZ"}, "00080016": {"vr": "UI", "Value": ["1"]}}', ""),
        (b'{"7FE00010": {"vr": "OB", "InlineBinary": "%%%"}}', ""),
        (b'{"00020010": {"vr": "UI", "Value": [{}]}}', ""),
        (b'{"00020010": {"vr": "UI", "Value": 5}}', ""),
        (b'{"00020002": {"vr": "UI", "BulkDataURI": "http://x/"}}', ""),
        (b'{"00020010": [], "00080016": {"vr": "UI", "Value": ["1"]}}', ""),
    ],
)
def test_a_document_that_is_none_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    (done,) = convert(tmp_path / "x.json", tmp_path / "out", "dicom")
    assert done.path is None
    assert words in done.error
    assert not list((tmp_path / "out").iterdir())


def test_a_cut_document_is_refused_wherever_it_is_cut() -> None:
    import msgspec

    meta, ds = read_part10(image_object(gray()))
    document = msgspec.json.encode(exact_model(meta, ds))
    for cut in range(0, len(document), 97):
        with pytest.raises(DataSetError):
            file_from_document(document[:cut])


def test_documents_without_meta_information_become_explicit(tmp_path: Path) -> None:
    model = dataset(1).to_json_dict()
    again = pydicom.dcmread(io.BytesIO(file_from_model(model)))
    assert again.file_meta.TransferSyntaxUID == EXPLICIT.uid
    assert again.SOPInstanceUID == dataset(1).SOPInstanceUID


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CallerError, match="no file or folder"):
        convert(tmp_path / "nothing.json", tmp_path / "out", "dicom")


# --- a table


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def two_headers(folder: Path) -> Path:
    given = folder / "in"
    given.mkdir()
    (given / "a.dcm").write_bytes(
        part10(dataset(1, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100"))
    )
    (given / "b.dcm").write_bytes(
        part10(dataset(2, PatientComments='=cmd|"/c calc"!A1', SliceLocation="-12.5", ImageType=["A", "B"]))
    )
    (given / "c.dcm").write_bytes(b"\0" * 128 + b"DICM broken")
    return given


def test_one_row_for_each_object_and_a_column_for_each_attribute(tmp_path: Path) -> None:
    done = convert(two_headers(tmp_path), tmp_path / "table.csv")
    assert [one.path for one in done if one.path] == [tmp_path / "table.csv"]
    assert [Path(one.source).name for one in done if not one.path] == ["c.dcm"]
    first, second = rows(tmp_path / "table.csv")
    assert Path(first["File"]).name == "a.dcm"
    assert (first["PatientName"], first["Rows"], first["InstanceNumber"]) == ("Müller^Jörg", "1", "1")
    assert (first["ImageType"], second["ImageType"]) == ("", "A\\B")
    assert "PixelData" not in first
    assert list(first)[1:] == sorted(
        list(first)[1:], key=lambda name: pydicom.datadict.tag_for_keyword(name) or 0
    )


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    """B37"""
    convert(two_headers(tmp_path), tmp_path / "table.csv")
    second = rows(tmp_path / "table.csv")[1]
    assert second["PatientComments"] == '\'=cmd|"/c calc"!A1'
    assert second["SliceLocation"] == "-12.5"


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    given = two_headers(tmp_path)
    convert(given, tmp_path / "table.csv", options=Options(columns=("PatientID", "00080060")))
    assert list(rows(tmp_path / "table.csv")[0].items())[1:] == [("PatientID", "P1"), ("Modality", "CT")]
    with pytest.raises(CallerError, match="'Nothing' is not an attribute"):
        convert(given, tmp_path / "other.csv", options=Options(columns=("Nothing",)))


def test_a_cell_is_no_longer_than_a_spreadsheet_takes(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(part10(dataset(1, PatientComments="x" * 50_000)))
    convert(tmp_path / "x.dcm", tmp_path / "table.csv")
    assert len(rows(tmp_path / "table.csv")[0]["PatientComments"]) == 32_001


# --- read


def test_reading_one_file(tmp_path: Path) -> None:
    file = image_object(gray(), PatientName="Doe^Jane")
    (tmp_path / "x.dcm").write_bytes(file)
    convert(tmp_path / "x.dcm", tmp_path / "x.xml")
    meta, _ = read_part10(file)
    (tmp_path / "bare").write_bytes(file[meta.dataset_offset :])
    readings: list[Any] = [gantry.read(tmp_path / name) for name in ("x.dcm", "x.xml", "bare")]
    for reading in readings:
        assert reading.PatientName == "Doe^Jane"
        assert (reading.pixel_array == gray()[0]).all()
    (tmp_path / "cut").write_bytes(file[:-10])
    with pytest.raises(DataSetError):
        gantry.read(tmp_path / "cut")
    (tmp_path / "notes.txt").write_text("no object")
    with pytest.raises(DataSetError, match="not DICOM"):
        gantry.read(tmp_path / "notes.txt")
