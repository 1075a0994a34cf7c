"""How long a session of the portal lasts: while it is used, and never longer than the site or the account allows."""

from __future__ import annotations

import pytest

from auth_backends.api import FrontEnd, Granted
from config.settings import PortalSettings
from server.portal import Portal
from storage.database.changes import UpdateUser, UserFields
from storage.database.store import Store
from tests.support.brokers import Desk

HERE = "192.0.2.10"


@pytest.fixture
def desk(store: Store) -> Desk:
    """A broker with a clock that stands still, on each database."""
    desk = Desk(store)
    desk.user("ann")
    return desk


def portal_of(desk: Desk, **settings: float) -> Portal:
    """Make a portal with these limits."""
    return Portal(desk.store, desk.broker, PortalSettings.model_validate(settings), clock=desk.clock)


def signed_in(desk: Desk, portal: Portal) -> str:
    """Sign ann in and give her cookie."""
    granted = desk.password("ann", front_end=FrontEnd.PORTAL)
    assert isinstance(granted, Granted)
    return portal.open(granted, "")


def lasted(desk: Desk, portal: Portal, cookie: str, step_s: float) -> float:
    """Make a request every so many seconds until one is refused; the seconds until then."""
    began = desk.clock.now
    while portal.visitor(cookie, HERE) is not None:
        desk.clock.now += step_s
    return desk.clock.now - began


@pytest.mark.parametrize("idle_s", [8.0, 100.0], ids=["shorter than rows are written", "longer"])
def test_a_session_in_use_goes_on_until_its_last_second(desk: Desk, idle_s: float) -> None:
    """However short the time is that it may lie idle."""
    portal = portal_of(desk, idle_s=idle_s, session_s=1000)

    assert lasted(desk, portal, signed_in(desk, portal), idle_s / 2) == 1000


@pytest.mark.parametrize("idle_s", [8.0, 100.0])
def test_a_session_that_lies_idle_ends(desk: Desk, idle_s: float) -> None:
    """With the first request that comes too late, and for good."""
    portal = portal_of(desk, idle_s=idle_s, session_s=1000)
    cookie = signed_in(desk, portal)
    desk.clock.now += idle_s - 1
    in_time = portal.visitor(cookie, HERE)
    desk.clock.now += idle_s
    late = portal.visitor(cookie, HERE)
    desk.clock.now -= idle_s

    assert in_time is not None
    assert (late, portal.visitor(cookie, HERE)) == (None, None)
    assert desk.store.sessions.live() == []


def test_a_session_ends_with_the_account(desk: Desk) -> None:
    """Which ends before the session would."""
    user = desk.present("ann")
    desk.store.apply(UpdateUser(user.id, UserFields(expires_at=desk.clock.now + 60)), actor="test")
    portal = portal_of(desk, idle_s=100, session_s=1000)

    assert lasted(desk, portal, signed_in(desk, portal), 10) == 60
