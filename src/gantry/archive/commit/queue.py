"""Group commit: what many threads bring at once is received by one of them, for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from gantry.archive.commit.arrival import Arrival


class _Ticket:
    """What one thread waits for: `turn` is released when its arrivals are `done`, or when it is to lead."""

    __slots__ = ("arrivals", "done", "turn")

    def __init__(self, arrivals: Sequence[Arrival]) -> None:
        self.arrivals = arrivals
        self.done = False
        self.turn = threading.Lock()
        self.turn.acquire()


class Queue:
    """Arrivals of any thread, all that wait handed to `receive` by one thread, which holds `turn`."""

    def __init__(self, turn: threading.RLock, receive: Callable[[list[Arrival]], None]) -> None:
        self._turn = turn
        self._receive = receive
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False

    def bring(self, arrivals: Sequence[Arrival]) -> None:
        """Have arrivals received, together with those of other threads. Blocks until they are."""
        ticket = _Ticket(arrivals)
        with self._lock:
            self._waiting.append(ticket)
            leads = not self._led
            self._led = True
        if not leads:
            ticket.turn.acquire()
            leads = not ticket.done
        if leads:
            self._lead_one_batch()

    def _lead_one_batch(self) -> None:
        """Receive all that waits, then let one of those who came meanwhile lead, and wake the others."""
        batch: list[_Ticket] = []
        try:
            with self._turn:
                with self._lock:
                    batch, self._waiting = self._waiting, []
                self._receive([arrival for ticket in batch for arrival in ticket.arrivals])
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._led = following is not None
            # The next leader first: the disk need not wait for those who only take their answer.
            if following is not None:
                following.turn.release()
            for ticket in batch:
                ticket.done = True
                ticket.turn.release()
