"""Alembic's environment and the revisions, run by ``storage.database.migrate`` on its own connection."""
