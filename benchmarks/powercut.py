"""Pull the plug: how many acknowledged objects does each archive lose?

The archive's folder lies on an ext4 file system of its own, in an image behind a loop device. What the
kernel has not written to the image is what a real machine would lose. While four senders store, the
image is copied as it stands: that copy is the disk after the cut. It is mounted, the archive started on it,
and everything asked back with getscu. Needs root and loop devices.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom

from benchmarks import peers, scu
from benchmarks.corpus import Slice, study
from benchmarks.peers import Peer

IMAGE_MB = 700
SENDERS = 4
OBJECTS_PER_SENDER = 200
SECONDS_BEFORE_CUT = (0.6, 1.1, 1.7, 2.3)


@dataclass(frozen=True, slots=True)
class Loss:
    """What one archive acknowledged over all cuts, and how much of that was not given back."""

    peer: str
    acknowledged: int
    lost: int


def possible() -> bool:
    """Whether this machine lets us mount an image."""
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and shutil.which("mkfs.ext4") is not None


def losses(cuts: int) -> Iterator[Loss]:
    """Cut the power `cuts` times under each archive."""
    makers: tuple[Callable[[Path], Peer], ...] = (peers.gantry, peers.orthanc, peers.dcmqrscp)
    for make in makers:
        name, acknowledged, lost = "", 0, 0
        for cut in range(cuts):
            name, kept, gone = _one_cut(make, SECONDS_BEFORE_CUT[cut % len(SECONDS_BEFORE_CUT)])
            acknowledged += kept + gone
            lost += gone
        yield Loss(name, acknowledged, lost)


def _one_cut(make: Callable[[Path], Peer], seconds: float) -> tuple[str, int, int]:
    shares = [list(study(9000 + n, OBJECTS_PER_SENDER, size=256)) for n in range(SENDERS)]
    with tempfile.TemporaryDirectory(prefix="gantry-cut-", dir="/dev/shm") as folder:
        image, after, mount = Path(folder, "disk"), Path(folder, "after"), Path(folder, "mount")
        subprocess.run(["truncate", "-s", f"{IMAGE_MB}M", str(image)], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(image)], check=True)
        mount.mkdir()
        with _mounted(image, mount):
            peer = make(mount).start()
            acknowledged = _store_until_copied(peer, shares, seconds, image, after)
        with _mounted(after, mount):
            kept = _given_back(make(mount), shares, acknowledged)
        return peer.name, kept, len(acknowledged) - kept


def _store_until_copied(
    peer: Peer, shares: list[list[Slice]], seconds: float, image: Path, after: Path
) -> list[str]:
    acknowledged: list[str] = []
    threads = [
        threading.Thread(target=scu.store_until_cut, args=(peer.dicom, peer.aet, share, acknowledged))
        for share in shares
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    assert peer.process is not None
    before_the_cut = list(acknowledged)  # an answer on its way during the copy may come after the cut
    _stop_family(peer.process.pid)
    subprocess.run(["cp", "--sparse=always", str(image), str(after)], check=True)
    _kill_family(peer.process.pid)
    peer.process.wait()
    for thread in threads:
        thread.join()
    return before_the_cut


def _family(pid: int) -> list[int]:
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [pid, *(p for child in children.stdout.split() for p in _family(int(child)))]


def _stop_family(pid: int) -> None:
    for member in _family(pid):
        os.kill(member, signal.SIGSTOP)


def _kill_family(pid: int) -> None:
    for member in reversed(_family(pid)):
        os.kill(member, signal.SIGKILL)


def _given_back(peer: Peer, shares: list[list[Slice]], acknowledged: list[str]) -> int:
    """How many acknowledged objects the archive gives back with the pixels that were sent."""
    sent = {item.sop_uid: _pixel_digest(item.part10) for share in shares for item in share}
    wanted = set(acknowledged)
    kept = 0
    with peer, tempfile.TemporaryDirectory(prefix="gantry-back-", dir="/dev/shm") as folder:
        for share in shares:
            keys = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={share[0].study_uid}"]
            command = ["getscu", "+B", "-od", folder, *keys, "-aec", peer.aet, "127.0.0.1", str(peer.dicom)]
            subprocess.run(command, capture_output=True, check=False)
            for path in Path(folder).iterdir():
                data = path.read_bytes()
                uid = str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
                kept += uid in wanted and _pixel_digest(data) == sent[uid]
                path.unlink()
    return kept


def _pixel_digest(part10: bytes) -> str:
    return hashlib.sha256(part10[-256 * 256 * 2 :]).hexdigest()


@contextmanager
def _mounted(image: Path, mount: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def main() -> None:
    for loss in losses(cuts=len(SECONDS_BEFORE_CUT)):
        print(f"{loss.peer}: {loss.lost} of {loss.acknowledged} acknowledged objects lost")


if __name__ == "__main__":
    main()
