"""Every call that the archive makes on files, as one small interface.

Names are relative to the archive's folder and use ``/``; an absolute name reaches outside of it and
is only ever read (objects referenced in place). The rules a caller relies on are those of POSIX and
no kinder:

- bytes written are durable after `OpenFile.sync`;
- a name (of a new, renamed or removed file or folder) is durable after `sync_folder` of the folder
  that holds it;
- until then a crash may keep any part of it.

Whole objects and the log go *past* the page cache where the file system allows it (``O_DIRECT``): the page
cache would cost a copy, fresh pages, and twice the time until the bytes are durable.

`OsDisk` is the real thing; `gantry.archive.sim.SimDisk` is the twin that fails, forgets and tears on
demand. One contract test runs on both.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Buffer = bytes | bytearray | memoryview | mmap.mmap

FOLDER_MODE = 0o700
FILE_MODE = 0o600
BLOCK_BYTES = 4096
"""Where direct writes begin and end: the page of memory, and the sector of disks or a multiple of it."""
# writev takes at most IOV_MAX buffers (1024 on Linux); more go in several calls.
_MOST_BUFFERS = 1024
_STORED_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class FileStat:
    """Size in bytes and time of the last change of content, in nanoseconds since 1970."""

    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One name in a folder."""

    name: str
    is_folder: bool


class OpenFile(Protocol):
    """A file being written at its end."""

    def write(self, buffers: Sequence[Buffer]) -> int:
        """Append the buffers; answers how many bytes were taken, which may be fewer. Raises OSError."""

    def write_block(self, block: Buffer, size: int) -> None:
        """Write the first `size` bytes of a block as all that the file holds. Raises OSError.

        The block begins on a page, and can be read up to the next multiple of `BLOCK_BYTES`.
        """

    def start_writing_back(self) -> None:
        """Let the disk begin with what was written, so that a later `sync` is short. Promises nothing."""

    def sync(self) -> None:
        """Make all bytes written so far durable. Raises OSError."""

    def close(self) -> None:
        """Let go of the file; harmless twice."""


class LogFile(Protocol):
    """A file that is written anywhere, in multiples of `BLOCK_BYTES`, from buffers that begin on a page."""

    def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        """Put the buffers one after the other, from `offset`. Raises OSError; then any of it may be there."""

    def sync(self) -> None:
        """Make all bytes written so far durable. Raises OSError."""

    def close(self) -> None:
        """Let go of the file; harmless twice."""


class Disk(Protocol):
    """A folder of files; every method raises OSError as the operating system would."""

    def create(self, name: str) -> OpenFile:
        """A new file; FileExistsError if there is one."""

    def append(self, name: str) -> OpenFile:
        """The file, made if missing, to be written at its end."""

    def open_log(self, name: str) -> LogFile:
        """The file, made if missing, to be written anywhere."""

    def read(self, name: str) -> bytes:
        """The whole file."""

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer where the file ends."""

    def read_stored(self, name: str) -> Iterator[memoryview]:
        """The whole file as the disk itself holds it, about a megabyte at a time.

        It is read past the page cache where that works, which hides what the disk has become. A piece is
        good until the next is asked for.
        """

    def map(self, name: str) -> Buffer:
        """The whole file as a buffer that need not be read at once; give it back with `unmap`."""

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        """Do what a later `rename` or `replace` of a file to `new` would take long for; unlinking ends it.

        `new` is asked where that saves anything, and may not know. Nobody sees anything of it before.
        """

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; FileExistsError, and nothing done, if that name is taken."""

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        """`rename` each, from old to new, together where that is faster; answers what became of each."""

    def replace(self, old: str, new: str) -> None:
        """Give a file another name, in place of a file that has it."""

    def keep_at_hand(self, names: Sequence[str]) -> None:
        """Files that `rename_all` named last, and that are what they stay: who reads them may get copies.

        Before, another process may still put another file in the place of one.
        """

    def forget_copies(self, name: str) -> None:
        """Another process may have put another file in the place of this one."""

    def unlink(self, name: str) -> None:
        """Remove a file's name."""

    def make_folder(self, name: str) -> None:
        """A new folder in one that exists; FileExistsError if there is one."""

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""

    def sync_folder(self, name: str) -> None:
        """Make the names in a folder durable."""

    def stat(self, name: str) -> FileStat:
        """Size and time of a file."""

    def exists(self, name: str) -> bool:
        """Whether a file or a folder has this name."""

    def list_folder(self, name: str) -> list[FolderEntry]:
        """What lies in a folder, sorted by name."""

    def walk(self, name: str) -> list[str]:
        """All files below a folder, sorted; none where the folder is missing."""

    def files_below(self, name: str) -> Iterator[str]:
        """All files below a folder, in any order, while they are listed: there may be any number."""

    def free_space(self) -> int:
        """Bytes that can still be written."""

    def real_path(self, name: str) -> Path | None:
        """Where the operating system finds the file; None where it cannot."""

    def is_at_hand(self, name: str) -> bool:
        """Whether `real_path` need not fetch the file from elsewhere first."""

    def close(self) -> None:
        """Let go of what the disk holds open; nothing may be asked of it any more."""


