"""Running servers: on each kind of database with two SCIM clients, and with real identity providers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.identity_providers.site import RealProviders
from tests.support.postgres import PostgresServer
from tests.support.scim_client import ScimHttp, add_provider, issue_token
from tests.support.server import QuaymasterServer


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scim_server(request: pytest.FixtureRequest) -> Iterator[QuaymasterServer]:
    """Two workers a front end, and the providers entra and okta."""
    environment = {}
    if request.param == "postgresql":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        environment["QUAYMASTER_DATABASE__URL"] = postgres.new_database("scim")
    with QuaymasterServer(workers=2, environment=environment) as running:
        add_provider(running.store, "entra", max_disabled_count=100_000)
        add_provider(running.store, "okta", max_disabled_count=100_000)
        yield running


@pytest.fixture
def entra(scim_server: QuaymasterServer) -> Iterator[ScimHttp]:
    """The client of the provider entra."""
    with ScimHttp(scim_server, issue_token(scim_server.store, "entra")[1]) as client:
        yield client


@pytest.fixture
def okta(scim_server: QuaymasterServer) -> Iterator[ScimHttp]:
    """The client of another provider on the same server."""
    with ScimHttp(scim_server, issue_token(scim_server.store, "okta")[1]) as client:
        yield client


@pytest.fixture(scope="module")
def site() -> Iterator[RealProviders]:
    """Two workers a front end, SimpleSAMLphp and oidc-provider."""
    with RealProviders() as running:
        yield running
