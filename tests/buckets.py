"""Buckets of a real object store, as archives have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from azurite import AzuriteServer
from gantry.archive.archive import Options
from gantry.archive.blobs.store_disk import StoreDisk
from gantry.archive.blobs.tier_disk import TierDisk
from gantry.archive.disk import Buffer, FileStat, FolderEntry, LogFile, OpenFile, renamed_one_by_one
from gantry.archive.places import Places
from swift import SwiftServer

SMALL = Options(reserve_bytes=0)


ObjectStore = SwiftServer | AzuriteServer


def bucket_url(server: ObjectStore, prefix: str = "") -> str:
    """A new bucket as the setting `store` names it; who uses it needs the server's credentials."""
    return server.url_of(server.new_bucket(), prefix)


@contextmanager
def allowed(server: ObjectStore) -> Iterator[None]:
    """This process may reach the server."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.credentials.items():
            patch.setenv(name, value)
        yield


@contextmanager
def bucket_disk(server: SwiftServer, folder: Path) -> Iterator[StoreDisk]:
    """A new bucket as a disk."""
    with allowed(server):
        disk = Places(folder, store=bucket_url(server)).disk(0)
        assert isinstance(disk, StoreDisk)
        yield disk
        disk.close()


@contextmanager
def tier_disk(server: SwiftServer, folder: Path) -> Iterator[AllMoved]:
    """A folder and a new bucket as a disk of which each file is moved as soon as it is closed."""
    with allowed(server):
        disk = Places(folder, tier=bucket_url(server)).disk(0)
        assert isinstance(disk, TierDisk)
        for name in ("objects", "incoming"):
            disk.make_folder(name)
        yield AllMoved(disk)
        disk.close()


class AllMoved:
    """The names of a disk are below ``objects/`` of another, where nothing stays but notes."""

    def __init__(self, disk: TierDisk) -> None:
        self._disk = disk

    def _name(self, name: str) -> str:
        return f"objects/{name}" if name else "objects"

    def move(self, name: str) -> None:
        for _ in self._disk.copy_away(self._name(name)):
            pass
        self._disk.turn_away(self._name(name))

    def create(self, name: str) -> OpenFile:
        return _MovedWhenClosed(self, name, self._disk.create(self._name(name)))

    def append(self, name: str) -> OpenFile:
        return _MovedWhenClosed(self, name, self._disk.append(self._name(name)))

    def open_log(self, name: str) -> LogFile:
        return self._disk.open_log(self._name(name))

    def read(self, name: str) -> bytes:
        return self._disk.read(self._name(name))

    def read_at(self, name: str, offset: int, length: int) -> bytes:
        return self._disk.read_at(self._name(name), offset, length)

    def read_stored(self, name: str) -> Iterator[memoryview]:
        return self._disk.read_stored(self._name(name))

    def map(self, name: str) -> Buffer:
        return self._disk.map(self._name(name))

    def send_ahead(self, name: str, new: Callable[[], str | None]) -> None:
        self._disk.send_ahead(self._name(name), new)

    def rename(self, old: str, new: str) -> None:
        self._disk.rename(self._name(old), self._name(new))
        self.move(new)

    def rename_all(self, names: Sequence[tuple[str, str]]) -> list[OSError | None]:
        return renamed_one_by_one(self, names)

    def replace(self, old: str, new: str) -> None:
        self._disk.replace(self._name(old), self._name(new))
        self.move(new)

    def keep_at_hand(self, names: Sequence[str]) -> None:
        self._disk.keep_at_hand([self._name(name) for name in names])

    def forget_copies(self, name: str) -> None:
        self._disk.forget_copies(self._name(name))

    def unlink(self, name: str) -> None:
        self._disk.unlink(self._name(name))

    def make_folder(self, name: str) -> None:
        self._disk.make_folder(self._name(name))

    def remove_folder(self, name: str) -> None:
        self._disk.remove_folder(self._name(name))

    def sync_folder(self, name: str) -> None:
        self._disk.sync_folder(self._name(name))

    def stat(self, name: str) -> FileStat:
        return self._disk.stat(self._name(name))

    def exists(self, name: str) -> bool:
        return self._disk.exists(self._name(name))

    def list_folder(self, name: str) -> list[FolderEntry]:
        return self._disk.list_folder(self._name(name))

    def walk(self, name: str) -> list[str]:
        return [found.removeprefix("objects/") for found in self._disk.walk(self._name(name))]

    def files_below(self, name: str) -> Iterator[str]:
        return iter(self.walk(name))

    def free_space(self) -> int:
        return self._disk.free_space()

    def real_path(self, name: str) -> Path | None:
        return self._disk.real_path(self._name(name))

    def is_at_hand(self, name: str) -> bool:
        return self._disk.is_at_hand(self._name(name))

    def close(self) -> None:
        self._disk.close()


class _MovedWhenClosed:
    def __init__(self, disk: AllMoved, name: str, file: OpenFile) -> None:
        self._disk = disk
        self._name = name
        self._file: OpenFile | None = file
        self.write = file.write
        self.write_block = file.write_block
        self.start_writing_back = file.start_writing_back
        self.sync = file.sync

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
            self._disk.move(self._name)
