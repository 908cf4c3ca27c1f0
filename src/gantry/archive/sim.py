"""The simulated disk: the twin of `OsDisk` that fails, forgets and tears, replayable from a seed.

It keeps two truths: what a running program sees, and what a power cut would leave. Between the two
it is as unkind as POSIX allows:

- a file's bytes are kept for certain only up to its last `sync`; later writes survive whole, torn,
  as zeros, or not at all;
- a name is kept for certain only as it stood at the last `sync_folder` of its folder; each later
  change survives or not, name by name (so a rename may lose both names, or keep both);
- a `sync` that failed leaves what it should have kept on the disk or not, and the next `sync` does not bring
  it back; only what is written after it is kept by that one (as Linux does).

`fail` makes the k-th call from now raise; `cut_at` cuts the power at the k-th call. After a cut every
call raises `PowerCut`, and `power_cut` gives the disk that the next start finds.
"""

from __future__ import annotations

import errno as errno_module
import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gantry.archive.disk import (
    BLOCK_BYTES,
    Buffer,
    FileStat,
    FolderEntry,
    LogFile,
    OpenFile,
    listed_below,
    renamed_one_by_one,
    walked,
)

DEFAULT_CAPACITY = 1 << 40


class PowerCut(BaseException):
    """The power is gone. Not an Exception: no error handling of the archive can run any more."""


@dataclass(slots=True)
class _File:
    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    unsynced: list[tuple[int, bytes]] = field(default_factory=list)
    # After a failed sync what is read is no longer what is on the disk
    poisoned: bool = False
    modified_ns: int = 0
    # Of what is no file, but a note in place of one
    note: str = ""


@dataclass(slots=True)
class _Folder:
    names: dict[str, _Node] = field(default_factory=dict)
    # For each name changed since the last sync: all it stood for since then, oldest (durable) first.
    history: dict[str, list[_Node | None]] = field(default_factory=dict)

    def put(self, name: str, node: _Node | None) -> None:
        self.history.setdefault(name, [self.names.get(name)]).append(node)
        if node is None:
            self.names.pop(name, None)
        else:
            self.names[name] = node


_Node = _File | _Folder


@dataclass(slots=True)
class _Fault:
    at_call: int
    errno: int
    after: bool


