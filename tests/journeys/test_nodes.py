"""Workers and nodes that serve one archive, killed and cut off under senders: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from buckets import allowed, bucket_url
from gantry.client import sync
from gantry_process import Gantry, gantry, running, start, wait_until
from namespaces import HOST, NETWORK, Balancer, Namespace, haproxy, namespaces
from postgres import PostgresServer
from raw_peer import RawPeer
from senders import Site, assert_sound_after_a_cut, listed, lost, sending
from serving import dataset, part10
from swift import SwiftServer
from swift import running as swift_running
from web_serving import STORE_TYPE, related

pytestmark = [pytest.mark.peer, pytest.mark.slow]

KILLS = {"folder": 4, "bucket": 2}
BUSY = ("A700", "202 ")
"""What senders are told by a server that cannot keep things now: DIMSE, and STOW-RS of which some was kept."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def bucket_server() -> Iterator[SwiftServer]:
    with swift_running() as server, allowed(server):
        yield server


def workers_of(server: Gantry) -> list[int]:
    """Process numbers of its workers that are alive."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.timeout(500)
@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_workers_killed_in_mid_association_lose_nothing_and_the_others_go_on(
    where: str, postgres: PostgresServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"index": postgres.fresh_url(), "index_connections": 4}
    if where == "bucket":
        settings["store"] = bucket_url(request.getfixturevalue("bucket_server"))
    chance = random.Random(7)
    with Site(tmp_path / "data", workers=3, **settings) as site:
        with sending(site, associations=6):
            for _ in range(KILLS[where]):
                site.wait_for_acknowledged(chance.randint(10, 60), 60)
                os.kill(chance.choice(workers_of(site.server)), signal.SIGKILL)
                # With two, and then with three again
                site.go_on_for(20)
        assert site.ledger.failures == []
        wait_until(lambda: len(workers_of(site.server)) == 3, 200)
        assert lost(site.server, site.ledger.acknowledged) == []
        assert site.server.stop() == 0
    assert_sound_after_a_cut(tmp_path / "data", site.ledger, **settings)


@pytest.mark.timeout(500)
def test_a_bucket_that_is_killed_under_senders_costs_refusals_and_loses_nothing(
    postgres: PostgresServer, bucket_server: SwiftServer, tmp_path: Path
) -> None:
    settings: dict[str, object] = {"index": postgres.fresh_url(), "store": bucket_url(bucket_server)}
    with Site(tmp_path / "data", **settings) as site:
        with sending(site, associations=4):
            for _ in range(3):
                site.wait_for_acknowledged(30, 60)
                bucket_server.kill()
                wait_until(lambda: bool(site.ledger.failures), what="a refusal")
                bucket_server.start()
                site.go_on_for(30)
                assert not [one for one in site.ledger.failures if not one.startswith(BUSY)]
                site.ledger.failures.clear()
            site.go_on_for(30)
        assert lost(site.server, site.ledger.acknowledged) == []
        with site.server.client() as http:
            counted = dict(line.split() for line in http.get("/metrics").text.splitlines() if line[0] != "#")
        assert float(counted["gantry_store_cache_bytes"]) > 0
        assert float(counted["gantry_store_cache_hits_total"]) >= len(site.ledger.acknowledged)
        assert float(counted["gantry_behind"]) == 0
        assert site.server.stop() == 0
    assert_sound_after_a_cut(tmp_path / "data", site.ledger, **settings)


def test_what_one_worker_took_is_seen_through_all_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    """Each request on a connection of its own, so that any worker may have it."""
    with running(tmp_path / "data", index=postgres.fresh_url(), workers=3, reserve_bytes=0) as server:
        for n in range(1, 13):
            with server.client() as http:
                body = related([part10(dataset(n))])
                sent = http.post("/dicom-web/studies", content=body, headers={"content-type": STORE_TYPE})
            assert sent.status_code == 200, sent.text
            assert len(listed(server)) == n
            study = sent.json()["00081190"]["Value"][0].rpartition("/dicom-web")[2]
            with server.client() as http:
                found = http.get(f"/dicom-web{study}/metadata").raise_for_status().json()
            assert len(found) == n


def test_each_worker_answers_for_what_all_of_them_have_counted(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """Those that were killed, too: what was told once never falls."""
    settings: dict[str, object] = {"index": postgres.fresh_url(), "workers": 3, "reserve_bytes": 0}
    with running(tmp_path / "data", **settings) as server, ExitStack() as standing:
        for _ in range(9):
            standing.enter_context(RawPeer(server.dicom)).associate()
        for n in range(1, 10):
            assert [one.status for one in sync.store(server.peer, [part10(dataset(n))])] == [0]
        wait_until(lambda: counted(server)["gantry_associations_ended_total", ENDED] == 9)
        cpu_s = 0.0
        for asked in range(12):
            now = counted(server)
            assert now["gantry_c_store_total", (("status", "0000"),)] == 9
            assert now["gantry_associations", ()] == 9
            assert now["gantry_instances", ()] == 9
            assert now.get(("gantry_http_requests_total", METRICS), 0) >= asked
            assert now["process_cpu_seconds_total", ()] >= cpu_s
            cpu_s = now["process_cpu_seconds_total", ()]
        killed = workers_of(server)[0]
        os.kill(killed, signal.SIGKILL)
        while len(now_there := workers_of(server)) < 3 or killed in now_there:
            with suppress(httpx.TransportError):  # it was the one that ends that took the question
                now = counted(server)
                assert now["gantry_c_store_total", (("status", "0000"),)] == 9
                assert now["process_cpu_seconds_total", ()] >= cpu_s
                cpu_s = now["process_cpu_seconds_total", ()]
        assert [one.status for one in sync.store(server.peer, [part10(dataset(10))])] == [0]
        assert counted(server)["gantry_c_store_total", (("status", "0000"),)] == 10
        standing.close()
        wait_until(lambda: counted(server)["gantry_associations", ()] == 0)


ENDED = (("end", "released"),)
METRICS = (("method", "GET"), ("route", "/metrics"), ("status", "200"))


def counted(server: Gantry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a worker, whichever takes a new connection, says of all."""
    with server.client() as http:
        text = http.get("/metrics").raise_for_status().text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_workers_end_with_the_one_that_started_them(postgres: PostgresServer, tmp_path: Path) -> None:
    server = start(tmp_path / "data", index=postgres.fresh_url(), workers=2, reserve_bytes=0)
    workers = workers_of(server)
    assert len(workers) == 2
    server.kill()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 30)


