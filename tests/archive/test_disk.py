"""One contract for the real disk and its twin; then what only the twin does."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import bucket_disk, tier_disk
from gantry.archive.disk import Disk, OsDisk, make_folders, unmap, write_all
from gantry.archive.sim import PowerCut, SimDisk

TIER = pytest.param("tier", marks=pytest.mark.peer)
KINDS = ["real", "simulated", TIER, pytest.param("bucket", marks=pytest.mark.peer)]
WITH_FOLDERS = pytest.mark.parametrize("disk", KINDS[:3], indirect=True)


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    match request.param:
        case "real":
            yield OsDisk(tmp_path)
        case "simulated":
            yield SimDisk()
        case "tier":
            with tier_disk(request.getfixturevalue("object_store_server"), tmp_path) as moved:
                yield moved
        case _:
            with bucket_disk(request.getfixturevalue("object_store_server"), tmp_path) as found:
                yield found


def put(disk: Disk, name: str, data: bytes) -> None:
    file = disk.create(name)
    write_all(file, [data])
    file.sync()
    file.close()


def test_a_file_reads_as_it_was_written(disk: Disk) -> None:
    file = disk.create("a")
    assert write_all(file, [b"hello ", memoryview(b"wor"), bytearray(b"ld")]) == 11
    file.close()
    file.close()
    assert disk.read("a") == b"hello world"
    assert disk.read_at("a", 6, 3) == b"wor"
    assert disk.read_at("a", 9, 99) == b"ld"
    assert disk.read_at("a", 99, 1) == b""
    assert disk.stat("a").size == 11
    mapped = disk.map("a")
    assert bytes(mapped[6:]) == b"world"
    unmap(mapped)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1, 3 << 20, (2 << 20) + 4096])
def test_what_is_stored_is_read_to_its_end(disk: Disk, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    put(disk, "a", data)
    assert b"".join(bytes(piece) for piece in disk.read_stored("a")) == data


def test_reading_what_is_stored_can_be_broken_off(disk: Disk) -> None:
    put(disk, "a", bytes(3 << 20))
    pieces = disk.read_stored("a")
    assert 1 << 20 <= len(next(iter(pieces))) < 3 << 20
    del pieces
    with pytest.raises(FileNotFoundError):
        next(iter(disk.read_stored("no")))


def test_an_empty_file_can_be_mapped(disk: Disk) -> None:
    put(disk, "a", b"")
    assert len(disk.map("a")) == 0


def test_create_never_takes_an_existing_name(disk: Disk) -> None:
    put(disk, "a", b"1")
    with pytest.raises(FileExistsError):
        disk.create("a")
    assert disk.read("a") == b"1"


def test_append_makes_the_file_and_goes_on_at_its_end(disk: Disk) -> None:
    for text in (b"one", b"two"):
        file = disk.append("log")
        write_all(file, [text])
        file.close()
    assert disk.read("log") == b"onetwo"


def test_rename_never_replaces_and_replace_does(disk: Disk) -> None:
    put(disk, "a", b"1")
    put(disk, "b", b"2")
    with pytest.raises(FileExistsError):
        disk.rename("a", "b")
    assert (disk.read("a"), disk.read("b")) == (b"1", b"2")
    disk.replace("a", "b")
    assert disk.read("b") == b"1"
    assert not disk.exists("a")
    disk.rename("b", "c")
    assert disk.read("c") == b"1"


def test_missing_files_and_folders_are_missing(disk: Disk) -> None:
    for call in (
        lambda: disk.read("no"),
        lambda: disk.read_at("no", 0, 1),
        lambda: disk.map("no"),
        lambda: disk.stat("no"),
        lambda: disk.unlink("no"),
        lambda: disk.rename("no", "b"),
        lambda: disk.list_folder("no"),
    ):
        with pytest.raises(FileNotFoundError):
            call()
    assert not disk.exists("no/a")
    assert disk.walk("no") == []


@WITH_FOLDERS
def test_nothing_is_made_in_a_missing_folder(disk: Disk) -> None:
    for call in (
        lambda: disk.create("no/a"),
        lambda: disk.make_folder("no/a"),
        lambda: disk.sync_folder("no"),
    ):
        with pytest.raises(FileNotFoundError):
            call()


def test_files_are_found_below_a_name(disk: Disk) -> None:
    for name in ("x/y/f", "x/y/z/g", "x/h", "xy"):
        make_folders(disk, name.rpartition("/")[0]) if "/" in name else None
        put(disk, name, b"1")
    assert [(e.name, e.is_folder) for e in disk.list_folder("x/y")] == [("f", False), ("z", True)]
    assert disk.walk("x") == sorted(disk.files_below("x")) == ["x/h", "x/y/f", "x/y/z/g"]
    assert disk.exists("x/y")
    disk.unlink("x/y/f")
    assert [e.name for e in disk.list_folder("x/y")] == ["z"]


def test_many_are_renamed_and_each_has_its_outcome(disk: Disk) -> None:
    for name in ("a", "b", "taken"):
        put(disk, name, name.encode())
    outcomes = disk.rename_all([("a", "c"), ("missing", "d"), ("b", "taken")])
    assert outcomes[0] is None
    assert isinstance(outcomes[1], FileNotFoundError)
    assert isinstance(outcomes[2], FileExistsError)
    assert (disk.read("c"), disk.read("b"), disk.read("taken")) == (b"a", b"b", b"taken")


@WITH_FOLDERS
def test_folders_are_made_listed_and_removed(disk: Disk) -> None:
    assert make_folders(disk, "x/y/z") == ["", "x", "x/y"]
    assert make_folders(disk, "x/y/z") == []
    put(disk, "x/y/f", b"")
    assert [(e.name, e.is_folder) for e in disk.list_folder("x/y")] == [("f", False), ("z", True)]
    assert disk.walk("x") == ["x/y/f"]
    assert disk.walk("nowhere") == []
    with pytest.raises(FileExistsError):
        disk.make_folder("x/y")
    with pytest.raises(OSError, match="not empty"):
        disk.remove_folder("x/y")
    disk.remove_folder("x/y/z")
    disk.unlink("x/y/f")
    assert disk.list_folder("x/y") == []
    disk.sync_folder("x/y")


@WITH_FOLDERS
def test_a_folder_is_no_file(disk: Disk) -> None:
    disk.make_folder("d")
    with pytest.raises(IsADirectoryError):
        disk.stat("d")
    with pytest.raises(OSError):
        disk.read("d")


def test_there_is_free_space(disk: Disk) -> None:
    assert disk.free_space() > 0


# --- the twin ------------------------------------------------------------------------------------


def test_what_was_synced_survives_every_power_cut() -> None:
    for seed in range(200):
        disk = SimDisk(seed)
        disk.make_folder("d")
        put(disk, "d/kept", b"bytes")
        disk.sync_folder("d")
        disk.sync_folder("")
        after = disk.power_cut()
        assert after.read("d/kept") == b"bytes"


def test_what_was_not_synced_may_be_lost_torn_zeroed_or_whole() -> None:
    found = set()
    for seed in range(300):
        disk = SimDisk(seed)
        file = disk.create("a")
        write_all(file, [b"abcdefgh"])
        disk.sync_folder("")
        found.add(disk.power_cut().read("a"))
    assert {b"", b"abcdefgh", bytes(8), b"abc"} <= found


def test_a_name_that_was_not_synced_may_be_lost() -> None:
    outcomes = set()
    for seed in range(200):
        disk = SimDisk(seed)
        disk.make_folder("d")
        disk.sync_folder("")
        put(disk, "old", b"x")
        disk.sync_folder("")
        disk.rename("old", "d/new")
        after = disk.power_cut()
        outcomes.add((after.exists("old"), after.exists("d/new")))
    assert outcomes == {(True, True), (True, False), (False, True), (False, False)}


def test_a_failed_sync_cannot_be_made_good() -> None:
    lost = False
    for seed in range(100):
        disk = SimDisk(seed)
        file = disk.create("a")
        write_all(file, [b"abcdefgh"])
        disk.fail(1)
        with pytest.raises(OSError, match="Input/output"):
            file.sync()
        file.sync()
        disk.sync_folder("")
        lost |= disk.power_cut().read("a") != b"abcdefgh"
    assert lost


def test_the_kth_call_fails_before_or_after_its_work() -> None:
    disk = SimDisk()
    disk.fail(2, errno.ENOSPC)
    disk.make_folder("a")
    with pytest.raises(OSError) as caught:
        disk.make_folder("b")
    assert caught.value.errno == errno.ENOSPC
    assert not disk.exists("b")
    disk.fail(1, after=True)
    with pytest.raises(OSError):
        disk.make_folder("b")
    assert disk.exists("b")


def test_nothing_works_without_power() -> None:
    disk = SimDisk()
    disk.cut_at(2)
    disk.make_folder("a")
    with pytest.raises(PowerCut):
        disk.make_folder("b")
    with pytest.raises(PowerCut):
        disk.exists("a")


def test_a_full_disk_takes_what_fits_and_then_nothing() -> None:
    disk = SimDisk(capacity=10)
    file = disk.create("a")
    assert file.write([b"12345678"]) == 8
    assert disk.free_space() == 2
    with pytest.raises(OSError) as caught:
        write_all(file, [b"abcd"])
    assert caught.value.errno == errno.ENOSPC
    disk.unlink("a")
    assert disk.free_space() == 10


def test_short_writes_are_completed() -> None:
    disk = SimDisk(7)
    disk.shorten_writes(0.9)
    file = disk.create("a")
    data = bytes(range(256)) * 40
    write_all(file, [data[:100], data[100:5000], data[5000:]])
    assert disk.read("a") == data


def test_the_same_seed_gives_the_same_crash() -> None:
    def crash(seed: int) -> list[tuple[str, bytes]]:
        disk = SimDisk(seed)
        for n in range(20):
            write_all(disk.create(f"f{n}"), [bytes([n]) * 50])
        after = disk.power_cut()
        return [(name, after.read(name)) for name in after.file_names()]

    assert crash(5) == crash(5)
    assert crash(5) != crash(6)


def test_rot_turns_a_bit_for_good() -> None:
    disk = SimDisk()
    put(disk, "a", b"\0\0")
    disk.sync_folder("")
    disk.flip_bit("a", 9)
    assert disk.power_cut().read("a") == b"\0\2"
