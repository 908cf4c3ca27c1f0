"""Every fault is found, on the twin and on a real folder; a repair is asked for, and loses nothing whole."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gantry.archive.archive import Archive
from gantry.archive.outcome import NewVersion, Stored, Unchanged
from gantry.archive.verify import (
    EXTRA_ACT,
    EXTRA_FILE,
    MISSING_ACT,
    MISSING_FILE,
    WRONG_ACT,
    WRONG_DIGEST,
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


def missing(file: Path, dice: random.Random) -> str:
    file.unlink()
    return MISSING_FILE


def bit_flipped(file: Path, dice: random.Random) -> str:
    data = bytearray(file.read_bytes())
    bit = dice.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    return WRONG_DIGEST


def cut(file: Path, dice: random.Random) -> str:
    os.truncate(file, dice.randrange(file.stat().st_size))
    return WRONG_SIZE


def grown(file: Path, dice: random.Random) -> str:
    with file.open("ab") as end:
        end.write(dice.randbytes(dice.randint(1, 64)))
    return WRONG_SIZE


def another_object(file: Path, dice: random.Random) -> str:
    file.with_name(f"2.25.{dice.randrange(10**30)}.dcm").write_bytes(dice.randbytes(dice.randrange(500)))
    return EXTRA_FILE


def another_file(file: Path, dice: random.Random) -> str:
    file.with_suffix(f".{dice.randrange(10**9)}").write_bytes(b"notes")
    return EXTRA_FILE


def renamed(file: Path, dice: random.Random) -> str:
    file.rename(file.with_name(f"2.25.{dice.randrange(10**30)}.dcm"))
    return MISSING_FILE


FAULTS = (missing, bit_flipped, cut, grown, another_object, another_file, renamed)


@pytest.mark.slow
def test_n13_a_thousand_faults_are_a_thousand_findings(tmp_path: Path) -> None:
    dice = random.Random(1000)
    with Archive.open(tmp_path, SMALL) as archive:
        for study in range(1, 25):
            arrivals = [archive.begin(SCANNER) for _ in range(50)]
            for instance, arrival in enumerate(arrivals, 1):
                arrival.write(part10(study, 1 + instance % 3, instance, pixels=dice.randbytes(64)))
            archive.store_many(arrivals)
        assert archive.stats().instances == 1200
        expected = []
        for file in dice.sample(sorted(tmp_path.glob("objects/**/*.dcm")), 1000):
            before = set(file.parent.iterdir())
            kind = dice.choice(FAULTS)(file, dice)
            added = set(file.parent.iterdir()) - before
            where = added.pop() if kind == EXTRA_FILE else file
            expected.append((kind, str(where.relative_to(tmp_path))))
        found = {(finding.kind, finding.where) for finding in archive.verify(rows=False).findings}
        assert set(expected) <= found
        assert len(set(expected)) == 1000
        # What was renamed is missing under one name and too much under the other; nothing else is said.
        assert {kind for kind, _ in found - set(expected)} <= {EXTRA_FILE}
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