class SimDisk:
    """A disk in memory. `seed` decides what a power cut keeps; `capacity` is its size in bytes."""

    def __init__(self, seed: int = 0, *, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = capacity
        self.calls = 0
        self.log: list[str] = []
        self._random = random.Random(seed)
        self._root = _Folder()
        self._lock = threading.RLock()
        self._faults: list[_Fault] = []
        self._cut_at: int | None = None
        self._cut = False
        self._fault_chance = 0.0
        self._fault_errnos: Sequence[int] = ()
        self._short_write_chance = 0.0
        self._used = 0
        self._time_ns = 1_767_225_600_000_000_000  # 2026-01-01

    # --- what a test turns ---------------------------------------------------------------------

    def fail(self, k: int, errno: int = errno_module.EIO, *, after: bool = False) -> None:
        """Let the k-th call from now (1 is the next) raise OSError; `after` it has done its work."""
        self._faults.append(_Fault(self.calls + k, errno, after))

    def fail_often(self, chance: float, *errnos: int) -> None:
        """Let any call fail with this chance, before or after its work, with one of these errors."""
        self._fault_chance = chance
        self._fault_errnos = errnos

    def cut_at(self, k: int) -> None:
        """Cut the power at the k-th call from now."""
        self._cut_at = self.calls + k

    def heal(self) -> None:
        """Take back all faults not yet met."""
        self._faults.clear()
        self._fault_chance = 0.0
        self._cut_at = None

    def shorten_writes(self, chance: float) -> None:
        """Let a write take only a part of its bytes with this chance."""
        self._short_write_chance = chance

    def power_cut(self) -> SimDisk:
        """Cut the power; answers the disk as the next start finds it. This one is dead from now on."""
        with self._lock:
            self._cut = True
            after = SimDisk(self._random.randrange(1 << 32), capacity=self.capacity)
            after._time_ns = self._time_ns
            after._root = self._survivor(self._root, {})
            after._used = sum(len(f.data) for f in _files(after._root))
            return after

    def killed(self) -> None:
        """It was the process that ended at the call, not the power: what it wrote is all there."""
        self._cut, self._cut_at = False, None

    def flip_bit(self, name: str, bit: int) -> None:
        """Rot: turn one bit of a file, durably, without anybody having written."""
        with self._lock:
            file = self._file(name)
            file.data[bit // 8] ^= 1 << (bit % 8)
            file.durable = bytes(file.data)

    def file_names(self) -> list[str]:
        """All files, for a test to look at; no call is counted."""
        return sorted(_names(self._root, ""))

    # --- calls ---------------------------------------------------------------------------------

    @contextmanager
    def call(self, what: str) -> Iterator[None]:
        """One call on the disk: counted, failing when its turn has come; the index twin uses it too."""
        with self._lock:
            if self._cut:
                raise PowerCut
            self.calls += 1
            self.log.append(what)
            if self._cut_at is not None and self.calls >= self._cut_at:
                self._cut = True
                raise PowerCut
            fault = self._fault()
            if fault is not None and not fault.after:
                raise OSError(fault.errno, os.strerror(fault.errno), what)
            yield
            if fault is not None:
                raise OSError(fault.errno, os.strerror(fault.errno), what)

    # --- Disk ----------------------------------------------------------------------------------

    def create(self, name: str) -> OpenFile:
        with self.call(f"create {name}"):
            folder, leaf = self._place(name)
            if leaf in folder.names:
                raise FileExistsError(errno_module.EEXIST, "exists", name)
            file = _File(modified_ns=self._tick())
            folder.put(leaf, file)
            return _SimFile(self, file, name)

    def append(self, name: str) -> OpenFile:
        with self.call(f"append {name}"):
            return _SimFile(self, self._file_made(name), name)

    def open_log(self, name: str) -> LogFile:
        with self.call(f"open_log {name}"):
            return _SimLog(self, self._file_made(name), name)

    def _file_made(self, name: str) -> _File:
        folder, leaf = self._place(name)
        file = folder.names.get(leaf)
        if file is None:
            file = _File(modified_ns=self._tick())
            folder.put(leaf, file)
        if isinstance(file, _Folder):
            raise IsADirectoryError(errno_module.EISDIR, "a folder", name)
        return file

    def read(self, name: str) -> bytes:
        with self.call(f"read {name}"):
            return bytes(self._file(name).data)

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        with self.call(f"read_at {name}"):
            return bytes(self._file(name).data[offset : offset + length])

    def read_stored(self, name: str) -> Iterator[memoryview]:
        with self.call(f"read_stored {name}"):
            data = memoryview(bytes(self._file(name).data))
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

    def map(self, name: str) -> Buffer:
        with self.call(f"map {name}"):
            return bytes(self._file(name).data)

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        """Nothing: a rename is short."""

    def rename(self, old: str, new: str) -> None:
        with self.call(f"rename {old} {new}"):
            folder, leaf = self._place(new)
            if leaf in folder.names:
                raise FileExistsError(errno_module.EEXIST, "exists", new)
            self._move(old, new)

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        return renamed_one_by_one(self, names)

    def replace(self, old: str, new: str) -> None:
        with self.call(f"replace {old} {new}"):
            folder, leaf = self._place(new)
            replaced = folder.names.get(leaf)
            if isinstance(replaced, _Folder):
                raise IsADirectoryError(errno_module.EISDIR, "a folder", new)
            self._move(old, new)
            if replaced is not None:
                self._used -= len(replaced.data)

    def keep_at_hand(self, names: Sequence[str]) -> None:
        """Nothing: there are no copies."""

    def forget_copies(self, name: str) -> None:
        """Nothing: there are no copies."""

    def unlink(self, name: str) -> None:
        with self.call(f"unlink {name}"):
            file = self._file_or_note(name)
            folder, leaf = self._place(name)
            folder.put(leaf, None)
            self._used -= len(file.data)

    def make_folder(self, name: str) -> None:
        with self.call(f"make_folder {name}"):
            folder, leaf = self._place(name)
            if leaf in folder.names:
                raise FileExistsError(errno_module.EEXIST, "exists", name)
            folder.put(leaf, _Folder())

    def remove_folder(self, name: str) -> None:
        with self.call(f"remove_folder {name}"):
            if self._folder(name).names:
                raise OSError(errno_module.ENOTEMPTY, "not empty", name)
            folder, leaf = self._place(name)
            folder.put(leaf, None)

    def sync_folder(self, name: str) -> None:
        with self.call(f"sync_folder {name}"):
            self._folder(name).history.clear()

    def stat(self, name: str) -> FileStat:
        with self.call(f"stat {name}"):
            file = self._file(name)
            return FileStat(len(file.data), file.modified_ns)

    def exists(self, name: str) -> bool:
        with self.call(f"exists {name}"):
            try:
                self._node(name)
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    def list_folder(self, name: str) -> list[FolderEntry]:
        with self.call(f"list_folder {name}"):
            names = self._folder(name).names
            return [FolderEntry(n, isinstance(names[n], _Folder)) for n in sorted(names)]

    def walk(self, name: str) -> list[str]:
        return walked(self, name)

    def files_below(self, name: str) -> Iterator[str]:
        return listed_below(self, name)

    def note(self, name: str) -> str | None:
        with self.call(f"note {name}"):
            try:
                return self._file_or_note(name).note or None
            except OSError:
                return None

    def write_note(self, name: str, text: str) -> None:
        with self.call(f"write_note {name}"):
            folder, leaf = self._place(name)
            if leaf in folder.names:
                raise FileExistsError(errno_module.EEXIST, "exists", name)
            folder.put(leaf, _File(modified_ns=self._tick(), note=text))

    def used_s(self, name: str) -> float:
        return self.stat(name).modified_ns / 1e9

    def set_modified(self, name: str, modified_ns: int) -> None:
        with self.call(f"set_modified {name}"):
            self._file(name).modified_ns = modified_ns

    def free_space(self) -> int:
        with self.call("free_space"):
            return max(0, self.capacity - self._used)

    def real_path(self, name: str) -> Path | None:
        return None

    def is_at_hand(self, name: str) -> bool:
        return True

    # --- within --------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing is held open."""

    def _fault(self) -> _Fault | None:
        if self._fault_chance and self._random.random() < self._fault_chance:
            after = self._random.random() < 0.5
            return _Fault(self.calls, self._random.choice(self._fault_errnos), after)
        return next((f for f in self._faults if f.at_call == self.calls), None)

    def _tick(self) -> int:
        self._time_ns += 1_000_000
        return self._time_ns

    def _node(self, name: str) -> _Node:
        node: _Node = self._root
        for part in name.split("/") if name else ():
            if not isinstance(node, _Folder):
                raise NotADirectoryError(errno_module.ENOTDIR, "not a folder", name)
            if part not in node.names:
                raise FileNotFoundError(errno_module.ENOENT, "no such file", name)
            node = node.names[part]
        return node

    def _folder(self, name: str) -> _Folder:
        node = self._node(name)
        if not isinstance(node, _Folder):
            raise NotADirectoryError(errno_module.ENOTDIR, "not a folder", name)
        return node

    def _file(self, name: str) -> _File:
        file = self._file_or_note(name)
        if file.note:
            raise FileNotFoundError(errno_module.ENOENT, "a note that leads nowhere", name)
        return file

    def _file_or_note(self, name: str) -> _File:
        node = self._node(name)
        if not isinstance(node, _File):
            raise IsADirectoryError(errno_module.EISDIR, "a folder", name)
        return node

    def _place(self, name: str) -> tuple[_Folder, str]:
        above, _, leaf = name.rpartition("/")
        return self._folder(above), leaf

    def _move(self, old: str, new: str) -> None:
        file = self._file_or_note(old)
        source, old_leaf = self._place(old)
        target, new_leaf = self._place(new)
        source.put(old_leaf, None)
        target.put(new_leaf, file)

    def _write(self, file: _File, buffers: Sequence[Buffer]) -> int:
        data = b"".join(bytes(b) for b in buffers)
        if len(data) > 1 and self._random.random() < self._short_write_chance:
            data = data[: self._random.randrange(1, len(data))]
        room = self.capacity - self._used
        if data and room <= 0:
            raise OSError(errno_module.ENOSPC, os.strerror(errno_module.ENOSPC))
        data = data[:room]
        file.unsynced.append((len(file.data), data))
        file.data += data
        file.modified_ns = self._tick()
        self._used += len(data)
        return len(data)

    def _write_at(self, file: _File, offset: int, buffers: Sequence[Buffer]) -> None:
        """All of it, or as much as there is room for: each buffer a write of its own to a power cut."""
        for buffer in buffers:
            data = bytes(buffer)
            assert not len(data) % BLOCK_BYTES, "direct writes are whole blocks"
            grows = max(0, offset + len(data) - len(file.data))
            if grows > self.capacity - self._used:
                raise OSError(errno_module.ENOSPC, os.strerror(errno_module.ENOSPC))
            if len(file.data) < offset:
                file.data += bytes(offset - len(file.data))
            file.data[offset : offset + len(data)] = data
            file.unsynced.append((offset, data))
            file.modified_ns = self._tick()
            self._used += grows
            offset += len(data)

    def _sync(self, file: _File) -> None:
        if file.poisoned:
            durable = bytearray(file.durable)
            for offset, written in file.unsynced:
                _put(durable, offset, written)
            file.durable = bytes(durable)
        else:
            file.durable = bytes(file.data)
        file.unsynced.clear()

    def _fail_to_sync(self, file: _File) -> None:
        """What should have been kept is on the disk or not, for good; what is written later can be kept."""
        file.durable = bytes(self._survived(file))
        file.unsynced.clear()
        file.poisoned = True

    def _survivor(self, folder: _Folder, kept: dict[int, _Node]) -> _Folder:
        survivor = _Folder()
        kept[id(folder)] = survivor
        for name in sorted(set(folder.names) | set(folder.history)):
            possible = folder.history.get(name) or [folder.names.get(name)]
            node = self._random.choice(possible)
            if node is None:
                continue
            if id(node) not in kept:
                if isinstance(node, _Folder):
                    self._survivor(node, kept)
                else:
                    kept[id(node)] = self._surviving_file(node)
            survivor.names[name] = kept[id(node)]
        return survivor

    def _surviving_file(self, file: _File) -> _File:
        data = self._survived(file)
        return _File(data=data, durable=bytes(data), modified_ns=file.modified_ns, note=file.note)

    def _survived(self, file: _File) -> bytearray:
        data = bytearray(file.durable)
        for offset, written in file.unsynced:
            fate = self._random.choice(("whole", "torn", "zeros", "lost"))
            if fate == "lost":
                continue
            if fate == "torn":
                written = written[: self._random.randrange(len(written) + 1)]
            elif fate == "zeros":
                written = bytes(len(written))
            _put(data, offset, written)
        return data


class _SimFile:
    __slots__ = ("_disk", "_file", "_name")

    def __init__(self, disk: SimDisk, file: _File, name: str) -> None:
        self._disk = disk
        self._file = file
        self._name = name

    def write(self, buffers: Sequence[Buffer]) -> int:
        with self._disk.call(f"write {self._name}"):
            return self._disk._write(self._file, buffers)

    def write_block(self, block: Buffer, size: int) -> None:
        assert len(block) >= -(-size // BLOCK_BYTES) * BLOCK_BYTES, "the disk may read to the end of the page"
        taken = 0
        while taken < size:
            with self._disk.call(f"write {self._name}"):
                taken += self._disk._write(self._file, [bytes(block[taken:size])])

    def start_writing_back(self) -> None:
        with self._disk.call(f"start_writing_back {self._name}"):
            return

    def sync(self) -> None:
        calls_before = self._disk.calls
        try:
            with self._disk.call(f"sync {self._name}"):
                self._disk._sync(self._file)
        except OSError:
            # What the failed sync should have kept is gone for good, whoever syncs again.
            assert self._disk.calls > calls_before
            self._disk._fail_to_sync(self._file)
            raise

    def close(self) -> None:
        return


class _SimLog(_SimFile):
    __slots__ = ()

    def write_at(self, offset: int, buffers: Sequence[Buffer]) -> None:
        with self._disk.call(f"write_at {self._name}"):
            self._disk._write_at(self._file, offset, buffers)


def _put(data: bytearray, offset: int, written: bytes) -> None:
    if len(data) < offset:
        data += bytes(offset - len(data))
    data[offset : offset + len(written)] = written


def _files(folder: _Folder) -> list[_File]:
    found: list[_File] = []
    for node in folder.names.values():
        if isinstance(node, _Folder):
            found += _files(node)
        else:
            found.append(node)
    return found


def _names(folder: _Folder, prefix: str) -> list[str]:
    found: list[str] = []
    for name, node in folder.names.items():
        if isinstance(node, _Folder):
            found += _names(node, f"{prefix}{name}/")
        else:
            found.append(prefix + name)
    return found