def test_workers_without_a_database_are_refused(tmp_path: Path) -> None:
    done = gantry("serve", "--data", tmp_path, "--workers", 2, "--http", "127.0.0.1:0")
    assert done.returncode == 2
    assert "docs/nodes.md" in done.stderr


# --- hosts of their own --------------------------------------------------------------------------


@pytest.fixture
def hosts(request: pytest.FixtureRequest) -> Iterator[list[Namespace]]:
    with namespaces(request.param) as made:
        yield made


class Nodes:
    """Nodes of one archive, on hosts of their own, over a database and a bucket that they reach by their wires.

    As a context it leaves no process behind.
    """

    def __init__(
        self, hosts: list[Namespace], bucket: SwiftServer, folder: Path, ports: tuple[int, int]
    ) -> None:
        self._stack = ExitStack()
        self._hosts = hosts
        self._folder = folder
        self._ports = ports
        postgres = PostgresServer(HOST, NETWORK)
        self._stack.callback(postgres.stop)
        port = bucket.endpoint.rpartition(":")[2]
        to_store = Balancer([("127.0.0.1", int(port))], HOST)
        self._stack.callback(to_store.close)
        self.index = postgres.fresh_url()
        self.store = bucket_url(bucket)
        self._settings: dict[str, object] = {
            "index": self.index.replace("127.0.0.1", HOST),
            "store": self.store.replace("127.0.0.1", HOST).replace(port, str(to_store.port)),
            "insecure_expose": True,
            "index_connections": 3,
            "reserve_bytes": 0,
            "find_limit": 1_000_000,
            "max_associations_per_peer": 64,
        }

    def __enter__(self) -> Nodes:
        self.all = [self.start(n) for n in range(len(self._hosts))]
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._stack.close()
        if error is not None:
            for one in self.all:
                error.add_note(one.words[-2000:])

    def start(self, n: int) -> Gantry:
        """Start a node, anew where it was killed."""
        host = self._hosts[n]
        made = start(
            self._folder / f"node{n}",
            within=host.within,
            address=host.address,
            ports=self._ports,
            **self._settings,
        )
        self._stack.callback(made.kill)
        return made

    def restart(self, n: int) -> None:
        self.all[n] = self.start(n)

    def assert_nothing_is_lost(self, site: Site) -> None:
        """All that was acknowledged is at each node, and they end in order."""
        # Who waited for the turn of one that was cut off was told to come again, and nothing else
        assert not [failure for failure in site.ledger.failures if not failure.startswith(BUSY)]
        for one in self.all:
            assert not set(site.ledger.acknowledged) - listed(one)
        assert lost(site.server, site.ledger.acknowledged) == []
        for one in self.all:
            assert one.stop() == 0


