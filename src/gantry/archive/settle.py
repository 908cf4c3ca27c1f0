"""At start: objects that had their names, and no rows yet, when the last run was killed (see `renames`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from gantry.archive.blobs.files import parse_object_path, sync_folders
from gantry.archive.disk import Disk
from gantry.archive.index import AddVersion, Index
from gantry.archive.received import Receipt
from gantry.archive.reindex import describe_file
from gantry.archive.store import Unfit

_log = logging.getLogger(__name__)


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
            index.apply([change])
            settled += 1
    return settled


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
