"""The broker's order and ends: what is asked, what is counted, what is written."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from structlog.testing import capture_logs

from auth_backends.api import Accepted, ApiKeyToken, Factor, FrontEnd, Granted, Reason, Refused, Secret, Verdict
from auth_backends.api_keys import issue
from auth_backends.ssh_keys import generate_key_pair
from storage.database.changes import AddApiKey, Change, DeleteUser, RevokeApiKey, RevokeSshKey, SetStatus
from storage.database.records import Method, Role, Status
from storage.database.store import Store
from tests.support.brokers import HOME, PASSWORD, START, Argon2Spy, Desk, StandInBackend, reason_of


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    return Desk(sqlite_store)


@pytest.fixture
def argon2(monkeypatch: pytest.MonkeyPatch) -> Argon2Spy:
    return Argon2Spy(monkeypatch)


def with_directory(store: Store, answer: Callable[[], Verdict]) -> tuple[Desk, StandInBackend]:
    directory = StandInBackend(answer)
    desk = Desk(store, others={Method.LDAP: directory})
    desk.user("linda", Method.LDAP)
    return desk, directory


def test_a_right_password_gives_the_user_and_the_epoch(desk: Desk) -> None:
    """A grant names the present user row, what proved it, and when it ends."""
    desk.user("alice", expires_at=START + 60)

    decision = desk.password("alice")

    assert isinstance(decision, Granted)
    assert desk.present("alice") == decision.principal.user
    assert Factor.PASSWORD is decision.principal.factor
    assert (START + 60, desk.present("alice").epoch) == (decision.not_after, decision.epoch)
    assert (decision.principal.front_end, decision.principal.peer) == (FrontEnd.SFTP, HOME)


def test_keys_bring_their_limits_into_the_session(desk: Desk) -> None:
    """Read-only, path prefixes and the earlier expiry of the key and the account reach the front end."""
    user = desk.user("alice", expires_at=START + 60)
    key = desk.ssh_key(user, read_only=True, expires_at=START + 30)
    issued = desk.api_key(user, read_only=True, path_prefixes=("/in",), expires_at=START + 90)

    by_key, by_token = desk.key("alice", key), desk.token("alice", issued)

    assert isinstance(by_key, Granted)
    assert isinstance(by_token, Granted)
    assert (True, (), START + 30, key.id) == _limits(by_key)
    assert (True, ("/in",), START + 60, issued.id) == _limits(by_token)


def _limits(granted: Granted) -> tuple[bool, tuple[str, ...], float | None, str | None]:
    principal = granted.principal
    return principal.read_only, principal.path_prefixes, granted.not_after, principal.credential_id


def test_only_a_good_sign_in_marks_a_key_as_used(desk: Desk) -> None:
    """``last_used_at`` is the time of the last grant; a refused use leaves it."""
    user = desk.user("alice")
    key, issued = desk.ssh_key(user, networks=("192.0.2.0/24",)), desk.api_key(user, protocols=frozenset({"ftps"}))

    desk.key("alice", key, peer=ip_address("203.0.113.1"))
    desk.token("alice", issued, FrontEnd.WEBDAV)
    refused = (desk.store.credentials.ssh_key(key.id), desk.kept_api_key(issued))
    desk.key("alice", key)
    desk.token("alice", issued)
    granted = (desk.store.credentials.ssh_key(key.id), desk.kept_api_key(issued))

    assert [row and row.last_used_at for row in refused] == [None, None]
    assert [row and row.last_used_at for row in granted] == [START, START]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"expires_at": START}, Reason.KEY_EXPIRED),
        ({"networks": ("203.0.113.0/24",)}, Reason.KEY_NETWORK),
    ],
)
def test_an_ssh_key_outside_its_limits_is_refused(desk: Desk, limits: dict[str, Any], reason: Reason) -> None:
    """Expiry and networks of a key hold, and the client learns nothing of it."""
    key = desk.ssh_key(desk.user("alice"), **limits)

    assert Refused(reason) == desk.key("alice", key)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"expires_at": START}, Reason.KEY_EXPIRED),
        ({"networks": ("203.0.113.0/24",)}, Reason.KEY_NETWORK),
        ({"protocols": frozenset({"sftp"})}, Reason.API_KEY_OUT_OF_SCOPE),
    ],
)
def test_an_api_key_outside_its_scope_is_refused(desk: Desk, limits: dict[str, Any], reason: Reason) -> None:
    """Every limit of the key is asked at every sign-in (K2), and the client learns nothing of it."""
    issued = desk.api_key(desk.user("alice"), **limits)

    assert Refused(reason) == desk.token("@api", issued)


def test_revoked_keys_stay_revoked_when_the_owner_comes_back(desk: Desk) -> None:
    """A disabled owner kills all keys; enabling the owner revives none that was revoked (K6)."""
    user = desk.user("alice")
    key, issued, good = desk.ssh_key(user), desk.api_key(user), desk.api_key(user)
    desk.store.apply(RevokeSshKey(key.id), actor="test")
    desk.store.apply(RevokeApiKey(issued.id), actor="test")

    desk.with_status(user, Status.DISABLED)
    disabled = [reason_of(desk.key("alice", key)), reason_of(desk.token("@api", good))]
    desk.with_status(desk.present("alice"), Status.ACTIVE)
    enabled = [desk.key("alice", key), desk.token("@api", issued), desk.token("@api", good)]

    assert disabled == [Reason.NOT_ACTIVE, Reason.NOT_ACTIVE]
    assert [reason_of(one) for one in enabled] == [Reason.KEY_REVOKED, Reason.KEY_REVOKED, Reason.GRANTED]


def test_another_users_key_is_nobodys_here(desk: Desk) -> None:
    """A key of one user lets nobody else in, by name or by API key."""
    bob = desk.user("bob")
    desk.user("alice")

    assert Refused(Reason.UNKNOWN_KEY) == desk.key("alice", desk.ssh_key(bob))
    assert Refused(Reason.API_KEY_OF_ANOTHER_USER) == desk.token("alice", desk.api_key(bob))


def test_an_api_key_with_another_secret_is_refused(desk: Desk) -> None:
    """The public id alone is worth nothing: the secret must have the kept digest."""
    user = desk.user("alice")
    issued, other = issue(), issue()
    desk.store.apply(AddApiKey(user.id, issued.id, other.digest), actor="test")

    assert Refused(Reason.WRONG_API_KEY) == desk.token("@api", issued)


def test_a_mistyped_api_key_is_looked_up_nowhere(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum ends the attempt before the store is asked for the key."""
    issued = desk.api_key(desk.user("alice"))
    asked: list[str] = []
    monkeypatch.setattr(desk.store.credentials, "api_key", asked.append)

    decision = desk.try_in(FrontEnd.FTPS, ApiKeyToken("@api", Secret(issued.token.reveal()[:-1] + "!")))

    assert Refused(Reason.MALFORMED_API_KEY) == decision
    assert asked == []


