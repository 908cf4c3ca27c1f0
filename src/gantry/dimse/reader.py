"""Received bytes, cut anywhere, → PDU headers, whole small PDUs, pieces of P-DATA.

A PDU is judged by its six bytes of header: type and length are refused before anything is kept (B3, B6, B7,
B8). P-DATA is not collected at all. As soon as the header of a presentation data value is there and fits
into its PDU, its bytes are handed on as views of what was received. So a peer can lie about any length and
make us hold no more than it sends, and a large Data Set is never copied here.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from gantry.dimse.items import PduError
from gantry.dimse.limits import MAX_ASSOCIATE_BYTES
from gantry.dimse.pdu import ASSOCIATE_FIXED_BYTES, PduType
from gantry.dimse.reasons import AbortReason

_PDU_HEADER: Final = Struct(">BxI")
_PDV_HEADER: Final = Struct(">IBB")
_HEADER_BYTES: Final = 6  # of both kinds

_FOUR: Final = range(4, 5)
_ASSOCIATE: Final = range(ASSOCIATE_FIXED_BYTES, MAX_ASSOCIATE_BYTES + 1)


class PduBegin(NamedTuple):
    """The header of a PDU whose type and length are right. Say `PduReader.skip` to pass its body by."""

    kind: PduType


class PduBody(NamedTuple):
    """The whole body of a PDU that is not P-DATA-TF."""

    kind: PduType
    body: memoryview


class Fragment(NamedTuple):
    """A piece of one presentation data value; `ends` is True on the last piece of it.

    `data` is a view of the received bytes and valid as long as those stay untouched. `control` is the
    message control header of PS3.8 E.2: bit 0 command, bit 1 last fragment.
    """

    context_id: int
    control: int
    data: memoryview
    ends: bool


Unit = PduBegin | PduBody | Fragment

_BEGIN: Final = {int(kind): PduBegin(kind) for kind in PduType}
_LENGTHS: Final = {
    PduType.ASSOCIATE_RQ: _ASSOCIATE,
    PduType.ASSOCIATE_AC: _ASSOCIATE,
    PduType.ASSOCIATE_RJ: _FOUR,
    PduType.RELEASE_RQ: _FOUR,
    PduType.RELEASE_RP: _FOUR,
    PduType.ABORT: _FOUR,
}


class PduReader:
    """Takes bytes and keeps its place in the stream of PDUs.

    `max_pdu` is what we announced for P-DATA-TF, 0 for no limit.
    """

    __slots__ = (
        "_context_id",
        "_control",
        "_kind",
        "_lengths",
        "_partial",
        "_pdu_left",
        "_pdv_left",
        "_skipping",
    )

    def __init__(self, max_pdu: int) -> None:
        self._lengths = _LENGTHS | {PduType.P_DATA_TF: range(_HEADER_BYTES, (max_pdu or 0xFFFFFFFF) + 1)}
        self._partial = bytearray()
        self._kind: PduType | None = None
        self._pdu_left = 0
        self._pdv_left = -1  # -1 while the header of the next value is awaited
        self._context_id = 0
        self._control = 0
        self._skipping = False

    @property
    def is_inside_pdu(self) -> bool:
        """Whether bytes of the current PDU are still to come."""
        return self._kind is not None or bool(self._partial)

    def skip(self) -> None:
        """Pass the rest of the current PDU by without looking at it."""
        self._skipping = True

    def feed(self, data: memoryview) -> Iterator[Unit]:
        """The units that `data` completes, to be consumed one by one; PduError where the stream breaks.

        After a PduError there is no telling where the next PDU begins: feed no more.
        """
        position, end = 0, len(data)
        while position < end:
            if self._kind is None:
                header, at, position = self._take_header(data, position, end)
                if header is None:
                    return
                yield self._begin(*_PDU_HEADER.unpack_from(header, at))
            elif self._skipping:
                position = self._pass_by(position, end)
            elif self._kind is not PduType.P_DATA_TF:
                body, position = self._take_body(data, position)
                if body is None:
                    return
                kind, self._kind = self._kind, None
                yield PduBody(kind, body)
            else:
                if self._pdv_left < 0:
                    header, at, position = self._take_header(data, position, end)
                    if header is None:
                        return
                    self._begin_value(*_PDV_HEADER.unpack_from(header, at))
                    if position == end and self._pdv_left:
                        return
                size = min(self._pdv_left, end - position)
                self._pdv_left -= size
                self._pdu_left -= size
                ends = self._pdv_left == 0
                if ends:
                    self._pdv_left = -1
                    if self._pdu_left == 0:
                        self._kind = None
                yield Fragment(self._context_id, self._control, data[position : position + size], ends)
                position += size

    def _take_header(self, data: memoryview, position: int, end: int) -> tuple[memoryview | None, int, int]:
        """Where six bytes of header lie, and the position after them; None until all are there."""
        if not self._partial and end - position >= _HEADER_BYTES:
            return data, position, position + _HEADER_BYTES
        header, position = self._collect(data, position, _HEADER_BYTES)
        return header, 0, position

    def _take_body(self, data: memoryview, position: int) -> tuple[memoryview | None, int]:
        if not self._partial and len(data) - position >= self._pdu_left:
            end = position + self._pdu_left
            return data[position:end], end
        return self._collect(data, position, self._pdu_left)

    def _collect(self, data: memoryview, position: int, wanted: int) -> tuple[memoryview | None, int]:
        taken = data[position : position + wanted - len(self._partial)]
        self._partial += taken
        position += len(taken)
        if len(self._partial) < wanted:
            return None, position
        whole, self._partial = memoryview(self._partial), bytearray()
        return whole, position

    def _pass_by(self, position: int, end: int) -> int:
        size = min(self._pdu_left, end - position)
        self._pdu_left -= size
        if self._pdu_left == 0:
            self._kind = None
        return position + size

    def _begin(self, number: int, length: int) -> PduBegin:
        begin = _BEGIN.get(number)
        if begin is None:
            raise PduError(f"PDU of type {number:02X}H", AbortReason.UNRECOGNIZED_PDU)
        kind = begin.kind
        if length not in self._lengths[kind]:
            raise PduError(f"{kind.name} PDU of {length} bytes")
        self._kind, self._pdu_left, self._pdv_left, self._skipping = kind, length, -1, False
        return begin

    def _begin_value(self, length: int, context_id: int, control: int) -> None:
        # The length counts context ID and control header, which are read already
        rest = self._pdu_left - 4 - length
        if length < 2 or rest < 0:
            raise PduError(f"PDV of {length} bytes where {self._pdu_left - 4} are left in the PDU")
        if 0 < rest < _HEADER_BYTES:
            raise PduError(f"{rest} bytes left over after the last PDV")
        self._context_id, self._control = context_id, control
        self._pdu_left -= _HEADER_BYTES
        self._pdv_left = length - 2
