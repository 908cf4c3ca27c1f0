"""Retention: which studies are past the time for which they must be kept, and their rejection.

Rules are read in order, and the first that fits a study counts; a study that none fits stays. Age counts from
the Study Date, and a study without one stays. What goes is rejected by an edit, with the code 113039 (Data
Retention Policy Expired): hidden, with a note, and shown again when that is undone. No byte is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from gantry.archive.archive import Archive
from gantry.archive.edits.model import EditDone, EditKind, EditRequest, Target
from gantry.archive.query import MAX_RESULTS, OrderBy, Query, Row
from gantry.archive.records import JsonModel, Origin
from gantry.dataset.date_time import date as dicom_date
from gantry.errors import CallerError
from gantry.standard.query_keys import Level

CODE: Final = "113039"
NOTES: Final = frozenset({"KO", "PR", "SR"})
"""Modalities of what speaks of other objects: they do not tell what kind of study it is."""

_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([dy])")
_DAYS_OF = {"d": 1.0, "y": 365.25}
_MODALITIES = re.compile(r"[A-Z0-9_]{1,16}(?:\|[A-Z0-9_]{1,16})*")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Which studies go, or stay. Without `modalities` all count; else all of a study must be among them."""

    text: str
    goes: bool
    older_than_days: float = 0.0
    modalities: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> RetentionRule:
        """Read ``go older=10y modality=CT|MR`` or ``keep modality=MG``. Raises CallerError."""
        action, *words = text.split() or [""]
        if action not in ("go", "keep"):
            raise CallerError(f"a rule begins with go or keep: {text!r}")
        days, modalities = 0.0, frozenset[str]()
        for word in words:
            name, _, value = word.partition("=")
            age = _AGE.fullmatch(value)
            if name == "older" and age:
                days = float(age[1]) * _DAYS_OF[age[2]]
            elif name == "modality" and _MODALITIES.fullmatch(value):
                modalities = frozenset(value.split("|"))
            else:
                raise CallerError(f"{word!r} is not older=10y, older=90d or modality=CT|MR")
        if action == "go" and not days:
            raise CallerError(f"a rule by which studies go says how old they are, as in older=10y: {text!r}")
        return cls(" ".join(text.split()), action == "go", days, modalities)

    def fits(self, modalities: frozenset[str], age_days: float) -> bool:
        """Whether it speaks of a study of these modalities and this age."""
        of_kind = not self.modalities or (bool(modalities) and modalities <= self.modalities)
        return of_kind and age_days >= self.older_than_days


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


def let_expire(archive: Archive, study: Due, who: str, origin: Origin) -> EditDone:
    """Reject one study that is due. Raises as `Archive.edit`."""
    request = EditRequest(
        EditKind.REJECT, Target(study=study.study_uid), f"retention: {study.rule.text}", who, code=CODE
    )
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
    model = row.model()
    study_date = _text(model.get("00080020"))
    day = _day(study_date)
    kinds = frozenset(counts.modalities) - NOTES
    if day is None or set(counts.modalities) <= {"KO"}:  # the latter: nothing is left of it but notes
        return None
    rule = next((rule for rule in rules if rule.fits(kinds, (today - day) / timedelta(days=1))), None)
    if rule is None or not rule.goes:
        return None
    return Due(
        row.study_uid,
        row.patient_id,
        study_date,
        counts.modalities,
        counts.instances,
        counts.size_bytes,
        rule,
    )


def _text(attribute: dict[str, object] | None) -> str:
    values = (attribute or {}).get("Value")
    return str(values[0] or "") if isinstance(values, list) and values else ""


def _day(text: str) -> date | None:
    """A Study Date; None for what is none."""
    digits = dicom_date(text)
    return None if digits is None else date.fromisoformat(digits)
