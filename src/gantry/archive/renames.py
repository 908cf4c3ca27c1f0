"""Which objects are about to get their final names, so that the next start can settle what a kill left.

Between the renames of a batch and its index transaction lies a moment in which a process may be killed. What
was renamed then is whole and durable, has no row, and its sender had no answer. A line is written before each
rename, into a file that is kept short; the next start reads it and gives the objects the rows they were to
have (`gantry.archive.settle`). It is not synced: a process that is killed leaves it to the system, which
writes it; after a power cut it may be missing, and `gantry verify` finds the files all the same.
"""

from __future__ import annotations

from contextlib import suppress

from gantry.archive.blobs.files import CACHE
from gantry.archive.disk import Disk, OpenFile, make_folders, write_all
from gantry.archive.received import Receipt, encode_receipt, receipts_in

NAME = f"{CACHE}/renames.jsonl"
MAX_BYTES = 64 << 10
"""Beyond this the file is begun anew with the next batch: what it tells of earlier ones is settled."""


class Renames:
    """The file of one committer."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._file: OpenFile | None = None
        self._size = 0

    def begin_batch(self) -> None:
        """All that was noted before is committed, or was withdrawn. Raises OSError."""
        if self._size > MAX_BYTES:
            self.forget()

    def note(self, receipt: Receipt) -> None:
        """`receipt` is about to be given its path. Raises OSError."""
        if self._file is None:
            self._file = self._opened()
        try:
            self._size += write_all(self._file, [encode_receipt(receipt)])
        except OSError:
            # Nothing could be read behind half a line: the next object begins the file anew.
            with suppress(OSError):
                self.forget()
            raise

    def forget(self) -> None:
        """Remove the file. Raises OSError."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with suppress(FileNotFoundError):
                self._disk.unlink(NAME)
        self._size = 0

    def _opened(self) -> OpenFile:
        try:
            return self._disk.append(NAME)
        except FileNotFoundError:
            # Somebody emptied the cache while we ran: nothing depends on it, and nothing shall fail for it.
            make_folders(self._disk, CACHE)
            return self._disk.append(NAME)


def noted(disk: Disk) -> list[Receipt]:
    """What the last run was about to name when it ended. Raises OSError."""
    return receipts_in(disk.read(NAME)) if disk.exists(NAME) else []


def wipe(disk: Disk) -> None:
    """Forget what the last run noted. Raises OSError."""
    if disk.exists(NAME):
        disk.unlink(NAME)
