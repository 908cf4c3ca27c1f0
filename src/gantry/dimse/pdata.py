"""A DIMSE message → P-DATA-TF PDUs (PS3.8 Annex E), without copying its Data Set.

What is handed out are short headers and views of the Data Set's own buffers, to be written with one call. The
command set and the first bytes of the Data Set share a PDU, so that a small message is one packet, and every
PDU is as long as the peer accepts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

from gantry.dimse.limits import WRITE_BATCH_BYTES
from gantry.dimse.pdu import PduType

Buffer = bytes | memoryview

_PDU_HEADER: Final = Struct(">BxI")
_PDV_HEADER: Final = Struct(">IBB")
_BOTH_HEADERS: Final = Struct(">BxIIBB")
_COMMAND, _LAST = 1, 2


def fragment(
    context_id: int, command: bytes, dataset: Iterable[bytes | bytearray | memoryview] | None, max_pdu: int
) -> Iterator[list[Buffer]]:
    """The PDUs of one message as lists of buffers, each list about `WRITE_BATCH_BYTES` long.

    `dataset` is None where the message has none. Its buffers may have any sizes, and each must stay as it
    is until it was written. `max_pdu` counts the bytes after a PDU's header, and is at least 14.
    """
    batch, room = _command_pdus(context_id, command, max_pdu, leave_open=dataset is not None)
    if dataset is None:
        yield batch
        return
    size = sum(map(len, batch))
    for fragment_buffers, length, is_last in _fragments(dataset, room, max_pdu):
        control = _LAST if is_last else 0
        if room:
            # The PDU that the command set began; its header was left for here
            head = batch.pop()
            begun = len(head)
            batch.append(_PDU_HEADER.pack(PduType.P_DATA_TF, begun + 6 + length) + head)
            batch.append(_PDV_HEADER.pack(length + 2, context_id, control))
            room = 0
        else:
            batch.append(_BOTH_HEADERS.pack(PduType.P_DATA_TF, length + 6, length + 2, context_id, control))
        batch += fragment_buffers
        size += length
        if size >= WRITE_BATCH_BYTES or is_last:
            yield batch
            batch, size = [], 0


def heads(context_id: int, command: bytes, length: int, max_pdu: int) -> list[tuple[bytes, int]]:
    """The same PDUs for a Data Set of `length` bytes that lies elsewhere.

    Each item is what to write, and how many bytes of the Data Set to write after it.
    """
    begun, room = _command_pdus(context_id, command, max_pdu, leave_open=True)
    before = b"".join(begun[:-1] if room else begun)
    capacity = (max_pdu - 6) & ~1
    pieces: list[tuple[bytes, int]] = []
    while True:
        part = min(length, room or capacity)
        length -= part
        control = 0 if length else _LAST
        if room:
            # The PDU that the command set began
            value = bytes(begun[-1])
            before += _PDU_HEADER.pack(PduType.P_DATA_TF, len(value) + 6 + part) + value
            before += _PDV_HEADER.pack(part + 2, context_id, control)
            room = 0
        else:
            before += _BOTH_HEADERS.pack(PduType.P_DATA_TF, part + 6, part + 2, context_id, control)
        pieces.append((before, part))
        if not length:
            return pieces
        before = b""


def _command_pdus(
    context_id: int, command: bytes, max_pdu: int, *, leave_open: bool
) -> tuple[list[Buffer], int]:
    """The PDUs of a command set, and the room for Data Set bytes in the last one.

    Where there is room the last buffer is a PDU without its header, to be completed.
    """
    capacity = (max_pdu - 6) & ~1
    buffers: list[Buffer] = []
    for start in range(0, len(command), capacity):
        piece = command[start : start + capacity]
        is_last = start + capacity >= len(command)
        value = _PDV_HEADER.pack(len(piece) + 2, context_id, _COMMAND | (_LAST if is_last else 0)) + piece
        room = (max_pdu - len(value) - 6) & ~1
        if is_last and leave_open and room >= 2:
            buffers.append(value)
            return buffers, room
        buffers.append(_PDU_HEADER.pack(PduType.P_DATA_TF, len(value)) + value)
    return buffers, 0


def _fragments(
    dataset: Iterable[bytes | bytearray | memoryview], first_room: int, max_pdu: int
) -> Iterator[tuple[list[Buffer], int, bool]]:
    """Fragments of a Data Set as (buffers, length, is last).

    The first has `first_room` bytes, where that is not 0. A fragment is given out when one byte more is
    there, so that the last is known to be the last.
    """
    capacity = (max_pdu - 6) & ~1
    wanted = first_room or capacity
    waiting: deque[memoryview] = deque()
    held = 0
    for chunk in dataset:
        view = memoryview(chunk)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        if len(view):
            waiting.append(view)
            held += len(view)
        while held > wanted:
            yield _take(waiting, wanted), wanted, False
            held -= wanted
            wanted = capacity
    yield list(waiting), held, True


def _take(waiting: deque[memoryview], size: int) -> list[Buffer]:
    """Remove `size` bytes from the front of `waiting`, which holds at least as many."""
    taken: list[Buffer] = []
    while size:
        view = waiting.popleft()
        if len(view) > size:
            waiting.appendleft(view[size:])
            view = view[:size]
        taken.append(view)
        size -= len(view)
    return taken
