"""Looking the index over: is everything derived what it should be, and a dump to compare two of them by.

The dump names rows by what they are (UIDs, Patient IDs, digests), never by their row ids, so that an index
that was rebuilt from the folder gives the same dump as the one that grew with it (N12).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, select

from gantry.archive.index import schema
from gantry.archive.index.database import Readers
from gantry.archive.index.derive import Deriver
from gantry.archive.index.protocol import Finding
from gantry.archive.index.statements import Prepared, prepare
from gantry.archive.index.totals import Totals

_P, _ST, _SE, _I, _V = (
    schema.patients.c, schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c,
)  # fmt: skip
_SF, _EF = schema.study_facts.c, schema.series_facts.c


def _dangling(child: ColumnElement[Any], parent: ColumnElement[Any]) -> Select[Any]:
    """Rows of a table that refer to a row that does not exist."""
    missing = ~exists().where(parent == child)
    return select(child.table.c.id, child).where(child.is_not(None), missing)


_REFERENCES: dict[str, Prepared] = {
    f"{child.table.name}.{child.name}": prepare(_dangling(child, parent))
    for child, parent in (
        (_ST.patient_row, _P.id),
        (_ST.facts, _SF.id),
        (_SE.study_row, _ST.id),
        (_SE.facts, _EF.id),
        (_I.series_row, _SE.id),
        (_I.version, _V.id),
        (_V.instance_row, _I.id),
        (_V.study_facts, _SF.id),
        (_V.series_facts, _EF.id),
        (_SF.study_row, _ST.id),
        (_EF.series_row, _SE.id),
    )
}


def check(readers: Readers) -> list[Finding]:
    """See `Index.check`."""
    findings = []
    with readers.snapshot() as connection:
        for reference, statement in _REFERENCES.items():
            findings += [
                Finding("dangling", f"{reference} of row {row}", str(value), "a row that exists")
                for row, value in connection.execute(statement)
            ]
        for drift in Deriver(connection, Totals(), look_only=True).everything():
            findings += [
                Finding("drift", f"{drift.table}.{column} of row {drift.row}", str(found), str(expected))
                for column, (found, expected) in drift.columns.items()
            ]
    return findings


# -- dump -------------------------------------------------------------------------------------------------

_PATIENT_KEY = (_P.patient_id, _P.issuer, _P.scope)
_REP_STUDY = schema.studies.alias("rep_study")
_REP_VERSION = schema.versions.alias("rep_version")


def _own(columns: Any, *left_out: str) -> list[ColumnElement[Any]]:
    return [column for column in columns if column.name not in {"id", *left_out}]


_STUDY_KEY = (*_PATIENT_KEY, _ST.study_uid)
_SERIES_KEY = (*_STUDY_KEY, _SE.series_uid)
_INSTANCE_KEY = (*_SERIES_KEY, _I.sop_uid)

_patients = (
    select(*_PATIENT_KEY, _P.rep_received, _REP_STUDY.c.study_uid.label("rep_study"))
    .join_from(schema.patients, _REP_STUDY, _REP_STUDY.c.id == _P.rep_study, isouter=True)
    .order_by(*_PATIENT_KEY)
)
_studies = (
    select(
        *(column.label(f"key_{column.name}") for column in _STUDY_KEY),
        *_own(_ST, "patient_row", "facts", "rep_version"),
        _SF.sections,
        _SF.more,
        _REP_VERSION.c.path.label("rep_path"),
    )
    .join_from(schema.studies, schema.patients, _P.id == _ST.patient_row)
    .join(schema.study_facts, _SF.id == _ST.facts, isouter=True)
    .join(_REP_VERSION, _REP_VERSION.c.id == _ST.rep_version, isouter=True)
    .order_by(*_STUDY_KEY)
)
_series = (
    select(
        *(column.label(f"key_{column.name}") for column in _SERIES_KEY),
        *_own(_SE, "study_row", "facts", "rep_version"),
        _EF.sections,
        _EF.more,
        _REP_VERSION.c.path.label("rep_path"),
    )
    .join_from(schema.series, schema.studies, _ST.id == _SE.study_row)
    .join(schema.patients, _P.id == _ST.patient_row)
    .join(schema.series_facts, _EF.id == _SE.facts, isouter=True)
    .join(_REP_VERSION, _REP_VERSION.c.id == _SE.rep_version, isouter=True)
    .order_by(*_SERIES_KEY)
)
_instances = (
    select(*_INSTANCE_KEY, _I.last_number, _I.instance_number, _V.number.label("current"))
    .join_from(schema.instances, schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .join(schema.patients, _P.id == _ST.patient_row)
    .join(schema.versions, _V.id == _I.version, isouter=True)
    .order_by(*_INSTANCE_KEY)
)
_versions = (
    select(
        _ST.study_uid,
        _SE.series_uid,
        _I.sop_uid,
        *_own(_V, "instance_row", "study_facts", "series_facts"),
        _SF.digest.label("study_digest"),
        _EF.digest.label("series_digest"),
    )
    .join_from(schema.versions, schema.instances, _I.id == _V.instance_row)
    .join(schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .join(schema.study_facts, _SF.id == _V.study_facts, isouter=True)
    .join(schema.series_facts, _EF.id == _V.series_facts, isouter=True)
    .order_by(_ST.study_uid, _SE.series_uid, _I.sop_uid, _V.number)
)
_words = (
    select(*_STUDY_KEY, schema.study_words.c.word, schema.study_words.c.kind)
    .join_from(schema.study_words, schema.studies, _ST.id == schema.study_words.c.study_row)
    .join(schema.patients, _P.id == _ST.patient_row)
    .order_by(*_STUDY_KEY, schema.study_words.c.kind, schema.study_words.c.word)
)
_modalities = (
    select(*_STUDY_KEY, schema.study_modalities.c.modality)
    .join_from(schema.study_modalities, schema.studies, _ST.id == schema.study_modalities.c.study_row)
    .join(schema.patients, _P.id == _ST.patient_row)
    .order_by(*_STUDY_KEY, schema.study_modalities.c.modality)
)
_C = schema.conflicts.c
_conflicts = select(*_own(_C, "seq")).order_by(_C.kind, _C.study_uid, _C.series_uid, _C.sop_uid)
_E, _EP, _EI = schema.edits.c, schema.edit_patients.c, schema.edit_instances.c
_edits = select(*_E).order_by(_E.number)
_edit_patients = select(*_EP).order_by(*_EP)
_edit_instances = select(*_EI).order_by(*_EI)
_totals = select(*_own(schema.totals.c))

_STATEMENTS: dict[str, Select[Any]] = {
    "patients": _patients,
    "studies": _studies,
    "series": _series,
    "instances": _instances,
    "versions": _versions,
    "words": _words,
    "modalities": _modalities,
    "conflicts": _conflicts,
    "edits": _edits,
    "edit_patients": _edit_patients,
    "edit_instances": _edit_instances,
    "totals": _totals,
}
_NAMES = {
    table: tuple(column.name for column in statement.selected_columns)
    for table, statement in _STATEMENTS.items()
}
_IN_ORDER = {table: prepare(statement) for table, statement in _STATEMENTS.items()}
_IN_ANY_ORDER = {table: prepare(statement.order_by(None)) for table, statement in _STATEMENTS.items()}


def canonical_dump(readers: Readers, *, in_order: bool) -> Iterator[dict[str, Any]]:
    """See `Index.canonical_dump`."""
    with readers.snapshot() as connection:
        for table, statement in (_IN_ORDER if in_order else _IN_ANY_ORDER).items():
            names = _NAMES[table]
            with closing(connection.each(statement)) as rows:
                for row in rows:
                    yield {"table": table, **dict(zip(names, row, strict=True))}
