"""`gantry tier`: objects of our archive moved to a second store, by rules, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.progress import Bar
from gantry.errors import CallerError
from gantry.settings import TierRule

if TYPE_CHECKING:
    from gantry.archive.records import Location


@click.command("tier")
@click.argument("uids", nargs=-1, metavar="[UID]...")
@click.option("--rule", "rules", multiple=True, metavar="TEXT", help="Instead of the rules of the settings.")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved, or removed from the bucket.")
@click.option("--back", is_flag=True, help="Bring objects back into the folder: all, or those of the UIDs.")
@archive_options
def command(
    uids: tuple[str, ...],
    rules: tuple[str, ...],
    dry_run: bool,
    back: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Move objects of the archive to a bucket, as the rules of the settings say, and bring them back.

    A rule is a text: older=365d unused=90d modality=CT|MR larger=1M. All of its words must be true of an
    object, and one rule of several. Age counts from when an object came, use from when its file was last
    read. What was moved is found and read as before. With --back, objects of the studies, series or instances
    that the UIDs name come into the folder again; rules that fit them will move them again. What a crash has
    left in the bucket and nobody needs is removed at the end.

    `gantry serve` does the same once a day with the rules of the settings; this command is for an archive
    that is not served. The exit code is 1 when an object could not be moved or brought back, or when the
    bucket has something that may be needed and of which the folder has no note.
    """
    settings = settings_from(config_file, data=data).settings
    if not settings.tier.url:
        raise CallerError(
            'there is no second store: set tier = "s3://BUCKET" in the settings, or give --tier'
        )
    if back and (rules or dry_run):
        raise CallerError("--back goes with UIDs, and not with --rule or --dry-run")
    if uids and not back:
        raise CallerError("UIDs go with --back; what moves is for rules to say")
    wanted = tuple(TierRule.parse(text) for text in rules) or settings.tier_rules
    if not wanted and not back:
        raise CallerError("there are no rules: set tier_rules = [...] in the settings, or give --rule")
    from gantry.toolkit.tiering import KEPT, Tiering

    with open_archive(settings) as archive, Bar("moving", quiet=as_json) as bar:

        def told(location: Location, what: str, why: str) -> None:
            bar.advance()
            _tell(location, what, why, as_json)

        work = Tiering(archive, told)
        if back:
            work.bring_back(frozenset(uids))
            done = work.sweep()
            if archive.tiers is not None and KEPT not in done.objects:
                archive.tiers.end()
        else:
            work.move(wanted, dry_run=dry_run)
            done = work.sweep(wanted, dry_run=dry_run)
    if as_json:
        print_json({"objects": done.objects, "bytes": done.size_bytes})
    else:
        result(done.text)
    return Exit.PROBLEMS if done.failed or KEPT in done.objects else Exit.OK


def _tell(location: Location, what: str, why: str, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "sopInstanceUid": location.key.sop_uid,
                "version": location.number,
                "result": what,
                "message": why,
                "bytes": location.file_size,
            }
        )
    elif why:
        note(f"{what}: {location.key.sop_uid}: {why}")
