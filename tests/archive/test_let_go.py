"""Versions whose bytes can be made again are let go, and nothing is ever let go that cannot."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gantry.archive.archive import Archive
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion, Refused, Stored, Unchanged
from gantry.archive.records import Location
from gantry.archive.sim import PowerCut
from gantry.archive.verify import MISSING_ACT
from gantry.errors import Corrupt, GantryError, NotFound
from stored_objects import SCANNER, SMALL, Simulation, key_of, part10, simulated, uid

KEY = key_of(1, 1, 1)
ORIGINAL = part10(1, 1, 1, pixels=bytes(4000))
SMALLER = part10(1, 1, 1, pixels=bytes(4000), comment="the same, smaller")
WHY = "a rule of the tests"


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        simulation.store(ORIGINAL)
        simulation.store(part10(1, 1, 2))
        yield simulation


def current(archive: Archive) -> Location:
    (location,) = archive.locate(sop_uid=KEY.sop_uid)
    return location


def superseded(archive: Archive) -> Superseded:
    """Version 1 kept in another form as version 2."""
    outcome = archive.replace(current(archive), [SMALLER], SCANNER)
    assert isinstance(outcome, NewVersion)
    assert (outcome.number, outcome.current) == (2, True)
    return Superseded(KEY, 1, 2)


def gone(archive: Archive) -> None:
    assert archive.let_go([superseded(archive)], WHY, SCANNER) == len(ORIGINAL)


def first(archive: Archive) -> Location:
    location = archive.versions(KEY)[0].location
    assert location is not None
    return location


def test_what_is_let_go_frees_its_bytes_and_keeps_its_place(simulation: Simulation) -> None:
    archive = simulation.archive
    gone(archive)
    assert not simulation.disk.exists(first(archive).path)
    rows = archive.versions(KEY)
    assert [row.number for row in rows] == [1, 2]
    assert (first(archive).made_from, first(archive).file_size) == (2, len(ORIGINAL))
    assert archive.read(current(archive)) == SMALLER
    entry = archive.let_go_entry(rows[0])
    assert (entry.why, entry.restores) == (WHY, 2)
    assert entry.head + bytes(4000) + entry.tail == ORIGINAL
    with pytest.raises(NotFound, match="makes it again, bit for bit, from version 2"):
        archive.read(first(archive))
    with pytest.raises(NotFound, match="made again"):
        archive.restore_version(KEY, 1)
    assert archive.conflicts() == []
    assert archive.stats().conflicts == 0
    assert archive.verify().is_clean


def test_n12_a_rebuilt_index_knows_what_was_let_go(simulation: Simulation) -> None:
    archive = simulation.archive
    gone(archive)
    simulation.store(part10(1, 1, 1, comment="a contradiction"))
    before = list(archive.index.canonical_dump())
    archive.reindex()
    assert list(archive.index.canonical_dump()) == before
    assert first(archive).made_from == 2
    assert [conflict.parties for conflict in archive.conflicts()] == [("2", "3")]
    assert archive.stats().conflicts == 1
    assert archive.verify().is_clean


def test_it_comes_back_bit_for_bit_and_nothing_else_does(simulation: Simulation) -> None:
    archive = simulation.archive
    gone(archive)
    with pytest.raises(Corrupt, match="not the bytes of version 1"):
        archive.bring_back(KEY, 1, ORIGINAL[:-1] + b"x")
    archive.bring_back(KEY, 1, ORIGINAL)
    assert archive.read(first(archive), check=True) == ORIGINAL
    assert archive.verify().is_clean
    archive.restore_version(KEY, 1)
    assert archive.read(current(archive)) == ORIGINAL
    with pytest.raises(NotFound, match="was not let go"):
        archive.bring_back(KEY, 1, ORIGINAL)
    simulation.restart()
    assert simulation.archive.read(first(simulation.archive)) == ORIGINAL
    before = list(simulation.archive.index.canonical_dump())
    simulation.archive.reindex()
    assert list(simulation.archive.index.canonical_dump()) == before


def test_what_was_made_again_can_be_let_go_once_more(simulation: Simulation) -> None:
    archive = simulation.archive
    gone(archive)
    archive.bring_back(KEY, 1, ORIGINAL)
    assert archive.let_go([Superseded(KEY, 1, 2)], "again", SCANNER) == len(ORIGINAL)
    archive.reindex()
    assert archive.let_go_entry(archive.versions(KEY)[0]).why == "again"
    assert archive.verify().is_clean


def test_n09_the_sender_that_sends_it_again_is_told_that_it_is_kept(simulation: Simulation) -> None:
    gone(simulation.archive)
    again = simulation.store(ORIGINAL)
    assert isinstance(again, Unchanged)
    assert again.number == 1
    assert simulation.archive.read(current(simulation.archive)) == SMALLER
    assert len(simulation.archive.versions(KEY)) == 2


def test_sent_again_after_something_else_came_it_is_kept_as_a_version_of_its_own(
    simulation: Simulation,
) -> None:
    gone(simulation.archive)
    simulation.store(part10(1, 1, 1, comment="other"))
    again = simulation.store(ORIGINAL)
    assert isinstance(again, NewVersion)
    assert simulation.archive.read(current(simulation.archive)) == ORIGINAL
    assert simulation.archive.verify().is_clean


def test_sent_again_after_a_delete_it_is_shown_again(simulation: Simulation) -> None:
    gone(simulation.archive)
    simulation.archive.delete(uid(1))
    assert isinstance(simulation.store(ORIGINAL), NewVersion | Unchanged)
    assert simulation.archive.read(current(simulation.archive)) == ORIGINAL
    simulation.archive.delete(uid(1))
    simulation.archive.restore(uid(1))
    assert simulation.archive.verify().is_clean


@pytest.mark.parametrize("policy", ["newest", "first", "reject"])
def test_another_form_becomes_current_whatever_the_policy(policy: str) -> None:
    with simulated(options=replace(SMALL, same_uid=policy)) as simulation:
        assert isinstance(simulation.store(ORIGINAL), Stored)
        gone(simulation.archive)
        assert isinstance(simulation.store(ORIGINAL), Unchanged)
        assert simulation.archive.read(current(simulation.archive)) == SMALLER


@pytest.mark.parametrize("policy", ["newest", "first", "reject"])
def test_n09_an_original_that_is_still_there_may_be_sent_again_and_nothing_grows(policy: str) -> None:
    with simulated(options=replace(SMALL, same_uid=policy)) as simulation:
        archive = simulation.archive
        simulation.store(ORIGINAL)
        superseded(archive)
        for _ in range(2):
            again = simulation.store(ORIGINAL)
            assert isinstance(again, Unchanged)
            assert again.number == 1
            if (
                policy == "newest"
            ):  # sent last, so it is current, until it is replaced by what is kept already
                assert archive.read(current(archive)) == ORIGINAL
                assert isinstance(archive.replace(current(archive), [SMALLER], SCANNER), Unchanged)
            assert archive.read(current(archive)) == SMALLER
        kept = [name for name in simulation.disk.file_names() if name.startswith("objects/")]
        assert len(kept) == 2
        assert archive.verify().is_clean


def test_nothing_takes_the_place_of_what_is_not_current_any_more(simulation: Simulation) -> None:
    archive = simulation.archive
    before = current(archive)
    simulation.store(part10(1, 1, 1, comment="meanwhile"))
    assert isinstance(archive.replace(before, [SMALLER], SCANNER), Refused)
    other = archive.replace(current(archive), [part10(1, 1, 3)], SCANNER)
    assert isinstance(other, Refused)  # another object than that which it would be
    assert archive.read(current(archive)) == part10(1, 1, 1, comment="meanwhile")


@pytest.mark.parametrize(
    "wrong", [Superseded(KEY, 2, 1), Superseded(KEY, 2, 2), Superseded(KEY, 7, 2), Superseded(KEY, 1, 1)]
)
def test_only_what_another_current_version_gives_again_is_let_go(
    simulation: Simulation, wrong: Superseded
) -> None:
    superseded(simulation.archive)
    with pytest.raises(NotFound):
        simulation.archive.let_go([wrong], WHY, SCANNER)
    assert simulation.archive.verify().is_clean


def test_what_is_deleted_or_damaged_is_not_let_go(simulation: Simulation) -> None:
    archive = simulation.archive
    one = superseded(archive)
    archive.delete(uid(1))
    with pytest.raises(NotFound):
        archive.let_go([one], WHY, SCANNER)
    archive.restore(uid(1))
    path = first(archive).path
    spoiled = bytearray(simulation.disk.read(path))
    spoiled[-1] ^= 1
    simulation.disk.unlink(path)
    simulation.disk.append(path).write([spoiled])
    with pytest.raises(Corrupt):
        archive.let_go([one], WHY, SCANNER)
    assert simulation.disk.exists(path)


def test_an_act_stays_as_long_as_it_speaks_of_anything_that_is_gone(simulation: Simulation) -> None:
    archive = simulation.archive
    second = part10(1, 1, 2)
    (other,) = archive.locate(sop_uid=uid(1, 1, 2))
    pixels = part10(1, 1, 3, pixels=bytes(600))
    simulation.store(pixels)
    (third,) = archive.locate(sop_uid=uid(1, 1, 3))
    assert isinstance(
        archive.replace(third, [part10(1, 1, 3, pixels=bytes(600), comment="smaller")]), NewVersion
    )
    archive.let_go([superseded(archive), Superseded(third.key, 1, 2)], WHY, SCANNER)
    archive.bring_back(KEY, 1, ORIGINAL)
    simulation.restart()
    archive = simulation.archive
    row = archive.versions(third.key)[0]
    assert archive.let_go_entry(row).head + bytes(600) + archive.let_go_entry(row).tail == pixels
    assert archive.verify().is_clean
    archive.reindex()
    assert archive.versions(third.key)[0].location.made_from == 2  # type: ignore[union-attr]
    assert archive.read(other) == second


def test_n04_what_the_log_still_holds_does_not_come_back_by_itself(simulation: Simulation) -> None:
    gone(simulation.archive)
    simulation.archive.delete(uid(1), uid(1, 1), uid(1, 1, 2))  # an act after it
    simulation.kill()
    assert first(simulation.archive).made_from == 2
    assert not simulation.disk.exists(first(simulation.archive).path)
    assert simulation.archive.verify().is_clean


def test_n13_an_act_that_is_gone_is_found(simulation: Simulation) -> None:
    archive = simulation.archive
    gone(archive)
    simulation.disk.unlink(archive.versions(KEY)[0].act)
    assert MISSING_ACT in {finding.kind for finding in archive.verify().findings}


@pytest.mark.parametrize("is_broken", [False, True])
def test_n01_what_cannot_be_made_again_any_more_has_no_row_and_is_kept_when_sent_again(
    simulation: Simulation, is_broken: bool
) -> None:
    archive = simulation.archive
    gone(archive)
    path = current(archive).path
    content = simulation.disk.read(path)
    simulation.disk.unlink(path)
    if is_broken:
        file = simulation.disk.create(path)
        file.write(content[:-100])
        file.close()
    rebuilt = archive.reindex()
    assert any("which it is made from, is not there" in why for _, why in rebuilt.skipped)
    assert archive.versions(KEY) == []
    archive.verify(repair=True)
    assert archive.verify().is_clean
    assert isinstance(simulation.store(ORIGINAL), Stored)
    assert archive.read(current(archive), check=True) == ORIGINAL
    simulation.restart()
    assert simulation.archive.read(current(simulation.archive), check=True) == ORIGINAL
    simulation.archive.reindex()
    assert simulation.archive.read(current(simulation.archive), check=True) == ORIGINAL
    assert simulation.archive.verify().is_clean


@pytest.mark.parametrize("policy", ["newest", "first", "reject"])
def test_n14_an_original_sent_again_is_kept_when_what_it_is_made_from_is_damaged(policy: str) -> None:
    with simulated(options=replace(SMALL, same_uid=policy)) as simulation:
        archive = simulation.archive
        simulation.store(ORIGINAL)
        gone(archive)
        damaged = current(archive)
        simulation.disk.flip_bit(damaged.path, (damaged.file_size - 1) * 8)
        assert not archive.verify().is_clean
        assert isinstance(simulation.store(ORIGINAL), NewVersion)
        assert archive.read(current(archive), check=True) == ORIGINAL
        archive.verify(repair=True)
        assert archive.verify().is_clean
        assert archive.read(current(archive), check=True) == ORIGINAL


@pytest.mark.slow
def test_n05_every_failure_on_the_way_leaves_the_bytes_or_what_makes_them_again() -> None:
    for call in range(1, 60):
        with simulated() as simulation:
            simulation.store(ORIGINAL)
            one = superseded(simulation.archive)
            simulation.disk.fail(call, errno.EIO)
            try:
                simulation.archive.let_go([one], WHY, SCANNER)
                done = True
            except (GantryError, OSError):
                done = False
            simulation.disk.heal()
            simulation.restart()
            _hold(simulation, done=done)


@pytest.mark.slow
def test_n01_a_power_cut_on_the_way_leaves_the_bytes_or_what_makes_them_again() -> None:
    cuts = 0
    for call in range(1, 60):
        with simulated(call) as simulation:
            simulation.store(ORIGINAL)
            one = superseded(simulation.archive)
            simulation.disk.cut_at(call)
            try:
                simulation.archive.let_go([one], WHY, SCANNER)
                done = True
                simulation.disk.cut_at(1)
                continue
            except PowerCut:
                done, cuts = False, cuts + 1
            simulation.power_cut()
            _hold(simulation, done=done)
    assert cuts > 5


def _hold(simulation: Simulation, *, done: bool) -> None:
    archive = simulation.archive
    assert archive.read(current(archive), check=True) == SMALLER
    location = first(archive)
    if location.made_from:
        entry = archive.let_go_entry(archive.versions(KEY)[0])
        assert entry.head + bytes(4000) + entry.tail == ORIGINAL
        archive.bring_back(KEY, 1, ORIGINAL)
    else:
        assert not done
    assert archive.read(first(archive), check=True) == ORIGINAL
    assert archive.verify().is_clean, archive.verify().findings
