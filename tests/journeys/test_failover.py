"""A database that dies again and again, or whose standby takes its place: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disks import small_disk
from gantry_process import Gantry, wait_until
from postgres import PostgresServer
from senders import Site, assert_sound_after_a_cut, listed, lost, sending

pytestmark = [pytest.mark.peer, pytest.mark.slow]

KILLS = 2
MB = 1 << 20
SOAK_S = float(os.environ.get("GANTRY_SOAK_S", 1800))


@contextmanager
def two_servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    primary = PostgresServer()
    try:
        standby = PostgresServer(of=primary)
        try:
            yield primary, standby
        finally:
            standby.stop()
    finally:
        primary.stop()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_standby_takes_the_place_of_its_database(workers: int, tmp_path: Path) -> None:
    with two_servers() as (primary, standby):
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        index = f"postgresql://gantry@{hosts}/postgres?target_session_attrs=read-write&schema=failover"
        with Site(tmp_path / "data", workers=workers, index=index, index_connections=4) as site:
            with sending(site, associations=4):
                site.wait_for_acknowledged(60, 60)
                primary.kill(signal.SIGKILL)
                site.wait_for_refusals()
                standby.promote()
                site.go_on_for(60)
            # A worker that nobody asked meanwhile finds the new primary when it is asked
            wait_until(
                lambda: all(is_ready(site.server) for _ in range(4 * workers)), what="workers that are ready"
            )
            assert lost(site.server, site.ledger.acknowledged) == []
            assert site.server.stop() == 0
        assert_sound_after_a_cut(tmp_path / "data", site.ledger, index=index)


def is_ready(server: Gantry) -> bool:
    with server.client() as http:
        return http.get("/readyz").status_code == 200


@pytest.mark.parametrize("seed", [1])
def test_n01_n04_postgresql_is_killed_again_and_again_under_eight_senders(tmp_path: Path, seed: int) -> None:
    kill_again_and_again(tmp_path, random.Random(seed), KILLS)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 3600)
def test_n01_n04_postgresql_is_killed_for_half_an_hour(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, random.Random(time.time_ns()), None)


def kill_again_and_again(tmp_path: Path, chance: random.Random, kills: int | None) -> None:
    """So many times, or for `SOAK_S`; every second time the server goes with its database."""
    end = time.monotonic() + SOAK_S
    database = PostgresServer()
    try:
        index = database.fresh_url()
        with Site(tmp_path / "data", index=index, index_connections=8) as site:
            with sending(site, associations=8):
                killed = 0
                while killed < kills if kills is not None else time.monotonic() < end:
                    site.wait_for_acknowledged(chance.randint(3, 120), 60)
                    kill(site, database, chance, with_server=killed % 2 == 1)
                    killed += 1
            assert {told[:4] for told in site.ledger.failures} <= {"A700", "202 "}, site.ledger.failures
            assert lost(site.server, site.ledger.acknowledged) == []
            assert site.server.stop() == 0
            assert "read-only" not in site.server.words
        assert_sound_after_a_cut(tmp_path / "data", site.ledger, index=index)
        print(f"{killed} kills, {len(site.ledger.acknowledged)} objects acknowledged, none lost")
    finally:
        database.stop()


def kill(site: Site, database: PostgresServer, chance: random.Random, *, with_server: bool) -> None:
    """End the database, let senders be refused, start it again; all that was acknowledged is listed then."""
    acknowledged = site.ledger.snapshot()
    database.kill(chance.choice((signal.SIGQUIT, signal.SIGKILL)))
    site.wait_for_refusals()
    if with_server:
        site.server.kill()
    database.start()
    if with_server:
        assert site.restart().seconds_to_ready < 10
    site.go_on_for(chance.randint(10, 60))
    assert not set(acknowledged) - listed(site.server)


@pytest.mark.timeout(400)
def test_n07_the_disk_of_the_database_fills_under_eight_senders() -> None:
    """Objects are refused, what is kept is still read, and with room again all goes on by itself."""
    # Not below a folder of pytest, which PostgreSQL's own user may not look into
    with tempfile.TemporaryDirectory(prefix="gantry-full-") as folder:
        Path(folder).chmod(0o755)
        with small_disk(Path(folder) / "disk", f"size={90 * MB}") as disk:
            fill(Path(folder) / "data", disk)


def fill(data: Path, disk: Path) -> None:
    database = PostgresServer(disk=disk)
    try:
        index = database.fresh_url()
        with Site(data, index=index, index_connections=8) as site:
            with sending(site, associations=8):
                site.wait_for_acknowledged(60, 60)
                ballast = disk / "ballast"
                ballast.write_bytes(bytes(shutil.disk_usage(disk).free - MB))
                site.wait_for_refusals(20, 60)
                acknowledged = site.ledger.snapshot()
                assert is_ready(site.server)
                assert len(listed(site.server)) > 40  # some of the others wait in the log
                ballast.unlink()
                database.start_where_it_ended()
                site.go_on_for(60)
            assert not set(acknowledged) - listed(site.server)
            assert {told[:4] for told in site.ledger.failures} <= {"A700", "202 "}, site.ledger.failures
            assert lost(site.server, site.ledger.acknowledged) == []
            assert site.server.stop() == 0
            assert "read-only" not in site.server.words
        assert_sound_after_a_cut(data, site.ledger, index=index)
    finally:
        database.stop()
