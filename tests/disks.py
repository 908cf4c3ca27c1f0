"""Disks that fill, fail, stop or lose their power: file systems of their own, so that a bad one harms nobody.

All need root, to mount them; where none may be mounted the test is skipped with a word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gantry_process import wait_until

IMAGE_BYTES = 700 << 20


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A tmpfs on `folder`, with `options` of mount that say how small it is."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small disk of its own needs root, to mount a tmpfs")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine does not let us mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def a_disk(size: int = IMAGE_BYTES) -> Iterator[Path]:
    """A folder with a fresh ext4 image `disk` of so many bytes and an empty folder `mount`."""
    with _folder() as folder:
        image = folder / "disk"
        with image.open("wb") as file:
            file.truncate(size)
        _make_ext4(image)
        yield folder


@contextmanager
def mounted(image: Path, mount: Path) -> Iterator[None]:
    """An image as a disk on the folder `mount`."""
    done = subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine does not let us mount an image: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@contextmanager
def stopped(mount: Path) -> Iterator[None]:
    """A disk that takes nothing meanwhile: whoever writes to it or wants it flushed waits; reads go on."""
    subprocess.run(["fsfreeze", "--freeze", str(mount)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(mount)], check=True)


@dataclass(frozen=True, slots=True)
class FailingDisk:
    """A disk on the folder `mount` whose device answers with I/O errors when told to."""

    mount: Path
    _image: Path
    _failing: Path

    def fail(self, kind: str) -> None:
        """From now on no ``write`` or no ``read`` comes through to the device; what is cached is still read."""
        (self._failing / kind).touch()

    def heal(self) -> None:
        """The device works again; the file system on it may have given up, see `repair`."""
        for kind in self._failing.iterdir():
            kind.unlink()

    def forget_cached(self, *files: Path) -> None:
        """Have the system ask the device for the bytes of files again."""
        subprocess.run(["sync", "--file-system", str(self.mount)], check=True)
        for path in (*files, self._image):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def repair(self) -> None:
        """Do what an administrator does after such a failure: unmount, check the file system, mount."""
        subprocess.run(["umount", str(self.mount)], check=True)
        checked = subprocess.run(["e2fsck", "-fy", self._image], capture_output=True, text=True, check=False)
        assert checked.returncode in (0, 1), checked.stdout
        subprocess.run(["mount", "-o", "loop", self._image, self.mount], check=True)


@contextmanager
def failing_disk() -> Iterator[FailingDisk]:
    """An ext4 on a loop device whose blocks nbdkit keeps, and gives or refuses as it is told."""
    if any(shutil.which(program) is None for program in ("nbdkit", "nbdfuse")):
        pytest.skip("a failing disk needs nbdkit and nbdfuse (Debian packages nbdkit, libnbd-bin)")
    if not Path("/dev/fuse").exists():
        pytest.skip("a failing disk needs FUSE, which this machine does not have")
    with _folder() as folder, ExitStack() as undo:
        image, failing, mount = folder / "nbd", folder / "failing", folder / "mount"
        failing.mkdir()
        image.touch()
        errors = [
            f"error-{call}{setting}"
            for call, kind in (("pwrite", "write"), ("zero", "write"), ("pread", "read"))
            for setting in ("=EIO", "-rate=100%", f"-file={failing / kind}")
        ]
        socket = folder / "socket"
        blocks = subprocess.Popen(
            [
                "nbdkit",
                "--foreground",
                "--unix",
                socket,
                "--filter=error",
                "memory",
                f"size={IMAGE_BYTES}",
                *errors,
            ],
            stderr=subprocess.DEVNULL,
        )
        undo.callback(blocks.wait)
        undo.callback(blocks.terminate)
        wait_until(socket.exists, what="nbdkit")
        file = subprocess.Popen(
            ["nbdfuse", image, f"nbd+unix:///?socket={socket}"], stderr=subprocess.DEVNULL
        )
        undo.callback(file.wait)
        wait_until(lambda: image.stat().st_size > 0 or file.poll() is not None, what="nbdfuse")
        if file.returncode is not None:
            pytest.skip("this machine does not let us mount with FUSE")
        undo.callback(subprocess.run, ["umount", "--lazy", str(image)], check=True)
        _make_ext4(image)
        with mounted(image, mount):
            yield FailingDisk(mount, image, failing)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder in memory with an empty folder `mount`."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists() or shutil.which("mkfs.ext4") is None:
        pytest.skip("a disk of its own needs root, loop devices and mkfs.ext4 (Debian package e2fsprogs)")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="gantry-disk-", dir=memory if memory.is_dir() else None) as name:
        (Path(name) / "mount").mkdir()
        yield Path(name)


def _make_ext4(image: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", str(image)], check=True)
