"""Changes of shared folders and grants."""

from __future__ import annotations

from typing import Any, assert_never

from sqlalchemy import Connection, Row, delete, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Effect, group_named, member_ids, new_id, user_named
from storage.database.change_types import CreateFolder, DeleteFolder, DeleteGrant, FolderChange, PutGrant
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore
from storage.database.names import canonical_name
from storage.database.tables import dav_locks, dav_properties, folders, grants


def apply_folder_change(tx: Connection, change: FolderChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case CreateFolder():
            return _create(tx, change, now)
        case DeleteFolder():
            return _delete(tx, change)
        case PutGrant():
            return _put(tx, change, now)
        case DeleteGrant():
            return _delete_grant(tx, change)
    assert_never(change)


def _create(tx: Connection, change: CreateFolder, now: float) -> Effect:
    name = canonical_name(change.name)
    if tx.execute(select(folders.c.id).where(folders.c.name == name)).first():
        raise Conflict(f"The folder {name!r} exists already.")
    folder_id = new_id()
    options = {
        checks.token(option, "An option"): checks.text(value, "An option's value", limit=4096)
        for option, value in change.options.items()
    }
    row = {
        "id": folder_id,
        "name": name,
        "backend": checks.token(change.backend, "A backend"),
        "options": options,
        "quota_bytes": checks.size(change.quota_bytes, "A quota"),
        "created_at": now,
    }
    tx.execute(insert(folders), row)
    return Effect("folder.created", f"folder:{name}", folder_id, detail={"backend": change.backend})


def _delete(tx: Connection, change: DeleteFolder) -> Effect:
    folder = _folder_named(tx, change.folder_id)
    held = tx.execute(select(grants).where(grants.c.folder_id == folder.id)).all()
    affected = {user_id for grant in held for user_id in _holders(tx, grant.user_id, grant.group_id)}
    tree = f"folder:{folder.id}"
    tx.execute(delete(dav_locks).where(dav_locks.c.tree == tree))
    tx.execute(delete(dav_properties).where(dav_properties.c.tree == tree))
    tx.execute(delete(folders).where(folders.c.id == folder.id))
    detail: dict[str, object] = {"grants": len(held)}
    return Effect("folder.deleted", f"folder:{folder.name}", folder.id, tuple(sorted(affected)), detail=detail)


def _put(tx: Connection, change: PutGrant, now: float) -> Effect:
    subject = _subject(tx, change.user_id, change.group_id)
    path = checks.path(change.path)
    if change.folder_id is not None:
        _folder_named(tx, change.folder_id)
    rights = {"allow": checks.tokens(change.allow, "A right"), "deny": checks.tokens(change.deny, "A right")}
    holder = grants.c.group_id == change.group_id if change.user_id is None else grants.c.user_id == change.user_id
    there = tx.execute(select(grants).where(holder, grants.c.path == path)).all()
    if change.folder_id is not None and any(grant.folder_id not in {None, change.folder_id} for grant in there):
        raise Conflict(f"Another folder is mounted at {path} by a grant of the same holder.")
    detail: dict[str, object] = {"path": path, "folder_id": change.folder_id, **rights}
    same = next((grant for grant in there if grant.folder_id == change.folder_id), None)
    if same is not None and (same.allow, same.deny) == (rights["allow"], rights["deny"]):
        return Effect("grant.put", subject, same.id, changed=False, detail=detail)
    grant_id = new_id() if same is None else same.id
    if same is None:
        place = {"path": path, "user_id": change.user_id, "group_id": change.group_id, "folder_id": change.folder_id}
        tx.execute(insert(grants), {"id": grant_id, "created_at": now, **place, **rights})
    else:
        tx.execute(update(grants).where(grants.c.id == grant_id).values(**rights))
    return Effect("grant.put", subject, grant_id, _holders(tx, change.user_id, change.group_id), detail=detail)


def _delete_grant(tx: Connection, change: DeleteGrant) -> Effect:
    grant = tx.execute(select(grants).where(grants.c.id == change.grant_id)).one_or_none()
    if grant is None:
        raise NotFoundInStore("There is no such grant.")
    subject = _subject(tx, grant.user_id, grant.group_id)
    tx.execute(delete(grants).where(grants.c.id == grant.id))
    detail: dict[str, object] = {"path": grant.path, "folder_id": grant.folder_id}
    return Effect("grant.deleted", subject, grant.id, _holders(tx, grant.user_id, grant.group_id), detail=detail)


def _folder_named(tx: Connection, folder_id: str) -> Row[Any]:
    folder = tx.execute(select(folders).where(folders.c.id == folder_id)).one_or_none()
    if folder is None:
        raise NotFoundInStore("There is no such folder.")
    return folder


def _subject(tx: Connection, user_id: str | None, group_id: str | None) -> str:
    """Name the holder of a grant, which is exactly one user or one group that exists."""
    if user_id is not None and group_id is None:
        return user_named(tx, user_id).name
    if group_id is not None and user_id is None:
        return f"group:{group_named(tx, group_id).name}"
    raise InvalidChange("A grant is for either a user or a group.")


def _holders(tx: Connection, user_id: str | None, group_id: str | None) -> tuple[str, ...]:
    """Give the users whom a grant to this holder reaches."""
    if user_id is not None:
        return (user_id,)
    return () if group_id is None else member_ids(tx, group_id)
