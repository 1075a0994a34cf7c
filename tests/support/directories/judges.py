"""The LDAP backend with users of one directory, without a store: links are made by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from auth_backends.api import Account, Attempt, AttemptLimit, FrontEnd, Password, Reason, Rejected, Secret, Verdict
from auth_backends.ldap.backend import LdapBackend
from config.ldap import LdapProvider, Security, Vendor
from storage.database.records import Identity, Method, Status, User
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap
from tests.support.directories.samba import SambaAd
from tests.support.directories.slapd import Slapd

NAME = "corp"
BASE = "dc=lab,dc=test"
SERVICE = f"cn=service,{BASE}"
SERVICE_PASSWORD = "Serv1ce-0f-the-h0stile"
PASSWORD = "C0rrect-Horse-8f3a"
ALICE, ALICE_ID = f"uid=alice,{BASE}", "11111111-1111-1111-1111-111111111111"
ENTRIES = {
    BASE: {"dc": [b"lab"], "objectClass": [b"domain"]},
    ALICE: {"uid": [b"alice"], "entryUUID": [ALICE_ID.encode()], "objectClass": [b"inetOrgPerson"]},
    SERVICE: {"cn": [b"service"], "entryUUID": [b"99999999-9999-9999-9999-999999999999"]},
}


Certificate = tuple[Path, Path]
Start = Callable[..., HostileLdap]
"""Starts a server that the test's end stops."""


class Judge:
    """A backend and its users. ``provider`` may be replaced, as by an admin."""

    def __init__(self, provider: LdapProvider, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.provider: LdapProvider | None = provider
        self.links: dict[str, Identity] = {}
        self.backend = LdapBackend(
            lambda name: self.provider if name == NAME else None,
            lambda user_id, _: self.links.get(user_id),
            monotonic=monotonic,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.backend.close()

    def account(self, name: str, external_id: str, hint: str = "", **fields: Any) -> Account:
        """Link a user of this name to an entry."""
        user_id = f"id-of-{name}"
        self.links[user_id] = Identity(user_id, NAME, external_id, hint=hint)
        user = User(user_id, name, Method.LDAP, Status.ACTIVE, epoch=1, home=name, provider=NAME, **fields)
        return Account(user)

    def alice(self, hint: str = ALICE) -> Account:
        """Link a user to the one person of a hostile server."""
        return self.account("alice", ALICE_ID, hint)

    def of_slapd(self, slapd: Slapd, dn: str, hint: str | None = None) -> Account:
        """Link a user to an entry of this server, by its entryUUID."""
        return self.account(dn, slapd.entry(dn)["entryUUID"][0], dn if hint is None else hint)

    def of_samba(self, samba: SambaAd, name: str, hint: str | None = None) -> Account:
        """Link a user to an account of this server, by its objectGUID."""
        return self.account(name, str(samba.guid_of(name)), samba.dn_of(name) if hint is None else hint)

    def verdict(self, account: Account, password: str) -> Verdict:
        """Have a password judged."""
        return self.backend.verify(attempt(account.user.name, password), account)

    def reason(self, account: Account, password: str) -> Reason | Verdict:
        """Have a password judged, and give why it is refused, or the verdict if it is not."""
        verdict = self.verdict(account, password)
        return verdict.reason if isinstance(verdict, Rejected) else verdict

    def timed(self, account: Account, password: str) -> tuple[Verdict, float]:
        """Have a password judged, and say how many seconds it took."""
        began = time.monotonic()
        verdict = self.verdict(account, password)
        return verdict, time.monotonic() - began

    def limit(self, account: Account) -> AttemptLimit | None:
        """Ask how many wrong passwords may be sent."""
        return self.backend.limit(account)


Judges = Callable[[LdapProvider], Judge]
"""Makes a backend that the test's end closes."""


def attempt(name: str, password: str) -> Attempt:
    """Make a sign-in by password."""
    return Attempt("an-attempt", FrontEnd.SFTP, Password(name, Secret(password)), ip_address("192.0.2.1"), 0.0)


def hostile_provider(authority: Authority, *servers: HostileLdap | str, **settings: Any) -> LdapProvider:
    """Give the provider that reaches these servers, by default by LDAPS within a second."""
    hosts = tuple(one if isinstance(one, str) else f"localhost:{one.port}" for one in servers)
    defaults: dict[str, Any] = {
        "hosts": hosts,
        "security": Security.LDAPS,
        "ca_file": authority.ca_file,
        "vendor": Vendor.OPENLDAP,
        "base_dn": BASE,
        "bind_user": SERVICE,
        "bind_password": SERVICE_PASSWORD,
        "timeout_s": 1,
        "lockout_threshold": 0,
    }
    return LdapProvider.model_validate(defaults | settings)
