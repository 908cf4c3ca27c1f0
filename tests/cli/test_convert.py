"""`gantry convert`: options, reports, exit codes; objects of files, of the archive, of its server."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from cli.conftest import Gantry
from command import serving, start
from gantry.cli.exits import Exit
from gantry.pixels.image import Window
from gantry.pixels.states.presentation import Presentation
from gantry.toolkit.presentation_state import Look
from image_values import gray, image_object
from serving import ROOT, dataset, part10
from state_values import CT_LIKE, VALUES, WINDOW, shown, state_for
from volume_values import numbered, series_of, written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    given = tmp_path / "in"
    given.mkdir()
    (given / "one.dcm").write_bytes(image_object(gray()))
    (given / "two.dcm").write_bytes(image_object(gray(2), SOPInstanceUID=f"{ROOT}.8.2"))
    (given / "notes.txt").write_text("no object")
    return given


def test_a_folder_of_pictures(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    done = gantry("convert", folder, tmp_path / "out", "--to", "png", "--depth", "16")
    assert (done.code, done.out, done.err) == (0, f"3 files written to {tmp_path / 'out'}\n", "")
    read = imagecodecs.png_decode((tmp_path / "out" / "one.png").read_bytes())
    assert (read == gray()[0]).all()


def test_the_name_of_the_output_says_the_format(gantry: Gantry, tmp_path: Path) -> None:
    given = written(tmp_path / "in", series_of(numbered(3, 4, 5)))
    assert gantry("convert", given, tmp_path / "x.nii.gz").code == 0
    assert gantry("convert", given, tmp_path / "x.npy", "--values", "stored").code == 0
    assert (np.load(tmp_path / "x.npy") == numbered(3, 4, 5)).all()


def test_what_fails_is_told_and_the_exit_code_says_so(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.dcm").write_bytes(image_object(gray())[:-9])
    done = gantry("convert", folder, tmp_path / "out", "--to", "jpeg")
    assert done.code == Exit.PROBLEMS
    assert done.out == f"3 files written to {tmp_path / 'out'}, 1 could not be converted\n"
    assert f"not converted: {folder / 'bad.dcm'}: " in done.err


def test_json_tells_of_each(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.dcm").write_bytes(image_object(gray())[:-9])
    done = gantry("convert", folder, tmp_path / "out", "--to", "bmp", "--json")
    assert done.code == Exit.PROBLEMS
    assert sorted(Path(entry["file"]).name for entry in done.json if entry["file"]) == [
        "one.bmp", "two_0001.bmp", "two_0002.bmp",
    ]  # fmt: skip
    assert [Path(entry["source"]).name for entry in done.json if entry["error"]] == ["bad.dcm"]
    assert set(done.json[0]) == {"source", "file", "beside", "notes", "error", "passedOver"}


def test_nothing_is_overwritten_without_force(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    words = ("convert", folder / "one.dcm", tmp_path / "x.png")
    assert gantry(*words).code == 0
    (tmp_path / "x.png").write_text("mine")
    done = gantry(*words)
    assert done.code == Exit.USAGE
    assert "--force overwrites" in done.err
    assert (tmp_path / "x.png").read_text() == "mine"
    assert gantry(*words, "--force").code == 0
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "docx"], [], ["--to", "png", "--window", "40"], ["--to", "png", "--window", "40,-1"],
        ["--to", "png", "--window", "nan,1"], ["--to", "png", "--size", "0x5"], ["--to", "png", "--size", "big"],
        ["--to", "png", "--frames", "0"], ["--to", "png", "--frames", "5-3"], ["--to", "png", "--frames", "x"],
        ["--to", "png", "--frames", "1-99999999999"], ["--to", "png", "--size", "65535x65535"],
        ["--to", "jpeg", "--depth", "16"], ["--to", "png", "--quality", "0"], ["--to", "csv", "--columns", "Nope"],
    ],
)  # fmt: skip
def test_wrong_arguments_are_wrong_arguments(
    gantry: Gantry, folder: Path, tmp_path: Path, words: list[str]
) -> None:
    done = gantry("convert", folder, tmp_path / "out", *words)
    assert done.code == Exit.USAGE
    assert done.err
    assert not (tmp_path / "out").exists()


def test_nothing_to_convert_is_not_found(gantry: Gantry, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    done = gantry("convert", tmp_path / "in", tmp_path / "out", "--to", "png")
    assert (done.code, done.err) == (Exit.NOT_FOUND, "gantry: nothing found to convert\n")


def test_a_file_that_was_named_and_is_not_dicom_is_told(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    other = folder / "notes.txt"
    other.write_text("not an image")
    done = gantry("convert", other, tmp_path / "x.png")
    assert (done.code, done.err) == (Exit.PROBLEMS, f"not converted: {other}: not DICOM\n")
    done = gantry("convert", folder, tmp_path / "out", "--to", "png")
    assert (done.code, done.err) == (0, "")


def test_what_is_no_image_is_passed_over(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    report = dataset(3, sop_class="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(report, keyword)
    (folder / "report.dcm").write_bytes(part10(report))
    done = gantry("convert", folder, tmp_path / "out", "--to", "png")
    assert (done.code, done.out) == (0, f"3 files written to {tmp_path / 'out'}, 1 passed over\n")
    assert done.err == f"passed over: {folder / 'report.dcm'}: the object has no pixels\n"
    done = gantry("convert", folder / "report.dcm", tmp_path / "x.png")
    assert (done.code, done.err.splitlines()[-1]) == (
        Exit.NOT_FOUND, "gantry: nothing found to convert: 1 object is no image",
    )  # fmt: skip


def test_options_reach_the_picture(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    words = ["--to", "png", "--window", "32768,65536", "--size", "8x8", "--frames", "2"]
    done = gantry("convert", folder / "two.dcm", tmp_path / "out", *words)
    assert done.code == 0
    (path,) = (tmp_path / "out").iterdir()
    assert path.name == "two_0002.png"
    assert imagecodecs.png_decode(path.read_bytes()).shape == (8, 8)


def test_documents_and_back(gantry: Gantry, folder: Path, tmp_path: Path) -> None:
    assert gantry("convert", folder, tmp_path / "xml", "--to", "xml").code == 0
    assert gantry("convert", tmp_path / "xml", tmp_path / "back", "--to", "dicom").code == 0
    for name in ("one.dcm", "two.dcm"):
        assert (tmp_path / "back" / name).read_bytes() == (folder / name).read_bytes()


@pytest.fixture
def data(gantry: Gantry, tmp_path: Path) -> Path:
    given = tmp_path / "given"
    given.mkdir()
    for n in (1, 2):
        file = image_object(
            gray(), PatientID=f"P{n}", StudyInstanceUID=f"{ROOT}.{n}", SOPInstanceUID=f"{ROOT}.{n}.1.1"
        )
        (given / str(n)).write_bytes(file)
    assert gantry("import", "--data", tmp_path / "data", given).out == "2 stored\n"
    return tmp_path / "data"


def test_objects_of_the_archive(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    done = gantry("convert", "--archive", "--data", data, "PatientID=P2", tmp_path / "out", "--to", "png")
    assert (done.code, done.err) == (0, "")
    assert [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")] == [
        "ST000001/SE000001/IM000001.png"
    ]
    assert gantry("convert", "--archive", "--data", data, "all", tmp_path / "all", "--to", "png").code == 0
    assert len(list((tmp_path / "all").rglob("*.png"))) == 2
    nobody = gantry("convert", "--archive", "--data", data, "PatientID=nobody", tmp_path / "x", "--to", "png")
    assert nobody.code == Exit.NOT_FOUND


def test_an_object_of_the_archive_that_is_gone_ends_no_other(
    gantry: Gantry, data: Path, tmp_path: Path
) -> None:
    next((data / "objects").rglob("*.dcm")).unlink()
    done = gantry("convert", "--archive", "--data", data, "all", tmp_path / "out", "--to", "png")
    assert done.code == Exit.PROBLEMS
    assert "1 file written" in done.out
    assert "1 could not be converted" in done.out


def test_objects_of_the_server_that_has_the_archive_open(data: Path, gantry: Gantry, tmp_path: Path) -> None:
    with serving(tmp_path, data=data):
        done = gantry("convert", "--archive", "--data", data, "PatientID=P1", tmp_path / "out", "--to", "png")
    assert (done.code, done.err) == (0, "")
    assert len(list((tmp_path / "out").rglob("*.png"))) == 1


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    given = tmp_path / "in"
    given.mkdir()
    for n in range(60):
        (given / f"{n:02d}.dcm").write_bytes(
            image_object(gray(size=512), SOPInstanceUID=f"{ROOT}.8.{n}", InstanceNumber=n)
        )
    out = tmp_path / "out"
    process = start(tmp_path, "convert", given, out, "--to", "jxl")
    until = time.monotonic() + 60
    while not (out.is_dir() and any(out.glob("*.jxl"))):
        assert process.poll() is None
        assert time.monotonic() < until
        select_nothing()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == Exit.STOPPED, err
    assert "Traceback" not in err
    assert not [path for path in out.iterdir() if path.suffix != ".jxl"]
    assert all(imagecodecs.jpegxl_decode(path.read_bytes()).shape == (512, 512) for path in out.glob("*.jxl"))


def select_nothing() -> None:
    """Let others run for a moment: the file system tells of no new file."""
    import select

    select.select([], [], [], 0.005)


def test_pictures_by_a_presentation_state(gantry: Gantry, tmp_path: Path) -> None:
    run = image_object(np.stack([VALUES, VALUES[::-1]]), SOPInstanceUID="1.2.3.1")
    states = {
        "turned": state_for(CT_LIKE, Look(window=WINDOW, presentation=Presentation(rotation=90))),
        "subtracted": state_for(run, Look(window=Window(0, 4000)), subtracting),
        "broken": CT_LIKE,
    }
    for name, content in {"one": CT_LIKE, "run": run, **states}.items():
        (tmp_path / f"{name}.dcm").write_bytes(content)
    one, many = tmp_path / "one.dcm", tmp_path / "run.dcm"
    assert gantry("convert", one, tmp_path / "one.png", "--state", tmp_path / "turned.dcm").code == 0
    picture = imagecodecs.png_decode((tmp_path / "one.png").read_bytes())
    assert (picture == shown(CT_LIKE, states["turned"])).all()
    done = gantry("convert", many, tmp_path / "out", "--to", "png", "--state", tmp_path / "subtracted.dcm")
    assert done.code == 0
    picture = imagecodecs.png_decode((tmp_path / "out" / "run_0002.png").read_bytes())
    assert (picture == shown(run, states["subtracted"], 2)).all()
    for name, word in (("turned", "other images"), ("broken", "no presentation state")):
        done = gantry("convert", many, tmp_path / name, "--to", "png", "--state", tmp_path / f"{name}.dcm")
        assert done.code == Exit.PROBLEMS
        assert word in done.err


def subtracting(ds: Dataset) -> None:
    item = Dataset()
    item.MaskOperation, item.MaskFrameNumbers = "AVG_SUB", [1]
    ds.MaskSubtractionSequence = [item]
