"""What only a database that is elsewhere can do: be away, be killed, be written to by many, be another's."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from archive.test_index_migrate import FORMS, changes
from gantry.archive.archive import Archive, Options
from gantry.archive.edits.model import EditKind, EditRequest, Target
from gantry.archive.index import AddVersion
from gantry.archive.index.ingest import Ingest
from gantry.archive.index.postgres_schema import PostgresSchema
from gantry.archive.index.postgres_server import LAST_RETRY_S, Server
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.index_files import index_files_for
from gantry.archive.outcome import NewVersion, Reason, Refused, Stored
from gantry.archive.query import Query
from gantry.errors import Raced, SettingsError, StorageError, Unreachable
from gantry.standard.query_keys import Level
from gantry_process import start
from index_records import element, record
from postgres import PostgresServer, database_at, pooler
from stored_objects import SCANNER, key_of, part10, uid

pytestmark = pytest.mark.peer

TESTS = Path(__file__).resolve().parents[1]
NODES, EACH = 4, 15


def opened(folder: Path, url: str, **options: Any) -> Archive:
    settings = Options(reserve_bytes=0, **options)
    return Archive.open(folder, settings, index_files=index_files_for(folder, url, 4))


def until(true: Callable[[], bool], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


# -- the same rows ----------------------------------------------------------------------------------------


def test_n12_an_index_made_anew_is_the_same_and_takes_its_place_in_one_step(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.fresh_url()
    with opened(tmp_path, url) as archive:
        for study, instance in itertools.product((1, 2), range(1, 6)):
            assert isinstance(archive.store([part10(study, 1, instance)], SCANNER), Stored)
        assert isinstance(archive.store([part10(1, 1, 1, comment="other")], SCANNER), NewVersion)
        archive.delete(uid(2))
        archive.restore(uid(2))
        edit(archive)
        former = archive.index
        before = list(former.canonical_dump())
        seen: list[int] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                seen.append(len(archive.index.find(Query(Level.IMAGE, {})).rows))

        looking = threading.Thread(target=look)
        looking.start()
        assert archive.reindex().versions == former.stats().versions
        stop.set()
        looking.join()
        assert set(seen) == {10}
        assert archive.index is not former
        assert list(archive.index.canonical_dump()) == before
        # Whoever reads the former one goes on; whoever writes to it is told
        assert list(former.canonical_dump()) == before
        with pytest.raises(StorageError, match="made anew"):
            former.apply([AddVersion(record("1.77"), 1)])
        assert archive.verify().is_clean
        assert isinstance(archive.store([part10(3, 1, 1)], SCANNER), Stored)
        now = list(archive.index.canonical_dump())
    # the same folder with a file for its index, made from the objects
    with Archive.open(tmp_path, Options(reserve_bytes=0)) as archive:
        assert list(archive.index.canonical_dump()) == now
    with opened(tmp_path, url) as archive:
        assert list(archive.index.canonical_dump()) == now
    with psycopg.connect(postgres.url) as connection:
        name = Server.parse(url).name
        schemas = connection.execute(
            "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE %s", (f"{name}\\_%",)
        ).fetchone()
    assert schemas == (1,)  # the former one is gone by now


def test_an_index_that_is_older_than_the_folder_is_set_aside_and_made_anew(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url = postgres.fresh_url()
    with opened(tmp_path, url) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
    with Archive.open(tmp_path, Options(reserve_bytes=0)) as archive:
        archive.store([part10(1, 1, 2)], SCANNER)
    with opened(tmp_path, url) as archive:
        assert archive.stats().instances == 2
        assert archive.verify().is_clean


# -- whose index it is ------------------------------------------------------------------------------------


def test_the_index_of_another_archive_is_refused(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh_url()
    with opened(tmp_path / "one", url) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
    opened(tmp_path / "known elsewhere", postgres.fresh_url()).close()
    for other in ("known elsewhere", "new"):
        with pytest.raises(StorageError, match="of another archive"):
            opened(tmp_path / other, url)
    with opened(tmp_path / "one", url) as archive:
        assert archive.stats().instances == 1


def test_a_schema_with_other_tables_is_refused(postgres: PostgresServer) -> None:
    server = Server.parse(postgres.fresh_url())
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {server.name}")
        connection.execute(f"CREATE TABLE {server.name}.invoices (id integer)")
    with pytest.raises(StorageError, match="no index of ours"):
        SqlIndex(PostgresSchema(server, server.name))


def test_no_word_of_ours_holds_the_password(postgres: PostgresServer, tmp_path: Path) -> None:
    port = postgres.port
    for url in (
        f"postgresql://nobody:hunter2@127.0.0.1:{port}/nowhere",
        "postgresql://nobody:hunter2@127.0.0.1:1/x",
        f"postgresql://nobody@127.0.0.1:{port}/nowhere?password=hunter2",
        "postgresql://nobody:hunter2@127.0.0.1:1/x?what=1",
        "postgresql://nobody:what?hunter2=1@127.0.0.1/x?what=1",
        "postgresql://nobody:hunter2@127.0.0.1:1/x?schema=No;pe",
    ):
        with pytest.raises((StorageError, SettingsError)) as told:
            opened(tmp_path, url)
        assert "hunter2" not in f"{told.value!r} {told.value}"


def test_an_option_that_postgresql_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"it has no option aplication_name, what$"):
        opened(
            tmp_path, "postgresql://nobody@127.0.0.1:1/x?what=1&sslmode=require&aplication_name=x&schema=a"
        )


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_does_not_keep_all_characters_is_refused(
    encoding: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    name = f"keeps_{encoding.lower()}"
    postgres.tell(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(SettingsError, match=f"keeps {encoding}, and names need UTF8"):
        opened(tmp_path, f"postgresql://gantry@127.0.0.1:{postgres.port}/{name}")


def test_what_the_environment_says_of_encodings_changes_nothing(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    name = "Yamada^Tarou=山田^太郎"
    with opened(tmp_path, postgres.fresh_url()) as archive:
        sent = part10(replaced={0x00080005: b"ISO_IR 192", 0x00100010: name.encode()})
        assert isinstance(archive.store([sent], SCANNER), Stored)
        [row] = archive.find(Query(Level.PATIENT, {"00100010": element("PN", "*太郎")})).rows
    [found] = row.model()["00100010"]["Value"]
    assert found == {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}


def test_without_its_library_the_setting_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None; from pathlib import Path; "
        "from gantry.archive.index_files import index_files_for; "
        "index_files_for(Path(sys.argv[1]), 'postgresql://nobody@127.0.0.1/x', 1)"
    )
    told = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True)
    assert "SettingsError" in told.stderr and "pip install 'gantry[postgres]'" in told.stderr


# -- forms ------------------------------------------------------------------------------------------------


def shape_of(postgres: PostgresServer, schema: str) -> list[tuple[Any, ...]]:
    """Columns and indexes, however they were made; two that are alike have the same words."""
    with psycopg.connect(postgres.url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default "
            "FROM information_schema.columns WHERE table_schema = %s",
            (schema,),
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexname, indexdef, '', '', '' FROM pg_indexes WHERE schemaname = %s",
            (schema,),
        ).fetchall()
    return sorted(tuple(str(word).replace(schema, "") for word in row) for row in columns + indexes)


def test_migrations_lead_to_the_schema(postgres: PostgresServer) -> None:
    fresh, migrated = (Server.parse(postgres.fresh_url()) for _ in range(2))
    PostgresSchema(fresh, fresh.name).prepare()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {migrated.name}")
    database = PostgresSchema(migrated, migrated.name)
    database._migrate("base")
    assert shape_of(postgres, migrated.name) == shape_of(postgres, fresh.name)
    with closing(SqlIndex(database)) as index:
        index.apply([AddVersion(record(), 1)])
        assert index.check() == []


@pytest.mark.parametrize("form", sorted(path.stem for path in (FORMS / "postgresql").glob("*.sql")))
def test_an_index_of_each_form_that_postgresql_has_held_becomes_what_a_new_one_is(
    form: str, postgres: PostgresServer
) -> None:
    """As `pg_dump` wrote them, filled by the code of their time: 0002, of the first commit, is the oldest."""
    old, new = (Server.parse(postgres.fresh_url()) for _ in range(2))
    dumped = (FORMS / "postgresql" / f"{form}.sql").read_text(encoding="utf-8")
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(re.sub(r"\bform(?=[.;])", old.name, dumped).encode())
    with closing(SqlIndex(PostgresSchema(new, new.name))) as fresh:
        for change in changes():
            fresh.apply([change])
        epochs = set()
        for _ in range(2):
            with closing(SqlIndex(PostgresSchema(old, old.name))) as index:
                assert index.check() == []
                assert index.stats().conflicts == len(index.conflicts()) == 4
                assert list(index.canonical_dump()) == list(fresh.canonical_dump())
                assert index.changes() == fresh.changes()
                epochs.add(index.epoch)
        assert len(epochs) == 1  # followers of its feed need not start again
        assert shape_of(postgres, old.name) == shape_of(postgres, new.name)
        with closing(SqlIndex(PostgresSchema(old, old.name))) as index:
            more = AddVersion(record("1.5", "1.5.1", "1.5.1.1", tick=20), 1)
            assert index.apply([more]) == fresh.apply([more])
            assert list(index.canonical_dump()) == list(fresh.canonical_dump())


def test_an_index_is_migrated_while_others_write_to_it(postgres: PostgresServer) -> None:
    server = Server.parse(postgres.fresh_url())
    database = PostgresSchema(server, server.name)
    with closing(SqlIndex(database)) as index:
        index.apply([AddVersion(record(), 1)])
    before = shape_of(postgres, server.name)
    with server.connect(server.name) as other, server.connect(server.name) as quick:
        # as the first release had it
        quick.execute("ALTER TABLE totals DROP COLUMN conflicts")
        quick.execute("DROP INDEX ix_studies_irregular")
        quick.execute("ALTER TABLE versions DROP COLUMN edit")
        quick.execute("DROP TABLE edits, edit_patients, edit_instances")
        quick.execute("UPDATE alembic_version SET version_num = '0001'")
        other.execute("BEGIN")  # a node in the middle of a long transaction
        other.execute("UPDATE studies SET study_time = study_time")
        migrating = threading.Thread(target=database.prepare)
        migrating.start()
        with psycopg.connect(postgres.url, autocommit=True) as watching:
            until(lambda: _waits(watching, "CREATE INDEX CONCURRENTLY%"))
        quick.execute("SET lock_timeout = '1s'")
        quick.execute("UPDATE totals SET studies = studies")
        quick.execute("INSERT INTO patients (id) VALUES (99)")
        quick.execute("DELETE FROM patients WHERE id = 99")
        assert quick.execute("SELECT count(*) FROM studies").fetchone() == (1,)
        assert migrating.is_alive()
        other.execute("COMMIT")
        migrating.join()
    assert shape_of(postgres, server.name) == before
    with closing(SqlIndex(database)) as index:
        assert index.check() == []


def test_conflicts_are_counted_while_others_note_more(postgres: PostgresServer) -> None:
    """The migration waits for who writes, lets all others pass meanwhile, and counts what that one noted."""
    server = Server.parse(postgres.fresh_url())
    database = PostgresSchema(server, server.name)
    SqlIndex(database).close()
    note = (
        "INSERT INTO conflicts (kind, study_uid, parties, first_seen, last_seen)"
        " VALUES ('patient', %s, '[]', 0, 0)"
    )
    with server.connect(server.name) as other, server.connect(server.name) as reader:
        other.execute("ALTER TABLE totals DROP COLUMN conflicts")
        other.execute("UPDATE alembic_version SET version_num = '0003'")
        other.execute(note, ("1.1",))
        other.execute("BEGIN")
        other.execute("SELECT id FROM totals FOR UPDATE")
        other.execute(note, ("1.2",))
        migrating = threading.Thread(target=database.prepare)
        migrating.start()
        with psycopg.connect(postgres.url, autocommit=True) as watching:
            until(lambda: _waits(watching, "ALTER TABLE totals%"))
        reader.execute("SET lock_timeout = '10s'")
        assert reader.execute("SELECT versions FROM totals").fetchone() == (0,)
        assert migrating.is_alive()
        other.execute("COMMIT")
        migrating.join()
    with closing(SqlIndex(database)) as index:
        assert index.stats().conflicts == len(index.conflicts()) == 2


def test_conflicts_that_an_earlier_release_noted_are_counted_when_a_node_is_opened(
    postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A node of form 0003 goes on after another has migrated the index, and knows of no column for them."""
    server = Server.parse(postgres.fresh_url())
    database = PostgresSchema(server, server.name)
    two_patients = [AddVersion(record(sop=f"1.{i}", tick=i, patient_id=f"P{i}"), 1) for i in (1, 2)]
    with closing(SqlIndex(database)) as index, server.connect(server.name) as other:
        index.apply(two_patients)
        other.execute(
            "INSERT INTO conflicts (kind, study_uid, parties, first_seen, last_seen)"
            " VALUES ('patient', '1.9', '[]', 0, 0)"
        )
        other.execute("UPDATE totals SET versions = versions")
        assert [finding.where for finding in index.check()] == ["totals.conflicts of row 1"]
        for told in (1, 0):
            caplog.clear()
            SqlIndex(database).close()
            assert index.stats().conflicts == len(index.conflicts()) == 2
            assert len([line for line in caplog.messages if "counted anew" in line]) == told
        other.execute("BEGIN")  # who opens the index is not let in before a commit that was begun
        other.execute("UPDATE totals SET versions = versions")
        other.execute("DELETE FROM conflicts WHERE study_uid = '1.9'")
        other.execute("COMMIT")
        SqlIndex(database).close()
        assert index.stats().conflicts == len(index.conflicts()) == 1
        assert index.check() == []


