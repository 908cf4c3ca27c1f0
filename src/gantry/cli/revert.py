"""`gantry revert`: an edit undone, by another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.editing import Answer, asked, me, tell
from gantry.cli.options import archive_options, settings_from

if TYPE_CHECKING:
    from gantry.archive.archive import Archive


@click.command("revert")
@click.argument("edit", type=click.IntRange(min=1))
@click.option("--why", required=True, metavar="TEXT", help="The reason, which the history keeps.")
@click.option("--who", metavar="NAME", help="Who undoes it.  [default: who is logged in]")
@click.option("--force", is_flag=True, help="Go back also over what came later.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@archive_options
def command(
    edit: int,
    why: str,
    who: str | None,
    force: bool,
    dry_run: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Undo the edit of number EDIT: what was visible before it is again, and what it made is not.

    It is an edit of its own, so it can be undone, too. An edit is not undone over what came later, unless
    --force says so; its own undoing counts.
    """
    settings = settings_from(config_file, data=data).settings
    by = me() if who is None else who

    def locally(archive: Archive) -> Answer:
        from gantry.archive.records import Origin
        from gantry.server.edits_api import shown_edit, shown_preview

        if dry_run:
            return shown_preview(archive.preview_revert(edit, force=force))
        return shown_edit(archive.revert_edit(edit, who=by, why=why, origin=Origin(via="cli"), force=force))

    query = {name: "true" for name, given in (("dry_run", dry_run), ("force", force)) if given}
    body: Answer = {"why": why, "who": by}
    tell(asked(settings, "POST", f"api/edits/{edit}/revert", locally, body=body, query=query), as_json)
