"""A running portal with every kind of person: of this site, of a real directory, and of an identity provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from config.settings import Settings
from config.sso import SsoMethod, SsoProvider
from server.providers import put_provider
from storage.database.changes import CreateUser, LinkIdentity
from storage.database.records import Method, User
from storage.database.sealing import ensure_site_key
from tests.support.directories.sites import provider_for
from tests.support.directories.slapd import Slapd
from tests.support.oidc_provider_double import SECRET, Provider
from tests.support.server import QuaymasterServer
from tests.support.sso_browser import SsoBrowser

CONNECTIONS = 6
"""Each is taken by one of two workers; that all are taken by the same one happens once in 32 times."""


@dataclass(frozen=True, slots=True)
class PortalSite:
    """A server with two workers, where people sign in at the provider ``op`` and by passwords."""

    server: QuaymasterServer
    provider: Provider
    people: dict[str, dict[str, object]] = field(default_factory=dict)
    """The claims of who signs in, by the nonce of the request: several may be on their way at once."""

    def add_sso_user(self, name: str) -> User:
        """Make a user who signs in at ``op``; the provider knows the person by ``sub-of-NAME``."""
        made = self.server.store.apply(CreateUser(name, Method.OIDC, provider="op"), actor="test").subject_id
        self.server.store.apply(LinkIdentity(made, "op", f"sub-of-{name}"), actor="test")
        return self.server.user(name)

    def add_directory_user(self, directory: Slapd, name: str) -> str:
        """Add somebody to the directory ``corp``, bring the user here, and give the DN."""
        dn = directory.add_person(name)
        said = self.server.cli("sync", "run", "corp", "--config", str(self.server.config))
        assert said.returncode == 0, said.stderr
        return dn

    def add_provider(self, name: str, **options: Any) -> None:
        """Let people sign in at the same provider by another name, with these settings."""
        options = {
            "method": SsoMethod.OIDC,
            "issuer": self.provider.issuer,
            "client_id": self.provider.client_id,
            "client_secret": SECRET,
            "private_hosts": True,
            **options,
        }
        settings = Settings(data=self.server.data)
        ensure_site_key(settings.site_key_file)
        self.server.store.apply(put_provider(name, SsoProvider(**options), settings), actor="test")

    def go(
        self, browser: SsoBrowser, person: str, provider: str = "op", *, start: str = "start", **claims: object
    ) -> str:
        """Be sent to the provider, sign in there as this person, and give the address of the way back."""
        answer = browser.get(f"/sso/{provider}/{start}")
        assert answer.status_code == 303, answer.text
        (nonce,) = parse_qs(urlsplit(answer.headers["location"]).query)["nonce"]
        self.people[nonce] = {"sub": f"sub-of-{person}", "preferred_username": person, **claims}
        query = self.provider.browse(answer.headers["location"])
        return f"/sso/{provider}/callback?{urlencode(query)}"

    def sign_in(self, browser: SsoBrowser, person: str) -> httpx.Response:
        """The whole way by the provider."""
        return browser.get(self.go(browser, person))

    def reasons(self, name: str, number: int = 1) -> list[str]:
        """The last reasons of the audit trail about a login name, the newest last."""
        return [event.reason for event in self.server.store.audit.tail(kind="login", subject=name, limit=number)]


@contextmanager
def portal_site(
    folder: Path, directory: Slapd | None = None, environment: dict[str, str] | None = None
) -> Iterator[PortalSite]:
    """Start one. ``directory`` is its directory ``corp``."""
    config = folder / "site.toml"
    lines = []
    if directory is not None:
        options = provider_for(directory).model_dump(mode="json", exclude_defaults=True)
        lines = ["[ldap.corp]", *(f"{name} = {json.dumps(value)}" for name, value in options.items())]
    config.write_text("\n".join([*lines, ""]))
    with closing(Provider()) as provider, QuaymasterServer(workers=2, config=config, environment=environment) as server:
        site = PortalSite(server, provider)
        provider.alter = lambda claims: {**claims, **site.people.get(str(claims.get("nonce")), {})}
        site.add_provider("op")
        yield site


def everywhere(browser: SsoBrowser) -> set[str | None]:
    """Who is signed in with this browser's cookies, asked by so many new connections that every worker is."""
    return {seen_from(browser) for _ in range(CONNECTIONS)}


def seen_from(browser: SsoBrowser, address: str = "127.0.0.1") -> str | None:
    """Who is signed in with this browser's cookies, asked by a new connection from an address of this machine."""
    with SsoBrowser(browser.server, address=address) as other:
        other.client.cookies = browser.client.cookies
        return other.name()
