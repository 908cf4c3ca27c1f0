"""`gantry find`: C-FIND or QIDO-RS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gantry.cli.options import network_options, settings_from
from gantry.cli.output import CsvTable, Table, note, print_json
from gantry.cli.peers import WebPeer, peer_from
from gantry.errors import CallerError
from gantry.standard.dictionary import keyword_of, tag_of
from gantry.standard.query_keys import LEVEL_NAMES, InformationModel, Level

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from gantry.client.connection import Peer

Model = dict[str, Any]

LEVELS = {"patient": "PATIENT", "study": "STUDY", "series": "SERIES", "instance": "IMAGE", "image": "IMAGE"}

# What a person wants to see of each level when they did not say.
_SHOWN = {
    Level.PATIENT: ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    Level.STUDY: (
        "PatientName", "PatientID", "StudyDate", "ModalitiesInStudy", "StudyDescription",
        "NumberOfStudyRelatedInstances", "StudyInstanceUID",
    ),
    Level.SERIES: (
        "Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances",
        "SeriesInstanceUID",
    ),
    Level.IMAGE: ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}  # fmt: skip

_HEADINGS = {
    "NumberOfStudyRelatedInstances": "Instances",
    "NumberOfSeriesRelatedInstances": "Instances",
    "ModalitiesInStudy": "Modalities",
}


def parse_keys(words: Sequence[str]) -> dict[str, str]:
    """``Keyword=value`` or ``ggggeeee=value`` each; a keyword alone asks for the attribute."""
    keys: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if tag_of(name) is None:
            raise CallerError(f"{name!r} is not an attribute: give a keyword such as PatientName, or a tag")
        keys[name] = value
    return keys


def _complete_key(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from gantry.standard.dictionary import keywords

    if "=" in incomplete:
        return []
    return [CompletionItem(keyword) for keyword in keywords() if keyword.startswith(incomplete)]


async def answers(
    peer: Peer | WebPeer,
    level: Level,
    keys: dict[str, str],
    aet: str,
    limit: int | None = None,
    fuzzy: bool = False,
) -> AsyncGenerator[Model, None]:
    """The matches of a query to either kind of peer."""
    if isinstance(peer, WebPeer):
        from gantry.client.web import WebClient

        conditions = {name: value for name, value in keys.items() if value}
        include = [name for name, value in keys.items() if not value]
        async with WebClient(peer.url) as web:
            async for model in web.search(level, conditions, include=include, limit=limit, fuzzy=fuzzy):
                yield model
        return
    from gantry.client import scu
    from gantry.client.connection import Options, connect

    model_root = InformationModel.PATIENT_ROOT if level is Level.PATIENT else InformationModel.STUDY_ROOT
    options = Options(extended=scu.query_options(model_root))
    contexts = scu.find_contexts(model_root)
    async with await connect(peer, contexts=contexts, calling_aet=aet, options=options) as connection:
        async for model in scu.find(connection, level, keys, limit=limit):
            yield model


@click.command("find")
@click.argument("level", type=click.Choice(list(LEVELS)))
@click.argument("keys", nargs=-1, shell_complete=_complete_key)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many.")
@click.option("--fuzzy", is_flag=True, help="Match names that sound alike (DICOMweb).")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@network_options
def command(
    level: str,
    keys: tuple[str, ...],
    limit: int | None,
    fuzzy: bool,
    as_csv: bool,
    peer: str | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Find patients, studies, series or instances.

    KEYS are Keyword=value to match and Keyword to show, in DICOM's words: * and ? are wildcards, a date is
    YYYYMMDD or a range.

    gantry find study PatientName='doe*' StudyDate=20260101-20261231
    """
    if as_csv and as_json:
        raise CallerError("choose one of --csv and --json")
    settings = settings_from(config_file, aet=aet, data=data).settings
    at = LEVEL_NAMES[LEVELS[level]]
    wanted = parse_keys(keys)
    names_some = any(not value for value in wanted.values())
    asked = wanted if names_some else {**dict.fromkeys(_SHOWN[at], ""), **wanted}
    target = peer_from(peer, settings)
    if fuzzy and not isinstance(target, WebPeer):
        raise CallerError("--fuzzy goes with the URL of a DICOMweb server; C-FIND matches names its own way")
    tags = {name: f"{tag_of(name):08X}" for name in asked}
    headings = [_heading(name) for name in asked]

    async def show() -> int:
        count = 0
        kind = CsvTable if as_csv else Table
        with nullcontext() if as_json else kind(headings) as table:
            async with aclosing(answers(target, at, asked, settings.aet, limit, fuzzy)) as found:
                async for model in found:
                    count += 1
                    if table is None:
                        print_json(model)
                    else:
                        table.row([_cell(model, tag) for tag in tags.values()])
        return count

    count = asyncio.run(show())
    if not as_json:
        note(f"{count} found")


def _heading(name: str) -> str:
    tag = tag_of(name)
    keyword = (keyword_of(tag) if tag is not None else "") or name
    return _HEADINGS.get(keyword, keyword)


def _cell(model: Model, tag: str) -> str:
    return "\\".join(_text(value) for value in model.get(tag, {}).get("Value", []))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        groups = (value.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return next((str(text) for text in groups if text), "")
    return "" if value is None else str(value)
