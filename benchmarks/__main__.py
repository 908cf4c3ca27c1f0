"""Run the table of speeds: `python -m benchmarks [--quick]`, written to benchmarks/results.md."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

from benchmarks import (
    batch,
    codecs,
    convert,
    costs,
    crowd,
    growth,
    header,
    index,
    memory,
    nodes,
    peers,
    powercut,
    retrieve,
    scale,
    scu,
    viewer,
    web,
)
from benchmarks.corpus import Slice, study
from benchmarks.peers import Peer
from benchmarks.results import Line, markdown

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("GANTRY_SHARED", HERE.parents[1] / "shared"))


class Run:
    """The servers of one run and the data they are filled with; each measurement alternates between them."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.rounds = 2 if quick else 5
        self.slices = 60 if quick else 250
        self._number = 0

    def fresh(self, slices: int | None = None) -> list[Slice]:
        """A study that no server has seen."""
        self._number += 1
        return list(study(self._number, slices or self.slices))

    def both(self, call: Callable[[Peer], float], one: Peer, other: Peer) -> tuple[float, float]:
        """Medians of `call` on both, taken in turn so that the machine's drift hits both alike."""
        mine, theirs = [], []
        for _ in range(self.rounds):
            mine.append(call(one))
            theirs.append(call(other))
        return statistics.median(mine), statistics.median(theirs)


def store_lines(run: Run, gantry: Peer, orthanc: Peer, storescp: Peer) -> Iterator[Line]:
    for associations, must in ((1, 3.0), (4, 2.5)):
        items = {p.name: iter([run.fresh() for _ in range(run.rounds)]) for p in (gantry, orthanc, storescp)}

        def rate(peer: Peer, items: dict[str, Iterator[list[Slice]]] = items, n: int = associations) -> float:
            share = next(items[peer.name])
            return len(share) / scu.store_parallel(peer.dicom, peer.aet, share, n)

        work = f"C-STORE, {associations} association{'s' * (associations > 1)}, durable"
        mine, theirs = run.both(rate, gantry, orthanc)
        yield Line(work, "obj/s", mine, "Orthanc", theirs, must)
        sink = statistics.median(rate(storescp) for _ in range(run.rounds))
        yield Line(work, "obj/s", mine, "storescp (no fsync, no index)", sink)


def stow_lines(run: Run, gantry: Peer, orthanc: Peer) -> Iterator[Line]:
    mine, theirs = run.both(lambda p: web.stow(p, run.fresh(100)), gantry, orthanc)
    yield Line("STOW-RS, 1 connection, 10 per request", "obj/s", mine, "Orthanc", theirs, 4.0)


def query_lines(run: Run, gantry: Peer, orthanc: Peer, uid: str, series: str, count: int) -> Iterator[Line]:
    for work, path, repeat, must in (
        ("QIDO studies, 5 results", "/studies?limit=5", 100, 0.25),
        ("QIDO one study", f"/studies?StudyInstanceUID={uid}", 100, 0.5),
        (f"QIDO {count} instances", f"/studies/{uid}/series/{series}/instances", 10, 0.02),
        (f"series metadata, {count}", f"/studies/{uid}/series/{series}/metadata", 10, 0.1),
    ):
        if len(web.results(gantry, path)) != len(web.results(orthanc, path)):
            raise RuntimeError(f"the peers do not answer alike to {path}")

        def latency(peer: Peer, path: str = path, repeat: int = repeat) -> float:
            return web.latency_ms(peer, path, {**web.JSON, "Accept-Encoding": "gzip"}, repeat)[0]

        mine, theirs = run.both(latency, gantry, orthanc)
        yield Line(work, "ms", mine, "Orthanc", theirs, must, rate=False)


