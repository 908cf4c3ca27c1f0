"""Edits, and which versions they made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gantry.archive.index import schema

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, schema.Text, server_default="", nullable=False)


def upgrade() -> None:
    op.add_column("versions", sa.Column("edit", sa.BigInteger(), server_default="0", nullable=False))
    op.create_table(
        "edits",
        sa.Column("number", _NUMBER, nullable=False),
        _text("act"),
        _text("kind"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _text("who"),
        _text("why"),
        _text("source_aet"),
        _text("peer"),
        _text("via"),
        sa.Column("reverts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("objects", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_edits")),
    )
    op.create_index("ix_edits_reverts", "edits", ["reverts"], unique=False)
    op.create_table(
        "edit_patients",
        sa.Column("patient_id", schema.Text, nullable=False),
        sa.Column("issuer", schema.Text, nullable=False),
        sa.Column("edit", _NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("patient_id", "issuer", "edit", name=op.f("pk_edit_patients")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edit_instances",
        sa.Column("study_uid", schema.Text, nullable=False),
        sa.Column("series_uid", schema.Text, nullable=False),
        sa.Column("sop_uid", schema.Text, nullable=False),
        sa.Column("edit", _NUMBER, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("study_uid", "series_uid", "sop_uid", "edit", name=op.f("pk_edit_instances")),
        sqlite_with_rowid=False,
    )
