"""How attributes become the text that SQL compares, and the words that a person typing finds.

A column holds a value in the form that `gantry.dataset.matching` compares: text without padding, case kept;
dates and times as `gantry.dataset.date_time` sorts them. So a condition on a column means in SQL what it
means there. NULL stands for what does not fit a column: several values, more text than any may
have, or a NUL in it, at which SQL would stop.

Words are normalised (`gantry.dataset.person_name`). They narrow a search for names down to those worth
matching, and are all that a search of somebody typing goes by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from hashlib import blake2b
from typing import Any

from gantry.archive.records import JsonModel
from gantry.dataset.date_time import date, time
from gantry.dataset.person_name import name_groups, name_tokens, normalise, phonetic, search_forms, words

MAX_WORDS = 256
"""Words indexed of one study and kind; a name or description with more is cut."""
MAX_WORD_LENGTH = 64
MAX_INDEXED = 200
"""Characters of a text that is compared, more than PS3.5 6.2 allows any: the indexes of PostgreSQL take 2,700
bytes in all, and one object that breaks the rules must not keep others from being stored."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PADDING = " \0"
_WORD = re.compile(r"\w+")


class WordKind(IntEnum):
    """Where a word stands, and how it was made.

    Of a person's name there are the words, their sounds, each component group as `search_forms` spells it,
    and its words sorted: the last two are what name matching compares a key with.
    """

    NAME = 0
    PHONETIC = 1
    IDENTIFIER = 2
    DESCRIPTION = 3
    NAME_FORM = 4
    NAME_SORTED = 5
    REFERRING_FORM = 6
    REFERRING_SORTED = 7


def microseconds(when: datetime) -> int:
    """Microseconds since 1970 in UTC; `when` knows its zone."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The inverse of `microseconds`."""
    return _EPOCH + count * _MICROSECOND


def values_of(attributes: JsonModel, tag: str) -> list[Any]:
    """The values of an attribute, without nulls."""
    element = attributes.get(tag)
    if element is None:
        return []
    return [value for value in element.get("Value", ()) if value is not None]


def first_text(attributes: JsonModel, tag: str) -> str:
    """The first value as text, empty when there is none."""
    values = values_of(attributes, tag)
    return str(values[0]).strip(_PADDING) if values else ""


def _single_text(attributes: JsonModel, tag: str) -> str | None:
    values = values_of(attributes, tag)
    if not values:
        return ""
    text = str(values[0]).strip(_PADDING)
    return None if len(values) > 1 or "\0" in text or len(text) > MAX_INDEXED else text


def date_column(text: str) -> str:
    """``YYYYMMDD`` of a date; empty when it is none."""
    return date(text) or ""


def time_column(text: str) -> str:
    """``HHMMSSFFFFFF`` of the earliest moment that a time can mean; empty when it is none."""
    span = time(text)
    return span.low if span else ""


def _single_moment(attributes: JsonModel, tag: str, column: Any) -> str | None:
    values = values_of(attributes, tag)
    if len(values) > 1:
        return None
    return str(column(str(values[0]))) if values else ""


def _name_for_sorting(attributes: JsonModel, tag: str) -> str:
    """The first component group of the first name, normalised."""
    values = values_of(attributes, tag)
    groups = name_groups(values[0]) if values else []
    return normalise(groups[0])[:MAX_INDEXED] if groups else ""


def _integer(attributes: JsonModel, tag: str) -> int | None:
    values = values_of(attributes, tag)
    if len(values) != 1:
        return None
    try:
        number = float(values[0])
    except (TypeError, ValueError, OverflowError):
        return None
    # beyond 53 bits a float no longer tells integers apart, and an IS has 32 (PS3.5 6.2)
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else None


