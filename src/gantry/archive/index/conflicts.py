"""Contradictions between objects that are both kept, noted when the second of them arrives.

A conflict row is written when it begins and when a party joins it, not for every object that belongs to one
of its sides. It stays when objects are deleted: that there was a contradiction remains true.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import bindparam, delete, literal_column, select, update

from gantry.archive.index import schema
from gantry.archive.index.database import Writer
from gantry.archive.index.protocol import ConflictKind, VersionKind
from gantry.archive.index.statements import prepare, prepare_insert
from gantry.archive.index.totals import Totals
from gantry.archive.records import InstanceKey

_C, _P, _ST, _SE = schema.conflicts.c, schema.patients.c, schema.studies.c, schema.series.c
_I, _V = schema.instances.c, schema.versions.c

_PATIENTS_OF_STUDY = prepare(
    select(_P.patient_id, _P.issuer)
    .join_from(schema.studies, schema.patients, _P.id == _ST.patient_row)
    .where(_ST.study_uid == bindparam("study_uid")),
)
_STUDIES_OF_SERIES = prepare(
    select(_ST.study_uid)
    .distinct()
    .join_from(schema.series, schema.studies, _ST.id == _SE.study_row)
    .where(_SE.series_uid == bindparam("series_uid")),
)
# What was let go is no other object than the one it can be made from, and an edit contradicts nobody
_OBJECT_VERSIONS = prepare(
    select(_V.number, _V.at)
    .where(
        _V.instance_row == bindparam("instance_row"),
        _V.kind == literal_column(str(VersionKind.OBJECT.value)),
        _V.restores == literal_column("0"),
        _V.edit == literal_column("0"),
    )
    .order_by(_V.number)
)
_EDITED = prepare(
    select(_V.id)
    .where(_V.instance_row == bindparam("instance_row"), _V.edit != literal_column("0"))
    .limit(literal_column("1"))
    .offset(literal_column("0"))
)
_FIND = prepare(
    select(_C.seq, _C.parties).where(
        _C.kind == bindparam("kind"),
        _C.study_uid == bindparam("study_uid"),
        _C.series_uid == bindparam("series_uid"),
        _C.sop_uid == bindparam("sop_uid"),
    ),
    "kind",
    "study_uid",
    "series_uid",
    "sop_uid",
)
_ADD = prepare_insert(
    schema.conflicts, "kind", "study_uid", "series_uid", "sop_uid", "parties", "first_seen", "last_seen"
)
_REMOVE = prepare(
    delete(schema.conflicts).where(
        _C.kind == literal_column(f"'{ConflictKind.VERSION.value}'"),
        _C.study_uid == bindparam("study_uid"),
        _C.series_uid == bindparam("series_uid"),
        _C.sop_uid == bindparam("sop_uid"),
    ),
    "study_uid",
    "series_uid",
    "sop_uid",
)
_WIDEN = prepare(
    update(schema.conflicts)
    .values(parties=bindparam("new_parties"), last_seen=bindparam("seen"))
    .where(_C.seq == bindparam("row")),
    "new_parties",
    "seen",
    "row",
)


class ConflictLog:
    """Notes conflicts within the transaction of the writer, and in its `totals` how many more there are."""

    def __init__(self, writer: Writer) -> None:
        self.totals = Totals()
        self._execute = writer.execute
        self._insert = writer.insert

    def note_patients(self, study_uid: str, row: int, at: int) -> None:
        """A study row (`row`) was made: is its UID now under several patients?"""
        found = self._execute(_PATIENTS_OF_STUDY, (study_uid,)).fetchall()
        if len(found) > 1:
            parties = {f"{patient_id}^{issuer}" if issuer else patient_id for patient_id, issuer in found}
            self._note(ConflictKind.PATIENT, (study_uid, "", ""), parties, at)

    def note_series(self, series_uid: str, study_uid: str, at: int) -> None:
        """A series row was made: is its UID now in several studies?"""
        parties = {row[0] for row in self._execute(_STUDIES_OF_SERIES, (series_uid,))}
        if parties - {study_uid}:
            self._note(ConflictKind.SERIES, ("", series_uid, ""), parties, at)

    def is_edited(self, instance_row: int) -> bool:
        """Whether an edit made any version of an instance, or hid it: it may have its UIDs from another."""
        return self._execute(_EDITED, (instance_row,)).fetchone() is not None

    def note_instances(self, keys: Iterable[InstanceKey], at: int) -> None:
        """Instances in several places share one SOP UID."""
        places = list(keys)
        parties = {f"{key.study_uid}/{key.series_uid}" for key in places}
        self._note(ConflictKind.INSTANCE, ("", "", places[0].sop_uid), parties, at)

    def note_versions(self, key: InstanceKey, instance_row: int, at: int) -> None:
        """An instance got a further object version."""
        numbers = {str(row[0]) for row in self._execute(_OBJECT_VERSIONS, (instance_row,))}
        if len(numbers) > 1:
            self._note(ConflictKind.VERSION, key, numbers, at)

    def renote_versions(self, key: InstanceKey, instance_row: int) -> None:
        """A version of an instance was let go: it contradicts nothing, and never did."""
        if self._execute(_FIND, (ConflictKind.VERSION.value, *key)).fetchone() is not None:
            self._execute(_REMOVE, tuple(key))
            self.totals.conflicts -= 1
        numbers: set[str] = set()
        for number, at in self._execute(_OBJECT_VERSIONS, (instance_row,)).fetchall():
            numbers.add(str(number))
            if len(numbers) > 1:
                self._note(ConflictKind.VERSION, key, numbers, at)

    def _note(self, kind: ConflictKind, uids: tuple[str, str, str], parties: set[str], at: int) -> None:
        ordered = sorted(
            parties, key=lambda party: (len(party), party) if kind is ConflictKind.VERSION else (0, party)
        )
        text = msgspec.json.encode(ordered).decode()
        found = self._execute(_FIND, (kind.value, *uids)).fetchone()
        if found is None:
            self._insert(_ADD, (kind.value, *uids, text, at, at))
            self.totals.conflicts += 1
        elif found[1] != text:
            self._execute(_WIDEN, (text, at, found[0]))
