"""DICOM files (PS3.10 Chapter 7): 128 bytes of preamble, ``DICM``, File Meta Information, Data Set.

The File Meta Information is Explicit VR Little Endian and ends where group 0002 ends: its Group Length is
written wrong so often that it is never used. Meta information that says two different things about the
object (a second, other Transfer Syntax UID) is refused, because reader and writer would disagree about what
the file is.

The preamble is kept as it is; `executable_preamble` tells one that another program might run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Final

from gantry.dataset.deflate import inflate as inflate
from gantry.dataset.layout import LONG_VRS, SHORT_VRS, UNDEFINED, Buffer
from gantry.dataset.limits import INFLATE_LIMITS, MAX_META_BYTES, InflateLimits
from gantry.dataset.scan import DataSet, scan
from gantry.errors import DataSetError
from gantry.standard.dictionary import vr_of
from gantry.standard.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    transfer_syntax,
)

IMPLEMENTATION_CLASS_UID: Final = f"2.25.{uuid.UUID('5f0b1c1e-6f0a-4a52-9a35-6c1d2f7e8b41').int}"
IMPLEMENTATION_VERSION_NAME: Final = "GANTRY_0_1"

PREAMBLE_BYTES: Final = 128
PREFIX: Final = b"DICM"

META_GROUP_LENGTH: Final = 0x00020000
META_VERSION: Final = 0x00020001
MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
TRANSFER_SYNTAX_UID: Final = 0x00020010
META_IMPLEMENTATION_CLASS_UID: Final = 0x00020012
META_IMPLEMENTATION_VERSION_NAME: Final = 0x00020013
SOURCE_AET: Final = 0x00020016
SENDING_AET: Final = 0x00020017
RECEIVING_AET: Final = 0x00020018

_IDENTITY: Final = (MEDIA_STORAGE_SOP_CLASS_UID, MEDIA_STORAGE_SOP_INSTANCE_UID, TRANSFER_SYNTAX_UID)
_HEADER: Final = Struct("<HH2sH")
_LONG: Final = Struct("<L")
_SHORT_CODES: Final = {vr.encode() for vr in SHORT_VRS}
_LONG_CODES: Final = {vr.encode() for vr in LONG_VRS}

# Programs and pages that a preamble can disguise itself as: CVE-2019-11687 and its kin
_EXECUTABLE_PREAMBLES: Final = (
    b"MZ",
    b"\x7fELF",
    b"\xca\xfe\xba\xbe",
    b"\xcf\xfa\xed\xfe",
    b"#!",
    b"PK",
    b"%PDF",
    b"<",
    b"{",
)


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What stands before the Data Set. `values` holds the raw value of each element of group 0002, by tag.

    `dataset_offset` is where the Data Set begins. `preamble` is empty for a file that has none.
    """

    preamble: bytes
    values: dict[int, bytes] = field(repr=False)
    dataset_offset: int

    def text(self, tag: int) -> str:
        """A value without padding; empty where it is absent."""
        return self.values.get(tag, b"").decode("latin-1").strip(" \0")

    @property
    def transfer_syntax_uid(self) -> str:
        """(0002,0010); empty where it is absent."""
        return self.text(TRANSFER_SYNTAX_UID)

    @property
    def media_storage_sop_class_uid(self) -> str:
        """(0002,0002); empty where it is absent."""
        return self.text(MEDIA_STORAGE_SOP_CLASS_UID)

    @property
    def media_storage_sop_instance_uid(self) -> str:
        """(0002,0003); empty where it is absent."""
        return self.text(MEDIA_STORAGE_SOP_INSTANCE_UID)

    @property
    def executable_preamble(self) -> bool:
        """Whether the preamble begins like a program, an archive or a page: the file may be two things."""
        return self.preamble.lstrip().startswith(_EXECUTABLE_PREAMBLES)


def read_file_meta(buffer: Buffer, *, tolerate_missing_preamble: bool = False) -> FileMeta:
    """Preamble and File Meta Information; the buffer may end before the Data Set does.

    With `tolerate_missing_preamble` the file may begin with ``DICM`` or with group 0002 at once. Raises
    DataSetError for what is no DICOM file, is cut in the meta information, or contradicts itself in it.
    """
    start = _start_of_meta(buffer, tolerate_missing_preamble)
    preamble = bytes(buffer[:PREAMBLE_BYTES]) if start == PREAMBLE_BYTES + 4 else b""
    values: dict[int, bytes] = {}
    pos = start
    limit = min(len(buffer), start + MAX_META_BYTES)
    while pos + 8 <= len(buffer) and buffer[pos : pos + 2] == b"\x02\x00":
        tag, value, length = _meta_header(buffer, pos)
        if length > limit - value:
            if length <= len(buffer) - value or len(buffer) > limit:
                raise DataSetError(
                    f"File Meta Information of more than {MAX_META_BYTES} bytes", tag=tag, offset=pos
                )
            raise DataSetError("the file is cut in its File Meta Information", tag=tag, offset=pos)
        _take(values, tag, bytes(buffer[value : value + length]), pos)
        pos = value + length
    return FileMeta(preamble, values, pos)


def _take(values: dict[int, bytes], tag: int, value: bytes, pos: int) -> None:
    if tag in _IDENTITY and values.get(tag, value).strip(b" \0") != value.strip(b" \0"):
        raise DataSetError("File Meta Information says two different things", tag=tag, offset=pos)
    values[tag] = value


