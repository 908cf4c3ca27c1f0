"""`gantry import`: objects from folders, zip files and media into the archive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import RunningServer, open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError, DataSetError, PeerError
from gantry.toolkit.sources import Kind, Source, objects_in, opened, with_meta

if TYPE_CHECKING:
    from gantry.archive.archive import Archive
    from gantry.archive.outcome import Outcome

THREADS = 8
"""Objects under way at once: those that wait for the disk share its syncs and one index transaction."""

STORED = "stored"
NEW_VERSION = "stored as new version"
UNCHANGED = "unchanged"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one candidate."""

    name: str
    what: str
    message: str = ""
    sop_uid: str = ""


Keep = Callable[[Source, Iterator[bytes]], Imported]
"""Keeps one object, whose bytes come in pieces; may be called in several threads at once."""


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--in-place", is_flag=True, help="Leave the files where they are and refer to them.")
@click.option(
    "--bare", is_flag=True, help="Also take objects without preamble or file meta information, and add it."
)
@archive_options
def command(
    paths: tuple[Path, ...],
    in_place: bool,
    bare: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Store what lies at PATHS: files, folders, zip files, a DICOMDIR with its file-set.

    Works beside a running server too. What is not DICOM is skipped and counted; the exit code is 1 when an
    object was refused. With --in-place the files stay where they are and must not be changed afterwards;
    gantry verify notices when they were.
    """
    settings = settings_from(config_file, data=data).settings
    counts: Counter[str] = Counter()
    running = running_server(settings)
    if running is not None and in_place:
        raise CallerError("--in-place needs the archive to itself; stop the server first")

    def total() -> int:
        return sum(1 for _ in objects_in(paths))

    with (
        _through_server(running)
        if running
        else _own_archive(open_archive(settings, making=True), in_place) as keep,
        Bar("importing", total, quiet=as_json) as bar,
    ):
        for imported in _results(keep, objects_in(paths), bare):
            bar.advance()
            counts[imported.what] += 1
            _report(imported, as_json)
    if not as_json:
        result(", ".join(f"{n} {what}" for what, n in sorted(counts.items())) or "nothing found")
        if counts[Kind.BARE.value]:
            note(f"{counts[Kind.BARE.value]} files are {Kind.BARE.value}; --bare takes them too")
    return Exit.PROBLEMS if counts[REFUSED] else Exit.OK


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
    elif imported.what == REFUSED:
        note(f"refused: {imported.name}: {imported.message}")


def _results(keep: Keep, sources: Iterable[Source], bare: bool) -> Iterator[Imported]:
    """Several at once, but never more than that many read ahead."""
    with ThreadPoolExecutor(THREADS) as pool:
        running: set[Future[Imported]] = set()
        for source in sources:
            running.add(pool.submit(_import_one, keep, source, bare))
            if len(running) >= 2 * THREADS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in running)


def _import_one(keep: Keep, source: Source, bare: bool) -> Imported:
    try:
        kind, pieces = opened(source)
        match kind:
            case Kind.OBJECT:
                return keep(source, pieces)
            case Kind.BARE if bare:
                return keep(Source(source.name, None, source.pieces), with_meta(pieces))
            case Kind.ZIP:
                return Imported(source.name, REFUSED, "a zip file in a zip file is not opened")
            case _:
                return Imported(source.name, kind.value)
    except DataSetError as error:
        return Imported(source.name, REFUSED, str(error))
    except OSError as error:
        return Imported(source.name, REFUSED, f"cannot be read: {error.strerror}")


@contextmanager
def _own_archive(archive: Archive, in_place: bool) -> Iterator[Keep]:
    """Keep objects in the archive that this process has opened."""
    from gantry.archive.records import Origin

    origin = Origin(via="import")

    def keep(source: Source, pieces: Iterator[bytes]) -> Imported:
        if not in_place:
            return _imported(source, archive.store(pieces, origin))
        if source.path is None:
            raise DataSetError("it is no file of its own, so it cannot stay in place")
        return _imported(source, archive.reference(source.path.resolve(), origin))

    with archive:
        yield keep


def _imported(source: Source, outcome: Outcome) -> Imported:
    from gantry.archive.outcome import NewVersion, Refused, Stored

    if isinstance(outcome, Refused):
        return Imported(source.name, REFUSED, outcome.message)
    what = {Stored: STORED, NewVersion: NEW_VERSION}.get(type(outcome), UNCHANGED)
    return Imported(source.name, what, sop_uid=outcome.key.sop_uid)


@contextmanager
def _through_server(server: RunningServer) -> Iterator[Keep]:
    """Hand objects to the server that has the archive, one a request so that each has its result."""
    from gantry.cli.background import background_loop
    from gantry.client.web import WebClient

    with background_loop() as call:
        web = WebClient(server.dicomweb)

        def keep(source: Source, pieces: Iterator[bytes]) -> Imported:
            content = source.path if source.path is not None else b"".join(pieces)
            try:
                stored = call(web.store([content]))
            except (CallerError, PeerError) as error:
                return Imported(source.name, REFUSED, str(error))
            if stored and stored[0].ok:
                return Imported(source.name, STORED, stored[0].comment, stored[0].sop_instance_uid)
            return Imported(
                source.name, REFUSED, stored[0].comment if stored else "the server did not say why"
            )

        try:
            yield keep
        finally:
            call(web.close())
