"""Files get their final names, and the folders that hold them become durable."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from gantry.archive.acts import act_path, write_act
from gantry.archive.blobs.files import ACTS, SyncFailed, sync_folders
from gantry.archive.clock import Stamps
from gantry.archive.commit.batch import Batch
from gantry.archive.disk import Disk
from gantry.archive.lost_found import set_aside
from gantry.archive.records import InstanceKey
from gantry.archive.renames import Renames

_log = logging.getLogger(__name__)

_FOLDERS_REMEMBERED = 65_536


class Publisher:
    """Names files for one committer.

    `next_act` gives the number of the next act. `may_remove` says whether what was named and has no row may
    be removed again: another node may have taken our turn, and made it its own.
    """

    def __init__(
        self, disk: Disk, stamps: Stamps, next_act: Callable[[], int], may_remove: Callable[[], bool]
    ) -> None:
        self._disk = disk
        self._stamps = stamps
        self._next_act = next_act
        self._may_remove = may_remove
        # Acts that failed and could not be removed, with what they named: no other is written while one is.
        self._void_acts: list[tuple[str, tuple[str, ...]]] = []
        self._durable_folders: set[str] = set()
        self._renames = Renames(disk)

    def begin_batch(self) -> None:
        """All that was named before is committed, or was withdrawn. Raises OSError."""
        self._renames.begin_batch()

    def publish_all(self, batch: Batch) -> dict[InstanceKey, OSError]:
        """Give all objects of the batch their final names; answers those that could not be given theirs."""
        failed: dict[InstanceKey, OSError] = {}
        named: list[tuple[str, str]] = []
        keys: list[InstanceKey] = []
        for staged, receipt in batch.naming:
            try:
                self._prepare_folder(receipt.path.rpartition("/")[0], batch)
                if not batch.is_logged:
                    self._renames.note(receipt)
            except OSError as error:
                failed[receipt.key] = error
            else:
                named.append((staged, receipt.path))
                keys.append(receipt.key)
        for key, (staged, path), problem in zip(keys, named, self._disk.rename_all(named), strict=True):
            if isinstance(problem, FileNotFoundError | FileExistsError):
                try:
                    self.publish(staged, path, batch)
                except OSError as error:
                    failed[key] = error
            elif problem is not None:
                failed[key] = problem
            else:
                self._note_published(staged, path, batch)
        return failed

    def keep_at_hand(self, paths: Sequence[str]) -> None:
        """The rows of these are committed: they are what they stay."""
        self._disk.keep_at_hand(paths)

    def publish(self, staged: str, path: str, batch: Batch) -> None:
        """Give a staged file its final name. Raises OSError."""
        folder = path.rpartition("/")[0]
        self._prepare_folder(folder, batch)
        try:
            self._rename(staged, path)
        except FileNotFoundError:
            # Somebody removed the folder while we ran (B79): make it again, once.
            self._durable_folders.clear()
            self._prepare_folder(folder, batch)
            self._rename(staged, path)
        self._note_published(staged, path, batch)

    def _note_published(self, staged: str, path: str, batch: Batch) -> None:
        batch.published.append(path)
        batch.staged[path] = staged
        batch.folders.add(path.rpartition("/")[0])

    def write_act(self, batch: Batch) -> None:
        """Write the acts of the batch, if it has any, into one file. Raises OSError, SyncFailed."""
        if batch.acts:
            self._remove_void_acts()
            batch.act = act_path(self._next_act(), self._stamps.next())
            write_act(self._disk, batch.act, batch.acts, batch.head)
            batch.folders.add(ACTS)

    def sync(self, batch: Batch) -> None:
        """Make all names of the batch durable. Raises SyncFailed."""
        sync_folders(self._disk, batch.folders)
        if len(self._durable_folders) > _FOLDERS_REMEMBERED:
            self._durable_folders.clear()
        self._durable_folders |= batch.folders

    def withdraw(self, batch: Batch) -> None:
        """Remove again what the batch published and the index does not hold."""
        if (batch.published or batch.act) and not self._may_remove():
            return
        for path in batch.published:
            # What cannot be removed stays as an orphan; `verify` lists it.
            with suppress(OSError):
                self._disk.unlink(path)
        if batch.act:
            self.void(batch.act)

    def void(self, act: str) -> None:
        """Remove an act that was not done."""
        self._void_acts.append((act, ()))
        with suppress(OSError):
            self._remove_void_acts()

    def take_back(self, batch: Batch) -> bool:
        """Give what the batch published its temporary names again; whether all of it has them."""
        if not self._may_remove():
            return False
        try:
            for path in reversed(batch.published):
                self._disk.rename(path, batch.staged[path])
                batch.published.remove(path)
        except OSError:
            return False
        finally:
            self.withdraw(batch)
        return True

    def withdraw_edit(self, act: str, published: Sequence[str]) -> None:
        """Remove again what an edit published, and then its act; what cannot be is by the next start.

        Raises SyncFailed.
        """
        if not self._may_remove():
            return  # whoever writes the next act finds this one, and takes it back
        self._void_acts.append((act, tuple(published)))
        try:
            self._remove_void_acts()
        except SyncFailed:
            raise
        except OSError as error:
            _log.warning("an edit that failed could not be taken back yet: %s", error.strerror)

    def close(self) -> None:
        """All that was named is committed."""
        with suppress(OSError):  # the next start wipes it
            self._renames.forget()

    def _prepare_folder(self, folder: str, batch: Batch) -> None:
        """See that a folder exists, and that it will be durable when the batch is.

        A folder that is merely there proves nothing: a process killed before its sync leaves names
        that a power cut still takes away. So each is synced once by each run.
        """
        while folder and folder not in self._durable_folders:
            above, _, _ = folder.rpartition("/")
            if folder in batch.folders:
                # Made for an earlier object of this batch, and everything above it as well.
                return
            self._prepare_folder(above, batch)
            with suppress(FileExistsError):
                self._disk.make_folder(folder)
            batch.folders.add(above)
            batch.folders.add(folder)
            return

    def _rename(self, staged: str, path: str) -> None:
        try:
            self._disk.rename(staged, path)
        except FileExistsError:
            if _digest(self._disk, staged) == _digest(self._disk, path):
                self._disk.replace(staged, path)
            else:
                set_aside(self._disk, path, self._stamps.next())
                self._disk.rename(staged, path)

    def _remove_void_acts(self) -> None:
        while self._void_acts:
            act, named = self._void_acts[-1]
            for path in named:
                with suppress(FileNotFoundError):
                    self._disk.unlink(path)
            # The act goes last: while it is there, the next start finds what it named
            sync_folders(self._disk, {path.rpartition("/")[0] for path in named})
            with suppress(FileNotFoundError):
                self._disk.unlink(act)
            self._void_acts.pop()


def _digest(disk: Disk, path: str) -> bytes:
    digest = hashlib.sha256()
    for block in disk.read_stored(path):
        digest.update(block)
    return digest.digest()