class Behind(Site):
    """Several nodes, found at what stands before them."""

    def __init__(self, door: Gantry) -> None:
        self._begin(door)

    def __exit__(self, *_: object) -> None:
        self.end()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("hosts", [4], indirect=True)
def test_a_node_that_dies_or_is_cut_off_loses_nothing_and_the_others_go_on(
    hosts: list[Namespace], bucket_server: SwiftServer, tmp_path: Path
) -> None:
    with Nodes(hosts, bucket_server, tmp_path, (0, 0)) as nodes, ExitStack() as stack:

        def at(n: int) -> tuple[tuple[str, int], tuple[str, int]]:
            one = nodes.all[n]
            return (one.address, one.dicom), (one.address, one.http)

        dicom, http = (Balancer([at(n)[door] for n in range(len(hosts))]) for door in (0, 1))
        stack.callback(dicom.close)
        stack.callback(http.close)
        door = replace(nodes.all[0], address="127.0.0.1", dicom=dicom.port, http=http.port)
        site = stack.enter_context(Behind(door))
        with sending(site, associations=6):
            site.wait_for_acknowledged(40, 60)
            nodes.all[0].kill()
            site.go_on()
            site.wait_for_acknowledged(40, 60)
            for balancer, target in zip((dicom, http), at(0), strict=True):
                balancer.leave_out(target)
            nodes.restart(0)
            for balancer, target in zip((dicom, http), at(0), strict=True):
                balancer.take_in(target)
            site.wait_for_acknowledged(40, 60)
            hosts[1].cut()
            for balancer, target in zip((dicom, http), at(1), strict=True):
                balancer.leave_out(target)
            site.go_on()
            site.wait_for_acknowledged(40, 120)
            hosts[1].mend()
            for balancer, target in zip((dicom, http), at(1), strict=True):
                balancer.take_in(target)
            site.wait_for_acknowledged(20, 60)
        nodes.assert_nothing_is_lost(site)
        settings: dict[str, object] = {"index": nodes.index, "store": nodes.store}
        assert_sound_after_a_cut(tmp_path / "looking", site.ledger, **settings)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("hosts", [3], indirect=True)
def test_haproxy_with_the_file_that_is_shipped_finds_two_nodes_and_leaves_out_one_that_is_gone(
    hosts: list[Namespace], bucket_server: SwiftServer, tmp_path: Path
) -> None:
    """It sends associations and requests to both, to the other when one is killed or cut off, and to both again."""
    *of_nodes, of_balancer = hosts
    with (
        Nodes(of_nodes, bucket_server, tmp_path, (8080, 11112)) as nodes,
        haproxy(of_balancer, "node", of_nodes) as address,
        Behind(replace(nodes.all[0], address=address, http=8080, dicom=11112)) as site,
    ):
        wait_until(lambda: all(has_had_requests(site.server, one) for one in nodes.all))
        with sending(site, associations=6):
            wait_until(lambda: all(has_an_association(one) for one in nodes.all), 60)
            nodes.all[0].kill()
            site.go_on_for(40)
            nodes.restart(0)
            wait_until(lambda: has_an_association(nodes.all[0]), 60)
            before = site.ledger.snapshot()
            of_nodes[1].cut()
            # Those, too, who wait for an answer of the node that is cut off
            wait_until(lambda: go_on_all(site, before), 90)
            of_nodes[1].mend()
            wait_until(lambda: has_an_association(nodes.all[1]), 60)
        nodes.assert_nothing_is_lost(site)


def go_on_all(site: Site, before: dict[str, bytes]) -> bool:
    """Whether each sender, who has a study of his own, has had something acknowledged since `before`."""
    site.go_on()
    time.sleep(0.5)
    since = {uid.split(".")[-3] for uid in site.ledger.snapshot().keys() - before.keys()}
    return since >= {uid.split(".")[-3] for uid in site.ledger.sent}


def has_an_association(server: Gantry) -> bool:
    """Not yet where it has only just found its database again, and says 503."""
    with suppress(httpx.HTTPStatusError):
        return counted(server)["gantry_associations", ()] > 0
    return False


def has_had_requests(door: Gantry, node: Gantry) -> bool:
    """Whether one of the requests that are sent to a balancer has come to a node by now."""
    with door.client() as http, suppress(httpx.TransportError):
        http.get("/api/stats")
    stats = (("method", "GET"), ("route", "/api/stats"), ("status", "200"))
    return counted(node).get(("gantry_http_requests_total", stats), 0) > 0
