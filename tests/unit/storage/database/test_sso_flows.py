"""Sign-ins that are under way: taken once, by one worker, in time; and answers that let somebody in once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import repeat

import pytest
from sqlalchemy import select

from storage.database import sso_flows as module
from storage.database.engine import Database
from storage.database.sso_flows import FLOW_S, Purpose, SsoFlow, digest_of
from storage.database.sso_tables import sso_flows
from storage.database.store import Store

NOW = 1_000_000.0
FLOW = SsoFlow(
    "entra", Purpose.SIGN_IN, digest_of("cookie"), "id-1", "/account", NOW, NOW + FLOW_S, code_verifier="verifier"
)


def test_a_flow_is_taken_once(store: Store) -> None:
    """Whoever comes second with the same handle finds nothing."""
    handle = store.sso_flows.begin(FLOW)

    assert store.sso_flows.take(handle, NOW) == FLOW
    assert store.sso_flows.take(handle, NOW) is None


def test_two_workers_cannot_both_take_it(store: Store) -> None:
    """One of eight at the same moment gets it."""
    handle = store.sso_flows.begin(FLOW)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.sso_flows.take, repeat(handle, 8), repeat(NOW)))

    assert [flow for flow in found if flow is not None] == [FLOW]


@pytest.mark.parametrize("handle", ["", "no such handle", "\ud800", "\0", "x" * 100_000], ids=repr)
def test_a_strange_handle_is_nobodys(store: Store, handle: str) -> None:
    """Whatever comes as RelayState or state."""
    store.sso_flows.begin(FLOW)

    assert store.sso_flows.take(handle, NOW) is None


def test_a_flow_that_ran_out_is_gone(store: Store) -> None:
    """At the second when it ends, and for good."""
    handle = store.sso_flows.begin(FLOW)

    assert store.sso_flows.take(handle, NOW + FLOW_S) is None
    assert store.sso_flows.take(handle, NOW) is None


def test_the_database_holds_no_handle(store: Store, store_url: str) -> None:
    """Who reads it can take over no sign-in that is under way."""
    handle = store.sso_flows.begin(FLOW)
    with Database(store_url).read() as connection:
        row = connection.execute(select(sso_flows)).one()

    assert len(handle) >= 43
    assert handle not in repr(row)
    assert row.digest == digest_of(handle)


def test_there_is_an_end_to_open_flows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who begins sign-ins and never ends them cannot fill the disk, nor keep others from beginning."""
    monkeypatch.setattr(module, "MAX_FLOWS", 3)
    begun = [
        store.sso_flows.begin(replace(FLOW, created_at=NOW + n, expires_at=NOW + n + FLOW_S)) for n in (0, 2, 1, 3, 4)
    ]

    found = [store.sso_flows.take(handle, NOW + 5) is not None for handle in begun]
    assert found == [False, True, False, True, True]


def test_an_answer_is_used_once_at_its_provider(store: Store) -> None:
    """Another provider's ids are its own."""
    assert store.sso_flows.use("entra", "assertion-1", NOW + 60)
    assert not store.sso_flows.use("entra", "assertion-1", NOW + 90)
    assert store.sso_flows.use("okta", "assertion-1", NOW + 60)


def test_two_workers_cannot_both_use_it(store: Store) -> None:
    """One of eight at the same moment may."""
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(store.sso_flows.use, repeat("entra", 8), repeat("a"), repeat(NOW)))

    assert sorted(used) == [False] * 7 + [True]


def test_what_ran_out_is_forgotten(store: Store) -> None:
    """And only that."""
    handle = store.sso_flows.begin(FLOW)
    store.sso_flows.begin(replace(FLOW, expires_at=NOW + 1))
    store.sso_flows.use("entra", "old", NOW + 1)
    store.sso_flows.use("entra", "new", NOW + 100)

    assert store.sso_flows.prune(NOW + 1) == 2
    assert store.sso_flows.take(handle, NOW + 1) == FLOW
    assert not store.sso_flows.use("entra", "new", NOW + 100)
    assert store.sso_flows.use("entra", "old", NOW + 100)
