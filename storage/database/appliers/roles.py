"""The role that a provider's groups give: worked out anew for who joins or leaves one, and when a mapping changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import BindParameter, Connection, and_, bindparam, select, update

from storage.database.appliers.effect import chunks
from storage.database.provisioning import with_role
from storage.database.records import RANK, Owner, Role
from storage.database.rows import identity_of, user_of
from storage.database.tables import group_identities, identities, memberships, role_mappings, users

_IDS: BindParameter[str] = bindparam("ids", expanding=True)
# Here and below, what is the same for all users of a provider stands in an expression, so that the database goes by
# the few users named: PostgreSQL prefers the indexes of groups and providers while it knows little of the tables,
# and would read everybody who is in them.
_HELD = (
    select(memberships.c.user_id, role_mappings.c.role)
    .join(group_identities, group_identities.c.group_id == memberships.c.group_id.concat(""))
    .join(
        role_mappings,
        and_(
            role_mappings.c.provider == group_identities.c.provider,
            role_mappings.c.external_id == group_identities.c.external_id,
        ),
    )
    .where(
        memberships.c.user_id.in_(_IDS),
        memberships.c.owner == Owner.SCIM.value,
        group_identities.c.provider == bindparam("provider"),
    )
)
_PEOPLE = select(users).where(
    users.c.id.in_(_IDS), users.c.managed_by == Owner.SCIM.value, users.c.provider == bindparam("provider")
)
_THEIR_LINKS = and_(identities.c.user_id.in_(_IDS), identities.c.provider.concat("") == bindparam("at"))
_LINKS = select(identities).where(_THEIR_LINKS)
# Of two links the one that knows of a role counts: a new one must not make the client's role look like an admin's.
_LINKS_IN_ORDER = _LINKS.order_by(identities.c.role_overruled, identities.c.role != "", identities.c.linked_at)
_ANY = select(role_mappings.c.external_id).where(role_mappings.c.provider == bindparam("provider")).limit(1)
_SAID = _LINKS.where(identities.c.role != "").limit(1)


def give_roles(tx: Connection, provider: str, user_ids: Sequence[str]) -> dict[str, Role]:
    """Give these users of a SCIM client the role of their groups; the new role of each whose role changed.

    A role that an admin said is left, as everywhere.
    """
    changed: dict[str, Role] = {}
    is_mapped = bool(user_ids) and tx.execute(_ANY, {"provider": provider}).first() is not None
    for ids in chunks(user_ids):
        given: dict[str, object] = {"ids": ids, "provider": provider, "at": provider}
        if not is_mapped and tx.execute(_SAID, given).first() is None:
            continue
        wanted: dict[str, list[Role]] = defaultdict(list)
        for user_id, role in tx.execute(_HELD, given):
            wanted[user_id].append(Role(role))
        links = {row.user_id: identity_of(row) for row in tx.execute(_LINKS_IN_ORDER, given)}
        said: dict[tuple[Role | None, bool], list[str]] = defaultdict(list)
        roles: dict[Role, list[str]] = defaultdict(list)
        for row in tx.execute(_PEOPLE, given):
            user, link = user_of(row), links.get(row.id)
            if link is None:
                continue
            told = with_role(user, link, max(wanted[user.id], key=RANK.__getitem__, default=None))
            if told.identity != link:
                said[told.identity.role, told.identity.role_overruled].append(user.id)
            if told.user.role is not user.role:
                roles[told.user.role].append(user.id)
        for (role_said, overruled), some in said.items():
            kept = update(identities).where(_THEIR_LINKS).values(role=role_said or "", role_overruled=overruled)
            tx.execute(kept, {"ids": some, "at": provider})
        for role_given, some in roles.items():
            tx.execute(update(users).where(users.c.id.in_(some)).values(role=role_given.value))
            changed |= dict.fromkeys(some, role_given)
    return changed


def members_by_client(tx: Connection, provider: str, external_id: str) -> list[str]:
    """Give the ids of those whom the SCIM client of this provider holds in the group of this external id."""
    query = (
        select(memberships.c.user_id)
        .join(group_identities, group_identities.c.group_id == memberships.c.group_id)
        .where(
            group_identities.c.provider == provider,
            group_identities.c.external_id == external_id,
            memberships.c.owner == Owner.SCIM.value,
        )
    )
    return sorted(tx.execute(query).scalars())
