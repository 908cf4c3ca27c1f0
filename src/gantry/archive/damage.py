"""Which objects are known to be damaged, kept in a file so that a restart does not serve them again (N14).

`verify` finds them, and the scrub of a server (`gantry.archive.scrub`). It is also kept how often each file
turned from whole to damaged or back, so that caches tell apart what was made before and after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import msgspec

from gantry.archive.blobs.files import INCOMING, replace_durably, sync_folders
from gantry.archive.disk import Disk
from gantry.archive.records import Location

_NAME = "damaged.json"


class _Kept(msgspec.Struct, frozen=True):
    damaged: Mapping[str, str]
    turns: Mapping[str, int]


class Damage:
    """Paths of damaged objects, and what is wrong with each; for any number of threads.

    Where other nodes note the same (`share`), what they did is heard by `reload`, and never undone.
    """

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._kept = self._load()
        self._tell: Callable[[], None] | None = None
        # Paths that others turned, and of which `reload` has not told yet
        self._turned: set[str] = set()

    def share(self, tell: Callable[[], None]) -> None:
        """Others note the same; `tell` them of each change, when it is durable."""
        self._tell = tell

    def of(self, path: str) -> str:
        """What is wrong with the object at this path; empty when nothing is known to be."""
        return self._kept.damaged.get(path, "")

    def all(self) -> Mapping[str, str]:
        """All paths known to be damaged, and what is wrong with each."""
        return self._kept.damaged

    def told_apart(self, locations: list[Location]) -> list[Location]:
        """The same locations with the `turns` that their files took."""
        turns = self._kept.turns
        if not turns:
            return locations
        return [replace(one, turns=turns[one.path]) if one.path in turns else one for one in locations]

    def note(self, known: Mapping[str, str]) -> None:
        """Replace what is known, durably. Raises OSError."""
        with self._lock:
            self._hear()
            self._replace(dict(known))
        self._told()

    def note_one(self, path: str, why: str) -> None:
        """Add one, durably; empty: it is damaged no more. Raises OSError."""
        with self._lock:
            self._hear()
            known = {**self._kept.damaged, path: why}
            if not why:
                del known[path]
            self._replace(known)
        self._told()

    def reload(self) -> set[str]:
        """Know what others have noted since; answers the paths that turned. Raises OSError."""
        with self._lock:
            self._take(self._load())
            turned, self._turned = self._turned, set()
        return turned

    def _told(self) -> None:
        # Not while we hold the lock: others hold what this waits for, and wait for us
        if self._tell is not None:
            self._tell()

    def _hear(self) -> None:
        if self._tell is not None:
            with suppress(OSError):  # then it can hardly be written, either
                self._take(self._load())

    def _take(self, now: _Kept) -> None:
        before, self._kept = self._kept, now
        self._turned |= {path for path, _ in before.turns.items() ^ now.turns.items()}
        self._turned |= before.damaged.keys() ^ now.damaged.keys()

    def _replace(self, known: dict[str, str]) -> None:
        before = self._kept
        if known == before.damaged:
            return
        turns = dict(before.turns)
        for path in known.keys() ^ before.damaged.keys():
            turns[path] = turns.get(path, 0) + 1
        # Refuse at once, even if it cannot be written down.
        self._kept = _Kept(known, turns)
        data = msgspec.json.encode(self._kept, order="deterministic")
        replace_durably(self._disk, f"{INCOMING}/{_NAME}", _NAME, [data])
        sync_folders(self._disk, [""])

    def _load(self) -> _Kept:
        if not self._disk.exists(_NAME):
            return _Kept({}, {})
        data = self._disk.read(_NAME)
        try:
            return msgspec.json.decode(data, type=_Kept)
        except msgspec.DecodeError:
            pass
        try:  # as the first release kept it
            damaged = msgspec.json.decode(data, type=dict[str, str])
        except msgspec.DecodeError:
            # Derived: the next look at the objects finds the same damage again.
            return _Kept({}, {})
        return _Kept(damaged, dict.fromkeys(damaged, 1))
