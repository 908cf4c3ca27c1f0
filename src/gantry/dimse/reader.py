"""Received bytes, cut anywhere, → PDU headers, whole small PDUs, pieces of P-DATA.

A PDU is judged by its six bytes of header: type and length are refused before anything is kept (B3, B6, B7,
B8). P-DATA is not collected at all. As soon as the header of a presentation data value is there and fits
into its PDU, its bytes are handed on as views of what was received. So a peer can lie about any length and
make us hold no more than it sends, and a large Data Set is never copied here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gantry.dimse.items import PduError
from gantry.dimse.limits import MAX_ASSOCIATE_BYTES
from gantry.dimse.pdu import ASSOCIATE_FIXED_BYTES, PduType
from gantry.dimse.reasons import AbortReason

_PDU_HEADER: Final = Struct(">BxI")
_PDV_HEADER: Final = Struct(">IBB")
_HEADER_BYTES: Final = 6  # of both kinds

_FOUR: Final = range(4, 5)
_ASSOCIATE: Final = range(ASSOCIATE_FIXED_BYTES, MAX_ASSOCIATE_BYTES + 1)


@dataclass(frozen=True, slots=True)
class PduBegin:
    """The header of a PDU whose type and length are right. Say `PduReader.skip` to pass its body by."""

    kind: PduType


@dataclass(frozen=True, slots=True)
class PduBody:
    """The whole body of a PDU that is not P-DATA-TF."""

    kind: PduType
    body: memoryview


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of one presentation data value; `ends` is True on the last piece of it.

    `data` is a view of the received bytes and valid as long as those stay untouched. `control` is the
    message control header of PS3.8 E.2: bit 0 command, bit 1 last fragment.
    """

    context_id: int
    control: int
    data: memoryview
    ends: bool


Unit = PduBegin | PduBody | Fragment


class PduReader:
    """Takes bytes and keeps its place in the stream of PDUs.

    `max_pdu` is what we announced for P-DATA-TF, 0 for no limit.
    """

    __slots__ = (
        "_context_id",
        "_control",
        "_kind",
        "_partial",
        "_pdu_left",
        "_pdv_left",
        "_skipping",
        "max_pdu",
    )

    def __init__(self, max_pdu: int) -> None:
        self.max_pdu = max_pdu
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
                header, position = self._take_header(data, position)
                if header is None:
                    return
                kind = self._begin(header)
                yield PduBegin(kind)
            elif self._skipping:
                position = self._pass_by(position, end)
            elif self._kind is not PduType.P_DATA_TF:
                body, position = self._take_body(data, position)
                if body is None:
                    return
                kind, self._kind = self._kind, None
                yield PduBody(kind, body)
            elif self._pdv_left < 0:
                header, position = self._take_header(data, position)
                if header is None:
                    return
                self._begin_value(header)
                if self._pdv_left == 0:
                    yield self._fragment(data[:0])
            else:
                size = min(self._pdv_left, end - position)
                piece = data[position : position + size]
                position += size
                self._pdv_left -= size
                self._pdu_left -= size
                yield self._fragment(piece)

    def _take_header(self, data: memoryview, position: int) -> tuple[memoryview | None, int]:
        if not self._partial and len(data) - position >= _HEADER_BYTES:
            return data[position : position + _HEADER_BYTES], position + _HEADER_BYTES
        return self._collect(data, position, _HEADER_BYTES)

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

    def _begin(self, header: memoryview) -> PduType:
        number, length = _PDU_HEADER.unpack(header)
        try:
            kind = PduType(number)
        except ValueError:
            raise PduError(f"PDU of type {number:02X}H", AbortReason.UNRECOGNIZED_PDU) from None
        if length not in self._lengths(kind):
            raise PduError(f"{kind.name} PDU of {length} bytes")
        self._kind, self._pdu_left, self._pdv_left, self._skipping = kind, length, -1, False
        return kind

    def _lengths(self, kind: PduType) -> range:
        if kind is PduType.P_DATA_TF:
            return range(_HEADER_BYTES, (self.max_pdu or 0xFFFFFFFF) + 1)
        if kind in (PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC):
            return _ASSOCIATE
        return _FOUR

    def _begin_value(self, header: memoryview) -> None:
        length, self._context_id, self._control = _PDV_HEADER.unpack(header)
        # The length counts context ID and control header, which are read already
        if length < 2 or length + 4 > self._pdu_left:
            raise PduError(f"PDV of {length} bytes where {self._pdu_left - 4} are left in the PDU")
        self._pdu_left -= _HEADER_BYTES
        self._pdv_left = length - 2
        if 0 < self._pdu_left - self._pdv_left < _HEADER_BYTES:
            raise PduError(f"{self._pdu_left - self._pdv_left} bytes left over after the last PDV")

    def _fragment(self, piece: memoryview) -> Fragment:
        ends = self._pdv_left == 0
        if ends:
            self._pdv_left = -1
            if self._pdu_left == 0:
                self._kind = None
        return Fragment(self._context_id, self._control, piece, ends)
