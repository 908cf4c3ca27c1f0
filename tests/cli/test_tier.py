"""`gantry tier`: objects moved to a second store and back, and what other commands and a server make of them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

import command
import swift
from buckets import allowed, bucket_url
from cli.conftest import Gantry
from gantry.archive.archive import Archive, Options
from gantry.archive.blobs.bucket import Bucket
from gantry.archive.places import Places
from relay import relayed
from serving import ROOT, dataset, part10
from stored_objects import part10 as stored_part10
from swift import SwiftServer

INSTANCES = f"studies/{ROOT}.1/series/{ROOT}.1.1/instances"


@pytest.fixture(scope="module")
def object_store() -> Iterator[SwiftServer]:
    """A server that a test may end and start again."""
    with swift.running() as server:
        yield server


@pytest.fixture
def tier(object_store: SwiftServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A new bucket, which is set."""
    with allowed(object_store):
        url = bucket_url(object_store)
        monkeypatch.setenv("GANTRY_TIER", url)
        monkeypatch.setenv("GANTRY_RESERVE_BYTES", "0")
        yield url


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with Archive.open(tmp_path / "data", Options(reserve_bytes=0)) as archive:
        for number in (1, 2, 3):
            archive.store([part10(dataset(number))])
    return tmp_path / "data"


def files_in(data: Path) -> int:
    return sum(path.is_file() for path in (data / "objects").rglob("*.dcm"))


@pytest.mark.peer
def test_a_dry_run_tells_what_is_then_moved_and_brought_back(gantry: Gantry, data: Path, tier: str) -> None:
    size = sum(path.stat().st_size for path in (data / "objects").rglob("*.dcm"))
    told = gantry("tier", "--data", data, "--rule", "older=0d", "--dry-run", "--json")
    assert (told.code, told.json[-1]) == (
        0,
        {"objects": {"would be moved": 3}, "bytes": {"would be moved": size}},
    )
    assert files_in(data) == 3
    done = gantry("tier", "--data", data, "--rule", "older=0d", "--json")
    assert (done.code, done.json[-1]) == (0, {"objects": {"moved": 3}, "bytes": {"moved": size}})
    assert [one["sopInstanceUid"] for one in done.json[:-1]] == [
        one["sopInstanceUid"] for one in told.json[:-1]
    ]
    assert files_in(data) == 0
    assert gantry("tier", "--data", data, "--rule", "older=0d").lines == ["nothing to move"]
    assert gantry("verify", "--data", data).code == 0
    assert gantry("reindex", "--data", data).code == 0
    assert gantry("export", "all", data.parent / "out", "--data", data).code == 0
    exported = sorted(path.read_bytes() for path in (data.parent / "out").rglob("IM*.dcm"))
    assert exported == sorted(part10(dataset(number)) for number in (1, 2, 3))
    back = gantry("tier", "--data", data, "--back", f"{ROOT}.1.1.2")
    assert (back.code, back.lines) == (0, [f"1 brought back ({size // 3:,} bytes)"])
    assert files_in(data) == 1
    assert len(list(Bucket.open(tier).walk("objects"))) == 2


@pytest.mark.peer
def test_the_bucket_is_named_by_an_option_as_by_the_setting(
    gantry: Gantry, data: Path, tier: str, object_store: SwiftServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANTRY_TIER")
    assert gantry("tier", "--tier", tier, "--data", data, "--rule", "older=0d").code == 0
    assert files_in(data) == 0
    refused = gantry("verify", "--data", data)
    assert refused.code == 2
    assert "so the setting tier must name that bucket" in refused.err
    assert gantry("verify", "--data", data, "--tier", tier).code == 0
    with command.serving(
        data.parent, "--tier", tier, data=data, GANTRY_RESERVE_BYTES="0", **object_store.credentials
    ) as server:
        found = httpx.get(f"{server.web}/{INSTANCES}/{ROOT}.1.1.2/frames/1", trust_env=False, timeout=60)
        assert found.status_code == 200
    assert gantry("tier", "--tier", tier, "--data", data, "--back").code == 0
    assert files_in(data) == 3


@pytest.mark.peer
@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True], ids=["away", "back"])
def test_n04_kill_9_in_the_middle_of_moving_loses_nothing(
    back: bool, gantry: Gantry, tmp_path: Path, tier: str, object_store: SwiftServer
) -> None:
    """Killed again and again, a few requests later each time, until one move comes to its end."""
    data = tmp_path / "data"
    with Archive.open(data, Options(reserve_bytes=0)) as archive:
        sent = {number: part10(dataset(number)) for number in range(1, 21)}
        sent[21] = stored_part10(9, 1, 1, pixels=bytes(range(256)) * (10 << 12))
        for content in sent.values():
            archive.store([content])
    if back:
        assert gantry("tier", "--data", data, "--rule", "older=0d").code == 0
    words = ["--back"] if back else ["--rule", "older=0d"]
    kills = 0
    with relayed(object_store.endpoint) as relay:
        slow = tier.replace(quote(object_store.endpoint, safe=""), quote(relay.address, safe=""))
        settings = {"GANTRY_RESERVE_BYTES": "0", "GANTRY_TIER": slow, **object_store.credentials}
        for requests in itertools.count(4, 7):
            relay.requests.clear()
            process = command.start(tmp_path, "tier", "--data", data, *words, **settings)
            while len(relay.requests) < requests and process.returncode is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.005)
            process.kill()
            process.communicate()
            assert process.returncode in (0, -9)
            with Places(data, tier=tier).open(Options(reserve_bytes=0)) as archive:
                held = [archive.read(location, check=True) for location in archive.locate()]
                assert sorted(held) == sorted(sent.values())
                assert archive.verify().findings == ()
            if process.returncode == 0:
                break
            kills += 1
    assert kills > 3
    assert files_in(data) == (21 if back else 0)
    notes = 0 if back else 21
    told = gantry("tier", "--data", data, "--rule", "older=9999d", "--dry-run", "--json")
    assert told.code == 0
    assert gantry("tier", "--data", data, "--rule", "older=9999d").code == 0
    assert len(list(Bucket.open(tier).walk("objects"))) == notes
    assert len(list(Bucket.open(tier).walk("blocks"))) == notes // 21
    assert gantry("verify", "--data", data).code == 0


