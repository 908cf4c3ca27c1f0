"""Conditions of a query as SQL.

Each condition becomes a clause that is *exact* (it finds just what `matching.matches` finds) or that finds
more, so that the rows must be matched again; a condition of which SQL knows nothing becomes no clause at all.
All values are bound parameters. Patterns become LIKE with an escape, and a range of the index besides.

Where a word, a modality or the text of a column is rare, the clause is a list of the rows that have it; where
it is common, a test of each row in the order in which they are wanted. One look at the index, which stops at
`RARE`, decides. Left to itself SQLite takes an index whenever there is one and sorts all that it finds, which
may be every study.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from gantry.archive.index import schema
from gantry.archive.index.columns import WordKind, cut_word, whole_word, words_of
from gantry.archive.index.database import Snapshot
from gantry.archive.index.statements import Prepared, prepare, unindexed
from gantry.archive.index.typed import date_beginnings
from gantry.archive.query import OrderBy
from gantry.dataset.matching import Condition, Kind, NameQuery
from gantry.dataset.person_name import normalise
from gantry.dataset.wildcard import like_pattern
from gantry.errors import QueryError
from gantry.standard.query_keys import Level

RARE = 2_000
"""Rows that are faster listed and sorted than tested one by one in order."""

_ST, _SE, _I, _V = schema.studies.c, schema.series.c, schema.instances.c, schema.versions.c
_W, _M = schema.study_words.c, schema.study_modalities.c
_DATED = schema.studies.alias("dated").c
_ABOVE_ALL = "\U0010ffff"
_ESCAPE = "!"


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition in SQL; unless `exact`, rows must be matched again.

    `from_below` says that it is met by few rows of a level below the studies, from which to begin.
    """

    sql: ColumnElement[bool]
    exact: bool
    from_below: bool = False


