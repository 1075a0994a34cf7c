"""Names, what refusals tell, and guessing at the portal, over HTTPS on two workers ("Broker", B4, B5 and B6)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from auth_backends.api import Secret
from auth_backends.totp import STEP_S, code_at, enrolment, new_secret
from config.settings import Settings
from storage.database.changes import SetStatus, UpdateUser, UserFields
from storage.database.records import Method, Role, Status, User
from storage.database.sealing import ensure_site_key
from tests.support.directories.certificates import Authority
from tests.support.directories.slapd import Slapd
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal
from tests.support.portal_site import PortalSite, portal_site
from tests.support.sso_browser import SsoBrowser

pytestmark = pytest.mark.system
PASSWORD = "right-horse-battery"
WRONG = "wrong"
LIMIT = 5
WORKERS = 2
BURST = 30
TOKEN = re.compile(r'name="form" value="[0-9a-f]{64}"')


@pytest.fixture(scope="module")
def directory(authority: Authority) -> Iterator[Slapd]:
    """An OpenLDAP server with a person."""
    with Slapd(authority) as server:
        yield server


@pytest.fixture(scope="module")
def site(directory: Slapd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalSite]:
    """Everybody comes from one network here: its limit is out of the way."""
    environment = {
        "QUAYMASTER_AUTH__MAX_FAILURES_PER_USER": str(LIMIT),
        "QUAYMASTER_AUTH__MAX_FAILURES_PER_NETWORK": "10000",
    }
    with portal_site(tmp_path_factory.mktemp("site"), directory, environment) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh_limits(site: PortalSite) -> None:
    """No test is throttled by another's refusals."""
    site.server.forget_failures()


def tried(site: PortalSite, name: str, password: str = WRONG, code: str = "") -> httpx.Response:
    """Post the form from a browser, over a connection, of its own."""
    with SsoBrowser(site.server) as browser:
        form = browser.form("/sign-in")
        return browser.post("/sign-in", {"form": form, "name": name, "password": password, "code": code})


