"""Senders that keep an archive busy and remember exactly what it acknowledged.

Four threads send small and large objects, three over DICOM (one of them without asynchronous operations) and
one over STOW-RS. A server may end under them at any instant: what has no answer is not acknowledged, and they go
on when the next server is there. Nothing else than success, and no answer at all, is expected.
"""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pydicom

from gantry.client import sync
from gantry.client.connection import Options
from gantry.client.objects import StoreResult
from gantry.dimse.user_information import AsyncWindow
from gantry.errors import ConnectError
from gantry_process import Gantry, gantry, start, wait_until
from serving import ROOT, dataset, dataset_bytes, part10
from web_serving import STORE_TYPE, related

BATCH = 12
VERIFY_S = 1200.0
"""How long `gantry verify` may take: half an hour of senders leaves 60,000 objects."""
SIZES = (*[8 << 10] * 9, 64 << 10, 2 << 20, *[8 << 10] * 9)
"""Bytes of pixels of one object after the other: most small, some larger than what is held in memory."""


@dataclass
class Ledger:
    """Digests of the Data Sets that were sent and of those acknowledged, by SOP Instance UID."""

    sent: dict[str, bytes] = field(default_factory=dict)
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def acknowledge(self, sop_uid: str) -> None:
        self.acknowledged[sop_uid] = self.sent[sop_uid]

    def snapshot(self) -> dict[str, bytes]:
        """What is acknowledged by now; whatever is acknowledged later is not in it."""
        return dict(self.acknowledged)


class Site:
    """An archive's folder and the server that runs on it now, with senders that find it there.

    As a context it leaves no server behind.
    """

    def __init__(self, data: Path, **settings: object) -> None:
        self.data = data
        self._settings = {"reserve_bytes": 0, "max_associations_per_peer": 64, "find_limit": 1_000_000}
        self._settings.update(settings)
        self._begin(start(data, **self._settings))

    def _begin(self, server: Gantry) -> None:
        self.ledger = Ledger()
        self._changed = threading.Condition()
        self._over = False
        self.server = server

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        if self.server.process.poll() is None:
            self.server.kill()

    def restart(self, **settings: object) -> Gantry:
        """Start again on the same folder, with other `settings` than before; no longer than N4 allows."""
        self._settings.update(settings)
        server = start(self.data, **self._settings)
        with self._changed:
            self.server = server
            self._changed.notify_all()
        return server

    def go_on(self) -> None:
        """The server is there, though it broke off what some were sending: a worker of it ended."""
        with self._changed:
            self.server = replace(self.server)
            self._changed.notify_all()

    def go_on_for(self, count: int, timeout_s: float = 120.0) -> None:
        """As `go_on`, also for who is refused a moment later, until so many more objects are acknowledged."""
        aim = len(self.ledger.acknowledged) + count
        end = time.monotonic() + timeout_s
        while len(self.ledger.acknowledged) < aim:
            assert time.monotonic() < end, f"{count} more objects are not acknowledged within {timeout_s:g} s"
            self.go_on()
            time.sleep(0.5)

    def end(self) -> None:
        """Senders stop after what they are doing."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def is_over(self) -> bool:
        return self._over

    def wait_for_other(self, former: Gantry) -> None:
        """Until another server runs than `former`, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self.server is not former, 60)

    def wait_for_acknowledged(self, count: int, timeout_s: float = 30.0) -> None:
        """Until so many more objects are acknowledged."""
        aim = len(self.ledger.acknowledged) + count
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.ledger.acknowledged) >= aim, timeout_s)
        assert arrived, f"{count} more objects are not acknowledged within {timeout_s:g} s"

    def wait_for_refusals(self, count: int = 1, timeout_s: float = 30.0) -> None:
        """Until so many more objects, or requests, are refused."""
        aim = len(self.ledger.failures) + count
        wait_until(lambda: len(self.ledger.failures) >= aim, timeout_s, f"{count} refusals")

    def note(self, sop_uid: str) -> None:
        """An object was acknowledged."""
        with self._changed:
            self.ledger.acknowledge(sop_uid)
            self._changed.notify_all()


