"""What must change for one person: pure, so that a dry run shows exactly what a run does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from auth_backends.ldap.sync.people import Person, home_of_id
from config.ldap import Departure, LdapProvider
from config.providers import HomeLayout
from storage.database.change_types import Depart, Provision
from storage.database.errors import Conflict
from storage.database.provisioning import Provisioned, provisioned
from storage.database.records import RANK, Method, Owner, Role, RoleMapping, Status, User
from storage.database.sources import LinkedUser

DEFAULT_GROUP = "@default"
"""Stands for the provider's default group among the external ids of groups; no directory has such an id."""

TAKEN = "is or was another user's; hand that user over with 'quaymaster user adopt', or rename one of the two"

NOT_REQUIRED = "in none of the required groups"


class Action(StrEnum):
    """What a run does with a person or a group."""

    CREATE = "create"
    CHANGE = "change"
    DISABLE = "disable"
    DELETE = "delete"
    SKIP = "skip"
    CREATE_GROUP = "create-group"
    RENAME_GROUP = "rename-group"
    DELETE_GROUP = "delete-group"
    SKIP_GROUP = "skip-group"

    @property
    def ends(self) -> bool:
        """Whether the person is out afterwards: what the circuit breaker counts."""
        return self in {Action.DISABLE, Action.DELETE}


