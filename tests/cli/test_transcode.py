"""`gantry transcode`: many files at once, each with its own outcome."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from gantry.cli import transcode as subject
from gantry.cli.main import run
from gantry.pixels.codecs.codec import Compression
from gantry.pixels.codecs.registry import NAMES
from image_values import gray, image_object


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "one.dcm").write_bytes(image_object(gray()))
    (tmp_path / "in" / "deep" / "two.dcm").write_bytes(image_object(gray(3)))
    (tmp_path / "in" / "readme.txt").write_text("not DICOM")
    return tmp_path


def test_a_folder_keeps_its_tree_and_every_value(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["transcode", str(folder / "in"), str(folder / "out"), "--to", "rle"]) == 0
    assert "2 transcoded, 1 passed over" in capsys.readouterr().out
    for name in ("one.dcm", "deep/two.dcm"):
        before, after = (pydicom.dcmread(folder / side / name) for side in ("in", "out"))
        assert after.file_meta.TransferSyntaxUID == NAMES["rle"]
        assert (after.pixel_array == before.pixel_array).all()
        assert after.SOPInstanceUID == before.SOPInstanceUID
    assert not list((folder / "out").rglob(".*"))


def test_one_file_to_one_file_and_json_tells_of_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder / "new.dcm"
    words = [
        "transcode",
        str(folder / "in/one.dcm"),
        str(target),
        "--to",
        NAMES["jpeg2000"],
        "--ratio",
        "4",
        "--json",
    ]
    assert run(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["result"], told["lossy"], told["output"]) == ("transcoded", True, str(target))
    assert told["sopInstanceUid"] == pydicom.dcmread(target).SOPInstanceUID
    assert told["bytesAfter"] == target.stat().st_size


def test_a_file_that_fails_does_not_end_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = bytearray(image_object(gray()))
    (folder / "in" / "broken.dcm").write_bytes(broken[:-100])
    (folder / "in" / "wide.dcm").write_bytes(image_object(np.zeros((1, 4, 4), np.uint32)))
    assert run(["transcode", str(folder / "in"), str(folder / "out"), "--to", "jpeg-lossless"]) == 1
    said = capsys.readouterr()
    assert "2 transcoded, 2 failed, 1 passed over" in said.out
    assert "32 bits are stored, 16 is the most" in said.err
    assert not (folder / "out" / "wide.dcm").exists()


def test_what_is_in_that_syntax_already_is_copied(folder: Path) -> None:
    source, target = folder / "in/one.dcm", folder / "same.dcm"
    assert run(["transcode", str(source), str(target), "--to", "explicit"]) == 0
    assert target.read_bytes() == source.read_bytes()


def test_a_name_that_nobody_knows_is_a_wrong_argument(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["transcode", str(folder / "in"), str(folder / "out"), "--to", "gif"]) == 2
    assert "'gif': one of implicit, explicit" in capsys.readouterr().err
    assert run(["transcode", str(folder / "in"), str(folder / "out"), "--to", "1.2.840.10008.1.2.4.102"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_one_file_in_this_process_needs_no_pool(folder: Path) -> None:
    done = subject.run(
        subject.Task(folder / "in/one.dcm", folder / "x.dcm", NAMES["htj2k-rpcl"], Compression())
    )
    assert (done.what, done.message, done.notes) == ("transcoded", "", ())
