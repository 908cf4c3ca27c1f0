"""`gantry move`: ask an archive to send to a third."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.options import network_options, settings_from
from gantry.cli.output import print_json, result
from gantry.cli.peers import WebPeer, peer_from
from gantry.cli.progress import Bar
from gantry.cli.target import Target, target_options
from gantry.errors import CallerError
from gantry.settings import checked_aet

if TYPE_CHECKING:
    from gantry.client.connection import Peer
    from gantry.client.scu import RetrieveProgress


async def _move(peer: Peer, target: Target, destination: str, aet: str, bar: Bar) -> RetrieveProgress:
    from gantry.client import scu
    from gantry.client.connection import connect

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
@target_options
@network_options
def command(
    destination: str,
    study: str,
    series: str | None,
    instance: str | None,
    peer: str | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Have a peer send a study, series or instance to the AE title DESTINATION, which it must know."""
    settings = settings_from(config_file, aet=aet, data=data).settings
    source = peer_from(peer, settings)
    if isinstance(source, WebPeer):
        raise CallerError("a move goes between application entities; give AET@HOST:PORT")
    target = Target(study, series, instance)
    with Bar("moving", quiet=as_json) as bar:
        moved = asyncio.run(_move(source, target, checked_aet(destination), settings.aet, bar))
    if as_json:
        print_json(
            {
                "status": f"{moved.status:04X}",
                "completed": moved.completed,
                "failed": moved.failed,
                "warning": moved.warning,
                "failedUids": list(moved.failed_uids),
                "comment": moved.comment,
            }
        )
    else:
        failed = f", {moved.failed} failed {moved.comment}".rstrip() if moved.failed else ""
        result(f"{moved.completed + moved.warning} objects moved to {destination}{failed}")
    return Exit.OK if moved.ok else Exit.PROBLEMS