class NotingDisk(Disk, Protocol):
    """A disk on which a note can stand in place of a file.

    A note is a name, to be made durable as such, and a short text. To what reads files it is not there.
    """

    def note(self, name: str) -> str | None:
        """The text of a note; None for a file, or nothing."""

    def write_note(self, name: str, text: str) -> None:
        """A new note; FileExistsError if the name is taken."""

    def used_s(self, name: str) -> float:
        """When a file was read last, in seconds since 1970, as far as the disk notes it."""

    def set_modified(self, name: str, modified_ns: int) -> None:
        """Say that the content of a file changed last at a time, and that it was read just now."""


def padded(size: int) -> int:
    """`size` as direct writes round it up."""
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def write_all(file: OpenFile, buffers: Sequence[Buffer]) -> int:
    """Write all bytes of all buffers, however few the disk takes at a time; answers their number."""
    total = sum(len(b) for b in buffers)
    taken = file.write(buffers)
    while taken < total:
        taken += file.write(_after(buffers, taken))
    return total


def _after(buffers: Sequence[Buffer], taken: int) -> list[Buffer]:
    rest: list[Buffer] = []
    for buffer in buffers:
        if taken >= len(buffer):
            taken -= len(buffer)
        else:
            rest.append(memoryview(buffer)[taken:] if taken else buffer)
            taken = 0
    return rest


def unmap(buffer: Buffer) -> None:
    """Let go of what `Disk.map` gave, unless somebody still looks at it (then it goes with them)."""
    if isinstance(buffer, mmap.mmap):
        try:
            buffer.close()
        except BufferError:
            return


