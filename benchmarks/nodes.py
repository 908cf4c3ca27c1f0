"""What growing costs and brings: `python -m benchmarks.nodes`.

Storing and finding with the index in PostgreSQL, beside Orthanc with its plugin for it; storing by one, two
and four workers; storing into a bucket, beside the speed of the bucket; and frames from a bucket, cached and
not. PostgreSQL (fsync on) and the object store (OpenStack Swift) run on this machine and share its cores
with all.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from benchmarks import peers, scu, web
from benchmarks.corpus import Slice, study
from benchmarks.peers import Peer
from benchmarks.results import Line
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import object_path
from gantry.archive.records import InstanceKey

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import swift
from buckets import allowed, bucket_url
from postgres import PostgresServer

ROUNDS, SLICES, ASSOCIATIONS = 3, 64, 4
FRAMES = 60
_numbers = count(70_000)


def lines(folder: Path) -> Iterator[Line]:
    """All of it; Gantry's figure beside that of another server, of the store itself, or of another way."""
    server = PostgresServer()
    try:
        yield from _databases(folder, server)
        yield from _workers(folder, server)
        with swift.running() as store, allowed(store):
            yield from _buckets(folder, server, store)
    finally:
        server.stop()


def _databases(folder: Path, server: PostgresServer) -> Iterator[Line]:
    if peers.orthanc_plugin("PostgreSQLIndex") is None:
        return
    with (
        peers.gantry(folder / "a", index=server.fresh_url()) as gantry,
        peers.orthanc(folder / "b", postgres_port=server.port) as orthanc,
        peers.gantry(folder / "c") as file,
    ):
        for associations in (1, ASSOCIATIONS):
            work = f"C-STORE, {associations} association{'s' * (associations > 1)}, index in PostgreSQL"
            mine, theirs, alone = _in_turn(_storing((gantry, orthanc, file), associations))
            yield Line(work, "obj/s", mine, "Orthanc with PostgreSQL", theirs)
            yield Line(work, "obj/s", mine, "index in a file", alone)
        for peer in (gantry, orthanc, file):
            for _ in range(30):
                scu.store(peer.dicom, peer.aet, list(study(next(_numbers), 1)))
        asked = [partial(_first_page_ms, peer) for peer in (gantry, orthanc, file)]
        found = _in_turn(asked)
        work = "QIDO, 25 studies, index in PostgreSQL"
        yield Line(work, "ms", found[0], "Orthanc with PostgreSQL", found[1], rate=False)
        yield Line(work, "ms", found[0], "index in a file", found[2], rate=False)


def _workers(folder: Path, server: PostgresServer) -> Iterator[Line]:
    with ExitStack() as stack:
        made = [stack.enter_context(_serving(folder / f"w{n}", server, workers=str(n))) for n in (1, 2, 4)]
        one, two, four = _in_turn(_storing(made, 8))
    for workers, rate in ((2, two), (4, four)):
        yield Line(f"C-STORE, 8 associations, {workers} workers, files", "obj/s", rate, "1 process", one)


def _buckets(folder: Path, server: PostgresServer, store: swift.SwiftServer) -> Iterator[Line]:
    bucket = Bucket.open(bucket_url(store))
    with ExitStack() as stack:
        file = stack.enter_context(_serving(folder / "f", server))
        nodes = [
            stack.enter_context(_serving(folder / f"s{n}", server, workers=str(n), store=bucket_url(store)))
            for n in (1, 2, 4)
        ]
        raw, one, two, four, files = _in_turn([lambda: _put(bucket, 8), *_storing((*nodes, file), 8)])
        for workers, rate in ((1, one), (2, two), (4, four)):
            work = f"C-STORE, 8 associations, {workers} worker{'s' * (workers > 1)}, bucket"
            yield Line(work, "obj/s", rate, "puts alone, 8 at once", raw)
        yield Line("C-STORE, 8 associations, bucket", "obj/s", one, "files, index in PostgreSQL", files)
        yield from _frames(folder, server, store, file)


