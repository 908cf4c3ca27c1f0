"""`gantry send`: C-STORE or STOW-RS of files."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gantry.cli.exits import Exit
from gantry.cli.options import network_options, settings_from
from gantry.cli.output import note, print_json, result
from gantry.cli.peers import WebPeer, peer_from
from gantry.cli.progress import Bar
from gantry.client.objects import Outgoing, StoreResult, outgoing_bytes, outgoing_file
from gantry.errors import DataSetError
from gantry.toolkit.sources import Kind, Source, objects_in, opened

if TYPE_CHECKING:
    from gantry.client.connection import Peer

_BESIDE_OBJECTS = (Kind.OTHER, Kind.DIRECTORY, Kind.LINK)
"""What lies beside objects on a disc and is passed over, unless it was named itself."""


@dataclass
class Chosen:
    """What is to be sent of what was named, how much was passed over, and what cannot be sent."""

    objects: list[tuple[Outgoing, Source]] = field(default_factory=list)
    skipped: int = 0
    failed: list[StoreResult] = field(default_factory=list)

    def fail(self, source: Source, error: Exception | str) -> None:
        words = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
        self.failed.append(StoreResult("", "", None, words, source.name))


def choose(paths: Iterable[Path]) -> Chosen:
    """Look at the beginning of everything at or below the paths."""
    named = set(paths)
    chosen = Chosen()
    for source in objects_in(paths):
        try:
            kind, pieces = opened(source)
            if kind is Kind.OBJECT:
                outgoing = outgoing_file(source.path) if source.path else _member(source, next(pieces))
                chosen.objects.append((outgoing, source))
            elif kind in _BESIDE_OBJECTS and source.path not in named:
                chosen.skipped += 1
            else:
                chosen.fail(source, kind.value)
        except (DataSetError, OSError) as error:
            chosen.fail(source, error)
    return chosen


def _member(source: Source, head: bytes) -> Outgoing:
    """A member of a zip file, inflated when it is sent."""
    described = outgoing_bytes(head, source.name)
    offset = len(head) - described.size

    def dataset() -> Iterator[bytes]:
        to_skip = offset
        for piece in source.pieces():
            yield piece[to_skip:]
            to_skip = max(0, to_skip - len(piece))

    return replace(described, size=max(source.declared_bytes - offset, 0), read=dataset)


async def _stow(peer: WebPeer, chosen: Chosen, done: Callable[[int], None]) -> list[StoreResult]:
    from gantry.client.web import WebClient

    def contents() -> Iterator[Path | bytes]:
        for _, source in chosen.objects:
            try:
                yield source.path or b"".join(source.pieces())
            except (DataSetError, OSError) as error:
                chosen.fail(source, error)

    async with WebClient(peer.url) as web:
        results = await web.store(contents(), progress=done)
    return list(_named(results, chosen))


def _named(results: Iterable[StoreResult], chosen: Chosen) -> Iterator[StoreResult]:
    """The results with names of files: the server speaks of UIDs, and of some objects without."""
    waiting: defaultdict[str, list[str]] = defaultdict(list)
    for outgoing, _ in chosen.objects:
        waiting[outgoing.sop_instance_uid].append(outgoing.label)
    unnamed: list[StoreResult] = []
    for one in results:
        if waiting[one.sop_instance_uid]:
            yield replace(one, label=waiting[one.sop_instance_uid].pop(0))
        else:
            unnamed.append(one)
    # What it could not read has no UID in its answer. Nothing that was sent goes without a word.
    nothing_said = StoreResult("", "", None, "the server did not say what became of it")
    for label, one in zip_longest(chain.from_iterable(waiting.values()), unnamed):
        yield replace(one or nothing_said, label=label or "")


async def _store(
    peer: Peer, chosen: Chosen, aet: str, associations: int, done: Callable[[StoreResult], None]
) -> list[StoreResult]:
    from gantry.client import scu

    objects = [outgoing for outgoing, _ in chosen.objects]
    return await scu.store_files(peer, objects, calling_aet=aet, associations=associations, progress=done)


@click.command("send")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--associations", default=1, show_default=True, type=click.IntRange(1, 64), help="Associations at once."
)
@network_options
def command(
    paths: tuple[Path, ...],
    associations: int,
    peer: str | None,
    aet: str | None,
    data: Path | None,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Send what lies at PATHS to a peer: files, folders, zip files, a DICOMDIR with its file-set.

    Each object goes in the transfer syntax it has. What is not DICOM is passed over in folders and zip files;
    the exit code is 1 when anything else was not taken.
    """
    settings = settings_from(config_file, aet=aet, data=data).settings
    target = peer_from(peer, settings)
    chosen = choose(paths)
    results: list[StoreResult] = []
    if chosen.objects:
        with Bar("sending", lambda: len(chosen.objects), quiet=as_json) as bar:
            if isinstance(target, WebPeer):
                results = asyncio.run(_stow(target, chosen, bar.reached))
            else:
                advance: Callable[[StoreResult], None] = lambda _: bar.advance()  # noqa: E731
                results = asyncio.run(_store(target, chosen, settings.aet, associations, advance))
    sent = [r for r in results if r.ok]
    failed = chosen.failed + [r for r in results if not r.ok]
    for one in sent + failed if as_json else failed:
        _report(one, as_json)
    if not as_json:
        skipped = f", {chosen.skipped} other files passed over" if chosen.skipped else ""
        result(f"{len(sent)} of {len(sent) + len(failed)} objects sent to {target}{skipped}")
    return Exit.PROBLEMS if failed or not sent else Exit.OK


def _report(one: StoreResult, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": one.ok,
                "file": one.label,
                "sopInstanceUid": one.sop_instance_uid,
                "status": None if one.status is None else f"{one.status:04X}",
                "comment": one.comment,
            }
        )
        return
    status = "" if one.status is None else f"status {one.status:04X} "
    note(f"not sent: {one.label or one.sop_instance_uid}: {status}{one.comment}".rstrip(": "))
