"""``explain`` tells people each step, and has no side effects."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from auth_backends.api import Factor, FrontEnd, Reason
from auth_backends.explain import Explanation
from storage.database.changes import DeleteUser, LinkIdentity, RevokeSshKey, SetPassword
from storage.database.records import Method, Role
from storage.database.store import Store
from tests.support.brokers import HOME, Desk


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    return Desk(sqlite_store)


def ask(desk: Desk, name: str, kind: Factor = Factor.PASSWORD, front_end: FrontEnd = FrontEnd.SFTP) -> Explanation:
    return desk.broker.explain(name, front_end, kind, HOME)


def test_a_right_credential_is_explained_step_by_step(desk: Desk) -> None:
    """The steps follow the broker's order and end in the verdict."""
    desk.user("alice")

    told = ask(desk, "ALICE")

    assert (told.allowed, told.reason) == (True, Reason.GRANTED)
    assert [step.split(":")[0] for step in told.steps] == [
        *("name", "limits", "account", "policy", "backend", "password", "verdict")
    ]


def test_explaining_leaves_no_trace(desk: Desk) -> None:
    """No audit event, no count, however often it is asked."""
    key = desk.ssh_key(desk.user("alice"))
    before = desk.store.audit.tail()
    for kind in Factor:
        for _ in range(desk.settings.max_failures_per_user + 1):
            ask(desk, "alice", kind)
            ask(desk, "nobody", kind)

    kept = desk.store.credentials.ssh_key(key.id)
    assert desk.store.audit.tail() == before
    assert kept is not None
    assert kept.last_used_at is None
    assert ask(desk, "alice").allowed


def test_an_sso_password_is_explained_as_refused(desk: Desk) -> None:
    """The rule of the product, in the words of the policy."""
    desk.user("erin", Method.OIDC)

    told = ask(desk, "erin")

    assert (told.allowed, told.reason) == (False, Reason.SSO_PASSWORD_REFUSED)
    assert told.steps[-1].endswith("refused before any check: sso_password_refused")


def test_limits_that_are_reached_are_told(desk: Desk) -> None:
    """Per user and per network."""
    desk.user("alice")
    for _ in range(desk.settings.max_failures_per_user):
        desk.password("alice", "no")
    by_user = ask(desk, "alice"), ask(desk, "alice", Factor.API_KEY)
    for number in range(desk.settings.max_failures_per_network):
        desk.store.throttle.add("net:198.51.100.0/24", desk.clock() - number)
    by_network = desk.broker.explain("alice", FrontEnd.SFTP, Factor.PUBLIC_KEY, ip_address("198.51.100.1"))

    assert [told.reason for told in by_user] == [Reason.THROTTLED_USER, Reason.UNKNOWN_API_KEY]
    assert by_network.reason is Reason.THROTTLED_NETWORK


def test_names_that_are_nobodys_are_told_apart(desk: Desk) -> None:
    """No name, no user, and a user that was."""
    desk.store.apply(DeleteUser(desk.user("gone").id), actor="test")

    told = [ask(desk, name) for name in ("DOM:alice", "nobody", "gone")]

    assert [one.reason for one in told] == [Reason.BAD_NAME, Reason.UNKNOWN_USER, Reason.UNKNOWN_USER]
    assert [one.steps[-1] for one in told[1:]] == [
        "account: there is no such user",
        "account: there is no such user any more; the name is reserved",
    ]


def test_a_credential_that_is_not_there_cannot_be_right(desk: Desk) -> None:
    """No password set, no key, no API key: refused, and the step says so."""
    user = desk.user("alice")
    desk.store.apply(SetPassword(user.id, None), actor="test")

    told = [ask(desk, "alice", kind) for kind in (Factor.PASSWORD, Factor.PUBLIC_KEY, Factor.API_KEY)]

    assert [one.reason for one in told] == [Reason.NO_PASSWORD_SET, Reason.UNKNOWN_KEY, Reason.UNKNOWN_API_KEY]
    assert not any(one.allowed for one in told)
    assert told[1].steps[-1] == "credential: the user has no SSH key"


def test_each_key_is_judged(desk: Desk) -> None:
    """One good key is enough; without one the reason is a key's own."""
    user = desk.user("alice")
    revoked = desk.ssh_key(user, title="old laptop")
    desk.store.apply(RevokeSshKey(revoked.id), actor="test")
    none_good = ask(desk, "alice", Factor.PUBLIC_KEY)
    desk.ssh_key(user, title="new laptop")
    one_good = ask(desk, "alice", Factor.PUBLIC_KEY)

    assert none_good.reason is Reason.KEY_REVOKED
    assert any("old laptop: key_revoked" in step for step in none_good.steps)
    assert one_good.allowed
    assert any("new laptop: would do" in step for step in one_good.steps)


def test_methods_without_a_backend_are_told(desk: Desk) -> None:
    """No directory and no identity provider is configured: the client is told to try later."""
    desk.user("linda", Method.LDAP)
    desk.user("erin", Method.OIDC)

    told = [ask(desk, "linda"), ask(desk, "erin", Factor.SSO, FrontEnd.PORTAL)]

    assert [one.reason for one in told] == [Reason.NO_BACKEND] * 2


def test_a_link_to_the_provider_is_looked_for(sqlite_store: Store) -> None:
    """Only the user's own provider counts."""
    from tests.support.brokers import StandInBackend

    desk = Desk(sqlite_store, others={Method.OIDC: StandInBackend(lambda: pytest.fail("explain asks nobody"))})
    user = desk.user("erin", Method.OIDC, provider="entra")
    desk.store.apply(LinkIdentity(user.id, "okta", "1"), actor="test")
    before = ask(desk, "erin", Factor.SSO, FrontEnd.PORTAL)
    desk.store.apply(LinkIdentity(user.id, "entra", "1"), actor="test")

    assert before.reason is Reason.NOT_LINKED
    assert ask(desk, "erin", Factor.SSO, FrontEnd.PORTAL).allowed


def test_an_emergency_account_needs_its_code(desk: Desk) -> None:
    """Without TOTP enrolled a break-glass admin cannot come in at all."""
    user = desk.user("glass", role=Role.ADMIN, break_glass=True)
    before = ask(desk, "glass", front_end=FrontEnd.PORTAL)
    desk.update(user, totp_enrolled=True)

    assert before.reason is Reason.TOTP_REQUIRED
    assert ask(desk, "glass", front_end=FrontEnd.PORTAL).allowed
