"""Does the archive stay as fast as it fills? Indexes are filled by script, then stored into and asked.

No objects lie behind the rows: what is measured is the index, which is all that a query touches and all of a
store that could grow with the archive.

An index of each size lies ready before anything is measured, and all are asked in turn, so that a slow moment
of the machine strikes every size alike; one after the other, minutes apart, its drift would pass for growth.
Before each query an instance is stored, for a commit empties what the readers' connections keep in memory: it
is the archive in use that is measured. Each round asks for another study, and its queries in another order.

The same queries are then asked of a cold disk: the kernel is told to drop the files from its memory before
each.

Every query of these two tables finds as many studies at each size. Those of the third match, or must test,
more as the archive grows, and come last, so that they take no caches from the others.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.corpus import CT_IMAGE
from gantry.archive.index import AddVersion
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query
from gantry.archive.records import InstanceKey, JsonModel, ObjectRecord, Origin, PixelLocation
from gantry.standard.query_keys import Level

SIZES = (10_000, 100_000, 1_000_000)
FLAT = 1.3
"""The p95 at the last size over that at the first, up to which a time does not grow."""
_BATCH = 2_000
_WARMING_UP = 5
_ROUNDS = 600
_COLD_ROUNDS = 100
_GROWING_ROUNDS = 25
_PAGE = 25
_STUDIES_A_DAY = 40
_START = datetime(1955, 1, 1, tzinfo=UTC)
_FAMILIES = ("Smith", "Jones", "Müller", "Garcia")
_NUMBERS = 1_000_000
_STRIDE = 618_033
"""Without common factor with `_NUMBERS`: of any run of studies, every part of the numbers gets its share."""


@dataclass(slots=True)
class Times:
    """Milliseconds of one kind of work at one size of archive, and how many studies the last query found."""

    ms: list[float] = field(default_factory=list)
    found: int = 0

    @property
    def median(self) -> float:
        """Half of all took less."""
        return statistics.median(self.ms)

    @property
    def p95(self) -> float:
        """All but one in twenty took less."""
        return statistics.quantiles(self.ms, n=20)[-1]


@dataclass(frozen=True, slots=True)
class Measured:
    """One size of archive: a durable store of one instance, even queries (warm and cold), growing ones."""

    studies: int
    store: Times
    even: dict[str, Times]
    cold: dict[str, Times]
    growing: dict[str, Times]


def _element(vr: str, value: str) -> JsonModel:
    return {"vr": vr, "Value": [{"Alphabetic": value} if vr == "PN" else value]}


def _number(n: int) -> str:
    """What tells patients of one family name apart; neighbours in time are none in the alphabet."""
    return f"{n * _STRIDE % _NUMBERS:06}"


def _record(n: int, instance: int = 1) -> ObjectRecord:
    study = f"1.2.826.0.1.3680043.10.1338.7.{n}"
    key = InstanceKey(study, f"{study}.1", f"{study}.1.{instance}")
    date = _START + timedelta(days=n // _STUDIES_A_DAY)
    born = datetime(1930, 1, 1, tzinfo=UTC) + timedelta(days=n * 7919 % 30_000)
    digest = (n << 32 | instance).to_bytes(32, "big")
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
            "00100010": _element("PN", f"{_FAMILIES[n % 4]}{_number(n)}^Jane{n % 89}"),
            "00100020": _element("LO", f"PID{n // 3}"),
            "00100030": _element("DA", f"{born:%Y%m%d}"),
            "00100040": _element("CS", "FM"[n // 3 % 2]),
        },
        study={
            "00080020": _element("DA", f"{date:%Y%m%d}"),
            "00080030": _element("TM", f"{n % 24:02}1500"),
            "00080050": _element("SH", f"ACC{n}"),
            "00081030": _element("LO", "CT thorax"),
            "0020000D": _element("UI", key.study_uid),
        },
        series={"00080060": _element("CS", "CT"), "0020000E": _element("UI", key.series_uid)},
        instance={"00080016": _element("UI", CT_IMAGE), "00080018": _element("UI", key.sop_uid)},
    )


def _even_queries(n: int, studies: int) -> dict[str, Query]:
    """Queries about study `n` of an archive of `studies`, which find as many studies whatever its size."""
    one = _record(n)
    patient = {"00100020": _element("LO", one.patient_id)}
    day = {"00080020": one.study["00080020"]}
    # 25 studies: a family name is that of a quarter, a digit that of a tenth
    begin = _number(n)[: len(str(studies)) - 3]
    name = {"00100010": _element("PN", f"{_FAMILIES[n % 4]}{begin}*")}
    return {
        "one study": Query(Level.STUDY, {"0020000D": _element("UI", one.key.study_uid)}),
        "its instances": Query(Level.IMAGE, {"0020000D": _element("UI", one.key.study_uid)}),
        "newest 25": Query(Level.STUDY, limit=_PAGE),
        "patient ID": Query(Level.STUDY, patient),
        "patient ID, sex, day": Query(Level.STUDY, {**patient, **day, "00100040": one.patient["00100040"]}),
        "accession number": Query(Level.STUDY, {"00080050": one.study["00080050"]}),
        "name begins, 25 found": Query(Level.STUDY, name, limit=_PAGE),
        "25 of the 40 of a day": Query(Level.STUDY, day, limit=_PAGE),
    }


def _growing_queries() -> dict[str, Query]:
    """Queries that more studies match, or are tested for, as there are more."""
    few = {"00100010": _element("PN", "smith77*")}
    quarter = {"00100010": _element("PN", "smith*")}
    return {
        "1 in 400, by name": Query(Level.STUDY, few, limit=_PAGE),
        "1 in 4, by name": Query(Level.STUDY, quarter, limit=_PAGE),
        "1 in 4, counted": Query(Level.STUDY, quarter, limit=_PAGE, want_total=True),
        "1 in 2, by sex": Query(Level.STUDY, {"00100040": _element("CS", "F")}, limit=_PAGE),
        "all, by patient ID": Query(Level.STUDY, {"00100020": _element("LO", "PID*")}, limit=_PAGE),
        "none, by part of a name": Query(Level.STUDY, {"00100010": _element("PN", "*mouth*")}, limit=_PAGE),
        "none, by description": Query(Level.STUDY, {"00081030": _element("LO", "MR knee")}, limit=_PAGE),
    }


def _filled(folder: Path, sizes: tuple[int, ...]) -> Iterator[Path]:
    """An index of each size."""
    growing = folder / "growing.sqlite"
    filled = 0
    for size in sizes:
        with closing(SqlIndex(growing)) as index:
            while filled < size:
                count = min(_BATCH, size - filled)
                index.apply([AddVersion(_record(n), 1) for n in range(filled, filled + count)])
                filled += count
        yield Path(shutil.copy(growing, folder / f"{size}.sqlite"))
    growing.unlink()


class _Archive:
    """An index of one size, what is done to it, and what that took."""

    def __init__(self, path: Path, studies: int) -> None:
        self._files = (path, path.with_name(f"{path.name}-wal"))
        self._index = SqlIndex(path)
        self._newest = self._index.stats().studies - 1
        self._instances = 1
        self.measured = _unmeasured(studies)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def warm(self) -> None:
        """Have the kernel keep all of the index in memory, as far as there is room."""
        for path in self._files:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass

    def chill(self) -> None:
        """Have the kernel drop the index from memory."""
        for path in self._files:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def ask(self, query: Query, times: Times) -> None:
        """Answer a query in the form of DICOMweb."""
        started = time.perf_counter()
        found = [row.json() for row in self._index.find(query).rows]
        times.ms.append((time.perf_counter() - started) * 1000)
        times.found = len(found)

    def store(self, times: Times) -> None:
        """Make the one instance of a new study durable."""
        self._newest += 1
        self._instances = 1
        change = AddVersion(_record(self._newest), 1)
        started = time.perf_counter()
        self._index.apply([change])
        times.ms.append((time.perf_counter() - started) * 1000)

    def commit(self) -> None:
        """Empty the readers' caches by one more instance of the newest study; no study is added."""
        self._instances += 1
        self._index.apply([AddVersion(_record(self._newest, self._instances), 1)])

    def forget(self) -> None:
        """What was done so far was to warm up."""
        self.measured = _unmeasured(self.measured.studies)


