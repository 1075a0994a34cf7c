"""Directories: providers, aliases, links of groups, role mappings, and what the sync keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("identities", sa.Column("hint", sa.Text, nullable=False, server_default=""))
    op.add_column("identities", sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("identities", sa.Column("role", sa.Text, nullable=False, server_default=""))
    op.add_column("identities", sa.Column("role_overruled", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("identities", sa.Column("expires_at", sa.Double))
    op.create_table(
        "aliases",
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_aliases_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alias", name="pk_aliases"),
    )
    op.create_index("ix_aliases_user_id", "aliases", ["user_id"])
    op.create_table(
        "group_identities",
        sa.Column("group_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("linked_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_group_identities_group_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("provider", "external_id", name="pk_group_identities"),
    )
    op.create_index("ix_group_identities_group_id", "group_identities", ["group_id"])
    op.create_table(
        "providers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("secrets", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_providers"),
    )
    op.create_table(
        "role_mappings",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("group_name", sa.Text, nullable=False),
        sa.Column("confirmed_by", sa.Text, nullable=False),
        sa.Column("confirmed_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "external_id", name="pk_role_mappings"),
    )
    _sync_tables()


def _sync_tables() -> None:
    op.create_table(
        "sync_states",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("cursor", sa.JSON, nullable=False),
        sa.Column("full_at", sa.Double, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_sync_states"),
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sync_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sync_runs_provider", "sync_runs", ["provider", "id"])
    op.create_table(
        "sync_items",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("run_id", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["sync_runs.id"], name="fk_sync_items_run_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sync_items"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sync_items_run_id", "sync_items", ["run_id", "id"])
    op.create_table(
        "sync_conflicts",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "external_id", name="pk_sync_conflicts"),
    )
