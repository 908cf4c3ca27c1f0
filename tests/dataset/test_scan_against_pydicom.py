"""What a scan finds in real files is what pydicom finds: tags, VRs, bytes of each value, on every level."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_files

from gantry.dataset.part10 import read_part10
from gantry.dataset.scan import DataSet
from gantry.errors import DataSetError
from real_files import READ_FURTHER
from support import shared_data

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

# What pydicom reads and we refuse, with the words of the refusal
REFUSED = {
    "DICOMDIR-nooffset": "an Item of 248 bytes leaves its Sequence",  # the file is cut
    "3gb-bulk-data-truncated.dcm": "bytes where 98080 are left",  # B43
    "MR_truncated.dcm": "bytes where 8130 are left",  # B43
    "rtplan_truncated.dcm": "bytes where 711 are left",  # B43
    "emri_small_jpeg_2k_lossless_too_short.dcm": "not ended by a delimiter",  # B42
    "GH179B.dcm": "VR b'  ' is not known",  # an element without a length; pydicom ends there in silence
    "TC0405_latin1_utf8_payload.dcm": "is not known",  # rubbish at the end; pydicom ends there in silence
    "TC0445_duplicate_tags.dcm": "is not known",  # rubbish at the end
    "TC0265_depth_100.dcm": "nested deeper",  # B40
    "TC0357_stray_item_tag.dcm": "belongs to no sequence",  # B42
    "TC0361_stray_seq_delim.dcm": "belongs to no sequence",  # B42
    "GH364.dcm": "belongs to no sequence",  # an Item without its Sequence; dcmdump ends there too
    "SC_rgb_jpeg.dcm": "declared as Explicit VR",  # B50
    "TC0393_meta_glen_one.dcm": "",  # a wrong group length that also shifts the bytes after it
    "TC0397_meta_glen_huge.dcm": "",
    "TC0235_bitsallocated_US_as_SS.dcm": "names no Transfer Syntax",
    "TC0247_bitsstored_US_as_UL.dcm": "names no Transfer Syntax",
    "TC0255_implicit_rows_4bytes.dcm": "names no Transfer Syntax",
    "TC0267_depth_500_raw.dcm": "names no Transfer Syntax",
    "TC0345_deflate_corrupt.dcm": "names no Transfer Syntax",
    "TC0347_deflate_truncated.dcm": "names no Transfer Syntax",
    "meta_missing_tsyntax.dcm": "names no Transfer Syntax",
    "no_preamble_dicm_in_data.dcm": "names no Transfer Syntax",
}


def shared_files() -> Iterator[Path]:
    return (path for path in sorted(shared_data().rglob("*")) if path.is_file())


def packaged_files() -> list[Path]:
    """Files that pydicom's own package holds; it would download others."""
    root = Path(pydicom.__file__).parent
    paths = [Path(name) for name in get_testdata_files()]
    return [path for path in paths if root in path.parents and path.is_file()]


def compare(path: Path) -> str:
    """Reads one file both ways: what came of it."""
    data = path.read_bytes()
    theirs = _their_reading(path)
    try:
        _, ours = read_part10(data)
    except DataSetError as error:
        if theirs is None:
            return "neither"
        assert path.name in REFUSED, f"{path}: {error}"
        assert REFUSED[path.name] in str(error)
        return "refused"
    assert theirs is not None, f"{path}: pydicom does not read it"
    if path.name in READ_FURTHER:
        assert set(theirs.keys()) < set(ours.elements)
        return "further"
    assert_equal(ours, theirs, path.name)
    return "equal"


def _their_reading(path: Path) -> pydicom.Dataset | None:
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path)
    except (pydicom.errors.InvalidDicomError, NotImplementedError, ValueError, OSError):
        return None
    finally:
        logging.disable(logging.NOTSET)


def assert_equal(ours: DataSet, theirs: pydicom.Dataset, where: str) -> None:
    assert set(ours.elements) == {int(tag) for tag in theirs.keys()}, where  # noqa: SIM118 - not iterable as a dict
    for tag, (_, vr, *_) in ours.elements.items():
        place = f"{where} {tag:08X}"
        raw: Any = theirs.get_item(tag)
        if raw.VR is not None and vr != "UN":
            assert vr == raw.VR, place
        if vr == "SQ":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                items = list(theirs[tag].value)
            mine = ours.sequence(tag)
            assert len(mine) == len(items), place
            for one, other in zip(mine, items, strict=True):
                assert_equal(one, other, place)
        elif isinstance(raw, pydicom.dataelem.RawDataElement):
            assert ours.raw(tag) == (raw.value or b""), place


@pytest.mark.parametrize("path", packaged_files(), ids=lambda path: path.name)
def test_files_that_pydicom_ships(path: Path) -> None:
    compare(path)


def test_every_shared_file_is_read_as_pydicom_reads_it() -> None:
    outcomes = [compare(path) for path in shared_files()]
    assert outcomes.count("equal") > 500
    assert outcomes.count("further") == 1
