"""Refusals: an SSO user's password is touched by nothing, and every refusal looks and costs the same."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from auth_backends.api import (
    PUBLIC_REFUSAL,
    Accepted,
    Factor,
    FrontEnd,
    Password,
    PublicKey,
    Reason,
    Refused,
    Secret,
)
from storage.database.changes import SetMethod, SetPassword
from storage.database.records import Method, Role, Status, User
from storage.database.store import Store
from tests.support.brokers import PASSWORD, Argon2Spy, Desk, StandInBackend, reason_of

FIXED = b"no password is compared here"
WRONG = "a password that is not right"
PROTOCOLS = [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV, FrontEnd.API, FrontEnd.PORTAL]


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    return Desk(sqlite_store)


@pytest.fixture
def argon2(monkeypatch: pytest.MonkeyPatch) -> Argon2Spy:
    return Argon2Spy(monkeypatch)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that any logger of the process writes, at every level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(stream))
    yield stream
    structlog.reset_defaults()
    logging.getLogger().removeHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)


def became_sso(desk: Desk, method: Method, name: str = "erin") -> User:
    """A user who had a password here, and then became an SSO user."""
    user = desk.user(name)
    desk.store.apply(SetMethod(user.id, method, "entra"), actor="test")
    return desk.present(name)


@pytest.mark.parametrize("method", [Method.SAML, Method.OIDC])
@pytest.mark.parametrize("front_end", PROTOCOLS)
@pytest.mark.parametrize("secret", [PASSWORD, WRONG, ""], ids=["right", "wrong", "empty"])
def test_an_sso_password_is_touched_by_nothing(
    *,
    sqlite_store: Store,
    argon2: Argon2Spy,
    written: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    method: Method,
    front_end: FrontEnd,
    secret: str,
) -> None:
    """Right or wrong, it is not compared, hashed, cached, logged, recorded, or given to any backend."""
    everybody = StandInBackend(lambda: Accepted(Factor.PASSWORD))
    desk = Desk(sqlite_store, others=dict.fromkeys(Method, everybody))
    became_sso(desk, method)
    argon2.texts.clear()
    read: list[str] = []
    monkeypatch.setattr(sqlite_store.credentials, "password", read.append)
    monkeypatch.setattr(sqlite_store.credentials, "password_hash", read.append)
    revealed: list[str] = []
    real = Secret.reveal
    monkeypatch.setattr(Secret, "reveal", lambda self: revealed.append("seen") or real(self))

    decision = desk.password("erin", secret, front_end)

    assert decision == Refused(Reason.SSO_PASSWORD_REFUSED)
    assert argon2.texts == [FIXED], "one hash of a fixed text, for the sake of time, and none of the password"
    assert everybody.asked == []
    assert read == []
    assert revealed == [], "nothing even looked at the secret"
    kept = json.dumps([event.detail for event in desk.logins()]) + repr(desk.logins()) + written.getvalue()
    assert "sso_password_refused" in kept
    assert not secret or secret not in kept


def test_an_sso_password_beside_a_key_is_refused_untouched(desk: Desk, argon2: Argon2Spy) -> None:
    """A password that comes together with the user's own key is refused as well, and not hashed."""
    key = desk.ssh_key(became_sso(desk, Method.OIDC))
    argon2.texts.clear()

    decision = desk.key("erin", key, PASSWORD)

    assert decision == Refused(Reason.SSO_PASSWORD_REFUSED)
    assert argon2.texts == [FIXED]


def test_the_old_password_is_refused_at_once_when_a_user_becomes_sso(desk: Desk, argon2: Argon2Spy) -> None:
    """Even if WebDAV remembered it a moment ago (B3)."""
    desk.user("erin")
    before = [desk.password("erin", front_end=FrontEnd.WEBDAV) for _ in range(2)]
    desk.store.apply(SetMethod(desk.present("erin").id, Method.OIDC, "entra"), actor="test")

    after = desk.password("erin", front_end=FrontEnd.WEBDAV)

    assert [reason_of(one) for one in before] == [Reason.GRANTED] * 2
    assert after == Refused(Reason.SSO_PASSWORD_REFUSED)


