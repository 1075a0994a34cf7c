"""``quaymaster provider test`` and identity providers: what the client does here, step by step."""

from __future__ import annotations

import time
from typing import Any

import pytest

from storage.database.changes import MapRole
from storage.database.records import Role
from storage.database.scim_changes import AddScimToken
from storage.database.scim_log import ScimRequestRow
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.scim_rows import join, leave, make_scim_group
from tests.unit.server.cli.conftest import KeptSso, Opened

DAY_S = 86_400.0
GUID = "6c1f4a0e-1b7d-4d0e-9a55-0f6b0c1d2e01"


def stages(cli: Cli) -> dict[str, dict[str, Any]]:
    said = cli.run("provider", "test", "entra", "--json")
    return {stage["name"]: stage for stage in said.data["stages"]}


def token(store: Store, letter: str, days: float, *, used_at: float | None = None) -> None:
    """A token that ends in so many days; ``used_at`` is when the client last came with it."""
    end = time.time() + days * DAY_S
    store.apply(AddScimToken("entra", letter * 32, "bearer", bytes(32), end), actor="test")
    if used_at is not None:
        store.scim_tokens.touch(letter * 32, used_at)


def request(store: Store, status: int = 200, *, age_s: float = 0.0, count: int = 1) -> None:
    row = ScimRequestRow(
        at=time.time() - age_s,
        provider="entra",
        token_id="a" * 32,
        peer="192.0.2.1",
        user_agent="",
        method="GET",
        path="/scim/v2/Users",
        status=status,
        duration_ms=1.0,
    )
    store.scim_log.add([row] * count)


