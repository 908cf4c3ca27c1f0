"""A real server killed, cut off from power or stopped while four senders are at it: nothing acknowledged is lost.

The kill comes at an instant that the senders' progress makes random. The power cut is real to the file
system: the archive lies on an ext4 of its own behind a loop device, and the image of that device as it is at
one moment is the disk after the cut, because what was not written through to it is what a machine would lose.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from disks import a_disk, mounted
from gantry_process import Gantry, running
from senders import Site, assert_sound, assert_sound_after_a_cut, listed, lost, reading, sending

KILLS = 5
SOAK_S = float(os.environ.get("GANTRY_SOAK_S", 1800))
"""N4 speaks of half an hour."""

CUTS = 3


def kill_and_start(site: Site, chance: random.Random) -> None:
    """Let the senders get somewhere, kill the server, start it again, ask it for what it acknowledged."""
    site.wait_for_acknowledged(chance.randint(3, 120))
    acknowledged = site.ledger.snapshot()
    site.server.kill()
    server = site.restart()
    assert server.seconds_to_ready < 10
    assert not set(acknowledged) - listed(server)


def check_end(site: Site) -> None:
    """After the last kill: everything acknowledged is there bit for bit, and `verify` has nothing to say."""
    assert site.ledger.failures == []
    assert lost(site.server, site.ledger.acknowledged) == []
    assert site.server.stop() == 0
    assert_sound(site.data)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_n04_n03_n01_killed_under_four_senders_again_and_again(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Site(tmp_path / "data") as site:
        with reading(site) as torn, sending(site):
            for _ in range(KILLS):
                kill_and_start(site, chance)
        assert torn == []
        check_end(site)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 3600)
def test_n04_killed_for_half_an_hour(tmp_path: Path) -> None:
    chance = random.Random(time.time_ns())
    end = time.monotonic() + SOAK_S
    with Site(tmp_path / "data") as site:
        with reading(site) as torn, sending(site, associations=8):
            kills = 0
            while time.monotonic() < end:
                kill_and_start(site, chance)
                kills += 1
        assert torn == []
        check_end(site)
        print(f"{kills} kills, {len(site.ledger.acknowledged)} objects acknowledged, none lost")


@pytest.mark.slow
@pytest.mark.parametrize("cut", range(CUTS))
def test_n01_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, cut: int) -> None:
    chance = random.Random(cut)
    with a_disk() as folder:
        image, after, mount = folder / "disk", folder / "after", folder / "mount"
        with mounted(image, mount), Site(mount / "data") as site, sending(site):
            site.wait_for_acknowledged(chance.randint(50, 400))
            acknowledged = site.ledger.snapshot()
            cut_power(site.server, image, after)
        assert acknowledged
        with mounted(after, mount):
            with running(mount / "data", reserve_bytes=0, find_limit=1_000_000) as server:
                assert server.seconds_to_ready < 10
                assert lost(server, acknowledged) == []
            assert_sound_after_a_cut(mount / "data", site.ledger)


def cut_power(server: Gantry, image: Path, after: Path) -> None:
    """Keep the disk as it is at one moment, and end the server."""
    server.process.send_signal(signal.SIGSTOP)
    subprocess.run(["cp", "--sparse=always", str(image), str(after)], check=True)
    server.kill()


@pytest.mark.slow
def test_n18_stopped_under_load_finishes_and_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM: exit code 0 within 30 s; senders see closed connections and nothing worse."""
    with Site(tmp_path / "data") as site, sending(site):
        site.wait_for_acknowledged(60)
        began = time.monotonic()
        assert site.server.stop(30) == 0
        took = time.monotonic() - began
    assert took < 30
    assert site.ledger.failures == []
    acknowledged = site.ledger.snapshot()
    assert "Traceback" not in site.server.words
    assert_sound(site.data)
    with running(site.data, reserve_bytes=0, find_limit=1_000_000) as server:
        assert lost(server, acknowledged) == []
