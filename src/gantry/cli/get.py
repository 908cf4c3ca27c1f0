"""`gantry get`: C-GET or WADO-RS into a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gantry.cli.exits import Exit
from gantry.cli.find import answers
from gantry.cli.options import aet_option, config_option, json_option, print_json, settings_from
from gantry.cli.peers import WebPeer, peer_from, peer_option
from gantry.cli.progress import Bar
from gantry.client import scu
from gantry.client.connection import Options, Peer, connect
from gantry.client.sinks import FolderSink
from gantry.client.web import WebClient
from gantry.dimse.limits import MAX_CONTEXTS
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import CallerError, NotFound
from gantry.standard.query_keys import Level
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES

# In the order most archives hold them, since a context takes the place of another.
_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201",
)  # fmt: skip


class Target:
    """What to fetch: the UIDs of a study, series or instance."""

    def __init__(self, study: str, series: str | None, instance: str | None) -> None:
        if instance is not None and series is None:
            raise CallerError("--instance needs --series")
        self.study, self.series, self.instance = study, series, instance

    @property
    def level(self) -> Level:
        return Level.IMAGE if self.instance else Level.SERIES if self.series else Level.STUDY

    @property
    def keys(self) -> dict[str, str]:
        keys = {"StudyInstanceUID": self.study}
        if self.series:
            keys["SeriesInstanceUID"] = self.series
        if self.instance:
            keys["SOPInstanceUID"] = self.instance
        return keys


async def _classes(peer: Peer, target: Target, aet: str) -> list[str]:
    """The SOP classes of what will come, asked for first: a C-GET has room for few contexts."""
    keys = {**target.keys, "SOPClassUID": ""}
    found: dict[str, None] = {}
    series = [target.series] if target.series else []
    if not series:
        wanted = {"StudyInstanceUID": target.study, "SeriesInstanceUID": ""}
        found_series = answers(peer, Level.SERIES, wanted, aet, None, False)
        series = [model["0020000E"]["Value"][0] async for model in found_series]
    for uid in series:
        async for model in answers(peer, Level.IMAGE, {**keys, "SeriesInstanceUID": uid}, aet, None, False):
            found.update(dict.fromkeys(model.get("00080016", {}).get("Value", ())))
    return list(found)


def _contexts(classes: list[str]) -> list[ProposedContext]:
    """One context for each class and syntax, so that nothing need be converted; the commonest first."""
    others = [uid for uid, s in TRANSFER_SYNTAXES.items() if uid not in _SYNTAXES and not s.retired]
    pairs = [(uid, syntax) for syntax in (*_SYNTAXES, *others) for uid in classes]
    return [ProposedContext(uid, (syntax,)) for uid, syntax in pairs[: MAX_CONTEXTS - 1]]


async def _get(peer: Peer, target: Target, sink: FolderSink, aet: str, bar: Bar) -> scu.RetrieveProgress:
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


async def _wado(peer: WebPeer, target: Target, sink: FolderSink, bar: Bar) -> int:
    async with WebClient(peer.url) as web:
        verdicts = await web.retrieve(
            sink, target.study, target.series, target.instance, progress=lambda n: bar.reached(n)
        )
    return sum(verdict.status != 0 for verdict in verdicts)


@click.command("get")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--study", required=True, metavar="UID", help="Study Instance UID.")
@click.option("--series", metavar="UID", help="Series Instance UID.")
@click.option("--instance", metavar="UID", help="SOP Instance UID; needs --series.")
@peer_option
@aet_option
@config_option
@json_option
def command(
    folder: Path,
    study: str,
    series: str | None,
    instance: str | None,
    peer: str | None,
    aet: str | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Fetch a study, series or instance into FOLDER, one file for each object, as stored."""
    settings = settings_from(config_file, aet=aet).settings
    target = Target(study, series, instance)
    source = peer_from(peer, settings)
    sink = FolderSink(folder)
    with Bar("receiving", None, quiet=as_json) as bar:
        if isinstance(source, WebPeer):
            failed = asyncio.run(_wado(source, target, sink, bar))
            comment = ""
        else:
            result = asyncio.run(_get(source, target, sink, settings.aet, bar))
            failed, comment = result.failed, result.comment
    if as_json:
        print_json(
            {"received": len(sink.paths), "failed": failed, "files": [str(path) for path in sink.paths]}
        )
    else:
        click.echo(
            f"{len(sink.paths)} objects received into {folder}"
            + (f", {failed} failed {comment}" if failed else "")
        )
    return Exit.PROBLEMS if failed else Exit.OK
