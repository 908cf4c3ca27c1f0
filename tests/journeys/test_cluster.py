"""Work on many objects by the workers of a cluster, and by processes, some of which are killed in the middle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import gantry
from cluster import Cluster, bytes_read, cluster
from command import READY_S, run, start
from gantry.archive.archive import Archive
from gantry.cli.exits import Exit
from stored_objects import part10

pytestmark = [pytest.mark.peer, pytest.mark.slow]

STUDIES, IN_EACH = 12, 250
OBJECTS = STUDIES * IN_EACH


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 3,000 objects of 20 kB."""
    folder = tmp_path_factory.mktemp("archive") / "data"
    with Archive.open(folder) as archive:
        for study in range(1, STUDIES + 1):
            arrivals = []
            for instance in range(1, IN_EACH + 1):
                arrivals.append(archive.begin())
                arrivals[-1].write(part10(study, 1, instance, pixels=bytes([study]) * 20_000))
            archive.store_many(arrivals)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("two") / "cluster", 2) as made:
        yield made


def objects(folder: Path) -> list[str]:
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm"))


def rows(data: Path) -> list[str]:
    with Archive.open(data) as archive:
        return [repr(row) for row in archive.index.canonical_dump()]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=READY_S)
    return process.returncode, out, err


def _begin(tmp_path: Path, *words: object) -> subprocess.Popen[str]:
    return start(tmp_path, *words, log=subprocess.PIPE)