def test_bearer_and_at_api_name_the_user_by_the_key(desk: Desk) -> None:
    """An API key speaks for its own user, whether sent as Bearer, under @api, or under the user's name."""
    issued = desk.api_key(desk.user("alice"))

    decisions = [desk.token(None, issued, FrontEnd.API), desk.token("@API", issued), desk.token("ALICE", issued)]

    assert [one.principal.user.name for one in decisions if isinstance(one, Granted)] == ["alice"] * 3


def test_local_key_users_need_both_at_once(desk: Desk) -> None:
    """Key and password both hold, in one attempt; each alone is refused."""
    key = desk.ssh_key(desk.user("alice", Method.LOCAL_KEY))

    both = desk.key("alice", key, PASSWORD)
    others = [desk.key("alice", key), desk.password("alice"), desk.key("alice", key, "wrong")]

    assert isinstance(both, Granted)
    assert (Factor.KEY_AND_PASSWORD, key.id) == (both.principal.factor, both.principal.credential_id)
    assert [reason_of(one) for one in others] == [
        Reason.NEEDS_KEY_AND_PASSWORD,
        Reason.NEEDS_KEY_AND_PASSWORD,
        Reason.WRONG_PASSWORD,
    ]


def test_a_foreign_key_is_not_half_of_the_way_in(desk: Desk) -> None:
    """For a ``local+key`` user, a key that is not registered is refused as such, with or without the password."""
    desk.user("alice", Method.LOCAL_KEY)
    foreign = generate_key_pair().public

    assert Reason.UNKNOWN_KEY is reason_of(desk.key("alice", foreign))
    assert Reason.UNKNOWN_KEY is reason_of(desk.key("alice", foreign, PASSWORD))


