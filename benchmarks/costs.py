"""What an object costs: `python -m benchmarks.costs`.

Bytes of the index for each instance, in both databases; what a store is asked, counted by a relay before it;
and how much memory of Python's own work on all objects takes, for few and for many. The page docs/scale.md
reckons with these figures.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import psycopg

from benchmarks.corpus import study
from gantry.archive.archive import Archive, Options
from gantry.archive.blobs.files import object_path
from gantry.archive.disk import OsDisk
from gantry.archive.index import AddVersion
from gantry.archive.index.postgres_schema import PostgresSchema
from gantry.archive.index.postgres_server import Server
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.sqlite_file import SqliteFile
from gantry.archive.places import Places
from gantry.archive.records import InstanceKey, Origin
from gantry.archive.store import examine_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import swift
from buckets import allowed, bucket_url
from postgres import PostgresServer
from relay import Relay, relayed
from stored_objects import part10

STUDIES, SLICES = 40, 250
ASKED, LARGE_SIDE = 100, 3_162
FEW, MANY = 8_000, 32_000
_TOGETHER = SLICES // 5
_ORIGIN = Origin("CT", "192.0.2.1", "dimse")
_PEAK = """
import sys, tracemalloc
from pathlib import Path
from gantry.archive.archive import Archive
folder, work = Path(sys.argv[1]), sys.argv[2]
if work == "start without an index":
    for file in folder.glob("index.sqlite*"):
        file.unlink()
    tracemalloc.start()
    Archive.open(folder).close()
else:
    with Archive.open(folder) as archive:
        tracemalloc.start()
        archive.verify() if work == "verify" else archive.reindex()
print(tracemalloc.get_traced_memory()[1])
"""


def section() -> Iterator[str]:
    """The figures as lines of a page, as they are found."""
    with tempfile.TemporaryDirectory(prefix="gantry-costs-", dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        server = PostgresServer()
        stack.callback(server.stop)
        store = stack.enter_context(swift.running())
        stack.enter_context(allowed(store))
        yield from (
            "## What an object costs",
            "",
            f"`python -m benchmarks.costs`: CT slices of 0.5 MB, {STUDIES} studies of {SLICES} in the index.",
            "",
            "| | |",
            "|---|---|",
        )
        for what, found in chain(
            _index_bytes(folder, server), _requests(folder, server, store), _work_on_all(folder)
        ):
            yield f"| {what} | {found} |"
        yield ""


def _index_bytes(folder: Path, server: PostgresServer) -> Iterator[tuple[str, str]]:
    """Of an index in a file, and of one in PostgreSQL with its own indexes, for each instance."""
    file, scratch = folder / "slice", folder / "scratch"
    found = []
    for item in study(1, SLICES):
        file.write_bytes(item.part10)
        found.append(examine_file(OsDisk(folder), str(file), str(scratch), _ORIGIN))
    parsed = Server.parse(server.fresh_url())
    path = folder / "index.sqlite"
    with (
        closing(SqlIndex(SqliteFile(path))) as one,
        closing(SqlIndex(PostgresSchema(parsed, parsed.name))) as other,
    ):
        for number in range(STUDIES):
            uid = f"{found[0].key.study_uid}.{number}"
            changes = []
            for instance, record in enumerate(found):
                key = InstanceKey(uid, f"{uid}.1", f"{uid}.1.{instance}")
                placed = replace(record, key=key).placed(
                    object_path(key, 1), datetime(2026, 1, 1, tzinfo=UTC)
                )
                changes.append(AddVersion(placed, 1))
            one.apply(changes)
            other.apply(changes)
    with psycopg.connect(server.url) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'",
            (parsed.name,),
        ).fetchone()
    assert row is not None
    instances = STUDIES * SLICES
    yield "index in a file, bytes for each instance", f"{path.stat().st_size / instances:,.0f}"
    yield "index in PostgreSQL, bytes for each instance", f"{int(row[0]) / instances:,.0f}"


def _requests(folder: Path, server: PostgresServer, store: swift.SwiftServer) -> Iterator[tuple[str, str]]:
    """What is done, and what the store is asked for it."""
    index = server.fresh_url()
    with relayed(store.endpoint) as relay:
        port, through = (one.rpartition(":")[2] for one in (store.endpoint, relay.address))
        url = bucket_url(store).replace(port, through)
        items = list(study(2, ASKED))
        with _opened(folder / "one", index, url) as first:
            yield "a start of a node: asked of the store", _asked(relay)
            for item in items:
                _store(first, item.part10)
            yield f"{ASKED} objects of 0.5 MB stored", _asked(relay)
            large = next(study(3, 1, LARGE_SIDE))
            _store(first, large.part10)
            yield "one of 20 MB stored", _asked(relay)
            first.write_journal()
            yield "the journal written", _asked(relay)
            for location in first.locate():
                first.read_range(location, 0, 1000)
            yield f"{ASKED + 1} objects read where they came in", _asked(relay)
            with _opened(folder / "other", index, url) as second:
                _asked(relay)
                for location in second.locate(items[0].study_uid):
                    second.read_range(location, location.file_size - 400_000, 400_000)
                yield f"{ASKED} objects read for the first time at another node", _asked(relay)
                [location] = second.locate(large.study_uid)
                second.read_range(location, 5_000_000, 500_000)
                yield "0.5 MB of the one of 20 MB read there", _asked(relay)
                second.delete(items[0].study_uid)
                yield f"a study of {ASKED} objects deleted", _asked(relay)


def _opened(folder: Path, index: str, store: str) -> Archive:
    return Places(folder, index, 4, store).open(Options(reserve_bytes=0))


def _store(archive: Archive, content: bytes) -> None:
    arrival = archive.begin()
    arrival.write(content)
    archive.store_many([arrival])


def _asked(relay: Relay) -> str:
    """What was asked since it was called last: methods, and LIST for a GET of the bucket itself."""
    found: Counter[str] = Counter()
    while relay.requests:
        method, _, path = relay.requests.pop(0).partition(" ")
        name = path.partition("?")[0].strip("/").partition("/")[2]
        found["LIST" if method == "GET" and not name else method] += 1
    return ", ".join(f"{count} {method}" for method, count in sorted(found.items())) or "nothing"


def _work_on_all(folder: Path) -> Iterator[tuple[str, str]]:
    for objects in (FEW, MANY):
        data = folder / f"archive{objects}"
        with Archive.open(data) as archive:
            for first in range(0, objects, _TOGETHER):
                arrivals = [archive.begin() for _ in range(_TOGETHER)]
                for instance, arrival in enumerate(arrivals):
                    arrival.write(part10(first // SLICES + 1, 1, (first + instance) % SLICES + 1))
                archive.store_many(arrivals)
        for work in ("verify", "reindex", "start without an index"):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _PEAK, str(data), work], capture_output=True, text=True, check=True
            )
            taken = (time.perf_counter() - began) / objects * 1e6
            yield (
                f"{work} of {objects:,} objects: most memory of Python's own, and time for each",
                f"{int(done.stdout) / 1e6:.1f} MB, {taken:,.0f} us",
            )


def main() -> None:
    """Print the section."""
    for line in section():
        print(line, flush=True)


if __name__ == "__main__":
    main()