def frame_lines(run: Run, gantry: Peer, orthanc: Peer, nginx: Peer, item: Slice) -> Iterator[Line]:
    instance = f"/studies/{item.study_uid}/series/{item.series_uid}/instances/{item.sop_uid}"
    frame = f"{instance}/frames/1"
    mine, theirs = run.both(lambda p: web.latency_ms(p, frame, web.OCTETS, 100)[0], gantry, orthanc)
    yield Line("one frame, latency", "ms", mine, "Orthanc", theirs, rate=False)
    mine, theirs = run.both(lambda p: web.wrk(p, p.web + frame, web.OCTETS), gantry, orthanc)
    yield Line("one frame, 4 connections", "req/s", mine, "Orthanc", theirs, 3.0)
    (run.folder / "nginx" / "frame").write_bytes(item.part10)
    single = {"Accept": "application/octet-stream"}
    paths = {gantry.name: gantry.web + frame, nginx.name: "/frame"}
    mine, theirs = run.both(lambda p: web.wrk(p, paths[p.name], single), gantry, nginx)
    yield Line("one frame, 4 connections", "req/s", mine, "nginx, same bytes", theirs, 0.5)
    series = f"/studies/{item.study_uid}/series/{item.series_uid}"
    dicom = {"Accept": 'multipart/related; type="application/dicom"'}
    mine, theirs = run.both(lambda p: web.download_mb_s(p, series, dicom), gantry, orthanc)
    yield Line("whole series", "MB/s", mine, "Orthanc", theirs, 3.0)


def picture_lines(run: Run, gantry: Peer, orthanc: Peer, items: Sequence[Slice]) -> Iterator[Line]:
    """Each measurement takes instances that were not asked for before: both servers keep what they made."""
    names = [f"/studies/{i.study_uid}/series/{i.series_uid}/instances/{i.sop_uid}" for i in items]
    share = len(items) // (2 * run.rounds)
    jpeg = {"Accept": "image/jpeg"}

    def slices(n: int) -> slice:
        return slice(n * share, (n + 1) * share)

    def rendered(rest: str) -> Callable[[Peer], float]:
        turns: dict[str, Iterator[int]] = {peer.name: count() for peer in (gantry, orthanc)}

        def measure(peer: Peer) -> float:
            chosen = names[slices(next(turns[peer.name]))]
            return web.first_latency_ms(peer, [f"{peer.web}{name}/{rest}" for name in chosen], jpeg)

        return measure

    mine, theirs = run.both(rendered("rendered"), gantry, orthanc)
    yield Line("rendered JPEG, each for the first time", "ms", mine, "Orthanc", theirs, 0.5, rate=False)
    mine, theirs = run.both(lambda p: web.latency_ms(p, f"{names[0]}/rendered", jpeg, 30)[0], gantry, orthanc)
    yield Line("rendered JPEG, the same again", "ms", mine, "Orthanc", theirs, 0.5, rate=False)
    small = rendered("rendered?viewport=128,128")
    thumbnail = rendered("thumbnail")
    mine, theirs = run.both(lambda p: (thumbnail if p is gantry else small)(p), gantry, orthanc)
    yield Line("thumbnail", "ms", mine, "Orthanc, rendered 128x128", theirs, 0.5, rate=False)
    own = [
        f"/instances/{web.orthanc_instance(orthanc, i.sop_uid)}/preview" for i in items[run.rounds * share :]
    ]
    turns = count()
    mine, theirs = run.both(
        lambda p: thumbnail(p) if p is gantry else web.first_latency_ms(p, own[slices(next(turns))], jpeg),
        gantry,
        orthanc,
    )
    yield Line("thumbnail", "ms", mine, "Orthanc's preview", theirs, 0.5, rate=False)


def retrieve_lines(run: Run, gantry: Peer, orthanc: Peer, sink: Peer, uid: str, count: int) -> Iterator[Line]:
    mine, theirs = run.both(lambda p: retrieve.get(p, uid, count), gantry, orthanc)
    yield Line(f"C-GET, {count} objects", "obj/s", mine, "Orthanc", theirs, 1.2)
    mine, theirs = run.both(lambda p: retrieve.move(p, uid, count, sink.aet), gantry, orthanc)
    yield Line(f"C-MOVE, {count} objects", "obj/s", mine, "Orthanc", theirs, 2.5)


