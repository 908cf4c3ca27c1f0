"""The scrub's clockwork and its sources: rounds, a clock that jumps, peers that send too much or nothing."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from gantry.archive.archive import Archive
from gantry.archive.records import Location
from gantry.client.connection import Peer
from gantry.errors import ConnectError
from gantry.server.copies import BackupCopies, Copies, PeerCopies, WebCopies, copies_from
from gantry.server.scrubbing import STATE_FILE, Scrubbing, ScrubState
from gantry.settings import Address, RemoteAe, Settings
from gantry_process import wait_until
from serving import ROOT, dataset, part10, served
from stored_objects import SMALL
from web_serving import web_served


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(tmp_path / "data", SMALL) as archive:
        for n in range(1, 4):
            archive.store([part10(dataset(n))])
        archive.settle()
        yield archive


def never() -> bool:
    return False


@contextmanager
def scrubbing(archive: Archive, folder: Path, every_s: float) -> Iterator[Scrubbing]:
    """A scrub at work in a thread."""
    scrub = Scrubbing(archive, 1 << 30, every_s, (), folder)
    thread = threading.Thread(target=scrub._work)
    thread.start()
    try:
        yield scrub
    finally:
        scrub.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_rounds_follow_one_another(archive: Archive, tmp_path: Path) -> None:
    with scrubbing(archive, tmp_path, 0.01) as scrub:
        wait_until(lambda: scrub.state.rounds >= 3)
    kept = msgspec.json.decode((tmp_path / STATE_FILE).read_bytes(), type=ScrubState)
    assert kept.rounds >= 3
    assert kept.objects <= 3


@pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
def test_n20_a_clock_that_was_set_holds_no_round_up(archive: Archive, tmp_path: Path, days: int) -> None:
    then = datetime.now(UTC) + timedelta(days=days)
    state = ScrubState(then, 0, then + timedelta(seconds=1), 5, 3, 1000)
    (tmp_path / STATE_FILE).write_bytes(msgspec.json.encode(state))
    with scrubbing(archive, tmp_path, 0.05) as scrub:
        wait_until(lambda: scrub.state.rounds >= 7)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"began": "yesterday"}', b"\xff"])
def test_a_place_that_cannot_be_read_begins_a_round(archive: Archive, tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE_FILE).write_bytes(content)
    with scrubbing(archive, tmp_path, 3600) as scrub:
        wait_until(lambda: scrub.state.rounds == 1)
        assert scrub.report()["objects"] == 3


def test_a_place_past_the_end_ends_the_round(archive: Archive, tmp_path: Path) -> None:
    """As after an index was made anew without what was lost."""
    (tmp_path / STATE_FILE).write_bytes(msgspec.json.encode(ScrubState(datetime.now(UTC), 1 << 40)))
    with scrubbing(archive, tmp_path, 0.01) as scrub:
        wait_until(lambda: scrub.state.rounds >= 2 and scrub.state.objects == 3)


def test_the_rate_is_kept(archive: Archive, tmp_path: Path) -> None:
    waits: list[float] = []
    scrub = Scrubbing(archive, 100_000, 3600, (), tmp_path)
    scrub._stop.wait = lambda timeout=None: bool(waits.append(timeout or 0))  # type: ignore[method-assign]
    for size in (50_000, 300, 300, 400, 99_000, -5):
        assert scrub._paced(size)
    assert waits == pytest.approx([0.5, 0.01, 0.99])


# --- sources -------------------------------------------------------------------------------------------


def location_of(archive: Archive, number: int) -> Location:
    (location,) = archive.locate(sop_uid=f"{ROOT}.1.1.{number}")
    return location


def test_sources_are_read_from_the_settings_in_their_order() -> None:
    settings = Settings(
        peers=(RemoteAe("EAST", Address("192.0.2.1", 104)),),
        heal_from=("/mnt/backup", "https://pacs.example/dicom-web", "WEST@192.0.2.2:105", "EAST"),
        aet="HERE",
    )
    assert copies_from(settings) == (
        BackupCopies(Path("/mnt/backup")),
        WebCopies("https://pacs.example/dicom-web"),
        PeerCopies(Peer("192.0.2.2", 105, "WEST"), "HERE"),
        PeerCopies(Peer("192.0.2.1", 104, "EAST"), "HERE"),
    )


@pytest.mark.parametrize("way", ["DICOMweb", "DIMSE"])
def test_what_a_peer_sends_is_no_longer_than_the_object(archive: Archive, tmp_path: Path, way: str) -> None:
    """The peer has a whole copy of the first, a large object as the second, and no third."""
    files = [part10(dataset(1)), part10(dataset(2, size=2 << 20))]
    copies: Copies
    with web_served(tmp_path / "web") as web, served(tmp_path / "dimse") as dimse:
        for file in files:
            assert web.store(file).status_code == 200
            dimse.archive.store([file])
        if way == "DICOMweb":
            copies = WebCopies(f"http://127.0.0.1:{web.port}/dicom-web")
        else:
            copies = PeerCopies(Peer("127.0.0.1", dimse.port, "GANTRY"), "HERE")
        found = copies.fetch(location_of(archive, 1), tmp_path, never)
        assert found is not None
        assert archive.heal(location_of(archive, 1), found)
        assert copies.fetch(location_of(archive, 2), tmp_path, never) is None
        assert (tmp_path / "offer").stat().st_size < 256 << 10
        assert copies.fetch(location_of(archive, 3), tmp_path, never) is None


@pytest.mark.parametrize("way", ["DICOMweb", "DIMSE"])
def test_a_peer_that_says_nothing_does_not_keep_the_server_from_ending(
    archive: Archive, tmp_path: Path, way: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        copies: Copies = (
            WebCopies(f"http://127.0.0.1:{port}/dicom-web")
            if way == "DICOMweb"
            else PeerCopies(Peer("127.0.0.1", port, "GANTRY"), "HERE")
        )
        asked = iter([False, False, True, True, True, True, True, True])
        with pytest.raises(ConnectError, match="being stopped"):
            copies.fetch(location_of(archive, 1), tmp_path, lambda: next(asked))


def test_a_backup_that_is_not_there_has_nothing(archive: Archive, tmp_path: Path) -> None:
    assert BackupCopies(tmp_path / "none").fetch(location_of(archive, 1), tmp_path, never) is None


def test_a_server_loads_no_web_client_until_it_asks_for_a_copy() -> None:
    probe = "import sys; import gantry.server.run; sys.exit('httpx' in sys.modules)"
    subprocess.run([sys.executable, "-c", probe], check=True)
