"""What the broker says of offered keys and of sessions that are running."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from auth_backends.api import Factor, FrontEnd, Granted, Principal, Reason, Refused, Secret
from auth_backends.ssh_keys import generate_key_pair
from config.settings import AuthSettings
from storage.database.changes import (
    Change,
    DeleteUser,
    RenameUser,
    RevokeApiKey,
    RevokeSshKey,
    SetMethod,
    SetPassword,
)
from storage.database.records import Method, SshKey, Status
from storage.database.store import Store
from tests.support.brokers import HOME, PASSWORD, Desk

AWAY = ip_address("203.0.113.5")


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    return Desk(sqlite_store)


def offer(desk: Desk, name: str, key: SshKey, peer: Any = HOME) -> bool:
    return desk.broker.would_accept(name, key.algorithm, key.blob, peer)


def test_an_offered_key_is_taken_if_it_would_be_a_way_in(desk: Desk) -> None:
    """Any active user's own key, from where it may be used; for ``local+key`` it is the first half."""
    for method in Method:
        user = desk.user(f"user-{method}", method)
        assert offer(desk, user.name.upper(), desk.ssh_key(user))


@pytest.mark.parametrize(
    ("fields", "limits"),
    [
        ({"status": Status.DISABLED}, {}),
        ({"expires_at": 1.0}, {}),
        ({"protocols": frozenset({"ftps"})}, {}),
        ({"networks": ("203.0.113.0/24",)}, {}),
        ({}, {"networks": ("203.0.113.0/24",)}),
        ({}, {"expires_at": 1.0}),
    ],
)
def test_an_offered_key_is_refused_if_it_could_not_come_in(
    desk: Desk, fields: dict[str, Any], limits: dict[str, Any]
) -> None:
    """The answer to the offer is that of the sign-in itself."""
    key = desk.ssh_key(desk.user("alice", **fields), **limits)

    assert not offer(desk, "alice", key)
    assert not isinstance(desk.key("alice", key), Granted)


