"""Requests for Storage Commitment, from the moment that they are acknowledged until they are reported.

Each open request is one file. Where several processes serve an archive, one of them works on a request at a
time: `claim` puts off when the others may take it, and `hold` does again, so that a node which dies lets go.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from gantry.archive.clock import Clock
from gantry.archive.commitment import DONE, OPEN
from gantry.archive.disk import Disk
from gantry.archive.small_files import SmallFiles
from gantry.errors import CallerError, Corrupt
from gantry.standard.uids import uid_name

MAX_REFERENCES: Final = 100_000
"""Instances that one request may name; a study of the largest scanners has a fifth of that."""
MAX_OPEN: Final = 10_000
"""Requests that wait for their report, each a file of up to 16 MiB, mostly of some KiB."""
MAX_OPEN_PER_AE: Final = 1_000
"""Of one AE title, so that one that is never reached leaves room for the others: a study a minute all day."""

LEASE: Final = timedelta(seconds=180)
"""How long a node that shares the archive may be silent about a request before another takes it: longer than
a report takes at most."""
GIVE_UP: Final = timedelta(days=7)
"""How long a report is tried; who was away for longer asks again."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 3600.0
"""Between two tries; each pause is twice the one before."""

_log = logging.getLogger(__name__)


class TooManyRequests(CallerError):
    """No more requests are taken until reports of others were delivered."""


class Reference(msgspec.Struct, frozen=True, array_like=True):
    """An instance that is to be committed, as its class says it is."""

    sop_class_uid: str
    sop_instance_uid: str


class Asked(msgspec.Struct, frozen=True):
    """A request as it was acknowledged: of whom, from which address, when.

    `is_duplicate` says that its Transaction UID was used before.
    """

    transaction_uid: str
    aet: str
    peer: str
    at: datetime
    references: tuple[Reference, ...]
    is_duplicate: bool = False


class OpenRequest(msgspec.Struct, frozen=True):
    """A request that waits for its report.

    `failures` are the Failure Reasons of references that cannot be committed, by their number from 0; None
    until they were looked at. No other node takes it before `due` while `holder` works on it.
    """

    asked: Asked
    due: datetime
    failures: dict[int, int] | None = None
    tries: int = 0
    holder: str = ""


class _Done(msgspec.Struct, frozen=True):
    asked: Asked
    failures: dict[int, int]
    reported: datetime | None


