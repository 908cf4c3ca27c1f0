"""Queries go by indexes: no plan of a common query reads all studies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import Select

from gantry.archive.index import AddVersion, feed, inspection, schema
from gantry.archive.index.conditions import RARE, Conditions, typed_word
from gantry.archive.index.postgres_server import Server
from gantry.archive.index.rows import count_rows, select_rows
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import OrderBy, Query
from gantry.standard.query_keys import Level
from index_records import element, record
from postgres import PostgresServer, database_at

STUDIES = 2 * RARE + 100


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlIndex]:
    opened = SqlIndex(tmp_path_factory.mktemp("plans") / "index.sqlite")
    opened.apply(
        [
            AddVersion(
                record(
                    f"1.{i}",
                    f"1.{i}.1",
                    f"1.{i}.1.1",
                    tick=i,
                    patient_id=f"P{i}",
                    name=f"Family{i % 50}^Given{i}",
                    accession=f"A{i}",
                    modality="CT" if i % 100 else "ECG",
                    study_date=f"20{i % 24:02}{i % 12 + 1:02}{i % 28 + 1:02}",
                ),
                1,
            )
            for i in range(STUDIES)
        ]
    )
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def in_postgresql(postgres: PostgresServer, index: SqlIndex) -> Iterator[SqlIndex]:
    # as for a disk without moving parts; with the default PostgreSQL reads small tables whole
    url = f"{postgres.fresh_url()}&options=-c%20random_page_cost%3D1.1"
    database_at(url).prepare()
    with closing(sqlite3.connect(index._readers._path)) as source, psycopg.connect(postgres.url) as target:
        target.execute(f"SET search_path = {Server.parse(url).name}")
        target.execute("TRUNCATE meta, totals")
        for name in schema.metadata.tables:
            with target.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                for row in source.execute(f"SELECT * FROM {name}"):
                    copy.write_row(row)
        target.execute("ANALYZE")  # as autovacuum does after a while
    with closing(SqlIndex(database_at(url))) as opened:
        yield opened


def issued(index: SqlIndex, query: Query) -> list[str]:
    """All statements that answering takes, those that only look how common something is included."""
    statements: list[str] = []
    with index._readers.snapshot() as snapshot:
        snapshot.raw.set_trace_callback(statements.append)
    try:
        index.find(query)
    finally:
        with index._readers.snapshot() as snapshot:
            snapshot.raw.set_trace_callback(None)
    return [text for text in statements if text.startswith("SELECT")]


def plan_of(index: SqlIndex, query: Query, *, counting: bool = False, page: int = 0) -> list[str]:
    with index._readers.snapshot() as connection:
        plan = index._finder.plan(connection, query, with_files=False, for_counting=counting)
    statement: Select[Any]
    if counting:
        statement = count_rows(plan.level, plan.clauses, from_below=plan.from_below)
    else:
        statement = select_rows(plan.level, plan.clauses, query.order, from_below=plan.from_below)
    return index._readers.explain(statement.limit(page) if page else statement)


KEYS = [
    {"0020000D": element("UI", "1.7")},
    {"0020000D": element("UI", "1.7", "1.8", "1.9")},
    {"00100020": element("LO", "P7")},
    {"00100020": element("LO", "P7*")},
    {"00080050": element("SH", "A7")},
    {"00080020": element("DA", "20240101-20240131")},
    {"00100010": element("PN", "given7*")},
    {"00080061": element("CS", "ECG")},
    {"00080018": element("UI", "1.7.1.1")},
]


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: "-".join(keys))
@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.IMAGE])
@pytest.mark.parametrize("counting", [False, True])
def test_a_selective_query_never_reads_all_studies(
    index: SqlIndex, keys: dict[str, Any], level: Level, counting: bool
) -> None:
    plan = plan_of(index, Query(level, keys), counting=counting)
    assert not [step for step in plan if step.startswith("SCAN") and "anon" not in step], plan


@pytest.mark.parametrize("order", list(OrderBy))
@pytest.mark.parametrize("keys", [{}, {"00080061": element("CS", "CT")}], ids=["all", "common"])
def test_a_page_of_many_studies_is_read_in_the_order_of_an_index(
    index: SqlIndex, keys: dict[str, Any], order: OrderBy
) -> None:
    plan = plan_of(index, Query(Level.STUDY, keys, order=order))
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


COMMON = [
    {"00100020": element("LO", "P*")},
    {"00080050": element("SH", "A*")},
    {"00200010": element("SH", "S-7")},
    {"00200010": element("SH", "S-7", "S-8")},
    {"00100030": element("DA", "19700102")},
    {"00100030": element("DA", "19690101-19710101")},
]


@pytest.mark.parametrize("keys", COMMON, ids=str)
@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES])
def test_what_most_studies_have_is_tested_in_order_and_not_sorted(
    index: SqlIndex, keys: dict[str, Any], level: Level
) -> None:
    plan = plan_of(index, Query(level, keys, multiple_values=True))
    assert not [step for step in plan if step == "USE TEMP B-TREE FOR ORDER BY"], plan


@pytest.mark.parametrize(
    "order",
    [OrderBy.PATIENT_ID, OrderBy.PATIENT_ID_DESCENDING, OrderBy.ACCESSION, OrderBy.ACCESSION_DESCENDING],
)
def test_what_is_sorted_by_a_column_is_found_by_its_index(index: SqlIndex, order: OrderBy) -> None:
    for tag, text in (("00100020", "P*"), ("00080050", "A*")):
        plan = plan_of(index, Query(Level.STUDY, {tag: element("LO", text)}, order=order))
        assert not [step for step in plan if "TEMP B-TREE" in step], plan


@pytest.mark.parametrize(
    ("tag", "text", "by"),
    [
        ("00100020", "P7", "ix_studies_patient_id"),
        ("00100020", "P77*", "ix_studies_patient_id"),
        ("00080050", "A7", "ix_studies_accession"),
        ("0020000D", "1.7", "sqlite_autoindex_studies"),
    ],
)
@pytest.mark.parametrize("dates", ["20240101", "20000101-20241231"])
def test_whom_a_key_names_is_found_before_the_studies_of_the_days(
    index: SqlIndex, tag: str, text: str, by: str, dates: str
) -> None:
    keys = {tag: element("LO", text), "00080020": element("DA", dates)}
    plan = plan_of(index, Query(Level.STUDY, keys))
    assert any(by in step for step in plan), plan
    assert not any("ix_studies_date" in step for step in plan), plan


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        ("00100020", "LO", "P7"), ("00100021", "LO", "X"), ("00100040", "CS", "F"), ("00080050", "SH", "A7"),
        ("00200010", "SH", "1"), ("00081030", "LO", "x"), ("00100030", "DA", "19700101"),
        ("00080020", "DA", "20240101"), ("00080030", "TM", "1015"),
    ],
)  # fmt: skip
def test_whether_text_is_irregular_is_not_asked_of_every_study(
    index: SqlIndex, tag: str, vr: str, value: str
) -> None:
    probes = [
        text for text in issued(index, Query(Level.STUDY, {tag: element(vr, value)})) if "IS NULL" in text
    ]
    assert probes
    for probe in probes:
        with index._readers.raw() as session:
            plan = [row[3] for row in session.raw.execute(f"EXPLAIN QUERY PLAN {probe}")]
        assert all("SEARCH" in step or "ix_studies_irregular" in step for step in plan), plan


def test_a_rare_word_is_listed_and_a_common_one_tested_study_by_study(index: SqlIndex) -> None:
    rare = plan_of(index, Query(Level.STUDY, {"00100010": element("PN", "given17*")}))
    assert any("LIST SUBQUERY" in step for step in rare), rare
    common = plan_of(index, Query(Level.STUDY, {"00100010": element("PN", "family*")}))
    assert any("CORRELATED" in step for step in common), common
    assert not [step for step in common if "TEMP B-TREE" in step], common


@pytest.mark.parametrize("keys", [{}, {"00080060": element("CS", "CT")}], ids=["all", "common"])
@pytest.mark.parametrize("level", [Level.SERIES, Level.IMAGE])
def test_the_first_page_of_everything_is_not_sorted_whole(
    index: SqlIndex, level: Level, keys: dict[str, Any]
) -> None:
    plan = plan_of(index, Query(level, keys))
    assert not [step for step in plan if step == "USE TEMP B-TREE FOR ORDER BY"], plan


def test_all_rows_are_read_without_being_sorted(index: SqlIndex) -> None:
    """As verify compares them: what SQLite sorts it holds in memory."""
    for table, statement in inspection._IN_ANY_ORDER.items():
        plan = index._readers.explain(statement)
        assert not [step for step in plan if "TEMP B-TREE" in step], (table, plan)


def test_what_there_is_in_all_is_said_without_counting(index: SqlIndex) -> None:
    plan = index._readers.explain(feed._STATS)
    assert [step for step in plan if step.startswith("SCAN")] == ["SCAN totals"], plan


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"00100020": element("LO", "P*")}, STUDIES),
        ({"00100020": element("LO", "P1*")}, sum(f"{i}".startswith("1") for i in range(STUDIES))),
        ({"00100020": element("LO", "*7")}, sum(i % 10 == 7 for i in range(STUDIES))),
        ({"00200010": element("SH", "S-7")}, STUDIES),
        ({"00100030": element("DA", "19700102"), "00080050": element("SH", "A77*")}, 11),
        ({"00080020": element("DA", "20000101")}, sum(i % 168 == 0 for i in range(STUDIES))),
    ],
    ids=str,
)
def test_listed_or_tested_the_same_studies_are_found(
    index: SqlIndex, keys: dict[str, Any], expected: int
) -> None:
    for order in OrderBy:
        result = index.find(Query(Level.STUDY, keys, order=order, want_total=True))
        assert len({row.study_uid for row in result.rows}) == result.total == expected


@pytest.mark.peer
@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: "-".join(keys))
def test_a_selective_query_of_postgresql_never_reads_all_studies(
    in_postgresql: SqlIndex, keys: dict[str, Any]
) -> None:
    for level in (Level.STUDY, Level.SERIES, Level.IMAGE):
        for counting in (False, True):
            plan = plan_of(in_postgresql, Query(level, keys), counting=counting)
            assert not [step for step in plan if "Seq Scan" in step], "\n".join(plan)


@pytest.mark.peer
def test_what_there_is_in_all_is_said_by_postgresql_without_counting(in_postgresql: SqlIndex) -> None:
    plan = in_postgresql._readers.explain(feed._STATS)
    assert [step.split(" on ")[1].split()[0] for step in plan if "Seq Scan" in step] == ["totals"], plan


@pytest.mark.peer
@pytest.mark.parametrize("order", list(OrderBy))
@pytest.mark.parametrize("keys", [{}, {"00080061": element("CS", "CT")}], ids=["all", "common"])
def test_a_page_of_postgresql_is_read_in_the_order_of_an_index(
    in_postgresql: SqlIndex, keys: dict[str, Any], order: OrderBy
) -> None:
    plan = plan_of(in_postgresql, Query(Level.STUDY, keys, order=order, limit=20), page=20)
    assert not [step for step in plan if "Sort" in step], "\n".join(plan)


@pytest.mark.peer
@pytest.mark.parametrize("typed", ["p77", "family7", "given12", "a77", "given-77"])
def test_what_is_typed_is_tested_of_no_study_one_by_one(in_postgresql: SqlIndex, typed: str) -> None:
    """The lists of all that a typed word may begin are one list: in an OR each study would be looked at."""
    with in_postgresql._readers.snapshot() as snapshot:
        clause = typed_word(Conditions(snapshot, Level.STUDY), typed)
        statement = select_rows(Level.STUDY, (clause,), OrderBy.NEWEST, from_below=False)
    plan = in_postgresql._readers.explain(statement.limit(25))
    assert not [step for step in plan if "SubPlan" in step], "\n".join(plan)
