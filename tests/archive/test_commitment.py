"""Storage commitment on the simulated disk: no acknowledged request is lost, none is promised what is not whole."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta

import pytest

from gantry.archive.archive import Archive
from gantry.archive.clock import SimClock
from gantry.archive.commitment import requests
from gantry.archive.commitment.check import Ended
from gantry.archive.commitment.requests import LEASE, LONGEST_PAUSE_S, OpenRequest, Reference, Requests
from gantry.archive.disk import Disk
from gantry.archive.edits.model import EditConflict
from gantry.archive.sim import PowerCut
from gantry.errors import GantryError, ReadOnly, StorageError, Unreachable
from stored_objects import CT_IMAGE, Simulation, part10, simulated, uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
TRANSACTION = "1.2.3.4.5"
GOOD, WRONG_CLASS, UNKNOWN = (
    Reference(CT_IMAGE, uid(1, 1, 1)),
    Reference(MR_IMAGE, uid(1, 1, 2)),
    Reference(CT_IMAGE, uid(9, 9, 9)),
)
REFERENCES = (GOOD, WRONG_CLASS, UNKNOWN)
EXPECTED = {1: 0x0119, 2: 0x0112}


def filled(simulation: Simulation) -> Archive:
    """Three objects of one study."""
    for instance in (1, 2, 3):
        simulation.store(part10(1, 1, instance, pixels=bytes(600)))
    return simulation.archive


def go_on(_read: int) -> bool:
    return True


def ask(archive: Archive, *references: Reference, transaction: str = TRANSACTION) -> str:
    path = archive.commitments.ask(transaction, "CT1", "192.0.2.7", references or REFERENCES)
    assert path not in archive.commitments.due()
    archive.commitments.answered(path)
    return path


def claimed(archive: Archive, path: str) -> OpenRequest:
    one = archive.commitments.claim(path)
    assert one is not None
    return one


def decided(archive: Archive, path: str) -> OpenRequest:
    """Look at a request, as far as that was not done."""
    one = claimed(archive, path)
    if one.failures is not None:
        return one
    return archive.commitments.decide(path, one, archive.check_commitment(one.asked, go_on))


def reported(archive: Archive, path: str) -> dict[int, int]:
    """Look at a request, and close it; what would have been reported."""
    one = decided(archive, path)
    archive.commitments.finish(path, one, reported=True)
    assert one.failures is not None
    return one.failures


def assert_guarded(archive: Archive) -> None:
    with pytest.raises(EditConflict, match="storage commitment, for one to CT1"):
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))


def test_a_request_is_kept_until_it_is_reported() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        path = ask(archive)
        assert archive.commitments.due() == [path]
        assert claimed(archive, path).asked.references == REFERENCES
        assert archive.commitments.due() == []
        assert reported(archive, path) == EXPECTED
        assert (archive.commitments.count, archive.commitments.claim(path)) == (0, None)
        assert_guarded(archive)
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 3))


@pytest.mark.parametrize("when", ["open", "done"])
def test_a_transaction_uid_is_used_up_whatever_became_of_it(when: str) -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        first = ask(archive)
        if when == "done":
            reported(archive, first)
        simulation.restart()
        archive = simulation.archive
        second = ask(archive, GOOD)
        assert first != second
        assert reported(archive, second) == {0: 0x0131}
        # The first is as it was, and a third is no better
        archive.commitments.look()
        assert archive.commitments.count == (when == "open")
        assert reported(archive, ask(archive, GOOD)) == {0: 0x0131}


@pytest.mark.parametrize("cut", range(1, 40))
def test_n08_no_power_cut_loses_a_request_that_was_acknowledged(cut: int) -> None:
    with simulated(cut) as simulation:
        archive = filled(simulation)
        acknowledged = set()
        simulation.disk.cut_at(cut)
        with pytest.raises(PowerCut):
            for number in range(1, 20):
                ask(archive, transaction=f"1.2.{number}")
                acknowledged.add(f"1.2.{number}")
        simulation.power_cut()
        again = simulation.archive.commitments
        again.look()
        found = [again.claim(path) for path in again.due()]
        uids = {one.asked.transaction_uid for one in found if one is not None}
        assert acknowledged <= uids <= acknowledged | {f"1.2.{len(acknowledged) + 1}"}
        assert all(one is not None and one.asked.references == REFERENCES for one in found)


@pytest.mark.parametrize("ending", ["power", "kill"])
def test_n08_what_is_broken_off_is_reported_once_more_and_the_same(ending: str) -> None:
    outcomes = set()
    for cut in itertools.count(1):
        with simulated(cut) as simulation:
            archive = filled(simulation)
            path = ask(archive)
            simulation.disk.cut_at(cut)
            try:
                reported(archive, path)
            except PowerCut:
                pass
            else:
                break
            if ending == "power":
                simulation.power_cut()
            else:
                simulation.disk.killed()
                simulation.kill()
            archive = simulation.archive
            archive.commitments.look()
            outcomes.add(archive.commitments.count)
            for left in archive.commitments.due():
                assert reported(archive, left) == EXPECTED
            assert_guarded(archive)
            # Whether it was finished or not, its UID is used
            assert reported(archive, ask(archive, GOOD)) == {0: 0x0131}
    assert outcomes == {0, 1}


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_n05_a_request_whose_disk_fails_is_refused_or_kept_whole(error: int) -> None:
    for k in itertools.count(1):
        with simulated(k) as simulation:
            archive = filled(simulation)
            before = simulation.disk.calls
            simulation.disk.fail(k, error)
            acknowledged = False
            with suppress(GantryError):
                ask(archive)
                acknowledged = True
            if acknowledged and simulation.disk.calls - before < k:
                return
            simulation.disk.heal()
            simulation.power_cut()
            archive = simulation.archive
            archive.commitments.look()
            left = archive.commitments.due()
            assert len(left) in ((1,) if acknowledged else (0, 1))
            for path in left:
                assert reported(archive, path) == EXPECTED


def test_an_object_that_turned_bad_is_not_committed_and_not_served() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        (location,) = archive.locate(sop_uid=GOOD.sop_instance_uid)
        simulation.disk.flip_bit(location.path, location.file_size - 1)
        assert reported(archive, ask(archive, GOOD)) == {0: 0x0110}
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))


def test_what_is_deleted_while_it_is_looked_at_is_not_committed() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        deletions = iter([True])

        def delete_meanwhile(_read: int) -> bool:
            if next(deletions, False):
                archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))
            return True

        one = claimed(archive, ask(archive, GOOD))
        assert archive.check_commitment(one.asked, delete_meanwhile) == {0: 0x0112}


def test_what_is_given_other_bytes_while_it_is_looked_at_is_looked_at_again() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        comments = iter(["other"])
        other = part10(1, 1, 1, comment="other", pixels=bytes(600))

        def replace_meanwhile(_read: int) -> bool:
            for _ in comments:
                simulation.store(other)
            return True

        one = claimed(archive, ask(archive, GOOD))
        assert archive.check_commitment(one.asked, replace_meanwhile) == {}
        assert archive.read(archive.locate(sop_uid=uid(1, 1, 1))[0]) == other
        always = (part10(1, 1, 1, comment=f"{n}", pixels=bytes(600)) for n in itertools.count())

        def replace_always(_read: int) -> bool:
            simulation.store(next(always))
            return True

        assert archive.check_commitment(one.asked, replace_always) == {0: 0x0110}


def test_a_check_that_is_ended_decides_nothing() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        one = claimed(archive, ask(archive))
        with pytest.raises(Ended):
            archive.check_commitment(one.asked, lambda _: False)
        archive.delete(uid(1))


def test_a_store_that_is_away_says_nothing_of_an_instance() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        path = ask(archive, GOOD)
        one = claimed(archive, path)
        # First what was acknowledged cannot be made a file of, then the file not be read
        simulation.disk.fail_often(1.0, errno.ENOSPC)
        with pytest.raises(StorageError, match="still wait"):
            archive.check_commitment(one.asked, go_on)
        simulation.disk.heal()
        archive.settle()
        simulation.disk.fail(1, errno.EHOSTUNREACH)
        with pytest.raises(Unreachable):
            archive.check_commitment(one.asked, go_on)
        simulation.disk.heal()
        assert reported(archive, path) == {}


# Tried until heard


def test_pauses_grow_and_a_restart_goes_on_where_they_were() -> None:
    with simulated() as simulation:
        archive, clock = filled(simulation), simulation.clock
        path = ask(archive)
        pauses = []
        for turn in range(20):
            one = decided(simulation.archive, path)
            pauses.append(simulation.archive.commitments.put_off(path, one))
            if turn == 5:
                simulation.restart()
                simulation.archive.commitments.look()
            else:
                assert simulation.archive.commitments.due() == []
                clock.advance(pauses[-1] - 0.01)
                assert simulation.archive.commitments.due() == []
                clock.advance(0.02)
            assert simulation.archive.commitments.due() == [path]
        assert pauses[:5] == [1, 2, 4, 8, 16]
        assert pauses == sorted(pauses)
        assert pauses[-1] == LONGEST_PAUSE_S
        archive = simulation.archive
        assert not archive.commitments.is_too_old(decided(archive, path))
        clock.advance(requests.GIVE_UP.total_seconds())
        assert archive.commitments.is_too_old(decided(archive, path))
        archive.commitments.finish(path, decided(archive, path), reported=False)
        assert archive.commitments.count == 0


def test_n20_a_clock_that_is_set_back_holds_nothing_up() -> None:
    with simulated() as simulation:
        archive, clock = filled(simulation), simulation.clock
        path = ask(archive)
        archive.commitments.put_off(path, decided(archive, path))
        clock.jump(-3600)
        clock.advance(1.01)
        assert archive.commitments.due() == [path]
        assert reported(archive, path) == EXPECTED


def test_whoever_is_there_need_not_wait() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        path = ask(archive)
        archive.commitments.put_off(path, decided(archive, path))
        archive.commitments.hurry("OTHER")
        assert archive.commitments.due() == []
        archive.commitments.hurry("CT1")
        assert archive.commitments.due() == [path]


def test_a_request_that_cannot_be_read_holds_up_no_other() -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        bad, good = ask(archive), ask(archive, transaction="1.2.9")
        simulation.disk.flip_bit(bad, 0)
        assert archive.commitments.claim(bad) is None
        assert archive.commitments.due() == [good]
        assert reported(archive, good) == EXPECTED


# Several nodes


def node(disk: Disk, clock: SimClock, names: itertools.count[int]) -> Requests:
    def nothing(_: object) -> None:
        pass

    return Requests(
        disk,
        names,
        clock=clock,
        require_room=nothing,
        stop_writing=nothing,
        turn=lambda *_: nullcontext(),
        shared=True,
    )


def test_of_several_nodes_one_works_on_a_request_and_another_when_it_dies() -> None:
    with simulated() as simulation:
        disk, clock, names = filled(simulation)._disk, simulation.clock, itertools.count(1000)
        one, two = node(disk, clock, names), node(disk, clock, names)
        path = one.ask(TRANSACTION, "CT1", "", REFERENCES)
        one.answered(path)
        two.look()
        assert two.due() == [path]
        # It was claimed when it was acknowledged
        assert two.claim(path) is None
        held = one.claim(path)
        assert held is not None
        clock.advance(LEASE.total_seconds() - 1)
        held = one.hold(path, held)
        clock.advance(2)
        assert two.claim(path) is None
        held = one.decide(path, held, EXPECTED)
        clock.advance(LEASE.total_seconds() + 1)
        # The first says no more
        assert two.due() == [path]
        taken = two.claim(path)
        assert taken is not None
        assert taken.failures == EXPECTED
        assert one.claim(path) is None
        two.finish(path, taken, reported=True)
        one.look()
        assert (one.due(), one.count, two.count) == ([], 0, 0)


def test_a_node_whose_clock_is_behind_waits_no_longer_than_a_pause() -> None:
    with simulated() as simulation:
        disk, clock, names = filled(simulation)._disk, simulation.clock, itertools.count(1000)
        one, late = node(disk, clock, names), SimClock(datetime(2000, 1, 1, tzinfo=UTC))
        path = one.ask(TRANSACTION, "CT1", "", REFERENCES)
        two = node(disk, late, names)
        two.look()
        assert two.claim(path) is None
        late.advance(LONGEST_PAUSE_S + 1)
        assert two.due() == [path]


@pytest.mark.parametrize("reason", [ReadOnly, StorageError])
def test_what_cannot_be_written_waits(reason: Callable[[str], GantryError]) -> None:
    with simulated() as simulation:
        archive = filled(simulation)
        path = ask(archive)
        one = decided(archive, path)

        def refuse(_size: int) -> None:
            raise reason("not now")

        archive.commitments._files._require_room = refuse
        with pytest.raises(type(reason("x"))):
            archive.commitments.put_off(path, one)
        assert archive.commitments.due() == []
        simulation.clock.advance(timedelta(seconds=2).total_seconds())
        assert archive.commitments.due() == [path]
