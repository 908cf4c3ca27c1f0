"""Objects out of an archive, bit for bit, as files named by numbers: study, series, instance.

What is to be written is planned study by study; each plan is durable in ``FOLDER/unfinished`` before the
first file of it is written, and each file has its name once it is whole. So an export that was broken off can
be gone on with, and numbers stay what they were.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gantry.archive.batch import Batch, Lost
from gantry.archive.blobs.files import AWAY
from gantry.archive.disk import Disk
from gantry.archive.stored_digests import StoredDigests
from gantry.errors import CallerError, Corrupt, NotFound, StorageError
from gantry.standard.query_keys import Level

if TYPE_CHECKING:
    from gantry.archive.archive import Archive
    from gantry.archive.records import Location

UNFINISHED = "unfinished"
_PLANS = "plans.jsonl"
_STUDY, _SERIES = "0020000D", "0020000E"


class Report:
    """Who is told of each file, and of what could not be written; counts them."""

    def __init__(self, wrote: Callable[[str, Path], object], failed: Callable[[str, str], object]) -> None:
        self.studies = self.files = self.failures = 0
        self._wrote = wrote
        self._failed = failed

    def wrote(self, sop_uid: str, path: Path) -> None:
        """The object is whole at `path`."""
        self.files += 1
        self._wrote(sop_uid, path)

    def fail(self, what: str, why: str) -> None:
        """Something is not written."""
        self.failures += 1
        self._failed(what, why)


class Plan(msgspec.Struct, frozen=True):
    """One study: its series, each with SOP Instance UIDs and versions; numbers are those of their order.

    Of a server, the instances are not known before they come.
    """

    study: str
    series: list[tuple[str, list[tuple[str, int]]]]


class Plans:
    """The plans of an export into a folder: those that were made, and others that come to them.

    Raises CallerError where the folder has anything else in it.
    """

    def __init__(self, folder: Path, *, resume: bool) -> None:
        self.folder = folder
        self.parts = folder / UNFINISHED
        self._path = self.parts / _PLANS
        if resume and not self._path.exists():
            raise CallerError(f"no export into {folder} was broken off")
        if not resume and folder.is_dir() and any(folder.iterdir()):
            hint = "; --resume goes on with the export that was broken off" if self._path.exists() else ""
            raise CallerError(f"{folder} is not empty{hint}")

    def made(self, studies: Iterable[str], plan: Callable[[str], Plan]) -> Iterator[tuple[Path, Plan, bool]]:
        """Each study's folder and plan, and whether it was made before; new ones last."""
        self.parts.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        count = 0
        known: set[str] = set()
        for count, former in enumerate(self._former(), 1):
            known.add(former.study)
            yield self._place(count), former, True
        with self._path.open("ab") as file:
            for study in studies:
                if study in known:
                    continue
                count += 1
                made = plan(study)
                file.write(msgspec.json.encode(made) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                yield self._place(count), made, False

    def finish(self) -> None:
        """All is done: nothing is left to go on with."""
        if self.parts.exists():
            shutil.rmtree(self.parts)

    def _place(self, number: int) -> Path:
        return self.folder / f"ST{number:06d}"

    def _former(self) -> Iterator[Plan]:
        """Plans that are whole; what a crash left at the end is cut off."""
        end = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                yield msgspec.json.decode(line, type=Plan)
        os.truncate(self._path, end)


def _series_folder(study: Path, number: int) -> Path:
    return study / f"SE{number:06d}"


def _file(series: Path, number: int) -> Path:
    return series / f"IM{number:06d}.dcm"


# --- out of an archive that is open here -----------------------------------------------------------------


class _Copy(NamedTuple):
    sop_uid: str
    path: str
    size: int
    offset: int
    dataset_sha256: bytes
    meta_sha256: bytes
    target: Path
    parts: Path


def export(
    archive: Archive, conditions: dict[str, str], plans: Plans, report: Report, batch: Batch[Disk]
) -> None:
    """Write the objects of all studies that match. Raises StorageError where the work cannot go on."""
    studies = studies_found(archive, conditions, lambda why: report.fail("what follows", why))
    for share in batch.run(_copied, _copies(archive, studies, plans, report), lambda copy: copy.size):
        for copy, why in share:
            if isinstance(why, Lost):
                report.fail(copy.sop_uid, why.why)
            elif why:
                report.fail(copy.sop_uid, why)
            elif _size_of(copy.target) != copy.size:
                raise StorageError(f"{copy.target} was written, but not here: is the folder shared?")
            else:
                report.wrote(copy.sop_uid, copy.target)


def _copies(archive: Archive, studies: Iterable[str], plans: Plans, report: Report) -> Iterator[_Copy]:
    for place, plan, is_former in plans.made(studies, lambda study: _plan(archive, study)):
        report.studies += 1
        known = {_version_of(one): one for one in archive.locate(plan.study)}
        for number, (series_uid, instances) in enumerate(plan.series, 1):
            folder = _series_folder(place, number)
            folder.mkdir(parents=True, exist_ok=True)
            for n, (sop_uid, version) in enumerate(instances, 1):
                found = known.get((series_uid, sop_uid, version)) or next(
                    iter(archive.locate(plan.study, series_uid, sop_uid, version)), None
                )
                target = _file(folder, n)
                if found is None:
                    report.fail(sop_uid, "it is not in the archive any more")
                elif is_former and _size_of(target) == found.file_size:
                    report.wrote(sop_uid, target)
                else:
                    yield from _to_copy(archive, found, target, plans.parts, report)


def _plan(archive: Archive, study: str) -> Plan:
    series: dict[str, list[tuple[str, int]]] = {}
    for location in archive.locate(study):
        series.setdefault(location.key.series_uid, []).append((location.key.sop_uid, location.number))
    return Plan(study, list(series.items()))


def _version_of(location: Location) -> tuple[str, str, int]:
    return location.key.series_uid, location.key.sop_uid, location.number


def _to_copy(
    archive: Archive, location: Location, target: Path, parts: Path, report: Report
) -> Iterator[_Copy]:
    uid = location.key.sop_uid
    try:
        archive.refuse_damaged(location)
        if location.made_from:  # which takes more than its file
            _write(parts, target, archive.blocks(location))
            report.wrote(uid, target)
            return
    except (Corrupt, NotFound, StorageError) as error:
        report.fail(uid, str(error))
        return
    yield _Copy(
        uid, location.path, location.file_size, location.dataset_offset, location.dataset_sha256,
        location.meta_sha256, target, parts,
    )  # fmt: skip


def _copied(disk: Disk, copies: Sequence[_Copy]) -> list[str]:
    """Why each was not written; empty for those that were. Raises OSError where nothing more can be."""
    return [_copy(disk, copy) for copy in copies]


def _copy(disk: Disk, copy: _Copy) -> str:
    try:
        _write(copy.parts, copy.target, _checked(disk, copy))
    except _Rotten as error:
        return str(error)
    return ""


class _Rotten(Exception):
    """What was read is not what was kept."""


def _checked(disk: Disk, copy: _Copy) -> Iterator[memoryview]:
    digests = StoredDigests(copy.offset)
    pieces = disk.read_stored(copy.path)
    while True:
        try:
            piece = next(pieces, None)
        except OSError as error:
            if error.errno == AWAY:
                raise
            raise _Rotten(f"it cannot be read: {error.strerror}") from error
        if piece is None:
            break
        digests.update(piece)
        yield piece
    if digests.meta.digest() != copy.meta_sha256 or digests.dataset.digest() != copy.dataset_sha256:
        raise _Rotten("its bytes are not what was received: gantry verify tells more")


def _write(parts: Path, target: Path, blocks: Iterable[bytes | memoryview]) -> None:
    """The file whole, or none. Raises OSError."""
    # Of its own name each time: who is thought to be dead may be slow
    part = parts / uuid.uuid4().hex
    try:
        with part.open("xb") as out:
            for block in blocks:
                out.write(block)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def studies_found(
    archive: Archive, conditions: dict[str, str], cut_short: Callable[[str], object]
) -> Iterator[str]:
    """The Study Instance UIDs that match, each once; `cut_short` is told where that is not all."""
    from gantry.archive.query import Query
    from gantry.client.keys import keys_model

    keys = keys_model(conditions)
    offset = 0
    seen: set[str] = set()  # a study is found once for each patient that it is said to be of
    while True:
        found = archive.find(Query(Level.STUDY, keys, offset=offset))
        for row in found.rows:
            if row.study_uid not in seen:
                seen.add(row.study_uid)
                yield row.study_uid
        offset += len(found.rows)
        if found.truncated:
            cut_short("the query looks at too many studies; narrow it down")
        if not found.rows or not found.more or found.truncated:
            return


# --- out of a server ---------------------------------------------------------------------------------------


class _Fetch(NamedTuple):
    study_uid: str
    series_uid: str
    target: Path
    parts: Path
    # There while something of the series is missing
    missing: Path


class _Fetched(NamedTuple):
    files: list[tuple[str, Path]]
    failures: list[str]


def at(dicomweb: str) -> AbstractContextManager[str]:
    """What a batch works on to fetch from there."""
    return nullcontext(dicomweb)


def export_from_server(
    dicomweb: str, conditions: dict[str, str], plans: Plans, report: Report, batch: Batch[str]
) -> None:
    """Write the objects of all studies that match in the DICOMweb service at that URL, series by series.

    Raises NetworkError and its kin where it does not answer.
    """
    studies = asyncio.run(_uids(dicomweb, _STUDY, Level.STUDY, conditions))
    for share in batch.run(_fetched, _fetches(dicomweb, studies, plans, report)):
        for fetch, done in share:
            if isinstance(done, Lost):
                report.fail(f"series {fetch.series_uid}", done.why)
                continue
            for sop_uid, path in done.files:
                if not path.exists():
                    raise StorageError(f"{path} was written, but not here: is the folder shared?")
                report.wrote(sop_uid, path)
            for why in done.failures:
                report.fail(f"an object of series {fetch.series_uid}", why)


def _fetches(dicomweb: str, studies: Iterable[str], plans: Plans, report: Report) -> Iterator[_Fetch]:
    def plan(study: str) -> Plan:
        found = asyncio.run(_uids(dicomweb, _SERIES, Level.SERIES, study_uid=study))
        return Plan(study, [(uid, []) for uid in found])

    for place, made, _ in plans.made(studies, plan):
        report.studies += 1
        for number, (uid, _) in enumerate(made.series, 1):
            target = _series_folder(place, number)
            missing = plans.parts / f"{place.name}-{target.name}.missing"
            yield _Fetch(made.study, uid, target, plans.parts, missing)


def _fetched(dicomweb: str, fetches: Sequence[_Fetch]) -> list[_Fetched]:
    return [asyncio.run(_fetch(dicomweb, fetch)) for fetch in fetches]


async def _fetch(dicomweb: str, fetch: _Fetch) -> _Fetched:
    from gantry.client.sinks import FolderSink
    from gantry.client.web import WebClient

    target = fetch.target
    if target.exists() and not fetch.missing.exists():  # it has its name since all of it was there
        return _Fetched([(path.stem, path) for path in sorted(target.iterdir())], [])
    part = fetch.parts / uuid.uuid4().hex
    part.mkdir()
    sink = FolderSink(part)
    async with WebClient(dicomweb) as web:
        verdicts = await web.retrieve(sink, fetch.study_uid, fetch.series_uid)
    names = []
    for n, path in enumerate(sink.paths, 1):
        file = _file(part, n)
        path.rename(file)
        names.append((path.stem, target / file.name))
    failures = [verdict.comment for verdict in verdicts if verdict.status]
    if failures:
        fetch.missing.touch()
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part.rename(target)
    if not failures:
        fetch.missing.unlink(missing_ok=True)
    return _Fetched(names, failures)


async def _uids(
    dicomweb: str,
    tag: str,
    level: Level,
    conditions: dict[str, str] | None = None,
    study_uid: str | None = None,
) -> list[str]:
    from gantry.client.web import WebClient

    async with WebClient(dicomweb) as web:
        found = [
            str(one[tag]["Value"][0]) async for one in web.search(level, conditions, study_uid=study_uid)
        ]
    return list(dict.fromkeys(found))
