"""Are storing and asking as fast with many studies? `python -m benchmarks.scale [--sizes 10000 5000000]`.

The index in SQLite and in PostgreSQL with so many studies. As in `benchmarks.growth`, an
index of each size lies ready before anything is measured, and all are used in turn, so that a slow moment of
the machine strikes every size alike. Each call is about another study, drawn from all of the index, and in
SQLite follows a commit, which empties what the readers keep in memory.

SQLite is filled as an archive fills it. The rows are then copied into PostgreSQL, so that both hold the same.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import mmap
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.growth import FLAT, Times
from benchmarks.plans import plans
from benchmarks.scale_records import (
    PAGE,
    STUDIES_FOR_CONFLICT,
    Patient,
    arrivals,
    change,
    edited,
    key_of,
    queries,
)
from gantry.archive.index import EditFilter, schema
from gantry.archive.index.database import Database
from gantry.archive.index.postgres_schema import PostgresSchema
from gantry.archive.index.postgres_server import Server
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.sqlite_file import SqliteFile
from gantry.archive.query import Query

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from postgres import PostgresServer

SIZES = (10_000, 100_000, 1_000_000)
ROUNDS = 200
_WARMING_UP = 10
_BATCH = 2_000
_TOGETHER = 100
_TAIL = 100


class Archive:
    """An index of one size in one database, and what is done to it."""

    def __init__(self, database: Database, studies: int, size_bytes: int, file: bool) -> None:
        self.database = database
        self.studies = studies
        self.size_bytes = size_bytes
        self.times: dict[str, Times] = {}
        self._index = SqlIndex(database)
        self._file = file
        self._new = count(studies)
        self._newest = next(self._new)
        self._more = count(1)
        self._last_change = self._index.stats().last_change

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def works(self, n: int) -> dict[str, Callable[[SqlIndex], object]]:
        """All that is measured, about study `n` where it is about one."""
        key, new = key_of(n), next(self._new)
        one, into = [change(new)], [change(n, 1000 + next(self._more))]
        many = [change(new, instance) for instance in range(2, 2 + _TOGETHER)]
        works: dict[str, Callable[[SqlIndex], object]] = {
            "store one, of a new study": lambda index: index.apply(one),
            "store one, into any study": lambda index: index.apply(into),
            "store 100": lambda index: index.apply(many),
            "look-up before a store": lambda index: index.lookup([key]),
        }
        for name, query in queries(n, self.studies).items():
            if isinstance(query, Query):
                works[name] = lambda index, q=query: [row.json() for row in index.find(q).rows]  # type: ignore[misc]
            else:
                works[name] = lambda index, q=query: [row.json() for row in index.search_text(q).rows]  # type: ignore[misc]
        works["locate a series"] = lambda index: index.locate(key.study_uid, key.series_uid)
        works["locate an instance"] = lambda index: index.locate(key.study_uid, key.series_uid, key.sop_uid)
        works["the last 100 changes"] = lambda index: index.changes(self._last_change - _TAIL, _TAIL)
        works |= self._of_history(n)
        works["stats"] = lambda index: index.stats()
        return works

    def _of_history(self, n: int) -> dict[str, Callable[[SqlIndex], object]]:
        """What is asked of edits, versions and conflicts, and what walks through all objects step by step."""
        key, patient = key_of(edited(n)), Patient.of(edited(n))
        of_study, of_patient = EditFilter(study_uid=key.study_uid), EditFilter(f"P{patient.number:07}", "")
        return {
            "edits of a study": lambda index: index.edits(of_study),
            "edits of a patient": lambda index: index.edits(of_patient),
            "the newest 25 edits": lambda index: index.edits(EditFilter(), limit=PAGE),
            "versions of an instance": lambda index: index.versions(key),
            "25 conflicts": lambda index: index.conflicts(n // STUDIES_FOR_CONFLICT, PAGE),
            "the next versions, as verify, tiers and backup walk": lambda index: index.versions_after(n),
        }

    def measure(self, name: str, work: Callable[[SqlIndex], object]) -> None:
        """Do it once."""
        if self._file:  # PostgreSQL keeps its memory when something is committed
            self._index.apply([change(self._newest, next(self._more))])
        times = self.times.setdefault(name, Times())
        started = time.perf_counter()
        found = work(self._index)
        times.ms.append((time.perf_counter() - started) * 1000)
        times.found += len(found) if isinstance(found, list) else 0


def _filled(folder: Path, sizes: Sequence[int]) -> Iterator[Path]:
    growing = folder / "growing.sqlite"
    filled = 0
    for size in sizes:
        with closing(SqlIndex(growing)) as index:
            began = time.perf_counter()
            gc.disable()  # so many records at once have it look through all of them again and again
            for first in range(filled, size, _BATCH):
                last = min(first + _BATCH, size)
                index.apply([arrival for n in range(first, last) for arrival in arrivals(n)])
            gc.enable()
            _say(f"{size:,} studies after {time.perf_counter() - began:.0f} s more")
            filled = size
        path = folder / f"{size}.sqlite"
        yield growing.rename(path) if size == sizes[-1] else Path(shutil.copy(growing, path))


@contextmanager
def held(path: Path) -> Iterator[None]:
    """A file is in memory, all of it, as on a machine that has enough; kernels let go of what is seldom read.

    Raises OSError where there is too little of it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        address = np.frombuffer(mapped, np.uint8)
        where, size = ctypes.c_void_p(address.ctypes.data), ctypes.c_size_t(len(mapped))
        if libc.mlock(where, size):
            raise OSError(ctypes.get_errno(), "it cannot be kept in memory", str(path))
        try:
            yield
        finally:
            libc.munlock(where, size)
            del address


