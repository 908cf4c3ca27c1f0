"""Every readable file goes in through each door of a real server and comes out of each door bit for bit.

In: C-STORE (one presentation context for each SOP class and transfer syntax, so that nothing is converted) and
STOW-RS. Out: C-GET, C-MOVE to pynetdicom and to DCMTK's storescp, WADO-RS of the instance. Its metadata,
bulk data fetched, is pydicom's JSON model, and `gantry dump` prints it. Files come in waves: a UID
that comes again with other bytes is a new version, which must then be the one given back.

`real_files.REFUSED` says which readable files are refused, and why.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pynetdicom import AE, _config, evt
from pynetdicom.ae import ApplicationEntity

import dcmtk
from gantry.archive.incoming import MEMORY_LIMIT
from gantry.client import scu, sync
from gantry.client.connection import Options, Peer, connect
from gantry.client.objects import groups_for_association
from gantry.client.sinks import MemorySink
from gantry.dataset.part10 import read_file_meta
from gantry.dicomweb.multipart import MultipartParser, PartBegin, PartData
from gantry.dimse.negotiation import ProposedContext
from gantry.dimse.user_information import AsyncWindow
from gantry.standard.query_keys import Level
from gantry.standard.status import Category, category
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from gantry.toolkit.example import example_study
from gantry_process import Gantry, gantry, running
from real_files import RealFile, made_files, packaged_files, shared_files, waves
from serving import dataset, dataset_bytes
from web_serving import STORE_TYPE, related

SOURCES = {
    "example": lambda: made_files(example_study(size=64, slices=4)),
    "pydicom": packaged_files,
    "shared": shared_files,
}
"""Where files come from: made here, shipped with pydicom, the shared test data."""

DCMTK_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2{end}"
    for end in ["", ".1", ".2", ".5"] + [f".4.{n}" for n in (50, 51, 70, 80, 81, 90, 91, 100, 102)]
)
UNSENDABLE = ("names no Transfer Syntax", "cut in its File Meta Information")
"""Refusals that no C-STORE can meet: nobody knows what the Data Set is written in."""

NO_SYNTAX = frozenset({"999.888.777.INVALID"})
"""Transfer syntaxes that no presentation context can name, because they are no UIDs; kept as files (B50)."""

NO_STORAGE = ("1.2.840.10008.1.2.6.", "1.2.840.10008.1.2.7.")
"""Begins syntaxes of web answers and of real-time video, which no C-STORE may be in."""

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::UserWarning:pydicom", "ignore::UserWarning:pynetdicom"),
]


@pytest.fixture(autouse=True)
def unrestricted(monkeypatch: pytest.MonkeyPatch) -> None:
    """pynetdicom takes storage classes that it does not know, as archives do."""
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", True)


@pytest.fixture(scope="module", params=["example", "pydicom", pytest.param("shared", marks=pytest.mark.slow)])
def files(request: pytest.FixtureRequest) -> list[RealFile]:
    return SOURCES[request.param]()


def test_n02_stored_over_c_store_and_given_back_by_every_door(files: list[RealFile], tmp_path: Path) -> None:
    kept = [f for f in files if f.refusal is None and f.syntax not in NO_SYNTAX]
    with (
        pynetdicom_receiver(kept) as received,
        running(tmp_path / "data", peers=f"RECEIVER@127.0.0.1:{received.port}", reserve_bytes=0) as server,
    ):
        for wave in waves(kept):
            assert c_store(server, wave) == {file.name: 0 for file in wave}
            assert_equal(c_get(server, wave), wave)
            c_move(server, wave, "RECEIVER")
            assert_equal(received.take(), wave)
            with server.client() as http:
                assert_equal(wado(http, wave), wave)
                for file in wave:
                    check_metadata(http, file)
        assert server.stats()["versions"] == sum(1 for _ in distinct(kept))
        assert "Traceback" not in server.words
    verified = gantry("verify", "--data", tmp_path / "data", "--json")
    assert verified.returncode == 0, verified.stdout


def test_n02_stored_over_stow_and_given_back(files: list[RealFile], tmp_path: Path) -> None:
    kept = [file for file in files if file.refusal is None]
    with running(tmp_path / "data", reserve_bytes=0) as server, server.client() as http:
        for wave in waves(kept):
            answer = stow(http, [file.data for file in wave])
            assert answer.status_code == 200, answer.text
            assert len(answer.json()["00081199"]["Value"]) == len({file.uids for file in wave})
            for file in wave:
                assert http.get(path_of(file), headers=AS_STORED).content == file.data, file.name
            sendable = [file for file in wave if file.syntax not in NO_SYNTAX]
            assert_equal(c_get(server, sendable), sendable)
        assert "Traceback" not in server.words


def test_what_is_refused_is_refused_with_its_reason_and_leaves_no_trace(
    files: list[RealFile], tmp_path: Path
) -> None:
    refused = [file for file in files if file.refusal is not None]
    by_store = [file for file in refused if file.refusal not in (None, *UNSENDABLE)]
    with running(tmp_path / "data", reserve_bytes=0) as server, server.client() as http:
        statuses = c_store(server, by_store)
        for file in by_store:
            assert category(statuses[file.name]) is Category.FAILURE, file.name
        for file in refused:
            answer = stow(http, [file.data])
            assert answer.status_code == 409, f"{file.name}: {answer.text}"
            assert (file.refusal or "-") in answer.headers["warning"], file.name
        stats = server.stats()
        assert (stats["versions"], stats["studies"]) == (0, 0)
    assert not [path for path in (tmp_path / "data" / "objects").rglob("*") if path.is_file()]


def test_n02_every_transfer_syntax_comes_back_as_it_came_by_every_door(tmp_path: Path) -> None:
    """Small objects in each syntax of the table, and some that are spooled: digests on the wire and on disk."""
    files = files_of_all_syntaxes()
    expected = {(file.uids[2], hashlib.sha256(file.dataset).hexdigest()) for file in files}
    for door in ("C-STORE", "STOW-RS"):
        data = tmp_path / door
        with running(data, reserve_bytes=0) as server, server.client() as http:
            if door == "C-STORE":
                assert c_store(server, files) == {file.name: 0 for file in files}
            else:
                answer = stow(http, [file.data for file in files])
                assert answer.status_code == 200, answer.text
            assert_equal(c_get(server, files), files)
            assert_equal(wado(http, files), files)
        kept = {
            (path.stem, hashlib.sha256(dataset_bytes(path.read_bytes())).hexdigest())
            for path in (data / "objects").rglob("*.dcm")
        }
        assert kept == expected
        assert gantry("verify", "--data", data).returncode == 0


def files_of_all_syntaxes() -> list[RealFile]:
    """An object in each transfer syntax, in every fourth also one larger than what is held in memory."""
    dice = random.Random(2)
    made = []
    syntaxes = [syntax for syntax in TRANSFER_SYNTAXES.values() if not syntax.uid.startswith(NO_STORAGE)]
    for number, syntax in enumerate(syntaxes, 1):
        for instance, size in ((1, 4000), (2, MEMORY_LIMIT + 4000))[: 1 + (number % 4 == 0)]:
            ds = dataset(instance, study=number, size=size)
            pixels = dice.randbytes(size)
            ds.PixelData = encapsulate([pixels[:99], pixels[99:]]) if syntax.encapsulated else pixels
            ds["PixelData"].VR = "OB" if syntax.encapsulated else "OW"
            ds["PixelData"].is_undefined_length = syntax.encapsulated
            made.append(RealFile(f"{syntax.uid} {instance}", written(ds, syntax), ds))
    return made


def written(ds: Dataset, syntax: TransferSyntax) -> bytes:
    """`ds` as a file in any syntax: pydicom's own function knows some, and refuses the others."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = syntax.uid
    body = DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = syntax.little_endian, syntax.implicit_vr
    write_dataset(body, ds)
    content = body.getvalue()
    if syntax.deflated:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content = packer.compress(content) + packer.flush()
        content += bytes(len(content) % 2)
    head = DicomBytesIO()
    head.write(bytes(128) + b"DICM")
    write_file_meta_info(head, ds.file_meta)
    return head.getvalue() + content


