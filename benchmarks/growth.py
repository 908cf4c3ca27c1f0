"""Does the archive stay as fast as it fills? The index is filled by script, then stored into and asked.

No objects lie behind the rows: what is measured is the index, which is all that a query touches and all of a
store that could grow with the archive.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.corpus import CT_IMAGE
from gantry.archive.index import AddVersion
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query
from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord, Origin, PixelLocation
from gantry.standard.query_keys import Level

SIZES = (10_000, 100_000, 1_000_000)
_BATCH = 2_000
_STORES = 500
_REPEAT = 50
_START = datetime(2020, 1, 1, tzinfo=UTC)
_FAMILIES = ("Smith", "Jones", "Müller", "Garcia", "Chen", "Kowalski", "Olsen", "Rossi", "Sato", "Khan")


@dataclass(frozen=True, slots=True)
class Measured:
    """One size of archive: milliseconds of a durable store of one instance, and of each query."""

    studies: int
    store_ms: float
    queries_ms: dict[str, float]


def _element(vr: str, value: str) -> JsonModel:
    return {"vr": vr, "Value": [{"Alphabetic": value} if vr == "PN" else value]}


def _record(n: int) -> ObjectRecord:
    study = f"1.2.826.0.1.3680043.10.1338.7.{n}"
    key = InstanceKey(study, f"{study}.1", f"{study}.1.1")
    date = _START + timedelta(days=n % 2500)
    digest = n.to_bytes(32, "big")
    return ObjectRecord(
        key=key,
        sop_class_uid=CT_IMAGE,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"objects/00/{key.study_uid}/{key.series_uid}/{key.sop_uid}.dcm",
        file_size=525_000,
        dataset_offset=400,
        dataset_sha256=digest,
        meta_sha256=digest,
        received_at=_START + timedelta(microseconds=n),
        origin=Origin("SCANNER", "192.0.2.7", "dimse"),
        pixel=PixelLocation(1200, 524_288),
        patient={
            "00100010": _element("PN", f"{_FAMILIES[n % 10]}{n % 9973}^Jane{n % 89}"),
            "00100020": _element("LO", f"PID{n // 3}"),
            "00100030": _element("DA", "19700102"),
            "00100040": _element("CS", "F"),
        },
        study={
            "00080020": _element("DA", f"{date:%Y%m%d}"),
            "00080030": _element("TM", "101500"),
            "00080050": _element("SH", f"ACC{n}"),
            "00081030": _element("LO", "CT thorax"),
            "0020000D": _element("UI", key.study_uid),
        },
        series={"00080060": _element("CS", "CT"), "0020000E": _element("UI", key.series_uid)},
        instance={"00080016": _element("UI", CT_IMAGE), "00080018": _element("UI", key.sop_uid)},
    )


def _queries(studies: int) -> dict[str, Query]:
    middle = _record(studies // 2)
    date = middle.study["00080020"]["Value"][0]
    return {
        "one study": Query(Level.STUDY, {"0020000D": _element("UI", middle.key.study_uid)}),
        "newest 25": Query(Level.STUDY, limit=25),
        "patient ID": Query(Level.STUDY, {"00100020": _element("LO", middle.patient_id)}),
        "accession number": Query(Level.STUDY, {"00080050": middle.study["00080050"]}),
        "name smith77*": Query(Level.STUDY, {"00100010": _element("PN", "smith77*")}, limit=25),
        "one day": Query(Level.STUDY, {"00080020": _element("DA", date)}, limit=25),
    }


def _median_ms(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_REPEAT):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def measure(sizes: tuple[int, ...] = SIZES) -> Iterator[Measured]:
    """Fill one index step by step and measure at each size."""
    with tempfile.TemporaryDirectory(prefix="gantry-growth-") as folder:
        index = SqlIndex(Path(folder) / "index.sqlite")
        filled = 0
        for size in sizes:
            while filled < size:
                count = min(_BATCH, size - filled)
                index.apply([AddVersion(_record(n), 1) for n in range(filled, filled + count)])
                filled += count
            started = time.perf_counter()
            for n in range(filled, filled + _STORES):
                index.apply([AddVersion(_record(n), 1)])
            store_ms = (time.perf_counter() - started) / _STORES * 1000
            filled += _STORES
            queries = {
                name: _median_ms(lambda query=query: [row.json() for row in index.find(query).rows])
                for name, query in _queries(size).items()
            }
            yield Measured(size, store_ms, queries)
        index.close()


def section(measured: list[Measured]) -> list[str]:
    """The results as lines of a page."""
    names = list(measured[0].queries_ms)
    lines = [
        f"## From {measured[0].studies:,} to {measured[-1].studies:,} studies",
        "",
        "Milliseconds: a durable store of one instance (index part), and queries; filled by script.",
        "",
        "| studies | store | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for m in measured:
        cells = " | ".join(f"{m.queries_ms[name]:.2f}" for name in names)
        lines.append(f"| {m.studies:,} | {m.store_ms:.2f} | {cells} |")
    first, last = measured[0], measured[-1]
    ratios = " | ".join(f"{last.queries_ms[n] / first.queries_ms[n]:.2f}" for n in names)
    lines += [f"| ratio last to first | {last.store_ms / first.store_ms:.2f} | {ratios} |", ""]
    return lines


def main() -> None:
    print("\n".join(section(list(measure()))))


if __name__ == "__main__":
    main()
