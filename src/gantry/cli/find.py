"""`gantry find`: C-FIND or QIDO-RS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import click

from gantry.cli.options import aet_option, config_option, json_option, print_json, settings_from
from gantry.cli.peers import WebPeer, peer_from, peer_option
from gantry.client import scu
from gantry.client.connection import Options, Peer, connect
from gantry.client.web import WebClient
from gantry.errors import CallerError
from gantry.standard.dictionary import keyword_of, tag_of
from gantry.standard.query_keys import LEVEL_NAMES, InformationModel, Level

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


def parse_keys(words: Sequence[str]) -> dict[str, str]:
    """``Keyword=value`` or ``ggggeeee=value`` each; a keyword alone asks for the attribute."""
    keys: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if tag_of(name) is None:
            raise CallerError(f"{name!r} is not an attribute: give a keyword such as PatientName, or a tag")
        keys[name] = value
    return keys


async def answers(
    peer: Peer | WebPeer, level: Level, keys: dict[str, str], aet: str, limit: int | None, fuzzy: bool
) -> AsyncIterator[Model]:
    """The matches of a query to either kind of peer."""
    if isinstance(peer, WebPeer):
        conditions = {name: value for name, value in keys.items() if value}
        include = [name for name, value in keys.items() if not value]
        async with WebClient(peer.url) as web:
            async for model in web.search(level, conditions, include=include, limit=limit, fuzzy=fuzzy):
                yield model
        return
    model_root = InformationModel.PATIENT_ROOT if level is Level.PATIENT else InformationModel.STUDY_ROOT
    options = Options(extended=scu.query_options(model_root))
    contexts = scu.find_contexts(model_root)
    async with await connect(peer, contexts=contexts, calling_aet=aet, options=options) as connection:
        async for model in scu.find(connection, level, keys, limit=limit):
            yield model


@click.command("find")
@click.argument("level", type=click.Choice(list(LEVELS)))
@click.argument("keys", nargs=-1)
@peer_option
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many.")
@click.option("--fuzzy", is_flag=True, help="Match names that sound alike (DICOMweb).")
@aet_option
@config_option
@json_option
def command(
    level: str,
    keys: tuple[str, ...],
    peer: str | None,
    limit: int | None,
    fuzzy: bool,
    aet: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Find patients, studies, series or instances.

    KEYS are Keyword=value to match and Keyword to show: gantry find study PatientName='doe*' StudyDate=2026-
    """
    settings = settings_from(config_file, aet=aet).settings
    at = LEVEL_NAMES[LEVELS[level]]
    wanted = parse_keys(keys)
    asked = wanted if peer_is_told(wanted) else {**dict.fromkeys(_SHOWN[at], ""), **wanted}

    async def show() -> int:
        count = 0
        async for model in answers(peer_from(peer, settings), at, asked, settings.aet, limit, fuzzy):
            count += 1
            if as_json:
                print_json(model)
            else:
                click.echo("  ".join(_cell(model, name) for name in asked))
        return count

    count = asyncio.run(show())
    if not as_json:
        click.echo(f"{count} found", err=True)


def peer_is_told(wanted: dict[str, str]) -> bool:
    """Whether the person named attributes to show; else the usual ones are."""
    return any(not value for value in wanted.values())


def _cell(model: Model, name: str) -> str:
    tag = tag_of(name)
    assert tag is not None  # checked when the keys were read
    element = model.get(f"{tag:08X}", {})
    values = [_text(value) for value in element.get("Value", [])]
    return f"{keyword_of(tag)}={'/'.join(values)}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("Alphabetic") or value.get("Ideographic") or value.get("Phonetic") or "")
    return "" if value is None else str(value)
