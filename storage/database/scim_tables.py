"""The tables of provisioning by SCIM; part of the same schema as :mod:`storage.database.tables`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
)

from storage.database.records import Owner
from storage.database.tables import metadata, users

_Serial = BigInteger().with_variant(Integer, "sqlite")

scim_users = Table(
    "scim_users",
    metadata,
    Column("sequence", _Serial, primary_key=True),  # the order in which lists give them: newcomers come last
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("user_name", Text, nullable=False),  # userName in canonical form
    Column("document", JSON, nullable=False),  # what the client said, without id, meta, groups and password
    Column("version", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("modified_at", Double, nullable=False),
    Column("deleted_at", Double),  # the client deleted the person; the row is the tombstone
    Column("ended_at", Double),  # when the client ended the person's access, for the circuit breaker
    Column("ended_approved", Boolean, nullable=False, server_default=false()),  # an admin has seen this end
    UniqueConstraint("provider", "user_name"),
    Index("ix_scim_users_provider", "provider", "sequence"),
    Index("ix_scim_users_ended_at", "provider", "ended_at"),
)
# Whom an admin has handed to somebody else no client finds, whatever one said of the user before.
STILL_THE_CLIENTS = and_(
    users.c.id == scim_users.c.user_id,
    users.c.managed_by == Owner.SCIM.value,
    users.c.provider == scim_users.c.provider,
)

scim_emails = Table(
    "scim_emails",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("email", Text, nullable=False),  # casefolded
    PrimaryKeyConstraint("user_id", "email"),
    Index("ix_scim_emails_email", "provider", "email"),
)

scim_groups = Table(
    "scim_groups",
    metadata,
    Column("sequence", _Serial, primary_key=True),
    Column("group_id", Text, ForeignKey("groups.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("display_name", Text, nullable=False),  # as the client said it
    Column("display_key", Text, nullable=False),  # casefolded: unique at a provider
    Column("external_id", Text, nullable=False),  # as the client said it; empty if it did not
    Column("document", JSON, nullable=False),  # the extensions that the client said, and nothing else
    Column("version", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("modified_at", Double, nullable=False),
    UniqueConstraint("provider", "display_key"),
    Index("ix_scim_groups_provider", "provider", "sequence"),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "external_id"),
)

scim_tokens = Table(
    "scim_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),  # bearer or basic
    Column("digest", LargeBinary, nullable=False),
    Column("title", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Column("warned_days", Integer),  # the last warning given: so many days before the end
    Index(None, "provider"),
)

scim_requests = Table(
    "scim_requests",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", Double, nullable=False),
    Column("provider", Text, nullable=False),
    Column("token_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("subject", Text, nullable=False),
    Column("changed", JSON, nullable=False),
    Column("request", Text, nullable=False),  # redacted
    Column("response", Text, nullable=False),
    Index("ix_scim_requests_provider", "provider", "id"),
    Index(None, "at"),
    Index("ix_scim_requests_subject", "subject", "id"),
)

scim_holds = Table(
    "scim_holds",
    metadata,
    Column("provider", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("action", Text, nullable=False),  # disable or delete
    Column("reason", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("asked_at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "user_id"),
)

scim_conflicts = Table(
    "scim_conflicts",
    metadata,
    Column("provider", Text, nullable=False),
    Column("key", Text, nullable=False),  # the external id, or the user name of a person without one
    Column("external_id", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("holder_id", Text, nullable=False),  # the user who has the name or the link
    Column("held_as", Text, nullable=False),  # what it is to that user: name, alias, reserved or link
    Column("reason", Text, nullable=False),
    Column("document", JSON, nullable=False),
    Column("since", Double, nullable=False),
    Column("asked_at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "key"),
    Index(None, "holder_id"),
)

migrations = Table(
    "method_migrations",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("from_provider", Text, nullable=False),
    Column("to_provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("before", JSON, nullable=False),  # what an undo brings back
    Column("undone_at", Double),
    Column("undone_by", Text),
    Index("ix_method_migrations_user_id", "user_id", "id"),
)

migration_pilots = Table(
    "migration_pilots",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("marked_by", Text, nullable=False),
    Column("marked_at", Double, nullable=False),
)
