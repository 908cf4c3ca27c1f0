"""Answering a query: what SQL can decide it decides, and what it cannot is matched row by row.

If every condition is exact in SQL, a page is one statement with LIMIT and OFFSET, and the total another. If
not, candidates are read in order and matched by `gantry.dataset.matching`, on the attributes that the index
holds and, for a key that it does not hold, on those of the file. How many are looked at, and how many files
are opened, is limited; an answer that was cut short says so.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select

from gantry.archive.describe import INDEXED_LEVELS
from gantry.archive.index import feed, places
from gantry.archive.index.conditions import Conditions, typed_word
from gantry.archive.index.database import Readers, Snapshot
from gantry.archive.index.rows import Assembler, Found, count_rows, select_page, select_rows
from gantry.archive.index.schema import studies, study_modalities
from gantry.archive.query import (
    MAX_COUNTED,
    MAX_COUNTED_IN_SQL,
    MAX_EXAMINED,
    MAX_HEADERS,
    MAX_RESULTS,
    FindResult,
    HeaderOf,
    OrderBy,
    Query,
    Row,
    TextQuery,
)
from gantry.archive.records import JsonModel
from gantry.dataset.matching import CONTROL_TAGS, Condition, MatchingOptions, conditions_from_keys, matches
from gantry.errors import QueryError
from gantry.standard.query_keys import (
    COMPUTED_KEYS,
    INSTANCE_AVAILABILITY,
    RETRIEVE_AE_TITLE,
    RETRIEVE_URL,
    Level,
)

MAX_TYPED_WORDS = 8
"""Words of a search that count; a person types two or three."""

_CHUNK = 200
_MAX_OFFSET = 1 << 40
_MODALITY, _MODALITIES_IN_STUDY = 0x00080060, 0x00080061
_PATIENT_COUNT_TAGS = frozenset(tag for tag, level in COMPUTED_KEYS.items() if level is Level.PATIENT)
# What the archive or the door answers of itself, so that no file need be opened for it
_ANSWERED = frozenset({*COMPUTED_KEYS, *CONTROL_TAGS, INSTANCE_AVAILABILITY, RETRIEVE_AE_TITLE, RETRIEVE_URL})


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered: clauses for SQL, then conditions to match on rows, then on files."""

    level: Level
    clauses: tuple[ColumnElement[bool], ...]
    on_rows: tuple[Condition, ...]
    on_files: tuple[Condition, ...]
    tags_from_files: tuple[str, ...]
    patient_counts: bool
    from_below: bool

    @property
    def exact(self) -> bool:
        """Whether SQL alone decides which rows match."""
        return not self.on_rows and not self.on_files


@dataclass(frozen=True, slots=True)
class _Page:
    """What part of the matching rows to give, in which order."""

    order: OrderBy
    limit: int
    offset: int
    want_total: bool


