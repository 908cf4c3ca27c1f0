"""`gantry edit`, `history` and `revert`: on a folder, and through the server that has it open."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Gantry
from command import Server
from gantry.cli.exits import Exit
from serving import ROOT, dataset, part10, series

STUDY = f"{ROOT}.1"


@pytest.fixture
def data(tmp_path: Path, gantry: Gantry) -> Path:
    """An archive of two studies of two patients."""
    given = tmp_path / "given"
    given.mkdir()
    other = part10(dataset(1, study=2, PatientName="Roe^R", PatientID="P2"))
    for n, content in enumerate([*series(3), other]):
        (given / f"{n}").write_bytes(content)
    assert gantry("import", "--data", tmp_path / "data", given).out == "4 stored\n"
    return tmp_path / "data"


def test_an_edit_is_tried_done_listed_shown_and_undone(gantry: Gantry, data: Path) -> None:
    words = (
        "edit",
        "modify",
        "--data",
        data,
        "--study",
        STUDY,
        "--why",
        "wrong label",
        "PatientName=Doe^John",
    )
    tried = gantry(*words, "--dry-run")
    assert (tried.code, tried.lines[:2]) == (
        0, ["modify would change 3 objects", "  PatientName: Doe^Jane -> Doe^John  [3 objects]"],
    )  # fmt: skip
    assert gantry("history", "--data", data).err == "0 edits\n"
    done = gantry(*words, "--who", "Ada")
    assert done.lines[0] == "edit 1, modify: 3 objects"
    assert f"changed: study {STUDY}, series {STUDY}.1" in done.lines[-1]
    listed = gantry("history", "--data", data, "--study", STUDY)
    assert listed.lines[1].split()[0] == "1"
    assert listed.lines[1].endswith("Ada  modify  3        wrong label")
    shown = gantry("history", "--data", data, "1")
    assert shown.lines[0].endswith("by Ada: wrong label")
    assert "  PatientName: Doe^Jane -> Doe^John  [3 objects]" in shown.lines
    undone = gantry("revert", "--data", data, "1", "--why", "it was right")
    assert undone.lines[:2] == [
        "edit 2, revert: 3 objects",
        "  PatientName: Doe^John -> Doe^Jane  [3 objects]",
    ]
    again = gantry("revert", "--data", data, "1", "--why", "again")
    assert (again.code, "came after" in again.err) == (Exit.USAGE, True)
    assert gantry("verify", "--data", data).code == 0
    rows = gantry("history", "--data", data, "--json").json
    assert [(row["edit"], row["reverts"], row["revertedBy"]) for row in rows] == [(2, 1, None), (1, None, 2)]


def test_each_kind_has_its_words(gantry: Gantry, data: Path) -> None:
    def edit(*words: str) -> None:
        done = gantry("edit", *words, "--data", data, "--why", "x", "--json")
        assert done.code == 0, done.err
        assert done.json[0]["edit"]

    edit("merge", "--patient", "P1", "--into-patient", "P2")
    edit("identifiers", "--patient", "P2", "PatientID=P3", "IssuerOfPatientID=H")
    edit("move", "--study", STUDY, "--into-patient", "P4", "PatientName=New^One", "PatientSex=F")
    edit("split", "--study", STUDY, "--series", f"{STUDY}.1", "--into-study", f"{ROOT}.9")
    edit("merge-studies", "--study", f"{ROOT}.9", "--into-study", f"{ROOT}.2")
    edit("modify", "--study", f"{ROOT}.2", "PatientSex=", "StudyDescription=A")
    edit("modify", "--study", f"{ROOT}.2", "StudyDescription")
    edit("delete", "--study", f"{ROOT}.2", "--series", f"{STUDY}.1")
    edit("restore", "--study", f"{ROOT}.2")
    edit(
        "reject",
        "--study",
        f"{ROOT}.2",
        "--series",
        f"{STUDY}.1",
        "--instance",
        f"{STUDY}.1.1",
        "--code",
        "quality",
    )
    assert gantry("verify", "--data", data).code == 0
    assert gantry("reindex", "--data", data).code == 0
    assert len(gantry("history", "--data", data, "--json").json) == 10


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("modify", "--study", STUDY, "PatientID=x"), Exit.USAGE, "identifier"),
        (("modify", "--study", STUDY, "PatientName=a", "PatientName=b"), Exit.USAGE, "twice"),
        (("modify", "--study", STUDY, "StudyDate=x"), Exit.BAD_INPUT, "VR DA"),
        (("modify", "--study", "1.9", "PatientName=x"), Exit.NOT_FOUND, "nothing visible"),
        (("modify", "--issuer", "H", "PatientName=x"), Exit.USAGE, "goes with a patient"),
        (("reject", "--study", STUDY), Exit.USAGE, "113001"),
    ],
)
def test_an_edit_that_cannot_be_says_why(
    gantry: Gantry, data: Path, words: tuple[str, ...], code: Exit, said: str
) -> None:
    done = gantry("edit", *words, "--data", data, "--why", "x")
    assert (done.code, said in done.err) == (code, True), done.err
    assert gantry("history", "--data", data, "1").code == Exit.NOT_FOUND


def test_an_edit_needs_a_reason(gantry: Gantry, data: Path) -> None:
    assert gantry("edit", "delete", "--data", data, "--study", STUDY).code == Exit.USAGE
    assert gantry("edit", "delete", "--data", data, "--study", STUDY, "--why", " ").code == Exit.USAGE
    assert gantry("revert", "--data", data, "1").code == Exit.USAGE


def test_beside_a_server_the_server_edits(gantry: Gantry, server: Server, tmp_path: Path) -> None:
    for n, content in enumerate(series(2)):
        (tmp_path / f"{n}.dcm").write_bytes(content)
    assert gantry("send", "--peer", server.peer, *sorted(tmp_path.glob("*.dcm"))).code == 0
    words = ("--data", server.data, "--why", "a test")
    tried = gantry(
        "edit", "modify", *words, "--study", STUDY, "StudyDescription=Thorax", "--dry-run", "--json"
    )
    assert tried.json[0]["objects"] == 2
    done = gantry(
        "edit", "modify", *words, "--study", STUDY, "StudyDescription=Thorax", "--who", "Ada", "--json"
    )
    number = done.json[0]["edit"]
    assert done.json[0]["via"] == "api"
    found = gantry("find", "study", "--peer", server.web, "StudyDescription", "--json")
    assert found.json[0]["00081030"]["Value"] == ["Thorax"]
    assert gantry("history", "--data", server.data, "--patient", "P1", "--json").json[0]["who"] == "Ada"
    assert gantry("revert", number, *words).lines[0] == f"edit {number + 1}, revert: 2 objects"
    refused = gantry("revert", number, *words)
    assert (refused.code, "came after" in refused.err) == (Exit.USAGE, True)
    assert gantry("history", "--data", server.data, "99").code == Exit.NOT_FOUND
