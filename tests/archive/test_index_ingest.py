"""Telling the index of changes: rows are a function of the versions, whatever the way they came."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantry.archive.index import (
    AddRestore,
    AddTombstone,
    AddVersion,
    ChangeKind,
    ConflictKind,
    IndexChange,
    VersionKind,
)
from gantry.archive.index.database import Database
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.query import Query, TextQuery
from gantry.archive.records import InstanceKey
from gantry.errors import NotFound, StorageError
from gantry.standard.query_keys import Level
from index_records import CT_IMAGE, at, element, record
from postgres import PostgresServer, database_at
from support import examples

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def index(database: Database) -> Iterator[SqlIndex]:
    opened = SqlIndex(database)
    yield opened
    opened.close()


def only_study(index: SqlIndex, **keys: Any) -> Any:
    (row,) = index.find(Query(Level.STUDY, keys)).rows
    return row


# -- histories --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What a history does next to one instance; what cannot be done then is left out."""

    act: str
    study: str
    series: str
    sop: str
    patient: str
    look: int
    tie: bool


steps = st.builds(
    Step,
    act=st.sampled_from(["add", "add", "add", "add", "aside", "delete", "restore"]),
    study=st.sampled_from(["1.1", "1.2"]),
    series=st.sampled_from(["1.1", "1.2"]),
    sop=st.sampled_from(["1.1", "1.2", "1.3"]),
    patient=st.sampled_from(["P1", "P1", "P2", ""]),
    look=st.integers(0, 3),
    tie=st.booleans(),
)


