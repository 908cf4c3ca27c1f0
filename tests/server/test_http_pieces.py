"""Series that leave as pieces of open files, copied by the kernel: all bytes, whatever the client does."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certificate import self_signed
from gantry.server.http_guard import HttpLimits
from serving import ROOT, dataset, part10
from web_serving import WebServed, parts_of, read_all, web_served

SERIES = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1"
ACCEPT = 'multipart/related; type="application/dicom"'
# Around what is opened in one go (4 MiB, 8 objects), and more than the socket's buffers
SIZES = [512] * 11 + [1 << 20] * 6 + [5 << 20, 512, 3 << 20, 2 << 20]

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")


@pytest.fixture(scope="module")
def objects() -> list[bytes]:
    return [part10(dataset(number, size=size)) for number, size in enumerate(SIZES, 1)]


@pytest.fixture
def web(tmp_path: Path, objects: list[bytes]) -> Iterator[WebServed]:
    with web_served(tmp_path, limits=HttpLimits(rate_window_s=0.4)) as served:
        for one in objects:
            served.archive.store([one])
        yield served


@pytest.fixture
def sendfile_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    real, calls = os.sendfile, list[int]()

    def counted(*arguments: Any) -> int:
        calls.append(arguments[3])
        return real(*arguments)

    monkeypatch.setattr(os, "sendfile", counted)
    return calls


def open_objects(folder: Path) -> int:
    """Descriptors of this process that lead into the archive's objects."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith(f"{folder}/objects/")  # noqa: PTH115
        except OSError:
            continue
    return found


def eventually(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def request(web: WebServed, receive_buffer: int | None = None) -> socket.socket:
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(20)
    connection.connect(("127.0.0.1", web.port))
    head = f"GET {SERIES} HTTP/1.1\r\nHost: 127.0.0.1:{web.port}\r\nAccept: {ACCEPT}\r\n"
    connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
    return connection


def test_a_series_of_all_sizes_comes_whole(
    web: WebServed, objects: list[bytes], sendfile_calls: list[int], tmp_path: Path
) -> None:
    answer = web.http.get(SERIES, headers={"accept": ACCEPT})
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert sorted(data for _, data in parts_of(answer)) == sorted(objects)
    # 5 MiB are streamed, everything else leaves by the kernel
    assert len(sendfile_calls) >= len(SIZES) - 1
    assert eventually(lambda: open_objects(tmp_path) == 0)


def test_the_connection_can_be_used_again(web: WebServed, objects: list[bytes]) -> None:
    for _ in range(3):
        assert len(parts_of(web.http.get(SERIES, headers={"accept": ACCEPT}))) == len(objects)
        assert web.http.get(f"{SERIES}/instances").status_code == 200


def test_two_clients_at_once_get_all(web: WebServed, objects: list[bytes]) -> None:
    first, second = request(web, 65536), request(web)
    with first, second:
        answers = [read_all(second), read_all(first)]
    assert [answer.count(b"DICM") for answer in answers] == [len(objects)] * 2


def test_a_client_that_takes_nothing_is_cut(web: WebServed, tmp_path: Path) -> None:
    with request(web, 4096) as connection:
        assert eventually(lambda: open_objects(tmp_path) > 0)
        assert eventually(lambda: open_objects(tmp_path) == 0)
        taken = read_all(connection)
        assert len(taken) < sum(SIZES)
    assert web.http.get(f"{SERIES}/instances").status_code == 200


def test_a_client_that_trickles_is_cut(web: WebServed, tmp_path: Path) -> None:
    with request(web, 4096) as connection:
        assert eventually(lambda: open_objects(tmp_path) > 0)
        assert eventually(lambda: bool(connection.recv(1)) and open_objects(tmp_path) == 0)


@pytest.mark.parametrize("after", [0, 1, 100_000, 9 << 20])
def test_a_client_that_goes_leaves_nothing_open(web: WebServed, tmp_path: Path, after: int) -> None:
    with request(web, 65536) as connection:
        got = 0
        while got < after:
            got += len(connection.recv(65536))
    assert eventually(lambda: open_objects(tmp_path) == 0)
    assert web.http.get(f"{SERIES}/instances").status_code == 200


def test_a_file_that_lost_its_end_ends_the_answer_early(
    web: WebServed, objects: list[bytes], tmp_path: Path
) -> None:
    location = web.archive.locate()[-1]  # not among those that are opened before anything is answered
    os.truncate(tmp_path / location.path, location.file_size - 1)
    with request(web) as connection:
        answer = read_all(connection)
    head, _, body = answer.partition(b"\r\n\r\n")
    announced = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert len(body) < announced
    assert eventually(lambda: open_objects(tmp_path) == 0)


def test_a_file_that_lost_its_end_is_told_where_nothing_was_answered_yet(
    web: WebServed, objects: list[bytes], tmp_path: Path
) -> None:
    location = web.archive.locate()[0]
    os.truncate(tmp_path / location.path, location.file_size - 1)
    with request(web) as connection:
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 410 ")
    assert eventually(lambda: open_objects(tmp_path) == 0)


def test_nothing_passes_by_a_transport_that_encrypts(
    tmp_path: Path, objects: list[bytes], sendfile_calls: list[int]
) -> None:
    with web_served(tmp_path / "data", tls=self_signed(tmp_path)) as web:
        for one in objects[:12]:
            web.archive.store([one])
        for _ in range(2):
            answer = web.http.get(SERIES, headers={"accept": ACCEPT})
            assert sorted(data for _, data in parts_of(answer)) == sorted(objects[:12])
            where = f"{SERIES}/instances/{ROOT}.1.1.1/frames/1"
            frame = web.http.get(where, headers={"accept": "application/octet-stream"})
            assert frame.content == dataset(1, size=SIZES[0]).PixelData
    assert sendfile_calls == []
