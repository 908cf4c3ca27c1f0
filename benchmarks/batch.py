"""Work on all objects, by whom: `python -m benchmarks.batch`.

`gantry verify`, `reindex` and `export` of one archive of CT slices: by one process and by two of this
machine, and by two workers of a dask cluster, each beside the threads of the command itself; an export beside
`cp -r` of the same files as well. All share the cores of one machine. The files are in the page cache, which
verify and export read past.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.corpus import study
from benchmarks.results import Line
from gantry.archive.archive import Archive

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from cluster import cluster

ROUNDS, STUDIES, SLICES = 3, 8, 250


def lines(folder: Path) -> Iterator[Line]:
    """Objects a second, beside threads; an export beside a copy of the files."""
    data = folder / "data"
    with Archive.open(data) as archive:
        for number in range(STUDIES):
            arrivals = []
            for item in study(number + 1, SLICES):
                arrivals.append(archive.begin())
                arrivals[-1].write(item.part10)
            archive.store_many(arrivals)
    objects = STUDIES * SLICES
    with cluster(folder / "cluster", 2) as made:
        hands = {
            "1 process": ["--jobs", "1"],
            "2 processes": ["--jobs", "2"],
            "a cluster of 2 workers": ["--cluster", made.address],
        }
        for command in ("verify", "reindex", "export"):
            taken: dict[str, list[float]] = {name: [] for name in ("threads", *hands)}
            for _ in range(ROUNDS):
                taken["threads"].append(_threads(command, data, folder / "out"))
                for name, words in hands.items():
                    taken[name].append(_taken(command, data, folder / "out", words))
            speeds = {name: objects / statistics.median(some) for name, some in taken.items()}
            for name in hands:
                yield Line(
                    f"batch: {command} by {name}", "obj/s", speeds[name], "its threads", speeds["threads"]
                )
            if command == "export":
                copied = objects / statistics.median(_copied(data, folder / "out") for _ in range(ROUNDS))
                yield Line("batch: export by 2 processes", "obj/s", speeds["2 processes"], "cp -r", copied)


def _taken(command: str, data: Path, out: Path, words: Sequence[str]) -> float:
    given = ["all", str(out)] if command == "export" else []
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "gantry", command, "--data", str(data), *words, *given],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    shutil.rmtree(out, ignore_errors=True)
    return seconds


def _threads(command: str, data: Path, out: Path) -> float:
    # Of few objects the command itself would do it so
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", _BY_THREADS, command, str(data), str(out)], check=True)
    seconds = time.perf_counter() - began
    shutil.rmtree(out, ignore_errors=True)
    return seconds


_BY_THREADS = """
import sys
from gantry.cli import batches
batches._FEW = 1 << 60
from gantry.cli.main import run
command, data, out = sys.argv[1:]
import contextlib, os
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    sys.exit(run([command, "--data", data, *(["all", out] if command == "export" else [])]))
"""


def _copied(data: Path, out: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["cp", "-r", str(data / "objects"), str(out)], check=True)
    seconds = time.perf_counter() - began
    shutil.rmtree(out)
    return seconds


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir="/var/tmp") as folder:
        for line in lines(Path(folder)):
            print(
                f"{line.work:50} {line.gantry:9.2f} {line.unit:9} {line.peer_name}: {line.peer:.2f}"
                f"  ratio {line.ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
