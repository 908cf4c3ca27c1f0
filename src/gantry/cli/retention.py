"""`gantry retention`: studies past their time are rejected by rules, and tried first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantry.cli.editing import Answer, asked, me
from gantry.cli.exits import Exit
from gantry.cli.local import running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import Table, counted, note, print_json
from gantry.cli.progress import Bar

if TYPE_CHECKING:
    from gantry.archive.archive import Archive

_AT_ONCE = 50
"""Studies that a server is asked for at once: some seconds of its work."""


@click.command("retention")
@click.option(
    "--rule",
    "texts",
    multiple=True,
    metavar="TEXT",
    help="The first that fits a study counts.  [default: those of the settings]",
)
@click.option("--today", metavar="YYYY-MM-DD", help="As if it were this day.  [default: today]")
@click.option("--who", metavar="NAME", help="Who does it.  [default: who is logged in]")
@click.option("--force", is_flag=True, help="Also what was committed, or what a rule of the settings keeps.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@archive_options
def command(
    texts: tuple[str, ...],
    today: str | None,
    who: str | None,
    force: bool,
    dry_run: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Reject studies that are past the time for which they are kept (IHE IOCM, 113039).

    A rule is a text: go older=10y modality=CT|MR, or keep modality=MG. Age counts from the Study Date; a
    study without one, and one that no rule fits, stays. What goes is hidden, with a note; gantry revert shows
    it again, and no byte is removed. What is under a storage commitment stays unless --force is given, and so
    does what a rule of the settings keeps. While a server has the archive open, it does it. The exit code is
    1 when a study could not be rejected.
    """
    settings = settings_from(config_file, data=data).settings
    rules = texts or tuple(str(rule) for rule in settings.retention)
    by = me() if who is None else who
    wanted: Answer = {"rules": rules, "today": _day(today), "who": by, "force": force}

    def ask(dry: bool, **more: Any) -> list[Answer]:
        def locally(archive: Archive) -> Answer:
            import msgspec

            from gantry.archive.records import Origin
            from gantry.server.retention_api import RetentionRequest, expire

            request = msgspec.convert(body, RetentionRequest, strict=False)
            return expire(archive, request, dry=dry, origin=Origin(via="retention"), each=bar.advance)

        body = wanted | more
        query = {"dry_run": "true"} if dry else None
        found: list[Answer] = asked(settings, "POST", "api/retention", locally, body=body, query=query)[
            "studies"
        ]
        return found

    with Bar("rejecting", lambda: len(studies), quiet=as_json) as bar:
        studies: list[Answer] = ask(True)
        if not dry_run:
            studies = _expired(studies, ask, bar, served=running_server(settings) is not None)
    _tell(studies, dry_run, as_json)
    failed = [study for study in studies if study["error"]]
    for study in failed:
        note(f"not rejected: {study['study']}: {study['error']}")
    if not as_json:
        size = sum(study["bytes"] for study in studies)
        would = "would go" if dry_run else "went"
        note(f"{counted(len(studies) - len(failed), 'study', 'studies')} {would}, {size:,} bytes")
    return Exit.PROBLEMS if failed else Exit.OK


def _expired(
    studies: Sequence[Answer], ask: Callable[..., list[Answer]], bar: Bar, *, served: bool
) -> list[Answer]:
    """What was rejected of these; by a server some at a time, so that it is told how far it is."""
    if not served:
        return ask(False)
    done: list[Answer] = []
    for start in range(0, len(studies), _AT_ONCE):
        some = studies[start : start + _AT_ONCE]
        done += ask(False, studies=[study["study"] for study in some])
        bar.advance(len(some))
    return done


def _tell(studies: Sequence[Answer], dry_run: bool, as_json: bool) -> None:
    if as_json:
        for study in studies:
            print_json({**study, "dryRun": dry_run})
        return
    with Table(["Study date", "Patient ID", "Modalities", "Objects", "Bytes", "Rule", "Study"]) as table:
        for study in studies:
            table.row(
                [
                    study["date"], study["patient"], ",".join(study["modalities"]), str(study["objects"]),
                    f"{study['bytes']:,}", study["rule"], study["study"],
                ]
            )  # fmt: skip


def _day(text: str | None) -> str:
    if text is None:
        return date.today().isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.BadParameter("a day is YYYY-MM-DD", param_hint="--today") from None
