"""Backups: what a point holds, what is copied, what an interruption leaves, what a restore gives (N19)."""

from __future__ import annotations

import errno
import hashlib
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from committed import commit
from gantry.archive.archive import Archive
from gantry.archive.backup.listing import listed
from gantry.archive.backup.manifest import Act, Encoder, Head, Line, Version, decoded
from gantry.archive.backup.restore import Restored, check, restore
from gantry.archive.backup.store import Store
from gantry.archive.backup.take import Taken, take
from gantry.archive.blobs.files import object_path
from gantry.archive.clock import SimClock
from gantry.archive.commitment.requests import Reference
from gantry.archive.edits.model import EditConflict, EditKind, EditRequest, Target
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion, Refused
from gantry.archive.records import InstanceKey
from gantry.archive.sim import PowerCut, SimDisk
from gantry.archive.sim_index import SimIndexFiles
from gantry.errors import CallerError, Corrupt, GantryError, NotFound, OutOfSpace, StorageError
from stored_objects import CT_IMAGE, SCANNER, Simulation, key_of, part10, simulated, uid


def store_on(disk: SimDisk) -> Store:
    return Store(disk, SimClock())


def back_up(simulation: Simulation, target: SimDisk, *, force: bool = False) -> Taken:
    return take(simulation.disk, store_on(target), lambda: listed(simulation.archive.point()), force=force)


def dump(archive: Archive) -> list[dict[str, Any]]:
    return list(archive.index.canonical_dump())


def small(disk: SimDisk) -> dict[str, bytes]:
    """What a backup must not change: all but what is under way and what was set aside."""
    kept = ("files/", "points/")
    return {name: disk.read(name) for name in disk.file_names() if name.startswith(kept)}


def fill(simulation: Simulation) -> None:
    """Versions, conflicts, a delete, a restore, one let go, a draft, an object too large for the log."""
    archive = simulation.archive
    for study in (1, 2):
        for instance in range(1, 5):
            simulation.store(part10(study, 1, instance, patient=f"P{study}", pixels=b"abcdef"))
    simulation.store(part10(1, 1, 1, comment="again", pixels=b"abcdef"))
    simulation.store(part10(1, 2, 1, patient="another", pixels=bytes(1_200_000)))
    archive.delete(uid(2), uid(2, 1), uid(2, 1, 1), SCANNER)
    archive.delete(uid(2), uid(2, 1), uid(2, 1, 2), SCANNER)
    archive.restore(uid(2), uid(2, 1), uid(2, 1, 2), SCANNER)
    (location,) = archive.locate(sop_uid=uid(1, 1, 3))
    form = archive.replace(location, [part10(1, 1, 3, comment="smaller", pixels=b"abcdef")], SCANNER)
    assert isinstance(form, NewVersion)
    archive.let_go([Superseded(key_of(1, 1, 3), 1, form.number)], "a rule", SCANNER)
    series = Target(study=uid(2), series=(uid(2, 1),))
    split = EditRequest(EditKind.SPLIT, series, "of another visit", into=Target(study=uid(9)))
    archive.edit(split, SCANNER)
    archive.edit(EditRequest(EditKind.REJECT, Target(study=uid(9)), "moved", code="113001"), SCANNER)
    archive.drafts.save("reader", uid(1), b'{"measured":1}', after=0)


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        fill(simulation)
        yield simulation


def brought_back(target: SimDisk, point: str | None = None) -> tuple[Simulation, Restored]:
    """A backup restored on a disk of its own, and the archive that opens there."""
    other = Simulation(7)
    restored = restore(store_on(target), other.disk, SimIndexFiles(other.folder, other.disk), point)
    return other, restored


def test_n19_a_restored_point_is_the_archive_as_it_was(simulation: Simulation) -> None:
    target = SimDisk()
    taken = back_up(simulation, target)
    assert (taken.objects, taken.lost, taken.elsewhere) == (15 - 1, [], 0)
    before = dump(simulation.archive)
    simulation.store(part10(5, 1, 1))  # comes later
    simulation.archive.delete(uid(1))
    other, restored = brought_back(target)
    try:
        assert restored.is_whole
        assert restored.point == taken.point
        assert other.archive.verify().is_clean
        assert dump(other.archive) == before
        assert [row.at for row in other.archive.index.all_versions()] == [
            row.at for row in list(simulation.archive.index.all_versions())[: restored.versions]
        ]
        assert bytes(other.archive.drafts.current("reader", uid(1)).content) == b'{"measured":1}'
        other.archive.reindex()
        assert dump(other.archive) == before
    finally:
        other.end()


