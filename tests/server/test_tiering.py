"""The server moves objects to the second store by itself, and goes on after a bucket that was away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import swift
from buckets import SMALL, allowed, bucket_url
from gantry.archive.archive import Archive
from gantry.archive.places import Places
from gantry.server import tiering as subject
from gantry.server.run import _Works
from gantry.server.tiering import MovingToTier
from gantry.settings import Settings, StoreUrl, TierRule
from serving import dataset, part10
from swift import SwiftServer

RULES = (TierRule.parse("older=0d"),)


@pytest.fixture(scope="module")
def object_store() -> Iterator[SwiftServer]:
    with swift.running() as server:
        yield server


@pytest.fixture
def archive(object_store: SwiftServer, tmp_path: Path) -> Iterator[Archive]:
    with (
        allowed(object_store),
        Places(tmp_path / "data", tier=bucket_url(object_store)).open(SMALL) as archive,
    ):
        archive.store([part10(dataset(1))])
        archive.settle()
        yield archive


def is_moved(archive: Archive) -> bool:
    assert archive.tiers is not None
    return all(archive.tiers.is_moved(location) for location in archive.locate())


@pytest.mark.peer
def test_rules_are_applied_and_what_broke_off_is_tried_again(
    archive: Archive,
    object_store: SwiftServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(subject, "FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(subject, "AGAIN_AFTER_S", 0.1)
    work = MovingToTier(archive, RULES)

    async def journey() -> None:
        running = asyncio.create_task(work.run())
        async with asyncio.timeout(120):
            while "broken off" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            object_store.start()  # not in another thread: it would end with that
            while not await asyncio.to_thread(is_moved, archive):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        work.stop()
        await running

    object_store.kill()
    asyncio.run(journey())
    assert archive.read(archive.locate()[0], check=True) == part10(dataset(1))
    assert archive.verify().findings == ()


@pytest.mark.peer
def test_a_server_with_rules_does_it_and_one_without_does_not(archive: Archive, tmp_path: Path) -> None:
    def works(settings: Settings) -> list[type]:
        return [type(work) for work in _Works(archive, settings, tmp_path, None).make(None)]

    tier = StoreUrl("s3://bucket")
    assert MovingToTier in works(Settings(tier=tier, tier_rules=RULES))
    assert MovingToTier not in works(Settings(tier=tier))
