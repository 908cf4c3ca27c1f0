"""Where an archive lies: its folder, and in place of parts of it a database and an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gantry.archive.archive import DEFAULTS, Archive, Options
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import CACHE
from gantry.archive.blobs.read_cache import ReadCache
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.disk import Disk, OsDisk
from gantry.archive.index_files import index_files_for
from gantry.archive.lock import FolderLock
from gantry.settings import Settings

DEFAULT_CACHE_BYTES = 10 << 30
_BESIDE_BYTES = 256 << 20
READ_CACHE = f"{CACHE}/store"


@dataclass(frozen=True, slots=True)
class Places:
    """`index` is the URL of a database, `store` that of a bucket (see `Bucket.open`); empty for the folder.

    With a store, the folder holds what is on its way, and `cache_bytes` of what was read.
    """

    folder: Path
    index: str = ""
    index_connections: int = 8
    store: str = ""
    cache_bytes: int = DEFAULT_CACHE_BYTES

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Where the settings say that the archive lies."""
        return cls(
            settings.data,
            settings.index.url,
            settings.index_connections,
            settings.store.url,
            settings.store_cache_bytes,
        )

    def open(self, options: Options = DEFAULTS) -> Archive:
        """Open the archive for this process alone, making it where there is none. Raises SettingsError,
        StorageError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock(self.folder)
        try:
            disk = self.disk(options.reserve_bytes)
            files = index_files_for(self.folder, self.index, self.index_connections, disk)
            if self.store:
                # What is acknowledged must not lie on this machine alone, not even for a moment
                options = replace(options, log_bytes=0)
            return Archive.open(self.folder, options, disk=disk, index_files=files, lock=lock)
        except BaseException:
            lock.release()
            raise

    def disk(self, reserve_bytes: int) -> Disk:
        """What the archive's files are on. Raises SettingsError, OSError."""
        local = OsDisk(self.folder)
        if not self.store:
            return local
        cache = ReadCache(self.folder / READ_CACHE, self.cache_bytes, local.free_space, reserve_bytes)
        return StoreDisk(local, Bucket.open(self.store), cache)

    @contextmanager
    def reading(self) -> Iterator[Disk]:
        """The archive's files, only to be read, by a process beside the one that has it open.

        Raises SettingsError, OSError.
        """
        local = OsDisk(self.folder)
        if not self.store:
            yield local
            return
        # The cache in the folder is of the process that has the archive open
        with TemporaryDirectory(prefix="gantry-read-") as folder:
            cache = ReadCache(Path(folder), _BESIDE_BYTES, local.free_space, 0)
            disk = StoreDisk(local, Bucket.open(self.store), cache)
            try:
                yield disk
            finally:
                disk.close()


def options_of(settings: Settings) -> Options:
    """How the settings say that the archive behaves."""
    return Options(
        same_uid=settings.same_uid,
        reserve_bytes=settings.reserve_bytes,
        max_object_bytes=settings.max_object_bytes,
    )