def _waits(watching: psycopg.Connection[Any], statement: str) -> bool:
    """Whether somebody waits for those who began before to end."""
    waiting = watching.execute(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE %s AND wait_event_type = 'Lock'", (statement,)
    )
    return waiting.fetchone() is not None


def test_b80_an_index_of_a_later_release_is_refused(postgres: PostgresServer) -> None:
    server = Server.parse(postgres.fresh_url())
    database = PostgresSchema(server, server.name)
    database.prepare()
    with server.connect(server.name) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="9999"):
        SqlIndex(database)


# -- many nodes -------------------------------------------------------------------------------------------


def test_four_nodes_write_to_one_index_at_once(postgres: PostgresServer) -> None:
    url = postgres.fresh_url()
    nodes = [
        subprocess.Popen(
            [sys.executable, str(TESTS / "archive" / "postgres_node.py"), url, str(node), str(EACH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])},
        )
        for node in range(1, NODES + 1)
    ]
    try:
        for node in nodes:
            assert node.stdout is not None and node.stdout.readline() == "ready\n"
        for node in nodes:
            assert node.stdin is not None
            node.stdin.write("go\n")
            node.stdin.flush()
        told = [node.communicate(timeout=100)[0] for node in nodes]
        assert [node.returncode for node in nodes] == [0] * NODES
    finally:
        for node in nodes:
            node.kill()
            node.wait()
    assert sum(map(int, told)) > 0  # they did get in each other's way
    with closing(SqlIndex(database_at(url))) as index:
        assert index.check() == []
        stats = index.stats()
        assert stats.versions == stats.last_change == 3 * NODES * EACH
        assert [change.seq for change in index.changes(limit=10_000)] == list(range(1, stats.versions + 1))
        rows = [(row.key, row.number) for row in index.all_versions()]
        assert len(rows) == len(set(rows)) == stats.versions
        contested = [number for key, number in rows if key.study_uid == "9.2"]
        assert len(contested) == NODES * EACH
        assert stats.patients == NODES + 1
        (shared,) = index.find(Query(Level.STUDY, {"0020000D": element("UI", "9.1")})).rows
        assert shared.study_counts is not None and shared.study_counts.instances == NODES * EACH


