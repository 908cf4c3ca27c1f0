"""`gantry export`: objects out of the archive, as the files they are."""

from __future__ import annotations

from pathlib import Path

import click

from gantry.cli.find import parse_keys
from gantry.cli.local import open_archive
from gantry.cli.options import config_option, data_option, json_option, print_json, settings_from
from gantry.cli.progress import Bar


@click.command("export")
@click.argument("query", nargs=-1, required=True)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@data_option
@config_option
@json_option
def command(
    query: tuple[str, ...], folder: Path, data: Path | None, config_file: Path | None, as_json: bool
) -> None:
    """Write the objects of every study that matches QUERY to FOLDER, bit for bit.

    QUERY are Keyword=value conditions on studies, or the word all: gantry export PatientID=42 out/

    Files are named study/series/instance with numbers, so that no value of a Data Set becomes a path.
    """
    from gantry.archive.query import Query
    from gantry.client.keys import keys_model
    from gantry.standard.query_keys import Level

    settings = settings_from(config_file, data=data).settings
    conditions = {} if query == ("all",) else parse_keys(query)
    written = 0
    with open_archive(settings) as archive, Bar("exporting", None, quiet=as_json) as bar:
        studies = archive.find(Query(Level.STUDY, keys_model(conditions))).rows
        for n, study in enumerate(studies, 1):
            series_numbers: dict[str, int] = {}
            for m, location in enumerate(archive.locate(study.study_uid), 1):
                series = series_numbers.setdefault(location.key.series_uid, len(series_numbers) + 1)
                path = folder / f"ST{n:06d}" / f"SE{series:06d}" / f"IM{m:06d}.dcm"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as out:
                    for block in archive.blocks(location):
                        out.write(block)
                written += 1
                bar.reached(written)
                if as_json:
                    print_json({"sopInstanceUid": location.key.sop_uid, "file": str(path)})
    if not as_json:
        click.echo(f"{written} objects of {len(studies)} studies written to {folder}")
