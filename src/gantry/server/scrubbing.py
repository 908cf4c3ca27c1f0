"""The scrub of a server: all objects are read and compared, slowly, round after round (N14).

One thread reads so many bytes a second as the settings allow, and remembers its place over a restart. What
it finds damaged is refused from that moment on, told in the log and at ``/api/damaged``, and taken from the
first copy elsewhere that has its bytes. What was damaged before this server started is tried at once.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.errors import GantryError, StorageError
from gantry.server.copies import Copies
from gantry.server.traces import Traces, whole

log = logging.getLogger("gantry.server.scrub")

STATE_FILE = "scrub.json"
SAVE_EVERY_S = 30.0
LEAST_BYTES = 64 << 10
"""What an object counts at least: opening a file and looking up its row cost as much as reading that."""

HEAL_AGAIN_S = 3600.0
"""How long after no copy was to be had all are asked again."""

TROUBLE_S = 60.0
"""How long to wait where index or disk could not be asked at all."""


class ScrubState(msgspec.Struct):
    """How far the scrub is; kept in a file, as JSON.

    `place` is that of the version looked at last (`Index.versions_after`), `began` and `ended` when this
    round began and the one before ended, `rounds` how many have ended; the rest counts since `began`.
    """

    began: datetime
    place: int = 0
    ended: datetime | None = None
    rounds: int = 0
    objects: int = 0
    size_bytes: int = 0


@dataclass(slots=True)
class Scrubbing:
    """Reads, tells and heals until stopped; `folder` is for its state, and for copies on their way."""

    archive: Archive
    bytes_per_s: int
    every_s: float
    copies: Sequence[Copies]
    folder: Path
    traces: Traces | None = None
    state: ScrubState = field(default_factory=lambda: ScrubState(datetime.now(UTC)))
    _stop: threading.Event = field(default_factory=threading.Event)
    _due: dict[str, tuple[float, Location]] = field(default_factory=dict)
    _saved_at: float = 0.0
    _owed_s: float = 0.0

    async def run(self) -> None:
        """Work beside everything else until `stop`."""
        # A thread of its own: it would take one of few from those who wait for an answer.
        with ThreadPoolExecutor(1, "gantry-scrub") as thread:
            await asyncio.get_running_loop().run_in_executor(thread, self._work)

    def stop(self) -> None:
        """Read nothing more; `run` ends soon."""
        self._stop.set()

    def report(self) -> dict[str, object]:
        """How far it is, for people."""
        state = self.state
        return {
            "bytes_per_s": self.bytes_per_s,
            "rounds": state.rounds,
            "objects": state.objects,
            "size_bytes": state.size_bytes,
            "began": state.began.isoformat(),
            "last_ended": state.ended.isoformat() if state.ended else None,
        }

    def _work(self) -> None:
        self._load()
        self._find_due()
        while not self._stop.is_set():
            try:
                if self._is_resting:
                    self._rest()
                self._read_on()
            except (StorageError, OSError) as error:
                log.warning("the scrub was broken off, and goes on later: %s", error)
                self._wait(TROUBLE_S)
            except Exception:  # a fault of ours must not end this work until somebody starts the server anew
                log.exception("the scrub failed, and goes on later")
                self._wait(TROUBLE_S)
        self._save()

    # --- look ------------------------------------------------------------------------------------

    def _read_on(self) -> None:
        """Look at the next objects, or end the round. Raises StorageError."""
        rows = self.archive.versions_after(self.state.place)
        for place, row in rows:
            if self._stop.is_set():
                return
            location = row.location
            if location is not None and not location.made_from and not self._look(location):
                return
            self.state.place = place
            self._heal_due()
            if time.monotonic() > self._saved_at + SAVE_EVERY_S:
                self._save()
        if not rows:
            self._end_round()

    def _look(self, location: Location) -> bool:
        """Whether it was looked at, and not broken off by `stop`. Raises StorageError."""
        self._paced(LEAST_BYTES - location.file_size)
        found = self.archive.look_at(location, self._paced)
        if found is None and self._stop.is_set():
            return False
        self.state.objects += 1
        self.state.size_bytes += location.file_size
        if found:
            self._due.setdefault(location.path, (time.monotonic(), location))
        return True

    def _paced(self, size: int) -> bool:
        """Wait as long as reading so many bytes may take; whether to go on."""
        self._owed_s += max(0, size) / self.bytes_per_s
        if self._owed_s >= 0.01:  # shorter waits are inexact, and would cost more than they are worth
            owed, self._owed_s = self._owed_s, 0.0
            return not self._stop.wait(owed)
        return not self._stop.is_set()

    def _end_round(self) -> None:
        state = self.state
        state.rounds, state.place, state.ended = state.rounds + 1, 0, datetime.now(UTC)
        damaged = len(self.archive.damaged())
        log.log(
            logging.ERROR if damaged else logging.INFO,
            "the scrub has read %d objects, %d bytes; %d are damaged",
            state.objects,
            state.size_bytes,
            damaged,
        )
        self._save()

    @property
    def _is_resting(self) -> bool:
        """Whether the last round has ended, and the next has not begun."""
        state = self.state
        return state.ended is not None and state.ended >= state.began

    def _rest(self) -> None:
        """Wait for the next round, and begin it."""
        passed = (datetime.now(UTC) - self.state.began).total_seconds()
        # A clock that was set back must not make the next round wait for longer than it ever would (N20).
        self._wait(self.every_s - max(0.0, passed))
        if not self._stop.is_set():
            self.state.began = datetime.now(UTC)
            self.state.objects = self.state.size_bytes = 0

    def _wait(self, seconds: float) -> None:
        """Wait, and heal what is due meanwhile."""
        until = time.monotonic() + seconds
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            next_due = min((at for at, _ in self._due.values()), default=until) - time.monotonic()
            self._stop.wait(max(0.01, min(left, next_due)))
            self._heal_due()

    # --- heal ------------------------------------------------------------------------------------

    def _find_due(self) -> None:
        """What is known to be damaged, by an earlier run or by `gantry verify`."""
        try:
            for location in self.archive.damaged_objects():
                self._due.setdefault(location.path, (time.monotonic(), location))
        except StorageError as error:
            log.warning("damaged objects are healed when they are found again: %s", error)

    def _heal_due(self) -> None:
        for path, (at, location) in list(self._due.items()):
            if self._stop.is_set():
                return
            if at > time.monotonic():
                continue
            if path not in self.archive.damaged() or self._healed(location):
                del self._due[path]
            else:
                self._due[path] = (time.monotonic() + HEAL_AGAIN_S, location)

    def _healed(self, location: Location) -> bool:
        """Whether one of the copies was the object, or it is whole again without. Raises StorageError."""
        if self.archive.look_at(location, self._paced) == "":
            return True  # put right by hand, or by a start that found it in the log
        for copies in self.copies:
            if self._stop.is_set():
                return False
            try:
                offers = tempfile.TemporaryDirectory(dir=self.folder, prefix="heal-")
                with self._traced_heal(), offers as folder:
                    offer = copies.fetch(location, Path(folder), self._stop.is_set)
                    if offer is not None and self.archive.heal(location, offer):
                        log.warning("%s was taken from %s", location.path, copies)
                        return True
                log.warning("%s has no whole copy of %s", copies, location.path)
            except (GantryError, OSError) as error:
                log.warning("%s could not be taken from %s: %s", location.path, copies, error)
        return False

    def _traced_heal(self) -> AbstractContextManager[object]:
        """A span for asking one place, of which that place is told."""
        return nullcontext() if self.traces is None else whole("heal", self.traces)

    # --- the place over a restart ----------------------------------------------------------------

    def _load(self) -> None:
        try:
            self.state = msgspec.json.decode((self.folder / STATE_FILE).read_bytes(), type=ScrubState)
        except (OSError, msgspec.DecodeError):
            return  # the first round, or one that begins again

    def _save(self) -> None:
        """Derived: without it, a round begins again."""
        self._saved_at = time.monotonic()
        staged = self.folder / f"{STATE_FILE}.new"
        try:
            staged.write_bytes(msgspec.json.encode(self.state))
            staged.replace(self.folder / STATE_FILE)
        except OSError as error:
            log.info("the place of the scrub could not be kept: %s", error.strerror)
