"""A real server at its limits: a disk that fills, objects larger than memory, more peers than it takes.

The disks are small tmpfs of their own, so that a full one harms nobody; mounting them needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import resource
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from disks import small_disk
from gantry.client import scu, sync
from gantry.client.connection import Options, connect
from gantry.client.objects import Outgoing, contexts_for, outgoing_bytes
from gantry.client.sinks import STORED, Arriving, Verdict
from gantry.dataset.part10 import encode_file_meta
from gantry.dimse.events import Rejected
from gantry.dimse.negotiation import ProposedContext, Timers
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError
from gantry.standard.query_keys import Level
from gantry_process import Gantry, running, wait_until
from raw_peer import RawPeer
from senders import assert_sound, digest, path_of
from serving import CT, ROOT, dataset, dataset_bytes, part10
from web_serving import BOUNDARY, STORE_TYPE, read_all, related, status_of

pytestmark = pytest.mark.slow

EXPLICIT = "1.2.840.10008.1.2.1"
MB = 1 << 20
GROWTH = 100 * 10**6
"""N16: what the memory of the server may grow by during one large object."""

AS_STORED = {"accept": "application/dicom; transfer-syntax=*"}


# N7, B79: disks


def store(server: Gantry, *files: bytes) -> list[int | None]:
    return [result.status for result in sync.store(server.peer, files)]


def stow(server: Gantry, *files: bytes) -> httpx.Response:
    with server.client() as http:
        return http.post("/dicom-web/studies", content=related(files), headers={"content-type": STORE_TYPE})


def check_reads(server: Gantry, *files: bytes) -> None:
    """C-ECHO, QIDO, WADO and C-FIND answer as ever."""
    assert sync.echo(server.peer) == 0
    keys = {"StudyInstanceUID": "", "PatientName": ""}
    assert sync.find(server.peer, Level.STUDY, keys)
    with server.client() as http:
        assert http.get("/dicom-web/studies").status_code == 200
        for file in files:
            uid = outgoing_bytes(file).sop_instance_uid
            assert digest(http.get(path_of(uid), headers=AS_STORED).content) == digest(file)


def test_n07_a_full_disk_refuses_reads_on_and_recovers_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        with running(disk / "data", reserve_bytes=24 * MB) as server:
            first, *more = [part10(dataset(number, size=MB)) for number in range(1, 9)]
            assert store(server, first) == [0]
            (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 23 * MB))
            assert store(server, *more[:3]) == [0xA700] * 3
            refused = stow(server, *more[:3])
            assert refused.status_code == 507
            assert int(refused.headers["retry-after"]) > 0
            check_reads(server, first)
            assert server.stats()["versions"] == 1
            (disk / "ballast").unlink()
            assert store(server, *more[:3]) == [0, 0, 0]
            assert stow(server, *more[3:]).status_code == 200
            check_reads(server, first, *more)
        assert_sound(disk / "data")


def test_n07_a_full_disk_refuses_a_body_before_it_is_sent(tmp_path: Path) -> None:
    """A gigabyte is announced, its head is sent, and the answer is there already."""
    with (
        small_disk(tmp_path / "disk", "size=64m") as disk,
        running(disk / "data", reserve_bytes=1 * MB) as server,
    ):
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n"
        with server.connect(server.http) as connection:
            connection.sendall(f"{head}Content-Length: {1 << 30}\r\n\r\n".encode())
            assert status_of(connection.recv(4096)) == 507


@pytest.mark.parametrize("door", ["C-STORE", "STOW"])
def test_b79_a_disk_that_fills_in_the_middle_of_an_object_keeps_nothing_of_it(
    tmp_path: Path, door: str
) -> None:
    """Neither door says beforehand how large the object is."""
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        with running(disk / "data", reserve_bytes=8 * MB) as server:
            small, large = part10(dataset(1, size=MB)), part10(dataset(2, size=80 * MB))
            assert store(server, small) == [0]
            if door == "C-STORE":
                assert store(server, large) == [0xA700]
            else:
                with server.client() as http:
                    answer = http.post(
                        "/dicom-web/studies",
                        content=iter([related([large])]),
                        headers={"content-type": STORE_TYPE},
                    )
                assert answer.status_code == 507
            check_reads(server, small)
            assert not any((disk / "data" / "incoming").iterdir())
            assert store(server, part10(dataset(3, size=MB))) == [0]
            assert "Traceback" not in server.words
        assert_sound(disk / "data")


def test_b79_no_inodes_left_refuses_and_recovers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64m,nr_inodes=200") as disk:
        with running(disk / "data", reserve_bytes=0) as server:
            assert store(server, part10(dataset(1))) == [0]
            for number in range(200):
                with contextlib.suppress(OSError):
                    (disk / f"ballast{number}").touch()
            assert store(server, part10(dataset(2))) == [0xA700]
            assert stow(server, part10(dataset(2))).status_code == 507
            check_reads(server, part10(dataset(1)))
            for path in disk.glob("ballast*"):
                path.unlink()
            assert store(server, part10(dataset(2))) == [0]
        assert_sound(disk / "data")


def test_b79_a_disk_that_turns_read_only_refuses_and_reads_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=64m") as disk:
        with running(disk / "data", reserve_bytes=0) as server:
            first, second = part10(dataset(1)), part10(dataset(2))
            assert store(server, first) == [0]
            # Files that are open for writing keep the disk from turning; so it does for all but them.
            subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
            try:
                subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
                [status] = store(server, second)
                assert status is not None
                assert status >= 0x0100
                assert stow(server, second).status_code >= 500
                check_reads(server, first)
            finally:
                # The server may have opened files by this way, and keeps them
                subprocess.run(["umount", "--lazy", str(disk)], check=True)
            assert server.stats()["versions"] == 1
        assert_sound(disk / "data")


def test_b79_no_file_descriptors_left_refuses_and_recovers(tmp_path: Path) -> None:
    """Connections take what there is, while an association that stands goes on sending: no answer is a lie."""
    files = [part10(dataset(number, study=number)) for number in range(1, 41)]
    with running(tmp_path / "data", reserve_bytes=0, max_associations_per_peer=64) as server:
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        with RawPeer(server.dicom) as sender:
            sender.associate()
            statuses = [_status_of(sender, files[0], 1)]
            room = server.open_files() + 6
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (room, hard))
            with contextlib.ExitStack() as crowd:
                for _ in range(12):
                    crowd.enter_context(server.connect())
                wait_until(lambda: server.open_files() >= room, what="all descriptors are taken")
                statuses += [_status_of(sender, file, number) for number, file in enumerate(files[1:21], 2)]
                assert server.open_files() <= room
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
            statuses += [_status_of(sender, file, number) for number, file in enumerate(files[21:], 22)]
        assert statuses[0] == 0
        assert statuses[21:] == [0] * 19, "with descriptors again, all is kept"
        kept = [file for file, status in zip(files, statuses, strict=True) if status == 0]
        check_reads(server, *kept)
        assert store(server, *files) == [0] * len(files), "and what was refused is taken now"
    assert_sound(tmp_path / "data")


def _status_of(sender: RawPeer, file: bytes, message_id: int) -> int:
    sender.send(sender.store_bytes(dataset_bytes(file), outgoing_bytes(file).sop_instance_uid, message_id))
    return sender.status()


# N16: memory


@dataclass
class Large:
    """An object of any size that is never in memory: zeros after a header."""

    size: int
    study: int = 1
    head: bytes = field(init=False)

    def __post_init__(self) -> None:
        ds = dataset(1, study=self.study, size=256)
        ds.Rows, ds.Columns = 1000, 1000
        ds.NumberOfFrames = self.size // 2_000_000
        file = dataset_bytes(part10(ds))
        # Pixel Data comes last: tag, VR, two reserved bytes, length.
        self.head = file[: -256 - 4] + self.size.to_bytes(4, "little")
        self.uid = str(ds.SOPInstanceUID)

    def blocks(self) -> Iterator[bytes]:
        yield self.head
        block = bytes(MB)
        left = self.size
        while left:
            yield block[: min(left, MB)]
            left -= min(left, MB)

    def outgoing(self) -> Outgoing:
        return Outgoing(CT, self.uid, EXPLICIT, len(self.head) + self.size, self.blocks)

    def multipart(self) -> Iterator[bytes]:
        yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        yield encode_file_meta(sop_class_uid=CT, sop_instance_uid=self.uid, transfer_syntax_uid=EXPLICIT)
        yield from self.blocks()
        yield f"\r\n--{BOUNDARY}--\r\n".encode()

    def digest(self) -> str:
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()


class DigestSink:
    """Takes one object and keeps its digest only, from the Data Set on."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._begin = bytearray()
        self._digest = hashlib.sha256()
        self._found = False
        self.backlog = 0
        self.room = 0

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    def begin(self, arriving: Arriving) -> DigestSink:
        return self

    def write(self, data: bytes | memoryview) -> None:
        if self._found:
            self._digest.update(data)
            return
        self._begin += data
        at = self._begin.find(self._head)
        if at >= 0:
            self._found = True
            self._digest.update(self._begin[at:])

    def finish(self) -> Verdict:
        return STORED

    def abort(self) -> None:
        raise AssertionError("the object was broken off")


