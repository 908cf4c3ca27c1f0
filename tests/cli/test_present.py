"""`gantry present`: a presentation state from the command line, and the same image seen by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from gantry.cli.main import run
from image_values import image_object
from serving import ROOT

RAMP = np.arange(32 * 48, dtype=np.uint16).reshape(1, 32, 48)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for n in (1, 2):
        (tmp_path / "in" / f"{n}.dcm").write_bytes(image_object(RAMP, SOPInstanceUID=f"{ROOT}.1.1.{n}"))
    (tmp_path / "in" / "notes.txt").write_text("not DICOM")
    return tmp_path


def present(folder: Path, *words: str) -> int:
    return run(["present", str(folder / "in"), str(folder / "state.dcm"), *words])


def seen(folder: Path) -> np.ndarray:
    words = ["convert", str(folder / "in" / "1.dcm"), str(folder / "seen.png"), "--force"]
    assert run([*words, "--state", str(folder / "state.dcm")]) == 0
    return np.asarray(Image.open(folder / "seen.png"))


def test_images_are_seen_as_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert present(folder, "--window", "768,1536", "--rotate", "90", "--flip", "--invert") == 0
    said = capsys.readouterr().out
    assert said == f"{folder / 'state.dcm'}: Grayscale Softcopy Presentation State of 2 images\n"
    expected = 255 - np.round(RAMP[0].T / 1535 * 255)  # turned by 90 degrees, then flipped: transposed
    assert np.abs(seen(folder).astype(float) - expected).max() <= 1


def test_area_words_circle_and_frames(folder: Path) -> None:
    drawn = ["--text", "4,6", "größer", "--circle", "20,16,8", "--area", "0,0,24,32", "--frames", "1"]
    about = ["--label", "NODULE", "--description", "left", "--creator", "Müller^Eva"]
    assert present(folder, *drawn, *about) == 0
    state = pydicom.dcmread(folder / "state.dcm")
    assert (state.ContentLabel, state.ContentDescription, str(state.ContentCreatorName)) == (
        "NODULE", "left", "Müller^Eva",
    )  # fmt: skip
    (layer,) = state.GraphicAnnotationSequence
    assert layer.TextObjectSequence[0].UnformattedTextValue == "größer"
    assert layer.GraphicObjectSequence[0].GraphicType == "CIRCLE"
    references = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert [one.ReferencedSOPInstanceUID for one in references] == [f"{ROOT}.1.1.1", f"{ROOT}.1.1.2"]
    picture = seen(folder)
    assert picture.shape[1] / picture.shape[0] == pytest.approx(24 / 32, abs=0.05)
    assert (picture[..., 0] > picture[..., 2]).any()  # something yellow


def test_nothing_is_overwritten_unless_asked(folder: Path) -> None:
    assert present(folder, "--json") == 0
    before = (folder / "state.dcm").read_bytes()
    assert present(folder) == 2
    assert (folder / "state.dcm").read_bytes() == before
    assert present(folder, "--force") == 0
    assert (folder / "state.dcm").read_bytes() != before
    assert sorted(path.name for path in folder.iterdir()) == ["in", "state.dcm"]


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert present(folder, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 2
    assert pydicom.dcmread(told["output"]).SOPInstanceUID == told["sopInstanceUid"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--window", "40"], "--window takes center and width"),
        (["--area", "0,0,0,5"], "--area takes left, top, width and height"),
        (["--circle", "1,2,0"], "--circle takes x, y and radius"),
        (["--text", "1", "x"], "--text takes x,y and words"),
        (["--frames", "0"], "--frames takes numbers"),
        (["--label", "ä"], "a content label has letters"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert present(folder, *words) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "state.dcm").exists()


def test_without_an_image_or_of_two_studies(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes, state = str(folder / "in" / "notes.txt"), str(folder / "state.dcm")
    assert run(["present", notes, state]) == 2
    assert "no image" in capsys.readouterr().err
    (folder / "in" / "3.dcm").write_bytes(image_object(RAMP, StudyInstanceUID=f"{ROOT}.9"))
    assert present(folder) == 2
    assert "of one study" in capsys.readouterr().err
