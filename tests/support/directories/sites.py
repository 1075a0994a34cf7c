"""A store and a directory together: what tests of the sync are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auth_backends.ldap.sync.api import Report, Wish
from auth_backends.ldap.sync.run import synchronise
from config.ldap import LdapProvider, Security, Vendor
from storage.database.records import Group, User
from storage.database.store import Store
from storage.database.sync_log import Outcome
from tests.support.directories.samba import SambaAd
from tests.support.directories.slapd import Slapd

NAME = "corp"


def provider_for(directory: Slapd | SambaAd, **settings: Any) -> LdapProvider:
    """Give the provider that reaches this server by LDAPS with its service account."""
    is_samba = isinstance(directory, SambaAd)
    defaults: dict[str, Any] = {
        "hosts": (f"{directory.host}:{directory.tls_port}",),
        "security": Security.LDAPS,
        "ca_file": directory.ca_file,
        "vendor": Vendor.ACTIVE_DIRECTORY if is_samba else Vendor.OPENLDAP,
        "base_dn": directory.base_dn,
        "bind_user": directory.service_dn,
        "bind_password": directory.service_password,
    }
    return LdapProvider.model_validate(defaults | settings)


@dataclass
class SyncSite:
    """A store that follows one directory, and short verbs for tests."""

    store: Store
    provider: LdapProvider
    clock: float = 1_900_000_000.0

    def changed(self, **settings: Any) -> SyncSite:
        """Give the same store with other settings of the provider."""
        return SyncSite(self.store, LdapProvider.model_validate(self.provider.model_dump() | settings))

    def run(self, *, full: bool = False, dry_run: bool = False, approve: int | None = None, **others: Any) -> Report:
        """Run the sync once, whatever its outcome."""
        wish = Wish(full=full, dry_run=dry_run, approve=approve)
        return synchronise(self.store, NAME, self.provider, wish, actor="test", holder="test", **others)

    def done(self, **how: Any) -> Report:
        """Run it; it must be done."""
        report = self.run(**how)
        assert Outcome.DONE is report.outcome, report.detail
        return report

    def user(self, name: str) -> User:
        """Read a user who must be there."""
        user = self.store.users.by_name(name)
        assert user is not None, f"there is no user {name}"
        return user

    def groups(self, name: str) -> list[str]:
        """Name the groups of a user."""
        return [group.name for group in self.store.users.groups_of(self.user(name).id)]

    def group(self, name: str) -> Group:
        """Read a group that must be there."""
        group = self.store.groups.by_name(name)
        assert group is not None, f"there is no group {name}"
        return group

    def names(self) -> list[str]:
        """Name all users."""
        return [user.name for user in self.store.users.list()]


def did(report: Report) -> Mapping[str, list[str]]:
    """Give the subjects of a report's items by action, in order."""
    found: dict[str, list[str]] = {}
    for item in report.items:
        found.setdefault(str(item.action), []).append(item.subject)
    return {action: sorted(subjects) for action, subjects in found.items()}
