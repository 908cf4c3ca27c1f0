"""What was read from an object store, kept as files on this machine within a budget of bytes.

Small objects are kept whole, of large ones the blocks that somebody asked for. Nothing here is needed: it
can be removed at any time, by anybody. Files are not synced, so what a machine that lost its power may have
left torn is wiped: the folder names the boot in which it was filled.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from gantry.archive.disk import Buffer

WHOLE = -1
"""The number of a file that is no block, but all of an object."""

_BOOT = "boot"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PINNED_S = 60.0
"""How long a file whose path was given away stays, so that whoever has the path finds it."""

_Key = tuple[str, int]

Fetch = Callable[[BinaryIO], bool]
"""Writes what was asked for; answers whether that is all of an object."""


class ReadCache:
    """The cache in one folder, for any number of threads of one process.

    `free_space` says how many bytes the disk has left, of which `reserve_bytes` are for others.
    """

    def __init__(
        self, folder: Path, budget_bytes: int, free_space: Callable[[], int], reserve_bytes: int
    ) -> None:
        self.folder = folder
        self._budget = budget_bytes
        self._free_space = free_space
        self._reserve = reserve_bytes
        self._lock = threading.Lock()
        # The least used first, each with its size
        self._sizes: OrderedDict[_Key, int] = OrderedDict()
        self._blocks: dict[str, set[int]] = {}
        self._pinned: dict[_Key, float] = {}
        self._fetching: dict[_Key, threading.Lock] = {}
        self._temporary = count(1)
        self.total_bytes = 0
        self.hits = 0
        self.misses = 0
        self._begin()

    def path(self, name: str, block: int, fetch: Fetch, *, pin: bool = False) -> tuple[Path, int]:
        """The file that holds a block of an object, or `WHOLE` of it, and what of the object it holds.

        Where it is not there, `fetch` writes it and answers whether that is all of the object. Who asks for
        what is being fetched waits for that. Raises what `fetch` raises, and OSError.
        """
        digest = _digest(name)
        found = self._use(digest, block, pin=pin)
        if found is None:
            with self._fetched_once((digest, block)):
                found = self._use(digest, block, pin=pin)
                if found is None:
                    self.misses += 1
                    found = self._fill((digest, block), fetch)
                    self._use(*found, pin=pin)
                    return self._place(found), found[1]
        self.hits += 1
        return self._place(found), found[1]

    def has(self, name: str, block: int) -> bool:
        """Whether a block of an object is here, by itself or with all others."""
        digest = _digest(name)
        with self._lock:
            return (digest, block) in self._sizes or (digest, WHOLE) in self._sizes

    def keep(self, name: str, block: int, data: Buffer) -> None:
        """Keep a block that was read with others. Raises OSError."""

        def write(file: BinaryIO) -> bool:
            file.write(data)
            return False

        self._fill((_digest(name), block), write)

    def adopt(self, name: str, file: Path) -> None:
        """Take a file for all of an object. Raises OSError; then the file is where it was, or gone."""
        key = (_digest(name), WHOLE)
        size = file.stat().st_size
        self._make_room(size)
        place = self._place(key)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        file.replace(place)
        self._note(key, size)

    def forget(self, name: str) -> None:
        """Let go of all that is here of an object."""
        digest = _digest(name)
        with self._lock:
            for block in self._blocks.pop(digest, set()):
                self._remove((digest, block))

    def _fill(self, key: _Key, fetch: Fetch) -> _Key:
        temporary = self.folder / f"{next(self._temporary)}.new"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have emptied the cache
        try:
            with temporary.open("xb") as file:
                key = (key[0], WHOLE) if fetch(file) else key
                size = file.tell()
            self._make_room(size)
            place = self._place(key)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            temporary.replace(place)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self._note(key, size)
        return key

    @contextmanager
    def _fetched_once(self, key: _Key) -> Iterator[None]:
        with self._lock:
            lock = self._fetching.setdefault(key, threading.Lock())
        with lock:
            yield
        with self._lock:
            self._fetching.pop(key, None)

    def _use(self, digest: str, block: int, *, pin: bool) -> _Key | None:
        """What holds a block and is here; then it was used last."""
        with self._lock:
            for key in ((digest, WHOLE), (digest, block)):
                if key in self._sizes:
                    self._sizes.move_to_end(key)
                    if pin:
                        self._pinned[key] = time.monotonic() + _PINNED_S
                    return key
        return None

    def _note(self, key: _Key, size: int) -> None:
        with self._lock:
            self.total_bytes += size - self._sizes.pop(key, 0)
            self._sizes[key] = size
            self._blocks.setdefault(key[0], set()).add(key[1])

    def _make_room(self, size: int) -> None:
        """Let go of what was used longest ago, until `size` more bytes are within the budget and on the disk.

        One that is larger than the budget lets go of all others.
        """
        lacking = self._reserve + size - self._free_space()
        with self._lock:
            now = time.monotonic()
            self._pinned = {key: until for key, until in self._pinned.items() if until > now}
            for key in [key for key in self._sizes if key not in self._pinned]:
                if self.total_bytes + size <= self._budget and lacking <= 0:
                    return
                lacking -= self._sizes[key]
                self._blocks[key[0]].discard(key[1])
                if not self._blocks[key[0]]:
                    del self._blocks[key[0]]
                self._remove(key)

    def _remove(self, key: _Key) -> None:
        self.total_bytes -= self._sizes.pop(key, 0)
        with suppress(OSError):  # somebody emptied the cache while we ran
            self._place(key).unlink()

    def _place(self, key: _Key) -> Path:
        digest, block = key
        return self.folder / digest[:2] / (digest if block == WHOLE else f"{digest}.{block}")

    def _begin(self) -> None:
        """Go on with what is here, if it was put here since the machine started."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        boot = _boot()
        mark = self.folder / _BOOT
        try:
            is_whole = bool(boot) and mark.read_text() == boot
        except FileNotFoundError:
            is_whole = False
        mark.unlink(missing_ok=True)
        found = []
        for file in self.folder.rglob("*"):
            if file.is_dir():
                continue
            digest, _, block = file.name.partition(".")
            if is_whole and len(digest) == 64 and (not block or block.isdecimal()):
                status = file.stat()
                found.append((status.st_mtime_ns, (digest, int(block) if block else WHOLE), status.st_size))
            else:
                file.unlink()
        for _, key, size in sorted(found):
            self._note(key, size)
        mark.write_text(boot)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _boot() -> str:
    try:
        return _BOOT_ID.read_text()
    except OSError:
        return ""
