"""Bad input again and again: nothing of it is kept, in memory or on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from bad_inputs import CASES
from gantry_process import Gantry, wait_until
from neighbours import Neighbours, traces, watched

ROUNDS = 3
WARM_UP = 2
LEAK_BYTES = 12 << 20
"""Growth that threads and the allocator may keep over the rounds; one body of those sent, kept, would be more."""

SLOW = ("b01-silence", "b41-more-than-a-million-items", "b52-a-deflate-bomb")
"""Cases that are not repeated: they wait, or count long, and hold nothing that others do not."""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_memory_and_files_are_flat_under_all_of_it(tmp_path: Path) -> None:
    with watched(tmp_path) as (server, neighbours):
        at_first = traces(server)
        for _ in range(WARM_UP):
            one_round(server, neighbours)
        before, files = server.resident_bytes(), server.open_files()
        for _ in range(ROUNDS):
            one_round(server, neighbours)
        wait_until(lambda: traces(server) == at_first, what="what was half received is gone")
        wait_until(lambda: server.open_files() <= files + 2, what="open files as before")
        grown = server.resident_bytes() - before
    assert grown < LEAK_BYTES, f"{grown / 1e6:.1f} MB in {ROUNDS} rounds"


def one_round(server: Gantry, neighbours: Neighbours) -> None:
    for bad in CASES:
        if bad.name not in SLOW:
            bad.send(server)
            neighbours.check()