_TEXT_COLUMNS: dict[int, ColumnElement[str]] = {
    0x00100020: _ST.patient_id,
    0x00100021: _ST.issuer,
    0x00100040: _ST.sex,
    0x00080050: _ST.accession,
    0x00200010: _ST.study_id,
    0x00081030: _ST.description,
}
_MOMENT_COLUMNS: dict[int, ColumnElement[str]] = {
    0x00100030: _ST.birth_date,
    0x00080020: _ST.study_date,
    0x00080030: _ST.study_time,
}
_KEY_COLUMNS: dict[int, tuple[Level, ColumnElement[str]]] = {
    0x0020000D: (Level.STUDY, _ST.study_uid),
    0x0020000E: (Level.SERIES, _SE.series_uid),
    0x00080060: (Level.SERIES, _SE.modality),
    0x00080018: (Level.IMAGE, _I.sop_uid),
}
_NUMBER_COLUMNS: dict[int, tuple[Level, ColumnElement[int], bool]] = {
    0x00201206: (Level.STUDY, _ST.series_count, True),
    0x00201208: (Level.STUDY, _ST.instance_count, True),
    0x00201209: (Level.SERIES, _SE.instance_count, True),
    0x00200011: (Level.SERIES, _SE.series_number, False),
    0x00200013: (Level.IMAGE, _I.instance_number, False),
}
_PATIENT_NAME = 0x00100010
_IRREGULAR = {
    column.name: prepare(
        select(_ST.id).where(column.is_(None)).limit(literal_column("1")).offset(literal_column("0"))
    )
    for column in (*_TEXT_COLUMNS.values(), *_MOMENT_COLUMNS.values())
}
_IN_ORDER_OF = {
    OrderBy.PATIENT_ID: _ST.patient_id,
    OrderBy.PATIENT_ID_DESCENDING: _ST.patient_id,
    OrderBy.ACCESSION: _ST.accession,
    OrderBy.ACCESSION_DESCENDING: _ST.accession,
}
# Columns with an index that finds, but does not sort by date; all studies may have the same value
_BEYOND_RARE = {
    column.name: prepare(
        select(_ST.id)
        .where(column == bindparam("value"))
        .limit(literal_column("1"))
        .offset(literal_column(str(RARE)))
    )
    for column in (_ST.patient_id, _ST.accession, _ST.study_id, _ST.birth_date)
}
_NAME_KINDS = {
    _PATIENT_NAME: (WordKind.NAME_FORM, WordKind.NAME_SORTED),
    0x00080090: (WordKind.REFERRING_FORM, WordKind.REFERRING_SORTED),
}
_MODALITIES_IN_STUDY = 0x00080061
_SOP_CLASSES_IN_STUDY = 0x00080062
_SOP_CLASS_UID = 0x00080016


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Text that begins so, as a range that an index answers."""
    return and_(column >= prefix, column < prefix + _ABOVE_ALL)


class Conditions:
    """Makes clauses for rows of one level, over one connection that it may ask how common a word is.

    Clauses `for_counting` list rows always, because there is no page to fill and to stop at.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        level: Level,
        *,
        order: OrderBy = OrderBy.NEWEST,
        for_counting: bool = False,
    ) -> None:
        self._snapshot = snapshot
        self._level = level
        self._order = order
        self._for_counting = for_counting

    def clause(self, condition: Condition) -> Clause | None:
        """The condition in SQL; None when SQL knows nothing of it."""
        for literal in (*condition.literals, condition.pattern):
            _check_text(literal)
        tag = condition.tag
        if tag in _TEXT_COLUMNS:
            return self._with_irregular(_TEXT_COLUMNS[tag], condition, _text)
        if tag in _MOMENT_COLUMNS:
            return self._with_irregular(_MOMENT_COLUMNS[tag], condition, _moment)
        if tag in _KEY_COLUMNS:
            return self._key(condition)
        if tag in _NUMBER_COLUMNS:
            return self._number(condition)
        if tag in _NAME_KINDS and condition.kind is Kind.PERSON_NAME:
            return self._names(condition)
        if tag == _MODALITIES_IN_STUDY:
            return self._modalities(condition)
        if tag == _SOP_CLASSES_IN_STUDY and condition.literals:
            contained = [_ST.sop_classes.contains(uid, autoescape=True) for uid in condition.literals]
            return Clause(or_(*contained), exact=False)
        if tag == _SOP_CLASS_UID and self._level is Level.IMAGE and condition.literals:
            return Clause(_V.sop_class_uid.in_(condition.literals), exact=False)
        return None

    # -- columns ------------------------------------------------------------------------------------------

    def _with_irregular(
        self,
        column: ColumnElement[str],
        condition: Condition,
        compare: Callable[[ColumnElement[str], Condition], Clause | None],
    ) -> Clause | None:
        found = compare(column, condition)
        if found is None:
            return None
        sorted_by_it = _IN_ORDER_OF.get(self._order) is column
        if column.name in _BEYOND_RARE and not (
            self._for_counting or sorted_by_it or _seeks_nothing(condition)
        ):
            found = self._listed_or_compared(found, column, condition, compare)
        if not self._has_irregular(column):
            return found
        return Clause(or_(found.sql, column.is_(None)), exact=False)

    def _listed_or_compared(
        self,
        found: Clause,
        column: ColumnElement[str],
        condition: Condition,
        compare: Callable[[ColumnElement[str], Condition], Clause | None],
    ) -> Clause:
        """The same rows, by the column's index only if they are few."""
        rows = select(_ST.id).where(found.sql).correlate(None)
        if condition.kind is Kind.SINGLE:
            if self._fetched(_BEYOND_RARE[column.name], condition.literals[0]) is None:
                return found
        elif self._are_few(rows):
            return replace(found, sql=_ST.id.in_(rows))
        return compare(unindexed(column), condition) or found

    def _key(self, condition: Condition) -> Clause | None:
        """UIDs and Modality, of the rows' own level, of a level above, or of anything below."""
        level, column = _KEY_COLUMNS[condition.tag]
        found = _text(column, condition)
        if found is None or level is Level.STUDY:
            return found
        if level <= self._level:
            return replace(found, from_below=column is not _SE.modality or self._is_rare(found.sql))
        if level is Level.SERIES:
            inner = select(1).where(_SE.study_row == _ST.id, _SE.instance_count > 0, found.sql)
            return Clause(inner.correlate(schema.studies).exists(), found.exact)
        shown = and_(_I.version.is_not(None), found.sql)
        if self._level is Level.SERIES:
            return Clause(_SE.id.in_(select(_I.series_row).where(shown)), found.exact, from_below=True)
        studies = select(_SE.study_row).join_from(schema.instances, schema.series, _SE.id == _I.series_row)
        return Clause(_ST.id.in_(studies.where(shown)), found.exact)

    def _number(self, condition: Condition) -> Clause | None:
        level, column, exact = _NUMBER_COLUMNS[condition.tag]
        if level > max(self._level, Level.STUDY) or condition.kind is not Kind.NUMBER:
            return None
        number = condition.number
        if number != int(number) or abs(number) >= 1 << 53:
            return Clause(false() if exact else column.is_(None), exact)
        equal = column == int(number)
        return Clause(equal, True) if exact else Clause(or_(equal, column.is_(None)), False)

    def _has_irregular(self, column: ColumnElement[str]) -> bool:
        return self._fetched(_IRREGULAR[column.name]) is not None

    def _fetched(self, prepared: Prepared, *values: str) -> object:
        return self._snapshot.execute(prepared, values).fetchone()

    # -- words and modalities -----------------------------------------------------------------------------

    def _names(self, condition: Condition) -> Clause | None:
        if condition.fuzzy:
            if condition.tag != _PATIENT_NAME:
                return None
            sounds = [self._sounding(name) for name in condition.names]
            return Clause(and_(*(clause for clauses in sounds for clause in clauses), true()), exact=False)
        form, in_order = _NAME_KINDS[condition.tag]
        spelled = [self._spelled(name, form, in_order) for name in condition.names]
        # two component groups of a key must be met by one name; a study may have been given several
        return Clause(and_(*spelled), exact=len(spelled) == 1)

    def _spelled(self, name: NameQuery, form: WordKind, in_order: WordKind) -> ColumnElement[bool]:
        if not name.wild:
            return self.has_word(_W.word == whole_word(" ".join(sorted(name.words))), in_order)
        test = _like(_W.word, name.text)
        if name.text.endswith(" *"):  # an open end, which may be missing altogether
            test = or_(test, _like(_W.word, name.text[:-2]))
        return self.has_word(test, form)

    def _sounding(self, name: NameQuery) -> list[ColumnElement[bool]]:
        """What each word says about the words, or their sounds, of a name that is alike."""
        found = []
        for word, sound in zip(name.words, name.sounds, strict=True):
            literal = _prefix(word)
            if sound:
                found.append(self.has_word(_W.word == cut_word(sound), WordKind.PHONETIC))
            elif literal:
                found.append(self.has_word(begins_with(_W.word, cut_word(literal)), WordKind.NAME))
        return found

    def has_word(self, test: ColumnElement[bool], *kinds: WordKind) -> ColumnElement[bool]:
        """Studies with a word of one of these kinds that passes the test."""
        return self._listed_or_tested(_with_word(test, *kinds), _W.study_row)

    def _modalities(self, condition: Condition) -> Clause | None:
        if condition.kind is Kind.EMPTY:
            return Clause(_ST.modalities == "", exact=True)
        found = _text(_M.modality, condition)
        if found is None:
            return None
        return Clause(self.has_modality(found.sql), found.exact)

    def has_modality(self, test: ColumnElement[bool]) -> ColumnElement[bool]:
        """Studies with a modality that passes the test."""
        return self._listed_or_tested(select(_M.study_row).where(test), _M.study_row)

    def listed(self, alternatives: Sequence[Select[tuple[int]]]) -> ColumnElement[bool] | None:
        """Studies that any of these selects lists; None where one of them lists too many to be read whole.

        As one list: PostgreSQL goes through all studies where lists stand in an OR.
        """
        if not self._for_counting and not all(self._are_few(rows) for rows in alternatives):
            return None
        return _ST.id.in_(union_all(*alternatives))

    def _listed_or_tested(self, rows: Select[tuple[int]], of: ColumnElement[int]) -> ColumnElement[bool]:
        if self._for_counting or self._are_few(rows):
            return _ST.id.in_(rows)
        return rows.where(of == _ST.id).correlate(schema.studies).exists()

    def _is_rare(self, test: ColumnElement[bool]) -> bool:
        return self._are_few(select(_SE.study_row).where(test))

    def _are_few(self, rows: Select[tuple[int]]) -> bool:
        counted = select(func.count()).select_from(rows.limit(RARE + 1).subquery())
        return (self._snapshot.select(counted).scalar() or 0) <= RARE


