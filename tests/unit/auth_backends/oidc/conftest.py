"""A provider of each test's own, a clock that stands still, and a relying party between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from auth_backends.oidc.relying_party import OidcRelyingParty
from auth_backends.outgoing import Fetcher
from tests.support.oidc_provider_double import TENANT, Provider, entra_person
from tests.support.oidc_site import Clock, MakeSite, Site, client_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_site(clock: Clock) -> Iterator[MakeSite]:
    providers: list[Provider] = []

    def make(*, path: str = "", timeout_s: float = 10.0, person: dict[str, Any] | None = None, **client: Any) -> Site:
        provider = Provider(clock=clock, path=path)
        providers.append(provider)
        if person is not None:
            provider.person = person
        ours = client_of(provider, **client)
        fetcher = Fetcher(allow_private_hosts=True, timeout_s=timeout_s)
        return Site(provider, clock, ours, fetcher, OidcRelyingParty(ours, fetcher, clock))

    yield make
    for provider in providers:
        provider.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A provider that keeps to the standard; people are known by ``sub``."""
    return make_site()


@pytest.fixture
def entra(make_site: MakeSite) -> Site:
    """A provider that answers as Entra ID does for one tenant; people are known by ``oid``."""
    return make_site(path=f"/{TENANT}/v2.0", person=entra_person(), tenant=TENANT, subject_claim="oid")
