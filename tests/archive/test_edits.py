"""Edits: new versions with other attributes, all or none, kept in a history and undone by another edit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dataset_bytes import encapsulated, explicit, item
from gantry.archive.acts import ActEntry, ActKind
from gantry.archive.archive import Archive
from gantry.archive.edits.model import EditKind, EditRefused, EditRequest, Patient, Target
from gantry.archive.edits.rejection import CODES, KEY_OBJECT_SELECTION, rejected_by, rejection_of
from gantry.archive.index import EditFilter
from gantry.archive.outcome import NewVersion, Unchanged
from gantry.archive.records import InstanceKey, Location, Origin
from gantry.dataset.deflate import deflate
from gantry.dataset.json_model import to_json_model
from gantry.dataset.part10 import encode_file_meta, read_part10
from gantry.dataset.reencode import reencode
from gantry.dataset.scan import DataSet
from gantry.errors import Corrupt, DataSetError, NotFound
from gantry.standard import transfer_syntaxes as ts
from gantry.standard.transfer_syntaxes import transfer_syntax
from stored_objects import CT_IMAGE, SCANNER, Simulation, key_of, part10, simulated, uid

PIXELS = bytes(range(200)) * 20


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """A study of two series with two objects each, of patient P1, and one of P2."""
    with simulated() as simulation:
        for series in (1, 2):
            for instance in (1, 2):
                simulation.store(part10(1, series, instance, pixels=PIXELS))
        simulation.store(part10(2, 1, 1, patient="P2", name="Roe^Richard"))
        yield simulation


def asked(kind: str, target: Target, changes: dict[str, Any] | None = None, **more: Any) -> EditRequest:
    """A request with a reason."""
    return EditRequest(EditKind(kind), target, "a wrong label", "Ada", changes or {}, **more)


STUDY = Target(study=uid(1))


def dataset(archive: Archive, key: InstanceKey) -> DataSet:
    """The current Data Set of an instance."""
    return read_part10(archive.read(one(archive, key), check=True))[1]


def one(archive: Archive, key: InstanceKey) -> Location:
    (location,) = archive.locate(*key)
    return location


def keys(archive: Archive, study: int = 1) -> list[InstanceKey]:
    return [location.key for location in archive.locate(uid(study))]


# --- modify --------------------------------------------------------------------------------------


def test_a_modified_study_says_it_in_all_its_objects_and_keeps_every_earlier_version(
    simulation: Simulation,
) -> None:
    archive = simulation.archive
    before = {key: archive.read(one(archive, key)) for key in keys(archive)}
    done = archive.edit(asked("modify", STUDY, {"StudyDescription": "Thorax"}), SCANNER)
    assert (done.row.kind, done.row.who, done.row.why, done.row.objects) == (
        "modify", "Ada", "a wrong label", 4,
    )  # fmt: skip
    for key, data in before.items():
        assert dataset(archive, key).text(0x00081030) == "Thorax"
        (first,) = archive.locate(*key, version=1)
        assert archive.read(first, check=True) == data
        assert [row.edit for row in archive.versions(key)] == [0, done.row.number]
    assert archive.conflicts() == []
    assert archive.verify().is_clean


def test_everything_else_of_an_edited_object_stays_bit_for_bit(simulation: Simulation) -> None:
    archive, key = simulation.archive, key_of()
    before = archive.read(one(archive, key))
    archive.edit(asked("modify", Target(study=uid(1)), {"PatientName": "Doe^John"}), SCANNER)
    after = archive.read(one(archive, key))
    old, new = read_part10(before)[1], read_part10(after)[1]
    assert before[: one(archive, key).dataset_offset] == after[: one(archive, key).dataset_offset]
    assert set(new.elements) - set(old.elements) == {0x04000561}
    for tag in old.elements:
        assert (old.raw(tag) == new.raw(tag)) is (tag != 0x00100010)
    # The bytes around are one piece each: nothing is written anew that is not changed
    name = explicit(0x00100010, "PN", b"Doe^Jane")
    note = after[after.index(b"\x00\x04\x61\x05") : after.index(b"\xe0\x7f\x10\x00")]
    assert after.replace(note, b"").replace(explicit(0x00100010, "PN", b"Doe^John"), name) == before


def test_what_was_before_stands_in_the_original_attributes_sequence(simulation: Simulation) -> None:
    archive = simulation.archive
    archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John", "PatientSex": "M"}), SCANNER)
    archive.edit(asked("modify", STUDY, {"PatientName": "Doe^Jim"}), SCANNER)
    first, second = dataset(archive, key_of()).sequence(0x04000561)
    (was,) = first.sequence(0x04000550)
    assert to_json_model(was) == {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]},
        "00100040": {"vr": "CS"},
    }
    assert (first.text(0x04000565), first.text(0x04000564), first.text(0x04000563)) == (
        "CORRECT", "SCANNER", "Gantry",
    )  # fmt: skip
    assert second.sequence(0x04000550)[0].text(0x00100010) == "Doe^John"
    at = archive.edits()[0].at
    assert abs(float(second.text(0x04000562)[:14]) - float(f"{at:%Y%m%d%H%M%S}")) <= 1  # type: ignore[index]


@pytest.mark.parametrize(
    ("target", "changes", "why"),
    [
        (STUDY, {"SeriesDescription": "x"}, "belongs to the series"),
        (STUDY, {"InstanceNumber": "1"}, "belongs to the instance"),
        (Target(study=uid(1), series=(uid(1, 1),)), {"PatientName": "x"}, "belongs to the patient"),
        (Target(patient=Patient("P1")), {"StudyDescription": "x"}, "belongs to the study"),
        (STUDY, {"PatientID": "x"}, "verb of its own"),
        (STUDY, {"AccessionNumber": "x"}, "verb of its own"),
        (STUDY, {"StudyInstanceUID": "1.2"}, "verb of its own"),
        (Target(study=uid(1), series=(uid(1, 1),)), {"FrameOfReferenceUID": "1.2"}, "is a UID"),
        (STUDY, {"00020010": "1.2"}, "File Meta Information"),
        (STUDY, {"PixelData": "x"}, "pixel data"),
        (STUDY, {"Rows": 1}, "how it is read"),
        (STUDY, {"60003000": "x"}, "pixel data"),
        (STUDY, {"00091001": "x"}, "private"),
        (STUDY, {"SpecificCharacterSet": "ISO_IR 100"}, "follows from"),
        (STUDY, {"OriginalAttributesSequence": []}, "follows from"),
        (STUDY, {"NoSuchThing": "x"}, "neither keyword nor tag"),
        (STUDY, {"StudyDate": "20261301"}, "no value of VR DA"),
        (STUDY, {"StudyDate": "yesterday"}, "no value of VR DA"),
        (STUDY, {"PatientSex": "female"}, "no value of VR CS"),
        (STUDY, {"StudyDescription": "x" * 65}, "no value of VR LO"),
        (STUDY, {"StudyDescription": "a\\b"}, "backslash"),
        (STUDY, {"StudyDescription": "a\x1b[0m"}, "control character"),
        (STUDY, {"StudyDescription": ["a", "b"]}, "has one value"),
        (STUDY, {"PatientName": 7}, "a person name"),
        (STUDY, {"StudyDescription": {"vr": "SH", "Value": ["a"]}}, "has VR LO"),
        (STUDY, {}, "say which attributes"),
        (Target(), {"StudyDescription": "x"}, "name what is to be edited"),
        (Target(study=uid(1), instances=(uid(1, 1, 1),)), {"ImageComments": "x"}, "with their series"),
    ],
)
def test_what_an_edit_may_not_change_is_refused_and_says_why(
    simulation: Simulation, target: Target, changes: dict[str, Any], why: str
) -> None:
    archive = simulation.archive
    before = list(archive.index.canonical_dump())
    with pytest.raises((EditRefused, DataSetError), match=why):
        archive.edit(asked("modify", target, changes), SCANNER)
    assert list(archive.index.canonical_dump()) == before
    assert simulation.disk.file_names() == [n for n in simulation.disk.file_names() if "incoming/" not in n]


def test_an_edit_says_why(simulation: Simulation) -> None:
    with pytest.raises(EditRefused, match="say why"):
        simulation.archive.edit(
            EditRequest(EditKind.MODIFY, STUDY, "  ", changes={"StudyDescription": "x"}), SCANNER
        )


def test_an_edit_that_changes_nothing_is_refused(simulation: Simulation) -> None:
    with pytest.raises(EditRefused, match="nothing would change"):
        simulation.archive.edit(asked("modify", STUDY, {"PatientName": "Doe^Jane"}), SCANNER)
    with pytest.raises(NotFound, match="nothing visible"):
        simulation.archive.edit(asked("modify", Target(study="1.2.3"), {"PatientName": "x"}), SCANNER)
    with pytest.raises(NotFound, match="no series"):
        simulation.archive.edit(asked("delete", Target(study=uid(1), series=(uid(1, 1), uid(9)))), SCANNER)


def test_a_preview_says_what_would_change_and_changes_nothing(simulation: Simulation) -> None:
    archive = simulation.archive
    before, files = list(archive.index.canonical_dump()), simulation.disk.file_names()
    request = asked("modify", STUDY, {"PatientName": "Doe^John", "PatientSex": "F"})
    preview = archive.preview_edit(request)
    assert [(one.before, one.after) for one in preview.concerned] == [(key, key) for key in keys(archive)]
    assert [(c.tag, c.before, c.after) for c in preview.concerned[0].changes] == [
        (0x00100010, "Doe^Jane", "Doe^John"),
        (0x00100040, "", "F"),
    ]
    assert list(archive.index.canonical_dump()) == before
    assert simulation.disk.file_names() == files
    done = archive.edit(request, SCANNER)
    assert [entry.changes for entry in done.act.entries] == [one.changes for one in preview.concerned]


def test_series_and_instances_are_edited_alone(simulation: Simulation) -> None:
    archive = simulation.archive
    archive.edit(
        asked("modify", Target(study=uid(1), series=(uid(1, 2),)), {"SeriesDescription": "Lung"}), SCANNER
    )
    archive.edit(
        asked(
            "modify",
            Target(study=uid(1), series=(uid(1, 1),), instances=(uid(1, 1, 2),)),
            {"ImageComments": "moved"},
        ),
        SCANNER,
    )
    said = {key: dataset(archive, key) for key in keys(archive)}
    assert [ds.text(0x0008103E) for ds in said.values()] == [None, None, "Lung", "Lung"]
    assert [ds.text(0x00204000) for ds in said.values()] == [None, "moved", None, None]
    assert [len(archive.versions(key)) for key in said] == [1, 2, 2, 2]


# --- characters, syntaxes, lengths ---------------------------------------------------------------


def in_charset(term: bytes, **more: Any) -> bytes:
    """An object that names its character set."""
    first = explicit(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
    data = part10(**more)
    assert first in data
    return data.replace(first, explicit(0x00080005, "CS", term) + first)


def test_a_value_that_the_character_set_does_not_hold_brings_the_whole_object_to_utf_8() -> None:
    with simulated() as simulation:
        code = item(explicit(0x00080104, "LO", "Schädel ".encode("latin-1")))
        data = in_charset(
            b"ISO_IR 100", name="Müller^Jörg", replaced={0x00321060: "Kopf, schräg".encode("latin-1")}
        )
        simulation.store(data + explicit(0x7FE10010, "LO", b"X ") + explicit(0xFFFCFFFC, "OB", code))
        archive = simulation.archive
        done = archive.edit(asked("modify", STUDY, {"ReferringPhysicianName": "山田^太郎"}), SCANNER)
        ds = dataset(archive, key_of())
        assert ds.charset == ("ISO_IR 192",)
        assert (ds.text(0x00100010), ds.text(0x00321060)) == ("Müller^Jörg", "Kopf, schräg")
        assert ds.text(0x00080090) == "山田^太郎"
        assert ds.raw(0xFFFCFFFC) == code
        told = [(c.tag, c.before, c.after) for c in done.act.entries[0].changes]
        assert (0x00080005, "ISO_IR 100", "ISO_IR 192") in told


def test_a_value_that_the_character_set_holds_is_written_in_it() -> None:
    with simulated() as simulation:
        simulation.store(in_charset(b"GB18030 ", name="Wang", replaced={0x00081030: b"\xff\xfe"}))
        archive = simulation.archive
        archive.edit(asked("modify", STUDY, {"PatientName": "王^小东"}), SCANNER)
        ds = dataset(archive, key_of())
        assert (ds.charset, ds.text(0x00100010)) == (("GB18030",), "王^小东")
        assert ds.raw(0x00081030) == b"\xff\xfe"


def test_text_that_nobody_can_read_is_not_guessed_at() -> None:
    with simulated() as simulation:
        simulation.store(in_charset(b"\\ISO 2022 IR 149 ", replaced={0x00081030: b"\x1b$)C\xff\xff"}))
        with pytest.raises(DataSetError, match=r"does not explain.*0008,1030"):
            simulation.archive.edit(asked("modify", STUDY, {"PatientName": "王^小东"}), SCANNER)


def test_an_object_is_edited_in_each_transfer_syntax(simulation: Simulation) -> None:
    """Implicit, big endian, deflated, encapsulated: the pixels are copied and never decoded."""
    archive = simulation.archive
    native = read_part10(part10(5, 1, 1, pixels=PIXELS))[1]
    fragments = encapsulated(b"", b"no codec", b"reads this")
    for instance, syntax in enumerate((ts.IMPLICIT_VR_LITTLE_ENDIAN, ts.EXPLICIT_VR_BIG_ENDIAN), 1):
        meta = meta_of(instance, syntax)
        body = reencode(read_part10(part10(5, 1, instance, pixels=PIXELS))[1], transfer_syntax(syntax))
        simulation.store(meta + b"".join(map(bytes, body)))
    plain = part10(5, 1, 3, pixels=PIXELS)
    offset = read_part10(plain)[0].dataset_offset
    simulation.store(meta_of(3, ts.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN) + b"".join(deflate([plain[offset:]])))
    bare = part10(5, 1, 4)
    simulation.store(meta_of(4, ts.JPEG_BASELINE_8_BIT) + bare[offset:] + fragments)
    pixels = {
        location.key: dataset(archive, location.key).raw(0x7FE00010) for location in archive.locate(uid(5))
    }
    archive.edit(
        asked("modify", Target(study=uid(5)), {"StudyDescription": "x", "PatientSize": "1.75"}), SCANNER
    )
    for location in archive.locate(uid(5)):
        ds = dataset(archive, location.key)
        assert (ds.text(0x00081030), ds.floats(0x00101020)) == ("x", [1.75])
        assert ds.raw(0x7FE00010) == pixels[location.key]
        assert location.number == 2
    assert len({location.transfer_syntax_uid for location in archive.locate(uid(5))}) == 4
    assert native.raw(0x7FE00010) == PIXELS
    assert archive.verify().is_clean


def meta_of(instance: int, syntax: str) -> bytes:
    return encode_file_meta(
        sop_class_uid=CT_IMAGE, sop_instance_uid=uid(5, 1, instance), transfer_syntax_uid=syntax
    )


# --- patients and studies ------------------------------------------------------------------------


def patients(archive: Archive) -> dict[str, str]:
    """The Patient ID of each visible instance."""
    found = {location.key: dataset(archive, location.key) for location in archive.locate()}
    return {key.sop_uid: ds.text(0x00100020) or "" for key, ds in found.items()}


def test_a_merged_patient_is_the_other_one_until_it_is_unmerged(simulation: Simulation) -> None:
    archive = simulation.archive
    visible = contents(archive)
    done = archive.edit(
        asked("merge", Target(patient=Patient("P1")), into=Target(patient=Patient("P2"))), SCANNER
    )
    assert set(patients(archive).values()) == {"P2"}
    assert archive.stats().patients == 1
    assert dataset(archive, key_of()).text(0x00100010) == "Roe^Richard"
    (note,) = dataset(archive, key_of()).sequence(0x04000561)
    assert note.text(0x04000565) == "COERCE"
    assert archive.conflicts() == []
    undone = archive.revert_edit(done.row.number, who="Ada", why="two people after all", origin=SCANNER)
    assert (undone.row.kind, undone.row.reverts) == ("unmerge", done.row.number)
    assert contents(archive) == visible
    assert archive.stats().patients == 2
    assert archive.edits()[1].reverted_by == undone.row.number
    for patient in ("P1", "P2"):
        found = archive.edits(EditFilter(patient_id=patient))
        assert [row.number for row in found] == [undone.row.number, done.row.number]


def test_only_objects_of_the_patient_itself_are_merged(simulation: Simulation) -> None:
    """One study under two patients, and a patient whose ID looks like a wild card for the others."""
    archive = simulation.archive
    simulation.store(part10(1, 1, 9, patient="P*"))
    archive.edit(asked("merge", Target(patient=Patient("P*")), into=Target(patient=Patient("P2"))), SCANNER)
    assert sorted(patients(archive).values()) == ["P1", "P1", "P1", "P1", "P2", "P2"]
    with pytest.raises(NotFound, match="nothing visible"):
        archive.edit(asked("merge", Target(patient=Patient("P1", "X")), into=Target(patient=Patient("P2"))))
    with pytest.raises(NotFound, match="no such patient"):
        archive.edit(asked("merge", Target(patient=Patient("P1")), into=Target(patient=Patient("P9"))))
    with pytest.raises(EditRefused, match="into itself"):
        archive.edit(asked("merge", Target(patient=Patient("P1")), into=Target(patient=Patient("P1"))))


def test_a_study_is_moved_to_a_patient_who_is_known_or_new(simulation: Simulation) -> None:
    archive = simulation.archive
    archive.edit(asked("move", STUDY, into=Target(patient=Patient("P2"))), SCANNER)
    assert set(patients(archive).values()) == {"P2"}
    with pytest.raises(EditRefused, match="say its PatientName"):
        archive.edit(asked("move", STUDY, into=Target(patient=Patient("P3", "HOSPITAL"))), SCANNER)
    archive.edit(
        asked("move", STUDY, {"PatientName": "New^One"}, into=Target(patient=Patient("P3", "HOSPITAL"))),
        SCANNER,
    )
    ds = dataset(archive, key_of())
    assert [ds.text(tag) for tag in (0x00100010, 0x00100020, 0x00100021)] == ["New^One", "P3", "HOSPITAL"]
    with pytest.raises(EditRefused, match="is known"):
        archive.edit(
            asked("move", STUDY, {"PatientName": "Other"}, into=Target(patient=Patient("P3", "HOSPITAL"))),
            SCANNER,
        )


def test_series_are_split_off_into_a_study_of_their_own_and_back(simulation: Simulation) -> None:
    archive = simulation.archive
    visible = contents(archive)
    done = archive.edit(
        asked(
            "split",
            Target(study=uid(1), series=(uid(1, 2),)),
            {"AccessionNumber": "A2"},
            into=Target(study=uid(7)),
        ),
        SCANNER,
    )
    assert {key.series_uid for key in keys(archive)} == {uid(1, 1)}
    assert keys(archive, 7) == [InstanceKey(uid(7), uid(1, 2), uid(1, 2, n)) for n in (1, 2)]
    ds = dataset(archive, keys(archive, 7)[0])
    assert (ds.text(0x0020000D), ds.text(0x00080050), ds.text(0x00100020)) == (uid(7), "A2", "P1")
    assert archive.conflicts() == []
    for study in (1, 7):
        assert [row.number for row in archive.edits(EditFilter(study_uid=uid(study)))] == [done.row.number]
    assert archive.edits(EditFilter(study_uid=uid(1), series_uid=uid(1, 1))) == []
    archive.revert_edit(done.row.number, who="", why="no", origin=SCANNER)
    assert contents(archive) == visible
    assert archive.verify().is_clean


def test_a_study_merged_into_another_takes_its_place_in_it(simulation: Simulation) -> None:
    archive = simulation.archive
    visible = contents(archive)
    done = archive.edit(asked("merge-studies", Target(study=uid(2)), into=STUDY), SCANNER)
    assert keys(archive, 2) == []
    assert len(keys(archive)) == 5
    moved = dataset(archive, InstanceKey(uid(1), uid(2, 1), uid(2, 1, 1)))
    assert (moved.text(0x00100020), moved.text(0x0020000D)) == ("P1", uid(1))
    archive.revert_edit(done.row.number, who="", why="no", origin=SCANNER)
    assert contents(archive) == visible


def test_identifiers_are_changed_and_references_follow(simulation: Simulation) -> None:
    archive = simulation.archive
    reference = explicit(0x0020000D, "UI", uid(1).encode() + b"\0" * (len(uid(1)) % 2))
    evidence = explicit(0x0040A375, "SQ", item(reference))
    data = part10(1, 3, 1)
    simulation.store(data + evidence)
    new = uid(77)
    archive.edit(
        asked(
            "identifiers",
            STUDY,
            {"StudyInstanceUID": new, "AccessionNumber": "A1", "PatientID": "P7", "IssuerOfPatientID": "H"},
        ),
        SCANNER,
    )
    assert keys(archive) == []
    ds = dataset(archive, InstanceKey(new, uid(1, 3), uid(1, 3, 1)))
    assert [ds.text(tag) for tag in (0x0020000D, 0x00080050, 0x00100020, 0x00100021)] == [
        new,
        "A1",
        "P7",
        "H",
    ]
    assert ds.sequence(0x0040A375)[0].text(0x0020000D) == new
    with pytest.raises(EditRefused, match="already"):
        archive.edit(asked("identifiers", Target(study=uid(2)), {"StudyInstanceUID": new}), SCANNER)
    archive.edit(asked("identifiers", Target(patient=Patient("P7", "H")), {"PatientID": "P8"}), SCANNER)
    assert sorted(set(patients(archive).values())) == ["P2", "P8"]


def test_who_sends_an_object_as_it_was_before_an_edit_does_not_undo_it(simulation: Simulation) -> None:
    archive = simulation.archive
    archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John"}), SCANNER)
    again = simulation.store(part10(1, 1, 1, pixels=PIXELS))
    assert isinstance(again, Unchanged)
    assert again.number == 1
    assert dataset(archive, key_of()).text(0x00100010) == "Doe^John"
    archive.edit(
        asked("split", Target(study=uid(1), series=(uid(1, 2),)), into=Target(study=uid(7))), SCANNER
    )
    assert isinstance(simulation.store(part10(1, 2, 1, pixels=PIXELS)), Unchanged)
    assert len(keys(archive)) == 2
    # Something else is another matter: it is a contradiction, and current
    assert isinstance(simulation.store(part10(1, 1, 1, comment="other", pixels=PIXELS)), NewVersion)
    assert [conflict.parties for conflict in archive.conflicts()] == [("1", "3")]


# --- hide, show, undo ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_rejection_hides_and_leaves_a_note_that_says_what_and_why(
    simulation: Simulation, code: str
) -> None:
    archive = simulation.archive
    visible = contents(archive)
    done = archive.edit(asked("reject", Target(study=uid(1), series=(uid(1, 2),)), code=code), SCANNER)
    (note,) = [one for one in archive.locate(uid(1)) if one.sop_class_uid == KEY_OBJECT_SELECTION]
    with archive.dataset(note) as ds:
        assert rejection_of(ds) == code
        assert list(rejected_by(ds)) == [key_of(1, 2, 1), key_of(1, 2, 2)]
        assert (ds.text(0x00100020), ds.text(0x00080060)) == ("P1", "KO")
        texts = [one.text(0x0040A160) for one in ds.items(0x0040A730)]
        assert texts[0] == "a wrong label"
    assert {key.series_uid for key in keys(archive)} == {uid(1, 1), note.key.series_uid}
    assert isinstance(simulation.store(part10(1, 2, 1, pixels=PIXELS)), Unchanged)
    assert uid(1, 2) not in {key.series_uid for key in keys(archive)}
    with pytest.raises(EditRefused, match=rf"edit {done.row.number}"):
        archive.restore(uid(1))
    archive.revert_edit(done.row.number, who="", why="all well", origin=SCANNER)
    assert contents(archive) == visible


def test_a_rejection_needs_a_code_that_is_one(simulation: Simulation) -> None:
    with pytest.raises(EditRefused, match="113001"):
        simulation.archive.edit(asked("reject", STUDY, code="113000"), SCANNER)


def test_what_was_deleted_is_restored_and_both_stand_in_the_history(simulation: Simulation) -> None:
    archive = simulation.archive
    visible = contents(archive)
    archive.edit(asked("delete", STUDY), SCANNER)
    assert keys(archive) == []
    assert [len(p.concerned) for p in [archive.preview_edit(asked("restore", STUDY))]] == [4]
    archive.edit(asked("restore", Target(study=uid(1), series=(uid(1, 1),))), SCANNER)
    assert len(keys(archive)) == 2
    archive.restore(uid(1))
    assert contents(archive) == visible
    assert [row.kind for row in archive.edits(EditFilter(study_uid=uid(1)))] == ["restore"] * 2 + ["delete"]
    assert [row.objects for row in archive.edits()] == [2, 2, 4]


def test_what_was_deleted_is_shown_again_when_it_is_sent_again_and_what_was_moved_is_not(
    simulation: Simulation,
) -> None:
    archive = simulation.archive
    deleted = archive.edit(asked("delete", Target(study=uid(1), series=(uid(1, 1),))), SCANNER).row.number
    again = simulation.store(part10(1, 1, 1, pixels=PIXELS))
    assert isinstance(again, Unchanged)
    assert again.restored
    assert {key.sop_uid for key in keys(archive)} >= {uid(1, 1, 1)}
    with pytest.raises(EditRefused, match="came after"):
        archive.revert_edit(deleted, who="", why="all", origin=SCANNER)
    archive.revert_edit(deleted, who="", why="all", origin=SCANNER, force=True)
    assert len(keys(archive)) == 4
    archive.edit(
        asked("split", Target(study=uid(1), series=(uid(1, 1),)), into=Target(study=uid(9))), SCANNER
    )
    again = simulation.store(part10(1, 1, 1, pixels=PIXELS))
    assert isinstance(again, Unchanged)
    assert not again.restored
    assert {key.series_uid for key in keys(archive)} == {uid(1, 2)}


def test_what_an_earlier_release_deleted_without_a_history_is_known_and_restored(
    simulation: Simulation,
) -> None:
    archive = simulation.archive
    visible = contents(archive)
    former = [ActEntry(ActKind.DELETE, key, 2, archive._clock.now(), SCANNER) for key in keys(archive)]
    with archive._committer.alone():
        archive._committer.act(former)
    assert (keys(archive), archive.edits()) == ([], [])
    before = [archive.versions(entry.key) for entry in former]
    archive.reindex()
    assert [archive.versions(entry.key) for entry in former] == before
    again = simulation.store(part10(1, 1, 1, pixels=PIXELS))
    assert isinstance(again, Unchanged)
    assert again.restored
    archive.restore(uid(1), who="Ada", why="still needed")
    assert contents(archive) == visible
    assert [(row.kind, row.who, row.why, row.objects) for row in archive.edits()] == [
        ("restore", "Ada", "still needed", 3)
    ]
    assert archive.verify().is_clean


def test_an_edit_is_undone_and_undoing_it_is_undone(simulation: Simulation) -> None:
    archive = simulation.archive
    first = contents(archive)
    edit = archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John"}), SCANNER).row.number
    second = contents(archive)
    preview = archive.preview_revert(edit)
    assert [(one.before, one.after) for one in preview.concerned] == [
        (key, key) for key in first if key in keys(archive)
    ]
    assert [(c.before, c.after) for c in preview.concerned[0].changes] == [("Doe^John", "Doe^Jane")]
    undo = archive.revert_edit(edit, who="Bo", why="it was right", origin=SCANNER)
    assert contents(archive) == first
    change = undo.act.entries[0].changes[0]
    assert (change.before, change.after) == ("Doe^John", "Doe^Jane")
    with pytest.raises(EditRefused, match=rf"edit {undo.row.number} \(revert.*by Bo\)"):
        archive.revert_edit(edit, who="", why="again", origin=SCANNER)
    archive.revert_edit(undo.row.number, who="Bo", why="no, it was wrong", origin=SCANNER)
    assert contents(archive) == second
    assert [row.reverted_by for row in archive.edits()] == [0, undo.row.number + 1, undo.row.number]


def test_an_edit_is_not_undone_over_what_came_later_unless_forced(simulation: Simulation) -> None:
    archive = simulation.archive
    first = contents(archive)
    edit = archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John"}), SCANNER).row.number
    later = archive.edit(asked("modify", STUDY, {"PatientSex": "F"}), SCANNER).row.number
    with pytest.raises(EditRefused, match=rf"edit {later} \(modify"):
        archive.revert_edit(edit, who="", why="x", origin=SCANNER)
    with pytest.raises(NotFound, match="no edit 99"):
        archive.revert_edit(99, who="", why="x", origin=SCANNER)
    archive.revert_edit(edit, who="", why="x", origin=SCANNER, force=True)
    assert contents(archive) == first
    simulation.store(part10(1, 1, 1, comment="other", pixels=PIXELS))
    with pytest.raises(EditRefused, match="came after edit"):
        archive.revert_edit(edit, who="", why="x", origin=SCANNER)


def test_what_was_edited_and_then_compressed_stays_edited_when_the_original_comes_again(
    simulation: Simulation,
) -> None:
    archive = simulation.archive
    archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John"}), SCANNER)
    form = archive.read(one(archive, key_of())).replace(PIXELS, PIXELS[::-1])  # stands for another form of it
    archive.replace(one(archive, key_of()), [form], Origin(via="compress"))
    again = simulation.store(part10(1, 1, 1, pixels=PIXELS))
    assert isinstance(again, Unchanged)
    assert again.number == 1
    assert archive.read(one(archive, key_of())) == form


def test_damaged_objects_are_hidden_like_others(simulation: Simulation) -> None:
    archive = simulation.archive
    simulation.disk.flip_bit(one(archive, key_of()).path, 4000)
    archive.verify()
    with pytest.raises(Corrupt):
        archive.edit(asked("modify", STUDY, {"PatientName": "x"}), SCANNER)
    done = archive.edit(asked("reject", STUDY, code="113001"), SCANNER)
    assert done.act.head is not None
    assert done.act.head.patients == (("P1", ""),)
    archive.revert_edit(done.row.number, who="", why="x", origin=SCANNER)
    assert len(keys(archive)) == 4


def test_a_sequence_is_set_with_its_items_checked(simulation: Simulation) -> None:
    archive = simulation.archive
    code = {"00080100": {"vr": "SH", "Value": ["C1"]}, "00080104": {"vr": "LO", "Value": ["Schädel"]}}
    archive.edit(asked("modify", STUDY, {"ProcedureCodeSequence": [code]}), SCANNER)
    (item,) = dataset(archive, key_of()).sequence(0x00081032)
    assert (item.text(0x00080100), item.text(0x00080104)) == ("C1", "Schädel")
    assert dataset(archive, key_of()).charset == ("ISO_IR 192",)
    code["00080100"] = {"vr": "SH", "Value": ["x" * 17]}
    with pytest.raises(DataSetError, match=r"VR SH.*0008,0100"):
        archive.edit(asked("modify", STUDY, {"ProcedureCodeSequence": [code]}), SCANNER)
    with pytest.raises(EditRefused, match="has a UID"):
        archive.edit(asked("identifiers", STUDY, {"StudyInstanceUID": ""}), SCANNER)


def test_an_object_that_was_compressed_since_is_undone_all_the_same(simulation: Simulation) -> None:
    """A smaller form is the same object."""
    archive = simulation.archive
    first = contents(archive)
    edit = archive.edit(asked("modify", STUDY, {"PatientName": "Doe^John"}), SCANNER).row.number
    location = one(archive, key_of())
    form = archive.read(location).replace(b"Doe^John", b"Doe^Jo  ")  # stands for another form of it
    archive.replace(location, [form], Origin(via="compress"))
    archive.revert_edit(edit, who="", why="x", origin=SCANNER)
    assert contents(archive) == first


def test_two_edits_at_once_do_not_overwrite_each_other(simulation: Simulation) -> None:
    archive = simulation.archive

    def meanwhile(done: int, _: int) -> None:
        if done == 1:
            simulation.store(part10(1, 1, 1, comment="scanned again", pixels=PIXELS))

    before = len(archive.edits())
    with pytest.raises(EditRefused, match="changed meanwhile"):
        archive.edit(asked("modify", STUDY, {"PatientName": "x"}), SCANNER, meanwhile)
    assert len(archive.edits()) == before
    assert not [name for name in simulation.disk.file_names() if name.startswith("incoming/")]


def test_the_history_is_had_by_pages_and_by_what_it_is_of(simulation: Simulation) -> None:
    archive = simulation.archive
    for n in range(5):
        archive.edit(asked("modify", STUDY, {"StudyDescription": f"take {n}"}), SCANNER)
    archive.edit(asked("modify", Target(study=uid(2)), {"StudyDescription": "x"}), SCANNER)
    newest = archive.edits(limit=2)
    assert [row.number for row in newest] == [6, 5]
    assert [row.number for row in archive.edits(before=5, limit=2)] == [4, 3]
    assert [row.number for row in archive.edits(EditFilter(patient_id="P2"))] == [6]
    assert archive.edits(EditFilter(patient_id="P2", issuer="H")) == []
    key = key_of(1, 2, 1)
    assert len(archive.edits(EditFilter("", None, *key))) == 5


def contents(archive: Archive) -> dict[InstanceKey, bytes]:
    """What is visible, and its bytes."""
    return {location.key: archive.read(location, check=True) for location in archive.locate()}
