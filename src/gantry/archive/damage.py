"""Which objects `verify` found damaged, kept in a file so that a restart does not serve them again (N14)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gantry.archive.blobs.files import INCOMING, sync_folders, write_durably
from gantry.archive.disk import Disk

_NAME = "damaged.json"


class Damage:
    """Paths of damaged objects, and what is wrong with each."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._known: Mapping[str, str] = self._load()

    def of(self, path: str) -> str:
        """What is wrong with the object at this path; empty when nothing is known to be."""
        return self._known.get(path, "")

    def paths(self) -> tuple[str, ...]:
        """All paths known to be damaged."""
        return tuple(self._known)

    def note(self, known: Mapping[str, str]) -> None:
        """Replace what is known, durably. Raises OSError."""
        if known == self._known:
            return
        staged = f"{INCOMING}/{_NAME}"
        # Refuse at once, even if it cannot be written down.
        self._known = dict(known)
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
            # Derived: the next verify finds the same damage again.
            return {}
