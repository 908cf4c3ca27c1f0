"""`kill -9` of a process that stores, and a disk that is really full."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import allowed, bucket_url
from disks import small_disk
from gantry.archive.archive import Archive, Options
from gantry.archive.outcome import Reason, Refused, Stored
from gantry.archive.places import Places
from gantry.errors import OutOfSpace
from postgres import PostgresServer
from stored_objects import SCANNER, SMALL, part10, uid
from swift import SwiftServer

ROUNDS = int(os.environ.get("GANTRY_KILLS", "6"))

pytestmark = pytest.mark.slow  # more than unit tests may take; make test runs it

STORE_FOR_EVER = """
import sys, threading
from pathlib import Path
from stored_objects import SCANNER, part10
from gantry.archive.archive import Options
from gantry.archive.outcome import Refused
from gantry.archive.places import Places

folder, first, index, store = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
archive = Places(folder, index, 4, store).open(Options(reserve_bytes=0))
told = threading.Lock()

def send(sender):
    n = first
    while True:
        n += 1
        data = part10(sender, 1, n, comment=f"{sender} {n}", pixels=bytes(40_000 if n % 5 else 1_500_000))
        outcome = archive.store([data], SCANNER)
        assert not isinstance(outcome, Refused), outcome
        with told:
            sys.stdout.write(f"{sender} {n}\\n")
            sys.stdout.flush()
        if n % 7 == 0:
            archive.delete(outcome.key.study_uid, outcome.key.series_uid, outcome.key.sop_uid)

print("ready", flush=True)
for sender in (1, 2):
    threading.Thread(target=send, args=(sender,)).start()
