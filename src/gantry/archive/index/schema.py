"""The tables of the index, once, for every SQL dialect.

`patients` ← `studies` ← `series` ← `instances` ← `versions`, joined by surrogate row ids. A study row belongs
to one patient: the same Study UID under two Patient IDs makes two rows. A version row is a fact that never
changes; the rows above it are derived from the versions that are current and can be made anew at any time.

What a study or series answers lives in `study_facts` and `series_facts`, one row for each distinct set of
attributes that ever arrived under it (nearly always one), apart from the rows that hold the counts: a
thousandth instance then changes a short row, and a delete needs no file to find the next representative.

Text is compared as `columns.py` made it. NULL in such a column says that the value is irregular (several
values where one is allowed), so that SQL cannot decide and the row is matched attribute by attribute.

Times are microseconds since 1970 in UTC. Migrations are in `migrations/`; a test holds them to this file.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"},
)

# Irregular text in columns that no index begins with. It is rare: an index that is nearly empty tells whether
# there is any, so that not every study is asked.
IRREGULAR = "issuer IS NULL OR sex IS NULL OR study_time IS NULL OR description IS NULL"

# Compared byte by byte, as Python and SQLite compare text; a database may have an order of its own
Text = sqlalchemy.Text(collation="C").with_variant(sqlalchemy.Text(), "sqlite")

# SQLite gives its row id to INTEGER primary keys only
RowId = BigInteger().with_variant(Integer, "sqlite")


_NEVER_NULL = {"id", "study_row", "series_row"}


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _derived_text(name: str) -> Column[str]:
    return Column(name, Text, nullable=True)


def for_order(name: str, *columns: str) -> tuple[Index, Index]:
    """An index that gives rows in the order of queries: what has no value first, where SQLite puts it."""
    ordered = (column if column in _NEVER_NULL else text(f"{column} NULLS FIRST") for column in columns)
    return (
        Index(name, *columns).ddl_if(dialect="sqlite"),
        Index(name, *ordered).ddl_if(dialect="postgresql"),
    )


meta = Table(
    "meta",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

totals = Table(
    "totals",
    metadata,
    Column("id", Integer, primary_key=True),
    _count("patients"),
    _count("studies"),
    _count("series"),
    _count("instances"),
    _count("size_bytes"),
    _count("versions"),
    _count("conflicts"),
)

# An empty Patient ID names nobody: such a patient is known by the study, `scope`
patients = Table(
    "patients",
    metadata,
    Column("id", RowId, primary_key=True),
    _text("patient_id"),
    _text("issuer"),
    _text("scope"),
    Column("rep_study", RowId, nullable=True),
    Column("rep_received", BigInteger, nullable=True),
    UniqueConstraint("patient_id", "issuer", "scope"),
)

studies = Table(
    "studies",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("patient_row", RowId, ForeignKey("patients.id"), nullable=False),
    _text("study_uid"),
    _count("series_count"),
    _count("instance_count"),
    _count("size_bytes"),
    _text("modalities"),
    _text("sop_classes"),
    Column("facts", RowId, nullable=True),
    Column("rep_version", RowId, nullable=True),
    Column("rep_received", BigInteger, nullable=True),
    _text("rep_series_uid"),
    _text("rep_sop_uid"),
    _derived_text("patient_id"),
    _derived_text("issuer"),
    _derived_text("patient_name"),
    _derived_text("birth_date"),
    _derived_text("sex"),
    _derived_text("study_date"),
    _derived_text("study_time"),
    _derived_text("accession"),
    _derived_text("study_id"),
    _derived_text("description"),
    UniqueConstraint("study_uid", "patient_row"),
    Index("ix_studies_patient_row", "patient_row"),
    *for_order("ix_studies_date", "study_date", "study_time", "id"),
    *for_order("ix_studies_patient_name", "patient_name", "id"),
    *for_order("ix_studies_patient_id", "patient_id", "id"),
    *for_order("ix_studies_accession", "accession", "id"),
    Index("ix_studies_birth_date", "birth_date"),
    Index("ix_studies_study_id", "study_id"),
    Index(
        "ix_studies_irregular", "study_time", sqlite_where=text(IRREGULAR), postgresql_where=text(IRREGULAR)
    ),
)

series = Table(
    "series",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("study_row", RowId, ForeignKey("studies.id"), nullable=False),
    _text("series_uid"),
    _count("instance_count"),
    _count("size_bytes"),
    _text("modality"),
    _text("sop_classes"),
    Column("facts", RowId, nullable=True),
    Column("rep_version", RowId, nullable=True),
    Column("rep_received", BigInteger, nullable=True),
    _text("rep_sop_uid"),
    Column("series_number", BigInteger, nullable=True),
    UniqueConstraint("series_uid", "study_row"),
    *for_order("ix_series_study_row", "study_row", "series_number", "id"),
    Index("ix_series_modality", "modality", "study_row"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("series_row", RowId, ForeignKey("series.id"), nullable=False),
    _text("sop_uid"),
    Column("version", RowId, nullable=True),
    Column("last_number", Integer, nullable=False),
    Column("instance_number", BigInteger, nullable=True),
    UniqueConstraint("sop_uid", "series_row"),
    *for_order("ix_instances_series_row", "series_row", "instance_number", "id"),
)

# kind: protocol.VersionKind. The frame table stands behind nearly all: few pages are read for it in vain.
versions = Table(
    "versions",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("instance_row", RowId, ForeignKey("instances.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("aside", SmallInteger, nullable=False),
    Column("restores", Integer, nullable=False),
    _text("act"),
    Column("at", BigInteger, nullable=False),
    _text("source_aet"),
    _text("peer"),
    _text("via"),
    _text("sop_class_uid"),
    _text("transfer_syntax_uid"),
    _text("path"),
    _count("file_size"),
    _count("dataset_offset"),
    Column("dataset_sha256", LargeBinary, nullable=False),
    Column("meta_sha256", LargeBinary, nullable=False),
    Column("study_facts", RowId, nullable=True),
    Column("series_facts", RowId, nullable=True),
    Column("truncated", SmallInteger, nullable=False),
    Column("pixel_offset", BigInteger, nullable=True),
    Column("pixel_length", BigInteger, nullable=True),
    Column("sections", LargeBinary, nullable=False),
    Column("more", LargeBinary, nullable=False),
    Column("frame_table", LargeBinary, nullable=True),
    _count("edit"),
    UniqueConstraint("instance_row", "number"),
)

study_facts = Table(
    "study_facts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("study_row", RowId, ForeignKey("studies.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sections", LargeBinary, nullable=False),
    Column("more", LargeBinary, nullable=False),
    UniqueConstraint("study_row", "digest"),
)

series_facts = Table(
    "series_facts",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("series_row", RowId, ForeignKey("series.id"), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("sections", LargeBinary, nullable=False),
    Column("more", LargeBinary, nullable=False),
    UniqueConstraint("series_row", "digest"),
)

# kind: columns.WordKind. One range over `word` answers a person typing, with the kind a name search.
study_words = Table(
    "study_words",
    metadata,
    Column("word", Text, primary_key=True),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("study_row", RowId, ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    Index("ix_study_words_study_row", "study_row"),
    sqlite_with_rowid=False,
)

study_modalities = Table(
    "study_modalities",
    metadata,
    Column("modality", Text, primary_key=True),
    Column("study_row", RowId, ForeignKey("studies.id"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# No row is ever deleted here, so that a `seq` is never used twice
changes = Table(
    "changes",
    metadata,
    Column("seq", RowId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("instance_row", RowId, ForeignKey("instances.id"), nullable=False),
    Column("number", Integer, nullable=False),
)

# Numbered by their acts, so that an index made anew has the same numbers
edits = Table(
    "edits",
    metadata,
    Column("number", RowId, primary_key=True),
    _text("act"),
    _text("kind"),
    Column("at", BigInteger, nullable=False),
    _text("who"),
    _text("why"),
    _text("source_aet"),
    _text("peer"),
    _text("via"),
    _count("reverts"),
    _count("objects"),
    Index("ix_edits_reverts", "reverts"),
)

edit_patients = Table(
    "edit_patients",
    metadata,
    Column("patient_id", Text, primary_key=True),
    Column("issuer", Text, primary_key=True),
    Column("edit", RowId, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

edit_instances = Table(
    "edit_instances",
    metadata,
    Column("study_uid", Text, primary_key=True),
    Column("series_uid", Text, primary_key=True),
    Column("sop_uid", Text, primary_key=True),
    Column("edit", RowId, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

conflicts = Table(
    "conflicts",
    metadata,
    Column("seq", RowId, primary_key=True),
    _text("kind"),
    _text("study_uid"),
    _text("series_uid"),
    _text("sop_uid"),
    Column("parties", Text, nullable=False),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    UniqueConstraint("kind", "study_uid", "series_uid", "sop_uid"),
)

# Rows refer to others that come later in their transaction. SQLite names that and holds nobody to it, unlike
# PostgreSQL, where each row would wait for a look at another; `Index.check` finds what dangles in either.
for _table in metadata.tables.values():
    for _reference in _table.foreign_key_constraints:
        _reference.ddl_if(dialect="sqlite")
