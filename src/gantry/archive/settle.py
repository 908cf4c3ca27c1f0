"""At start: what the last run acknowledged and no longer kept, or named and no longer committed.

Objects in the log (`gantry.archive.log`) were acknowledged: whatever else is true of them, they get their
files anew, because what a failed or a missing sync has left of the first ones cannot be told, and rows where
they have none. Objects that only had their names (`gantry.archive.renames`) are whole, and get rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from gantry.archive.blobs.files import INCOMING, object_path, parse_object_path, sync_folders, write_again
from gantry.archive.disk import Disk, make_folders
from gantry.archive.index import AddVersion, Index
from gantry.archive.log import Logged, logged_objects
from gantry.archive.lost_found import set_aside
from gantry.archive.received import Receipt
from gantry.archive.reindex import describe_file
from gantry.archive.store import Unfit
from gantry.errors import StorageError

_log = logging.getLogger(__name__)


def place_logged(disk: Disk, now: datetime, is_other: Callable[[Logged], bool]) -> list[Receipt]:
    """Give the objects in the log their files; answers when and from whom they came. Raises OSError.

    `is_other` tells that another object was kept in the place of one: what failed to be logged, and was
    refused, may still be read from the log.
    """
    receipts: list[Receipt] = []
    folders: set[str] = set()
    for logged in logged_objects(disk):
        receipt = logged.receipt
        if receipt.path != object_path(receipt.key, receipt.number):
            _log.error("an object in the log names a path that is not its own, and is left there")
            continue
        if is_other(logged):
            continue
        _place(disk, logged, now)
        receipts.append(receipt)
        folders.update(_folders_of(receipt.path))
    sync_folders(disk, folders)
    return receipts


def _place(disk: Disk, logged: Logged, now: datetime) -> None:
    path = logged.receipt.path
    staged = f"{INCOMING}/logged"
    write_again(disk, staged, [logged.content])
    make_folders(disk, path.rpartition("/")[0])
    if disk.exists(path) and disk.read(path) != logged.content:
        set_aside(disk, path, now)
    disk.replace(staged, path)


def other_in_index(index: Index) -> Callable[[Logged], bool]:
    """Whether the index holds other bytes as the version that an object in the log would be."""

    def is_other(logged: Logged) -> bool:
        rows = [row for row in index.versions(logged.receipt.key) if row.number == logged.receipt.number]
        return any(
            row.location is None
            or row.location.made_from  # let go since, and not to come back by itself
            or row.location.dataset_sha256 != logged.dataset_sha256
            for row in rows
        )

    return is_other


def other_in_folder(disk: Disk, receipts: Iterable[Receipt]) -> Callable[[Logged], bool]:
    """The same without an index: by the journal, and by the file that it says is there."""
    paths = {receipt.path for receipt in receipts}

    def is_other(logged: Logged) -> bool:
        path = logged.receipt.path
        return path in paths and disk.exists(path) and disk.read(path) != logged.content

    return is_other


def settle(disk: Disk, index: Index, receipts: Sequence[Receipt]) -> int:
    """Give new instances that were named, and only not committed any more, their rows; how many there were.

    Another version of a known instance is left for `verify`: its sender may have been told that it was not
    kept, and then it must not become current. Raises OSError, StorageError.
    """
    settled = 0
    for receipt in receipts:
        change = _missing_change(disk, index, receipt)
        if change is not None:
            sync_folders(disk, _folders_of(receipt.path))
            settled += _applied(index, change)
    return settled


def _applied(index: Index, change: AddVersion) -> bool:
    """Whether the index took a row. Raises StorageError."""
    try:
        index.apply([change])
    except StorageError:
        raise
    except Exception:  # noqa: BLE001 - one object that the index cannot take must not keep the archive shut
        _log.exception("%s has no row; `gantry verify` lists it", change.record.path)
        return False
    return True


def _missing_change(disk: Disk, index: Index, receipt: Receipt) -> AddVersion | None:
    if parse_object_path(receipt.path) is None or not disk.exists(receipt.path):
        return None
    if receipt.number != 1 or index.versions(receipt.key):
        return None
    try:
        record = describe_file(disk, receipt.path, receipt)
    except (Unfit, OSError) as error:
        _log.warning("%s was about to be kept and cannot be read: %s", receipt.path, error)
        return None
    return AddVersion(record, 1) if record.key == receipt.key else None


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]
