"""The decision table of the README, every cell, asked of the broker that all front ends ask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from auth_backends.api import (
    PUBLIC_REFUSAL,
    Accepted,
    Account,
    ApiKeyToken,
    Attempt,
    Credential,
    Factor,
    FrontEnd,
    Granted,
    Password,
    PublicKey,
    Reason,
    Refused,
    Rejected,
    Secret,
    SsoAssertion,
    TryLater,
    Verdict,
)
from auth_backends.api_keys import issue
from auth_backends.policy import kind_of
from auth_backends.ssh_keys import ParsedKey, generate_key_pair
from config.settings import AuthSettings
from storage.database.changes import LinkIdentity, SetMethod
from storage.database.records import Method, Role, SshKey, Status
from storage.database.store import open_store
from tests.support.brokers import HOME, PASSWORD, START, Desk, reason_of

FRONT_ENDS = (FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV, FrontEnd.API, FrontEnd.PORTAL)

IN = Reason.GRANTED
NOT_HERE = Reason.CREDENTIAL_NOT_FOR_FRONT_END
SSO = Reason.SSO_PASSWORD_REFUSED
WRONG = Reason.WRONG_PASSWORD
NO_PASSWORD = Reason.METHOD_HAS_NO_PASSWORD
BOTH = Reason.NEEDS_KEY_AND_PASSWORD
NOT_EXPECTED = Reason.PASSWORD_NOT_EXPECTED
TOTP = Reason.TOTP_REQUIRED
OFF = Reason.NOT_ACTIVE
ENDED = Reason.EXPIRED
GLASS = Reason.BREAK_GLASS_NOT_HERE
NOBODY = Reason.UNKNOWN_USER
NO_KEY = Reason.UNKNOWN_API_KEY
UNLINKED = Reason.NOT_LINKED
PLACE = Reason.FRONT_END_NOT_ALLOWED
NETWORK = Reason.NETWORK_NOT_ALLOWED
NONE_ASKED = Reason.NO_BACKEND

Row = tuple[Reason, Reason, Reason, Reason, Reason]


def everywhere(reason: Reason) -> Row:
    """Fill a row with one answer."""
    return (reason, reason, reason, reason, reason)


KEY = (IN, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE)
TOKEN = (IN, IN, IN, IN, NOT_HERE)
ASSERTION_OF_SSO_USER = (NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, IN)
ASSERTION_OF_OTHERS = (NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, UNLINKED)
KEY_WITH_PASSWORD = (NOT_EXPECTED, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE)

#                                     SFTP      FTPS      WebDAV    API       portal
TABLE: dict[tuple[str, str], Row] = {
    ("local", "password"):           (IN,       IN,       IN,       NOT_HERE, IN),
    ("local", "wrong"):              (WRONG,    WRONG,    WRONG,    NOT_HERE, WRONG),
    ("local", "key"):                KEY,
    ("local", "key+password"):       KEY_WITH_PASSWORD,
    ("local", "token"):              TOKEN,
    ("local", "@api"):               TOKEN,
    ("local", "assertion"):          ASSERTION_OF_OTHERS,
    ("local-totp", "password"):      (TOTP,     TOTP,     TOTP,     NOT_HERE, TOTP),
    ("local-totp", "wrong"):         (TOTP,     TOTP,     TOTP,     NOT_HERE, WRONG),
    ("local-totp", "key"):           KEY,
    ("local-totp", "token"):         TOKEN,
    ("local+key", "password"):       everywhere(BOTH),
    ("local+key", "wrong"):          everywhere(BOTH),
    ("local+key", "key"):            (BOTH,     NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE),
    ("local+key", "key+password"):   (IN,       NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE),
    ("local+key", "key+wrong"):      (WRONG,    NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE),
    ("local+key", "token"):          TOKEN,
    ("local+key", "@api"):           TOKEN,
    ("ldap", "password"):            (IN,       IN,       IN,       NOT_HERE, IN),
    ("ldap", "wrong"):               (WRONG,    WRONG,    WRONG,    NOT_HERE, WRONG),
    ("ldap", "key"):                 KEY,
    ("ldap", "key+password"):        KEY_WITH_PASSWORD,
    ("ldap", "token"):               TOKEN,
    ("ldap", "assertion"):           ASSERTION_OF_OTHERS,
    ("saml", "password"):            everywhere(SSO),
    ("saml", "wrong"):               everywhere(SSO),
    ("saml", "key"):                 KEY,
    ("saml", "key+password"):        everywhere(SSO),
    ("saml", "token"):               TOKEN,
    ("saml", "@api"):                TOKEN,
    ("saml", "assertion"):           ASSERTION_OF_SSO_USER,
    ("oidc", "password"):            everywhere(SSO),
    ("oidc", "wrong"):               everywhere(SSO),
    ("oidc", "key"):                 KEY,
    ("oidc", "key+password"):        everywhere(SSO),
    ("oidc", "token"):               TOKEN,
    ("oidc", "@api"):                TOKEN,
    ("oidc", "assertion"):           ASSERTION_OF_SSO_USER,
    ("none", "password"):            everywhere(NO_PASSWORD),
    ("none", "wrong"):               everywhere(NO_PASSWORD),
    ("none", "key"):                 KEY,
    ("none", "key+password"):        (NO_PASSWORD, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE),
    ("none", "token"):               TOKEN,
    ("none", "@api"):                TOKEN,
    ("none", "assertion"):           ASSERTION_OF_OTHERS,
    **{(state, shows): everywhere(OFF)
       for state in ("disabled", "deprovisioned")
       for shows in ("password", "wrong", "key", "key+password", "token", "@api", "assertion")},
    **{("disabled-oidc", shows): everywhere(OFF) for shows in ("key", "token", "@api", "assertion")},
    **{("disabled-oidc", shows): everywhere(SSO) for shows in ("password", "wrong", "key+password")},
    **{("expired", shows): everywhere(ENDED)
       for shows in ("password", "wrong", "key", "key+password", "token", "@api", "assertion")},
    ("break-glass", "password"):     (GLASS,    GLASS,    GLASS,    GLASS,    TOTP),
    ("break-glass", "wrong"):        (GLASS,    GLASS,    GLASS,    GLASS,    WRONG),
    **{("break-glass", shows): everywhere(GLASS) for shows in ("key", "key+password", "token", "@api", "assertion")},
    ("unknown", "password"):         everywhere(NOBODY),
    ("unknown", "key"):              everywhere(NOBODY),
    ("unknown", "key+password"):     everywhere(NOBODY),
    ("unknown", "token"):            everywhere(NO_KEY),
    ("unknown", "@api"):             everywhere(NO_KEY),
    ("unknown", "assertion"):        everywhere(UNLINKED),
    ("webdav-only", "password"):     (PLACE,    PLACE,    IN,       PLACE,    PLACE),
    ("webdav-only", "key"):          (PLACE,    PLACE,    NOT_HERE, PLACE,    PLACE),
    ("webdav-only", "token"):        (PLACE,    PLACE,    IN,       PLACE,    PLACE),
    **{("elsewhere", shows): everywhere(NETWORK) for shows in ("password", "wrong", "key", "token", "@api")},
}  # fmt: skip

CELLS = [
    pytest.param(user, shows, front_end, expected, id=f"{user}-{shows}-{front_end}")
    for (user, shows), row in TABLE.items()
    for front_end, expected in zip(FRONT_ENDS, row, strict=True)
]


class StandInDirectory:
    """An authority of its own for LDAP users: one right password."""

    accepts: frozenset[type] = frozenset({Password})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Say yes to PASSWORD."""
        right = isinstance(attempt.credential, Password) and attempt.credential.secret == Secret(PASSWORD)
        return Accepted(Factor.PASSWORD) if right else Rejected(Reason.WRONG_PASSWORD)

    def spend(self, attempt: Attempt) -> None:
        """Nothing."""


