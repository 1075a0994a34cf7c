"""A simple model of what SCIM clients and admins make of people and groups, to compare a store with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from storage.database.records import RANK, Role, Status


class Refused(Exception):
    """The model says that the store refuses the change, with an error of this name."""


@dataclass(eq=False)
class Person:
    """A user of the client: ``key`` is the userName as said, ``external_id`` the link's, ``ended`` the breaker's count.

    ``handed`` users an admin has moved to a local password: no client's any more.
    """

    id: str
    key: str
    name: str
    external_id: str
    document: dict[str, Any]
    status: Status
    version: int = 1
    epoch: int = 1
    role: Role = Role.USER
    said_role: Role | None = None
    overruled: bool = False
    deleted: bool = False
    handed: bool = False
    ended: str = ""  # "", counted or approved
    held: str = ""  # what waits for an admin
    aliases: set[str] = field(default_factory=set)

    @property
    def visible(self) -> bool:
        return not self.deleted and not self.handed


@dataclass(eq=False)
class Team:
    """A group of the client; one that the client deleted stays for its grants or the site's members."""

    id: str
    name: str
    display: str
    said_id: str
    version: int = 1
    members: set[str] = field(default_factory=set)
    by_hand: set[str] = field(default_factory=set)
    granted: bool = False
    departed: bool = False

    link_id: str = ""  # the last that was said: one that is taken away stays the key of roles

    @property
    def external_id(self) -> str:
        return self.link_id or self.id


@dataclass
class Model:
    """Everything that the tests change. ``taken`` are logins of others; ``reserved`` names lead to who had them."""

    people: dict[str, Person] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    mapped: dict[str, Role] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    reserved: dict[str, str] = field(default_factory=dict)
    other_groups: set[str] = field(default_factory=set)

    # Names and ids ------------------------------------------------------------------------------------

    def holders(self, login: str) -> set[str]:
        """Give who has or had this login; "*" is somebody who is no client's."""
        found = {one.id for one in self.people.values() if login == one.name or login in one.aliases}
        found |= {self.reserved[login]} if login in self.reserved else set()
        return found | ({"*"} if login in self.taken else set())

    def refuse_taken(self, login: str, person_id: str) -> None:
        if self.holders(login) - {person_id}:
            raise Refused("Taken")

    def refuse_second(self, key: str, person_id: str) -> None:
        if any(one.key == key and one.id != person_id and not one.handed for one in self.people.values()):
            raise Refused("Taken")

    def refuse_linked(self, external_id: str, person_id: str) -> None:
        if any(one.external_id == external_id and one.id != person_id for one in self.people.values()):
            raise Refused("Taken")

    def refuse_burst(self, limit: int) -> None:
        if sum(one.ended == "counted" and one.status is not Status.ACTIVE for one in self.people.values()) >= limit:
            raise Refused("Held")

    def follow_name(self, person: Person, key: str) -> bool:
        """Let the person's login or alias follow; whether sessions hear of it."""
        if person.name != person.key:
            wanted = {key} - {person.name}
            for alias in wanted - person.aliases:
                self.refuse_taken(alias, person.id)
            changed, person.aliases = person.aliases != wanted, wanted
            return changed
        if key == person.name:
            return False
        self.refuse_taken(key, person.id)
        self.reserved.pop(key, None)
        self.reserved[person.name] = person.id
        person.aliases.discard(key)
        person.name = key
        return True

    def rename_by_site(self, person: Person, name: str) -> bool:
        if name == person.name:
            return False
        self.refuse_taken(name, person.id)
        self.reserved.pop(name, None)
        self.reserved[person.name] = person.id
        person.name = name
        return True

    # Access and roles ---------------------------------------------------------------------------------

    def set_access(self, person: Person, *, active: bool, limit: int | None) -> bool:
        """Follow the client's word; whether the status changed. None is an admin's approval."""
        after = person.status
        if active and after is Status.DEPROVISIONED:
            after = Status.ACTIVE
        if not active and after is Status.ACTIVE:
            if limit is not None:
                self.refuse_burst(limit)
            after, person.ended = Status.DEPROVISIONED, "approved" if limit is None else "counted"
        if after is Status.ACTIVE:
            person.ended = ""
        changed, person.status = after is not person.status, after
        return changed

    def follow_roles(self, ids: set[str]) -> set[str]:
        """Let the roles of these follow their groups; whose role changed."""
        return {one for one in ids if self._follow_role(self.people[one])}

    def _follow_role(self, person: Person) -> bool:
        wanted = self.role_of_groups(person)
        if person.handed or wanted is person.said_role:
            return False
        person.overruled = person.overruled or person.role is not (person.said_role or Role.USER)
        person.said_role, before = wanted, person.role
        if not person.overruled:
            person.role = wanted or Role.USER
        return person.role is not before

    def role_of_groups(self, person: Person) -> Role | None:
        found = [
            self.mapped[team.external_id]
            for team in self.teams.values()
            if person.id in team.members and team.external_id in self.mapped
        ]
        return max(found, key=RANK.__getitem__, default=None)

    def end(self, person: Person, limit: int | None) -> None:
        """Let the client delete the person."""
        self.set_access(person, active=False, limit=limit)
        person.document, person.deleted, person.held = person.document | {"active": False}, True, ""
        person.version += 1
        for team in self.teams.values():
            team.version += person.id in team.members
            team.members -= {person.id}
        self.follow_roles({person.id})

    def approve(self, waiting: list[Person]) -> tuple[set[str], list[str]]:
        """Let these end as was asked, and count no end so far; who hears of it, and the events of the people."""
        heard, kinds = set(), []
        for one in waiting:
            before, asked = (one.status, one.document["active"]), one.held
            if asked == "delete":
                self.end(one, None)
            else:
                self.set_access(one, active=False, limit=None)
                one.held, one.document = "", one.document | {"active": False}
                one.version += before != (one.status, False)
            ends = asked == "delete" or one.status is not before[0]
            if ends or before[1]:
                kinds.append("user.deprovisioned" if ends else "user.updated")
            heard |= {one.id} if ends else set()
        for one in self.people.values():
            one.ended = "approved" if one.ended else ""
        return heard, kinds

    # Groups -------------------------------------------------------------------------------------------

    def team_name(self, display: str, provider: str, team_id: str) -> str:
        name = display.casefold()
        others = {team.name for team in self.teams.values() if team.id != team_id} | self.other_groups
        fits = (name, f"{name}@{provider}", f"{name} {team_id}@{provider}")
        return next(wanted for wanted in fits if wanted not in others)

    def refuse_second_team(self, display: str | None, external_id: str | None, team_id: str) -> None:
        for team in self.teams.values():
            if team.id == team_id or team.departed:
                continue
            if display is not None and team.display.casefold() == display.casefold():
                raise Refused("Taken")
            if external_id and team.external_id == external_id:
                raise Refused("Taken")
