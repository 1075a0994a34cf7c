"""Which refusals of the service account every server would repeat, and which only say something of one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from auth_backends.ldap.deadline import Deadline
from auth_backends.ldap.dialer import REFUSED_S
from auth_backends.ldap.directory import Directory, Found
from auth_backends.ldap.errors import ServiceRefused
from auth_backends.ldap.hosts import Address, Hosts
from auth_backends.ldap.results import Result
from tests.support.directories.certificates import Authority
from tests.support.directories.hostile import HostileLdap, Misbehaviour
from tests.support.directories.judges import ALICE, ALICE_ID, ENTRIES, SERVICE, hostile_provider

FINAL = (Result.CONSTRAINT_VIOLATION, Result.INAPPROPRIATE_AUTHENTICATION, Result.INVALID_CREDENTIALS)
OF_ONE_SERVER = [int(code) for code in Result if code is not Result.SUCCESS and code not in FINAL]
UNKNOWN = 4711


class Site:
    """A provider of two servers: the first refuses the service account, the second lets it in."""

    def __init__(self, authority: Authority, refusing: HostileLdap, well: HostileLdap) -> None:
        self.now = 1000.0
        self.refusing, self.well = refusing, well
        self.directory = Directory(hostile_provider(authority, refusing, well, timeout_s=5), monotonic=lambda: self.now)

    def find(self) -> object:
        """Look for alice; give her DN or the code of the refusal."""
        try:
            found = self.directory.find(ALICE_ID, ALICE)
        except ServiceRefused as error:
            return Result(error.code)
        return found.entry.dn if isinstance(found, Found) else found

    @property
    def asked(self) -> tuple[int, int]:
        """How often each server was given the password of the service account."""
        assert {SERVICE} >= {*self.refusing.binds, *self.well.binds}
        return len(self.refusing.binds), len(self.well.binds)


@pytest.fixture
def refused(authority: Authority) -> Iterator[Callable[[int], Site]]:
    """Make a site whose first server refuses the service account with a code."""
    tls = authority.issue("hostile")
    with ExitStack() as stack:

        def site(code: int) -> Site:
            first = HostileLdap(Misbehaviour.RESULT_CODE, code=code, tls=tls)
            second = HostileLdap(tls=tls, service_dn=SERVICE, entries=ENTRIES)
            made = Site(authority, stack.enter_context(first), stack.enter_context(second))
            stack.callback(made.directory.close)
            return made

        yield site


@pytest.mark.parametrize("code", FINAL)
def test_a_final_refusal_is_not_asked_for_at_the_next_server(refused: Callable[[int], Site], code: Result) -> None:
    """A wrong password, one that has ended, an account that is locked: each server would count one more failure."""
    site = refused(code)

    assert (site.find(), site.asked) == (code, (1, 0))


@pytest.mark.parametrize("code", FINAL)
def test_a_final_refusal_is_remembered_for_half_a_minute(refused: Callable[[int], Site], code: Result) -> None:
    """Every sign-in of a user would else be one more failure of the service account; then it may be mended."""
    site = refused(code)
    soon = [site.find(), site.find()]
    asked_soon = site.asked
    site.now += REFUSED_S
    later = site.find()

    assert (soon, later) == ([code, code], code)
    assert (asked_soon, site.asked) == ((1, 0), (2, 0))


@pytest.mark.parametrize("code", [*OF_ONE_SERVER, UNKNOWN])
def test_any_other_refusal_is_of_one_server(refused: Callable[[int], Site], code: int) -> None:
    """Busy, unavailable, or what nobody knows: the next server is asked, and nothing is held against the account."""
    site = refused(code)

    assert ([site.find(), site.find()], site.asked) == ([ALICE, ALICE], (2, 1))


@pytest.mark.parametrize(("is_final", "asked"), [(True, ["one"]), (False, ["one", "two"])])
def test_the_servers_are_asked_in_order_until_a_final_refusal(*, is_final: bool, asked: list[str]) -> None:
    """Also where nothing remembers it: a question may bring a connection of its own."""
    names: list[str] = []

    def question(address: Address, _: Deadline) -> None:
        names.append(address[0])
        raise ServiceRefused("no", address[0], Result.INVALID_CREDENTIALS, is_final=is_final)

    with pytest.raises(ServiceRefused) as caught:
        Hosts([("one", 636), ("two", 636)], lambda: 0.0).ask(question, Deadline.after(5))

    assert (names, caught.value.host) == (asked, asked[-1])