def _with_word(test: ColumnElement[bool], *kinds: WordKind) -> Select[tuple[int]]:
    return select(_W.study_row).where(and_(test, _W.kind.in_([kind.value for kind in kinds])))


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise QueryError("a key holds half a character, which no text does") from None


def _text(column: ColumnElement[str], condition: Condition) -> Clause | None:
    kind = condition.kind
    if kind is Kind.SINGLE:
        return Clause(column == condition.literals[0], exact=True)
    if kind is Kind.LIST:
        return Clause(column.in_(condition.literals), exact=True)
    if kind is Kind.WILDCARD:
        return Clause(_like(column, condition.pattern), exact=True)
    if kind is Kind.EMPTY:
        return Clause(column == "", exact=True)
    return _any_of(column, condition, _text)


def _seeks_nothing(condition: Condition) -> bool:
    """Whether an index must be read whole, because a pattern begins with a wildcard."""
    if condition.kind is Kind.ANY_OF:
        return any(_seeks_nothing(alternative) for alternative in condition.conditions)
    return condition.kind is Kind.WILDCARD and not _prefix(condition.pattern)


def _prefix(pattern: str) -> str:
    return pattern.split("*", 1)[0].split("?", 1)[0]


def _like(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    prefix = _prefix(pattern)
    like = column.like(like_pattern(pattern, _ESCAPE), escape=_ESCAPE)
    return and_(begins_with(column, prefix), like) if prefix else like


def _moment(column: ColumnElement[str], condition: Condition) -> Clause | None:
    kind = condition.kind
    if kind is Kind.SINGLE and column is _ST.study_date:
        # as a range, or SQLite takes the studies of the day, being in order, before those of a patient
        return Clause(_between(column, condition.span.low, condition.span.low), exact=True)
    if kind is Kind.SINGLE:
        return Clause(column == condition.span.low, exact=True)
    if kind is Kind.LIST:
        return Clause(column.in_(condition.literals), exact=True)
    if kind is Kind.RANGE:
        return Clause(_between(column, condition.span.low, condition.span.high), exact=True)
    if kind is Kind.DATE_TIME_RANGE:
        days = _between(column, condition.span.low[:8], condition.span.high[:8])
        return Clause(days, exact=False)
    return _any_of(column, condition, _moment)


def _between(column: ColumnElement[str], low: str, high: str) -> ColumnElement[bool]:
    lower = column >= low if low else column > ""
    return and_(lower, column <= high) if high else lower


def _any_of(
    column: ColumnElement[str],
    condition: Condition,
    compare: Callable[[ColumnElement[str], Condition], Clause | None],
) -> Clause | None:
    if condition.kind is not Kind.ANY_OF:
        return None
    clauses = [compare(column, alternative) for alternative in condition.conditions]
    known = [clause for clause in clauses if clause is not None]
    if len(known) < len(clauses):
        return None
    return Clause(or_(*(clause.sql for clause in known)), all(clause.exact for clause in known))


def typed_word(conditions: Conditions, typed: str) -> ColumnElement[bool]:
    """What a word that somebody types finds.

    It begins a name, an identifier, a described word or a date, or is a modality.
    """
    _check_text(typed)
    kinds = (WordKind.NAME, WordKind.IDENTIFIER, WordKind.DESCRIPTION)
    word = cut_word(normalise(typed.strip()))
    if not word:
        return true()
    parts = words_of(word)
    divided = (WordKind.NAME, WordKind.DESCRIPTION)
    lists = [_with_word(begins_with(_W.word, word), *kinds)]
    if len(parts) > 1:
        first, *others = (_with_word(begins_with(_W.word, part), *divided) for part in parts)
        lists.append(first.where(*(_W.study_row.in_(other.correlate(None)) for other in others)))
    dates = date_beginnings(word)
    lists.extend(select(_DATED.id).where(begins_with(_DATED.study_date, date)) for date in dates)
    if word.isascii():
        lists.append(select(_M.study_row).where(_M.modality == word.upper()))
    if (listed := conditions.listed(lists)) is not None:
        return listed
    found = [conditions.has_word(begins_with(_W.word, word), *kinds)]
    if len(parts) > 1:
        found.append(and_(*(conditions.has_word(begins_with(_W.word, part), *divided) for part in parts)))
    found.extend(begins_with(_ST.study_date, date) for date in dates)
    if word.isascii():
        found.append(conditions.has_modality(_M.modality == word.upper()))
    return or_(*found)
