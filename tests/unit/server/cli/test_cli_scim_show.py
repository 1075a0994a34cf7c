"""``quaymaster scim show``: what an admin copies into the identity provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.scim_rows import join, make_scim_group
from tests.unit.server.cli.conftest import KeptSso, Opened


def test_the_addresses_are_ready_to_be_copied(cli: Cli, keep_sso: KeptSso) -> None:
    """With the site's public name, as it was said."""
    keep_sso()

    shown = cli.ok("scim", "show", "entra", "--url=https://files.example.org")

    assert shown["tenant_url"] == "https://files.example.org/scim/v2"
    assert shown["provider_url"] == "https://files.example.org/scim/v2/entra"
    assert (shown["provider"], shown["method"], shown["url_is_a_guess"]) == ("entra", "saml", False)
    assert set(shown["authentication"]) == {"bearer", "basic"}
    assert shown["tenant_url"] in shown["entra"][2]
    assert shown["tenant_url"] in shown["okta"][1]


@pytest.mark.parametrize(
    ("given", "tenant"),
    [
        ("https://files.example.org:8443/", "https://files.example.org:8443/scim/v2"),
        ("https://files.example.org/scim/v2", "https://files.example.org/scim/v2"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/scim/v2"),
        ("http://files.example.org", None),
        ("files.example.org", None),
        ("https://", None),
        ("https://admin@files.example.org", None),
        ("https://files.example.org/other", None),
        ("https://files.example.org:0", None),
        ("https://files.example.org:99999", None),
        ("https://files.example.org?x", None),
    ],
)
def test_the_public_name_is_read(cli: Cli, keep_sso: KeptSso, given: str, tenant: str | None) -> None:
    """HTTPS with a host and maybe a port; anything else is refused with an example."""
    keep_sso()

    said = cli.run("scim", "show", "entra", f"--url={given}", "--json")

    if tenant is None:
        assert said.code == 1
        assert "--url https://files.example.org" in said.err
    else:
        assert said.data["tenant_url"] == tenant


def test_without_a_name_there_is_a_place_for_it(cli: Cli, keep_sso: KeptSso) -> None:
    """The listener's port is known, the name is not; 443 is left out."""
    keep_sso()

    said = cli.run("scim", "show", "entra", "--json")
    standard = cli.run("scim", "show", "entra", "--json", env={"QUAYMASTER_HTTP__PORT": "443"})

    assert said.data["tenant_url"] == "https://PUBLIC-NAME:8443/scim/v2"
    assert standard.data["tenant_url"] == "https://PUBLIC-NAME/scim/v2"
    assert said.data["url_is_a_guess"] is True
    assert "--url" in said.err


def test_the_steps_are_honest(cli: Cli, keep_sso: KeptSso) -> None:
    """What to map before the first cycle, how long a cycle takes, and what is at once."""
    keep_sso()

    text = cli.run("scim", "show", "entra").out

    for words in (
        "externalId be objectId, not mailNickname",
        "Provision on demand",
        "aadOptscim062020 behind the URL is accepted and not needed",
        "about 40 minutes",
        "quaymaster user disable USER",
        "Unique identifier field for users: userName".lower(),
        "--kind basic",
    ):
        assert words.lower() in text.lower()
    assert "{" not in text


def test_what_has_come_is_counted(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """Users, groups and live tokens of this provider."""
    keep_sso()
    keep_sso("okta")
    cli.ok("scim", "token", "issue", "entra")
    with opened() as store:
        make_scim_group(store, "Crew", join(store, "ann").id)
        join(store, "bob", provider="okta")

    shown = cli.ok("scim", "show", "entra")

    assert (shown["scim_users"], shown["scim_groups"], shown["live_tokens"]) == (1, 1, 1)


def test_what_keeps_clients_away_is_told(cli: Cli, keep_sso: KeptSso, tmp_path: Path) -> None:
    """No live token, and HTTPS that is off."""
    keep_sso()

    said = cli.run("scim", "show", "entra", env={"QUAYMASTER_HTTP__ENABLED": "false"})

    assert said.code == 0
    assert "quaymaster scim token issue entra" in said.err
    assert "http.enabled" in said.err
