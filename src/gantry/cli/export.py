"""`gantry export`: objects out of the archive, as the files they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantry.cli.exits import Exit
from gantry.cli.find import parse_keys
from gantry.cli.local import RunningServer, open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import counted, note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError, StorageError
from gantry.settings import Settings
from gantry.standard.query_keys import Level

if TYPE_CHECKING:
    from gantry.archive.archive import Archive

_STUDY, _SERIES = "0020000D", "0020000E"


@click.command("export")
@click.argument("query", nargs=-1, required=True)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@archive_options
def command(
    query: tuple[str, ...], folder: Path, data: Path | None, config_file: Path | None, as_json: bool
) -> int:
    """Write the objects of every study that matches QUERY to FOLDER, bit for bit.

    QUERY are Keyword=value conditions on studies, or the word all: gantry export PatientID=42 out/

    Files are named study/series/instance with numbers, so that no value of a Data Set becomes a path. FOLDER
    must be empty or new. Works beside a running server too.
    """
    settings = settings_from(config_file, data=data).settings
    conditions = {} if query == ("all",) else parse_keys(query)
    if folder.is_dir() and any(folder.iterdir()):
        raise CallerError(f"{folder} is not empty")
    running = running_server(settings)
    with Bar("exporting", quiet=as_json) as bar:
        tally = _Tally(bar, as_json)
        if running is not None:
            asyncio.run(_from_server(running, conditions, folder, tally))
        else:
            _from_archive(settings, conditions, folder, tally)
    if not as_json:
        failed = f", {tally.failed} could not be read" if tally.failed else ""
        what = f"{counted(tally.files, 'object')} of {counted(tally.studies, 'study', 'studies')}"
        result(f"{what} written to {folder}{failed}")
    return Exit.PROBLEMS if tally.failed else Exit.OK


class _Tally:
    """Names the next file, counts and reports."""

    def __init__(self, bar: Bar, as_json: bool) -> None:
        self.studies = self.files = self.failed = 0
        self._bar = bar
        self._as_json = as_json

    def wrote(self, sop_uid: str, path: Path) -> None:
        self.files += 1
        self._bar.reached(self.files)
        if self._as_json:
            print_json({"sopInstanceUid": sop_uid, "file": str(path)})

    def fail(self, what: str, why: str) -> None:
        self.failed += 1
        note(f"not written: {what}: {why}")


def _study_folder(folder: Path, number: int) -> Path:
    return folder / f"ST{number:06d}"


def _series_folder(study: Path, number: int) -> Path:
    return study / f"SE{number:06d}"


def _file(series: Path, number: int) -> Path:
    return series / f"IM{number:06d}.dcm"


def _from_archive(settings: Settings, conditions: dict[str, str], folder: Path, tally: _Tally) -> None:
    with open_archive(settings) as archive:
        for study in _studies(archive, conditions, tally):
            tally.studies += 1
            place = _study_folder(folder, tally.studies)
            numbers: dict[str, int] = {}
            counts: dict[str, int] = {}
            for location in archive.locate(study):
                uid = location.key.series_uid
                series = _series_folder(place, numbers.setdefault(uid, len(numbers) + 1))
                counts[uid] = counts.get(uid, 0) + 1
                path = _file(series, counts[uid])
                try:
                    _write(path, archive.blocks(location))
                except StorageError as error:
                    tally.fail(location.key.sop_uid, str(error))
                else:
                    tally.wrote(location.key.sop_uid, path)


def _studies(archive: Archive, conditions: dict[str, str], tally: _Tally) -> Iterator[str]:
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
            tally.fail("what follows", "the query looks at too many studies; narrow it down")
        if not found.rows or not found.more or found.truncated:
            return


def _write(path: Path, blocks: Iterator[bytes]) -> None:
    """The file whole, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    try:
        with part.open("xb") as out:
            for block in blocks:
                out.write(block)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


async def _from_server(
    server: RunningServer, conditions: dict[str, str], folder: Path, tally: _Tally
) -> None:
    from gantry.client.sinks import FolderSink
    from gantry.client.web import WebClient

    async with WebClient(server.dicomweb) as web:
        async for study in _uids(web.search(Level.STUDY, conditions), _STUDY):
            tally.studies += 1
            place = _study_folder(folder, tally.studies)
            number = 0
            async for series in _uids(web.search(Level.SERIES, study_uid=study), _SERIES):
                number += 1
                sink = FolderSink(_series_folder(place, number))
                verdicts = await web.retrieve(sink, study, series)
                for n, path in enumerate(sink.paths, 1):
                    tally.wrote(path.stem, path.rename(_file(path.parent, n)))
                for verdict in verdicts:
                    if verdict.status:
                        tally.fail(f"an object of series {series}", verdict.comment)


async def _uids(found: AsyncIterator[dict[str, Any]], tag: str) -> AsyncIterator[str]:
    seen: set[str] = set()
    async for model in found:
        uid = str(model[tag]["Value"][0])
        if uid not in seen:
            seen.add(uid)
            yield uid
