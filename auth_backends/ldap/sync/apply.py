"""Brings planned steps into the store: leavers first, then groups, then everybody else, in small transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auth_backends.ldap.sync.api import Listener, Progress
from auth_backends.ldap.sync.groups import DirectoryGroup
from auth_backends.ldap.sync.plan import DEFAULT_GROUP, Action, Step
from auth_backends.ldap.sync.spool import Spool
from config.ldap import LdapProvider
from storage.database.change_types import (
    Change,
    CreateGroup,
    DepartGroup,
    Provision,
    ProvisionGroup,
)
from storage.database.names import canonical_name
from storage.database.records import Owner
from storage.database.sources import LinkedGroup
from storage.database.store import Applied, Store, StoreError
from storage.database.sync_log import SyncConflict, SyncItem

BATCH = 50  # a sign-in must not wait for longer than such a transaction takes
COUNTED = {
    Action.CREATE: "created",
    Action.CHANGE: "changed",
    Action.DISABLE: "disabled",
    Action.DELETE: "deleted",
    Action.SKIP: "skipped",
}


@dataclass(slots=True)
class Applier:
    """Applies one run's steps. ``beat`` is called between transactions; it may raise to stop."""

    store: Store
    name: str
    provider: LdapProvider
    run_id: int
    listen: Listener
    beat: Callable[[], None]
    now: float
    counts: Counter[str] = field(default_factory=Counter)
    conflicts: list[SyncConflict] = field(default_factory=list)
    _group_ids: dict[str, str] = field(default_factory=dict)

    def steps(self, steps: Iterable[Sequence[Step]], stage: str) -> None:
        """Make the changes of many steps, a transaction for each page of them."""
        done = 0
        for page in steps:
            self.beat()
            changing = [step for step in page if step.change is not None]
            answers = self.store.apply_each([self._change(step) for step in changing], actor=self._actor)
            items = [self._item(step) for step in page if step.change is None]
            items += [self._answered(step, answer) for step, answer in zip(changing, answers, strict=True)]
            self.store.syncs.progress(self.run_id, self.counts, items)
            done += len(page)
            self.listen(Progress(stage, done))

    def groups(self, found: Mapping[str, DirectoryGroup], linked: Sequence[LinkedGroup], taken: set[str]) -> None:
        """Make and rename groups; afterwards, :meth:`steps` knows the ids of all that are ``taken``."""
        self._group_ids = {group.identity.external_id: group.identity.group_id for group in linked}
        known = {group.identity.external_id: group for group in linked}
        wanted = [found[external_id] for external_id in sorted(taken)]
        pending = [group for group in wanted if _stale(group, known.get(group.external_id))]
        for start in range(0, len(pending), BATCH):
            self.beat()
            page = pending[start : start + BATCH]
            changes: list[Change] = [
                ProvisionGroup(self.name, Owner.LDAP, group.external_id, group.name, group.dn) for group in page
            ]
            items = []
            for group, answer in zip(page, self.store.apply_each(changes, actor=self._actor), strict=True):
                items += self._group_answered(group, known.get(group.external_id), answer)
            self.counts["groups"] += len(page)
            self.store.syncs.progress(self.run_id, self.counts, items)
            self.listen(Progress("groups brought up to date", start + len(page)))
        if self.provider.default_group:
            self._group_ids[DEFAULT_GROUP] = self._default_group(self.provider.default_group)

    def known_groups(self, linked: Sequence[LinkedGroup]) -> None:
        """Let :meth:`steps` know the groups' ids where none of them changed."""
        self.groups({}, linked, set())

    def departed_groups(self, gone: Sequence[LinkedGroup]) -> None:
        """End the groups that the directory no longer has."""
        for group in gone:
            self.beat()
            answer = self.store.apply_each(
                [DepartGroup(self.name, Owner.LDAP, group.identity.external_id)], actor=self._actor
            )[0]
            reason = answer.message if isinstance(answer, StoreError) else ""
            item = SyncItem(Action.DELETE_GROUP, group.name, group.identity.external_id, reason)
            self.store.syncs.progress(self.run_id, self.counts, [item])

    @property
    def _actor(self) -> str:
        return f"sync:{self.name}"

    def _change(self, step: Step) -> Change:
        assert step.change is not None  # noqa: S101 - only such steps come here
        if not isinstance(step.change, Provision):
            return step.change
        ids = frozenset(self._group_ids[group] for group in step.groups if group in self._group_ids)
        return replace(step.change, groups=ids)

    def _answered(self, step: Step, answer: Applied | StoreError) -> SyncItem:
        if isinstance(answer, StoreError):
            return self._item(replace(step, action=Action.SKIP, reason=answer.message, conflict=True))
        if "name_kept" in answer.detail:
            step = replace(step, conflict=True, reason=str(answer.detail["name_kept"]))
        elif not answer.changed and step.action is Action.CHANGE and not step.conflict:
            self.counts["unchanged"] += 1
            return SyncItem("unchanged", step.subject, step.external_id, "only what is not kept here changed")
        return self._item(step)

    def _item(self, step: Step) -> SyncItem:
        self.counts[COUNTED[step.action]] += 1
        if step.conflict:
            self.conflicts.append(
                SyncConflict(self.name, step.external_id, step.subject, step.reason, step.hint, self.now)
            )
        return SyncItem(step.action, step.subject, step.external_id, step.reason, step.detail)

    def _group_answered(
        self, group: DirectoryGroup, known: LinkedGroup | None, answer: Applied | StoreError
    ) -> list[SyncItem]:
        if isinstance(answer, StoreError):
            self.conflicts.append(
                SyncConflict(self.name, group.external_id, f"group {group.name}", answer.message, group.dn, self.now)
            )
            self.counts["skipped"] += 1
            return [SyncItem(Action.SKIP_GROUP, group.name, group.external_id, answer.message)]
        self._group_ids[group.external_id] = answer.subject_id
        if known is None:
            return [SyncItem(Action.CREATE_GROUP, group.name, group.external_id)]
        if known.name != group.name:
            detail = {"name": {"old": known.name, "new": group.name}}
            return [SyncItem(Action.RENAME_GROUP, group.name, group.external_id, detail=detail)]
        return []

    def _default_group(self, name: str) -> str:
        known = self.store.groups.by_name(canonical_name(name))
        if known is not None:
            return known.id
        return self.store.apply(CreateGroup(name), actor=self._actor).subject_id


def _stale(group: DirectoryGroup, known: LinkedGroup | None) -> bool:
    return known is None or known.name != group.name or known.identity.hint != group.dn


def batches(spool: Spool[Step]) -> Iterable[Sequence[Step]]:
    """Give spooled steps in pages of one transaction each."""
    return spool.pages(BATCH)
