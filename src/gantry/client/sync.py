"""The client's verbs without `await`: each call runs its own event loop to the end.

For scripts, notebooks and threads; not inside a running event loop. `find` and `search` give lists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gantry.client import scu
from gantry.client.connection import Options, Peer, connect
from gantry.client.keys import Keys
from gantry.client.objects import Outgoing, StoreResult
from gantry.client.scu import RetrieveProgress
from gantry.client.sinks import Sink
from gantry.dimse.negotiation import ProposedContext
from gantry.standard.query_keys import InformationModel, Level

Progress = Callable[[RetrieveProgress], None]


def echo(peer: Peer, *, calling_aet: str = "GANTRY", options: Options | None = None) -> int:
    """C-ECHO; the status, 0 when all is well. Raises ConnectError."""

    async def run() -> int:
        async with await connect(
            peer, contexts=scu.echo_contexts(), calling_aet=calling_aet, options=options
        ) as connection:
            return await scu.echo(connection)

    return asyncio.run(run())


def store(
    peer: Peer,
    sources: Iterable[Outgoing | Path | str | bytes],
    *,
    calling_aet: str = "GANTRY",
    associations: int = 1,
    options: Options | None = None,
    progress: Callable[[StoreResult], None] | None = None,
) -> list[StoreResult]:
    """C-STORE of files; see `scu.store_files`."""
    return asyncio.run(
        scu.store_files(
            peer,
            sources,
            calling_aet=calling_aet,
            associations=associations,
            options=options,
            progress=progress,
        )
    )


def find(
    peer: Peer,
    level: Level,
    keys: Keys,
    *,
    model: InformationModel = InformationModel.STUDY_ROOT,
    calling_aet: str = "GANTRY",
    limit: int | None = None,
    options: Options | None = None,
) -> list[dict[str, Any]]:
    """C-FIND; all matches as JSON models, see `scu.find`."""

    async def run() -> list[dict[str, Any]]:
        async with await connect(
            peer,
            contexts=scu.find_contexts(model),
            calling_aet=calling_aet,
            options=options or Options(extended=scu.query_options(model)),
        ) as connection:
            return [match async for match in scu.find(connection, level, keys, limit=limit)]

    return asyncio.run(run())


def get(
    peer: Peer,
    level: Level,
    keys: Keys,
    sink: Sink,
    *,
    storage: Iterable[ProposedContext],
    model: InformationModel = InformationModel.STUDY_ROOT,
    calling_aet: str = "GANTRY",
    progress: Progress | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> RetrieveProgress:
    """C-GET into `sink`, for the storage classes and syntaxes of `storage`; see `scu.get`."""
    contexts = scu.get_contexts(storage, model)

    async def run() -> RetrieveProgress:
        async with await connect(
            peer,
            contexts=contexts,
            calling_aet=calling_aet,
            options=Options(roles=scu.get_roles(contexts)),
        ) as connection:
            return await scu.get(connection, level, keys, sink, progress=progress, is_cancelled=is_cancelled)

    return asyncio.run(run())


def move(
    peer: Peer,
    level: Level,
    keys: Keys,
    destination: str,
    *,
    model: InformationModel = InformationModel.STUDY_ROOT,
    calling_aet: str = "GANTRY",
    progress: Progress | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> RetrieveProgress:
    """C-MOVE to the AE title `destination`; see `scu.move`."""

    async def run() -> RetrieveProgress:
        async with await connect(
            peer, contexts=scu.move_contexts(model), calling_aet=calling_aet
        ) as connection:
            return await scu.move(
                connection, level, keys, destination, progress=progress, is_cancelled=is_cancelled
            )

    return asyncio.run(run())
