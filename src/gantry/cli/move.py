"""`gantry move`: ask an archive to send to a third."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.get import Target
from gantry.cli.options import aet_option, config_option, json_option, print_json, settings_from
from gantry.cli.peers import WebPeer, peer_from, peer_option
from gantry.cli.progress import Bar
from gantry.client import scu
from gantry.client.connection import Peer, connect
from gantry.errors import CallerError


async def _move(peer: Peer, target: Target, destination: str, aet: str, bar: Bar) -> scu.RetrieveProgress:
    async with await connect(peer, contexts=scu.move_contexts(), calling_aet=aet) as connection:
        return await scu.move(
            connection,
            target.level,
            target.keys,
            destination,
            progress=lambda p: bar.reached(p.completed, p.completed + p.remaining + p.failed),
        )


@click.command("move")
@click.argument("destination")
@click.option("--study", required=True, metavar="UID", help="Study Instance UID.")
@click.option("--series", metavar="UID", help="Series Instance UID.")
@click.option("--instance", metavar="UID", help="SOP Instance UID; needs --series.")
@peer_option
@aet_option
@config_option
@json_option
def command(
    destination: str,
    study: str,
    series: str | None,
    instance: str | None,
    peer: str | None,
    aet: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Have a peer send a study, series or instance to the AE title DESTINATION, which it must know."""
    settings = settings_from(config_file, aet=aet).settings
    source = peer_from(peer, settings)
    if isinstance(source, WebPeer):
        raise CallerError("a move goes between application entities; give AET@HOST:PORT")
    with Bar("moving", None, quiet=as_json) as bar:
        result = asyncio.run(_move(source, Target(study, series, instance), destination, settings.aet, bar))
    if as_json:
        print_json(
            {
                "status": f"{result.status:04X}",
                "completed": result.completed,
                "failed": result.failed,
                "warning": result.warning,
                "failedUids": list(result.failed_uids),
                "comment": result.comment,
            }
        )
    else:
        click.echo(
            f"{result.completed} objects moved to {destination}, {result.failed} failed {result.comment}"
        )
    return Exit.OK if result.ok else Exit.PROBLEMS
