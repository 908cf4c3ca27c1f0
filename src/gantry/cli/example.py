"""`gantry example`: a small study that Gantry makes itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.local import is_served, open_archive
from gantry.cli.options import config_option, data_option, json_option, print_json, settings_from
from gantry.cli.peers import own_web


@click.command("example")
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), help="Write files there instead of storing."
)
@data_option
@config_option
@json_option
def command(to: Path | None, data: Path | None, config_file: Path | None, as_json: bool) -> int:
    """Store an example study: CT and MR of a phantom, an ultrasound cine, an ECG, a PDF and a report.

    Storing it again changes nothing.
    """
    from gantry.toolkit.example import example_study

    settings = settings_from(config_file, data=data).settings
    objects = dict(example_study())
    if to is not None:
        for name, content in objects.items():
            path = to / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        kept = len(objects)
    elif is_served(settings):
        kept = asyncio.run(_send(own_web(settings).url, list(objects.values())))
    else:
        from gantry.archive.outcome import Refused

        with open_archive(settings) as archive:
            kept = sum(not isinstance(archive.store([content]), Refused) for content in objects.values())
    if as_json:
        print_json({"objects": len(objects), "kept": kept})
    else:
        click.echo(f"example study: {kept} of {len(objects)} objects in {to or settings.data}")
    return Exit.OK if kept == len(objects) else Exit.PROBLEMS


async def _send(url: str, objects: list[bytes]) -> int:
    from gantry.client.web import WebClient

    async with WebClient(url) as web:
        return sum(result.ok for result in await web.store(objects))
