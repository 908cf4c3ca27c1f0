"""DICOM files: what is read, what is written, what is refused."""

from __future__ import annotations

import io
import random
import resource
import zlib
from struct import pack

import pydicom
import pytest

from dataset_bytes import BIG, EXPLICIT, IDENTIFIER, NAME, PATIENT_NAME, explicit, implicit, long, short
from gantry.dataset.deflate import deflate
from gantry.dataset.limits import MAX_META_BYTES, InflateLimits
from gantry.dataset.part10 import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    TRANSFER_SYNTAX_UID,
    encode_file_meta,
    guess_syntax,
    inflate,
    read_file_meta,
    read_part10,
)
from gantry.errors import DataSetError
from gantry.standard.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

PREFIX = bytes(128) + b"DICM"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
VERSION = long(0x00020001, "OB", b"\0\1")
SOP_CLASS = short(0x00020002, "UI", SECONDARY_CAPTURE.encode() + b"\0")
INSTANCE = short(0x00020003, "UI", b"1.2.3\0")
SYNTAX = short(0x00020010, "UI", EXPLICIT_VR_LITTLE_ENDIAN.encode() + b"\0")
META = VERSION + SOP_CLASS + INSTANCE + SYNTAX


def meta(syntax: str = EXPLICIT_VR_LITTLE_ENDIAN, **more: str) -> bytes:
    return encode_file_meta(
        sop_class_uid=SECONDARY_CAPTURE, sop_instance_uid="1.2.3", transfer_syntax_uid=syntax, **more
    )


def test_what_is_written_is_read() -> None:
    data = meta(source_aet="CT1", sending_aet="A", receiving_aet="GANTRY") + NAME
    found, ds = read_part10(data)
    assert found.preamble == bytes(128)
    assert found.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    assert found.media_storage_sop_class_uid == SECONDARY_CAPTURE
    assert found.media_storage_sop_instance_uid == "1.2.3"
    assert found.text(0x00020012) == IMPLEMENTATION_CLASS_UID
    assert found.text(0x00020013) == IMPLEMENTATION_VERSION_NAME == "GANTRY_0_1"
    assert [found.text(tag) for tag in (0x00020016, 0x00020017, 0x00020018)] == ["CT1", "A", "GANTRY"]
    assert found.dataset_offset == len(data) - len(NAME)
    assert ds.text(PATIENT_NAME) == "Doe^Jane"
    assert ds.elements[PATIENT_NAME][2] == len(data) - 8
    assert not found.executable_preamble


def test_pydicom_reads_what_is_written() -> None:
    theirs = pydicom.dcmread(io.BytesIO(meta() + NAME))
    assert theirs.file_meta.FileMetaInformationGroupLength == len(meta()) - 144
    assert theirs.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert pydicom.uid.UID(IMPLEMENTATION_CLASS_UID).is_valid
    assert theirs.PatientName == "Doe^Jane"


def test_only_the_beginning_of_a_file_is_needed() -> None:
    whole = meta()
    assert read_file_meta(whole + NAME[:3]).dataset_offset == len(whole)


def test_meta_information_in_implicit_vr_is_read() -> None:
    data = PREFIX + implicit(0x00020002, b"1.2\0") + implicit(0x00020010, b"1.2.840.10008.1.2\0")
    assert read_file_meta(data).transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN


def test_files_without_meta_information_are_guessed() -> None:
    assert guess_syntax(NAME) is EXPLICIT
    assert guess_syntax(explicit(PATIENT_NAME, "PN", b"Doe^Jane", order=">")) is BIG
    found = guess_syntax(implicit(PATIENT_NAME, b"Doe^Jane"))
    assert found is not None
    assert found.uid == IMPLICIT_VR_LITTLE_ENDIAN
    assert guess_syntax(b"") is None
    assert guess_syntax(b"<html><body>nothing</body>") is None
    assert guess_syntax(b"PK\3\4" + bytes(20)) is None


