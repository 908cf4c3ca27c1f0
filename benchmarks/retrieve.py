"""C-GET and C-MOVE, driven by DCMTK's own tools, which receive and throw away."""

from __future__ import annotations

import os
import subprocess
import time

from benchmarks.peers import Peer

_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def _keys(study_uid: str) -> list[str]:
    return ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]


def get(peer: Peer, study_uid: str, objects: int) -> float:
    """Objects a second that getscu receives; the tool's own start is part of the time."""
    command = ["getscu", "--ignore", "-pdu", "131072", *_keys(study_uid), "-aec", peer.aet]
    return _rate([*command, "127.0.0.1", str(peer.dicom)], objects)


def move(peer: Peer, study_uid: str, objects: int, port: int) -> float:
    """Objects a second that movescu receives on `port` as AE MOVESCU, which the peer knows."""
    command = ["movescu", "--ignore", "-pdu", "131072", "+P", str(port), "-aet", "MOVESCU", "-aem", "MOVESCU"]
    return _rate([*command, *_keys(study_uid), "-aec", peer.aet, "127.0.0.1", str(peer.dicom)], objects)


def _rate(command: list[str], objects: int) -> float:
    started = time.perf_counter()
    said = subprocess.run(command, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - started
    if said.returncode:
        raise RuntimeError(f"{command[0]} ended with {said.returncode}: {said.stderr[-500:]}")
    return objects / elapsed
