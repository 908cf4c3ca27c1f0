"""The server applies the rules for compressing by itself: to what comes in, and to all there is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from gantry.archive.archive import Archive, Options
from gantry.archive.index import VersionRow
from gantry.pixels.codecs.registry import NAMES
from gantry.server import compressing as subject
from gantry.server.compressing import Compressing
from gantry.settings import CompressRule
from gantry.toolkit.compress import checked_rules
from image_values import image_object
from serving import ROOT

RULES = checked_rules((CompressRule.parse("to=htj2k-lossless modality=CT originals=let-go"),))


def smooth(number: int) -> bytes:
    rows = np.add.outer(np.arange(96), np.arange(96)).astype(np.uint16) * 7 % 4096
    return image_object(rows[None], Modality="CT", SOPInstanceUID=f"{ROOT}.1.1.{number}")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "data", Options(reserve_bytes=0)) as archive:
        yield archive


@pytest.fixture
def work(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compressing:
    monkeypatch.setattr(subject, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(subject, "NICENESS", 0)  # tests beside it would leave it next to nothing
    return Compressing(archive, RULES, tmp_path / "data" / "cache")


def syntaxes(archive: Archive) -> list[str]:
    return [location.transfer_syntax_uid for location in archive.locate()]


def test_what_arrives_is_compressed_and_nothing_else(archive: Archive, work: Compressing) -> None:
    archive.store([smooth(1)])

    async def journey() -> None:
        running = asyncio.create_task(work.run())
        while not work.seen:  # it looks at what comes from now on  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.to_thread(archive.store, [smooth(2)])
        async with asyncio.timeout(60):
            while NAMES["htj2k-lossless"] not in await asyncio.to_thread(syntaxes, archive):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        work.stop()
        await running

    asyncio.run(journey())
    assert syntaxes(archive) == [NAMES["explicit"], NAMES["htj2k-lossless"]]
    versions = archive.versions(archive.locate()[1].key)
    assert archive.read(versions[0].location) == smooth(2)  # type: ignore[arg-type]  # its original is there
    assert archive.verify().is_clean


def test_a_fault_does_not_end_the_work(
    archive: Archive, work: Compressing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was passed over then is found when all that is kept is gone through."""
    archive.store([smooth(1)])
    kept = archive.index.all_versions
    asked = 0

    def all_versions() -> Iterator[VersionRow]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise RuntimeError("a fault")
        return kept()

    monkeypatch.setattr(archive.index, "all_versions", all_versions)
    monkeypatch.setattr(subject, "FIRST_ALL_AFTER_S", 0.0)
    monkeypatch.setattr(subject, "ALL_EVERY_S", 0.0)

    async def journey() -> None:
        running = asyncio.create_task(work.run())
        async with asyncio.timeout(60):
            while NAMES["htj2k-lossless"] not in await asyncio.to_thread(syntaxes, archive):
                assert not running.done()
                await asyncio.sleep(0.05)
        work.stop()
        await running

    asyncio.run(journey())
    assert "compressing failed, and goes on" in caplog.text


def test_originals_are_let_go_when_an_hour_has_passed(
    archive: Archive, work: Compressing, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.store([smooth(1)])
    assert work.apply().counts == {"compressed": 1}
    assert work.apply().counts == {}
    monkeypatch.setattr(subject, "LET_GO_AFTER", timedelta(0))
    assert work.apply().counts == {"let go": 1}
    (location,) = archive.locate()
    assert archive.versions(location.key)[0].location.made_from == 2  # type: ignore[union-attr]
    assert archive.verify().is_clean


def test_a_server_that_stops_begins_nothing_more(archive: Archive, work: Compressing) -> None:
    archive.store([smooth(1)])
    work.stop()
    assert work.apply().counts == {}
    asyncio.run(work.run())
    assert syntaxes(archive) == [NAMES["explicit"]]


def test_only_what_has_come_to_rest_is_looked_at(
    archive: Archive, work: Compressing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "LOOK_EVERY_S", 60.0)
    archive.store([smooth(1)])
    assert list(work.arrivals()) == []
    monkeypatch.setattr(subject, "LOOK_EVERY_S", 0.0)
    assert [row.number for row in work.arrivals()] == [1]
    assert list(work.arrivals()) == []