def test_what_another_node_was_faster_with_is_done_anew(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.fresh_url()
    with opened(tmp_path, url, log_bytes=0) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
        index = archive.index
        assert isinstance(index, SqlIndex)
        looked_up, schema = index.lookup, Server.parse(url).name
        with closing(SqlIndex(PostgresSchema(Server.parse(url), f"{schema}_1"))) as other:
            races = iter([True, True])

            def lookup(keys: Any) -> Any:
                found = looked_up(keys)
                if next(races, False):
                    number = other.lookup([key_of()])[key_of()].last_number + 1
                    other.apply([AddVersion(record(*key_of(), content=f"{number}".encode()), number)])
                return found

            index.lookup = lookup  # type: ignore[method-assign]
            outcome = archive.store([part10(1, 1, 1, comment="other bytes")], SCANNER)
            assert isinstance(outcome, NewVersion) and outcome.number == 4
            location = archive.locate(*key_of())[0]
            assert (location.number, (tmp_path / location.path).exists()) == (4, True)
            with pytest.raises(Raced):
                other.apply([AddVersion(record(*key_of()), 4)])
        assert index.check() == []


def test_who_comes_after_a_commit_that_was_sent_waits_for_its_end(postgres: PostgresServer) -> None:
    server = Server.parse(postgres.fresh_url())
    database = PostgresSchema(server, server.name)
    SqlIndex(database).close()
    came: list[bool] = []

    def come() -> None:
        with closing(SqlIndex(database)) as index:
            came.append(bool(index.lookup([record().key])))

    writer = database.connect_writer()
    try:
        ingest = Ingest(writer)
        coming = threading.Thread(target=come)

        def sent() -> None:
            coming.start()
            with psycopg.connect(postgres.url, autocommit=True) as watching:
                until(lambda: _waits(watching, "%FOR UPDATE%"))

        ingest.apply([AddVersion(record(), 1)], sent)
        coming.join()
    finally:
        writer.close()
    assert came == [True]


# -- bounded, and away ------------------------------------------------------------------------------------


def connections_of(postgres: PostgresServer) -> int:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gantry'"
        ).fetchone()
        assert row is not None
        return int(row[0])


