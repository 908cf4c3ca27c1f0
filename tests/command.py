"""The real program `gantry` as a process: run to its end, or serving while a test talks to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import gantry

# A ready server on a busy machine; none takes this long otherwise.
READY_S = 60


def environment(home: Path) -> dict[str, str]:
    """An environment without settings, in which this Gantry is found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GANTRY_")}
    return kept | {
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "share"),
        "PYTHONPATH": str(Path(gantry.__file__).parents[1]),
    }


def start(
    home: Path, *words: object, log: IO[str] | int = subprocess.PIPE, **extra: str
) -> subprocess.Popen[str]:
    """Start ``gantry words…``; `extra` are environment variables, `log` is where standard error goes."""
    return subprocess.Popen(
        [sys.executable, "-m", "gantry", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment(home) | extra,
        # Whoever runs the tests in the background has Ctrl-C ignored, and children inherit that.
        preexec_fn=_heed_ctrl_c,
    )


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(home: Path, *words: object, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run ``gantry words…`` to its end."""
    process = start(home, *words, **extra)
    out, err = process.communicate(timeout=READY_S)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@dataclass(frozen=True, slots=True)
class Server:
    """A running `gantry serve`; `data` is its archive."""

    process: subprocess.Popen[str]
    log: Path
    data: Path
    http: str
    dicom: str
    aet: str

    @property
    def peer(self) -> str:
        """The application entity, as commands take it."""
        return f"{self.aet}@{self.dicom}"

    @property
    def web(self) -> str:
        """The root of DICOMweb."""
        return f"http://{self.http}/dicom-web"

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal: exit code and log."""
        self.process.send_signal(number)
        self.process.communicate(timeout=READY_S)
        return self.process.returncode, self.log.read_text()


@contextmanager
def serving(home: Path, *words: object, data: Path | None = None, **extra: str) -> Iterator[Server]:
    """`gantry serve` on ports of the system's choice, ready."""
    data = data or home / "data"
    addresses = ["--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"]
    log = home / "serve.log"
    with log.open("w") as out:
        process = start(home, "serve", "--json", "--data", data, *addresses, *words, log=out, **extra)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        word = json.loads(line)
        yield Server(process, log, data, word["http"], word["dicom"], word["aet"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=READY_S)
