"""Carries one DIMSE association over TCP: bytes from the socket into the association, its bytes out again.

The protocol itself is `gantry.dimse`, which knows no socket and no clock. What is left for a driver:

* **Events go out synchronously**, to one callback, while the bytes they came in are still in the
  read buffer. There is no task switch per PDU, and a Data Set fragment is copied once, by whoever
  keeps it.
* **One read buffer per event loop.** A read is consumed before the next begins, so all connections
  share the buffer and an idle association costs none.
* **Back-pressure both ways.** `hold` stops reading while what was received waits for the disk; a
  long message is sent piece by piece, each when the socket has room. A peer that takes nothing for
  `stall_timeout_s` is aborted, so memory stays bounded when a peer stops reading (B74).
* **Messages do not interleave.** A message follows another on the wire, however long (PS3.7 6.3.1);
  what is sent meanwhile waits, and an A-ABORT overtakes.
* **Time** comes in by `tick`: one timer per association, moved only when it fires, so that a busy
  association does not touch the timer heap.

Works on asyncio's own loop and on uvloop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import Protocol, TypeVar, cast

from gantry.client.kernel_copy import KernelCopy, can_copy
from gantry.client.sockets import tune_socket
from gantry.dimse.association import Association, Buffer, Event, Prepared, Role
from gantry.dimse.message import Command
from gantry.errors import CallerError, ConnectError

log = logging.getLogger("gantry.dimse.wire")

_Batch = TypeVar("_Batch")

READ_BUFFER_BYTES = 256 << 10
"""One read: two PDUs of the largest kind, so that a slice costs a few wake-ups and not dozens."""

WRITE_HIGH_BYTES = 1 << 20
"""Unsent bytes above which a sender waits: some PDUs in flight while the next are being cut."""

FLOOD_BYTES = 2 * WRITE_HIGH_BYTES
"""Unsent answers above which nothing more is read: a peer that asks and never listens costs this much. Not
lower, because a peer may be slow to listen while it sends, and both would wait for the other."""

STALL_TIMEOUT_S = 60.0
"""How long a peer may take no byte while we have some for it."""


class EventHandler(Protocol):
    """Gets the events of one association, in order, on the event loop."""

    def on_event(self, event: Event) -> None:
        """Handle `event` now; a `memoryview` in it is only valid during the call."""

    def on_lost(self, cause: str) -> None:
        """The connection is gone, for the reason that `cause` tells; nothing follows."""


_read_buffers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, memoryview] = weakref.WeakKeyDictionary()


def _read_buffer(loop: asyncio.AbstractEventLoop) -> memoryview:
    buffer = _read_buffers.get(loop)
    if buffer is None:
        buffer = _read_buffers[loop] = memoryview(bytearray(READ_BUFFER_BYTES))
    return buffer


class Wire(asyncio.BufferedProtocol):
    """One association on one TCP connection; the protocol object of an asyncio transport.

    `closed` is done when the connection is gone.
    """

    def __init__(
        self, association: Association, handler: EventHandler, *, stall_timeout_s: float = STALL_TIMEOUT_S
    ) -> None:
        self.association = association
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        # asyncio's own loop forgets to pause whom `writelines` fills up (CPython before 3.12.9 and 3.13.2).
        self._joins = not type(self._loop).__module__.startswith("uvloop")
        self._buffer = _read_buffer(self._loop)
        self._stall_timeout_s = stall_timeout_s
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._written_bytes = 0
        self._is_flooded = False
        self._holds = 0
        self._dispatching = False
        self._turn = asyncio.Lock()
        self._waiting_posts: deque[tuple[int, Command, bytes | None]] = deque()
        self._room: asyncio.Future[None] | None = None
        self._can_copy = False
        self._copy: KernelCopy | None = None
        self._is_copying = False
        self._lost_cause: str | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        tune_socket(self._transport.get_extra_info("socket"))
        self._can_copy = can_copy(self._transport)
        if self.association.role is Role.REQUESTOR:
            self.association.request_association()
        self._advance()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._dispatch(self.association.receive(self._buffer[:nbytes], self._loop.time()))

    def eof_received(self) -> bool:
        self._dispatch(self.association.eof(self._loop.time()))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._dispatch(self.association.eof(self._loop.time()))
        if self._lost_cause is None:
            self._lost_cause = f"connection broken: {exc}" if exc is not None else "connection closed"
        for timer in (self._timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall_timer = None
        if self._copy is not None:
            self._copy.close()
        self._waiting_posts.clear()
        self.resume_writing()
        self._handler.on_lost(self._lost_cause)
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()
        self._watch_progress()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)
        if self._is_flooded:
            self._is_flooded = False
            self.unhold()

    # What the owner of the association calls

    @property
    def is_lost(self) -> bool:
        """True when nothing can be sent any more."""
        return self._lost_cause is not None or self._transport is None or self._transport.is_closing()

    def post(self, context_id: int, command: Command, dataset: bytes | None = None) -> None:
        """Send a short message; it goes out now, or after the long message that is on its way."""
        if self.is_lost:
            return
        if self._turn.locked():
            self._waiting_posts.append((context_id, command, dataset))
            return
        try:
            self.association.send_message(context_id, command, dataset)
        except CallerError as error:
            # The peer ended the association while the message was being made.
            log.debug("not sent: %s", error)
            return
        self.flush()

    async def transmit(
        self,
        context_id: int,
        command: Command,
        dataset: Iterable[bytes | memoryview],
        executor: Executor | None = None,
    ) -> None:
        """Send a long message with back-pressure; `dataset` is read in `executor` where one is given.

        Raises ConnectError when the connection goes before the last byte was handed over.
        """
        await self._alone(
            lambda: self.association.iter_pdata(context_id, command, dataset),
            lambda pieces: self._write_pieces(pieces, executor),
        )

    async def transmit_file(self, message: Prepared, file: int, offset: int) -> None:
        """As `transmit`; the Data Set lies in an open file from `offset` on, in memory: the kernel copies it.

        Raises OSError as well, where the file does not have the bytes.
        """
        if not self._can_copy:
            data = os.pread(file, message.length, offset)
            if len(data) != message.length:
                raise OSError("the file ends before its announced length")
            await self.transmit(message.context_id, message.command, (data,))
            return
        await self._alone(
            lambda: self.association.iter_prepared(message),
            lambda batches: self._copy_pieces(batches, file, offset),
        )

    async def _alone(
        self, begin: Callable[[], Iterator[_Batch]], write: Callable[[Iterator[_Batch]], Awaitable[None]]
    ) -> None:
        """Send a message with nothing between its pieces."""
        await self._turn.acquire()
        try:
            self._refuse_if_lost()
            try:
                pieces = begin()
            except CallerError as error:
                raise ConnectError(f"not sent: {error}") from error
            try:
                await write(pieces)
            except BaseException:
                # Half a message cannot be taken back, and nothing may follow it.
                self.abort()
                raise
            self.flush()
        finally:
            self._turn.release()
            while self._waiting_posts and not self._turn.locked():
                self.post(*self._waiting_posts.popleft())

    def release(self) -> None:
        """Ask to end the association in order; breaks it off where that is not possible."""
        try:
            self.association.release()
        except CallerError:
            self.association.abort()
        self.flush()

    def abort(self) -> None:
        """Break the association off with an A-ABORT of the service-user."""
        if not self.is_lost:
            self.association.abort()
            self.flush()

    async def has_room(self) -> None:
        """Wait until what was posted has left for the kernel, all but the last megabyte."""
        if self._room is not None:
            await self._room

    def flush(self) -> None:
        """Write what the association has to say, in one go; during dispatch that waits for its end."""
        if not self._dispatching:
            self._advance()

    def hold(self) -> None:
        """Stop reading until `unhold` was called as often."""
        self._holds += 1
        if self._holds > 1:
            return
        self.association.hold()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def unhold(self) -> None:
        """Undo one `hold`."""
        self._holds -= 1
        if self._holds:
            return
        self.association.resume(self._loop.time())
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def drop(self, cause: str) -> None:
        """Close the connection at once, without a word to the peer."""
        if self._lost_cause is None:
            self._lost_cause = cause
        if self._transport is not None:
            self._transport.abort()

    # Inside

    def _dispatch(self, events: Iterable[Event]) -> None:
        self._dispatching = True
        try:
            for event in events:
                self._handler.on_event(event)
        finally:
            self._dispatching = False
        self._advance()

    def _advance(self) -> None:
        if self._transport is None or self._is_copying:
            return
        output = self.association.take_output(self._loop.time())
        if output:
            self._write(output)
        if self.association.closed:
            if not self._transport.is_closing():
                self._transport.close()
                self._watch_progress()
        else:
            self._arm()

    def _write(self, buffers: list[Buffer]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._written_bytes += sum(map(len, buffers))
            if self._joins:
                self._transport.write(b"".join(buffers))
            else:
                self._transport.writelines(buffers)
            if self._room is not None and not self._is_flooded:
                self._is_flooded = self._transport.get_write_buffer_size() > FLOOD_BYTES
                if self._is_flooded:
                    self.hold()

    def _arm(self) -> None:
        deadline = self.association.next_deadline()
        if deadline is None:
            return
        if self._timer is not None:
            # A timer that fires too early finds nothing due and is set again: cheaper than moving it.
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._lost_cause is None:
            self._dispatch(self.association.tick(self._loop.time()))

    @property
    def _stall_words(self) -> str:
        return f"the peer took no data for {self._stall_timeout_s:g} s"

    def _watch_progress(self) -> None:
        if self._stall_timer is None and self._transport is not None:
            taken = self._written_bytes - self._transport.get_write_buffer_size()
            self._stall_timer = self._loop.call_later(self._stall_timeout_s, self._check_progress, taken)

    def _check_progress(self, taken_before: int) -> None:
        """Drop a peer that has taken nothing since `taken_before` bytes; watch on while some is unsent."""
        self._stall_timer = None
        if self._transport is None or self._lost_cause is not None:
            return
        unsent = self._transport.get_write_buffer_size()
        if unsent and self._written_bytes - unsent <= taken_before:
            self.drop(self._stall_words)
        elif unsent:
            self._watch_progress()

    async def _write_pieces(self, pieces: Iterator[list[Buffer]], executor: Executor | None) -> None:
        while True:
            if executor is None:
                buffers = next(pieces, None)
            else:
                buffers = await self._loop.run_in_executor(executor, _next_piece, pieces)
            # A broken association ends `pieces` without a word.
            self._refuse_if_lost()
            if buffers is None:
                return
            self._write(buffers)
            await self.has_room()

    async def _copy_pieces(self, batches: Iterator[list[tuple[bytes, int]]], file: int, offset: int) -> None:
        if self._copy is None:
            assert self._transport is not None
            self._copy = KernelCopy(self._transport)
        await self._copy.emptied(self.has_room, WRITE_HIGH_BYTES)
        for heads in batches:
            self._refuse_if_lost()
            self._is_copying = True
            try:
                await self._copy.send(heads, file, offset, window_s=self._stall_timeout_s)
            except ConnectionError as error:
                raise ConnectError(self._lost_cause or "connection closed") from error
            except TimeoutError:
                self.drop(self._stall_words)
                raise ConnectError(self._stall_words) from None
            except BaseException:
                # Within a PDU there is no place even for an A-ABORT.
                self.drop("broken off within a message")
                raise
            finally:
                self._is_copying = False
            self._advance()
            offset += sum(length for _, length in heads)
        self._refuse_if_lost()

    def _refuse_if_lost(self) -> None:
        if self.is_lost:
            raise ConnectError(self._lost_cause or "connection closed")


def _next_piece(pieces: Iterator[list[Buffer]]) -> list[Buffer] | None:
    return next(pieces, None)
