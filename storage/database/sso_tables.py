"""The tables of single sign-on and of the portal's sessions; part of the same schema as :mod:`storage.database.tables`.

Handles of flows and of sessions are kept as SHA-256 digests: who reads the database gets no way in.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from storage.database.tables import metadata

_Serial = BigInteger().with_variant(Integer, "sqlite")

sso_flows = Table(
    "sso_flows",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # of the handle in RelayState or state
    Column("provider", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("browser", LargeBinary, nullable=False),  # digest of the cookie of the browser that began
    Column("request_id", Text, nullable=False),  # SAML: the request's ID; OIDC: the nonce
    Column("code_verifier", Text, nullable=False),  # OIDC: PKCE (RFC 7636)
    Column("return_to", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index(None, "expires_at"),
)

sso_used = Table(
    "sso_used",
    metadata,
    Column("provider", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of the id of an assertion or token that let somebody in
    Column("expires_at", Double, nullable=False),
    PrimaryKeyConstraint("provider", "digest"),
    Index(None, "expires_at"),
)

sso_answers = Table(
    "sso_answers",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", Double, nullable=False),
    Column("provider", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("checks", JSON, nullable=False),
    Column("claims", JSON, nullable=False),
    Column("body", Text, nullable=False),  # what came, with signatures and values redacted
    Index("ix_sso_answers_provider", "provider", "id"),
    Index(None, "at"),
)

sso_kept = Table(
    "sso_kept",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("source", Text, nullable=False),  # the address that it came from; another address makes it worthless
    Column("body", Text, nullable=False),  # SAML: the metadata; OIDC: the discovery document
    Column("fetched_at", Double),
    Column("tried_at", Double, nullable=False),
    Column("problem", Text, nullable=False),
)

portal_sessions = Table(
    "portal_sessions",
    metadata,
    Column("id", Text, primary_key=True),  # the same as in the registry of sessions
    Column("digest", LargeBinary, nullable=False, unique=True),  # of the cookie
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("factor", Text, nullable=False),
    Column("method", Text, nullable=False),  # the user's, when the session began
    Column("provider", Text, nullable=False),  # where the person signed in; empty for local and directory users
    Column("peer", Text, nullable=False),
    Column("password_version", Double),
    Column("opened_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("logout", JSON, nullable=False),  # what the provider needs for single logout: NameID, session index, sid
    Index(None, "user_id"),
    Index(None, "expires_at"),
)
