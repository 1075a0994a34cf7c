"""The portal's sessions as rows: one cookie, one registry, one end on all workers."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict, Unpack

import pytest
from sqlalchemy import select

from storage.database.engine import Database
from storage.database.portal_sessions import PORTAL_WORKER, TOUCH_INTERVAL_S, PortalSession
from storage.database.records import Method
from storage.database.sso_tables import portal_sessions
from storage.database.store import Store
from tests.support.store_rows import make_user

NOW = 1_000_000.0
LOGOUT = {"name_id": "abc", "session_index": "_1"}


class Fields(TypedDict, total=False):
    """What a test may want of a session."""

    provider: str
    opened_at: float
    seen_at: float
    password_version: float | None


def session_of(store: Store, id: str = "s1", name: str = "ann", **fields: Unpack[Fields]) -> PortalSession:  # noqa: A002 - the column's name
    """A session of a user, who is made if there is none."""
    user = store.users.by_name(name) or make_user(store, name)
    kept = PortalSession(
        id, user.id, user.name, user.epoch, "sso", Method.SAML, "entra", "192.0.2.1", NOW, NOW, NOW + 3600, None, LOGOUT
    )
    return replace(kept, **fields)


def test_a_cookie_finds_its_session(store: Store) -> None:
    """As it was opened; another cookie finds nothing."""
    session = session_of(store, password_version=5.5)
    cookie = store.portal.open(session)

    assert store.portal.find(cookie) == session
    assert store.portal.find(cookie + "x") is None
    assert store.portal.find("\ud800") is None
    assert len(cookie) >= 43


def test_the_database_holds_no_cookie(store: Store, store_url: str) -> None:
    """Who reads it gets into no session."""
    cookie = store.portal.open(session_of(store))
    with Database(store_url).read() as connection:
        row = connection.execute(select(portal_sessions)).one()

    assert cookie not in repr(row)


def test_it_is_in_the_registry(store: Store) -> None:
    """Where admins see all sessions."""
    session = session_of(store)
    store.portal.open(session)

    (row,) = store.sessions.live()
    assert (row.id, row.user_name, row.front_end, row.worker) == ("s1", "ann", "portal", PORTAL_WORKER)


def test_an_end_counts_at_once_and_once(store: Store) -> None:
    """The cookie finds nothing, the registry knows why."""
    cookie = store.portal.open(session_of(store))

    assert store.portal.end("s1", "signed_out", NOW + 5)
    assert not store.portal.end("s1", "again", NOW + 6)
    assert store.portal.find(cookie) is None
    row = store.sessions.by_id("s1")
    assert row is not None
    assert (row.ended_at, row.end_reason) == (NOW + 5, "signed_out")


def test_an_end_in_the_registry_counts_too(store: Store) -> None:
    """Whoever ends a session there, as a sweep of lost workers does."""
    cookie = store.portal.open(session_of(store))
    store.sessions.end("s1", "cut", NOW)

    assert store.portal.find(cookie) is None


def test_it_is_written_seldom_when_it_is_used(store: Store) -> None:
    """But at once when it was judged by another state of the user."""
    session = session_of(store)
    cookie = store.portal.open(session)

    store.portal.touch(session, NOW + TOUCH_INTERVAL_S - 1, session.epoch)
    soon = store.portal.find(cookie)
    store.portal.touch(session, NOW + 1, session.epoch + 1)
    judged = store.portal.find(cookie)
    store.portal.touch(session, NOW + TOUCH_INTERVAL_S, session.epoch + 1)
    later = store.portal.find(cookie)

    assert soon == session
    assert judged == replace(session, seen_at=NOW + 1, epoch=session.epoch + 1)
    assert later is not None
    assert later.seen_at == NOW + TOUCH_INTERVAL_S


def test_sessions_by_person(store: Store) -> None:
    """The oldest first."""
    store.portal.open(session_of(store, "s2", opened_at=NOW + 1))
    store.portal.open(session_of(store, "s1"))
    store.portal.open(session_of(store, "s3", "bob", provider="okta"))
    ann = store.users.by_name("ann")
    assert ann is not None

    assert [one.id for one in store.portal.of_user(ann.id)] == ["s1", "s2"]
    assert store.portal.of_user("\0") == []


def test_all_others_of_a_person_end(store: Store) -> None:
    """And nobody else's."""
    for id, name in (("s1", "ann"), ("s2", "ann"), ("s3", "bob")):  # noqa: A001 - the column's name
        store.portal.open(session_of(store, id, name))
    ann = store.users.by_name("ann")
    assert ann is not None

    assert store.portal.end_others(ann.id, "s1", "signed_out", NOW) == 1
    assert {row.id for row in store.sessions.live()} == {"s1", "s3"}


@pytest.mark.parametrize(("at", "stays"), [(NOW + 99, True), (NOW + 100, False)], ids=["in use", "idle"])
def test_idle_sessions_end(store: Store, at: float, *, stays: bool) -> None:
    """After so many seconds without a request."""
    cookie = store.portal.open(session_of(store))

    assert store.portal.expire(at, 100) == (0 if stays else 1)
    assert (store.portal.find(cookie) is not None) is stays


def test_old_sessions_end(store: Store) -> None:
    """However much they are used."""
    store.portal.open(session_of(store, seen_at=NOW + 3600))

    assert store.portal.expire(NOW + 3599, 1800) == 0
    assert store.portal.expire(NOW + 3600, 1800) == 1


def test_nothing_is_left_of_a_deleted_user(store: Store) -> None:
    """The row goes with the user's, and the registry's is ended by the next look at what has run out."""
    session = session_of(store)
    cookie = store.portal.open(session)
    from storage.database.changes import DeleteUser

    store.apply(DeleteUser(session.user_id), actor="test")
    found = store.portal.find(cookie)

    assert (found, store.portal.expire(NOW + 1, 1800), store.sessions.live()) == (None, 1, [])
    assert store.portal.expire(NOW + 2, 1800) == 0
