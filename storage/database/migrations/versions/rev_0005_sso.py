"""Single sign-on: flows, used assertions, answers, kept documents, and the portal's sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _flows()
    _answers()
    _sessions()


def _flows() -> None:
    op.create_table(
        "sso_flows",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("browser", sa.LargeBinary, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("code_verifier", sa.Text, nullable=False),
        sa.Column("return_to", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sso_flows"),
    )
    op.create_index("ix_sso_flows_expires_at", "sso_flows", ["expires_at"])
    op.create_table(
        "sso_used",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider", "digest", name="pk_sso_used"),
    )
    op.create_index("ix_sso_used_expires_at", "sso_used", ["expires_at"])


def _answers() -> None:
    op.create_table(
        "sso_answers",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("checks", sa.JSON, nullable=False),
        sa.Column("claims", sa.JSON, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sso_answers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sso_answers_provider", "sso_answers", ["provider", "id"])
    op.create_index("ix_sso_answers_at", "sso_answers", ["at"])
    op.create_table(
        "sso_kept",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("fetched_at", sa.Double),
        sa.Column("tried_at", sa.Double, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_sso_kept"),
    )


def _sessions() -> None:
    op.create_table(
        "portal_sessions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("factor", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("password_version", sa.Double),
        sa.Column("opened_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("logout", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_portal_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_portal_sessions"),
        sa.UniqueConstraint("digest", name="uq_portal_sessions_digest"),
    )
    op.create_index("ix_portal_sessions_user_id", "portal_sessions", ["user_id"])
    op.create_index("ix_portal_sessions_expires_at", "portal_sessions", ["expires_at"])
