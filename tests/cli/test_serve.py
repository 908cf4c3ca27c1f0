"""`gantry serve` as a process: the line when ready, what stops it, what keeps it from starting."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from command import READY_S, run, serving, start
from gantry.archive.lock import FolderLock
from gantry.cli.exits import Exit
from serving import series
from web_serving import STORE_TYPE, related

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it


def test_one_line_when_ready_and_nothing_else(tmp_path: Path) -> None:
    addresses = ["--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]
    process = start(tmp_path, "serve", "--data", tmp_path / "data", "--aet", "HERE", *addresses)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Gantry is ready: open http://127.0.0.1:")
    assert "HERE@127.0.0.1:" in line
    assert str(tmp_path / "data") in line
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=READY_S)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_n18_a_signal_stops_it_in_order(number: signal.Signals, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        stored = httpx.post(
            f"{server.web}/studies",
            content=related(series(3)),
            headers={"content-type": STORE_TYPE},
            timeout=30,
        )
        assert stored.status_code == 200
        code, log = server.stop(number)
        assert code == 0
        assert "stopping" in log
        assert not (server.data / "serving.json").exists()
        verified = run(tmp_path, "verify", "--data", server.data, "--json")
        assert json.loads(verified.stdout)["objects"] == 3


def test_n04_after_a_kill_it_starts_again(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.process.kill()
        server.process.wait(READY_S)
        assert (server.data / "serving.json").exists()
    with serving(tmp_path) as again:
        assert httpx.get(f"{again.web}/studies", timeout=30).status_code in (200, 204)


@pytest.mark.parametrize("door", ["--http", "--dicom"])
def test_a_port_that_is_taken_is_told(door: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = "--dicom" if door == "--http" else "--http"
        done = run(tmp_path, "serve", "--data", tmp_path / "data", door, address, other, "127.0.0.1:0")
    assert done.returncode == Exit.NETWORK
    assert done.stdout == ""
    assert f"cannot listen on {address}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    done = run(
        tmp_path,
        "serve",
        "--data",
        tmp_path / "file" / "data",
        "--http",
        "127.0.0.1:0",
        "--dicom",
        "127.0.0.1:0",
    )
    assert done.returncode in (Exit.STORAGE, Exit.USAGE)
    assert "Traceback" not in done.stderr


def test_a_folder_that_another_process_has_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    lock = FolderLock(tmp_path / "data")
    try:
        done = run(
            tmp_path, "serve", "--data", tmp_path / "data", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"
        )
    finally:
        lock.release()
    assert (done.returncode, done.stdout) == (Exit.STORAGE, "")
    assert "in use by another process" in done.stderr


def test_it_does_not_listen_to_the_world_unless_told(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--http", "0.0.0.0:0")
    assert done.returncode == Exit.USAGE
    assert "insecure_expose" in done.stderr


def test_settings_come_from_file_and_environment(tmp_path: Path) -> None:
    file = tmp_path / "gantry.toml"
    file.write_text('aet = "FILE"\nlog_json = true\n')
    with serving(tmp_path, "--config", file, GANTRY_AET="ENVIRONMENT") as server:
        assert server.aet == "ENVIRONMENT"
        _, log = server.stop()
    entries = [json.loads(line) for line in log.splitlines()]
    assert {"time", "level", "logger", "message"} <= set(entries[0])
    assert "stopping" in [entry["message"] for entry in entries]


def test_b18_b36_what_a_peer_calls_itself_is_escaped_in_the_log(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        host, _, port = server.dicom.rpartition(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(b"GET /\x1b[2J\r\nforged line\r\n\r\n" + bytes(100))
            while peer.recv(4096):
                pass
        httpx.get(f"http://{server.http}/dicom-web/studies/%1b%5b2J%0a", timeout=30)
        _, log = server.stop()
    assert all(line.isprintable() for line in log.splitlines())
    assert all(line[:4].isdigit() for line in log.splitlines()), log


def test_log_level(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "error") as server:
        assert server.stop() == (0, "")


def test_idle_memory_and_what_it_loads(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        status = Path(f"/proc/{server.process.pid}/status")
        if not status.exists():
            pytest.skip("the memory of a process is read from /proc")
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        assert int(lines["VmRSS"].split()[0]) < 150 * 1024
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        # What decodes pixels lives in processes of its own.
        assert "imagecodecs" not in maps
        assert "PIL" not in maps
