"""C-GET and C-MOVE, received by DCMTK's own tools, which throw away what they get."""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks.peers import Peer
from benchmarks.scu import STUDY_ROOT_MOVE, Association

_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def _keys(study_uid: str) -> list[str]:
    return ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]


def get(peer: Peer, study_uid: str, objects: int) -> float:
    """Objects a second that getscu receives; the tool's own start is part of the time."""
    command = ["getscu", "--ignore", "-pdu", "131072", *_keys(study_uid), "-aec", peer.aet]
    return _rate([*command, "127.0.0.1", str(peer.dicom)], objects)


def move(peer: Peer, study_uid: str, objects: int, destination: str) -> float:
    """Objects a second that a C-MOVE sends to `destination`, an AE that the peer knows.

    Asked for by an SCU of our own: movescu waits a second of its own accord before it ends.
    """
    association = Association(peer.dicom, peer.aet, abstract_syntax=STUDY_ROOT_MOVE)
    started = time.perf_counter()
    completed = association.move(study_uid, destination)
    elapsed = time.perf_counter() - started
    association.release()
    if completed != objects:
        raise RuntimeError(f"{peer.name} moved {completed} of {objects} objects")
    return objects / elapsed


def _rate(command: list[str], objects: int) -> float:
    started = time.perf_counter()
    said = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    if said.returncode:
        raise RuntimeError(f"{command[0]} ended with {said.returncode}: {said.stderr[-500:]}")
    return objects / elapsed
