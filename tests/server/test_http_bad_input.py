"""What hostile or broken clients send, on raw sockets: rows B53, B63 to B70 and B82, N17."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gantry.server.http_guard import HttpLimits
from gantry.server.policy import HttpPolicy
from gantry.settings import resolve
from serving import ROOT, dataset, part10, series
from web_serving import BOUNDARY, STORE_TYPE, WebServed, read_all, related, status_of, web_served

STORE_HEAD = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n".encode()
GET_HEAD = b"GET /api/stats HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServed]:
    with web_served(tmp_path_factory.mktemp("archive")) as served:
        yield served


@pytest.fixture(autouse=True)
def _others_are_served(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each of these, the server answers everybody else as before, and has kept nothing."""
    yield
    if "web" in request.fixturenames:
        stats = request.getfixturevalue("web").http.get("/api/stats").json()
        assert stats["versions"] == 0


@pytest.mark.parametrize(
    "request_bytes",
    [
        STORE_HEAD + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        STORE_HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 10\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        STORE_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        STORE_HEAD + b"Content-Length: -5\r\n\r\nhello",
        STORE_HEAD + b"Content-Length: 5x\r\n\r\nhello",
        STORE_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
        STORE_HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        STORE_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        GET_HEAD + b"X-Folded: a\r\n b\r\n c: d\r\n\r\n",
        GET_HEAD + b"X : space before the colon\r\n\r\n",
        GET_HEAD + b"no colon\r\n\r\n",
        b"GET /\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
    ],
)
def test_b65_a_request_that_breaks_http_is_400_or_cut(web: WebServed, request_bytes: bytes) -> None:
    answer = web.raw(request_bytes, half_close=True)
    assert status_of(answer) in (400, 408, 415, 0), answer[:200]
    assert answer.count(b"HTTP/1.1") <= 1, "what follows the broken request was taken for another"


def test_b65_four_gigabytes_announced_and_ten_bytes_sent_keep_nothing(web: WebServed) -> None:
    answer = web.raw(STORE_HEAD + b"Content-Length: 4294967296\r\n\r\n0123456789", half_close=True)
    assert status_of(answer) in (400, 408, 0)


@pytest.mark.slow
def test_b65_a_body_above_the_limit_is_413_before_it_is_sent(tmp_path: Path) -> None:
    with web_served(tmp_path, policy=HttpPolicy(max_object_bytes=1 << 20)) as web:
        answer = web.raw(STORE_HEAD + b"Content-Length: 1000000000000\r\nConnection: close\r\n\r\n")
        assert status_of(answer) == 413


def test_b65_a_chunked_body_is_stored_as_any_other(tmp_path: Path) -> None:
    body = related(series(2))
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[i : i + 700]), body[i : i + 700]) for i in range(0, len(body), 700)
    )
    with web_served(tmp_path) as web:
        request = (
            STORE_HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks + b"0\r\n\r\n"
        )
        assert status_of(web.raw(request)) == 200


def test_b65_requests_in_one_piece_are_answered_in_their_order(web: WebServed) -> None:
    answer = web.raw(GET_HEAD + b"\r\n" + GET_HEAD + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "head",
    [
        GET_HEAD + b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n",
        GET_HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET_HEAD + b"X-Endless: " + b"x" * 200_000,
    ],
)
def test_b69_a_head_larger_than_the_limit_is_400(web: WebServed, head: bytes) -> None:
    answer = web.raw(head)
    assert status_of(answer) in (400, 0), answer[:100]


def test_b66_a_slow_head_is_cut(tmp_path: Path) -> None:
    with web_served(tmp_path, limits=HttpLimits(head_timeout_s=0.3)) as web:
        for begun in (b"", b"GET / HT", GET_HEAD):
            began = time.monotonic()
            answer = web.raw(begun)
            assert status_of(answer) in (408, 0)
            assert 0.2 < time.monotonic() - began < 5
        assert web.http.get("/api/health").status_code == 200


