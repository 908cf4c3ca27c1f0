"""The rows above an instance, found or made, and remembered from one transaction to the next.

Objects arrive by studies, so the rows they belong to are nearly always those of the object before. Each row
that was used lately is kept as a state object: enough to decide, without asking the database, whether a new
instance only raises counts. What was remembered is forgotten when a transaction fails, when another process
has written, and for the rows concerned whenever they were derived anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from sqlalchemy import bindparam, func, select

from gantry.archive.index import schema
from gantry.archive.index.columns import (
    indexed,
    modality_of,
    parted,
    series_number,
    study_columns,
    study_words,
)
from gantry.archive.index.conflicts import ConflictLog
from gantry.archive.index.database import Session, Writer
from gantry.archive.index.statements import prepare, prepare_insert
from gantry.archive.query import LevelAnswer, serialise
from gantry.archive.records import JsonModel, ObjectRecord
from gantry.standard.query_keys import Level

MAX_REMEMBERED = 4096
"""Studies, and series, kept in memory; beyond it all are forgotten and found again."""
MAX_FACTS_REMEMBERED = 256

Rep = tuple[int, str, str]
"""What the representative is chosen by: received at (µs), Series UID, SOP UID."""


@dataclass(slots=True)
class FactsState:
    """The distinct sets of attributes that a row has had; the last is recognised without serialising it."""

    ids: dict[bytes, int] = field(default_factory=dict)
    last_attributes: JsonModel | None = None
    last_id: int = 0


@dataclass(slots=True)
class StudyState:
    """A study row as the database holds it, and what this transaction adds to it."""

    row: int
    patient_row: int
    key: tuple[str, str, str, str]
    rep: Rep | None
    instances: int
    modalities: set[str]
    sop_classes: set[str]
    facts: FactsState = field(default_factory=FactsState)
    added_series: int = 0
    added_instances: int = 0
    added_bytes: int = 0
    added_modalities: set[str] = field(default_factory=set)
    lists_changed: bool = False


@dataclass(slots=True)
class SeriesState:
    """A series row likewise."""

    row: int
    study: StudyState
    uid: str
    rep: Rep | None
    instances: int
    modality: str
    sop_classes: set[str]
    facts: FactsState = field(default_factory=FactsState)
    added_instances: int = 0
    added_bytes: int = 0
    lists_changed: bool = False


_NUMBERED = (
    "patients", "studies", "series", "instances", "versions", "study_facts", "series_facts", "changes",
)  # fmt: skip
_HIGHEST = prepare(
    select(
        *(
            select(func.max(*schema.metadata.tables[name].primary_key.columns)).scalar_subquery()
            for name in _NUMBERED
        )
    )
)


class RowIds:
    """Hands out row ids, so that rows can refer to each other before they exist; safe with one writer."""

    def __init__(self, session: Session) -> None:
        highest = session.execute(_HIGHEST).fetchone()
        self._next = {name: (row or 0) + 1 for name, row in zip(_NUMBERED, highest, strict=True)}

    def take(self, table: str) -> int:
        """The id of the next row of `table`."""
        row = self._next[table]
        self._next[table] = row + 1
        return row


_P, _ST, _SE = schema.patients.c, schema.studies.c, schema.series.c

_FIND_PATIENT = prepare(
    select(_P.id).where(
        _P.patient_id == bindparam("patient_id"),
        _P.issuer == bindparam("issuer"),
        _P.scope == bindparam("scope"),
    ),
    "patient_id",
    "issuer",
    "scope",
)
_ADD_PATIENT = prepare_insert(schema.patients, "id", "patient_id", "issuer", "scope")
_STUDY_STATE = (
    _ST.id, _ST.patient_row, _ST.study_uid, _ST.instance_count, _ST.modalities, _ST.sop_classes,
    _ST.rep_received, _ST.rep_series_uid, _ST.rep_sop_uid, _P.patient_id, _P.issuer, _P.scope,
)  # fmt: skip
_FIND_STUDY = prepare(
    select(*_STUDY_STATE)
    .join_from(schema.studies, schema.patients, _P.id == _ST.patient_row)
    .where(_ST.study_uid == bindparam("study_uid"), _ST.patient_row == bindparam("patient_row")),
    "study_uid",
    "patient_row",
)
_STUDY_OF_ROW = prepare(
    select(*_STUDY_STATE)
    .join_from(schema.studies, schema.patients, _P.id == _ST.patient_row)
    .where(_ST.id == bindparam("row")),
    "row",
)
STUDY_COLUMNS = (
    "patient_id", "issuer", "patient_name", "birth_date", "sex", "study_date", "study_time", "accession",
    "study_id", "description",
)  # fmt: skip
NO_COLUMNS = ("",) * len(STUDY_COLUMNS)
_NEW_STUDY = (
    "id", "patient_row", "study_uid", "facts", "rep_version", "rep_received", "rep_series_uid", "rep_sop_uid",
    *STUDY_COLUMNS,
)  # fmt: skip
_ADD_STUDY = prepare_insert(schema.studies, *_NEW_STUDY)
ADD_WORD = prepare_insert(schema.study_words, "word", "kind", "study_row")
_FIND_SERIES = prepare(
    select(
        _SE.id, _SE.instance_count, _SE.modality, _SE.sop_classes, _SE.rep_received, _SE.rep_sop_uid
    ).where(_SE.series_uid == bindparam("series_uid"), _SE.study_row == bindparam("study_row")),
    "series_uid",
    "study_row",
)
_SERIES_OF_ROW = prepare(select(_SE.study_row, _SE.series_uid).where(_SE.id == bindparam("row")), "row")
_NEW_SERIES = (
    "id", "study_row", "series_uid", "modality", "facts", "rep_version", "rep_received", "rep_sop_uid",
    "series_number",
)  # fmt: skip
_ADD_SERIES = prepare_insert(schema.series, *_NEW_SERIES)
_FIND_STUDY_FACTS = prepare(
    select(schema.study_facts.c.id).where(
        schema.study_facts.c.study_row == bindparam("row"), schema.study_facts.c.digest == bindparam("digest")
    ),
    "row",
    "digest",
)
_FIND_SERIES_FACTS = prepare(
    select(schema.series_facts.c.id).where(
        schema.series_facts.c.series_row == bindparam("row"),
        schema.series_facts.c.digest == bindparam("digest"),
    ),
    "row",
    "digest",
)
_ADD_STUDY_FACTS = prepare_insert(schema.study_facts, "id", "study_row", "digest", "sections", "more")
_ADD_SERIES_FACTS = prepare_insert(schema.series_facts, "id", "series_row", "digest", "sections", "more")


def digest_of(answer: LevelAnswer) -> bytes:
    """Tells distinct sets of attributes apart."""
    return blake2b(answer.sections + b"\0" + answer.more, digest_size=16).digest()


class Parents:
    """Finds or makes the study and series rows of an object."""

    def __init__(self, writer: Writer, conflicts: ConflictLog) -> None:
        self._execute = writer.execute
        self._insert = writer.insert
        self._insert_all = writer.insert_all
        self._conflicts = conflicts
        self.ids = RowIds(writer)
        self._studies: dict[tuple[str, str, str, str], StudyState] = {}
        self._series: dict[tuple[int, str], SeriesState] = {}
        self.used_studies: dict[int, StudyState] = {}
        self.used_series: dict[int, SeriesState] = {}

    # -- rows ---------------------------------------------------------------------------------------------

    def of(
        self, record: ObjectRecord, version: int, received: int, visible: bool, edited: bool = False
    ) -> tuple[SeriesState, int, int]:
        """The series of an object with the ids of its study and series facts.

        Rows that did not exist are made, with this object (version row `version`) as their representative
        unless it is not `visible`. What was `edited` is where somebody wanted it: it contradicts nothing.
        """
        study_attributes = {**record.patient, **record.study}
        rep = (received, record.key.series_uid, record.key.sop_uid) if visible else None
        key = _study_key(record)
        study = self._studies.get(key) or self._found_study(key)
        if study is None:
            study = self._new_study(key, study_attributes, version, rep)
            if not edited:
                self._conflicts.note_patients(key[3], study.row, received)
        study_facts = self._facts_of(study.facts, study.row, Level.STUDY, study_attributes)
        series = self._series.get((study.row, record.key.series_uid)) or self._found_series(
            study, record.key.series_uid
        )
        if series is None:
            series = self._new_series(study, record, version, rep)
            if not edited:
                self._conflicts.note_series(series.uid, study.key[3], received)
        series_facts = self._facts_of(series.facts, series.row, Level.SERIES, record.series)
        self._use(series)
        return series, study_facts, series_facts

    def series_of_row(self, row: int) -> SeriesState:
        """The state of a series that exists."""
        used = self.used_series.get(row)
        if used is not None:
            return used
        study_row, uid = self._execute(_SERIES_OF_ROW, (row,)).fetchone()
        series = self._series.get((study_row, uid))
        if series is None:
            study = self._study_of_row(study_row)
            found = self._found_series(study, uid)
            assert found is not None, "the row was read a moment ago, in the same transaction"
            series = found
        self._use(series)
        return series

    def forget(self, study: StudyState) -> None:
        """Forget a study and its series, because their rows were derived anew."""
        self._studies.pop(study.key, None)
        for key in [key for key in self._series if key[0] == study.row]:
            del self._series[key]

    def forget_all(self) -> None:
        """Forget everything, because all rows may change."""
        self._studies.clear()
        self._series.clear()

    def end_transaction(self) -> None:
        """Forget what was used, and everything when it has become much."""
        self.used_studies.clear()
        self.used_series.clear()
        if len(self._studies) > MAX_REMEMBERED or len(self._series) > MAX_REMEMBERED:
            self.forget_all()

    def _use(self, series: SeriesState) -> None:
        self.used_series[series.row] = series
        self.used_studies[series.study.row] = series.study

    def _found_study(self, key: tuple[str, str, str, str]) -> StudyState | None:
        patient = self._execute(_FIND_PATIENT, key[:3]).fetchone()
        if patient is None:
            return None
        return self._remember_study(self._execute(_FIND_STUDY, (key[3], patient[0])).fetchone())

    def _study_of_row(self, row: int) -> StudyState:
        state = self.used_studies.get(row)
        if state is None:
            read = self._execute(_STUDY_OF_ROW, (row,)).fetchone()
            state = self._studies.get((read[9], read[10], read[11], read[2])) or self._remember_study(read)
            assert state is not None
        return state

    def _remember_study(self, read: tuple[object, ...] | None) -> StudyState | None:
        if read is None:
            return None
        row, patient_row, uid, instances, modalities, sop_classes, received, series_uid, sop_uid, *patient = (
            read
        )
        state = StudyState(
            row=row,  # type: ignore[arg-type]
            patient_row=patient_row,  # type: ignore[arg-type]
            key=(*patient, uid),  # type: ignore[arg-type]
            rep=None if received is None else (received, series_uid, sop_uid),  # type: ignore[arg-type]
            instances=instances,  # type: ignore[arg-type]
            modalities=set(parted(modalities)),  # type: ignore[arg-type]
            sop_classes=set(parted(sop_classes)),  # type: ignore[arg-type]
        )
        self._studies[state.key] = state
        return state

    def _new_study(
        self, key: tuple[str, str, str, str], attributes: JsonModel, version: int, rep: Rep | None
    ) -> StudyState:
        patient = self._execute(_FIND_PATIENT, key[:3]).fetchone()
        patient_row = patient[0] if patient else self.ids.take("patients")
        if patient is None:
            self._insert(_ADD_PATIENT, (patient_row, *key[:3]))
        row = self.ids.take("studies")
        state = StudyState(row, patient_row, key, rep, 0, set(), set())
        facts = self._facts_of(state.facts, row, Level.STUDY, attributes)
        if rep is None:
            values: tuple[object, ...] = (row, patient_row, key[3], None, None, None, "", "", *NO_COLUMNS)
        else:
            columns = study_columns(attributes).values()
            values = (row, patient_row, key[3], facts, version, *rep, *columns)
            words = study_words(attributes)
            self._insert_all(ADD_WORD, [(word, kind, row) for word, kind in words])
        self._insert(_ADD_STUDY, values)
        self._studies[key] = state
        return state

    def _found_series(self, study: StudyState, uid: str) -> SeriesState | None:
        read = self._execute(_FIND_SERIES, (uid, study.row)).fetchone()
        if read is None:
            return None
        row, instances, modality, sop_classes, received, sop_uid = read
        rep = None if received is None else (received, uid, sop_uid)
        state = SeriesState(row, study, uid, rep, instances, modality, set(parted(sop_classes)))
        self._series[study.row, uid] = state
        return state

    def _new_series(
        self, study: StudyState, record: ObjectRecord, version: int, rep: Rep | None
    ) -> SeriesState:
        row, uid = self.ids.take("series"), record.key.series_uid
        modality = modality_of(record.series) if rep else ""
        state = SeriesState(row, study, uid, rep, 0, modality, set())
        facts = self._facts_of(state.facts, row, Level.SERIES, record.series)
        if rep is None:
            values: tuple[object, ...] = (row, study.row, uid, "", None, None, None, "", None)
        else:
            number = series_number(record.series)
            values = (row, study.row, uid, modality, facts, version, rep[0], rep[2], number)
        self._insert(_ADD_SERIES, values)
        self._series[study.row, uid] = state
        return state

    # -- facts --------------------------------------------------------------------------------------------

    def _facts_of(self, state: FactsState, row: int, level: Level, attributes: JsonModel) -> int:
        """The id of these attributes under their row, noted if they are new."""
        if state.last_attributes == attributes:
            return state.last_id
        answer = serialise(level, attributes)
        digest = digest_of(answer)
        facts = state.ids.get(digest)
        if facts is None:
            facts = self._noted_facts(row, level, answer, digest)
            if len(state.ids) >= MAX_FACTS_REMEMBERED:
                state.ids.clear()
            state.ids[digest] = facts
        state.last_attributes, state.last_id = attributes, facts
        return facts

    def _noted_facts(self, row: int, level: Level, answer: LevelAnswer, digest: bytes) -> int:
        find, add, table = (
            (_FIND_STUDY_FACTS, _ADD_STUDY_FACTS, "study_facts")
            if level is Level.STUDY
            else (_FIND_SERIES_FACTS, _ADD_SERIES_FACTS, "series_facts")
        )
        found = self._execute(find, (row, digest)).fetchone()
        if found is not None:
            noted: int = found[0]
            return noted
        facts = self.ids.take(table)
        self._insert(add, (facts, row, digest, answer.sections, answer.more))
        return facts


def _study_key(record: ObjectRecord) -> tuple[str, str, str, str]:
    """Patient ID, issuer, scope and Study UID: an empty Patient ID is a patient of its own for each study."""
    patient_id = record.patient_id
    if patient_id:
        return indexed(patient_id), indexed(record.issuer), "", record.key.study_uid
    return "", "", record.key.study_uid, record.key.study_uid
