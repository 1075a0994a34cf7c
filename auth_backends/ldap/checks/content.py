"""What the service account sees of the directory: bases, people, groups, ids, lock-out and changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from auth_backends.ldap.checks.stage import Stage, failed, passed, warned
from auth_backends.ldap.connection import Entry, LdapConnection
from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.errors import AnswerMissing, DirectoryUnreachable, SearchRefused
from auth_backends.ldap.lockout import Lockout, configured, read_lockout
from auth_backends.ldap.self_knowledge import domain_of
from auth_backends.ldap.vendors import ChangeMarker, Preset, external_id_of
from config.ldap import LdapProvider

SAMPLE = 50
BASE, USERS, GROUPS, IDS, DOMAIN, LOCKOUT, CHANGES = (
    "base",
    "users",
    "groups",
    "immutable ids",
    "domain",
    "lock-out",
    "changes",
)
RIGHTS = "give the service account leave to read it"


class Content:
    """The steps on a connection of the service account; each has the provider's time."""

    def __init__(self, connection: LdapConnection, provider: LdapProvider, preset: Preset) -> None:
        self._connection = connection
        self._provider = provider
        self._preset = preset
        self._users: list[Entry] = []
        self.can_go_on = True

    def stages(self) -> Iterator[Stage]:
        """Take each step; those that need one that failed are left out."""
        for stage in self._stages():
            yield stage
            if not self.can_go_on:
                return

    def _stages(self) -> Iterator[Stage]:
        for option in ("base_dn", "user_base_dn", "group_base_dn"):
            if getattr(self._provider, option):
                yield self.guarded(BASE, partial(self._base, option))
        yield self.guarded(USERS, self._some_users)
        if self._users:
            yield self.guarded(IDS, self._ids)
        yield self.guarded(GROUPS, self._some_groups)
        if self._preset.is_active_directory:
            yield self.guarded(DOMAIN, self._domain)
        yield self.guarded(LOCKOUT, self._lockout)
        if self._users:
            yield self.guarded(CHANGES, self._changes)

    def guarded(self, name: str, step: Callable[[], Stage]) -> Stage:
        """Take a step, and say what it means if the directory does not answer it: the connection is of no use then."""
        self._connection.deadline = Deadline.after(self._provider.timeout_s)
        try:
            return step()
        except SearchRefused as error:
            return failed(name, error.detail, "Look at the directory's log, and at what the service account may read.")
        except AnswerMissing as error:
            self.can_go_on = False
            return failed(name, error.detail, "The search takes too long: the attributes in the filter need an index.")
        except DirectoryUnreachable as error:
            self.can_go_on = False
            return failed(name, error.detail, "The server does not speak LDAP as a directory does: look at its log.")

    # Steps ------------------------------------------------------------------------------------------

    def _base(self, option: str) -> Stage:
        base = str(getattr(self._provider, option))
        if self._connection.search_base(base, (self._preset.id_attribute,)) is not None:
            return passed(BASE, f"{option} {base} is there")
        self.can_go_on = False
        context = ", ".join(self._connection.root(("namingContexts",)).texts("namingContexts"))
        known = f" The server has: {context}." if context else ""
        return failed(BASE, f"{option} {base} is not there", f"Correct {option}, or {RIGHTS}.{known}")

    def _some_users(self) -> Stage:
        preset = self._preset
        base = self._provider.user_base_dn or self._provider.base_dn
        wanted = (preset.id_attribute, preset.login_attribute, preset.changed_attribute)
        self._users = self._connection.some(base, preset.user_filter, wanted, SAMPLE)
        if not self._users:
            advice = f"Check user_filter ({preset.user_filter}) and user_base_dn, or {RIGHTS}."
            return failed(USERS, f"nobody below {base} matches the user filter", advice)
        nameless = [entry for entry in self._users if not entry.text(preset.login_attribute)]
        if nameless:
            advice = f"Check login_attribute, or leave them out by user_filter. The first is {nameless[0].dn}."
            return warned(USERS, f"{len(nameless)} of {_counted(self._users)} have no {preset.login_attribute}", advice)
        return passed(USERS, f"{_counted(self._users)} match the user filter")

    def _ids(self) -> Stage:
        attribute = self._preset.id_attribute
        unknown = [entry for entry in self._users if external_id_of(self._preset, entry) is None]
        if unknown:
            advice = f"Check vendor and id_attribute, or {RIGHTS}. The first is {unknown[0].dn}."
            return failed(IDS, f"{len(unknown)} of {_counted(self._users)} have no readable {attribute}", advice)
        return passed(IDS, f"each has a readable {attribute}")

    def _some_groups(self) -> Stage:
        base = self._provider.group_base_dn or self._provider.base_dn
        found = self._connection.some(base, self._preset.group_filter, (self._preset.id_attribute,), SAMPLE)
        if found:
            return passed(GROUPS, f"{_counted(found)} match the group filter")
        advice = f"If there should be some: check group_filter ({self._preset.group_filter}), or {RIGHTS}."
        return warned(GROUPS, f"no group below {base} matches the group filter", advice)

    def _domain(self) -> Stage:
        name = self._provider.domain or domain_of(self._connection)
        if name:
            return passed(DOMAIN, f"people may also type {name}\\name")
        return warned(DOMAIN, "the name of the domain cannot be read", "Set domain, if people type DOMAIN\\name.")

    def _lockout(self) -> Stage:
        told = configured(self._provider)
        return about_lockout(told or read_lockout(self._connection, self._provider, self._preset, ""))

    def _changes(self) -> Stage:
        attribute = self._preset.changed_attribute
        readable = any(entry.text(attribute) for entry in self._users)
        if self._preset.change_marker is ChangeMarker.USN_CHANGED:
            readable = readable and bool(self._connection.root(("highestCommittedUSN",)).text("highestCommittedUSN"))
        if readable:
            return passed(CHANGES, f"the sync finds changes by {attribute}")
        advice = f"Every sync reads the whole directory until you {RIGHTS}."
        return warned(CHANGES, f"{attribute} cannot be read", advice)


def about_lockout(found: Lockout | None) -> Stage:
    """Say what the lock-out settings mean for us."""
    if found is None:
        advice = "Set lockout_threshold and lockout_window_s to what the directory has; until then we stop after 2."
        return warned(LOCKOUT, "it cannot be read when the directory locks an account", advice)
    if found.threshold <= 0:
        return passed(LOCKOUT, "the directory never locks an account for wrong passwords")
    window = f" within {found.window_s:.0f} s" if found.window_s else ", however long ago they were"
    if found.threshold == 1:
        advice = "A single typo here locks the account everywhere: raise the threshold in the directory."
        return warned(LOCKOUT, f"the directory locks an account after the first wrong password{window}", advice)
    detail = f"the directory locks an account after {found.threshold} wrong passwords{window}"
    return passed(LOCKOUT, f"{detail}; we stop after {found.threshold - 1}")


def _counted(entries: list[Entry]) -> str:
    return f"{len(entries)} or more" if len(entries) >= SAMPLE else str(len(entries))
