"""`gantry get`: C-GET or WADO-RS into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.find import answers
from gantry.cli.options import network_options, settings_from
from gantry.cli.output import print_json, result
from gantry.cli.peers import WebPeer, peer_from
from gantry.cli.progress import Bar
from gantry.cli.target import Target, target_options
from gantry.client.sinks import FolderSink, Verdict
from gantry.errors import NotFound
from gantry.standard.query_keys import Level
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from gantry.client.connection import Peer
    from gantry.client.scu import RetrieveProgress
    from gantry.dimse.negotiation import ProposedContext

# In the order most archives hold them, since a context takes the place of another.
_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201",
)  # fmt: skip


async def _classes(peer: Peer, target: Target, aet: str) -> list[str]:
    """The SOP classes of what will come, asked for first: a C-GET has room for few contexts."""
    keys = {**target.keys, "SOPClassUID": ""}
    found: dict[str, None] = {}
    series = [target.series] if target.series else []
    if not series:
        wanted = {"StudyInstanceUID": target.study, "SeriesInstanceUID": ""}
        found_series = answers(peer, Level.SERIES, wanted, aet)
        series = [model["0020000E"]["Value"][0] async for model in found_series]
    for uid in series:
        async for model in answers(peer, Level.IMAGE, {**keys, "SeriesInstanceUID": uid}, aet):
            found.update(dict.fromkeys(model.get("00080016", {}).get("Value", ())))
    return list(found)


def _contexts(classes: list[str]) -> list[ProposedContext]:
    """One context for each class and syntax, so that nothing need be converted; the commonest first."""
    from gantry.dimse.limits import MAX_CONTEXTS
    from gantry.dimse.negotiation import ProposedContext

    others = [uid for uid, s in TRANSFER_SYNTAXES.items() if uid not in _SYNTAXES and not s.retired]
    pairs = [(uid, syntax) for syntax in (*_SYNTAXES, *others) for uid in classes]
    return [ProposedContext(uid, (syntax,)) for uid, syntax in pairs[: MAX_CONTEXTS - 1]]


async def _get(peer: Peer, target: Target, sink: FolderSink, aet: str, bar: Bar) -> RetrieveProgress:
    from gantry.client import scu
    from gantry.client.connection import Options, connect

    classes = await _classes(peer, target, aet)
    if not classes:
        raise NotFound(f"{peer} has no such object")
    contexts = scu.get_contexts(_contexts(classes))
    options = Options(roles=scu.get_roles(contexts))
    async with await connect(peer, contexts=contexts, calling_aet=aet, options=options) as connection:
        return await scu.get(
            connection,
            target.level,
            target.keys,
            sink,
            progress=lambda p: bar.reached(p.completed, p.completed + p.remaining + p.failed),
        )


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
            failed, comment = len(bad), bad[0].comment if bad else ""
        else:
            got = asyncio.run(_get(source, target, sink, settings.aet, bar))
            failed, comment = got.failed, got.comment
    if as_json:
        print_json(
            {"received": len(sink.paths), "failed": failed, "files": [str(path) for path in sink.paths]}
        )
    else:
        words = f", {failed} failed {comment}".rstrip() if failed else ""
        result(f"{len(sink.paths)} objects received into {folder}{words}")
    return Exit.PROBLEMS if failed else Exit.OK
