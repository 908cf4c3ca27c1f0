"""An object while it arrives: in a block of memory up to 1 MiB, then in a file of its own under `incoming/`.

`write` never raises: what goes wrong (too large, disk full) is kept as `refusal`, so that a door may
look and stop early, or go on and get it from `finish`. Whatever happens, nothing of a broken-off
arrival stays (N11).
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from gantry.archive.blobs.files import AWAY, NO_ROOM, sync_file
from gantry.archive.blocks import MEMORY_LIMIT, Block, Blocks, zero_tail
from gantry.archive.disk import Buffer, Disk, OpenFile, write_all
from gantry.archive.outcome import Outcome, Reason, Refused
from gantry.archive.records import Origin
from gantry.errors import OutOfSpace, ReadOnly, StorageError, Unreachable


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
    if error.errno == AWAY:
        return Refused(Reason.UNREACHABLE, f"{Reason.UNREACHABLE.value} ({error.strerror})")
    return Refused(
        Reason.STORAGE, f"{Reason.STORAGE.value} ({errno.errorcode.get(error.errno or 0, 'error')})"
    )


def refusal_of(error: StorageError) -> Refused:
    """A refusal that says what failed."""
    kinds = {ReadOnly: Reason.READ_ONLY, OutOfSpace: Reason.OUT_OF_SPACE, Unreachable: Reason.UNREACHABLE}
    reason = next((kinds[kind] for kind in type(error).__mro__ if kind in kinds), Reason.STORAGE)
    if reason in (Reason.READ_ONLY, Reason.OUT_OF_SPACE):
        return Refused(reason, str(error))
    return Refused(reason, f"{reason.value} ({error})")


def storage_error(error: OSError) -> StorageError:
    """The same for those who get errors raised."""
    refusal = refusal_for(error)
    kinds = {Reason.OUT_OF_SPACE: OutOfSpace, Reason.UNREACHABLE: Unreachable}
    return kinds.get(refusal.reason, StorageError)(refusal.message)


class _Digest(Protocol):
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Incoming:
    """One object on its way in. Not for several threads at once.

    `finish` gives what became of it; `abort` forgets it. One of the two must be called.
    """

    __slots__ = (
        "_block", "_blocks", "_digest", "_disk", "_ended", "_file", "_finish", "_held", "_release",
        "expectation", "limit", "name", "origin", "refusal", "size",
    )  # fmt: skip

    def __init__(
        self,
        disk: Disk,
        blocks: Blocks,
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
        self._blocks = blocks
        self._block: Block | None = None
        # Bytes in the block, which are not in the file
        self._held = 0
        self._file: OpenFile | None = None
        self._finish = finish
        self._release = release
        self._ended = False
        self._digest: _Digest | None = None

    @property
    def is_spooled(self) -> bool:
        """Whether the bytes are in a file already."""
        return self._file is not None

    @property
    def room(self) -> int:
        """How many bytes `write` takes without touching the disk."""
        return MEMORY_LIMIT - self._held

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; they are copied."""
        size = len(data)
        if self.refusal is not None or not size:
            return
        self.size += size
        if self.size > self.limit:
            self._refuse(Refused(Reason.TOO_LARGE, f"more than the {self.limit} bytes an object may have"))
            return
        if self._held + size > MEMORY_LIMIT and not self._spool(data):
            if self._digest is not None:
                self._digest.update(data)
            return
        if self._digest is not None:
            self._digest.update(data)
        held = self._held
        if self._block is None:
            self._block = self._blocks.take()
        self._block[held : held + size] = data
        self._held = held + size

    def begin_dataset(self) -> None:
        """What was written so far is the File Meta Information; what follows must not add to it (B46)."""
        self.expectation = replace(self.expectation, dataset_offset=self.size)
        self._digest = hashlib.sha256()

    @property
    def dataset_sha256(self) -> bytes | None:
        """The digest of all that came after `begin_dataset`, computed as it came; None without that call."""
        return self._digest.digest() if self._digest is not None else None

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
            return memoryview(self._block or b"")[: self._held]
        self._flush(self._file)
        self._file.start_writing_back()
        return self._disk.map(self.name)

    def take_block(self) -> Block:
        """The block that holds the whole object, whose owner is now the caller, padded with zeros."""
        assert self._block is not None and self._file is None, "the object is in its file"
        block, self._block = self._block, None
        zero_tail(block, self._held)
        return block

    def settle(self) -> None:
        """Make the bytes, which are all in the file `name`, durable. Raises OSError or SyncFailed."""
        assert self._file is not None, "the object is in memory"
        sync_file(self._file)
        self._file.close()

    def discard(self) -> None:
        """Let go of the block, and remove the file if it is still there under its first name."""
        if self._block is not None:
            self._blocks.give(self._block)
            self._block = None
        self._held = 0
        if self._file is None:
            return
        self._file.close()
        self._file = None
        try:
            self._disk.unlink(self.name)
        except OSError:
            # It cannot be removed now, or is not there; what stays is wiped at the next start.
            return

    def _spool(self, data: bytes | bytearray | memoryview) -> bool:
        """Make room in the block by writing out what it holds; False where `data` was written, or nothing."""
        try:
            if self._file is None:
                self._file = self._disk.create(self.name)
            self._flush(self._file)
            if len(data) <= MEMORY_LIMIT:
                return True
            write_all(self._file, [data])
        except OSError as error:
            self._refuse(refusal_for(error))
        return False

    def _flush(self, file: OpenFile) -> None:
        if self._held:
            with memoryview(self._block or b"") as view:
                write_all(file, [view[: self._held]])
        self._held = 0

    def _refuse(self, refusal: Refused) -> None:
        self.refusal = refusal
        self.discard()
