"""Backups of a server that works, as a person takes and restores them (N19)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantry.archive.archive import Archive
from gantry_process import SOURCE, gantry, running, wait_until
from senders import Site, assert_sound, digest, listed, lost, sending
from serving import dataset, part10, series

pytestmark = pytest.mark.slow


def back_up(data: Path, target: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = gantry("backup", target, "--data", data, "--json", *words)
    assert done.returncode == code, (done.stdout, done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def restored(target: Path, data: Path, *words: str) -> Path:
    done = gantry("restore", target, "--data", data, *words)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return data


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file of a backup that must stay as it is."""
    found = [*(folder / "files").rglob("*"), *(folder / "points").rglob("*")]
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in found if p.is_file()}


def dump(data: Path) -> list[dict[str, Any]]:
    with Archive.open(data) as archive:
        return list(archive.index.canonical_dump())


def test_n19_a_backup_taken_under_load_restores_all_that_was_acknowledged(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with Site(tmp_path / "data") as site:
        with sending(site):
            site.wait_for_acknowledged(60)
            before_first = site.ledger.snapshot()
            first = back_up(site.data, target)
            kept = files(target)
            site.wait_for_acknowledged(40)
            before_second = site.ledger.snapshot()
            second = back_up(site.data, target)
            assert not site.ledger.failures
            site.wait_for_acknowledged(10)
            after = files(target)
            assert {name: after[name] for name in kept} == kept
            # Two copies of an object would be two files; it is copied once
            assert second["copied"] == second["objects"] - first["objects"]
            added = sum(
                size for name, (size, _) in after.items() if name not in kept and "/points/" not in name
            )
            assert added == second["copiedBytes"] == second["bytes"] - first["bytes"]
        assert site.server.stop() == 0
    for taken, acknowledged in ((first, before_first), (second, before_second)):
        data = restored(target, tmp_path / str(taken["point"]), "--point", str(taken["point"]))
        assert_sound(data)
        with running(data) as server:
            assert set(acknowledged) <= listed(server)
            assert not lost(server, acknowledged)
            assert len(listed(server)) == taken["objects"]
    # Where nothing more comes, the index of the copy is the index there was, row by row
    back_up(site.data, target)
    whole = dump(site.data)
    assert dump(restored(target, tmp_path / "again")) == whole


def killed_while_copying(data: Path, target: Path, is_time: Callable[[], bool]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "gantry", "backup", str(target), "--data", str(data)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    wait_until(lambda: is_time() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_n19_n04_a_backup_that_is_killed_leaves_earlier_points_and_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with running(tmp_path / "data", reserve_bytes=0) as server:
        send(server.web, series(20, size=64 << 10))
        first = back_up(server.data, target)
        size = 1 << 20
        new = [part10(dataset(n, study=2, size=size)) for n in range(1, 41)]
        for start in range(0, len(new), 10):
            send(server.web, new[start : start + 10])
        for at in (22, 35, 50):
            killed_while_copying(server.data, target, lambda at=at: len(files(target)) >= at)
        points = [entry["point"] for entry in lines("backup", target, "--list")]
        assert first["point"] in points
        assert back_up(server.data, target, "--check", "--point", str(first["point"]))["damaged"] == 0
        kept = files(target)
        last = back_up(server.data, target)
        assert last["objects"] == 60
        assert last["copied"] == 60 - len([name for name in kept if name.endswith(".dcm")])
        assert last["copied"] < 40
        after = files(target)
        assert {name: after[name] for name in kept} == kept
        assert not list((target / "incoming").iterdir())
    assert_sound(restored(target, tmp_path / "again"))


def send(web: str, objects: list[bytes]) -> None:
    import httpx

    from web_serving import STORE_TYPE, related

    answer = httpx.post(
        f"{web}/studies", content=related(objects), headers={"content-type": STORE_TYPE}, timeout=60
    )
    assert answer.status_code == 200, answer.text


def lines(*words: object) -> list[dict[str, Any]]:
    done = gantry(*words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_n19_a_target_that_is_really_full_is_told_and_the_next_backup_goes_on(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        with running(tmp_path / "data", reserve_bytes=0) as server:
            send(server.web, series(4, size=256 << 10))
            first = back_up(server.data, small / "backup")
            send(server.web, [part10(dataset(n, study=2, size=1 << 20)) for n in range(1, 9)])
            done = gantry("backup", small / "backup", "--data", server.data)
            assert done.returncode == 4, done.stdout
            assert "no room" in done.stderr or "full" in done.stderr or "space" in done.stderr, done.stderr
            [entry] = lines("backup", small / "backup", "--list")
            assert entry["point"] == first["point"]
            assert back_up(server.data, small / "backup", "--check")["damaged"] == 0
            subprocess.run(["mount", "-o", "remount,size=32m", str(small)], check=True)
            assert back_up(server.data, small / "backup")["objects"] == 12
        assert_sound(restored(small / "backup", tmp_path / "again"))
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_two_backups_into_one_folder_at_once_are_one_too_many(tmp_path: Path) -> None:
    from gantry.archive.lock import FolderLock

    data, target = tmp_path / "data", tmp_path / "backup"
    with Archive.open(data) as archive:
        archive.store([part10(dataset(1))])
    target.mkdir()
    lock = FolderLock(target)
    try:
        done = gantry("backup", target, "--data", data)
    finally:
        lock.release()
    assert done.returncode == 4
    assert "another backup" in done.stderr
    assert back_up(data, target)["objects"] == 1


def test_digests_of_the_senders_are_those_of_the_backup(tmp_path: Path) -> None:
    """A backup's file is named by the digest of its Data Set, which other programs can compute."""
    data, target = tmp_path / "data", tmp_path / "backup"
    content = part10(dataset(1))
    with Archive.open(data) as archive:
        archive.store([content])
    back_up(data, target)
    [file] = (target / "files").rglob("*.dcm")
    assert file.name.startswith(digest(content).hex())
    assert file.read_bytes() == content
