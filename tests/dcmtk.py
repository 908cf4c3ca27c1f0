"""DCMTK's programs as peers: run one to its end, or keep one listening while a test talks to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Without it DCMTK waits 40 ms for each small packet.
_ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


def run(program: str, *arguments: object, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a program of DCMTK to its end; skips where it is not installed."""
    return subprocess.run(
        [_path(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        env=_ENVIRONMENT,
        check=False,
    )


@contextmanager
def storescp(folder: Path, *options: str, aet: str = "STORESCP", port: int = 0) -> Iterator[int]:
    """DCMTK's storescp writing into `folder`; gives its port, a free one if none is asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with _listening(["storescp", "-od", str(folder), "-aet", aet, *options, str(port)], port):
        yield port


_ARCHIVE = """\
NetworkTCPPort  = {port}
MaxPDUSize      = 16384
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {folder} RW (100, 1024mb) ANY
AETable END
"""


@contextmanager
def dcmqrscp(folder: Path) -> Iterator[str]:
    """DCMTK's archive keeping its files in `folder`; gives ``ARCHIVE@HOST:PORT``."""
    (folder / "objects").mkdir(parents=True)
    port = free_port()
    config = folder / "dcmqrscp.cfg"
    config.write_text(_ARCHIVE.format(port=port, folder=folder / "objects"))
    with _listening(["dcmqrscp", "-c", str(config)], port):
        yield f"ARCHIVE@127.0.0.1:{port}"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _listening(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [_path(command[0]), *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
    )
    try:
        _wait_for_port(process, port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, "the peer ended before it listened"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        # Another program's readiness can only be asked for.
        time.sleep(0.01)
    raise AssertionError("the peer does not listen")


def _path(program: str) -> str:
    # pynetdicom installs programs of the same names beside this Python.
    ours = str(Path(sys.executable).parent)
    places = [place for place in os.environ.get("PATH", os.defpath).split(os.pathsep) if place != ours]
    path = shutil.which(program, path=os.pathsep.join(places))
    if path is None:
        pytest.skip(f"{program} (Debian package dcmtk) is not installed")
    return path
