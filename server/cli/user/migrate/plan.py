"""Who can move to an identity provider now, and what keeps the others: what a dry run shows and a run goes by."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from server.cli.context import Site
from server.cli.output import moment, printable
from server.cli.scim.matches import doubt, matching
from server.cli.user.migrate.clash import id_clash, name_clash
from server.cli.user.migrate.keys import key_notes, opens
from server.http.scim.person import facts_of
from storage.database.migration_changes import MigrateUser
from storage.database.migrations_log import LiveKeys
from storage.database.moving import ended_there, not_movable, role_after
from storage.database.names import canonical_name
from storage.database.records import Method, Role, Status, User
from storage.database.scim_changes import PersonFacts
from storage.database.scim_waiting import ScimConflict

PROTOCOLS = ("sftp", "ftps", "webdav")
LOOK_BACK_S = 30 * 86_400.0
NO_KEYS = LiveKeys()


class State(StrEnum):
    """What a dry run says of a user."""

    READY = "ready"
    PASSWORD_IN_USE = "password-in-use"  # noqa: S105 - a state
    NO_LINK = "no-link"
    CONFLICT = "conflict"
    MIGRATED = "migrated"
    NOT_MOVABLE = "not-movable"


class FoundBy(StrEnum):
    """Where the immutable id comes from."""

    OPTION = "option"
    LINK = "link"
    SCIM = "scim"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user who may move.

    ``said`` is what the provider's client last said of the person; ``used`` has the last sign-ins by password, and
    ``uncovered`` those front ends of them for which there is no key.
    """

    user: User
    state: State = State.READY
    external_id: str = ""
    found_by: FoundBy | None = None
    said: ScimConflict | None = None
    reason: str = ""
    then: str = ""
    used: Mapping[str, float] = field(default_factory=dict)
    keys: LiveKeys = NO_KEYS
    uncovered: tuple[str, ...] = ()
    role_after: Role = Role.USER
    notes: tuple[str, ...] = ()

    @property
    def facts(self) -> PersonFacts | None:
        """What counts of the client's words."""
        return None if self.said is None else facts_of(self.said.document)

    @property
    def is_admin(self) -> bool:
        """Whether the user administers anything now."""
        return self.user.role is not Role.USER

    def change(self, provider: str, method: Method, *, keep_groups: bool, batch: str) -> MigrateUser:
        """Give the change that moves the user."""
        return MigrateUser(
            user_id=self.user.id,
            provider=provider,
            method=method,
            external_id=self.external_id,
            facts=self.facts,
            document=None if self.said is None else self.said.document,
            keep_groups=keep_groups,
            batch=batch,
        )


