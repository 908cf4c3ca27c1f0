"""`gantry edit`: attributes, patients and studies changed, all or none, with who, when and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantry.cli.editing import Answer, asked, me, tell
from gantry.cli.options import archive_options, settings_from
from gantry.cli.progress import Bar
from gantry.errors import CallerError

if TYPE_CHECKING:
    from gantry.archive.archive import Archive

KINDS = (
    "modify", "merge", "move", "split", "merge-studies", "identifiers", "reject", "delete", "restore",
)  # fmt: skip
CODES = {"quality": "113001", "safety": "113037", "worklist": "113038", "retention": "113039"}


@click.command("edit")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("changes", nargs=-1)
@click.option("--why", required=True, metavar="TEXT", help="The reason, which the history keeps.")
@click.option("--who", metavar="NAME", help="Who edits.  [default: who is logged in]")
@click.option("--patient", metavar="ID", help="What is edited: all that is of this patient.")
@click.option("--issuer", metavar="TEXT", default="", help="Issuer of that Patient ID.")
@click.option("--study", metavar="UID", default="", help="What is edited: a study.")
@click.option("--series", metavar="UID", multiple=True, help="Only these series of it.")
@click.option("--instance", metavar="UID", multiple=True, help="Only these instances of the one series.")
@click.option("--into-patient", metavar="ID", help="For merge and move: to whom.")
@click.option("--into-issuer", metavar="TEXT", default="", help="Issuer of that Patient ID.")
@click.option("--into-study", metavar="UID", default="", help="For split and merge-studies: where to.")
@click.option(
    "--code", type=click.Choice([*CODES, *CODES.values()]), default=None, help="For reject: the reason."
)
@click.option("--version", type=click.IntRange(min=1), help="For restore: this version of the one instance.")
@click.option("--force", is_flag=True, help="For delete: also what was committed, or what a rule keeps.")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@archive_options
def command(
    kind: str,
    changes: tuple[str, ...],
    why: str,
    who: str | None,
    patient: str | None,
    issuer: str,
    study: str,
    series: tuple[str, ...],
    instance: tuple[str, ...],
    into_patient: str | None,
    into_issuer: str,
    into_study: str,
    code: str | None,
    version: int | None,
    force: bool,
    dry_run: bool,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Edit objects of the archive; each becomes a new version, and gantry revert undoes it.

    CHANGES are Keyword=value; Keyword= empties an attribute, Keyword alone leaves it out, a backslash divides
    values.

    \b
    modify         attributes of a patient, study, series or instance
    merge          all that is of --patient becomes part of --into-patient
    move           a study becomes --into-patient's, who may be new: then say PatientName=...
    split          --series of a study become a study of their own
    merge-studies  a study becomes part of --into-study
    identifiers    PatientID, IssuerOfPatientID, AccessionNumber, StudyInstanceUID
    reject         hidden, with a note that says why (IHE IOCM)
    delete         hidden
    restore        what was deleted is shown again, or an earlier --version is current

    gantry edit modify --study 1.2.3 StudyDescription=Thorax --why 'was labelled Head'
    """
    settings = settings_from(config_file, data=data).settings
    body: Answer = {
        "kind": kind,
        "target": _target(patient, issuer, study, series, instance),
        "why": why,
        "who": me() if who is None else who,
        "changes": parsed(changes),
        "code": CODES.get(code or "", code or ""),
        "version": version or 0,
        "force": force,
    }
    into = _target(into_patient, into_issuer, into_study, (), ())
    if into:
        body["into"] = into
    with Bar("editing", quiet=as_json) as bar:

        def locally(archive: Archive) -> Answer:
            import msgspec

            from gantry.archive.edits.model import EditRequest
            from gantry.archive.records import Origin
            from gantry.server.edits_api import shown_edit, shown_preview

            try:
                request = msgspec.convert(body, EditRequest)
            except msgspec.ValidationError as error:
                raise CallerError(str(error)) from error
            if dry_run:
                return shown_preview(archive.preview_edit(request, bar.reached))
            return shown_edit(archive.edit(request, Origin(via="cli"), bar.reached))

        query = {"dry_run": "true"} if dry_run else None
        said = asked(settings, "POST", "api/edits", locally, body=body, query=query)
    tell(said, as_json)


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """The changes by keyword. Raises CallerError for one that comes twice."""
    changes: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if name in changes:
            raise CallerError(f"{name} is changed twice")
        values: Any = value.split("\\") if "\\" in value else value
        changes[name] = values if equals else None
    return changes


def _target(
    patient: str | None, issuer: str, study: str, series: Sequence[str], instances: Sequence[str]
) -> Answer:
    target: Answer = {}
    if patient is not None:
        target["patient"] = {"id": patient, "issuer": issuer}
    elif issuer:
        raise CallerError("an issuer goes with a patient")
    for name, value in (("study", study), ("series", list(series)), ("instances", list(instances))):
        if value:
            target[name] = value
    return target
