"""Objects on their way to a second store and back: wherever the power goes, the process ends, or a call fails.

The folder is the simulated disk; the bucket keeps what it has answered, and each request to it is a call of
that disk, so that the power goes between any two of them.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest
from obstore.store import MemoryStore

from gantry.archive import tiers
from gantry.archive.archive import Archive
from gantry.archive.blobs.block_digests import Part
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import object_path
from gantry.archive.blobs.read_cache import ReadCache
from gantry.archive.blobs.tier_disk import TierDisk
from gantry.archive.disk import Buffer, Disk, FileStat
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion, Stored, Unchanged
from gantry.archive.records import InstanceKey
from gantry.archive.sim import PowerCut, SimDisk
from gantry.errors import GantryError
from gantry.settings import TierRule
from gantry.toolkit.tiering import KEPT, SWEPT, WOULD_SWEEP, Tiering
from stored_objects import SCANNER, Simulation, key_of, part10, uid

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

SEEDS = int(os.environ.get("GANTRY_SEEDS", "16"))
EVERYTHING = (TierRule.parse("older=0d"),)


@dataclass(frozen=True, slots=True)
class SimBucket(Bucket):
    """A bucket in memory that a power cut does not reach; each request is a call of `disk`."""

    disk: SimDisk

    def put(self, name: str, data: Buffer, *, replacing: bool = False) -> None:
        with self.disk.call(f"bucket put {name}"):
            Bucket.put(self, name, data, replacing=replacing)

    def pieces(self, name: str, *, check: bool = True) -> Iterator[memoryview]:
        with self.disk.call(f"bucket get {name}"):
            found = list(Bucket.pieces(self, name, check=check))
        return iter(found)

    def get_range(self, name: str, start: int, end: int) -> Part:
        with self.disk.call(f"bucket get_range {name}"):
            return Bucket.get_range(self, name, start, end)

    def stat(self, name: str) -> FileStat:
        with self.disk.call(f"bucket stat {name}"):
            return Bucket.stat(self, name)

    def delete(self, name: str) -> None:
        with self.disk.call(f"bucket delete {name}"):
            Bucket.delete(self, name)

    def walk(self, prefix: str) -> Iterator[str]:
        with self.disk.call(f"bucket walk {prefix}"):
            found = list(Bucket.walk(self, prefix))
        return iter(found)


@dataclass
class TieredSimulation(Simulation):
    """An archive whose folder is the simulated disk, with a second store."""

    objects: MemoryStore = field(default_factory=MemoryStore)
    opened: int = 0

    @property
    def bucket(self) -> Bucket:
        """What is in the bucket, for a test to look at; no call is counted."""
        return Bucket("memory://tier", self.objects)

    def archive_disk(self) -> Disk:
        self.opened += 1  # what was in the cache is of another process
        cache = ReadCache(self.folder / f"cache-{self.opened}", 1 << 24, lambda: 1 << 40, 0)
        return TierDisk(self.disk, SimBucket("memory://tier", self.objects, self.disk), cache)

    def end_by(self, ending: str) -> None:
        """The power goes, or the process is killed, at the call at which it was cut."""
        if ending == "power":
            self.power_cut()
        else:
            self.disk.killed()
            self.kill()


@contextmanager
def tiered(seed: int = 0) -> Iterator[TieredSimulation]:
    simulation = TieredSimulation(seed)
    try:
        yield simulation
    finally:
        simulation.end()


@pytest.fixture(autouse=True)
def _one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are copied one by one, so that a seed tells all."""
    monkeypatch.setattr(tiers, "_COPIES", 1)


Held = dict[InstanceKey, bytes]


def filled(simulation: TieredSimulation) -> Held:
    """Two small objects and one of several pieces."""
    held = {key_of(1, 1, n): part10(1, 1, n, pixels=bytes([n]) * 3000) for n in (1, 2)}
    held[key_of(1, 1, 3)] = part10(1, 1, 3, pixels=bytes(range(256)) * 10_000)
    for data in held.values():
        assert isinstance(simulation.store(data), Stored)
    simulation.archive.settle()
    return held


def all_is_well(simulation: TieredSimulation, held: Held) -> None:
    """Everything is readable and equal, and a new index is equal to the old one."""
    archive = simulation.archive
    found = {one.key: archive.read(one, check=True) for one in archive.locate()}
    assert found == held
    for one in archive.locate():
        assert b"".join(archive.blocks(one)) == held[one.key]
    assert archive.verify().is_clean
    assert not [name for name in simulation.disk.file_names() if name.startswith("incoming/")]
    rows = list(archive.index.canonical_dump())
    archive.reindex()
    assert list(archive.index.canonical_dump()) == rows