class StandInProvider:
    """An authority for assertions that were verified already; passwords must never come here."""

    accepts: frozenset[type] = frozenset({SsoAssertion})

    def verify(self, attempt: Attempt, account: Account) -> Verdict:
        """Say yes to an assertion."""
        assert isinstance(attempt.credential, SsoAssertion)
        return Accepted(Factor.SSO)

    def spend(self, attempt: Attempt) -> None:
        """Nothing."""


@dataclass
class People:
    """A desk with every user of the table, and what each can show."""

    desk: Desk
    shows: dict[tuple[str, str], Credential]


UNLIMITED = AuthSettings(max_failures_per_user=1000, max_failures_per_network=100_000)
LENIENT = UNLIMITED.model_copy(update={"password_without_totp": True})
OTHERS = {Method.LDAP: StandInDirectory(), Method.SAML: StandInProvider(), Method.OIDC: StandInProvider()}
USERS: dict[str, dict[str, object]] = {
    "local": {"method": Method.LOCAL},
    "local-totp": {"method": Method.LOCAL, "totp_enrolled": True},
    "local+key": {"method": Method.LOCAL_KEY},
    "ldap": {"method": Method.LDAP},
    "saml": {"method": Method.SAML},
    "oidc": {"method": Method.OIDC},
    "none": {"method": Method.NONE},
    "disabled": {"method": Method.LOCAL, "status": Status.DISABLED},
    "deprovisioned": {"method": Method.LOCAL, "status": Status.DEPROVISIONED},
    "disabled-oidc": {"method": Method.OIDC, "status": Status.DISABLED},
    "expired": {"method": Method.LOCAL, "expires_at": START},
    "break-glass": {"method": Method.LOCAL, "role": Role.ADMIN, "break_glass": True, "totp_enrolled": True},
    "webdav-only": {"method": Method.LOCAL, "protocols": frozenset({"webdav"})},
    "elsewhere": {"method": Method.LOCAL, "networks": ("198.51.100.0/24",)},
}


