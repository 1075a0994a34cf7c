"""One-time codes by the standards' own values, and what is accepted when."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from urllib.parse import parse_qs, urlsplit

import pytest

from auth_backends.api import Secret
from auth_backends.totp import CodeAnswer, TotpCodes, code_at, enrolment, enrolment_uri, new_secret, step_of
from storage.database.records import User
from storage.database.sealing import SiteKey, load_site_key
from storage.database.store import Store, StoreUnavailable
from tests.support.store_rows import ACTOR, make_user

RFC_SECRET = Secret(base64.b32encode(b"12345678901234567890").decode("ascii"))
KEY = SiteKey(b"k" * 32)
NOW = 1_900_000_005.0
STEP = 1_900_000_005 // 30


def enrol(store: Store, user: User, secret: Secret = RFC_SECRET, step: int = STEP) -> None:
    """Enrol somebody with the code of a step, at that step's time."""
    change = enrolment(user, secret, Secret(code_at(secret, step)), KEY, step * 30.0)
    assert change is not None
    store.apply(change, actor=ACTOR)


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(at: int, code: str) -> None:
    """The last six digits of the values for SHA-1 in RFC 6238, appendix B."""
    assert code == code_at(RFC_SECRET, at // 30)
    assert at // 30 == step_of(RFC_SECRET, Secret(code), float(at))


def test_counters_give_the_values_of_the_standard() -> None:
    """RFC 4226, appendix D."""
    expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]

    assert expected == [code_at(RFC_SECRET, counter) for counter in range(10)]


@pytest.mark.parametrize(("off", "is_right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_to_each_side_counts(off: int, *, is_right: bool) -> None:
    """Half a minute for clocks and typing, no more."""
    found = step_of(RFC_SECRET, Secret(code_at(RFC_SECRET, STEP + off)), NOW)

    assert (STEP + off if is_right else None) == found


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "-12345", "\ud800", "1" * 100_000])
def test_what_is_no_code_is_wrong(typed: str) -> None:
    """Whatever strangers type raises nothing."""
    assert step_of(RFC_SECRET, Secret(typed), NOW) is None


def test_spaces_between_digits_do_not_matter() -> None:
    """Apps show two groups of three digits."""
    code = code_at(RFC_SECRET, STEP)

    assert step_of(RFC_SECRET, Secret(f" {code[:3]} {code[3:]}\n"), NOW) == STEP


def test_at_the_beginning_of_time_there_is_no_step_before() -> None:
    """A clock that was never set finds no code, and no error either."""
    assert step_of(RFC_SECRET, Secret("755224"), 0.0) == 0
    assert step_of(RFC_SECRET, Secret("000000"), 0.0) is None


def test_a_secret_has_160_bits_and_is_new_each_time() -> None:
    """As RFC 4226 section 4 recommends."""
    made = [new_secret().reveal() for _ in range(50)]

    assert {20} == {len(base64.b32decode(secret)) for secret in made}
    assert len(set(made)) == 50


def test_the_uri_is_what_apps_read() -> None:
    """Label and options survive a name with signs in it."""
    uri = urlsplit(enrolment_uri(RFC_SECRET, "a/b?c d@example.org").reveal())

    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/Quaymaster:a/b%3Fc%20d%40example.org")
    assert {"secret": [RFC_SECRET.reveal()], "issuer": ["Quaymaster"]} == parse_qs(uri.query)


def test_a_wrong_first_code_enrols_nobody(store: Store) -> None:
    """There is no change to apply."""
    assert enrolment(make_user(store, "ann"), RFC_SECRET, Secret("000000"), KEY, NOW) is None


def test_a_code_is_right_once(store: Store) -> None:
    """Not again, not the one that enrolled, not an older one; the next one is."""
    ann = make_user(store, "ann")
    enrol(store, ann, step=STEP - 1)
    codes = TotpCodes(store, lambda: KEY)

    def use(step: int) -> CodeAnswer:
        return codes.use(ann.id, Secret(code_at(RFC_SECRET, step)), NOW)

    steps = (STEP - 1, STEP, STEP, STEP - 1, STEP + 1, STEP)
    assert [use(step) for step in steps] == [
        CodeAnswer.USED,
        CodeAnswer.RIGHT,
        CodeAnswer.USED,
        CodeAnswer.USED,
        CodeAnswer.RIGHT,
        CodeAnswer.USED,
    ]


def test_a_wrong_code_uses_up_nothing(store: Store) -> None:
    """The right one comes in after it."""
    ann = make_user(store, "ann")
    enrol(store, ann, step=STEP - 1)
    codes = TotpCodes(store, lambda: KEY)

    assert codes.use(ann.id, Secret(code_at(RFC_SECRET, STEP + 5)), NOW) is CodeAnswer.WRONG
    assert codes.use(ann.id, Secret(code_at(RFC_SECRET, STEP)), NOW) is CodeAnswer.RIGHT


def test_nobody_has_anothers_codes(store: Store) -> None:
    """A sealed secret opens for its own user only, also when somebody moves it in the database."""
    ann, bob = make_user(store, "ann"), make_user(store, "bob")
    change = enrolment(ann, RFC_SECRET, Secret(code_at(RFC_SECRET, STEP)), KEY, NOW)
    assert change is not None
    store.apply(type(change)(bob.id, change.sealed, 0), actor=ACTOR)

    assert TotpCodes(store, lambda: KEY).use(ann.id, Secret("000000"), NOW) is CodeAnswer.NOT_ENROLLED
    with pytest.raises(StoreUnavailable, match="damaged"):
        TotpCodes(store, lambda: KEY).use(bob.id, Secret(code_at(RFC_SECRET, STEP)), NOW)


def test_without_the_site_key_nobody_can_tell(store: Store, tmp_path: Path) -> None:
    """A lost or another key is no wrong code."""
    ann = make_user(store, "ann")
    enrol(store, ann)
    code = Secret(code_at(RFC_SECRET, STEP + 1))

    with pytest.raises(StoreUnavailable, match="cannot be read"):
        TotpCodes(store, lambda: load_site_key(tmp_path / "none")).use(ann.id, code, NOW)
    with pytest.raises(StoreUnavailable, match="another site key"):
        TotpCodes(store, lambda: SiteKey(b"o" * 32)).use(ann.id, code, NOW)


def test_two_workers_at_once_accept_a_code_once(store: Store) -> None:
    """The database decides, not a worker."""
    ann = make_user(store, "ann")
    enrol(store, ann, step=STEP - 1)
    start = Barrier(2, timeout=20)

    def use(worker: TotpCodes, at: int) -> CodeAnswer:
        start.wait()
        return worker.use(ann.id, Secret(code_at(RFC_SECRET, at)), at * 30.0)

    workers = [TotpCodes(store, lambda: KEY), TotpCodes(store, lambda: KEY)]
    with ThreadPoolExecutor(2) as pool:
        for step in range(STEP, STEP + 10):
            assert {CodeAnswer.RIGHT, CodeAnswer.USED} == set(pool.map(use, workers, [step, step]))
