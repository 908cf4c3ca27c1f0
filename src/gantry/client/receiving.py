"""Takes C-STORE requests of one association, whichever side called: C-STORE SCP, and receiving half of C-GET.

The bytes of an object go to its `Reception` as the wire delivers them, as long as that has room and need not
wait; what follows is gathered and handed on in pieces of `PIECE_BYTES`, in a worker thread: one hop for a
slice, and for a 2 GB object never more than a few pieces in memory. While a piece waits for the disk the wire
is held, so a peer sends no faster than we write.

With an asynchronous operations window the next request may come while earlier objects are still being made
durable; their answers leave in the order in which they are done. What waits is bounded by `BACKLOG_BYTES`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future

from gantry.client.sinks import Arriving, Reception, Sink, Verdict
from gantry.client.wire import Wire
from gantry.dataset.part10 import encode_file_meta
from gantry.dimse.message import Command, c_store_rsp
from gantry.standard import status

log = logging.getLogger("gantry.dimse.store")

PIECE_BYTES = 1 << 20
"""What is handed to the disk at once; a slice of 0.5 MB goes whole, with its commit, in one hop."""

BACKLOG_BYTES = 8 << 20
"""Received but not yet durable on one association; above it the wire is held (N16)."""

MAX_OBJECT_BYTES = 8 << 30
"""The largest object that is taken; a Data Set that never ends is cut here (B26)."""

Respond = Callable[[int, Command, Verdict], None]
"""Answers the request in a presentation context; runs on the event loop."""


def answer_store(wire: Wire, context_id: int, command: Command, verdict: Verdict) -> None:
    """Answer a C-STORE request as its verdict says."""
    wire.post(
        context_id,
        c_store_rsp(
            command,
            verdict.status,
            error_comment=verdict.comment or None,
            offending_elements=verdict.offending,
        ),
    )
    if verdict.breaks_association:
        wire.abort()


class StoreReceiver:
    """The C-STORE requests of one association, one arriving at a time, several being made durable.

    `respond` is called once for each request, unless the association ends first. `outstanding` counts
    requests that have arrived whole and are not answered yet, `backlog_bytes` what is in memory of all,
    and `is_held` says that the wire is held because of them.
    """

    def __init__(
        self,
        wire: Wire,
        sink: Sink,
        executor: Executor,
        respond: Respond,
        *,
        max_object_bytes: int = MAX_OBJECT_BYTES,
    ) -> None:
        self._wire = wire
        self._sink = sink
        self._executor = executor
        self._respond = respond
        self._max_object_bytes = max_object_bytes
        self._loop = asyncio.get_running_loop()
        self._current: _Incoming | None = None
        self.backlog_bytes = 0
        self.is_held = False
        # Objects of one UID are kept in the order in which they came, or which is newest were chance.
        self._finishing: dict[str, deque[tuple[_Incoming, Reception]]] = {}
        self.outstanding = 0

    def begin(self, context_id: int, command: Command, arriving: Arriving) -> None:
        """A request came; its Data Set follows."""
        reception = self._sink.begin(arriving)
        if not isinstance(reception, Verdict):
            meta = encode_file_meta(
                sop_class_uid=arriving.sop_class_uid,
                sop_instance_uid=arriving.sop_instance_uid,
                transfer_syntax_uid=arriving.transfer_syntax_uid,
                source_aet=arriving.peer_aet,
            )
            reception.write(meta)
        self._current = _Incoming(context_id, command, reception)

    def refuse(self, context_id: int, command: Command, verdict: Verdict) -> None:
        """A request came that is refused whatever follows; its Data Set is dropped."""
        self._current = _Incoming(context_id, command, verdict)

    def fragment(self, data: memoryview) -> None:
        """The next bytes of the Data Set; they are copied."""
        current = self._current
        if current is None or isinstance(current.reception, Verdict):
            return
        size = len(data)
        current.total_bytes += size
        self._account(size)
        if current.total_bytes > self._max_object_bytes:
            current.held_bytes += size
            self._cut(current)
            return
        if (
            not current.in_pieces
            and current.held_bytes + size <= PIECE_BYTES
            and size <= current.reception.room
        ):
            current.reception.write(data)
            current.held_bytes += size
            return
        current.in_pieces = True
        current.pieces.append(bytes(data))
        current.piece_bytes += size
        if current.piece_bytes >= PIECE_BYTES and current.writing is None:
            self._spool(current, current.reception)

    def complete(self) -> None:
        """The Data Set is whole."""
        current, self._current = self._current, None
        if current is None:
            return
        if isinstance(current.reception, Verdict):
            self._respond(current.context_id, current.command, current.reception)
            return
        self.outstanding += 1
        current.whole = True
        if current.writing is None:
            self._finish(current, current.reception)

    def lost(self) -> None:
        """The association is gone: what was arriving is dropped, what arrived whole is kept (N11)."""
        current, self._current = self._current, None
        if current is not None and not isinstance(current.reception, Verdict):
            self._abandon(current, current.reception)

    def _spool(self, current: _Incoming, reception: Reception) -> None:
        pieces, size = current.take_pieces()
        current.writing = self._executor.submit(_write, reception, pieces)
        current.writing.add_done_callback(
            lambda done: self._to_loop(self._spooled, current, reception, size, done)
        )

    def _spooled(self, current: _Incoming, reception: Reception, size: int, done: Future[None]) -> None:
        current.writing = None
        self._account(-size)
        error = done.exception()
        if error is not None:
            log.error("writing a piece failed: %r", error, exc_info=error)
            current.reception = Verdict(status.PROCESSING_FAILURE, "internal error while writing")
            self._drop(current, reception)
            if current.whole:
                self.outstanding -= 1
                self._respond(current.context_id, current.command, current.reception)
        elif current.abandoned:
            self._drop(current, reception)
        elif current.whole:
            self._finish(current, reception)
        elif current.piece_bytes >= PIECE_BYTES:
            self._spool(current, reception)

    def _finish(self, current: _Incoming, reception: Reception) -> None:
        before = self._finishing.get(current.instance_uid)
        if before is not None:
            before.append((current, reception))
            return
        self._finishing[current.instance_uid] = deque()
        self._submit(current, reception)

    def _submit(self, current: _Incoming, reception: Reception) -> None:
        pieces, size = current.take_pieces()
        size += current.held_bytes
        future = self._executor.submit(_write_and_finish, reception, pieces)
        future.add_done_callback(lambda done: self._to_loop(self._finished, current, size, done))

    def _finished(self, current: _Incoming, size: int, done: Future[Verdict]) -> None:
        self.outstanding -= 1
        self._account(-size)
        error = done.exception()
        if error is None:
            verdict = done.result()
        else:
            log.error("keeping an object failed: %r", error, exc_info=error)
            verdict = Verdict(status.PROCESSING_FAILURE, "internal error while storing")
        self._respond(current.context_id, current.command, verdict)
        same = self._finishing.pop(current.instance_uid)
        if same:
            following = same.popleft()
            self._finishing[current.instance_uid] = same
            self._submit(*following)

    def _cut(self, current: _Incoming) -> None:
        verdict = Verdict(
            status.OUT_OF_RESOURCES,
            f"the object is larger than {self._max_object_bytes} bytes",
            breaks_association=True,
        )
        self._current = None
        if not isinstance(current.reception, Verdict):
            self._abandon(current, current.reception)
        self._respond(current.context_id, current.command, verdict)

    def _abandon(self, current: _Incoming, reception: Reception) -> None:
        current.abandoned = True
        if current.writing is None:
            self._drop(current, reception)

    def _drop(self, current: _Incoming, reception: Reception) -> None:
        _, size = current.take_pieces()
        self._account(-size - current.held_bytes)
        self._executor.submit(reception.abort)

    def _account(self, size: int) -> None:
        self.backlog_bytes += size
        if self.is_held:
            if self.backlog_bytes <= BACKLOG_BYTES // 2:
                self.is_held = False
                self._wire.unhold()
        elif self.backlog_bytes > BACKLOG_BYTES:
            self.is_held = True
            self._wire.hold()

    def _to_loop(self, call: Callable[..., None], *arguments: object) -> None:
        # The loop is closed only after a drain that gave up; nobody is left to answer then.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)


class _Incoming:
    """One object on its way in."""

    __slots__ = (
        "abandoned",
        "command",
        "context_id",
        "held_bytes",
        "in_pieces",
        "instance_uid",
        "piece_bytes",
        "pieces",
        "reception",
        "total_bytes",
        "whole",
        "writing",
    )

    def __init__(self, context_id: int, command: Command, reception: Reception | Verdict) -> None:
        self.context_id = context_id
        self.command = command
        self.instance_uid = command.sop_instance_uid or ""
        self.reception = reception
        # What its reception holds, and then what is gathered beside it
        self.held_bytes = 0
        self.in_pieces = False
        self.pieces: list[bytes] = []
        self.piece_bytes = 0
        self.total_bytes = 0
        self.writing: Future[None] | None = None
        self.whole = False
        self.abandoned = False

    def take_pieces(self) -> tuple[list[bytes], int]:
        pieces, size = self.pieces, self.piece_bytes
        self.pieces, self.piece_bytes = [], 0
        return pieces, size


def _write(reception: Reception, pieces: list[bytes]) -> None:
    for piece in pieces:
        reception.write(piece)


def _write_and_finish(reception: Reception, pieces: list[bytes]) -> Verdict:
    _write(reception, pieces)
    return reception.finish()
