"""An edit took place, or nothing of it: wherever the power goes, the process is killed, or a call fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from gantry.archive.archive import Archive
from gantry.archive.edits.model import EditKind, EditRequest, Patient, Target
from gantry.archive.records import InstanceKey
from gantry.archive.sim import PowerCut
from gantry.errors import GantryError
from stored_objects import SCANNER, Simulation, part10, simulated, uid

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

SEEDS = int(os.environ.get("GANTRY_SEEDS", "16"))

Seen = tuple[dict[InstanceKey, bytes], list[str]]


def request(kind: str, target: Target, **more: Any) -> EditRequest:
    return EditRequest(EditKind(kind), target, "a wrong label", "Ada", **more)


def modify(archive: Archive) -> None:
    archive.edit(request("modify", Target(study=uid(1)), changes={"PatientName": "Doe^John"}), SCANNER)


def split(archive: Archive) -> None:
    target = Target(study=uid(1), series=(uid(1, 1),))
    archive.edit(request("split", target, into=Target(study=uid(8))), SCANNER)


def merge(archive: Archive) -> None:
    archive.edit(request("merge", Target(patient=Patient("P1")), into=Target(patient=Patient("P2"))), SCANNER)


def reject(archive: Archive) -> None:
    archive.edit(request("reject", Target(study=uid(1)), code="113037"), SCANNER)


def revert(archive: Archive) -> None:
    archive.revert_edit(archive.edits()[0].number, who="Ada", why="no", origin=SCANNER)


KINDS = {"modify": modify, "split": split, "merge": merge, "reject": reject, "revert": revert}


def filled(simulation: Simulation) -> None:
    """Four objects in two studies, one of which was edited before."""
    for instance in (1, 2, 3):
        simulation.store(part10(1, 1, instance, pixels=bytes(600)))
    simulation.store(part10(2, 1, 1, patient="P2", name="Roe^Richard"))
    simulation.archive.edit(
        request("modify", Target(study=uid(1)), changes={"StudyDescription": "Chest"}), SCANNER
    )


def seen(archive: Archive) -> Seen:
    """What everybody sees: the visible objects, and the history."""
    visible = {location.key: archive.read(location, check=True) for location in archive.locate()}
    return visible, [f"{row.number} {row.kind} {row.objects}" for row in archive.edits()]


def without_times(state: Seen) -> tuple[dict[InstanceKey, int], list[str]]:
    """To compare runs, whose notes in objects and UIDs of new documents differ."""
    visible, history = state
    return {key: len(data) for key, data in visible.items() if key.sop_uid.startswith(uid(1))}, history


def ends(edit: Callable[[Archive], None]) -> tuple[int, Seen, Seen]:
    """How many calls on the disk an edit takes, and what is seen before and after."""
    with simulated() as simulation:
        filled(simulation)
        before, calls = seen(simulation.archive), simulation.disk.calls
        edit(simulation.archive)
        taken = simulation.disk.calls - calls
        return taken, before, seen(simulation.archive)


def assert_all_or_none(simulation: Simulation, before: Seen, after: Seen) -> bool:
    """Whether it took place; what a new index says is the same."""
    archive = simulation.archive
    state = seen(archive)
    took_place = without_times(state) == without_times(after)
    assert took_place or state == before
    assert archive.verify().is_clean
    assert not [name for name in simulation.disk.file_names() if name.startswith("incoming/")]
    rows = list(archive.index.canonical_dump())
    archive.reindex()
    assert list(archive.index.canonical_dump()) == rows
    assert seen(archive) == state
    return took_place


def stops(total: int, every: int) -> Iterator[int]:
    """Calls at which something happens: the usual run takes each of them in one variant or another."""
    step = 1 if SEEDS > 16 else every
    return iter(range(1, total + 1, step))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(("ending", "index"), [("power", "kept"), ("kill", "kept"), ("power", "lost")])
def test_n04_an_edit_that_is_broken_off_took_place_or_not_at_all(kind: str, ending: str, index: str) -> None:
    edit = KINDS[kind]
    total, before, after = ends(edit)
    assert total > 8
    outcomes = set()
    for k in stops(total, 2 if index == "lost" else 1):
        with simulated(seed=k) as simulation:
            filled(simulation)
            simulation.disk.cut_at(k)
            with pytest.raises(PowerCut):
                edit(simulation.archive)
            if ending == "power":
                simulation.power_cut()
            else:
                simulation.disk.killed()
                simulation.kill()
            if index == "lost":
                for file in simulation.folder.iterdir():
                    file.unlink()
            took_place = assert_all_or_none(simulation, before, after)
            outcomes.add(took_place)
            if not took_place:
                edit(simulation.archive)
                assert without_times(seen(simulation.archive)) == without_times(after)
    assert False in outcomes
    assert True in outcomes or ending == "power"


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_n05_an_edit_whose_disk_fails_took_place_or_not_at_all(kind: str, error: int, answered: bool) -> None:
    edit = KINDS[kind]
    total, before, after = ends(edit)
    for k in stops(total, 3):
        with simulated(seed=k) as simulation:
            filled(simulation)
            simulation.disk.fail(k, error, after=answered)
            with suppress(GantryError):
                edit(simulation.archive)
            simulation.disk.heal()
            state = seen(simulation.archive)
            assert state == before or without_times(state) == without_times(after)
            if k % 2:
                simulation.power_cut()
            else:
                simulation.kill()
            assert_all_or_none(simulation, before, after)