def check_large(server: Gantry, large: Large) -> dict[str, int]:
    """In by both doors, out by both; how far memory grew in each step."""
    expected = large.digest()
    grown: dict[str, int] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        server.forget_peak()
        before = server.peak_bytes()
        yield
        grown[name] = server.peak_bytes() - before

    assert store(server, part10(dataset(2))) == [0]
    with step("C-STORE"):
        assert [r.status for r in sync.store(server.peer, [large.outgoing()])] == [0]
    with step("C-GET"):
        sink = DigestSink(large.head)
        storage = [ProposedContext(CT, (EXPLICIT,))]
        keys = {
            "StudyInstanceUID": f"{ROOT}.1",
            "SeriesInstanceUID": f"{ROOT}.1.1",
            "SOPInstanceUID": large.uid,
        }
        assert sync.get(server.peer, Level.IMAGE, keys, sink, storage=storage).ok
        assert sink.digest == expected
    with server.client() as http:
        assert http.delete(path_of(large.uid)).status_code in (200, 204)
        with step("STOW"):
            headers = {"content-type": STORE_TYPE}
            assert (
                http.post("/dicom-web/studies", content=large.multipart(), headers=headers).status_code == 200
            )
        with step("WADO"):
            sink = DigestSink(large.head)
            with http.stream("GET", path_of(large.uid), headers=AS_STORED) as answer:
                for data in answer.iter_bytes(MB):
                    sink.write(data)
            assert sink.digest == expected
        with step("metadata and a frame"):
            assert http.get(f"{path_of(large.uid)}/metadata").status_code == 200
            frame = http.get(f"{path_of(large.uid)}/frames/2", headers={"accept": "application/octet-stream"})
            assert frame.content == bytes(2_000_000)
    return grown


