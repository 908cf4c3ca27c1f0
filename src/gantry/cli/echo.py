"""`gantry echo`: is anybody there?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
import httpx

from gantry.cli.exits import Exit
from gantry.cli.options import aet_option, config_option, json_option, print_json, settings_from
from gantry.cli.peers import WebPeer, peer_from, peer_option
from gantry.client import scu
from gantry.client.connection import Peer, connect
from gantry.errors import ConnectError


async def _echo(peer: Peer, aet: str) -> int:
    async with await connect(peer, contexts=scu.echo_contexts(), calling_aet=aet) as connection:
        return await scu.echo(connection)


def _ask(peer: WebPeer) -> int:
    try:
        return httpx.get(f"{peer.url.rstrip('/')}/studies", params={"limit": 1}, timeout=10).status_code
    except httpx.HTTPError as error:
        raise ConnectError(f"{peer} does not answer: {error}") from error


@click.command("echo")
@peer_option
@aet_option
@config_option
@json_option
def command(peer: str | None, aet: str | None, config_file: Path | None, as_json: bool) -> int:
    """Verify the connection to a peer: C-ECHO, or one small query to a DICOMweb server."""
    settings = settings_from(config_file, aet=aet).settings
    target = peer_from(peer, settings)
    started = time.perf_counter()
    if isinstance(target, WebPeer):
        status = _ask(target)
        good = status in (200, 204)
        shown = f"HTTP {status}"
    else:
        status = asyncio.run(_echo(target, settings.aet))
        good = status == 0
        shown = f"status {status:04X}"
    milliseconds = (time.perf_counter() - started) * 1000
    if as_json:
        print_json(
            {"peer": str(target), "ok": good, "status": status, "milliseconds": round(milliseconds, 1)}
        )
    else:
        click.echo(f"{target} answered, {shown}, {milliseconds:.0f} ms")
    return Exit.OK if good else Exit.NETWORK
