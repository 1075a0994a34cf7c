"""Changes that a SCIM client makes of groups: always by deltas, so that a large group is not read to add one member."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, assert_never

from sqlalchemy import BindParameter, Connection, Row, and_, bindparam, delete, insert, select, update

from storage.database.appliers import checks
from storage.database.appliers.effect import Also, Effect, chunks, member_ids, new_id
from storage.database.appliers.roles import give_roles
from storage.database.errors import InvalidChange, InvalidName, NotFoundInStore, Stale, Taken
from storage.database.names import MAX_NAME_LENGTH, canonical_name
from storage.database.records import Owner
from storage.database.scim_changes import (
    AddMembers,
    ClearMembers,
    Document,
    MemberStep,
    RemoveMembers,
    ReplaceMembers,
    ScimCreateGroup,
    ScimDeleteGroup,
    ScimGroupChange,
    ScimUpdateGroup,
)
from storage.database.scim_tables import STILL_THE_CLIENTS, scim_groups, scim_users
from storage.database.tables import grants, group_identities, groups, memberships, users

EVENTS = 1000  # members who get an audit event of their own; of more there is one that names them all
MAX_ODD_NAME = 100  # of a client's name that must be made fit; folding its case may make it longer
_IDS: BindParameter[str] = bindparam("ids", expanding=True)
_BY_ID = select(scim_groups).where(scim_groups.c.group_id == bindparam("group_id"))
_BY_DISPLAY = select(scim_groups.c.group_id).where(
    scim_groups.c.provider == bindparam("provider"), scim_groups.c.display_key == bindparam("display_key")
)
_BY_EXTERNAL_ID = select(group_identities.c.group_id).where(
    group_identities.c.provider == bindparam("provider"), group_identities.c.external_id == bindparam("external_id")
)
# The provider as an expression, so that the database goes by the few users named and not by all of the provider's: see
# appliers/roles.py.
_KNOWN = (
    select(scim_users.c.user_id)
    .join(users, STILL_THE_CLIENTS)
    .where(
        scim_users.c.user_id.in_(_IDS),
        scim_users.c.provider.concat("") == bindparam("provider"),
        scim_users.c.deleted_at.is_(None),
    )
)
_HELD = select(memberships.c.user_id).where(
    memberships.c.group_id == bindparam("group_id"), memberships.c.owner == Owner.SCIM.value
)
# The group as an expression, so that the database goes by the few users named: see appliers/roles.py.
_AMONG = and_(
    memberships.c.user_id.in_(_IDS),
    memberships.c.group_id.concat("") == bindparam("group_id"),
    memberships.c.owner == Owner.SCIM.value,
)
_HELD_OF = select(memberships.c.user_id).where(_AMONG)
_END = delete(memberships).where(_AMONG)
_NAMES = select(users.c.id, users.c.name).where(users.c.id.in_(_IDS))


def apply_scim_group_change(tx: Connection, change: ScimGroupChange, now: float) -> Effect:
    """Make the change inside the transaction and say what it did."""
    match change:
        case ScimCreateGroup():
            return _create(tx, change, now)
        case ScimUpdateGroup():
            return _update(tx, change, now)
        case ScimDeleteGroup():
            return _delete(tx, change)
    assert_never(change)


def _create(tx: Connection, change: ScimCreateGroup, now: float) -> Effect:
    display = checks.text(change.display_name, "A group's displayName", required=True)
    _refuse_second(tx, change.provider, display, "")
    group_id = new_id()
    name = _free_name(tx, display, change.provider, group_id)
    external_id = _refuse_second_id(tx, change.provider, change.external_id, group_id)
    row = {"id": group_id, "name": name, "managed_by": Owner.SCIM.value, "created_at": now}
    tx.execute(insert(groups), row)
    link = {"group_id": group_id, "provider": change.provider, "external_id": external_id, "hint": display}
    tx.execute(insert(group_identities), link | {"linked_at": now})
    said = {
        "group_id": group_id,
        "provider": change.provider,
        "display_name": display,
        "display_key": display.casefold(),
        "external_id": change.external_id,
        "document": dict(change.document),
        "version": 1,
        "created_at": now,
        "modified_at": now,
    }
    tx.execute(insert(scim_groups), said)
    moves = _Moves(tx, change.provider, group_id)
    moves.take(AddMembers(change.members))
    detail: dict[str, object] = {"provider": change.provider, "external_id": external_id, "display_name": display}
    also, affected = moves.finish(name)
    return Effect("group.created", f"group:{name}", group_id, affected, detail=detail, also=also)


def _update(tx: Connection, change: ScimUpdateGroup, now: float) -> Effect:
    row = scim_group_row(tx, change.provider, change.group_id, change.version)
    name = tx.execute(select(groups.c.name).where(groups.c.id == row.group_id)).scalar_one()
    values: dict[str, object] = {}
    detail: dict[str, object] = {}
    if change.display_name is not None and change.display_name != row.display_name:
        display = checks.text(change.display_name, "A group's displayName", required=True)
        _refuse_second(tx, change.provider, display, row.group_id)
        new_name = _free_name(tx, display, change.provider, row.group_id)
        tx.execute(update(groups).where(groups.c.id == row.group_id).values(name=new_name))
        tx.execute(update(group_identities).where(_link_of(row)).values(hint=display))
        values |= {"display_name": display, "display_key": display.casefold()}
        detail |= {"display_name": display, "old_name": name}
        name = new_name
    moves = _Moves(tx, change.provider, row.group_id)
    if change.external_id is not None and change.external_id != row.external_id:
        values["external_id"] = change.external_id
        detail["old_external_id"] = row.external_id
    if change.external_id and change.external_id != row.external_id:  # one that is taken away stays the key of roles
        external_id = _refuse_second_id(tx, change.provider, change.external_id, row.group_id)
        tx.execute(update(group_identities).where(_link_of(row)).values(external_id=external_id))
        detail["external_id"] = external_id
        moves.others.update(tx.execute(_HELD, {"group_id": row.group_id}).scalars())  # their roles hang on it
    if change.document is not None and _as_json(change.document) != _as_json(row.document):
        values["document"] = dict(change.document)
        detail["extensions"] = sorted({*change.document, *row.document})
    for step in change.steps:
        moves.take(step)
    also, affected = moves.finish(name)
    if not values and not moves.changed:
        return Effect("group.updated", f"group:{name}", row.group_id, changed=False)
    values |= {"version": row.version + 1, "modified_at": now}
    tx.execute(update(scim_groups).where(scim_groups.c.group_id == row.group_id).values(**values))
    detail |= {"provider": change.provider, "joined": len(moves.joined), "left": len(moves.left)}
    kind = "group.renamed" if "old_name" in detail else "group.updated"
    return Effect(kind, f"group:{name}", row.group_id, affected, detail=detail, also=also)


def _delete(tx: Connection, change: ScimDeleteGroup) -> Effect:
    row = scim_group_row(tx, change.provider, change.group_id, change.version)
    name = tx.execute(select(groups.c.name).where(groups.c.id == row.group_id)).scalar_one()
    moves = _Moves(tx, change.provider, row.group_id)
    moves.take(ClearMembers())
    also, affected = moves.finish(name)
    needed = tx.execute(select(grants.c.id).where(grants.c.group_id == row.group_id)).first() is not None
    others = bool(member_ids(tx, row.group_id))
    tx.execute(delete(scim_groups).where(scim_groups.c.group_id == row.group_id))
    tx.execute(delete(group_identities).where(_link_of(row)))  # a new group never inherits an old one's grants
    if not needed and not others:
        tx.execute(delete(groups).where(groups.c.id == row.group_id))
    else:
        tx.execute(update(groups).where(groups.c.id == row.group_id).values(managed_by=Owner.MANUAL.value))
    detail: dict[str, object] = {"provider": change.provider, "left": len(moves.left), "kept": needed or others}
    return Effect("group.departed", f"group:{name}", row.group_id, affected, detail=detail, also=also)


def scim_group_row(tx: Connection, provider: str, group_id: str, version: int | None = None) -> Row[Any]:
    """Give what a client said of a group of its own. Raises NotFoundInStore, Stale."""
    row = tx.execute(_BY_ID, {"group_id": group_id}).one_or_none()
    if row is None or row.provider != provider:
        raise NotFoundInStore("There is no such group.")
    if version is not None and row.version != version:
        raise Stale("The group has been changed meanwhile.")
    return row


# Members ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Moves:
    """Who joins and who leaves a group by one request; ``others`` are members whose role may change all the same."""

    tx: Connection
    provider: str
    group_id: str
    joined: dict[str, None] = field(default_factory=dict)
    left: dict[str, None] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    @property
    def changed(self) -> bool:
        return bool(self.joined or self.left)

    def take(self, step: MemberStep) -> None:
        match step:
            case AddMembers(ids=ids):
                self._add(ids)
            case RemoveMembers(ids=ids):
                self._remove(ids)
            case ReplaceMembers(ids=ids):
                wanted = frozenset(ids)
                self._add(ids)
                self._remove([user_id for user_id in self._all() if user_id not in wanted])
            case ClearMembers():
                self._remove(self._all())
            case _:
                assert_never(step)

    def _all(self) -> list[str]:
        return sorted(self.tx.execute(_HELD, {"group_id": self.group_id}).scalars())

    def _add(self, ids: Iterable[str]) -> None:
        for chunk in chunks(dict.fromkeys(ids)):
            known = set(self.tx.execute(_KNOWN, {"ids": chunk, "provider": self.provider}).scalars())
            if unknown := [user_id for user_id in chunk if user_id not in known]:
                raise InvalidChange(f"There is no user {unknown[0]!r} who could be a member.")
            held = set(self.tx.execute(_HELD_OF, {"ids": chunk, "group_id": self.group_id}).scalars())
            new = [user_id for user_id in chunk if user_id not in held]
            if new:
                rows = [{"user_id": one, "group_id": self.group_id, "owner": Owner.SCIM.value} for one in new]
                self.tx.execute(insert(memberships), rows)
            for user_id in new:
                if user_id in self.left:
                    del self.left[user_id]
                else:
                    self.joined[user_id] = None

    def _remove(self, ids: Iterable[str]) -> None:
        for chunk in chunks(dict.fromkeys(ids)):
            held = sorted(self.tx.execute(_HELD_OF, {"ids": chunk, "group_id": self.group_id}).scalars())
            if held:
                self.tx.execute(_END, {"ids": held, "group_id": self.group_id})
            for user_id in held:
                if user_id in self.joined:
                    del self.joined[user_id]
                else:
                    self.left[user_id] = None

    def finish(self, name: str) -> tuple[tuple[Also, ...], tuple[str, ...]]:
        """Give roles, and say what there is to tell of the members, and whose rights have changed."""
        moved = [*self.joined, *self.left]
        roles = give_roles(self.tx, self.provider, sorted({*moved, *self.others}))
        about: dict[str, object] = {"group": name, "group_id": self.group_id, "owner": Owner.SCIM}
        events: list[Also] = []
        if len(moved) > EVENTS:
            everybody = about | {"joined": list(self.joined), "left": list(self.left)}
            events.append(Also("group.members_changed", f"group:{name}", self.group_id, everybody))
        else:
            names = _names(self.tx, moved)
            events += [Also("member.added", names[one], one, about) for one in self.joined]
            events += [Also("member.removed", names[one], one, about) for one in self.left]
        if len(roles) > EVENTS:
            events.append(Also("group.roles_given", f"group:{name}", self.group_id, about | {"roles": roles}))
        else:
            names = _names(self.tx, roles)
            events += [Also("user.role_given", names[one], one, {"role": role, **about}) for one, role in roles.items()]
        return tuple(events), tuple(sorted({*moved, *roles}))


def _names(tx: Connection, ids: Iterable[str]) -> dict[str, str]:
    return {row.id: row.name for chunk in chunks(ids) for row in tx.execute(_NAMES, {"ids": chunk})}


# Names --------------------------------------------------------------------------------------------


def _refuse_second(tx: Connection, provider: str, display: str, group_id: str) -> None:
    given = {"provider": provider, "display_key": display.casefold()}
    holder = tx.execute(_BY_DISPLAY, given).scalar_one_or_none()
    if holder is not None and holder != group_id:
        raise Taken("A group with this displayName exists already.", holder)


def _refuse_second_id(tx: Connection, provider: str, external_id: str, group_id: str) -> str:
    """Give the immutable id: the client's own, or ours where it has none. Raises Taken."""
    wanted = checks.text(external_id, "An externalId", limit=1024) or group_id
    holder = tx.execute(_BY_EXTERNAL_ID, {"provider": provider, "external_id": wanted}).scalar_one_or_none()
    if holder is not None and holder != group_id:
        raise Taken("A group with this externalId exists already.", holder)
    return wanted


