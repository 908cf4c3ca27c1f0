"""`gantry example`: a small study that Gantry makes itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.local import open_archive, running_server
from gantry.cli.options import archive_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.settings import Settings


@click.command("example")
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), help="Write files there instead of storing."
)
@archive_options
def command(to: Path | None, data: Path | None, config_file: Path | None, as_json: bool) -> int:
    """Store an example study: CT and MR of a phantom, an ultrasound cine, an ECG, a PDF and a report.

    Storing it again changes nothing.
    """
    from gantry.toolkit.example import example_study

    settings = settings_from(config_file, data=data).settings
    objects = dict(example_study())
    if to is not None:
        refused = _write(objects, to)
    else:
        refused = _store(objects.values(), settings)
    kept = len(objects) - len(refused)
    for why in refused:
        note(f"not stored: {why}")
    if as_json:
        print_json({"objects": len(objects), "kept": kept})
    else:
        result(f"example study: {kept} of {len(objects)} objects in {to or settings.data}")
    return Exit.PROBLEMS if refused else Exit.OK


def _write(objects: dict[str, bytes], folder: Path) -> list[str]:
    for name, content in objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return []


def _store(objects: Iterable[bytes], settings: Settings) -> list[str]:
    """Store the objects; answers why some were refused."""
    running = running_server(settings)
    if running is not None:
        return asyncio.run(_send(running.dicomweb, list(objects)))
    from gantry.archive.outcome import Refused

    with open_archive(settings, making=True) as archive:
        outcomes = [archive.store([content]) for content in objects]
    return [outcome.message for outcome in outcomes if isinstance(outcome, Refused)]


async def _send(url: str, objects: list[bytes]) -> list[str]:
    from gantry.client.web import WebClient

    async with WebClient(url) as web:
        return [stored.comment for stored in await web.store(objects) if not stored.ok]