def read_through(buffer: Buffer, start: int, size: int) -> Iterator[bytes]:
    """Bytes from `start` to the end in blocks of `size`; those of a mapped file leave memory as it goes on.

    Without letting go, every page that was read once counts as ours until `unmap`.
    """
    for at in range(start, len(buffer), size):
        yield bytes(buffer[at : at + size])
        if isinstance(buffer, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            page = at - at % mmap.PAGESIZE
            buffer.madvise(mmap.MADV_DONTNEED, page, min(at + size, len(buffer)) - page)


def make_folders(disk: Disk, name: str) -> list[str]:
    """Make a folder and those above it; answers the folders whose names changed, to be synced."""
    changed: list[str] = []
    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        try:
            disk.make_folder(folder)
        except FileExistsError:
            continue
        changed.append("/".join(parts[: depth - 1]))
    return changed


def renamed_one_by_one(disk: Disk, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
    """`Disk.rename_all` for a disk that is no faster with several at once."""
    outcomes: list[OSError | None] = []
    for old, new in names:
        try:
            disk.rename(old, new)
        except OSError as error:
            outcomes.append(error)
        else:
            outcomes.append(None)
    return outcomes


def walked(disk: Disk, folder: str) -> list[str]:
    """`Disk.walk` for a disk that lists folder by folder."""
    return sorted(listed_below(disk, folder)) if disk.exists(folder) else []


def listed_below(disk: Disk, folder: str) -> Iterator[str]:
    """`Disk.files_below` for a disk that lists folder by folder."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        for entry in disk.list_folder(here):
            name = f"{here}/{entry.name}"
            if entry.is_folder:
                waiting.append(name)
            else:
                yield name


class _Direct:
    """Whether the file system takes direct writes; found out by the first."""

    __slots__ = ("works",)

    def __init__(self) -> None:
        self.works = hasattr(os, "O_DIRECT")

    def write(self, fd: int, buffers: Sequence[Buffer], offset: int) -> None:
        """Write all of the buffers from `offset`, past the page cache where that works. Raises OSError."""
        if self.works:
            try:
                self._turn(fd, on=True)
                _write_at(fd, buffers, offset)
            except OSError as error:
                # The file system does not know it (tmpfs), or wants other multiples
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
                self.works = False
                self._turn(fd, on=False)
            else:
                return
        _write_at(fd, buffers, offset)

    def _turn(self, fd: int, *, on: bool) -> None:
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        wanted = flags | os.O_DIRECT if on else flags & ~os.O_DIRECT
        if flags != wanted:
            fcntl.fcntl(fd, fcntl.F_SETFL, wanted)


def _write_at(fd: int, buffers: Sequence[Buffer], offset: int) -> None:
    total, taken = sum(map(len, buffers)), 0
    waiting = buffers
    while taken < total:
        taken += os.pwritev(fd, waiting[:_MOST_BUFFERS], offset + taken)
        waiting = _after(buffers, taken)


def _read_stored(path: str, size: int, *, direct: bool) -> Iterator[memoryview]:
    """A file in pieces of `size` bytes; not `direct`: through the page cache, asked to drop it before."""
    fd = _open_unused(path, os.O_DIRECT if direct else 0)
    try:
        if not direct and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        # On a page, as direct reads want it; it goes with whoever looks at it last
        view = memoryview(mmap.mmap(-1, size))
        position = 0
        while count := os.preadv(fd, [view], position):
            yield view[:count]
            position += count
            if direct and count % BLOCK_BYTES:
                return  # the end: direct reads stop at a multiple of a block anywhere else
    finally:
        os.close(fd)


def _open_unused(path: str, flags: int = 0) -> int:
    """Open a file to be read, without that counting as use where it is our own file (`TierDisk.used_s`)."""
    flags |= os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(path, flags)


class _OsFile:
    __slots__ = ("_direct", "_fd")

    def __init__(self, fd: int, direct: _Direct) -> None:
        self._fd = fd
        self._direct = direct

    def write(self, buffers: Sequence[Buffer]) -> int:
        if len(buffers) == 1:
            return os.write(self._fd, buffers[0])
        return os.writev(self._fd, buffers[:_MOST_BUFFERS])

    def write_block(self, block: Buffer, size: int) -> None:
        with memoryview(block) as view:
            self._direct.write(self._fd, [view[: padded(size)]], 0)
        os.ftruncate(self._fd, size)

    def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        self._direct.write(self._fd, buffers, offset)

    def start_writing_back(self) -> None:
        # Linux starts writing dirty pages when told that they will not be needed, and keeps those it is
        # writing: half of an fsync is over when we come to it.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        os.fsync(self._fd)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class _OsLog(_OsFile):
    __slots__ = ()

    def sync(self) -> None:
        # Where nothing but bytes changed, and a log that is used again changes nothing else, one flush
        os.fdatasync(self._fd)


class OsDisk:
    """The files below `root`, by the operating system."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._prefix = f"{self.root}/"
        self._direct = _Direct()

    def _path(self, name: str) -> str:
        return name if name.startswith("/") else self._prefix + name

    def create(self, name: str) -> OpenFile:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return _OsFile(os.open(self._path(name), flags, FILE_MODE), self._direct)

    def append(self, name: str) -> OpenFile:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return _OsFile(os.open(self._path(name), flags, FILE_MODE), self._direct)

    def open_log(self, name: str) -> LogFile:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        return _OsLog(os.open(self._path(name), flags, FILE_MODE), self._direct)

    def read(self, name: str) -> bytes:
        with open(self._path(name), "rb", buffering=0) as file:  # noqa: PTH123 - a hot path; Path is slow
            return file.readall()

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        fd = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(fd, length, offset)
            # Linux gives at most 2 GiB a call, and a signal may cut one short.
            while len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
                data += more
            return data
        finally:
            os.close(fd)

    def read_stored(self, name: str) -> Iterator[memoryview]:
        path = self._path(name)
        if hasattr(os, "O_DIRECT"):
            pieces = _read_stored(path, _STORED_PIECE, direct=True)
            try:
                first = next(pieces, None)
            except OSError as error:
                # The file system does not know it (tmpfs), or wants other multiples
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
            else:
                if first is not None:
                    yield first
                    yield from pieces
                return
        yield from _read_stored(path, _STORED_PIECE, direct=False)

    def map(self, name: str) -> Buffer:
        # Headers are also read for ourselves: for an index made anew, for metadata that nobody asked for yet
        fd = _open_unused(self._path(name))
        try:
            if os.fstat(fd).st_size == 0:
                return b""
            return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        """Nothing: a rename is short."""

    def rename(self, old: str, new: str) -> None:
        # The archive's lock keeps other writers out of the folder, so look-then-rename is safe, and
        # unlike link-then-unlink it works on every file system.
        if os.path.lexists(self._path(new)):
            raise FileExistsError(17, "a file has this name already", new)
        os.rename(self._path(old), self._path(new))  # noqa: PTH104

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        return renamed_one_by_one(self, names)

    def replace(self, old: str, new: str) -> None:
        os.replace(self._path(old), self._path(new))  # noqa: PTH105

    def keep_at_hand(self, names: Sequence[str]) -> None:
        """Nothing: there are no copies."""

    def forget_copies(self, name: str) -> None:
        """Nothing: there are no copies."""

    def unlink(self, name: str) -> None:
        os.unlink(self._path(name))  # noqa: PTH108

    def make_folder(self, name: str) -> None:
        os.mkdir(self._path(name), FOLDER_MODE)  # noqa: PTH102

    def remove_folder(self, name: str) -> None:
        os.rmdir(self._path(name))  # noqa: PTH106

    def sync_folder(self, name: str) -> None:
        fd = os.open(self._path(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def stat(self, name: str) -> FileStat:
        status = os.stat(self._path(name))  # noqa: PTH116
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "a folder, not a file", name)
        return FileStat(status.st_size, status.st_mtime_ns)

    def exists(self, name: str) -> bool:
        return os.path.lexists(self._path(name))

    def list_folder(self, name: str) -> list[FolderEntry]:
        with os.scandir(self._path(name)) as entries:
            found = [FolderEntry(e.name, e.is_dir(follow_symlinks=False)) for e in entries]
        return sorted(found, key=lambda entry: entry.name)

    def walk(self, name: str) -> list[str]:
        return walked(self, name)

    def files_below(self, name: str) -> Iterator[str]:
        return listed_below(self, name)

    def free_space(self) -> int:
        status = os.statvfs(self.root)
        return status.f_bavail * status.f_frsize

    def real_path(self, name: str) -> Path | None:
        return Path(self._path(name))

    def is_at_hand(self, name: str) -> bool:
        return True

    # A symbolic link that leads nowhere: made, renamed and removed in one step, and in no other's way

    def note(self, name: str) -> str | None:
        try:
            return os.readlink(self._path(name))  # noqa: PTH115
        except OSError:
            return None

    def write_note(self, name: str, text: str) -> None:
        os.symlink(text, self._path(name))  # noqa: PTH211

    def used_s(self, name: str) -> float:
        return os.stat(self._path(name)).st_atime  # noqa: PTH116

    def set_modified(self, name: str, modified_ns: int) -> None:
        os.utime(self._path(name), ns=(time.time_ns(), modified_ns))

    def close(self) -> None:
        """Nothing is held open."""
