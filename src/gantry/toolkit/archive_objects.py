"""The objects that a query of an archive finds, as files: where they lie, or fetched from its server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gantry.errors import StorageError
from gantry.standard.query_keys import Level
from gantry.toolkit.images import Candidate, Spool, Unreadable

if TYPE_CHECKING:
    from gantry.archive.archive import Archive
    from gantry.archive.records import Location

_STUDY = "0020000D"


def located(archive: Archive, conditions: dict[str, str], spool: Spool) -> Iterator[Candidate | Unreadable]:
    """The current objects of the studies that match, named by numbers."""
    from gantry.toolkit.export import studies_found

    cut_short: list[str] = []
    for number, study in enumerate(studies_found(archive, conditions, cut_short.append), 1):
        yield from _of_study(archive, study, number, spool)
    for why in cut_short:
        yield Unreadable("what follows", why)


def _of_study(
    archive: Archive, study_uid: str, number: int, spool: Spool
) -> Iterator[Candidate | Unreadable]:
    series: dict[str, int] = {}
    counts: dict[str, int] = {}
    for location in archive.locate(study_uid):
        uid = location.key.series_uid
        counts[uid] = counts.get(uid, 0) + 1
        stem = f"ST{number:06d}/SE{series.setdefault(uid, len(series) + 1):06d}/IM{counts[uid]:06d}"
        try:
            yield Candidate(location.key.sop_uid, _file(archive, location, spool), stem)
        except (StorageError, OSError) as error:
            yield Unreadable(location.key.sop_uid, str(error))


def _file(archive: Archive, location: Location, spool: Spool) -> Path:
    path = archive.real_path(location)
    if path is not None:
        return path
    copy = spool.folder / f"{location.key.sop_uid}.dcm"
    with copy.open("xb") as out:
        for block in archive.blocks(location):
            out.write(block)
    return copy


def fetched(dicomweb: str, conditions: dict[str, str], spool: Spool) -> Iterator[Candidate | Unreadable]:
    """The objects of the studies that match, fetched into `spool` from the DICOMweb service at that URL."""
    for number, folder, failures in asyncio.run(_fetch(dicomweb, conditions, spool.folder)):
        for n, path in enumerate(sorted(folder.rglob("*.dcm")), 1):
            yield Candidate(path.stem, path, f"ST{number:06d}/IM{n:06d}")
        yield from failures


async def _fetch(
    dicomweb: str, conditions: dict[str, str], spool: Path
) -> list[tuple[int, Path, list[Unreadable]]]:
    from gantry.client.sinks import FolderSink
    from gantry.client.web import WebClient

    studies = []
    async with WebClient(dicomweb) as web:
        uids = [str(model[_STUDY]["Value"][0]) async for model in web.search(Level.STUDY, conditions)]
        for number, uid in enumerate(dict.fromkeys(uids), 1):
            folder = spool / f"{number:06d}"
            verdicts = await web.retrieve(FolderSink(folder), uid)
            failures = [Unreadable("an object", verdict.comment) for verdict in verdicts if verdict.status]
            studies.append((number, folder, failures))
    return studies
