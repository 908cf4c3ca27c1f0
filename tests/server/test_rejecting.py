"""Notes of rejection of others hide what they name, as an edit that is undone like any other."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import KeyObjectSelectionDocumentStorage

from gantry.archive.archive import Archive, Options
from gantry.archive.edits.model import EditKind, EditRequest, Target
from gantry.archive.edits.rejection import CODES, note
from gantry.archive.outcome import Stored
from gantry.archive.records import InstanceKey, Origin
from gantry.server.rejecting import Rejecting
from serving import CT, ROOT, part10, series
from serving import dataset as image

STUDY = f"{ROOT}.1"
MODALITY = Origin("CT1", "192.0.2.7:104", "dimse")
USUAL = frozenset({"113037", "113038", "113039"})


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """A study of three slices, and one of another."""
    with Archive.open(tmp_path / "data", Options(reserve_bytes=0)) as archive:
        for data in (*series(3), part10(image(1, study=2))):
            assert isinstance(archive.store([data]), Stored)
        yield archive


def rejecting(archive: Archive, tmp_path: Path, codes: frozenset[str] = USUAL) -> Rejecting:
    return Rejecting(archive, codes, tmp_path / "data" / "cache")


def send_note(
    archive: Archive, code: str, instances: tuple[int, ...] = (1, 2), number: int = 1
) -> InstanceKey:
    """A note as a modality makes it."""
    named = [f"{STUDY}.1.{n}" for n in instances]
    locations = [location for location in archive.locate(STUDY) if location.key.sop_uid in named]
    header = archive.header(archive.locate(STUDY)[0])
    uids = f"{STUDY}.9", f"{STUDY}.9.{number}"
    key, data = note(header, locations, code, "wrong order", datetime(2026, 1, 2, tzinfo=UTC), uids)
    assert isinstance(archive.store([data], MODALITY), Stored)
    return key


def note_of_another(code: str, meaning: str, *instances: int, number: int = 1) -> bytes:
    """A note as pydicom writes it, who has only the standard to go by (PS3.3 A.35.4, PS3.16 TID 2010)."""

    def coded(value: str, scheme: str, words: str) -> Dataset:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, words
        return item

    def named(instance: int) -> Dataset:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, f"{STUDY}.1.{instance}"
        return item

    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = KeyObjectSelectionDocumentStorage, f"{STUDY}.8.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, f"{STUDY}.8"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20260102", "101112", "1", "A1"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Doe^Jane", "P1", "", ""
    ds.ReferringPhysicianName, ds.Manufacturer, ds.Modality = "", "Another", "KO"
    ds.SeriesNumber, ds.InstanceNumber = 8, number
    ds.ContentDate, ds.ContentTime = "20260103", "080000"
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    series_item, study_item = Dataset(), Dataset()
    series_item.SeriesInstanceUID = f"{STUDY}.1"
    series_item.ReferencedSOPSequence = Sequence(map(named, instances))
    study_item.StudyInstanceUID = STUDY
    study_item.ReferencedSeriesSequence = Sequence([series_item])
    ds.CurrentRequestedProcedureEvidenceSequence = Sequence([study_item])
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = Sequence([coded(code, "DCM", meaning)])
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    ds.ContentTemplateSequence = Sequence([template])
    words = Dataset()
    words.RelationshipType, words.ValueType = "CONTAINS", "TEXT"
    words.ConceptNameCodeSequence = Sequence([coded("113012", "DCM", "Key Object Description")])
    words.TextValue = "worklist entry of her sister"
    content = [words]
    for instance in instances:
        image_item = Dataset()
        image_item.RelationshipType, image_item.ValueType = "CONTAINS", "IMAGE"
        image_item.ReferencedSOPSequence = Sequence([named(instance)])
        content.append(image_item)
    ds.ContentSequence = Sequence(content)
    return part10(ds)


def visible(archive: Archive) -> list[str]:
    found = [location.key.sop_uid for location in archive.locate(STUDY)]
    return [uid.removeprefix(f"{STUDY}.") for uid in found]


def test_what_a_note_of_others_names_is_hidden_and_shown_again_when_undone(
    archive: Archive, tmp_path: Path
) -> None:
    work = rejecting(archive, tmp_path)
    seen = work.look(0)
    send_note(archive, "113038")
    seen = work.look(seen)
    assert visible(archive) == ["1.3", "9.1"]
    (row,) = archive.edits()
    assert (row.kind, row.who, row.objects) == ("reject", "CT1", 2)
    assert row.why == "Incorrect Modality Worklist Entry: wrong order"
    assert archive.verify().is_clean
    archive.revert_edit(row.number, who="Ada", why="the order was right")
    assert work.look(seen) > seen
    assert visible(archive) == ["1.1", "1.2", "1.3", "9.1"]
    rows = list(archive.index.canonical_dump())
    archive.reindex()
    assert list(archive.index.canonical_dump()) == rows


def test_a_note_that_pydicom_wrote_hides_what_it_names(archive: Archive, tmp_path: Path) -> None:
    work = rejecting(archive, tmp_path)
    seen = work.look(0)
    rejection = note_of_another("113038", CODES["113038"], 1, 3)
    assert isinstance(archive.store([rejection], MODALITY), Stored)
    seen = work.look(seen)
    assert visible(archive) == ["1.2", "8.1"]
    (row,) = archive.edits()
    assert (row.kind, row.objects) == ("reject", 2)
    assert row.why == "Incorrect Modality Worklist Entry: worklist entry of her sister"
    # A selection for another purpose rejects nothing
    manifest = note_of_another("113030", "Manifest", 2, number=2)
    assert isinstance(archive.store([manifest], MODALITY), Stored)
    work.look(seen)
    assert visible(archive) == ["1.2", "8.1", "8.2"]


@pytest.mark.peer
@pytest.mark.parametrize("whose", ["ours", "pydicom's"])
@pytest.mark.parametrize("code", sorted(CODES))
def test_dciodvfy_finds_no_error_in_a_note(archive: Archive, tmp_path: Path, code: str, whose: str) -> None:
    """That of pydicom is judged, too: what is tested with must itself be right."""
    path = tmp_path / "note.dcm"
    if whose == "ours":
        send_note(archive, code)
        (location,) = archive.locate(STUDY, f"{STUDY}.9")
        path.write_bytes(archive.read(location))
    else:
        path.write_bytes(note_of_another(code, CODES[code], 1, 2))
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, errors="replace", check=False)
    assert "KeyObjectSelectionDocument" in done.stderr
    assert [one for one in done.stderr.splitlines() if one.startswith("Error")] == []


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_setting_says_which_codes_count(archive: Archive, tmp_path: Path, code: str) -> None:
    send_note(archive, code)
    rejecting(archive, tmp_path).look(0)
    assert ("1.1" in visible(archive)) is (code == "113001")
    rejecting(archive, tmp_path, frozenset(CODES)).look(0)
    assert visible(archive) == ["1.3", "9.1"]


def test_our_own_note_and_one_that_names_nothing_here_change_nothing(
    archive: Archive, tmp_path: Path
) -> None:
    work = rejecting(archive, tmp_path, frozenset(CODES))
    target = Target(study=STUDY, series=(f"{STUDY}.1",), instances=(f"{STUDY}.1.1",))
    number = archive.edit(EditRequest(EditKind.REJECT, target, "x", code="113037")).row.number
    archive.revert_edit(number, who="", why="y")
    before = visible(archive)
    work.look(0)
    assert visible(archive) == before
    send_note(archive, "113037", (3,))
    archive.delete(STUDY, f"{STUDY}.1", f"{STUDY}.1.3")
    edits = len(archive.edits())
    work.look(0)
    assert len(archive.edits()) == edits


def test_it_goes_on_where_it_was(archive: Archive, tmp_path: Path) -> None:
    """A note that came while the server was down counts; one from before it ever ran does not."""
    send_note(archive, "113037", (1,), 1)
    first = rejecting(archive, tmp_path)
    assert first._begin() == archive.stats().last_change
    send_note(archive, "113037", (2,), 2)

    async def journey() -> None:
        work = rejecting(archive, tmp_path)
        running = asyncio.create_task(work.run())
        async with asyncio.timeout(30):
            while "1.2" in await asyncio.to_thread(visible, archive):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        work.stop()
        await running

    asyncio.run(journey())
    assert visible(archive) == ["1.1", "1.3", "9.1", "9.2"]
    assert [row.objects for row in archive.edits()] == [1]
