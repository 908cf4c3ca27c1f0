"""How Alembic runs our migrations: on the connection that `migrate.upgrade` hands it, in its transaction."""

from __future__ import annotations

from alembic import context

from gantry.archive.index.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # on PostgreSQL each in one of its own, so that none holds the locks of another (see `migrate`)
    transaction_per_migration=context.config.attributes["connection"].dialect.name != "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
