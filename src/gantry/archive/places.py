"""Where an archive lies: its folder, and in place of parts of it a database and an object store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gantry.archive.archive import DEFAULTS, Archive, Options
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import CACHE, INCOMING, OBJECTS
from gantry.archive.blobs.node_disk import NodeDisk
from gantry.archive.blobs.owner import ID_FILE, Owner, Shared
from gantry.archive.blobs.read_cache import ReadCache
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.blobs.tier_disk import TierDisk, refuse_without_tier
from gantry.archive.disk import Disk, OsDisk
from gantry.archive.incoming import storage_error
from gantry.archive.index_files import index_files_for
from gantry.archive.lock import FolderLock
from gantry.errors import NotFound, SettingsError
from gantry.settings import Settings

DEFAULT_CACHE_BYTES = 10 << 30
NODES = "nodes"
_BESIDE_BYTES = 256 << 20
READ_CACHE = f"{CACHE}/store"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """`index` is the URL of a database, `store` that of a bucket (see `Bucket.open`); empty for the folder.

    With a store, the folder holds what is on its way, and `cache_bytes` of what was read. `node` is the name
    of one process among several that have the same folder open; each has a folder of its own in it for what
    is on its way. `tier` is the URL of a bucket for objects that are moved out of the folder. An archive
    with its index in a database, and its objects in a bucket or open in several processes, is shared: any
    number of nodes may write to it.
    """

    folder: Path
    index: str = ""
    index_connections: int = 8
    store: str = ""
    cache_bytes: int = DEFAULT_CACHE_BYTES
    node: str = ""
    tier: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Places:
        """Where the settings say that the archive lies."""
        return cls(
            settings.data,
            settings.index.url,
            settings.index_connections,
            settings.store.url,
            settings.store_cache_bytes,
            tier=settings.tier.url,
        )

    def open(self, options: Options = DEFAULTS) -> Archive:
        """Open the archive for this process alone, making it where there is none. Raises SettingsError,
        StorageError."""
        if not self.store and not (self.folder / OBJECTS).is_dir():
            _log.info("there was no archive in %s: a new one begins", self.folder)
        self.own_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock(self.own_folder)
        disk: Disk | None = None
        try:
            disk = self.disk(options.reserve_bytes, owned=True)
            files = index_files_for(self.folder, self.index, self.index_connections, disk)
            shared = bool(self.index and (self.store or self.node))
            if self.node and not shared:
                raise SettingsError("several processes need an index in a database: see docs/nodes.md")
            if self.store or shared:
                # What is acknowledged must not be seen by one machine, or one process, alone
                options = replace(options, log_bytes=0, shared=shared)
            return Archive.open(self.folder, options, disk=disk, index_files=files, lock=lock)
        except BaseException:
            if disk is not None:
                disk.close()
            lock.release()
            raise

    def require_archive(self) -> None:
        """Raises NotFound where nobody has made an archive: a folder mistyped, or a disk not mounted. Nothing
        is known of a bucket before it is opened. Raises SettingsError."""
        self._refuse_other_place()
        if not self.store and not (self.folder / OBJECTS).is_dir():
            raise NotFound(f"there is no archive in {self.folder}")

    @property
    def own_folder(self) -> Path:
        """The folder that no other process has."""
        return self.folder / NODES / self.node if self.node else self.folder

    def disk(self, reserve_bytes: int, *, owned: bool = False) -> Disk:
        """What the archive's files are on; a bucket is `owned` by who writes to it.

        Raises SettingsError, StorageError, OSError.
        """
        self._refuse_other_place()
        if not self.store:
            return self._folder_disk(reserve_bytes)
        local = OsDisk(self.own_folder)
        cache = self._cache(local, reserve_bytes)
        bucket = Bucket.open(self.store)
        if not owned:
            return StoreDisk(local, bucket, cache)
        try:
            owner = Shared(bucket) if self.index else Owner(bucket, self.own_folder)
        except OSError as error:
            raise storage_error(error) from error
        return StoreDisk(local, bucket, cache, owner)

    def _refuse_other_place(self) -> None:
        """Raise SettingsError where the folder says that its objects are not where `store` has them: none of
        those in its index would be found."""
        objects = self.folder / OBJECTS
        if self.store:
            if objects.is_dir() and any(objects.iterdir()):
                raise SettingsError(
                    f"the objects of the archive in {self.folder} are in it, and store names a bucket; "
                    "gantry backup, and gantry restore --store into another folder, take an archive there"
                )
        elif not objects.is_dir() and (self.own_folder / ID_FILE).exists():
            raise SettingsError(
                f"the objects of the archive in {self.folder} are in a bucket, which store must name"
            )

    def _folder_disk(self, reserve_bytes: int) -> Disk:
        folder = NodeDisk(self.folder, self.own_folder) if self.node else OsDisk(self.folder)
        refuse_without_tier(folder, self.tier)
        if not self.tier:
            return folder
        return TierDisk(folder, Bucket.open(self.tier), self._cache(folder, reserve_bytes))

    def _cache(self, disk: OsDisk, reserve_bytes: int) -> ReadCache:
        return ReadCache(self.own_folder / READ_CACHE, self.cache_bytes, disk.free_space, reserve_bytes)

    @contextmanager
    def reading(self) -> Iterator[Disk]:
        """The archive's files, only to be read, by a process beside the one that has it open.

        Raises SettingsError, OSError.
        """
        local = OsDisk(self.folder)
        self._refuse_other_place()
        if not self.store:
            refuse_without_tier(local, self.tier)
            if not self.tier:
                yield local
                return
        # The cache in the folder is of the process that has the archive open
        with TemporaryDirectory(prefix="gantry-read-") as folder:
            cache = ReadCache(Path(folder), _BESIDE_BYTES, local.free_space, 0)
            kind = StoreDisk if self.store else TierDisk
            disk = kind(local, Bucket.open(self.store or self.tier), cache)
            try:
                yield disk
            finally:
                disk.close()

    @contextmanager
    def working(self) -> Iterator[Disk]:
        """The archive's objects, only to be read, by a process that works for the one that has it open.

        That may be on another machine, where the folder has the same path, or the objects are in a bucket.
        Raises SettingsError, OSError.
        """
        with TemporaryDirectory(prefix="gantry-work-") as folder:
            own = Path(folder)
            for name in (INCOMING, CACHE):
                (own / name).mkdir()
            cache = ReadCache(own / READ_CACHE, _BESIDE_BYTES, OsDisk(own).free_space, 0)
            disk: Disk
            if self.store:
                disk = StoreDisk(OsDisk(own), Bucket.open(self.store), cache)
            else:
                disk = NodeDisk(self.folder, own)
                if self.tier:
                    disk = TierDisk(disk, Bucket.open(self.tier), cache)
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
        retention=settings.retention,
    )
