"""Random words of a SCIM client and of admins: the store does what a simple model does, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from storage.database.changes import (
    AddMember,
    MapRole,
    PutGrant,
    RemoveMember,
    RenameUser,
    SetMethod,
    SetStatus,
    UnmapRole,
    UpdateUser,
    UserFields,
)
from storage.database.records import Method, Role, Status
from storage.database.scim_changes import (
    ApproveEnds,
    DismissEnds,
    EndLimit,
    RestoreUser,
    ScimCreateGroup,
    ScimDeleteGroup,
    ScimDeleteUser,
    ScimUpdateGroup,
    ScimUpdateUser,
)
from tests.support.scim_machine import STEP, ScimMachine, Told, refusing
from tests.support.scim_model import Model, Person, Refused, Team
from tests.support.scim_rows import ENTRA, OKTA, creation, facts_of, person
from tests.support.store_rows import ACTOR

LOGINS = st.sampled_from(["ann", "Ann", "bea", "carl", "dan", "root", "lou", "lou@corp", "emergency"])
IDS = st.sampled_from(["", "e0", "e1", "e2", "e3", "e4", "e-root"])
DISPLAYS = st.sampled_from(["Crew", "CREW", "Deck", "Mine", "Admins"])
GROUP_IDS = st.sampled_from(["", "g1", "g2", "g3"])
ROLES = st.sampled_from([Role.GROUP_ADMIN, Role.READ_ONLY_ADMIN, Role.ADMIN])
MANY = st.integers(0, 5)  # which of those there are, the last for every number behind it
SOME = st.lists(MANY, max_size=3)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "replace", "clear"]), SOME), max_size=3)
TITLES = st.sampled_from(["Captain", ""])
SAID = st.fixed_dictionaries(
    {}, optional={"userName": LOGINS, "externalId": IDS, "active": st.booleans(), "title": TITLES}
)
LIMIT = 3
BAD = person("dan", active=False)
Document = dict[str, Any]


class Clients(ScimMachine):
    """Every rule makes one change, with random values from small pools so that they clash."""

    @initialize()
    def begin(self) -> None:
        self.prepare()
        self.map_role("g1", Role.ADMIN)
        self.map_role("g2", Role.GROUP_ADMIN)
        for number, login in enumerate(("ann", "bea", "carl")):
            self.create(login, f"e{number}", active=True)
        self.create_group("Crew", "g1", [0, 1])
        self.create_group("Deck", "g2", [1, 2])

    # People -------------------------------------------------------------------------------------------

    @rule(login=LOGINS, external_id=IDS, active=st.booleans())
    def create(self, login: str, external_id: str, active: bool) -> None:  # noqa: FBT001 - drawn by name
        document = person(login, external_id, active=active)

        def expected(model: Model) -> Told:
            key = login.casefold()
            if external_id == "e-root":
                raise Refused("Taken")
            found = [one for one in model.people.values() if external_id and one.external_id == external_id]
            if found:
                return back(model, found[0], key)
            model.refuse_second(key, "")
            model.refuse_taken(key, "")
            status = Status.ACTIVE if active else Status.DEPROVISIONED
            model.people["new"] = Person("new", key, key, external_id, document, status, epoch=0)
            return {"new"}, ["user.created"]

        def back(model: Model, one: Person, key: str) -> Told:
            if one.handed or not one.deleted:
                raise Refused("Taken")
            model.refuse_second(key, one.id)
            model.follow_name(one, key)
            model.set_access(one, active=active, limit=LIMIT)
            one.key, one.document, one.deleted, one.version = key, document, False, one.version + 1
            return {one.id}, ["user.restored"]

        made = self.do(creation(document, limit=EndLimit(LIMIT, 0)), expected)
        if made and not external_id and self.model.people[made].external_id == "":
            self.model.people[made].external_id = made

    @rule(number=MANY, said=SAID, late=st.sampled_from([0, 0, 0, 1]))
    def update(self, number: int, said: Document, late: int) -> None:
        self.say(number, said, late=late)

    @rule(number=MANY, active=st.booleans(), approved=st.booleans())
    def update_access(self, number: int, active: bool, approved: bool) -> None:  # noqa: FBT001 - drawn by name
        self.say(number, {"active": active}, approved=approved)

    @rule(number=MANY, login=LOGINS)
    def update_login(self, number: int, login: str) -> None:
        self.say(number, {"userName": login})

    @rule(number=MANY, external_id=IDS)
    def update_id(self, number: int, external_id: str) -> None:
        self.say(number, {"externalId": external_id})

    def say(self, number: int, said: Document, *, approved: bool = False, late: int = 0) -> None:
        before = self.model.people[self.pick(number, self.model.people)]
        document = {name: value for name, value in (before.document | said).items() if value != ""}
        limit, of_access = None if approved else LIMIT, "active" in said

        def expected(model: Model) -> Told:
            one, key = model.people[before.id], document["userName"].casefold()
            if not one.visible:
                raise Refused("NotFoundInStore")
            if late:
                raise Refused("Stale")
            old_name, heard = one.name, False
            if key != one.key:
                model.refuse_second(key, one.id)
                heard = model.follow_name(one, key)
            status_changed = model.set_access(one, active=document["active"], limit=limit)
            wanted = document.get("externalId") or one.external_id
            if wanted != one.external_id:
                if wanted == "e-root":
                    raise Refused("Taken")
                model.refuse_linked(wanted, one.id)
                one.external_id, heard = wanted, True
            if document != one.document or status_changed or heard:
                one.version += 1
            one.key, one.document = key, document
            withdrawn = one.held == "disable" and document["active"] and of_access
            one.held = "" if withdrawn or (one.held == "disable" and not document["active"]) else one.held
            kind = "user.renamed" if one.name != old_name else "user.updated"
            if status_changed:
                kind = "user.enabled" if one.status is Status.ACTIVE else "user.deprovisioned"
            kinds = [kind, "scim.end_withdrawn"] if withdrawn else [kind]
            return {one.id} if heard or status_changed else set(), kinds

        facts, version = facts_of(document), before.version - late
        bound = None if approved else EndLimit(LIMIT, 0)
        self.do(ScimUpdateUser(ENTRA, before.id, facts, document, version, bound, says_active=of_access), expected)

    @rule(number=MANY)
    def delete(self, number: int) -> None:
        user_id = self.pick(number, self.model.people)

        def expected(model: Model) -> Told:
            one = model.people[user_id]
            if not one.visible:
                raise Refused("NotFoundInStore")
            model.end(one, LIMIT)
            return {one.id}, ["user.deprovisioned"]

        self.do(ScimDeleteUser(ENTRA, user_id, EndLimit(LIMIT, 0)), expected)

    @rule(number=MANY, active=st.booleans())
    def leave_and_come_back(self, number: int, active: bool) -> None:  # noqa: FBT001 - drawn by name
        before = self.model.people[self.pick(number, self.model.people)].document
        self.delete(number)
        self.create(before["userName"], before.get("externalId", ""), active)

    @rule(number=MANY)
    def restore(self, number: int) -> None:
        def expected(model: Model) -> Told:
            one = model.people[user_id]
            if one.handed:
                raise Refused("Conflict")
            one.version += one.deleted
            one.deleted = False
            return set(), ["user.restored"]

        user_id = self.pick(number, self.model.people)
        self.do(RestoreUser(user_id), expected)

    @rule(number=st.integers(0, 20), delete=st.booleans())
    def touch_others(self, number: int, delete: bool) -> None:  # noqa: FBT001 - drawn by name
        """Users of the site's own, of a directory, and this client's for another client: there is none."""
        strangers = [(ENTRA, one.id) for one in self.bystanders] + [(OKTA, one) for one in self.model.people]
        provider, user_id = strangers[number % len(strangers)]
        update = ScimUpdateUser(provider, user_id, facts_of(BAD), BAD, 1)
        self.do(ScimDeleteUser(provider, user_id) if delete else update, refusing("NotFoundInStore"))

    # What waits ---------------------------------------------------------------------------------------

    @precondition(lambda self: any(one.visible for one in self.model.people.values()))
    @rule(number=MANY, action=st.sampled_from(["disable", "delete"]))
    def hold(self, number: int, action: str) -> None:
        visible = {one.id: one for one in self.model.people.values() if one.visible}
        one = visible[self.pick(number, visible)]
        new = self.store.scim_waiting.hold(ENTRA, one.id, action, "a burst", 1.0)

        assert new is (not one.held)
        one.held = action

    @rule(numbers=SOME, dismiss=st.booleans())
    def decide(self, numbers: list[int], dismiss: bool) -> None:  # noqa: FBT001 - drawn by name
        ids = self.some(numbers)

        def expected(model: Model) -> Told:
            waiting = [model.people[one] for one in dict.fromkeys(ids) if model.people[one].held]
            if dismiss:
                for one in waiting:
                    one.held = ""
                return set(), ["scim.ends_dismissed", *["scim.end_dismissed"] * len(waiting)]
            heard, kinds = model.approve(waiting)
            return heard, ["scim.ends_approved", *kinds]

        shown = tuple((one, self.model.people[one].held or "disable") for one in ids)
        self.do(DismissEnds(ENTRA, ids) if dismiss else ApproveEnds(ENTRA, shown), expected)

    # Groups -------------------------------------------------------------------------------------------

    @rule(display=DISPLAYS, external_id=GROUP_IDS, numbers=SOME)
    def create_group(self, display: str, external_id: str, numbers: list[int]) -> None:
        ids = self.some(numbers)

        def expected(model: Model) -> Told:
            model.refuse_second_team(display, external_id, "")
            if not all(model.people[one].visible for one in ids):
                raise Refused("InvalidChange")
            model.teams["new"] = Team("new", "", display, external_id, members=set(ids), link_id=external_id)
            roles = model.follow_roles(set(ids))
            kinds = ["member.added"] * len(set(ids)) + ["user.role_given"] * len(roles)
            return set(ids), ["group.created", *kinds]

        if made := self.do(ScimCreateGroup(ENTRA, display, external_id, ids), expected):
            team = self.model.teams[made]
            team.name = self.model.team_name(display, ENTRA, made)

    @precondition(lambda self: self.model.teams)
    @rule(number=MANY, display=st.none() | DISPLAYS, external_id=st.none() | GROUP_IDS, steps=STEPS)
    def update_group(
        self, number: int, display: str | None, external_id: str | None, steps: list[tuple[str, list[int]]]
    ) -> None:
        group_id = self.pick(number, self.model.teams)
        drawn = [(what, self.some(numbers)) for what, numbers in steps]

        def expected(model: Model) -> Told:
            team = model.teams[group_id]
            if team.departed:
                raise Refused("NotFoundInStore")
            renamed = display is not None and display != team.display
            moved = external_id is not None and external_id != team.said_id
            model.refuse_second_team(display if renamed else None, external_id if moved else None, group_id)
            if renamed:
                team.display, team.name = display or "", model.team_name(display or "", ENTRA, group_id)
            team.said_id = team.said_id if external_id is None else external_id
            others = set(team.members) if team.said_id else set()
            team.link_id = team.said_id or team.link_id
            before, after = set(team.members), set(team.members)
            for what, ids in drawn:
                if what in {"add", "replace"} and not all(model.people[one].visible for one in ids):
                    raise Refused("InvalidChange")
                after = {"add": after | set(ids), "remove": after - set(ids), "replace": set(ids), "clear": set()}[what]
            team.members, crossed = after, before ^ after
            roles = model.follow_roles(crossed | others)
            team.version += bool(renamed or moved or crossed)
            kinds = ["member.added"] * len(after - before) + ["member.removed"] * len(before - after)
            kind = "group.renamed" if renamed else "group.updated"
            return crossed | roles, [kind, *kinds, *["user.role_given"] * len(roles)]

        said = tuple(STEP[what](ids) for what, ids in drawn)
        self.do(ScimUpdateGroup(ENTRA, group_id, display, external_id, said), expected)

    @precondition(lambda self: self.model.teams)
    @rule(number=MANY)
    def delete_group(self, number: int) -> None:
        def expected(model: Model) -> Told:
            team = model.teams[group_id]
            if team.departed:
                raise Refused("NotFoundInStore")
            left, team.members = team.members, set()
            roles = model.follow_roles(left)
            team.departed = True
            if not team.granted and not team.by_hand:
                del model.teams[group_id]
            return left, ["group.departed", *["member.removed"] * len(left), *["user.role_given"] * len(roles)]

        group_id = self.pick(number, self.model.teams)
        self.do(ScimDeleteGroup(ENTRA, group_id), expected)

    @precondition(lambda self: self.model.teams)
    @rule(number=MANY, by_hand=st.booleans())
    def make_anew(self, number: int, by_hand: bool) -> None:  # noqa: FBT001 - drawn by name
        """A group that the client deletes and makes again, perhaps while the site needs the old one."""
        before = self.model.teams[self.pick(number, self.model.teams)]
        if by_hand:
            self.group_by_hand(0, number, enter=True)
        self.delete_group(number)
        self.create_group(before.display, before.said_id, [0])

    # Admins -------------------------------------------------------------------------------------------

    @rule(external_id=st.sampled_from(["g1", "g2", "g3"]), role=st.none() | ROLES)
    def map_role(self, external_id: str, role: Role | None) -> None:
        def expected(model: Model) -> Told:
            model.mapped.pop(external_id, None)
            if role is not None:
                model.mapped[external_id] = role
            teams = [team for team in model.teams.values() if team.external_id == external_id]
            kind = "provider.role_unmapped" if role is None else "provider.role_mapped"
            return model.follow_roles({one for team in teams for one in team.members}), [kind]

        self.do(UnmapRole(ENTRA, external_id) if role is None else MapRole(ENTRA, external_id, role, "x"), expected)

    @rule(number=MANY, role=ROLES | st.just(Role.USER))
    def set_role(self, number: int, role: Role) -> None:
        user_id = self.pick(number, self.model.people)

        def expected(model: Model) -> Told:
            one = model.people[user_id]
            changed, one.role = one.role is not role, role
            return {one.id} if changed else set(), ["user.updated"]

        self.do(UpdateUser(user_id, UserFields(role=role)), expected)

    @rule(number=MANY, status=st.sampled_from([Status.ACTIVE, Status.DISABLED]))
    def set_status(self, number: int, status: Status) -> None:
        user_id = self.pick(number, self.model.people)

        def expected(model: Model) -> Told:
            one = model.people[user_id]
            said = one.document["active"] and not one.deleted
            if status is Status.ACTIVE and one.status is not status and not one.handed and not said:
                raise Refused("Conflict")
            changed, one.status = one.status is not status, status
            kind = "user.enabled" if status is Status.ACTIVE else "user.disabled"
            return {one.id} if changed else set(), [kind]

        self.do(SetStatus(user_id, status), expected)

    @rule(number=MANY, login=LOGINS)
    def rename(self, number: int, login: str) -> None:
        user_id = self.pick(number, self.model.people)

        def expected(model: Model) -> Told:
            changed = model.rename_by_site(model.people[user_id], login.casefold())
            return {user_id} if changed else set(), ["user.renamed"]

        self.do(RenameUser(user_id, login), expected)

    @rule(number=MANY)
    def hand_over(self, number: int) -> None:
        """An admin gives the user a local password: no client's any more, in the same groups, now the site's own."""
        user_id = self.pick(number, self.model.people)

        def expected(model: Model) -> Told:
            one = model.people[user_id]
            changed = not one.handed
            one.handed, one.held, one.ended = True, "", ""
            for team in model.teams.values():
                team.by_hand |= team.members & {one.id}
                team.members -= {one.id}
            return {one.id} if changed else set(), ["user.method_set"]

        self.do(SetMethod(user_id, Method.LOCAL), expected)

    @precondition(lambda self: self.model.teams)
    @rule(number=MANY, team=MANY, enter=st.booleans())
    def group_by_hand(self, number: int, team: int, enter: bool) -> None:  # noqa: FBT001 - drawn by name
        user_id, group_id = self.pick(number, self.model.people), self.pick(team, self.model.teams)

        def expected(model: Model) -> Told:
            inside = model.teams[group_id].by_hand
            changed = (user_id in inside) is not enter
            inside ^= {user_id} if changed else set()
            return {user_id} if changed else set(), ["member.added" if enter else "member.removed"]

        self.do((AddMember if enter else RemoveMember)(user_id, group_id), expected)

    @precondition(lambda self: self.model.teams)
    @rule(team=MANY)
    def grant(self, team: int) -> None:
        one = self.model.teams[self.pick(team, self.model.teams)]
        self.store.apply(PutGrant("/x", frozenset({"read"}), group_id=one.id), actor=ACTOR)
        for user_id in set() if one.granted else one.members | one.by_hand:
            self.model.people[user_id].epoch += 1
        one.granted = True


BOUNDED = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_store_does_what_the_model_does(migrated_sqlite_file: Path) -> None:
    """After every step: whom it affected, its events and revocations, and all that is there."""
    Clients.migrated = migrated_sqlite_file
    run_state_machine_as_test(Clients, settings=BOUNDED)
