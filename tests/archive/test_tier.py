"""An archive whose least used objects were moved to a bucket of a real object store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import swift
from buckets import SMALL, allowed, bucket_url
from committed import asked, decided
from gantry.archive.archive import Archive
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import object_path
from gantry.archive.blobs.store_disk import BLOCK
from gantry.archive.blobs.tier_disk import CLAIM, TierDisk
from gantry.archive.edits.model import EditConflict, EditKind, EditRequest, Target
from gantry.archive.outcome import NewVersion, Stored, Unchanged
from gantry.archive.places import READ_CACHE, Places
from gantry.archive.tiers import PASSING
from gantry.errors import Corrupt, SettingsError, Unreachable
from gantry.settings import Settings, StoreUrl, TierRule
from gantry.toolkit.tiering import Tiering
from postgres import PostgresServer
from stored_objects import SCANNER, key_of, part10, uid
from swift import SwiftServer

pytestmark = pytest.mark.peer

EVERYTHING = (TierRule.parse("older=0d"),)


@pytest.fixture
def tier(object_store_server: SwiftServer) -> Iterator[str]:
    """A new bucket."""
    with allowed(object_store_server):
        yield bucket_url(object_store_server)


def opened(folder: Path, tier: str) -> Archive:
    return Places(folder, tier=tier).open(SMALL)


def stored(archive: Archive, *numbers: int, **values: object) -> bytes:
    data = part10(*numbers, **values)  # type: ignore[arg-type]
    archive.store([data], SCANNER)
    archive.settle()
    return data


def moved(archive: Archive) -> dict[str, int]:
    return Tiering(archive).move(EVERYTHING).objects


def path_of(*numbers: int) -> str:
    return object_path(key_of(*numbers), 1)


def files_in(folder: Path) -> list[str]:
    """Where the folder holds bytes of objects."""
    found = (folder / "objects").rglob("*.dcm")
    return sorted(str(path.relative_to(folder)) for path in found if path.is_file())


def test_what_is_moved_is_in_the_bucket_alone_and_read_as_before(tier: str, tmp_path: Path) -> None:
    large = bytes(range(256)) * (11 << 12)
    with opened(tmp_path, tier) as archive:
        objects = {
            key_of(1, 1, 1): stored(archive, 1, 1, 1),
            key_of(1, 1, 2): stored(archive, 1, 1, 2, pixels=large),
        }
        before = list(archive.index.canonical_dump())
        assert moved(archive) == {"moved": 2}
        assert moved(archive) == {}
        assert files_in(tmp_path) == []
        for location in archive.locate():
            assert Bucket.open(tier).get(location.path) == objects[location.key]
            assert archive.read(location, check=True) == objects[location.key]
            assert b"".join(archive.blocks(location)) == objects[location.key]
            opened_object = archive.open_object(location)
            assert opened_object is not None
            assert os.pread(opened_object.file, 200, 0) == objects[location.key][:200]
            with archive.dataset(location) as ds:
                assert ds.text(0x00080018) == location.key.sop_uid
        frame = archive.read_frame(archive.locate(sop_uid=uid(1, 1, 2))[0], 1)
        assert frame == large
        assert archive.verify().findings == ()
        assert archive.reindex().versions == 2
        assert list(archive.index.canonical_dump()) == before
    with opened(tmp_path, tier) as archive:
        (location,) = archive.locate(sop_uid=uid(1, 1, 1))
        assert archive.look_at(location, lambda size: True) == ""
        assert archive.verify().findings == ()


def test_a_frame_of_a_large_moved_object_costs_the_blocks_it_lies_in(tier: str, tmp_path: Path) -> None:
    pixels = bytes(range(256)) * (6 * BLOCK // 256)
    with opened(tmp_path, tier) as archive:
        stored(archive, 1, 1, 1, pixels=pixels)
        moved(archive)
        location = archive.locate()[0]
        start = location.file_size - len(pixels)
        assert archive.read_range(location, start + 4 * BLOCK, 1000) == pixels[4 * BLOCK : 4 * BLOCK + 1000]
        cached = sum(file.stat().st_size for file in (tmp_path / READ_CACHE).rglob("*") if file.is_file())
        assert BLOCK <= cached < 2 * BLOCK


def test_moved_objects_are_edited_deleted_restored_and_superseded(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        for number in (1, 2, 3):
            stored(archive, 1, 1, number)
        moved(archive)
        assert isinstance(archive.store([part10(1, 1, 1)], SCANNER), Unchanged)
        assert isinstance(archive.store([part10(1, 1, 1, comment="other")], SCANNER), NewVersion)
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 2))
        assert isinstance(archive.store([part10(2, 1, 1)], SCANNER), Stored)
        archive.restore(uid(1), uid(1, 1), uid(1, 1, 2))
        edit = EditRequest(
            EditKind.MODIFY, Target(study=uid(1)), "a mistake", "Ada", {"PatientName": "New^Name"}
        )
        archive.edit(edit)
        assert archive.verify().findings == ()
        (first,) = archive.locate(sop_uid=uid(1, 1, 1), version=1)
        assert archive.read(first, check=True) == part10(1, 1, 1)
        assert moved(archive)["moved"] == 5
        assert files_in(tmp_path) == []
        assert archive.verify().findings == ()
        before = list(archive.index.canonical_dump())
        archive.reindex()
        assert list(archive.index.canonical_dump()) == before


def test_what_is_brought_back_is_in_the_folder_alone(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        for number in (1, 2):
            stored(archive, 1, 1, number)
        was = (tmp_path / path_of(1, 1, 1)).stat().st_mtime_ns
        moved(archive)
        assert Tiering(archive).bring_back({uid(1, 1, 1)}).objects == {"brought back": 1}
        assert files_in(tmp_path) == [path_of(1, 1, 1)]
        assert (tmp_path / path_of(1, 1, 1)).stat().st_mtime_ns == was
        assert list(Bucket.open(tier).walk("objects")) == [path_of(1, 1, 2)]
        assert archive.tiers is not None
        assert not archive.tiers.end()
        assert Tiering(archive).bring_back(frozenset()).objects == {"brought back": 1}
        assert archive.tiers.end()
        assert list(Bucket.open(tier).walk("objects")) == []
        assert archive.verify().findings == ()
    with opened(tmp_path, "") as archive:
        assert archive.verify().findings == ()


def test_without_its_bucket_the_archive_does_not_open(
    tier: str, object_store_server: SwiftServer, tmp_path: Path
) -> None:
    with opened(tmp_path, tier) as archive:
        stored(archive, 1, 1, 1)
        moved(archive)
    assert (tmp_path / CLAIM).exists()
    for other in ("", bucket_url(object_store_server)):
        with pytest.raises(SettingsError, match="moved to s3://"):
            opened(tmp_path, other)
        with pytest.raises(SettingsError, match="moved to s3://"), Places(tmp_path, tier=other).reading():
            raise AssertionError("it is not to be read")
    with Places(tmp_path, tier=tier).reading() as disk:
        assert disk.read(path_of(1, 1, 1)) == part10(1, 1, 1)


def test_a_bucket_is_one_archives(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path / "one", tier) as one, opened(tmp_path / "two", tier) as two:
        data = stored(one, 1, 1, 1)
        moved(one)
        stored(two, 1, 1, 1, comment="of another archive")
        with pytest.raises(SettingsError, match="objects of another archive"):
            moved(two)
        assert one.read(one.locate()[0], check=True) == data
    with opened(tmp_path / "two", "") as two:
        assert two.verify().findings == ()


@pytest.mark.parametrize("away", [False, True], ids=["no such bucket", "nobody answers"])
def test_a_bucket_that_was_never_there_is_not_needed(
    away: bool, tier: str, object_store_server: SwiftServer, tmp_path: Path
) -> None:
    """Who mistook its name, or its address, has the archive as it was."""
    nowhere = (
        "s3://bucket?endpoint=http://127.0.0.1:9" if away else object_store_server.url_of("nobody-made-it")
    )
    with opened(tmp_path, nowhere) as archive:
        stored(archive, 1, 1, 1)
        with pytest.raises(Unreachable):
            moved(archive)
    with opened(tmp_path, "") as archive:
        assert archive.verify().findings == ()
    with opened(tmp_path, tier) as archive:
        assert moved(archive) == {"moved": 1}


# --- crashes -------------------------------------------------------------------------------------


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["claim", "copy_away", "turn_away", "sync_folder"])
def test_a_move_that_a_crash_breaks_off_loses_nothing_and_goes_on(
    step: str, after: bool, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = opened(tmp_path, tier)
    data = stored(archive, 1, 1, 1)
    real = getattr(TierDisk, step)

    def crashing(self: TierDisk, *arguments: str) -> object:
        if after:
            found = real(self, *arguments)
            if step == "copy_away":
                list(found)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(TierDisk, step, crashing)
        with pytest.raises(Crash):
            moved(archive)
    archive._lock.release()  # type: ignore[union-attr]  # as a process that ends does
    with opened(tmp_path, tier) as again:
        (location,) = again.locate()
        assert again.read(location, check=True) == data
        assert again.verify().findings == ()
        assert moved(again) in ({"moved": 1}, {})
        assert files_in(tmp_path) == []
        assert again.read(location, check=True) == data
        assert again.verify().findings == ()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["copy_back", "turn_back", "drop"])
def test_bringing_back_that_a_crash_breaks_off_loses_nothing(
    step: str, after: bool, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = opened(tmp_path, tier)
    data = stored(archive, 1, 1, 1)
    moved(archive)
    real = getattr(TierDisk, step)

    def crashing(self: TierDisk, *arguments: str) -> None:
        if after:
            real(self, *arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(TierDisk, step, crashing)
        with pytest.raises(Crash):
            Tiering(archive).bring_back(frozenset())
    archive._lock.release()  # type: ignore[union-attr]  # as a process that ends does
    with opened(tmp_path, tier) as again:
        (location,) = again.locate()
        assert again.read(location, check=True) == data
        Tiering(again).bring_back(frozenset())
        assert files_in(tmp_path) == [location.path]
        assert again.verify().findings == ()
        # and what a crash may have left in the bucket is in nobody's way
        assert moved(again) == {"moved": 1}
        assert again.read(location, check=True) == data


# --- damage --------------------------------------------------------------------------------------


def test_a_damaged_file_is_not_moved(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        data = stored(archive, 1, 1, 1, pixels=bytes(3000))
        (tmp_path / path_of(1, 1, 1)).write_bytes(data[:-1] + b"?")
        assert moved(archive) == {"failed": 1}
        assert files_in(tmp_path) == [path_of(1, 1, 1)]
        assert list(Bucket.open(tier).walk("objects")) == []


def test_n08_what_the_bucket_spoils_is_not_committed(tier: str, tmp_path: Path) -> None:
    import obstore

    with opened(tmp_path, tier) as archive:
        for n in (1, 2, 3):
            stored(archive, 1, 1, n)
        moved(archive)
        path = path_of(1, 1, 2)
        bucket = Bucket.open(tier)
        obstore.put(bucket.store, path, bucket.get(path)[:-1] + b"?")
        bucket.delete(path_of(1, 1, 3))
        request = asked(archive, *(uid(1, 1, n) for n in (1, 2, 3)))
        assert decided(archive, request) == {1: 0x0110, 2: 0x0110}
        with pytest.raises(EditConflict, match="1 of 3"):
            archive.delete(uid(1))


@pytest.mark.parametrize("lost", [False, True], ids=["rotten", "lost"])
def test_n14_a_moved_object_that_the_bucket_spoils_is_refused_and_healed(
    lost: bool, tier: str, tmp_path: Path
) -> None:
    import obstore

    with opened(tmp_path, tier) as archive:
        data = stored(archive, 1, 1, 1, pixels=bytes(3000))
        moved(archive)
        (location,) = archive.locate()
        bucket = Bucket.open(tier)
        if lost:
            bucket.delete(location.path)
        else:
            obstore.put(bucket.store, location.path, data[:-1] + b"?")
        (finding,) = archive.verify(rows=False).findings
        assert finding.kind == ("missing file" if lost else "wrong digest")
        assert archive.look_at(location, lambda size: True)
        with pytest.raises(Corrupt):
            archive.read(location)
        assert moved(archive) == {}
        offer = tmp_path / "offer.dcm"
        offer.write_bytes(data)
        assert archive.heal(location, offer)
        assert archive.read(location, check=True) == data
        assert files_in(tmp_path) == [location.path]
        assert archive.verify().findings == ()
        aside = [path.read_bytes() for path in (tmp_path / "lost-found").iterdir()]
        assert aside == ([] if lost else [data[:-1] + b"?"])
        assert moved(archive) == {"moved": 1}
        assert archive.read(location, check=True) == data


def test_verify_repairs_what_the_bucket_has_lost(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        for number in (1, 2):
            stored(archive, 1, 1, number)
        moved(archive)
        Bucket.open(tier).delete(path_of(1, 1, 1))
        archive.verify(repair=True)
        assert [one.key for one in archive.locate()] == [key_of(1, 1, 2)]
        assert archive.verify().findings == ()
        assert isinstance(archive.store([part10(1, 1, 1)], SCANNER), Stored)
        assert archive.verify().findings == ()


def test_a_bucket_that_is_away_refuses_what_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    with swift.running() as server, allowed(server):
        tier = bucket_url(server)
        with opened(tmp_path, tier) as archive:
            stored(archive, 1, 1, 1)
            moved(archive)
            here = stored(archive, 1, 1, 2)
            (there,) = archive.locate(sop_uid=uid(1, 1, 1))
            server.kill()
            (location,) = archive.locate(sop_uid=uid(1, 1, 2))
            assert archive.read(location, check=True) == here
            for read in (
                lambda: archive.read(there),
                lambda: archive.look_at(there, lambda size: True),
                lambda: archive.verify(rows=False),
                lambda: archive.reindex(),
                lambda: moved(archive),
                lambda: Tiering(archive).bring_back(frozenset()),
            ):
                with pytest.raises(Unreachable):
                    read()
            assert not archive.damaged()
            assert not archive.read_only
            # what comes in, and what is done by acts, asks no bucket
            assert isinstance(archive.store([part10(1, 1, 3)], SCANNER), Stored)
            assert isinstance(archive.store([part10(1, 1, 1)], SCANNER), Unchanged)
            assert isinstance(archive.store([part10(1, 1, 1, comment="x")], SCANNER), NewVersion)
            archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))
        with opened(tmp_path, tier) as archive:
            assert len(archive.locate()) == 2
            server.start()
            assert archive.read(there) == part10(1, 1, 1)
            assert archive.verify().findings == ()


# --- rules ---------------------------------------------------------------------------------------


def test_rules_go_by_age_use_size_and_modality_and_a_dry_run_tells_what_is_done(
    tier: str, tmp_path: Path
) -> None:
    with opened(tmp_path, tier) as archive:
        stored(archive, 1, 1, 1)
        stored(archive, 1, 1, 2, pixels=bytes(20_000))
        stored(archive, 2, 1, 1, pixels=bytes(20_000), replaced={0x00080060: b"MR"})
        long_ago = time.time() - 100 * 86400
        for name in (path_of(1, 1, 1), path_of(1, 1, 2), path_of(2, 1, 1)):
            os.utime(tmp_path / name, (long_ago, long_ago))

        def told(*rules: str, dry_run: bool) -> list[str]:
            found: list[str] = []
            work = Tiering(archive, lambda location, what, why: found.append(location.key.sop_uid))
            work.move([TierRule.parse(rule) for rule in rules], dry_run=dry_run)
            return sorted(found)

        assert told("older=1d", dry_run=True) == []
        assert told("unused=101d", dry_run=True) == []
        assert len(told("unused=99d", dry_run=True)) == 3
        # reading the header, verify and the scrub are no use of a file; giving it out is
        archive.verify()
        archive.look_at(archive.locate()[0], lambda size: True)
        assert len(told("unused=99d", dry_run=True)) == 3
        archive.read(archive.locate(sop_uid=uid(1, 1, 1))[0])
        assert len(told("unused=99d", dry_run=True)) == 2
        rules = ("unused=99d modality=mr larger=10k", "older=300d")
        expected = [uid(2, 1, 1)]
        assert told(*rules, dry_run=True) == expected
        assert len(files_in(tmp_path)) == 3
        assert told(*rules, dry_run=False) == expected
        assert files_in(tmp_path) == sorted([path_of(1, 1, 1), path_of(1, 1, 2)])
        assert told(*rules, dry_run=True) == []


def test_what_somebody_may_be_about_to_open_stays(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        data = stored(archive, 1, 1, 1)
        (location,) = archive.locate()
        path = archive.real_path(location)
        assert path is not None
        assert archive.tiers is not None
        (why,) = archive.tiers.move([location])
        assert why in PASSING
        assert path.read_bytes() == data


def test_what_another_node_sweeps_is_not_turned_into_a_note(
    tier: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """One has put an object into the bucket, and another sweeps before there is a note of it."""
    url = postgres.fresh_url()

    def node(name: str) -> Archive:
        return Places(tmp_path, url, 2, node=name, tier=tier).open(SMALL)

    with node("one") as one, node("two") as two:
        data = stored(one, 1, 1, 1)
        (location,) = one.locate()
        assert one.tiers is not None
        one.tiers._disk.claim()
        assert one.tiers._copied(location) == ""
        assert Tiering(two).sweep().objects == {"removed from the bucket": 1}
        with one._committer.alone():
            (why,) = one.tiers._turned([location], [""])
        assert why in PASSING
        assert files_in(tmp_path) == [location.path]
        assert one.read(location, check=True) == data
        assert moved(two) == {"moved": 1}
        assert Tiering(one).sweep().objects == {}
        assert one.read(location, check=True) == data


def test_nodes_that_share_a_folder_read_what_one_has_moved(
    tier: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.fresh_url()

    def node(name: str) -> Archive:
        return Places(tmp_path, url, 2, node=name, tier=tier).open(SMALL)

    with node("one") as one, node("two") as two:
        data = stored(one, 1, 1, 1)
        (location,) = two.locate()
        assert two.read(location) == data
        assert moved(one) == {"moved": 1}
        assert files_in(tmp_path) == []
        found = two.open_object(location)
        assert found is not None
        assert os.pread(found.file, len(data), 0) == data
        assert isinstance(two.store([data], SCANNER), Unchanged)
        assert isinstance(two.store([part10(1, 1, 1, comment="x")], SCANNER), NewVersion)
        assert Tiering(two).bring_back(frozenset()).objects == {"brought back": 1}
        assert one.read(location, check=True) == data
        for archive in (one, two):
            assert archive.verify().findings == ()


def test_an_object_that_another_node_moves_before_it_is_opened_is_opened(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path, tier) as archive:
        data = stored(archive, 1, 1, 1)
        (location,) = archive.locate()
        gone = tmp_path / location.path
        moved(archive)
        paths = iter([gone, archive.real_path(location)])
        monkeypatch.setattr(archive._retriever, "real_path", lambda location: next(paths))
        found = archive.open_object(location)
        assert found is not None
        assert os.pread(found.file, len(data), 0) == data


def test_the_cache_is_not_needed(tier: str, tmp_path: Path) -> None:
    with opened(tmp_path, tier) as archive:
        data = stored(archive, 1, 1, 1)
        moved(archive)
        (location,) = archive.locate()
        for _ in range(2):
            assert archive.read(location) == data
            shutil.rmtree(tmp_path / READ_CACHE)


def test_a_second_store_is_for_folders() -> None:
    with pytest.raises(SettingsError, match="in a bucket"):
        Settings(store=StoreUrl("s3://one"), tier=StoreUrl("s3://two"))
    with pytest.raises(SettingsError, match="not set"):
        Settings(tier_rules=EVERYTHING)