def test_n19_a_second_backup_copies_what_is_new_and_touches_nothing(simulation: Simulation) -> None:
    target = SimDisk()
    first = back_up(simulation, target)
    assert first.copied_bytes > 1_200_000
    kept = small(target)
    again = back_up(simulation, target)
    assert (again.copied, again.copied_bytes) == (0, 0)
    new = part10(9, 1, 1, pixels=bytes(500))
    simulation.store(new)
    third = back_up(simulation, target)
    assert (third.copied, third.copied_bytes) == (1, len(new))
    after = small(target)
    assert {name: after[name] for name in kept} == kept
    assert store_on(target).names() == [first.point, again.point, third.point]
    assert check(store_on(target), first.point).is_whole


def test_n19_each_point_can_be_gone_back_to(simulation: Simulation) -> None:
    target = SimDisk()
    points: list[tuple[str, list[dict[str, Any]]]] = []
    for step in range(3):
        points.append((back_up(simulation, target).point, dump(simulation.archive)))
        simulation.store(part10(20 + step, 1, 1))
        simulation.archive.delete(uid(20 + step))
    for point, was in points:
        other, _ = brought_back(target, point)
        assert dump(other.archive) == was
        other.end()


def test_one_folder_serves_one_archive(simulation: Simulation) -> None:
    """What stands where the archive was, another or an empty folder, does not become its latest point."""
    target = SimDisk()
    back_up(simulation, target)
    kept = small(target)
    with simulated(3) as other:
        with pytest.raises(CallerError, match="the archive is empty"):
            back_up(other, target)
        other.store(part10(7, 1, 1))
        with pytest.raises(CallerError, match="is of another archive"):
            back_up(other, target)
        assert small(target) == kept
        assert back_up(other, target, force=True).objects == 1
        assert back_up(other, target).copied == 0


def test_a_restored_archive_and_one_that_lost_its_first_object_go_on_in_the_folder(
    simulation: Simulation,
) -> None:
    target = SimDisk()
    back_up(simulation, target)
    other, _ = brought_back(target)
    try:
        assert back_up(other, target).copied == 0
        for number in (1, 2):
            other.disk.unlink(object_path(key_of(1, 1, 1), number))
        other.archive.reindex()
        assert back_up(other, target).copied == 0
    finally:
        other.end()


def test_a_point_sorts_after_the_one_before_whatever_the_clock_did(simulation: Simulation) -> None:
    target = SimDisk()
    first = back_up(simulation, target).point
    simulation.restart()
    simulation.clock.jump(-86_400)
    simulation.archive.stats()
    second = back_up(simulation, target).point
    assert store_on(target).names() == [first, second]
    assert first[9:] > second[9:]
    assert store_on(target).chosen(None) == second


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_n19_power_may_go_at_any_call_of_a_backup(seed: int) -> None:
    dice = random.Random(seed)
    with simulated(seed) as simulation:
        fill(simulation)
        target = SimDisk(seed)
        first = back_up(simulation, target)
        for n in range(3):
            simulation.store(part10(30 + n, 1, 1, pixels=bytes(300)))
        for _ in range(6):
            target.cut_at(dice.randint(1, 120))
            try:
                done = back_up(simulation, target)
            except PowerCut:
                target = target.power_cut()
            else:
                target = target.power_cut()
                assert done.point in store_on(target).names()  # what was told to be done is done
            for name in store_on(target).names():
                assert check(store_on(target), name).is_whole
            assert first.point in store_on(target).names()
            simulation.store(part10(40 + dice.randint(1, 9), 1, 1))
        target.heal()
        last = back_up(simulation, target)
        other, restored = brought_back(target.power_cut(), last.point)
        assert restored.is_whole
        assert dump(other.archive) == dump(simulation.archive)
        other.end()


