from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.reencode import NativePixels, little_endian_value, reencode
from gantry.errors import DataSetError
from gantry.standard.transfer_syntaxes import transfer_syntax

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"


def sample() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    ds.SOPInstanceUID = "1.2.3"
    ds.PatientName = "Müller^Jörg"
    ds.FrameIncrementPointer = 0x00181063
    ds.ImagePositionPatient = [1.5, -2, 3]
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.PixelRepresentation = 2, 4, 16, 0
    ds.SmallestImagePixelValue = 7
    ds.RescaleSlope = "1"
    inner = Dataset()
    inner.CodeValue = "T-1"
    inner.RecommendedDisplayFrameRateInFloat = 2.5
    deeper = Dataset()
    deeper.add_new(0x00186060, "FL", 3.25)
    inner.add_new(0x0040A730, "SQ", Sequence([deeper, Dataset()]))
    ds.add_new(0x00081032, "SQ", Sequence([inner]))
    ds.add_new(0x00090010, "LO", "SOMEBODY")
    ds.add_new(0x00091001, "LO", "private")
    ds.add_new(0x54000110, "OW", b"\x01\x02" * 40_000)
    ds.PixelData = bytes(range(16))
    ds["PixelData"].VR = "OW"
    return ds


def file_in(ds: Dataset, syntax: str) -> bytes:
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    if syntax == BIG:
        ds.PixelData = b"".join(ds.PixelData[i : i + 2][::-1] for i in range(0, len(ds.PixelData), 2))
        ds[0x54000110].value = b"".join(ds[0x54000110].value[i : i + 2][::-1] for i in range(0, 80_000, 2))
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    implicit, little = syntax == IMPLICIT, syntax != BIG
    ds.save_as(buffer, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return buffer.getvalue()


def _explicit(ds: Dataset) -> bytes:
    buffer = io.BytesIO()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def reencoded(file: bytes, syntax: str, pixels: NativePixels | None = None, samples: bytes = b"") -> Any:
    _, ds = read_part10(file)
    pieces = list(reencode(ds, transfer_syntax(syntax), pixels))
    head = encode_file_meta(sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid=syntax)
    return pydicom.dcmread(io.BytesIO(head + b"".join(bytes(p) for p in pieces) + samples))


@pytest.mark.parametrize("stored", [EXPLICIT, IMPLICIT, BIG])
@pytest.mark.parametrize("target", [EXPLICIT, IMPLICIT])
def test_values_are_the_same_in_another_native_syntax(stored: str, target: str) -> None:
    expected = pydicom.dcmread(io.BytesIO(_explicit(sample())))
    found = reencoded(file_in(sample(), stored), target)
    private = expected[0x00091001].value
    assert found[0x00091001].value in (private, private.encode(), private.encode() + b" ")
    for ds in (expected, found):
        del ds[0x00091001]
    assert found.to_json_dict() == expected.to_json_dict()


def test_explicit_to_explicit_is_the_same_bytes_where_nothing_had_to_change() -> None:
    ds = sample()
    del ds[0x00081032]
    file = _explicit(ds)
    _, scanned = read_part10(file)
    again = b"".join(bytes(p) for p in reencode(scanned, transfer_syntax(EXPLICIT)))
    assert file.endswith(again)


def test_encapsulated_pixels_need_their_samples() -> None:
    ds = sample()
    ds.PixelData = pydicom.encaps.encapsulate([b"\x00" * 8])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds.save_as(buffer, enforce_file_format=True)
    with pytest.raises(DataSetError, match="7FE0,0010"):
        reencoded(buffer.getvalue(), EXPLICIT)
    pixels = NativePixels("OW", 16, {0x00280004: ("CS", b"MONOCHROME2")})
    found = reencoded(buffer.getvalue(), EXPLICIT, pixels, bytes(range(16)))
    assert found.PixelData == bytes(range(16))
    assert found.PhotometricInterpretation == "MONOCHROME2"
    assert found.PatientName == "Müller^Jörg"


def test_a_bulk_value_comes_in_little_endian() -> None:
    for stored in (EXPLICIT, BIG):
        _, ds = read_part10(file_in(sample(), stored))
        assert little_endian_value(ds, ds.elements[0x7FE00010]) == bytes(range(16))
        assert little_endian_value(ds, ds.elements[0x00100010]) == "Müller^Jörg ".encode("latin-1")
