"""Drafts on the simulated disk: versions, the rule that thins them, power cuts and full disks."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gantry.archive.archive import Archive
from gantry.archive.drafts import MadeReport, NotCurrent, draft_folder, kept_of
from gantry.archive.sim import PowerCut
from gantry.errors import Corrupt, NotFound, OutOfSpace, ReadOnly, StorageError
from serving import dataset, part10
from stored_objects import simulated

STUDY = "1.2.3"
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


def content(number: int) -> bytes:
    return b'{"n":%d}' % number


def test_versions_are_kept_per_person_and_study() -> None:
    with simulated() as simulation:
        drafts = simulation.archive.drafts
        assert drafts.save("a", STUDY, content(1), after=0).version == 1
        assert drafts.save("b", STUDY, content(2), after=0).version == 1
        assert drafts.save("A person/../x", STUDY, content(3), after=None).version == 1
        assert drafts.save("a", "1.2.4", content(4), after=0).version == 1
        assert [bytes(drafts.current(p, STUDY).content) for p in ("a", "b", "A person/../x")] == [
            content(1), content(2), content(3),
        ]  # fmt: skip
        assert ".." not in draft_folder("A person/../x", STUDY)
        with pytest.raises(NotCurrent):
            drafts.save("a", STUDY, content(5), after=0)
        with pytest.raises(NotFound):
            drafts.version("a", STUDY, 2)


def test_the_rule_keeps_all_of_an_hour_then_one_an_hour_then_one_a_day() -> None:
    ages = [
        timedelta(days=3, hours=2), timedelta(days=3, hours=1), timedelta(days=2),
        timedelta(hours=5, minutes=40), timedelta(hours=5, minutes=20), timedelta(hours=3),
        timedelta(minutes=50), timedelta(minutes=50), timedelta(0),
    ]  # fmt: skip
    assert kept_of([(n, NOW - age) for n, age in enumerate(ages, 1)], NOW) == {2, 3, 5, 6, 7, 8, 9}


def test_saving_thins_and_never_reuses_a_number() -> None:
    with simulated() as simulation:
        archive, clock = simulation.archive, simulation.clock
        for number in range(1, 4):
            archive.drafts.save("a", STUDY, content(number), after=number - 1)
            clock.advance(60)
        archive.drafts.save("a", STUDY, b"{}", after=3, report="1.2.9")
        clock.advance(2 * 3600)
        made = archive.drafts.save("a", STUDY, content(5), after=4)
        assert made.version == 5
        # 3 became the report 4: both stay, and 5 is the last
        assert [one.number for one in archive.drafts.versions("a", STUDY)] == [3, 4, 5]


@pytest.mark.parametrize("cut", range(1, 100, 3))
def test_n01_no_power_cut_loses_a_version_that_was_answered(cut: int) -> None:
    with simulated(cut) as simulation:
        drafts, answered = simulation.archive.drafts, 0
        simulation.disk.cut_at(cut)
        with pytest.raises(PowerCut):
            for number in range(1, 30):
                answered = drafts.save("a", STUDY, content(number), after=number - 1).version
        simulation.power_cut()
        again = simulation.archive.drafts
        kept = [one.number for one in again.versions("a", STUDY)]
        # The one that was not answered may be there, whole, or not
        assert kept in (list(range(1, answered + 1)), list(range(1, answered + 2)))
        for number in kept:
            assert bytes(again.version("a", STUDY, number).content) == content(number)
        assert again.save("a", STUDY, b"{}", after=len(kept)).version == len(kept) + 1


def test_of_two_that_save_at_once_one_is_told(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:

        def save(number: int) -> bool:
            try:
                return archive.drafts.save("a", STUDY, content(number), after=0).version == 1
            except NotCurrent as error:
                return error.current != 1

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(save, range(8))) == 1
        assert len(archive.drafts.versions("a", STUDY)) == 1


def test_n07_a_full_disk_is_told_and_saving_goes_on_when_there_is_room() -> None:
    with simulated() as simulation:
        drafts, disk = simulation.archive.drafts, simulation.disk
        drafts.save("a", STUDY, content(1), after=0)
        for call in range(1, 12):
            disk.fail(call, errno.ENOSPC)
        with pytest.raises(OutOfSpace):
            drafts.save("a", STUDY, content(2), after=1)
        disk.heal()
        assert drafts.save("a", STUDY, content(2), after=1).version == 2
        assert not [name for name in disk.file_names() if name.startswith("incoming/")]


def test_n06_a_failed_fsync_ends_writing() -> None:
    with simulated() as simulation:
        drafts, disk = simulation.archive.drafts, simulation.disk
        drafts.save("a", STUDY, content(1), after=0)
        calls = disk.log[:]
        drafts.save("a", STUDY, content(2), after=1)
        synced = next(n for n, call in enumerate(disk.log[len(calls) :], 1) if call.startswith("sync"))
        disk.fail(synced, errno.EIO)
        with pytest.raises(StorageError):
            drafts.save("a", STUDY, content(3), after=2)
        with pytest.raises(ReadOnly):
            drafts.save("a", STUDY, content(4), after=None)
        assert drafts.current("a", STUDY).version == 2


def test_what_a_key_stands_for_is_said_once() -> None:
    with simulated() as simulation:
        drafts = simulation.archive.drafts
        first, second = MadeReport("k", 1, "1.1", "1.2", NOW), MadeReport("k", 2, "1.3", "1.4", NOW)
        assert drafts.made_report("a", STUDY, "k") is None
        assert drafts.begin_report("a", STUDY, first) == first
        simulation.power_cut()
        assert simulation.archive.drafts.begin_report("a", STUDY, second) == first
        assert simulation.archive.drafts.made_report("a", STUDY, "k") == first


def test_a_damaged_version_is_told() -> None:
    with simulated() as simulation:
        simulation.archive.drafts.save("a", STUDY, b'{"text":"aaaa"}', after=0)
        (name,) = [name for name in simulation.disk.file_names() if name.startswith("drafts/")]
        simulation.disk.flip_bit(name, simulation.disk.read(name).index(b"aaaa") * 8)
        with pytest.raises(Corrupt):
            simulation.archive.drafts.current("a", STUDY)


def test_verify_and_reindex_leave_drafts_alone(tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        archive.store([part10(dataset(1))])
        archive.drafts.save("a", STUDY, content(1), after=0)
        report = archive.verify(repair=True)
        assert report.is_clean
        archive.reindex()
        assert archive.stats().instances == 1
        assert archive.drafts.current("a", STUDY).version == 1
