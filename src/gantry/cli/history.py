"""`gantry history`: what was edited, by whom, when and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.editing import Answer, asked, tell_list, tell_one
from gantry.cli.options import archive_options, settings_from
from gantry.errors import CallerError

if TYPE_CHECKING:
    from gantry.archive.archive import Archive


@click.command("history")
@click.argument("edit", type=click.IntRange(min=1), required=False)
@click.option("--patient", metavar="ID", help="Edits that speak of this patient.")
@click.option("--issuer", metavar="TEXT", help="Issuer of that Patient ID; of any if absent.")
@click.option("--study", metavar="UID", default="", help="Edits of this study.")
@click.option("--series", metavar="UID", default="", help="Edits of this series of it.")
@click.option("--instance", metavar="UID", default="", help="Edits of this instance of the series.")
@click.option("--before", type=click.IntRange(min=1), help="Go on before this edit.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Most edits.")
@archive_options
def command(
    edit: int | None,
    patient: str | None,
    issuer: str | None,
    study: str,
    series: str,
    instance: str,
    before: int | None,
    limit: int,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """List edits, newest first; or show one, EDIT, with all that changed."""
    settings = settings_from(config_file, data=data).settings
    if edit is not None:
        if patient or study or series or instance or before:
            raise CallerError("name an edit by its number, or what edits are of")

        def one(archive: Archive) -> Answer:
            from gantry.server.edits_api import shown_edit

            return shown_edit(archive.edit_done(edit))

        tell_one(asked(settings, "GET", f"api/edits/{edit}", one), as_json)
        return
    if (series and not study) or (instance and not series):
        raise CallerError("a series is named with its study, an instance with its series")

    def listed(archive: Archive) -> Answer:
        from gantry.archive.index import EditFilter
        from gantry.server.edits_api import shown_row

        rows = archive.edits(EditFilter(patient or "", issuer, study, series, instance), before or 0, limit)
        return {
            "edits": [shown_row(row) for row in rows],
            "next": rows[-1].number if len(rows) == limit else None,
        }

    given = {
        "patient": patient, "issuer": issuer, "study": study, "series": series, "instance": instance,
        "before": before, "limit": limit,
    }  # fmt: skip
    query = {name: str(value) for name, value in given.items() if value}
    tell_list(asked(settings, "GET", "api/edits", listed, query=query), as_json)
