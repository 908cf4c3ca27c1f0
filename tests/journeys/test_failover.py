"""A database that dies, and its standby that takes its place: nothing acknowledged is lost, nobody restarts."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gantry_process import wait_until
from postgres import PostgresServer
from senders import Site, assert_sound_after_a_cut, lost, sending

pytestmark = [pytest.mark.peer, pytest.mark.slow]


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
                wait_until(lambda: bool(site.ledger.failures), what="a refusal")
                standby.promote()
                site.go_on_for(60)
            assert lost(site.server, site.ledger.acknowledged) == []
            assert site.server.stop() == 0
        assert_sound_after_a_cut(tmp_path / "data", site.ledger, index=index)
