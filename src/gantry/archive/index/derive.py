"""What a series, study or patient row must say, derived from what it is made of.

Ingest keeps rows true by adding to them where that is enough, and calls on this module where it is not: when
something was hidden, moved or brought back, or came out of order. `check` and `repair_counts` use the same
functions, so that there is one definition of what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, func, literal_column, select, update

from gantry.archive.index import schema
from gantry.archive.index.columns import (
    instance_number,
    joined,
    modality_of,
    parted,
    series_number,
    study_columns,
    study_words,
)
from gantry.archive.index.database import Session
from gantry.archive.index.parents import ADD_WORD, NO_COLUMNS, STUDY_COLUMNS
from gantry.archive.index.protocol import VersionKind
from gantry.archive.index.statements import Prepared, prepare, prepare_insert
from gantry.archive.index.totals import TOTALS, Totals
from gantry.archive.query import LevelAnswer

DERIVATION = 2
"""Which way rows are derived, as an index notes it. Raise it when the same version gives other columns or
words: an index that notes another number derives all of its rows anew when it is opened."""

_P, _ST, _SE, _I, _V = (
    schema.patients.c, schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c,
)  # fmt: skip

_MEMBERS = prepare(
    select(_V.at, _I.sop_uid, _V.id, _V.file_size, _V.sop_class_uid, _V.series_facts)
    .join_from(schema.instances, schema.versions, _V.id == _I.version)
    .where(_I.series_row == bindparam("row")),
)
SERIES_DERIVED = (
    "instance_count", "size_bytes", "modality", "sop_classes", "facts", "rep_version", "rep_received",
    "rep_sop_uid", "series_number",
)  # fmt: skip
_READ_SERIES = prepare(select(*(_SE[c] for c in SERIES_DERIVED)).where(_SE.id == bindparam("row")))
_SET_SERIES = prepare(
    update(schema.series)
    .values({c: bindparam(f"new_{c}") for c in SERIES_DERIVED})
    .where(_SE.id == bindparam("row")),
    *(f"new_{c}" for c in SERIES_DERIVED),
    "row",
)
_SERIES_FACTS = prepare(
    select(schema.series_facts.c.sections, schema.series_facts.c.more).where(
        schema.series_facts.c.id == bindparam("facts")
    )
)
_PARTS = prepare(
    select(
        _SE.rep_received, _SE.series_uid, _SE.rep_sop_uid, _SE.rep_version, _SE.instance_count,
        _SE.size_bytes, _SE.modality, _SE.sop_classes,
    ).where(_SE.study_row == bindparam("row"), _SE.instance_count > literal_column("0"))
)  # fmt: skip
STUDY_DERIVED = (
    "series_count", "instance_count", "size_bytes", "modalities", "sop_classes", "facts", "rep_version",
    "rep_received", "rep_series_uid", "rep_sop_uid", *STUDY_COLUMNS,
)  # fmt: skip
_READ_STUDY = prepare(select(*(_ST[c] for c in STUDY_DERIVED)).where(_ST.id == bindparam("row")))
_SET_STUDY = prepare(
    update(schema.studies)
    .values({c: bindparam(f"new_{c}") for c in STUDY_DERIVED})
    .where(_ST.id == bindparam("row")),
    *(f"new_{c}" for c in STUDY_DERIVED),
    "row",
)
_FACTS_OF_VERSION = prepare(
    select(_V.study_facts, schema.study_facts.c.sections, schema.study_facts.c.more)
    .join_from(schema.versions, schema.study_facts, schema.study_facts.c.id == _V.study_facts)
    .where(_V.id == bindparam("version"))
)
_W, _M = schema.study_words.c, schema.study_modalities.c
_READ_WORDS = prepare(select(_W.word, _W.kind).where(_W.study_row == bindparam("row")))
_DROP_WORDS = prepare(delete(schema.study_words).where(_W.study_row == bindparam("row")))
_READ_MODALITIES = prepare(select(_M.modality).where(_M.study_row == bindparam("row")))
_DROP_MODALITY = prepare(
    delete(schema.study_modalities).where(
        _M.modality == bindparam("modality"), _M.study_row == bindparam("row")
    ),
    "modality",
    "row",
)
ADD_MODALITY = prepare_insert(schema.study_modalities, "modality", "study_row")
_FIRST_STUDY = prepare(
    select(_ST.id, _ST.rep_received)
    .where(_ST.patient_row == bindparam("row"), _ST.instance_count > literal_column("0"))
    .order_by(_ST.rep_received, _ST.study_uid)
    .limit(literal_column("1"))
    .offset(literal_column("0"))
)
_READ_PATIENT = prepare(select(_P.rep_study, _P.rep_received).where(_P.id == bindparam("row")))
_SET_PATIENT = prepare(
    update(schema.patients)
    .values(rep_study=bindparam("new_study"), rep_received=bindparam("new_received"))
    .where(_P.id == bindparam("row")),
    "new_study",
    "new_received",
    "row",
)

_ROWS_AT_ONCE = 1000


def _after(id_column: Any) -> Prepared:
    return prepare(
        select(id_column)
        .where(id_column > bindparam("after"))
        .order_by(id_column)
        .limit(literal_column(str(_ROWS_AT_ONCE)))
        .offset(literal_column("0"))
    )


_INSTANCES_AFTER, _SERIES_AFTER, _STUDIES_AFTER, _PATIENTS_AFTER = map(_after, (_I.id, _SE.id, _ST.id, _P.id))

INSTANCE_DERIVED = ("series_row", "version", "last_number", "instance_number")
_HISTORY = prepare(
    select(
        _V.number,
        _V.kind,
        _V.aside,
        _V.restores,
        _V.id,
        schema.series_facts.c.series_row,
        _V.sections,
        _V.more,
    )
    .join_from(
        schema.versions, schema.series_facts, schema.series_facts.c.id == _V.series_facts, isouter=True
    )
    .where(_V.instance_row == bindparam("row"))
    .order_by(_V.number.desc())
)
_READ_INSTANCE = prepare(select(*(_I[c] for c in INSTANCE_DERIVED)).where(_I.id == bindparam("row")))
_SET_INSTANCE = prepare(
    update(schema.instances)
    .values({c: bindparam(f"new_{c}") for c in INSTANCE_DERIVED})
    .where(_I.id == bindparam("row")),
    *(f"new_{c}" for c in INSTANCE_DERIVED),
    "row",
)
_T = schema.totals.c
_READ_TOTALS = prepare(select(*(_T[c] for c in TOTALS)))


def _counted(what: Any, *where: Any) -> Any:
    return select(what).where(*where).scalar_subquery()


_COUNT_TOTALS = prepare(
    select(
        _counted(func.count(_P.rep_study)),
        _counted(func.count(_ST.id), _ST.instance_count > literal_column("0")),
        _counted(func.count(_SE.id), _SE.instance_count > literal_column("0")),
        _counted(func.coalesce(func.sum(_SE.instance_count), literal_column("0"))),
        _counted(func.coalesce(func.sum(_SE.size_bytes), literal_column("0"))),
        _counted(func.count(_V.id)),
        _counted(func.count(schema.conflicts.c.seq)),
    )
)
_SET_TOTALS = prepare(
    update(schema.totals).values({c: bindparam(f"new_{c}") for c in TOTALS}),
    *(f"new_{c}" for c in TOTALS),
)

Execute = Callable[..., Any]
_NO_ANSWER = (b"\n\n\n", b"{}")


@dataclass(frozen=True, slots=True)
class Drift:
    """A derived row that was not what it should be: which columns, with both values."""

    table: str
    row: int
    columns: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def instance_values(execute: Execute, row: int) -> tuple[Any, ...] | None:
    """The derived columns of an instance row as its versions make them; None when it has no object version.

    A deleted instance stays where its last visible version had put it.
    """
    history = execute(_HISTORY, (row,)).fetchall()
    by_number = {version[0]: version for version in history}
    newest = next((version for version in history if not version[2]), None)
    acts = [version for version in history if not version[2] and version[1] != VersionKind.TOMBSTONE]
    placed_by = acts[0] if acts else history[-1] if history else None
    if placed_by is not None and placed_by[1] == VersionKind.RESTORE:
        placed_by = by_number.get(placed_by[3])
    if placed_by is None or placed_by[5] is None:
        return None
    hidden = newest is None or newest[1] == VersionKind.TOMBSTONE
    number = instance_number(LevelAnswer(*placed_by[6:8]).attributes())
    return (placed_by[5], None if hidden else placed_by[4], history[0][0], number)


def series_values(execute: Execute, row: int) -> tuple[Any, ...]:
    """The derived columns of a series row as its visible instances make them."""
    members = execute(_MEMBERS, (row,)).fetchall()
    if not members:
        return (0, 0, "", "", None, None, None, "", None)
    received, sop_uid, version, _, _, facts = min(members, key=lambda member: member[:2])
    attributes = LevelAnswer(*(execute(_SERIES_FACTS, (facts,)).fetchone() or _NO_ANSWER)).attributes()
    return (
        len(members),
        sum(member[3] for member in members),
        modality_of(attributes),
        joined({member[4] for member in members}),
        facts,
        version,
        received,
        sop_uid,
        series_number(attributes),
    )


def study_values(execute: Execute, row: int) -> tuple[tuple[Any, ...], set[tuple[str, int]], set[str]]:
    """The derived columns of a study row as its visible series make them, its words and its modalities."""
    parts = execute(_PARTS, (row,)).fetchall()
    if not parts:
        return (0, 0, 0, "", "", None, None, None, "", "", *NO_COLUMNS), set(), set()
    received, series_uid, sop_uid, version, *_ = min(parts, key=lambda part: part[:3])
    facts, sections, more = execute(_FACTS_OF_VERSION, (version,)).fetchone() or (None, *_NO_ANSWER)
    attributes = LevelAnswer(sections, more).attributes()
    modalities = {part[6] for part in parts if part[6]}
    values = (
        len(parts),
        sum(part[4] for part in parts),
        sum(part[5] for part in parts),
        joined(modalities),
        joined({uid for part in parts for uid in parted(part[7])}),
        facts,
        version,
        received,
        series_uid,
        sop_uid,
        *study_columns(attributes).values(),
    )
    return values, study_words(attributes), modalities


def _drift(table: str, row: int, names: tuple[str, ...], old: tuple[Any, ...], new: tuple[Any, ...]) -> Drift:
    return Drift(table, row, {n: (a, b) for n, a, b in zip(names, old, new, strict=True) if a != b})


class Deriver:
    """Puts rows right, and keeps `totals` in step with what that changes.

    With `look_only` it writes nothing and only tells what it would change.
    """

    def __init__(self, session: Session, totals: Totals, *, look_only: bool = False) -> None:
        self._execute = session.execute
        self._many = session.executemany
        self._totals = totals
        self._look_only = look_only

    def instance(self, row: int) -> Drift:
        """Derive an instance row anew; its series is put right afterwards."""
        old = self._execute(_READ_INSTANCE, (row,)).fetchone()
        new = instance_values(self._execute, row)
        drift = _drift("instances", row, INSTANCE_DERIVED, old, new or old)
        if new and drift.columns and not self._look_only:
            self._execute(_SET_INSTANCE, (*new, row))
        return drift

    def series(self, row: int) -> Drift:
        """Derive a series row anew."""
        old = self._execute(_READ_SERIES, (row,)).fetchone()
        new = series_values(self._execute, row)
        drift = _drift("series", row, SERIES_DERIVED, old, new)
        if drift.columns and not self._look_only:
            self._execute(_SET_SERIES, (*new, row))
            self._totals.series += (new[0] > 0) - (old[0] > 0)
            self._totals.instances += new[0] - old[0]
            self._totals.size_bytes += new[1] - old[1]
        return drift

    def study(self, row: int) -> list[Drift]:
        """Derive a study row anew, with its words and modalities, after its series are right."""
        old = self._execute(_READ_STUDY, (row,)).fetchone()
        new, words, modalities = study_values(self._execute, row)
        drift = _drift("studies", row, STUDY_DERIVED, old, new)
        if drift.columns and not self._look_only:
            self._execute(_SET_STUDY, (*new, row))
            self._totals.studies += (new[1] > 0) - (old[1] > 0)
        return [d for d in (drift, self._words(row, words), self._modalities(row, modalities)) if d.columns]

    def patient(self, row: int) -> Drift:
        """Derive a patient row anew, after the studies are right."""
        old = self._execute(_READ_PATIENT, (row,)).fetchone()
        new = self._execute(_FIRST_STUDY, (row,)).fetchone() or (None, None)
        drift = _drift("patients", row, ("rep_study", "rep_received"), old, new)
        if drift.columns and not self._look_only:
            self._execute(_SET_PATIENT, (*new, row))
            self._totals.patients += (new[0] is not None) - (old[0] is not None)
        return drift

    def everything(self) -> list[Drift]:
        """Derive all rows anew, from the bottom up; what was wrong before."""
        return [drift for drift in self._each() if drift.columns]

    def _each(self) -> Iterator[Drift]:
        for row in self._rows(_INSTANCES_AFTER):
            yield self.instance(row)
        for row in self._rows(_SERIES_AFTER):
            yield self.series(row)
        for row in self._rows(_STUDIES_AFTER):
            yield from self.study(row)
        for row in self._rows(_PATIENTS_AFTER):
            yield self.patient(row)
        yield self._all_totals()

    def _all_totals(self) -> Drift:
        old = self._execute(_READ_TOTALS).fetchone()
        new = self._execute(_COUNT_TOTALS).fetchone()
        drift = _drift("totals", 1, TOTALS, old, new)
        if drift.columns and not self._look_only:
            self._execute(_SET_TOTALS, new)
        for name in TOTALS:  # what was added up on the way is in the absolute counts already
            setattr(self._totals, name, 0)
        return drift

    def _rows(self, statement: Prepared) -> Iterator[int]:
        """All rows of a table, of which there may be any number."""
        after = 0
        while some := self._execute(statement, (after,)).fetchall():
            after = some[-1][0]
            yield from (row for (row,) in some)

    def _words(self, row: int, words: set[tuple[str, int]]) -> Drift:
        old = {(word, kind) for word, kind in self._execute(_READ_WORDS, (row,))}
        if old == words:
            return Drift("study_words", row)
        if not self._look_only:
            self._execute(_DROP_WORDS, (row,))
            self._many(ADD_WORD, [(word, kind, row) for word, kind in sorted(words)])
        return Drift("study_words", row, {"words": (sorted(old), sorted(words))})

    def _modalities(self, row: int, modalities: set[str]) -> Drift:
        old = {modality for (modality,) in self._execute(_READ_MODALITIES, (row,))}
        if not self._look_only:
            self._many(_DROP_MODALITY, [(modality, row) for modality in old - modalities])
            self._many(ADD_MODALITY, [(modality, row) for modality in modalities - old])
        changed = {} if old == modalities else {"modalities": (sorted(old), sorted(modalities))}
        return Drift("study_modalities", row, changed)