@pytest.mark.peer
def test_what_a_crash_left_in_the_bucket_is_told_and_then_removed(
    gantry: Gantry, data: Path, tier: str
) -> None:
    with Places(data, tier=tier).open(Options(reserve_bytes=0)) as archive:
        for location in archive.locate():
            Bucket.open(tier).put(location.path, archive.read(location))
    told = gantry("tier", "--data", data, "--rule", "older=9999d", "--dry-run", "--json")
    assert told.json[-1]["objects"] == {"would be removed from the bucket": 3}
    assert len(list(Bucket.open(tier).walk("objects"))) == 3
    done = gantry("tier", "--data", data, "--rule", "older=9999d")
    assert done.code == 0
    assert "3 removed from the bucket" in done.lines[-1]
    assert list(Bucket.open(tier).walk("objects")) == []
    Bucket.open(tier).put("objects/00/1.2/1.3/1.4.dcm", b"what nobody knows")
    unknown = gantry("tier", "--data", data, "--rule", "older=9999d")
    assert unknown.code == 1
    assert "1 kept in the bucket without a note" in unknown.lines[-1]


@pytest.mark.peer
def test_a_backup_holds_what_was_moved(gantry: Gantry, data: Path, tier: str) -> None:
    assert gantry("tier", "--data", data, "--rule", "older=0d").code == 0
    assert gantry("backup", data.parent / "backup", "--data", data).code == 0
    ended = gantry("restore", data.parent / "backup", "--data", data.parent / "new")
    assert ended.code == 0, ended.err
    assert files_in(data.parent / "new") == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--rule", "older=1d"], "there is no second store"),
        (["--back"], "there is no second store"),
    ],
)
def test_without_a_bucket_nothing_is_moved(words: list[str], told: str, gantry: Gantry, data: Path) -> None:
    ended = gantry("tier", "--data", data, *words)
    assert ended.code == 2
    assert told in ended.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "there are no rules"),
        (["1.2.3"], "UIDs go with --back"),
        (["--back", "--dry-run"], "--back goes with UIDs"),
        (["--rule", "size=3"], "'size=3' is not one of older="),
        (["--rule", "unused=long"], "unused=long is not a number of days"),
    ],
)
def test_what_contradicts_itself_is_told_in_words(
    words: list[str], told: str, gantry: Gantry, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANTRY_TIER", "s3://bucket")
    ended = gantry("tier", "--data", data, *words)
    assert ended.code == 2
    assert told in ended.err


@pytest.mark.peer
def test_a_server_refuses_what_is_in_a_bucket_that_is_away_and_nothing_else(
    gantry: Gantry, data: Path, tier: str, object_store: SwiftServer
) -> None:
    assert gantry("tier", "--data", data, "--rule", "older=0d").code == 0
    assert gantry("tier", "--data", data, "--back", f"{ROOT}.1.1.2").code == 0
    settings = {"GANTRY_TIER": tier, "GANTRY_RESERVE_BYTES": "0", "GANTRY_TIER_RULES": "older=3650d"}
    with (
        command.serving(data.parent, data=data, **settings, **object_store.credentials) as server,
        httpx.Client(base_url=f"{server.web}/", timeout=60, trust_env=False) as http,
    ):
        assert http.get(f"{INSTANCES}/{ROOT}.1.1.1/frames/1").status_code == 200
        assert len(http.get(INSTANCES).json()) == 3
        object_store.kill()
        try:
            assert http.get(f"{INSTANCES}/{ROOT}.1.1.2/frames/1").status_code == 200
            assert http.get(f"{INSTANCES}/{ROOT}.1.1.3/frames/1").status_code == 503
            assert http.get(f"{INSTANCES}/{ROOT}.1.1.3").status_code == 503
            assert len(http.get(INSTANCES).json()) == 3
            health = http.get(f"http://{server.http}/api/health").json()
            assert health["damaged"] == 0
        finally:
            object_store.start()
        assert http.get(f"{INSTANCES}/{ROOT}.1.1.3/frames/1").status_code == 200
        assert http.get(f"{INSTANCES}/{ROOT}.1.1.3").status_code == 200
