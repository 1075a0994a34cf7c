"""``quaymaster scim token``: made, shown once, followed by others, ended."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from auth_backends.scim_clients import ScimClient, ScimClients
from storage.database.scim_changes import AddScimToken
from tests.support.cli import Cli
from tests.support.scim_rows import say_at
from tests.unit.server.cli.conftest import KeptSso, Opened

DAY_S = 86_400.0


def days_until(at: str) -> float:
    return (datetime.fromisoformat(at).timestamp() - time.time()) / DAY_S


def admitted(opened: Opened, authorization: str, at: float | None = None) -> bool:
    """Whether the server would let a client in that sends this header, now or at another time."""
    with opened() as store:
        clients = ScimClients(store, lambda: time.time() if at is None else at)
        return isinstance(clients.let_in(authorization, "entra", "192.0.2.1"), ScimClient)


def states(cli: Cli) -> list[str]:
    return [row["state"] for row in cli.ok("scim", "token", "list", "entra")]


def test_an_issued_token_lets_its_client_in(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """It is all that stands on standard output, and ends in a year."""
    keep_sso()

    said = cli.run("scim", "token", "issue", "entra", "--title=first")

    (row,) = cli.ok("scim", "token", "list")
    assert said.code == 0
    assert admitted(opened, f"Bearer {said.out.strip()}")
    assert "only time" in said.err
    assert (row["provider"], row["kind"], row["title"], row["state"]) == ("entra", "bearer", "first", "live")
    assert (row["days_left"], row["created_by"].startswith("cli:")) == (364, True)
    assert 364.9 < days_until(row["expires_at"]) < 365.1


def test_a_basic_token_has_a_user_name(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The token's id; it is no bearer token."""
    import base64

    keep_sso()

    issued = cli.ok("scim", "token", "issue", "entra", "--kind=basic", "--expires=30d")
    words = cli.run("scim", "token", "issue", "entra", "--kind=basic").out

    pair = base64.b64encode(f"{issued['user_name']}:{issued['token']}".encode()).decode()
    assert (issued["user_name"], issued["kind"]) == (issued["id"], "basic")
    assert admitted(opened, f"Basic {pair}")
    assert not admitted(opened, f"Bearer {issued['token']}")
    assert 29.9 < days_until(issued["expires_at"]) < 30.1
    assert [line.split()[0] for line in words.splitlines()] == ["user", "password"]


@pytest.mark.parametrize(
    ("expires", "words"), [("never", "must end"), ("soon", "is not a time"), ("2001-01-01", "has passed")]
)
def test_a_token_ends_some_day(cli: Cli, keep_sso: KeptSso, expires: str, words: str) -> None:
    """Nothing is issued otherwise."""
    keep_sso()

    said = cli.run("scim", "token", "issue", "entra", f"--expires={expires}")

    assert (said.code, said.out) == (1, "")
    assert words in said.err
    assert cli.ok("scim", "token", "list") == []


