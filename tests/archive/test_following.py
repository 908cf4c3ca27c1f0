"""Drafts go with the images that they measure: to another study by an edit, and back when it is undone."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest

from gantry.archive.archive import Archive
from gantry.archive.edits.following import MAX_MEASUREMENTS
from gantry.archive.edits.model import EditKind, EditRequest, Patient, Target
from gantry.archive.sim import PowerCut
from gantry.errors import NotFound
from gantry.toolkit.measurements import model
from stored_objects import SCANNER, WITHOUT_LOG, Simulation, part10, simulated, uid


def measurement(name: str, series: int = 1, instance: int = 1) -> dict[str, Any]:
    image = {"seriesInstanceUid": uid(1, series), "sopInstanceUid": uid(1, series, instance)}
    return {"id": name, "kind": "length", "image": image, "points": [[1.5, 2.25], [4, 5]]}


def content(*measurements: Any) -> bytes:
    return json.dumps({"measurements": measurements}).encode()


def names(archive: Archive, study: int, person: str = "a") -> list[str] | None:
    try:
        found = archive.drafts.current(person, uid(study))
    except NotFound:
        return None
    return [one["id"] for one in json.loads(bytes(found.content))["measurements"]]


def stored(simulation: Simulation) -> Archive:
    """A study of two series, and one of another patient."""
    for series in (1, 2):
        simulation.store(part10(1, series, 1))
    simulation.store(part10(2, 1, 1, patient="P2", name="Roe^Richard"))
    return simulation.archive


def edit(archive: Archive, kind: EditKind, series: int = 0, **more: Any) -> int:
    target = Target(study=uid(1), series=(uid(1, series),) if series else ())
    return archive.edit(EditRequest(kind, target, "a test", **more), SCANNER).row.number


def undo(archive: Archive, number: int) -> int:
    return archive.revert_edit(number, who="", why="a test", origin=SCANNER).row.number


def renamed(archive: Archive) -> int:
    return edit(archive, EditKind.IDENTIFIERS, changes={"StudyInstanceUID": uid(9)})


def test_a_draft_follows_its_study_to_another_uid_and_comes_back() -> None:
    with simulated() as simulation:
        archive = stored(simulation)
        for person in ("a", "Dr. Ä"):
            archive.drafts.save(person, uid(1), content(measurement("x"), measurement("y", 2)), after=0)
        number = renamed(archive)
        for person in ("a", "Dr. Ä"):
            assert (names(archive, 1, person), names(archive, 9, person)) == ([], ["x", "y"])
        now = archive.drafts.current("a", uid(9))
        assert json.loads(bytes(now.content))["measurements"][0] == measurement("x")
        # The version before stays readable where it was made
        assert b'"x"' in bytes(archive.drafts.version("a", uid(1), 1).content)
        archive.drafts.save("a", uid(9), content(measurement("x"), measurement("z", 2)), after=1)
        again = undo(archive, number)
        assert (names(archive, 1), names(archive, 9)) == (["x", "z"], [])
        undo(archive, again)
        assert (names(archive, 1), names(archive, 9)) == ([], ["x", "z"])


def test_a_split_takes_what_is_of_its_series_and_a_merge_brings_both_together() -> None:
    with simulated() as simulation:
        archive = stored(simulation)
        archive.drafts.save("a", uid(1), content(measurement("x"), measurement("y", 2)), after=0)
        archive.drafts.save("a", uid(2), content(measurement("x"), measurement("w", 1, 9)), after=0)
        edit(archive, EditKind.SPLIT, series=2, into=Target(study=uid(9)))
        assert (names(archive, 1), names(archive, 9)) == (["x"], ["y"])
        number = archive.edit(
            EditRequest(EditKind.MERGE_STUDIES, Target(study=uid(9)), "a test", into=Target(study=uid(2))),
            SCANNER,
        ).row.number
        assert (names(archive, 9), names(archive, 2)) == ([], ["x", "w", "y"])
        undo(archive, number)
        assert (names(archive, 9), names(archive, 2)) == (["y"], ["x", "w"])


def test_a_draft_stays_with_its_study_when_its_patient_changes() -> None:
    with simulated() as simulation:
        archive = stored(simulation)
        archive.drafts.save("a", uid(1), content(measurement("x")), after=0)
        into = Target(patient=Patient("P2"))
        number = edit(archive, EditKind.MOVE, into=into)
        assert names(archive, 1) == ["x"]
        undo(archive, number)
        archive.edit(EditRequest(EditKind.MERGE, Target(patient=Patient("P1")), "a test", into=into), SCANNER)
        assert [one.number for one in archive.drafts.versions("a", uid(1))] == [1]


def test_what_measures_nothing_that_moved_stays_and_so_does_what_is_no_draft_of_ours() -> None:
    with simulated() as simulation:
        archive = stored(simulation)
        odd = content(measurement("x", 1, 7), {"id": "no image"}, 5)
        archive.drafts.save("a", uid(1), odd, after=0)
        archive.drafts.save("b", uid(1), b'{"n":1}', after=0)
        archive.drafts.save("c", uid(1), b"[]", after=0)
        archive.drafts.save("d", uid(1), content(measurement("x")), after=0)
        renamed(archive)
        assert bytes(archive.drafts.current("a", uid(1)).content) == odd
        assert [names(archive, 9, person) for person in "abcd"] == [None, None, None, ["x"]]


def test_a_damaged_draft_holds_up_no_other() -> None:
    with simulated() as simulation:
        archive = stored(simulation)
        for person in ("a", "b"):
            archive.drafts.save(person, uid(1), content(measurement("x")), after=0)
        (note,) = archive.drafts.versions("a", uid(1))
        simulation.disk.unlink(note.path)
        file = simulation.disk.create(note.path)
        file.write([b"{"])
        file.close()
        renamed(archive)
        assert names(archive, 9, "b") == ["x"]


def test_what_has_no_room_in_the_other_draft_stays() -> None:
    assert MAX_MEASUREMENTS == model.MAX_MEASUREMENTS
    with simulated() as simulation:
        archive = stored(simulation)
        many = [measurement(f"n{n}") for n in range(MAX_MEASUREMENTS - 1)]
        archive.drafts.save("a", uid(9), content(*many), after=0)
        archive.drafts.save("a", uid(1), content(measurement("x"), measurement("y", 2)), after=0)
        renamed(archive)
        assert (names(archive, 1), (names(archive, 9) or [])[-1]) == (["y"], "x")


@pytest.mark.parametrize("cut", range(1, 90, 2))
def test_n01_a_power_cut_in_the_middle_leaves_each_measurement_once_after_the_next_start(cut: int) -> None:
    with simulated(cut, options=WITHOUT_LOG) as simulation:
        archive = stored(simulation)
        archive.drafts.save("a", uid(1), content(measurement("x"), measurement("y", 2)), after=0)
        archive.drafts.save("a", uid(9), content(measurement("w", 5)), after=0)
        simulation.disk.cut_at(cut)
        try:
            renamed(archive)
            done = True
        except PowerCut:
            done = False
        simulation.power_cut()
        archive = simulation.archive
        happened = bool(archive.edits())
        assert happened or not done
        expected = ([], ["w", "x", "y"]) if happened else (["x", "y"], ["w"])
        assert (names(archive, 1), names(archive, 9)) == expected
        assert archive.verify().is_clean


def test_n07_an_edit_stands_where_drafts_cannot_follow_and_they_do_when_they_can() -> None:
    with simulated(options=WITHOUT_LOG) as simulation:
        before = _drafted(simulation)
        renamed(simulation.archive)
        calls = simulation.disk.log[before:]
        first = next(n for n, call in enumerate(calls, 1) if "draft-" in call)
    with simulated(options=WITHOUT_LOG) as simulation:
        _drafted(simulation)
        archive, disk = simulation.archive, simulation.disk
        for call in range(first, first + 20):
            disk.fail(call, errno.ENOSPC)
        number = renamed(archive)
        disk.heal()
        assert (names(archive, 1), names(archive, 9)) == (["x"], None)
        simulation.power_cut()
        archive = simulation.archive
        assert (names(archive, 1), names(archive, 9)) == ([], ["x"])
        undo(archive, number)
        assert (names(archive, 1), names(archive, 9)) == (["x"], [])


def _drafted(simulation: Simulation) -> int:
    """A draft to follow; answers how many calls the disk had."""
    archive = stored(simulation)
    archive.drafts.save("a", uid(1), content(measurement("x")), after=0)
    archive.settle()
    return len(simulation.disk.log)
