"""A real server under several senders on disks that fail: each answer is true, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import re
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from disks import a_disk, failing_disk, mounted, small_disk, stopped
from gantry.client import sync
from gantry.client.objects import outgoing_bytes
from gantry_process import Gantry, gantry, running, wait_until
from senders import Site, assert_sound, assert_sound_after_a_cut, digest, listed, lost, path_of, sending
from serving import dataset, dataset_bytes, part10, series
from web_serving import STORE_TYPE, related

pytestmark = pytest.mark.slow

KILLS = 2
SOAK_S = float(os.environ.get("GANTRY_SOAK_S", 1800))
MB = 1 << 20
REFUSALS = ("A700", "0110", "500", "507", "202")
"""Failures that a disk is behind: out of resources, processing failure; the same in HTTP, where some were stored."""


def check_refusals(site: Site) -> None:
    assert [told for told in site.ledger.failures if not told.startswith(REFUSALS)] == []


def check_is_alive(server: Gantry) -> None:
    assert server.process.poll() is None, server.words[-2000:]
    assert sync.echo(server.peer) == 0
    with server.client() as http:
        assert http.get("/api/health").status_code in (200, 503)


def test_n05_n06_a_device_that_writes_no_more_is_told_to_every_sender(tmp_path: Path) -> None:
    """EIO of a real block device: all is refused from then on, reads and process go on, a repair loses nothing."""
    with failing_disk() as disk:
        data = disk.mount / "data"
        with Site(data) as site:
            with sending(site, associations=4):
                site.wait_for_acknowledged(60)
                before = site.ledger.snapshot()
                disk.fail("write")
                site.wait_for_refusals(20)
            check_refusals(site)
            check_is_alive(site.server)
            # What the log alone holds cannot be given its file now
            seen = listed(site.server)
            assert seen
            assert lost(site.server, {uid: data for uid, data in before.items() if uid in seen}) == []
            disk.heal()
            site.server.stop()
        disk.repair()
        with running(data, reserve_bytes=0, find_limit=1_000_000) as server:
            assert lost(server, site.ledger.acknowledged) == []
            assert [result.status for result in sync.store(server.peer, [part10(dataset(1))])] == [0]
        assert_sound_after_a_cut(data, site.ledger)


def test_n05_a_device_that_reads_no_more_gives_nothing_wrong_and_comes_back(tmp_path: Path) -> None:
    files = {outgoing_bytes(file).sop_instance_uid: file for file in series(12, size=256 << 10)}
    with failing_disk() as disk, running(disk.mount / "data", reserve_bytes=0) as server:
        assert [result.status for result in sync.store(server.peer, files.values())] == [0] * len(files)
        assert read(server, files) == [200] * len(files)
        disk.forget_cached(*(disk.mount / "data" / "objects").rglob("*.dcm"))
        disk.fail("read")
        statuses = read(server, files)
        assert min(statuses) >= 500, statuses
        check_is_alive(server)
        disk.heal()
        assert read(server, files) == [200] * len(files)
        assert server.stats()["instances"] == len(files)
        assert server.stop() == 0
        assert_sound(disk.mount / "data")


def read(server: Gantry, files: dict[str, bytes]) -> list[int]:
    """How WADO-RS answers for each; what is given must be whole and right."""
    statuses = []
    with server.client() as http:
        for uid, file in files.items():
            try:
                answer = http.get(path_of(uid), headers={"accept": "application/dicom; transfer-syntax=*"})
            except httpx.RemoteProtocolError:  # cut in the middle of the body, as all that is left to say
                statuses.append(599)
                continue
            assert answer.status_code >= 500 or digest(answer.content) == digest(file)
            statuses.append(answer.status_code)
    return statuses


# Full, and killed


def test_n07_n04_a_disk_that_fills_under_eight_senders_and_a_server_killed_on_it(tmp_path: Path) -> None:
    fill_and_kill(tmp_path, random.Random(7), KILLS)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 3600)
def test_n07_n04_a_disk_that_fills_for_half_an_hour(tmp_path: Path) -> None:
    end = time.monotonic() + SOAK_S
    while time.monotonic() < end:
        (folder := tmp_path / str(time.monotonic_ns())).mkdir()
        fill_and_kill(folder, random.Random(time.time_ns()), 4 * KILLS)


def fill_and_kill(tmp_path: Path, chance: random.Random, kills: int) -> None:
    """Senders fill a disk; a server killed there starts again, gives out what it took, and takes more with room."""
    *ballast, last = (tmp_path / "disk" / f"ballast{n}" for n in range(kills + 1))
    with small_disk(tmp_path / "disk", f"size={(32 + 24 * (kills + 1)) * MB}") as disk:
        for file in (*ballast, last):
            file.write_bytes(bytes(20 * MB))
        with Site(disk / "data", reserve_bytes=4 * MB) as site:
            with sending(site, associations=8):
                for file in ballast:
                    site.wait_for_refusals(chance.randint(10, 60))
                    acknowledged = site.ledger.snapshot()
                    site.server.kill()
                    assert site.restart().seconds_to_ready < 10
                    assert not set(acknowledged) - listed(site.server)
                    file.unlink()
                    site.go_on_for(20)
            check_refusals(site)
            check_is_alive(site.server)
            assert lost(site.server, site.ledger.acknowledged) == []
            assert site.server.stop() == 0
        last.unlink()  # those who went on sending may have filled it to the last byte
        assert_sound(disk / "data")
        print(f"{kills} kills, {len(site.ledger.acknowledged)} objects acknowledged, none lost")


def test_n07_a_disk_full_to_the_last_byte_is_told_to_whoever_starts(tmp_path: Path) -> None:
    """And with room again all is as it was."""
    with small_disk(tmp_path / "disk", f"size={32 * MB}") as disk:
        with running(disk / "data", reserve_bytes=0) as server:
            assert [one.status for one in sync.store(server.peer, [part10(dataset(1))])] == [0]
        left = disk / "left"
        with pytest.raises(OSError), left.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        for command in (
            ("verify",),
            ("stats",),
            ("serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0"),
        ):
            done = gantry(*command, "--data", disk / "data")
            assert done.returncode == 4
            assert "no space is left on its disk" in done.stderr
        left.unlink()
        assert gantry("verify", "--data", disk / "data").returncode == 0


def test_n05_n04_descriptors_run_out_under_eight_senders_and_a_server_is_killed_so(tmp_path: Path) -> None:
    chance = random.Random(5)
    with Site(tmp_path / "data") as site:
        with sending(site, associations=8):
            for kills in (True, False):
                site.wait_for_acknowledged(30, 60)
                acknowledged = site.ledger.snapshot()
                limit_files(site.server, site.server.open_files() + chance.randint(0, 2))
                site.wait_for_refusals()
                if kills:
                    site.server.kill()
                    assert site.restart().seconds_to_ready < 10
                else:
                    limit_files(site.server, None)
                assert not set(acknowledged) - listed(site.server)
                site.go_on_for(30)
        check_refusals(site)
        assert lost(site.server, site.ledger.acknowledged) == []
        assert site.server.stop() == 0
    assert_sound(tmp_path / "data")


def limit_files(server: Gantry, count: int | None) -> None:
    """How many files and connections the server may have open, None for as many as it might at its start."""
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard if count is None else count, hard))


# Stopped

LARGE = 40 * MB
HELD_S = 1.0
"""Nothing more is taken for so long: the sender is held."""
BUDGET = 16 * MB
"""For each sender: what the wire holds back before it stops reading (8 MiB), its buffers, and the first MiB."""


@dataclass
class Held:
    """How much of their objects senders got rid of, and when they last did."""

    sent: dict[str, int] = field(default_factory=dict)
    last: float = 0.0

    def pieces(self, name: str, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), 1 << 18):
            yield data[at : at + (1 << 18)]
            self.sent[name] = at + (1 << 18)
            self.last = time.monotonic()


def over_dicom(server: Gantry, held: Held, file: bytes) -> int | None:
    plain = outgoing_bytes(file)
    large = replace(plain, read=lambda: held.pieces(plain.sop_instance_uid, dataset_bytes(file)))
    [result] = sync.store(server.peer, [large])
    return result.status


def over_stow(server: Gantry, held: Held, file: bytes) -> int | None:
    body = held.pieces(outgoing_bytes(file).sop_instance_uid, related([file]))
    with server.client() as http:
        answer = http.post("/dicom-web/studies", content=body, headers={"content-type": STORE_TYPE})
    return 0 if answer.status_code == 200 else answer.status_code


def test_n16_n17_a_disk_that_stops_holds_senders_of_both_doors_and_memory(tmp_path: Path) -> None:
    """The file system is frozen: no write returns. Who has nothing to write is answered, and all goes on after it."""
    # More uploads than there are threads for all other requests on two cores
    doors = [over_dicom] * 3 + [over_stow] * 7
    files = [part10(dataset(1, study=number, size=LARGE)) for number in range(1, len(doors) + 1)]
    held = Held()
    with a_disk() as folder, mounted(folder / "disk", folder / "mount"):
        # Its log lies beside it, on a disk that goes on
        data = tmp_path / "data"
        (folder / "mount" / "data").mkdir()
        data.symlink_to(folder / "mount" / "data")
        with running(data, reserve_bytes=0) as server, ThreadPoolExecutor(len(files)) as senders:
            assert over_dicom(server, Held(), part10(dataset(1, study=900, size=4 * MB))) == 0
            before = server.resident_bytes()
            with stopped(folder / "mount"):
                stored = [
                    senders.submit(door, server, held, file) for door, file in zip(doors, files, strict=True)
                ]
                wait_until(
                    lambda: len(held.sent) == len(files) and time.monotonic() - held.last > HELD_S,
                    60,
                    "senders that are held",
                )
                grown = server.resident_bytes() - before
                assert not any(one.done() for one in stored)
                assert max(held.sent.values()) < LARGE
                assert sync.echo(server.peer) == 0
                with server.client() as http:
                    assert http.get("/healthz").status_code == 200
                    # Its script is packed in a thread, of which uploads could hold all there are
                    script = re.findall(r'src="(/assets/[^"]+)"', http.get("/").text)[0]
                    assert http.get(script).headers["content-encoding"] == "gzip"
            assert [one.result(60) for one in stored] == [0] * len(files)
            assert grown < len(files) * BUDGET, f"{grown / MB:.0f} MiB"
            assert lost(server, {outgoing_bytes(file).sop_instance_uid: digest(file) for file in files}) == []
        assert_sound(data)
