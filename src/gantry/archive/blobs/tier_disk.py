"""A folder whose least used objects have their bytes in a bucket, as one disk.

An object that was moved keeps its name in the folder: a symbolic link that leads nowhere, whose text says
size and time of the file. So what there is, is known from the folder alone, and only who wants the bytes of
a moved object asks the bucket, through the cache (`StoreDisk`). The object in the bucket has the same name.

The folder decides. Its name turns from file to note, and back, in one step (`rename` of POSIX), when the
bytes are durable at both places; so a crash leaves at most an object in the bucket of which there is no note:
nobody reads it, and the next move of that name takes its place.
"""

from __future__ import annotations

import errno
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from gantry.archive.blobs.block_digests import beside
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import INCOMING, OBJECTS, sync_file, sync_folders, write_durably
from gantry.archive.blobs.read_cache import ReadCache
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.disk import (
    Buffer,
    Disk,
    FileStat,
    FolderEntry,
    LogFile,
    NotingDisk,
    OpenFile,
    OsDisk,
    renamed_one_by_one,
    write_all,
)
from gantry.errors import SettingsError

GIVEN_S = 60.0
"""How long an object whose path was given away is not moved, so that whoever has the path finds it."""
_GIVEN_AT_MOST = 10_000
CLAIM = "tier.json"
"""In the folder from the first move on: the bucket without which the folder is not whole."""
_BELOW = f"{OBJECTS}/"
_NOTE = re.compile(r"in-tier:([0-9]+):([0-9]+)", re.ASCII)

_Found = TypeVar("_Found")
_log = logging.getLogger(__name__)


