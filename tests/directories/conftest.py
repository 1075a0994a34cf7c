"""Directory servers that misbehave, and backends that ask them; both end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour
from tests.support.directories.judges import ALICE, ENTRIES, PASSWORD, SERVICE, Certificate, Judge, Judges, Start


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
