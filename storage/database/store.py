"""Store: the front door of the user store."""

from __future__ import annotations

import time
from collections.abc import Iterable

from storage.database.audit import AuditTrail
from storage.database.changes import Applied, Change, apply, apply_each
from storage.database.credentials import Credentials
from storage.database.engine import Database
from storage.database.errors import (
    Conflict,
    Held,
    InvalidChange,
    InvalidName,
    NotFoundInStore,
    SchemaTooNew,
    SchemaTooOld,
    Stale,
    StoreError,
    StoreUnavailable,
    Taken,
)
from storage.database.folders import Folders
from storage.database.groups import Groups
from storage.database.leases import Leases
from storage.database.locks import LockTable
from storage.database.migrations_log import Migrations
from storage.database.portal_sessions import PortalSessions
from storage.database.properties import PropertyTable
from storage.database.providers import Providers
from storage.database.revocations import Revocations
from storage.database.schema import HEAD, SchemaState, revision_of, state_of
from storage.database.scim import ScimGroups, ScimPeople
from storage.database.scim_log import ScimLog
from storage.database.scim_tokens import ScimTokens
from storage.database.scim_waiting import ScimWaiting
from storage.database.sessions import SessionTable
from storage.database.sources import Sources
from storage.database.sso_answers import SsoAnswers
from storage.database.sso_flows import SsoFlows
from storage.database.sso_kept import KeptDocuments
from storage.database.sync_log import SyncTable
from storage.database.throttle import ThrottleTable
from storage.database.totp import TotpSecrets
from storage.database.users import Users

__all__ = [
    "Applied",
    "Change",
    "Conflict",
    "Held",
    "InvalidChange",
    "InvalidName",
    "NotFoundInStore",
    "SchemaTooNew",
    "SchemaTooOld",
    "Stale",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Taken",
    "open_store",
]

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S


class Store:
    """The user store of one process; thread-safe. Open it after fork or spawn, never before.

    Every reader raises StoreUnavailable when the database cannot tell.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.users = Users(database)
        self.groups = Groups(database)
        self.credentials = Credentials(database)
        self.folders = Folders(database)
        self.sessions = SessionTable(database)
        self.revocations = Revocations(database)
        self.throttle = ThrottleTable(database)
        self.audit = AuditTrail(database)
        self.locks = LockTable(database)
        self.properties = PropertyTable(database)
        self.leases = Leases(database)
        self.providers = Providers(database)
        self.sources = Sources(database)
        self.syncs = SyncTable(database)
        self.scim_people = ScimPeople(database)
        self.scim_groups = ScimGroups(database)
        self.scim_tokens = ScimTokens(database)
        self.scim_waiting = ScimWaiting(database)
        self.scim_log = ScimLog(database)
        self.migrations = Migrations(database)
        self.totp = TotpSecrets(database)
        self.portal = PortalSessions(database)
        self.sso_flows = SsoFlows(database)
        self.sso_answers = SsoAnswers(database)
        self.sso_kept = KeptDocuments(database)

    def apply(self, change: Change, *, actor: str) -> Applied:
        """Make one change with its epochs, revocations and audit event, or nothing at all.

        Raises:
            InvalidChange, NotFoundInStore, Conflict: refused, with a message for people.
            StoreUnavailable: cannot tell; nothing was changed, or the answer of the commit was lost.
        """
        applied = apply(self._database, change, actor=actor, now=time.time())
        if applied.users:
            self.revocations.wake()
        return applied

    def apply_each(
        self, changes: Iterable[Change], *, actor: str
    ) -> list[Applied | Conflict | InvalidChange | NotFoundInStore]:
        """Make many changes in one transaction; a refused one leaves its refusal as the answer and undoes no other.

        Raises StoreUnavailable: cannot tell; none was made, or the answer of the commit was lost.
        """
        answers = apply_each(self._database, changes, actor=actor, now=time.time())
        if any(isinstance(answer, Applied) and answer.users for answer in answers):
            self.revocations.wake()
        return answers

    def ping(self) -> None:
        """Return when the database answers and has this release's schema; else raise StoreError."""
        with self._database.read() as connection:
            revision = revision_of(connection)
        match state_of(revision):
            case SchemaState.CURRENT:
                return
            case SchemaState.AHEAD:
                raise SchemaTooNew(f"The database has revision {revision}, which this release does not know.")
            case SchemaState.EMPTY | SchemaState.BEHIND:
                raise SchemaTooOld(f"The database has revision {revision}, this release needs {HEAD}.")

    def prune(
        self,
        now: float,
        *,
        revocations_s: float = _HOUR_S,
        sessions_s: float = 30 * _DAY_S,
        throttle_s: float = _DAY_S,
        sync_s: float = 90 * _DAY_S,
        scim_s: float = 90 * _DAY_S,
        answers_s: float = 30 * _DAY_S,
    ) -> int:
        """Remove revocations, ended sessions, failures, sync runs, SCIM requests and answers that are older (seconds).

        Gives the number. A worker that slept through the life of a revocation still finds the user's raised epoch.
        """
        removed = self.revocations.prune(now - revocations_s) + self.throttle.prune(now - throttle_s)
        removed += self.sessions.prune(now - sessions_s) + self.syncs.prune(now - sync_s)
        removed += self.sso_flows.prune(now) + self.sso_answers.prune(now - answers_s)
        return removed + self.scim_log.prune(now - scim_s) + self.scim_waiting.prune(now - scim_s)

    def close(self) -> None:
        """Close all connections; every later use raises StoreUnavailable."""
        self._database.close()
        self.revocations.close()


def open_store(url: str, *, pool_size: int = 8) -> Store:
    """Open a migrated database.

    Raises:
        SchemaTooOld, SchemaTooNew: run ``migrate`` first, or a newer release.
        StoreUnavailable: the database cannot be reached.
    """
    store = Store(Database(url, pool_size=pool_size))
    try:
        store.ping()
    except StoreError:
        store.close()
        raise
    return store
