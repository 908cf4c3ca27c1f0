"""Move objects of a folder to a bucket, and back; see `gantry.archive.blobs.tier_disk`.

What is moved is compared with the digests of the index as the bucket gives it back, and only then is there
no more than a note of it in the folder. No row changes.

What a crash has left in the bucket is swept: removed where it is shown that nobody needs it, which is when
the folder has the whole file itself, or the object was let go. All else stays, whatever it is: the folder may
have lost its notes, and then the bucket has the only bytes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from gantry.archive.blobs.files import AWAY, SyncFailed, sync_folders
from gantry.archive.blobs.tier_disk import TierDisk
from gantry.archive.commit.committer import Committer
from gantry.archive.incoming import storage_error
from gantry.archive.records import Location
from gantry.archive.stored_digests import StoredDigests

AT_ONCE = 64
"""Objects that turn into notes in one turn among commits."""
SWEPT_AT_ONCE = 8
"""Objects that are removed from the bucket in one turn among commits, which is two requests for each."""
_COPIES = 8
_IN_USE = "somebody is reading it"
_CHANGED = "it changed, or was read, meanwhile"
_SPOILED = "its bytes are not those that were acknowledged"
DAMAGED_HERE = "the file in the folder is damaged"
LOST_HERE = "the folder has neither the file nor a note of it"
PASSING = frozenset({_IN_USE, _CHANGED})
"""Reasons not to move an object that say nothing against it."""


class Tiers:
    """Moves for one archive; one thread at a time."""

    def __init__(self, disk: TierDisk, committer: Committer) -> None:
        self._disk = disk
        self._committer = committer

    def is_moved(self, location: Location) -> bool:
        """Whether the bytes of an object are in the bucket."""
        return self._disk.is_moved(location.path)

    def used_at(self, location: Location) -> datetime | None:
        """When an object's file was read last, as the file system noted it; None where it is missing.

        Raises StorageError.
        """
        try:
            return datetime.fromtimestamp(self._disk.used_s(location.path), UTC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(error) from error

    def move(self, locations: Sequence[Location]) -> list[str]:
        """Move at most `AT_ONCE` objects to the bucket; answers for each why not, empty where it was moved.

        Raises StorageError where nothing more can be moved now, ReadOnly.
        """
        self._committer.require_writable()
        try:
            self._disk.claim()
            with ThreadPoolExecutor(_COPIES, thread_name_prefix="gantry-tier") as pool:
                reasons = list(pool.map(self._copied, locations))
            with self._committer.alone():
                return self._turned(locations, reasons)
        except SyncFailed as error:
            self._committer.stop_writing(str(error))
            raise storage_error(error) from error
        except OSError as error:
            raise storage_error(error) from error

    def bring_back(self, location: Location) -> None:
        """Have an object in the folder again, and no more in the bucket. Raises StorageError, ReadOnly."""
        self._committer.require_writable()
        try:
            staged = self._disk.copy_back(location.path)
            with self._committer.alone():
                if self._committer.expects(location) and self._disk.is_moved(location.path):
                    self._disk.turn_back(location.path, staged)
                else:
                    self._disk.unlink(staged)
        except SyncFailed as error:
            self._committer.stop_writing(str(error))
            raise storage_error(error) from error
        except OSError as error:
            raise storage_error(error) from error

    def left_behind(self) -> list[str]:
        """Names in the bucket of which the folder has no note. Raises StorageError."""
        try:
            return list(self._disk.unnoted())
        except OSError as error:
            raise storage_error(error) from error

    def why_needed(self, location: Location) -> str:
        """Why what the bucket has of an object, without a note, may be needed; empty where it is not.

        Raises StorageError.
        """
        if location.made_from:
            return ""
        try:
            return "" if _agrees(location, self._disk.read_stored(location.path)) else DAMAGED_HERE
        except FileNotFoundError:
            return LOST_HERE
        except OSError as error:
            raise storage_error(error) from error

    def remove(self, paths: Sequence[str]) -> None:
        """Have no more in the bucket what `why_needed` does not need, of at most `SWEPT_AT_ONCE` objects.

        Raises StorageError, ReadOnly.
        """
        with self._committer.alone():
            for path in paths:
                if not self._disk.is_moved(path):
                    self._disk.drop(path)

    def end_sweep(self) -> None:
        """Remove what the bucket has beside objects that are gone. Raises StorageError."""
        try:
            self._disk.drop_lone_digests()
        except OSError as error:
            raise storage_error(error) from error

    def end(self) -> bool:
        """Forget the bucket if nothing is there any more; answers whether. Raises StorageError."""
        try:
            return self._disk.disclaim()
        except OSError as error:
            raise storage_error(error) from error

    def _copied(self, location: Location) -> str:
        """Why the bucket does not hold the object as it was acknowledged; empty where it does."""
        if self._disk.was_given(location.path):
            return _IN_USE
        try:
            agrees = _agrees(location, self._disk.copy_away(location.path))
        except FileNotFoundError:
            return "it is not in the folder"
        except OSError as error:
            if error.errno == AWAY:
                raise
            return f"it cannot be read: {error.strerror}"
        return "" if agrees else _SPOILED

    def _turned(self, locations: Sequence[Location], reasons: Sequence[str]) -> list[str]:
        turned: list[str] = []
        folders: set[str] = set()
        for location, why in zip(locations, reasons, strict=True):
            if not why and self._committer.is_shared and not self._disk.is_in_bucket(location.path):
                why = _CHANGED  # another node has swept it
            if not why and (self._disk.was_given(location.path) or not self._committer.expects(location)):
                why = _CHANGED
            if why == _SPOILED and not self._disk.is_moved(location.path):
                self._disk.drop(location.path)
            if not why:
                self._disk.turn_away(location.path)
                folders.add(location.path.rpartition("/")[0])
            turned.append(why)
        sync_folders(self._disk, folders)
        return turned


def _agrees(location: Location, pieces: Iterable[memoryview]) -> bool:
    """Whether bytes are those that were acknowledged. Raises OSError."""
    digests = StoredDigests(location.dataset_offset)
    for piece in pieces:
        digests.update(piece)
    found = digests.size, digests.meta.digest(), digests.dataset.digest()
    return found == (location.file_size, location.meta_sha256, location.dataset_sha256)
