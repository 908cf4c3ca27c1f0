"""Which objects are known to be damaged, kept in a file so that a restart does not serve them again (N14).

`verify` finds them, and the scrub of a server (`gantry.archive.scrub`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

import msgspec

from gantry.archive.blobs.files import INCOMING, sync_folders, write_durably
from gantry.archive.disk import Disk

_NAME = "damaged.json"


class Damage:
    """Paths of damaged objects, and what is wrong with each; for any number of threads."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._lock = threading.Lock()
        self._known: Mapping[str, str] = self._load()

    def of(self, path: str) -> str:
        """What is wrong with the object at this path; empty when nothing is known to be."""
        return self._known.get(path, "")

    def all(self) -> Mapping[str, str]:
        """All paths known to be damaged, and what is wrong with each."""
        return self._known

    def note(self, known: Mapping[str, str]) -> None:
        """Replace what is known, durably. Raises OSError."""
        with self._lock:
            self._replace(dict(known))

    def note_one(self, path: str, why: str) -> None:
        """Add one, durably; empty: it is damaged no more. Raises OSError."""
        with self._lock:
            known = {**self._known, path: why}
            if not why:
                del known[path]
            self._replace(known)

    def _replace(self, known: dict[str, str]) -> None:
        if known == self._known:
            return
        staged = f"{INCOMING}/{_NAME}"
        # Refuse at once, even if it cannot be written down.
        self._known = known
        if self._disk.exists(staged):
            self._disk.unlink(staged)
        write_durably(self._disk, staged, [msgspec.json.encode(dict(sorted(known.items())))])
        self._disk.replace(staged, _NAME)
        sync_folders(self._disk, [""])

    def _load(self) -> dict[str, str]:
        if not self._disk.exists(_NAME):
            return {}
        try:
            return msgspec.json.decode(self._disk.read(_NAME), type=dict[str, str])
        except msgspec.DecodeError:
            # Derived: the next look at the objects finds the same damage again.
            return {}
