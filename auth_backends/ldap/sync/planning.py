"""Holds a snapshot against the store and spools what must change; nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from auth_backends.ldap.dn import folded_dn
from auth_backends.ldap.sync.api import Listener, Progress
from auth_backends.ldap.sync.groups import DirectoryGroup, Selection
from auth_backends.ldap.sync.people import Person
from auth_backends.ldap.sync.plan import DEFAULT_GROUP, NOT_REQUIRED, Action, Planner, Step
from auth_backends.ldap.sync.snapshot import Snapshot
from auth_backends.ldap.sync.spool import Spool
from config.ldap import LdapProvider
from storage.database.names import canonical_name
from storage.database.records import Owner
from storage.database.sources import LinkedGroup, LinkedUser
from storage.database.store import Store

PAGE = 500


class Places(Protocol):
    """Asks the directory once more where people are."""

    def __call__(self, external_ids: Sequence[str], *, everywhere: bool) -> Mapping[str, str]:
        """Give the DNs of those who are there: as users, or ``everywhere`` below the base as whatever they are."""


@dataclass(slots=True)
class Plan:
    """``ending`` are the steps that take somebody's access away; ``others`` all the rest, on disk."""

    ending: list[Step] = field(default_factory=list)
    others: Spool[Step] = field(default_factory=Spool)
    taken: set[str] = field(default_factory=set)
    """External ids of the directory's groups that are taken over."""
    gone: list[LinkedGroup] = field(default_factory=list)
    linked: list[LinkedGroup] = field(default_factory=list)
    planned: Counter[Action] = field(default_factory=Counter)

    def add(self, step: Step | None) -> None:
        """Put a step where it belongs."""
        if step is None:
            return
        self.planned[step.action] += 1
        if step.action.ends:
            self.ending.append(step)
        else:
            self.others.append(step)

    def close(self) -> None:
        """Free the disk."""
        self.others.close()


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run's comparison of a snapshot with the store."""

    store: Store
    name: str
    provider: LdapProvider
    snapshot: Snapshot
    listen: Listener
    beat: Callable[[], None]
    now: float
    places: Places

    def plan(self) -> Plan:
        """Compare all of it. Raises StoreUnavailable."""
        plan = Plan(linked=self.store.sources.groups(self.name))
        try:
            selection = Selection.of(self.provider)
            names = self._groups(plan, selection)
            roles = {mapping.external_id: mapping for mapping in self.store.providers.roles(self.name)}
            planner = Planner(self.name, self.provider, roles, self.now, names)
            external = {group.identity.group_id: group.identity.external_id for group in plan.linked}
            if (default := self._default_group_id()) is not None:
                external[default] = DEFAULT_GROUP
            self._people(plan, planner, selection, external)
            if not self.snapshot.complete:
                self._left(plan, planner)
            if self.snapshot.complete or self.snapshot.present is not None:
                self._others(plan, planner, selection, external)
        except BaseException:
            plan.close()
            raise
        return plan

    def _groups(self, plan: Plan, selection: Selection) -> dict[str, str]:
        """Say which groups are taken over, by external id with their names, and which have gone."""
        found = self.snapshot.groups
        if found is None:
            plan.taken = {group.identity.external_id for group in plan.linked}
            return {group.identity.external_id: group.name for group in plan.linked}
        named = {group.external_id: group for group in found.values() if selection.takes(group)}
        for group in named.values():
            if group.problem:
                plan.add(Step(Action.SKIP, group.dn, group.external_id, reason=group.problem))
        taken = {external_id: group for external_id, group in named.items() if not group.problem}
        plan.taken = set(taken)
        still = [group for group in plan.linked if group.identity.hint]  # else it has gone before
        plan.gone = [group for group in still if group.identity.external_id not in taken]
        return {external_id: group.name for external_id, group in taken.items()}

    def _people(self, plan: Plan, planner: Planner, selection: Selection, external: Mapping[str, str]) -> None:
        for unusable in self.snapshot.unusable:
            plan.add(Step(Action.SKIP, unusable.name or unusable.dn, "", reason=unusable.reason, hint=unusable.dn))
        done = 0
        for page in self.snapshot.people.pages(PAGE):
            self.beat()
            linked = self.store.sources.people(self.name, Owner.LDAP, [person.external_id for person in page])
            holders = self.store.sources.holders(_wanted_names(page, linked))
            steps: list[Step] = []
            for person in page:
                present = linked.get(person.external_id)
                held = _held(present, external)
                groups = self._groups_of(person, held)
                admitted = self.snapshot.groups is None or selection.admits(self._all(groups))
                step = planner.person(person, groups, present, admitted=admitted, holders=holders, held=held)
                if step is not None:
                    steps.append(step)
            for step in self._without_movers(steps):
                plan.add(step)
            done += len(page)
            self.listen(Progress("people compared", done))

    def _groups_of(self, person: Person, held: frozenset[str]) -> frozenset[str]:
        if self.snapshot.groups is None:
            return held - {DEFAULT_GROUP}
        return self.snapshot.memberships.of(person.external_id, person.primary_group)

    def _all(self, groups: frozenset[str]) -> list[DirectoryGroup]:
        found = self.snapshot.groups or {}
        return [found[group] for group in groups if group in found]

    def _without_movers(self, steps: list[Step]) -> list[Step]:
        """Leave out who would end for want of a group, and moved while people and groups were read."""
        doubtful = [step for step in steps if step.action.ends and step.reason == NOT_REQUIRED]
        if not doubtful:
            return steps
        places = self.places([step.external_id for step in doubtful], everywhere=False)
        moved = {step.external_id for step in doubtful if _moved(step.hint, places.get(step.external_id))}
        return [step for step in steps if step.external_id not in moved]

    def _others(self, plan: Plan, planner: Planner, selection: Selection, external: Mapping[str, str]) -> None:
        """Sweep: whoever is linked and not there has left; of those who are, the groups may have changed."""
        present = self.snapshot.present or {}
        for page in self.store.sources.everybody(self.name, Owner.LDAP):
            self.beat()
            rest = [linked for linked in page if linked.identity.external_id not in self.snapshot.seen]
            absent = [linked for linked in rest if linked.identity.external_id not in present]
            for linked in absent:
                if linked.identity.external_id not in self.snapshot.left:
                    plan.add(self._gone(planner, linked))
            for linked in rest:
                external_id = linked.identity.external_id
                if external_id not in present or external_id in self.snapshot.left or not linked.identity.active:
                    continue
                groups = self.snapshot.memberships.of(external_id, present[external_id])
                if selection.admits(self._all(groups)):
                    plan.add(planner.unchanged_but_groups(linked, groups, _held(linked, external)))
                else:
                    plan.add(planner.absent(linked, NOT_REQUIRED, gone=False))

    def _gone(self, planner: Planner, linked: LinkedUser) -> Step | None:
        """Plan for somebody whom the user filter does not find; only who is nowhere below the base may be deleted."""
        step = planner.absent(linked, "no longer in the directory", gone=True)
        if step is None or step.action is not Action.DELETE:
            return step
        if not self.places([linked.identity.external_id], everywhere=True):
            return step
        return planner.absent(linked, "no longer matches the user filter", gone=False)

    def _left(self, plan: Plan, planner: Planner) -> None:
        """Only those who are linked have left; most changed entries of others never were users here."""
        left = sorted(self.snapshot.left)
        for start in range(0, len(left), PAGE):
            for linked in self.store.sources.people(self.name, Owner.LDAP, left[start : start + PAGE]).values():
                plan.add(planner.absent(linked, "no longer matches the user filter", gone=False))

    def _default_group_id(self) -> str | None:
        if not self.provider.default_group:
            return None
        group = self.store.groups.by_name(canonical_name(self.provider.default_group))
        return None if group is None else group.id


def _moved(before: str, now: str | None) -> bool:
    return now is not None and folded_dn(now) != folded_dn(before)


def _held(linked: LinkedUser | None, external: Mapping[str, str]) -> frozenset[str]:
    """Name the groups that we hold somebody in by their external ids; one that is linked no more by its own id."""
    return frozenset() if linked is None else frozenset(external.get(group, group) for group in linked.groups)


def _wanted_names(page: list[Person], linked: Mapping[str, LinkedUser]) -> list[str]:
    """List the names whose holders matter: those that a person does not have already."""
    wanted: set[str] = set()
    for person in page:
        present = linked.get(person.external_id)
        if present is None or present.user.name != person.name:
            wanted.add(person.name)
        wanted |= person.aliases - (present.aliases if present is not None else frozenset())
    return sorted(wanted)