@pytest.mark.parametrize(
    "data",
    [
        META + NAME,
        b"DICM" + META + NAME,
        bytes(64) + b"DICM" + META + NAME,
        bytes(127) + b"DICM" + META + NAME,
        bytes(256) + b"DICM" + META + NAME,
        b"",
        bytes(128),
        bytes(128) + b"DIC",
    ],
    ids=["none", "at 0", "at 64", "at 127", "at 256", "empty", "zeros", "cut"],
)
def test_b47_no_preamble_is_no_dicom_file(data: bytes) -> None:
    with pytest.raises(DataSetError, match="not a DICOM file"):
        read_file_meta(data)


@pytest.mark.parametrize("data", [META + NAME, b"DICM" + META + NAME])
def test_b47_files_without_preamble_where_tolerated(data: bytes) -> None:
    found, ds = read_part10(data, tolerate_missing_preamble=True)
    assert found.preamble == b""
    assert ds.text(PATIENT_NAME) == "Doe^Jane"


@pytest.mark.parametrize(
    "start",
    [b"MZ\x90\0", b"\x7fELF", b'{"a": 1}', b"<html>", b" <!DOCTYPE", b"%PDF-1.7", b"PK\3\4", b"#!/bin/sh"],
)
def test_b48_a_preamble_that_is_something_else_is_kept_and_flagged(start: bytes) -> None:
    preamble = start.ljust(128, b"\0")
    found = read_file_meta(preamble + b"DICM" + META)
    assert found.preamble == preamble
    assert found.executable_preamble


def test_b48_a_tiff_preamble_is_legitimate() -> None:
    assert not read_file_meta(b"II*\0".ljust(128, b"\0") + b"DICM" + META).executable_preamble


@pytest.mark.parametrize("length", [0, 1, 0xFFFFFFFF, 9_999_999, len(META) - 1, len(META) + 1])
def test_b49_the_group_length_is_not_believed(length: int) -> None:
    data = PREFIX + short(0x00020000, "UL", pack("<L", length)) + META + NAME
    found, ds = read_part10(data)
    assert found.dataset_offset == len(data) - len(NAME)
    assert list(ds.elements) == [PATIENT_NAME]


def test_b49_no_group_length_at_all() -> None:
    assert read_part10(PREFIX + META + NAME)[1].text(PATIENT_NAME) == "Doe^Jane"


def test_b49_the_same_said_twice_is_read_and_two_things_are_refused() -> None:
    assert read_file_meta(PREFIX + META + SYNTAX).transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    for again in (
        short(0x00020010, "UI", b"1.2.840.10008.1.2\0"),
        short(0x00020003, "UI", b"1.2.4\0"),
        short(0x00020002, "UI", b"1.2\0"),
    ):
        with pytest.raises(DataSetError, match="two different things") as caught:
            read_file_meta(PREFIX + META + again)
        assert caught.value.offset == len(PREFIX + META)


def test_b49_meta_information_that_is_cut_or_endless() -> None:
    for cut in range(1, len(VERSION)):
        with pytest.raises(DataSetError):
            read_part10(PREFIX + META + VERSION[:cut])
    with pytest.raises(DataSetError, match="more than"):
        read_file_meta(PREFIX + META + long(0x00020102, "OB", bytes(MAX_META_BYTES)) + NAME)
    with pytest.raises(DataSetError, match=r"more than|cut"):
        read_file_meta(PREFIX + short(0x00020013, "SH", b"") * 20_000)
    with pytest.raises(DataSetError):
        read_file_meta(PREFIX + META + long(0x00020102, "OB", b"", 0xFFFFFFFF))


