"""`gantry import`: objects from folders, zip files and media into the archive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import is_served, open_archive
from gantry.cli.options import config_option, data_option, json_option, print_json, settings_from
from gantry.cli.peers import own_web
from gantry.cli.progress import Bar
from gantry.errors import CallerError, DataSetError
from gantry.settings import Settings
from gantry.toolkit.sources import Source, objects_in

if TYPE_CHECKING:
    from gantry.archive.archive import Archive

THREADS = 8
"""Objects under way at once: those that wait for the disk share its syncs and one index transaction."""

NOT_DICOM = "not DICOM"
REFUSED = "refused"
_BAD = (REFUSED,)


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one candidate."""

    name: str
    what: str
    message: str = ""
    sop_uid: str = ""


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--in-place", is_flag=True, help="Leave the files where they are and refer to them.")
@data_option
@config_option
@json_option
def command(
    paths: tuple[Path, ...], in_place: bool, data: Path | None, config_file: Path | None, as_json: bool
) -> int:
    """Store what lies at PATHS: files, folders, zip files, a DICOMDIR with its file-set.

    Works beside a running server too. What is not DICOM is skipped and counted; the exit code is 1 when an
    object was refused. With --in-place the files stay where they are and must not be changed afterwards;
    gantry verify notices when they were.
    """
    settings = settings_from(config_file, data=data).settings
    sources = list(objects_in(paths))
    counts: Counter[str] = Counter()
    with Bar("importing", len(sources), quiet=as_json) as bar:
        for imported in _results(settings, sources, in_place):
            bar.advance()
            counts[imported.what] += 1
            _report(imported, as_json)
    if not as_json:
        click.echo(", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing found")
    return Exit.PROBLEMS if any(counts[what] for what in _BAD) else Exit.OK


def _report(imported: Imported, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "file": imported.name,
                "result": imported.what,
                "message": imported.message,
                "sopInstanceUid": imported.sop_uid,
            }
        )
    elif imported.what in _BAD:
        click.echo(f"{imported.name}: {imported.message}", err=True)


def _results(settings: Settings, sources: list[Source], in_place: bool) -> Iterator[Imported]:
    if is_served(settings):
        if in_place:
            raise CallerError("--in-place needs the archive to itself; stop the server first")
        yield from _through_server(settings, sources)
        return
    with open_archive(settings) as archive:
        yield from _in_threads(archive, sources, in_place)


def _in_threads(archive: Archive, sources: Iterable[Source], in_place: bool) -> Iterator[Imported]:
    """Several at once, but never more than that many read ahead."""
    with ThreadPoolExecutor(THREADS) as pool:
        running: set[Future[Imported]] = set()
        for source in sources:
            running.add(pool.submit(_import_one, archive, source, in_place))
            if len(running) >= 2 * THREADS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in running)


def _import_one(archive: Archive, source: Source, in_place: bool) -> Imported:
    from gantry.archive.outcome import NewVersion, Refused, Stored
    from gantry.archive.records import Origin

    try:
        if not source.is_dicom():
            return Imported(source.name, NOT_DICOM)
        if in_place and source.path is not None:
            outcome = archive.reference(source.path.resolve(), Origin(via="import"))
        else:
            outcome = archive.store(source.pieces(), Origin(via="import"))
    except DataSetError as error:
        return Imported(source.name, REFUSED, str(error))
    except OSError as error:
        return Imported(source.name, REFUSED, f"cannot be read: {error.strerror}")
    match outcome:
        case Refused():
            return Imported(source.name, REFUSED, outcome.message)
        case Stored():
            return Imported(source.name, "stored", sop_uid=outcome.key.sop_uid)
        case NewVersion():
            return Imported(source.name, "stored as new version", sop_uid=outcome.key.sop_uid)
        case _:
            return Imported(source.name, "unchanged", sop_uid=outcome.key.sop_uid)


def _through_server(settings: Settings, sources: Iterable[Source]) -> Iterator[Imported]:
    """Hand the objects to the server that has the archive, one request each so that each has its result."""
    with asyncio.Runner() as runner:
        for source in sources:
            yield runner.run(_stow(own_web(settings).url, source))


async def _stow(url: str, source: Source) -> Imported:
    from gantry.client.web import WebClient

    try:
        if not source.is_dicom():
            return Imported(source.name, NOT_DICOM)
        async with WebClient(url) as web:
            content = source.path if source.path is not None else b"".join(source.pieces())
            results = await web.store([content])
    except DataSetError as error:
        return Imported(source.name, REFUSED, str(error))
    except OSError as error:
        return Imported(source.name, REFUSED, f"cannot be read: {error.strerror}")
    if results and results[0].ok:
        return Imported(source.name, "stored", sop_uid=results[0].sop_instance_uid)
    return Imported(source.name, REFUSED, results[0].comment if results else "the server did not say why")
