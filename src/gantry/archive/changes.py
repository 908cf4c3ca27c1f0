"""Wait for the next commit: `Index.changes` told to whoever listens, without asking again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable


class ChangeSignal:
    """Knows the number of the last change, and wakes those who wait for a later one."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._condition = threading.Condition()
        self._listeners: list[Callable[[int], None]] = []

    @property
    def last(self) -> int:
        """Number of the last change committed."""
        return self._last

    def committed(self, last: int) -> None:
        """Tell everybody; called by the committer. Listeners must return at once and not raise."""
        with self._condition:
            self._last = max(last, self._last)  # of several nodes, one may hear of others in between
            self._condition.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(last)

    def wait(self, after: int, timeout_s: float) -> int:
        """Block until there is a change after number `after`, or time is over; answers the last number."""
        with self._condition:
            self._condition.wait_for(lambda: self._last > after, timeout_s)
            return self._last

    def listen(self, listener: Callable[[int], None]) -> Callable[[], None]:
        """Call `listener` with the last number after each commit; answers a function that ends it.

        It is called in the committing thread: an event loop passes `loop.call_soon_threadsafe` on.
        """
        with self._condition:
            self._listeners.append(listener)

        def end() -> None:
            with self._condition:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end
