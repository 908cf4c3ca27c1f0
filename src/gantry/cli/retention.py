"""`gantry retention`: studies past their time are rejected by rules, and tried first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.editing import me
from gantry.cli.exits import Exit
from gantry.cli.local import open_archive
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import Table, counted, note, print_json
from gantry.cli.progress import Bar
from gantry.errors import GantryError

if TYPE_CHECKING:
    from gantry.toolkit.retention import Due


@click.command("retention")
@click.option(
    "--rule",
    "texts",
    multiple=True,
    required=True,
    metavar="TEXT",
    help="The first that fits a study counts.",
)
@click.option("--today", metavar="YYYY-MM-DD", help="As if it were this day.  [default: today]")
@click.option("--who", metavar="NAME", help="Who does it.  [default: who is logged in]")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@archive_options
def command(
    texts: tuple[str, ...],
    today: str | None,
    who: str | None,
    dry_run: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Reject studies that are past the time for which they are kept (IHE IOCM, 113039).

    A rule is a text: go older=10y modality=CT|MR, or keep modality=MG. Age counts from the Study Date; a
    study without one, and one that no rule fits, stays. What goes is hidden, with a note; gantry revert shows
    it again, and no byte is removed. For an archive that is not served. The exit code is 1 when a study could
    not be rejected.
    """
    from gantry.toolkit.retention import RetentionRule, due, let_expire

    rules = [RetentionRule.parse(text) for text in texts]
    day = _day(today)
    settings = settings_from(config_file, data=data).settings
    failed = 0
    with open_archive(settings) as archive:
        studies = due(archive, rules, day)
        _tell(studies, dry_run, as_json)
        if not dry_run:
            with Bar("rejecting", lambda: len(studies), quiet=as_json) as bar:
                for study in studies:
                    try:
                        let_expire(archive, study, me() if who is None else who)
                    except GantryError as error:
                        note(f"not rejected: {study.study_uid}: {error}")
                        failed += 1
                    bar.advance()
    if not as_json:
        size = sum(study.size_bytes for study in studies)
        would = "would go" if dry_run else "went"
        note(f"{counted(len(studies) - failed, 'study', 'studies')} {would}, {size:,} bytes")
    return Exit.PROBLEMS if failed else Exit.OK


def _tell(studies: Sequence[Due], dry_run: bool, as_json: bool) -> None:
    if as_json:
        for study in studies:
            print_json(
                {
                    "study": study.study_uid, "patient": study.patient_id, "date": study.study_date,
                    "modalities": study.modalities, "objects": study.instances, "bytes": study.size_bytes,
                    "rule": study.rule.text, "dryRun": dry_run,
                }
            )  # fmt: skip
        return
    with Table(["Study date", "Patient ID", "Modalities", "Objects", "Bytes", "Rule", "Study"]) as table:
        for study in studies:
            table.row(
                [
                    study.study_date, study.patient_id, ",".join(study.modalities), str(study.instances),
                    f"{study.size_bytes:,}", study.rule.text, study.study_uid,
                ]
            )  # fmt: skip


def _day(text: str | None) -> date:
    if text is None:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("a day is YYYY-MM-DD", param_hint="--today") from None
