"""An archive whose objects lie in a bucket: the same calls as on a disk, and what they mean there.

What must last (objects, acts, journal, drafts, what was set aside) is in the bucket, under the names that
it has in a folder. What is being received, and all that can be made again, is on this machine's disk, none
of which is promised to anybody: it is not synced. So

- `rename` from here to there is what makes an object durable: one request, whole or not at all;
- there are no folders to be made or synced; and
- a read is answered from a cache of what was read or written here lately, within a budget.

A journal is written at its end, which no bucket can do: it is held in memory and put there as a whole, ten
seconds after at most as long as anything is added to it. What a crash takes of it is written again from the
index.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from gantry.archive.beside import beside
from gantry.archive.blobs.block_digests import BLOCK, Checks
from gantry.archive.blobs.bucket import MULTIPART_BYTES, Bucket, Upload
from gantry.archive.blobs.files import FOLDERS, OBJECTS, is_here
from gantry.archive.blobs.owner import Owner, Shared
from gantry.archive.blobs.read_cache import WHOLE, ReadCache
from gantry.archive.disk import Buffer, FileStat, FolderEntry, LogFile, OpenFile, OsDisk

UPLOADS = 16
"""Objects that are put into the bucket at once: a store answers many as fast as one."""
PUT_AGAIN_S = 10.0
_Read = TypeVar("_Read")
_log = logging.getLogger(__name__)


class StoreDisk:
    """The bucket, with `local` for what is on its way, and `cache` for what is read.

    `owner` says whether anything may be written; without one nobody else may have the bucket meanwhile.
    """

    def __init__(
        self, local: OsDisk, bucket: Bucket, cache: ReadCache, owner: Owner | Shared | None = None
    ) -> None:
        self._local = local
        self._owner = owner
        self._bucket = bucket
        self.cache = cache
        self._checks = Checks(bucket.get)
        self._open: dict[str, _Appended] = {}
        # Large objects that wait for their names, by where their bytes are here
        self._ahead: dict[str, Upload] = {}
        # Files here of objects that were put last, and which may not be what they stay
        self._put_last: dict[str, Path] = {}
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="gantry-store")

    def create(self, name: str) -> OpenFile:
        if is_here(name):
            return _Scratch(self._local.create(name))
        if self._bucket.exists(name):
            raise FileExistsError(errno.EEXIST, "an object has this name already", name)
        return _Appended(self._bucket, name, b"", self._require_owned)

    def append(self, name: str) -> OpenFile:
        if is_here(name):
            return _Scratch(self._local.append(name))
        try:
            held = self._bucket.get(name)
        except FileNotFoundError:
            held = b""
            self._require_owned()
            self._bucket.put(name, held)
        file = self._open[name] = _Appended(self._bucket, name, held, self._require_owned)
        return file

    def open_log(self, name: str) -> LogFile:
        return self._local.open_log(name)

    def read(self, name: str) -> bytes:
        if is_here(name):
            return self._local.read(name)
        if name in self._open:
            return self._open[name].content()
        if not name.startswith(f"{OBJECTS}/"):
            return self._bucket.get(name)
        return self._from_cache(name, lambda path: self._local.read(str(path)))

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        if is_here(name):
            return self._local.read_at(name, offset, length)
        first, end = offset // BLOCK, -(-(offset + length) // BLOCK)
        if end - first > 1:
            self._fetch_missing(name, first, end)
        pieces: list[bytes] = []
        for block in range(first, end):
            start = block * BLOCK
            begin, stop = max(offset - start, 0), min(offset + length - start, BLOCK)
            piece = self._read_block(name, block, begin, stop)
            pieces.append(piece)
            if len(piece) < stop - begin:
                break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_stored(self, name: str) -> Iterator[memoryview]:
        if is_here(name):
            return self._local.read_stored(name)
        return self._bucket.pieces(name, check=False)

    def map(self, name: str) -> Buffer:
        if is_here(name):
            return self._local.map(name)
        return self._from_cache(name, lambda path: self._local.map(str(path)))

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        file = self._here(name)
        if file.stat().st_size <= MULTIPART_BYTES:
            return
        path = new()
        if path is not None:
            self._require_owned()
            self._ahead[name] = self._bucket.send_ahead(path, file)

    def rename(self, old: str, new: str) -> None:
        self._move(old, new, replacing=False)

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        self._forget_put_last()
        if len(names) < 2:
            return [self._renamed(pair) for pair in names]
        return [one.result() for one in [beside(self._uploads, self._renamed, pair) for pair in names]]

    def replace(self, old: str, new: str) -> None:
        self._move(old, new, replacing=True)

    def keep_at_hand(self, names: Sequence[str]) -> None:
        for name in names:
            file = self._put_last.pop(name, None)
            if file is None:
                continue
            # What was stored last is looked at next. It is kept already, so nothing may fail for this
            try:
                self.cache.adopt(name, file)
            except OSError as error:
                _log.warning("an object could not be kept in the cache: %s", error.strerror)
                with suppress(OSError):
                    file.unlink()

    def forget_copies(self, name: str) -> None:
        if not is_here(name):
            self.cache.forget(name)

    def unlink(self, name: str) -> None:
        if is_here(name):
            self._forget_ahead(name)
            self._local.unlink(name)
            return
        self._require_owned()
        self._delete(name, self._bucket.stat(name).size)
        self._let_go_of(name)

    def make_folder(self, name: str) -> None:
        if is_here(name):
            self._local.make_folder(name)

    def remove_folder(self, name: str) -> None:
        if is_here(name):
            self._local.remove_folder(name)

    def sync_folder(self, name: str) -> None:
        """Nothing: what is in the bucket is durable, and nothing else has to be."""

    def stat(self, name: str) -> FileStat:
        return self._local.stat(name) if is_here(name) else self._bucket.stat(name)

    def exists(self, name: str) -> bool:
        if is_here(name):
            return self._local.exists(name)
        if name in FOLDERS or self._bucket.exists(name):
            return True
        found = self._bucket.list_folder(name)
        return bool(found.objects or found.folders)

    def list_folder(self, name: str) -> list[FolderEntry]:
        if is_here(name):
            return self._local.list_folder(name)
        found = self._bucket.list_folder(name)
        if not found.objects and not found.folders and name and name not in FOLDERS:
            raise FileNotFoundError(errno.ENOENT, "nothing begins with this name", name)
        entries = [FolderEntry(path.rpartition("/")[2], False) for path in found.objects]
        entries += [FolderEntry(path.rstrip("/").rpartition("/")[2], True) for path in found.folders]
        return sorted(entries, key=lambda entry: entry.name)

    def walk(self, name: str) -> list[str]:
        return self._local.walk(name) if is_here(name) else sorted(self._bucket.walk(name))

    def files_below(self, name: str) -> Iterator[str]:
        return self._local.files_below(name) if is_here(name) else self._bucket.walk(name)

    def free_space(self) -> int:
        return self._local.free_space()

    def real_path(self, name: str) -> Path | None:
        """A copy in the cache, which stays there for a while."""
        if is_here(name):
            return self._local.real_path(name)
        return self.cache.path(name, WHOLE, partial(self._fetch, name), pin=True)[0]

    def is_at_hand(self, name: str) -> bool:
        return is_here(name) or self.cache.has(name, WHOLE)

    def close(self) -> None:
        """Let go of the threads, and of the bucket."""
        self._forget_put_last()
        for name in list(self._ahead):
            self._forget_ahead(name)
        self._uploads.shutdown()
        if self._owner is not None:
            self._owner.end()

    def _require_owned(self) -> None:
        if self._owner is not None:
            self._owner.require()

    def _renamed(self, names: tuple[str, str]) -> OSError | None:
        try:
            self._move(*names, replacing=False, keeping=True)
        except OSError as error:
            return error
        return None

    def _move(self, old: str, new: str, *, replacing: bool, keeping: bool = False) -> None:
        if is_here(new) and is_here(old):
            (self._local.replace if replacing else self._local.rename)(old, new)
            return
        self._require_owned()
        if is_here(new):
            self._bring_back(old, new)
        elif is_here(old):
            self._put(old, new, replacing=replacing, keeping=keeping)
        else:
            if not replacing and self._bucket.exists(new):
                raise FileExistsError(errno.EEXIST, "an object has this name already", new)
            self._bucket.copy(old, new)
            self._bucket.delete_with_digests(old)
            self._let_go_of(old)
            self._let_go_of(new)

    def _put(self, old: str, new: str, *, replacing: bool, keeping: bool) -> None:
        file = self._here(old)
        upload = self._ahead.get(old)
        if upload is not None and upload.name == new:
            upload.complete(replacing=replacing)
            del self._ahead[old]
        else:
            self._forget_ahead(old)
            self._bucket.put_file(new, file, replacing=replacing)
        self._let_go_of(new)
        if keeping and new.startswith(f"{OBJECTS}/"):
            self._put_last[new] = file
        else:
            file.unlink()

    def _bring_back(self, old: str, new: str) -> None:
        if self._put_last.pop(old, None) != self._here(new):
            file = self._local.create(new)
            try:
                for piece in self._bucket.pieces(old):
                    file.write([piece])
            finally:
                file.close()
        self._bucket.delete_with_digests(old)
        self._let_go_of(old)

    def _delete(self, name: str, size: int) -> None:
        if size > MULTIPART_BYTES:
            self._bucket.delete_with_digests(name)
        else:
            self._bucket.delete(name)

    def _forget_put_last(self) -> None:
        """Remove the files of objects of which nobody said that they stay."""
        left, self._put_last = self._put_last, {}
        for file in left.values():
            file.unlink(missing_ok=True)

    def _forget_ahead(self, name: str) -> None:
        upload = self._ahead.pop(name, None)
        if upload is not None:
            upload.abort()

    def _let_go_of(self, name: str) -> None:
        self.cache.forget(name)
        self._open.pop(name, None)
        left = self._put_last.pop(name, None)
        if left is not None:
            left.unlink(missing_ok=True)

    def _here(self, name: str) -> Path:
        path = self._local.real_path(name)
        assert path is not None
        return path

    # --- reading ---------------------------------------------------------------------------------

    def _from_cache(self, name: str, read: Callable[[Path], _Read]) -> _Read:
        """What `read` makes of the whole object, fetched again where somebody emptied the cache."""
        fetch = partial(self._fetch, name)
        try:
            return read(self.cache.path(name, WHOLE, fetch)[0])
        except FileNotFoundError:
            self.cache.forget(name)
            return read(self.cache.path(name, WHOLE, fetch)[0])

    def _read_block(self, name: str, block: int, begin: int, stop: int) -> bytes:
        fetch = partial(self._fetch_block, name, block)
        for last in (False, True):
            path, held = self.cache.path(name, block, fetch)
            start = block * BLOCK if held == WHOLE else 0
            try:
                return self._local.read_at(str(path), start + begin, stop - begin)
            except FileNotFoundError:
                if last:
                    raise
                self.cache.forget(name)  # somebody emptied the cache
        raise AssertionError("the second answer is the last")

    def _fetch(self, name: str, file: BinaryIO) -> bool:
        for piece in self._bucket.pieces(name):
            file.write(piece)
        return True

    def _fetch_block(self, name: str, block: int, file: BinaryIO) -> bool:
        part = self._bucket.get_range(name, block * BLOCK, (block + 1) * BLOCK)
        if not self._checks.is_told(name, block, part, small=MULTIPART_BYTES):
            return self._fetch(name, file)
        file.write(part.data)
        return len(part.data) == part.size

    def _fetch_missing(self, name: str, first: int, end: int) -> None:
        """Blocks that are not here, with one request for those that lie side by side."""
        missing = [block for block in range(first, end) if not self.cache.has(name, block)]
        runs: list[list[int]] = []
        for block in missing:
            if runs and runs[-1][-1] == block - 1:
                runs[-1].append(block)
            else:
                runs.append([block])
        for run in runs:
            if len(run) > 1:
                part = self._bucket.get_range(name, run[0] * BLOCK, (run[-1] + 1) * BLOCK)
                if not self._checks.is_told(name, run[0], part, small=MULTIPART_BYTES):
                    self.cache.path(name, WHOLE, partial(self._fetch, name))
                    return
                view = memoryview(part.data)
                for n, block in enumerate(run):
                    if n * BLOCK < len(part.data):
                        self.cache.keep(name, block, view[n * BLOCK : (n + 1) * BLOCK])


class _Scratch:
    """A file on this machine, which need not last."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self.write = file.write
        self.write_block = file.write_block
        self.close = file.close

    def start_writing_back(self) -> None:
        """Nothing: it is read again at once."""

    def sync(self) -> None:
        """Nothing."""


