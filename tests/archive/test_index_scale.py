"""Time to store and to find does not grow with the archive."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest

from gantry.archive.index import AddVersion
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query
from gantry.standard.query_keys import Level
from index_records import element, record

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

SMALL, LARGE = 5_000, 100_000

QUERIES = {
    "one study": Query(Level.STUDY, {"0020000D": element("UI", "1.2.77")}, want_total=True),
    "newest": Query(Level.STUDY, limit=50, want_total=True),
    "patient": Query(Level.STUDY, {"00100020": element("LO", "P77")}, want_total=True),
    "accession": Query(Level.STUDY, {"00080050": element("SH", "A77")}, want_total=True),
    "name": Query(Level.STUDY, {"00100010": element("PN", "family77^*")}, limit=50),
    "modality": Query(Level.STUDY, {"00080061": element("CS", "CT")}, limit=50),
    "instances": Query(Level.IMAGE, {"0020000D": element("UI", "1.2.77")}, want_total=True),
}


def studies(first: int, last: int) -> list[AddVersion]:
    return [
        AddVersion(
            record(
                f"1.2.{i}",
                f"1.2.{i}.1",
                f"1.2.{i}.1.{k}",
                tick=i * 10 + k,
                patient_id=f"P{i}",
                name=f"Family{i}^Given{i % 97}",
                accession=f"A{i}",
                study_date=f"20{i % 24:02}{i % 12 + 1:02}{i % 28 + 1:02}",
                number=k,
            ),
            1,
        )
        for i in range(first, last)
        for k in range(2)
    ]


def best_seconds(index: SqlIndex) -> dict[str, float]:
    """The best of some runs of each query, and of storing some studies one by one."""
    found = {}
    for name, query in QUERIES.items():
        times = []
        for _ in range(20):
            start = perf_counter()
            assert index.find(query).rows
            times.append(perf_counter() - start)
        found[name] = min(times)
    return found


def best_store_seconds(index: SqlIndex, first: int) -> float:
    times = []
    for change in studies(first, first + 200):
        start = perf_counter()
        index.apply([change])
        times.append(perf_counter() - start)
    return sorted(times)[len(times) // 10]


def test_twenty_times_more_studies_do_not_slow_it_down(tmp_path: Path) -> None:
    index = SqlIndex(tmp_path / "index.sqlite")

    def fill(first: int, last: int) -> None:
        for start in range(first, last, 500):
            index.apply(studies(start, min(start + 500, last)))

    fill(0, SMALL)
    small, small_store = best_seconds(index), best_store_seconds(index, 10_000_000)
    fill(SMALL, LARGE)
    large, large_store = best_seconds(index), best_store_seconds(index, 20_000_000)
    assert index.stats().studies == LARGE + 400
    slower = {name: (small[name], large[name]) for name in small if large[name] > 3 * small[name] + 0.002}
    assert slower == {}
    assert large_store < 3 * small_store + 0.002
    index.close()
