"""Resident memory while many send at once, and while one sends something very large."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import scu
from benchmarks.corpus import Slice, study
from benchmarks.peers import Peer

ASSOCIATIONS = 64
LARGE_BYTES = 2_000_000_000
_PIECE = 16 << 20
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes resident: before, and at most while `what` happened."""

    peer: str
    what: str
    idle_mb: float
    peak_mb: float


class _Watch:
    """Notes the highest resident memory of a process until told to stop."""

    def __init__(self, peer: Peer) -> None:
        self.peak_mb = peer.resident_mb()
        self._peer = peer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(_POLL_S):
            self.peak_mb = max(self.peak_mb, self._peer.resident_mb())

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _watched(peer: Peer, what: str, work: Callable[[], object]) -> Memory:
    idle = peer.resident_mb()
    with _Watch(peer) as watch:
        work()
    return Memory(peer.name, what, idle, watch.peak_mb)


def _send_large(peer: Peer) -> None:
    """One object whose Pixel Data is made up while it is sent."""
    item = next(iter(study(7777, slices=1)))
    head = bytes(item.dataset)[: -(512 * 512 * 2 + 12)]
    pixel_data = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, LARGE_BYTES)
    association = scu.Association(peer.dicom, peer.aet, timeout_s=600)
    zeros = bytes(_PIECE)
    pieces: Iterator[bytes] = _pieces(head + pixel_data, zeros)
    association.send_pieces(item, pieces)
    association.release()


def _pieces(head: bytes, zeros: bytes) -> Iterator[bytes]:
    yield head
    left = LARGE_BYTES
    while left:
        piece = zeros[: min(left, len(zeros))]
        left -= len(piece)
        yield piece


def lines(peer: Peer, associations: int = ASSOCIATIONS) -> Iterator[Memory]:
    """Measure one peer; `associations` may have to be fewer where the peer takes no more from one address."""
    items: list[Slice] = list(study(7000, slices=2 * associations))
    yield _watched(
        peer,
        f"{associations} associations at once, 0.5 MB objects",
        lambda: scu.store_parallel(peer.dicom, peer.aet, items, associations),
    )
    yield _watched(peer, "one object of 2 GB", lambda: _send_large(peer))


def section(measured: list[Memory]) -> list[str]:
    """The results as lines of a page."""
    rows = [f"| {m.peer} | {m.what} | {m.idle_mb:.0f} | {m.peak_mb:.0f} |" for m in measured]
    head = ["## Resident memory", "", "| server | while | before, MB | at most, MB |", "|---|---|---|---|"]
    return [*head, *rows, ""]
