"""Queries go by indexes: no plan of a common query reads all studies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Select

from gantry.archive.index import AddVersion
from gantry.archive.index.conditions import RARE
from gantry.archive.index.rows import count_rows, select_rows
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import OrderBy, Query
from gantry.standard.query_keys import Level
from index_records import element, record

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


def plan_of(index: SqlIndex, query: Query, *, counting: bool = False) -> list[str]:
    with index._readers.snapshot() as connection:
        plan = index._finder.plan(connection, query, with_files=False, for_counting=counting)
    statement: Select[Any]
    if counting:
        statement = count_rows(plan.level, plan.clauses, from_below=plan.from_below)
    else:
        statement = select_rows(plan.level, plan.clauses, query.order, from_below=plan.from_below)
    return index._readers.explain(statement)


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
