"""Rot in a server that works: found within a round, served to nobody, healed from where a whole copy is (N14)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gantry.client import sync
from gantry.client.connection import Options
from gantry.client.sinks import MemorySink
from gantry.dimse.negotiation import ProposedContext
from gantry.standard.query_keys import Level
from gantry_process import Gantry, gantry, running, wait_until
from serving import CT, ROOT, dataset, dataset_bytes, part10
from web_serving import STORE_TYPE, related

pytestmark = pytest.mark.slow

FAST = {"scrub_bytes_per_s": 1_000_000_000, "scrub_every_s": 0.2, "reserve_bytes": 0}
EXPLICIT = "1.2.840.10008.1.2.1"
SERIES = f"/dicom-web/studies/{ROOT}.1/series/{ROOT}.1.1"
INSTANCE = f"{SERIES}/instances/{ROOT}.1.1.2"


def objects() -> list[bytes]:
    return [part10(dataset(n, size=64 << 10)) for n in range(1, 6)]


def store(server: Gantry, files: list[bytes]) -> None:
    answer = httpx.post(
        f"{server.web}/studies", content=related(files), headers={"content-type": STORE_TYPE}, timeout=60
    )
    assert answer.status_code == 200, answer.text


def file_of(server: Gantry, number: int = 2) -> Path:
    wait_until(lambda: server.stats()["instances"] >= 5)
    [found] = (server.data / "objects").rglob(f"{ROOT}.1.1.{number}.dcm")
    return found


def flip_a_bit(path: Path) -> bytes:
    """Rot within the pixels, in place; the bytes as they are then."""
    content = bytearray(path.read_bytes())
    content[-1000] ^= 4
    with path.open("r+b") as file:
        file.write(content)
    return bytes(content)


def damaged(server: Gantry) -> list[dict[str, str]]:
    with server.client() as http:
        # The scrub goes on between two questions: only where it has found nothing new must they agree.
        before = http.get("/api/health").json()["damaged"]
        answer = http.get("/api/damaged").raise_for_status().json()
        if http.get("/api/health").json()["damaged"] == before:
            assert answer["count"] == before
        assert answer["count"] == len(answer["damaged"])
        return list(answer["damaged"])


def got(server: Gantry, number: int) -> tuple[list[bytes], int]:
    """What C-GET brings of an instance, and how many sub-operations failed."""
    sink = MemorySink()
    keys = {
        "StudyInstanceUID": f"{ROOT}.1",
        "SeriesInstanceUID": f"{ROOT}.1.1",
        "SOPInstanceUID": f"{ROOT}.1.1.{number}",
    }
    done = sync.get(server.peer, Level.IMAGE, keys, sink, storage=[ProposedContext(CT, (EXPLICIT,))])
    return [dataset_bytes(file) for file in sink.files], done.failed


def ask_in_every_way(server: Gantry, expected: dict[str, int]) -> dict[str, bytes]:
    """The bodies of all ways to read the instance; each must have the status that is expected of it."""
    bodies = {}
    with server.client() as http:
        for path, accept in WAYS.items():
            answer = http.get(path, headers={"accept": accept})
            assert answer.status_code == expected.get(path, expected["*"]), (path, answer.status_code)
            bodies[path] = answer.content.replace(b":%d/" % server.http, b"/")  # in URIs of bulk data
    return bodies


WAYS = {
    INSTANCE: "application/dicom; transfer-syntax=*",
    f"{INSTANCE}/metadata": "application/dicom+json",
    f"{INSTANCE}/frames/1": "application/octet-stream",
    f"{INSTANCE}/frames/1/rendered": "image/png",
    f"{INSTANCE}/rendered": "image/jpeg",
    f"{INSTANCE}/thumbnail": "image/jpeg",
    f"{INSTANCE}/bulkdata/7FE00010": "application/octet-stream",
    f"{INSTANCE}/pixeldata": 'multipart/related; type="application/octet-stream"',
    f"/wado?requestType=WADO&studyUID={ROOT}.1&seriesUID={ROOT}.1.1&objectUID={ROOT}.1.1.2": "application/dicom",
}


def assert_nobody_is_served(server: Gantry, rotten: bytes) -> None:
    for body in ask_in_every_way(server, {"*": 410}).values():
        assert rotten[-2000:-100] not in body
    files, failed = got(server, 2)
    assert (files, failed) == ([], 1)
    with server.client() as http:
        # The others of its series go on as ever, with a word that one is missing
        parts = http.get(SERIES, headers={"accept": 'multipart/related; type="application/dicom"'})
        assert parts.status_code == 206
        assert rotten[-2000:-100] not in parts.content
        assert parts.content.count(b"DICM") == 4
        assert len(http.get(f"{SERIES}/metadata").json()) == 4
    assert got(server, 3) == ([dataset_bytes(objects()[2])], 0)


def assert_whole_again(server: Gantry, path: Path, rotten: bytes, first: dict[str, bytes]) -> None:
    assert damaged(server) == []
    assert path.read_bytes() == objects()[1]
    now = ask_in_every_way(server, {"*": 200})
    for way, body in first.items():
        if "pixeldata" not in way:  # its boundary is another each time
            assert now[way] == body, way
    assert got(server, 2) == ([dataset_bytes(objects()[1])], 0)
    aside = [file for file in (server.data / "lost-found").iterdir() if file.is_file()]
    assert [file.read_bytes() for file in aside] == [rotten]


@contextmanager
def filled(data: Path, **settings: Any) -> Iterator[tuple[Gantry, dict[str, bytes]]]:
    """A server with five objects, and what it answers of one of them while that is whole."""
    with running(data, **{**FAST, **settings}) as server:
        store(server, objects())
        yield server, ask_in_every_way(server, {"*": 200})


def test_n14_a_flipped_bit_is_found_and_served_to_nobody_and_a_backup_heals_it(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    with filled(tmp_path / "data") as (server, first):
        path = file_of(server)
        assert gantry("backup", backup, "--data", server.data).returncode == 0
        rotten = flip_a_bit(path)
        wait_until(lambda: len(damaged(server)) == 1)
        [entry] = damaged(server)
        assert server.data / entry["path"] == path
        assert "digest" in entry["reason"]
        assert "is damaged" in server.words
        assert_nobody_is_served(server, rotten)
    with running(tmp_path / "data", **{**FAST, "scrub_bytes_per_s": 0}, heal_from=backup) as server:
        assert_nobody_is_served(server, rotten)  # without a scrub as well
        with server.client() as http:
            assert "scrub" not in http.get("/api/health").json()
    with running(tmp_path / "data", **FAST, heal_from=backup) as server:
        wait_until(lambda: f"taken from the backup in {backup}" in server.words)
        assert_whole_again(server, path, rotten, first)
        # And again, with nobody starting anything
        path = file_of(server, 4)
        flip_a_bit(path)
        wait_until(lambda: server.words.count("taken from the backup") == 2)
        assert path.read_bytes() == objects()[3]
        assert damaged(server) == []
    assert gantry("verify", "--data", tmp_path / "data").returncode == 0


@pytest.mark.parametrize("way", ["DICOMweb", "DIMSE"])
def test_n14_a_flipped_bit_is_healed_from_another_server(tmp_path: Path, way: str) -> None:
    with running(tmp_path / "other", aet="OTHER", reserve_bytes=0) as other:
        if way == "DIMSE":  # which writes another File Meta Information than came over the web
            sync.store(other.peer, objects(), options=Options())
        else:
            store(other, objects())
        # The first does not exist, and must not keep the second from being asked
        place = other.web if way == "DICOMweb" else f"OTHER@127.0.0.1:{other.dicom}"
        nobody = "http://127.0.0.1:9/dicom-web"
        with filled(tmp_path / "data", heal_from=f"{nobody},{place}") as (server, first):
            path = file_of(server)
            rotten = flip_a_bit(path)
            wait_until(lambda: "was taken from" in server.words)
            assert_whole_again(server, path, rotten, first)
            assert f"could not be taken from {nobody}" in server.words
    assert gantry("verify", "--data", tmp_path / "data").returncode == 0


def test_n14_a_peer_that_has_other_bytes_is_not_believed(tmp_path: Path) -> None:
    with running(tmp_path / "other", reserve_bytes=0) as other:
        others = objects()
        others[1] = part10(dataset(2, size=64 << 10, PatientName="Somebody^Else"))
        store(other, others)
        with filled(tmp_path / "data", heal_from=other.web) as (server, _):
            path = file_of(server)
            rotten = flip_a_bit(path)
            wait_until(lambda: f"{other.web} has no whole copy" in server.words)
            assert path.read_bytes() == rotten
            assert_nobody_is_served(server, rotten)


def test_the_scrub_goes_on_where_it_was(tmp_path: Path) -> None:
    slow = {**FAST, "scrub_bytes_per_s": 64 << 10, "scrub_every_s": 3600}

    def report(server: Gantry) -> dict[str, Any]:
        with server.client() as http:
            return dict(http.get("/api/health").json()["scrub"])

    with running(tmp_path / "data", **{**FAST, "scrub_bytes_per_s": 0}) as server:
        store(server, objects())
    with running(tmp_path / "data", **slow) as server:  # an object a second
        wait_until(lambda: report(server)["objects"] >= 2)
        began = report(server)["began"]
    with running(tmp_path / "data", **slow) as server:
        wait_until(lambda: report(server)["rounds"] == 1)
        ended = report(server)
        assert ended["began"] == began
        assert ended["objects"] == 5  # each once, in the one run or the other
        assert ended["size_bytes"] == sum(map(len, objects()))
    with running(tmp_path / "data", **slow) as server:  # the round is over, and the next is not due
        assert report(server) == ended
