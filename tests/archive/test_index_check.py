"""Looking the index over (N13): every fault put into it is found, and repair makes rows true again."""

from __future__ import annotations

import random
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gantry.archive.index import AddTombstone, AddVersion
from gantry.archive.index.database import Database
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index.sqlite_file import SqliteFile
from gantry.archive.records import InstanceKey
from index_records import at, record
from postgres import PostgresServer, database_at


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return SqliteFile(tmp_path / "index.sqlite")


@pytest.fixture
def index(database: Database) -> Iterator[SqlIndex]:
    opened = filled(database)
    yield opened
    opened.close()


def filled(database: Database) -> SqlIndex:
    opened = SqlIndex(database)
    changes = [
        AddVersion(
            record(
                f"1.{i % 4}",
                f"1.{i % 4}.{i % 8}",
                f"1.{i}",
                tick=i,
                patient_id=f"P{i % 4}",
                modality=("CT", "MR")[i % 8 // 4],
                number=i,
            ),
            1,
        )
        for i in range(24)
    ]
    opened.apply(changes)
    opened.apply([AddTombstone(InstanceKey("1.0", "1.0.0", "1.8"), 2, at(30))])
    return opened


def edit(database: Database, statement: str) -> int:
    """Change the tables behind the index's back; the number of rows changed."""
    if isinstance(database, SqliteFile):
        connection = sqlite3.connect(database._path)
        changed = connection.execute(statement).rowcount
        connection.commit()
        connection.close()
        return changed
    with database._connect() as postgres:  # type: ignore[attr-defined]
        return int(postgres.execute(statement).rowcount)


def test_a_healthy_index_has_no_findings(index: SqlIndex) -> None:
    assert index.check() == []
    assert index.repair_counts() == 0


DRIFTS = [
    "UPDATE studies SET instance_count = instance_count + 1 WHERE id = 2",
    "UPDATE studies SET series_count = 9 WHERE id = 1",
    "UPDATE studies SET size_bytes = 0 WHERE id = 1",
    "UPDATE studies SET modalities = 'CT\\PT' WHERE id = 3",
    "UPDATE studies SET sop_classes = '' WHERE id = 3",
    "UPDATE studies SET patient_name = 'somebody else' WHERE id = 3",
    "UPDATE studies SET study_date = '19000101' WHERE id = 4",
    "UPDATE studies SET rep_version = 1 WHERE id = 4",
    "UPDATE studies SET facts = 1 WHERE id = 4",
    "UPDATE series SET instance_count = 0 WHERE id = 2",
    "UPDATE series SET modality = 'XX' WHERE id = 2",
    "UPDATE series SET series_number = 77 WHERE id = 2",
    "UPDATE series SET rep_received = 0 WHERE id = 2",
    "UPDATE instances SET version = NULL WHERE id = 5",
    "UPDATE instances SET version = 6 WHERE id = 5",
    "UPDATE instances SET version = 9 WHERE sop_uid = '1.8'",
    "UPDATE instances SET last_number = 7 WHERE id = 5",
    "UPDATE instances SET instance_number = 99 WHERE id = 5",
    "UPDATE instances SET series_row = 1 WHERE id = 6",
    "UPDATE patients SET rep_study = 3 WHERE id = 1",
    "UPDATE patients SET rep_study = NULL WHERE id = 1",
    "DELETE FROM study_words WHERE word = 'doe' AND study_row = 1",
    "INSERT INTO study_words (word, kind, study_row) VALUES ('ghost', 0, 1)",
    "DELETE FROM study_modalities WHERE study_row = 2 AND modality = 'MR'",
    "INSERT INTO study_modalities (modality, study_row) VALUES ('US', 2)",
    "UPDATE totals SET instances = 1000",
    "UPDATE totals SET size_bytes = size_bytes - 1",
    "UPDATE totals SET conflicts = 3",
]


@pytest.mark.parametrize("statement", DRIFTS)
def test_n13_a_row_that_is_not_true_is_found_and_repaired(
    index: SqlIndex, database: Database, statement: str
) -> None:
    before = list(index.canonical_dump())
    assert edit(database, statement) == 1
    findings = index.check()
    assert findings
    assert all(finding.kind == "drift" and finding.found != finding.expected for finding in findings)
    assert index.repair_counts() == len(findings)
    assert index.check() == []
    assert list(index.canonical_dump()) == before


DANGLING = [
    "UPDATE studies SET patient_row = 999 WHERE id = 1",
    "UPDATE series SET study_row = 999 WHERE id = 1",
    "UPDATE instances SET series_row = 999 WHERE id = 1",
    "UPDATE versions SET instance_row = 999 WHERE id = 1",
    "DELETE FROM patients WHERE id = 2",
    "DELETE FROM studies WHERE id = 2",
    "DELETE FROM series WHERE id = 2",
    "DELETE FROM instances WHERE id = 2",
    "DELETE FROM versions WHERE id = 2",
    "DELETE FROM study_facts WHERE id = 2",
    "DELETE FROM series_facts WHERE id = 2",
]


@pytest.mark.parametrize("statement", DANGLING)
def test_n13_a_row_without_its_parent_is_found(index: SqlIndex, database: Database, statement: str) -> None:
    assert edit(database, statement) == 1
    assert any(finding.kind == "dangling" for finding in index.check())


def test_n13_faults_put_in_at_random_are_all_found(index: SqlIndex, database: Database) -> None:
    choose = random.Random(13)
    counted = {
        "studies": ("instance_count", "series_count", "size_bytes", "rep_received"),
        "series": ("instance_count", "size_bytes", "rep_received", "series_number"),
        "instances": ("last_number", "instance_number"),
        "totals": ("patients", "studies", "series", "instances", "size_bytes", "versions", "conflicts"),
    }
    rows = {"studies": 4, "series": 8, "instances": 24, "totals": 1}
    for _ in range(200):
        table = choose.choice(sorted(counted))
        column, row = choose.choice(counted[table]), choose.randint(1, rows[table])
        delta = choose.choice([-3, -1, 1, 2, 100])
        assert edit(database, f"UPDATE {table} SET {column} = {column} + {delta} WHERE id = {row}") == 1
        assert any(f"{table}.{column} of row {row}" == finding.where for finding in index.check())
        edit(database, f"UPDATE {table} SET {column} = {column} - {delta} WHERE id = {row}")
    assert index.check() == []


def peak_of_a_check(index: SqlIndex, instances: range) -> int:
    """Most bytes of Python's own once these are there too, ten to a series."""
    index.apply(
        [AddVersion(record(f"1.{i // 10}", f"1.{i // 10}.1", f"1.{i}", tick=i), 1) for i in instances]
    )
    tracemalloc.start()
    assert index.check() == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_rows_are_looked_over_without_a_list_of_all(tmp_path: Path) -> None:
    with closing(SqlIndex(tmp_path / "index.sqlite")) as index:
        fewer, more = (peak_of_a_check(index, range(n, n + 8000)) for n in (0, 8000))
    assert more < fewer + 150_000, (fewer, more)


def test_a_dump_in_any_order_has_the_same_rows(index: SqlIndex) -> None:
    rows = sorted(map(repr, index.canonical_dump(in_order=False)))
    assert rows == sorted(map(repr, index.canonical_dump()))


def test_ingest_goes_on_from_the_repaired_rows(index: SqlIndex, database: Database) -> None:
    edit(database, "UPDATE studies SET instance_count = 100 WHERE id = 1")
    index.repair_counts()
    index.apply([AddVersion(record("1.0", "1.0.0", "1.99", tick=99, patient_id="P0"), 1)])
    assert index.check() == []


@pytest.mark.peer
def test_n13_postgresql_tells_and_repairs_the_same_faults(
    postgres: PostgresServer, database: Database, index: SqlIndex
) -> None:
    """One index for all of them: making one takes longer than looking it over."""
    there = database_at(postgres.fresh_url())
    with closing(filled(there)) as other:
        before = list(other.canonical_dump())
        assert before == list(index.canonical_dump())
        assert sorted(map(repr, other.canonical_dump(in_order=False))) == sorted(map(repr, before))
        assert next(other.canonical_dump()) == before[0]  # who reads no further leaves nothing behind
        for statement in DRIFTS:
            assert edit(database, statement) == edit(there, statement) == 1
            assert sorted(map(repr, other.check())) == sorted(map(repr, index.check()))
            assert other.repair_counts() == index.repair_counts() > 0
            assert list(other.canonical_dump()) == before
        for statement in DANGLING:
            assert edit(database, statement) == edit(there, statement) == 1
            assert sorted(map(repr, other.check())) == sorted(map(repr, index.check()))