def _unmeasured(studies: int) -> Measured:
    names = list(_even_queries(0, studies))
    growing = {name: Times() for name in _growing_queries()}
    return Measured(studies, Times(), {n: Times() for n in names}, {n: Times() for n in names}, growing)


def _measure(archives: list[_Archive]) -> None:
    draw = random.Random(1)
    for archive in archives:
        archive.warm()
    for number in range(-_WARMING_UP, _ROUNDS):
        if number == 0:
            for archive in archives:
                archive.forget()
        for archive, queries in _round(archives, draw):
            archive.store(archive.measured.store)
            for name, query in queries.items():
                archive.commit()
                archive.ask(query, archive.measured.even[name])
    for _ in range(_COLD_ROUNDS):
        for archive, queries in _round(archives, draw):
            for name, query in queries.items():
                archive.commit()
                archive.chill()
                archive.ask(query, archive.measured.cold[name])
    for archive in archives:
        archive.warm()
    for _ in range(_GROWING_ROUNDS):
        for archive in archives:
            for name, query in _growing_queries().items():
                archive.commit()
                archive.ask(query, archive.measured.growing[name])


def _round(archives: list[_Archive], draw: random.Random) -> Iterator[tuple[_Archive, dict[str, Query]]]:
    """Each archive with the even queries in some order, about a study that lies as far into each."""
    chance = draw.random()
    names = list(archives[0].measured.even)
    draw.shuffle(names)
    for archive in archives:
        studies = archive.measured.studies
        queries = _even_queries(int(chance * studies), studies)
        yield archive, {name: queries[name] for name in names}


