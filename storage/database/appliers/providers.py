"""Changes of providers and of the roles that their groups give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Effect
from storage.database.appliers.roles import give_roles, members_by_client
from storage.database.change_types import DeleteProvider, MapRole, ProviderChange, PutProvider, UnmapRole
from storage.database.errors import Conflict, InvalidChange, NotFoundInStore
from storage.database.records import Role
from storage.database.scim_tables import (
    migration_pilots,
    migrations,
    scim_conflicts,
    scim_groups,
    scim_holds,
    scim_tokens,
    tombstones,
)
from storage.database.tables import (
    group_identities,
    identities,
    leases,
    providers,
    role_mappings,
    sync_conflicts,
    sync_states,
    users,
)

SHOWN_USERS = 10


def apply_provider_change(tx: Connection, change: ProviderChange, actor: str, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case PutProvider():
            return _put(tx, change, now)
        case DeleteProvider():
            return _delete(tx, change, now)
        case MapRole():
            return _map(tx, change, actor, now)
        case UnmapRole():
            return _unmap(tx, change)
    assert_never(change)


def _put(tx: Connection, change: PutProvider, now: float) -> Effect:
    name = checks.token(change.name, "A provider's name")
    row = {"options": dict(change.options), "secrets": dict(change.secrets), "updated_at": now}
    present = tx.execute(select(providers).where(providers.c.name == name)).one_or_none()
    if present is None:
        tx.execute(insert(providers), {"name": name, "kind": change.kind, "created_at": now, **row})
        return Effect("provider.created", f"provider:{name}", name, detail={"kind": change.kind})
    if present.kind != change.kind:
        raise Conflict(f"The provider {name!r} is of the kind {present.kind}.")
    tx.execute(update(providers).where(providers.c.name == name).values(**row))
    changed = sorted(_differing(present.options, change.options) | _differing(present.secrets, change.secrets))
    return Effect("provider.updated", f"provider:{name}", name, changed=bool(changed), detail={"options": changed})


def _differing(old: Mapping[str, object], new: Mapping[str, object]) -> set[str]:
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def _delete(tx: Connection, change: DeleteProvider, now: float) -> Effect:
    if tx.execute(select(providers.c.name).where(providers.c.name == change.name)).first() is None:
        raise NotFoundInStore(f"There is no provider {change.name!r} in the database.")
    if change.shadowed:
        tx.execute(delete(providers).where(providers.c.name == change.name))
        return Effect("provider.deleted", f"provider:{change.name}", change.name, detail={"shadowed": True})
    running = select(leases.c.holder).where(leases.c.name == f"sync:{change.name}", leases.c.until > now)
    if tx.execute(running).first():
        raise Conflict(f"The sync of {change.name!r} is running; wait for its end.")
    refuse_dependants(tx, change.name)
    tx.execute(delete(identities).where(identities.c.provider == change.name))
    tx.execute(delete(group_identities).where(group_identities.c.provider == change.name))
    tx.execute(delete(role_mappings).where(role_mappings.c.provider == change.name))
    tx.execute(delete(sync_states).where(sync_states.c.provider == change.name))
    tx.execute(delete(sync_conflicts).where(sync_conflicts.c.provider == change.name))
    for table in (scim_tokens, scim_conflicts, scim_holds, scim_groups, tombstones, migration_pilots):
        tx.execute(delete(table).where(table.c.provider == change.name))
    tx.execute(delete(providers).where(providers.c.name == change.name))
    return Effect("provider.deleted", f"provider:{change.name}", change.name)


def refuse_dependants(tx: Connection, provider: str) -> None:
    """Raise Conflict with the names of those who belong to the provider, if there are any.

    Whoever moved on from it keeps a link there for the sync alone, and needs it no more.
    """
    moved = select(migrations.c.user_id).where(migrations.c.from_provider == provider, migrations.c.undone_at.is_(None))
    linked = select(identities.c.user_id).where(identities.c.provider == provider, identities.c.user_id.not_in(moved))
    depends = or_(users.c.provider == provider, users.c.id.in_(linked))
    count = tx.execute(select(func.count()).select_from(users).where(depends)).scalar_one()
    if not count:
        return
    names = tx.execute(select(users.c.name).where(depends).order_by(users.c.name).limit(SHOWN_USERS)).scalars().all()
    more = f" and {count - len(names)} more" if count > len(names) else ""
    who = "1 user depends" if count == 1 else f"{count} users depend"
    raise Conflict(f"{who} on the provider {provider!r}: {', '.join(names)}{more}.")


def _map(tx: Connection, change: MapRole, actor: str, now: float) -> Effect:
    if change.role is Role.USER:
        raise InvalidChange("A group can give the roles group-admin, read-only-admin and admin.")
    row = {
        "role": change.role.value,
        "group_name": checks.text(change.group_name, "A group's name"),
        "confirmed_by": actor,
        "confirmed_at": now,
    }
    key = {
        "provider": checks.token(change.provider, "A provider's name"),
        "external_id": checks.text(change.external_id, "An external id", limit=1024, required=True),
    }
    tx.execute(delete(role_mappings).where(_same(change)))
    tx.execute(insert(role_mappings), key | row)
    detail: dict[str, object] = {"external_id": change.external_id, "role": change.role, "group": change.group_name}
    affected = _follow_roles(tx, change, detail)
    return Effect("provider.role_mapped", f"provider:{change.provider}", change.provider, affected, detail=detail)


def _unmap(tx: Connection, change: UnmapRole) -> Effect:
    removed = tx.execute(delete(role_mappings).where(_same(change))).rowcount
    detail: dict[str, object] = {"external_id": change.external_id}
    subject = f"provider:{change.provider}"
    affected = _follow_roles(tx, change, detail)
    return Effect("provider.role_unmapped", subject, change.provider, affected, bool(removed), detail)


def _follow_roles(tx: Connection, change: MapRole | UnmapRole, detail: dict[str, object]) -> tuple[str, ...]:
    """Give those whom a SCIM client holds in the group their role at once: no run of a sync will."""
    members = members_by_client(tx, change.provider, change.external_id)
    changed = give_roles(tx, change.provider, members)
    if changed:
        detail["roles_changed"] = sorted(changed)
    return tuple(sorted(changed))


def _same(change: MapRole | UnmapRole) -> ColumnElement[bool]:
    return and_(role_mappings.c.provider == change.provider, role_mappings.c.external_id == change.external_id)
