"""The DICOMweb client over real HTTP: to Gantry's own server, and to servers that answer nonsense."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gantry.client.sinks import FolderSink, MemorySink, Verdict
from gantry.client.web import WebClient
from gantry.errors import (
    CallerError,
    ConnectError,
    GantryError,
    NotFound,
    PeerError,
    ProtocolError,
    WebRequestError,
)
from gantry.standard.query_keys import Level
from serving import ROOT, dataset, part10, series
from web_serving import WebServed, web_served

STUDY, SERIES = f"{ROOT}.1", f"{ROOT}.1.1"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServed]:
    with web_served(tmp_path / "data") as running:
        yield running


def base_url(running: WebServed) -> str:
    return f"http://127.0.0.1:{running.port}/dicom-web"


def run(url: str, work: Any, **options: Any) -> Any:
    """`await work(client)` on a loop of its own."""

    async def main() -> Any:
        async with WebClient(url, **options) as client:
            return await work(client)

    return asyncio.run(main())


async def gather(found: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [model async for model in found]


def test_store_search_retrieve_delete(web: WebServed, tmp_path: Path) -> None:
    files = series(3, size=65536)
    (tmp_path / "one.dcm").write_bytes(files[0])
    told: list[int] = []

    async def journey(client: WebClient) -> None:
        results = await client.store([tmp_path / "one.dcm", *files[1:]], progress=told.append)
        assert [r.status for r in results] == [0, 0, 0]
        assert {r.sop_instance_uid for r in results} == {f"{SERIES}.{n}" for n in (1, 2, 3)}
        studies = await gather(
            client.search(Level.STUDY, {"PatientName": "doe*"}, include=["StudyDescription"])
        )
        assert [s["0020000D"]["Value"] for s in studies] == [[STUDY]]
        sink = MemorySink()
        assert await client.retrieve(sink, STUDY) == [Verdict(0)] * 3
        assert sorted(sink.files) == sorted(files)
        await client.delete(STUDY, SERIES, f"{SERIES}.2")
        images = await gather(client.search(Level.IMAGE, study_uid=STUDY, series_uid=SERIES))
        assert sorted(i["00080018"]["Value"][0] for i in images) == [f"{SERIES}.1", f"{SERIES}.3"]

    run(base_url(web), journey)
    assert told == [3]


def test_metadata_and_frames(web: WebServed) -> None:
    file = part10(dataset(1, size=256))

    async def journey(client: WebClient) -> None:
        await client.store([file])
        [model] = await client.metadata(STUDY, SERIES, f"{SERIES}.1")
        assert model["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
        assert await client.frames(STUDY, SERIES, f"{SERIES}.1", [1]) == [dataset(1, size=256).PixelData]

    run(base_url(web), journey)


def test_what_is_refused_is_a_result_beside_what_is_stored(web: WebServed) -> None:
    async def journey(client: WebClient) -> None:
        results = await client.store([part10(dataset(1)), part10(dataset(1, study=2))], study_uid=STUDY)
        by_uid = {r.sop_instance_uid: r for r in results}
        assert by_uid[f"{ROOT}.1.1.1"].ok
        assert by_uid[f"{ROOT}.2.1.1"].status is not None
        assert not by_uid[f"{ROOT}.2.1.1"].ok

    run(base_url(web), journey)


def test_many_files_go_in_several_requests(web: WebServed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gantry.client.web.STORE_BODY_BYTES", 20_000)
    told: list[int] = []

    async def journey(client: WebClient) -> None:
        results = await client.store(series(10, size=8192), progress=told.append)
        assert len(results) == 10
        assert all(r.ok for r in results)

    run(base_url(web), journey)
    assert told == [3, 6, 9, 10]


def test_search_pages_until_the_server_has_no_more(web: WebServed) -> None:
    async def journey(client: WebClient) -> None:
        await client.store([part10(dataset(study=n)) for n in range(1, 8)])
        everything = await gather(client.search(Level.STUDY))
        assert len({m["0020000D"]["Value"][0] for m in everything}) == 7
        assert len(await gather(client.search(Level.STUDY, limit=3))) == 3
        rest = await gather(client.search(Level.STUDY, limit=10, offset=5))
        assert rest == everything[5:]

    run(base_url(web), journey)


def test_retrieve_into_a_folder(web: WebServed, tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out")

    async def journey(client: WebClient) -> None:
        await client.store(series(3, size=4096))
        await client.retrieve(sink, STUDY, SERIES)

    run(base_url(web), journey)
    assert sorted(p.name for p in sink.paths) == [f"{SERIES}.{n}.dcm" for n in (1, 2, 3)]
    assert sorted(p.read_bytes() for p in sink.paths) == sorted(series(3, size=4096))


def test_what_is_not_there_is_not_found(web: WebServed) -> None:
    with pytest.raises(NotFound, match="404"):
        run(base_url(web), lambda client: client.retrieve(MemorySink(), "1.2.3"))


def test_a_request_that_the_server_refuses_is_the_callers_fault(web: WebServed) -> None:
    with pytest.raises(CallerError, match="400"):
        run(base_url(web), lambda client: gather(client.search(Level.STUDY, {"StudyDate": "x-y-z"})))


# Servers that answer nonsense


@contextmanager
def answering(status: int, content_type: str, body: bytes, *, cut: int = 0) -> Iterator[str]:
    """An HTTP server with one answer; `cut` bytes of what it announces never come."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body) + cut))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # It looks for the end of its service between polls
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("body", [b"{not json", b'{"an": "object"}', b'["a string"]', b"\xff\xfe"])
def test_an_answer_that_is_no_list_of_models(body: bytes) -> None:
    with answering(200, "application/dicom+json", body) as url, pytest.raises(ProtocolError):
        run(url, lambda client: gather(client.search(Level.STUDY)))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/related", b"--x\r\n\r\n--x--"),
        ("multipart/related; boundary=x", b"no delimiter at all"),
        ("multipart/related; boundary=x", b"--x\r\nContent-Type: application/dicom\r\n\r\nhalf a par"),
        (f"multipart/related; boundary={'b' * 100}", b""),
    ],
    ids=["no boundary", "no delimiter", "no end", "long boundary"],
)
def test_a_broken_multipart_answer_leaves_nothing(tmp_path: Path, content_type: str, body: bytes) -> None:
    sink = FolderSink(tmp_path / "out")
    with answering(200, content_type, body) as url, pytest.raises(ProtocolError):
        run(url, lambda client: client.retrieve(sink, "1.2.3"))
    assert not sink.paths
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_a_body_that_breaks_off_is_a_connect_error(tmp_path: Path) -> None:
    with (
        answering(200, "multipart/related; boundary=x", b"--x\r\n\r\nabc", cut=100) as url,
        pytest.raises(ConnectError),
    ):
        run(url, lambda client: client.retrieve(FolderSink(tmp_path), "1.2.3"))
    assert not list(tmp_path.iterdir())


def test_a_single_part_answer_is_taken_as_well() -> None:
    sink = MemorySink()
    file = part10(dataset())
    with answering(200, "application/dicom", file) as url:
        run(url, lambda client: client.retrieve(sink, STUDY, SERIES, f"{SERIES}.1"))
    assert sink.files == [file]


def test_a_server_error_is_the_peers_fault_with_its_words() -> None:
    with answering(503, "text/plain", b"try later") as url, pytest.raises(PeerError, match=r"503.*try later"):
        run(url, lambda client: gather(client.search(Level.STUDY)))


def test_nobody_there_is_a_connect_error() -> None:
    with pytest.raises(ConnectError):
        run("http://127.0.0.1:9", lambda client: gather(client.search(Level.STUDY)))
    assert issubclass(WebRequestError, GantryError)
