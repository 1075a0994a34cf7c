"""Run by Alembic: apply revisions on the connection and in the transaction that ``migrate`` gives."""

from __future__ import annotations

from alembic import context

from storage.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite can, if BEGIN is said by hand, as Database.write does
)
with context.begin_transaction():
    context.run_migrations()
