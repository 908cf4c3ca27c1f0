"""An archive whose objects lie in a bucket of a real object store."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import SMALL, ObjectStore, allowed, bucket_url
from committed import asked, decided
from gantry.archive.archive import Archive, Options
from gantry.archive.blobs import owner
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.blobs.files import object_path
from gantry.archive.blobs.read_cache import WHOLE, ReadCache
from gantry.archive.blobs.store_disk import BLOCK, StoreDisk
from gantry.archive.edits.model import EditConflict, EditKind, EditRequest, Target
from gantry.archive.outcome import NewVersion, Outcome, Reason, Refused, Stored, Unchanged
from gantry.archive.places import READ_CACHE, Places
from gantry.errors import Corrupt, SettingsError, StorageError, Unreachable
from gantry.server.copies import copies_from
from gantry.settings import Settings
from postgres import PostgresServer
from stored_objects import SCANNER, key_of, part10, uid

pytestmark = pytest.mark.peer


@pytest.fixture(params=["s3", "azure"])
def store_server(request: pytest.FixtureRequest) -> ObjectStore:
    """A server of each kind that can be had."""
    name = "object_store_server" if request.param == "s3" else "azure_server"
    server: ObjectStore = request.getfixturevalue(name)
    return server


@pytest.fixture
def store(store_server: ObjectStore) -> Iterator[str]:
    """A new bucket."""
    with allowed(store_server):
        yield bucket_url(store_server)


def opened(folder: Path, store: str, options: Options = SMALL, **places: object) -> Archive:
    return Places(folder, store=store, **places).open(options)  # type: ignore[arg-type]


def keep(archive: Archive, *numbers: int, **values: object) -> Outcome:
    return archive.store([part10(*numbers, **values)], SCANNER)  # type: ignore[arg-type]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_what_is_acknowledged_is_in_the_bucket_and_nowhere_else(store: str, tmp_path: Path) -> None:
    small, large = part10(1, 1, 1), part10(1, 1, 2, pixels=bytes(range(256)) * (11 << 12))
    with opened(tmp_path / "one", store) as archive:
        for data in (small, large):
            assert isinstance(archive.store([data], SCANNER), Stored)
        bucket = Bucket.open(store)
        assert bucket.get(object_path(key_of(1, 1, 1), 1)) == small
        assert bucket.get(object_path(key_of(1, 1, 2), 1)) == large
        assert not archive.is_behind
    # This machine is lost with all that was on it
    shutil.rmtree(tmp_path / "one")
    with opened(tmp_path / "two", store) as archive:
        found = {one.key: archive.read(one, check=True) for one in archive.locate()}
    assert found == {key_of(1, 1, 1): small, key_of(1, 1, 2): large}


def test_n12_another_machine_makes_the_same_index_from_the_bucket(store: str, tmp_path: Path) -> None:
    with opened(tmp_path / "one", store) as archive:
        for number in range(1, 6):
            assert isinstance(keep(archive, 1, 1, number), Stored)
        assert isinstance(keep(archive, 1, 1, 1, comment="other"), NewVersion)
        assert isinstance(keep(archive, 1, 1, 2), Unchanged)
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 3))
        archive.delete(uid(1), uid(1, 1), uid(1, 1, 4))
        archive.restore(uid(1), uid(1, 1), uid(1, 1, 4))
        edit = EditRequest(
            EditKind.MODIFY, Target(study=uid(1)), "a mistake", "Ada", {"PatientName": "New^Name"}
        )
        archive.edit(edit)
        assert archive.verify().findings == ()
        before = list(archive.index.canonical_dump())
        assert archive.reindex().versions == archive.index.stats().versions
        assert list(archive.index.canonical_dump()) == before
    with opened(tmp_path / "two", store) as archive:
        assert list(archive.index.canonical_dump()) == before
        assert archive.verify().findings == ()


def test_with_an_index_in_postgresql_nothing_is_left_on_the_machine(
    store: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.fresh_url()
    with opened(tmp_path / "one", store, index=url) as archive:
        assert isinstance(keep(archive, 1, 1, 1), Stored)
        before = list(archive.index.canonical_dump())
        epoch = archive.epoch
    shutil.rmtree(tmp_path / "one")
    with opened(tmp_path / "two", store, index=url) as archive:
        assert archive.epoch == epoch  # it was not made anew
        assert list(archive.index.canonical_dump()) == before
        assert archive.read(archive.locate()[0], check=True) == part10(1, 1, 1)


def test_an_orphan_of_other_bytes_is_set_aside(store: str, tmp_path: Path) -> None:
    path = object_path(key_of(1, 1, 1), 1)
    bucket = Bucket.open(store)
    with opened(tmp_path, store) as archive:
        bucket.put(path, b"what a crash has left")
        assert isinstance(keep(archive, 1, 1, 1), Stored)
        assert archive.verify().findings == ()
    assert bucket.get(path) == part10(1, 1, 1)
    (aside,) = bucket.walk("lost-found")
    assert bucket.get(aside) == b"what a crash has left"


def test_an_orphan_of_the_same_bytes_becomes_the_object(store: str, tmp_path: Path) -> None:
    with opened(tmp_path, store) as archive:
        Bucket.open(store).put(object_path(key_of(1, 1, 1), 1), part10(1, 1, 1))
        assert isinstance(keep(archive, 1, 1, 1), Stored)
        assert list(Bucket.open(store).walk("lost-found")) == []


def test_n14_rot_in_the_bucket_is_found_and_never_served(store: str, tmp_path: Path) -> None:
    whole = part10(1, 1, 1, pixels=bytes(3000))
    path = object_path(key_of(1, 1, 1), 1)
    with opened(tmp_path, store) as archive:
        archive.store([whole], SCANNER)
        location = archive.locate()[0]
        bucket = Bucket.open(store)
        import obstore

        rotten = bytearray(whole)
        rotten[2500] ^= 1
        obstore.put(bucket.store, path, bytes(rotten), attributes={"sha256": sha(whole)})
        # what is here was read before; what is not is compared with its digest when it comes
        assert archive.read(location) == whole
        shutil.rmtree(tmp_path / READ_CACHE)
        with pytest.raises(StorageError, match="not what was put"):
            archive.read(location)
        (finding,) = archive.verify(rows=False).findings
        assert (finding.kind, finding.where) == ("wrong digest", path)
        with pytest.raises(Corrupt):
            archive.locate() and archive.read(archive.locate()[0])


def test_n08_what_the_bucket_spoils_is_not_committed(store: str, tmp_path: Path) -> None:
    import obstore

    with opened(tmp_path, store) as archive:
        for n in (1, 2):
            keep(archive, 1, 1, n)
        (location,) = archive.locate(sop_uid=uid(1, 1, 2))
        # What is read from is a copy on this machine, still whole
        assert archive.is_at_hand(location)
        rotten = bytearray(part10(1, 1, 2))
        rotten[-1] ^= 1
        obstore.put(Bucket.open(store).store, location.path, bytes(rotten))
        assert decided(archive, asked(archive, uid(1, 1, 1), uid(1, 1, 2))) == {1: 0x0110}
        with pytest.raises(EditConflict, match="1 of 2"):
            archive.delete(uid(1))
    with opened(tmp_path, store) as archive, pytest.raises(EditConflict, match="1 of 2"):
        archive.delete(uid(1))


def test_a_damaged_object_is_healed_from_a_second_bucket(
    store: str, store_server: ObjectStore, tmp_path: Path
) -> None:
    import obstore

    other = bucket_url(store_server)
    with opened(tmp_path / "other", other) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
    with opened(tmp_path / "data", store) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
        location = archive.locate()[0]
        obstore.put(Bucket.open(store).store, location.path, part10(1, 1, 1)[:-2] + b"??")
        assert "wrong digest" in str(archive.look_at(location, lambda size: True))
        (copies,) = copies_from(Settings(heal_from=(other,)))
        offer = copies.fetch(location, tmp_path, lambda: False)
        assert offer is not None
        assert archive.heal(location, offer)
        assert not archive.damaged()
        assert archive.verify().findings == ()


def test_a_frame_of_a_large_object_costs_the_blocks_it_lies_in(store: str, tmp_path: Path) -> None:
    pixels = bytes(range(256)) * (6 * BLOCK // 256)
    with opened(tmp_path, store) as archive:
        archive.store([part10(1, 1, 1, pixels=pixels)], SCANNER)
    shutil.rmtree(tmp_path / READ_CACHE)
    with opened(tmp_path, store) as archive:
        location = archive.locate()[0]
        start = location.file_size - len(pixels)
        assert archive.read_range(location, start + 4 * BLOCK, 1000) == pixels[4 * BLOCK : 4 * BLOCK + 1000]
        cached = sum(file.stat().st_size for file in (tmp_path / READ_CACHE).rglob("*") if file.is_file())
        assert BLOCK <= cached < 2 * BLOCK
        assert archive.read(location, check=True) == part10(1, 1, 1, pixels=pixels)


def test_the_cache_keeps_to_its_budget_and_nothing_depends_on_it(store: str, tmp_path: Path) -> None:
    budget = 3 << 20
    with opened(tmp_path, store, cache_bytes=budget) as archive:
        objects = {n: part10(1, 1, n, pixels=bytes([n]) * 700_000) for n in range(1, 9)}
        for data in objects.values():
            archive.store([data], SCANNER)
        for _ in range(2):
            for location in archive.locate():
                number = int(location.key.sop_uid.rpartition(".")[2])
                assert archive.read(location) == objects[number]
                with archive.dataset(location) as ds:
                    assert len(ds.raw(0x7FE00010)) == 700_000
            files = [file for file in (tmp_path / READ_CACHE).rglob("*") if file.is_file()]
            assert sum(file.stat().st_size for file in files) <= budget
            for file in files:
                file.unlink()


def test_a_store_that_is_away_refuses_and_loses_nothing(tmp_path: Path) -> None:
    import swift

    with swift.running() as server, allowed(server):
        store = bucket_url(server)
        with opened(tmp_path, store) as archive:
            assert isinstance(keep(archive, 1, 1, 1), Stored)
            kept = archive.locate()[0]
            server.kill()
            refused = keep(archive, 1, 1, 2)
            assert isinstance(refused, Refused)
            assert refused.reason is Reason.UNREACHABLE
            with pytest.raises(Unreachable):
                archive.delete(uid(1))
            assert archive.read(kept) == part10(1, 1, 1)  # it is in the cache
            # That nobody can look at an object says nothing of it
            with pytest.raises(Unreachable):
                archive.verify(rows=False)
            with pytest.raises(Unreachable):
                archive.look_at(kept, lambda size: True)
            shutil.rmtree(tmp_path / READ_CACHE)
            with pytest.raises(Unreachable):
                archive.read(kept)
            assert not archive.damaged()
            assert not archive.read_only
            server.start()
            assert isinstance(keep(archive, 1, 1, 2), Stored)
            archive.delete(uid(1), uid(1, 1), uid(1, 1, 1))
            assert archive.verify().findings == ()
        server.kill()
        with pytest.raises(StorageError):
            opened(tmp_path, store)
        server.start()
        with opened(tmp_path / "other", store) as archive:
            assert [one.key for one in archive.locate()] == [key_of(1, 1, 2)]


@pytest.mark.parametrize(
    "url", ["s3://", "ftp://bucket", "s3://bucket?colour=red", "https://bucket.example/objects"]
)
def test_what_names_no_bucket_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises((SettingsError, StorageError)):
        opened(tmp_path, url)


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://a b"]
)
def test_an_endpoint_that_is_no_url_is_refused_in_words(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="endpoint of the object store"):
        opened(tmp_path, f"s3://bucket?endpoint={endpoint}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SettingsError, match="endpoint of the object store"):
        opened(tmp_path, "s3://bucket")


def test_who_gives_no_credentials_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    with pytest.raises(Unreachable, match="no credentials were given"):
        opened(tmp_path / "here", "s3://bucket?endpoint=http://127.0.0.1:9")


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there_is_told(store_server: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"there is no bucket for .*//nobody-made-it"):
        opened(tmp_path, store_server.url_of("nobody-made-it"))


def test_a_folder_that_says_where_its_objects_are_is_opened_there_alone(store: str, tmp_path: Path) -> None:
    with opened(tmp_path / "far", store) as archive:
        assert isinstance(keep(archive, 1, 1, 1), Stored)
    with pytest.raises(SettingsError, match="are in a bucket"):
        opened(tmp_path / "far", "")
    with pytest.raises(SettingsError, match="are in a bucket"), Places(tmp_path / "far").reading():
        raise AssertionError("nothing of it is here")
    assert not (tmp_path / "far" / "objects").exists()
    with opened(tmp_path / "here", "") as archive:
        assert isinstance(keep(archive, 1, 1, 2), Stored)
    with pytest.raises(SettingsError, match="are in it"):
        opened(tmp_path / "here", store)
    for place, url in (("far", store), ("here", "")):
        with opened(tmp_path / place, url) as archive:
            assert archive.verify().findings == ()
            assert len(archive.locate()) == 1


@pytest.mark.usefixtures("store")
def test_a_bucket_that_was_never_had_leaves_the_folder_free(
    store_server: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(Unreachable):
        opened(tmp_path, store_server.url_of("nobody-made-it"))
    with opened(tmp_path, "") as archive:
        assert isinstance(keep(archive, 1, 1, 1), Stored)


# --- whose the bucket is --------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody renews, looks and dies sooner."""
    for name, seconds in {"RENEW_S": 0.2, "_LOOK_S": 0.1, "LATE_S": 0.8, "DEAD_S": 2.0}.items():
        monkeypatch.setattr(owner, name, seconds)


