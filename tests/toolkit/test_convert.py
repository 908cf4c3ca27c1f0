"""What all conversions have in common: nothing overwritten, nothing half written, one that fails ends no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest

import gantry
from command import serving
from gantry.archive.archive import Archive
from gantry.cli.main import run
from gantry.errors import CallerError, DataSetError, StorageError
from gantry.toolkit import convert as subject
from gantry.toolkit.convert import FORMATS, convert, format_named, format_of
from gantry.toolkit.convert_options import Made, Options, Piece
from gantry.toolkit.cores import for_each, in_order
from gantry.toolkit.new_files import name_anew
from gantry.toolkit.workers import Workers
from image_values import color, gray, image_object
from serving import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images and what is none."""
    given = tmp_path / "in"
    (given / "deep").mkdir(parents=True)
    (given / "one.dcm").write_bytes(image_object(gray()))
    (given / "deep" / "two.dcm").write_bytes(image_object(gray(3), SOPInstanceUID=f"{ROOT}.8.2"))
    (given / "color").write_bytes(image_object(color(), SOPInstanceUID=f"{ROOT}.8.3"))
    (given / "readme.txt").write_text("not DICOM")
    return given


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_keeps_its_tree_and_what_is_no_object_is_passed_over(folder: Path, tmp_path: Path) -> None:
    done = convert(folder, tmp_path / "out", "png")
    assert names(tmp_path / "out") == [
        "color.png", "deep/two_0001.png", "deep/two_0002.png", "deep/two_0003.png", "one.png",
    ]  # fmt: skip
    assert [one.error for one in done] == [""] * 5
    assert {one.path for one in done} == set((tmp_path / "out").rglob("*.png"))


def test_one_that_fails_is_told_and_the_others_are_made(folder: Path, tmp_path: Path) -> None:
    (folder / "cut.dcm").write_bytes(image_object(gray(), SOPInstanceUID=f"{ROOT}.8.4")[:-700])
    (folder / "short.dcm").write_bytes(
        image_object(gray(), SOPInstanceUID=f"{ROOT}.8.5", PixelData=b"\0" * 20)
    )
    (folder / "large.dcm").write_bytes(
        image_object(gray(), SOPInstanceUID=f"{ROOT}.8.6", Rows=65535, Columns=65535, PixelData=b"\0" * 10)
    )
    (folder / "empty.dcm").write_bytes(b"")
    done = convert(folder, tmp_path / "out", "png")
    failed = {Path(one.source.partition(",")[0]).name: one.error for one in done if one.path is None}
    assert set(failed) == {"cut.dcm", "short.dcm", "large.dcm"}
    assert "bytes where" in failed["cut.dcm"]
    assert "not all there" in failed["short.dcm"]
    assert "over the limit" in failed["large.dcm"]
    assert len(names(tmp_path / "out")) == 5


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.png").write_text("mine")
    with pytest.raises(CallerError, match=r"one\.png exists; --force overwrites"):
        convert(folder, tmp_path / "out", "png")
    assert names(tmp_path / "out") == ["one.png"]
    convert(folder, tmp_path / "out", "png", force=True)
    assert (tmp_path / "out" / "one.png").read_bytes().startswith(b"\x89PNG")


def test_what_appears_meanwhile_is_not_overwritten_either(tmp_path: Path) -> None:
    target = tmp_path / "x.png"

    def make(path: Path) -> Made:
        path.write_text("ours")
        target.write_text("theirs")
        return Made(beside={".txt": b"beside"})

    (done,) = subject._all_made([(Piece("x", ".png", "x", make), target)], False, lambda *_: None)
    assert "exists" in done.error
    assert (target.read_text(), names(tmp_path)) == ("theirs", ["x.png"])


def test_what_belongs_beside_is_made_or_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("theirs")

    def make(path: Path) -> Made:
        path.write_text("ours")
        return Made(beside={".json": b"{}"})

    (done,) = subject._all_made([(Piece("x", ".nii", "x", make), tmp_path / "x.nii")], False, lambda *_: None)
    assert "x.json exists" in done.error
    assert names(tmp_path) == ["x.json"]


@pytest.mark.parametrize(
    "error", [DataSetError("broken"), OSError(28, "No space left on device", "f"), MemoryError()]
)
def test_nothing_half_written_is_left(error: Exception, tmp_path: Path) -> None:
    def make(path: Path) -> Made:
        path.write_text("half")
        raise error

    (done,) = subject._all_made([(Piece("x", ".png", "x", make), tmp_path / "x.png")], False, lambda *_: None)
    assert done.path is None
    assert done.error in ("broken", "f: No space left on device", "it takes more memory than there is")
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_second_names_overwrites_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("ours")
    name_anew(source, target)
    assert (target.read_text(), source.exists()) == ("ours", False)
    source.write_text("again")
    with pytest.raises(CallerError, match="exists"):
        name_anew(source, target)
    assert target.read_text() == "ours"


