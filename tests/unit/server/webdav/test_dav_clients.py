"""Sessions between the requests of one client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from auth_backends.api import Credential, Factor, FrontEnd, Granted, Password, Principal, Reason, Refused, TryLater
from server.sessions import Session
from server.webdav.authentication import NoCredential
from server.webdav.clients import Client, Clients
from storage.database.records import Method, Status, User
from storage.files.errors import StorageUnavailable
from tests.support.dav_site import basic

USER = User("id", "anna", Method.LOCAL, Status.ACTIVE, 1, "anna")
GRANTED = Granted(Principal(USER, Factor.PASSWORD, None), None, 1)
ANNA, BEN = basic("anna", "right"), basic("ben", "right")
WRONG = basic("anna", "wrong")


class FakeSession(Session):
    """A session without registry and workspace."""

    def __init__(self, cut: Callable[[str], None]) -> None:
        self.ended = None
        self._cut = cut

    def end(self, reason: str) -> None:
        self.ended = self.ended or reason

    def revoke(self, reason: str) -> bool:
        self.ended = self.ended or reason
        self._cut(reason)
        return True


@dataclass
class FakeSignIn:
    """A broker that knows one password, and can be away."""

    away: bool = False
    storage_away: bool = False
    good: str = "right"
    asked: int = 0
    opened: list[FakeSession] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def authenticate(self, front_end: FrontEnd, credential: Credential, peer: str) -> Granted | Refused | TryLater:
        with self.lock:
            self.asked += 1
        assert front_end is FrontEnd.WEBDAV
        assert isinstance(credential, Password)
        if self.away:
            return TryLater(Reason.BACKEND_UNAVAILABLE, 5)
        return GRANTED if credential.secret.reveal() == self.good else Refused(Reason.WRONG_PASSWORD)

    def open_session(self, granted: Granted, front_end: FrontEnd, peer: str, cut: Callable[[str], None]) -> FakeSession:
        if self.storage_away:
            raise StorageUnavailable
        session = FakeSession(cut)
        self.opened.append(session)
        return session


@dataclass
class Bench:
    """Clients on a loop that runs only when a test runs it."""

    sign_in: FakeSignIn
    clients: Clients
    loop: asyncio.AbstractEventLoop
    now: list[float]

    def session(self, header: str, peer: str = "10.0.0.1") -> FakeSession:
        found = self.clients.identify(header, peer)
        assert isinstance(found, tuple)
        assert isinstance(found[1], FakeSession)
        return found[1]

    def client(self, header: str = ANNA) -> Client:
        found = self.clients.identify(header, "10.0.0.1")
        assert isinstance(found, tuple)
        return found[0]


@pytest.fixture
def bench() -> Bench:
    loop = asyncio.new_event_loop()
    sign_in, now = FakeSignIn(), [100.0]
    clients = Clients(sign_in, loop, clock=lambda: now[0], idle_s=300)  # type: ignore[arg-type]  # a stand-in
    return Bench(sign_in, clients, loop, now)


def test_one_client_has_one_session(bench: Bench) -> None:
    """However many requests; another name, credential or address is another client."""
    first = bench.session(ANNA)

    assert first is bench.session(ANNA)
    assert len({id(bench.session(*who)) for who in [(ANNA,), (BEN,), (ANNA, "10.0.0.2")]}) == 3


def test_many_requests_at_once_open_one_session(bench: Bench) -> None:
    """Explorer asks with ten connections at the same moment."""
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(10)
        bench.clients.identify(ANNA, "10.0.0.1")

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert len(bench.sign_in.opened) == 1


def test_a_moment_later_the_broker_need_not_be_asked(bench: Bench) -> None:
    """Within a second; after it, and for another credential or an ended session, it must be."""
    assert bench.clients.fresh(ANNA, "10.0.0.1") is None
    session = bench.session(ANNA)
    found = bench.clients.fresh(ANNA, "10.0.0.1")
    assert found is not None
    assert session is found[1]
    assert bench.clients.fresh(WRONG, "10.0.0.1") is None
    assert bench.clients.fresh(ANNA, "10.0.0.2") is None
    bench.now[0] += 1.1
    assert bench.clients.fresh(ANNA, "10.0.0.1") is None

    bench.session(ANNA)
    session.end("revoked")
    assert bench.clients.fresh(ANNA, "10.0.0.1") is None


def test_a_wrong_password_touches_nobody_else(bench: Bench) -> None:
    """The right one's session goes on."""
    session = bench.session(ANNA)

    assert isinstance(bench.clients.identify(WRONG, "10.0.0.1"), Refused)
    assert session.ended is None


