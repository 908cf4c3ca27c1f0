"""A folder that several processes have open: what is on its way, and caches, are in a folder of each."""

from __future__ import annotations

import os
from pathlib import Path

from gantry.archive.blobs.files import is_here
from gantry.archive.disk import OsDisk


class NodeDisk(OsDisk):
    """The files below `root`, and below `own` those that are of this process alone."""

    def __init__(self, root: Path, own: Path) -> None:
        super().__init__(root)
        self._own = f"{own.absolute()}/"

    def _path(self, name: str) -> str:
        if is_here(name) and not name.startswith("/"):
            return self._own + name
        return super()._path(name)

    def rename(self, old: str, new: str) -> None:
        # Others may give the same name at the same moment, and only one may have it
        os.link(self._path(old), self._path(new))
        os.unlink(self._path(old))  # noqa: PTH108