def history(chosen: Sequence[Step]) -> list[IndexChange]:
    """The changes of a history, numbered as a committer would."""
    changes: list[IndexChange] = []
    numbers: dict[InstanceKey, int] = {}
    objects: dict[InstanceKey, list[int]] = {}
    tick = 0
    for step in chosen:
        key = InstanceKey(step.study, step.series, step.sop)
        tick += not step.tie
        number = numbers.get(key, 0) + 1
        if step.act in ("add", "aside"):
            made = record(
                *key,
                tick=tick,
                patient_id=step.patient,
                name=("Doe^Jane", "Roe^Jim")[step.look % 2],
                modality=("CT", "MR")[step.look // 2],
                sop_class_uid=(CT_IMAGE, MR_IMAGE)[step.look % 2],
                study_date=("20240101", "20240202")[step.look // 2],
                number=step.look,
                size=100 + step.look,
                content=f"{key}{number}".encode(),
            )
            changes.append(AddVersion(made, number, aside=step.act == "aside"))
            objects.setdefault(key, []).append(number)
        elif key not in numbers:
            continue
        elif step.act == "delete":
            changes.append(AddTombstone(key, number, at(tick), act=f"acts/{tick}.json"))
        else:
            restores = objects[key][step.look % len(objects[key])]
            changes.append(AddRestore(key, number, restores, at(tick), act=f"acts/{tick}.json"))
        numbers[key] = number
    return changes


def key_of(change: IndexChange) -> InstanceKey:
    return change.record.key if isinstance(change, AddVersion) else change.key


def dump_after(batches: Sequence[Sequence[IndexChange]], *, checked: bool = False) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        index = SqlIndex(Path(folder) / "index.sqlite")
        try:
            for batch in batches:
                index.apply(batch)
                if checked:
                    assert index.check() == []
            return list(index.canonical_dump())
        finally:
            index.close()


def without_times_of_conflicts(dump: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("first_seen", "last_seen")} for row in dump]


@examples(60)
@given(st.lists(steps, max_size=30))
def test_every_row_is_true_after_every_transaction(chosen: list[Step]) -> None:
    changes = history(chosen)
    dump_after([[change] for change in changes], checked=True)


@examples(40)
@given(st.lists(steps, max_size=40), st.integers(1, 7))
def test_n12_replayed_in_order_an_index_is_equal_row_by_row(chosen: list[Step], size: int) -> None:
    changes = history(chosen)
    batches = [changes[i : i + size] for i in range(0, len(changes), size)]
    assert dump_after([[change] for change in changes]) == dump_after(batches)


@pytest.mark.peer
@examples(10)
@given(st.lists(steps, max_size=30))
def test_n12_rows_in_postgresql_are_those_in_sqlite(postgres: PostgresServer, chosen: list[Step]) -> None:
    batches = [[change] for change in history(chosen)]
    with closing(SqlIndex(database_at(postgres.fresh_url()))) as index:
        for batch in batches:
            index.apply(batch)
        assert index.check() == []
        assert list(index.canonical_dump()) == dump_after(batches)


@examples(40)
@given(st.lists(steps, max_size=30), st.randoms(use_true_random=False))
def test_n12_rows_do_not_depend_on_the_order_in_which_instances_are_read(
    chosen: list[Step], random: Any
) -> None:
    changes = history(chosen)
    per_instance: dict[InstanceKey, list[IndexChange]] = {}
    for change in changes:
        per_instance.setdefault(key_of(change), []).append(change)
    order = [key_of(change) for change in changes]
    random.shuffle(order)
    queues = {key: iter(queue) for key, queue in per_instance.items()}
    shuffled = [next(queues[key]) for key in order]
    one = without_times_of_conflicts(dump_after([changes] if changes else []))
    other = without_times_of_conflicts(dump_after([shuffled] if shuffled else []))
    assert one == other


# -- cases ------------------------------------------------------------------------------------------------


def test_counts_of_a_study_that_grows_by_single_instances(index: SqlIndex) -> None:
    for i in range(30):
        index.apply([AddVersion(record("1.1", f"1.1.{i % 3}", f"1.1.{i}", tick=i, size=10), 1)])
    counts = only_study(index).study_counts
    assert (counts.series, counts.instances, counts.size_bytes) == (3, 30, 300)
    assert index.stats().instances == 30


def test_modalities_are_exact_after_deletes(index: SqlIndex) -> None:
    index.apply(
        [
            AddVersion(record(series="1.1.1", sop="1", modality="CT", tick=1), 1),
            AddVersion(record(series="1.1.2", sop="2", modality="SR", tick=2), 1),
        ]
    )
    assert only_study(index).study_counts.modalities == ("CT", "SR")
    index.apply([AddTombstone(InstanceKey("1.1", "1.1.2", "2"), 2, at(3))])
    assert only_study(index).study_counts.modalities == ("CT",)
    index.apply([AddRestore(InstanceKey("1.1", "1.1.2", "2"), 3, 1, at(4))])
    assert only_study(index).study_counts.modalities == ("CT", "SR")


def test_attributes_come_from_the_first_instance_received_that_is_visible(index: SqlIndex) -> None:
    index.apply(
        [
            AddVersion(record(sop="1", tick=1, description="first"), 1),
            AddVersion(record(sop="2", tick=2, description="second"), 1),
        ]
    )
    assert only_study(index).model()["00081030"]["Value"] == ["first"]
    index.apply([AddTombstone(InstanceKey("1.1", "1.1.1", "1"), 2, at(3))])
    assert only_study(index).model()["00081030"]["Value"] == ["second"]
    assert index.search_text(TextQuery(["first"], limit=5)).rows == []
    assert len(index.search_text(TextQuery(["second"], limit=5)).rows) == 1


def test_a_study_without_visible_instances_is_not_found(index: SqlIndex) -> None:
    made = record()
    index.apply([AddVersion(made, 1)])
    index.apply([AddTombstone(made.key, 2, at(1))])
    for level in Level:
        assert index.find(Query(level, want_total=True)).total == 0
        assert index.find(Query(level)).rows == []
    assert index.locate(sop_uid=made.key.sop_uid) == []
    assert index.locate(sop_uid=made.key.sop_uid, version=1)[0].path == made.path


def test_lookup_tells_what_a_deleted_instance_was(index: SqlIndex) -> None:
    first, second = record(content=b"one", tick=1), record(content=b"two", tick=2)
    index.apply([AddVersion(first, 1), AddVersion(second, 2), AddRestore(first.key, 3, 1, at(3))])
    assert index.lookup([first.key])[first.key].object_number == 1
    index.apply([AddTombstone(first.key, 4, at(4)), AddTombstone(first.key, 5, at(5))])
    found = index.lookup([first.key, InstanceKey("9", "9", "9")])
    assert set(found) == {first.key}
    current = found[first.key]
    assert (current.deleted, current.last_number, current.object_number) == (True, 5, 1)
    assert current.dataset_sha256 == first.dataset_sha256


def test_lookup_of_an_instance_whose_only_versions_are_aside(index: SqlIndex) -> None:
    made = record()
    index.apply([AddVersion(made, 1, aside=True)])
    current = index.lookup([made.key])[made.key]
    assert (current.object_number, current.last_number, current.path) == (0, 1, "")
    assert index.stats().instances == 0


def test_versions_tell_the_whole_history(index: SqlIndex) -> None:
    made = record(tick=1)
    index.apply(
        [
            AddVersion(made, 1),
            AddVersion(record(tick=2, content=b"new"), 2, aside=True),
            AddTombstone(made.key, 3, at(3), act="acts/3.json"),
            AddRestore(made.key, 4, 2, at(4), act="acts/4.json"),
        ]
    )
    rows = index.versions(made.key)
    assert [row.kind for row in rows] == [0, 0, 1, 2]
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert rows[2].act == "acts/3.json" and rows[2].location is None
    assert rows[3].restores == 2
    aside = rows[1].location
    assert aside is not None and aside.current and aside.aside
    assert list(index.all_versions()) == rows
    assert index.versions(InstanceKey("0", "0", "0")) == []


def test_the_feed_tells_every_change_in_order(index: SqlIndex) -> None:
    made = record(tick=1)
    last = index.apply([AddVersion(made, 1), AddVersion(record(tick=2, content=b"new"), 2)])
    assert last == 2
    index.apply([AddVersion(record(tick=3, content=b"odd"), 3, aside=True)])
    index.apply([AddTombstone(made.key, 4, at(4)), AddRestore(made.key, 5, 1, at(5))])
    kinds = [change.kind for change in index.changes()]
    assert kinds == [
        ChangeKind.STORED,
        ChangeKind.NEW_VERSION,
        ChangeKind.ASIDE,
        ChangeKind.DELETED,
        ChangeKind.RESTORED,
    ]
    assert [change.seq for change in index.changes(after=3)] == [4, 5]
    assert [change.seq for change in index.changes(after=1, limit=2)] == [2, 3]
    assert index.changes()[3].at == at(4)
    assert index.stats().last_change == 5


def test_the_feed_tells_what_came_of_one_class(index: SqlIndex) -> None:
    other = "1.2.840.10008.5.1.4.1.1.88.59"
    note = record(sop="1.1.1.2", tick=2, sop_class_uid=other)
    index.apply([AddVersion(record(tick=1), 1), AddVersion(note, 1), AddTombstone(note.key, 2, at(3))])
    index.apply([AddVersion(record(sop="1.1.1.3", tick=4, sop_class_uid=other), 1)])
    assert [change.seq for change in index.changes(sop_class_uid=other)] == [2, 4]
    assert [change.seq for change in index.changes(after=2, sop_class_uid=other)] == [4]
    assert [change.seq for change in index.changes(limit=1, sop_class_uid=other)] == [2]
    assert index.changes(sop_class_uid="1.2") == []


# -- conflicts --------------------------------------------------------------------------------------------


def test_n09_other_bytes_under_one_uid_are_both_kept_and_flagged(index: SqlIndex) -> None:
    made = record(content=b"one")
    index.apply([AddVersion(made, 1), AddVersion(record(content=b"two", tick=7), 2)])
    (conflict,) = index.conflicts()
    assert conflict.kind is ConflictKind.VERSION
    assert (conflict.study_uid, conflict.series_uid, conflict.sop_uid) == made.key
    assert conflict.parties == ("1", "2")
    assert (conflict.first_seen, conflict.last_seen) == (at(7), at(7))
    assert [row.kind for row in index.versions(made.key)] == [VersionKind.OBJECT] * 2


def test_n10_one_study_uid_under_two_patients(index: SqlIndex) -> None:
    index.apply([AddVersion(record(sop="1", patient_id="P1"), 1)])
    index.apply([AddVersion(record(sop="2", patient_id="P2", name="Roe^Jim", tick=1), 1)])
    rows = index.find(Query(Level.STUDY, {"0020000D": element("UI", "1.1")})).rows
    assert sorted(row.patient_id for row in rows) == ["P1", "P2"]
    assert [row.study_counts.instances for row in rows if row.study_counts] == [1, 1]
    for patient_id in ("P1", "P2"):
        found = index.find(Query(Level.IMAGE, {"00100020": element("LO", patient_id)})).rows
        assert len(found) == 1
    assert len(index.locate(study_uid="1.1")) == 2
    (conflict,) = index.conflicts()
    assert (conflict.kind, conflict.study_uid, conflict.parties) == (
        ConflictKind.PATIENT,
        "1.1",
        ("P1", "P2"),
    )


def test_n10_one_series_in_two_studies_and_one_instance_in_two_series(index: SqlIndex) -> None:
    index.apply([AddVersion(record("1.1", "5", "7"), 1), AddVersion(record("1.2", "5", "7", tick=1), 1)])
    found = {conflict.kind: conflict for conflict in index.conflicts()}
    assert found[ConflictKind.SERIES].parties == ("1.1", "1.2")
    assert found[ConflictKind.INSTANCE].parties == ("1.1/5", "1.2/5")
    assert index.stats().conflicts == len(found) == 2
    assert len(index.locate(sop_uid="7")) == 2
    assert len(index.locate(study_uid="1.2", sop_uid="7")) == 1


def test_b78_a_conflict_widens_and_is_not_repeated(index: SqlIndex) -> None:
    for i, patient in enumerate(["P1", "P2", "P3", "P1", "P2"]):
        index.apply([AddVersion(record(sop=str(i), patient_id=patient, tick=i), 1)])
    (conflict,) = index.conflicts()
    assert conflict.parties == ("P1", "P2", "P3")
    assert (conflict.first_seen, conflict.last_seen) == (at(1), at(2))
    assert index.conflicts(after=conflict.seq) == []
    assert index.stats().conflicts == 1


def test_b78_an_instance_resent_under_another_patient_moves_and_comes_back(index: SqlIndex) -> None:
    first, second = record(patient_id="P1"), record(patient_id="P2", content=b"merged", tick=1)
    index.apply([AddVersion(first, 1)])
    index.apply([AddVersion(second, 2)])
    assert [row.patient_id for row in index.find(Query(Level.STUDY)).rows] == ["P2"]
    index.apply([AddRestore(first.key, 3, 1, at(2))])
    assert [row.patient_id for row in index.find(Query(Level.STUDY)).rows] == ["P1"]
    assert index.check() == []


def test_empty_patient_ids_are_not_one_patient(index: SqlIndex) -> None:
    index.apply(
        [
            AddVersion(record("1.1", "1", "1", patient_id="", name="Doe"), 1),
            AddVersion(record("1.2", "2", "2", patient_id="", name="Roe", tick=1), 1),
        ]
    )
    assert index.find(Query(Level.PATIENT, want_total=True)).total == 2
    assert index.conflicts() == []


# -- failure ----------------------------------------------------------------------------------------------


def test_a_failing_transaction_changes_nothing_and_is_forgotten(index: SqlIndex) -> None:
    index.apply([AddVersion(record(sop="1"), 1)])
    before = list(index.canonical_dump())
    with pytest.raises(StorageError):
        index.apply([AddVersion(record("1.2", "2", "2", tick=1), 1), AddVersion(record(sop="1", tick=2), 1)])
    with pytest.raises(NotFound):
        index.apply(
            [AddVersion(record(sop="3", tick=1), 1), AddTombstone(InstanceKey("8", "8", "8"), 2, at(2))]
        )
    with pytest.raises(NotFound):
        index.apply([AddRestore(InstanceKey("1.1", "1.1.1", "1"), 2, 7, at(2))])
    assert list(index.canonical_dump()) == before
    index.apply([AddVersion(record("1.2", "2", "2", tick=1), 1), AddVersion(record(sop="3", tick=2), 1)])
    assert index.check() == []
    assert index.stats().instances == 3


def test_a_full_disk_is_said_so_and_nothing_is_applied(tmp_path: Path) -> None:
    from gantry.errors import OutOfSpace

    index = SqlIndex(tmp_path / "index.sqlite")
    index.apply([AddVersion(record(sop="1"), 1)])
    pages = index._ingest._connection.raw.execute("PRAGMA page_count").fetchone()[0]
    index._ingest._connection.raw.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(OutOfSpace):
        index.apply([AddVersion(record(sop=f"9.{i}", tick=i), 1) for i in range(500)])
    assert index.stats().instances == 1
    index._ingest._connection.raw.execute("PRAGMA max_page_count=1000000")
    index.apply([AddVersion(record(sop=f"9.{i}", tick=i), 1) for i in range(500)])
    assert index.stats().instances == 501
    assert index.check() == []
    index.close()


def test_another_process_may_write_in_between(database: Database) -> None:
    one, other = SqlIndex(database), SqlIndex(database)
    for i in range(0, 20, 2):
        one.apply([AddVersion(record(series=f"s{i % 3}", sop=f"{i}", tick=i), 1)])
        other.apply([AddVersion(record(series=f"s{i % 5}", sop=f"{i + 1}", tick=i + 1), 1)])
    assert one.check() == []
    assert one.stats() == other.stats()
    assert one.stats().instances == 20
    assert one.epoch == other.epoch
    one.close()
    other.close()


def test_b77_eight_threads_race_for_one_uid(index: SqlIndex) -> None:
    lock = threading.Lock()
    key = record().key

    def store(i: int) -> None:
        for k in range(10):
            with lock:  # the committer's
                current = index.lookup([key]).get(key)
                number = current.last_number + 1 if current else 1
                index.apply([AddVersion(record(content=f"{i}.{k}".encode(), tick=i * 10 + k), number)])

    threads = [threading.Thread(target=store, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.number for row in index.versions(key)] == list(range(1, 81))
    assert [location.number for location in index.locate(*key)] == [80]
    assert index.check() == []


def test_n03_readers_see_whole_transactions_while_a_writer_works(index: SqlIndex) -> None:
    stop = threading.Event()
    torn: list[object] = []

    def read() -> None:
        while not stop.is_set():
            for row in index.find(Query(Level.STUDY)).rows:
                assert row.study_counts is not None
                torn.extend([row] * (row.study_counts.instances % 10))
            stats = index.stats()
            if stats.instances % 10 or stats.versions % 10:
                torn.append(stats)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(30):
        batch = [AddVersion(record(sop=f"{i}.{k}", tick=i * 10 + k), 1) for k in range(10)]
        index.apply(batch)
    stop.set()
    for reader in readers:
        reader.join()
    assert torn == []
    assert index.stats().instances == 300


def test_closing_leaves_one_file_that_is_the_index(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqlIndex(path)
    index.apply([AddVersion(record(), 1)])
    epoch = index.epoch
    index.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["index.sqlite"]
    again = SqlIndex(path)
    assert (again.epoch, again.stats().instances) == (epoch, 1)
    again.close()


def test_commits_are_durable_by_the_settings_of_the_writer(tmp_path: Path) -> None:
    index = SqlIndex(tmp_path / "index.sqlite")
    connection: sqlite3.Connection = index._ingest._connection.raw
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    index.close()
