"""``quaymaster scim log``: which requests, of whom, and in which form."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from storage.database.scim_log import ScimRequestRow
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.interrupts import interruptible
from tests.support.scim_rows import join
from tests.unit.server.cli.conftest import KeptSso, Opened

QUAYMASTER = Path(sys.executable).with_name("quaymaster")


def log(
    store: Store,
    method: str = "GET",
    path: str = "/Users",
    status: int = 200,
    *,
    age_s: float = 0.0,
    provider: str = "entra",
    subject: str = "",
    request: object = None,
    response: object = None,
) -> None:
    row = ScimRequestRow(
        at=time.time() - age_s,
        provider=provider,
        token_id="a" * 32,
        peer="192.0.2.1",
        user_agent="agent",
        method=method,
        path=f"/scim/v2{path}",
        status=status,
        duration_ms=1.5,
        subject=subject,
        changed={"name": "ann"} if subject else {},
        request="" if request is None else json.dumps(request),
        response="" if response is None else json.dumps(response),
    )
    store.scim_log.add([row])


def paths(cli: Cli, *words: str) -> list[str]:
    return [row["path"].removeprefix("/scim/v2") for row in cli.ok("scim", "log", *words)]


def test_the_newest_requests_oldest_first(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """20 unless another number is said; of all providers, or of one."""
    keep_sso()
    keep_sso("okta")
    with opened() as store:
        for number in range(25):
            log(store, path=f"/Users/{number}")
        log(store, path="/Groups", provider="okta")

    assert paths(cli) == [*(f"/Users/{number}" for number in range(6, 25)), "/Groups"]
    assert paths(cli, "entra", "--limit=2") == ["/Users/23", "/Users/24"]
    assert paths(cli, "okta") == ["/Groups"]


def test_a_request_has_all_its_facts(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Bodies on demand only, as the JSON that they were."""
    keep_sso()
    with opened() as store:
        log(store, "POST", "/Users", 201, subject="ann", request={"userName": "ann"}, response={"id": "x"})
        log(store, "POST", "/Users", 400)

    (made, refused) = cli.ok("scim", "log", "--bodies")
    plain = cli.ok("scim", "log")[0]

    assert {name: made[name] for name in ("provider", "method", "path", "status", "ms", "subject", "changed")} == {
        "provider": "entra",
        "method": "POST",
        "path": "/scim/v2/Users",
        "status": 201,
        "ms": 1.5,
        "subject": "ann",
        "changed": {"name": "ann"},
    }
    assert (made["request"], made["response"]) == ({"userName": "ann"}, {"id": "x"})
    assert (refused["request"], refused["response"]) == (None, None)
    assert set(made) - set(plain) == {"request", "response"}


def test_requests_are_chosen(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Failed ones, those that write, those of late; and all of it together."""
    keep_sso()
    with opened() as store:
        log(store, path="/old", age_s=7200, status=404)
        log(store, "PATCH", "/write")
        log(store, "PATCH", "/fail", 400)
        log(store, path="/read")

    assert paths(cli, "--failed") == ["/old", "/fail"]
    assert paths(cli, "--writes") == ["/write", "/fail"]
    assert paths(cli, "--since=1h") == ["/write", "/fail", "/read"]
    assert paths(cli, "--failed", "--since=1h", "--writes") == ["/fail"]
    assert cli.run("scim", "log", "--since=soon").code == 1


def test_everything_about_one_person_is_found(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """What changed the user, look-ups by id and by name, and what was refused; nobody else's."""
    keep_sso()
    with opened() as store:
        ann = join(store, "Ann@Contoso.example")
        other = join(store, "joann@contoso.example")
        log(store, "POST", "/Users", 409, request={"userName": "ANN@contoso.example"})
        log(store, path="/Users?filter=userName%20eq%20%22ann%40contoso.example%22")
        log(store, "PATCH", f"/Users/{ann.id}", subject="Ann@Contoso.example")
        log(store, path=f"/Users/{ann.id}")
        log(store, path=f"/Users/{other.id}")
        log(store, "POST", "/Users", 409, request={"userName": "joann@contoso.example"})

    rows = cli.ok("scim", "log", "entra", "--user=ann@contoso.example")
    changes = paths(cli, "--user=ann@contoso.example", "--writes", "--limit=1")

    assert [row["status"] for row in rows] == [409, 200, 200, 200]
    assert changes == [f"/Users/{ann.id}"]


def test_somebody_who_never_came_is_found_by_name(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """The question is nearly always why somebody did not come; also for what can be no login name here."""
    keep_sso()
    with opened() as store:
        log(store, "POST", "/Users", 400, request={"userName": "a:b"})

    assert paths(cli, "--user=a:b") == ["/Users"]
    assert paths(cli, "--user=zed") == []


def test_the_log_outlives_its_provider(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A name that is neither a provider's nor in the log is a mistake."""
    keep_sso()
    with opened() as store:
        log(store)
    cli.ok("provider", "remove", "entra", "--yes")

    assert paths(cli, "entra") == ["/Users"]
    assert cli.run("scim", "log", "entry").code == 1


def test_words_for_people(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A table, or lines with bodies below; a client's text cannot drive the terminal."""
    keep_sso()
    with opened() as store:
        log(store, "PATCH", "/Users/1", 400, request={"a": "b"}, response={"detail": "no"})
        log(store, path="/Users?filter=\u202e", subject="\u009b31m")

    table, lines = cli.run("scim", "log").out, cli.run("scim", "log", "--bodies").out

    assert table.splitlines()[0].split() == ["at", "provider", "method", "path", "status", "ms", "subject", "changed"]
    assert '    > {"a": "b"}' in lines
    assert '    < {"detail": "no"}' in lines
    assert "\u202e" not in table + lines
    assert "\u009b" not in table + lines


@pytest.mark.system
def test_following_the_log(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """``--follow`` prints what is there, then what comes and is wanted: one JSON object on each line."""
    keep_sso()
    environ = {"QUAYMASTER_DATA": str(cli.data)}
    command = [str(QUAYMASTER), "scim", "log", "entra", "--follow", "--json", "--failed"]
    with opened() as store:
        log(store, path="/first", status=404)
        with interruptible(command, environ) as follower:
            assert follower.stdout is not None
            first = json.loads(follower.stdout.readline())
            log(store, path="/good")
            log(store, path="/second", status=400)
            second = json.loads(follower.stdout.readline())
            follower.send_signal(signal.SIGINT)
            code = follower.wait(10)

    assert (first["path"], second["path"], code) == ("/scim/v2/first", "/scim/v2/second", 0)


def test_the_help_promises_no_more_than_is_true(cli: Cli) -> None:
    """A secret is masked where it is called one or is one of ours; anything else is not known as a secret."""
    said = " ".join(cli.run("scim", "log", "--help", env={"COLUMNS": "300"}).out.split())

    assert "no token or password is among them" not in said
    assert "a secret under another name is not known as one" in said
    assert "after a crash the last moment may be missing" in said
