"""Which SCIM clients are let in, by what, and what is told of the others."""

from __future__ import annotations

import base64

import pytest

from auth_backends.scim_clients import ClientRefusal, ScimClient, ScimClients, issue
from auth_backends.scim_refusals import EVERY_S, MAX_KEPT, Refusals
from storage.database.audit import AuditTrail
from storage.database.scim_changes import AddScimToken, RevokeScimToken
from storage.database.store import Store, StoreUnavailable

NOW = 2_000_000_000.0
PEER = "192.0.2.7"


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def token(store: Store, provider: str = "entra", *, kind: str = "bearer", days: float = 30) -> tuple[str, str]:
    issued = issue()
    change = AddScimToken(provider, issued.id, kind, issued.digest, expires_at=NOW + days * 86_400)
    store.apply(change, actor="test")
    return issued.id, issued.token.reveal()


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def test_a_bearer_token_lets_its_provider_in(sqlite_store: Store) -> None:
    """In any case of the scheme, with and without the provider's name in the path."""
    known, text = token(sqlite_store)
    clients = ScimClients(sqlite_store, Clock())

    for header in (f"Bearer {text}", f"bearer {text}", f"BEARER  {text} "):
        for path in (None, "entra"):
            assert clients.let_in(header, path, PEER) == ScimClient("entra", known)


def test_a_pair_lets_its_provider_in(sqlite_store: Store) -> None:
    """The id is the user name."""
    known, text = token(sqlite_store, kind="basic")

    assert ScimClients(sqlite_store, Clock()).let_in(basic(known, text), None, PEER) == ScimClient("entra", known)


def test_the_use_is_noted(sqlite_store: Store) -> None:
    """When a token was last used, to a minute."""
    known, text = token(sqlite_store)
    clock = Clock()
    clients = ScimClients(sqlite_store, clock)
    for after in (0, 30, 90):
        clock.now = NOW + after
        clients.let_in(f"Bearer {text}", None, PEER)
    found = sqlite_store.scim_tokens.by_id(known)

    assert found is not None
    assert found.last_used_at == NOW + 90


def test_everybody_else_is_refused(sqlite_store: Store) -> None:
    """Each with the exact reason, which the client never hears."""
    known, text = token(sqlite_store)
    basic_id, basic_text = token(sqlite_store, kind="basic")
    _, expired = token(sqlite_store, days=1 / 86_400)
    revoked_id, revoked = token(sqlite_store)
    sqlite_store.apply(RevokeScimToken(revoked_id), actor="test")
    other = issue().token.reveal()
    forged = f"qms_{known}_" + other.split("_", 2)[2]
    clock = Clock()
    clock.now = NOW + 10
    clients = ScimClients(sqlite_store, clock)
    cases = {
        None: ClientRefusal.NO_CREDENTIAL,
        "": ClientRefusal.NO_CREDENTIAL,
        "Negotiate abc": ClientRefusal.NO_CREDENTIAL,
        "Bearer": ClientRefusal.MALFORMED,
        "Bearer x": ClientRefusal.MALFORMED,
        f"Bearer {text[:-1]}": ClientRefusal.MALFORMED,
        f"Bearer {text.replace('qms_', 'qm_')}": ClientRefusal.MALFORMED,
        f"Bearer {'x' * 5000}": ClientRefusal.MALFORMED,
        f"Bearer {other}": ClientRefusal.UNKNOWN,
        f"Bearer {basic_text}": ClientRefusal.WRONG_KIND,
        f"Bearer {expired}": ClientRefusal.EXPIRED,
        f"Bearer {revoked}": ClientRefusal.REVOKED,
        "Basic ???": ClientRefusal.MALFORMED,
        "Basic " + base64.b64encode(b"\xff\xfe").decode(): ClientRefusal.MALFORMED,
        basic(basic_id, "x"): ClientRefusal.MALFORMED,
        basic("scim", basic_text): ClientRefusal.MALFORMED,
        basic(known, text): ClientRefusal.WRONG_KIND,
    }

    assert {header: clients.let_in(header, None, PEER) for header in cases} == cases
    assert clients.let_in(f"Bearer {text}", "okta", PEER) is ClientRefusal.OTHER_PROVIDER
    found = clients.let_in(f"Bearer {forged}", None, PEER)
    assert found in {ClientRefusal.MALFORMED, ClientRefusal.WRONG_SECRET}


def test_a_right_checksum_does_not_help(sqlite_store: Store) -> None:
    """A text in the right form with a known id and another secret."""
    known, _ = token(sqlite_store)
    twin = issue()
    sqlite_store.apply(
        AddScimToken("entra", twin.id, "bearer", bytes(32), expires_at=NOW + 1000), actor="test"
    )  # whatever is kept for it, it is not this secret's digest

    found = ScimClients(sqlite_store, Clock()).let_in(f"Bearer {twin.token.reveal()}", None, PEER)

    assert known != twin.id
    assert found is ClientRefusal.WRONG_SECRET


def refusals(store: Store) -> list[tuple[str, object]]:
    events = store.audit.tail(kind="scim.client_refused", limit=10_000)
    return [(event.reason, (event.detail or {}).get("more_since_last")) for event in events]


def test_a_refusal_is_told_once_a_minute(sqlite_store: Store) -> None:
    """For each reason and network; the next one says how many came between."""
    clock = Clock()
    told = Refusals(sqlite_store, clock)
    for _ in range(50):
        told.tell("unknown-token", "entra", PEER)
    told.tell("unknown-token", "entra", "192.0.2.200")  # the same /24
    told.tell("expired-token", "entra", PEER)
    told.tell("unknown-token", "entra", "198.51.100.1")
    clock.now += EVERY_S
    told.tell("unknown-token", "entra", PEER)

    assert refusals(sqlite_store) == [
        ("unknown-token", 0),
        ("expired-token", 0),
        ("unknown-token", 0),
        ("unknown-token", 50),
    ]


def test_memory_is_bounded(sqlite_store: Store) -> None:
    """Strangers from everywhere take no more than so many entries."""
    told = Refusals(sqlite_store, Clock())
    for number in range(MAX_KEPT + 10):
        told.tell("unknown-token", "", f"10.{number // 250}.{number % 250}.1")

    assert len(told._told) <= MAX_KEPT


def test_a_refusal_stays_one_without_the_audit_trail(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's failure to keep the event lets nobody in, and no error out."""

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(AuditTrail, "add", away)

    assert ScimClients(sqlite_store, Clock()).let_in(None, None, PEER) is ClientRefusal.NO_CREDENTIAL
