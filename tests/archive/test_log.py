"""The log of arrivals: what was appended is found again, and nothing else is."""

from __future__ import annotations

import errno
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.archive.blobs.files import SyncFailed, object_path, prepare_folders
from gantry.archive.blocks import Blocks, zero_tail
from gantry.archive.disk import BLOCK_BYTES, Disk, OsDisk, padded
from gantry.archive.log import SEGMENTS, ArrivalLog, Entry, LogFull, forget, logged_objects
from gantry.archive.received import Receipt
from gantry.archive.records import ObjectRecord, Origin
from gantry.archive.sim import SimDisk
from stored_objects import SCANNER, key_of

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
_blocks = Blocks()


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    disk: Disk = OsDisk(tmp_path) if request.param == "real" else SimDisk()
    prepare_folders(disk)
    yield disk


def entry(instance: int, size: int = 5000, origin: Origin = SCANNER, offset: int = 300) -> Entry:
    """An object of random bytes; the log does not look into it."""
    content = random.Random(instance).randbytes(size)
    block = _blocks.take()
    block[:size] = content
    zero_tail(block, size)
    key = key_of(1, 1, instance)
    record = ObjectRecord(
        key, "1.2.3", "1.2.840.10008.1.2.1", "", size, offset, hashlib.sha256(content[offset:]).digest(),
        hashlib.sha256(content[:offset]).digest(), AT, origin,
    )  # fmt: skip
    return Entry(Receipt(0, key, 1, AT, origin, object_path(key, 1)), record, block)


def found(disk: Disk) -> list[tuple[str, bytes]]:
    return [(logged.receipt.key.sop_uid, logged.content) for logged in logged_objects(disk)]


def as_found(*entries: Entry) -> list[tuple[str, bytes]]:
    return [(one.record.key.sop_uid, bytes(one.block[: one.record.file_size])) for one in entries]


@pytest.mark.parametrize("size", [300, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 1 << 20])
def test_what_was_appended_is_found(disk: Disk, size: int) -> None:
    entries = [entry(n, size) for n in (1, 2, 3)]
    log = ArrivalLog(disk)
    log.append(entries[:2])
    log.append(entries[2:])
    assert found(disk) == as_found(*entries)
    (first, *_) = logged_objects(disk)
    assert (first.receipt.at, first.receipt.origin, first.receipt.path) == (
        AT,
        SCANNER,
        entries[0].receipt.path,
    )
    assert first.dataset_sha256 == entries[0].record.dataset_sha256


def test_segments_are_used_in_turn_when_what_they_held_is_kept(disk: Disk) -> None:
    log = ArrivalLog(disk, 4 * BLOCK_BYTES)
    entries = [entry(n) for n in range(1, 6)]  # three pages each
    assert log.append(entries[:1]) == 0
    assert log.append(entries[1:2]) == 1
    with pytest.raises(LogFull):
        log.append(entries[2:3])
    log.release(0)
    assert log.append(entries[2:3]) == 0
    assert found(disk) == as_found(*entries[1:3])
    log.release(1)
    log.release(0)
    assert log.append(entries[3:4]) == 1
    assert found(disk) == as_found(*entries[2:4])


def test_what_is_left_of_an_earlier_round_is_passed_over(disk: Disk) -> None:
    log = ArrivalLog(disk, 12 * BLOCK_BYTES)
    entries = [entry(n) for n in range(1, 6)]
    log.append(entries[:4])  # all of segment 0
    log.append(entries[4:])
    for segment in (0, 0, 0, 0, 1):
        log.release(segment)
    filling = [entry(n) for n in range(6, 9)]
    log.append(filling)  # the rest of segment 1
    log.append([entry(9)])  # the first quarter of segment 0; three old records follow
    assert found(disk) == as_found(entries[4], *filling, entry(9))


def test_a_batch_that_is_larger_than_a_segment_is_refused(disk: Disk) -> None:
    with pytest.raises(LogFull):
        ArrivalLog(disk, 2 * BLOCK_BYTES).append([entry(1)])
    with pytest.raises(LogFull, match="header"):
        ArrivalLog(disk).append([entry(1, origin=Origin("X" * 5000))])
    assert found(disk) == []