def test_a_client_that_works_passes(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Every step is ok, with the fields that a directory's have; exit code 0."""
    keep_sso()
    with opened() as store:
        token(store, "a", 300)
        request(store)
        join(store, "ann", GUID)

    said = cli.run("provider", "test", "entra", "--json")

    assert (said.code, said.data["ok"]) == (0, True)
    assert {stage["outcome"] for stage in said.data["stages"]} == {"ok"}
    assert {tuple(stage) for stage in said.data["stages"]} == {("name", "ok", "outcome", "host", "detail", "advice")}
    assert [stage["name"] for stage in said.data["stages"]] == [
        "settings",
        "tokens",
        "requests",
        "failures",
        "external ids",
        "users without an id",
        "held ends",
        "conflicts",
        "roles",
        "sign-in",
    ]


def test_no_live_token_fails(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Neither one that has ended nor one that was revoked is one; exit code 1, in words too."""
    keep_sso()
    cli.ok("scim", "token", "issue", "entra")
    (issued,) = cli.ok("scim", "token", "list")
    cli.ok("scim", "token", "revoke", issued["id"], "--yes")

    said = cli.run("provider", "test", "entra")

    assert said.code == 1
    assert "FAIL  tokens" in said.out
    assert "-> issue one: quaymaster scim token issue entra" in said.out


def test_a_token_that_ends_soon_is_warned_about(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Within 60 days; which is a warning, and no failure."""
    keep_sso()
    with opened() as store:
        token(store, "a", 59)

    found = stages(cli)["tokens"]

    assert (found["ok"], found["outcome"]) == (True, "warn")
    assert "in 58 days" in found["detail"]
    assert "quaymaster scim token rotate entra" in found["advice"]


def test_the_token_that_the_client_uses_counts(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """After a rotation nothing is well before the new token is in use; then the old one may end."""
    keep_sso()
    now = time.time()
    with opened() as store:
        token(store, "a", 7, used_at=now - 3600)
        token(store, "b", 365)
    before = stages(cli)["tokens"]
    with opened() as store:
        store.scim_tokens.touch("b" * 32, now)

    after = stages(cli)["tokens"]

    assert (before["outcome"], after["outcome"]) == ("warn", "ok")
    assert f"put the newer token into the identity provider, {'b' * 32}" in before["advice"]


def test_the_last_request_is_told_with_its_status(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A client that was never heard, and one that is silent while its token is live, are warned about."""
    keep_sso()
    with opened() as store:
        token(store, "a", 300)
    never = stages(cli)["requests"]
    with opened() as store:
        request(store, 404, age_s=3 * DAY_S + 60)
    silent = stages(cli)["requests"]
    with opened() as store:
        request(store, 201)
    heard = stages(cli)["requests"]

    assert (never["outcome"], silent["outcome"], heard["outcome"]) == ("warn", "warn", "ok")
    assert "quaymaster scim show entra" in never["advice"]
    assert "answered 404" in silent["detail"]
    assert "nothing for 3 days" in silent["detail"]
    assert "answered 201" in heard["detail"]


def refuse(store: Store, reason: str) -> None:
    store.audit.add("scim.client_refused", "scim", "provider:entra", "refused", reason, peer="192.0.2.7")


def test_a_client_that_is_not_let_in_is_told_with_the_reason(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Until it is let in: then the last request is newer."""
    keep_sso()
    with opened() as store:
        token(store, "a", 300)
        refuse(store, "malformed-token")
    at_first = stages(cli)["requests"]
    with opened() as store:
        request(store)
    heard = stages(cli)["requests"]
    with opened() as store:
        refuse(store, "expired-token")

    later = stages(cli)["requests"]

    assert (at_first["outcome"], heard["outcome"], later["outcome"]) == ("warn", "ok", "warn")
    assert "192.0.2.7: malformed-token" in at_first["detail"]
    assert "192.0.2.7: expired-token" in later["detail"]
    assert "quaymaster scim token list entra" in later["advice"]


def test_strangers_who_knock_are_no_alarm(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Once the client was heard, only what held a right token counts, however many others come after it."""
    keep_sso()
    with opened() as store:
        token(store, "a", 300)
        request(store, age_s=60)
        refuse(store, "unknown-token")
    strangers = stages(cli)["requests"]
    with opened() as store:
        refuse(store, "revoked-token")
        refuse(store, "malformed-token")

    assert strangers["outcome"] == "ok"
    assert "revoked-token" in stages(cli)["requests"]["detail"]


@pytest.mark.parametrize(
    ("good", "bad", "status", "outcome"),
    [(0, 0, 400, "ok"), (99, 1, 400, "ok"), (9, 1, 400, "warn"), (999, 1, 500, "warn"), (0, 3, 409, "warn")],
)
def test_refused_requests_are_counted(
    cli: Cli, keep_sso: KeptSso, opened: Opened, *, good: int, bad: int, status: int, outcome: str
) -> None:
    """Of the last day: a share of 5 % and more, or any failure of the server, is warned about."""
    keep_sso()
    with opened() as store:
        request(store, 500, age_s=2 * DAY_S, count=50)
        request(store, 200, count=good)
        request(store, status, count=bad)

    found = stages(cli)["failures"]

    assert found["outcome"] == outcome
    assert (f"{bad} of {good + bad} requests" in found["detail"]) == (bad > 0)
    assert ("--failed --since 1d" in found["advice"]) == (outcome == "warn")


def test_nicknames_as_ids_are_warned_about_before_they_hurt(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Entra ID's default mapping, with an example and what to map instead."""
    keep_sso()
    with opened() as store:
        join(store, "chen.wei@contoso.example", "Chen.Wei")
        join(store, "ann@contoso.example", GUID)

    found = stages(cli)["external ids"]

    assert found["outcome"] == "warn"
    assert "1 of 2 look like login names" in found["detail"]
    assert "'Chen.Wei' of 'chen.wei@contoso.example'" in found["detail"]
    assert "map externalId to objectId before the first sync" in found["advice"]
    assert "unlinked" in found["advice"]


def test_users_without_an_id_are_counted(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Whoever the client has deleted counts no more."""
    keep_sso()
    with opened() as store:
        join(store, "ann", "")
        leave(store, join(store, "bob", ""))

    found = stages(cli)["users without an id"]

    assert found["outcome"] == "warn"
    assert "1 of 1 have no externalId" in found["detail"]


def test_what_waits_is_counted(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Held ends and conflicts, each with the command that shows them."""
    keep_sso()
    with opened() as store:
        ann = join(store, "ann")
        store.scim_waiting.hold("entra", ann.id, "disable", "too many", time.time())
        store.scim_waiting.contest(ScimConflict("entra", "oid-bob", "bob", ann.id, "The name 'bob' is taken."))

    found = stages(cli)

    assert (found["held ends"]["outcome"], found["conflicts"]["outcome"]) == ("warn", "warn")
    assert "quaymaster scim held entra" in found["held ends"]["advice"]
    assert "quaymaster scim conflicts entra" in found["conflicts"]["advice"]


def test_roles_of_groups_that_the_client_does_not_know_are_warned_about(
    cli: Cli, keep_sso: KeptSso, opened: Opened
) -> None:
    """Known is a group by the client's id, or by ours where it has none, and not by ours where it has one."""
    keep_sso()
    with opened() as store:
        make_scim_group(store, "Crew", external_id="g-1")
        own = make_scim_group(store, "Deck")
        shadowed = make_scim_group(store, "Hold", external_id="g-3")
        for external_id, name in (("g-1", "Crew"), (own, "Deck")):
            store.apply(MapRole("entra", external_id, Role.ADMIN, name), actor="test")
    known = stages(cli)["roles"]
    with opened() as store:
        store.apply(MapRole("entra", shadowed, Role.ADMIN, "Hold"), actor="test")

    unknown = stages(cli)["roles"]

    assert (known["outcome"], unknown["outcome"]) == ("ok", "warn")
    assert f"Hold ({shadowed})" in unknown["detail"]
    assert "Crew" not in unknown["detail"]
    assert "unmap-role" in unknown["advice"]


def test_nobody_can_be_looked_up_at_an_identity_provider(cli: Cli, keep_sso: KeptSso) -> None:
    """``--login`` goes with a directory; what the client said of a person is elsewhere."""
    keep_sso()

    said = cli.run("provider", "test", "entra", "--login=ann")

    assert said.code == 1
    assert "quaymaster user show ann" in said.err


@pytest.mark.parametrize("jit", [True, False])
def test_a_site_may_do_without_a_client(cli: Cli, keep_sso: KeptSso, *, jit: bool) -> None:
    """People sign in there all the same; it is told that nobody says who left, and the test is passed."""
    sign_in = [
        "--fingerprint",
        "ab" * 32,
        "--idp-entity-id=https://idp.example",
        "--idp-sso-url=https://idp.example/sso",
    ]
    keep_sso("entra", *sign_in, f"--jit={'on' if jit else 'off'}")

    found = stages(cli)

    assert ("come by signing in" if jit else "linked by an admin") in found["settings"]["detail"]
    assert (found["leavers"]["outcome"], "requests" in found) == ("warn", False)
    assert cli.run("provider", "test", "entra").code == 0