@pytest.fixture(scope="module")
def people(migrated_sqlite_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[People]:
    """Everybody of the table, once for all cells; limits are out of the way."""
    path = tmp_path_factory.mktemp("table") / "store.db"
    shutil.copyfile(migrated_sqlite_file, path)
    store = open_store(f"sqlite:///{path}")
    desk = Desk(store, UNLIMITED, others=OTHERS)
    shows: dict[tuple[str, str], Credential] = {}
    for name, fields in USERS.items():
        sso = Method(str(fields["method"])).is_sso
        # An SSO user once had this very password here: it must be refused all the same.
        user = desk.user(name, **({**fields, "method": Method.LOCAL, "status": Status.ACTIVE} if sso else fields))  # type: ignore[arg-type]  # a table of keyword arguments
        if sso:
            store.apply(SetMethod(user.id, Method(str(fields["method"])), "entra"), actor="test")
            user = desk.with_status(user, Status(str(fields.get("status", "active"))))
        store.apply(LinkIdentity(user.id, "entra", f"person-{name}"), actor="test")
        _shown(shows, name, desk.ssh_key(user), desk.api_key(user).token)
    _shown(shows, "unknown", generate_key_pair().public, issue().token)
    yield People(desk, shows)
    store.close()


def _shown(shows: dict[tuple[str, str], Credential], name: str, key: ParsedKey | SshKey, token: Secret) -> None:
    shows[name, "password"] = Password(name, Secret(PASSWORD))
    shows[name, "wrong"] = Password(name, Secret("wrong"))
    shows[name, "key"] = PublicKey(name, key.algorithm, key.blob)
    shows[name, "key+password"] = PublicKey(name, key.algorithm, key.blob, Secret(PASSWORD))
    shows[name, "key+wrong"] = PublicKey(name, key.algorithm, key.blob, Secret("wrong"))
    shows[name, "token"] = ApiKeyToken(name, token)
    shows[name, "@api"] = ApiKeyToken("@api", token)
    shows[name, "assertion"] = SsoAssertion("entra", f"person-{name}", {})


@pytest.mark.parametrize(("user", "shows", "front_end", "expected"), CELLS)
def test_every_cell_of_the_decision_table(
    people: People, user: str, shows: str, front_end: FrontEnd, expected: Reason
) -> None:
    """Each cell is granted or refused for its own reason, and leaves one audit event that says so."""
    before = people.desk.store.audit.tail(limit=1)[-1].id

    decision = people.desk.try_in(front_end, people.shows[user, shows])

    assert expected == reason_of(decision)
    assert isinstance(decision, Granted if expected is IN else Refused)
    assert isinstance(decision, Granted) or decision.public_message == PUBLIC_REFUSAL
    events = people.desk.store.audit.tail(after_id=before, limit=10)
    assert [("login", expected.value, front_end.value)] == [(e.kind, e.reason, e.front_end) for e in events]


@pytest.mark.parametrize(("user", "shows", "front_end", "expected"), CELLS)
def test_explain_tells_what_the_broker_does(
    people: People, user: str, shows: str, front_end: FrontEnd, expected: Reason
) -> None:
    """``explain`` gives the cell's own verdict and reason for a right credential, without having one."""
    if shows in {"wrong", "key+wrong"}:
        expected = TABLE[user, shows.replace("wrong", "password")][FRONT_ENDS.index(front_end)]
    if user == "unknown":
        expected = NOBODY
    if user in {"local-totp", "break-glass"} and expected is TOTP and front_end is FrontEnd.PORTAL:
        expected = IN  # with the code that the portal asks for

    explanation = people.desk.broker.explain(user, front_end, kind_of(people.shows[user, shows]), HOME)

    assert expected == explanation.reason
    assert (expected is IN) == explanation.allowed
    assert explanation.steps


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("kind", list(Factor))
def test_the_table_has_every_method_and_kind_of_credential(method: Method, kind: Factor) -> None:
    """No method and no kind of credential is left out of the table, but for the pairs that mean nothing."""
    asked = {(USERS[user]["method"], KINDS[shows]) for user, shows in TABLE if user in USERS}

    assert (method, kind) in asked | {(Method.LOCAL_KEY, Factor.SSO)}


KINDS = {
    "password": Factor.PASSWORD,
    "wrong": Factor.PASSWORD,
    "key": Factor.PUBLIC_KEY,
    "key+password": Factor.KEY_AND_PASSWORD,
    "key+wrong": Factor.KEY_AND_PASSWORD,
    "token": Factor.API_KEY,
    "@api": Factor.API_KEY,
    "assertion": Factor.SSO,
}


@pytest.mark.parametrize("front_end", [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV])
def test_a_site_may_let_totp_users_in_by_password_alone(people: People, front_end: FrontEnd) -> None:
    """With ``auth.password_without_totp`` an enrolled user's password is enough on the protocols."""
    lenient = people.desk.another_worker(settings=LENIENT)

    assert reason_of(lenient.password("local-totp", front_end=front_end)) is IN


def test_the_portal_asks_for_totp_even_where_protocols_do_not(people: People) -> None:
    """``auth.password_without_totp`` is about the protocols only."""
    lenient = people.desk.another_worker(settings=LENIENT)

    assert reason_of(lenient.password("local-totp", front_end=FrontEnd.PORTAL)) is TOTP


@pytest.mark.parametrize("front_end", [FrontEnd.SFTP, FrontEnd.FTPS, FrontEnd.WEBDAV, FrontEnd.PORTAL])
def test_an_ldap_password_without_a_directory_is_try_later(people: People, front_end: FrontEnd) -> None:
    """No directory is configured: nobody can tell, and no other backend is asked."""
    decision = people.desk.another_worker(others={}).password("ldap", front_end=front_end)

    assert isinstance(decision, TryLater)
    assert decision.reason is NONE_ASKED


def test_an_assertion_without_a_provider_is_try_later(people: People) -> None:
    """No identity provider is configured: nobody can tell."""
    decision = people.desk.another_worker(others={}).try_in(FrontEnd.PORTAL, people.shows["oidc", "assertion"])

    assert isinstance(decision, TryLater)
    assert decision.reason is NONE_ASKED


def test_a_user_of_one_network_comes_in_from_there(people: People) -> None:
    """The user whom the table refuses from elsewhere is let in from the right network."""
    inside = ip_address("::ffff:198.51.100.9")

    assert reason_of(people.desk.password("elsewhere", peer=inside)) is IN
