"""The index in PostgreSQL beside the one in a file: `python -m benchmarks.index`.

The database is one of its own, with fsync on. Measured is the index alone, as one process uses it; both are
filled with the same studies and asked the same questions, in turn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.results import Line
from gantry.archive.index.protocol import AddVersion
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.sqlite_file import SqliteFile
from gantry.archive.query import Query, TextQuery
from gantry.archive.records import ObjectRecord
from gantry.standard.query_keys import Level

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from index_records import element, record
from postgres import PostgresServer, database_at

STUDIES, SERIES_SIZE, ROUNDS = 400, 20, 5
TOGETHER, ALONE, ASKED = 100, 150, 200
"""Objects of one transaction; objects with one each; questions of a kind."""


def lines(folder: Path) -> Iterator[Line]:
    """Rates of rows and seconds of questions, the file's as the peer's figures."""
    server = PostgresServer()
    try:
        postgres = SqlIndex(database_at(server.fresh_url()))
        file = SqlIndex(SqliteFile(folder / "index.sqlite"))
        try:
            yield from _compared(postgres, file)
        finally:
            postgres.close()
            file.close()
    finally:
        server.stop()


def _compared(postgres: SqlIndex, file: SqlIndex) -> Iterator[Line]:
    changes = [
        AddVersion(_object(study, number), 1)
        for study in range(1, STUDIES + 1)
        for number in range(1, SERIES_SIZE + 1)
    ]
    share = len(changes) // ROUNDS
    rounds = [changes[n * share : (n + 1) * share] for n in range(ROUNDS)]

    def line(work: str, measure: Callable[[SqlIndex, int], float], unit: str) -> Line:
        found: tuple[list[float], list[float]] = ([], [])
        for n in range(ROUNDS):
            for index, values in zip((postgres, file), found, strict=True):
                values.append(measure(index, n))
        mine, theirs = map(statistics.median, found)
        return Line(f"index: {work}", unit, mine, "SQLite", theirs, rate=unit.endswith("/s"))

    def alone(index: SqlIndex, n: int) -> float:
        some = rounds[n][:ALONE]
        return _rate(lambda: [index.apply([change]) for change in some], len(some))

    def together(index: SqlIndex, n: int) -> float:
        rest = rounds[n][ALONE:]
        pieces = [rest[at : at + TOGETHER] for at in range(0, len(rest), TOGETHER)]
        return _rate(lambda: [index.apply(piece) for piece in pieces], len(rest))

    yield line("rows, one object a transaction", alone, "obj/s")
    yield line(f"rows, {TOGETHER} objects a transaction", together, "obj/s")
    questions: dict[str, Callable[[SqlIndex, int], object]] = {
        "first page of 25 studies": lambda index, _: index.search_text(TextQuery([], 25)),
        "studies of a Patient ID": lambda index, n: index.find(
            Query(Level.STUDY, {"00100020": element("LO", f"P{n}")})
        ),
        f"places of a series of {SERIES_SIZE}": lambda index, n: index.locate(f"1.{n + 1}", f"1.{n + 1}.1"),
        "look-up of one instance": lambda index, n: index.lookup([changes[n].record.key]),
    }
    for name, ask in questions.items():
        yield line(name, lambda index, _, ask=ask: _milliseconds(index, ask), "ms")  # type: ignore[misc]


def _object(study: int, number: int) -> ObjectRecord:
    uid = f"1.{study}"
    return record(uid, f"{uid}.1", f"{uid}.1.{number}", patient_id=f"P{study // 2}", tick=number)


def _rate(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _milliseconds(index: SqlIndex, ask: Callable[[SqlIndex, int], object]) -> float:
    began = time.perf_counter()
    for n in range(1, ASKED + 1):
        ask(index, n)
    return (time.perf_counter() - began) / ASKED * 1000


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory(prefix="gantry-bench-", dir="/var/tmp") as folder:
        for line in lines(Path(folder)):
            figures = f"{line.gantry:9.3f} {line.unit:6} {line.peer_name}: {line.peer:.3f}"
            print(f"{line.work:45} {figures}  ratio {line.ratio:.2f}")


if __name__ == "__main__":
    main()
