"""Edits, newest first: what a page of history is made of."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, literal_column, select

from gantry.archive.index import schema
from gantry.archive.index.columns import from_microseconds, indexed
from gantry.archive.index.database import Readers
from gantry.archive.index.protocol import EditFilter, EditRow
from gantry.archive.index.statements import Prepared, prepare
from gantry.archive.records import Origin

_E, _EP, _EI = schema.edits.c, schema.edit_patients.c, schema.edit_instances.c
_OTHER = schema.edits.alias("other")

# Few edits undo another. PostgreSQL knows that of "more than 0", not of "equal to that row's number", of
# which it expects as many as have 0, and would walk the numbers backward rather than look them up.
_REVERTED_BY = (
    select(func.coalesce(func.max(_OTHER.c.number), literal_column("0")))
    .where(_OTHER.c.reverts == _E.number, _OTHER.c.reverts > literal_column("0"))
    .scalar_subquery()
)
_ROW = select(*_E, _REVERTED_BY.label("reverted_by"))
_ONE = prepare(_ROW.where(_E.number == bindparam("number")))


def edits(readers: Readers, what: EditFilter, before: int, limit: int) -> list[EditRow]:
    """See `Index.edits`."""
    instance = {"study_uid": what.study_uid, "series_uid": what.series_uid, "sop_uid": what.sop_uid}
    named = {name: value for name, value in instance.items() if value}
    patient: dict[str, str] = {"patient_id": indexed(what.patient_id)} if what.patient_id else {}
    if patient and what.issuer is not None:
        patient["issuer"] = indexed(what.issuer)
    sql = _statement(tuple(named), tuple(patient), before > 0)
    values = (*named.values(), *patient.values(), *((before,) if before else ()), limit)
    return [_edit_of(row) for row in readers.fetch(sql, values)]


def edit(readers: Readers, number: int) -> EditRow | None:
    """See `Index.edit`."""
    rows = readers.fetch(_ONE, (number,))
    return _edit_of(rows[0]) if rows else None


@cache
def _statement(instance: tuple[str, ...], patient: tuple[str, ...], before: bool) -> Prepared:
    """The list narrowed by these columns."""
    found: Select[Any] = _ROW
    if instance:
        found = found.where(_E.number.in_(select(_EI.edit).where(*_equal(schema.edit_instances.c, instance))))
    if patient:
        found = found.where(_E.number.in_(select(_EP.edit).where(*_equal(schema.edit_patients.c, patient))))
    if before:
        found = found.where(_E.number < bindparam("before"))
    found = found.order_by(_E.number.desc()).limit(bindparam("count")).offset(literal_column("0"))
    return prepare(found, *instance, *patient, *(("before",) if before else ()), "count")


def _equal(columns: Any, names: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [columns[name] == bindparam(name) for name in names]


def _edit_of(row: tuple[Any, ...]) -> EditRow:
    number, act, kind, at, who, why, aet, peer, via, reverts, objects, reverted_by = row
    return EditRow(
        number,
        act,
        kind,
        from_microseconds(at),
        who,
        why,
        Origin(aet, peer, via),
        reverts,
        objects,
        reverted_by,
    )
