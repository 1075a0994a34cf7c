"""From a database row to a record: the only place where untyped column values become values."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from storage.database.records import (
    ApiKey,
    AuditEvent,
    Folder,
    Grant,
    Group,
    Identity,
    Method,
    Owner,
    Revocation,
    Role,
    RoleMapping,
    SessionRow,
    SshKey,
    Status,
    StoredProvider,
    User,
)


def user_of(row: Row[Any]) -> User:
    """Read a row of ``users``."""
    return User(
        id=row.id,
        name=row.name,
        method=Method(row.method),
        status=Status(row.status),
        epoch=row.epoch,
        home=row.home,
        display_name=row.display_name,
        email=row.email,
        provider=row.provider,
        role=Role(row.role),
        break_glass=row.break_glass,
        managed_by=Owner(row.managed_by),
        expires_at=row.expires_at,
        quota_bytes=row.quota_bytes,
        protocols=frozenset(row.protocols),
        networks=tuple(row.networks),
        totp_enrolled=row.totp_enrolled,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def group_of(row: Row[Any]) -> Group:
    """Read a row of ``groups``."""
    return Group(id=row.id, name=row.name, managed_by=Owner(row.managed_by), created_at=row.created_at)


def identity_of(row: Row[Any]) -> Identity:
    """Read a row of ``identities``."""
    return Identity(
        user_id=row.user_id,
        provider=row.provider,
        external_id=row.external_id,
        linked_at=row.linked_at,
        hint=row.hint,
        active=row.active,
        role=Role(row.role) if row.role else None,
        role_overruled=row.role_overruled,
        expires_at=row.expires_at,
    )


def provider_of(row: Row[Any]) -> StoredProvider:
    """Read a row of ``providers``."""
    return StoredProvider(
        name=row.name,
        kind=row.kind,
        options=dict(row.options),
        secrets=dict(row.secrets),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def role_mapping_of(row: Row[Any]) -> RoleMapping:
    """Read a row of ``role_mappings``."""
    return RoleMapping(
        provider=row.provider,
        external_id=row.external_id,
        role=Role(row.role),
        group_name=row.group_name,
        confirmed_by=row.confirmed_by,
        confirmed_at=row.confirmed_at,
    )


def ssh_key_of(row: Row[Any]) -> SshKey:
    """Read a row of ``ssh_keys``."""
    return SshKey(
        id=row.id,
        user_id=row.user_id,
        algorithm=row.algorithm,
        blob=row.blob,
        fingerprint=row.fingerprint,
        title=row.title,
        expires_at=row.expires_at,
        networks=tuple(row.networks),
        read_only=row.read_only,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def api_key_of(row: Row[Any]) -> ApiKey:
    """Read a row of ``api_keys``."""
    return ApiKey(
        id=row.id,
        user_id=row.user_id,
        digest=row.digest,
        title=row.title,
        protocols=frozenset(row.protocols),
        path_prefixes=tuple(row.path_prefixes),
        read_only=row.read_only,
        networks=tuple(row.networks),
        expires_at=row.expires_at,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def folder_of(row: Row[Any]) -> Folder:
    """Read a row of ``folders``."""
    return Folder(
        id=row.id,
        name=row.name,
        backend=row.backend,
        options=dict(row.options),
        quota_bytes=row.quota_bytes,
        created_at=row.created_at,
    )


def grant_of(row: Row[Any]) -> Grant:
    """Read a row of ``grants``."""
    return Grant(
        id=row.id,
        path=row.path,
        allow=frozenset(row.allow),
        deny=frozenset(row.deny),
        user_id=row.user_id,
        group_id=row.group_id,
        folder_id=row.folder_id,
        created_at=row.created_at,
    )


def session_of(row: Row[Any]) -> SessionRow:
    """Read a row of ``sessions``."""
    return SessionRow(
        id=row.id,
        user_id=row.user_id,
        user_name=row.user_name,
        front_end=row.front_end,
        peer=row.peer,
        factor=row.factor,
        credential_id=row.credential_id,
        epoch=row.epoch,
        worker=row.worker,
        opened_at=row.opened_at,
        seen_at=row.seen_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
    )


def revocation_of(row: Row[Any]) -> Revocation:
    """Read a row of ``revocations``."""
    return Revocation(
        sequence=row.sequence, user_id=row.user_id, session_id=row.session_id, reason=row.reason, at=row.at
    )


def audit_event_of(row: Row[Any]) -> AuditEvent:
    """Read a row of ``audit_events``."""
    return AuditEvent(
        id=row.id,
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        subject=row.subject,
        outcome=row.outcome,
        reason=row.reason,
        front_end=row.front_end,
        peer=row.peer,
        session_id=row.session_id,
        detail=row.detail,
    )
