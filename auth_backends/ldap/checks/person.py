"""One person as the directory shows them: the entry, its id, its lock-out settings and its groups."""

from __future__ import annotations

from collections.abc import Iterator

from auth_backends.ldap.checks.content import RIGHTS, Content, about_lockout
from auth_backends.ldap.checks.stage import Stage, failed, passed, warned
from auth_backends.ldap.connection import Entry, LdapConnection
from auth_backends.ldap.dn import is_within, same_dn
from auth_backends.ldap.lockout import configured, policy_place, read_lockout
from auth_backends.ldap.vendors import Preset, escaped, external_id_of, login_filter
from config.ldap import LdapProvider

USER, USERS_LOCKOUT, USERS_GROUPS = "user", "user's lock-out", "user's groups"
MOST = 50
IN_CHAIN = "1.2.840.113556.1.4.1941"  # [MS-ADTS] 3.1.1.3.4.4.3, follows groups within groups


class Person:
    """The steps for one login name, on a connection of the service account."""

    def __init__(self, connection: LdapConnection, provider: LdapProvider, preset: Preset, login: str) -> None:
        self._connection = connection
        self._provider = provider
        self._preset = preset
        self._login = login.rpartition("\\")[2] if preset.is_active_directory else login
        self._entry: Entry | None = None

    def stages(self, content: Content) -> Iterator[Stage]:
        """Find the person; then say what holds for them."""
        yield content.guarded(USER, self._found)
        for name, step in ((USERS_LOCKOUT, self._lockout), (USERS_GROUPS, self._groups)):
            if self._entry is not None and content.can_go_on:
                yield content.guarded(name, step)

    def _found(self) -> Stage:
        preset = self._preset
        base = self._provider.user_base_dn or self._provider.base_dn
        wanted = (preset.id_attribute, preset.login_attribute, preset.mail_attribute, *preset.policy_attributes)
        found = self._connection.search(base, login_filter(preset, self._login), wanted, limit=2)
        found = [entry for entry in found if is_within(entry.dn, base)]
        names = ", ".join((preset.login_attribute, *preset.alias_attributes))
        if not found:
            advice = f"Looked for in {names}, below {base}, with the user filter. Check these, or {RIGHTS}."
            return failed(USER, f"nobody is called {self._login!r}", advice)
        if len(found) > 1:
            advice = f"Such a name is nobody's. Make {names} unique: {found[0].dn} and {found[1].dn} have it."
            return failed(USER, f"more than one is called {self._login!r}", advice)
        entry = found[0]
        external_id = external_id_of(preset, entry)
        if external_id is None:
            return failed(USER, f"{entry.dn} has no readable {preset.id_attribute}", f"To link the user, {RIGHTS}.")
        if same_dn(entry.dn, self._provider.bind_user):
            return failed(USER, f"{entry.dn} is the service account", "It never signs in here; ask for somebody else.")
        self._entry = entry
        return passed(USER, f"{entry.dn}, {entry.text(preset.login_attribute)}, {preset.id_attribute} {external_id}")

    def _lockout(self) -> Stage:
        entry = self._entry or Entry("", {})
        place = policy_place(self._preset, entry)
        told = configured(self._provider) or read_lockout(self._connection, self._provider, self._preset, place)
        stage = about_lockout(told)
        source = f" ({place})" if place else ""
        return Stage(USERS_LOCKOUT, stage.outcome, f"{stage.detail}{source}", stage.advice)

    def _groups(self) -> Stage:
        entry, preset = self._entry or Entry("", {}), self._preset
        base = self._provider.group_base_dn or self._provider.base_dn
        dn, login = escaped(entry.dn), escaped(entry.text(preset.login_attribute) or "")
        if preset.is_active_directory:
            is_member = f"(member:{IN_CHAIN}:={dn})"
        else:
            by = "".join(
                f"({name}={login if name.casefold() == 'memberuid' else dn})" for name in preset.member_attributes
            )
            is_member = f"(|{by})"
        found = self._connection.search(
            base, f"(&{preset.group_filter}{is_member})", (preset.group_name_attribute,), limit=MOST
        )
        names = sorted(entry.text(preset.group_name_attribute) or entry.dn for entry in found)
        if not names:
            return warned(USERS_GROUPS, "in no group that can be seen", f"If there should be some, {RIGHTS}.")
        more = ", and more" if len(found) >= MOST else ""
        nested = "" if preset.is_active_directory else " (directly; the sync follows groups within groups)"
        return passed(USERS_GROUPS, f"{', '.join(names)}{more}{nested}")