@dataclass(frozen=True, slots=True)
class Step:
    """One person's change. ``groups`` are external ids, to be turned into ids when the groups exist."""

    action: Action
    subject: str
    external_id: str
    change: Provision | Depart | None = None
    groups: frozenset[str] = frozenset()
    reason: str = ""
    hint: str = ""
    conflict: bool = False
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans by one provider's rules. ``roles`` are the confirmed mappings, by the group's external id."""

    name: str
    provider: LdapProvider
    roles: Mapping[str, RoleMapping]
    now: float
    group_names: Mapping[str, str]
    """Names of the groups that are taken over, by external id, for people."""

    def person(
        self,
        person: Person,
        groups: frozenset[str],
        linked: LinkedUser | None,
        *,
        admitted: bool,
        holders: Mapping[str, str],
        held: frozenset[str] = frozenset(),
    ) -> Step | None:
        """Plan for a person in these groups; None if all is as it should be.

        ``groups`` are all the person's groups in the directory, ``held`` the external ids of the groups that we hold
        the user in, ``holders`` the ids of those who have one of the person's names already.
        """
        user_id = "" if linked is None else linked.user.id
        free = frozenset(alias for alias in person.aliases if holders.get(alias, user_id) == user_id)
        ours = frozenset(group for group in groups if group in self.group_names) | self._default()
        problem = person.problem
        if not problem and holders.get(person.name, user_id) != user_id:
            problem = f"the name {person.name!r} {TAKEN}"
        if linked is None:
            change = self._provision(replace(person, aliases=free), groups, active=bool(person.active))
            return self._newcomer(person, change, ours, problem=problem, admitted=admitted)
        named = replace(person, name=linked.user.name if problem else person.name, aliases=free)
        said = linked.identity.active if person.active is None else person.active
        change = self._provision(named, groups, active=said and admitted)
        step = self.follow(change, ours, linked, held, why="" if admitted else NOT_REQUIRED)
        if not problem:
            return step
        if step is None:
            user = linked.user.name
            return Step(Action.SKIP, user, person.external_id, reason=problem, hint=person.dn, conflict=True)
        return replace(step, conflict=True, reason=step.reason or problem)

    def follow(
        self, change: Provision, groups: frozenset[str], linked: LinkedUser, held: frozenset[str], *, why: str = ""
    ) -> Step | None:
        """Plan for a linked person what the directory says now."""
        user = linked.user
        try:
            told = provisioned(user, linked.identity, change)
        except Conflict as error:
            return Step(Action.SKIP, user.name, change.external_id, reason=error.message, hint=change.hint)
        differences = _differences(user, told) | _sets("groups", self._named(held), self._named(groups))
        differences |= _sets("aliases", linked.aliases, change.aliases)
        if not differences and told.identity == linked.identity:
            return None
        ends = self._is_in(user) and not self._is_in(told.user)
        action = Action.DISABLE if ends else Action.CHANGE
        if ends and not why:
            why = "disabled in the directory" if told.user.status is not Status.ACTIVE else "expired in the directory"
        reason = why if ends else ""
        return Step(action, user.name, change.external_id, change, groups, reason, change.hint, detail=differences)

    def _is_in(self, user: User) -> bool:
        return user.status is Status.ACTIVE and (user.expires_at is None or user.expires_at > self.now)

    def absent(self, linked: LinkedUser, why: str, *, gone: bool) -> Step | None:
        """Plan for somebody who is linked and whom the directory no longer has, or no longer as a user."""
        user = linked.user
        if user.managed_by is not Owner.LDAP or user.provider != self.name or user.method is not Method.LDAP:
            return None  # somebody else's user is never swept
        external_id = linked.identity.external_id
        delete = gone and self.provider.on_departure is Departure.DELETE
        if not delete and not linked.identity.active and user.status is not Status.ACTIVE:
            return None
        action = Action.DELETE if delete else Action.DISABLE
        change = Depart(self.name, Owner.LDAP, external_id, delete=delete)
        return Step(action, user.name, external_id, change, reason=why, hint=linked.identity.hint)

    def unchanged_but_groups(self, linked: LinkedUser, groups: frozenset[str], held: frozenset[str]) -> Step | None:
        """Plan for a linked person of whom nothing was read but the groups."""
        user, identity = linked.user, linked.identity
        change = Provision(
            provider=self.name,
            owner=Owner.LDAP,
            method=Method.LDAP,
            external_id=identity.external_id,
            name=user.name,
            display_name=user.display_name,
            email=user.email,
            expires_at=identity.expires_at,
            active=identity.active,
            aliases=linked.aliases,
            role=self._role(groups),
            hint=identity.hint,
        )
        ours = frozenset(group for group in groups if group in self.group_names) | self._default()
        step = self.follow(change, ours, linked, held)
        return None if step is None or step.action is Action.SKIP else step

    def _newcomer(
        self, person: Person, change: Provision, groups: frozenset[str], *, problem: str, admitted: bool
    ) -> Step | None:
        if not admitted:
            return None  # most people of a large directory are no users here; that is no event
        who = (person.name, person.external_id)
        if problem:
            is_clash = not person.problem
            return Step(Action.SKIP, *who, reason=problem, hint=person.dn, conflict=is_clash)
        if not person.active:
            why = "disabled in the directory" if person.active is False else "its userAccountControl cannot be read"
            return Step(Action.SKIP, *who, reason=why, hint=person.dn)
        detail: dict[str, object] = {"groups": sorted(self._named(groups)), "display_name": person.display_name}
        if change.role is not None:
            detail["role"] = change.role.value
        return Step(Action.CREATE, *who, change, groups, hint=person.dn, detail=detail)

    def _provision(self, person: Person, groups: frozenset[str], *, active: bool) -> Provision:
        by_id = self.provider.home_layout is HomeLayout.ID
        return Provision(
            provider=self.name,
            owner=Owner.LDAP,
            method=Method.LDAP,
            external_id=person.external_id,
            name=person.name,
            display_name=person.display_name,
            email=person.email,
            expires_at=person.expires_at,
            active=active,
            aliases=person.aliases,
            role=self._role(groups),
            hint=person.dn,
            home=home_of_id(person.external_id) if by_id else None,
            protocols=self.provider.protocols,
        )

    def _role(self, groups: frozenset[str]) -> Role | None:
        given = [self.roles[group].role for group in groups if group in self.roles]
        return max(given, key=RANK.__getitem__, default=None)

    def _default(self) -> frozenset[str]:
        return frozenset({DEFAULT_GROUP}) if self.provider.default_group else frozenset()

    def _named(self, groups: frozenset[str]) -> frozenset[str]:
        names = {DEFAULT_GROUP: self.provider.default_group or "", **self.group_names}
        return frozenset(names.get(group, group) for group in groups)


def _differences(user: User, told: Provisioned) -> dict[str, object]:
    pairs = {
        "name": (user.name, told.user.name),
        "display_name": (user.display_name, told.user.display_name),
        "email": (user.email, told.user.email),
        "expires_at": (user.expires_at, told.user.expires_at),
        "status": (user.status.value, told.user.status.value),
        "role": (user.role.value, told.user.role.value),
    }
    return {field: {"old": old, "new": new} for field, (old, new) in pairs.items() if old != new}


def _sets(what: str, old: frozenset[str], new: frozenset[str]) -> dict[str, object]:
    told: dict[str, object] = {}
    if new - old:
        told[f"{what}_added"] = sorted(new - old)
    if old - new:
        told[f"{what}_removed"] = sorted(old - new)
    return told


def reason_to_hold(ending: int, active: int, provider: LdapProvider, *, empty: bool, before: int = 0) -> str | None:
    """Say why a run must wait for an admin before it ends so many of the active users, or None.

    ``before`` is how many lost access lately, by other runs. The share is the site's own; more than half of all, or an
    answer without anybody, is never believed at once.
    """
    if not ending:
        return None
    if empty:
        return f"The directory's answer has nobody in it; {ending} users would lose access."
    allowed = max(provider.max_disabled_count, active * provider.max_disabled_percent // 100)
    if ending + before > allowed:
        lately = f", after {before} within a day" if before else ""
        return f"{ending} of {active} users would lose access{lately}; without an admin's word at most {allowed} may."
    if ending > MAX_FEW and ending * 2 > active:
        return f"{ending} of {active} users would lose access, which is more than half of all."
    return None


def reason_to_hold_groups(gone: int, known: int, provider: LdapProvider, *, empty: bool) -> str | None:
    """Say why a run must wait before so many of the known groups end, or None: a search that sees less is no change."""
    allowed = max(MAX_FEW, known * provider.max_disabled_percent // 100)
    if gone > allowed or (gone and empty):
        word = f"without an admin's word at most {0 if empty else allowed} may go"
        return f"{gone} of {known} groups are not in the directory's answer; {word}."
    return None


MAX_FEW = 2