def _free_name(tx: Connection, display: str, provider: str, group_id: str) -> str:
    """Give a name that no other group has; two sources' groups of one name are never merged. Raises Taken."""
    name = _name_here(display)
    for wanted in (name, _before(name, f"@{provider}"), _before(name, f" {group_id}@{provider}")):
        holder = tx.execute(select(groups.c.id).where(groups.c.name == wanted)).scalar_one_or_none()
        if holder in {None, group_id}:
            return wanted
    raise Taken("A group of this name exists already.")


def _before(name: str, tail: str) -> str:
    return name[: MAX_NAME_LENGTH - len(tail)].rstrip(". ") + tail


def _name_here(display: str) -> str:
    """Make a group's name of what the client calls it: what no name here may have becomes a hyphen."""
    try:
        return canonical_name(display)
    except InvalidName:
        folded = unicodedata.normalize("NFC", display.casefold())
        kept = " ".join("".join(letter if _fits(letter) else "-" for letter in folded).split()).lstrip("-.@ ")
        return canonical_name(kept[:MAX_ODD_NAME].rstrip(". ") or "group")


def _fits(letter: str) -> bool:
    category = unicodedata.category(letter)
    return letter not in '/\\:*?"<>|' and category[0] != "C" and (category[0] != "Z" or letter == " ")


def _as_json(document: Document) -> str:
    """Give a text that tells 1 from true, which Python takes for the same."""
    return json.dumps(document, sort_keys=True)


def _link_of(row: Row[Any]) -> Any:
    return and_(group_identities.c.provider == row.provider, group_identities.c.group_id == row.group_id)
