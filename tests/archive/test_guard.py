"""What was committed, or what a rule of retention keeps, is taken away only by force, with who and why (N15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from committed import commit
from gantry.archive.archive import Archive
from gantry.archive.edits.model import EditConflict, EditDone, EditKind, EditRefused, EditRequest, Target
from gantry.archive.edits.rejection import note
from gantry.settings import RetentionRule
from stored_objects import SCANNER, SMALL, Simulation, part10, simulated, uid

RULES = tuple(map(RetentionRule.parse, ("go older=10y modality=CT", "keep modality=CT")))
STUDY = Target(study=uid(1))


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """Two studies of two objects each; the first object of the first is committed."""
    with simulated() as made:
        for study in (1, 2):
            for instance in (1, 2):
                made.store(part10(study, 1, instance))
        commit(made.archive, uid(1, 1, 1))
        yield made


def edit(archive: Archive, kind: str, target: Target = STUDY, why: str = "wrong", **more: Any) -> EditDone:
    return archive.edit(EditRequest(EditKind(kind), target, why, more.pop("who", "Ada"), **more), SCANNER)


def visible(archive: Archive) -> list[str]:
    return [location.key.sop_uid for location in archive.locate()]


def test_n15_what_was_committed_is_deleted_only_by_force(simulation: Simulation) -> None:
    archive = simulation.archive
    before = visible(archive)
    for target in (
        STUDY,
        Target(study=uid(1), series=(uid(1, 1),)),
        Target(study=uid(1), series=(uid(1, 1),), instances=(uid(1, 1, 1),)),
    ):
        request = EditRequest(EditKind.DELETE, target, "wrong", "Ada")
        with pytest.raises(EditConflict, match=r"1 of \d instances are under a storage commitment, .* CT1"):
            archive.edit(request, SCANNER)
        with pytest.raises(EditConflict, match="storage commitment"):
            archive.preview_edit(request)
    assert visible(archive) == before
    # Beside it nothing is held
    archive.delete(uid(1), uid(1, 1), uid(1, 1, 2))
    archive.delete(uid(2))
    done = edit(archive, "delete", force=True)
    assert visible(archive) == []
    assert (done.row.who, done.row.kind) == ("Ada", "delete")
    assert done.row.why == (
        "wrong [by force: 1 of 1 instances are under a storage commitment, for one to CT1 since 2026-01-01]"
    )
    # Also in an index that is made anew
    archive.reindex()
    assert archive.edits()[0].why == done.row.why


def test_n15_nobody_forces_without_name_and_reason(simulation: Simulation) -> None:
    archive = simulation.archive
    with pytest.raises(EditRefused, match="say who forces it, and why"):
        edit(archive, "delete", who=" ", force=True)
    with pytest.raises(EditRefused, match="say who forces it, and why"):
        archive.delete(uid(1), force=True, who="Ada")
    with pytest.raises(EditRefused, match="modify is not forced"):
        edit(archive, "modify", changes={"PatientName": "X"}, force=True)
    # What nothing stands against is as it ever was
    archive.delete(uid(2), force=True)
    assert archive.edits()[0].why == "no reason given"
    why = "x" * 1024
    assert len(edit(archive, "delete", why=why, force=True).row.why) == 1024


def test_n15_a_commitment_outlives_index_and_restart(simulation: Simulation) -> None:
    simulation.archive.reindex()
    simulation.restart()
    with pytest.raises(EditConflict):
        edit(simulation.archive, "delete")


def test_n15_a_commitment_goes_with_its_instance_to_other_studies(simulation: Simulation) -> None:
    archive = simulation.archive
    series = Target(study=uid(1), series=(uid(1, 1),))
    edit(archive, "split", series, into=Target(study=uid(8)))
    with pytest.raises(EditConflict, match="1 of 2"):
        edit(archive, "delete", Target(study=uid(8)))
    edit(archive, "merge-studies", Target(study=uid(8)), into=Target(study=uid(2)))
    with pytest.raises(EditConflict, match="1 of 4"):
        edit(archive, "delete", Target(study=uid(2)))
    # and back
    archive.revert_edit(2, who="Ada", why="no", origin=SCANNER)
    archive.revert_edit(1, who="Ada", why="no", origin=SCANNER)
    edit(archive, "delete", Target(study=uid(2)))
    with pytest.raises(EditConflict, match="1 of 2"):
        edit(archive, "delete")


def test_n15_what_would_be_gone_again_when_a_restore_is_undone_is_held(simulation: Simulation) -> None:
    archive = simulation.archive
    edit(archive, "delete", force=True)
    restored = edit(archive, "restore")
    with pytest.raises(EditConflict, match="storage commitment"):
        archive.preview_revert(restored.row.number)
    with pytest.raises(EditConflict, match="storage commitment"):
        archive.revert_edit(restored.row.number, who="Ada", why="no", origin=SCANNER)
    assert visible(archive).count(uid(1, 1, 1)) == 1
    done = archive.revert_edit(restored.row.number, who="Ada", why="no", origin=SCANNER, force=True)
    assert done.row.why.startswith("no [by force: 1 of 2")


def test_n15_retention_is_a_deletion_and_other_rejections_are_not(simulation: Simulation) -> None:
    archive = simulation.archive
    with pytest.raises(EditConflict, match="storage commitment"):
        edit(archive, "reject", code="113039")
    assert edit(archive, "reject", code="113039", force=True).row.why.startswith("wrong [by force")
    archive.revert_edit(1, who="Ada", why="no", origin=SCANNER)
    edit(archive, "reject", code="113037")
    assert uid(1, 1, 1) not in visible(archive)


def test_n15_a_note_of_others_that_says_expired_hides_nothing_that_is_held(simulation: Simulation) -> None:
    archive = simulation.archive
    rejected = archive.locate(uid(1))
    for number, code in ((1, "113039"), (2, "113037")):
        uids = uid(1, 9), uid(1, 9, number)
        header = archive.header(rejected[0])
        _, data = note(header, rejected, code, "old", datetime(2026, 1, 2, tzinfo=UTC), uids)
        archive.store([data], SCANNER)
    expired, unsafe = archive.locate(uid(1), uid(1, 9))
    with pytest.raises(EditConflict, match="storage commitment"):
        archive.reject_by(expired, frozenset({"113039"}))
    assert archive.reject_by(unsafe, frozenset({"113037"})) is not None


# Rules of retention


@pytest.fixture
def ruled() -> Iterator[Archive]:
    """A study of this year, one of long ago, one without a date, and one of another modality."""
    options = replace(SMALL, retention=RULES)
    with simulated(options=options) as made:
        made.store(part10(1, 1, 1))
        made.store(part10(2, 1, 1, replaced={0x00080020: b"20000101"}))
        made.store(part10(3, 1, 1, replaced={0x00080020: None}))
        made.store(part10(4, 1, 1, replaced={0x00080060: b"MR"}))
        yield made.archive


@pytest.mark.parametrize("study", [1, 3])
def test_n15_what_a_rule_keeps_is_deleted_only_by_force(ruled: Archive, study: int) -> None:
    with pytest.raises(EditConflict, match="under the rule of retention 'keep modality=CT'"):
        ruled.delete(uid(study), uid(study, 1), uid(study, 1, 1))
    ruled.delete(uid(study), who="Ada", why="a phantom", force=True)
    assert ruled.edits()[0].why == (
        "a phantom [by force: the study is under the rule of retention 'keep modality=CT']"
    )


@pytest.mark.parametrize("study", [2, 4])
def test_what_no_rule_keeps_is_deleted(ruled: Archive, study: int) -> None:
    ruled.delete(uid(study))
    assert uid(study, 1, 1) not in visible(ruled)


def test_an_edit_that_takes_nothing_away_is_no_concern_of_rules(ruled: Archive) -> None:
    edit(ruled, "modify", changes={"PatientName": "Doe^John"})
    rejected = edit(ruled, "reject", code="113037")
    ruled.revert_edit(rejected.row.number, who="Ada", why="no", origin=SCANNER)
    assert uid(1, 1, 1) in visible(ruled)