"""


def start(folder: Path, first: int, index: str = "", store: str = "") -> subprocess.Popen[bytes]:
    tests = Path(__file__).resolve().parents[1]
    path = os.pathsep.join([str(tests), str(tests.parent / "src")])
    return subprocess.Popen(
        [sys.executable, "-c", STORE_FOR_EVER, str(folder), str(first), index, store],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


def told_until_killed(
    process: subprocess.Popen[bytes], after_objects: int, dice: random.Random
) -> list[tuple[int, int]]:
    """What the process said it had stored until it was killed, a random moment after so many objects."""
    assert process.stdout is not None
    said = b""
    while said.count(b"\n") < after_objects + 1:
        piece = os.read(process.stdout.fileno(), 65536)
        assert piece, "the storing process ended by itself"
        said += piece
    # Any moment will do; the next output tells that some work went on.
    select.select([process.stdout], [], [], dice.random() * 0.02)
    os.kill(process.pid, signal.SIGKILL)
    said += process.stdout.read()
    process.stdout.close()
    process.wait()
    lines = said.decode().split("\n")[1:-1]
    return [(int(a), int(b)) for a, b in (line.split() for line in lines)]


def test_n04_n01_kill_9_at_any_instant_loses_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, "", ROUNDS)


@pytest.mark.peer
def test_n04_n01_kill_9_with_an_index_in_postgresql(postgres: PostgresServer, tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, postgres.fresh_url(), max(2, ROUNDS // 3))


@pytest.mark.peer
def test_n04_n01_kill_9_with_objects_in_a_bucket(
    object_store_server: SwiftServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    with allowed(object_store_server):
        store = bucket_url(object_store_server)
        kill_again_and_again(tmp_path, postgres.fresh_url(), max(2, ROUNDS // 3), store)


def kill_again_and_again(tmp_path: Path, index: str, rounds: int, store: str = "") -> None:
    def opened() -> Archive:
        return Places(tmp_path, index, 4, store).open(SMALL)

    dice = random.Random(4)
    told: list[tuple[int, int]] = []
    for one in range(rounds):
        process = start(tmp_path, one * 10_000, index, store)
        told += told_until_killed(process, dice.randint(3, 25), dice)
        began = time.monotonic()
        with opened() as archive:
            assert time.monotonic() - began < 10
            assert list((tmp_path / "incoming").iterdir()) == []
            visible = {location.key.sop_uid: location for location in archive.locate()}
            for location in visible.values():
                archive.read(location, check=True)
            for sender, n in told:
                if n % 7:
                    assert uid(sender, 1, n) in visible
    assert len(told) > 3 * rounds
    with opened() as archive:
        assert {f.kind for f in archive.verify().findings} <= {"extra file", "extra act"}
        archive.verify(repair=True)
        assert archive.verify().is_clean


@pytest.fixture
def disk_of_24_mb(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "small", "size=24m") as folder:
        yield folder


def test_n07_a_disk_that_is_really_full_refuses_serves_and_recovers(disk_of_24_mb: Path) -> None:
    ballast = disk_of_24_mb / "ballast"
    ballast.write_bytes(bytes(4 << 20))
    with Archive.open(disk_of_24_mb / "data", Options("newest", 2 << 20)) as archive:
        stored = fill_up(archive)
        assert len(stored) > 10
        for n in stored:
            (location,) = archive.locate(sop_uid=uid(1, 1, n))
            assert len(archive.read(location, check=True)) == location.file_size
        ballast.unlink()
        assert isinstance(archive.store([part10(2)], SCANNER), Stored)
        assert archive.verify().is_clean


def test_n05_n07_a_disk_full_to_the_last_byte_loses_nothing(disk_of_24_mb: Path) -> None:
    (disk_of_24_mb / "ballast").write_bytes(bytes(4 << 20))
    with Archive.open(disk_of_24_mb / "data", SMALL) as archive:
        stored = fill_up(archive)
        left = disk_of_24_mb / "left"
        with pytest.raises(OSError), left.open("wb") as file:
            while True:
                file.write(bytes(4096))
        for n in range(9000, 9005):
            outcome = archive.store([part10(3, 1, n)], SCANNER)
            assert isinstance(outcome, Refused)
            assert outcome.reason in (Reason.OUT_OF_SPACE, Reason.STORAGE)
        for n in stored:
            archive.read(archive.locate(sop_uid=uid(1, 1, n))[0], check=True)
        left.unlink()
        (disk_of_24_mb / "ballast").unlink()
        assert isinstance(archive.store([part10(2)], SCANNER), Stored)
        assert {f.kind for f in archive.verify().findings} <= {"extra file"}
    with Archive.open(disk_of_24_mb / "data", SMALL) as archive:
        assert archive.stats().instances == len(stored) + 1


def fill_up(archive: Archive) -> list[int]:
    """Store until there is no room; the numbers that were kept."""
    stored = []
    for n in range(1, 1000):
        try:
            incoming = archive.begin(SCANNER, 400_000)
        except OutOfSpace:
            break
        incoming.write(part10(1, 1, n, pixels=bytes(65_000) * 6))
        if not isinstance(incoming.finish(), Stored):
            break
        stored.append(n)
    return stored


def test_an_object_can_be_kept_where_it_lies(tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(part10(pixels=b"abcd"))
    (tmp_path / "junk").write_bytes(b"junk")
    with Archive.open(tmp_path / "data", SMALL) as archive:
        assert isinstance(archive.reference(outside, SCANNER), Stored)
        assert isinstance(archive.reference(tmp_path / "junk"), Refused)
        assert isinstance(archive.reference(tmp_path / "nothing"), Refused)
        (location,) = archive.locate()
        assert location.path == str(outside)
        assert archive.read(location, check=True) == outside.read_bytes()
        assert archive.read_frame(location, 1) == b"abcd"
        assert archive.verify().is_clean
        before = list(archive.index.canonical_dump())
        archive.reindex()
        assert list(archive.index.canonical_dump()) == before
        assert isinstance(archive.store([part10(comment="copy")]), object)
        assert archive.verify().is_clean
    assert not list((tmp_path / "data").rglob("*[!v2].dcm"))
    outside.write_bytes(b"changed")
    with Archive.open(tmp_path / "data", SMALL) as archive:
        assert "wrong size" in {f.kind for f in archive.verify().findings}
    assert outside.read_bytes() == b"changed"
