"""Who gets in where: one table of users and credentials x every front end, against the running server."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from storage.database.changes import SetMethod, SetStatus
from storage.database.records import Method, Status
from tests.support.drivers import DRIVERS, Credential, Driver, Refusal, RefusalKind
from tests.support.server import QuaymasterServer

pytestmark = pytest.mark.system

PASSWORD = "right horse battery"
IN, NO, LATER = None, RefusalKind.SIGN_IN, RefusalKind.TEMPORARY


@dataclass(frozen=True, slots=True)
class Case:
    """A user, what they show, and how each front end must answer."""

    user: str
    shows: str  # password | wrong | empty | key | foreign-key | apikey | apikey-at-api | broken-apikey
    sftp: RefusalKind | None
    ftps: RefusalKind | None
    webdav: RefusalKind | None

    def __str__(self) -> str:
        return f"{self.user}-{self.shows}"


CASES = (
    Case("local", "password", IN, IN, IN),
    Case("local", "wrong", NO, NO, NO),
    Case("local", "empty", NO, NO, NO),
    Case("local", "key", IN, NO, NO),
    Case("local", "foreign-key", NO, NO, NO),
    Case("local", "apikey", IN, IN, IN),
    Case("local", "apikey-at-api", IN, IN, IN),
    Case("local", "broken-apikey", NO, NO, NO),
    Case("local+key", "password", NO, NO, NO),
    Case("local+key", "key", NO, NO, NO),
    Case("oidc", "password", NO, NO, NO),  # the password it had before it became an SSO user
    Case("oidc", "wrong", NO, NO, NO),
    Case("oidc", "key", IN, NO, NO),
    Case("oidc", "apikey", IN, IN, IN),
    Case("saml", "password", NO, NO, NO),
    Case("saml", "wrong", NO, NO, NO),
    Case("saml", "key", IN, NO, NO),
    Case("saml", "apikey", IN, IN, IN),
    Case("none", "password", NO, NO, NO),
    Case("none", "key", IN, NO, NO),
    Case("none", "apikey", IN, IN, IN),
    Case("ldap", "password", LATER, LATER, LATER),  # no directory is configured: nobody can tell
    Case("ldap", "key", IN, NO, NO),
    Case("ldap", "apikey", IN, IN, IN),
    Case("disabled", "password", NO, NO, NO),
    Case("disabled", "key", NO, NO, NO),
    Case("disabled", "apikey", NO, NO, NO),
    Case("expired", "password", NO, NO, NO),
    Case("expired", "key", NO, NO, NO),
    Case("expired", "apikey", NO, NO, NO),
    Case("break-glass", "password", NO, NO, NO),
    Case("nobody-of-this-name", "password", NO, NO, NO),
    Case("nobody-of-this-name", "foreign-key", NO, NO, NO),
)


@pytest.fixture(scope="module")
def people(server: QuaymasterServer) -> dict[str, dict[str, Credential]]:
    """Every user of the table with every credential it can show."""
    shown: dict[str, dict[str, Credential]] = {}
    foreign_user = "somebody-else"
    server.add_user(foreign_user, password="another secret")
    foreign_key = server.add_key(foreign_user)
    names = {case.user for case in CASES}
    for name in names:
        credentials = {
            "password": Credential(name, PASSWORD),
            "wrong": Credential(name, "wrong"),
            "empty": Credential(name, ""),
            "foreign-key": Credential(name, private_key=foreign_key),
        }
        shown[name] = credentials
        if name.startswith("nobody"):
            continue
        method = Method(name) if name in {*Method} else Method.LOCAL
        has_password = not method.is_sso and method not in {Method.LDAP, Method.NONE}
        user = server.add_user(
            name,
            method=method if has_password or method in {Method.LDAP, Method.NONE} else Method.LOCAL,
            password=PASSWORD if has_password or method.is_sso else None,
            break_glass=name == "break-glass",
            expires_at=1.0 if name == "expired" else None,
        )
        if method.is_sso:
            server.store.apply(SetMethod(user.id, method, "entra"), actor="test")
        credentials["key"] = Credential(name, private_key=server.add_key(name))
        token = server.issue_api_key(name)
        credentials["apikey"] = Credential(name, token)
        credentials["apikey-at-api"] = Credential("@api", token)
        credentials["broken-apikey"] = Credential(name, token[:-1] + ("0" if token[-1] != "0" else "1"))
        if name == "disabled":
            server.store.apply(SetStatus(user.id, Status.DISABLED), actor="test")
    return shown


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.front_end)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_cell_of_the_login_matrix(
    case: Case, driver: type[Driver], server: QuaymasterServer, people: dict[str, dict[str, Credential]]
) -> None:
    """Each front end lets in, refuses, or asks to try later, just as the table says."""
    expected = {"sftp": case.sftp, "ftps": case.ftps, "webdav": case.webdav}[driver.front_end]
    server.forget_failures()  # the table's refusals would otherwise throttle 127.0.0.0/24

    outcome = None
    try:
        with driver(server.driver_ports, people[case.user][case.shows]) as session:
            session.names("/")
    except Refusal as refusal:
        outcome = refusal.kind

    assert expected == outcome