def enrolled(site: PortalSite, name: str) -> Secret:
    """Make a user with an authenticator, whose code of two steps ago was used for the enrolment."""
    user = site.server.add_user(name, password=PASSWORD)
    secret, then = new_secret(), time.time() - 2 * STEP_S
    key = ensure_site_key(Settings(data=site.server.data).site_key_file)
    change = enrolment(user, secret, Secret(code_at(secret, int(then // STEP_S))), key, then)
    assert change is not None
    site.server.store.apply(change, actor="test")
    return secret


def a_wrong_code(secret: Secret) -> str:
    """Give a code that will not be right for a minute."""
    now = int(time.time() // STEP_S)
    right = {code_at(secret, now + off) for off in range(-1, 5)}
    return next(code for code in map("{:06}".format, range(10)) if code not in right)


# One identity, however it is typed ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("zoë", "granted"),
        ("ZOË", "granted"),
        ("  zoë ", "granted"),
        ("zoe\N{COMBINING DIAERESIS}", "granted"),
        ("zoe", "unknown_user"),
        ("ｚｏë", "unknown_user"),
        ("zoë.", "bad_name"),
        ("zoë\0", "bad_name"),
        ("zo\N{ZERO WIDTH SPACE}ë", "bad_name"),
        ("a/zoë", "bad_name"),
        ("CORP\\zoë", "unknown_user"),
        ("zoë@contoso.test", "unknown_user"),
    ],
    ids=range(12),
)
def test_a_spelling_is_the_same_person_or_nobody(site: PortalSite, typed: str, reason: str) -> None:
    """B4: case, composition and blanks around it do not matter; what other systems would cut off is refused."""
    site.server.add_user("zoë", password=PASSWORD)
    answer = tried(site, typed, PASSWORD)

    assert answer.status_code == (303 if reason == "granted" else 403)
    assert site.server.store.audit.tail(kind="login", limit=1)[0].reason == reason


@pytest.mark.parametrize("typed", ["otto", "OTTO", " Otto"])
def test_no_spelling_makes_the_password_of_an_sso_user_good(site: PortalSite, typed: str) -> None:
    """B4: it is the same person, whose password is looked at nowhere."""
    if site.server.store.users.by_name("otto") is None:
        site.add_sso_user("otto")

    assert tried(site, typed).status_code == 403
    assert site.reasons("otto") == ["sso_password_refused"]


def test_all_spellings_have_one_counter(site: PortalSite) -> None:
    """B4 and B6: whoever guesses cannot begin anew by a capital letter."""
    site.server.add_user("paula", password=PASSWORD)
    for typed in ("paula", "PAULA", "Paula ", "pAULA", "paulA"):
        tried(site, typed)

    assert tried(site, "paula", PASSWORD).status_code == 403
    assert site.reasons("paula") == ["throttled_user"]


# What a refusal tells -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd(site: PortalSite, directory: Slapd) -> dict[str, str]:
    """One of each kind of person, and the reason for which a wrong password is refused."""
    server = site.server
    add = server.add_user
    add("local", password=PASSWORD)
    site.add_sso_user("federated")
    site.add_directory_user(directory, "listed")
    add("machine", method=Method.NONE)
    add("both", method=Method.LOCAL_KEY, password=PASSWORD)
    change(site, add("off", password=PASSWORD), SetStatus, Status.DISABLED)
    add("over", password=PASSWORD, expires_at=time.time() - 1)
    add("glass", password=PASSWORD, break_glass=True, role=Role.ADMIN)
    enrolled(site, "coded")
    fields(site, add("elsewhere", password=PASSWORD), UserFields(networks=("192.0.2.0/24",)))
    fields(site, add("files-only", password=PASSWORD), UserFields(protocols=frozenset({"sftp"})))
    return {
        "nobody": "unknown_user",
        "local": "wrong_password",
        "federated": "sso_password_refused",
        "listed": "wrong_password",
        "machine": "method_has_no_password",
        "both": "needs_key_and_password",
        "off": "not_active",
        "over": "expired",
        "glass": "wrong_password",
        "coded": "wrong_password",
        "elsewhere": "network_not_allowed",
        "files-only": "front_end_not_allowed",
        "..": "bad_name",
    }


def change(site: PortalSite, user: User, kind: type[SetStatus], status: Status) -> None:
    """Give a user a status."""
    site.server.store.apply(kind(user.id, status), actor="test")


def fields(site: PortalSite, user: User, values: UserFields) -> None:
    """Give a user these fields."""
    site.server.store.apply(UpdateUser(user.id, values), actor="test")


def shape(answer: httpx.Response, name: str) -> tuple[object, ...]:
    """Give all that a stranger sees of a refusal, but for the name that was typed and what is random."""
    page = TOKEN.sub("", answer.text).replace(f'value="{name}"', "")
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in VARYING)
    return answer.status_code, page, headers, sorted(answer.cookies)


VARYING = {"date", "set-cookie", "content-length"}


def test_a_refusal_tells_nothing_of_who_there_is(site: PortalSite, crowd: dict[str, str]) -> None:
    """B5: one page, status and set of headers for everybody; only the audit trail knows why."""
    seen = {}
    for name, reason in crowd.items():
        seen[name] = shape(tried(site, name), name)
        assert site.server.store.audit.tail(kind="login", limit=1)[0].reason == reason, name

    assert len({str(one) for one in seen.values()}) == 1
    assert seen["nobody"][0] == 403


def test_no_refusal_is_quicker_than_a_wrong_password(site: PortalSite, crowd: dict[str, str]) -> None:
    """B5: the work of one hash, and where there is a directory as long as it takes; the quickest of two tries."""
    took = {name: min(timed(site, name) for _ in range(2)) for name in crowd}

    assert min(took.values()) > took["local"] * 0.6, took


def timed(site: PortalSite, name: str) -> float:
    """The seconds that a refusal takes, without the page before it."""
    with SsoBrowser(site.server) as browser:
        form = browser.form("/sign-in")
        began = time.perf_counter()
        browser.post("/sign-in", {"form": form, "name": name, "password": "wrong"})
        return time.perf_counter() - began


# Guessing -----------------------------------------------------------------------------------------


def test_guesses_on_all_ways_in_are_counted_together(site: PortalSite) -> None:
    """B6: at the portal, on WebDAV, FTPS and SFTP; then the right password opens none of them."""
    site.server.add_user("quentin", password=PASSWORD)
    tried(site, "quentin")
    by_protocols = [came_in(driver, site, "quentin", "wrong") for driver in DRIVERS]
    while len(site.reasons("quentin", 20)) < LIMIT:
        tried(site, "quentin")
    after = [came_in(driver, site, "quentin", PASSWORD) for driver in DRIVERS]

    assert by_protocols == after == [False] * len(DRIVERS)
    assert tried(site, "quentin", PASSWORD).status_code == 403
    assert site.reasons("quentin", 4) == ["throttled_user"] * 4


def came_in(driver: type[Driver], site: PortalSite, name: str, password: str) -> bool:
    """Whether a password lets in there."""
    try:
        driver(site.server.driver_ports, Credential(name, password)).close()
    except Refusal:
        return False
    return True


def test_a_burst_of_passwords_meets_the_limit(site: PortalSite) -> None:
    """B6: sent at once over thirty connections, each worker checks one more than the limit at most."""
    site.server.add_user("rosa", password=PASSWORD)
    with ThreadPoolExecutor(BURST) as pool:
        list(pool.map(lambda _: tried(site, "rosa"), range(BURST)))
    reasons = site.reasons("rosa", 2 * BURST)

    assert LIMIT <= reasons.count("wrong_password") <= LIMIT + WORKERS
    assert reasons.count("wrong_password") + reasons.count("throttled_user") == BURST


def test_codes_cannot_be_guessed_on_several_workers(site: PortalSite) -> None:
    """B6: whoever knows the password has so many tries for the code, at once or one after the other."""
    secret = enrolled(site, "sara")
    wrong = a_wrong_code(secret)
    with ThreadPoolExecutor(BURST) as pool:
        list(pool.map(lambda _: tried(site, "sara", PASSWORD, wrong), range(BURST)))
    right = tried(site, "sara", PASSWORD, code_at(secret, int(time.time() // STEP_S)))
    reasons = site.reasons("sara", 2 * BURST)

    assert LIMIT <= reasons.count("wrong_code") <= LIMIT + WORKERS
    assert (right.status_code, reasons[-1]) == (403, "throttled_user")


def test_whoever_guesses_names_is_stopped_by_the_network(tmp_path_factory: pytest.TempPathFactory) -> None:
    """B6: also by names that are none; who signs in at a provider from there waits as well."""
    environment = {"QUAYMASTER_AUTH__MAX_FAILURES_PER_NETWORK": "6"}
    with portal_site(tmp_path_factory.mktemp("small"), environment=environment) as small:
        small.add_sso_user("ann")
        for number in range(3):
            tried(small, f"guess-{number}")
            tried(small, "..")
        last = tried(small, "another")
        with SsoBrowser(small.server) as browser:
            by_provider = small.sign_in(browser, "ann").status_code
        reasons = [event.reason for event in small.server.store.audit.tail(kind="login", limit=2)]

    assert (last.status_code, by_provider) == (403, 403)
    assert reasons == ["throttled_network"] * 2
