"""The code after the password: at the portal only, once, within the limits, and with an alarm for emergencies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from threading import Barrier

import pytest
from structlog.testing import capture_logs

from auth_backends.api import Decision, FrontEnd, Granted, Password, Reason, Refused, Secret, TryLater
from auth_backends.broker import Broker
from auth_backends.local import LocalPasswords
from auth_backends.registered_keys import RegisteredApiKeys, RegisteredSshKeys
from auth_backends.totp import STEP_S, TotpCodes, code_at, enrolment, new_secret
from config.settings import AuthSettings
from storage.database.records import Method, Role, User
from storage.database.sealing import SiteKey
from storage.database.store import Store, StoreUnavailable
from tests.support.brokers import HOME, PASSWORD, Desk, reason_of

KEY = SiteKey(b"k" * 32)
SECRET = new_secret()
LIMIT = AuthSettings().max_failures_per_user


class CodeDesk(Desk):
    """A desk whose broker knows one-time codes."""

    def __post_init__(self) -> None:
        local = LocalPasswords(self.store, self.hasher)
        self.broker = Broker(
            self.store,
            {Method.LOCAL: local, Method.LOCAL_KEY: local},
            ssh_keys=RegisteredSshKeys(min_rsa_bits=self.settings.min_rsa_bits, clock=self.clock),
            api_keys=RegisteredApiKeys(clock=self.clock),
            hasher=self.hasher,
            settings=self.settings,
            clock=self.clock,
            totp=TotpCodes(self.store, self.site_key),
        )

    def site_key(self) -> SiteKey:
        """Give the key that the tests seal with."""
        return KEY

    @property
    def step(self) -> int:
        """The present time step."""
        return int(self.clock() // STEP_S)

    def enrolled(self, name: str, *, break_glass: bool = False) -> User:
        """Make a user whose codes are asked for; the code before the present one is used up."""
        role = Role.ADMIN if break_glass else Role.USER
        user = self.user(name, role=role, break_glass=break_glass)
        at = self.clock() - STEP_S
        change = enrolment(user, SECRET, Secret(code_at(SECRET, self.step - 1)), KEY, at)
        assert change is not None
        self.store.apply(change, actor="test")
        return self.present(name)

    def at_portal(
        self, name: str, code: str | None, secret: str = PASSWORD, front_end: FrontEnd = FrontEnd.PORTAL
    ) -> Decision:
        """Try a password with a code."""
        return self.try_in(front_end, Password(name, Secret(secret), None if code is None else Secret(code)))

    def good(self) -> str:
        """The present code."""
        return code_at(SECRET, self.step)

    def bad(self) -> str:
        """A code that is none of the three that may be right."""
        right = {code_at(SECRET, self.step + off) for off in (-1, 0, 1)}
        return next(code for code in ("000000", "000001", "000002", "000003") if code not in right)


@pytest.fixture
def desk(store: Store) -> CodeDesk:
    """A broker with one-time codes over an empty store of each database."""
    return CodeDesk(store)


def test_the_portal_asks_and_both_together_come_in(desk: CodeDesk) -> None:
    """The password alone is asked for the code, which counts as no failure; both come in."""
    desk.enrolled("ann")

    asked = [desk.at_portal("ann", None) for _ in range(LIMIT + 2)]
    both = desk.at_portal("ann", desk.good())

    assert [Refused(Reason.TOTP_REQUIRED)] * (LIMIT + 2) == asked
    assert isinstance(both, Granted)


def test_a_code_lets_nobody_in_twice(desk: CodeDesk) -> None:
    """Neither here nor at another worker; the trail says why, and has no code in it."""
    desk.enrolled("ann")
    code = desk.good()

    decisions = [desk.at_portal("ann", code), desk.at_portal("ann", code), CodeDesk(desk.store).at_portal("ann", code)]

    assert [reason_of(one) for one in decisions] == [Reason.GRANTED, Reason.WRONG_CODE, Reason.WRONG_CODE]
    events = desk.logins()
    assert "used before" in str((events[-1].detail or {})["note"])
    assert code not in repr([event.detail for event in events])


def test_a_code_is_worth_nothing_without_the_password(desk: CodeDesk) -> None:
    """It is not even looked at, and so not used up."""
    desk.enrolled("ann")

    wrong = desk.at_portal("ann", desk.good(), secret="not the password")
    right = desk.at_portal("ann", desk.good())

    assert reason_of(wrong) is Reason.WRONG_PASSWORD
    assert isinstance(right, Granted)


def test_wrong_codes_count_until_the_limit(desk: CodeDesk) -> None:
    """Six digits must not be guessable: after so many the user is throttled, also with the right code."""
    desk.enrolled("ann")

    guesses = [reason_of(desk.at_portal("ann", desk.bad())) for _ in range(LIMIT + 1)]
    right = desk.at_portal("ann", desk.good())

    assert guesses == [Reason.WRONG_CODE] * LIMIT + [Reason.THROTTLED_USER]
    assert reason_of(right) is Reason.THROTTLED_USER


def test_asking_for_the_code_forgets_no_failures(desk: CodeDesk) -> None:
    """Whoever knows the password cannot go on guessing by sending it alone in between."""
    desk.enrolled("ann")

    for _ in range(LIMIT):
        desk.at_portal("ann", desk.bad())
        desk.at_portal("ann", None)

    assert reason_of(desk.at_portal("ann", desk.good())) is Reason.THROTTLED_USER


def test_a_password_on_a_protocol_forgets_no_wrong_codes(store: Store) -> None:
    """Where a site lets enrolled users in by the password alone, whoever knows it still has so many guesses."""
    desk = CodeDesk(store, AuthSettings(password_without_totp=True))
    desk.enrolled("ann")

    let_in = []
    for _ in range(LIMIT):
        desk.at_portal("ann", desk.bad())
        let_in.append(reason_of(desk.at_portal("ann", None, front_end=FrontEnd.SFTP)))

    assert let_in[:-1] == [Reason.GRANTED] * (LIMIT - 1)
    assert reason_of(desk.at_portal("ann", desk.good())) is Reason.THROTTLED_USER


def test_a_burst_of_guesses_meets_the_limit(desk: CodeDesk) -> None:
    """Sent at once, no more codes are looked at than one after the other."""
    desk.enrolled("ann")
    start = Barrier(8, timeout=30)

    def guess(_: int) -> Reason:
        start.wait()
        return reason_of(desk.at_portal("ann", desk.bad()))

    with ThreadPoolExecutor(8) as pool:
        reasons = [reason for _ in range(2) for reason in pool.map(guess, range(8))]

    assert reasons.count(Reason.WRONG_CODE) == LIMIT


def test_of_two_workers_one_lets_the_code_in(desk: CodeDesk) -> None:
    """The same code at the same time: one session, and the other attempt is refused."""
    desk.enrolled("ann")
    start, code = Barrier(2, timeout=30), desk.good()

    def come(worker: CodeDesk) -> Reason:
        start.wait()
        return reason_of(worker.at_portal("ann", code))

    with ThreadPoolExecutor(2) as pool:
        reasons = sorted(pool.map(come, [desk, CodeDesk(desk.store)]))

    assert reasons == [Reason.GRANTED, Reason.WRONG_CODE]


@pytest.mark.parametrize("front_end", [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV])
def test_a_code_opens_no_protocol(desk: CodeDesk, front_end: FrontEnd) -> None:
    """The table refuses there before anything is compared, and the code stays good for the portal."""
    desk.enrolled("ann")

    assert reason_of(desk.at_portal("ann", desk.good(), front_end=front_end)) is Reason.TOTP_REQUIRED
    assert isinstance(desk.at_portal("ann", desk.good()), Granted)


def test_where_none_is_asked_for_a_code_counts_nothing(desk: CodeDesk) -> None:
    """Whoever is not enrolled comes in by the password, as before."""
    desk.user("bob")

    assert isinstance(desk.at_portal("bob", "123456"), Granted)


def test_a_flag_without_a_secret_lets_nobody_in(desk: CodeDesk) -> None:
    """The flag alone is not an enrolment: no code is right."""
    desk.user("ann", totp_enrolled=True)

    assert Refused(Reason.TOTP_REQUIRED) == desk.at_portal("ann", desk.good())


def test_an_emergency_account_without_codes_stays_out(desk: CodeDesk) -> None:
    """Break-glass means password and code; with the password alone it is refused, whatever is sent for a code."""
    desk.user("glass", role=Role.ADMIN, break_glass=True)

    decisions = [desk.at_portal("glass", None), desk.at_portal("glass", "123456")]

    assert [Refused(Reason.TOTP_REQUIRED)] * 2 == decisions
    assert desk.store.audit.tail(kind="break_glass.used") == []


def test_the_use_of_an_emergency_account_is_an_alarm(desk: CodeDesk) -> None:
    """An event of its own and a warning, for each time that it comes in and for no other; others raise none."""
    desk.enrolled("glass", break_glass=True)
    desk.enrolled("ann")

    with capture_logs() as logs:
        desk.at_portal("glass", None)
        desk.at_portal("glass", desk.bad())
        came_in = desk.at_portal("glass", desk.good())
        other = desk.at_portal("ann", desk.good())

    assert isinstance(came_in, Granted)
    assert isinstance(other, Granted)
    alarms = desk.store.audit.tail(kind="break_glass.used")
    assert [("glass", "granted", "portal", str(HOME))] == [(e.subject, e.outcome, e.front_end, e.peer) for e in alarms]
    warned = [(one["user"], one["peer"]) for one in logs if one["event"] == "break_glass.used"]
    assert [("glass", str(HOME))] == warned
    assert {"warning"} == {one["log_level"] for one in logs if one["user"] == "glass"}
    assert len(desk.logins()) == 4


def test_without_the_site_key_the_person_is_told_to_come_back(store: Store) -> None:
    """Nobody can tell whether the code is right: it counts against nobody."""

    class Keyless(CodeDesk):
        def site_key(self) -> SiteKey:
            raise StoreUnavailable("The site key cannot be read.")

    desk = Keyless(store)
    desk.enrolled("ann")

    decisions = [desk.at_portal("ann", desk.good()) for _ in range(LIMIT + 2)]

    assert {TryLater} == {type(one) for one in decisions}
    assert isinstance(CodeDesk(store).at_portal("ann", desk.good()), Granted)


def test_a_broker_without_codes_lets_no_enrolled_user_in(store: Store) -> None:
    """Left out by mistake, it fails closed."""
    CodeDesk(store).enrolled("ann")
    plain = Desk(store)
    code = Secret(code_at(SECRET, int(plain.clock() // STEP_S)))

    assert Refused(Reason.TOTP_REQUIRED) == plain.try_in(FrontEnd.PORTAL, Password("ann", Secret(PASSWORD), code))


def test_guesses_from_elsewhere_count_for_the_network_too(desk: CodeDesk) -> None:
    """As wrong passwords do."""
    desk.enrolled("ann")
    before = desk.store.throttle.counts(["net:198.51.100.0/24"], 0.0)

    wrong = Password("ann", Secret(PASSWORD), Secret(desk.bad()))
    desk.try_in(FrontEnd.PORTAL, wrong, ip_address("198.51.100.9"))

    assert before == {}
    assert desk.store.throttle.counts(["net:198.51.100.0/24"], 0.0) == {"net:198.51.100.0/24": 1}
