"""Storage commitment of a real server that is killed, of several workers, and deletes beside reads.

pynetdicom asks, and is told on the association of its request or is called back.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pynetdicom import evt

from commitment_scu import Pair, Scu, ask
from dcmtk import free_port
from gantry.client import sync
from gantry.client.sinks import MemorySink
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import ConnectError, ProtocolError
from gantry.standard.query_keys import Level
from gantry.standard.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from gantry_process import Gantry, running, start, wait_until
from postgres import PostgresServer
from serving import CT, MR, ROOT, dataset, dataset_bytes, part10
from web_serving import STORE_TYPE, parts_of, related

pytestmark = [pytest.mark.peer, pytest.mark.slow]

UNKNOWN = (CT, f"{ROOT}.9.9.9")


def store(server: Gantry, *files: bytes) -> None:
    with server.client() as http:
        sent = http.post("/dicom-web/studies", content=related(files), headers={"content-type": STORE_TYPE})
        assert sent.status_code == 200, sent.text


def slices(count: int, study: int = 1, size: int = 8 << 10) -> list[bytes]:
    return [part10(dataset(number, study=study, size=size)) for number in range(1, count + 1)]


def pair_of(file: bytes) -> Pair:
    ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(file))
    return str(ds.SOPClassUID), str(ds.SOPInstanceUID)


def flip(data: Path, pair: Pair) -> None:
    """Turn one bit of an object on the disk of an archive."""
    (path,) = data.glob(f"objects/*/*/*/{pair[1]}.dcm")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def open_requests(data: Path) -> int:
    return len(list(data.glob("commitments/open/*/*.json")))


class Killer(Scu):
    """Kills the server when it is told something, before it answers."""

    server: Gantry | None = None

    def on_report(self, event: evt.Event) -> tuple[int, None]:
        server, self.server = self.server, None
        if server is not None:
            server.process.kill()
        return super().on_report(event)


Told = tuple[int, frozenset[Pair], frozenset[tuple[Pair, int]]]


@dataclass
class Kills:
    """A server of six objects, one of them damaged, that is killed and started again; what it must report."""

    data: Path
    port: int
    server: Gantry
    references: list[Pair]
    expected: Told

    def restart(self) -> None:
        self.server.kill()
        self.server = start(self.data, **self.settings(self.port))

    @staticmethod
    def settings(port: int) -> dict[str, Any]:
        return {"reserve_bytes": 0, "peers": f"MODALITY@127.0.0.1:{port}"}

    def assert_told(self, scu: Scu, transaction: str, count: int) -> None:
        """Each report was right, and nothing is left to tell."""
        told = scu.wait_for(transaction, count=count)
        wait_until(lambda: open_requests(self.data) == 0)
        for one in told:
            assert (one.event, one.committed, frozenset(one.failed.items())) == self.expected


@pytest.fixture
def kills(tmp_path: Path) -> Iterator[Kills]:
    data, port, files = tmp_path / "data", free_port(), slices(6)
    *good, bad, last = map(pair_of, files)
    wrong = MR, last[1]
    with running(data, reserve_bytes=0) as server:
        store(server, *files)
    flip(data, bad)
    expected = 2, frozenset(good), frozenset({(bad, 0x0110), (wrong, 0x0119), (UNKNOWN, 0x0112)})
    made = Kills(data, port, start(data, **Kills.settings(port)), [*good, bad, wrong, UNKNOWN], expected)
    try:
        yield made
    finally:
        made.server.kill()


TURNS = 2


def test_n08_killed_when_it_has_acknowledged_the_report_still_comes(kills: Kills) -> None:
    scu = Scu()
    with scu.listening(kills.port):
        for _ in range(TURNS):
            with scu.associated(kills.server.dicom) as association:
                status, transaction = ask(association, kills.references)
                kills.server.kill()
            assert status == 0
            kills.restart()
            # The first may have left before the kill
            kills.assert_told(scu, transaction, 1)
    with kills.server.client() as http:
        assert http.delete(f"/dicom-web/studies/{ROOT}.1").status_code == 409


def test_n08_killed_while_it_tells_it_tells_again(kills: Kills) -> None:
    scu = Killer()
    with scu.listening(kills.port):
        for _ in range(TURNS):
            scu.server = kills.server
            with scu.associated(kills.server.dicom) as association:
                status, transaction = ask(association, kills.references)
                scu.wait_for(transaction)
            assert status == 0
            assert open_requests(kills.data) == 1
            kills.restart()
            kills.assert_told(scu, transaction, 2)


def test_n08_killed_while_nobody_is_there_it_tells_when_somebody_is(kills: Kills) -> None:
    scu = Scu(status=0x0110)  # what is told on the first association does not count
    with scu.associated(kills.server.dicom) as association:
        status, transaction = ask(association, kills.references)
        assert status == 0
        scu.wait_for(transaction)
    for _ in range(TURNS):
        kills.restart()
        wait_until(lambda: "waits" in kills.server.words.rpartition("listening")[2])
        assert open_requests(kills.data) == 1
    scu.status = 0
    before = len(scu.reports)
    with scu.listening(kills.port):
        kills.assert_told(scu, transaction, before + 1)
    assert scu.roles == [(True, False)]


def test_n08_of_several_workers_one_tells(postgres: PostgresServer, tmp_path: Path) -> None:
    data, scu = tmp_path / "data", Scu()
    files = slices(4)
    pairs = [pair_of(file) for file in files]
    with scu.listening() as port:
        settings: dict[str, Any] = {"index": postgres.fresh_url(), "workers": 3, "reserve_bytes": 0}
        with running(data, peers=f"MODALITY@127.0.0.1:{port}", **settings) as server:
            store(server, *files)
            transactions = []
            for number in range(12):
                with scu.associated(server.dicom) as association:
                    status, transaction = ask(association, [*pairs, UNKNOWN])
                    assert status == 0
                    transactions.append(transaction)
                    if number % 2:
                        association.abort()
            for transaction in transactions:
                (told,) = scu.wait_for(transaction)
                assert (told.committed, told.failed) == (frozenset(pairs), {UNKNOWN: 0x0112})
            wait_until(lambda: open_requests(data) == 0)
            # Whichever worker hears it knows that it was used
            again = transactions[:3]
            for transaction in again:
                with scu.associated(server.dicom) as association:
                    ask(association, pairs, transaction)
                    told = scu.wait_for(transaction, count=2)[1]
                    assert told.failed == dict.fromkeys(pairs, 0x0131)
            with server.client() as http:
                assert http.delete(f"/dicom-web/studies/{ROOT}.1").status_code == 409
    counts = [len([one for one in scu.reports if one.transaction == uid]) for uid in transactions]
    assert counts == [2] * len(again) + [1] * (len(transactions) - len(again))


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


# N15


class Race:
    """Reads a study again and again while it is deleted and shown again; `torn` says what was not whole."""

    def __init__(self, server: Gantry, files: list[bytes], may_lack: int) -> None:
        self.server = server
        self.files = {pair_of(file)[1]: file for file in files}
        self.study = str(pydicom.dcmread(pydicom.filebase.DicomBytesIO(files[0])).StudyInstanceUID)
        self.may_lack = may_lack
        self.torn: list[str] = []
        self.whole: dict[str, int] = {}
        self.gone: dict[str, int] = {}
        self.over = threading.Event()

    def judge(self, what: str, got: dict[str, bytes], *, datasets: bool = False) -> None:
        """An answer with these objects: nothing of it may be other bytes, nor more be missing than may."""
        for uid, data in got.items():
            sent = self.files[uid]
            if data != (dataset_bytes(sent) if datasets else sent):
                self.torn.append(f"{what}: {uid} has other bytes")
        if len(got) < len(self.files) - self.may_lack:
            self.torn.append(f"{what}: {len(got)} of {len(self.files)} objects")
        self.whole[what] = self.whole.get(what, 0) + 1

    def is_there(self, what: str, answer: httpx.Response) -> bool:
        if answer.status_code == 404:
            self.gone[what] = self.gone.get(what, 0) + 1
        elif answer.status_code != 200:
            self.torn.append(f"{what}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code == 200

    def read_study(self, http: httpx.Client) -> None:
        answer = http.get(f"/dicom-web/studies/{self.study}")
        if self.is_there("study", answer):
            parts = [body for _, body in parts_of(answer)]
            self.judge("study", {pair_of(body)[1]: body for body in parts})

    def read_metadata(self, http: httpx.Client) -> None:
        answer = http.get(f"/dicom-web/studies/{self.study}/metadata")
        if self.is_there("metadata", answer):
            uids = [item["00080018"]["Value"][0] for item in answer.json()]
            self.judge("metadata", {uid: self.files[uid] for uid in uids})

    def read_instances(self, http: httpx.Client) -> None:
        for uid, sent in self.files.items():
            path = f"/dicom-web/studies/{self.study}/series/{self.study}.1/instances/{uid}"
            answer = http.get(path, headers={"accept": "application/dicom"})
            if self.is_there("instance", answer) and answer.content != sent:
                self.torn.append(f"instance: {uid} has other bytes")
            answer = http.get(f"{path}/frames/1")
            if self.is_there("frame", answer):
                pixels = pydicom.dcmread(pydicom.filebase.DicomBytesIO(sent)).PixelData
                if [body for _, body in parts_of(answer)] != [pixels]:
                    self.torn.append(f"frame: {uid} has other bytes")

    def read_by_c_get(self, _: httpx.Client) -> None:
        sink = MemorySink()
        storage = [ProposedContext(CT, (EXPLICIT_VR_LITTLE_ENDIAN,))]
        keys = {"StudyInstanceUID": self.study}
        done = sync.get(self.server.peer, Level.STUDY, keys, sink, storage=storage)
        if done.failed or done.completed != len(sink.files):
            self.torn.append(f"C-GET: {done}")
        if done.completed:
            got = {pair_of(file)[1]: dataset_bytes(file) for file in sink.files}
            self.judge("C-GET", got, datasets=True)
        else:
            self.gone["C-GET"] = self.gone.get("C-GET", 0) + 1

    def read(self, how: str) -> None:
        with self.server.client() as http:
            while not self.over.is_set():
                try:
                    getattr(self, how)(http)
                except (httpx.HTTPError, ConnectError, ProtocolError, ValueError) as error:
                    self.torn.append(f"{how}: {type(error).__name__} {error}")
                    return


READS = ("read_study", "read_metadata", "read_instances", "read_by_c_get")


@pytest.mark.parametrize("what", ["study", "instances"])
def test_n15_a_delete_beside_reads_never_tears_an_answer(tmp_path: Path, what: str) -> None:
    """Whole studies go and come back, or one instance at a time: an answer is of before or of after."""
    files = slices(8, size=64 << 10) + slices(10, size=3 << 20)[8:]
    with running(tmp_path / "data", reserve_bytes=0) as server:
        store(server, *files)
        race = Race(server, files, may_lack=0 if what == "study" else 1)
        instances = itertools.cycle(race.files)
        with ThreadPoolExecutor(len(READS)) as pool, server.client() as http:
            reading = [pool.submit(race.read, how) for how in READS]
            cycles = 0
            try:
                while cycles < 15 or len(race.whole) < 3 or not race.gone:
                    cycles += 1
                    assert cycles < 500
                    path = f"studies/{race.study}"
                    if what == "instances":
                        path += f"/series/{race.study}.1/instances/{next(instances)}"
                    assert http.delete(f"/dicom-web/{path}").status_code == 204
                    assert http.post(f"/api/restore/{path}").status_code == 200
                    if race.torn:
                        break
            finally:
                race.over.set()
            for one in reading:
                one.result()
        assert race.torn == []
        assert set(race.whole) == {"study", "metadata", "C-GET"}
        assert race.gone