def test_it_ends_at_the_first_record_that_is_not_whole(disk: Disk) -> None:
    entries = [entry(n) for n in (1, 2, 3)]
    ArrivalLog(disk).append(entries)
    second = BLOCK_BYTES + padded(5000)
    for offset in (second + 3, second + 200, second + BLOCK_BYTES - 1, second + BLOCK_BYTES + 4999):
        _flip(disk, SEGMENTS[0], offset)
        assert found(disk) == as_found(entries[0])
        _flip(disk, SEGMENTS[0], offset)
    _flip(disk, SEGMENTS[0], second + BLOCK_BYTES + 5000)  # padding
    assert found(disk) == as_found(*entries)


def _flip(disk: Disk, name: str, offset: int) -> None:
    page = offset - offset % BLOCK_BYTES
    data = bytearray(disk.read_at(name, page, BLOCK_BYTES))
    data[offset - page] ^= 1
    block = _blocks.take()
    block[:BLOCK_BYTES] = bytes(data)
    file = disk.open_log(name)
    file.write_at(page, [memoryview(block)[:BLOCK_BYTES]])
    file.close()


def test_a_log_that_holds_nothing_is_passed_over_after_its_end(disk: Disk) -> None:
    log = ArrivalLog(disk)
    log.append([entry(1)])
    log.release(0)
    log.close()
    assert found(disk) == []
    log = ArrivalLog(disk)
    log.append([entry(2)])
    log.close()
    assert found(disk) == as_found(entry(2))
    forget(disk)
    assert found(disk) == []


def test_the_run_after_takes_nothing_of_the_one_before(disk: Disk) -> None:
    ArrivalLog(disk).append([entry(n) for n in (1, 2, 3)])
    forget(disk)
    ArrivalLog(disk).append([entry(4)])
    assert found(disk) == as_found(entry(4))


@pytest.mark.parametrize("what", ["write_at log/0", "sync log/0"])
@pytest.mark.parametrize("after", [False, True])
def test_n05_what_failed_does_not_count_and_is_written_over(what: str, after: bool) -> None:
    disk = SimDisk()
    prepare_folders(disk)
    log = ArrivalLog(disk)
    log.append([entry(1)])
    disk.fail(1 if what.startswith("write") else 2, errno.EIO, after=after)
    with pytest.raises(OSError) as raised:
        log.append([entry(2)])
    assert isinstance(raised.value, SyncFailed) == what.startswith("sync")
    log.append([entry(3)])
    assert found(disk) == as_found(entry(1), entry(3))


@pytest.mark.parametrize("seed", range(20))
def test_n01_a_power_cut_takes_nothing_that_was_appended(seed: int) -> None:
    disk = SimDisk(seed)
    prepare_folders(disk)
    log = ArrivalLog(disk, 12 * BLOCK_BYTES)
    log.append([entry(1), entry(2)])
    disk.cut_at(2)
    with pytest.raises(BaseException, match=r"^$"):
        log.append([entry(3), entry(4)])
    survived = found(disk.power_cut())
    assert survived[:2] == as_found(entry(1), entry(2))
    assert survived[2:] in ([], as_found(entry(3)), as_found(entry(3), entry(4)))


@given(st.binary(max_size=3 * BLOCK_BYTES), st.integers(0, 2 * BLOCK_BYTES))
def test_any_bytes_are_read_without_an_error(data: bytes, at: int) -> None:
    disk = SimDisk()
    prepare_folders(disk)
    ArrivalLog(disk).append([entry(1), entry(2)])
    content = bytearray(disk.read(SEGMENTS[0]))
    content[at : at + len(data)] = data
    disk.unlink(SEGMENTS[0])
    disk.create(SEGMENTS[0]).write([bytes(content)])
    assert all(one in as_found(entry(1), entry(2)) for one in found(disk))