def test_a_worker_that_is_killed_costs_nothing(data: Path, tmp_path: Path) -> None:
    former = rows(data)
    damaged = sorted((data / "objects").rglob("*.dcm"))[OBJECTS // 3]
    whole = damaged.read_bytes()
    with cluster(tmp_path / "cluster", 2) as made:
        on_it = "--cluster", made.address, "--data", data
        for words in (
            ["verify", *on_it, "--json"],
            ["reindex", *on_it, "--json"],
            ["export", *on_it, "--json", "all", tmp_path / "out"],
        ):
            if words[0] == "verify":
                damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
            process = _begin(tmp_path, *words)
            made.kill_while_it_reads(-1, 2_000_000)
            code, out, err = ended(process)
            damaged.write_bytes(whole)
            made.add_worker()
            told = [json.loads(line) for line in out.splitlines()]
            if words[0] == "verify":
                assert code == Exit.PROBLEMS, err
                assert [one["where"] for one in told if one.get("kind") == "wrong digest"] == [
                    str(damaged.relative_to(data))
                ]
                assert told[-1]["objects"] == OBJECTS
                assert run(tmp_path, "verify", "--data", data).returncode == Exit.OK
            elif words[0] == "reindex":
                assert (code, told) == (Exit.OK, [{"versions": OBJECTS, "skipped": []}]), err
                assert rows(data) == former
            else:
                assert code == Exit.OK, err
                assert len({one["sopInstanceUid"] for one in told}) == len(told) == OBJECTS
                assert objects(tmp_path / "out") == objects(data / "objects")
                assert {path.name for path in (tmp_path / "out").iterdir()} == {
                    f"ST{number:06d}" for number in range(1, STUDIES + 1)
                }


@pytest.mark.parametrize("command", ["verify", "reindex", "export"])
def test_a_process_that_is_killed_costs_nothing(command: str, data: Path, tmp_path: Path) -> None:
    former, out = rows(data), tmp_path / "out"
    what = ["all", out] if command == "export" else []
    process = _begin(tmp_path, command, "--jobs", 2, "--data", data, "--json", *what)
    killed = _worker_that_reads(process, 2_000_000)
    os.kill(killed, signal.SIGKILL)
    code, told, err = ended(process)
    assert code == Exit.OK, err
    if command == "verify":
        (summary,) = map(json.loads, told.splitlines())
        assert summary["objects"] == OBJECTS
    elif command == "reindex":
        assert json.loads(told) == {"versions": OBJECTS, "skipped": []}
        assert rows(data) == former
    else:
        assert len(told.splitlines()) == OBJECTS
        assert objects(out) == objects(data / "objects")


def test_a_look_that_was_killed_is_gone_on_with(data: Path, tmp_path: Path) -> None:
    """What it had found is read again, and what it had not read; what had been whole is not."""
    with Archive.open(data) as archive:
        places = [data / row.location.path for row in archive.index.all_versions() if row.location]
    found, whole, unread = places[0], places[1], places[-1]
    contents = {path: path.read_bytes() for path in (found, whole, unread)}
    try:
        _spoil(found)
        process = _begin(tmp_path, "verify", "--jobs", 2, "--data", data)
        mark = data / "cache" / f"verify-{gantry.__version__}.json"
        _wait_until(mark.exists)
        process.kill()
        ended(process)
        assert 100 <= json.loads(mark.read_text())["after"] < OBJECTS
        _spoil(whole)
        _spoil(unread)
        done = run(tmp_path, "verify", "--data", data, "--resume", "--json")
        assert done.returncode == Exit.PROBLEMS
        told = [json.loads(line) for line in done.stdout.splitlines()]
        # That rows are compared with files begins anew, and tells of the third one
        assert sorted(one["where"] for one in told if one.get("kind") == "wrong digest") == sorted(
            str(path.relative_to(data)) for path in (found, unread)
        )
        assert not mark.exists()
    finally:
        for path, content in contents.items():
            path.write_bytes(content)
    # So that nothing is called damaged any more
    assert run(tmp_path, "verify", "--data", data).returncode == Exit.OK


def _spoil(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_an_export_goes_on_where_it_was_killed(data: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert run(tmp_path, "export", "--data", data, "all", whole).returncode == Exit.OK
    process = _begin(tmp_path, "export", "--jobs", 2, "--data", data, "all", out)
    _wait_for_files(out, 300)
    process.kill()
    ended(process)
    there = {path: path.stat().st_ino for path in out.glob("ST*/*/*.dcm")}
    assert 300 <= len(there) < OBJECTS
    again = run(tmp_path, "export", "--data", data, "all", out)
    assert again.returncode == Exit.USAGE and "--resume" in again.stderr
    done = run(tmp_path, "export", "--data", data, "--resume", "all", out)
    assert (done.returncode, done.stdout) == (
        Exit.OK,
        f"{OBJECTS} objects of {STUDIES} studies written to {out}\n",
    )
    assert {path: path.stat().st_ino for path in there} == there
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*.*")} == {
        str(p.relative_to(whole)): p.read_bytes() for p in whole.rglob("*.*")
    }
    assert run(tmp_path, "export", "--data", data, "--resume", "all", out).returncode == Exit.USAGE


def test_an_index_that_was_being_made_when_killed_is_gone_on_with(data: Path, tmp_path: Path) -> None:
    former = rows(data)
    process = _begin(tmp_path, "reindex", "--jobs", 2, "--data", data)
    _wait_until(lambda: any((data / "cache").glob("reindex-*.json")))
    process.kill()
    ended(process)
    (mark,) = (data / "cache").glob("reindex-*.json")
    assert 500 <= json.loads(mark.read_text())["events"] < OBJECTS
    done = run(tmp_path, "reindex", "--data", data, "--resume")
    assert (done.returncode, done.stdout) == (Exit.OK, f"{OBJECTS} versions indexed, 0 files not\n")
    assert rows(data) == former
    assert not list((data / "cache").glob("reindex-*"))


@pytest.mark.parametrize("command", ["verify", "reindex", "export"])
def test_a_scheduler_that_is_lost_ends_the_work_which_is_gone_on_with(
    command: str, data: Path, tmp_path: Path
) -> None:
    former, out = rows(data), tmp_path / "out"
    words = [command, "--data", data]
    what = ["all", out] if command == "export" else []
    with cluster(tmp_path / "cluster", 2) as made:
        process = _begin(tmp_path, *words, "--cluster", made.address, *what)
        made.lose_scheduler_while_read(-1, 5_000_000)
        code, _, err = ended(process)
    assert code == Exit.STORAGE, err
    assert err.splitlines()[-1].endswith("is its scheduler away?") and "Traceback" not in err
    done = run(tmp_path, *words, "--resume", *what)
    assert done.returncode == Exit.OK, done.stderr
    assert rows(data) == former
    if command == "export":
        assert objects(out) == objects(data / "objects")


def test_who_cannot_work_is_told_of(data: Path, tmp_path: Path) -> None:
    nobody = run(tmp_path, "verify", "--data", data, "--cluster", "tcp://127.0.0.1:9")
    assert nobody.returncode == Exit.USAGE and "no scheduler answers at tcp://127.0.0.1:9" in nobody.stderr
    with cluster(tmp_path / "cluster", 0) as made:
        idle = run(tmp_path, "verify", "--data", data, "--cluster", made.address)
        assert idle.returncode == Exit.USAGE and "has no workers" in idle.stderr
        other = tmp_path / "other"
        (other / "gantry").mkdir(parents=True)
        (other / "gantry" / "__init__.py").write_text("__version__ = '0'\n")
        made.add_worker(other)
        differs = run(tmp_path, "verify", "--data", data, "--cluster", made.address)
        assert differs.returncode == Exit.USAGE and "has version" in differs.stderr


def test_workers_that_see_another_folder_are_told_of(data: Path, two: Cluster, tmp_path: Path) -> None:
    """A network file system that is not mounted at a worker must not look like lost objects."""
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    hidden = run(tmp_path, "verify", "--data", copy, "--cluster", two.address)
    assert hidden.returncode == Exit.OK
    with cluster(tmp_path / "cluster", 0) as made:
        made.add_worker(hidden=copy)
        done = run(tmp_path, "verify", "--repair", "--data", copy, "--cluster", made.address)
    assert done.returncode == Exit.STORAGE, done.stdout
    assert "whole here, but not where they were read" in done.stderr
    assert run(tmp_path, "verify", "--data", copy).returncode == Exit.OK


def _worker_that_reads(process: subprocess.Popen[str], size_bytes: int) -> int:
    """One of two processes that work for a command, once it has read so much of the archive."""
    workers: dict[int, int] = {}

    def one_reads() -> bool:
        for pid in _descendants(process.pid):
            if "toolkit.workers" in _command(pid):
                workers.setdefault(pid, bytes_read(pid))
        return any(bytes_read(pid) > before + size_bytes for pid, before in workers.items())

    _wait_until(one_reads)
    assert len(workers) == 2
    return max(workers, key=lambda pid: bytes_read(pid) - workers[pid])


def _wait_for_files(folder: Path, count: int) -> None:
    _wait_until(lambda: sum(1 for _ in folder.glob("ST*/*/*.dcm")) >= count)


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