@contextmanager
def sending(site: Site, associations: int = 3) -> Iterator[None]:
    """Senders at work on a site: so many over DICOM, the last of them one object at a time, and one by STOW-RS."""
    verbs = [*[_over_dicom(16)] * (associations - 1), _over_dicom(None), _over_stow]
    threads = [
        threading.Thread(target=_send, args=(site, number, verb), name=f"sender-{number}")
        for number, verb in enumerate(verbs, 1)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        site.end()
        for thread in threads:
            thread.join()


Verb = Callable[[Site, Gantry, dict[str, bytes]], bool]
"""Sends objects to a server; whether the server is still there."""


def _send(site: Site, number: int, verb: Verb) -> None:
    objects = objects_of_study(number)
    while not site.is_over:
        batch = dict(next(objects) for _ in range(BATCH))
        site.ledger.sent.update((uid, digest(data)) for uid, data in batch.items())
        server = site.server
        if not verb(site, server, batch):
            site.wait_for_other(server)


def _over_dicom(window: int | None) -> Verb:
    options = Options(async_window=AsyncWindow(window, 1) if window else None)

    def send(site: Site, server: Gantry, batch: dict[str, bytes]) -> bool:
        lost = threading.Event()

        def note(result: StoreResult) -> None:
            if result.status == 0:
                site.note(result.sop_instance_uid)
            elif result.status is None:
                lost.set()
            else:
                site.ledger.failures.append(f"{result.status:04X} {result.comment}")

        try:
            sync.store(server.peer, batch.values(), options=options, progress=note)
        except ConnectError:
            return False
        return not lost.is_set()

    return send


def _over_stow(site: Site, server: Gantry, batch: dict[str, bytes]) -> bool:
    try:
        with server.client() as http:
            answer = http.post(
                "/dicom-web/studies", content=related(batch.values()), headers={"content-type": STORE_TYPE}
            )
    except httpx.TransportError:
        return False
    if answer.status_code in (200, 202):
        for item in answer.json()["00081199"]["Value"]:
            site.note(item["00081155"]["Value"][0])
    if answer.status_code == 200:
        assert set(batch) <= set(site.ledger.acknowledged)
    elif answer.status_code != 503:
        site.ledger.failures.append(f"{answer.status_code} {answer.text[:200]}")
    return answer.status_code != 503


def objects_of_study(study: int) -> Iterator[tuple[str, bytes]]:
    """SOP Instance UIDs and files without end, each object another."""
    first = 100_000
    forms = [part10(dataset(first, study=study, size=size)) for size in SIZES]
    number = first
    while True:
        for form in forms:
            number += 1
            # As long as the UID it replaces, in meta information and Data Set.
            yield f"{ROOT}.{study}.1.{number}", form.replace(b".1.%d" % first, b".1.%d" % number)


def digest(file: bytes) -> bytes:
    return hashlib.sha256(dataset_bytes(file)).digest()


# What must be true of a site


def lost(server: Gantry, acknowledged: dict[str, bytes]) -> list[str]:
    """Acknowledged objects that the server does not give back bit for bit."""
    missing = set(acknowledged) - listed(server)
    damaged = []
    with server.client() as http:
        for uid in set(acknowledged) - missing:
            answer = http.get(path_of(uid), headers={"accept": "application/dicom; transfer-syntax=*"})
            if answer.status_code != 200 or digest(answer.content) != acknowledged[uid]:
                damaged.append(uid)
    return sorted(missing) + damaged


def listed(server: Gantry) -> set[str]:
    """SOP Instance UIDs that QIDO lists."""
    found: set[str] = set()
    with server.client() as http:
        while True:
            answer = http.get(f"/dicom-web/instances?limit=5000&offset={len(found)}")
            assert answer.status_code in (200, 204), answer.text
            page = [model["00080018"]["Value"][0] for model in (answer.json() if answer.content else [])]
            found.update(page)
            if len(page) < 5000:
                return found


def path_of(sop_uid: str) -> str:
    series_uid = sop_uid.rpartition(".")[0]
    return f"/dicom-web/studies/{series_uid.rpartition('.')[0]}/series/{series_uid}/instances/{sop_uid}"


def assert_sound(data: Path, **settings: object) -> None:
    """`gantry verify` finds nothing, and nothing half received lies about."""
    findings = verify(data, **settings)
    assert not findings, findings
    assert not [path for path in (data / "incoming").rglob("*") if path.is_file()]


def assert_sound_after_a_cut(data: Path, ledger: Ledger, **settings: object) -> None:
    """As `assert_sound`, but for objects that had their name and no row when the power went.

    Such a file is whole, was never listed and never acknowledged; a repair takes it in.
    """
    for finding in verify(data, **settings):
        assert finding["kind"] == "extra file", finding
        assert Path(finding["where"]).stem not in ledger.acknowledged
    repaired = gantry("verify", "--repair", "--data", data, timeout_s=VERIFY_S, **settings)
    assert repaired.returncode in (0, 1)
    assert_sound(data, **settings)


def verify(data: Path, **settings: object) -> list[dict[str, Any]]:
    """What `gantry verify` finds in an archive that nobody serves."""
    done = gantry("verify", "--data", data, "--json", timeout_s=VERIFY_S, **settings)
    *findings, _ = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == (1 if findings else 0), done.stderr
    return findings


@contextmanager
def reading(site: Site) -> Iterator[list[str]]:
    """A reader that asks QIDO and WADO again and again; gives the objects that it saw in part (N3)."""
    torn: list[str] = []
    seen: set[str] = set()

    def read() -> None:
        while not site.is_over:
            server = site.server
            try:
                for uid in sorted(listed(server) - seen)[:50]:
                    if not _is_whole(server, uid, site.ledger.sent[uid]):
                        torn.append(uid)
                    seen.add(uid)
            except httpx.TransportError:
                site.wait_for_other(server)

    thread = threading.Thread(target=read, name="reader")
    thread.start()
    try:
        yield torn
    finally:
        site.end()
        thread.join()
    assert seen, "the reader never saw an object"


def _is_whole(server: Gantry, sop_uid: str, expected: bytes) -> bool:
    with server.client() as http:
        answer = http.get(path_of(sop_uid), headers={"accept": "application/dicom; transfer-syntax=*"})
    if answer.status_code != 200 or digest(answer.content) != expected:
        return False
    return str(pydicom.dcmread(io.BytesIO(answer.content)).SOPInstanceUID) == sop_uid
