"""Which rule of retention a study is under.

The first that fits counts. Age counts from the Study Date; where there is none, only a rule that keeps fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from gantry.archive.query import Row
from gantry.dataset.date_time import date as dicom_date
from gantry.settings import RetentionRule

NOTES: Final = frozenset({"KO", "PR", "SR"})
"""Modalities of what speaks of other objects: they do not tell what kind of study it is."""


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What rules ask of a study: its date as it stands, its age (None where that tells no day), its kinds."""

    study_date: str
    age_days: float | None
    modalities: frozenset[str]


def study_facts(row: Row, today: date) -> StudyFacts:
    """The facts of a row at study level."""
    counts = row.study_counts
    assert counts is not None, "a study has counts"
    values = (row.model().get("00080020") or {}).get("Value")
    text = str(values[0] or "") if isinstance(values, list) and values else ""
    digits = dicom_date(text)
    age = None if digits is None else (today - date.fromisoformat(digits)) / timedelta(days=1)
    return StudyFacts(text, age, frozenset(counts.modalities) - NOTES)


def first_rule(study: StudyFacts, rules: Sequence[RetentionRule]) -> RetentionRule | None:
    """The rule that a study is under, if it is under one."""
    return next((rule for rule in rules if rule.fits(study.modalities, study.age_days)), None)
