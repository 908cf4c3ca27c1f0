"""Selecting rows of one level, and putting them together with the rows above them.

The rows of one page share few studies and series; those are read once each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    UnaryExpression,
    bindparam,
    func,
    literal_column,
    select,
)

from gantry.archive.index import schema
from gantry.archive.index.columns import parted
from gantry.archive.index.database import Snapshot
from gantry.archive.index.statements import Prepared, prepare, unindexed
from gantry.archive.query import MAX_COUNTED_IN_SQL, Counts, LevelAnswer, OrderBy, PatientCounts, Row
from gantry.standard.query_keys import Level

_P, _ST, _SE, _I, _V = (
    schema.patients.c, schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c,
)  # fmt: skip
_SF, _EF = schema.study_facts.c, schema.series_facts.c

_STUDY_COLUMNS = (
    _ST.id, _ST.study_uid, _ST.patient_id, _ST.instance_count, _ST.series_count, _ST.modalities,
    _ST.sop_classes, _ST.size_bytes, _SF.sections, _SF.more, _ST.rep_version, _ST.patient_row,
)  # fmt: skip
_SERIES_COLUMNS = (
    _SE.id, _SE.series_uid, _SE.instance_count, _SE.sop_classes, _SE.size_bytes, _SE.modality, _EF.sections,
    _EF.more, _SE.rep_version, _SE.study_row,
)  # fmt: skip
_INSTANCE_COLUMNS = (_I.sop_uid, _V.sections, _V.more, _I.version, _I.series_row)

_STUDY_BY_ROW = prepare(
    select(*_STUDY_COLUMNS)
    .join_from(schema.studies, schema.study_facts, _SF.id == _ST.facts)
    .where(_ST.id == bindparam("row"))
)
_SERIES_BY_ROW = prepare(
    select(*_SERIES_COLUMNS)
    .join_from(schema.series, schema.series_facts, _EF.id == _SE.facts)
    .where(_SE.id == bindparam("row"))
)
_PATIENT_COUNTS = prepare(
    select(func.count(), func.sum(_ST.series_count), func.sum(_ST.instance_count)).where(
        _ST.patient_row == bindparam("row"), _ST.instance_count > literal_column("0")
    )
)

Ordering = ColumnElement[Any] | UnaryExpression[Any]


def in_order(*columns: Column[Any]) -> tuple[Ordering, ...]:
    """In rising order, beginning with what has no value, as SQLite and our indexes have it."""
    return tuple(column.asc().nulls_first() if column.nullable else column.asc() for column in columns)


def _down(*columns: Column[Any]) -> tuple[Ordering, ...]:
    """The reverse."""
    return tuple(column.desc().nulls_last() if column.nullable else column.desc() for column in columns)


_STUDY_ORDER: dict[OrderBy, tuple[Ordering, ...]] = {
    OrderBy.NEWEST: _down(_ST.study_date, _ST.study_time, _ST.id),
    OrderBy.OLDEST: in_order(_ST.study_date, _ST.study_time, _ST.id),
    OrderBy.PATIENT_NAME: in_order(_ST.patient_name, _ST.id),
    OrderBy.PATIENT_NAME_DESCENDING: _down(_ST.patient_name, _ST.id),
    OrderBy.PATIENT_ID: in_order(_ST.patient_id, _ST.id),
    OrderBy.PATIENT_ID_DESCENDING: _down(_ST.patient_id, _ST.id),
    OrderBy.ACCESSION: in_order(_ST.accession, _ST.id),
    OrderBy.ACCESSION_DESCENDING: _down(_ST.accession, _ST.id),
    OrderBy.RECEIVED: _down(_ST.id),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A row, and the version row of the object that its attributes were taken from."""

    row: Row
    representative: int


@dataclass(frozen=True, slots=True)
class _Study:
    uid: str
    patient_id: str
    answer: LevelAnswer
    counts: Counts
    representative: int
    patient_row: int


@dataclass(frozen=True, slots=True)
class _Series:
    uid: str
    answer: LevelAnswer
    counts: Counts
    study_row: int


def select_rows(
    level: Level, clauses: Iterable[ColumnElement[bool]], order: OrderBy, *, from_below: bool = False
) -> Select[Any]:
    """Visible rows of a level that meet the clauses, in a total order.

    The database is made to begin with the studies, which are in order already, unless `from_below`.
    """
    return _ordered_rows(level, order, from_below).where(*clauses)


def select_page(
    level: Level,
    clauses: Iterable[ColumnElement[bool]],
    order: OrderBy,
    *,
    limit: int,
    offset: int,
    from_below: bool = False,
) -> Select[Any]:
    """A page of the same rows. Studies are sorted by their keys alone, before their answers are read."""
    if level > Level.STUDY:
        return select_rows(level, clauses, order, from_below=from_below).limit(limit).offset(offset)
    keys = _ordered_studies(level, order).where(*clauses).limit(limit).offset(offset)
    return _ordered_rows(level, order, from_below).where(_ST.id.in_(keys))


def count_rows(
    level: Level, clauses: Iterable[ColumnElement[bool]], *, from_below: bool = False
) -> Select[Any]:
    """How many such rows there are, counted no further than one beyond `MAX_COUNTED_IN_SQL`."""
    rows = _visible(level, (literal_column("1"),), from_below).where(*clauses)
    return select(func.count()).select_from(rows.limit(MAX_COUNTED_IN_SQL + 1).subquery())


