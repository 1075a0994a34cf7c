"""The staged check of a provider: which step fails, why, and what to change, in words for people."""

from __future__ import annotations

from collections.abc import Iterator

from auth_backends.api import Secret
from auth_backends.ldap import codec
from auth_backends.ldap.checks.content import Content
from auth_backends.ldap.checks.person import Person
from auth_backends.ldap.checks.stage import Outcome, Stage, failed, passed
from auth_backends.ldap.checks.way import Way
from auth_backends.ldap.codec import Scope
from auth_backends.ldap.connection import sendable
from auth_backends.ldap.dn import is_name, is_within
from auth_backends.ldap.errors import TlsFailed
from auth_backends.ldap.tls import tls_context
from auth_backends.ldap.vendors import Preset, preset_of
from config.ldap import LdapProvider

__all__ = ["Outcome", "Stage", "run_check"]

SETTINGS = "settings"


def run_check(provider: LdapProvider, *, login: str | None = None) -> Iterator[Stage]:
    """Try everything that sign-ins and the sync need, step by step; give each step as it ends.

    Every server is tried as far as the service account's sign-in; what is in the directory, and the person with this
    ``login``, is looked up at the first server that lets it in. Each step takes the provider's ``timeout_s`` at most.
    The password goes out only where the certificate was accepted, and no more after a server has refused it: domain
    controllers tell each other of failures, and a wrong password at each could lock the account.
    """
    preset = preset_of(provider)
    settings = _settings(provider, preset)
    yield settings
    if not settings.ok:
        return
    looked, refused_at = False, ""
    for address in provider.addresses():
        way = Way(provider, address, refused_at)
        try:
            yield from way.stages()
            refused_at = refused_at or way.refused_at
            if way.connection is not None and not looked:
                looked = True
                content = Content(way.connection, provider, preset)
                yield from content.stages()
                if login is not None and content.can_go_on:
                    yield from Person(way.connection, provider, preset, login).stages(content)
        finally:
            way.close()


def _settings(provider: LdapProvider, preset: Preset) -> Stage:
    """Look at what can be judged without a server."""
    for option in ("base_dn", "user_base_dn", "group_base_dn"):
        base = getattr(provider, option)
        if base and not is_name(base):
            return failed(
                SETTINGS, f"{option} {base!r} is not a distinguished name", "See RFC 4514 for how it is written."
            )
        if base and not is_within(base, provider.base_dn):
            return failed(SETTINGS, f"{option} {base!r} is not below base_dn", "Correct one of the two.")
    for option, text in (("user_filter", preset.user_filter), ("group_filter", preset.group_filter)):
        try:
            codec.search(provider.base_dn, text, (preset.id_attribute,), scope=Scope.SUBTREE, limit=1, time_limit_s=1)
        except codec.FilterMalformed as error:
            return failed(SETTINGS, f"{option}: {error}", "See RFC 4515 for how filters are written.")
    if not sendable(provider.bind_user, Secret(provider.bind_password)):
        return failed(SETTINGS, "bind_user or bind_password is blank or overlong", "Give the service account's.")
    try:
        tls_context(provider)
    except TlsFailed as error:
        return failed(SETTINGS, error.detail, "It must be a file in PEM that this program may read.")
    servers = ", ".join(provider.hosts)
    return passed(SETTINGS, f"{provider.vendor} at {servers}, by {provider.security}")