def header_lines() -> Iterator[Line]:
    mine, theirs = header.one_header()
    yield Line(
        "header scan, 150 elements", "us", mine, "pydicom stop_before_pixels", theirs, 1 / 7, rate=False
    )
    if (SHARED / "data").is_dir():
        contents = [path.read_bytes() for path in sorted((SHARED / "data").rglob("*.dcm"))]
        mine, theirs, count = header.files(contents)
        yield Line(f"header scan, median of {count} real files", "us", mine, "pydicom", theirs, rate=False)


def lines(run: Run) -> Iterator[Line]:
    yield from header_lines()
    yield from convert.lines(run.folder, run.slices, run.rounds)
    with (
        peers.sink() as sink,
        peers.gantry(run.folder, peers=f"{sink.aet}@127.0.0.1:{sink.dicom}") as gantry,
        peers.orthanc(run.folder, {sink.aet: ("127.0.0.1", sink.dicom)}) as orthanc,
        peers.storescp(run.folder) as storescp,
        peers.nginx(run.folder) as nginx,
    ):
        yield Line(
            "start to ready", "s", gantry.seconds_to_ready, "Orthanc", orthanc.seconds_to_ready, rate=False
        )
        yield Line(
            "memory when idle", "MB", gantry.resident_mb(), "Orthanc", orthanc.resident_mb(), rate=False
        )
        yield from store_lines(run, gantry, orthanc, storescp)
        items = run.fresh()
        for peer in (gantry, orthanc):
            scu.store(peer.dicom, peer.aet, items)
        yield from stow_lines(run, gantry, orthanc)
        yield from query_lines(run, gantry, orthanc, items[0].study_uid, items[0].series_uid, len(items))
        yield from frame_lines(run, gantry, orthanc, nginx, items[0])
        yield from picture_lines(run, gantry, orthanc, items)
        yield from retrieve_lines(run, gantry, orthanc, sink, items[0].study_uid, len(items))
    yield from codecs.lines(["htj2k-rpcl"] if run.quick else codecs.CODECS)
    if not run.quick:
        for measured in (crowd, index, nodes, batch, viewer):
            with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=_where()) as folder:
                yield from measured.lines(Path(folder))


def _growth() -> list[str]:
    return growth.section(growth.measure())


def _memory() -> list[str]:
    measured = []
    for make in (peers.gantry, peers.orthanc):
        with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=_where()) as folder:
            path = Path(folder)
            unlimited = {"max_associations_per_peer": str(memory.ASSOCIATIONS)}
            server = make(path, **unlimited) if make is peers.gantry else make(path)
            with server as peer:
                measured += memory.lines(peer)
    return memory.section(measured)


def _power_cuts() -> list[str]:
    head = ["## Acknowledged objects lost by a power cut", ""]
    if not powercut.possible():
        return [*head, "Not measured: it needs root and loop devices.", ""]
    rows = [
        f"| {loss.peer} | {loss.acknowledged} | {loss.lost} |"
        for loss in powercut.losses(cuts=len(powercut.SECONDS_BEFORE_CUT))
    ]
    return [*head, "| server | acknowledged | lost |", "|---|---|---|", *rows, ""]


def _where() -> str | None:
    """The folder that servers keep their data in; a real disk, or durability costs nothing."""
    return os.environ.get("GANTRY_BENCH_DIR")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds, smaller studies; nothing is written"
    )
    arguments = parser.parse_args()
    done = []
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir=_where()) as folder:
        for line in lines(Run(Path(folder), arguments.quick)):
            print(f"{line.work:45} {line.gantry:10.2f} {line.unit:6} {line.peer_name}: {line.peer:.2f}  "
                  f"ratio {line.ratio:.2f} {line.verdict}", file=sys.stderr, flush=True)  # fmt: skip
            done.append(line)
    notes = (
        []
        if arguments.quick
        else [*_growth(), *scale.measure(folder=_where()), *costs.section(), *_memory(), *_power_cuts()]
    )
    page = markdown(done, peers.versions(), notes)
    if arguments.quick:
        print(page)
    else:
        (HERE / "results.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
