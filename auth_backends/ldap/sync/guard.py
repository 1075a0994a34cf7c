"""Whether a run may do what it planned, or must wait for an admin."""

from __future__ import annotations

from dataclasses import dataclass

from auth_backends.ldap.sync.plan import Action, reason_to_hold, reason_to_hold_groups
from auth_backends.ldap.sync.planning import Plan
from auth_backends.ldap.sync.snapshot import Snapshot
from config.ldap import LdapProvider
from storage.database.records import Owner
from storage.database.store import Store
from storage.database.sync_log import Outcome

DAY_S = 86_400.0
APPROVABLE_S = 7 * DAY_S
RUNS_OF_A_DAY = 1500  # one a minute is the most
SHOWN = 10_000  # steps that a dry run or a held run shows


@dataclass(slots=True)
class Guard:
    """The circuit breaker of one run. ``approve`` is the number of the held run that an admin approves, if one is.

    ``approved`` is that number once it was needed and good.
    """

    store: Store
    name: str
    provider: LdapProvider
    approve: int | None
    approved: int | None = None

    def reason(self, plan: Plan, snapshot: Snapshot, now: float) -> str | None:
        """Say why the run must wait for an admin, or None."""
        active = self.store.sources.count_active(self.name, Owner.LDAP, now)
        everybody = snapshot.seen if snapshot.complete else snapshot.present
        empty = everybody is not None and not everybody
        before = self._ended_lately(now) if plan.ending else 0
        why = reason_to_hold(len(plan.ending), active, self.provider, empty=empty, before=before)
        why = why or reason_to_hold_groups(len(plan.gone), len(plan.linked), self.provider, empty=not plan.taken)
        if why is None:
            return None
        if self.approve is None:
            return why
        approved = self._approved(self.approve, now)
        if approved is None:
            return f"{why} Run {self.approve} is no held run of the last week."
        unseen = [step.subject for step in plan.ending if step.external_id not in approved]
        unseen += [f"group {group.name}" for group in plan.gone if group.identity.external_id not in approved]
        if unseen:
            names = ", ".join(unseen[:10])
            return f"{why} Run {self.approve} did not show {len(unseen)} of them: {names}."
        self.approved = self.approve
        return None

    def _ended_lately(self, now: float) -> int:
        """How many lost access by the runs of the last day that no admin approved: a slow mistake is one, too."""
        since = now - DAY_S
        return sum(
            run.counts.get("disabled", 0) + run.counts.get("deleted", 0)
            for run in self.store.syncs.runs(self.name, limit=RUNS_OF_A_DAY)
            if run.started_at >= since and run.outcome is not Outcome.HELD and not run.counts.get("approved")
        )

    def _approved(self, run_id: int, now: float) -> set[str] | None:
        """Give whom a held run showed, or None if it is none that can be approved any more."""
        run = self.store.syncs.run(run_id)
        if run is None or run.provider != self.name or run.outcome is not Outcome.HELD:
            return None
        if now - run.started_at > APPROVABLE_S:
            return None
        ends = {Action.DISABLE.value, Action.DELETE.value, Action.DELETE_GROUP.value}
        return {item.external_id for item in self.store.syncs.items(run_id, limit=SHOWN) if item.action in ends}
