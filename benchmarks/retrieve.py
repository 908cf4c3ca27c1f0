"""C-GET and C-MOVE. What comes is received by `benchmarks.sink`, the same for every server.

DCMTK's receivers would do too, but they take 0.5 ms of a core for an object, on the cores that the servers
run on: both servers waited for them, and the figures said little about either.

Where the system's default congestion control paces (BBR), part of the ratio is that Gantry does not pace what
stays within the machine, and the peers do as the system says; over a network both would.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.peers import Peer
from benchmarks.scu import STUDY_ROOT_GET, STUDY_ROOT_MOVE, Association


def get(peer: Peer, study_uid: str, objects: int) -> float:
    """Objects a second that a C-GET brings, from its request to its last answer."""
    association = Association(peer.dicom, peer.aet, abstract_syntax=STUDY_ROOT_GET)
    return _rate(peer, association, lambda: association.get(study_uid), objects)


def move(peer: Peer, study_uid: str, objects: int, destination: str) -> float:
    """Objects a second that a C-MOVE sends to `destination`, an AE that the peer knows."""
    association = Association(peer.dicom, peer.aet, abstract_syntax=STUDY_ROOT_MOVE)
    return _rate(peer, association, lambda: association.move(study_uid, destination), objects)


def _rate(peer: Peer, association: Association, retrieve: Callable[[], int], objects: int) -> float:
    started = time.perf_counter()
    completed = retrieve()
    elapsed = time.perf_counter() - started
    association.release()
    if completed != objects:
        raise RuntimeError(f"{peer.name} sent {completed} of {objects} objects")
    return objects / elapsed
