"""`gantry dump`: every file of a list, whatever is in one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Gantry
from gantry.cli.exits import Exit
from serving import dataset, part10
from support import shared_data


def write(path: Path, **attributes: object) -> Path:
    path.write_bytes(part10(dataset(1, **attributes)))
    return path


def test_one_file(gantry: Gantry, tmp_path: Path) -> None:
    shown = gantry("dump", write(tmp_path / "a.dcm"))
    assert shown.code == 0
    assert any("(0010,0010) PN" in line and line.endswith("Doe^Jane") for line in shown.lines)


def test_json_is_one_object_a_file(gantry: Gantry, tmp_path: Path) -> None:
    files = [write(tmp_path / "a.dcm"), write(tmp_path / "b.dcm", PatientName="Roe^R")]
    names = [model["00100010"]["Value"][0]["Alphabetic"] for model in gantry("dump", "--json", *files).json]
    assert names == ["Doe^Jane", "Roe^R"]


def test_b36_a_name_does_not_command_the_terminal(gantry: Gantry, tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.dcm",
        PatientID="\x1b]0;owned\x07",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="a\u202eb",
    )
    for words in (["dump"], ["dump", "--json"]):
        shown = gantry(*words, file)
        assert shown.code == 0
        assert all(line.isprintable() for line in shown.lines)


def test_what_is_no_dicom_is_named_and_the_rest_is_shown(gantry: Gantry, tmp_path: Path) -> None:
    text, empty = tmp_path / "notes.txt", tmp_path / "empty"
    text.write_text("nothing of the kind\n" * 20)
    empty.touch()
    shown = gantry("dump", text, empty, write(tmp_path / "a.dcm"))
    assert shown.code == Exit.BAD_INPUT
    assert str(text) in shown.err
    assert f"{empty}: the file is empty" in shown.err
    assert "Doe^Jane" in shown.out


@pytest.mark.slow
def test_every_shared_file_is_dumped_or_refused_in_words(gantry: Gantry) -> None:
    files = [path for path in sorted(shared_data().rglob("*")) if path.is_file()]
    shown = gantry("dump", *files)
    assert shown.code == Exit.BAD_INPUT
    assert all(line.isprintable() for line in shown.lines)
    refused = shown.err.splitlines()
    assert all(line.startswith("gantry: ") for line in refused)
    assert len(refused) < len(files) / 8
