"""Files of real devices as tests use them: which are readable, what they are, which of them an archive refuses.

*Readable* is what pydicom reads whole, every sequence included: the yardstick from outside. The tables say
for which readable files our reading, or keeping, differs, and why that is right.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_files

from gantry.client.objects import Outgoing
from support import shared_data

# Readable files that are never kept, by the words of the refusal. B-rows of the bad inputs in brackets.
REFUSED: dict[str, frozenset[str]] = {
    # File-set directories and worklist items are no composite objects; some test files are a few elements only
    "SOP Class UID is missing": frozenset(
        [
            "DICOMDIR",
            "DICOMDIR_charsets_clunie",
            "DICOMDIR_fo-dicom",
            "DICOMDIR-bigEnd",
            "DICOMDIR-empty.dcm",
            "DICOMDIR-implicit",
            "DICOMDIR-nopatient",
            "DICOMDIR-reordered",
            "issue49-latin1.wl",
            "wklist1.wl",
            "wklist2.wl",
            "wklist3.wl",
            "wklist4.wl",
            "wklist5.wl",
            "wklist6.wl",
            "wklist7.wl",
            "wklist8.wl",
            "wklist9.wl",
            "wklist10.wl",
            "chrSQEncoding.dcm",
            "chrSQEncoding1.dcm",
            "UN_sequence.dcm",
            "empty_charset_LEI.dcm",
            "nested_priv_SQ.dcm",
            "no_meta_group_length.dcm",
            "priv_SQ.dcm",
            "decimal_rescale.dcm",
        ]
    ),
    # [B31]; a hanging protocol and colour palettes belong to no patient and so to no study (PS3.4 GG)
    "Study Instance UID is": frozenset(
        [
            "NeurosurgeryPlan.dcm",
            "fall.dcm",
            "hotiron.dcm",
            "hotmetalblue.dcm",
            "pet.dcm",
            "pet20step.dcm",
            "spring.dcm",
            "summer.dcm",
            "winter.dcm",
            "GH220.dcm",
            "GH223.dcm",
            "GH487.dcm",
            "Issue196.dcm",
            "HTJ2KLossless_08_RGB.dcm",
            "HTJ2K_08_RGB.dcm",
            "JLSL_08_07_0_1F.dcm",
            "JLSL_16_15_1_1F.dcm",
            "JPEGLSNearLossless_08.dcm",
            "JPEGLSNearLossless_16.dcm",
            "SC_rgb_jls_lossy_line.dcm",
            "SC_rgb_jls_lossy_sample.dcm",
            "wsi_140_tiles_jpeg.dcm",
        ]
    ),
    # [B32] 67, 64 with letters, 636 and 65 characters
    "characters holds others than digits and dots": frozenset(
        [
            "jpeg2000-multiframe-multifragments.dcm",
            "bad_sequence.dcm",
            "TC0133_sopinstanceuid_over_10x.dcm",
            "TC0457_uid_uid_65chars_over.dcm",
        ]
    ),
    # [B40] one hundred levels, where 64 are the limit
    "nested deeper": frozenset({"TC0265_depth_100.dcm"}),
    # [B42] [B43] cut, though pydicom says nothing
    "leaves its Sequence": frozenset({"DICOMDIR-nooffset"}),
    "not ended by a delimiter": frozenset({"emri_small_jpeg_2k_lossless_too_short.dcm"}),
    "bytes where": frozenset({"3gb-bulk-data-truncated.dcm", "MR_truncated.dcm", "rtplan_truncated.dcm"}),
    # [B44] bytes that are no element, where pydicom ends in silence
    "is not known": frozenset({"GH179B.dcm", "TC0405_latin1_utf8_payload.dcm"}),
    # [B49] a wrong group length that also shifts the bytes after it
    "cut in its File Meta Information": frozenset({"TC0393_meta_glen_one.dcm", "TC0397_meta_glen_huge.dcm"}),
    # [B50] pydicom guesses
    "names no Transfer Syntax": frozenset(
        [
            "meta_missing_tsyntax.dcm",
            "no_preamble_dicm_in_data.dcm",
            "TC0235_bitsallocated_US_as_SS.dcm",
            "TC0247_bitsstored_US_as_UL.dcm",
            "TC0255_implicit_rows_4bytes.dcm",
            "TC0267_depth_500_raw.dcm",
            "TC0345_deflate_corrupt.dcm",
            "TC0347_deflate_truncated.dcm",
        ]
    ),
    "declared as Explicit VR": frozenset({"SC_rgb_jpeg.dcm"}),
}

# Where pydicom's JSON goes another way, by file name and attribute, and why ours is kept
OTHERWISE = {
    "chrGB2312.dcm": {"00100010"},  # pydicom leaves the escapes of ISO 2022 IR 58 without a first value
    "ISO_IR_203.dcm": {"00100010", "00081030"},  # Latin-9, which pydicom does not know
    "RI6XDosiGap.dcm": {"50003000"},  # pydicom cannot choose between OB and OW in a curve
}
# pydicom misunderstands a length and stops early; dcmdump reads on as we do
READ_FURTHER = frozenset({"GH179A.dcm"})


@dataclass(frozen=True)
class RealFile:
    """A readable file: its `name` below the folder it comes from, its bytes, and pydicom's reading of it."""

    name: str
    data: bytes
    reading: pydicom.Dataset

    @property
    def base(self) -> str:
        """The name without folders."""
        return self.name.rpartition("/")[2]

    @property
    def refusal(self) -> str | None:
        """The words with which it is refused, None where it is to be kept."""
        return next((words for words, names in REFUSED.items() if self.base in names), None)

    @property
    def syntax(self) -> str:
        return str(self.reading.file_meta.get("TransferSyntaxUID", ""))

    @cached_property
    def uids(self) -> tuple[str, str, str]:
        """Study, Series and SOP Instance UID."""
        return self._uid("StudyInstanceUID"), self._uid("SeriesInstanceUID"), self._uid("SOPInstanceUID")

    @property
    def sop_class(self) -> str:
        return self._uid("SOPClassUID") or str(self.reading.file_meta.get("MediaStorageSOPClassUID", ""))

    @cached_property
    def dataset(self) -> bytes:
        """What a C-STORE carries: all behind the meta information, as pydicom finds its end."""
        with io.BytesIO(self.data) as file:
            file.seek(132)
            pydicom.filereader._read_file_meta_info(file)
            return self.data[file.tell() :]

    def outgoing(self) -> Outgoing:
        """To be sent under the names that its Data Set has."""
        sop_uid = self.uids[2] or str(self.reading.file_meta.get("MediaStorageSOPInstanceUID", "1.2.3"))
        return Outgoing(
            self.sop_class, sop_uid, self.syntax, len(self.dataset), lambda: (self.dataset,), self.name
        )

    def model(self) -> dict[str, Any] | None:
        """pydicom's JSON model, without Pixel Data and what `otherwise` names; None where it cannot make one."""
        if self.base in READ_FURTHER:
            return None
        with quiet():
            try:
                reading = pydicom.dcmread(io.BytesIO(self.data))
                reading.pop("PixelData", None)  # megabytes of base64
                model = reading.to_json_dict()
            except (ValueError, TypeError, OverflowError, KeyError, AttributeError, IndexError):
                return None
        return {key: attribute for key, attribute in model.items() if key not in self.otherwise}

    @property
    def otherwise(self) -> set[str]:
        """Attributes that pydicom's model has otherwise, and Pixel Data."""
        return {"7FE00010", *OTHERWISE.get(self.base, ())}

    def _uid(self, keyword: str) -> str:
        with quiet():
            return str(self.reading.get(keyword) or "").rstrip("\0 ")


