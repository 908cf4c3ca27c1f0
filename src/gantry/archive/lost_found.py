"""Where files go that have no business at their path; nothing is ever deleted."""

from __future__ import annotations

import itertools
from datetime import datetime

from gantry.archive.blobs.files import LOST_FOUND
from gantry.archive.disk import Disk


def set_aside(disk: Disk, path: str, at: datetime) -> str:
    """Move a file that has no business at its path to ``lost-found/``; answers its new name.

    Empty where there was only a note of a file that an object store has lost.
    """
    place = f"{LOST_FOUND}/{at:%Y%m%dT%H%M%SZ}-{path.replace('/', '_')[-180:]}"
    for name in itertools.chain([place], (f"{place}.{n}" for n in itertools.count(2))):
        if not disk.exists(name):
            try:
                disk.rename(path, name)
            except FileNotFoundError:
                if disk.exists(path):
                    raise
                return ""
            return name
    raise AssertionError("numbers do not end")