class TierDisk:
    """The folder `local`, and `bucket` for the bytes of objects that were moved; `cache` is of those."""

    def __init__(self, local: NotingDisk, bucket: Bucket, cache: ReadCache) -> None:
        self._local = local
        self._bucket = bucket
        self.cache = cache
        self._far = StoreDisk(OsDisk(cache.folder), bucket, cache)
        self._given: dict[str, float] = {}
        self._names = count(1)
        self._is_claimed = False

    # --- moving ----------------------------------------------------------------------------------

    def is_moved(self, name: str) -> bool:
        """Whether the bytes are in the bucket, and not in the folder."""
        return self._note(name) is not None

    def used_s(self, name: str) -> float:
        """When a file in the folder was read last, in seconds since 1970, as the file system noted it.

        Raises OSError.
        """
        return self._local.used_s(name)

    def was_given(self, name: str) -> bool:
        """Whether somebody may be about to open the file by its path."""
        return time.monotonic() - self._given.get(name, -GIVEN_S) < GIVEN_S

    def claim(self) -> None:
        """Note durably, in the folder and in the bucket, that the two belong together.

        Raises SettingsError for a bucket with objects of another folder (names may be the same), OSError,
        SyncFailed.
        """
        if self._is_claimed:
            return
        is_new = not self._local.exists(CLAIM)
        if is_new:
            # A bucket that does not answer must not become one without which the archive does not open
            self._bucket.exists(CLAIM)
            staged = self._temporary()
            words = {"tier": _bucket_of(self._bucket.url), "id": uuid.uuid4().hex}
            write_durably(self._local, staged, [json.dumps(words).encode()])
            self._local.replace(staged, CLAIM)
            sync_folders(self._local, [""])
        mark = json.dumps({"id": _claim(self._local)["id"]}).encode()
        try:
            self._bucket.put(CLAIM, mark)
        except FileExistsError:
            if self._bucket.get(CLAIM) != mark:
                if is_new:
                    self._local.unlink(CLAIM)
                raise SettingsError(
                    f"{_bucket_of(self._bucket.url)} holds objects of another archive, which {CLAIM} in it "
                    "stands for: tier must name a bucket, or a prefix, of its own"
                ) from None
        except OSError:
            if is_new and not self._bucket.exists(CLAIM):
                self._local.unlink(CLAIM)
            raise
        self._is_claimed = True

    def disclaim(self) -> bool:
        """Take the notes back if nothing is in the bucket any more; answers that. Raises OSError."""
        if any(self.is_moved(name) for name in self._local.files_below(OBJECTS)):
            return False
        if self._local.exists(CLAIM):
            self._bucket.delete(CLAIM)
            self._local.unlink(CLAIM)
        self._is_claimed = False
        return True

    def copy_away(self, name: str) -> Iterator[memoryview]:
        """Put the file into the bucket; answers what the bucket then gives back, to be compared.

        Nothing else changes until `turn_away`. Raises OSError.
        """
        path = self._local.real_path(name)
        if path is None:
            self._bucket.put(name, self._local.read(name), replacing=True)
        else:
            self._bucket.put_file(name, path, replacing=True)
        self.cache.forget(name)  # of bytes that had this name before
        return self._bucket.pieces(name)

    def turn_away(self, name: str) -> None:
        """Have a note in place of the file, which the bucket holds; durable when the folder was synced.

        Raises OSError.
        """
        now = self._local.stat(name)
        staged = self._temporary()
        self._local.write_note(staged, f"in-tier:{now.size}:{now.modified_ns}")
        self._local.replace(staged, name)

    def copy_back(self, name: str, *, check: bool = True) -> str:
        """Write the bytes of a moved object into a new file, durably but for its name, which is answered.

        With `check` only what was put there is taken. Raises OSError, SyncFailed.
        """
        note = self._noted(name)
        staged = self._temporary()
        try:
            file = self._local.create(staged)
            try:
                for piece in self._bucket.pieces(name, check=check):
                    write_all(file, [piece])
                sync_file(file)
            finally:
                file.close()
            self._local.set_modified(staged, note.modified_ns)
        except OSError:
            with suppress(OSError):  # the next start wipes it
                self._local.unlink(staged)
            raise
        return staged

    def turn_back(self, name: str, staged: str) -> None:
        """Have the file `staged` in place of a note, durably, and then no more in the bucket.

        Raises OSError, SyncFailed.
        """
        self._local.replace(staged, name)
        sync_folders(self._local, [_folder_of(name)])
        self.drop(name)

    def drop(self, name: str) -> None:
        """Remove from the bucket what the folder, durably, does not speak of."""
        self.cache.forget(name)
        try:
            self._bucket.delete_with_digests(name)
        except OSError as error:
            _log.warning("%s stays in the bucket, where nobody reads it: %s", name, error.strerror)

    def unnoted(self) -> Iterator[str]:
        """Names in the bucket of which the folder has no note. Raises OSError."""
        for name in self._bucket.walk(OBJECTS):
            if self._note(name) is None:
                yield name

    def is_in_bucket(self, name: str) -> bool:
        """Whether the bucket has bytes under this name, noted or not. Raises OSError."""
        return self._bucket.exists(name)

    def drop_lone_digests(self) -> None:
        """Remove the digests of blocks of objects that are not in the bucket. Raises OSError."""
        for digests in self._bucket.walk(beside(OBJECTS)):
            if not self._bucket.exists(digests.removeprefix(beside(""))):
                self._bucket.delete(digests)

    def _noted(self, name: str) -> FileStat:
        note = self._note(name)
        if note is None:
            raise FileNotFoundError(errno.ENOENT, "there is no note of a moved object", name)
        return note

    def _note(self, name: str) -> FileStat | None:
        if not name.startswith(_BELOW):
            return None
        found = _NOTE.fullmatch(self._local.note(name) or "")
        return FileStat(int(found[1]), int(found[2])) if found else None

    def _temporary(self) -> str:
        return f"{INCOMING}/tier-{next(self._names)}"

    def _wherever(self, name: str, here: Callable[[], _Found], there: Callable[[], _Found]) -> _Found:
        """What is read of a file, or of the bucket where there is only a note of it."""
        try:
            return here()
        except FileNotFoundError:
            if not name.startswith(_BELOW):
                raise
        if self._note(name) is not None:
            with suppress(FileNotFoundError):
                return there()
        return here()  # brought back meanwhile, or not there

    # --- a disk ----------------------------------------------------------------------------------

    def create(self, name: str) -> OpenFile:
        return self._local.create(name)

    def append(self, name: str) -> OpenFile:
        self._have_here(name)
        return self._local.append(name)

    def open_log(self, name: str) -> LogFile:
        return self._local.open_log(name)

    def read(self, name: str) -> bytes:
        return self._wherever(name, lambda: self._local.read(name), lambda: self._far.read(name))

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        return self._wherever(
            name,
            lambda: self._local.read_at(name, offset, length),
            lambda: self._far.read_at(name, offset, length),
        )

    def read_stored(self, name: str) -> Iterator[memoryview]:
        return (self._local if self._note(name) is None else self._far).read_stored(name)

    def map(self, name: str) -> Buffer:
        return self._wherever(name, lambda: self._local.map(name), lambda: self._far.map(name))

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        """Nothing: what is kept is kept in the folder first."""

    def rename(self, old: str, new: str) -> None:
        self._have_here(old)
        try:
            self._local.rename(old, new)
        except FileExistsError:
            # A note of what the bucket has lost is no file
            if self._note(new) is None or self._bucket.exists(new):
                raise
            self._local.replace(old, new)

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        return renamed_one_by_one(self, names)

    def replace(self, old: str, new: str) -> None:
        self._have_here(old)
        was_moved = self._note(new) is not None
        self._local.replace(old, new)
        if was_moved:
            sync_folders(self._local, [_folder_of(new)])
            self.drop(new)

    def _have_here(self, name: str) -> None:
        """Have the file itself, as it is: in the bucket are bytes under this name, and no other."""
        if self._note(name) is None:
            return
        try:
            staged = self.copy_back(name, check=False)
        except FileNotFoundError:
            self._local.unlink(name)  # a note of what the bucket has lost
            raise
        self.turn_back(name, staged)

    def keep_at_hand(self, names: Sequence[str]) -> None:
        """Nothing: they are in the folder."""

    def forget_copies(self, name: str) -> None:
        self.cache.forget(name)

    def unlink(self, name: str) -> None:
        was_moved = self._note(name) is not None
        self._local.unlink(name)
        if was_moved:
            sync_folders(self._local, [_folder_of(name)])
            self.drop(name)

    def make_folder(self, name: str) -> None:
        self._local.make_folder(name)

    def remove_folder(self, name: str) -> None:
        self._local.remove_folder(name)

    def sync_folder(self, name: str) -> None:
        self._local.sync_folder(name)

    def stat(self, name: str) -> FileStat:
        return self._note(name) or self._local.stat(name)

    def exists(self, name: str) -> bool:
        return self._local.exists(name)

    def list_folder(self, name: str) -> list[FolderEntry]:
        return self._local.list_folder(name)

    def walk(self, name: str) -> list[str]:
        return self._local.walk(name)

    def files_below(self, name: str) -> Iterator[str]:
        return self._local.files_below(name)

    def free_space(self) -> int:
        return self._local.free_space()

    def real_path(self, name: str) -> Path | None:
        """The file, or a copy in the cache, which stays there for a while."""
        if self._note(name) is not None:
            return self._far.real_path(name)
        if name.startswith(_BELOW):
            if len(self._given) > _GIVEN_AT_MOST:
                self._given = {one: at for one, at in self._given.copy().items() if self.was_given(one)}
            self._given[name] = time.monotonic()
        return self._local.real_path(name)

    def is_at_hand(self, name: str) -> bool:
        return self._note(name) is None or self._far.is_at_hand(name)

    def close(self) -> None:
        self._far.close()
        self._local.close()


def refuse_without_tier(local: OsDisk, url: str) -> None:
    """Raise SettingsError for a folder with objects in a bucket that is not the one at `url`.

    All of them would be missing, and an index made anew would not know them.
    """
    if not local.exists(CLAIM):
        return
    held = _claim(local)["tier"]
    if _bucket_of(url) != held:
        raise SettingsError(
            f"objects of this archive were moved to {held}, so the setting tier must name that bucket; "
            "gantry tier --back has them in the folder again"
        )


def _claim(local: Disk) -> dict[str, str]:
    found: dict[str, str] = json.loads(local.read(CLAIM))
    return found


def _bucket_of(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]
