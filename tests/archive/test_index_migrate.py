"""The file of the index: made new, migrated, refused."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from gantry.archive.index import AddRestore, AddTombstone, AddVersion, migrate
from gantry.archive.index.derive import DERIVATION
from gantry.archive.index.protocol import VersionChange
from gantry.archive.index.sql_index import SqlIndex
from gantry.archive.records import InstanceKey
from gantry.errors import Corrupt, StorageError
from index_records import at, element, record


def shape_of(path: Path) -> dict[str, object]:
    """Tables with their columns and indexes, however they were made."""
    connection = sqlite3.connect(path)
    shape: dict[str, object] = {}
    for name, kind in connection.execute("SELECT name, type FROM sqlite_master ORDER BY name").fetchall():
        if kind == "table":
            listed = connection.execute("PRAGMA table_list").fetchall()
            shape[name] = (
                connection.execute(f"PRAGMA table_info({name})").fetchall(),
                sorted(connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()),
                [row[3:5] for row in listed if row[1] == name],
            )
        else:
            (text,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
            only = (text or "").partition(" WHERE ")[2]
            shape[name] = (connection.execute(f"PRAGMA index_xinfo({name})").fetchall(), only)
    connection.close()
    return shape


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    fresh, migrated = tmp_path / "fresh.sqlite", tmp_path / "migrated.sqlite"
    migrate.prepare_file(fresh)
    migrate.upgrade(migrated)
    assert shape_of(migrated) == shape_of(fresh)
    index = SqlIndex(migrated)
    index.apply([AddVersion(record(), 1)])
    assert index.check() == []
    index.close()


def test_an_index_of_the_first_form_is_brought_to_the_newest_when_it_is_opened(tmp_path: Path) -> None:
    path, fresh = tmp_path / "index.sqlite", tmp_path / "fresh.sqlite"
    index = SqlIndex(path)
    index.apply([AddVersion(record(), 1)])
    index.close()
    migrate.prepare_file(fresh)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE totals DROP COLUMN conflicts")
    connection.execute("DROP INDEX ix_studies_irregular")
    connection.execute("ALTER TABLE versions DROP COLUMN edit")
    for table in ("edits", "edit_patients", "edit_instances"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.commit()
    connection.close()
    index = SqlIndex(path)
    assert index.check() == []
    assert index.stats().studies == 1
    index.close()
    assert shape_of(path) == shape_of(fresh)


FORMS = Path(__file__).parent / "index_forms"


def changes() -> list[VersionChange]:
    """What the indexes in `FORMS` were told of, each by the code of its time."""
    mueller = {"Alphabetic": "Müller^Jörg^^Dr.", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}
    irregular = {"00100040": element("CS", "F", "M"), "00100021": element("LO", "A", "B")}
    without = {"patient_id": "", "name": "", "study_date": "", "accession": ""}
    mr, act = InstanceKey("1.1", "1.1.2", "1.1.2.1"), "acts/0000000{}-20240101T000000Z.json".format
    return [
        AddVersion(record("1.1", "1.1.1", "1.1.1.1", tick=1, name=mueller), 1),
        AddVersion(record("1.1", "1.1.1", "1.1.1.2", tick=2, name=mueller, number=2), 1),
        AddVersion(record("1.1", "1.1.2", "1.1.2.1", tick=3, name=mueller, modality="MR"), 1),
        AddVersion(record("1.1", "1.1.1", "1.1.1.1", tick=4, name="Mueller^Joerg", content=b"again"), 2),
        AddVersion(record("1.1", "1.1.1", "1.1.1.1", tick=5, name="aside", content=b"aside"), 3, True),
        AddVersion(record("1.2", "1.2.1", "1.2.1.1", tick=6, **without), 1),
        AddVersion(record("1.1", "1.1.3", "1.1.3.1", tick=7, patient_id="other"), 1),
        AddVersion(
            record(
                "1.3", "1.1.1", "1.3.1.1", tick=8, patient_id="P3", study_time="10", description="Chest  CT"
            ),
            1,
        ),
        AddVersion(record("1.3", "1.3.2", "1.3.2.1", tick=9, patient_id="P3", patient=irregular), 1),
        AddVersion(record("1.4", "1.4.1", "1.4.1.1", tick=10, patient_id="P4", name="Gone^Case"), 1),
        AddTombstone(InstanceKey("1.4", "1.4.1", "1.4.1.1"), 2, at(11), act=act(1)),
        AddTombstone(mr, 2, at(12), act=act(2)),
        AddRestore(mr, 3, 1, at(13), act=act(3)),
    ]


@pytest.mark.parametrize("form", sorted(path.stem for path in FORMS.glob("*.sql")))
def test_an_index_of_each_earlier_form_becomes_what_a_new_one_is(form: str, tmp_path: Path) -> None:
    """Of what is in `FORMS`: the first commit, the first migration (0001, before names were words), 0002, 0003."""
    path = tmp_path / "index.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FORMS / f"{form}.sql").read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode=WAL")
    fresh = SqlIndex(tmp_path / "fresh.sqlite")
    for change in changes():
        fresh.apply([change])
    epochs = []
    for _ in range(2):
        index = SqlIndex(path)
        assert index.check() == []
        assert list(index.canonical_dump()) == list(fresh.canonical_dump())
        assert index.changes() == fresh.changes()
        assert index.stats().conflicts == len(index.conflicts()) == 4
        epochs.append(index.epoch)
        index.close()
    assert len(set(epochs)) == 1  # followers of its feed need not start again
    index = SqlIndex(path)
    more = AddVersion(record("1.5", "1.5.1", "1.5.1.1", tick=20), 1)
    assert index.apply([more]) == fresh.apply([more])
    assert list(index.canonical_dump()) == list(fresh.canonical_dump())
    index.close()
    fresh.close()


def test_rows_are_derived_as_the_number_of_the_derivation_says(tmp_path: Path) -> None:
    """Where this fails, raise `DERIVATION`, so that indexes that exist are derived anew, and change the pair.

    A column that a migration fills changes the digest alone.
    """
    index = SqlIndex(tmp_path / "index.sqlite")
    index.apply(changes())
    tables = ("patients", "studies", "series", "instances", "words", "modalities", "totals")
    rows = [repr(sorted(row.items())) for row in index.canonical_dump() if row["table"] in tables]
    index.close()
    assert (DERIVATION, hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]) == (2, "d04b0f81751ebd81")


def test_an_index_that_was_derived_in_another_way_is_derived_anew_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "index.sqlite"
    index = SqlIndex(path)
    index.apply(changes())
    before = list(index.canonical_dump())
    index.close()
    for spoil in (
        "UPDATE meta SET value = '0' WHERE name = 'derivation'",
        "DELETE FROM meta WHERE name = 'derivation'",
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM study_words WHERE kind > 1")
            connection.execute("UPDATE studies SET patient_name = 'as before'")
            connection.execute(spoil)
            connection.commit()
        for times in (1, 0):
            caplog.clear()
            index = SqlIndex(path)
            assert list(index.canonical_dump()) == before
            assert len([line for line in caplog.messages if "rows changed" in line]) == times
            index.close()


def test_the_newest_migration_is_the_one_that_new_files_are_stamped_with() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_each_new_index_has_an_epoch_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    one, other = migrate.prepare_file(tmp_path / "1"), migrate.prepare_file(tmp_path / "2")
    assert one != other
    assert migrate.prepare_file(tmp_path / "1") == one


def test_b80_an_index_of_a_later_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    migrate.prepare_file(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="9999"):
        SqlIndex(path)


@pytest.mark.parametrize(
    "content",
    [b"no database at all, but text " * 100, b"SQLite format 3\0" + b"\xff" * 5000],
    ids=["text", "torn"],
)
def test_b80_a_broken_index_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        SqlIndex(path)


def test_b80_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    with pytest.raises(StorageError, match="no index"):
        SqlIndex(path)


def test_opening_a_current_index_does_not_load_alembic(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    program = (
        "import sys; from pathlib import Path; from gantry.archive.index.sql_index import SqlIndex; "
        f"SqlIndex(Path({str(path)!r})).close(); sys.exit('alembic' in sys.modules)"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program], check=True)
