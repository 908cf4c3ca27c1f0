"""Every losslessly stored image of the shared data decodes to the digest that two other programs agreed on."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest

from gantry.errors import DataSetError
from image_values import decoded
from support import shared_data

# Refused before there is a pixel to decode, and why
REFUSED = {
    # [B43] after a sequence of defined length comes an Item that belongs to none
    "us/GH364.dcm": "belongs to no sequence",
}


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()


def test_every_lossless_image_of_the_shared_data_has_its_digest() -> None:
    root = shared_data()
    wrong, count = [], 0
    with (root / "DECODED.csv").open(encoding="utf-8") as table:
        for row in csv.DictReader(table):
            count += 1
            file = (root / row["path"]).read_bytes()
            if row["path"] in REFUSED:
                with pytest.raises(DataSetError, match=REFUSED[row["path"]]):
                    decoded(file)
                continue
            pixels, _ = decoded(file)
            if digest(pixels) != row["sha256_of_decoded_pixels"] or pixels.dtype != row["dtype"]:
                wrong.append((row["path"], row["transfer_syntax"], pixels.dtype, pixels.shape))
    assert count > 300
    assert not wrong


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("ct/J2K_pixelrep_mismatch.dcm", "unsigned, the header says otherwise"),
        ("mr/slicethickness_empty_string.dcm", "10 bits where Bits Stored is 12"),
        ("op/sample-op.dcm", "lossy JPEG"),
    ],
)
def test_where_stream_and_header_disagree_it_is_said(file: str, words: str) -> None:
    _, notes = decoded((shared_data() / file).read_bytes())
    assert any(words in note for note in notes), notes


# pydicom's package has the same pixels in several transfer syntaxes
PAIRS = [
    ("MR_small.dcm", "MR_small_RLE.dcm"),
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_implicit.dcm"),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
    ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
    ("rtdose.dcm", "rtdose_rle.dcm"),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ("image_dfl.dcm", "image_dfl.dcm"),
]


@pytest.mark.parametrize(("plain", "other"), PAIRS)
def test_files_of_pydicom_have_the_same_pixels_in_each_syntax(plain: str, other: str) -> None:
    found = []
    for name in (plain, other):
        path = Path(pydicom.__file__).parent / "data" / "test_files" / name
        found.append(decoded(path.read_bytes())[0])
    assert found[0].dtype == found[1].dtype
    assert (found[0] == found[1]).all()