@pytest.mark.slow
def test_b66_a_slow_body_is_408(tmp_path: Path) -> None:
    with web_served(tmp_path, policy=HttpPolicy(body_window_s=0.4)) as web, web.connect() as connection:
        connection.sendall(STORE_HEAD + b"Content-Length: 1000\r\n\r\n--")
        connection.settimeout(0.05)
        answer = b""
        for _ in range(200):  # a byte at a time, more often than the window is long
            try:
                connection.sendall(b"P")
                answer = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            break
        assert status_of(answer) == 408
        assert web.http.get("/api/stats").json()["versions"] == 0


def test_b66_a_reader_that_does_not_read_is_cut_and_others_are_served(tmp_path: Path) -> None:
    big = part10(dataset(size=32 << 20, PixelData=bytes(32 << 20)))
    path = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1"
    with web_served(tmp_path, limits=HttpLimits(rate_window_s=0.5)) as web:
        assert web.store(big).status_code == 200
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", web.port))
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/dicom\r\n\r\n".encode()
            )
            first = connection.recv(1000)
            assert status_of(first) == 200
            deadline = time.monotonic() + 8
            while web.http.get("/api/health").status_code == 200 and time.monotonic() < deadline:
                if _is_reset(connection):
                    break
            assert time.monotonic() < deadline
            assert len(read_all(connection)) < len(big)


