"""SCIM: what clients say of people and groups, their tokens and requests, what waits, and moved users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _people()
    _client()
    _waiting()
    _migrations()


def _people() -> None:
    op.create_table(
        "scim_users",
        sa.Column("sequence", SERIAL, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("modified_at", sa.Double, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("ended_approved", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_scim_users_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sequence", name="pk_scim_users"),
        sa.UniqueConstraint("provider", "user_name", name="uq_scim_users_provider"),
        sa.UniqueConstraint("user_id", name="uq_scim_users_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_scim_users_ended_at", "scim_users", ["provider", "ended_at"])
    op.create_index("ix_scim_users_provider", "scim_users", ["provider", "sequence"])
    op.create_table(
        "scim_emails",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_scim_emails_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "email", name="pk_scim_emails"),
    )
    op.create_index("ix_scim_emails_email", "scim_emails", ["provider", "email"])
    op.create_table(
        "scim_groups",
        sa.Column("sequence", SERIAL, nullable=False),
        sa.Column("group_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("display_key", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("modified_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_scim_groups_group_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("sequence", name="pk_scim_groups"),
        sa.UniqueConstraint("provider", "display_key", name="uq_scim_groups_provider"),
        sa.UniqueConstraint("group_id", name="uq_scim_groups_group_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_scim_groups_provider", "scim_groups", ["provider", "sequence"])
    op.create_table(
        "tombstones",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "external_id", name="pk_tombstones"),
    )


def _client() -> None:
    op.create_table(
        "scim_tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("last_used_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
        sa.Column("warned_days", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_scim_tokens"),
    )
    op.create_index("ix_scim_tokens_provider", "scim_tokens", ["provider"])
    op.create_table(
        "scim_requests",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("changed", sa.JSON, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("response", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scim_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_scim_requests_at", "scim_requests", ["at"])
    op.create_index("ix_scim_requests_subject", "scim_requests", ["subject", "id"])
    op.create_index("ix_scim_requests_provider", "scim_requests", ["provider", "id"])


def _waiting() -> None:
    op.create_table(
        "scim_holds",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_scim_holds_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("provider", "user_id", name="pk_scim_holds"),
    )
    op.create_table(
        "scim_conflicts",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("holder_id", sa.Text, nullable=False),
        sa.Column("held_as", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("asked_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "key", name="pk_scim_conflicts"),
    )
    op.create_index("ix_scim_conflicts_holder_id", "scim_conflicts", ["holder_id"])


def _migrations() -> None:
    op.create_table(
        "method_migrations",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("from_provider", sa.Text, nullable=False),
        sa.Column("to_provider", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("undone_at", sa.Double),
        sa.Column("undone_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_method_migrations"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_method_migrations_user_id", "method_migrations", ["user_id", "id"])
    op.create_table(
        "migration_pilots",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("marked_by", sa.Text, nullable=False),
        sa.Column("marked_at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_migration_pilots_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_migration_pilots"),
    )
