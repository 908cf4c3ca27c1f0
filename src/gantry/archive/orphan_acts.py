"""Acts that were written and never committed: nobody was told that they were done, so they are not."""

from __future__ import annotations

import logging

from gantry.archive.acts import ActEntry, ActKind, act_number, read_whole_act
from gantry.archive.blobs.files import ACTS, LOST_FOUND, sync_folders
from gantry.archive.clock import Clock
from gantry.archive.disk import Disk
from gantry.archive.edits.take_back import take_back
from gantry.archive.index import Index
from gantry.archive.lost_found import set_aside
from gantry.errors import Corrupt

_log = logging.getLogger(__name__)


def set_aside_orphan_acts(disk: Disk, index: Index, clock: Clock) -> None:
    """Acts come one after the other, so only the newest can be without rows."""
    moved = False
    for path in reversed(disk.walk(ACTS)):
        if is_known_act(disk, index, path):
            break
        take_back(disk, index, path, clock.now())
        name = set_aside(disk, path, clock.now())
        _log.warning("an act that was never committed was set aside as %s", name)
        moved = True
    if moved:
        sync_folders(disk, [ACTS, LOST_FOUND])


def is_known_act(disk: Disk, index: Index, path: str) -> bool:
    """Whether the index was told of an act; of one that cannot be read, nobody knows. Raises OSError."""
    try:
        act = read_whole_act(disk, path)
    except Corrupt:
        return False
    entries = act.entries
    if any(entry.kind is ActKind.LET_GO for entry in entries):
        # Some of what it let go may be there again; it is known as long as it speaks of anything that is not
        return any(_is_gone(disk, index, entry, path) for entry in entries)
    # Not only the first: an object of it may be lost
    if act.head is not None:
        return any(row.act == path for row in (index.edit(act_number(path)),) if row)
    return any(row.number == e.number for e in entries for row in index.versions(e.key))


def _is_gone(disk: Disk, index: Index, entry: ActEntry, path: str) -> bool:
    rows = [row for row in index.versions(entry.key) if row.number == entry.number]
    return any(row.act == path for row in rows) or not disk.exists(entry.path)