def _is_reset(connection: socket.socket) -> bool:
    """Whether the server has cut the connection, found without reading."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or _state(connection) != 1


def _state(connection: socket.socket) -> int:
    """The state of a TCP connection as the kernel has it; 1 is established."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def test_b67_ten_thousand_ranges_are_refused_at_once(web: WebServed) -> None:
    ranges = ",".join(f"{n}-{n}" for n in range(5000))
    began = time.monotonic()
    request = (
        b"GET /dicom-web/studies/1/series/2/instances/3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    )
    answer = web.raw(request + f"Range: bytes={ranges}\r\n\r\n".encode()[:30_000] + b"\r\n\r\n")
    assert status_of(answer) in (400, 404, 416)
    assert time.monotonic() - began < 2


def test_n17_a_connection_past_the_limit_is_503_with_retry_after(tmp_path: Path) -> None:
    with web_served(tmp_path, limits=HttpLimits(max_connections=3)) as web:
        held = [web.connect() for _ in range(3)]
        for connection in held:
            connection.sendall(GET_HEAD + b"\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        answer = web.raw(GET_HEAD + b"\r\n")
        assert status_of(answer) == 503
        assert b"retry-after" in answer
        for connection in held:
            connection.close()


def test_a_thousand_connections_without_a_word_leave_the_server_answering(web: WebServed) -> None:
    for _ in range(1000):
        web.connect().close()
    assert web.http.get("/api/health").status_code == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /api/stats HTTP/1.1\r\nHost: evil.example\r\n", 400),
        (b"GET /api/stats HTTP/1.1\r\nHost: evil.example:80\r\n", 400),
        (b"GET /api/stats HTTP/1.1\r\nHost: localhost.evil.example\r\n", 400),
        (b"GET /api/stats HTTP/1.1\r\n", 400),
        (b"GET /api/stats HTTP/1.0\r\n", 200),
        (b"GET /api/stats HTTP/1.0\r\nHost: evil.example\r\n", 400),
        (b"GET /api/stats HTTP/1.1\r\nHost: LOCALHOST:8080\r\n", 200),
        (b"GET /api/stats HTTP/1.1\r\nHost: [::1]:1\r\n", 200),
        (
            b"DELETE /dicom-web/studies/1.2 HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n",
            403,
        ),
        (b"DELETE /dicom-web/studies/1.2 HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 403),
        (b"DELETE /dicom-web/studies/1.2 HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n", 404),
        (b"DELETE /dicom-web/studies/1.2 HTTP/1.1\r\nHost: localhost\r\n", 404),
        (
            b"GET /dicom-web/studies/1.2 HTTP/1.1\r\nHost: localhost\r\nX-HTTP-Method-Override: DELETE\r\n",
            404,
        ),
        (b"PATCH /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n", 405),
        (b"GET /dicom-web/studies/..;/x HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /dicom-web/%2e%2e/api/stats HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /dicom-web/%252e%252e/api/stats HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /dicom-web/../api/stats HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /api/stats/ HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /api/Stats HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET //api/stats HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /assets/../../policy.py HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"GET /assets/%2e%2e%2fpolicy.py HTTP/1.1\r\nHost: localhost\r\n", 404),
    ],
)
def test_b82_what_is_asked_by_another_name_or_spelling(web: WebServed, head: bytes, status: int) -> None:
    assert status_of(web.raw(head + b"Connection: close\r\n\r\n")) == status


@pytest.mark.parametrize("exposed", [False, True])
def test_b82_behind_a_proxy_on_this_machine_any_name_is_ours(tmp_path: Path, exposed: bool) -> None:
    settings = resolve({"insecure_expose": exposed}, environment={}).settings
    with web_served(tmp_path, policy=HttpPolicy.from_settings(settings)) as web:
        answer = web.http.get("/api/stats", headers={"host": "pacs.example"})
    assert answer.status_code == (200 if exposed else 400)


def test_b82_a_page_of_another_origin_can_read_only_what_was_opened(tmp_path: Path) -> None:
    foreign, friend = {"origin": "http://evil.example"}, {"origin": "http://viewer.example"}
    with web_served(tmp_path, policy=HttpPolicy(cors_origins=("http://viewer.example",))) as web:
        closed = web.http.get("/dicom-web/studies", headers=foreign)
        assert "access-control-allow-origin" not in closed.headers
        assert closed.headers["cross-origin-resource-policy"] == "same-origin"
        opened = web.http.get("/dicom-web/studies", headers=friend)
        assert opened.headers["access-control-allow-origin"] == "http://viewer.example"
        assert "Origin" in opened.headers["vary"]
        asked = friend | {
            "access-control-request-method": "DELETE",
            "access-control-request-headers": "accept",
        }
        preflight = web.http.options("/dicom-web/studies/1.2", headers=asked)
        assert preflight.headers["access-control-allow-origin"] == "http://viewer.example"
        assert "DELETE" in preflight.headers["access-control-allow-methods"]
        assert web.http.delete("/dicom-web/studies/1.2", headers=friend).status_code == 404
        refused = web.http.options("/dicom-web/studies/1.2", headers=asked | foreign)
        assert "access-control-allow-origin" not in refused.headers


def test_b82_a_frame_that_was_answered_before_still_asks_for_the_name(tmp_path: Path) -> None:
    path = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1/instances/{ROOT}.1.1.1/frames/1"
    with web_served(tmp_path) as web:
        web.store(part10(dataset()))
        assert [web.http.get(path).status_code for _ in range(2)] == [200, 200]
        assert web.http.get(path, headers={"host": "evil.example"}).status_code == 400


def test_b36_a_word_with_line_ends_cannot_split_a_header_or_a_log_line(
    web: WebServed, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="gantry.server.http"):
        answer = web.raw(
            b"GET /dicom-web/studies?includefield=a%0d%0aSet-Cookie:x&limit=%0d%0a HTTP/1.1\r\n"
            b"Host: localhost\r\nConnection: close\r\n\r\n"
        )
    assert b"\r\nSet-Cookie" not in answer
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_log_lines_name_the_peer_and_no_patient(web: WebServed, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG", logger="gantry"):
        web.http.get("/dicom-web/studies?PatientName=Secret&limit=-1")
        web.http.post(
            "/dicom-web/studies",
            content=related([part10(dataset(PatientName="Secret"))[:-9]]),
            headers={"content-type": f"multipart/related; boundary={BOUNDARY}"},
        )
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "127.0.0.1:" in told
    assert "Secret" not in told
