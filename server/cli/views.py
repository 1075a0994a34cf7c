"""The records as commands show them: stable field names, times in ISO 8601 UTC, and no secret."""

from __future__ import annotations

from server.cli.output import moment
from storage.database.records import ApiKey, AuditEvent, Folder, Grant, Group, SessionRow, SshKey, User

View = dict[str, object]


def user_view(user: User) -> View:
    """Show a user."""
    return {
        "id": user.id,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "method": user.method.value,
        "provider": user.provider,
        "status": user.status.value,
        "role": user.role.value,
        "break_glass": user.break_glass,
        "managed_by": user.managed_by.value,
        "home": user.home,
        "quota_bytes": user.quota_bytes,
        "protocols": sorted(user.protocols),
        "networks": list(user.networks),
        "totp_enrolled": user.totp_enrolled,
        "expires_at": moment(user.expires_at),
        "epoch": user.epoch,
        "created_at": moment(user.created_at),
        "updated_at": moment(user.updated_at),
    }


def group_view(group: Group) -> View:
    """Show a group."""
    return {
        "id": group.id,
        "name": group.name,
        "managed_by": group.managed_by.value,
        "created_at": moment(group.created_at),
    }


def ssh_key_view(key: SshKey, user_name: str) -> View:
    """Show an SSH key."""
    return {
        "id": key.id,
        "user": user_name,
        "algorithm": key.algorithm,
        "fingerprint": key.fingerprint,
        "title": key.title,
        "networks": list(key.networks),
        "read_only": key.read_only,
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
        "last_used_at": moment(key.last_used_at),
        "revoked_at": moment(key.revoked_at),
    }


def api_key_view(key: ApiKey, user_name: str) -> View:
    """Show an API key; its secret part is kept nowhere."""
    return {
        "id": key.id,
        "user": user_name,
        "title": key.title,
        "protocols": sorted(key.protocols),
        "paths": list(key.path_prefixes),
        "networks": list(key.networks),
        "read_only": key.read_only,
        "expires_at": moment(key.expires_at),
        "created_at": moment(key.created_at),
        "last_used_at": moment(key.last_used_at),
        "revoked_at": moment(key.revoked_at),
    }


def folder_view(folder: Folder) -> View:
    """Show a shared folder."""
    return {
        "id": folder.id,
        "name": folder.name,
        "backend": folder.backend,
        "options": dict(folder.options),
        "quota_bytes": folder.quota_bytes,
        "created_at": moment(folder.created_at),
    }


def grant_view(grant: Grant, *, user: str | None, group: str | None, folder: str | None) -> View:
    """Show a grant with the names of what it joins."""
    return {
        "id": grant.id,
        "user": user,
        "group": group,
        "path": grant.path,
        "folder": folder,
        "allow": sorted(grant.allow),
        "deny": sorted(grant.deny),
        "created_at": moment(grant.created_at),
    }


def session_view(row: SessionRow) -> View:
    """Show a session."""
    return {
        "id": row.id,
        "user": row.user_name,
        "front_end": row.front_end,
        "peer": row.peer,
        "factor": row.factor,
        "credential_id": row.credential_id,
        "worker": row.worker,
        "opened_at": moment(row.opened_at),
        "seen_at": moment(row.seen_at),
    }


def audit_view(event: AuditEvent) -> View:
    """Show one event of the audit trail."""
    return {
        "id": event.id,
        "at": moment(event.at),
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "outcome": event.outcome,
        "reason": event.reason,
        "front_end": event.front_end,
        "peer": event.peer,
        "session_id": event.session_id,
        "detail": event.detail,
    }
