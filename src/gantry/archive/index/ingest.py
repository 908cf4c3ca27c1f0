"""Telling the index of changes: one transaction for everything that a commit brings.

A new instance costs one look-up, three short inserts (instance, version, change) and, once per transaction,
one update of its series, its study and the totals. Where adding is not enough (something visible was hidden,
moved or replaced, or arrived before the representative) the rows concerned are *dirty* and derived anew,
once, before the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import bindparam, delete, literal_column, null, select, text, update

from gantry.archive.index import schema
from gantry.archive.index.columns import indexed, instance_number, joined, microseconds
from gantry.archive.index.conflicts import ConflictLog
from gantry.archive.index.database import Writer
from gantry.archive.index.derive import ADD_MODALITY, DERIVATION, Deriver, Drift
from gantry.archive.index.parents import Parents, Rep, SeriesState, StudyState
from gantry.archive.index.protocol import (
    AddEdit,
    AddRestore,
    AddTombstone,
    AddVersion,
    ChangeKind,
    CurrentVersion,
    IndexChange,
    LetGo,
    VersionKind,
    at_once,
)
from gantry.archive.index.statements import prepare, prepare_insert
from gantry.archive.index.totals import TOTALS, Totals
from gantry.archive.query import LevelAnswer, serialise
from gantry.archive.records import InstanceKey
from gantry.errors import NotFound, Raced, StorageError, Unreachable
from gantry.standard.query_keys import Level

_log = logging.getLogger(__name__)

_P, _ST, _SE, _I, _V, _T = (
    schema.patients.c, schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c,
    schema.totals.c,
)  # fmt: skip

_FIND_SOP = prepare(
    select(_I.id, _I.version, _I.last_number, _ST.study_uid, _SE.series_uid)
    .join_from(schema.instances, schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .where(_I.sop_uid == bindparam("sop_uid"))
)
_META = schema.meta.c
_DERIVATION = prepare(select(_META.value).where(_META.name == text("'derivation'")))
_FORGET_DERIVATION = prepare(delete(schema.meta).where(_META.name == text("'derivation'")))
_FORGET_DAMAGE = prepare(delete(schema.meta).where(_META.name == text("'damage'")))
_NOTE = prepare_insert(schema.meta, "name", "value")
_LOOKUP = prepare(
    select(
        _I.id, _I.last_number, _I.version, _V.number, _V.dataset_sha256, _V.meta_sha256,
        _V.transfer_syntax_uid, _V.path, _V.file_size, _V.edit,
    )
    .join_from(schema.instances, schema.series, _SE.id == _I.series_row)
    .join(schema.studies, _ST.id == _SE.study_row)
    .outerjoin(schema.versions, _V.id == _I.version)
    .where(
        _I.sop_uid == bindparam("sop_uid"),
        _SE.series_uid == bindparam("series_uid"),
        _ST.study_uid == bindparam("study_uid"),
    ),
    "sop_uid",
    "series_uid",
    "study_uid",
)  # fmt: skip
_VERSIONS_OF_INSTANCE = prepare(
    select(
        _V.number, _V.kind, _V.restores, _V.aside, _V.dataset_sha256, _V.meta_sha256, _V.transfer_syntax_uid,
        _V.path, _V.file_size, _V.edit,
    )
    .where(_V.instance_row == bindparam("row"))
    .order_by(_V.number.desc())
)  # fmt: skip
_OBJECT_VERSION = prepare(
    select(
        _V.id, _V.at, _V.file_size, _V.sop_class_uid, schema.series_facts.c.series_row, _V.sections, _V.more,
    )
    .join_from(schema.versions, schema.series_facts, schema.series_facts.c.id == _V.series_facts)
    .where(_V.instance_row == bindparam("row"), _V.number == bindparam("number")),
    "row",
    "number",
)  # fmt: skip
_VISIBLE_VERSION = prepare(
    select(_V.at, _V.file_size, schema.series_facts.c.series_row)
    .join_from(schema.versions, schema.series_facts, schema.series_facts.c.id == _V.series_facts)
    .where(_V.id == bindparam("version"))
)
_ADD_INSTANCE = prepare_insert(
    schema.instances, "id", "series_row", "sop_uid", "version", "last_number", "instance_number"
)
_SET_INSTANCE = prepare(
    update(schema.instances)
    .values({c: bindparam(f"new_{c}") for c in ("series_row", "version", "last_number", "instance_number")})
    .where(_I.id == bindparam("row")),
    "new_series_row",
    "new_version",
    "new_last_number",
    "new_instance_number",
    "row",
)
_SET_LAST_NUMBER = prepare(
    update(schema.instances).values(last_number=bindparam("number")).where(_I.id == bindparam("row")),
    "number",
    "row",
)
_HIDE_INSTANCE = prepare(
    update(schema.instances)
    .values(version=null(), last_number=bindparam("number"))
    .where(_I.id == bindparam("row")),
    "number",
    "row",
)
_ADD_VERSION = prepare_insert(schema.versions, *(column.name for column in schema.versions.columns))
_LET_GO = prepare(
    update(schema.versions)
    .values(act=bindparam("new_act"), restores=bindparam("made_from"))
    .where(
        _V.instance_row == bindparam("row"),
        _V.number == bindparam("version"),
        _V.kind == literal_column(str(VersionKind.OBJECT.value)),
    ),
    "made_from",
    "new_act",
    "row",
    "version",
)
_ADD_EDIT = prepare_insert(schema.edits, *(column.name for column in schema.edits.columns))
_ADD_EDIT_PATIENT = prepare_insert(schema.edit_patients, "patient_id", "issuer", "edit")
_ADD_EDIT_INSTANCE = prepare_insert(schema.edit_instances, "study_uid", "series_uid", "sop_uid", "edit")
_ADD_CHANGE = prepare_insert(schema.changes, "seq", "at", "kind", "instance_row", "number")
_GROW_SERIES = prepare(
    update(schema.series)
    .values(
        instance_count=_SE.instance_count + bindparam("instances"),
        size_bytes=_SE.size_bytes + bindparam("size"),
    )
    .where(_SE.id == bindparam("row")),
    "instances",
    "size",
    "row",
)
_LIST_SERIES = prepare(
    update(schema.series).values(sop_classes=bindparam("classes")).where(_SE.id == bindparam("row")),
    "classes",
    "row",
)
_GROW_STUDY = prepare(
    update(schema.studies)
    .values(
        series_count=_ST.series_count + bindparam("added_series"),
        instance_count=_ST.instance_count + bindparam("instances"),
        size_bytes=_ST.size_bytes + bindparam("size"),
    )
    .where(_ST.id == bindparam("row")),
    "added_series",
    "instances",
    "size",
    "row",
)
_LIST_STUDY = prepare(
    update(schema.studies)
    .values(modalities=bindparam("new_modalities"), sop_classes=bindparam("classes"))
    .where(_ST.id == bindparam("row")),
    "new_modalities",
    "classes",
    "row",
)
_GROW_TOTALS = prepare(
    update(schema.totals)
    .values({c: _T[c] + bindparam(f"added_{c}") for c in TOTALS})
    .where(_T.id == literal_column("1")),
    *(f"added_{c}" for c in TOTALS),
)
_FIRST_OF_PATIENT = prepare(
    select(_P.rep_received, _ST.study_uid)
    .join_from(schema.patients, schema.studies, _ST.id == _P.rep_study)
    .where(_P.id == bindparam("row"))
)


class Ingest:
    """The writing side of the index. One thread at a time, which the caller sees to."""

    def __init__(self, writer: Writer) -> None:
        self._connection = writer
        self._execute = writer.execute
        self._insert = writer.insert
        self._insert_all = writer.insert_all
        self._conflicts = ConflictLog(self._connection)
        self._parents: Parents | None = None
        self._start()

    def close(self) -> None:
        """Close the connection."""
        with self._connection.translated_errors("closing the index"):
            self._connection.close()

    # -- asking -------------------------------------------------------------------------------------------

    def lookup(self, keys: Iterable[InstanceKey]) -> dict[InstanceKey, CurrentVersion]:
        """See `Index.lookup`."""
        asked = list(keys)
        with self._connection.translated_errors("looking up instances"):
            rows = self._connection.first_rows(
                _LOOKUP, [(key.sop_uid, key.series_uid, key.study_uid) for key in asked]
            )
            return {key: self._current(key, row) for key, row in zip(asked, rows, strict=True) if row}

    def _current(self, key: InstanceKey, row: tuple[Any, ...]) -> CurrentVersion:
        instance_row, last_number, version, *of_version = row
        if version is not None:
            return CurrentVersion(key, last_number, False, *of_version)
        of_version = self._before_delete(instance_row) or [0, b"", b"", "", "", 0, 0]
        return CurrentVersion(key, last_number, True, *of_version)

    def _before_delete(self, instance_row: int) -> list[Any] | None:
        """The object version that was current before the tombstones that end the history."""
        rows = self._execute(_VERSIONS_OF_INSTANCE, (instance_row,)).fetchall()
        by_number = {row[0]: row for row in rows}
        # Of what hides it: an object that an edit took away stays away
        edit = next((row[-1] for row in rows if row[1] == VersionKind.TOMBSTONE), 0)
        for row in rows:
            _, kind, restores, aside, *_ = row
            if kind == VersionKind.RESTORE:  # of any, those that lay aside among them
                row = by_number[restores]
            elif kind == VersionKind.TOMBSTONE or aside:
                continue
            return [row[0], *row[4:-1], edit]
        return None

    # -- telling ------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[IndexChange], ready: Callable[[], object] = at_once) -> int:
        """See `Index.apply`."""
        with self._transaction(ready) as parents:
            return self._apply(changes, parents)

    @contextmanager
    def _transaction(self, ready: Callable[[], object] = at_once) -> Iterator[Parents]:
        """One durable transaction; when it fails, everything remembered of the rows is forgotten."""
        committed = False
        try:
            with self._connection.translated_errors("writing the index"):
                if self._connection.begin() or self._parents is None:
                    self._parents = Parents(self._connection, self._conflicts)
                parents = self._parents
                self._start()
                yield parents
                self._write_totals()
                self._connection.flush()
                ready()
                self._commit()
                committed = True
                parents.end_transaction()
        finally:
            if not committed:
                self._undo()

    def _commit(self) -> None:
        try:
            with self._connection.translated_errors("committing to the index"):
                self._connection.commit()
        except Unreachable as error:
            # Whether it took place is not known, unlike where the connection was lost before
            raise StorageError(str(error)) from error

    def rederive(self) -> list[Drift]:
        """Derive every row from the versions anew, in one transaction; what was wrong before."""
        with self._transaction() as parents:
            parents.forget_all()
            drifts = self._deriver.everything()
            self._connection.execute(_FORGET_DERIVATION)
            self._connection.execute(_NOTE, ("derivation", str(DERIVATION)))
            return drifts

    def tell_damage(self, word: str) -> None:
        """See `Index.tell_damage`."""
        with self._transaction():
            self._connection.execute(_FORGET_DAMAGE)
            self._connection.execute(_NOTE, ("damage", word))

    def rederive_if_older(self) -> None:
        """Derive anew what an earlier release derived in another way. Raises StorageError."""
        with self._connection.translated_errors("opening the index"):
            row = self._connection.execute(_DERIVATION).fetchone()
        if row is None or row[0] != str(DERIVATION):
            _log.warning("the index was derived in another way; deriving its rows anew")
            changed = self.rederive()
            _log.warning("the index is derived anew: %d rows changed", len(changed))

    def _undo(self) -> None:
        """Roll back, and forget what was remembered of the rows."""
        self._parents = None
        with self._connection.translated_errors("rolling back"):
            self._connection.rollback()

    def _start(self) -> None:
        self._totals = Totals()
        self._conflicts.totals = self._totals
        self._deriver = Deriver(self._connection, self._totals)
        self._dirty_series: dict[int, StudyState] = {}
        self._dirty_studies: dict[int, StudyState] = {}
        self._patients_to_check: dict[int, StudyState] = {}
        self._unknown: set[str] = set()

    def _apply(self, changes: Sequence[IndexChange], parents: Parents) -> int:
        last = 0
        # All at once, because the answer of a database far away takes longer than what it answers
        sop_uids = list({change.record.key.sop_uid for change in changes if isinstance(change, AddVersion)})
        known = self._connection.first_rows(_FIND_SOP, [(uid,) for uid in sop_uids])
        self._unknown = {uid for uid, row in zip(sop_uids, known, strict=True) if row is None}
        for change in changes:
            if isinstance(change, AddVersion):
                last = self._add_version(change, parents)
            elif isinstance(change, AddTombstone):
                last = self._add_tombstone(change, parents)
            elif isinstance(change, LetGo):
                self._let_go(change)
            elif isinstance(change, AddEdit):
                self._add_edit(change)
            else:
                last = self._add_restore(change, parents)
        self._write_additions(parents)
        self._derive_dirty(parents)
        return last

    def _write_totals(self) -> None:
        self._execute(_GROW_TOTALS, tuple(getattr(self._totals, name) for name in TOTALS))

    def _instance(
        self, key: InstanceKey, at: int, edited: bool = False
    ) -> tuple[int, int | None, int] | None:
        """Row, visible version and last number of an instance; notes a SOP UID that is also elsewhere."""
        if key.sop_uid in self._unknown:  # whoever asks adds it
            self._unknown.remove(key.sop_uid)
            return None
        rows = self._execute(_FIND_SOP, (key.sop_uid,)).fetchall()
        if not rows:
            return None
        mine = [row[:3] for row in rows if row[3] == key.study_uid and row[4] == key.series_uid]
        if len(rows) > len(mine) and not edited and not (mine and self._conflicts.is_edited(mine[0][0])):
            places = [
                InstanceKey(row[3], row[4], key.sop_uid)
                for row in rows
                if not self._conflicts.is_edited(row[0])
            ]
            if any(place != key for place in places):
                self._conflicts.note_instances([key, *places], at)
        return mine[0] if mine else None

    def _add_version(self, change: AddVersion, parents: Parents) -> int:
        record, key = change.record, change.record.key
        at = microseconds(record.received_at)
        version = parents.ids.take("versions")
        visible = not change.aside
        edited = change.edit > 0
        series, study_facts, series_facts = parents.of(record, version, at, visible, edited)
        instance = self._instance(key, at, edited)
        if instance is None:
            row = parents.ids.take("instances")
            number = instance_number(record.instance)
            shown = version if visible else None
            self._insert(_ADD_INSTANCE, (row, series.row, key.sop_uid, shown, change.number, number))
        else:
            row = self._changed_instance(change, instance, series, version, parents)
        answer = serialise(Level.IMAGE, record.instance)
        pixel, origin = record.pixel, record.origin
        self._insert(
            _ADD_VERSION,
            (
                version, row, change.number, 0, change.aside, change.made_from, change.act, at,
                origin.source_aet, origin.peer, origin.via,
                record.sop_class_uid, record.transfer_syntax_uid, record.path, record.file_size,
                record.dataset_offset, record.dataset_sha256, record.meta_sha256, study_facts, series_facts,
                record.truncated, pixel.offset if pixel else None, pixel.length if pixel else None,
                answer.sections, answer.more, pixel.frame_table if pixel else None, change.edit,
            ),
        )  # fmt: skip
        if visible:
            self._show(series, (at, series.uid, key.sop_uid), record.file_size, record.sop_class_uid)
        if instance is not None and not edited:
            self._conflicts.note_versions(key, row, at)
        kind = (
            ChangeKind.ASIDE
            if change.aside
            else ChangeKind.STORED
            if instance is None
            else ChangeKind.NEW_VERSION
        )
        return self._tell(at, kind, row, change.number, parents)

    def _changed_instance(
        self,
        change: AddVersion,
        instance: tuple[int, int | None, int],
        series: SeriesState,
        version: int,
        parents: Parents,
    ) -> int:
        row, shown, last_number = instance
        _check_number(change.record.key, change.number, last_number)
        if change.aside:
            self._execute(_SET_LAST_NUMBER, (change.number, row))
            return row
        if shown is not None:
            self._hide(shown, change.record.key, parents)
        number = instance_number(change.record.instance)
        self._execute(_SET_INSTANCE, (series.row, version, change.number, number, row))
        return row

    def _add_tombstone(self, change: AddTombstone, parents: Parents) -> int:
        at = microseconds(change.at)
        row, shown, last_number = self._known_instance(change.key, at, change.edit > 0)
        _check_number(change.key, change.number, last_number)
        if shown is not None:
            self._hide(shown, change.key, parents)
        self._execute(_HIDE_INSTANCE, (change.number, row))
        self._add_act(change, row, VersionKind.TOMBSTONE, 0, parents)
        return self._tell(at, ChangeKind.DELETED, row, change.number, parents)

    def _add_restore(self, change: AddRestore, parents: Parents) -> int:
        at = microseconds(change.at)
        row, shown, last_number = self._known_instance(change.key, at, change.edit > 0)
        _check_number(change.key, change.number, last_number)
        target = self._execute(_OBJECT_VERSION, (row, change.restores)).fetchone()
        if target is None:
            raise NotFound(
                f"instance {change.key.sop_uid} has no object version {change.restores} to restore"
            )
        if shown is not None:
            self._hide(shown, change.key, parents)
        version, received, size, sop_class_uid, series_row, sections, more = target
        series = parents.series_of_row(series_row)
        number = instance_number(LevelAnswer(sections, more).attributes())
        self._execute(_SET_INSTANCE, (series_row, version, change.number, number, row))
        self._show(series, (received, series.uid, change.key.sop_uid), size, sop_class_uid)
        self._add_act(change, row, VersionKind.RESTORE, change.restores, parents)
        return self._tell(at, ChangeKind.RESTORED, row, change.number, parents)

    def _let_go(self, change: LetGo) -> None:
        found = self._execute(_LOOKUP, (change.key.sop_uid, change.key.series_uid, change.key.study_uid))
        instance = found.fetchone()
        if instance is None:
            raise NotFound(f"no instance {change.key.sop_uid} to let a version go of")
        row = instance[0]
        self._execute(_LET_GO, (change.made_from, change.act, row, change.number))
        self._conflicts.renote_versions(change.key, row)

    def _add_edit(self, change: AddEdit) -> None:
        row, origin = change.row, change.row.origin
        self._insert(
            _ADD_EDIT,
            (
                row.number, row.act, row.kind, microseconds(row.at), row.who, row.why, origin.source_aet,
                origin.peer, origin.via, row.reverts, row.objects,
            ),
        )  # fmt: skip
        patients = dict.fromkeys((indexed(name), indexed(issuer)) for name, issuer in change.patients)
        self._insert_all(_ADD_EDIT_PATIENT, [(*patient, row.number) for patient in patients])
        self._insert_all(_ADD_EDIT_INSTANCE, [(*key, row.number) for key in dict.fromkeys(change.keys)])

    def _known_instance(self, key: InstanceKey, at: int, edited: bool) -> tuple[int, int | None, int]:
        instance = self._instance(key, at, edited)
        if instance is None:
            raise NotFound(f"no instance {key.sop_uid} in series {key.series_uid} of study {key.study_uid}")
        return instance

    def _add_act(
        self, change: AddTombstone | AddRestore, row: int, kind: VersionKind, restores: int, parents: Parents
    ) -> None:
        version, origin, at = parents.ids.take("versions"), change.origin, microseconds(change.at)
        self._insert(
            _ADD_VERSION,
            (
                version, row, change.number, kind.value, 0, restores, change.act, at, origin.source_aet,
                origin.peer, origin.via, "", "", "", 0, 0, b"", b"", None, None, 0, None, None, b"", b"",
                None, change.edit,
            ),
        )  # fmt: skip

    def _tell(self, at: int, kind: ChangeKind, row: int, number: int, parents: Parents) -> int:
        self._totals.versions += 1
        seq = parents.ids.take("changes")
        self._insert(_ADD_CHANGE, (seq, at, kind.value, row, number))
        return seq

    # -- keeping rows true --------------------------------------------------------------------------------

    def _show(self, series: SeriesState, rep: Rep, size: int, sop_class_uid: str) -> None:
        """An instance became visible in a series."""
        study = series.study
        if series.rep is None or rep < series.rep or study.rep is None or rep < study.rep:
            self._dirty_series[series.row] = study
        self._totals.instances += 1
        self._totals.size_bytes += size
        if series.instances == 0:
            self._totals.series += 1
            study.added_series += 1
            if series.modality and series.modality not in study.modalities:
                study.modalities.add(series.modality)
                study.added_modalities.add(series.modality)
                study.lists_changed = True
        if study.instances == 0:
            self._totals.studies += 1
            self._patients_to_check[study.row] = study
        series.instances += 1
        series.added_instances += 1
        series.added_bytes += size
        study.instances += 1
        study.added_instances += 1
        study.added_bytes += size
        if sop_class_uid not in series.sop_classes:
            series.sop_classes.add(sop_class_uid)
            series.lists_changed = True
        if sop_class_uid not in study.sop_classes:
            study.sop_classes.add(sop_class_uid)
            study.lists_changed = True

    def _hide(self, version: int, key: InstanceKey, parents: Parents) -> None:
        """The version that was visible of an instance no longer is."""
        received, size, series_row = self._execute(_VISIBLE_VERSION, (version,)).fetchone()
        series = parents.series_of_row(series_row)
        rep = (received, series.uid, key.sop_uid)
        if rep == series.rep or len(series.sop_classes) > 1 or series.instances <= 1:
            self._dirty_series[series.row] = series.study
            return
        series.instances -= 1
        series.added_instances -= 1
        series.added_bytes -= size
        series.study.instances -= 1
        series.study.added_instances -= 1
        series.study.added_bytes -= size
        self._totals.instances -= 1
        self._totals.size_bytes -= size

    def _write_additions(self, parents: Parents) -> None:
        for series in parents.used_series.values():
            if series.added_instances or series.added_bytes:
                self._execute(_GROW_SERIES, (series.added_instances, series.added_bytes, series.row))
                series.added_instances = series.added_bytes = 0
            if series.lists_changed:
                self._execute(_LIST_SERIES, (joined(series.sop_classes), series.row))
                series.lists_changed = False
        for study in parents.used_studies.values():
            self._write_study(study)

    def _write_study(self, study: StudyState) -> None:
        if study.added_instances or study.added_bytes or study.added_series:
            added = (study.added_series, study.added_instances, study.added_bytes, study.row)
            self._execute(_GROW_STUDY, added)
            study.added_series = study.added_instances = study.added_bytes = 0
        if study.lists_changed:
            self._execute(_LIST_STUDY, (joined(study.modalities), joined(study.sop_classes), study.row))
            for modality in study.added_modalities:
                self._insert(ADD_MODALITY, (modality, study.row))
            study.added_modalities.clear()
            study.lists_changed = False

    def _derive_dirty(self, parents: Parents) -> None:
        for series_row, study in self._dirty_series.items():
            self._deriver.series(series_row)
            self._dirty_studies[study.row] = study
        for study in self._dirty_studies.values():
            self._deriver.study(study.row)
            self._deriver.patient(study.patient_row)
            parents.forget(study)
        for study in self._patients_to_check.values():
            if study.row not in self._dirty_studies and self._comes_first(study):
                self._deriver.patient(study.patient_row)

    def _comes_first(self, study: StudyState) -> bool:
        """Whether a study that became visible now speaks for its patient."""
        first = self._execute(_FIRST_OF_PATIENT, (study.patient_row,)).fetchone()
        return first is None or study.rep is None or (study.rep[0], study.key[3]) < tuple(first)


def _check_number(key: InstanceKey, number: int, last_number: int) -> None:
    if number <= last_number:
        raise Raced(f"instance {key.sop_uid} has version {last_number} already, so {number} cannot follow")
