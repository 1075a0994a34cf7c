"""Short ways to be the SCIM client of a provider at a user store, without HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from storage.database.changes import AddMember, Applied, apply
from storage.database.records import Method, Owner, User
from storage.database.scim import ScimGroup, ScimUser
from storage.database.scim_changes import (
    EndLimit,
    MemberStep,
    PersonFacts,
    ScimChange,
    ScimCreateGroup,
    ScimCreateUser,
    ScimDeleteUser,
    ScimUpdateGroup,
    ScimUpdateUser,
)
from storage.database.store import Store
from tests.support.store_rows import user_again

CLIENT = "scim:entra"
ENTRA = "entra"
OKTA = "okta"
NAMES = {"user_name": "userName", "external_id": "externalId", "display_name": "displayName"}


def person(name: str = "ann", external_id: str | None = None, **more: object) -> dict[str, Any]:
    """Give the document of a person; the external id is made of the name unless it is said."""
    said = f"oid-{name}" if external_id is None else external_id
    found = {"userName": name, "externalId": said, "active": True, **more}
    return {key: value for key, value in found.items() if value != ""}


def facts_of(document: dict[str, Any]) -> PersonFacts:
    """Give what counts of a document."""
    emails = tuple(entry["value"] for entry in document.get("emails", []))
    return PersonFacts(
        user_name=document["userName"],
        external_id=document.get("externalId", ""),
        display_name=document.get("displayName", ""),
        email=emails[0] if emails else "",
        emails=emails,
        active=document["active"],
    )


def creation(document: dict[str, Any], provider: str = ENTRA, **fields: Any) -> ScimCreateUser:
    """Give the change that makes this person a user."""
    return ScimCreateUser(provider, fields.pop("method", Method.SAML), facts_of(document), document, **fields)


def join(
    store: Store, name: str = "ann", external_id: str | None = None, *, provider: str = ENTRA, **more: Any
) -> User:
    """Make the user of a person and give the record."""
    document = person(name, external_id, **more)
    return user_again(store, store.apply(creation(document, provider), actor=CLIENT).subject_id)


def join_many(store: Store, count: int, *, provider: str = ENTRA, prefix: str = "user") -> list[str]:
    """Make so many active users in one transaction and give their ids."""
    people = [creation(person(f"{prefix}-{number:05}"), provider) for number in range(count)]
    answers = store.apply_each(people, actor=CLIENT)
    assert all(isinstance(answer, Applied) for answer in answers)
    return [answer.subject_id for answer in answers if isinstance(answer, Applied)]


def said_of(store: Store, user: User | str) -> ScimUser:
    """Give what a client said of this user, whoever the client is."""
    found = store.scim_people.any_by_id(user if isinstance(user, str) else user.id)
    assert found is not None
    return found


def revision(
    store: Store,
    user: User | str,
    *,
    version: int | None = None,
    limit: EndLimit | None = EndLimit(),  # noqa: B008 - a frozen value
    **changes: Any,
) -> ScimUpdateUser:
    """Give the change that puts these attributes into the present document; "" takes one away."""
    present = said_of(store, user)
    document = present.document | {NAMES.get(name, name): value for name, value in changes.items()}
    document = {name: value for name, value in document.items() if value != ""}
    seen = present.version if version is None else version
    return ScimUpdateUser(present.provider, present.user_id, facts_of(document), document, seen, limit)


def say(store: Store, user: User | str, **changes: Any) -> Applied:
    """Let the client change these attributes of a user."""
    return store.apply(revision(store, user, **changes), actor=CLIENT)


def say_at(store: Store, change: ScimChange, now: float) -> Applied:
    """Make a change at this time."""
    return apply(store._database, change, actor=CLIENT, now=now)


def put_out(store: Store, ids: Iterable[str], *, limit: EndLimit | None = EndLimit()) -> list[object]:  # noqa: B008
    """Let the client end these users' access, each by its own change in one transaction, and give the answers."""
    return list(store.apply_each([revision(store, one, active=False, limit=limit) for one in ids], actor=CLIENT))


def leave(store: Store, user: User | str, provider: str = ENTRA) -> Applied:
    """Let the client delete the person."""
    user_id = user if isinstance(user, str) else user.id
    return store.apply(ScimDeleteUser(provider, user_id), actor=CLIENT)


def make_scim_group(
    store: Store, name: str = "Crew", *members: str, external_id: str = "", provider: str = ENTRA
) -> str:
    """Make a group of a client and give its id."""
    return store.apply(ScimCreateGroup(provider, name, external_id, members), actor=CLIENT).subject_id


def regroup(store: Store, group_id: str, *steps: MemberStep, provider: str = ENTRA, **fields: Any) -> Applied:
    """Let the client change a group."""
    return store.apply(ScimUpdateGroup(provider, group_id, steps=steps, **fields), actor=CLIENT)


def group_said(store: Store, group_id: str, provider: str = ENTRA) -> ScimGroup:
    """Give what the client said of a group."""
    found = store.scim_groups.by_id(provider, group_id)
    assert found is not None
    return found


def held(store: Store, group_id: str) -> set[str]:
    """Give the ids of those whom the client holds in a group."""
    return {member for member, _ in store.scim_groups.members(group_id)}


def hold_by_hand(store: Store, user: User | str, group_id: str, owner: Owner = Owner.MANUAL) -> Applied:
    """Let an admin (or another owner) put a user into a group."""
    return store.apply(AddMember(user if isinstance(user, str) else user.id, group_id, owner), actor="admin")
