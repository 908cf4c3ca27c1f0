"""`gantry multiframe`: split and combine, each object with its own outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from gantry.cli.main import run
from multiframe_values import enhanced_mr, slice_of
from serving import part10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for n in range(1, 4):
        (tmp_path / "in" / f"{n}.dcm").write_bytes(part10(slice_of(n)))
    (tmp_path / "in" / "readme.txt").write_text("not DICOM")
    (tmp_path / "emr.dcm").write_bytes(part10(enhanced_mr()))
    return tmp_path


def test_combine_and_split(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["multiframe", "combine", str(folder / "in"), str(folder / "c")]) == 0
    assert capsys.readouterr().out == "3 combined, 1 passed over; 1 multi-frame objects\n"
    assert run(["multiframe", "split", str(folder / "c"), str(folder / "emr.dcm"), str(folder / "s")]) == 0
    assert capsys.readouterr().out == "2 split; 7 single-frame objects\n"
    assert len(list((folder / "s" / "emr").iterdir())) == 4


def test_json_tells_of_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in" / "other.dcm").write_bytes(part10(slice_of(9, BitsStored=10, HighBit=9)))
    assert run(["multiframe", "combine", str(folder / "in"), str(folder / "c"), "--json"]) == 1
    told = {line["result"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(told) == {"combined", "left as it is", "passed over"}
    assert told["combined"]["sopClass"] == "Legacy Converted Enhanced CT Image Storage"
    assert pydicom.dcmread(told["combined"]["output"]).SOPInstanceUID == told["combined"]["sopInstanceUid"]
    assert "Bits Stored" in told["left as it is"]["message"]
    assert run(["multiframe", "split", str(folder / "emr.dcm"), str(folder / "s"), "--json"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert [pydicom.dcmread(f).SOPInstanceUID for f in line["outputs"]] == line["sopInstanceUids"]


def test_what_cannot_be_split_is_told_and_the_others_go_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["multiframe", "split", str(folder / "in"), str(folder / "emr.dcm"), str(folder / "s")]
    assert run(words) == 1
    shown = capsys.readouterr()
    assert shown.out == "1 split, 3 failed, 1 passed over; 4 single-frame objects\n"
    assert "no single-frame class for the frames of CT Image Storage" in shown.err
    assert run(words) == 1
    assert "is there already" in capsys.readouterr().err


def test_nothing_to_do_is_no_success(folder: Path) -> None:
    assert run(["multiframe", "combine", str(folder / "emr.dcm"), str(folder / "c")]) == 1
    assert run(["multiframe", "split", str(folder / "in" / "readme.txt"), str(folder / "s")]) == 1
    assert not (folder / "c").exists()
    assert not (folder / "s").exists()
