"""`gantry restore`: a backup made an archive again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from gantry.cli.backup import opened, tell
from gantry.cli.exits import Exit
from gantry.cli.local import running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note
from gantry.cli.progress import Bar
from gantry.errors import StorageError


@click.command("restore")
@click.argument("backup", type=click.Path(file_okay=False, path_type=Path))
@click.option("--point", metavar="NAME", help="The point to go back to; the latest if absent.")
@archive_options
def command(
    backup: Path, point: str | None, data: Path | None, config_file: Path | None, as_json: bool
) -> int:
    """Make an archive of a point in the folder BACKUP, which gantry backup has filled.

    The folder of the archive must be empty. Each file is compared with its digest; one that is damaged in the
    backup is named and left out, and the exit code is 1 then. One that was broken off goes on when it is
    called again.
    """
    from gantry.archive.backup.restore import restore
    from gantry.archive.index_files import index_files_for
    from gantry.archive.lock import FolderLock
    from gantry.archive.places import Places

    settings = settings_from(config_file, data=data).settings
    running = running_server(settings)
    if running is not None:
        raise StorageError(f"the archive in {settings.data} is being served by process {running.pid}")
    store = opened(backup)
    store.chosen(point)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(settings.data)
    try:
        # All of it into the folder, from where rules move it again
        disk = replace(Places.of(settings), tier="").disk(settings.reserve_bytes)
        files = index_files_for(settings.data, settings.index.url, settings.index_connections, disk)
        with Bar("restoring", quiet=as_json) as bar:
            done = restore(store, disk, files, point, bar.reached)
        disk.close()
    finally:
        lock.release()
    tell(done, "restored", as_json)
    for path, why in done.skipped:
        note(f"not indexed: {path}: {why}")
    return Exit.OK if done.is_whole else Exit.PROBLEMS
