"""The file of the index: made new, migrated, refused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from gantry.archive.index import AddVersion, migrate
from gantry.archive.index.sql_index import SqlIndex
from gantry.errors import Corrupt, StorageError
from index_records import record


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
    connection.execute("DROP INDEX ix_studies_irregular")
    connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.commit()
    connection.close()
    index = SqlIndex(path)
    assert index.check() == []
    assert index.stats().studies == 1
    index.close()
    assert shape_of(path) == shape_of(fresh)


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
