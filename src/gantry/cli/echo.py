"""`gantry echo`: is anybody there?"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.options import network_options, settings_from
from gantry.cli.output import print_json, result
from gantry.cli.peers import WebPeer, peer_from
from gantry.errors import CallerError, ConnectError

if TYPE_CHECKING:
    from gantry.client.connection import Peer


async def _echo(peer: Peer, aet: str) -> int:
    from gantry.client import scu
    from gantry.client.connection import connect

    async with await connect(peer, contexts=scu.echo_contexts(), calling_aet=aet) as connection:
        return await scu.echo(connection)


def _ask(peer: WebPeer) -> int:
    import httpx

    try:
        return httpx.get(f"{peer.url.rstrip('/')}/studies", params={"limit": 1}, timeout=10).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectError(f"{peer} does not answer: {error}") from error


@click.command("echo")
@click.argument("whom", metavar="[PEER]", required=False)
@network_options
def command(
    whom: str | None,
    peer: str | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Ask whether PEER answers: C-ECHO to AET@HOST:PORT, a small query to the URL of a DICOMweb server."""
    if whom and peer:
        raise CallerError("name the peer once")
    settings = settings_from(config_file, aet=aet, data=data).settings
    target = peer_from(whom or peer, settings)
    started = time.perf_counter()
    if isinstance(target, WebPeer):
        status = _ask(target)
        good = status in (200, 204)
        words = f"HTTP {status}"
    else:
        status = asyncio.run(_echo(target, settings.aet))
        good = status == 0
        words = f"status {status:04X}"
    milliseconds = (time.perf_counter() - started) * 1000
    if as_json:
        print_json(
            {"peer": str(target), "ok": good, "status": status, "milliseconds": round(milliseconds, 1)}
        )
    else:
        result(f"{target} answered, {words}, {milliseconds:.0f} ms")
    return Exit.OK if good else Exit.NETWORK
