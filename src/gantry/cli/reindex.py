"""`gantry reindex`: the index made anew from the folder alone."""

from __future__ import annotations

from pathlib import Path

import click

from gantry.cli.batches import Hands, batch_options
from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar


@click.command("reindex")
@batch_options
@archive_options
def command(
    hands: Hands,
    resume: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Rebuild the index from the archive's folder alone, versions and deletions included.

    Objects are read by processes, or by the workers of a cluster. The index in use stays until the new one is
    complete; after a rebuild that was broken off, --resume goes on with it.
    """
    settings = settings_from(config_file, data=data).settings
    with (
        open_archive(settings) as archive,
        hands.on_archive(archive, settings) as batch,
        Bar("reading", quiet=as_json) as bar,
    ):
        rebuilt = archive.reindex(bar.reached, batch=batch, resume=resume)
    skipped = [{"file": path, "reason": why} for path, why in rebuilt.skipped]
    if as_json:
        print_json({"versions": rebuilt.versions, "skipped": skipped})
    else:
        for entry in skipped:
            note(f"not indexed: {entry['file']}: {entry['reason']}")
        result(f"{rebuilt.versions} versions indexed, {len(skipped)} files not")
    return Exit.PROBLEMS if skipped else Exit.OK
