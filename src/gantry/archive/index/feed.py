"""What happened, in order; what contradicts; how much there is."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, func, literal_column, select

from gantry.archive.index import schema
from gantry.archive.index.columns import from_microseconds
from gantry.archive.index.database import Readers
from gantry.archive.index.protocol import Change, ChangeKind, Conflict, ConflictKind, IndexStats
from gantry.archive.index.statements import prepare
from gantry.archive.records import InstanceKey

_ST, _SE, _I, _V = schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c
_CH, _C, _T = schema.changes.c, schema.conflicts.c, schema.totals.c

_AFTER = (
    select(_CH.seq, _CH.kind, _CH.at, _ST.study_uid, _SE.series_uid, _I.sop_uid, _CH.number)
    .join_from(schema.changes, schema.instances, _I.id == _CH.instance_row)
    .join(schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .where(_CH.seq > bindparam("after"))
    .order_by(_CH.seq)
    .limit(bindparam("count"))
    .offset(literal_column("0"))
)
_CHANGES = prepare(_AFTER, "after", "count")
_OF_CLASS = prepare(
    _AFTER.join(schema.versions, (_V.instance_row == _CH.instance_row) & (_V.number == _CH.number)).where(
        _V.sop_class_uid == bindparam("sop_class_uid")
    ),
    "after",
    "sop_class_uid",
    "count",
)
_CONFLICTS = prepare(
    select(_C.seq, _C.kind, _C.study_uid, _C.series_uid, _C.sop_uid, _C.parties, _C.first_seen, _C.last_seen)
    .where(_C.seq > bindparam("after"))
    .order_by(_C.seq)
    .limit(bindparam("count"))
    .offset(literal_column("0")),
    "after",
    "count",
)
_META = schema.meta.c
_LAST = func.coalesce(select(func.max(_CH.seq)).scalar_subquery(), literal_column("0"))
_DAMAGE = select(_META.value).where(_META.name == literal_column("'damage'")).scalar_subquery()
_HEARD = prepare(select(_LAST, func.coalesce(_DAMAGE, literal_column("''"))))
_COUNTS = prepare(select(_T.patients, _T.studies, _T.series, _T.instances))
_STATS = prepare(
    select(
        _T.patients,
        _T.studies,
        _T.series,
        _T.instances,
        _T.size_bytes,
        _T.versions,
        _T.conflicts,
        _LAST,
    )
)


def changes(readers: Readers, after: int, limit: int, sop_class_uid: str) -> list[Change]:
    """See `Index.changes`."""
    if sop_class_uid:
        rows = readers.fetch(_OF_CLASS, (after, sop_class_uid, limit))
    else:
        rows = readers.fetch(_CHANGES, (after, limit))
    return [
        Change(row[0], ChangeKind(row[1]), from_microseconds(row[2]), InstanceKey(*row[3:6]), row[6])
        for row in rows
    ]


def conflicts(readers: Readers, after: int, limit: int) -> list[Conflict]:
    """See `Index.conflicts`."""
    return [
        Conflict(
            row[0],
            ConflictKind(row[1]),
            row[2],
            row[3],
            row[4],
            tuple(msgspec.json.decode(row[5])),
            from_microseconds(row[6]),
            from_microseconds(row[7]),
        )
        for row in readers.fetch(_CONFLICTS, (after, limit))
    ]


def heard(readers: Readers) -> tuple[int, str]:
    """See `Index.heard`."""
    last, word = readers.fetch(_HEARD)[0]
    return last, word


def counts(readers: Readers) -> tuple[int, int, int, int]:
    """How many there are at each level."""
    patients, studies, series, instances = readers.fetch(_COUNTS)[0]
    return patients, studies, series, instances


def stats(readers: Readers) -> IndexStats:
    """See `Index.stats`."""
    return IndexStats(*readers.fetch(_STATS)[0])