def nothing_is_left_behind(simulation: TieredSimulation) -> None:
    """After a sweep the bucket has what the folder has notes of, and nothing else."""
    archive = simulation.archive
    assert archive.tiers is not None
    work = Tiering(archive)
    told = dict(Tiering(archive).sweep(dry_run=True).objects)
    done = dict(work.sweep().objects)
    assert done.get(SWEPT, 0) == told.get(WOULD_SWEEP, 0)
    assert KEPT not in done
    moved = sorted(one.path for one in archive.locate() if archive.tiers.is_moved(one))
    assert sorted(simulation.bucket.walk("objects")) == moved
    assert list(simulation.bucket.walk("blocks")) == []


def move(archive: Archive) -> None:
    Tiering(archive).move(EVERYTHING)


def back(archive: Archive) -> None:
    """As `gantry tier --back` does."""
    work = Tiering(archive)
    work.bring_back(frozenset())
    work.sweep()
    assert archive.tiers is not None
    archive.tiers.end()


def back_of_one(archive: Archive) -> None:
    Tiering(archive).bring_back({uid(1, 1, 3)})


def new_version(archive: Archive) -> None:
    """Of what was moved: its file is not needed for it."""
    archive.store([part10(1, 1, 1, pixels=bytes(3000), comment="other")], SCANNER)


STEPS: dict[str, tuple[Sequence[Callable[[Archive], None]], Callable[[Archive], None]]] = {
    "move": ((), move),
    "back": ((move,), back),
    "back of one": ((move,), back_of_one),
    "again": ((move, back), move),
}


def calls_of(name: str) -> int:
    before, step = STEPS[name]
    with tiered() as simulation:
        filled(simulation)
        for one in before:
            one(simulation.archive)
        calls = simulation.disk.calls
        step(simulation.archive)
        return simulation.disk.calls - calls


def stops(total: int, *, odd: bool) -> Iterator[int]:
    """Calls at which something happens: the usual run takes each of them in one variant or the other."""
    return iter(range(1, total + 1) if SEEDS > 16 else range(1 if odd else 2, total + 1, 2))


@pytest.mark.parametrize("ending", ["power", "kill"])
@pytest.mark.parametrize("name", sorted(STEPS))
def test_n01_n04_a_move_that_is_broken_off_at_any_call_loses_nothing(name: str, ending: str) -> None:
    total = calls_of(name)
    assert total > 10
    before, step = STEPS[name]
    for k in stops(total, odd=ending == "power"):
        with tiered(seed=k) as simulation:
            held = filled(simulation)
            for one in before:
                one(simulation.archive)
            simulation.disk.cut_at(k)
            with pytest.raises(PowerCut):
                step(simulation.archive)
            simulation.end_by(ending)
            all_is_well(simulation, held)
            nothing_is_left_behind(simulation)
            all_is_well(simulation, held)
            step(simulation.archive)
            nothing_is_left_behind(simulation)
            all_is_well(simulation, held)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", sorted(STEPS))
def test_n05_any_one_call_of_a_move_may_fail(name: str, after: bool) -> None:
    total = calls_of(name)
    before, step = STEPS[name]
    for k in stops(total, odd=after):
        with tiered(seed=k) as simulation:
            held = filled(simulation)
            for one in before:
                one(simulation.archive)
            simulation.disk.fail(k, errno.EIO, after=after)
            with suppress(GantryError, OSError):
                step(simulation.archive)
            simulation.disk.heal()
            found = {one.key: simulation.archive.read(one, check=True) for one in simulation.archive.locate()}
            assert found == held
            simulation.restart()
            all_is_well(simulation, held)
            step(simulation.archive)
            nothing_is_left_behind(simulation)
            all_is_well(simulation, held)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_n01_no_power_cut_among_moves_and_arrivals_loses_what_was_acknowledged(seed: int) -> None:
    """Arrivals, versions, smaller forms, deletes, moves both ways and sweeps, with the power cut anywhere."""
    dice = random.Random(seed)
    with tiered(seed) as simulation:
        kept: dict[InstanceKey, set[bytes]] = {}
        for _ in range(8):
            simulation.disk.cut_at(dice.randint(1, 250))
            try:
                while True:
                    _something(simulation.archive, dice, kept)
            except PowerCut:
                simulation.end_by(dice.choice(("power", "kill")))
            archive = simulation.archive
            for key, versions in kept.items():
                rows = [row.location for row in archive.versions(key) if row.location is not None]
                there = {archive.read(one, check=True) for one in rows if not one.made_from}
                gone = {one.dataset_sha256 for one in rows if one.made_from}
                assert len(versions - there) <= len(gone), f"of {key} something is lost"
            assert {one.kind for one in archive.verify().findings} <= {"extra file", "extra act"}
            archive.verify(repair=True)
            done = Tiering(archive).sweep().objects
            assert KEPT not in done
            assert archive.verify().is_clean


