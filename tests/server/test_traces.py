"""What a server tells a collector of itself: spans in one another, nothing of a patient, and at nobody's cost."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import httpx
import pydicom
import pytest
from pydicom.uid import RLELossless

from collector import Collector, TakenSpan, collecting
from dcmtk import free_port
from gantry.client import sync
from gantry.client.objects import Outgoing
from gantry.client.sending import result_for
from gantry.client.sinks import MemorySink
from gantry.dimse.events import Rejected
from gantry.errors import ProtocolError, SettingsError
from gantry.server.otlp import BATCH, MAX_WAITING, OtlpTraces
from gantry.server.sub_operations import SubOperations
from gantry.server.traces import outgoing_headers, part, traces_to, within
from gantry.standard.query_keys import Level
from gantry_process import Gantry, running, wait_until
from raw_peer import CONTEXTS, RawPeer
from serving import ROOT, dataset, dataset_bytes, part10
from web_serving import STORE_TYPE, related, web_served

SERVER = 2
"""SPAN_KIND_SERVER of trace.proto."""

STUDY, SERIES = f"{ROOT}.1", f"{ROOT}.1.1"
PATIENT = {"PatientName": "Secret^Sally", "PatientID": "SEC-77"}
SECRETS = (b"Secret", b"Sally", b"SEC-77", ROOT.encode(), b"1.2.840.10008")
OUR_TRACE, OUR_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ASKED_BY_US = {"traceparent": f"00-{OUR_TRACE}-{OUR_SPAN}-01"}


def assert_lies_in(span: TakenSpan, parent: TakenSpan) -> None:
    assert (span.trace, span.parent) == (parent.trace, parent.id), f"{span.name} in {parent.name}"
    assert span.began_ns >= parent.began_ns


def assert_tells_of_nobody(collector: Collector) -> None:
    for secret in SECRETS:
        assert secret not in collector.octets, secret


def files(count: int) -> list[bytes]:
    return [part10(dataset(number, **PATIENT)) for number in range(1, count + 1)]


# --- over DIMSE and HTTP ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_association_holds_its_requests_and_they_their_storing(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        running(tmp_path / "data", traces=collector.url, reserve_bytes=0) as server,
    ):
        stored = sync.store(server.peer, files(3), calling_aet="SCANNER")
        assert [result.status for result in stored] == [0, 0, 0]
        assert sync.echo(server.peer) == 0
        assert len(sync.find(server.peer, Level.STUDY, {"PatientID": "SEC-77"}, calling_aet="ASKER")) == 1
        got = sync.get(server.peer, Level.STUDY, {"StudyInstanceUID": STUDY}, MemorySink(), storage=CONTEXTS)
        assert got.completed == 3
        with pytest.raises(ProtocolError, match="A801"):
            sync.move(server.peer, Level.STUDY, {"StudyInstanceUID": STUDY}, "NOWHERE")
        server.stop()
        log = server.words
    associations = sending, echoing, asking, getting, moving = collector.spans("association")
    for association in associations:
        assert (association.kind, association.parent) == (SERVER, "")
        # Our client ends an association whose answer it does not like
        end = "aborted" if association is moving else "released"
        assert (association.attributes["gantry.end"], association.failed) == (end, association is moving)
        assert association.attributes["network.peer.address"] == "127.0.0.1"
        assert association.attributes["dicom.called_ae_title"] == "GANTRY"
        number = association.attributes["gantry.association"]
        assert f"association={number} peer=127.0.0.1" in log
    assert sending.attributes["dicom.calling_ae_title"] == "SCANNER"
    assert asking.attributes["dicom.calling_ae_title"] == "ASKER"
    stores = collector.spans("C-STORE")
    assert [span.attributes for span in stores] == [{"dicom.status": "0000"}] * 3
    for store in stores:
        assert_lies_in(store, sending)
    kept = {span.parent: span for span in collector.spans("archive store")}
    assert kept.keys() == {store.id for store in stores}
    for store in stores:
        assert_lies_in(kept[store.id], store)
        assert kept[store.id].ended_ns <= store.ended_ns <= sending.ended_ns
    for name, association in (
        ("C-ECHO", echoing),
        ("C-FIND", asking),
        ("C-GET", getting),
        ("C-MOVE", moving),
    ):
        span = collector.one(name)
        assert_lies_in(span, association)
        assert span.attributes["dicom.status"] == ("A801" if name == "C-MOVE" else "0000")
        assert span.failed == (name == "C-MOVE")
        assert span.ended_ns > span.began_ns
    assert {span.resource["service.name"] for span in collector.spans()} == {"gantry"}
    assert_tells_of_nobody(collector)


def compressed(number: int) -> bytes:
    """A file whose one frame is RLE Lossless, of which the peer asks for something else."""
    image = pydicom.dcmread(BytesIO(part10(dataset(number, **PATIENT))))
    image.compress(RLELossless, generate_instance_uid=False)
    file = BytesIO()
    image.save_as(file)
    return file.getvalue()


@pytest.mark.slow
def test_sub_operations_and_decoding_are_told_within_what_asked_for_them(tmp_path: Path) -> None:
    port = free_port()
    with (
        collecting() as collector,
        running(tmp_path / "taker", reserve_bytes=0, aet="TAKER") as taker,
        running(
            tmp_path / "data",
            traces=collector.url,
            reserve_bytes=0,
            peers=f"TAKER@127.0.0.1:{taker.dicom},AWAY@127.0.0.1:{port}",
        ) as server,
    ):
        files = [compressed(1), part10(dataset(2, **PATIENT))]
        assert [result.status for result in sync.store(server.peer, files)] == [0, 0]
        keys = {"StudyInstanceUID": STUDY}
        got = sync.get(server.peer, Level.STUDY, keys, MemorySink(), storage=CONTEXTS)
        assert got.completed == 2
        moved = sync.move(server.peer, Level.STUDY, keys, "TAKER")
        assert moved.completed == 2
        assert sync.move(server.peer, Level.STUDY, keys, "AWAY").failed == 2
        with server.client() as http:
            for number in (1, 2):
                instance = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.{number}"
                assert http.get(f"{instance}/frames/1/rendered").status_code == 200
        server.stop()
    getting = collector.one("C-GET")
    to_taker, to_nobody = collector.spans("C-MOVE")
    told = collector.spans("C-STORE sub-operation")
    assert len(told) == 4
    for parent in (getting, to_taker):
        mine = [span for span in told if span.parent == parent.id]
        assert [span.attributes for span in mine] == [{"dicom.status": "0000"}] * 2
        for span in mine:
            assert_lies_in(span, parent)
            assert not span.failed
            assert span.ended_ns <= parent.ended_ns
    # Where nobody listens it never was an object's turn
    assert to_nobody.failed
    assert [(span.parent, span.failed) for span in collector.spans("connect")] == [
        (to_taker.id, False),
        (to_nobody.id, True),
    ]
    pictures = [span for span in collector.spans() if span.name.endswith("/rendered")]
    decoded = {span.parent: span.attributes["gantry.transfer_syntax"] for span in collector.spans("decode")}
    assert decoded == {
        getting.id: "RLE Lossless",
        pictures[0].id: "RLE Lossless",
        pictures[1].id: "Explicit VR Little Endian",
    }
    assert_tells_of_nobody(collector)


def test_a_sub_operation_without_an_answer_has_failed_and_a_cancelled_one_says_so() -> None:
    def outgoing(number: int) -> Outgoing:
        return Outgoing("1.2", f"{SERIES}.{number}", "1.2", 1, lambda: ())

    lost, unread, cancelled = (outgoing(number) for number in (1, 2, 3))
    with collecting() as collector:
        traces = OtlpTraces(collector.url)
        try:
            span = traces.begin("C-MOVE", {})
            spans = SubOperations(span)
            spans.begin(lost)
            spans.begin(cancelled)
            spans.end(lost, result_for(lost, None, "Secret^Sally"))
            spans.end(unread, result_for(unread, 0x0110, "cannot be read"))
            spans.close()
            span.end()
        finally:
            traces.close()
    found = collector.spans("C-STORE sub-operation")
    assert sorted((str(one.attributes.get("dicom.status", "")), one.failed) for one in found) == [
        ("", True),
        ("0110", True),
        ("FE00", False),
    ]
    assert_tells_of_nobody(collector)


@pytest.mark.slow
def test_uids_are_told_where_the_settings_ask_for_them_and_nothing_else(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        running(tmp_path / "data", traces=collector.url, trace_identifiers=True, reserve_bytes=0) as server,
    ):
        assert [result.status for result in sync.store(server.peer, files(2))] == [0, 0]
        got = sync.get(server.peer, Level.STUDY, {"StudyInstanceUID": STUDY}, MemorySink(), storage=CONTEXTS)
        assert got.completed == 2
        assert len(sync.find(server.peer, Level.STUDY, {"PatientID": "SEC-77"})) == 1
        with server.client() as http:
            assert http.get(f"/dicom-web/studies/{STUDY}/metadata?PatientID=SEC-77").status_code in (200, 400)
            assert http.get("/dicom-web/studies?PatientName=Secret*").status_code == 200
            assert http.get("/SEC-77").status_code == 404
            get_frame_twice(http)
        server.stop()
    for name in ("C-STORE", "C-STORE sub-operation"):
        told = [span.attributes["dicom.sop_instance_uid"] for span in collector.spans(name)]
        assert told == [f"{SERIES}.1", f"{SERIES}.2"]
    asked = collector.one("GET /dicom-web/studies/{study}/metadata")
    assert asked.attributes["url.path"] == f"/dicom-web/studies/{STUDY}/metadata"
    direct = next(span for span in collector.spans() if span.attributes.get("gantry.direct"))
    assert str(direct.attributes["url.path"]).endswith(f"{SERIES}.1/frames/1")
    for secret in (b"Secret", b"Sally", b"SEC-77"):
        assert secret not in collector.octets


@pytest.mark.slow
def test_requests_that_are_refused_or_cut_are_told_so(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        running(tmp_path / "data", traces=collector.url, reserve_bytes=0, check_called_aet=True) as server,
    ):
        truncated = files(1)[0][:-20]
        assert sync.store(server.peer, [truncated])[0].status != 0
        with RawPeer(server.dicom, calling="BREAKER") as peer:
            peer.associate()
            message = peer.store_bytes(dataset_bytes(files(1)[0]), f"{SERIES}.1")
            peer.send(message[: len(message) // 2])
        with RawPeer(server.dicom, called="SOMEBODY") as rejected:
            rejected.send(rejected.request_bytes())
            rejected.wait_for(Rejected)
        wait_until(lambda: server.words.count("association ended") == 3)
        server.stop()
    refused, cut = collector.spans("C-STORE")
    assert refused.failed
    assert str(refused.attributes["dicom.status"])[0] in "AC"
    assert cut.failed
    assert "dicom.status" not in cut.attributes
    asking_wrongly = collector.spans("association")[-1]
    assert asking_wrongly.attributes["dicom.called_ae_title"] == "SOMEBODY"
    assert (asking_wrongly.attributes["gantry.end"], asking_wrongly.failed) == ("rejected", False)
    lost = next(s for s in collector.spans("association") if s.id == cut.parent)
    assert lost.failed
    assert lost.attributes["gantry.end"] == "aborted"
    assert_tells_of_nobody(collector)


@pytest.mark.slow
def test_http_requests_are_named_by_their_routes_and_lie_in_who_asks(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        running(tmp_path / "data", traces=collector.url, reserve_bytes=0) as server,
    ):
        with server.client() as http:
            headers = {"content-type": STORE_TYPE, "x-request-id": "of-a-test", **ASKED_BY_US}
            body = related(files(3))
            assert http.post("/dicom-web/studies", content=body, headers=headers).status_code == 200
            assert http.get("/dicom-web/studies?PatientName=Secret*").status_code == 200
            assert http.get(f"/dicom-web/studies/{STUDY}.9/metadata").status_code == 404
            assert http.get("/SEC-77").status_code == 404
            assert http.request("PROPFIND", "/api/stats").status_code == 405
            get_frame_twice(http)
        server.stop()
    storing = collector.one("POST /dicom-web/studies")
    assert (storing.trace, storing.parent, storing.kind) == (OUR_TRACE, OUR_SPAN, SERVER)
    assert storing.attributes == {
        "http.request.method": "POST",
        "http.route": "/dicom-web/studies",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "network.peer.address": "127.0.0.1",
        "gantry.request_id": "of-a-test",
    }
    kept = collector.spans("archive store")
    assert sum(int(span.attributes["gantry.objects"]) for span in kept) == 3
    for span in kept:
        assert_lies_in(span, storing)
    searching = collector.one("GET /dicom-web/studies")
    assert (searching.parent, searching.failed) == ("", False)
    assert searching.trace != OUR_TRACE
    assert (
        collector.one("GET /dicom-web/studies/{study}/metadata").attributes["http.response.status_code"]
        == 404
    )
    assert "http.route" not in collector.one("GET").attributes
    assert collector.one("_OTHER /api/stats").attributes["http.response.status_code"] == 405
    [first, *others] = [span for span in collector.spans() if span.name.endswith("/frames/{frames}")]
    assert "gantry.direct" not in first.attributes
    directly = [span for span in others if span.attributes.get("gantry.direct")]
    assert directly
    assert (directly[0].trace, directly[0].parent, directly[0].kind) == (OUR_TRACE, OUR_SPAN, SERVER)
    assert not any(span.failed for span in collector.spans())
    assert_tells_of_nobody(collector)


def get_frame_twice(http: httpx.Client) -> None:
    """The second time by the short way, which is taken when the archive has changed for the last time."""
    frame = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/frames/1"

    def directly() -> bool:
        assert http.get(frame, headers=ASKED_BY_US).status_code == 200
        metrics = http.get("/metrics").text
        return "gantry_http_direct_total 0.0" not in metrics

    wait_until(directly)


@pytest.mark.slow
def test_what_is_asked_of_another_server_lies_in_what_it_is_asked_for(tmp_path: Path) -> None:
    with (
        collecting() as collector,
        running(tmp_path / "whole", traces=collector.url, reserve_bytes=0) as whole,
        running(
            tmp_path / "rotten",
            traces=collector.url,
            reserve_bytes=0,
            heal_from=whole.web,
            scrub_bytes_per_s=1_000_000_000,
            scrub_every_s=0.2,
        ) as rotten,
    ):
        for server in (whole, rotten):
            assert [result.status for result in sync.store(server.peer, files(1))] == [0]
        path = file_of(rotten)
        content = bytearray(path.read_bytes())
        content[-10] ^= 4
        path.write_bytes(content)
        wait_until(lambda: "was taken from" in rotten.words)
        rotten.stop()
        whole.stop()
    asked = collector.one("GET /dicom-web/studies/{study}/series/{series}/instances/{instance}")
    healing = next(span for span in collector.spans("heal") if span.id == asked.parent)
    assert_lies_in(asked, healing)
    assert (healing.parent, healing.failed) == ("", False)
    assert_tells_of_nobody(collector)


def file_of(server: Gantry) -> Path:
    wait_until(lambda: server.stats()["instances"] == 1)
    [found] = (server.data / "objects").rglob("*.dcm")
    return found


# --- at nobody's cost -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_collector_that_is_away_costs_one_line_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    port = free_port()
    with running(tmp_path / "data", traces=f"http://127.0.0.1:{port}", reserve_bytes=0) as server:

        def lines(words: str) -> int:
            """How often the log says so, after something more was to be told."""
            ask(server, 1)
            return server.words.count(words)

        wait_until(lambda: lines("takes no traces") == 1)
        with collecting(port=port, status=401) as collector:
            wait_until(lambda: bool(lines("") and collector.requests >= 4))
            assert lines("takes no traces") == 1
            collector.status = 200
            wait_until(lambda: lines("takes traces again") == 1)
            assert collector.bodies
            collector.status = 401
            wait_until(lambda: lines("takes no traces") == 2)
        assert "code: 401" in server.words
        assert "opentelemetry" not in server.words
        assert server.stop() == 0


def ask(server: Gantry, number: int) -> None:
    assert [result.status for result in sync.store(server.peer, [part10(dataset(number))])] == [0]
    with server.client() as http:
        assert http.get("/api/stats").status_code == 200


@pytest.mark.slow
def test_a_collector_that_never_answers_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with collecting(silent=True) as collector:
        with running(tmp_path / "data", traces=collector.url, reserve_bytes=0) as server:
            ask(server, 1)
            wait_until(lambda: collector.requests > 0)
            for number in range(2, 6):
                ask(server, number)
            assert server.stop() == 0
        assert "the last traces were not taken" in server.words
        assert not collector.bodies


def test_what_waits_for_a_collector_has_a_limit() -> None:
    with collecting(silent=True) as collector:
        traces = OtlpTraces(collector.url)
        try:
            for number in range(2 * MAX_WAITING + BATCH):
                traces.begin(f"number {number}", {}).end()
            wait_until(lambda: collector.requests > 0)
            collector.lets_go.set()
        finally:
            traces.close()
        taken = [int(span.name.removeprefix("number ")) for span in collector.spans()]
    assert MAX_WAITING <= len(taken) <= MAX_WAITING + 2 * BATCH
    assert max(taken) == 2 * MAX_WAITING + BATCH - 1, "the oldest go, not the newest"


def test_without_the_setting_nothing_of_opentelemetry_is_loaded(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from gantry.server.run import serving
from gantry.settings import Address, Settings
import httpx

async def main():
    anywhere = Address("127.0.0.1", 0)
    settings = Settings(data=Path({str(tmp_path / "data")!r}), http=anywhere, dicom=anywhere, reserve_bytes=0)
    async with serving(settings) as running:
        async with httpx.AsyncClient(trust_env=False) as http:
            (await http.get(f"http://{{running.http}}/api/stats")).raise_for_status()

asyncio.run(main())
assert not [name for name in sys.modules if name.startswith("opentelemetry") or name == "gantry.server.otlp"]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


# --- spans ------------------------------------------------------------------------------------------------


def test_outside_of_any_span_there_is_nothing_to_tell() -> None:
    assert traces_to("") is None
    assert outgoing_headers() == {}
    with part("something") as span:
        assert span is None


def test_what_fails_within_a_span_leaves_no_text_in_it() -> None:
    with collecting() as collector:
        traces = OtlpTraces(collector.url)
        asked = within(traces.begin("asked", {}, parent=ASKED_BY_US["traceparent"]))
        with pytest.raises(ValueError), asked, part("failing"):
            name = outgoing_headers()["traceparent"]
            raise ValueError("Secret^Sally")
        assert outgoing_headers() == {}
        traces.close()
    failing = collector.one("failing")
    assert failing.failed
    assert name == f"00-{OUR_TRACE}-{failing.id}-01"
    assert_tells_of_nobody(collector)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "00",
        "Secret^Sally",
        f"ff-{OUR_TRACE}-{OUR_SPAN}-01",
        f"00-{'0' * 32}-{OUR_SPAN}-01",
        f"00-{OUR_TRACE}-{'0' * 16}-01",
        f"00-{OUR_TRACE.upper()}-{OUR_SPAN}-01",
        f"00-{OUR_TRACE}-{OUR_SPAN}-01-more",
        f"00-{OUR_TRACE}-{OUR_SPAN}-01, 00-{OUR_TRACE}-{OUR_SPAN}-01",
        "0" * 5000,
    ],
)
def test_names_of_spans_that_are_none_begin_a_trace_of_our_own(tmp_path: Path, given: str) -> None:
    with collecting() as collector:
        traces = OtlpTraces(collector.url)
        with web_served(tmp_path, traces=traces) as web:
            headers = {"traceparent": given, "tracestate": "secret=Sally", "baggage": "patient=Sally"}
            assert web.http.get("/api/stats", headers=headers).status_code == 200
        traces.close()
    span = collector.one("GET /api/stats")
    assert span.parent == ""
    assert span.trace != OUR_TRACE
    assert_tells_of_nobody(collector)


def test_who_is_not_traced_makes_us_trace_nothing(tmp_path: Path) -> None:
    """The flag "sampled" of W3C Trace Context 3.2.2.5 is not set."""
    with collecting() as collector:
        traces = OtlpTraces(collector.url)
        with web_served(tmp_path, traces=traces) as web:
            unsampled = {"traceparent": f"00-{OUR_TRACE}-{OUR_SPAN}-00"}
            assert web.http.get("/api/stats", headers=unsampled).status_code == 200
        traces.close()
    assert collector.spans() == []


def test_the_environment_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "west")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=night")
    with collecting() as collector:
        traces = OtlpTraces(collector.url + "/")
        traces.begin("something", {}).end()
        traces.close()
    resource = collector.one("something").resource
    assert resource["service.name"] == "west"
    assert resource["deployment.environment.name"] == "night"
    assert resource["service.version"]


def test_the_environment_says_who_we_are_and_how_many_spans_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20token")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    with collecting() as collector:
        traces = OtlpTraces(collector.url)
        for _ in range(1000):
            traces.begin("something", {}).end()
        traces.close()
    assert collector.authorizations == {"Bearer token"}
    assert 20 < len(collector.spans()) < 250


def test_without_the_sdk_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gantry.server.otlp", None)
    with pytest.raises(SettingsError, match=r"gantry\[traces\]"):
        traces_to("http://127.0.0.1:4318")