def test_dcmtk_receives_every_object_bit_for_bit(files: list[RealFile], tmp_path: Path) -> None:
    """storescp +B writes what comes as it comes; it must know the transfer syntax, and aborts on odd lengths."""
    kept = [file for file in files if file.refusal is None]
    known = [f for f in kept if f.syntax in DCMTK_SYNTAXES and len(f.dataset) % 2 == 0]
    assert len(known) > 0.9 * len(kept)
    options = ("+B", "-pm", "+xa", "--unique-filenames")
    with dcmtk.storescp(tmp_path / "received", *options, aet="DCMTK") as port:
        peers = f"DCMTK@127.0.0.1:{port}"
        with running(tmp_path / "data", peers=peers, reserve_bytes=0) as server:
            for number, wave in enumerate(waves(known)):
                c_store(server, wave)
                c_move(server, wave, "DCMTK")
                received = [path for path in (tmp_path / "received").iterdir() if path.is_file()]
                assert_equal((path.read_bytes() for path in received), wave)
                (tmp_path / f"wave{number}").mkdir()
                for path in received:
                    path.rename(tmp_path / f"wave{number}" / path.name)


def test_dump_prints_every_file(files: list[RealFile], tmp_path: Path) -> None:
    """All files that have meta information to read; in one process, which is as a person would do it."""
    paths = []
    for number, file in enumerate(files):
        if file.refusal not in ("cut in its File Meta Information",):
            paths.append(tmp_path / f"{number}.dcm")
            paths[-1].write_bytes(file.data)
    dumped = gantry("dump", *paths)
    assert "Traceback" not in dumped.stderr
    assert "Traceback" not in dumped.stdout


