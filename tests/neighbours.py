"""Honest peers beside the others: whatever is done to a server, these are served all the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bad_input import MAX_OBJECT_BYTES
from gantry_process import Gantry, running, wait_until
from raw_peer import RawPeer
from senders import assert_sound, digest, path_of
from serving import ROOT, dataset, dataset_bytes, part10

SETTINGS = {
    "reserve_bytes": 0,
    "max_object_bytes": MAX_OBJECT_BYTES,
    "artim_timeout_s": 1,
    "idle_timeout_s": 600,
}
ANSWER_S = 5.0
"""Within this a neighbour must be answered whatever else is going on."""

SLICE_BYTES = 32 << 10
"""What is sent of the half sent object at each check: more than the least rate that is borne."""


class Neighbours:
    """Honest peers that are served all the time: one idle, one half way through an object, one on HTTP."""

    def __init__(self, server: Gantry) -> None:
        self._server = server
        self._echoing = RawPeer(server.dicom, calling="NEIGHBOUR")
        self._storing = RawPeer(server.dicom, calling="SENDER")
        self._file = part10(dataset(7, size=16 << 20))
        self._message_id = 0
        self._http = server.client()
        self._web_port = 0
        self._echoing.associate()
        self._storing.associate()
        self._unsent = memoryview(self._storing.store_bytes(dataset_bytes(self._file), f"{ROOT}.1.1.7"))
        self._send(2 << 20)

    def _send(self, size: int) -> None:
        self._storing.send(bytes(self._unsent[:size]))
        self._unsent = self._unsent[size:]

    def check(self) -> None:
        """Those that stand are answered in time, on the connections that they had."""
        began = time.monotonic()
        self._send(SLICE_BYTES)
        self._message_id = self._message_id % 60_000 + 1
        self._echoing.send(self._echoing.echo_bytes(self._message_id))
        assert self._echoing.status() == 0
        answer = self._http.get("/api/health")
        assert answer.status_code == 200
        port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        assert self._web_port in (0, port), "the kept connection was closed"
        self._web_port = port
        assert time.monotonic() - began < ANSWER_S

    def finish(self) -> None:
        """The object that was half sent all the time arrives whole."""
        self._send(len(self._unsent))
        assert self._storing.status() == 0
        stored = self._http.get(
            path_of(f"{ROOT}.1.1.7"), headers={"accept": "application/dicom; transfer-syntax=*"}
        )
        assert digest(stored.content) == digest(self._file)

    def close(self) -> None:
        self._http.close()
        for peer in (self._echoing, self._storing):
            peer.sock.close()


@contextmanager
def watched(folder: Path) -> Iterator[tuple[Gantry, Neighbours]]:
    """A server with neighbours; at the end their half sent object is finished and the archive is sound."""
    outside = set(folder.iterdir())
    with running(folder / "data", **SETTINGS) as server:
        neighbours = Neighbours(server)
        try:
            wait_until(lambda: len(traces(server)) == 1, what="the half sent object is on disk")
            yield server, neighbours
            neighbours.finish()
        finally:
            neighbours.close()
        assert server.stats()["versions"] == 1
    assert set(folder.iterdir()) - outside == {folder / "data", server.log}
    assert_sound(folder / "data")


def traces(server: Gantry) -> set[Path]:
    """Files of objects, stored or half received."""
    found = [*(server.data / "objects").rglob("*"), *(server.data / "incoming").rglob("*")]
    return {path for path in found if path.is_file()}
