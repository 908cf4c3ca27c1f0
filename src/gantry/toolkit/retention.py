"""Retention: which studies are past the time for which they must be kept, and their rejection.

Rules are read in order, and the first that fits a study counts; a study that none fits stays. Age counts from
the Study Date, and a study without one stays. What goes is rejected by an edit, with the code 113039 (Data
Retention Policy Expired): hidden, with a note, and shown again when that is undone. No byte is removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from gantry.archive.archive import Archive
from gantry.archive.edits.model import EXPIRED, EditDone, EditKind, EditRequest, Target
from gantry.archive.query import MAX_RESULTS, OrderBy, Query, Row
from gantry.archive.records import JsonModel, Origin
from gantry.archive.retention import first_rule, study_facts
from gantry.settings import RetentionRule
from gantry.standard.query_keys import Level


@dataclass(frozen=True, slots=True)
class Due:
    """A study that goes, and the rule that says so."""

    study_uid: str
    patient_id: str
    study_date: str
    modalities: tuple[str, ...]
    instances: int
    size_bytes: int
    rule: RetentionRule


def due(
    archive: Archive, rules: Sequence[RetentionRule], today: date, studies: Sequence[str] | None = None
) -> list[Due]:
    """The studies that go, oldest first; of `studies` only, where they are named. Raises StorageError.

    Each once, also where one arrives meanwhile and pages shift; where a UID is that of several patients, it
    goes when each of its rows does.
    """
    goes: dict[str, Due] = {}
    stays: set[str] = set()
    for row in _studies(archive, studies):
        found = _due(row, rules, today)
        if found is None:
            stays.add(row.study_uid)
        else:
            goes.setdefault(row.study_uid, found)
    return [study for uid, study in goes.items() if uid not in stays]


def let_expire(archive: Archive, study: Due, who: str, origin: Origin, *, force: bool = False) -> EditDone:
    """Reject one study that is due. Raises as `Archive.edit`, EditConflict for what only `force` takes."""
    why = f"retention: {study.rule.text}"
    request = EditRequest(EditKind.REJECT, Target(study=study.study_uid), why, who, code=EXPIRED, force=force)
    return archive.edit(request, origin)


def _studies(archive: Archive, studies: Sequence[str] | None) -> Iterator[Row]:
    keys: JsonModel = {} if studies is None else {"0020000D": {"vr": "UI", "Value": list(studies)}}
    if studies is not None and not studies:
        return  # an empty key would match all
    offset = 0
    while True:
        query = Query(Level.STUDY, keys, limit=MAX_RESULTS, offset=offset, order=OrderBy.OLDEST)
        rows = archive.find(query).rows
        yield from rows
        offset += len(rows)
        if len(rows) < MAX_RESULTS:
            return


def _due(row: Row, rules: Sequence[RetentionRule], today: date) -> Due | None:
    counts = row.study_counts
    assert counts is not None, "a study has counts"
    known = study_facts(row, today)
    # Of a study of notes alone nothing is left
    if known.age_days is None or set(counts.modalities) <= {"KO"}:
        return None
    rule = first_rule(known, rules)
    if rule is None or not rule.goes:
        return None
    return Due(
        row.study_uid,
        row.patient_id,
        known.study_date,
        counts.modalities,
        counts.instances,
        counts.size_bytes,
        rule,
    )
