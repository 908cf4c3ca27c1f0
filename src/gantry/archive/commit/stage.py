"""Objects that are in memory, put into files under temporary names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from gantry.archive.beside import beside
from gantry.archive.blobs.files import INCOMING, SyncFailed, sync_file
from gantry.archive.blocks import Block
from gantry.archive.commit.writable import Writable
from gantry.archive.disk import Disk

STAGERS = 2
"""Files that are made durable at once; more gain nothing on one disk."""


class Stager:
    """Writes files for one committer. `names` number them; one by one, in the caller's thread, where not
    `in_background`."""

    def __init__(self, disk: Disk, names: Iterator[int], writable: Writable, *, in_background: bool) -> None:
        self._disk = disk
        self._names = names
        self._writable = writable
        self._pool = ThreadPoolExecutor(STAGERS, thread_name_prefix="gantry-files") if in_background else None

    def stage(self, objects: Sequence[tuple[Block, int]]) -> list[str]:
        """Files under temporary names, durable unless writing has ended. Raises OSError, SyncFailed."""
        names = [f"{INCOMING}/{next(self._names)}" for _ in objects]
        try:
            if self._pool is None or len(objects) == 1:
                for name, content in zip(names, objects, strict=True):
                    self._write_file(name, content)
            else:
                # A disk that is asked for several at once makes them durable together
                writing = [
                    beside(self._pool, self._write_file, name, content)
                    for name, content in zip(names, objects, strict=True)
                ]
                # All are waited for, so that nothing is written any more, and no failed sync is passed over
                errors = [error for one in writing if (error := one.exception()) is not None]
                if errors:
                    raise next((error for error in errors if isinstance(error, SyncFailed)), errors[0])
        except BaseException:
            self.remove(names)
            raise
        return names

    def remove(self, names: Sequence[str]) -> None:
        """Remove staged files that nobody wants."""
        for name in names:
            # What cannot be removed is wiped at the next start.
            with suppress(OSError):
                self._disk.unlink(name)

    def close(self) -> None:
        """Let go of the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _write_file(self, name: str, content: tuple[Block, int]) -> None:
        file = self._disk.create(name)
        try:
            file.write_block(*content)
            if not self._writable.ended:
                sync_file(file)
        finally:
            file.close()
