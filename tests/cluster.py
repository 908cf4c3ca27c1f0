"""A real dask cluster on this machine: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from command import READY_S, environment


class Cluster:
    """One scheduler, and workers of one thread each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = folder / "scheduler.json"
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self._processes = [self._dask("scheduler", *words, "--scheduler-file", str(self._known))]
        self.workers: list[subprocess.Popen[bytes]] = []
        _wait_until(self._known.exists, self._processes[0])
        self.address: str = json.loads(self._known.read_text())["address"]

    def add_worker(self, packages: Path | None = None, hidden: Path | None = None) -> None:
        """Begin one more; it finds the packages of a folder before this Gantry, or sees a `hidden` one empty."""
        number = len(self.workers)
        log = self._folder / f"worker{number}.log"
        path = {} if packages is None else {"PYTHONPATH": str(packages)}
        words = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        words += ["--local-directory", str(self._folder)]
        worker = self._dask(log.stem, *words, hidden=hidden, **path)
        self.workers.append(worker)
        self._processes.append(worker)
        _wait_until(lambda: "Registered to" in log.read_text(), worker)

    def kill_while_it_reads(self, number: int, size_bytes: int) -> None:
        """Kill a worker when it has read so many bytes more than now."""
        self._wait_until_read(number, size_bytes)
        os.kill(self.workers[number].pid, signal.SIGKILL)
        self.workers[number].wait()

    def lose_scheduler_while_read(self, number: int, size_bytes: int) -> None:
        """Kill the scheduler when a worker has read so many bytes more than now."""
        self._wait_until_read(number, size_bytes)
        self._processes[0].kill()

    def stop(self) -> None:
        """End all that is left."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _wait_until_read(self, number: int, size_bytes: int) -> None:
        worker = self.workers[number]
        before = bytes_read(worker.pid)
        _wait_until(lambda: bytes_read(worker.pid) > before + size_bytes, worker, pause_s=0.001)

    def _dask(
        self, name: str, *words: str, hidden: Path | None = None, **extra: str
    ) -> subprocess.Popen[bytes]:
        before = []
        if hidden is not None:
            before = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden)]
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*before, str(Path(sys.executable).with_name("dask")), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=environment(self._folder) | extra,
            )


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A cluster of so many workers, whose logs are in `folder`."""
    folder.mkdir()
    made = Cluster(folder)
    try:
        for _ in range(workers):
            made.add_worker()
        yield made
    finally:
        made.stop()


def bytes_read(pid: int) -> int:
    """Of a process, since it began."""
    text = Path(f"/proc/{pid}/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


def _wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], pause_s: float = 0.05) -> None:
    deadline = time.monotonic() + READY_S
    while not is_so():
        assert process.poll() is None, f"{process.args} ended"
        assert time.monotonic() < deadline, f"{process.args} is not so far"
        time.sleep(pause_s)
