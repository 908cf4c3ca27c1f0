"""N20, B84: the clock of a server is set, a second comes twice and the zone changes while senders are at work.

Nothing is lost, nothing changes places, and what tells of a time tells it in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from faked_clock import FakedClock
from gantry.client import sync
from gantry_process import Gantry, gantry, running
from senders import Site, assert_sound, lost, sending
from serving import ROOT, dataset, part10

pytestmark = pytest.mark.slow

SENDERS = 4
HOUR_S = 3600
EDITED = f"{ROOT}.900"
LEAP = datetime(2028, 2, 29, 23, 59, 59, 500_000, UTC)
"""The end of a day that not every year has; this one has a second more."""

TURNS: dict[str, Callable[[FakedClock], None]] = {
    "an hour forward": lambda clock: clock.turn(HOUR_S),
    "two hours back": lambda clock: clock.turn(-2 * HOUR_S),
    "to the last second of 29 February": lambda clock: clock.set(LEAP),
    "that second once more": lambda clock: clock.turn(-1),
    "years back": lambda clock: clock.set(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)),
}


def test_n20_b84_the_clock_is_set_and_the_zone_changed_under_load(tmp_path: Path) -> None:
    clock = FakedClock(tmp_path)
    with Site(tmp_path / "data", within=clock.within("America/New_York")) as site:
        assert [result.status for result in sync.store(site.server.peer, [part10(dataset(study=900))])] == [0]
        with sending(site, associations=SENDERS):
            for words, turn in TURNS.items():
                site.wait_for_acknowledged(20, 60)
                turn(clock)
                describe(site.server, words)
            site.wait_for_acknowledged(20, 60)
            site.server.kill()
            server = site.restart(within=clock.within("Pacific/Kiritimati"))
            assert server.seconds_to_ready < 10
            site.wait_for_acknowledged(20, 60)
            describe(server, "a day ahead")
        assert site.ledger.failures == []
        assert lost(server, site.ledger.acknowledged) == []
        order = arrivals(server)
        check_edits(server)
        assert server.stop() == 0
        assert "Traceback" not in server.words
        assert re.findall(r"^20\S+(?<!\+00:00) .*", server.words, re.MULTILINE) == []
    assert_sound(tmp_path / "data")
    assert gantry("reindex", "--data", tmp_path / "data").returncode == 0
    with running(tmp_path / "data", reserve_bytes=0, find_limit=1_000_000) as server:
        assert arrivals(server) == order
        check_edits(server)


def describe(server: Gantry, words: str) -> None:
    """An edit, which becomes an act with its time in its name."""
    asked = {
        "kind": "modify",
        "target": {"study": EDITED},
        "why": words,
        "changes": {"StudyDescription": words},
    }
    with server.client() as http:
        assert http.post("/api/edits", json=asked).status_code == 201


def check_edits(server: Gantry) -> None:
    """The edits are in the order in which they were made, and the last one holds."""
    with server.client() as http:
        edits = http.get("/api/edits").json()["edits"]
        study = http.get(f"/dicom-web/studies?StudyInstanceUID={EDITED}&includefield=StudyDescription").json()
    edits.sort(key=lambda edit: edit["edit"])
    assert [edit["why"] for edit in edits] == [*TURNS, "a day ahead"]
    assert all(edit["at"].endswith("+00:00") for edit in edits)
    # Within a run stamps only go on, whatever the clock does; the next run begins with what the clock says
    *first_run, after_it = [edit["at"] for edit in edits]
    assert first_run == sorted(first_run)
    assert first_run[2] >= "2028-02-29T23:59:59"
    assert after_it.startswith("2026-03-29")
    assert study[0]["00081030"]["Value"] == ["a day ahead"]


def arrivals(server: Gantry) -> list[str]:
    """New objects in the order of the feed; those of who sends one at a time are in the order of sending."""
    found: list[dict[str, Any]] = []
    with server.client() as http:
        while page := http.get(f"/api/changes?limit=1000&after={found[-1]['seq'] if found else 0}").json()[
            "changes"
        ]:
            found += page
    assert all(change["at"].endswith("+00:00") for change in found)
    assert [change["seq"] for change in found] == sorted({change["seq"] for change in found})
    stored = [change["instance"] for change in found if change["kind"] == "stored"]
    alone = [int(uid.rpartition(".")[2]) for uid in stored if uid.startswith(f"{ROOT}.{SENDERS}.")]
    assert alone == sorted(alone)
    return stored