def readable(root: Path, paths: Iterable[Path]) -> list[RealFile]:
    """Those of `paths` that pydicom reads whole."""
    found = []
    for path in paths:
        data = path.read_bytes()
        reading = _whole_reading(data)
        if reading is not None:
            found.append(RealFile(path.relative_to(root).as_posix(), data, reading))
    return found


def shared_files() -> list[RealFile]:
    """The readable files of the shared test data; skips the test where they are missing."""
    root = shared_data()
    return readable(root, (path for path in sorted(root.rglob("*")) if path.is_file()))


def packaged_files() -> list[RealFile]:
    """The readable files that pydicom's own package holds; it would download others."""
    root = Path(pydicom.__file__).parent / "data"
    paths = sorted(Path(name) for name in get_testdata_files())
    return readable(root, (path for path in paths if root in path.parents and path.is_file()))


def made_files(files: Iterable[tuple[str, bytes]]) -> list[RealFile]:
    """Files that were made here, as the same kind of value."""
    return [RealFile(name, data, pydicom.dcmread(io.BytesIO(data))) for name, data in files]


def waves(files: Iterable[RealFile]) -> Iterator[list[RealFile]]:
    """`files` in groups in which no instance comes twice: the next group brings the next version of some."""
    seen: Counter[tuple[str, str, str]] = Counter()
    groups: list[list[RealFile]] = []
    for file in files:
        group = seen[file.uids]
        seen[file.uids] += 1
        if group == len(groups):
            groups.append([])
        groups[group].append(file)
    return iter(groups)


@contextmanager
def quiet() -> Iterator[None]:
    """What pydicom has to say of bad files is no news here."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _whole_reading(data: bytes) -> pydicom.Dataset | None:
    with quiet():
        try:
            reading = pydicom.dcmread(io.BytesIO(data))
            for _ in reading.iterall():
                pass
        except (
            pydicom.errors.InvalidDicomError, NotImplementedError, ValueError, OSError, TypeError, KeyError,
            AttributeError, IndexError, OverflowError, EOFError,
        ):  # fmt: skip
            return None
    return reading
