"""The SCU verbs with pynetdicom as SCP: queries and retrieves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from gantry.client import scu, sync
from gantry.client.connection import Peer, connect
from gantry.client.scu import RetrieveProgress
from gantry.client.sinks import FolderSink, MemorySink, Verdict
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import CallerError, ConnectError, ProtocolError
from gantry.standard import sop_classes as sop
from gantry.standard.query_keys import Level
from serving import CT, dataset, dataset_bytes, part10, series

pytestmark = pytest.mark.peer

STORAGE = [ProposedContext(CT, (ExplicitVRLittleEndian,))]
SERVICES = (
    sop.VERIFICATION, CT, sop.STUDY_ROOT_FIND, sop.STUDY_ROOT_MOVE, sop.STUDY_ROOT_GET,
)  # fmt: skip


@contextmanager
def scp(**handlers: Callable[[Any], Any]) -> Iterator[Peer]:
    """A pynetdicom SCP with handlers by event name, such as ``C_FIND``."""
    ae = AE("PEER")
    ae.add_requested_context(CT)
    for uid in SERVICES:
        ae.add_supported_context(uid, scu_role=True, scp_role=True)
    bound = [(getattr(evt, f"EVT_{name}"), handler) for name, handler in handlers.items()]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
    try:
        yield Peer("127.0.0.1", server.socket.getsockname()[1], "PEER")
    finally:
        server.shutdown()


def answer(number: int) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = f"1.2.{number}"
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Grün^Käthe"
    return ds


def test_find_yields_json_models_in_order() -> None:
    asked: list[Dataset] = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(event.identifier)
        for number in range(3):
            yield 0xFF00, answer(number)
        yield 0x0000, None

    with scp(C_FIND=find) as peer:
        keys = {"PatientName": "Grün*", "StudyInstanceUID": ""}
        found = sync.find(peer, Level.STUDY, keys)
    assert [m["0020000D"]["Value"] for m in found] == [["1.2.0"], ["1.2.1"], ["1.2.2"]]
    assert found[0]["00100010"]["Value"][0]["Alphabetic"] == "Grün^Käthe"
    assert asked[0].QueryRetrieveLevel == "STUDY"
    assert asked[0].PatientName == "Grün*"


def test_find_with_a_limit_cancels_the_query() -> None:
    cancelled: list[bool] = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(100_000):
            if event.is_cancelled:
                cancelled.append(True)
                yield 0xFE00, None
                return
            yield 0xFF00, answer(number)

    with scp(C_FIND=find) as peer:
        found = sync.find(peer, Level.STUDY, {"StudyInstanceUID": ""}, limit=2)
    assert len(found) == 2
    assert cancelled


def test_a_failed_find_is_a_protocol_error_with_the_status_and_comment() -> None:
    def find(_: Any) -> Iterator[tuple[Dataset, Dataset | None]]:
        status = Dataset()
        status.Status = 0xA900
        status.ErrorComment = "no such level"
        yield status, None

    with scp(C_FIND=find) as peer, pytest.raises(ProtocolError, match=r"A900H.*no such level"):
        sync.find(peer, Level.STUDY, {})


def test_find_without_an_accepted_context_says_so() -> None:
    async def run(peer: Peer) -> None:
        async with await connect(peer, contexts=scu.echo_contexts()) as connection:
            async for _ in scu.find(connection, Level.STUDY, {}):
                raise AssertionError("nothing can be found")

    with scp() as peer, pytest.raises(CallerError, match="accepted no context"):
        asyncio.run(run(peer))


def _retrieve_handler(files: list[bytes]) -> Callable[[Any], Iterator[Any]]:
    def handle(event: Any) -> Iterator[Any]:
        yield len(files)
        for file in files:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, dcmread(DicomBytesIO(file))

    return handle


def test_get_receives_into_a_folder(tmp_path: Any) -> None:
    files = series(4, size=4096)
    told: list[RetrieveProgress] = []
    sink = FolderSink(tmp_path / "in")
    with scp(C_GET=_retrieve_handler(files)) as peer:
        keys = {"StudyInstanceUID": dataset().StudyInstanceUID}
        result = sync.get(peer, Level.STUDY, keys, sink, storage=STORAGE, progress=told.append)
    assert result.ok
    assert (result.completed, result.failed) == (4, 0)
    assert told[-1] == result
    assert {dataset_bytes(p.read_bytes()) for p in sink.paths} == {dataset_bytes(f) for f in files}
    assert sorted(p.name for p in sink.paths) == sorted(p.name for p in (tmp_path / "in").iterdir())


def test_get_counts_what_the_sink_refuses() -> None:
    class Full:
        def begin(self, arriving: Any) -> Verdict:
            return Verdict(0xA700, "full")

    with scp(C_GET=_retrieve_handler(series(3))) as peer:
        result = sync.get(peer, Level.STUDY, {"StudyInstanceUID": "1"}, Full(), storage=STORAGE)
    assert (result.completed, result.failed) == (0, 3)
    assert not result.ok


def test_get_can_be_cancelled() -> None:
    sink = MemorySink()
    with scp(C_GET=_retrieve_handler(series(200))) as peer:
        result = sync.get(
            peer, Level.STUDY, {"StudyInstanceUID": "1"}, sink, storage=STORAGE,
            is_cancelled=lambda: len(sink.files) >= 3,
        )  # fmt: skip
    assert result.status == 0xFE00
    assert 3 <= len(sink.files) < 200


def test_move_reports_counts_and_sends_to_the_destination() -> None:
    received: list[str] = []

    def store(event: Any) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    files = series(3)
    with scp(C_STORE=store) as destination:

        def move(event: Any) -> Iterator[Any]:
            assert event.move_destination == "DEST"
            yield destination.host, destination.port
            yield from _retrieve_handler(files)(event)

        with scp(C_MOVE=move) as peer:
            result = sync.move(peer, Level.STUDY, {"StudyInstanceUID": "1"}, "DEST")
    assert result.ok
    assert result.completed == 3
    assert len(received) == 3


def test_an_abort_in_the_middle_reaches_every_waiter() -> None:
    def store(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    with scp(C_STORE=store) as peer:
        results = sync.store(peer, [part10(dataset(n)) for n in range(1, 6)])
    assert len(results) == 5
    assert all(r.status is None for r in results)


def test_wrong_called_title_is_told_in_words() -> None:
    ae = AE("RIGHT")
    ae.require_called_aet = True
    ae.add_supported_context(sop.VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        with pytest.raises(ConnectError, match="called AE title not recognized"):
            sync.echo(Peer("127.0.0.1", server.socket.getsockname()[1], "WRONG"))
    finally:
        server.shutdown()