def test_b44_an_unknown_vr_in_meta_information_allocates_nothing() -> None:
    """CVE-2026-3650: an unknown VR in group 0002 with a length of gigabytes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for vr in (b"ZZ", b"\0\0", b"\xff\xff"):
        with pytest.raises(DataSetError):
            read_file_meta(PREFIX + META + pack("<HH2sHL", 2, 0x0102, vr, 0xFFFF, 0x7FFFFFFF))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10


def test_b50_no_transfer_syntax() -> None:
    for empty in (b"", short(0x00020010, "UI", b"")):
        with pytest.raises(DataSetError, match="no Transfer Syntax") as caught:
            read_part10(PREFIX + VERSION + empty + NAME)
        assert caught.value.tag == TRANSFER_SYNTAX_UID


def test_b50_an_unknown_syntax_is_read_as_all_compressed_ones_are() -> None:
    assert read_part10(meta("1.2.3.4.5") + NAME)[1].text(PATIENT_NAME) == "Doe^Jane"


@pytest.mark.parametrize(
    ("syntax", "body"),
    [
        (EXPLICIT_VR_LITTLE_ENDIAN, implicit(0x00080060, b"CT") + implicit(PATIENT_NAME, b"Doe^Jane")),
        (IMPLICIT_VR_LITTLE_ENDIAN, short(0x00080060, "CS", b"CT") + NAME),
        (EXPLICIT_VR_BIG_ENDIAN, short(0x00080060, "CS", b"CT") + NAME),
    ],
)
def test_b50_a_body_in_another_syntax_than_declared(syntax: str, body: bytes) -> None:
    with pytest.raises(DataSetError):
        read_part10(meta(syntax) + body)


def _deflated(data: bytes) -> bytes:
    return b"".join(deflate([data]))


def test_b51_big_endian_and_deflated_are_read() -> None:
    big = meta(EXPLICIT_VR_BIG_ENDIAN) + explicit(PATIENT_NAME, "PN", b"Doe^Jane", order=">")
    assert read_part10(big)[1].text(PATIENT_NAME) == "Doe^Jane"
    packed = _deflated(NAME + IDENTIFIER)
    assert len(packed) % 2 == 0
    _, ds = read_part10(meta(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) + packed)
    assert ds.text(PATIENT_NAME) == "Doe^Jane"
    assert bytes(ds.buffer) == NAME + IDENTIFIER


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_b51_deflated_in_pieces(size: int) -> None:
    plain = random.Random(3).randbytes(5000) + bytes(700_000)
    packed = _deflated(plain)
    pieces = list(inflate(packed[n : n + size] for n in range(0, len(packed), size)))
    assert b"".join(pieces) == plain
    assert max(map(len, pieces)) <= 1 << 18


def test_b51_a_gzip_trailer_is_accepted_where_it_is_true() -> None:
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress(NAME) + deflater.flush()
    trailer = pack("<LL", zlib.crc32(NAME), len(NAME))
    for split in range(len(stream) + 8):
        whole = stream + trailer
        assert b"".join(inflate([whole[:split], whole[split:]])) == NAME
    for wrong in (trailer[::-1], trailer + b"x", b"x"):
        with pytest.raises(DataSetError, match="something follows"):
            list(inflate([stream + wrong]))


def test_b51_deflated_corrupt_or_cut() -> None:
    packed = _deflated(random.Random(5).randbytes(400) + NAME)
    for cut in range(len(packed) - 2):
        with pytest.raises(DataSetError):
            list(inflate([packed[:cut]]))
    with pytest.raises(DataSetError, match="corrupt"):
        list(inflate([b"\xff" * 64]))
    with pytest.raises(DataSetError):
        list(inflate([]))


def test_b52_a_deflate_bomb_is_refused_and_memory_is_flat() -> None:
    deflater = zlib.compressobj(9, wbits=-15)
    zeros = bytes(1 << 20)
    bomb = b"".join([deflater.compress(zeros) for _ in range(200)]) + deflater.flush()
    assert len(bomb) < 210_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = 0
    with pytest.raises(DataSetError, match="more than 200 times"):
        for piece in inflate(bomb[n : n + 4096] for n in range(0, len(bomb), 4096)):
            made += len(piece)
    assert made < 3 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 << 10
    with pytest.raises(DataSetError, match="more than 200 times"):
        read_part10(meta(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) + bomb)


def test_b52_the_size_cap_holds_whatever_the_ratio() -> None:
    limits = InflateLimits(ratio=10_000, slack_bytes=0, size_bytes=1000)
    with pytest.raises(DataSetError, match="past 1000 bytes"):
        list(inflate([_deflated(bytes(1001))], limits))
    assert b"".join(inflate([_deflated(bytes(1000))], limits)) == bytes(1000)