REFUSALS = {
    Reason.UNKNOWN_USER: Password("nobody", Secret(PASSWORD)),
    Reason.BAD_NAME: Password("DOM:alice", Secret(PASSWORD)),
    Reason.WRONG_PASSWORD: Password("alice", Secret(WRONG)),
    Reason.UNUSABLE_PASSWORD: Password("alice", Secret("")),
    Reason.NO_PASSWORD_SET: Password("blank", Secret(PASSWORD)),
    Reason.NOT_ACTIVE: Password("gone", Secret(PASSWORD)),
    Reason.EXPIRED: Password("over", Secret(PASSWORD)),
    Reason.SSO_PASSWORD_REFUSED: Password("erin", Secret(PASSWORD)),
    Reason.METHOD_HAS_NO_PASSWORD: Password("robot", Secret(PASSWORD)),
    Reason.NEEDS_KEY_AND_PASSWORD: Password("both", Secret(PASSWORD)),
    Reason.TOTP_REQUIRED: Password("code", Secret(PASSWORD)),
    Reason.FRONT_END_NOT_ALLOWED: Password("dav", Secret(PASSWORD)),
    Reason.NETWORK_NOT_ALLOWED: Password("lan", Secret(PASSWORD)),
    Reason.BREAK_GLASS_NOT_HERE: Password("glass", Secret(PASSWORD)),
    Reason.UNKNOWN_KEY: PublicKey("both", "ssh-ed25519", b"not a key of anybody", Secret(PASSWORD)),
}


@pytest.mark.parametrize("reason", list(REFUSALS), ids=str)
def test_every_password_refusal_costs_one_hash_and_says_the_same(desk: Desk, argon2: Argon2Spy, reason: Reason) -> None:
    """One argon2 computation and one text, whether the user is unknown, barred, or merely wrong (B5)."""
    desk.user("alice")
    blank = desk.user("blank")
    desk.store.apply(SetPassword(blank.id, None), actor="test")
    desk.user("gone", status=Status.DISABLED)
    desk.user("over", expires_at=desk.clock())
    became_sso(desk, Method.OIDC)
    desk.user("robot", Method.NONE)
    desk.user("both", Method.LOCAL_KEY)
    desk.user("code", totp_enrolled=True)
    desk.user("dav", protocols=frozenset({"webdav"}))
    desk.user("lan", networks=("10.0.0.0/8",))
    desk.user("glass", role=Role.ADMIN, break_glass=True)
    argon2.texts.clear()

    decision = desk.try_in(FrontEnd.SFTP, REFUSALS[reason])

    assert decision == Refused(reason, PUBLIC_REFUSAL)
    assert argon2.count == 1
    assert reason is Reason.WRONG_PASSWORD or argon2.texts == [FIXED]
    assert [event.reason for event in desk.logins()] == [reason.value]


@pytest.mark.parametrize(
    "secret", ["", "\0", "a\0b", "x" * 1025, "\ud800"], ids=["empty", "nul", "nul in", "long", "bad"]
)
def test_a_password_that_can_be_none_reaches_no_backend(sqlite_store: Store, argon2: Argon2Spy, secret: str) -> None:
    """Some directories answer an empty password with success: it never gets there (L1)."""
    directory = StandInBackend(lambda: Accepted(Factor.PASSWORD))
    desk = Desk(sqlite_store, others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)

    decisions = [desk.password("linda", secret, front_end) for front_end in (FrontEnd.SFTP, FrontEnd.WEBDAV)]

    assert decisions == [Refused(Reason.UNUSABLE_PASSWORD)] * 2
    assert directory.asked == []
    assert argon2.texts == [FIXED] * 2


def test_a_password_never_becomes_a_key_look_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are compared as passwords, keys are looked up as keys (K5)."""
    desk.user("alice")
    asked: list[str] = []
    monkeypatch.setattr(desk.store.credentials, "api_key", asked.append)

    desk.password("alice", WRONG)
    desk.password("nobody", WRONG)

    assert asked == []
