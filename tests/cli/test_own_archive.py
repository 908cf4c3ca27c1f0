"""Commands on our own archive: export, verify, reindex, stats, example; opened here or beside its server."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli.conftest import Gantry
from command import Server
from gantry.archive.lock import FolderLock
from gantry.cli.exits import Exit
from serving import dataset, part10, series


@pytest.fixture
def data(tmp_path: Path, gantry: Gantry) -> Path:
    """An archive of two studies, three slices and one."""
    given = tmp_path / "given"
    given.mkdir()
    for n, content in enumerate([*series(3), part10(dataset(1, study=2, PatientName="Roe^R"))]):
        (given / f"{n}").write_bytes(content)
    assert gantry("import", "--data", tmp_path / "data", given).out == "4 stored\n"
    return tmp_path / "data"


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def objects(data: Path) -> list[Path]:
    return sorted((data / "objects").rglob("*.dcm"))


# --- export


def test_export_writes_the_same_bytes_under_numbers(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    done = gantry("export", "--data", data, "all", tmp_path / "out")
    assert (done.code, done.out) == (0, f"4 objects of 2 studies written to {tmp_path / 'out'}\n")
    assert sorted(files(tmp_path / "out").values()) == sorted(p.read_bytes() for p in objects(data))
    assert set(files(tmp_path / "out")) >= {
        "ST000001/SE000001/IM000001.dcm",
        "ST000002/SE000001/IM000001.dcm",
    }


def test_export_of_what_matches(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    done = gantry("export", "--json", "--data", data, "PatientName=roe*", tmp_path / "out")
    assert [entry["sopInstanceUid"] for entry in done.json] == [dataset(1, study=2).SOPInstanceUID]
    assert [Path(entry["file"]).read_bytes() for entry in done.json] == [
        part10(dataset(1, study=2, PatientName="Roe^R"))
    ]


def test_export_overwrites_nothing(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    done = gantry("export", "--data", data, "all", tmp_path / "out")
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert files(tmp_path / "out") == {"mine": b"keep"}


def test_export_goes_on_past_what_is_gone(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    objects(data)[0].unlink()
    done = gantry("export", "--data", data, "all", tmp_path / "out")
    assert done.code == Exit.PROBLEMS
    assert "not written" in done.err
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3


# --- verify, reindex, stats


def test_verify_says_that_all_is_well(gantry: Gantry, data: Path) -> None:
    done = gantry("verify", "--data", data)
    size = sum(p.stat().st_size for p in objects(data))
    assert (done.code, done.out) == (0, f"4 objects, {size:,} bytes: all well\n")
    assert gantry("verify", "--data", data, "--json").json[-1]["findings"] == 0


def test_verify_finds_a_flipped_bit_and_repairs(gantry: Gantry, data: Path) -> None:
    damaged = objects(data)[0]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    found = gantry("verify", "--data", data, "--json")
    assert found.code == Exit.PROBLEMS
    assert str(damaged.relative_to(data)) in [entry["where"] for entry in found.json[:-1]]
    assert found.json[-1]["findings"] == len(found.json) - 1
    assert found.json[-1]["lost"] == 1
    assert "1 object damaged or missing" in gantry("verify", "--data", data).err
    repaired = gantry("verify", "--data", data, "--repair")
    assert repaired.code == Exit.PROBLEMS
    assert "repaired" in repaired.out
    assert "1 object damaged or missing, not in the index any more" in repaired.err
    assert gantry("verify", "--data", data).code == 0
    assert any(
        bytes(content) == path.read_bytes() for path in (data / "lost-found").rglob("*") if path.is_file()
    )


def test_reindex_makes_the_index_from_the_files(gantry: Gantry, data: Path) -> None:
    for path in data.glob("index.sqlite*"):
        path.unlink()
    done = gantry("reindex", "--data", data)
    assert (done.code, done.out) == (0, "4 versions indexed, 0 files not\n")
    assert gantry("stats", "--data", data, "--json").json[0]["studies"] == 2


def test_reindex_names_what_it_leaves_out(gantry: Gantry, data: Path) -> None:
    damaged = objects(data)[0]
    damaged.write_bytes(b"nothing")
    done = gantry("reindex", "--data", data)
    assert (done.code, done.out) == (Exit.PROBLEMS, "3 versions indexed, 1 files not\n")
    assert damaged.name in done.err


def test_stats_counts(gantry: Gantry, data: Path) -> None:
    [counts] = gantry("stats", "--data", data, "--json").json
    assert (counts["patients"], counts["studies"], counts["series"], counts["instances"]) == (2, 2, 2, 4)
    assert "studies" in gantry("stats", "--data", data).out


def test_an_index_that_is_none_is_told(gantry: Gantry, data: Path) -> None:
    for path in data.glob("index.sqlite*"):
        path.unlink()
    (data / "index.sqlite").write_bytes(b"not a database, " * 300)
    done = gantry("stats", "--data", data)
    assert "Traceback" not in done.err
    assert done.code in (0, Exit.STORAGE)
    if done.code == 0:  # made anew from the files
        with closing(sqlite3.connect(data / "index.sqlite")) as connection:
            assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)


# --- example


@pytest.mark.slow
def test_the_example_is_stored_once(gantry: Gantry, tmp_path: Path) -> None:
    for _ in range(2):
        done = gantry("example", "--data", tmp_path / "data", "--json")
        assert (done.code, done.json) == (0, [{"objects": 68, "kept": 68}])
    [counts] = gantry("stats", "--data", tmp_path / "data", "--json").json
    assert (counts["series"], counts["versions"]) == (6, 68)


@pytest.mark.slow
def test_the_example_as_files(gantry: Gantry, tmp_path: Path) -> None:
    assert gantry("example", "--to", tmp_path / "out").code == 0
    assert len(files(tmp_path / "out")) == 68
    assert not (tmp_path / "share").exists()


# --- beside a running server


def test_export_and_stats_ask_the_server(server: Server, gantry: Gantry, tmp_path: Path) -> None:
    assert gantry("example", "--data", server.data).code == 0
    [counts] = gantry("stats", "--data", server.data, "--json").json
    assert counts["instances"] == 68
    done = gantry("export", "--data", server.data, "PatientID=GANTRY-1", tmp_path / "out")
    assert (done.code, done.out) == (0, f"68 objects of 1 study written to {tmp_path / 'out'}\n")
    assert sorted(files(tmp_path / "out").values()) == sorted(p.read_bytes() for p in objects(server.data))


@pytest.mark.parametrize("words", [["verify"], ["reindex"], ["serve"]])
def test_what_needs_the_archive_to_itself_says_who_has_it(
    words: list[str], server: Server, gantry: Gantry
) -> None:
    done = gantry(*words, "--data", server.data)
    assert done.code == Exit.STORAGE
    assert f"process {server.process.pid}" in done.err
    assert server.http in done.err


@pytest.mark.parametrize("words", [["stats"], ["import", "."], ["export", "all", "out"]])
def test_a_folder_that_another_process_has_is_told(words: list[str], gantry: Gantry, data: Path) -> None:
    lock = FolderLock(data)
    try:
        done = gantry(*words, "--data", data)
    finally:
        lock.release()
    assert (done.code, done.out) == (Exit.STORAGE, "")
    assert "in use by another process" in done.err


def test_word_of_a_server_that_was_killed_is_not_believed(gantry: Gantry, data: Path) -> None:
    word = '{"pid": %d, "http": "127.0.0.1:1", "dicom": "127.0.0.1:2", "aet": "GONE"}'
    for pid in (1, 2**22 + 1):  # a process that lives, and one that cannot
        (data / "serving.json").write_text(word % pid)
        assert gantry("stats", "--data", data).code == 0
    for nonsense in ("", "[]", '{"pid": "x"}', '{"pid": 1}', "\0"):
        (data / "serving.json").write_text(nonsense)
        assert gantry("stats", "--data", data).code == 0


# --- where there is none


@pytest.mark.parametrize(
    "words",
    [
        ["verify"], ["stats"], ["reindex"], ["history"], ["export", "all", "out"], ["backup", "out"],
        ["edit", "delete", "--study", "1.2", "--why", "x"], ["retention", "--rule", "go older=1y"],
    ],
    ids=lambda words: words[0],
)  # fmt: skip
@pytest.mark.parametrize("folder", ["mistyped", "not mounted"])
def test_no_command_takes_a_folder_without_archive_for_one_that_is_well(
    gantry: Gantry, tmp_path: Path, folder: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / folder
    if folder == "not mounted":
        data.mkdir()
    done = gantry(*words, "--data", data)
    assert (done.code, done.out) == (Exit.NOT_FOUND, "")
    assert done.err == f"gantry: there is no archive in {data}\n"
    assert not (tmp_path / "out").exists()
    assert not data.exists() or not list(data.iterdir())
