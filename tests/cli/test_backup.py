"""`gantry backup` and `gantry restore` as commands: what they say, what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Gantry
from gantry.cli.exits import Exit
from serving import series


@pytest.fixture
def data(tmp_path: Path, gantry: Gantry) -> Path:
    """An archive of three slices."""
    given = tmp_path / "given"
    given.mkdir()
    for n, content in enumerate(series(3)):
        (given / f"{n}").write_bytes(content)
    assert gantry("import", "--data", tmp_path / "data", given).code == 0
    return tmp_path / "data"


def test_what_is_copied_is_told_for_people_and_programs(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    done = gantry("backup", "--data", data, tmp_path / "backup")
    assert done.code == 0
    size = sum(path.stat().st_size for path in (data / "objects").rglob("*.dcm"))
    assert done.out.endswith(f": 3 objects, {size:,} bytes; 3 files, {size:,} bytes copied, 0 not\n")
    [told] = gantry("backup", "--data", data, tmp_path / "backup", "--json").json
    assert (told["objects"], told["copied"], told["copiedBytes"], told["lost"]) == (3, 0, 0, 0)
    points = [entry["point"] for entry in gantry("backup", tmp_path / "backup", "--list", "--json").json]
    assert [point[:8] for point in points] == ["00000001", "00000002"]
    assert gantry("backup", tmp_path / "backup", "--list").lines == [
        f"{point}  3 versions" for point in points
    ]
    assert gantry("backup", tmp_path / "backup", "--check").out.endswith("bytes read: all well\n")


def test_a_restore_brings_it_back_and_needs_an_empty_folder(
    gantry: Gantry, data: Path, tmp_path: Path
) -> None:
    gantry("backup", "--data", data, tmp_path / "backup")
    done = gantry("restore", tmp_path / "backup", "--data", tmp_path / "again")
    assert (done.code, done.out.endswith("restored: all well\n")) == (0, True)
    assert gantry("verify", "--data", tmp_path / "again").code == 0
    one, other = (
        {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "objects").rglob("*.dcm")}
        for folder in (data, tmp_path / "again")
    )
    assert one == other
    refused = gantry("restore", tmp_path / "backup", "--data", tmp_path / "again")
    assert (refused.code, "not empty" in refused.err) == (Exit.USAGE, True)


def test_a_damaged_file_is_named_by_check_and_restore(gantry: Gantry, data: Path, tmp_path: Path) -> None:
    gantry("backup", "--data", data, tmp_path / "backup")
    damaged = sorted((tmp_path / "backup" / "files").rglob("*.dcm"))[0]
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    for words in (["backup", "--check"], ["restore", "--data", tmp_path / "again"]):
        done = gantry(*words, tmp_path / "backup")
        assert done.code == Exit.PROBLEMS
        assert str(damaged.relative_to(tmp_path / "backup")) in done.err
        assert "1 damaged" in done.out
    [told, *_] = gantry("backup", "--check", tmp_path / "backup", "--json").json
    assert told["problem"] == "damaged in the backup"


def test_objects_that_lie_elsewhere_are_counted_and_not_copied(gantry: Gantry, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "one").write_bytes(series(1)[0])
    assert gantry("import", "--in-place", "--data", tmp_path / "data", given).code == 0
    done = gantry("backup", "--data", tmp_path / "data", tmp_path / "backup")
    assert "1 object not copied" in done.err
    assert gantry("restore", tmp_path / "backup", "--data", tmp_path / "again").code == 0
    assert gantry("verify", "--data", tmp_path / "again").code == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["backup", "{data}/within"], Exit.USAGE),
        (["backup", "{data}/.."], Exit.USAGE),
        (["backup", "{data}"], Exit.USAGE),
        (["backup", "{given}"], Exit.USAGE),
        (["backup", "{none}", "--list"], Exit.NOT_FOUND),
        (["backup", "{given}", "--check"], Exit.NOT_FOUND),
        (["backup", "{none}", "--list", "--check"], Exit.USAGE),
        (["backup", "{none}", "--point", "x"], Exit.USAGE),
        (["backup", "{none}", "--data", "{none}/data"], Exit.NOT_FOUND),
        (["restore", "{none}", "--data", "{none}/data"], Exit.NOT_FOUND),
        (["restore", "{given}", "--data", "{none}/data"], Exit.NOT_FOUND),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    words: list[str], code: Exit, gantry: Gantry, data: Path, tmp_path: Path
) -> None:
    filled = [w.format(data=data, given=tmp_path / "given", none=tmp_path / "none") for w in words]
    if "--data" not in words and "--list" not in words and "--check" not in words:
        filled += ["--data", str(data)]
    before = sorted(tmp_path.rglob("*"))
    done = gantry(*filled)
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err
    assert [p for p in sorted(tmp_path.rglob("*")) if p not in before and p.name != "lock"] == []
