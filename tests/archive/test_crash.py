"""Nothing acknowledged is lost, whenever the power goes and whatever call fails: on twins, from seeds.

`GANTRY_SEEDS` asks for more seeds than the usual run has.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from gantry.archive.archive import Archive, Options
from gantry.archive.blobs.files import NO_ROOM
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion, Refused, Stored, Unchanged
from gantry.archive.records import InstanceKey
from gantry.archive.sim import PowerCut
from gantry.archive.verify import EXTRA_ACT, EXTRA_FILE
from gantry.errors import GantryError, NotFound
from stored_objects import SCANNER, SMALL, WITHOUT_LOG, Simulation, key_of, part10, simulated, uid

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

SEEDS = int(os.environ.get("GANTRY_SEEDS", "16"))
CUTS_PER_SEED = 8
HARMLESS = {EXTRA_FILE, EXTRA_ACT}
FAILURES = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENOMEM)


def options(seed: int) -> Options:
    """Every third seed runs without the log, as a full disk does."""
    return SMALL if seed % 3 else WITHOUT_LOG


@dataclass
class Promised:
    """What the archive has acknowledged: for each instance the bytes of each version, and what is visible."""

    kept: dict[tuple[InstanceKey, int], bytes] = field(default_factory=dict)
    visible: dict[InstanceKey, bytes] = field(default_factory=dict)
    # Instances whose state is open, because power or disk failed before the answer.
    open: set[InstanceKey] = field(default_factory=set)

    def stored(self, outcome: object, data: bytes) -> None:
        """Take note of an answer."""
        match outcome:
            case Stored(key=key, number=number) | NewVersion(key=key, number=number, current=True):
                self.kept[key, number] = data
                self.visible[key] = data
                self.open.discard(key)
            case Unchanged(key=key, number=number):
                assert self.kept.get((key, number), data) == data
                self.kept[key, number] = data
                self.visible[key] = data
                self.open.discard(key)
            case _:
                assert isinstance(outcome, Refused), outcome

    def hold(self, archive: Archive) -> None:
        """Assert that all of it is still so."""
        for (key, number), data in self.kept.items():
            rows = {row.number: row for row in archive.versions(key)}
            assert number in rows, f"version {number} of {key.sop_uid} was acknowledged and is lost"
            location = rows[number].location
            assert location is not None
            if location.made_from:
                entry = archive.let_go_entry(rows[number])
                pixels = bytes(len(data) - len(entry.head) - len(entry.tail))
                assert entry.head + pixels + entry.tail == data
                continue
            assert archive.read(location, check=True) == data
        found = {location.key: location for location in archive.locate()}
        for location in found.values():
            archive.read(location, check=True)
        settled = set(self.visible) - self.open
        assert settled <= set(found)
        for key in settled:
            assert archive.read(found[key]) == self.visible[key]
        gone = {key for key, _ in self.kept} - set(self.visible) - self.open
        assert not gone & set(found), "a deletion was acknowledged and is undone"


class Work:
    """One person at random work on an archive."""

    def __init__(self, simulation: Simulation, promised: Promised, dice: random.Random) -> None:
        self.simulation = simulation
        self.promised = promised
        self.dice = dice

    def step(self) -> None:
        """Do one thing, and note what was promised."""
        dice = self.dice
        study, instance = dice.randint(1, 3), dice.randint(1, 4)
        kinds = ("store", "delete", "restore", "large", "smaller")
        kind = dice.choices(kinds, (10, 2, 2, 1, 3))[0]
        if kind in ("store", "large"):
            size = 1_200_000 if kind == "large" else dice.choice((0, 10, 3000))
            data = part10(study, 1, instance, comment=f"take {dice.randint(1, 3)}", pixels=bytes(size))
            self.promised.open.add(key_of(study, 1, instance))
            outcome = self.simulation.store(data)
            self.promised.stored(outcome, data)
            if isinstance(outcome, Unchanged):
                self.take_for_what_it_became(outcome)
        elif kind == "delete":
            self.delete(study)
        elif kind == "smaller":
            self.smaller(study, instance)
        else:
            self.restore(study, instance)

    def take_for_what_it_became(self, outcome: Unchanged) -> None:
        """What was let go is there in another form."""
        rows = {row.number: row.location for row in self.simulation.archive.versions(outcome.key)}
        location = rows[outcome.number]
        if location is not None and location.made_from:
            now = rows[location.made_from]
            assert now is not None
            self.promised.visible[outcome.key] = self.simulation.archive.read(now)

    def smaller(self, study: int, instance: int) -> None:
        """Keep what is visible in another form, and mostly let go of the one it had."""
        archive, key = self.simulation.archive, key_of(study, 1, instance)
        found = archive.locate(sop_uid=key.sop_uid)
        if not found or found[0].pixel is None:
            return
        form = f"form {self.dice.randint(1, 3)}"
        data = part10(study, 1, instance, comment=form, pixels=bytes(found[0].pixel.length))
        self.promised.open.add(key)
        outcome = archive.replace(found[0], [data], SCANNER)
        self.promised.stored(outcome, data)
        if isinstance(outcome, NewVersion) and self.dice.random() < 0.7:
            archive.let_go([Superseded(key, found[0].number, outcome.number)], "a rule", SCANNER)

    def delete(self, study: int) -> None:
        keys = {key_of(study, 1, n) for n in range(1, 5)}
        self.promised.open |= keys
        try:
            self.simulation.archive.delete(uid(study), origin=SCANNER)
        except NotFound:
            self.promised.open -= keys
            return
        self.promised.open -= keys
        for key in keys:
            self.promised.visible.pop(key, None)

    def restore(self, study: int, instance: int) -> None:
        key = key_of(study, 1, instance)
        rows = self.simulation.archive.versions(key)
        objects = [row for row in rows if row.location is not None and not row.location.made_from]
        if not objects:
            return
        row = self.dice.choice(objects)
        self.promised.open.add(key)
        self.simulation.archive.restore_version(key, row.number)
        assert row.location is not None
        self.promised.visible[key] = self.simulation.archive.read(row.location)
        self.promised.open.discard(key)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_n01_n03_n04_no_power_cut_loses_what_was_acknowledged(seed: int) -> None:
    dice = random.Random(seed)
    promised = Promised()
    with simulated(seed, options=options(seed)) as simulation:
        for _ in range(CUTS_PER_SEED):
            work = Work(simulation, promised, dice)
            simulation.disk.shorten_writes(dice.choice((0, 0.3)))
            simulation.disk.cut_at(dice.choice((dice.randint(1, 30), dice.randint(1, 300))))
            try:
                while True:
                    work.step()
            except PowerCut:
                simulation.power_cut()
            promised.hold(simulation.archive)
            assert not [n for n in simulation.disk.file_names() if n.startswith("incoming/")]
            settle(simulation, promised)
        report = simulation.archive.verify()
        assert {f.kind for f in report.findings} <= HARMLESS, report.findings


def settle(simulation: Simulation, promised: Promised) -> None:
    """What was open has been decided by the crash, one way or the other; take note which."""
    found = {location.key: location for location in simulation.archive.locate()}
    for key in promised.open:
        if key in found:
            promised.visible[key] = simulation.archive.read(found[key])
        else:
            promised.visible.pop(key, None)
    promised.open.clear()


@pytest.mark.parametrize("seed", range(SEEDS // 3))
def test_n01_four_senders_and_a_power_cut(seed: int) -> None:
    dice = random.Random(seed)
    acknowledged: list[tuple[object, bytes]] = []
    with simulated(seed, options=options(seed)) as simulation:
        archive = simulation.archive
        simulation.disk.cut_at(dice.randint(20, 600))

        def send(sender: int) -> None:
            for n in range(1, 100):
                data = part10(sender, 1, n, comment=f"from {sender}")
                try:
                    acknowledged.append((archive.store([data], SCANNER), data))
                except PowerCut:
                    return

        threads = [threading.Thread(target=send, args=(n,)) for n in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        simulation.power_cut()
        promised = Promised()
        for outcome, data in acknowledged:
            promised.stored(outcome, data)
        promised.hold(simulation.archive)
        report = simulation.archive.verify()
        assert {f.kind for f in report.findings} <= HARMLESS, report.findings


@pytest.mark.parametrize("seed", range(SEEDS // 3))
def test_n12_after_a_crash_and_a_repair_the_index_equals_one_made_anew(seed: int) -> None:
    dice = random.Random(1000 + seed)
    promised = Promised()
    with simulated(seed, options=options(seed)) as simulation:
        work = Work(simulation, promised, dice)
        simulation.disk.cut_at(dice.randint(100, 500))
        try:
            while True:
                work.step()
        except PowerCut:
            simulation.power_cut()
        simulation.archive.verify(repair=True)
        assert simulation.archive.verify().is_clean
        before = list(simulation.archive.index.canonical_dump())
        simulation.archive.reindex()
        assert list(simulation.archive.index.canonical_dump()) == before
        promised.hold(simulation.archive)


# --- one call fails ------------------------------------------------------------------------------


def errand(simulation: Simulation, promised: Promised) -> None:
    """A bit of everything; errors raised on purpose are told and forgiven."""
    for instance, comment, size in ((1, "a", 0), (2, "a", 1_200_000), (1, "b", 0), (1, "a", 0)):
        data = part10(1, 1, instance, comment=comment, pixels=bytes(size))
        promised.open.add(key_of(1, 1, instance))
        try:
            promised.stored(simulation.store(data), data)
        except GantryError:
            continue
    keys = {key_of(1, 1, 1), key_of(1, 1, 2)}
    try:
        simulation.archive.delete(uid(1))
    except NotFound:
        return
    except GantryError:
        promised.open |= keys
    else:
        promised.open -= keys
        promised.visible.clear()
    promised.open |= keys
    with suppress(GantryError):
        simulation.archive.restore(uid(1))


def calls_of_the_errand() -> int:
    with simulated() as simulation:
        simulation.archive.stats()
        before = simulation.disk.calls
        errand(simulation, Promised())
        return simulation.disk.calls - before


@pytest.mark.parametrize("shard", range(4))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    ("kind", "stride"),
    [(errno.EIO, 8), (errno.ENOSPC, 12), (errno.EDQUOT, 28), (errno.EMFILE, 28), (errno.ENOMEM, 28)],
    ids=["EIO", "ENOSPC", "EDQUOT", "EMFILE", "ENOMEM"],
)
def test_n05_n06_any_one_call_may_fail(kind: int, stride: int, after: bool, shard: int) -> None:
    total = calls_of_the_errand()
    assert total > 60
    first = 1 + shard + 4 * (after and stride == 8)
    for k in range(first, total + 1, 4 if SEEDS > 16 else stride):
        promised = Promised()
        with simulated() as simulation:
            simulation.archive.stats()
            simulation.disk.fail(k, kind, after=after)
            errand(simulation, promised)
            simulation.disk.heal()
            promised.hold(simulation.archive)
            if simulation.archive.read_only:
                assert kind not in NO_ROOM
                assert isinstance(refused_by(simulation), GantryError)
                simulation.kill()
            promised.hold(simulation.archive)
            settle(simulation, promised)
            assert isinstance(simulation.store(part10(7)), Stored)
            report = simulation.archive.verify(repair=k % 5 == 0)
            assert {f.kind for f in report.findings} <= HARMLESS, (k, report.findings)
            if report.repaired:
                assert simulation.archive.verify().is_clean
                promised.hold(simulation.archive)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_n01_n05_many_calls_fail_and_then_the_power(seed: int) -> None:
    """A failing disk for a while, restarts where the archive asks for one, and a power cut at the end."""
    dice = random.Random(seed)
    promised = Promised()
    with simulated(seed, options=options(seed)) as simulation:
        simulation.archive.stats()
        for _ in range(12):
            simulation.disk.fail_often(dice.choice((0.02, 0.1)), *FAILURES)
            work = Work(simulation, promised, dice)
            for _ in range(8):
                with suppress(GantryError):
                    work.step()
            simulation.disk.heal()
            if simulation.archive.read_only:
                simulation.kill()
            promised.hold(simulation.archive)
            settle(simulation, promised)
        simulation.power_cut()
        promised.hold(simulation.archive)
        report = simulation.archive.verify(repair=True)
        assert {f.kind for f in report.findings} <= HARMLESS, report.findings
        assert simulation.archive.verify().is_clean
        promised.hold(simulation.archive)


def refused_by(simulation: Simulation) -> Exception | None:
    try:
        simulation.archive.begin()
    except GantryError as error:
        return error
    return None


def test_n05_a_start_that_fails_can_be_tried_again() -> None:
    with simulated() as simulation:
        for n in range(1, 4):
            simulation.store(part10(instance=n))
        simulation.archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))
        simulation.restart()
        before = simulation.disk.calls
        simulation.archive.stats()
        total = simulation.disk.calls - before
        for k in range(1, total + 1):
            simulation.restart()
            simulation.disk.fail(k)
            try:
                simulation.archive.stats()
            except GantryError:
                simulation.disk.heal()
            simulation.disk.heal()
            assert len(simulation.archive.locate()) == 2
            assert simulation.archive.verify().is_clean


def test_n06_a_failed_fsync_ends_writing_until_the_next_start() -> None:
    with simulated() as simulation:
        archive = simulation.archive
        simulation.store(part10(1))
        incoming = archive.begin(SCANNER)
        incoming.write(part10(2))
        fail_next(simulation, "sync log/")
        outcome = incoming.finish()
        assert isinstance(outcome, Refused)
        assert outcome.reason.name == "READ_ONLY"
        assert archive.read_only
        assert isinstance(refused_by(simulation), GantryError)
        with pytest.raises(GantryError):
            archive.delete(uid(1))
        assert archive.read(archive.locate()[0]) == part10(1)
        simulation.kill()
        # The log may hold what its sender was told was not kept: it asks again, and either answer is good.
        assert isinstance(simulation.store(part10(2)), Stored | Unchanged)


def fail_next(simulation: Simulation, what: str) -> None:
    """Let the next call fail whose description begins so."""
    with simulated() as rehearsal:
        rehearsal.store(part10(1))
        before = len(rehearsal.disk.log)
        rehearsal.store(part10(2))
        calls = rehearsal.disk.log[before:]
    # The one call of `begin` has been made already.
    simulation.disk.fail(next(n for n, call in enumerate(calls) if call.startswith(what)))


def test_b79_a_folder_removed_meanwhile_is_made_again() -> None:
    with simulated() as simulation:
        simulation.store(part10(1, 1, 1))
        (location,) = simulation.archive.locate()
        folder = location.path.rpartition("/")[0]
        simulation.disk.unlink(location.path)
        simulation.disk.remove_folder(folder)
        simulation.disk.remove_folder(folder.rpartition("/")[0])
        assert isinstance(simulation.store(part10(1, 1, 2)), Stored)
        simulation.power_cut()
        found = simulation.archive.locate(sop_uid=uid(1, 1, 2))
        assert simulation.archive.read(found[0]) == part10(1, 1, 2)


@pytest.mark.parametrize("same", [True, False])
def test_an_orphan_at_the_path_is_never_taken_for_the_object(same: bool) -> None:
    with simulated() as simulation:
        orphan = part10() if same else part10(comment="orphan")
        simulation.store(orphan)
        path = simulation.archive.locate()[0].path
        simulation.kill()
        # The index forgets: as after a crash between rename and commit.
        for file in simulation.folder.iterdir():
            file.unlink()
        forget_journal_and_log(simulation)
        simulation.disk.unlink(path)
        simulation.archive.stats()
        put(simulation, path, orphan)
        assert isinstance(simulation.store(part10()), Stored)
        assert simulation.archive.read(simulation.archive.locate()[0]) == part10()
        aside = [n for n in simulation.disk.file_names() if n.startswith("lost-found/")]
        assert len(aside) == (0 if same else 1)
        assert all(simulation.disk.read(n) == orphan for n in aside)
        simulation.power_cut()
        assert simulation.archive.read(simulation.archive.locate()[0], check=True) == part10()


def forget_journal_and_log(simulation: Simulation) -> None:
    for name in simulation.disk.file_names():
        if name.startswith(("received/", "log/")):
            simulation.disk.unlink(name)


def put(simulation: Simulation, path: str, data: bytes) -> None:
    file = simulation.disk.create(path)
    file.write([data])
    file.close()
