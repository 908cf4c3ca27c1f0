"""`gantry send`: C-STORE or STOW-RS of files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.files import files_in
from gantry.cli.options import aet_option, config_option, json_option, print_json, settings_from
from gantry.cli.peers import WebPeer, peer_from, peer_option
from gantry.cli.progress import Bar
from gantry.client import scu
from gantry.client.connection import Peer
from gantry.client.objects import StoreResult
from gantry.client.web import WebClient


async def _stow(peer: WebPeer, files: list[Path], done: Callable[[int], None]) -> list[StoreResult]:
    async with WebClient(peer.url) as web:
        return await web.store(files, progress=done)


async def _store(
    peer: Peer, files: list[Path], aet: str, associations: int, done: Callable[[StoreResult], None]
) -> list[StoreResult]:
    return await scu.store_files(peer, files, calling_aet=aet, associations=associations, progress=done)


@click.command("send")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@peer_option
@click.option("--associations", default=1, show_default=True, help="Associations at once.")
@aet_option
@config_option
@json_option
def command(
    paths: tuple[Path, ...],
    peer: str | None,
    associations: int,
    aet: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Send the files at PATHS, folders included, to a peer.

    Each file goes in the transfer syntax it has. Files that are not DICOM are reported, and the exit code
    is 1 when anything was not taken.
    """
    settings = settings_from(config_file, aet=aet).settings
    target = peer_from(peer, settings)
    files = list(files_in(paths))
    with Bar("sending", len(files), quiet=as_json) as bar:
        if isinstance(target, WebPeer):
            results = asyncio.run(_stow(target, files, bar.reached))
        else:
            results = asyncio.run(_store(target, files, settings.aet, associations, lambda _: bar.advance()))
    failed = [result for result in results if not result.ok]
    for result in results if as_json else failed:
        _report(result, as_json)
    if not as_json:
        click.echo(f"{len(results) - len(failed)} of {len(results)} objects sent to {target}")
    return Exit.PROBLEMS if failed else Exit.OK


def _report(result: StoreResult, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "file": result.label,
                "sopInstanceUid": result.sop_instance_uid,
                "status": None if result.status is None else f"{result.status:04X}",
                "comment": result.comment,
            }
        )
        return
    status = "no answer" if result.status is None else f"status {result.status:04X}"
    click.echo(f"not sent: {result.label or result.sop_instance_uid}: {status} {result.comment}", err=True)