@pytest.mark.timeout(300)
def test_n16_an_object_of_300_mb_costs_less_than_100_mb(tmp_path: Path) -> None:
    with running(tmp_path / "data", reserve_bytes=0) as server:
        grown = check_large(server, Large(300_000_000))
    assert max(grown.values()) < GROWTH, grown


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_n16_an_object_of_2_gb_costs_less_than_100_mb(tmp_path: Path) -> None:
    with running(tmp_path / "data", reserve_bytes=0) as server:
        grown = check_large(server, Large(2_000_000_000))
    assert max(grown.values()) < GROWTH, grown


ASSOCIATIONS = 64
PER_ASSOCIATION = 4 * MB
"""Two buffers of the wire, what is held before a spool, and the interpreter's own: measured 1 to 2 MB."""
AT_FULL_SPEED = 8 * MB
"""And what is on its way to a busy disk: measured 5.1 to 6.4 MiB with objects of 16, 50, 200 and 889 MB alike."""


def test_n16_64_associations_at_once_each_with_a_large_object(tmp_path: Path) -> None:
    """All stand at the same time, half way through an object of 16 MB."""
    files = [part10(dataset(1, study=number, size=16 * MB)) for number in range(1, ASSOCIATIONS + 1)]
    with running(tmp_path / "data", reserve_bytes=0, max_associations_per_peer=64) as server:
        assert store(server, part10(dataset(1, study=1000))) == [0]
        server.forget_peak()
        before = server.peak_bytes()
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(RawPeer(server.dicom, calling=f"S{n}")) for n in range(ASSOCIATIONS)]
            for peer in peers:
                peer.associate()  # all of them before the first byte, or the last come too late for ARTIM
            messages = []
            for peer, file in zip(peers, files, strict=True):
                uid = outgoing_bytes(file).sop_instance_uid
                messages.append(peer.store_bytes(dataset_bytes(file), uid))
                peer.send(messages[-1][: 8 * MB])
            with RawPeer(server.dicom) as one_more:
                one_more.send(one_more.request_bytes())
                one_more.wait_for(Rejected)
            for peer, message in zip(peers, messages, strict=True):
                peer.send(message[8 * MB :])
            assert [peer.status() for peer in peers] == [0] * ASSOCIATIONS
            grown = server.peak_bytes() - before
        assert server.stats()["instances"] == ASSOCIATIONS + 1
    assert grown < ASSOCIATIONS * PER_ASSOCIATION, f"{grown / MB:.0f} MiB"


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_n16_64_associations_each_with_an_object_as_large_as_the_disk_has_room_for(tmp_path: Path) -> None:
    """Of 2 GB, where there are 160 GB."""
    size = min(2_000_000_000, shutil.disk_usage(tmp_path).free * 8 // 10 // ASSOCIATIONS)
    objects = [Large(size, study).outgoing() for study in range(1, ASSOCIATIONS + 1)]
    patient = Options(timers=Timers(idle_s=1800))

    async def all_at_once(server: Gantry) -> list[int | None]:
        sent = [scu.store_files(server.peer, [one], options=patient) for one in objects]
        return [result.status for results in await asyncio.gather(*sent) for result in results]

    with running(tmp_path / "data", reserve_bytes=0, max_associations_per_peer=64) as server:
        assert store(server, part10(dataset(1, study=1000))) == [0]
        server.forget_peak()
        before = server.peak_bytes()
        began = time.monotonic()
        assert asyncio.run(all_at_once(server)) == [0] * ASSOCIATIONS
        grown = server.peak_bytes() - before
        took = time.monotonic() - began
        assert server.stats()["instances"] == ASSOCIATIONS + 1
    print(f"{ASSOCIATIONS} objects of {size / 1e6:,.0f} MB in {took:.0f} s: {grown / MB:.0f} MiB more memory")
    assert grown < ASSOCIATIONS * AT_FULL_SPEED, f"{grown / MB:.0f} MiB"


# N17: more than it takes


SENDERS = 200


def test_n17_200_senders_at_once_are_all_served_in_the_end(tmp_path: Path) -> None:
    """Some are told to come again, in the words that say so, and nobody who was let in is let down."""
    files = [part10(dataset(1, study=number, size=65536)) for number in range(1, SENDERS + 1)]
    with running(tmp_path / "data", reserve_bytes=0, max_associations_per_peer=64) as server:
        rejections = asyncio.run(_store_persistently(server, files))
        assert server.stats()["instances"] == SENDERS
    assert rejections, "the limit was never reached"
    assert all("local limit exceeded" in words for words in rejections), set(rejections)
    assert_sound(tmp_path / "data")


async def _store_persistently(server: Gantry, files: Iterable[bytes]) -> list[str]:
    """Each file by a sender of its own, who tries until it is let in; the words of each rejection."""
    rejections: list[str] = []
    everybody_is_there = asyncio.Barrier(SENDERS)

    async def send(file: bytes) -> None:
        contexts = contexts_for([outgoing_bytes(file)])
        first = True
        while True:
            try:
                connection = await connect(
                    server.peer, contexts=contexts, options=Options(async_window=AsyncWindow(4, 1))
                )
            except ConnectError as error:
                rejections.append(str(error))
                if first:
                    first = False
                    await everybody_is_there.wait()
                continue
            if first:
                first = False
                await everybody_is_there.wait()
            async with connection:
                assert [r.status for r in await scu.store(connection, [file])] == [0]
            return

    async with asyncio.timeout(100), asyncio.TaskGroup() as tasks:
        for file in files:
            tasks.create_task(send(file))
    return rejections


def test_n17_more_uploads_than_there_is_room_for_are_told_to_come_again(tmp_path: Path) -> None:
    """64 requests stand half sent; the next is answered 503, and all of the 64 are finished."""
    bodies = [related([part10(dataset(number))]) for number in range(1, 65)]
    with running(tmp_path / "data", reserve_bytes=0) as server, contextlib.ExitStack() as stack:
        head = f"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: {STORE_TYPE}\r\n"
        waiting = [stack.enter_context(server.connect(server.http)) for _ in bodies]
        for connection, body in zip(waiting, bodies, strict=True):
            whole = f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            connection.sendall(whole[:-100])
        wait_until(lambda: stow(server, part10(dataset(100))).status_code == 503, what="503")
        refused = stow(server, part10(dataset(100)))
        assert int(refused.headers["retry-after"]) > 0
        for connection, body in zip(waiting, bodies, strict=True):
            connection.sendall(body[-100:])
        assert [status_of(read_all(connection)) for connection in waiting] == [200] * 64
        assert stow(server, part10(dataset(100))).status_code == 200
