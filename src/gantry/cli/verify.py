"""`gantry verify`: every object read back, every row held against its file, both ways."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from gantry.cli.batches import Hands, batch_options
from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import counted, note, print_json, result
from gantry.cli.progress import Bar


@click.command("verify")
@click.option(
    "--repair", is_flag=True, help="Put right what can be: set damaged files aside, rebuild the index."
)
@batch_options
@archive_options
def command(
    repair: bool,
    hands: Hands,
    resume: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Read every object back and compare it with its digest, and every row of the index with its file.

    The exit code is 1 when anything was found. --repair deletes nothing: damaged files go to lost-found. But
    it forgets objects that are not whole: a server with heal_from set has them healed before.

    Objects are read by processes, or by the workers of a cluster. After a look that was broken off, --resume
    compares digests of the others only.
    """
    settings = settings_from(config_file, data=data).settings
    with (
        open_archive(settings) as archive,
        hands.on_archive(archive, settings) as batch,
        Bar("verifying", quiet=as_json) as bar,
    ):
        report = archive.verify(repair=repair, progress=bar.reached, batch=batch, resume=resume)
    for finding in report.findings:
        if as_json:
            print_json(msgspec.to_builtins(finding))
        else:
            detail = f": found {finding.found}, expected {finding.expected}" if finding.expected else ""
            result(f"{finding.kind}: {finding.where}{detail}")
    if as_json:
        print_json(
            {
                "objects": report.objects,
                "bytes": report.size_bytes,
                "findings": len(report.findings),
                "lost": report.lost,
                "repaired": report.repaired,
            }
        )
    else:
        found = f"{len(report.findings)} problems" + (", repaired" if report.repaired else "")
        verdict = found if report.findings else "all well"
        result(f"{report.objects} objects, {report.size_bytes:,} bytes: {verdict}")
        if report.lost:
            after = (
                "not in the index any more; who has a copy may import it again"
                if report.repaired
                else "which gantry serve heals where heal_from says from what, and --repair forgets"
            )
            note(f"{counted(report.lost, 'object')} damaged or missing, {after}")
    return Exit.PROBLEMS if report.findings else Exit.OK
