"""A study by C-GET, each object as it is stored.

The peer may only send what fits a presentation context, and an association has 128 of them: too few for every
SOP class in every transfer syntax. So the peer is asked first which SOP classes each series has, and series
that need the same ones share an association, in which each class is proposed in every syntax.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from gantry.cli.target import Target
from gantry.client import scu
from gantry.client.connection import Connection, Options, Peer, connect
from gantry.client.sinks import Sink
from gantry.dimse.limits import MAX_CONTEXTS
from gantry.dimse.negotiation import ProposedContext
from gantry.errors import NotFound
from gantry.standard.query_keys import Level
from gantry.standard.transfer_syntaxes import TRANSFER_SYNTAXES

Progress = Callable[[int, int], None]
"""Told how many objects are done, and how many there are."""

# In the order most archives hold them, since a context takes the place of another.
_COMMON_SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.201",
)  # fmt: skip

_COMMON_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{tail}"
    for tail in (
        "2", "2.1", "4", "4.1", "1", "1.1", "1.1.1", "1.2", "1.2.1", "13.1.3", "6.1", "3.1", "12.1", "12.2",
        "20", "128", "7", "7.2", "7.4", "9.1.1", "11.1", "66.4", "88.11", "88.22", "88.33", "88.59", "88.67",
        "104.1", "481.1", "481.2", "481.3", "481.5",
    )
)  # fmt: skip
"""What is proposed where the archive does not say what it will send: CT to RT Plan."""


@dataclass
class Got:
    """What became of the whole."""

    completed: int = 0
    failed: int = 0
    comments: list[str] = field(default_factory=list)

    def add(self, part: scu.RetrieveProgress) -> None:
        self.completed += part.completed + part.warning
        self.failed += part.failed
        if part.failed and part.comment:
            self.comments.append(part.comment)


async def get(peer: Peer, target: Target, sink: Sink, aet: str, progress: Progress) -> Got:
    """Fetch what `target` names into `sink`. Raises NotFound, ConnectError, ProtocolError."""
    series, instances = await _look(peer, target, aet)
    if not instances:
        raise NotFound(f"{peer} has no such object")
    got = Got()
    for classes, members in _associations(series):
        contexts = scu.get_contexts(_contexts(classes))
        options = Options(roles=scu.get_roles(contexts))
        async with await connect(peer, contexts=contexts, calling_aet=aet, options=options) as connection:
            for part in [target] if len(members) == len(series) else members:

                def report(p: scu.RetrieveProgress, done: int = got.completed) -> None:
                    progress(done + p.completed, instances)

                got.add(await scu.get(connection, part.level, part.keys, sink, progress=report))
    return got


async def _look(peer: Peer, target: Target, aet: str) -> tuple[dict[Target, frozenset[str]], int]:
    """The SOP classes of each series that is to come, and how many instances."""
    async with await connect(peer, contexts=scu.find_contexts(), calling_aet=aet) as connection:
        uids = [target.series] if target.series else await _series(connection, target.study)
        found: dict[Target, frozenset[str]] = {}
        total = 0
        for uid in uids:
            part = Target(target.study, uid, target.instance)
            classes: set[str] = set()
            count = 0
            async for model in scu.find(
                connection, Level.IMAGE, {"SOPInstanceUID": "", **part.keys, "SOPClassUID": ""}
            ):
                count += 1
                classes.update(model.get("00080016", {}).get("Value", ()))
            # SOP Class UID is a key that an archive need not answer (PS3.4 C.6.1.1.5).
            if count:
                found[part] = frozenset(classes) or _COMMON_CLASSES
                total += count
        return found, total


async def _series(connection: Connection, study: str) -> list[str]:
    keys = {"StudyInstanceUID": study, "SeriesInstanceUID": ""}
    return [
        uid
        async for model in scu.find(connection, Level.SERIES, keys)
        for uid in model.get("0020000E", {}).get("Value", ())
    ]


def _associations(series: dict[Target, frozenset[str]]) -> list[tuple[frozenset[str], list[Target]]]:
    """Which series share an association: all of them where their classes fit, else those with the same."""
    together = frozenset[str]().union(*series.values())
    if len(together) * len(TRANSFER_SYNTAXES) < MAX_CONTEXTS:
        return [(together, list(series))]
    shared: defaultdict[frozenset[str], list[Target]] = defaultdict(list)
    for part, classes in series.items():
        shared[classes].append(part)
    return list(shared.items())


def _contexts(classes: Collection[str]) -> list[ProposedContext]:
    """One context for each class and syntax, so that nothing need be converted; the commonest first."""
    rest = [uid for uid in TRANSFER_SYNTAXES if uid not in _COMMON_SYNTAXES]
    rest.sort(key=lambda uid: TRANSFER_SYNTAXES[uid].retired)
    pairs = [(uid, syntax) for syntax in (*_COMMON_SYNTAXES, *rest) for uid in sorted(classes)]
    return [ProposedContext(uid, (syntax,)) for uid, syntax in pairs[: MAX_CONTEXTS - 1]]
