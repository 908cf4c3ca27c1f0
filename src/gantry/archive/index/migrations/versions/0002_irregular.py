"""Irregular text is found by an index where no other index begins with its column."""

from __future__ import annotations

import sqlalchemy as sa

from gantry.archive.index.migrate import add_index

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_IRREGULAR = sa.text("issuer IS NULL OR sex IS NULL OR study_time IS NULL OR description IS NULL")


def upgrade() -> None:
    add_index(
        "ix_studies_irregular",
        "studies",
        ["study_time"],
        sqlite_where=_IRREGULAR,
        postgresql_where=_IRREGULAR,
    )