def test_rotation_leaves_the_others_for_a_while(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A week by default; the new one is sent as the one in use is, and no token lives longer than before."""
    keep_sso()
    old = cli.ok("scim", "token", "issue", "entra", "--kind=basic")
    short = cli.ok("scim", "token", "issue", "entra", "--kind=basic", "--expires=24h")

    said = cli.run("scim", "token", "rotate", "entra", "--json")

    rows = {row["id"]: row for row in cli.ok("scim", "token", "list", "entra")}
    assert said.data["kind"] == "basic"
    assert [row["state"] for row in rows.values()] == ["live", "live", "live"]
    assert 6.9 < days_until(rows[old["id"]]["expires_at"]) < 7.1
    assert 0.9 < days_until(rows[short["id"]]["expires_at"]) < 1.1
    assert 364.9 < days_until(rows[said.data["id"]]["expires_at"]) < 365.1
    assert "The 2 other tokens end on" in said.err


def test_the_length_of_the_overlap_can_be_said(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Both are let in until then, and the new one alone afterwards; an overlap of nothing is refused."""
    keep_sso()
    old = cli.ok("scim", "token", "issue", "entra")["token"]

    none = cli.run("scim", "token", "rotate", "entra", "--overlap=0s")
    new = cli.ok("scim", "token", "rotate", "entra", "--overlap=2h", "--expires=90d")["token"]

    assert none.code == 1
    assert "quaymaster scim token reset entra" in none.err
    for hours, answers in ((1, (True, True)), (3, (False, True))):
        at = time.time() + hours * 3600
        assert (admitted(opened, f"Bearer {old}", at), admitted(opened, f"Bearer {new}", at)) == answers


def test_a_reset_ends_the_others_at_once(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """After --yes or a person's word; the tokens of another provider stay."""
    keep_sso()
    keep_sso("okta")
    elsewhere = cli.ok("scim", "token", "issue", "okta")
    old = cli.ok("scim", "token", "issue", "entra")["token"]

    refused = cli.run("scim", "token", "reset", "entra")
    kept = admitted(opened, f"Bearer {old}")
    new = cli.ok("scim", "token", "reset", "entra", "--yes")["token"]

    assert (refused.code, refused.out, kept) == (1, "", True)
    assert "--yes" in refused.err
    assert (admitted(opened, f"Bearer {old}"), admitted(opened, f"Bearer {new}")) == (False, True)
    assert states(cli) == ["revoked", "live"]
    assert [row["state"] for row in cli.ok("scim", "token", "list", "okta")] == ["live"]
    assert elsewhere["provider"] == "okta"


def test_a_token_is_extended(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The text stays the same; of one that had ended it is said that it lets in again, and a revoked one stays so."""
    keep_sso()
    token = cli.ok("scim", "token", "issue", "entra", "--expires=24h")
    with opened() as store:
        ended = AddScimToken("entra", "e" * 32, "bearer", bytes(32), time.time() - DAY_S)
        say_at(store, ended, time.time() - 2 * DAY_S)
    states_before = states(cli)

    longer = cli.ok("scim", "token", "extend", token["id"], "--expires=2y")
    revived = cli.run("scim", "token", "extend", "e" * 32)
    cli.ok("scim", "token", "revoke", token["id"], "--yes")
    revoked = cli.run("scim", "token", "extend", token["id"])

    assert sorted(states_before) == ["expired", "live"]
    assert longer["days_left"] == 729
    assert "had ended" in revived.err
    assert revoked.code == 1
    assert "was revoked" in revoked.err
    assert not admitted(opened, f"Bearer {token['token']}")


def test_a_revoked_token_is_dead(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A script says --yes; with the last live one it is told that no leaver is ended any more."""
    keep_sso()
    first, last = (cli.ok("scim", "token", "issue", "entra") for _ in range(2))

    asked = cli.run("scim", "token", "revoke", first["id"])
    one = cli.run("scim", "token", "revoke", first["id"], "--yes")
    other = cli.run("scim", "token", "revoke", last["id"], "--yes")

    assert asked.code == 1
    assert (one.code, "no live token" in one.err) == (0, False)
    assert (other.code, "no live token" in other.err) == (0, True)
    assert not admitted(opened, f"Bearer {last['token']}")
    assert states(cli) == ["revoked", "revoked"]


def test_the_last_use_is_listed(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """None before the client came."""
    keep_sso()
    token = cli.ok("scim", "token", "issue", "entra")["token"]
    (before,) = cli.ok("scim", "token", "list")

    admitted(opened, f"Bearer {token}")

    (after,) = cli.ok("scim", "token", "list")
    assert before["last_used_at"] is None
    assert after["last_used_at"] is not None


def test_an_unknown_token_is_told(cli: Cli, keep_sso: KeptSso) -> None:
    """Also a provider without tokens, and one that is not there."""
    keep_sso()

    extend, revoke = (
        cli.run("scim", "token", verb, "x", *rest) for verb, rest in (("extend", ()), ("revoke", ("--yes",)))
    )

    assert (extend.code, revoke.code) == (1, 1)
    assert "quaymaster scim token list" in extend.err
    assert cli.ok("scim", "token", "list", "entra") == []
    assert cli.run("scim", "token", "list", "x").code == 1
