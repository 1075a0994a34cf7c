"""SignIn: from a credential to a session, over the real broker and store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from auth_backends.api import FrontEnd, Password, Reason, Refused, Secret, TryLater
from auth_backends.passwords import PasswordHasher
from config.settings import DatabaseSettings, Settings
from server.app import open_services
from server.peers import peer_address
from server.services import Services
from server.sessions import Session
from storage.database.changes import CreateUser
from storage.database.records import Method

PASSWORD = "right horse battery"


@pytest.fixture
def services(sqlite_url: str, tmp_path: Path) -> Iterator[Services]:
    settings = Settings(data=tmp_path / "data", database=DatabaseSettings(url=sqlite_url))
    settings.data.mkdir()
    with open_services(settings, worker="worker-1") as opened:
        change = CreateUser("ada", Method.LOCAL, password_hash=PasswordHasher(concurrency=1).hash(Secret(PASSWORD)))
        opened.store.apply(change, actor="test")
        yield opened


def come_in(services: Services, secret: str, cuts: list[str]) -> Session | Refused | TryLater:
    return services.sign_in.try_in(FrontEnd.SFTP, Password("ada", Secret(secret)), "::ffff:10.0.0.1", cuts.append)


def test_a_right_password_opens_a_session(services: Services) -> None:
    """The session is live, registered, and its client's address is the IPv4 one."""
    session = come_in(services, PASSWORD, [])

    assert isinstance(session, Session)
    assert session.ended is None
    assert session.peer == "10.0.0.1"
    assert [row.id for row in services.store.sessions.live()] == [session.id]


def test_a_wrong_password_opens_none(services: Services) -> None:
    """The refusal carries the broker's reason, and nothing is registered."""
    assert come_in(services, "wrong", []) == Refused(Reason.WRONG_PASSWORD)
    assert services.sessions.live() == []


def test_a_store_that_is_gone_is_try_later(services: Services) -> None:
    """Nobody can tell: neither yes nor no."""
    services.store.close()

    assert isinstance(come_in(services, PASSWORD, []), TryLater)


def test_a_home_that_cannot_be_made_is_try_later(services: Services) -> None:
    """A full or broken disk is no reason to call the password wrong, and none to open half a session."""
    services.settings.homes.parent.mkdir(parents=True)
    services.settings.homes.write_text("a file in the folder's place")
    answer = come_in(services, PASSWORD, [])

    assert isinstance(answer, TryLater)
    assert services.sessions.live() == []


def test_the_end_of_the_services_ends_and_records_every_session(services: Services, sqlite_url: str) -> None:
    """A worker that stops leaves no open row and no client behind."""
    cuts: list[str] = []
    settings = services.settings
    with open_services(settings, worker="worker-2") as second:
        session = come_in(second, PASSWORD, cuts)
        assert isinstance(session, Session)
    row = services.store.sessions.by_id(session.id)

    assert cuts == ["server_stopped"]
    assert row is not None
    assert row.end_reason == "server_stopped"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_peer_addresses_have_one_form(text: str, expected: str) -> None:
    """A dual-stack socket and an IPv4 one count against the same network."""
    assert str(peer_address(text)) == expected