class _Appended:
    """An object that is written at its end, in memory, and put into the bucket as a whole."""

    def __init__(self, bucket: Bucket, name: str, held: bytes, require_owned: Callable[[], None]) -> None:
        self._require_owned = require_owned
        self._bucket = bucket
        self._name = name
        self._held = bytearray(held)
        self._is_put = True
        self._put_at = time.monotonic()

    def write(self, buffers: Sequence[Buffer]) -> int:
        size = len(self._held)
        for buffer in buffers:
            self._held += buffer
        self._is_put = False
        if time.monotonic() - self._put_at > PUT_AGAIN_S:
            self.sync()
        return len(self._held) - size

    def write_block(self, block: Buffer, size: int) -> None:
        with memoryview(block) as view:
            self.write([view[:size]])

    def start_writing_back(self) -> None:
        """Nothing: all of it goes at once."""

    def sync(self) -> None:
        if not self._is_put:
            self._put_at = time.monotonic()
            self._require_owned()
            self._bucket.put(self._name, self._held, replacing=True)
            self._is_put = True

    def close(self) -> None:
        # As with a file, what was not synced may be lost; who needs it synced it
        with suppress(OSError):
            self.sync()
        self._is_put = True

    def content(self) -> bytes:
        """All of it, put or not."""
        return bytes(self._held)
