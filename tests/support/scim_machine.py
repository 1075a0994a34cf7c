"""A store, a model of it, and what must hold of both after every step; the rules are in tests/fuzz."""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from storage.database.changes import Change, LinkIdentity, Provision
from storage.database.records import RANK, Method, Owner, Role, Status, User
from storage.database.scim_changes import AddMembers, ClearMembers, MemberStep, RemoveMembers, ReplaceMembers
from storage.database.scim_tables import scim_users
from storage.database.store import StoreError, open_store
from tests.support.scim_model import Model, Refused
from tests.support.scim_rows import CLIENT, ENTRA, OKTA
from tests.support.store_rows import ACTOR, make_admin, make_group, make_user

Told = tuple[set[str], list[str]]
"""Whom a change affects, and the kinds of the events that it leaves."""


class ScimMachine(RuleBasedStateMachine):
    """``do`` makes a change in both and compares what they say; the invariants compare what there is."""

    migrated: Path  # a migrated file to copy

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.migrated, self.folder / "store.db")
        self.store = open_store(f"sqlite:///{self.folder / 'store.db'}")
        self.model = Model()
        self.bystanders: list[User] = []

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def prepare(self) -> None:
        """Users whom no client may touch, one of them linked to the client's provider, and a group of the site's."""
        root = make_user(self.store, "root", Method.SAML, provider=ENTRA)
        self.store.apply(LinkIdentity(root.id, ENTRA, "e-root"), actor=ACTOR)
        told = Provision("corp", Owner.LDAP, Method.LDAP, "1", "lou", aliases=frozenset({"lou@corp"}))
        self.store.apply(told, actor=ACTOR)
        make_admin(self.store, "emergency")
        make_group(self.store, "mine")
        self.bystanders = self.store.users.list()
        self.model.taken = {"root", "lou", "lou@corp", "emergency"}
        self.model.other_groups = {"mine"}

    # Comparing ----------------------------------------------------------------------------------------

    def do(self, change: Change, expected: Callable[[Model], Told]) -> str:
        """Make the change and compare whom it affects and which events it leaves, or with which error it is refused."""
        trial, event = copy.deepcopy(self.model), self.store.audit.tail(limit=1)[0].id
        seen = self.store.revocations.latest()
        try:
            users, kinds = expected(trial)
        except Refused as refused:
            error = str(refused)
        else:
            error = ""
        if error:
            with pytest.raises(StoreError) as raised:
                self.store.apply(change, actor=CLIENT)
            assert (type(raised.value).__name__, self.store.audit.tail(after_id=event)) == (error, [])
            assert self.store.revocations.since(seen) == []
            return ""
        done = self.store.apply(change, actor=CLIENT)
        # A change that makes a user or a group says its id only now.
        users = {done.subject_id if one == "new" else one for one in users}
        for kept in (trial.people, trial.teams):
            if "new" in kept:
                made = kept.pop("new")  # type: ignore[attr-defined]  # of either kind
                made.id = done.subject_id
                kept[made.id] = made
        for one in users & trial.people.keys():
            trial.people[one].epoch += 1
        told = self.store.audit.tail(after_id=event)
        assert Counter(one.kind for one in told) == Counter(kinds)
        assert [one.outcome for one in told] == ["applied" if done.changed else "unchanged"] * len(told)
        revoked = [row.user_id for row in self.store.revocations.since(seen)]
        assert (set(done.users), sorted(revoked, key=str)) == (users, sorted(users))
        self.model = trial
        return done.subject_id

    def pick(self, number: int, among: dict[str, Any]) -> str:
        ids = list(among)
        return ids[min(number, len(ids) - 1)]

    def some(self, numbers: list[int]) -> tuple[str, ...]:
        return tuple(self.pick(number, self.model.people) for number in numbers)

    # What always holds --------------------------------------------------------------------------------

    @invariant()
    def nobody_else_is_touched(self) -> None:
        here = {one.id: one for one in self.store.users.list()}
        assert [here[one.id] for one in self.bystanders] == self.bystanders
        assert here.keys() - {one.id for one in self.bystanders} == self.model.people.keys()

    @invariant()
    def users_are_as_the_model_has_them(self) -> None:
        for one in self.model.people.values():
            user = self.store.users.by_id(one.id)
            assert user is not None
            assert (user.name, user.status, user.role, user.epoch) == (one.name, one.status, one.role, one.epoch)
            owner = (Owner.MANUAL, Method.LOCAL) if one.handed else (Owner.SCIM, Method.SAML)
            assert (user.managed_by, user.method) == owner
            assert set(self.store.users.aliases_of(one.id)) == one.aliases
            assert [link.external_id for link in self.store.users.identities_of(one.id)] == [one.external_id]

    @invariant()
    def clients_find_whom_they_may(self) -> None:
        people, visible = self.store.scim_people, [one for one in self.model.people.values() if one.visible]
        assert {one.user_id for one in people.everybody(ENTRA)} == {one.id for one in visible}
        assert (people.count(ENTRA), people.count(OKTA)) == (len(visible), 0)
        for one in self.model.people.values():
            found, other = people.by_id(ENTRA, one.id), people.by_user_name(ENTRA, one.key)
            assert (found is not None) is one.visible
            assert (other is not None and other.user_id == one.id) is one.visible
            if found is not None:
                assert (found.document, found.version) == (one.document, one.version)
        waiting = {held.user_id: held.action for held in self.store.scim_waiting.held()}
        assert waiting == {one.id: one.held for one in self.model.people.values() if one.held}

    @invariant()
    def the_circuit_breaker_counts_whom_the_client_put_out(self) -> None:
        with self.store._database.read() as connection:
            found = connection.execute(scim_users.select().where(scim_users.c.ended_at.is_not(None))).all()
        out = [one for one in self.model.people.values() if one.status is not Status.ACTIVE]
        rows = [row for row in found if row.user_id in {one.id for one in out}]
        assert {row.user_id: "approved" if row.ended_approved else "counted" for row in rows} == {
            one.id: one.ended for one in out if one.ended
        }

    @invariant()
    def groups_are_as_the_model_has_them(self) -> None:
        assert {group.id: group.name for group in self.store.groups.list() if group.name != "mine"} == {
            team.id: team.name for team in self.model.teams.values()
        }
        for team in self.model.teams.values():
            held = {(user.id, owner) for user, owner in self.store.groups.members(team.id)}
            assert held == {(one, Owner.SCIM) for one in team.members} | {(one, Owner.MANUAL) for one in team.by_hand}
            said = self.store.scim_groups.by_id(ENTRA, team.id)
            assert (said is None) is team.departed
            if said is not None:
                assert (said.display_name, said.version) == (team.display, team.version)
            assert bool(self.store.folders.grants(group_id=team.id)) is team.granted

    @invariant()
    def roles_are_those_of_the_groups_unless_an_admin_spoke(self) -> None:
        """From the rows alone, without the model's own reckoning."""
        mapped = {mapping.external_id: mapping.role for mapping in self.store.providers.roles(ENTRA)}
        groups = {one.identity.group_id: one.identity.external_id for one in self.store.sources.groups(ENTRA)}
        for one in self.model.people.values():
            link, user = self.store.users.identity(one.id, ENTRA), self.store.users.by_id(one.id)
            assert link is not None
            assert user is not None
            held = [group for group in groups if self.store.scim_groups.has_member(group, one.id)]
            given = [mapped[groups[group]] for group in held if groups[group] in mapped]
            if not one.handed:
                assert link.role is max(given, key=RANK.__getitem__, default=None)
            if not (link.role_overruled or one.handed or user.role is not (link.role or Role.USER)):
                assert user.role is max(given, key=RANK.__getitem__, default=Role.USER)


def refusing(name: str) -> Callable[[Model], Told]:
    def expected(_model: Model) -> Told:
        raise Refused(name)

    return expected


STEP: dict[str, Callable[[tuple[str, ...]], MemberStep]] = {
    "add": AddMembers,
    "remove": RemoveMembers,
    "replace": ReplaceMembers,
    "clear": lambda _: ClearMembers(),
}