def test_offers_have_no_side_effects_and_one_shape(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event, no count, no last use; unknown users cost the same look-ups and get the same no (B5)."""
    user = desk.user("alice")
    key, foreign = desk.ssh_key(user), generate_key_pair().public
    calls: list[str] = []
    for table, verb in ((desk.store.users, "by_login"), (desk.store.credentials, "ssh_key_by_blob")):
        real = getattr(table, verb)
        monkeypatch.setattr(table, verb, lambda *args, real=real, verb=verb: calls.append(verb) or real(*args))
    before = desk.store.audit.tail()

    answers = {}
    for name, one in (("alice", key), ("alice", foreign), ("nobody", key)):
        calls.clear()
        answers[name, one.blob] = (desk.broker.would_accept(name, one.algorithm, one.blob, HOME), tuple(calls))
        calls.clear()
        assert desk.broker.key_needs_password(name, one.blob, HOME) is False
        assert tuple(calls) == ("by_login", "ssh_key_by_blob")

    looked_up = ("by_login", "ssh_key_by_blob")
    assert list(answers.values()) == [(True, looked_up), (False, looked_up), (False, looked_up)]
    assert desk.store.audit.tail() == before
    kept = desk.store.credentials.ssh_key(key.id)
    assert kept is not None
    assert kept.last_used_at is None


@pytest.mark.parametrize("name", ["", "DOM:alice", "alice.", "\ud800"])
def test_an_offer_under_no_name_is_refused(desk: Desk, name: str) -> None:
    """Names that are none are nobody's."""
    key = desk.ssh_key(desk.user("alice"))

    assert not offer(desk, name, key)
    assert not desk.broker.key_needs_password(name, key.blob, HOME)


def test_only_local_key_users_are_asked_for_a_password_after_their_key(desk: Desk) -> None:
    """For everybody else the key is the whole way in."""
    keys = {method: desk.ssh_key(desk.user(f"user-{method}", method)) for method in Method}

    asked = {method for method, key in keys.items() if desk.broker.key_needs_password(f"user-{method}", key.blob, HOME)}

    assert asked == {Method.LOCAL_KEY}


def test_a_site_that_raises_its_least_rsa_size_shuts_out_older_keys(desk: Desk, rsa_2048: Any) -> None:
    """The setting holds for keys that are registered already, at offers, sign-ins and in live sessions."""
    user = desk.user("alice")
    key = desk.ssh_key(user, rsa_2048)
    granted = desk.key("alice", key)
    strict = desk.another_worker(settings=AuthSettings(min_rsa_bits=3072))

    assert isinstance(granted, Granted)
    assert not offer(strict, "alice", key)
    assert strict.key("alice", key) == Refused(Reason.KEY_TOO_WEAK)
    assert strict.broker.still_valid(user, granted.principal) is Reason.KEY_TOO_WEAK


# Live sessions -------------------------------------------------------------------------------------


def principal(desk: Desk, how: str, name: str = "alice") -> Principal:
    """Sign in somehow and give whom the session is of."""
    user = desk.present(name)
    match how:
        case "password":
            decision = desk.password(name)
        case "key":
            decision = desk.key(name, desk.ssh_key(user))
        case "key+password":
            decision = desk.key(name, desk.ssh_key(user), PASSWORD)
        case _:
            decision = desk.token(name, desk.api_key(user))
    assert isinstance(decision, Granted)
    return decision.principal


def verdict(desk: Desk, session: Principal) -> Reason | None:
    return desk.broker.still_valid(desk.store.users.by_id(session.user.id), session)


@pytest.mark.parametrize("how", ["password", "key", "token"])
def test_a_session_goes_on_while_nothing_forbids_it(desk: Desk, how: str) -> None:
    """A rename or a new display name ends no session."""
    desk.user("alice")
    session = principal(desk, how)
    desk.store.apply(RenameUser(session.user.id, "alicia"), actor="test")

    assert verdict(desk, session) is None


@pytest.mark.parametrize("how", ["password", "key", "token"])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"expires_at": 1.0}, Reason.EXPIRED),
        ({"protocols": frozenset({"webdav"})}, Reason.FRONT_END_NOT_ALLOWED),
        ({"networks": ("203.0.113.0/24",)}, Reason.NETWORK_NOT_ALLOWED),
    ],
)
def test_a_session_ends_when_its_account_may_not_be_here(
    desk: Desk, how: str, fields: dict[str, Any], reason: Reason
) -> None:
    """Expiry, protocols and networks of the account are asked again for the session's own place."""
    desk.user("alice")
    session = principal(desk, how)
    desk.update(session.user, **fields)

    assert verdict(desk, session) is reason


@pytest.mark.parametrize("how", ["password", "key", "token"])
def test_a_session_ends_with_its_account(desk: Desk, how: str) -> None:
    """Disabled, deprovisioned and deleted accounts have no sessions (B1)."""
    desk.user("alice")
    session = principal(desk, how)
    reasons = []
    for status in (Status.DISABLED, Status.DEPROVISIONED):
        desk.with_status(session.user, status)
        reasons.append(verdict(desk, session))
    desk.store.apply(DeleteUser(session.user.id), actor="test")

    assert [*reasons, verdict(desk, session)] == [Reason.NOT_ACTIVE, Reason.NOT_ACTIVE, Reason.UNKNOWN_USER]


@pytest.mark.parametrize(
    ("how", "method", "ends"),
    [
        ("password", Method.OIDC, Reason.SSO_PASSWORD_REFUSED),
        ("password", Method.LDAP, Reason.METHOD_CHANGED),
        ("password", Method.NONE, Reason.METHOD_HAS_NO_PASSWORD),
        ("key", Method.OIDC, None),
        ("key", Method.LOCAL_KEY, Reason.NEEDS_KEY_AND_PASSWORD),
        ("token", Method.SAML, None),
    ],
)
def test_a_session_ends_when_its_credential_is_no_way_in_any_more(
    desk: Desk, how: str, method: Method, ends: Reason | None
) -> None:
    """A migration to SSO cuts what came in by password, and keeps what came in by key."""
    desk.user("alice")
    session = principal(desk, how)
    desk.store.apply(SetMethod(session.user.id, method, "entra" if method.is_sso else None), actor="test")

    assert verdict(desk, session) is ends