class Requests:
    """The requests of an archive. All methods may be called from any thread."""

    def __init__(
        self,
        disk: Disk,
        names: itertools.count[int],
        *,
        clock: Clock,
        require_room: Callable[[int], None],
        stop_writing: Callable[[str], None],
        turn: Callable[[str, str, str], AbstractContextManager[None]],
        shared: bool,
    ) -> None:
        self._files = SmallFiles(
            disk, names, "commitment", require_room=require_room, stop_writing=stop_writing
        )
        self._clock = clock
        self._turn = turn
        self._shared = shared
        self._holder = uuid.uuid4().hex
        self._lock = threading.Lock()
        # When each may be taken, by the monotonic clock, as far as is known here
        self._due: dict[str, float] = {}
        # Kept, but not acknowledged yet: a report must not come before that
        self._unanswered: set[str] = set()
        self._is_known = False

    def ask(self, transaction_uid: str, aet: str, peer: str, references: tuple[Reference, ...]) -> str:
        """Keep a request durably; answers the name of it. Nobody takes it before `answered`.

        Raises TooManyRequests, OutOfSpace, ReadOnly, StorageError.
        """
        folder = f"{OPEN}/{_ae_name(aet)}/"
        with self._lock, self._turn("commitment", "", ""):
            self._look()
            if len(self._due) >= MAX_OPEN:
                raise TooManyRequests(f"{MAX_OPEN} requests wait for their report")
            if sum(path.startswith(folder) for path in self._due) >= MAX_OPEN_PER_AE:
                raise TooManyRequests(f"{MAX_OPEN_PER_AE} requests of this AE wait for their report")
            name = uid_name(transaction_uid)
            is_used = any(path.endswith(f"/{name}.json") for path in self._due)
            is_used = is_used or self._files.exists(_done_path(name))
            asked = Asked(transaction_uid, aet, peer, self._clock.now(), references, is_used)
            path = f"{folder}{f'{name}-{uuid.uuid4().hex}' if is_used else name}.json"
            self._write(path, OpenRequest(asked, self._clock.now() + LEASE, holder=self._holder))
            self._unanswered.add(path)
            self._due[path] = self._clock.monotonic()
        return path

    def answered(self, path: str) -> None:
        """A request was acknowledged to who asked."""
        with self._lock:
            self._unanswered.discard(path)

    def look(self) -> None:
        """Learn which requests are open, also those that other nodes acknowledged. Raises StorageError."""
        with self._lock:
            self._look()

    @property
    def count(self) -> int:
        """How many are open, as far as is known here."""
        return len(self._due)

    def due(self) -> list[str]:
        """Names of requests that may be taken now, those that waited longest first."""
        now = self._clock.monotonic()
        with self._lock:
            waiting = sorted(
                (due, path) for path, due in self._due.items() if due <= now and path not in self._unanswered
            )
        return [path for _, path in waiting]

    def hurry(self, aet: str) -> None:
        """Let the requests of an AE be taken at once: it is there."""
        folder = f"{OPEN}/{_ae_name(aet)}/"
        with self._lock:
            for path in self._due:
                if path.startswith(folder):
                    self._due[path] = self._clock.monotonic()

    def claim(self, path: str) -> OpenRequest | None:
        """Take a request to work on it; None where it is done, or another node has it.

        Raises ReadOnly, OutOfSpace, StorageError.
        """
        with self._lock, self._turn("commitment", "", ""):
            try:
                found = self._files.read(path, OpenRequest)
            except Corrupt as error:
                # Nothing tells any more whom to tell what; the file stays for who looks into it
                _log.error("%s", error)
                self._wait(path, GIVE_UP.total_seconds())
                return None
            if found is None:
                self._due.pop(path, None)
                return None
            left_s = (found.due - self._clock.now()).total_seconds()
            if self._shared and found.holder != self._holder and left_s > 0:
                # Beside a clock that was set back, none waits longer than the longest pause
                self._wait(path, min(left_s, LONGEST_PAUSE_S))
                return None
            return self._held(path, found)

    def hold(self, path: str, one: OpenRequest) -> OpenRequest:
        """Say that the work on a request goes on. Raises ReadOnly, OutOfSpace, StorageError."""
        with self._lock:
            return self._held(path, one)

    def decide(self, path: str, one: OpenRequest, failures: dict[int, int]) -> OpenRequest:
        """Keep what is to be reported, durably. Raises ReadOnly, OutOfSpace, StorageError."""
        with self._lock:
            decided = replace(one, failures=failures, due=self._clock.now() + LEASE)
            self._write(path, decided)
            self._wait(path, LEASE.total_seconds())
            return decided

    def put_off(self, path: str, one: OpenRequest) -> float:
        """Try again later; answers after how many seconds. Raises ReadOnly, OutOfSpace, StorageError."""
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(one.tries, 32), LONGEST_PAUSE_S)
        with self._lock:
            # First here: where it cannot be written, it waits all the same
            self._wait(path, pause_s)
            due = self._clock.now() + timedelta(seconds=pause_s)
            self._write(path, replace(one, tries=one.tries + 1, due=due, holder=""))
        return pause_s

    def is_too_old(self, one: OpenRequest) -> bool:
        """Whether a report was tried for long enough."""
        return self._clock.now() - one.asked.at > GIVE_UP

    def finish(self, path: str, one: OpenRequest, *, reported: bool) -> None:
        """Close a request; its Transaction UID stays used. Raises ReadOnly, OutOfSpace, StorageError."""
        with self._lock:
            if not one.asked.is_duplicate:
                at = self._clock.now() if reported else None
                done = _Done(one.asked, one.failures or {}, at)
                self._files.write(
                    _done_path(uid_name(one.asked.transaction_uid)), msgspec.json.encode(done), replacing=True
                )
            self._files.unlink(path)
            self._due.pop(path, None)

    def _look(self) -> None:
        if self._is_known and not self._shared:
            return
        paths = [path for path in self._files.walk(OPEN) if path.endswith(".json")]
        if not self._is_known:
            paths = [path for path in paths if not self._was_finished(path)]
        now = self._clock.monotonic()
        self._due = {path: self._due.get(path, now) for path in paths}
        self._is_known = True

    def _was_finished(self, path: str) -> bool:
        """Whether a crash came between the two steps of `finish`; then the second is done."""
        name = path.rpartition("/")[2].removesuffix(".json")
        if not self._files.exists(_done_path(name)):
            return False
        self._files.unlink(path)
        return True

    def _held(self, path: str, one: OpenRequest) -> OpenRequest:
        self._wait(path, LEASE.total_seconds())
        if not self._shared:
            return one  # nobody else could take it, and the next start takes all
        held = replace(one, due=self._clock.now() + LEASE, holder=self._holder)
        self._write(path, held)
        return held

    def _wait(self, path: str, seconds: float) -> None:
        self._due[path] = self._clock.monotonic() + seconds

    def _write(self, path: str, one: OpenRequest) -> None:
        self._files.write(path, msgspec.json.encode(one), replacing=True)


def _ae_name(aet: str) -> str:
    return hashlib.sha256(aet.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _done_path(name: str) -> str:
    return f"{DONE}/{hashlib.sha256(name.encode()).hexdigest()[:2]}/{name}.json"
