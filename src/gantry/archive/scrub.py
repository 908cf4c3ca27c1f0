"""Look at stored objects while the archive works, and put whole bytes in the place of damaged ones (N14).

An object is read as the disk holds it and compared with the digests of the index. What is not what was
acknowledged is noted, and from then on refused to everybody. A copy from elsewhere takes its place once it
has the same digests; the damaged file goes to ``lost-found/``.

The place of a file is taken by two renames. A crash in between leaves the object without a file: as before,
it is refused, and the next look finds it missing and asks for a copy again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from gantry.archive.blobs.files import (
    AWAY,
    INCOMING,
    LOST_FOUND,
    SyncFailed,
    parse_object_path,
    sync_file,
    sync_folders,
)
from gantry.archive.commit.committer import Committer
from gantry.archive.damage import Damage
from gantry.archive.disk import Disk, make_folders, write_all
from gantry.archive.incoming import storage_error
from gantry.archive.lost_found import set_aside
from gantry.archive.records import Location
from gantry.archive.stored_digests import StoredDigests
from gantry.archive.verify import MISSING_FILE, WRONG_DIGEST, WRONG_SIZE
from gantry.dataset.part10 import read_file_meta
from gantry.errors import DataSetError

MAX_HEAD_BYTES = 256 + (64 << 10)
"""Where the Data Set of an offered file must have begun: preamble and File Meta Information are no longer."""
_BLOCK = 1 << 20
_LOOKS = 2
"""A read that went wrong once, on its way from the disk, says nothing of the file."""

_log = logging.getLogger(__name__)

Pace = Callable[[int], bool]
"""Told of each piece how many bytes were read; False ends the look."""


class Scrubber:
    """Looks and heals, for one archive; one thread at a time.

    `turned` is called when an object was found damaged, and both before and after a whole one can be read
    again: who holds its file open, or what was made of it whatever its `Location.identity`, lets go of it.
    """

    def __init__(
        self,
        disk: Disk,
        committer: Committer,
        damage: Damage,
        names: Iterator[int],
        require_room: Callable[[int], None],
        turned: Callable[[Location], None],
    ) -> None:
        self._disk = disk
        self._committer = committer
        self._damage = damage
        self._names = names
        self._require_room = require_room
        self._turned = turned

    # --- look ------------------------------------------------------------------------------------

    def look(self, location: Location, pace: Pace) -> str | None:
        """What is wrong with the file of an object, empty where it is whole, and note it.

        None where `pace` ended it, or where the file was let go meanwhile. Raises OSError where what was
        found cannot be noted durably.
        """
        why: str | None = ""
        for _ in range(_LOOKS):
            why = self._compared(location, pace)
            if not why:
                break
        if why is None or (why and not self._committer.expects(location)):
            return None
        known = self._damage.of(location.path)
        if why and not known:
            _log.error("%s is damaged (%s), and is not served any more", location.path, why)
            try:
                self._damage.note_one(location.path, why)
            finally:
                self._turned(location)
        elif known and not why:
            _log.warning("%s was damaged (%s), and is whole again", location.path, known)
            self._is_whole(location)
        return why

    def _is_whole(self, location: Location) -> None:
        self._turned(location)
        self._damage.note_one(location.path, "")
        self._turned(location)

    def _compared(self, location: Location, pace: Pace) -> str | None:
        digests = StoredDigests(location.dataset_offset)
        try:
            for piece in self._disk.read_stored(location.path):
                digests.update(piece)
                if not pace(len(piece)):
                    return None
        except (FileNotFoundError, NotADirectoryError):
            return MISSING_FILE
        except OSError as error:
            if error.errno == AWAY:
                raise storage_error(error) from error  # which says nothing of the object
            return f"{WRONG_DIGEST}: unreadable: {error.strerror}"
        if digests.size != location.file_size:
            return f"{WRONG_SIZE}: {digests.size}"
        for part, known in ((digests.dataset, location.dataset_sha256), (digests.meta, location.meta_sha256)):
            if part.digest() != known:
                return f"{WRONG_DIGEST}: {part.hexdigest()}"
        return ""

    def damaged(self) -> list[Location]:
        """The objects within the folder that are known to be damaged, as far as their path names them."""
        found: list[Location] = []
        for path in self._damage.all():
            name = parse_object_path(path)
            if name is not None:
                versions = self._committer.index.locate(name.study, name.series, name.sop, name.version)
                found += [one for one in versions if one.path == path]
        return found

    # --- heal ------------------------------------------------------------------------------------

    def heal(self, location: Location, offer: Path) -> bool:
        """Put the bytes of the file at an absolute path in the place of a damaged one, if they are its own.

        A copy from elsewhere may have another head (File Meta Information is written by who receives an
        object); then what is whole of both is taken. False where nothing whole can be made of them, or the
        object is not ours to heal. Raises ReadOnly, OutOfSpace, StorageError.
        """
        if location.path.startswith("/"):
            return False
        self._require_room(location.file_size)
        staged = f"{INCOMING}/heal-{next(self._names)}"
        try:
            if not self._staged(location, str(offer), staged):
                return False
            self._disk.send_ahead(staged, lambda: location.path)
            with self._committer.alone():
                if not self._committer.expects(location):
                    self._disk.unlink(staged)
                    return False
                self._place(location, staged)
        except SyncFailed as error:
            self._committer.stop_writing(str(error))
            raise storage_error(error) from error
        except OSError as error:
            with suppress(OSError):  # what is left of it goes at the next start
                self._disk.unlink(staged)
            raise storage_error(error) from error
        return True

    def _place(self, location: Location, staged: str) -> None:
        path = location.path
        aside = ""
        if self._disk.exists(path):
            aside = set_aside(self._disk, path, self._committer.stamp())
        folder = path.rpartition("/")[0]
        above = make_folders(self._disk, folder)
        self._disk.rename(staged, path)
        sync_folders(self._disk, [LOST_FOUND, folder, *above])
        self._is_whole(location)
        _log.warning("%s is healed; the damaged file is %s", path, aside or "gone")

    def _staged(self, location: Location, offer: str, staged: str) -> bool:
        """Write the whole object; whether what there is makes one."""
        begin = self._dataset_offset(offer)
        if begin is None:
            return False
        head = self._head(location, offer, begin)
        if head is None:
            return False
        for path, offset in ((offer, begin), (location.path, location.dataset_offset)):
            if self._written(location, head, path, offset, staged):
                return True
        return False

    def _dataset_offset(self, offer: str) -> int | None:
        try:
            return read_file_meta(self._disk.read_at(offer, 0, MAX_HEAD_BYTES)).dataset_offset
        except (DataSetError, OSError):
            return None

    def _head(self, location: Location, offer: str, begin: int) -> bytes | None:
        for path, length in ((location.path, location.dataset_offset), (offer, begin)):
            with suppress(OSError):
                head = self._disk.read_at(path, 0, length)
                if hashlib.sha256(head).digest() == location.meta_sha256:
                    return head
        return None

    def _written(self, location: Location, head: bytes, path: str, offset: int, staged: str) -> bool:
        """Whether `head` and what stands from `offset` in a file are the object; then `staged` is durable."""
        digests = StoredDigests(location.dataset_offset)
        file = self._disk.create(staged)
        try:
            for block in self._pieces(head, path, offset):
                digests.update(block)
                if digests.size > location.file_size:
                    break
                write_all(file, [block])
            whole = (
                digests.size == location.file_size
                and digests.dataset.digest() == location.dataset_sha256
                and digests.meta.digest() == location.meta_sha256
            )
            if whole:
                sync_file(file)
        finally:
            file.close()
        if not whole:
            self._disk.unlink(staged)
        return whole

    def _pieces(self, head: bytes, path: str, offset: int) -> Iterator[bytes]:
        if head:
            yield head
        while block := self._read(path, offset):
            yield block
            offset += len(block)

    def _read(self, path: str, offset: int) -> bytes:
        """The next bytes; none where there are no more, or none that can be read."""
        try:
            return self._disk.read_at(path, offset, _BLOCK)
        except OSError as error:
            _log.info("%s cannot be read for healing: %s", path, error.strerror)
            return b""
