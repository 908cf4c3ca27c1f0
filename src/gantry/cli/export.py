"""`gantry export`: objects out of the archive, as the files they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from gantry.cli.batches import Hands, batch_options
from gantry.cli.exits import Exit
from gantry.cli.find import parse_keys
from gantry.cli.local import open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import counted, note, print_json, result
from gantry.cli.progress import Bar


@click.command("export")
@click.argument("query", nargs=-1, required=True)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@batch_options
@archive_options
def command(
    query: tuple[str, ...],
    folder: Path,
    hands: Hands,
    resume: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Write the objects of every study that matches QUERY to FOLDER, bit for bit.

    QUERY are Keyword=value conditions on studies, or the word all: gantry export PatientID=42 out/

    Files are named study/series/instance with numbers, so that no value of a Data Set becomes a path. FOLDER
    must be empty or new. After an export that was broken off, or where objects could not be read, --resume
    writes what is missing. Works beside a running server too.
    """
    settings = settings_from(config_file, data=data).settings
    conditions = {} if query == ("all",) else parse_keys(query)
    from gantry.archive.batch import in_threads
    from gantry.toolkit.export import Plans, Report, at, export, export_from_server

    plans = Plans(folder.absolute(), resume=resume)
    running = running_server(settings)
    with Bar("exporting", quiet=as_json) as bar:

        def wrote(sop_uid: str, path: Path) -> None:
            bar.advance()
            if as_json:
                print_json({"sopInstanceUid": sop_uid, "file": str(folder / path.relative_to(plans.folder))})

        report = Report(wrote, lambda what, why: note(f"not written: {what}: {why}"))
        if running is not None:
            url = running.dicomweb
            with in_threads(url) if hands.can_be_threads(0) else hands.batch(partial(at, url)) as served:
                export_from_server(url, conditions, plans, report, served)
        else:
            with open_archive(settings) as archive, hands.on_archive(archive, settings) as batch:
                export(archive, conditions, plans, report, batch)
    if not report.failures:
        plans.finish()
    if not as_json:
        failed = (
            f", {report.failures} could not be read; --resume tries those again" if report.failures else ""
        )
        what = f"{counted(report.files, 'object')} of {counted(report.studies, 'study', 'studies')}"
        result(f"{what} written to {folder}{failed}")
    return Exit.PROBLEMS if report.failures else Exit.OK
