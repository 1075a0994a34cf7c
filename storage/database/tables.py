"""The tables of the user store as SQLAlchemy Core objects; the migrations make them.

A test compares this file with what the migrations give. What only DDL needs and one database says
differently stands in the migrations alone (the unique index ``uq_ssh_keys_live`` of unrevoked keys;
AUTOINCREMENT on SQLite, so that a number is never used again): an option of a dialect here would
import both dialects at every start. Sets and lists are JSON texts.
Times are Unix seconds. Sessions, revocations and audit events outlive their user on purpose, so
their ``user_id`` is no foreign key.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in an INTEGER primary key


def _of_user(*, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(
        "user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=primary_key, nullable=nullable
    )


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("method", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("home", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("provider", Text),
    Column("role", Text, nullable=False),
    Column("break_glass", Boolean, nullable=False),
    Column("managed_by", Text, nullable=False),
    Column("expires_at", Double),
    Column("quota_bytes", BigInteger),
    Column("protocols", JSON, nullable=False),
    Column("networks", JSON, nullable=False),
    Column("totp_enrolled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

totp_secrets = Table(
    "totp_secrets",
    metadata,
    _of_user(primary_key=True),
    Column("sealed", Text, nullable=False),  # under the site key, which is no part of the database
    Column("last_step", BigInteger, nullable=False),  # no code of this time step or an older one counts any more
    Column("enrolled_at", Double, nullable=False),
)

reserved_names = Table(
    "reserved_names",
    metadata,
    Column("kind", Text, nullable=False),  # "name" or "home"
    Column("name", Text, nullable=False),
    Column("user_id", Text, nullable=False),  # whoever had it last; may be deleted
    Column("reserved_at", Double, nullable=False),
    PrimaryKeyConstraint("kind", "name"),
)

identities = Table(
    "identities",
    metadata,
    _of_user(),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("linked_at", Double, nullable=False),
    Column("hint", Text, nullable=False, server_default=""),  # where the source last had the person, such as a DN
    Column("active", Boolean, nullable=False, server_default=true()),  # what the source says, not what counts
    Column("role", Text, nullable=False, server_default=""),  # the role that the source says, if it says one
    Column("role_overruled", Boolean, nullable=False, server_default=false()),  # an admin said another one
    Column("expires_at", Double),  # when the account ends, as the source says
    UniqueConstraint("provider", "external_id"),
    Index(None, "user_id"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("alias", Text, primary_key=True),
    _of_user(),
    Column("owner", Text, nullable=False),
    Index(None, "user_id"),
)

groups = Table(
    "groups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("managed_by", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

group_identities = Table(
    "group_identities",
    metadata,
    Column("group_id", Text, ForeignKey("groups.id", ondelete="CASCADE"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("linked_at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "external_id"),
    Index(None, "group_id"),
)

memberships = Table(
    "memberships",
    metadata,
    _of_user(primary_key=True),
    Column("group_id", Text, ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True),
    Column("owner", Text, primary_key=True),
    Index(None, "group_id"),
)

passwords = Table(
    "passwords",
    metadata,
    _of_user(primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", Double, nullable=False),
)

ssh_keys = Table(
    "ssh_keys",
    metadata,
    Column("id", Text, primary_key=True),
    _of_user(),
    Column("algorithm", Text, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("expires_at", Double),
    Column("networks", JSON, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Index(None, "fingerprint"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    _of_user(),
    Column("digest", LargeBinary, nullable=False),
    Column("title", Text, nullable=False),
    Column("protocols", JSON, nullable=False),
    Column("path_prefixes", JSON, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("networks", JSON, nullable=False),
    Column("expires_at", Double),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    Index(None, "user_id"),
)

folders = Table(
    "folders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("backend", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("quota_bytes", BigInteger),
    Column("created_at", Double, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", Text, primary_key=True),
    _of_user(nullable=True),
    Column("group_id", Text, ForeignKey("groups.id", ondelete="CASCADE")),
    Column("folder_id", Text, ForeignKey("folders.id", ondelete="CASCADE")),
    Column("path", Text, nullable=False),
    Column("allow", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("deny", JSON, nullable=False, server_default=text("'[]'")),
    CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="one_holder"),
    Index(None, "user_id"),
    Index(None, "group_id"),
    Index(None, "folder_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("front_end", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("factor", Text, nullable=False),
    Column("credential_id", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("end_reason", Text),
    Index(None, "ended_at"),
    Index(None, "worker"),
)

revocations = Table(
    "revocations",
    metadata,
    Column("sequence", _Serial, primary_key=True),
    Column("user_id", Text),
    Column("session_id", Text),
    Column("reason", Text, nullable=False),
    Column("at", Double, nullable=False),
)

throttle_failures = Table(
    "throttle_failures",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("key", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("ix_throttle_failures_key", "key", "at"),
    Index(None, "at"),
)

audit_events = Table(
    "audit_events",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("front_end", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("detail", JSON(none_as_null=True)),
    Index("ix_audit_events_subject", "subject", "id"),
    Index("ix_audit_events_kind", "kind", "id"),
)

dav_locks = Table(
    "dav_locks",
    metadata,
    Column("token", Text, primary_key=True),
    Column("tree", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("depth_infinity", Boolean, nullable=False),
    Column("exclusive", Boolean, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_dav_locks_tree", "tree", "path"),
    Index(None, "user_id"),
)

dav_properties = Table(
    "dav_properties",
    metadata,
    Column("tree", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("tree", "path", "name"),
)

providers = Table(
    "providers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("secrets", JSON, nullable=False),  # sealed under the site key, by option
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

role_mappings = Table(
    "role_mappings",
    metadata,
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),  # of the group at the provider
    Column("role", Text, nullable=False),
    Column("group_name", Text, nullable=False),  # as it was when the mapping was confirmed; for people only
    Column("confirmed_by", Text, nullable=False),
    Column("confirmed_at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "external_id"),
)

sync_states = Table(
    "sync_states",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("cursor", JSON, nullable=False),
    Column("full_at", Double, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("settings", Text, nullable=False),
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
    Column("counts", JSON, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_sync_runs_provider", "provider", "id"),
)

sync_items = Table(
    "sync_items",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("run_id", BigInteger, ForeignKey("sync_runs.id", ondelete="CASCADE"), nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_sync_items_run_id", "run_id", "id"),
)

sync_conflicts = Table(
    "sync_conflicts",
    metadata,
    Column("provider", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("provider", "external_id"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Double, nullable=False),
)
