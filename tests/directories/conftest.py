"""Directory servers of a test's own, backends that ask them, and a site that follows one; all end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from storage.database.store import Store
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour
from tests.support.directories.judges import ALICE, ENTRIES, PASSWORD, SERVICE, Certificate, Judge, Judges, Start
from tests.support.directories.sites import SyncSite, provider_for
from tests.support.directories.slapd import Slapd


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    """A certificate for localhost and 127.0.0.1, with its key."""
    return authority.issue("hostile")


@pytest.fixture
def start(certificate: Certificate) -> Iterator[Start]:
    """Start servers with alice and a service account; options are those of HostileLdap."""
    with ExitStack() as stack:

        def started(mode: Misbehaviour = Misbehaviour.NONE, **options: object) -> HostileLdap:
            kept = {"tls": certificate, "service_dn": SERVICE, "entries": ENTRIES, "passwords": {ALICE: PASSWORD}}
            return stack.enter_context(HostileLdap(mode, **(kept | options)))

        yield started


@pytest.fixture
def judges() -> Iterator[Judges]:
    """Make backends for providers."""
    with ExitStack() as stack:
        yield lambda provider: stack.enter_context(Judge(provider))


@pytest.fixture
def directory(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server of this test's own: the sync reads all of it."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture
def site(directory: Slapd, sqlite_store: Store) -> SyncSite:
    """Three people in two groups, and a store that is empty."""
    people = [directory.add_person(name, displayName=f"{name.title()} of Lab") for name in ("ann", "bob", "cleo")]
    directory.add_group("crew", people[:2])
    directory.add_group("deck", [people[2]])
    return SyncSite(sqlite_store, provider_for(directory))