# The doors

AS_STORED = {"accept": "application/dicom; transfer-syntax=*"}


def c_store(server: Gantry, files: Sequence[RealFile]) -> dict[str, int]:
    """Send all, each in its own transfer syntax; the status of each by name."""
    results = sync.store(
        server.peer,
        [file.outgoing() for file in files],
        associations=2,
        options=Options(async_window=AsyncWindow(16, 1)),
    )
    return {result.label: -1 if result.status is None else result.status for result in results}


def c_get(server: Gantry, files: Sequence[RealFile]) -> list[bytes]:
    """Ask for the files by their UIDs; the Part 10 files that came."""
    sink = MemorySink()
    asyncio.run(_get(server.peer, files, sink))
    return sink.files


async def _get(peer: Peer, files: Sequence[RealFile], sink: MemorySink) -> None:
    for group in _groups(files):
        contexts = scu.get_contexts(dict.fromkeys(_context(file) for file in group))
        connection = await connect(peer, contexts=contexts, options=Options(roles=scu.get_roles(contexts)))
        async with connection:
            for keys in _image_keys(group):
                progress = await scu.get(connection, Level.IMAGE, keys, sink)
                assert progress.ok, _names(files, progress.failed_uids)


def c_move(server: Gantry, files: Sequence[RealFile], destination: str) -> None:
    asyncio.run(_move(server.peer, files, destination))


async def _move(peer: Peer, files: Sequence[RealFile], destination: str) -> None:
    failed: list[str] = []
    async with await connect(peer, contexts=scu.move_contexts()) as connection:
        for keys in _image_keys(files):
            failed += (await scu.move(connection, Level.IMAGE, keys, destination)).failed_uids
    assert not failed, _names(files, failed)


def wado(http: httpx.Client, files: Sequence[RealFile]) -> Iterator[bytes]:
    for file in files:
        answer = http.get(path_of(file), headers=AS_STORED)
        assert answer.status_code == 200, f"{file.name}: {answer.text}"
        yield answer.content


def stow(http: httpx.Client, objects: Iterable[bytes]) -> httpx.Response:
    return http.post("/dicom-web/studies", content=related(objects), headers={"content-type": STORE_TYPE})


class Received:
    """What pynetdicom received, as Part 10 files."""

    def __init__(self) -> None:
        self.port = 0
        self._files: list[bytes] = []

    def store(self, event: evt.Event) -> int:
        self._files.append(event.encoded_dataset())
        return 0

    def take(self) -> list[bytes]:
        files, self._files = self._files, []
        return files


@contextmanager
def pynetdicom_receiver(files: Sequence[RealFile]) -> Iterator[Received]:
    """A storage SCP of pynetdicom that accepts what `files` are."""
    received = Received()
    ae: ApplicationEntity = AE("RECEIVER")
    ae.maximum_pdu_size = 0
    for context in dict.fromkeys(_context(file) for file in files):
        ae.add_supported_context(context.abstract_syntax, list(context.transfer_syntaxes))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, received.store)])
    try:
        received.port = server.server_address[1]
        yield received
    finally:
        server.shutdown()


