"""Every fault is found, on the twin and on a real folder; a repair is asked for, and loses nothing whole."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gantry.archive.archive import Archive
from gantry.archive.outcome import NewVersion, Stored, Unchanged
from gantry.archive.records import InstanceKey
from gantry.archive.verify import (
    EXTRA_ACT,
    EXTRA_FILE,
    MISSING_ACT,
    MISSING_FILE,
    MISSING_ROW,
    WRONG_ACT,
    WRONG_DIGEST,
    WRONG_ROW,
    WRONG_SIZE,
)
from gantry.errors import Corrupt, StorageError
from stored_objects import SCANNER, SMALL, Simulation, key_of, part10, simulated, uid


def fill(archive: Archive) -> None:
    """Two studies of two series of two instances, with a second version and a deletion."""
    for study in (1, 2):
        for series in (1, 2):
            for instance in (1, 2):
                archive.store([part10(study, series, instance, patient=f"P{study}", pixels=b"abcd")], SCANNER)
    archive.store([part10(1, 1, 1, comment="again", pixels=b"abcd")], SCANNER)
    archive.delete(uid(2), uid(2, 2))


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        fill(simulation.archive)
        yield simulation


def kinds(archive: Archive) -> set[str]:
    return {finding.kind for finding in archive.verify().findings}


def test_a_sound_archive_has_no_findings(simulation: Simulation) -> None:
    seen: list[tuple[int, int]] = []
    report = simulation.archive.verify(progress=lambda done, total: seen.append((done, total)))
    assert report.is_clean
    assert report.objects == 9
    assert seen[-1] == (11, 11)


def test_n13_a_missing_file_is_found_and_only_its_row_is_dropped(simulation: Simulation) -> None:
    archive = simulation.archive
    (location,) = archive.locate(uid(1), uid(1, 2), uid(1, 2, 1))
    simulation.disk.unlink(location.path)
    assert MISSING_FILE in kinds(archive)
    with pytest.raises(Corrupt):
        archive.read(location)
    assert archive.verify(repair=True).repaired
    assert archive.verify().is_clean
    assert archive.stats().instances == 5
    assert isinstance(simulation.store(part10(1, 2, 1, pixels=b"abcd")), Stored)


def test_n13_a_missing_first_version_leaves_the_second(simulation: Simulation) -> None:
    archive = simulation.archive
    first = archive.locate(version=1)[0]
    assert first.key == key_of(1, 1, 1)
    simulation.disk.unlink(first.path)
    archive.verify(repair=True)
    assert archive.verify().is_clean
    (current,) = archive.locate(sop_uid=uid(1, 1, 1))
    assert archive.read(current) == part10(1, 1, 1, comment="again", pixels=b"abcd")


def test_n13_an_extra_object_is_found_and_adopted(simulation: Simulation) -> None:
    data = part10(1, 1, 9)
    (location,) = simulation.archive.locate(sop_uid=uid(1, 1, 2))
    put(simulation, location.path.replace(uid(1, 1, 2), uid(1, 1, 9)), data)
    assert kinds(simulation.archive) == {EXTRA_FILE}
    simulation.archive.verify(repair=True)
    assert simulation.archive.verify().is_clean
    assert simulation.archive.read(simulation.archive.locate(sop_uid=uid(1, 1, 9))[0]) == data


@pytest.mark.parametrize("name", ["readme.txt", "1.2.3.dcm", "1.2.3.dcm.bak"])
def test_n13_a_file_that_is_no_object_is_found_and_set_aside(simulation: Simulation, name: str) -> None:
    (location,) = simulation.archive.locate(sop_uid=uid(1, 1, 2))
    put(simulation, f"{location.path.rpartition('/')[0]}/{name}", b"hello")
    assert kinds(simulation.archive) == {EXTRA_FILE}
    simulation.archive.verify(repair=True)
    assert simulation.archive.verify().is_clean
    aside = [n for n in simulation.disk.file_names() if n.startswith("lost-found/")]
    assert [simulation.disk.read(n) for n in aside] == [b"hello"]


def test_n13_an_extra_version_that_nobody_acknowledged_does_not_become_current(
    simulation: Simulation,
) -> None:
    (location,) = simulation.archive.locate(sop_uid=uid(1, 1, 2))
    put(simulation, location.path.replace(".dcm", ".v2.dcm"), part10(1, 1, 2, comment="orphan"))
    simulation.archive.verify(repair=True)
    assert simulation.archive.verify().is_clean
    assert simulation.archive.read(simulation.archive.locate(sop_uid=uid(1, 1, 2))[0]) == part10(
        1, 1, 2, pixels=b"abcd"
    )


def test_n13_a_file_that_grew_is_found(simulation: Simulation) -> None:
    location = simulation.archive.locate()[0]
    file = simulation.disk.append(location.path)
    file.write([b"x"])
    assert WRONG_SIZE in kinds(simulation.archive)


def test_n14_any_flipped_bit_is_found_and_never_served(simulation: Simulation) -> None:
    dice = random.Random(1)
    for _ in range(40):
        location = dice.choice(simulation.archive.locate())
        bit = dice.randrange(location.file_size * 8)
        simulation.disk.flip_bit(location.path, bit)
        report = simulation.archive.verify(rows=False)
        assert [(f.kind, f.where) for f in report.findings] == [(WRONG_DIGEST, location.path)]
        for call in (
            lambda where=location: simulation.archive.read(where),
            lambda where=location: simulation.archive.read_range(where, 0, 1),
            lambda where=location: simulation.archive.read_frame(where, 1),
            lambda where=location: simulation.archive.header(where),
        ):
            with pytest.raises(Corrupt):
                call()
        simulation.disk.flip_bit(location.path, bit)
        assert simulation.archive.verify(rows=False).is_clean
        simulation.archive.read(location)


def test_n14_damage_is_remembered_by_the_next_start(simulation: Simulation) -> None:
    location = simulation.archive.locate()[0]
    simulation.disk.flip_bit(location.path, 4000)
    simulation.archive.verify(rows=False)
    simulation.restart()
    with pytest.raises(Corrupt):
        simulation.archive.read(location)
    simulation.archive.verify(repair=True)
    assert simulation.archive.verify().is_clean
    assert any(n.startswith("lost-found/") for n in simulation.disk.file_names())


def test_a_checked_read_finds_damage_by_itself(simulation: Simulation) -> None:
    location = simulation.archive.locate()[0]
    simulation.disk.flip_bit(location.path, (location.file_size - 1) * 8)
    with pytest.raises(Corrupt):
        simulation.archive.read(location, check=True)


@pytest.mark.parametrize("policy", ["newest", "first", "reject"])
def test_n14_what_is_damaged_is_kept_anew_when_it_is_sent_again(policy: str) -> None:
    with simulated(options=replace(SMALL, same_uid=policy)) as simulation:
        archive = simulation.archive
        simulation.store(part10())
        (location,) = archive.locate()
        simulation.disk.flip_bit(location.path, (location.file_size - 1) * 8)
        assert isinstance(simulation.store(part10()), Unchanged)  # nobody knows
        assert WRONG_DIGEST in kinds(archive)
        again = simulation.store(part10())
        assert isinstance(again, NewVersion)
        assert archive.read(archive.locate()[0], check=True) == part10()
        assert isinstance(simulation.store(part10()), Unchanged)
        archive.verify(repair=True)
        assert archive.verify().is_clean
        assert archive.read(archive.locate()[0], check=True) == part10()


def test_n13_missing_extra_and_unreadable_acts_are_found(simulation: Simulation) -> None:
    acts = [n for n in simulation.disk.file_names() if n.startswith("acts/")]
    content = simulation.disk.read(acts[0])
    simulation.disk.unlink(acts[0])
    assert MISSING_ACT in kinds(simulation.archive)
    put(simulation, acts[0], content[:-5])
    assert WRONG_ACT in kinds(simulation.archive)
    simulation.disk.unlink(acts[0])
    put(simulation, acts[0], content)
    assert simulation.archive.verify().is_clean
    put(
        simulation,
        "acts/00000099-20260101T000000Z.json",
        content.replace(uid(2, 2, 1).encode(), uid(1, 2, 1).encode()),
    )
    assert EXTRA_ACT in kinds(simulation.archive)
    simulation.archive.verify(repair=True)
    assert simulation.archive.verify().is_clean
    assert simulation.archive.stats().instances == 6


def put(simulation: Simulation, path: str, data: bytes) -> None:
    file = simulation.disk.create(path)
    file.write([data])
    file.close()


# --- a real folder, whose index is spoiled by hand -------------------------------------------------


def statement(sql: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with sqlite3.connect(folder / "index.sqlite") as connection:
            assert connection.execute(sql).rowcount > 0, sql
        connection.close()

    return spoil


def flipped(folder: Path) -> None:
    file = sorted(folder.rglob("*.dcm"))[0]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


SPOILS: dict[str, Callable[[Path], None]] = {
    "missing file": lambda folder: sorted(folder.rglob("*.dcm"))[0].unlink(),
    "extra file": lambda folder: (
        sorted(folder.rglob("*.dcm"))[0].with_name("1.2.3.dcm").write_bytes(b"x") and None
    ),
    "flipped bit": flipped,
    "wrong digest in a row": statement("UPDATE versions SET dataset_sha256 = zeroblob(32) WHERE id = 1"),
    "wrong path in a row": statement("UPDATE versions SET path = path || 'x' WHERE id = 1"),
    "wrong syntax in a row": statement(
        "UPDATE versions SET transfer_syntax_uid = '1.2.840.10008.1.2' WHERE id = 1"
    ),
    "wrong class in a row": statement("UPDATE versions SET sop_class_uid = '1.2.3' WHERE id = 1"),
    "wrong offset in a row": statement(
        "UPDATE versions SET dataset_offset = dataset_offset + 2 WHERE id = 2"
    ),
    "wrong pixels in a row": statement("UPDATE versions SET pixel_offset = pixel_offset + 2 WHERE id = 2"),
    "wrong time in a row": statement("UPDATE versions SET at = at + 1 WHERE id = 2"),
    "count drift": statement("UPDATE studies SET instance_count = instance_count + 1 WHERE id = 1"),
    "count drift in a series": statement("UPDATE series SET instance_count = 0 WHERE id = 1"),
    "totals drift": statement("UPDATE totals SET instances = instances + 1"),
    "drift of the number of conflicts": statement("UPDATE totals SET conflicts = conflicts + 1"),
    "wrong name in a study": statement("UPDATE studies SET patient_name = 'SMITH' WHERE id = 1"),
    "dangling series": statement("DELETE FROM studies WHERE id = 1"),
    "dangling instance": statement("DELETE FROM series WHERE id = 1"),
    "version too few": statement("DELETE FROM versions WHERE id = 2"),
    "conflict lost": statement("DELETE FROM conflicts"),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_n13_each_kind_of_fault_is_found_in_a_real_folder(tmp_path: Path, spoil: str) -> None:
    with Archive.open(tmp_path, SMALL) as archive:
        fill(archive)
        assert archive.verify().is_clean
    SPOILS[spoil](tmp_path)
    with Archive.open(tmp_path, SMALL) as archive:
        assert not archive.verify().is_clean
        assert archive.verify(repair=True).repaired
        assert archive.verify().is_clean
        for location in archive.locate():
            archive.read(location, check=True)


Finding = tuple[str, str]
"""What is found, and of what."""


@dataclass(frozen=True)
class Target:
    """An object of an archive that nobody serves: its file, its rows, and what each fault may be told as."""

    folder: Path
    index: sqlite3.Connection
    dice: random.Random
    file: Path
    version: int
    instance: int
    series: int
    key: InstanceKey

    def told(self, kind: str, file: Path) -> Finding:
        return kind, str(file.relative_to(self.folder))

    def set(self, table: str, assignment: str, row: int) -> None:
        assert self.index.execute(f"UPDATE {table} SET {assignment} WHERE id = {row}").rowcount == 1


def missing(at: Target) -> Finding:
    at.file.unlink()
    return at.told(MISSING_FILE, at.file)


def renamed(at: Target) -> Finding:
    at.file.rename(at.file.with_name(f"2.25.{at.dice.randrange(10**30)}.dcm"))
    return at.told(MISSING_FILE, at.file)


def another_object(at: Target) -> Finding:
    other = at.file.with_name(f"2.25.{at.dice.randrange(10**30)}.dcm")
    other.write_bytes(at.dice.randbytes(at.dice.randrange(500)))
    return at.told(EXTRA_FILE, other)


def another_file(at: Target) -> Finding:
    other = at.file.with_suffix(f".{at.dice.randrange(10**9)}")
    other.write_bytes(b"notes")
    return at.told(EXTRA_FILE, other)


def bit_flipped(at: Target) -> Finding:
    data = bytearray(at.file.read_bytes())
    bit = at.dice.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    at.file.write_bytes(data)
    return at.told(WRONG_DIGEST, at.file)


def cut(at: Target) -> Finding:
    os.truncate(at.file, at.dice.randrange(at.file.stat().st_size))
    return at.told(WRONG_SIZE, at.file)


def grown(at: Target) -> Finding:
    with at.file.open("ab") as end:
        end.write(at.dice.randbytes(at.dice.randint(1, 64)))
    return at.told(WRONG_SIZE, at.file)


def wrong_value(at: Target) -> Finding:
    wrong = (
        "transfer_syntax_uid = '1.2.840.10008.1.2'",
        "sop_class_uid = '1.2.3'",
        "at = at + 1",
        "pixel_offset = pixel_offset + 2",
    )
    at.set("versions", at.dice.choice(wrong), at.version)
    return WRONG_ROW, " ".join(("versions", *at.key, "1"))


def wrong_digest(at: Target) -> Finding:
    at.set("versions", "dataset_sha256 = randomblob(32)", at.version)
    return at.told(WRONG_DIGEST, at.file)


def without_series(at: Target) -> Finding:
    at.set("instances", f"series_row = {at.instance + 100_000}", at.instance)
    return "dangling", f"instances.series_row of row {at.instance}"


def without_instance(at: Target) -> Finding:
    at.set("versions", f"instance_row = {at.instance + 100_000}", at.version)
    return "dangling", f"versions.instance_row of row {at.version}"


def without_version(at: Target) -> Finding:
    assert at.index.execute(f"DELETE FROM versions WHERE id = {at.version}").rowcount == 1
    return "dangling", f"instances.version of row {at.instance}"


def drifted(at: Target) -> Finding:
    column = at.dice.choice(("instance_count", "size_bytes"))
    at.set("series", f"{column} = {column} + {at.dice.randint(1000, 9999)}", at.series)
    return "drift", f"series.{column} of row {at.series}"


FAULTS: dict[str, tuple[Callable[[Target], Finding], ...]] = {
    "missing file": (missing, renamed),
    "extra file": (another_object, another_file),
    "wrong hash": (bit_flipped, cut, grown),
    "wrong row": (wrong_value, wrong_digest),
    "dangling parent": (without_series, without_instance, without_version),
    "count drift": (drifted,),
}
"""The six kinds of N13."""
OBJECTS, SERIES_OF_A_STUDY = 1400, 30


def targets(folder: Path, index: sqlite3.Connection, dice: random.Random) -> list[Target]:
    rows = index.execute(
        "SELECT v.path, v.id, i.id, s.id, t.study_uid, s.series_uid, i.sop_uid FROM versions v"
        " JOIN instances i ON i.id = v.instance_row JOIN series s ON s.id = i.series_row"
        " JOIN studies t ON t.id = s.study_row"
    )
    return [
        Target(folder, index, dice, folder / path, version, instance, series, InstanceKey(*key))
        for path, version, instance, series, *key in rows
    ]


@pytest.mark.slow
def test_n13_a_thousand_faults_of_all_kinds_are_a_thousand_findings(tmp_path: Path) -> None:
    dice = random.Random(1000)
    with Archive.open(tmp_path, SMALL) as archive:
        for study in range(1, 21):
            arrivals = [archive.begin(SCANNER) for _ in range(OBJECTS // 20)]
            for instance, arrival in enumerate(arrivals, 1):
                series = 1 + instance % SERIES_OF_A_STUDY
                arrival.write(part10(study, series, instance, pixels=dice.randbytes(64)))
            archive.store_many(arrivals)
        assert archive.stats().instances == OBJECTS
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as index, index:
        free = targets(tmp_path, index, dice)
        dice.shuffle(free)
        drifting = {at.series for at in free if at.series % 2}
        expected: dict[str, set[Finding]] = {kind: set() for kind in FAULTS}
        for at in free:
            if sum(map(len, expected.values())) == 1000:
                break
            # Counts of a series whose instances dangle are wrong anyway, and so would tell of both
            kinds = [
                kind
                for kind in FAULTS
                if kind != ("dangling parent" if at.series in drifting else "count drift")
            ]
            kind = dice.choice(kinds)
            expected[kind].add(dice.choice(FAULTS[kind])(at))
    assert all(len(one) > 80 for one in expected.values()), {kind: len(one) for kind, one in expected.items()}
    everything = set().union(*expected.values())
    assert len(everything) == 1000
    with Archive.open(tmp_path, SMALL) as archive:
        report = archive.verify()
        found = {(finding.kind, finding.where) for finding in report.findings}
        assert everything - found == set()
        # One fault is told in several ways: what was renamed is too much under its other name, and rows above
        # a spoiled one differ. Of files that were left alone nothing is said.
        more = found - everything
        assert {kind for kind, _ in more} <= {
            EXTRA_FILE,
            WRONG_ROW,
            MISSING_ROW,
            WRONG_DIGEST,
            "dangling",
            "drift",
        }
        assert {where for kind, where in more if kind == WRONG_DIGEST} <= {where for _, where in everything}
        assert not report.repaired
        assert archive.verify(repair=True).repaired
        assert archive.verify().is_clean
        for location in archive.locate():
            archive.read(location, check=True)


def test_one_archive_is_open_once(tmp_path: Path) -> None:
    with Archive.open(tmp_path, SMALL), pytest.raises(StorageError, match="in use"):
        Archive.open(tmp_path, SMALL)
    Archive.open(tmp_path, SMALL).close()


def test_n12_a_lost_file_does_not_keep_acts_of_others_from_being_replayed(simulation: Simulation) -> None:
    archive = simulation.archive
    (deleted,) = archive.locate(uid(2), uid(2, 2), uid(2, 2, 1), version=1)
    archive.restore_version(key_of(1, 1, 1), 1)
    (restored,) = archive.locate(uid(1), uid(1, 1), uid(1, 1, 1))
    for location in (deleted, restored):
        simulation.disk.unlink(location.path)
    rebuilt = archive.reindex()
    assert [why.split()[-2:] for _, why in rebuilt.skipped] == [["any", "more"]] * 2
    (current,) = archive.locate(uid(1), uid(1, 1), uid(1, 1, 1))
    assert current.number == 2
    assert archive.locate(uid(2), uid(2, 2)) == []
    assert archive.versions(key_of(2, 2, 2))[-1].number == 2
    archive.verify(repair=True)
    assert archive.verify().is_clean
    # Sent again, it is new, and the act that hid its forerunner says nothing of it
    assert isinstance(archive.store([part10(2, 2, 1, patient="P2", pixels=b"abcd")], SCANNER), Stored)
    simulation.restart()
    simulation.archive.reindex()
    assert [found.key for found in simulation.archive.locate(uid(2), uid(2, 2))] == [key_of(2, 2, 1)]
