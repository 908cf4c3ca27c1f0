"""How many conflicts there are stands beside the other totals, so that nobody counts them to say it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whoever writes locks the row of `totals` first, so none is added before they are counted
    op.add_column("totals", sa.Column("conflicts", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("UPDATE totals SET conflicts = (SELECT count(*) FROM conflicts)")