def _names(files: Iterable[RealFile], sop_uids: Iterable[str]) -> list[str]:
    wanted = set(sop_uids)
    return [file.name for file in files if file.uids[2] in wanted]


def _context(file: RealFile) -> ProposedContext:
    return ProposedContext(file.sop_class, (file.syntax,))


def _groups(files: Sequence[RealFile]) -> Iterator[list[RealFile]]:
    """`files` in runs whose contexts fit into one C-GET association."""
    named = {file.name: file for file in files}
    objects = [file.outgoing() for file in files]
    service = [ProposedContext("1.2.840.10008.5.1.4.1.2.2.3", ("1.2.840.10008.1.2",))]
    for group in groups_for_association(objects, lambda o: [*service, _context(named[o.label])]):
        yield [named[o.label] for o in group]


def _image_keys(files: Sequence[RealFile]) -> Iterator[dict[str, Any]]:
    """IMAGE level keys for `files`, a request for each series."""
    series: dict[tuple[str, str], list[str]] = {}
    for file in files:
        study_uid, series_uid, sop_uid = file.uids
        series.setdefault((study_uid, series_uid), []).append(sop_uid)
    for (study_uid, series_uid), sop_uids in series.items():
        yield {
            "StudyInstanceUID": study_uid,
            "SeriesInstanceUID": series_uid,
            "SOPInstanceUID": sop_uids,
        }


# What must be equal


def distinct(files: Iterable[RealFile]) -> set[tuple[tuple[str, str, str], str, bytes]]:
    """Versions that `files` are: the same bytes again are none."""
    return {(file.uids, file.syntax, file.dataset) for file in files}


def assert_equal(received: Iterable[bytes], files: Sequence[RealFile]) -> None:
    """The Data Sets of Part 10 files are those of `files`, and in the same transfer syntax."""
    found = sorted((read_file_meta(data).transfer_syntax_uid, dataset_bytes(data)) for data in received)
    expected = sorted((file.syntax, file.dataset) for file in files)
    assert len(found) == len(expected)
    # Not compared as a whole: pytest would print megabytes.
    names = {(file.syntax, file.dataset): file.name for file in files}
    for one, other in zip(found, expected, strict=True):
        assert one[0] == other[0], names[other]
        assert one[1] == other[1], names[other]


def path_of(file: RealFile) -> str:
    study_uid, series_uid, sop_uid = file.uids
    return f"/dicom-web/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"


def check_metadata(http: httpx.Client, file: RealFile) -> None:
    """The metadata, with bulk data put back in, are what pydicom says."""
    expected = file.model()
    if expected is None:
        return
    answer = http.get(f"{path_of(file)}/metadata", headers={"accept": "application/dicom+json"})
    assert answer.status_code == 200, file.name
    [model] = answer.json()
    assert ("7FE00010" in model) == ("PixelData" in file.reading), file.name
    for tag in file.otherwise:
        model.pop(tag, None)
    resolve(http, model)
    assert model == expected, file.name


def resolve(http: httpx.Client, model: dict[str, Any]) -> None:
    """Put the bytes behind each BulkDataURI in its place."""
    for attribute in model.values():
        if "BulkDataURI" in attribute:
            uri = attribute.pop("BulkDataURI")
            answer = http.get(uri, headers={"accept": "application/octet-stream, */*;q=0.1"})
            assert answer.status_code == 200, uri
            attribute["InlineBinary"] = base64.b64encode(single_part(answer)).decode()
        if attribute["vr"] == "SQ":
            for item in attribute.get("Value", []):
                resolve(http, item)


def single_part(answer: httpx.Response) -> bytes:
    kind, _, parameters = answer.headers["content-type"].partition(";")
    if kind != "multipart/related":
        return answer.content
    parser = MultipartParser(parameters.rpartition("boundary=")[2])
    events = parser.feed(answer.content)
    assert sum(isinstance(event, PartBegin) for event in events) == 1
    return b"".join(bytes(event.data) for event in events if isinstance(event, PartData))
