"""`gantry serve` as a process of its own, as a person runs it: started, asked, watched, killed, stopped.

What it logs goes to a file beside its data, so that tests can look for words that must or must not be there.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gantry.client.connection import Peer

START_S = 30.0
"""A start that takes longer has failed; N4's ten seconds are for the tests that are about it."""

SOURCE = Path(__file__).resolve().parents[1] / "src"


@dataclass(frozen=True, slots=True)
class Gantry:
    """A running server. `dicom` and `http` are its ports, `data` its folder, `log` what it has to say.

    `seconds_to_ready` leaves out the time that the machine's other work kept it from a processor.
    """

    process: subprocess.Popen[bytes]
    dicom: int
    http: int
    data: Path
    log: Path
    seconds_to_ready: float
    address: str = "127.0.0.1"

    @property
    def peer(self) -> Peer:
        return Peer(self.address, self.dicom, "GANTRY")

    @property
    def web(self) -> str:
        """What stands before ``/studies``."""
        return f"http://{self.address}:{self.http}/dicom-web"

    @property
    def words(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def client(self) -> httpx.Client:
        # Connections are kept until the server closes them.
        limits = httpx.Limits(keepalive_expiry=None)
        return httpx.Client(
            base_url=f"http://{self.address}:{self.http}", timeout=60, trust_env=False, limits=limits
        )

    def connect(self, port: int | None = None, timeout_s: float = 10.0) -> socket.socket:
        """A plain connection, to the DICOM port unless told."""
        return socket.create_connection((self.address, port or self.dicom), timeout_s)

    def stats(self) -> dict[str, Any]:
        """Counts, as the server tells them."""
        with self.client() as http:
            return dict(http.get("/api/stats").raise_for_status().json())

    def resident_bytes(self) -> int:
        """Memory of the process that is its own: mapped files of the archive do not count."""
        return _status(self.process.pid, "RssAnon")

    def peak_bytes(self) -> int:
        """Most memory of the process since `forget_peak`, mapped files included."""
        return _status(self.process.pid, "VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def kill(self) -> None:
        """End the process without a word, as a crash does."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float = 40.0) -> int:
        """Ask the process to end; its exit code."""
        if self.process.poll() is None:
            self.terminate()
        return self.process.wait(timeout_s)


def start(
    data: Path,
    *,
    within: Sequence[str] = (),
    address: str = "127.0.0.1",
    ports: tuple[int, int] = (0, 0),
    **settings: object,
) -> Gantry:
    """Run `gantry serve` on `data` and wait until it says that it is ready; `settings` by name.

    `within` is what stands before the command, as for a network namespace that has the `address`. `ports` are
    those of HTTP and DICOM, 0 for one that the system chooses.
    """
    log = data.with_name(data.name + ".log")
    command = [*within, sys.executable, "-m", "gantry", "serve", "--data", str(data), "--json"]
    command += ["--http", f"{address}:{ports[0]}", "--dicom", f"{address}:{ports[1]}"]
    began = time.monotonic()
    with log.open("ab") as words:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=words, env=_environment(settings))
    try:
        ready = _first_line(process, began + START_S)
    except BaseException as error:
        process.kill()
        process.wait()
        error.add_note(log.read_text(errors="replace")[-2000:])
        raise
    finally:
        # Nothing more is printed, only logged.
        assert process.stdout is not None
        process.stdout.close()
    dicom, http = (int(ready[name].rpartition(":")[2]) for name in ("dicom", "http"))
    seconds = time.monotonic() - began - _seconds_kept_waiting(process.pid)
    return Gantry(process, dicom, http, data, log, seconds, address)


@contextmanager
def running(data: Path, **settings: object) -> Iterator[Gantry]:
    """A server for the time of a test; it must end in order, unless the test ended it."""
    gantry = start(data, **settings)
    try:
        yield gantry
    except BaseException as error:
        gantry.kill()
        error.add_note(gantry.words[-4000:])
        raise
    finally:
        ended_by_test = gantry.process.poll() is not None
        code = gantry.stop()
    assert ended_by_test or code == 0, gantry.words[-2000:]


def gantry(
    *arguments: object, timeout_s: float = 120.0, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run another command of `gantry` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gantry", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=_environment(settings),
        check=False,
    )


def wait_until(condition: Callable[[], bool], timeout_s: float = 20.0, what: str = "") -> None:
    """Ask again and again until something is so; fails after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {what or condition}"
        # Another process can only be asked.
        time.sleep(0.01)


def _environment(settings: dict[str, object]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GANTRY_")}
    path = os.pathsep.join(filter(None, (str(SOURCE), inherited.get("PYTHONPATH"))))
    named = {f"GANTRY_{name.upper()}": str(value) for name, value in settings.items()}
    return {**inherited, "PYTHONPATH": path, **named}


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> dict[str, str]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(max(0.0, deadline - time.monotonic())), f"not ready within {START_S:g} s"
    line = process.stdout.readline()
    assert line, f"gantry serve ended with {process.wait()} before it was ready"
    return dict(json.loads(line))


def _seconds_kept_waiting(pid: int) -> float:
    """How long the process's threads were ready to run and did not."""
    stats = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[1]) for stat in stats) / 1e9


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name + ":")).split()[1]) * 1024
