"""`gantry compress`: objects of our archive kept in a smaller form, by rules, without loss."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError
from gantry.settings import CompressRule

if TYPE_CHECKING:
    from gantry.archive.records import Location
    from gantry.toolkit.compress import Done, Saving


@click.command("compress")
@click.option("--rule", "rules", multiple=True, metavar="TEXT", help="Instead of the rules of the settings.")
@click.option("--dry-run", is_flag=True, help="Only say what would be saved.")
@click.option("--undo", is_flag=True, help="Make the originals current again, also those that were let go.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Objects at once.  [default: number of cores]")
@archive_options
def command(
    rules: tuple[str, ...],
    dry_run: bool,
    undo: bool,
    jobs: int | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Keep objects of the archive in a smaller form, without loss, as the rules of the settings say.

    A rule is a text: to=htj2k-lossless modality=CT|MR older=30d larger=100k originals=let-go. Age counts from
    when an object came; the first rule that fits counts. The other form is a new version, stored only where
    it is smaller and gives the earlier one back octet for octet. With originals=let-go the bytes of the
    earlier one are then removed; --undo makes them again, and every original current.

    `gantry serve` does the same by itself with the rules of the settings; this command is for an archive that
    is not served. The exit code is 1 when an object could not be read.
    """
    settings = settings_from(config_file, data=data).settings
    wanted = tuple(CompressRule.parse(text) for text in rules) or settings.compress
    if not wanted and not undo:
        raise CallerError("there are no rules: set compress = [...] in the settings, or give --rule")
    from gantry.toolkit.compress import FAILED, Work, checked_rules

    with (
        open_archive(settings) as archive,
        tempfile.TemporaryDirectory(dir=settings.data / "cache", prefix="compress-") as folder,
        Bar("compressing", quiet=as_json) as bar,
    ):

        def told(location: Location, done: Done) -> None:
            bar.advance()
            _tell(location, done, as_json)

        work = Work(archive, checked_rules(wanted), Path(folder), told, dry_run)
        cores = jobs or os.cpu_count() or 1
        saving = work.undo(cores) if undo else work.compress(cores)
    _sum_up(saving, as_json)
    return Exit.PROBLEMS if saving.counts.get(FAILED) else Exit.OK


def _tell(location: Location, done: Done, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "sopInstanceUid": location.key.sop_uid,
                "result": done.what,
                "message": done.message,
                "bytesBefore": done.bytes_before,
                "bytesAfter": done.bytes_after,
            }
        )
    elif done.what == "failed":
        note(f"failed: {location.key.sop_uid}: {done.message}")


def _sum_up(saving: Saving, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "objects": saving.counts,
                "bytesBefore": saving.before,
                "bytesAfter": saving.after,
                "bytesAdded": saving.added,
                "bytesFreed": saving.freed,
            }
        )
        return
    result(saving.text)
    if saving.added or saving.freed:
        saved = saving.freed - saving.added
        result(f"{saving.added:,} bytes added, {saving.freed:,} let go: {saved:,} saved")