@cache
def _ordered_rows(level: Level, order: OrderBy, from_below: bool) -> Select[Any]:
    if level is Level.SERIES:
        found = _visible(level, _SERIES_COLUMNS, from_below)
        found = found.join(schema.series_facts, _EF.id == _SE.facts)
    elif level is Level.IMAGE:
        found = _visible(level, _INSTANCE_COLUMNS, from_below)
    else:
        found = _visible(level, _STUDY_COLUMNS, from_below)
        found = found.join(schema.study_facts, _SF.id == _ST.facts)
    return found.order_by(*_ordering(level, order))


@cache
def _ordered_studies(level: Level, order: OrderBy) -> Select[Any]:
    return _visible(level, (_ST.id,), from_below=False).order_by(*_ordering(level, order))


def _visible(level: Level, columns: tuple[ColumnElement[Any], ...], from_below: bool) -> Select[Any]:
    found = select(*columns).select_from(schema.studies)
    if level is Level.PATIENT:
        found = found.join(schema.patients, (_P.id == _ST.patient_row) & (_P.rep_study == _ST.id))
    if level <= Level.STUDY:
        return found.where(_ST.instance_count > 0)
    # so that a study is not looked up by its series
    study_row = _ST.id if from_below else unindexed(_ST.id)
    found = found.join(schema.series, _SE.study_row == study_row)
    if level is Level.SERIES:
        return found.where(_SE.instance_count > 0)
    found = found.join(schema.instances, _I.series_row == _SE.id)
    return found.join(schema.versions, _V.id == _I.version)


def _ordering(level: Level, order: OrderBy) -> tuple[Ordering, ...]:
    ordering = _STUDY_ORDER[order]
    if level >= Level.SERIES:
        ordering = (*ordering, *in_order(_SE.series_number, _SE.id))
    if level is Level.IMAGE:
        ordering = (*ordering, *in_order(_I.instance_number, _I.id))
    return ordering


class Assembler:
    """Makes `Row`s of what `select_rows` found, over one connection."""

    def __init__(self, snapshot: Snapshot, level: Level, patient_counts: bool) -> None:
        self._snapshot = snapshot
        self._level = level
        self._patient_counts = patient_counts
        self._studies: dict[int, _Study] = {}
        self._series: dict[int, _Series] = {}
        self._patients: dict[int, PatientCounts] = {}

    def row(self, values: Any) -> Found:
        """The row of one line of the result."""
        if self._level is Level.SERIES:
            series = _series_of(values)
            return self._series_row(series, values[8])
        if self._level is Level.IMAGE:
            return self._instance_row(values)
        return self._study_row(_study_of(values))

    def _study_row(self, study: _Study) -> Found:
        row = Row(
            level=self._level,
            patient_id=study.patient_id,
            study_uid="" if self._level is Level.PATIENT else study.uid,
            series_uid="",
            sop_uid="",
            study=study.answer,
            study_counts=None if self._level is Level.PATIENT else study.counts,
            patient_counts=self._counts_of_patient(study),
        )
        return Found(row, study.representative)

    def _series_row(self, series: _Series, representative: int) -> Found:
        study = self._study(series.study_row)
        row = Row(
            level=self._level,
            patient_id=study.patient_id,
            study_uid=study.uid,
            series_uid=series.uid,
            sop_uid="",
            study=study.answer,
            series=series.answer,
            study_counts=study.counts,
            series_counts=series.counts,
            patient_counts=self._counts_of_patient(study),
        )
        return Found(row, representative)

    def _instance_row(self, values: Any) -> Found:
        sop_uid, sections, more, version, series_row = values
        series = self._series.get(series_row)
        if series is None:
            read = self._one(_SERIES_BY_ROW, series_row)
            series = self._series[series_row] = _series_of(read)
        study = self._study(series.study_row)
        row = Row(
            level=self._level,
            patient_id=study.patient_id,
            study_uid=study.uid,
            series_uid=series.uid,
            sop_uid=sop_uid,
            study=study.answer,
            series=series.answer,
            instance=LevelAnswer(sections, more),
            study_counts=study.counts,
            series_counts=series.counts,
            patient_counts=self._counts_of_patient(study),
        )
        return Found(row, version)

    def _study(self, row: int) -> _Study:
        study = self._studies.get(row)
        if study is None:
            read = self._one(_STUDY_BY_ROW, row)
            study = self._studies[row] = _study_of(read)
        return study

    def _one(self, statement: Prepared, row: int) -> Any:
        return self._snapshot.execute(statement, (row,)).fetchone()

    def _counts_of_patient(self, study: _Study) -> PatientCounts | None:
        if not self._patient_counts:
            return None
        counts = self._patients.get(study.patient_row)
        if counts is None:
            read = self._one(_PATIENT_COUNTS, study.patient_row)
            counts = self._patients[study.patient_row] = PatientCounts(*read)
        return counts


def _study_of(values: Any) -> _Study:
    (
        _, uid, patient_id, instances, series, modalities, sop_classes, size, sections, more, version,
        patient_row,
    ) = values  # fmt: skip
    counts = Counts(instances, series, parted(modalities), parted(sop_classes), size)
    return _Study(uid, patient_id or "", LevelAnswer(sections, more), counts, version, patient_row)


def _series_of(values: Any) -> _Series:
    _, uid, instances, sop_classes, size, modality, sections, more, _, study_row = values
    counts = Counts(instances, 1, (modality,) if modality else (), parted(sop_classes), size)
    return _Series(uid, LevelAnswer(sections, more), counts, study_row)