@dataclass(frozen=True, slots=True)
class StudyColumns:
    """The searchable columns of a study row, in the order of `schema.studies`."""

    patient_id: str | None
    issuer: str | None
    patient_name: str | None
    birth_date: str | None
    sex: str | None
    study_date: str | None
    study_time: str | None
    accession: str | None
    study_id: str | None
    description: str | None

    def values(self) -> tuple[str | None, ...]:
        """The columns as parameters."""
        return (
            self.patient_id,
            self.issuer,
            self.patient_name,
            self.birth_date,
            self.sex,
            self.study_date,
            self.study_time,
            self.accession,
            self.study_id,
            self.description,
        )


def study_columns(attributes: JsonModel) -> StudyColumns:
    """What a study row is found by."""
    return StudyColumns(
        patient_id=_single_text(attributes, "00100020"),
        issuer=_single_text(attributes, "00100021"),
        patient_name=_name_for_sorting(attributes, "00100010"),
        birth_date=_single_moment(attributes, "00100030", date_column),
        sex=_single_text(attributes, "00100040"),
        study_date=_single_moment(attributes, "00080020", date_column),
        study_time=_single_moment(attributes, "00080030", time_column),
        accession=_single_text(attributes, "00080050"),
        study_id=_single_text(attributes, "00200010"),
        description=_single_text(attributes, "00081030"),
    )


def study_words(attributes: JsonModel) -> set[tuple[str, int]]:
    """The words by which a study is found, each with its kind."""
    found: set[tuple[str, int]] = set()
    names = values_of(attributes, "00100010")
    tokens = [token for name in names for token in name_tokens(name)][:MAX_WORDS]
    found.update((cut_word(token), WordKind.NAME.value) for token in tokens)
    found.update((cut_word(phonetic(token)), WordKind.PHONETIC.value) for token in tokens)
    found |= _spelled(names, WordKind.NAME_FORM, WordKind.NAME_SORTED)
    referring = values_of(attributes, "00080090")
    found |= _spelled(referring, WordKind.REFERRING_FORM, WordKind.REFERRING_SORTED)
    for tag in ("00100020", "00080050", "00200010"):
        identifier = cut_word(normalise(first_text(attributes, tag)))
        if identifier:
            found.add((identifier, WordKind.IDENTIFIER.value))
    described = words_of(first_text(attributes, "00081030"))[:MAX_WORDS]
    found.update((cut_word(word), WordKind.DESCRIPTION.value) for word in described)
    return found


def _spelled(names: list[Any], form: WordKind, in_order: WordKind) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for group in (group for name in names for group in name_groups(name)):
        found.update((whole_word(spelled), form.value) for spelled in search_forms(group))
        found.add((whole_word(" ".join(sorted(words(group)))), in_order.value))
    return found


def whole_word(text: str) -> str:
    """A spelled name as it is indexed: whole, and without NUL, at which SQL would stop."""
    return indexed(text.replace("\0", "\ufffd"))


def indexed(text: str) -> str:
    """A text as it is told from others: itself, or its beginning and a digest where it is too long."""
    if len(text) <= MAX_INDEXED:
        return text
    return f"{text[: MAX_INDEXED // 2]}\u2026{blake2b(text.encode(), digest_size=16).hexdigest()}"


def cut_word(word: str) -> str:
    """A word as far as it is indexed."""
    return word[:MAX_WORD_LENGTH].replace("\0", "")


def words_of(text: str) -> list[str]:
    """The words of a description or of what a person typed."""
    return _WORD.findall(normalise(text))


def series_number(attributes: JsonModel) -> int | None:
    """Series Number as a number."""
    return _integer(attributes, "00200011")


def instance_number(attributes: JsonModel) -> int | None:
    """Instance Number as a number."""
    return _integer(attributes, "00200013")


def modality_of(attributes: JsonModel) -> str:
    """Modality of a series."""
    return indexed(first_text(attributes, "00080060").replace("\0", ""))


def joined(values: set[str]) -> str:
    """A sorted list in one column, as PS3.5 6.4 joins values."""
    return "\\".join(sorted(value for value in values if value))


def parted(column: str) -> tuple[str, ...]:
    """The inverse of `joined`."""
    return tuple(column.split("\\")) if column else ()
