"""`gantry import`: what is DICOM is kept as it is, what is not is counted, what is broken is named."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import httpx
import pytest

from cli.conftest import Gantry
from command import Server
from gantry.cli.exits import Exit
from serving import MR, dataset, dataset_bytes, part10, series
from support import shared_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def disc(folder: Path, files: dict[str, bytes]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def kept(data: Path) -> list[bytes]:
    """The objects in the archive's folder."""
    return sorted(path.read_bytes() for path in (data / "objects").rglob("*.dcm"))


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_a_folder_with_all_that_lies_about(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    slices = series(3)
    given = disc(
        tmp_path / "disc",
        {
            "DICOM/ST1/IM1": slices[0],
            "DICOM/ST1/IM2": slices[1],
            "AUTORUN.INF": b"[autorun]",
            "viewer/viewer.exe": b"MZ" + bytes(500),
            ".DS_Store": b"",
            "more.zip": (
                zipped(tmp_path / "more.zip", {"x/IM3": slices[2], "readme": b"hello"})
            ).read_bytes(),
        },
    )
    done = gantry("import", "--data", data, given)
    assert (done.code, done.out, done.err) == (0, "4 not DICOM, 3 stored\n", "")
    assert kept(data) == sorted(slices)
    assert gantry("import", "--data", data, given).out == "4 not DICOM, 3 unchanged\n"


def test_json_has_a_line_for_each(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    given = disc(tmp_path / "disc", {"a": part10(dataset(1)), "b": b"hello", "c": part10(dataset(2))[:-10]})
    done = gantry("import", "--json", "--data", data, given)
    told = {Path(entry["file"]).name: entry for entry in done.json}
    assert done.code == Exit.PROBLEMS
    assert told["a"]["result"] == "stored"
    assert told["a"]["sopInstanceUid"] == dataset(1).SOPInstanceUID
    assert told["b"]["result"] == "not DICOM"
    assert told["c"]["result"] == "refused"
    assert told["c"]["message"]
    assert len(kept(data)) == 1


def test_another_content_of_an_instance_is_a_new_version(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    given = disc(tmp_path / "disc", {"a": part10(dataset(1))})
    gantry("import", "--data", data, given)
    disc(given, {"a": part10(dataset(1, PatientName="Roe^R"))})
    assert gantry("import", "--data", data, given).out == "1 stored as new version\n"
    assert len(kept(data)) == 2


def test_bare_objects_are_told_of_and_taken_when_asked(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    file = part10(dataset(1))
    given = disc(tmp_path / "disc", {"a": dataset_bytes(file), "b": part10(dataset(2))[128:]})
    done = gantry("import", "--data", data, given)
    assert (done.code, done.out) == (0, "2 without file meta information\n")
    assert "--bare" in done.err
    assert gantry("import", "--bare", "--data", data, given).out == "2 stored\n"
    assert any(content.endswith(dataset_bytes(file)) for content in kept(data))


def test_in_place_leaves_the_bytes_where_they_are(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    files = series(3)
    given = disc(tmp_path / "disc", {f"{n}": content for n, content in enumerate(files)})
    assert gantry("import", "--in-place", "--data", data, given).out == "3 stored\n"
    assert kept(data) == []
    assert gantry("export", "--data", data, "all", tmp_path / "out").code == 0
    assert sorted(p.read_bytes() for p in (tmp_path / "out").rglob("*.dcm")) == sorted(files)
    assert gantry("verify", "--data", data).code == 0
    (given / "1").write_bytes(b"changed")
    found = gantry("verify", "--data", data)
    assert found.code == Exit.PROBLEMS
    assert str(given / "1") in found.out


def test_in_place_takes_no_members_of_zip_files(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": part10(dataset())})
    done = gantry("import", "--in-place", "--data", data, path)
    assert done.code == Exit.PROBLEMS
    assert "no file of its own" in done.err


def test_the_shared_file_set(gantry: Gantry, data: Path) -> None:
    done = gantry("import", "--data", data, shared_data() / "dicomdir" / "fileset" / "DICOMDIR")
    assert (done.code, done.out) == (0, "31 stored\n")


# --- B53, and names that would be commands


def test_b53_names_in_a_zip_file_are_no_paths(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    names = ["../../evil", "/evil", "..\\..\\evil", "a/../../../evil", "C:\\evil"]
    files = {name: part10(dataset(n)) for n, name in enumerate(names, 1)}
    path = zipped(tmp_path / "a.zip", files)
    before = everything(tmp_path)
    assert gantry("import", "--data", data, path).out == "5 stored\n"
    assert {p for p in everything(tmp_path) - before if data not in p.parents} == {data}
    assert not [p for p in everything(data) if "evil" in p.name]


@pytest.mark.slow
def test_b53_a_bomb_leaves_no_trace(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    path = zipped(
        tmp_path / "a.zip", {"bomb": part10(dataset()) + bytes(300 << 20), "good": part10(dataset(2))}
    )
    done = gantry("import", "--data", data, path)
    assert (done.code, done.out) == (Exit.PROBLEMS, "1 refused, 1 stored\n")
    assert "inflates" in done.err
    assert list((data / "incoming").iterdir()) == []


def test_b53_a_zip_file_in_a_zip_file_is_not_opened(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a": part10(dataset())}).read_bytes()
    done = gantry("import", "--data", data, zipped(tmp_path / "a.zip", {"inner.zip": inner}))
    assert (done.code, done.out) == (Exit.PROBLEMS, "1 refused\n")
    assert "zip file in a zip file" in done.err


def test_b53_overlapping_entries_are_refused(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": part10(dataset(1)), "b": part10(dataset(2))})
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    struct.pack_into("<L", content, second + 42, 0)
    path.write_bytes(content)
    done = gantry("import", "--data", data, path)
    assert (done.code, done.out) == (Exit.PROBLEMS, "2 refused\n")
    assert "shares bytes" in done.err


@pytest.mark.parametrize("declared", [0, 1, 0x7FFFFFFF])
def test_b53_forged_sizes_store_nothing_that_is_not_whole(
    declared: int, gantry: Gantry, tmp_path: Path, data: Path
) -> None:
    content = part10(dataset(1))
    path = zipped(tmp_path / "a.zip", {"a": content})
    forged = bytearray(path.read_bytes())
    struct.pack_into("<L", forged, forged.rindex(b"PK\x01\x02") + 24, declared)
    path.write_bytes(forged)
    gantry("import", "--data", data, path)
    assert kept(data) in ([], [content])


def test_b36_a_name_in_a_zip_file_does_not_command_the_terminal(
    gantry: Gantry, tmp_path: Path, data: Path
) -> None:
    path = zipped(tmp_path / "a.zip", {"\x1b]0;owned\x07\u202e.dcm": part10(dataset(1))[:-10]})
    for words in (["import"], ["import", "--json"]):
        done = gantry(*words, "--data", data, path)
        assert all(line.isprintable() for line in [*done.lines, *done.err.splitlines()])


def test_b33_a_uid_that_is_a_path_leads_nowhere(gantry: Gantry, tmp_path: Path, data: Path) -> None:
    content = part10(dataset(1)).replace(
        dataset(1).StudyInstanceUID.encode(),
        b"../../../../../../../../tmp/x"[:27].ljust(len(dataset(1).StudyInstanceUID), b"/"),
    )
    done = gantry("import", "--data", data, disc(tmp_path / "disc", {"a": content}))
    assert done.code == Exit.PROBLEMS
    assert kept(data) == []


# --- beside a running server


def test_beside_a_running_server(server: Server, gantry: Gantry, tmp_path: Path) -> None:
    files = [part10(dataset(n, study=31)) for n in (1, 2)]
    path = zipped(
        tmp_path / "a.zip", {"one": files[0], "cut": part10(dataset(9, study=31, sop_class=MR))[:-10]}
    )
    given = disc(tmp_path / "disc", {"two": files[1], "notes": b"hello"})
    done = gantry("import", "--data", server.data, path, given)
    assert (done.code, done.out) == (Exit.PROBLEMS, "1 not DICOM, 1 refused, 2 stored\n")
    assert "cut: " in done.err
    # Files are made before anything is answered.
    httpx.get(f"{server.web}/studies").raise_for_status()
    assert set(files) <= set(kept(server.data))
    assert server.process.poll() is None


def test_in_place_needs_the_archive_to_itself(server: Server, gantry: Gantry, tmp_path: Path) -> None:
    given = disc(tmp_path / "disc", {"a": part10(dataset())})
    done = gantry("import", "--in-place", "--data", server.data, given)
    assert done.code == Exit.USAGE
    assert "stop the server first" in done.err
