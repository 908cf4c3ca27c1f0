"""Series metadata: made once, kept compressed, never older than the series."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gantry.archive.bundle import FOLDER, Bundle
from gantry.archive.records import InstanceKey
from gantry.errors import NotFound
from stored_objects import Simulation, part10, simulated, uid


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    with simulated() as simulation:
        for instance in (1, 2, 3):
            simulation.store(part10(1, 1, instance, pixels=b"abcd"))
        yield simulation


def bulk_uri(key: InstanceKey, path: str) -> str:
    return f"instances/{key.sop_uid}/bulkdata/{path}"


def bundle(simulation: Simulation) -> Bundle:
    return simulation.archive.series_metadata(uid(1), uid(1, 1), bulk_uri)


def content(one: Bundle) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(one.packed))
    return found


def maps(simulation: Simulation) -> int:
    return sum(call.startswith("map objects/") for call in simulation.disk.log)


def kept(simulation: Simulation) -> list[str]:
    return [name for name in simulation.disk.file_names() if name.startswith(FOLDER)]


def test_it_holds_all_attributes_of_all_instances(simulation: Simulation) -> None:
    models = content(bundle(simulation))
    assert [m["00080018"]["Value"] for m in models] == [[uid(1, 1, n)] for n in (1, 2, 3)]
    assert models[0]["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane"}]
    assert models[0]["7FE00010"]["BulkDataURI"] == f"instances/{uid(1, 1, 1)}/bulkdata/7FE00010"


def test_it_is_made_once_also_for_the_next_run(simulation: Simulation) -> None:
    first = bundle(simulation)
    read = maps(simulation)
    assert bundle(simulation) is first
    simulation.restart()
    assert bundle(simulation) == first
    assert maps(simulation) == read
    assert len(kept(simulation)) == 1


def test_it_changes_with_the_series_and_with_nothing_else(simulation: Simulation) -> None:
    first = bundle(simulation)
    simulation.store(part10(2))
    assert bundle(simulation) is first
    simulation.store(part10(1, 1, 4))
    second = bundle(simulation)
    assert second.tag != first.tag
    assert len(content(second)) == 4
    simulation.archive.delete(uid(1), uid(1, 1), uid(1, 1, 4))
    assert bundle(simulation) == first
    simulation.store(part10(1, 1, 1, comment="other"))
    assert content(bundle(simulation))[0]["00204000"]["Value"] == ["other"]
    assert len(kept(simulation)) == 1


def test_each_form_has_its_own(simulation: Simulation) -> None:
    plain = bundle(simulation)
    other = simulation.archive.series_metadata(uid(1), uid(1, 1), lambda _, path: f"x:{path}", "x")
    assert other.tag != plain.tag
    assert content(other)[0]["7FE00010"]["BulkDataURI"] == "x:7FE00010"
    assert len(kept(simulation)) == 2


def test_a_series_that_is_not_there_is_not_found(simulation: Simulation) -> None:
    with pytest.raises(NotFound):
        simulation.archive.series_metadata(uid(1), uid(9), bulk_uri)
    simulation.archive.delete(uid(1))
    with pytest.raises(NotFound):
        bundle(simulation)


def test_a_damaged_object_is_left_out_and_not_remembered(simulation: Simulation) -> None:
    location = simulation.archive.locate()[1]
    simulation.disk.flip_bit(location.path, 8 * location.file_size - 1)
    simulation.archive.verify(rows=False)
    assert len(content(bundle(simulation))) == 2
    assert kept(simulation) == []


def test_a_cache_that_cannot_be_written_only_costs_time() -> None:
    with simulated() as rehearsal:
        rehearsal.store(part10())
        before = len(rehearsal.disk.log)
        bundle(rehearsal)
        calls = rehearsal.disk.log[before:]
    writing = [n for n, call in enumerate(calls, 1) if not call.startswith("map objects/")]
    assert len(writing) >= 5
    for k in writing:
        with simulated() as simulation:
            simulation.store(part10())
            simulation.disk.fail(k)
            assert len(content(bundle(simulation))) == 1
            simulation.disk.heal()
            simulation.restart()
            assert len(content(bundle(simulation))) == 1


def test_the_oldest_bundles_go_when_there_are_too_many(simulation: Simulation) -> None:
    for series in (1, 2, 3):
        simulation.store(part10(1, series, 1))
        simulation.archive.series_metadata(uid(1), uid(1, series), bulk_uri)
    bundles = simulation.archive._bundles
    newest = max(kept(simulation), key=lambda name: simulation.disk.stat(name).modified_ns)
    bundles.tidy(limit_bytes=simulation.disk.stat(newest).size)
    assert kept(simulation) == [newest]


def test_series_are_told_when_they_have_become_quiet(simulation: Simulation) -> None:
    archive = simulation.archive
    assert archive.quiet_series(2) == []
    simulation.clock.advance(3)
    assert archive.quiet_series(2) == [(uid(1), uid(1, 1))]
    assert archive.quiet_series(2) == []


def test_series_wait_to_be_prepared_while_others_arrive_but_not_for_ever(simulation: Simulation) -> None:
    archive = simulation.archive
    simulation.clock.advance(3)
    simulation.store(part10(2))
    assert archive.quiet_series(2) == []
    for study in range(3, 33):
        simulation.clock.advance(1.5)
        simulation.store(part10(study))
    told = archive.quiet_series(2)
    assert (uid(1), uid(1, 1)) in told and (uid(2), uid(2, 1)) in told
    assert (uid(32), uid(32, 1)) not in told
    simulation.clock.advance(3)
    assert (uid(32), uid(32, 1)) in archive.quiet_series(2)
