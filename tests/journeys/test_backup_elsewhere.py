"""Backups of a server whose index is in PostgreSQL, or whose objects are in a bucket, and back again (N19)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from buckets import allowed, bucket_url
from gantry.archive.archive import Archive, Options
from gantry.archive.places import Places
from gantry_process import Gantry, gantry, running
from journeys.test_backup import back_up, send
from postgres import PostgresServer
from senders import digest, listed, lost
from serving import ROOT, dataset, part10
from swift import running as swift_running

pytestmark = [pytest.mark.peer, pytest.mark.slow]

Where = dict[str, str]
"""The settings `index` and `store`, as far as an archive has any."""
NewPlace = Callable[[], Where]

EDITED, DELETED = 1, 2
BATCHES, BATCH = 8, 5


@contextmanager
def schemas() -> Iterator[NewPlace]:
    """Index in PostgreSQL, objects in the folder."""
    server = PostgresServer()
    try:
        yield lambda: {"index": server.fresh_url()}
    finally:
        server.stop()


@contextmanager
def buckets() -> Iterator[NewPlace]:
    """Objects in a bucket, index in the folder."""
    with swift_running() as server, allowed(server):
        yield lambda: {"store": bucket_url(server)}


@dataclass
class Sender(threading.Thread):
    """Sends studies by STOW-RS until the last, or until it is told to end; what is `acknowledged` by now."""

    web: str
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    some: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        for study in range(1, BATCHES + 1):
            size = (2 << 20) if study == BATCHES else 4096
            objects = {
                f"{ROOT}.{study}.1.{n}": part10(dataset(n, study=study, size=size if n == 1 else 4096))
                for n in range(1, BATCH + 1)
            }
            send(self.web, list(objects.values()))
            self.acknowledged |= {uid: digest(content) for uid, content in objects.items()}
            if study == DELETED:
                self.some.set()


def words(where: Where) -> list[str]:
    """The settings as options of a command."""
    return [word for name, value in where.items() for word in (f"--{name}", value)]


def dump(data: Path, where: Where) -> list[dict[str, Any]]:
    place = Places(data, index=where.get("index", ""), store=where.get("store", ""))
    with place.open(Options(reserve_bytes=0)) as archive:
        return list(archive.index.canonical_dump())


def change_something(server: Gantry) -> None:
    """An edit and a delete, so that there are acts, further versions and hidden ones."""
    asked = {
        "kind": "modify", "target": {"study": f"{ROOT}.{EDITED}"}, "why": "a wrong label",
        "changes": {"PatientName": "Roe^Richard"},
    }  # fmt: skip
    with server.client() as http:
        assert http.post("/api/edits", json=asked).status_code == 201
        assert http.delete(f"/dicom-web/studies/{ROOT}.{DELETED}").is_success


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("places", "workers"), [(schemas, 2), (buckets, 1)])
def test_n19_a_backup_taken_under_load_restores_to_another_place_of_its_kind(
    places: Callable[[], Any], workers: int, tmp_path: Path
) -> None:
    with places() as new_place:
        first, then, target = new_place(), new_place(), tmp_path / "backup"
        with running(tmp_path / "data", **first, workers=workers, reserve_bytes=0) as server:
            sender = Sender(server.web)
            sender.start()
            assert sender.some.wait(60)
            early = dict(sender.acknowledged)
            point = back_up(server.data, target, *words(first))
            sender.join()
            change_something(server)
            back_up(server.data, target, *words(first))
            now_listed = listed(server)
        assert len(now_listed) == (BATCHES - 1) * BATCH
        whole = dump(tmp_path / "data", first)

        again = tmp_path / "again"
        done = gantry("restore", target, "--data", again, *words(then))
        assert done.returncode == 0, done.stderr
        assert dump(again, then) == whole
        with running(again, **then, reserve_bytes=0) as server:
            assert listed(server) == now_listed
            changed = {f"{ROOT}.{EDITED}.1", f"{ROOT}.{DELETED}.1"}
            untouched = {
                uid: it for uid, it in sender.acknowledged.items() if uid.rpartition(".")[0] not in changed
            }
            assert len(untouched) == (BATCHES - 2) * BATCH
            assert lost(server, untouched) == []
            with server.client() as http:
                found = http.get(f"/dicom-web/studies?StudyInstanceUID={ROOT}.{EDITED}").json()
            assert found[0]["00100010"]["Value"][0]["Alphabetic"] == "Roe^Richard"

        # The earlier point, to a folder with its index
        folder = tmp_path / "early"
        done = gantry("restore", target, "--data", folder, "--point", str(point["point"]))
        assert done.returncode == 0, done.stderr
        with Archive.open(folder) as archive:
            restored = {location.key.sop_uid: location for location in archive.locate()}
            assert len(restored) == point["objects"]
            assert {uid: restored[uid].dataset_sha256 for uid in early} == early
            assert archive.verify().is_clean
        # Nothing is restored over an archive that is there
        done = gantry("restore", target, "--data", tmp_path / "new", *words(first))
        assert done.returncode != 0
        assert dump(tmp_path / "data", first) == whole
