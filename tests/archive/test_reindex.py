"""An index made anew from the folder equals the old one, table by table and row by row (N12).

What is compared is each row of each table of the file itself, row ids and numbers of the feed included. Two
things are left out: the epoch, which names this very index for those who follow its feed, and the numbers that
conflicts have in their list, where one is taken out and put in again when a version is let go. Where the journal of what was
received is lost, order and times are those of the files; then the canonical dump tells what stays equal.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_struct

from gantry.archive.archive import Archive
from gantry.archive.edits.model import EditKind, EditRefused, EditRequest, Patient, Target
from gantry.archive.let_go import Superseded
from gantry.archive.outcome import NewVersion
from gantry.errors import NotFound
from stored_objects import SCANNER, SMALL, WITHOUT_LOG, Simulation, key_of, part10, simulated, uid

Tables = dict[str, list[tuple[Any, ...]]]


def tables(file: Path) -> Tables:
    """All that an index holds but its epoch, and the numbers of conflicts."""
    with closing(sqlite3.connect(file)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in sorted(names)}
    found["meta"] = [row for row in found["meta"] if row[0] != "epoch"]
    found["conflicts"] = [row[1:] for row in found["conflicts"]]
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def assert_reindex_changes_nothing(archive: Archive, file: Path) -> Tables:
    archive.settle()
    before = tables(file)
    assert archive.reindex().skipped == ()
    after = tables(file)
    for name, rows in before.items():
        assert after[name] == rows, name
    assert archive.verify().is_clean
    return before


class History:
    """Random things happen to a few instances, so that they happen to each other."""

    def __init__(self, simulation: Simulation, dice: random.Random) -> None:
        self.simulation = simulation
        self.dice = dice
        self.done: dict[str, int] = {}

    def happen(self) -> None:
        """One thing; what cannot be is passed over."""
        kinds = (self.store, self.delete, self.restore, self.restore_version, self.smaller, self.bring_back)
        edits = (self.edit, self.revert)
        kind = self.dice.choices((*kinds, self.again, *edits), (10, 4, 4, 2, 3, 1, 1, 5, 2))[0]
        with suppress(NotFound, EditRefused):
            kind()
            self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1

    def where(self) -> tuple[int, int, int]:
        return self.dice.randint(1, 3), self.dice.randint(1, 2), self.dice.randint(1, 3)

    def store(self) -> None:
        """New, the same again, other bytes, other attributes, another patient, another study or series."""
        study, series, instance = self.where()
        data = part10(
            study,
            series,
            instance,
            patient=self.dice.choice((f"P{study}", f"P{study}", "other", "")),
            name=self.dice.choice(("Doe^Jane", "M\xfcller^J\xf6rg", "", "Doe^Jane=\xb4\xb4=x")),
            comment=self.dice.choice(("", "a", "b")),
            pixels=bytes(self.dice.choice((0, 6, 6, 6, 1_100_000))),
            replaced=self.dice.choice(
                (
                    {},
                    {},
                    {0x00080020: b"20250101"},  # Study Date
                    {0x00081030: b"CHEST\\CT"},  # Study Description
                    {0x00080050: b"A 17"},  # Accession Number
                    {0x00200011: b"7 "},  # Series Number
                    {0x00080060: b"MR"},  # Modality
                    {0x00200013: b"99"},  # Instance Number
                    # Its SOP Instance UID is also in another series, its series in another study
                    {0x00080018: (uid(1, 1, 1) + "\0").encode()[: (len(uid(1, 1, 1)) + 1) // 2 * 2]},
                    {0x0020000E: (uid(1, 1) + "\0").encode()[: (len(uid(1, 1)) + 1) // 2 * 2]},
                )
            ),
        )
        self.simulation.store(data)

    def delete(self) -> None:
        study, series, instance = self.where()
        below = self.dice.choice(
            ((), (uid(study, series),), (uid(study, series), uid(study, series, instance)))
        )
        self.simulation.archive.delete(uid(study), *below, origin=SCANNER)

    def restore(self) -> None:
        self.simulation.archive.restore(uid(self.dice.randint(1, 3)), origin=SCANNER)

    def restore_version(self) -> None:
        key = key_of(*self.where())
        last = len(self.simulation.archive.versions(key))
        self.simulation.archive.restore_version(key, self.dice.randint(1, max(1, last)))

    def smaller(self) -> None:
        """Another form becomes current, and the one before is mostly let go."""
        archive, (study, series, instance) = self.simulation.archive, self.where()
        key = key_of(study, series, instance)
        found = archive.locate(*key)
        if not found or found[0].pixel is None or archive.versions(key)[-1].location is None:
            raise NotFound("nothing with pixels")
        form = part10(study, series, instance, comment=f"form {self.dice.randint(1, 9)}", pixels=bytes(6))
        outcome = archive.replace(found[0], [form], SCANNER)
        if isinstance(outcome, NewVersion) and self.dice.random() < 0.7:
            archive.let_go([Superseded(key, found[0].number, outcome.number)], "a rule", SCANNER)

    def bring_back(self) -> None:
        archive, key = self.simulation.archive, key_of(*self.where())
        for row in archive.versions(key):
            if row.location is not None and row.location.made_from:
                entry = archive.let_go_entry(row)
                pixels = bytes(row.location.file_size - len(entry.head) - len(entry.tail))
                archive.bring_back(key, row.number, entry.head + pixels + entry.tail)
                return
        raise NotFound("nothing was let go")

    def edit(self) -> None:
        """Attributes of each level, UIDs, patients; hidden with a note, and shown again."""
        study, series, instance = self.where()
        whole = Target(study=uid(study))
        some = Target(study=uid(study), series=(uid(study, series),))
        one = replace_struct(some, instances=(uid(study, series, instance),))
        kind, target, more = self.dice.choice(
            (
                ("modify", whole, {"changes": {"PatientName": self.dice.choice(("Roe^R", "山田^太郎"))}}),
                ("modify", some, {"changes": {"SeriesDescription": f"{self.dice.random()}"[:16]}}),
                ("modify", one, {"changes": {"ImageComments": "edited"}}),
                ("split", some, {"into": Target(study=uid(self.dice.randint(4, 6)))}),
                ("merge-studies", Target(study=uid(self.dice.randint(4, 6))), {"into": whole}),
                ("move", whole, {"into": Target(patient=Patient(f"P{series}"))}),
                ("merge", Target(patient=Patient("other")), {"into": Target(patient=Patient("P1"))}),
                ("identifiers", whole, {"changes": {"AccessionNumber": f"A{instance}"}}),
                ("reject", one, {"code": "113001"}),
                ("delete", some, {}),
                ("restore", whole, {}),
            )
        )
        request = EditRequest(EditKind(kind), target, "a test", "Ada", **more)
        self.simulation.archive.edit(request, SCANNER)

    def revert(self) -> None:
        newest = self.simulation.archive.edits(limit=4)
        if not newest:
            raise NotFound("nothing was edited")
        number = self.dice.choice(newest).number
        force = self.dice.random() < 0.3
        self.simulation.archive.revert_edit(number, who="Bo", why="no", origin=SCANNER, force=force)

    def again(self) -> None:
        """The process ends, in order or at once, and starts again; the clock may be set back meanwhile."""
        self.simulation.archive.settle()
        self.dice.choice((self.simulation.restart, self.simulation.kill))()
        self.simulation.clock.jump(self.dice.choice((0, 60, -3600)))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["newest", "first", "reject"])
@pytest.mark.parametrize("seed", range(3))
def test_n12_a_rebuilt_index_is_the_same_to_the_row_id(seed: int, policy: str) -> None:
    dice = random.Random(f"{seed} {policy}")
    options = replace(SMALL if seed % 3 else WITHOUT_LOG, same_uid=policy)
    with simulated(seed, options=options) as simulation:
        history = History(simulation, dice)
        for _ in range(4):
            for _ in range(30):
                history.happen()
            before = assert_reindex_changes_nothing(simulation.archive, simulation.folder / "index.sqlite")
        # An index that was lost, and not only told to be made anew
        simulation.restart()
        for file in simulation.folder.glob("index*"):
            file.unlink()
        simulation.archive.stats()
        assert tables(simulation.folder / "index.sqlite") == before
        assert len(before["versions"]) > 40
        assert {"store", "delete", "again", "edit"} <= set(history.done)
        assert {"restore", "revert"} & set(history.done)
        assert len(before["edits"]) > 3
        if policy == "newest":
            assert before["conflicts"]


def told(do: Callable[[Archive], object], archive: Archive, file: Path) -> None:
    do(archive)
    assert_reindex_changes_nothing(archive, file)


def edited(kind: str, target: Target, **more: Any) -> Callable[[Archive], object]:
    return lambda a: a.edit(EditRequest(EditKind(kind), target, "a test", "Ada", **more), SCANNER)


def test_n12_after_each_kind_of_thing_in_a_real_folder(tmp_path: Path) -> None:
    """One after the other on a real disk, with objects that are kept where they lie among them."""
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(part10(7, 1, 1, patient="far", pixels=b"abcd"))
    file = tmp_path / "data" / "index.sqlite"
    with Archive.open(tmp_path / "data", SMALL) as archive:

        def store(*args: int, **more: Any) -> Callable[[Archive], object]:
            return lambda a: a.store([part10(*args, **more)], SCANNER)

        def smaller(a: Archive) -> None:
            (location,) = a.locate(sop_uid=uid(1, 1, 2))
            form = a.replace(location, [part10(1, 1, 2, comment="form", pixels=bytes(6))], SCANNER)
            assert isinstance(form, NewVersion)
            a.let_go([Superseded(key_of(1, 1, 2), 1, form.number)], "a rule", SCANNER)

        for step in (
            store(1, 1, 1, pixels=bytes(6)),
            store(1, 1, 2, pixels=bytes(6)),
            store(1, 1, 1, pixels=bytes(6)),
            store(1, 1, 1, comment="other bytes"),
            store(1, 1, 1, name="Married^Now", patient="P1"),
            store(1, 2, 1, patient="somebody else"),
            store(2, 1, 1, replaced={0x0020000E: (uid(1, 1) + "\0").encode()}),
            lambda a: a.reference(outside, SCANNER),
            smaller,
            lambda a: a.delete(uid(1), uid(1, 1), uid(1, 1, 1), SCANNER),
            lambda a: a.restore(uid(1), origin=SCANNER),
            lambda a: a.restore_version(key_of(1, 1, 1), 2, SCANNER),
            lambda a: a.delete(uid(7)),
            lambda a: a.delete(uid(1), uid(1, 2)),
            store(1, 2, 1, patient="somebody else"),
            store(1, 1, 2, pixels=bytes(6)),
            edited("modify", Target(study=uid(1)), changes={"PatientName": "Edited"}),
            edited("split", Target(study=uid(1), series=(uid(1, 1),)), into=Target(study=uid(9))),
            edited("reject", Target(study=uid(9)), code="113038"),
            lambda a: a.revert_edit(a.edits()[0].number, who="", why="no", origin=SCANNER),
            lambda a: a.revert_edit(a.edits()[2].number, who="", why="no", origin=SCANNER),
            lambda a: a.restore(uid(7)),
            edited("modify", Target(study=uid(7)), changes={"StudyDescription": "of a file elsewhere"}),
        ):
            told(step, archive, file)
        assert {row[0] for row in tables(file)["conflicts"]} >= {"version", "patient", "series"}


def test_n12_without_the_journal_all_but_order_time_and_origin_is_the_same() -> None:
    with simulated() as simulation:
        for study in (1, 2):
            for instance in (1, 2, 3):
                simulation.store(part10(study, 1, instance, patient=f"P{study}", pixels=bytes(6)))
        simulation.store(part10(1, 1, 1, comment="again"))
        simulation.archive.delete(uid(2), uid(2, 1), uid(2, 1, 1))
        edited("modify", Target(study=uid(1)), changes={"PatientName": "Edited"})(simulation.archive)
        edited("split", Target(study=uid(1), series=(uid(1, 1),)), into=Target(study=uid(9)))(
            simulation.archive
        )
        edited("delete", Target(study=uid(2)))(simulation.archive)
        simulation.archive.settle()
        before = list(simulation.archive.index.canonical_dump())
        simulation.restart()
        for name in simulation.disk.file_names():
            if name.startswith("received/"):
                simulation.disk.unlink(name)
        for file in simulation.folder.glob("index*"):
            file.unlink()
        after = list(simulation.archive.index.canonical_dump())
        assert [without_receipt(row) for row in after] == [without_receipt(row) for row in before]
        assert simulation.archive.verify().is_clean


def without_receipt(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what only the journal tells, and what follows from the order of receipt."""
    receipt = {"at", "source_aet", "peer", "via", "rep_received", "first_seen", "last_seen"}
    chosen_by_time = {"rep_path", "rep_sop_uid", "rep_series_uid"}
    return {name: value for name, value in row.items() if name not in receipt | chosen_by_time}
