"""`gantry stats`: how much there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from gantry.cli.local import is_served, open_archive
from gantry.cli.options import config_option, data_option, json_option, print_json, settings_from
from gantry.cli.peers import own_web
from gantry.errors import ConnectError
from gantry.settings import Settings


@click.command("stats")
@data_option
@config_option
@json_option
def command(data: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Print counts of patients, studies, series, instances, versions and conflicts, and their size."""
    counts = _counts(settings_from(config_file, data=data).settings)
    if as_json:
        print_json(counts)
        return
    for name, value in counts.items():
        click.echo(
            f"{name.replace('_', ' '):14} {value:>16,}" if isinstance(value, int) else f"{name} {value}"
        )


def _counts(settings: Settings) -> dict[str, Any]:
    if not is_served(settings):
        with open_archive(settings) as archive:
            counts: dict[str, Any] = msgspec.to_builtins(archive.stats())
            return counts
    url = own_web(settings).url.removesuffix("/dicom-web") + "/api/stats"
    try:
        answer = httpx.get(url, timeout=30)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ConnectError(f"the server at {url} does not answer: {error}") from error
    return dict(answer.json())
