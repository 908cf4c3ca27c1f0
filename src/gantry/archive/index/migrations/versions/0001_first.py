"""The first form of the index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gantry.archive.index import schema
from gantry.archive.index.migrate import fill

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _ordered(*columns: str) -> list[str | sa.TextClause]:
    """The columns of an index, for SQLite as they are, which puts what has no value first anyhow."""
    if op.get_bind().dialect.name == "sqlite":
        return list(columns)
    plain = {"id", "study_row", "series_row"}
    return [column if column in plain else sa.text(f"{column} NULLS FIRST") for column in columns]


def _refers(column: str, to: str) -> list[sa.ForeignKeyConstraint]:
    """SQLite's form names what a column refers to and does not hold anybody to it; see `schema`."""
    is_named = op.get_bind().dialect.name == "sqlite"
    return [sa.ForeignKeyConstraint([column], [to])] if is_named else []


def upgrade() -> None:
    op.create_table(
        "conflicts",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", schema.Text, server_default="", nullable=False),
        sa.Column("study_uid", schema.Text, server_default="", nullable=False),
        sa.Column("series_uid", schema.Text, server_default="", nullable=False),
        sa.Column("sop_uid", schema.Text, server_default="", nullable=False),
        sa.Column("parties", schema.Text, nullable=False),
        sa.Column("first_seen", sa.BigInteger(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_conflicts")),
        sa.UniqueConstraint("kind", "study_uid", "series_uid", "sop_uid", name=op.f("uq_conflicts_kind")),
    )
    op.create_table(
        "meta",
        sa.Column("name", schema.Text, nullable=False),
        sa.Column("value", schema.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_id", schema.Text, server_default="", nullable=False),
        sa.Column("issuer", schema.Text, server_default="", nullable=False),
        sa.Column("scope", schema.Text, server_default="", nullable=False),
        sa.Column("rep_study", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rep_received", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patients")),
        sa.UniqueConstraint("patient_id", "issuer", "scope", name=op.f("uq_patients_patient_id")),
    )
    op.create_table(
        "totals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("patients", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("studies", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("series", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("instances", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("versions", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_totals")),
    )
    op.create_table(
        "studies",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("patient_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_uid", schema.Text, server_default="", nullable=False),
        sa.Column("series_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("instance_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("modalities", schema.Text, server_default="", nullable=False),
        sa.Column("sop_classes", schema.Text, server_default="", nullable=False),
        sa.Column("facts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rep_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rep_received", sa.BigInteger(), nullable=True),
        sa.Column("rep_series_uid", schema.Text, server_default="", nullable=False),
        sa.Column("rep_sop_uid", schema.Text, server_default="", nullable=False),
        sa.Column("patient_id", schema.Text, nullable=True),
        sa.Column("issuer", schema.Text, nullable=True),
        sa.Column("patient_name", schema.Text, nullable=True),
        sa.Column("birth_date", schema.Text, nullable=True),
        sa.Column("sex", schema.Text, nullable=True),
        sa.Column("study_date", schema.Text, nullable=True),
        sa.Column("study_time", schema.Text, nullable=True),
        sa.Column("accession", schema.Text, nullable=True),
        sa.Column("study_id", schema.Text, nullable=True),
        sa.Column("description", schema.Text, nullable=True),
        *_refers("patient_row", "patients.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
        sa.UniqueConstraint("study_uid", "patient_row", name=op.f("uq_studies_study_uid")),
    )
    op.create_index("ix_studies_accession", "studies", _ordered("accession", "id"), unique=False)
    op.create_index("ix_studies_birth_date", "studies", ["birth_date"], unique=False)
    op.create_index("ix_studies_date", "studies", _ordered("study_date", "study_time", "id"), unique=False)
    op.create_index("ix_studies_patient_id", "studies", _ordered("patient_id", "id"), unique=False)
    op.create_index("ix_studies_patient_name", "studies", _ordered("patient_name", "id"), unique=False)
    op.create_index("ix_studies_patient_row", "studies", ["patient_row"], unique=False)
    op.create_index("ix_studies_study_id", "studies", ["study_id"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("series_uid", schema.Text, server_default="", nullable=False),
        sa.Column("instance_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("modality", schema.Text, server_default="", nullable=False),
        sa.Column("sop_classes", schema.Text, server_default="", nullable=False),
        sa.Column("facts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rep_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rep_received", sa.BigInteger(), nullable=True),
        sa.Column("rep_sop_uid", schema.Text, server_default="", nullable=False),
        sa.Column("series_number", sa.BigInteger(), nullable=True),
        *_refers("study_row", "studies.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint("series_uid", "study_row", name=op.f("uq_series_series_uid")),
    )
    op.create_index("ix_series_modality", "series", ["modality", "study_row"], unique=False)
    op.create_index(
        "ix_series_study_row", "series", _ordered("study_row", "series_number", "id"), unique=False
    )
    op.create_table(
        "study_facts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("study_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sections", sa.LargeBinary(), nullable=False),
        sa.Column("more", sa.LargeBinary(), nullable=False),
        *_refers("study_row", "studies.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study_facts")),
        sa.UniqueConstraint("study_row", "digest", name=op.f("uq_study_facts_study_row")),
    )
    op.create_table(
        "study_modalities",
        sa.Column("modality", schema.Text, nullable=False),
        sa.Column(
            "study_row",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        *_refers("study_row", "studies.id"),
        sa.PrimaryKeyConstraint("modality", "study_row", name=op.f("pk_study_modalities")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "study_words",
        sa.Column("word", schema.Text, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "study_row",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        *_refers("study_row", "studies.id"),
        sa.PrimaryKeyConstraint("word", "kind", "study_row", name=op.f("pk_study_words")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_study_words_study_row", "study_words", ["study_row"], unique=False)
    op.create_table(
        "instances",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("series_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sop_uid", schema.Text, server_default="", nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("instance_number", sa.BigInteger(), nullable=True),
        *_refers("series_row", "series.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
        sa.UniqueConstraint("sop_uid", "series_row", name=op.f("uq_instances_sop_uid")),
    )
    op.create_index(
        "ix_instances_series_row", "instances", _ordered("series_row", "instance_number", "id"), unique=False
    )
    op.create_table(
        "series_facts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("series_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sections", sa.LargeBinary(), nullable=False),
        sa.Column("more", sa.LargeBinary(), nullable=False),
        *_refers("series_row", "series.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series_facts")),
        sa.UniqueConstraint("series_row", "digest", name=op.f("uq_series_facts_series_row")),
    )
    op.create_table(
        "changes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("instance_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        *_refers("instance_row", "instances.id"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_changes")),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instance_row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("aside", sa.SmallInteger(), nullable=False),
        sa.Column("restores", sa.Integer(), nullable=False),
        sa.Column("act", schema.Text, server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source_aet", schema.Text, server_default="", nullable=False),
        sa.Column("peer", schema.Text, server_default="", nullable=False),
        sa.Column("via", schema.Text, server_default="", nullable=False),
        sa.Column("sop_class_uid", schema.Text, server_default="", nullable=False),
        sa.Column("transfer_syntax_uid", schema.Text, server_default="", nullable=False),
        sa.Column("path", schema.Text, server_default="", nullable=False),
        sa.Column("file_size", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dataset_offset", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("dataset_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("meta_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("study_facts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("series_facts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("truncated", sa.SmallInteger(), nullable=False),
        sa.Column("pixel_offset", sa.BigInteger(), nullable=True),
        sa.Column("pixel_length", sa.BigInteger(), nullable=True),
        sa.Column("sections", sa.LargeBinary(), nullable=False),
        sa.Column("more", sa.LargeBinary(), nullable=False),
        sa.Column("frame_table", sa.LargeBinary(), nullable=True),
        *_refers("instance_row", "instances.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("instance_row", "number", name=op.f("uq_versions_instance_row")),
    )
    fill(op.get_bind().execute)