def test_a_new_password_ends_what_the_old_one_opened(desk: Desk) -> None:
    """Sessions by password end when it is replaced or taken away; sessions by key do not."""
    user = desk.user("alice")
    both = desk.user("both", Method.LOCAL_KEY)
    sessions = [principal(desk, "password"), principal(desk, "key+password", "both"), principal(desk, "key")]
    desk.store.apply(SetPassword(user.id, desk.hasher.hash(Secret("new"))), actor="t")
    desk.store.apply(SetPassword(both.id, None), actor="test")

    assert [verdict(desk, one) for one in sessions] == [Reason.PASSWORD_CHANGED, Reason.PASSWORD_CHANGED, None]


def test_a_session_ends_with_its_key(desk: Desk) -> None:
    """A revoked SSH key or API key ends the sessions that it opened, and only those (K3)."""
    desk.user("alice")
    key, token, password = (principal(desk, how) for how in ("key", "token", "password"))
    other = principal(desk, "key")
    changes: list[Change] = [RevokeSshKey(str(key.credential_id)), RevokeApiKey(str(token.credential_id))]
    for change in changes:
        desk.store.apply(change, actor="test")

    ended = [verdict(desk, one) for one in (key, token, password, other)]

    assert ended == [Reason.KEY_REVOKED, Reason.KEY_REVOKED, None, None]


def test_a_key_that_is_gone_or_anothers_ends_the_session(desk: Desk) -> None:
    """A session whose key row is missing, or belongs to somebody else, has nothing to stand on."""
    desk.user("alice")
    bobs = desk.user("bob")
    key, token = principal(desk, "key"), principal(desk, "token")
    foreign = {"key": desk.ssh_key(bobs).id, "token": desk.api_key(bobs).id}

    assert verdict(desk, replace(key, credential_id="f" * 32)) is Reason.UNKNOWN_KEY
    assert verdict(desk, replace(token, credential_id="f" * 32)) is Reason.UNKNOWN_API_KEY
    assert verdict(desk, replace(key, credential_id=foreign["key"])) is Reason.UNKNOWN_KEY
    assert verdict(desk, replace(token, credential_id=foreign["token"])) is Reason.UNKNOWN_API_KEY
    assert verdict(desk, replace(key, credential_id=None)) is Reason.UNKNOWN_KEY


def test_a_key_that_expires_ends_its_session(desk: Desk) -> None:
    """Expiry of the key is asked with the clock of now."""
    user = desk.user("alice")
    decision = desk.key("alice", desk.ssh_key(user, expires_at=desk.clock() + 10))
    assert isinstance(decision, Granted)
    before = verdict(desk, decision.principal)
    desk.clock.now += 10

    assert (before, verdict(desk, decision.principal)) == (None, Reason.KEY_EXPIRED)


def test_a_portal_session_ends_when_the_person_leaves_the_provider(desk: Desk) -> None:
    """A session by assertion lasts while the user is an SSO user of an active account."""
    user = desk.user("erin", Method.OIDC, provider="entra")
    session = Principal(user, Factor.SSO, None, front_end=FrontEnd.PORTAL, peer=HOME)
    before = verdict(desk, session)
    desk.store.apply(SetMethod(user.id, Method.LOCAL), actor="test")

    assert (before, verdict(desk, session)) == (None, Reason.NOT_LINKED)


def test_a_principal_without_a_place_is_asked_for_its_account_only(desk: Desk) -> None:
    """Where the place of a session is not known, status, expiry and credential still are."""
    user = desk.user("alice", networks=("192.0.2.0/24",))
    session = replace(principal(desk, "password"), front_end=None, peer=None)
    before = verdict(desk, session)
    desk.with_status(user, Status.DISABLED)

    assert (before, verdict(desk, session)) == (None, Reason.NOT_ACTIVE)