def _frames(folder: Path, server: PostgresServer, store: swift.SwiftServer, file: Peer) -> Iterator[Line]:
    """Each frame is asked for once, so that nothing answers from what it made before."""
    url, index = bucket_url(store), server.fresh_url()
    with peers.gantry(folder / "c", store=url, index=index) as cached:
        items = list(study(next(_numbers), FRAMES * (ROUNDS + 1)))
        for peer in (cached, file):
            scu.store(peer.dicom, peer.aet, items)
        with peers.gantry(folder / "n", store=url, index=index) as fresh:
            shares = [iter([items[n :: ROUNDS + 1] for n in range(ROUNDS + 1)]) for _ in range(4)]
            here, far, local, gets = _in_turn(
                [
                    *(
                        _asking(peer, share)
                        for peer, share in zip((cached, fresh, file), shares, strict=False)
                    ),
                    lambda: _get_ms(Bucket.open(url), next(shares[3])),
                ]
            )
    yield Line("one frame, bucket, from the cache", "ms", here, "files", local, rate=False)
    yield Line("one frame, bucket, not in the cache", "ms", far, "files", local, rate=False)
    yield Line("one frame, bucket, not in the cache", "ms", far, "gets alone", gets, rate=False)


def _asking(peer: Peer, shares: Iterator[Sequence[Slice]]) -> Callable[[], float]:
    def ask() -> float:
        paths = [
            f"{peer.web}/studies/{one.study_uid}/series/{one.series_uid}/instances/{one.sop_uid}/frames/1"
            for one in next(shares)
        ]
        return web.first_latency_ms(peer, paths, web.OCTETS)

    return ask


def _storing(found: Sequence[Peer], associations: int) -> list[Callable[[], float]]:
    return [partial(_rate, peer, associations) for peer in found]


def _in_turn(measures: Sequence[Callable[[], float]]) -> list[float]:
    """Medians of rounds in which each takes its turn; the first round only warms."""
    found: list[list[float]] = [[] for _ in measures]
    for n in range(ROUNDS + 1):
        for measure, values in zip(measures, found, strict=True):
            value = measure()
            if n:
                values.append(value)
    return [statistics.median(values) for values in found]


def _rate(peer: Peer, associations: int) -> float:
    items = list(study(next(_numbers), SLICES))
    return len(items) / scu.store_parallel(peer.dicom, peer.aet, items, associations)


def _put(bucket: Bucket, at_once: int) -> float:
    items: list[Slice] = list(study(next(_numbers), SLICES))
    with ThreadPoolExecutor(at_once) as pool:
        began = time.perf_counter()
        list(pool.map(lambda one: bucket.put(f"raw/{one.sop_uid}", one.part10), items))
        return len(items) / (time.perf_counter() - began)


def _first_page_ms(peer: Peer) -> float:
    return web.latency_ms(peer, "/studies?limit=25", web.JSON, 40)[0]


def _get_ms(bucket: Bucket, items: Sequence[Slice]) -> float:
    keys = [InstanceKey(one.study_uid, one.series_uid, one.sop_uid) for one in items]
    names = [object_path(key, 1) for key in keys]
    began = time.perf_counter()
    for name in names:
        bucket.get_range(name, 0, 1 << 20)
    return (time.perf_counter() - began) / len(names) * 1000


@contextmanager
def _serving(folder: Path, server: PostgresServer, **settings: str) -> Iterator[Peer]:
    wide = {"max_associations_per_peer": "64", "index_connections": "3"}
    with peers.gantry(folder, index=server.fresh_url(), **wide, **settings) as peer:
        yield peer


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir="/var/tmp") as folder:
        for line in lines(Path(folder)):
            figures = f"{line.gantry:9.3f} {line.unit:6} {line.peer_name}: {line.peer:.3f}"
            print(f"{line.work:45} {figures}  ratio {line.ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
