"""What the server counts of itself is what was done, in Prometheus's format, and tells of no patient."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gantry.client import sync
from gantry.server.metric_families import Family, added, families_of, text_of
from gantry.server.metrics import Metrics, own_families
from gantry_process import Gantry, running, wait_until
from raw_peer import RawPeer
from serving import dataset, part10
from web_serving import WebServed, web_served

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(web: WebServed) -> Samples:
    answer = web.http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.text)


def test_requests_are_counted_by_method_route_and_status(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        for path in (
            "/api/stats",
            "/api/stats",
            "/dicom-web/studies/1.2.3/metadata",
            "/nothing",
            "/nothing/more",
        ):
            web.http.get(path)
        web.http.request("PROPFIND", "/api/stats")
        found = asked(web)
    labels = ("method", "GET"), ("route", "/api/stats"), ("status", "200")
    assert found["gantry_http_requests_total", labels] == 2
    metadata = [
        value
        for (name, labels), value in found.items()
        if name == "gantry_http_requests_total"
        and dict(labels)["route"] == "/dicom-web/studies/{study}/metadata"
        and dict(labels)["status"] == "404"
    ]
    assert metadata == [1]
    unknown = ("method", "GET"), ("route", "none"), ("status", "404")
    assert found["gantry_http_requests_total", unknown] == 2
    brewed = ("method", "other"), ("route", "/api/stats"), ("status", "405")
    assert found["gantry_http_requests_total", brewed] == 1
    route = (("route", "/api/stats"),)
    assert found["gantry_http_seconds_count", route] == 3
    assert found["gantry_http_seconds_bucket", (("le", "+Inf"), *route)] == 3
    assert found["gantry_http_in_flight", ()] == 1, "the one that asks"


def test_names_that_a_client_makes_up_are_no_labels(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        for number in range(50):
            web.http.get(f"/made-up/{number}")
            web.http.get(f"/dicom-web/studies/1.2.{number}/metadata")
            web.http.request(("LOCK", "MOVE", "COPY", "PROPFIND")[number % 4], "/api/stats")
            if number < 2:
                before = {key for key in asked(web) if not key[0].endswith("_created")}
        after = {key for key in asked(web) if not key[0].endswith("_created")}
    assert after == before


def test_counts_of_several_processes_are_added_up_as_those_of_one(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        told = []
        for times, verb in ((2, "C-STORE"), (3, "C-FIND")):
            metrics = Metrics()
            metrics.messages.update({"C-ECHO": times, verb: 1})
            metrics.in_flight = times
            metrics.note_request("GET", "/api/stats", 200, 0.002)
            metrics.note_request("GET", f"/only/{verb}", 200, 60.0)
            told.append(own_families(web.archive, metrics))
    memory = [samples(text_of(one).decode())["process_resident_memory_bytes", ()] for one in told]
    found = samples(text_of(added(told)).decode())
    assert found["gantry_dimse_requests_total", (("verb", "C-ECHO"),)] == 5
    assert found["gantry_dimse_requests_total", (("verb", "C-STORE"),)] == 1
    assert found["gantry_http_in_flight", ()] == 5
    route = ("route", "/api/stats")
    assert found["gantry_http_seconds_bucket", (("le", "0.001"), route)] == 0
    assert found["gantry_http_seconds_bucket", (("le", "0.0025"), route)] == 2
    assert found["gantry_http_seconds_sum", (route,)] == pytest.approx(0.004, abs=1e-7)
    assert found["gantry_http_seconds_count", (("route", "/only/C-FIND"),)] == 1
    assert found["process_resident_memory_bytes", ()] == sum(memory)
    assert found["gantry_writable", ()] == 1


@pytest.mark.parametrize(
    ("name", "values", "stands"),
    [
        ("gantry_writable", (1, 0, 1), 0),
        ("gantry_behind", (0, 1, 1), 1),
        ("gantry_associations", (2, 0, 3), 5),
    ],
)
def test_how_several_processes_are_is_told_by_the_one_that_matters(
    name: str, values: tuple[int, ...], stands: int
) -> None:
    told = [[Family(name, "", "gauge", ((name, (), float(value)),))] for value in values]
    assert [sample[2] for family in added(told) for sample in family.samples] == [stands]


def test_no_sum_falls_because_processes_answer_in_another_order() -> None:
    told = [
        [Family("seconds", "", "counter", (("seconds_total", (), value),))] for value in (0.1, 0.2, 0.3, 0.7)
    ]
    in_each_order = [added(order) for order in permutations(told)]
    assert in_each_order == [in_each_order[0]] * 24
    assert added([added(told[2:]), added(told[:2])]) == in_each_order[0]
    assert in_each_order[0][0].samples[0][2] == pytest.approx(1.3, abs=4e-6)


def test_families_are_written_as_the_library_writes_them(tmp_path: Path) -> None:
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    process = ProcessCollector(registry=registry)
    families = families_of(process.collect())
    kept = re.compile(rb"^(?:#.*|process_(?:start|max).*)$", re.MULTILINE)
    assert kept.findall(text_of(families)) == kept.findall(generate_latest(registry))


@pytest.mark.slow
def test_what_came_over_dicom_is_counted_and_tells_of_nobody(tmp_path: Path) -> None:
    files = [part10(dataset(number, PatientName="Secret^Sally", PatientID="SEC-77")) for number in (1, 2)]
    with running(tmp_path / "data", reserve_bytes=0) as server:
        assert [result.status for result in sync.store(server.peer, files)] == [0, 0]
        assert sync.echo(server.peer) == 0
        with RawPeer(server.dicom) as peer:
            peer.associate()
            text = metrics(server)
            assert samples(text)["gantry_associations", ()] == 1
        with server.connect() as nobody:
            nobody.sendall(b"not DICOM at all")
        # Another end of each association is told when its connection is closed.
        wait_until(lambda: samples(metrics(server))["gantry_associations", ()] == 0)
        text = metrics(server)
        found = samples(text)
        log = server.words
    assert found["gantry_dimse_requests_total", (("verb", "C-STORE"),)] == 2
    assert found["gantry_dimse_requests_total", (("verb", "C-ECHO"),)] == 1
    assert found["gantry_c_store_total", (("status", "0000"),)] == 2
    assert found["gantry_associations_ended_total", (("end", "released"),)] == 2
    assert found["gantry_instances", ()] == 2
    assert found["gantry_studies", ()] == 1
    assert found["gantry_size_bytes", ()] >= sum(map(len, files))
    assert found["gantry_writable", ()] == 1
    assert found["gantry_disk_free_bytes", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 0
    for secret in ("Secret", "Sally", "SEC-77", "1.2.826"):
        assert secret not in text
    assert not {"Secret", "Sally", "SEC-77"} & set(re.findall(r"[\w-]+", log))
    assert "association=1 peer=" in log


def metrics(server: Gantry) -> str:
    with server.client() as http:
        return http.get("/metrics").raise_for_status().text


def test_health_and_readiness_are_words(tmp_path: Path) -> None:
    with web_served(tmp_path) as web:
        for path in ("/healthz", "/readyz"):
            answer = web.http.get(path)
            assert (answer.status_code, answer.text) == (200, "ok\n")
        web.archive._committer.stop_writing("a disk that lies")
        assert web.http.get("/healthz").status_code == 200
        answer = web.http.get("/readyz")
        assert answer.status_code == 503
        assert "a disk that lies" in answer.text


@pytest.mark.parametrize("given", ["abc-123", "a" * 64])
def test_a_request_keeps_the_name_that_it_was_given(tmp_path: Path, given: str) -> None:
    with web_served(tmp_path) as web:
        assert web.http.get("/api/stats", headers={"x-request-id": given}).headers["x-request-id"] == given
        assert "x-request-id" not in web.http.get("/api/stats").headers


@pytest.mark.parametrize("given", ["", "a b", "a" * 65, "<script>", "a\tb"])
def test_other_names_are_not_taken_over(tmp_path: Path, given: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gantry.server.http")
    with web_served(tmp_path) as web:
        one, two = (
            web.http.get("/nothing", headers={"x-request-id": given}).headers["x-request-id"] for _ in "12"
        )
    assert given not in (one, two) or not given
    assert one != two
    assert f"request={one}" in caplog.text
