"""At start: an edit that was not committed leaves nothing at its objects' places."""

from __future__ import annotations

from datetime import datetime

from gantry.archive.acts import ActKind, read_whole_act
from gantry.archive.blobs.files import LOST_FOUND, sync_folders
from gantry.archive.disk import Disk
from gantry.archive.index import Index
from gantry.archive.lost_found import set_aside
from gantry.errors import Corrupt


def take_back(disk: Disk, index: Index, path: str, now: datetime) -> None:
    """Set aside, durably, what an act that the index does not know has named; the act itself stays.

    Nothing happens for an act that is no edit. Raises OSError, StorageError.
    """
    try:
        act = read_whole_act(disk, path)
    except Corrupt:
        return
    folders: set[str] = set()
    for entry in act.entries if act.head is not None else ():
        if entry.kind is not ActKind.EDIT or not disk.exists(entry.path):
            continue
        rows = index.versions(entry.key)
        if not any(row.location is not None and row.location.path == entry.path for row in rows):
            set_aside(disk, entry.path, now)
            folders.add(entry.path.rpartition("/")[0])
    if folders:
        sync_folders(disk, {*folders, LOST_FOUND})