def test_a_credential_that_counts_no_more_ends_its_session(bench: Bench) -> None:
    """A changed password, on the next question."""
    session = bench.session(ANNA)
    bench.sign_in.good = "new"

    assert isinstance(bench.clients.identify(ANNA, "10.0.0.1"), Refused)
    assert session.ended == "wrong_password"


@pytest.mark.parametrize("reason", [Reason.THROTTLED_USER, Reason.THROTTLED_NETWORK])
def test_others_guesses_do_not_cut_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: Reason) -> None:
    """Over a limit a new request is refused; whoever brought it about must not abort the owner's uploads by it."""
    session = bench.session(ANNA)
    monkeypatch.setattr(bench.sign_in, "authenticate", lambda *_: Refused(reason))

    assert bench.clients.identify(ANNA, "10.0.0.1") == Refused(reason)
    assert session.ended is None


def test_cannot_tell_is_not_no(bench: Bench) -> None:
    """503 for this request; the session is neither used nor ended."""
    session = bench.session(ANNA)
    bench.sign_in.away = True

    assert isinstance(bench.clients.identify(ANNA, "10.0.0.1"), TryLater)
    assert session.ended is None
    bench.sign_in.away, bench.sign_in.storage_away = False, True
    assert isinstance(bench.clients.identify(BEN, "10.0.0.1"), TryLater)


def test_an_ended_session_is_replaced_if_the_broker_agrees(bench: Bench) -> None:
    """After `session cut` alone, the user may come again."""
    first = bench.session(ANNA)
    first.revoke("cut")

    assert first is not bench.session(ANNA)


def test_a_header_without_credential_opens_nothing(bench: Bench) -> None:
    """And asks nobody."""
    with pytest.raises(NoCredential):
        bench.clients.identify("Negotiate x", "10.0.0.1")

    assert bench.sign_in.asked == 0


def test_a_cut_cancels_what_runs(bench: Bench) -> None:
    """From another thread, in the middle of a request, and only that client's."""

    async def main() -> list[bool]:
        started = asyncio.Event()

        async def request(client: Client) -> None:
            with bench.clients.request(client):
                started.set()
                await asyncio.Event().wait()

        mine = asyncio.ensure_future(request(bench.client(ANNA)))
        other = asyncio.ensure_future(request(bench.client(BEN)))
        await started.wait()
        await asyncio.to_thread(bench.sign_in.opened[0].revoke, "disabled")
        await asyncio.wait([mine], timeout=5)
        outcome = [mine.cancelled(), other.done()]
        other.cancel()
        await asyncio.wait([other])
        return outcome

    assert bench.loop.run_until_complete(main()) == [True, False]


def test_idle_clients_are_let_go_and_busy_ones_kept(bench: Bench) -> None:
    """So that the registry shows who is there."""
    session = bench.session(ANNA)
    client = bench.client(BEN)

    async def main() -> list[Session]:
        with bench.clients.request(client):
            bench.now[0] += 301
            return bench.clients.idle()

    assert [session] == bench.loop.run_until_complete(main())
    assert bench.clients.idle() == []
    bench.now[0] += 301
    assert [bench.sign_in.opened[1]] == bench.clients.idle()
    assert bench.clients.all() == []