def _something(archive: Archive, dice: random.Random, kept: dict[InstanceKey, set[bytes]]) -> None:
    numbers = (1, 1, dice.randint(1, 4))
    key = key_of(*numbers)
    kind = dice.choice(("store", "store", "move", "back", "sweep", "smaller", "delete"))
    if kind == "store":
        data = part10(*numbers, comment=f"take {dice.randint(1, 3)}", pixels=bytes(dice.choice((600, 2400))))
        outcome = archive.store([data], SCANNER)
        assert isinstance(outcome, Stored | NewVersion | Unchanged)
        if not isinstance(outcome, Unchanged):
            kept.setdefault(key, set()).add(data)
    elif kind == "move":
        Tiering(archive).move(EVERYTHING)
    elif kind == "back":
        Tiering(archive).bring_back({uid(*numbers)})
    elif kind == "sweep":
        Tiering(archive).sweep()
    elif kind == "smaller":
        _smaller(archive, key, dice)
    else:
        with suppress(GantryError):
            archive.delete(key.study_uid, key.series_uid, key.sop_uid, origin=SCANNER)


def _smaller(archive: Archive, key: InstanceKey, dice: random.Random) -> None:
    """Keep what is visible in another form, and let go of the one it had."""
    found = archive.locate(sop_uid=key.sop_uid)
    if not found or found[0].pixel is None:
        return
    number = int(key.sop_uid.rpartition(".")[2])
    data = part10(1, 1, number, comment=f"form {dice.randint(1, 9)}", pixels=bytes(found[0].pixel.length))
    outcome = archive.replace(found[0], [data], SCANNER)
    if isinstance(outcome, NewVersion):
        archive.let_go([Superseded(key, found[0].number, outcome.number)], "a rule", SCANNER)


# --- what a sweep leaves alone -------------------------------------------------------------------


def test_a_sweep_removes_nothing_that_may_be_needed() -> None:
    with tiered() as simulation:
        held = filled(simulation)
        archive = simulation.archive
        move(archive)
        paths = {n: object_path(key_of(1, 1, n), 1) for n in (1, 2, 3)}
        # the folder has lost a note; has a damaged file beside what the bucket has whole; and one whole
        simulation.disk.unlink(paths[1])
        for n in (2, 3):
            kept = held[key_of(1, 1, n)]
            simulation.disk.unlink(paths[n])
            file = simulation.disk.create(paths[n])
            file.write([kept if n == 3 else kept[:-1] + b"?"])
            file.close()
        simulation.bucket.put(object_path(key_of(9, 9, 9), 1), b"of an archive that lost its index")
        reasons: list[tuple[str, str]] = []
        work = Tiering(archive, lambda location, what, why: reasons.append((what, why)))
        assert work.sweep().objects == {KEPT: 3, SWEPT: 1}
        assert sorted(reasons) == [
            (KEPT, "the file in the folder is damaged"),
            (KEPT, "the folder has neither the file nor a note of it"),
            (SWEPT, "the folder has it"),
        ]
        names = [*sorted(paths.values())[:2], object_path(key_of(9, 9, 9), 1)]
        assert sorted(simulation.bucket.walk("objects")) == sorted(names)


def test_a_dry_run_of_a_sweep_tells_and_does_nothing() -> None:
    with tiered() as simulation:
        filled(simulation)
        archive = simulation.archive
        for location in archive.locate():
            simulation.bucket.put(location.path, archive.read(location))
        assert Tiering(archive).sweep(dry_run=True).objects == {WOULD_SWEEP: 3}
        assert Tiering(archive).sweep(EVERYTHING, dry_run=True).objects == {}  # they would be moved
        assert len(list(simulation.bucket.walk("objects"))) == 3
        assert Tiering(archive).sweep().objects == {SWEPT: 3}
        assert list(simulation.bucket.walk("")) == []


def test_what_was_let_go_while_the_bucket_was_away_is_swept() -> None:
    with tiered() as simulation:
        simulation.store(part10(1, 1, 1, pixels=bytes(3000)))
        archive = simulation.archive
        archive.settle()
        move(archive)
        (location,) = archive.locate()
        content = simulation.bucket.get(location.path)
        _smaller(archive, location.key, random.Random(1))
        assert not list(simulation.bucket.walk("objects"))
        simulation.bucket.put(location.path, content)
        assert Tiering(archive).sweep().objects == {SWEPT: 1}
        assert not list(simulation.bucket.walk("objects"))
        assert archive.verify().is_clean
