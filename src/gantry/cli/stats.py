"""`gantry stats`: how much there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gantry.cli.local import open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import print_json, result
from gantry.errors import ConnectError
from gantry.settings import Settings


@click.command("stats")
@archive_options
def command(data: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Print counts of patients, studies, series, instances, versions and conflicts, and their size."""
    counts = _counts(settings_from(config_file, data=data).settings)
    if as_json:
        print_json(counts)
        return
    for name, value in counts.items():
        result(f"{name.replace('_', ' '):14} {value:>18,}" if isinstance(value, int) else f"{name} {value}")


def _counts(settings: Settings) -> dict[str, Any]:
    running = running_server(settings)
    if running is not None:
        return _asked(f"{running.page}api/stats")
    import msgspec

    with open_archive(settings) as archive:
        counts: dict[str, Any] = msgspec.to_builtins(archive.stats())
        return counts


def _asked(url: str) -> dict[str, Any]:
    import httpx

    try:
        answer = httpx.get(url, timeout=30)
        answer.raise_for_status()
        return dict(answer.json())
    except (httpx.HTTPError, ValueError) as error:
        raise ConnectError(f"the server does not answer {url}: {error}") from error
