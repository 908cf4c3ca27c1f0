"""`gantry get`: C-GET or WADO-RS into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.options import network_options, settings_from
from gantry.cli.output import print_json, result
from gantry.cli.peers import WebPeer, peer_from
from gantry.cli.progress import Bar
from gantry.cli.target import Target, target_options
from gantry.client.sinks import FolderSink, Verdict


async def _wado(peer: WebPeer, target: Target, sink: FolderSink, bar: Bar) -> list[Verdict]:
    from gantry.client.web import WebClient

    async with WebClient(peer.url) as web:
        verdicts = await web.retrieve(
            sink, target.study, target.series, target.instance, progress=lambda n: bar.reached(n)
        )
    return [verdict for verdict in verdicts if verdict.status]


@click.command("get")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@target_options
@network_options
def command(
    folder: Path,
    study: str,
    series: str | None,
    instance: str | None,
    peer: str | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Fetch a study, series or instance into FOLDER, one file for each object, as stored.

    Files are named by SOP Instance UID; one of that name is replaced.
    """
    settings = settings_from(config_file, aet=aet, data=data).settings
    target = Target(study, series, instance)
    source = peer_from(peer, settings)
    sink = FolderSink(folder)
    with Bar("receiving", quiet=as_json) as bar:
        if isinstance(source, WebPeer):
            bad = asyncio.run(_wado(source, target, sink, bar))
            failed, comments = len(bad), [verdict.comment for verdict in bad[:1]]
        else:
            from gantry.cli.c_get import get

            got = asyncio.run(get(source, target, sink, settings.aet, bar.reached))
            failed, comments = got.failed, got.comments
    if as_json:
        print_json(
            {"received": len(sink.paths), "failed": failed, "files": [str(path) for path in sink.paths]}
        )
    else:
        words = f", {failed} failed {'; '.join(comments)}".rstrip() if failed else ""
        result(f"{len(sink.paths)} objects received into {folder}{words}")
    return Exit.PROBLEMS if failed else Exit.OK