def test_an_output_folder_that_cannot_be_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = convert(folder / "one.dcm", tmp_path / "file" / "out", "png")
    assert [one.path for one in done] == [None]
    assert "Not a directory" in done[0].error


def test_one_name_for_two_is_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(image_object(gray()))
    convert([tmp_path / "a", tmp_path / "b"], tmp_path / "out", "png")
    assert names(tmp_path / "out") == ["1-2.png", "1.png"]


def test_members_of_a_zip_file_and_bare_data_sets(tmp_path: Path) -> None:
    file = image_object(gray())
    (tmp_path / "bare").write_bytes(file[144 + int.from_bytes(file[140:144], "little") :])
    with zipfile.ZipFile(tmp_path / "disc.zip", "w") as disc:
        disc.writestr("../../evil.dcm", file)
    convert([tmp_path / "bare", tmp_path / "disc.zip"], tmp_path / "out", "png")
    assert names(tmp_path / "out") == ["000002.png", "bare.png"]


def test_progress_is_told_of_each(folder: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    convert(folder, tmp_path / "out", "bmp", progress=lambda done, total: told.append((done, total)))
    assert told == [(n, 5) for n in range(6)]


# --- what is asked for


def test_formats_by_name_and_by_the_name_of_the_output() -> None:
    assert [format_named(word) for word in ("JPG", ".nii.gz", "nifti", "dcm")] == [
        "jpeg", "nii.gz", "nii.gz", "dicom",
    ]  # fmt: skip
    assert [format_of(Path(name)) for name in ("a.nii.gz", "a.NII", "a.tif", "a.gz", "a", "nii.gz")] == [
        "nii.gz", "nii", "tiff", None, None, None,
    ]  # fmt: skip
    with pytest.raises(CallerError, match="no format 'doc': choose one of jpeg, png"):
        format_named("doc")


def test_each_format_says_what_it_is() -> None:
    assert all(form.suffix.startswith(".") and form.what for form in FORMATS.values())


@pytest.mark.parametrize(
    ("output", "to", "words"),
    [
        ("out", None, "say to which format"),
        ("out.png", "png", "5 files would be made of this; name a folder"),
        ("out.tif", "png", "does not have the suffix .png"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_is_written(
    folder: Path, tmp_path: Path, output: str, to: str | None, words: str
) -> None:
    with pytest.raises(CallerError, match=words):
        convert(folder, tmp_path / output, to)
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": 12}, {"quality": 0}, {"window": (1.0, 0.0)}, {"window": (float("nan"), 1.0)}, {"width": -1},
        {"width": 65535, "height": 65535}, {"width": 10**9}, {"frames": (0,)}, {"frames": ()}, {"fps": 0.0},
    ],
)  # fmt: skip
def test_options_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(CallerError):
        Options(**wrong)  # type: ignore[arg-type]


def test_the_python_face(folder: Path, tmp_path: Path) -> None:
    done = gantry.convert(
        str(folder / "one.dcm"), str(tmp_path / "x.png"), options=gantry.ConvertOptions(depth=16)
    )
    assert [one.path for one in done] == [tmp_path / "x.png"]
    with pytest.raises(AttributeError):
        gantry.nothing  # noqa: B018


def test_a_plain_script_needs_no_guard(folder: Path, tmp_path: Path) -> None:
    """Processes that import the script again would convert again."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import gantry\nprint(len(gantry.convert({str(folder)!r}, {str(tmp_path / 'out')!r}, 'jpeg')))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"


# --- from an archive


def archive_of_two(folder: Path) -> Path:
    """An archive of two studies, of one frame and of two."""
    given = folder / "given"
    given.mkdir()
    for number, frames in ((1, 1), (2, 2)):
        file = image_object(
            gray(frames), PatientID=f"P{number}", StudyInstanceUID=f"{ROOT}.{number}",
            SOPInstanceUID=f"{ROOT}.{number}.1.1",
        )  # fmt: skip
        (given / str(number)).write_bytes(file)
    assert run(["import", "--data", str(folder / "data"), str(given)]) == 0
    return folder / "data"


def test_objects_of_an_archive(tmp_path: Path) -> None:
    data = archive_of_two(tmp_path)
    convert({"PatientID": "P2"}, tmp_path / "two", "png", archive=data)
    assert names(tmp_path / "two") == [
        "ST000001/SE000001/IM000001_0001.png", "ST000001/SE000001/IM000001_0002.png",
    ]  # fmt: skip
    convert({}, tmp_path / "all", "tiff", archive=str(data))
    assert names(tmp_path / "all") == [
        "ST000001/SE000001/IM000001.tif", "ST000002/SE000001/IM000001.tif",
    ]  # fmt: skip
    with pytest.raises(CallerError, match="conditions on studies"):
        convert("all", tmp_path / "x", "png", archive=data)
    with pytest.raises(CallerError, match="no archive"):
        convert({}, tmp_path / "x", "png", archive=tmp_path / "nowhere")
    with Archive.open(data), pytest.raises(StorageError):
        convert({}, tmp_path / "x", "png", archive=data)


def archive_of_a_torn_study(folder: Path) -> Path:
    """An archive whose one study is said to be of two patients."""
    given = folder / "torn"
    given.mkdir()
    for number in (1, 2):
        file = image_object(gray(1), PatientID=f"P{number}", SOPInstanceUID=f"{ROOT}.1.1.{number}")
        (given / str(number)).write_bytes(file)
    assert run(["import", "--data", str(folder / "data"), str(given)]) == 0
    return folder / "data"


def test_a_study_of_two_patients_is_taken_once(tmp_path: Path) -> None:
    data = archive_of_a_torn_study(tmp_path)
    convert({}, tmp_path / "out", "png", archive=data)
    assert len(names(tmp_path / "out")) == 2
    assert run(["export", "--data", str(data), "all", str(tmp_path / "files")]) == 0
    assert len(names(tmp_path / "files")) == 2
    with serving(tmp_path, data=data) as server:
        convert({}, tmp_path / "fetched", "png", archive=server.web)
        assert run(["export", "--data", str(data), "all", str(tmp_path / "more")]) == 0
    assert len(names(tmp_path / "fetched")) == 2
    assert len(names(tmp_path / "more")) == 2


def test_objects_of_a_server(tmp_path: Path) -> None:
    with serving(tmp_path, data=archive_of_two(tmp_path)) as server:
        convert({"PatientID": "P1"}, tmp_path / "out", "png", archive=server.web)
    assert names(tmp_path / "out") == ["ST000001/IM000001.png"]


# --- processes and threads


def test_a_call_in_another_process() -> None:
    with Workers(2) as workers:
        assert workers.call(divmod, 7, 2) == (3, 1)
        assert workers.call(os.getpid) != os.getpid()


def test_a_process_that_dies_costs_its_call_and_the_next_has_another() -> None:
    with Workers(1) as workers:
        with pytest.raises(DataSetError, match=r"the codec crashed on it \(SIGSEGV\)"):
            workers.call(signal.raise_signal, signal.SIGSEGV)
        with pytest.raises(DataSetError, match="exit code 3"):
            workers.call(os._exit, 3)
        assert workers.call(divmod, 9, 4) == (2, 1)


def test_a_process_that_does_not_end_is_ended() -> None:
    with Workers(1) as workers:
        with pytest.raises(DataSetError, match=r"no result after 0\.5 s"):
            workers.call(signal.pause, deadline_s=0.5)
        assert workers.call(divmod, 9, 4) == (2, 1)


def test_errors_come_back_as_what_they_are(tmp_path: Path) -> None:
    with Workers(1) as workers:
        with pytest.raises(CallerError, match="choose one of"):
            workers.call(format_named, "doc")
        with pytest.raises(FileNotFoundError):
            workers.call(os.stat, str(tmp_path / "nothing"))
        with pytest.raises(DataSetError, match="more memory than there is"):
            workers.call(bytes, 1 << 50)


def test_what_a_codec_prints_is_no_answer() -> None:
    with Workers(1) as workers:
        assert workers.call(print, "hello") is None
        assert workers.call(divmod, 7, 2) == (3, 1)


def test_a_crash_leaves_no_half_file_and_the_others_are_made(tmp_path: Path) -> None:
    work = [
        (Piece(str(n), ".txt", str(n), partial(crash_at, n), runs_codec=True), tmp_path / f"{n}.txt")
        for n in range(4)
    ]
    done = list(subject._all_made(work, False, lambda *_: None))
    assert [one.error for one in done] == ["", "", "the codec crashed on it (SIGABRT)", ""]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.txt", "1.txt", "3.txt"]


def crash_at(n: int, path: Path) -> Made:
    path.write_text("half")
    if n == 2:
        os.abort()
    return Made()


def test_all_numbers_are_called_for_and_the_first_error_is_raised() -> None:
    called: list[int] = []
    for_each(100, called.append)
    assert sorted(called) == list(range(100))

    def fail(n: int) -> None:
        called.append(n)
        if n >= 5:
            raise DataSetError(str(n))

    called.clear()
    with pytest.raises(DataSetError):
        for_each(1000, fail)
    assert len(called) < 100


def test_results_come_in_order_and_not_far_ahead() -> None:
    begun: list[int] = []

    def call(n: int) -> int:
        begun.append(n)
        return n * n

    results = in_order(1000, call)
    assert next(results) == 0
    assert len(begun) < 100
    results.close()  # type: ignore[attr-defined]
    assert list(in_order(20, lambda n: n)) == list(range(20))