def _copied(server: PostgresServer, path: Path) -> tuple[PostgresSchema, int]:
    """The same rows in a schema of their own, and their bytes."""
    parsed = Server.parse(server.fresh_url())
    database = PostgresSchema(parsed, parsed.name)
    database.prepare()
    with closing(sqlite3.connect(path)) as source, psycopg.connect(server.url, autocommit=True) as target:
        target.execute(f"SET search_path = {parsed.name}")
        target.execute("TRUNCATE meta, totals")
        for name in schema.metadata.tables:
            with target.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                for row in source.execute(f"SELECT * FROM {name}"):
                    copy.write_row(row)
        target.execute("VACUUM ANALYZE")  # as it does by itself after a while
        row = target.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n"
            " ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'",
            (parsed.name,),
        ).fetchone()
    assert row is not None
    _say(f"{path.stem} copied into PostgreSQL")
    return database, int(row[0])


def _measure(archives: list[Archive], rounds: int) -> None:
    draw = random.Random(1)
    for number in range(-_WARMING_UP, rounds):
        chance = draw.random()
        works = [archive.works(int(chance * archive.studies)) for archive in archives]
        names = list(works[0])
        # what adds many instances comes last, so that it takes no memory from the others
        names.sort(key=lambda name: (name == "store 100", draw.random()))
        for name in names:
            # In any order: who comes first finds the processor's memory full of something else
            for archive, of_archive in draw.sample(list(zip(archives, works, strict=True)), len(archives)):
                if name == "store 100":
                    archive.measure("store one, of a new study", of_archive["store one, of a new study"])
                elif name == "store one, of a new study":
                    continue
                archive.measure(name, of_archive[name])
        if number == -1:
            for archive in archives:
                archive.times.clear()


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", file=sys.stderr, flush=True)


def _table(archives: list[Archive]) -> list[str]:
    first, last = archives[0], archives[-1]
    lines = [
        f"| | {' | '.join(f'{a.studies:,}' for a in archives)} | p95, last to first | found |",
        "|---|" + "---|" * (len(archives) + 2),
    ]
    for name in first.works(0):
        times = [a.times[name] for a in archives]
        cells = " | ".join(f"{t.median:.2f} · {t.p95:.2f}" for t in times)
        found = " · ".join(f"{t.found / len(t.ms):.0f}" for t in times) if last.times[name].found else ""
        lines.append(f"| {name} | {cells} | {times[-1].p95 / times[0].p95:.2f} | {found} |")
    sizes = " | ".join(f"{a.size_bytes / 1e6:,.0f} MB" for a in archives)
    each = " | ".join(f"{a.size_bytes / a.studies:,.0f}" for a in archives)
    return [*lines, f"| size of the index | {sizes} | | |", f"| bytes for each study | {each} | | |"]


def _plans(archive: Archive) -> list[str]:
    # Of studies that were not asked for: what is stored must be new
    found = plans(archive.database, archive.works(archive.studies // 3))
    return [line for name, steps in found.items() for line in (f"-- {name}", *steps, "")]


def section(name: str, archives: list[Archive]) -> list[str]:
    """The results of one database as lines of a page."""
    last = archives[-1].studies
    return [
        f"### {name}",
        "",
        *_table(archives),
        "",
        f"<details><summary>Plans of {name} at {last:,} studies</summary>",
        "",
        "```",
        *_plans(archives[-1]),
        "```",
        "",
        "</details>",
        "",
    ]


def measure(
    sizes: Sequence[int] = SIZES,
    rounds: int = ROUNDS,
    folder: str | None = None,
    in_postgresql: int | None = None,
    in_memory: bool = False,
) -> Iterator[str]:
    """Fill indexes of each number of studies, measure those of a database in turn, line by line.

    In PostgreSQL there are those of up to `in_postgresql` studies. Files of SQLite are held `in_memory`.
    """
    yield from [
        f"## The index from {sizes[0]:,} to {sizes[-1]:,} studies, in both databases",
        "",
        "Milliseconds, median · p95, of the index alone; studies of one or two instances. All sizes are",
        "measured in turn, each call about another study; the kernel has the files in memory. Flat is a p95",
        f"at the end of at most {FLAT} times that at the start. What was found is the mean of a call.",
        "",
    ]
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gantry-scale-", dir=folder)))
        server = PostgresServer()
        stack.callback(server.stop)
        paths = list(_filled(place, sizes))
        most = sizes[-1] if in_postgresql is None else in_postgresql
        copies = (_copied(server, path) for size, path in zip(sizes, paths, strict=True) if size <= most)
        files = ((SqliteFile(path), path.stat().st_size) for path in paths)
        # SQLite last: what it is asked to store makes the files other than they were
        for name, places in (("PostgreSQL", copies), ("SQLite", files)):
            with ExitStack() as opened:
                archives = [
                    opened.enter_context(closing(Archive(database, size, found, name == "SQLite")))
                    for size, (database, found) in zip(sizes, places, strict=False)
                ]
                if archives:
                    if in_memory and name == "SQLite":
                        for path in paths:
                            opened.enter_context(held(path))
                    _measure(archives, rounds)
                    _say(f"{name} is measured")
                    yield from section(name, archives)


def main() -> None:
    """Print the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="studies, from the smallest")
    parser.add_argument("--in-postgresql", type=int, help="the last in PostgreSQL, where that is another")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="calls of each kind at each size")
    parser.add_argument("--in-memory", action="store_true", help="hold the files of SQLite in memory")
    parser.add_argument("--folder", help="where the files lie while it runs; a real disk")
    arguments = parser.parse_args()
    for line in measure(
        arguments.sizes, arguments.rounds, arguments.folder, arguments.in_postgresql, arguments.in_memory
    ):
        print(line, flush=True)


if __name__ == "__main__":
    main()