def _start_of_meta(buffer: Buffer, tolerate_missing_preamble: bool) -> int:
    if bytes(buffer[PREAMBLE_BYTES : PREAMBLE_BYTES + 4]) == PREFIX:
        return PREAMBLE_BYTES + 4
    if tolerate_missing_preamble:
        if bytes(buffer[:4]) == PREFIX:
            return 4
        if bytes(buffer[:4]) in (
            b"\x02\x00\x00\x00",
            b"\x02\x00\x01\x00",
            b"\x02\x00\x02\x00",
            b"\x02\x00\x10\x00",
        ):
            return 0
    raise DataSetError("not a DICOM file: no DICM after a preamble of 128 bytes", offset=PREAMBLE_BYTES)


def _meta_header(buffer: Buffer, pos: int) -> tuple[int, int, int]:
    """(tag, offset of the value, length) of an element of group 0002."""
    group, element, vr, length = _HEADER.unpack_from(buffer, pos)
    tag = group << 16 | element
    if vr in _SHORT_CODES:
        return tag, pos + 8, length
    if vr in _LONG_CODES:
        if pos + 12 > len(buffer):
            raise DataSetError("the file is cut in its File Meta Information", tag=tag, offset=pos)
        value, length = pos + 12, _LONG.unpack_from(buffer, pos + 8)[0]
    elif vr.isalpha():
        return tag, pos + 8, length  # an unknown VR, read as PS3.5 7.1.2 reads most
    else:
        value, length = pos + 8, _LONG.unpack_from(buffer, pos + 4)[0]  # Implicit VR, as some writers made it
    if length == UNDEFINED:
        raise DataSetError("undefined length in File Meta Information", tag=tag, offset=pos)
    return tag, value, length


def read_part10(
    buffer: Buffer, *, tolerate_missing_preamble: bool = False, limits: InflateLimits = INFLATE_LIMITS
) -> tuple[FileMeta, DataSet]:
    """File meta and Data Set of a whole DICOM file; a deflated Data Set is inflated into memory.

    The Data Set's offsets count from the beginning of its own `buffer`, which is the one given here unless it
    was deflated. Raises DataSetError.
    """
    meta = read_file_meta(buffer, tolerate_missing_preamble=tolerate_missing_preamble)
    uid = meta.transfer_syntax_uid
    if not uid:
        raise DataSetError("File Meta Information names no Transfer Syntax", tag=TRANSFER_SYNTAX_UID)
    syntax = transfer_syntax(uid)
    if not syntax.deflated:
        return meta, scan(buffer, syntax, offset=meta.dataset_offset)
    inflated = b"".join(inflate(_chunks(buffer, meta.dataset_offset), limits))
    return meta, scan(inflated, syntax)


def _chunks(buffer: Buffer, pos: int, size: int = 1 << 18) -> Iterator[bytes]:
    for start in range(pos, len(buffer), size):
        yield bytes(buffer[start : start + size])


def guess_syntax(buffer: Buffer, offset: int = 0) -> TransferSyntax | None:
    """The syntax in which a Data Set without File Meta Information seems to be written; None where none fits.

    For the import of old files only: what arrives over a wire names its syntax.
    """
    head = bytes(buffer[offset : offset + 8])
    if len(head) < 8:
        return None
    if head[4:6] in _SHORT_CODES or head[4:6] in _LONG_CODES:
        big = head[0] == 0 and head[1] != 0
        return transfer_syntax(EXPLICIT_VR_BIG_ENDIAN if big else EXPLICIT_VR_LITTLE_ENDIAN)
    group, element, _, _ = _HEADER.unpack(head)
    length = _LONG.unpack(head[4:])[0]
    fits = length == UNDEFINED or length <= len(buffer) - offset - 8
    if group >= 0x0008 and fits and vr_of(group << 16 | element) != "UN":
        return transfer_syntax(IMPLICIT_VR_LITTLE_ENDIAN)
    return None


def encode_file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_aet: str = "",
    sending_aet: str = "",
    receiving_aet: str = "",
) -> bytes:
    """All that stands before the Data Set: preamble of zeros, ``DICM``, meta information (PS3.10 7.1)."""
    body = _meta_long(META_VERSION, b"OB", b"\x00\x01")
    body += _meta_uid(MEDIA_STORAGE_SOP_CLASS_UID, sop_class_uid)
    body += _meta_uid(MEDIA_STORAGE_SOP_INSTANCE_UID, sop_instance_uid)
    body += _meta_uid(TRANSFER_SYNTAX_UID, transfer_syntax_uid)
    body += _meta_uid(META_IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_CLASS_UID)
    body += _meta_short(META_IMPLEMENTATION_VERSION_NAME, b"SH", IMPLEMENTATION_VERSION_NAME.encode(), b" ")
    for tag, aet in ((SOURCE_AET, source_aet), (SENDING_AET, sending_aet), (RECEIVING_AET, receiving_aet)):
        if aet:
            body += _meta_short(tag, b"AE", aet.encode("ascii", errors="replace")[:16], b" ")
    group_length = _meta_short(META_GROUP_LENGTH, b"UL", _LONG.pack(len(body)), b"")
    return bytes(PREAMBLE_BYTES) + PREFIX + group_length + body


def _meta_uid(tag: int, uid: str) -> bytes:
    return _meta_short(tag, b"UI", uid.encode("ascii", errors="replace"), b"\0")


def _meta_short(tag: int, vr: bytes, value: bytes, pad: bytes) -> bytes:
    value += pad * (len(value) % 2)
    return _HEADER.pack(tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def _meta_long(tag: int, vr: bytes, value: bytes) -> bytes:
    return _HEADER.pack(tag >> 16, tag & 0xFFFF, vr, 0) + _LONG.pack(len(value)) + value