class Finder:
    """Answers queries over the readers' connections."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def find(self, query: Query, header_of: HeaderOf | None) -> FindResult:
        """See `Index.find`."""
        limit, offset = _page(query.limit, query.offset)
        with self._readers.snapshot() as snapshot:

            def planned(for_counting: bool) -> Plan:
                return self.plan(snapshot, query, header_of is not None, for_counting=for_counting)

            page = _Page(query.order, limit, offset, query.want_total)
            return self._answer(snapshot, planned, page, header_of)

    def search_text(self, query: TextQuery) -> FindResult:
        """See `Index.search_text`."""
        limit, offset = _page(query.limit, query.offset)
        with self._readers.snapshot() as snapshot:

            def planned(for_counting: bool) -> Plan:
                conditions = Conditions(snapshot, Level.STUDY, for_counting=for_counting)
                clauses = [
                    typed_word(conditions, word) for word in query.words[:MAX_TYPED_WORDS] if word.strip()
                ]
                if query.modality:
                    codes = query.modality.split(",")
                    clauses.append(conditions.has_modality(study_modalities.c.modality.in_(codes)))
                if query.date_from:
                    clauses.append(studies.c.study_date >= query.date_from)
                if query.date_to:
                    clauses.append((studies.c.study_date <= query.date_to) & (studies.c.study_date > ""))
                return Plan(Level.STUDY, tuple(clauses), (), (), (), False, False)

            page = _Page(OrderBy.NEWEST, limit, offset, query.want_total)
            return self._answer(snapshot, planned, page, None)

    def plan(self, snapshot: Snapshot, query: Query, with_files: bool, *, for_counting: bool = False) -> Plan:
        """Sort the conditions of a query by who decides them.

        Raises QueryError for a key that cannot be answered.
        """
        options = MatchingOptions(
            fuzzy=query.fuzzy,
            combined_date_time=query.combined_date_time,
            empty_value=query.empty_values,
            multiple_values=query.multiple_values,
        )
        keys = _with_modalities(query.keys, query.level)
        builder = Conditions(snapshot, query.level, order=query.order, for_counting=for_counting)
        clauses: list[ColumnElement[bool]] = []
        on_rows: list[Condition] = []
        on_files: list[Condition] = []
        from_below = False
        for condition in conditions_from_keys(keys, options):
            clause = builder.clause(condition)
            if clause is not None:
                clauses.append(clause.sql)
                from_below |= clause.from_below
                if clause.exact:
                    continue
            if _is_in_rows(condition.tag, query.level):
                on_rows.append(condition)
            elif with_files:
                on_files.append(condition)
        asked = {int(tag, 16) for tag in keys} | set(query.wanted)
        from_files = {tag for tag in asked if not _is_in_rows(tag, query.level)} if with_files else set()
        return Plan(
            query.level,
            tuple(clauses),
            tuple(on_rows),
            tuple(on_files),
            tuple(f"{tag:08X}" for tag in sorted(from_files)),
            query.level is Level.PATIENT or not asked.isdisjoint(_PATIENT_COUNT_TAGS),
            from_below,
        )

    # -- answering ----------------------------------------------------------------------------------------

    def _answer(
        self,
        snapshot: Snapshot,
        planned: Callable[[bool], Plan],
        page: _Page,
        header_of: HeaderOf | None,
    ) -> FindResult:
        plan = planned(False)
        files = _Files(self._readers, header_of)
        assembler = Assembler(snapshot, plan.level, plan.patient_counts)
        if not plan.exact:
            return self._matched(snapshot, plan, page, assembler, files)
        bounded = select_page(
            plan.level,
            plan.clauses,
            page.order,
            limit=page.limit + 1,
            offset=page.offset,
            from_below=plan.from_below,
        )
        found = [assembler.row(values) for values in snapshot.select(bounded)]
        more = len(found) > page.limit
        total: int | None = None
        if page.want_total and not more and (found or not page.offset):
            total = page.offset + len(found)
        elif page.want_total:
            total = self._total(snapshot, planned(True))
        rows = [self._with_file(one, plan, files) for one in found[: page.limit]]
        return FindResult(rows, total, more=more, truncated=files.exhausted)

    def _matched(
        self,
        snapshot: Snapshot,
        plan: Plan,
        page: _Page,
        assembler: Assembler,
        files: _Files,
    ) -> FindResult:
        """The page of a query that SQL alone does not decide: candidates in order, matched one by one."""
        statement = select_rows(plan.level, plan.clauses, page.order, from_below=plan.from_below)
        end = page.offset + page.limit
        kept: list[Found] = []
        matched = examined = beyond = 0
        stopped = False
        with closing(_stream(snapshot, statement.limit(MAX_EXAMINED + 1))) as candidates:
            for values in candidates:
                examined += 1
                full = matched > end
                beyond += full
                if examined > MAX_EXAMINED or (full and (not page.want_total or beyond > MAX_COUNTED)):
                    stopped = True
                    break
                one = assembler.row(values)
                if not _fits(one, plan, files):
                    continue
                matched += 1
                if page.offset < matched <= end:
                    kept.append(one)
        rows = [self._with_file(one, plan, files) for one in kept]
        cut_short = files.exhausted or (stopped and matched <= end)
        total = matched if page.want_total and not stopped and not files.exhausted else None
        return FindResult(rows, total, more=matched > end, truncated=cut_short)

    def _total(self, snapshot: Snapshot, plan: Plan) -> int | None:
        """How many rows there are; None when they are too many to count."""
        if not plan.clauses:
            return feed.counts(self._readers)[plan.level]
        statement = count_rows(plan.level, plan.clauses, from_below=plan.from_below)
        counted = snapshot.select(statement).scalar() or 0
        return counted if counted <= MAX_COUNTED_IN_SQL else None

    def _with_file(self, found: Found, plan: Plan, files: _Files) -> Row:
        """The row with those attributes asked for that only the file holds."""
        if not plan.tags_from_files:
            return found.row
        header = files.header(found)
        return replace(found.row, extra={tag: header[tag] for tag in plan.tags_from_files if tag in header})


class _Files:
    """Attributes read from files while one query is answered, up to a limit."""

    def __init__(self, readers: Readers, header_of: HeaderOf | None) -> None:
        self._readers = readers
        self._header_of = header_of
        self._headers: dict[int, JsonModel] = {}
        self.exhausted = False

    def header(self, found: Found) -> JsonModel:
        """All attributes of the row's object; none when no more files may be opened."""
        header = self._headers.get(found.representative)
        if header is None:
            if len(self._headers) >= MAX_HEADERS or self._header_of is None:
                self.exhausted = self._header_of is not None
                return {}
            header = self._header_of(places.location_of_version(self._readers, found.representative))
            self._headers[found.representative] = header
        return header


def _fits(found: Found, plan: Plan, files: _Files) -> bool:
    if plan.on_rows:
        model = found.row.model()
        if not all(matches(model, condition) for condition in plan.on_rows):
            return False
    if plan.on_files:
        header = files.header(found)
        return not files.exhausted and all(matches(header, condition) for condition in plan.on_files)
    return True


def _stream(snapshot: Snapshot, statement: Select[Any]) -> Generator[Any]:
    streamed = statement.execution_options(stream_results=True, max_row_buffer=_CHUNK)
    with snapshot.select(streamed) as found:
        for chunk in found.partitions(_CHUNK):
            yield from chunk


def _page(limit: int | None, offset: int) -> tuple[int, int]:
    if limit is not None and limit < 0:
        raise QueryError(f"a limit of {limit} rows")
    if offset < 0:
        raise QueryError(f"an offset of {offset} rows")
    return min(MAX_RESULTS if limit is None else limit, MAX_RESULTS), min(offset, _MAX_OFFSET)


def _with_modalities(keys: JsonModel, level: Level) -> JsonModel:
    """Modality asked of patients or studies means one of their modalities."""
    if level > Level.STUDY or not keys.get(f"{_MODALITY:08X}", {}).get("Value"):
        return keys
    keys = dict(keys)
    modality = keys.pop(f"{_MODALITY:08X}")
    keys.setdefault(f"{_MODALITIES_IN_STUDY:08X}", modality)
    return keys


def _is_in_rows(tag: int, level: Level) -> bool:
    """Whether rows of a level hold, or compute, an attribute."""
    if tag in _ANSWERED or tag & 0xFFFF == 0:
        return True
    known = INDEXED_LEVELS.get(tag)
    return known is not None and known <= level
