"""Pieces of P-DATA → DIMSE messages, and the ledger of operations not yet answered (PS3.7 6, PS3.8 Annex E).

A message is a command set and, where that says so, a Data Set; both may come in fragments, but all of one
message before anything of the next, and on one presentation context. The command set is collected, the Data
Set passed on as it comes.
"""

from __future__ import annotations

from collections.abc import Container

from gantry.dimse.events import CommandReceived, DataFragment, Event, MessageComplete
from gantry.dimse.items import PduError
from gantry.dimse.limits import MAX_COMMAND_BYTES, MAX_IDENTIFIER_BYTES, MAX_OUTSTANDING_OPERATIONS
from gantry.dimse.message import Command, CommandField, decode_command
from gantry.dimse.reader import Fragment
from gantry.dimse.reasons import AbortReason
from gantry.errors import ProtocolError

_HELD_IN_MEMORY = frozenset(
    (
        CommandField.C_FIND_RQ,
        CommandField.C_FIND_RSP,
        CommandField.C_GET_RQ,
        CommandField.C_GET_RSP,
        CommandField.C_MOVE_RQ,
        CommandField.C_MOVE_RSP,
        CommandField.N_ACTION_RQ,
        CommandField.N_EVENT_REPORT_RQ,
    )
)
"""Messages whose Data Set is an Identifier, or information of an action or event, which is held whole."""

_NONE = -1
"""No presentation context: between messages. 0 is one that a peer can send."""


class Operations:
    """The operations that are outstanding: which we have to answer, and which answers we wait for.

    More than the negotiated window is tolerated up to `MAX_OUTSTANDING_OPERATIONS`, because many senders
    overrun it by one and nothing is gained by cutting them off.
    """

    __slots__ = ("_invoked", "_performing")

    def __init__(self) -> None:
        self._performing = _Ledger()
        self._invoked = _Ledger()

    @property
    def performing(self) -> int:
        """How many requests of the peer we have not answered."""
        return self._performing.total

    @property
    def invoked(self) -> int:
        """How many of our requests the peer has not answered."""
        return self._invoked.total

    def is_performing(self, message_id: int | None) -> bool:
        """Whether the peer's request with this Message ID is unanswered."""
        return message_id in self._performing.counts

    def received(self, command: Command) -> None:
        """Note a command that came in; PduError where the peer has too many requests open."""
        if command.field.is_operation:
            if self.performing >= MAX_OUTSTANDING_OPERATIONS:
                raise PduError(
                    f"more than {MAX_OUTSTANDING_OPERATIONS} requests unanswered", AbortReason.NOT_SPECIFIED
                )
            self._performing.add(command.message_id)
        elif command.is_final:
            self._invoked.settle(command.responded_to)

    def sent(self, command: Command) -> None:
        """Note a command that goes out."""
        if command.field.is_operation:
            self._invoked.add(command.message_id)
        elif command.is_final:
            self._performing.settle(command.responded_to)

    def withdraw(self, command: Command) -> None:
        """Forget a request of ours of which nothing went out."""
        if command.field.is_operation:
            self._invoked.settle(command.message_id)

    def forget(self, command: Command) -> None:
        """Forget a request of the peer that it never completed."""
        if command.field.is_operation:
            self._performing.settle(command.message_id)


class _Ledger:
    """How often each Message ID is open; a peer that uses one twice gets two answers."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.total = 0

    def add(self, message_id: int | None) -> None:
        if message_id is not None:
            self.counts[message_id] = self.counts.get(message_id, 0) + 1
            self.total += 1

    def settle(self, message_id: int | None) -> None:
        if message_id is None or message_id not in self.counts:
            return
        self.total -= 1
        self.counts[message_id] -= 1
        if not self.counts[message_id]:
            del self.counts[message_id]


class MessageAssembler:
    """Puts the messages of one association together."""

    __slots__ = ("_command", "_command_bytes", "_context_id", "_contexts", "_data_bytes", "_operations")

    def __init__(self, contexts: Container[int], operations: Operations) -> None:
        self._contexts = contexts
        self._operations = operations
        self._context_id = _NONE  # of the message under way
        self._command_bytes = bytearray()
        self._command: Command | None = None
        self._data_bytes = 0

    @property
    def is_inside_message(self) -> bool:
        """Whether a message has begun whose end is still to come."""
        return self._context_id != _NONE

    def drop(self) -> None:
        """Forget the message under way: its end will not come."""
        if self._command is not None:
            self._operations.forget(self._command)
        self._end()

    def add(self, piece: Fragment, events: list[Event]) -> None:
        """Append the events that `piece` completes; PduError where it breaks the order of fragments."""
        context_id, control, data, ends = piece
        if context_id != self._context_id:
            self._begin_on(context_id)
        is_last = ends and bool(control & 2)
        if control & 1:
            self._add_command(data, is_last, events)
        else:
            self._add_data(data, is_last, events)

    def _begin_on(self, context_id: int) -> None:
        if context_id not in self._contexts:
            raise PduError(
                f"P-DATA on presentation context {context_id}, which is not accepted",
                AbortReason.UNEXPECTED_PARAMETER,
            )
        if self._context_id != _NONE:
            raise PduError(
                f"fragment on presentation context {context_id} inside a message on {self._context_id}",
                AbortReason.UNEXPECTED_PDU,
            )
        self._context_id = context_id

    def _add_command(self, data: memoryview, is_last: bool, events: list[Event]) -> None:
        if self._command is not None:
            raise PduError("command fragment where the Data Set has not ended", AbortReason.UNEXPECTED_PDU)
        if len(self._command_bytes) + len(data) > MAX_COMMAND_BYTES:
            raise PduError(f"command set of more than {MAX_COMMAND_BYTES} bytes")
        self._command_bytes += data
        if not is_last:
            return
        try:
            command = decode_command(self._command_bytes)
        except ProtocolError as fault:
            raise PduError(str(fault)) from fault
        self._command_bytes = bytearray()
        self._begin(command, events)

    def _begin(self, command: Command, events: list[Event]) -> None:
        context_id = self._context_id
        is_stray_cancel = self._is_stray_cancel(command)
        self._operations.received(command)
        if not is_stray_cancel:
            events.append(CommandReceived(context_id, command, command.has_dataset))
        if command.has_dataset:
            self._command, self._data_bytes = command, 0
            return
        self._end()
        if not is_stray_cancel:
            events.append(MessageComplete(context_id, command))

    def _add_data(self, data: memoryview, is_last: bool, events: list[Event]) -> None:
        command, context_id = self._command, self._context_id
        if command is None:
            raise PduError("Data Set fragment where a command is due", AbortReason.UNEXPECTED_PDU)
        size = len(data)
        self._data_bytes += size
        if self._data_bytes > MAX_IDENTIFIER_BYTES and command.field in _HELD_IN_MEMORY:
            raise PduError(f"Identifier of more than {MAX_IDENTIFIER_BYTES} bytes")
        if size:
            events.append(DataFragment(context_id, data))
        if is_last:
            self._end()
            events.append(MessageComplete(context_id, command))

    def _is_stray_cancel(self, command: Command) -> bool:
        """Whether this cancels nothing: the operation ended before the request to cancel it came."""
        if command.field is not CommandField.C_CANCEL_RQ:
            return False
        if command.has_dataset:
            raise PduError("C-CANCEL-RQ with a Data Set", AbortReason.UNEXPECTED_PDU)
        return not self._operations.is_performing(command.responded_to)

    def _end(self) -> None:
        self._context_id, self._command = _NONE, None
        self._command_bytes = bytearray()
