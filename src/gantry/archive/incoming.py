"""An object while it arrives: in memory up to 1 MiB, then in a file of its own under `incoming/`.

`write` never raises: what goes wrong (too large, disk full) is kept as `refusal`, so that a door may
look and stop early, or go on and get it from `finish`. Whatever happens, nothing of a broken-off
arrival stays (N11).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace

from gantry.archive.blobs.files import NO_ROOM, sync_file
from gantry.archive.disk import Buffer, Disk, OpenFile, write_all
from gantry.archive.outcome import Outcome, Reason, Refused
from gantry.archive.records import Origin
from gantry.errors import OutOfSpace, StorageError

MEMORY_LIMIT = 1 << 20
"""Bytes of one arrival held in memory; more go to a file, so that 64 senders of 2 GB cost 64 MiB (N16)."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was announced of an object before its bytes came; None where nothing was."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    study_uid: str | None = None
    dataset_offset: int | None = None


def refusal_for(error: OSError) -> Refused:
    """What a failed call on the disk means to who sent the object."""
    if error.errno in NO_ROOM:
        return Refused(Reason.OUT_OF_SPACE, Reason.OUT_OF_SPACE.value)
    return Refused(
        Reason.STORAGE, f"{Reason.STORAGE.value} ({errno.errorcode.get(error.errno or 0, 'error')})"
    )


def storage_error(error: OSError) -> StorageError:
    """The same for those who get errors raised."""
    refusal = refusal_for(error)
    return (
        OutOfSpace(refusal.message)
        if refusal.reason is Reason.OUT_OF_SPACE
        else StorageError(refusal.message)
    )


class Incoming:
    """One object on its way in. Not for several threads at once.

    `finish` gives what became of it; `abort` forgets it. One of the two must be called.
    """

    __slots__ = (
        "_chunks", "_disk", "_ended", "_file", "_finish", "_held", "_release", "expectation", "limit", "name",
        "origin", "refusal", "size",
    )  # fmt: skip

    def __init__(
        self,
        disk: Disk,
        name: str,
        origin: Origin,
        expectation: Expectation,
        *,
        limit: int,
        finish: Callable[[Incoming], Outcome],
        release: Callable[[], None],
    ) -> None:
        self.name = name
        self.origin = origin
        self.expectation = expectation
        self.limit = limit
        self.size = 0
        self.refusal: Refused | None = None
        self._disk = disk
        self._chunks: list[bytes] = []
        self._held = 0
        self._file: OpenFile | None = None
        self._finish = finish
        self._release = release
        self._ended = False

    @property
    def is_spooled(self) -> bool:
        """Whether the bytes are in a file already."""
        return self._file is not None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they are copied unless they are `bytes`."""
        if self.refusal is not None or not data:
            return
        self.size += len(data)
        if self.size > self.limit:
            self._refuse(Refused(Reason.TOO_LARGE, f"more than the {self.limit} bytes an object may have"))
            return
        self._chunks.append(data if isinstance(data, bytes) else bytes(data))
        self._held += len(data)
        if self._held > MEMORY_LIMIT:
            self._spool()

    def begin_dataset(self) -> None:
        """What was written so far is the File Meta Information; what follows must not add to it (B46)."""
        self.expectation = replace(self.expectation, dataset_offset=self.size)

    def finish(self) -> Outcome:
        """Check and keep the object. Blocks until it is durable: for a worker thread."""
        try:
            return self._finish(self) if self.refusal is None else self.refusal
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget the object, whatever of it has come; harmless after `finish`."""
        if not self._ended:
            self._ended = True
            self.discard()
            self._release()

    def content(self) -> Buffer:
        """All bytes that came; `unmap` them after use. Raises OSError."""
        if self._file is None:
            if len(self._chunks) != 1:
                self._chunks = [b"".join(self._chunks)]
            return self._chunks[0]
        self._flush(self._file)
        return self._disk.map(self.name)

    def write_out(self, content: Buffer) -> None:
        """Have all bytes in the file, and the disk busy with them. Raises OSError."""
        if self._file is None:
            self._file = self._disk.create(self.name)
            write_all(self._file, [content])
        self._file.start_writing_back()

    def settle(self) -> None:
        """Make the bytes durable in the file `name`. Raises OSError or SyncFailed."""
        assert self._file is not None, "write_out comes first"
        sync_file(self._file)
        self._file.close()

    def discard(self) -> None:
        """Remove the file, if it is still there under its first name."""
        self._chunks = []
        if self._file is None:
            return
        self._file.close()
        self._file = None
        try:
            self._disk.unlink(self.name)
        except OSError:
            # It cannot be removed now, or is not there; what stays is wiped at the next start.
            return

    def _spool(self) -> None:
        try:
            if self._file is None:
                self._file = self._disk.create(self.name)
            self._flush(self._file)
        except OSError as error:
            self._refuse(refusal_for(error))

    def _flush(self, file: OpenFile) -> None:
        if self._chunks:
            write_all(file, self._chunks)
        self._chunks = []
        self._held = 0

    def _refuse(self, refusal: Refused) -> None:
        self.refusal = refusal
        self.discard()
