"""How long an association waits, and for what: deadlines as values, no clock.

A timer may be started where the time is not known (a local abort, a response sent). It then begins at the
next time it is told of, which is why `next_deadline` can answer with a time that has passed.
"""

from __future__ import annotations

from enum import Enum

from gantry.dimse.negotiation import Timers


class Timeout(Enum):
    """What ran out; `text` is for people."""

    ARTIM = "ARTIM timer expired"
    ANSWER = "no answer to our request to begin or end the association"
    SILENCE = "nothing heard from the peer for too long"
    RATE = "data comes too slowly"

    @property
    def text(self) -> str:
        return self.value


class Timer:
    """One deadline: `seconds` after its start, None for never."""

    __slots__ = ("_running", "_seconds", "_since")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._running = False

    def start(self) -> None:
        """Run from the next time told."""
        self._running, self._since = True, None

    def stop(self) -> None:
        """Run no longer."""
        self._running = False

    def observe(self, now: float) -> None:
        """Learn the time."""
        if self._running and self._since is None:
            self._since = now

    def deadline(self, latest: float) -> float | None:
        """When this runs out; `latest`, the last time told, where that cannot be known yet."""
        if not self._running or self._seconds is None:
            return None
        return latest if self._since is None else self._since + self._seconds

    def has_expired(self, now: float) -> bool:
        """Whether the deadline has come."""
        return (
            self._running
            and self._seconds is not None
            and self._since is not None
            and now >= self._since + self._seconds
        )


class Patience:
    """All timers of one association.

    `artim` is the timer of PS3.8 9.1.5 and `answer` the one for association and release requests of ours.
    Silence counts only while it is the peer's turn; the rate only while a PDU or message is under way.
    """

    __slots__ = ("_bytes", "_held", "_now", "_rate_since", "_silent_since", "_timers", "answer", "artim")

    def __init__(self, timers: Timers, now: float) -> None:
        self._timers = timers
        self._now = now
        self.artim = Timer(timers.artim_s)
        self.answer = Timer(None)
        self._silent_since: float | None = now
        self._rate_since: float | None = None
        self._bytes = 0
        self._held = False

    def await_answer(self, seconds: float | None) -> None:
        """Start waiting for the answer to a request of ours."""
        self.answer = Timer(seconds)
        self.answer.start()

    def observe(self, now: float) -> None:
        """Learn the time."""
        self._now = now
        self.artim.observe(now)
        self.answer.observe(now)
        if self._silent_since is None:
            self._silent_since = now

    def heard(self, now: float, size: int, *, is_inside: bool) -> None:
        """`size` bytes came; `is_inside` says whether a PDU or message is now under way."""
        self._silent_since = now
        if not is_inside:
            self._rate_since = None
        elif self._rate_since is None:
            self._rate_since, self._bytes = now, 0
        else:
            self._bytes += size

    def spoke(self) -> None:
        """We sent something: the peer's turn begins anew."""
        self._silent_since = None

    def hold(self) -> None:
        """It is we who do not read: silence and rate do not count."""
        self._held = True

    def resume(self, now: float) -> None:
        """We read again, and count from here."""
        self._held = False
        self._silent_since = now
        if self._rate_since is not None:
            self._rate_since, self._bytes = now, 0

    def next_deadline(self, *, is_peers_turn: bool) -> float | None:
        """When `expired` should be asked next, None where nothing is waited for."""
        times = [self.artim.deadline(self._now), self.answer.deadline(self._now)]
        if not self._held:
            if is_peers_turn and self._timers.idle_s is not None:
                since = self._silent_since
                times.append(self._now if since is None else since + self._timers.idle_s)
            if self._rate_since is not None:
                times.append(self._rate_since + self._timers.rate_window_s)
        return min((time for time in times if time is not None), default=None)

    def expired(self, now: float, *, is_peers_turn: bool) -> Timeout | None:
        """What has run out at `now`."""
        if self.artim.has_expired(now):
            return Timeout.ARTIM
        if self.answer.has_expired(now):
            return Timeout.ANSWER
        if self._held:
            return None
        if self._is_too_slow(now):
            return Timeout.RATE
        idle_s = self._timers.idle_s
        if is_peers_turn and idle_s is not None and self._silent_since is not None:
            return Timeout.SILENCE if now >= self._silent_since + idle_s else None
        return None

    def _is_too_slow(self, now: float) -> bool:
        if self._rate_since is None or now < self._rate_since + self._timers.rate_window_s:
            return False
        if self._bytes < self._timers.minimum_rate_bytes_per_s * (now - self._rate_since):
            return True
        self._rate_since, self._bytes = now, 0
        return False