@pytest.mark.usefixtures("hasty")
def test_a_bucket_that_another_folder_has_open_is_refused(store: str, tmp_path: Path) -> None:
    with opened(tmp_path / "one", store) as archive:
        with pytest.raises(StorageError, match="in use"):
            opened(tmp_path / "two", store)
        assert isinstance(keep(archive, 1, 1, 1), Stored)
    with opened(tmp_path / "two", store) as archive:
        assert len(archive.locate()) == 1


@pytest.mark.usefixtures("hasty")
def test_who_was_away_too_long_writes_no_more(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still, as a machine that sleeps; another takes the bucket; then it goes on."""
    with opened(tmp_path / "one", store) as sleeper:
        assert isinstance(keep(sleeper, 1, 1, 1), Stored)
        asleep = threading.Event()
        renew = owner.Owner._renew
        monkeypatch.setattr(owner.Owner, "_renew", lambda one: None if asleep.is_set() else renew(one))
        asleep.set()
        time.sleep(owner.LATE_S + 0.5)
        refused = keep(sleeper, 1, 1, 2)
        assert isinstance(refused, Refused)
        asleep.clear()
        monkeypatch.setattr(owner.Owner, "_renew", lambda one: None if one._id == sleeper_id else renew(one))
        sleeper_id = (tmp_path / "one" / "store.id").read_text()
        with opened(tmp_path / "two", store) as archive:
            assert isinstance(keep(archive, 1, 1, 2, comment="other"), Stored)
            assert isinstance(keep(sleeper, 1, 1, 2), Refused)
            with pytest.raises(StorageError):
                sleeper.delete(uid(1))
            assert archive.verify().findings == ()


def test_what_nodes_share_is_no_single_folder_s(store: str, postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh_url()
    opened(tmp_path / "one", store, index=url).close()
    with pytest.raises(StorageError, match="nodes"):
        opened(tmp_path / "two", store)
    with pytest.raises(StorageError, match="another archive"):
        other = postgres.fresh_url()
        opened(tmp_path / "three", bucket_beside(store), index=url).close()
        opened(tmp_path / "four", store, index=other).close()


def bucket_beside(store: str) -> str:
    """Another prefix of the same bucket."""
    return store.replace("?", "/beside?")


# --- the cache by itself -------------------------------------------------------------------------


def test_a_cache_of_another_boot_is_wiped_and_one_of_this_is_kept(tmp_path: Path) -> None:
    def made() -> ReadCache:
        return ReadCache(tmp_path, 1 << 20, lambda: 1 << 40, 0)

    cache = made()
    cache.keep("a", 0, b"bytes")
    assert made().has("a", 0)
    assert made().total_bytes == 5
    (tmp_path / "1.new").write_bytes(b"half")
    (tmp_path / "boot").write_text("another")
    assert not made().has("a", 0)
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == ["boot"]


def test_a_full_disk_lets_go_of_the_cache(tmp_path: Path) -> None:
    free = 1000
    cache = ReadCache(tmp_path, 1 << 20, lambda: free, 900)
    cache.keep("a", 0, bytes(90))
    free = 910
    cache.keep("b", WHOLE, bytes(50))
    assert not cache.has("a", 0)
    assert cache.has("b", 7)
    assert cache.total_bytes == 50


def test_what_was_named_and_is_taken_back_was_never_far(store: str, tmp_path: Path) -> None:
    """As where another node was faster; nothing is fetched, and nobody has a copy of what it was."""
    disk = Places(tmp_path, store=store).disk(0)
    assert isinstance(disk, StoreDisk)
    disk.make_folder("incoming")
    names = [(f"incoming/{n}", f"objects/{n}") for n in (1, 2)]
    for here, _ in names:
        file = disk.create(here)
        file.write([here.encode()])
        file.close()
    assert disk.rename_all(names) == [None, None]
    assert [disk.is_at_hand(there) for _, there in names] == [False, False]
    disk.rename("objects/1", "incoming/1")
    assert disk.read("incoming/1") == b"incoming/1"
    assert not disk.exists("objects/1")
    disk.keep_at_hand(["objects/1", "objects/2"])
    assert disk.is_at_hand("objects/2")
    assert not disk.exists("incoming/2")
    # what nobody confirms goes with the next
    assert disk.rename_all([("incoming/1", "objects/1")]) == [None]
    assert disk.rename_all([]) == []
    assert not disk.exists("incoming/1")
    assert disk.read("objects/1") == b"incoming/1"
    disk.close()


def test_many_threads_fetch_once(store: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with opened(tmp_path, store) as archive:
        archive.store([part10(1, 1, 1, pixels=bytes(100_000))], SCANNER)
    shutil.rmtree(tmp_path / READ_CACHE)
    disk = Places(tmp_path, store=store).disk(0)
    assert isinstance(disk, StoreDisk)
    path = object_path(key_of(1, 1, 1), 1)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda n: disk.read_at(path, n * 1000, 1000), range(64)))
    assert all(len(piece) == 1000 for piece in found)
    assert disk.cache.misses == 1
    disk.close()