def test_n19_what_was_committed_is_held_in_a_restored_archive_too(simulation: Simulation) -> None:
    commit(simulation.archive, uid(1, 1, 2), transaction="1.2.3")
    asked = simulation.archive.commitments.ask("1.2.4", "CT1", "", (Reference(CT_IMAGE, uid(1, 1, 2)),))
    target = SimDisk()
    back_up(simulation, target)
    again = back_up(simulation, target)
    assert again.copied == 0
    other, restored = brought_back(target)
    assert restored.is_whole
    with pytest.raises(EditConflict, match="storage commitment"):
        other.archive.delete(uid(1), uid(1, 1), uid(1, 1, 2))
    # Nobody waits for the copy to report; what was used is used
    other.archive.commitments.look()
    assert (other.archive.commitments.count, simulation.disk.exists(asked)) == (0, True)
    path = other.archive.commitments.ask("1.2.3", "CT1", "", (Reference(CT_IMAGE, uid(1, 1, 2)),))
    other.archive.commitments.answered(path)
    one = other.archive.commitments.claim(path)
    assert one is not None
    assert one.asked.is_duplicate
    other.end()


def calls_of(do: Callable[[], object], disk: SimDisk) -> int:
    before = disk.calls
    do()
    return disk.calls - before


@pytest.mark.slow
@pytest.mark.parametrize("kind", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_n19_any_call_on_the_target_may_fail(kind: int) -> None:
    with simulated() as simulation:
        for n in range(1, 4):
            simulation.store(part10(1, 1, n))
        first = SimDisk()
        point = back_up(simulation, first).point
        simulation.store(part10(1, 1, 9))
        total = calls_of(lambda: back_up(simulation, first), first)
        for k in range(1, total + 1):
            target = SimDisk()
            point = back_up(simulation, target).point
            simulation.store(part10(2, 1, k))
            target.fail(k, kind)
            try:
                back_up(simulation, target)
            except GantryError as error:
                assert isinstance(error, StorageError), (k, error)
            target.heal()
            for name in store_on(target).names():
                assert check(store_on(target), name).is_whole, (k, target.log[-5:])
            assert point in store_on(target).names()
            assert back_up(simulation, target).lost == []
            assert check(store_on(target)).is_whole


def test_n19_a_full_target_is_told_and_the_next_backup_goes_on(simulation: Simulation) -> None:
    size = sum(location.file_size for location in simulation.archive.locate())
    target = SimDisk(capacity=size // 2)
    with pytest.raises(OutOfSpace):
        back_up(simulation, target)
    with pytest.raises(NotFound, match="no finished backup"):
        store_on(target).chosen(None)
    already = sum(len(data) for data in small(target).values())
    assert not [name for name in target.file_names() if name.startswith("incoming/") and "dcm" in name]
    target.capacity = 1 << 30
    taken = back_up(simulation, target)
    assert taken.copied_bytes <= taken.size_bytes - already + 100_000
    assert check(store_on(target)).is_whole


def object_in(target: SimDisk, data: bytes) -> str:
    return next(
        name for name in target.file_names() if name.startswith("files/") and target.read(name) == data
    )


def test_n19_a_damaged_file_of_a_backup_is_named_and_all_else_restored(simulation: Simulation) -> None:
    target = SimDisk()
    back_up(simulation, target)
    name = object_in(target, part10(1, 1, 2, pixels=b"abcdef"))
    target.flip_bit(name, 4000)
    for found in (check(store_on(target)), brought_back(target)[1]):
        assert [(lost.path.rpartition("/")[2], name in lost.why) for lost in found.damaged] == [
            (f"{uid(1, 1, 2)}.dcm", True)
        ]
        assert not found.is_whole
    other, _ = brought_back(target)
    assert other.archive.verify().is_clean
    assert other.archive.locate(sop_uid=uid(1, 1, 2)) == []
    assert len(other.archive.locate()) == len(simulation.archive.locate()) - 1
    other.end()
    target.unlink(name)
    assert [lost.why for lost in check(store_on(target)).damaged] == [f"{name} is missing"]


def test_a_file_of_a_backup_that_was_cut_short_is_copied_anew(simulation: Simulation) -> None:
    target = SimDisk()
    back_up(simulation, target)
    data = part10(1, 1, 2, pixels=b"abcdef")
    name = object_in(target, data)
    target.unlink(name)
    put(target, name, data[:-4])
    taken = back_up(simulation, target)
    assert (taken.copied, taken.copied_bytes) == (1, len(data))
    assert check(store_on(target)).is_whole
    aside = [n for n in target.file_names() if n.startswith("lost-found/")]
    assert [target.read(n) for n in aside] == [data[:-4]]


def test_n14_rot_in_the_archive_is_never_copied(simulation: Simulation) -> None:
    target = SimDisk()
    back_up(simulation, target)
    (rotten,) = simulation.archive.locate(sop_uid=uid(1, 1, 2))
    simulation.disk.flip_bit(rotten.path, 4000)
    assert back_up(simulation, target).lost == []  # the good copy is there
    assert check(store_on(target)).is_whole
    fresh = SimDisk()
    taken = back_up(simulation, fresh)
    assert [lost.path for lost in taken.lost] == [rotten.path]
    found = check(store_on(fresh))
    assert not found.is_whole
    assert (found.lost, found.damaged) == (tuple(taken.lost), ())
    other, restored = brought_back(fresh)
    assert [lost.path for lost in restored.lost] == [rotten.path]
    assert other.archive.verify().is_clean
    other.end()


def test_what_is_let_go_while_it_is_copied_is_listed_again(simulation: Simulation) -> None:
    archive, key = simulation.archive, key_of(1, 1, 4)
    (location,) = archive.locate(sop_uid=key.sop_uid)
    form = archive.replace(location, [part10(1, 1, 4, comment="smaller", pixels=b"abcdef")], SCANNER)
    assert isinstance(form, NewVersion)
    asked = 0

    def ask() -> Iterator[bytes]:
        nonlocal asked
        asked += 1
        told = list(listed(archive.point()))
        if asked == 1:
            archive.let_go([Superseded(key, 1, form.number)], "a rule", SCANNER)
        return iter(told)

    target = SimDisk()
    taken = take(simulation.disk, store_on(target), ask)
    assert (taken.lost, asked) == ([], 2)
    other, restored = brought_back(target)
    assert restored.is_whole
    assert dump(other.archive) == dump(archive)
    other.end()


def test_a_restore_overwrites_nothing(simulation: Simulation) -> None:
    target, disk = SimDisk(), SimDisk()
    back_up(simulation, target)
    put(disk, "mine", b"keep")
    with pytest.raises(CallerError, match="mine"):
        restore(store_on(target), disk, SimIndexFiles(simulation.folder / "none", disk))
    assert disk.file_names() == ["mine"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_restore_that_was_broken_off_is_no_archive_and_goes_on(seed: int, simulation: Simulation) -> None:
    target = SimDisk()
    point = back_up(simulation, target).point
    simulation.store(part10(8, 1, 1))
    other_point = back_up(simulation, target).point
    other = Simulation(seed)
    dice = random.Random(seed)
    try:
        for cut in (dice.randint(4, 100), dice.randint(4, 100)):
            other.disk.cut_at(cut)
            with pytest.raises(PowerCut):
                restore(store_on(target), other.disk, SimIndexFiles(other.folder, other.disk), point)
            other.disk = other.disk.power_cut()
        if other.disk.exists("restoring.json"):
            with pytest.raises(StorageError, match="broken off"):
                other.archive.stats()
            with pytest.raises(CallerError, match="another point"):
                restore(store_on(target), other.disk, SimIndexFiles(other.folder, other.disk), other_point)
        done = restore(store_on(target), other.disk, SimIndexFiles(other.folder, other.disk), point)
        assert done.is_whole
        other.disk = other.disk.power_cut()
        assert other.archive.verify().is_clean
        assert other.archive.stats().versions == done.versions
    finally:
        other.end()


def test_a_folder_of_something_else_is_not_backed_up_into(simulation: Simulation) -> None:
    target = SimDisk()
    put(target, "letter.txt", b"dear")
    with pytest.raises(CallerError, match=r"letter\.txt"):
        back_up(simulation, target)
    assert target.file_names() == ["letter.txt"]
    with pytest.raises(NotFound, match="no backup"):
        check(store_on(target))


def test_n19_what_the_log_cannot_give_its_file_keeps_a_point_from_being_taken(simulation: Simulation) -> None:
    simulation.archive.settle()
    simulation.store(part10(6, 1, 1))
    simulation.disk.fail_often(1.0, errno.EIO)
    with pytest.raises(StorageError, match="still wait"):
        simulation.archive.point()


def test_n06_n19_an_archive_that_may_not_write_any_more_is_backed_up(simulation: Simulation) -> None:
    archive = simulation.archive
    archive.settle()
    before = len(archive.locate())
    incoming = archive.begin(SCANNER)
    incoming.write(part10(7, 1, 1))
    calls = len(simulation.disk.log)
    with simulated() as rehearsal:
        fill(rehearsal)
        rehearsal.archive.settle()
        other = rehearsal.archive.begin(SCANNER)
        other.write(part10(7, 1, 1))
        at = len(rehearsal.disk.log)
        other.finish()
        steps = rehearsal.disk.log[at:]
    simulation.disk.fail(1 + next(n for n, call in enumerate(steps) if call.startswith("sync log/")))
    assert isinstance(incoming.finish(), Refused), simulation.disk.log[calls:]
    assert archive.read_only
    target = SimDisk()
    taken = back_up(simulation, target)
    assert taken.lost == []
    other_simulation, restored = brought_back(target)
    assert restored.is_whole
    assert len(other_simulation.archive.locate()) == before
    assert other_simulation.archive.verify().is_clean
    other_simulation.end()


# --- the list ------------------------------------------------------------------------------------------


def sample() -> list[bytes]:
    lines = Encoder()
    told = (
        "1.2",
        "1.2.3",
        "1.2.3.4",
        1,
        SimClock().now(),
        "AE",
        "",
        "dimse",
        "objects/aa/1.2/1.2.3/1.2.3.4.dcm",
    )
    return [
        lines.line(Head(1, SimClock().now(), 1)),
        lines.line(Version(*told, 10, 4, "aa", "bb")),
        lines.line(Act("acts/1.json")),
        lines.end(),
    ]


def test_a_list_comes_back_as_it_was_given() -> None:
    found: list[Line] = list(decoded(sample(), "it"))
    assert [type(line).__name__ for line in found] == ["Head", "Version", "Act"]
    assert isinstance(found[1], Version)
    assert found[1].receipt.key == InstanceKey("1.2", "1.2.3", "1.2.3.4")
    whole = b"".join(sample())
    for size in (1, 7, 100):
        assert list(decoded([whole[i : i + size] for i in range(0, len(whole), size)], "it")) == found


@pytest.mark.parametrize("drop", range(4))
def test_a_list_with_a_line_less_is_refused(drop: int) -> None:
    lines = sample()
    del lines[drop]
    with pytest.raises(Corrupt):
        list(decoded(lines, "it"))


def test_a_list_of_which_any_byte_is_another_is_refused() -> None:
    whole = b"".join(sample())
    for at in range(len(whole) - 1):
        spoiled = bytearray(whole)
        spoiled[at] ^= 1
        with pytest.raises(Corrupt):
            list(decoded([bytes(spoiled)], "it"))


@pytest.mark.parametrize(
    "content",
    [b"", b"{}\n", b'["gantry-backup",2,"2026-01-01T00:00:00Z",0]\n', b"x" * (3 << 20), zlib.compress(b"a")],
)
def test_what_is_no_list_is_refused(content: bytes) -> None:
    with pytest.raises(Corrupt):
        list(decoded([content], "it"))


def test_a_damaged_point_is_told_and_the_others_are_not_touched_by_it(simulation: Simulation) -> None:
    target = SimDisk()
    first = back_up(simulation, target).point
    second = back_up(simulation, target).point
    target.flip_bit(f"points/{second}.jsonl.gz", 900)
    with pytest.raises(Corrupt, match=second):
        check(store_on(target))
    assert check(store_on(target), first).is_whole
    third = back_up(simulation, target)
    assert third.copied == 0
    assert check(store_on(target), third.point).is_whole


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "objects/../../outside", "log/0", "x"])
def test_a_point_that_names_other_paths_writes_nowhere_else(path: str) -> None:
    target = SimDisk()
    store = store_on(target)
    store.prepare()
    empty = hashlib.sha256().hexdigest()
    line = Version("1.2", "1.2.3", "1.2.3.4", 1, SimClock().now(), "", "", "", path, 0, 0, empty, empty)
    assert line.content is not None
    target.make_folder(f"files/{empty[:2]}")
    put(target, f"files/{line.content.name}", b"")
    store.add_point(SimClock().now(), [Head(1, SimClock().now(), 1), line])
    assert check(store).is_whole
    other, restored = brought_back(target)
    assert [lost.path for lost in restored.damaged] == [path]
    assert all(name.startswith("received/") for name in other.disk.file_names())
    other.end()


def put(disk: SimDisk, path: str, data: bytes) -> None:
    file = disk.create(path)
    file.write([data])
    file.close()