def test_many_threads_share_a_bounded_pool(postgres: PostgresServer) -> None:
    before = connections_of(postgres)
    server = Server.parse(postgres.fresh_url())
    with closing(SqlIndex(PostgresSchema(server, server.name, connections=3))) as index:
        index.apply([AddVersion(record(sop=f"1.{i}", tick=i), 1) for i in range(20)])
        failed: list[BaseException] = []
        most = 0

        def ask() -> None:
            try:
                for _ in range(10):
                    # with a total, which is asked for while the rows are held
                    assert index.find(Query(Level.IMAGE, {}, limit=5, want_total=True)).total == 20
            except BaseException as error:  # noqa: BLE001 - shown by the thread of the test
                failed.append(error)

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most = max(most, connections_of(postgres) - before)
        assert failed == []
        assert most <= 3 + 1


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def own_server(mortal: PostgresServer) -> Iterator[PostgresServer]:
    """A server that may be killed: nobody but this test uses it."""
    yield mortal
    if not mortal.is_running:
        mortal.start()


def test_n03_a_database_killed_while_objects_come_in_costs_nothing_that_was_acknowledged(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.fresh_url()
    kept: dict[int, str] = {}
    refused: list[Refused] = []
    stop = threading.Event()
    numbers = itertools.count(1)
    told = threading.Lock()

    def send(archive: Archive) -> None:
        while not stop.is_set():
            with told:
                n = next(numbers)
            outcome = archive.store([part10(n % 3 + 1, 1, n, comment=f"{n}", pixels=bytes(3000))], SCANNER)
            if isinstance(outcome, Refused):
                refused.append(outcome)
                stop.wait(0.01)
            else:
                kept[n] = outcome.key.sop_uid

    with opened(tmp_path, url) as archive:
        senders = [threading.Thread(target=send, args=(archive,)) for _ in range(3)]
        for sender in senders:
            sender.start()
        try:
            for how in (signal.SIGQUIT, signal.SIGKILL):
                before = len(kept)
                until(lambda: len(kept) > before + 60)  # noqa: B023 - asked within the round
                own_server.kill(how)
                away = len(refused)
                until(lambda: len(refused) > away + 3)  # noqa: B023
                with pytest.raises(Unreachable):
                    archive.reach_index()
                assert archive.read_only == ""
                own_server.start()
                until(lambda: _answers(archive), LAST_RETRY_S + 20)
        finally:
            stop.set()
            for sender in senders:
                sender.join()
        assert {refusal.reason for refusal in refused} == {Reason.UNREACHABLE}
        archive.settle()
        assert archive.read_only == ""
        found = {location.key.sop_uid for location in archive.locate()}
        assert set(kept.values()) <= found
        report = archive.verify()
        assert {finding.kind for finding in report.findings} <= {"extra file"}
    with opened(tmp_path, url) as archive:
        assert set(kept.values()) <= {location.key.sop_uid for location in archive.locate()}


def _answers(archive: Archive) -> bool:
    try:
        archive.reach_index()
    except Unreachable:
        return False
    return True


def delete(archive: Archive) -> None:
    archive.delete(uid(1))


def edit(archive: Archive) -> None:
    wanted = EditRequest(
        EditKind.MODIFY, Target(study=uid(1)), "a wrong label", "Ada", {"StudyDescription": "Thorax"}
    )
    archive.edit(wanted, SCANNER)


@pytest.mark.parametrize("act", [delete, edit])
def test_an_act_whose_database_is_away_is_not_done_and_the_archive_goes_on(
    own_server: PostgresServer, tmp_path: Path, act: Callable[[Archive], None]
) -> None:
    with opened(tmp_path, own_server.fresh_url()) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
        archive.settle()
        index = archive.index
        assert isinstance(index, SqlIndex)
        begin = index._ingest._connection.begin

        def begin_and_die() -> bool:
            changed = begin()
            own_server.kill()
            return changed

        index._ingest._connection.begin = begin_and_die  # type: ignore[method-assign]
        with pytest.raises(StorageError):
            act(archive)
        index._ingest._connection.begin = begin  # type: ignore[method-assign]
        with pytest.raises(StorageError):
            act(archive)
        assert archive.read_only == ""
        own_server.start()
        until(lambda: _answers(archive))
        assert [row.number for row in archive.versions(key_of())] == [1]
        assert archive.verify().is_clean
        act(archive)
        assert [row.number for row in archive.versions(key_of())] == [1, 2]
        assert archive.verify().is_clean
    assert len(list((tmp_path / "acts").iterdir())) == 1


@pytest.mark.parametrize("act", [delete, edit])
@pytest.mark.parametrize("took_place", [True, False])
def test_an_act_of_which_nobody_knows_whether_it_was_committed_is_found_out(
    own_server: PostgresServer, tmp_path: Path, act: Callable[[Archive], None], took_place: bool
) -> None:
    """The database dies between the commit and its answer, or before it heard of the commit."""
    with opened(tmp_path, own_server.fresh_url()) as archive:
        archive.store([part10(1, 1, 1)], SCANNER)
        archive.settle()
        index = archive.index
        assert isinstance(index, SqlIndex)
        writer = index._ingest._connection
        commit = writer.commit

        def commit_and_die() -> None:
            if took_place:
                commit()
            own_server.kill()
            raise psycopg.OperationalError("the connection was closed")

        writer.commit = commit_and_die  # type: ignore[method-assign]
        with pytest.raises(StorageError):
            act(archive)
        writer.commit = commit  # type: ignore[method-assign]
        assert archive.read_only == ""
        own_server.start()
        until(lambda: _answers(archive))
        assert [row.number for row in archive.versions(key_of())] == [1, 2][: 1 + took_place]
        assert isinstance(archive.store([part10(1, 1, 2)], SCANNER), Stored)
        archive.settle()
        assert archive.verify().is_clean
    assert len(list((tmp_path / "acts").iterdir())) == took_place


def test_a_server_says_that_its_index_is_away_and_goes_on_when_it_is_back(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_server.fresh_url().replace("gantry@", "gantry:hunter2@")
    server = start(tmp_path / "data", index=url, index_connections=4)
    try:
        with server.client() as http:

            def send(instance: int) -> int:
                body = b"".join(
                    [
                        b"--b\r\nContent-Type: application/dicom\r\n\r\n",
                        part10(1, 1, instance),
                        b"\r\n--b--\r\n",
                    ]
                )
                kind = {"content-type": 'multipart/related; type="application/dicom"; boundary=b'}
                return http.post("/dicom-web/studies", content=body, headers=kind).status_code

            assert send(1) == 200
            own_server.kill()
            assert send(2) == 503
            health, found = http.get("/api/health"), http.get("/dicom-web/studies")
            assert (health.status_code, health.json()["status"]) == (503, "no index")
            assert (http.get("/readyz").status_code, http.get("/healthz").status_code) == (503, 200)
            assert (found.status_code, "retry-after" in found.headers) == (503, True)
            own_server.start()
            until(lambda: http.get("/api/health").status_code == 200)
            assert send(2) == 200
            assert len(http.get("/dicom-web/instances").json()) == 2
        assert "hunter2" not in server.words
    finally:
        assert server.stop() == 0
    assert "read-only" not in server.words
    shown = subprocess.run(
        [sys.executable, "-m", "gantry", "config", "--index", url], capture_output=True, text=True, check=True
    )
    assert "postgresql://gantry:***@" in shown.stdout and "hunter2" not in shown.stdout


def test_it_stands_behind_a_proxy_that_leaves_sessions_alone(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    schema = postgres.fresh_url().partition("?")[2]
    with pooler(postgres, tmp_path / "proxy", "session") as address:
        url = f"{address}?{schema}"
        for day in (1, 2):  # the second finds sessions that the first has left
            with opened(tmp_path / "data", url) as archive:
                for instance in range(1, 6):
                    assert isinstance(archive.store([part10(day, 1, instance)], SCANNER), Stored)
                assert archive.stats().instances == 5 * day
                assert archive.verify().is_clean
                assert archive.reindex().versions == 5 * day
    with opened(tmp_path / "data", f"{postgres.url}?{schema}") as archive:
        assert archive.verify().is_clean and archive.stats().instances == 10