def measure(sizes: tuple[int, ...] = SIZES) -> list[Measured]:
    """Fill an index of each size, then measure all of them in turn."""
    with tempfile.TemporaryDirectory(prefix="gantry-growth-") as folder, ExitStack() as stack:
        paths = list(_filled(Path(folder), sizes))
        archives = [
            stack.enter_context(closing(_Archive(path, size)))
            for size, path in zip(sizes, paths, strict=True)
        ]
        _measure(archives)
    return [archive.measured for archive in archives]


def _table(
    measured: list[Measured], times_of: Callable[[Measured], dict[str, Times]], *, with_found: bool = False
) -> list[str]:
    sizes = " | ".join(f"{m.studies:,}" for m in measured)
    lines = [
        f"| | {sizes} | median, last to first | p95, last to first |",
        "|---|" + "---|" * (len(measured) + 2),
    ]
    for name in times_of(measured[0]):
        times = [times_of(m)[name] for m in measured]
        cells = " | ".join(
            f"{t.median:.2f} · {t.p95:.2f}" + (f" ({t.found} given)" if with_found else "") for t in times
        )
        first, last = times[0], times[-1]
        lines.append(f"| {name} | {cells} | {last.median / first.median:.2f} | {last.p95 / first.p95:.2f} |")
    return lines


def section(measured: list[Measured]) -> list[str]:
    """The results as lines of a page."""
    return [
        f"## From {measured[0].studies:,} to {measured[-1].studies:,} studies",
        "",
        "Milliseconds, median · p95, of the index alone, which was filled by script. All sizes are measured",
        "in turn, each query about another study and after a commit, which empties the readers' caches; the",
        "kernel has the files in memory.",
        f"Flat is a p95 at the end of at most {FLAT} times that at the start.",
        "",
        *_table(measured, lambda m: {"durable store of one instance": m.store, **m.even}),
        "",
        "The same with none of the index in the kernel's memory, as after a start of the machine.",
        "",
        *_table(measured, lambda m: m.cold),
        "",
        "These match, or must test, more studies as there are more; how many are given stands with the time.",
        "",
        *_table(measured, lambda m: m.growing, with_found=True),
        "",
    ]


def main() -> None:
    print("\n".join(section(measure())))


if __name__ == "__main__":
    main()