def test_one_audit_event_names_the_attempt_and_no_secret(desk: Desk) -> None:
    """Each call leaves one event of kind login with outcome, reason, place and credential, never a secret."""
    user = desk.user("alice")
    key, issued = desk.ssh_key(user), desk.api_key(user)

    desk.password("alice")
    desk.password("alice", "a wrong secret")
    desk.key("alice", key)
    desk.token("@api", issued, FrontEnd.WEBDAV)

    events = desk.logins()
    assert [(e.outcome, e.reason, e.front_end, (e.detail or {})["credential"]) for e in events] == [
        ("granted", "granted", "sftp", "password"),
        ("refused", "wrong_password", "sftp", "password"),
        ("granted", "granted", "sftp", "key"),
        ("granted", "granted", "webdav", "apikey"),
    ]
    assert {("alice", "alice", str(HOME))} == {(e.actor, e.subject, e.peer) for e in events}
    text = repr(events)
    assert not any(secret in text for secret in (PASSWORD, "a wrong secret", issued.token.reveal(), key.blob.hex()))


def test_an_emergency_account_raises_an_alarm(desk: Desk) -> None:
    """Whatever is tried on a break-glass account is marked in the audit trail and logged as a warning."""
    desk.user("glass", role=Role.ADMIN, break_glass=True, totp_enrolled=True)

    with capture_logs() as logs:
        decision = desk.password("glass", front_end=FrontEnd.PORTAL)

    assert Refused(Reason.TOTP_REQUIRED) == decision
    assert [(one["log_level"], one["break_glass"]) for one in logs] == [("warning", True)]
    assert (desk.logins()[0].detail or {})["alarm"] == "break_glass"


def test_a_change_between_check_and_grant_is_refused(sqlite_store: Store) -> None:
    """An epoch raised while the password was being checked: no session, no count, and the reason says so."""
    desk, directory = with_directory(sqlite_store, lambda: Accepted(Factor.PASSWORD))

    def changed() -> Verdict:
        desk.update(desk.present("linda"), quota_bytes=len(directory.asked))
        return Accepted(Factor.PASSWORD)

    directory.answer = changed

    decisions = [desk.password("linda") for _ in range(7)]

    assert [Refused(Reason.CHANGED_MEANWHILE)] * 7 == decisions


def test_a_user_disabled_or_deleted_meanwhile_is_refused(sqlite_store: Store) -> None:
    """The status and the row itself are read again after the check."""
    desk, directory = with_directory(sqlite_store, lambda: Accepted(Factor.PASSWORD))
    linda = desk.present("linda")

    def end(change: Change) -> Callable[[], Verdict]:
        def answer() -> Verdict:
            sqlite_store.apply(change, actor="test")
            return Accepted(Factor.PASSWORD)

        return answer

    directory.answer = end(SetStatus(linda.id, Status.DISABLED))
    disabled = desk.password("linda")
    desk.with_status(desk.present("linda"), Status.ACTIVE)
    directory.answer = end(DeleteUser(linda.id))
    deleted = desk.password("linda")

    assert [reason_of(disabled), reason_of(deleted)] == [Reason.CHANGED_MEANWHILE] * 2


@pytest.mark.parametrize(
    "typed",
    ["alice", "ALICE", "Alice", "Jose\u0301", "JOS\u00c9", "jos\u00e9"],
)
def test_spellings_of_one_name_are_one_user(desk: Desk, typed: str) -> None:
    """Case and Unicode composition do not make another user (B4)."""
    desk.user("alice")
    desk.user("Jos\u00e9")

    decision = desk.password(typed)

    assert isinstance(decision, Granted)
    assert decision.principal.user.name in {"alice", "jos\u00e9"}


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "alice.",
        "alice ",
        " alice",
        "DOM\\",
        "\\alice",
        "DOM\\alice\\x",
        "dom/alice",
        "alice\0",
        "alice\n",
        "ali\u200dce",
        "@api",
        "\ud800",
        "a" * 600,
    ],
)
def test_spellings_that_others_would_strip_are_refused(desk: Desk, argon2: Argon2Spy, typed: str) -> None:
    """What other systems would cut or split is no name here, costs one hash, and is written in the trail (B4)."""
    desk.user("alice")
    argon2.texts.clear()

    decision = desk.password(typed)

    assert Refused(Reason.BAD_NAME) == decision
    assert argon2.count == 1
    assert [event.reason for event in desk.logins()] == ["bad_name"]


def test_a_upn_is_another_name_and_never_cut(desk: Desk) -> None:
    """``alice@example.org`` is not alice: nothing after the @ is taken off."""
    desk.user("alice")

    assert Refused(Reason.UNKNOWN_USER) == desk.password("alice@example.org")