class Plan:
    """Judges users by what the store knows now, read in bulk. Raises StoreUnavailable."""

    def __init__(
        self, site: Site, to: str, ids: Mapping[str, str], now: float, *, include_blocked: bool = False
    ) -> None:
        self._site = site
        self._to = to
        self._ids = ids
        self._now = now
        self._include_blocked = include_blocked
        known = site.store.migrations
        self._links = known.links(to)
        self._holders = {external_id: user_id for user_id, ids in self._links.items() for external_id in ids}
        self._used = known.password_use(now - LOOK_BACK_S, PROTOCOLS)
        self._keys = known.live_keys(now)
        self._pilots = {pilot.user_id for pilot in known.pilots(to)}
        self._said: dict[str, ScimConflict] = {}
        self._waiting: dict[str, list[ScimConflict]] = defaultdict(list)
        for conflict in site.store.scim_waiting.conflicts(to):
            if conflict.external_id:
                self._said[conflict.external_id] = conflict
            self._waiting[conflict.holder_id].append(conflict)

    def candidates(self, users: Sequence[User]) -> list[Candidate]:
        """Judge these users, in their order."""
        found = [self._found(user) for user in users]
        known = self._site.store
        names = sorted({name for one in found if (name := _client_name(one))})
        ids = sorted({one.external_id for one in found if one.external_id})
        taken = known.sources.holders(names)
        called = known.migrations.client_names(self._to, names)
        graves = known.migrations.graves(self._to, ids)
        return [self._judged(one, taken, called, graves) for one in found]

    def _found(self, user: User) -> Candidate:
        """Find who the user is at the provider."""
        one = Candidate(user, used=self._used.get(user.id, {}), keys=self._keys.get(user.id, NO_KEYS))
        if user.method.is_sso and user.provider == self._to:
            return replace(one, state=State.MIGRATED, reason=f"signs in at {self._to} already")
        if why := not_movable(user):
            return replace(one, state=State.NOT_MOVABLE, reason=why)
        if given := self._ids.get(user.id):
            said = self._said_of(user, given, decided=True)
            return replace(one, external_id=given, found_by=FoundBy.OPTION, said=said)
        if links := self._links.get(user.id):
            said = self._said_of(user, links[0], decided=False)
            return replace(one, external_id=links[0], found_by=FoundBy.LINK, said=said)
        return self._found_by_name(one)

    def _found_by_name(self, one: Candidate) -> Candidate:
        """Take the one person whom the client calls as the user is called now; a former name tells nobody."""
        user, waiting = one.user, self._waiting.get(one.user.id, [])
        matches = matching(self._site.store, user, waiting)
        if len(matches) == 1:
            external_id = matches[0].external_id or user.id
            return replace(one, external_id=external_id, found_by=FoundBy.SCIM, said=matches[0])
        if matches:
            names = ", ".join(match.user_name for match in matches)
            why = f"{len(matches)} people of {self._to} could be this user: {names}"
            return replace(one, state=State.NO_LINK, reason=why)
        if not waiting:
            why = f"{self._to} has spoken of nobody who would be this user"
            return replace(one, state=State.NO_LINK, reason=why)
        given = shlex.quote(printable(waiting[0].external_id or user.id)) if len(waiting) == 1 else "ID"
        again = f"quaymaster user migrate {user.name} --to {self._to} --external-id {given} (or --ids FILE)"
        then = f"the same person? Only you can tell, by the immutable id: {again}"
        return replace(one, state=State.CONFLICT, reason=doubt(user, waiting), then=then)

    def _said_of(self, user: User, external_id: str, *, decided: bool) -> ScimConflict | None:
        """Give what the client said of this person. One that gives no ids of its own is linked by ours.

        ``decided`` says that an admin has named the person by the id, so that a former name counts, too.
        """
        if external_id != user.id:
            return self._said.get(external_id)
        nameless = [conflict for conflict in self._waiting.get(user.id, []) if not conflict.external_id]
        found = nameless if decided else matching(self._site.store, user, nameless)
        return found[0] if len(found) == 1 else None

    def _judged(
        self, one: Candidate, taken: Mapping[str, str], called: Mapping[str, str], graves: Mapping[str, str]
    ) -> Candidate:
        if one.state is not State.READY:
            return self._noted(one)
        user, holder = one.user, self._holders.get(one.external_id)
        clash = None
        if holder is not None and holder != user.id:
            clash = id_clash(self._site, self._to, user, one.external_id, holder)
        elif name := _client_name(one):
            free = {user.id, graves.get(one.external_id, user.id)}
            other = next((held.get(name) for held in (taken, called) if held.get(name, user.id) not in free), None)
            clash = name_clash(self._site, self._to, name, other) if other else None
        if clash is not None:
            return self._noted(replace(one, state=State.CONFLICT, reason=clash.reason, then=clash.then))
        if why := ended_there(user, one.facts):
            return self._noted(replace(one, state=State.CONFLICT, reason=why))
        uncovered = tuple(sorted(place for place in one.used if not opens(one.keys, place)))
        one = replace(one, uncovered=uncovered)
        if uncovered and not self._include_blocked:
            why = f"a password is in use on {', '.join(uncovered)}, and no key is good for that"
            return self._noted(replace(one, state=State.PASSWORD_IN_USE, reason=why))
        return self._noted(one)

    def _noted(self, one: Candidate) -> Candidate:
        """Say what an admin should know besides; the role counts where the user is to move."""
        user, notes = one.user, []
        if one.state in {State.MIGRATED, State.NOT_MOVABLE}:
            return replace(one, role_after=user.role)
        links = self._site.store.users.identities_of(user.id) if one.is_admin or user.expires_at else []
        after = role_after(user, links).role
        if one.is_admin:
            kept = f"the role {user.role} stays, an admin gave it"
            notes.append(f"admin: {kept if after is user.role else f'the role {user.role} of {user.provider} ends'}")
        if user.id in self._pilots:
            notes.append("pilot")
        if one.state is State.READY and one.uncovered:
            notes.append(f"locked out from {', '.join(one.uncovered)} until there is a key")
        if one.used and one.keys != NO_KEYS:
            notes += key_notes(self._site.store, user.id, one.used, self._now)
        if user.status is not Status.ACTIVE:
            notes.append(f"is {user.status}, and stays so")
        if user.expires_at is not None:
            notes.append(f"still expires at {moment(user.expires_at)}")
        there = one.facts
        if there is not None and there.email and user.email and there.email.casefold() != user.email.casefold():
            notes.append(f"e-mail is {user.email} here and {there.email} there: the same person?")
        return replace(one, role_after=after, notes=tuple(notes))


def _client_name(one: Candidate) -> str:
    """Give the client's name for the person, if it has said one that is not the login name."""
    if one.facts is None:
        return ""
    name = canonical_name(one.facts.user_name)
    return "" if name == one.user.name else name
