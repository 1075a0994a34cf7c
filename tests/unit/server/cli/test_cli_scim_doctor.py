"""``quaymaster doctor`` and identity providers: whether leavers are still ended."""

from __future__ import annotations

import time
from pathlib import Path

from config.loading import load_settings
from server.cli.checks.check import Check, Outcome
from server.cli.checks.providers import check_providers
from storage.database.scim_changes import AddScimToken
from storage.database.scim_log import ScimRequestRow
from storage.database.scim_waiting import ScimConflict
from storage.database.store import Store
from tests.support.cli import Cli
from tests.support.scim_rows import join
from tests.unit.server.cli.conftest import KeptSso, Opened

DAY_S = 86_400.0
NAME = "provider entra"


def checks(cli: Cli, config: Path | None = None) -> list[Check]:
    settings = load_settings(config, {"QUAYMASTER_DATA": str(cli.data)})
    return [check for check in check_providers(settings) if check.name.startswith("provider ")]


def details(cli: Cli, outcome: Outcome) -> str:
    return "; ".join(check.detail for check in checks(cli) if check.outcome is outcome)


def token(store: Store, days: float) -> None:
    store.apply(AddScimToken("entra", "a" * 32, "bearer", bytes(32), time.time() + days * DAY_S), actor="test")


def heard(store: Store, *, age_s: float = 0.0) -> None:
    row = ScimRequestRow(time.time() - age_s, "entra", "a" * 32, "192.0.2.1", "", "GET", "/scim/v2/Users", 200, 1.0)
    store.scim_log.add([row])


def toml(tmp_path: Path) -> Path:
    file = tmp_path / "quaymaster.toml"
    file.write_text('[sso.entra]\nmethod = "saml"\n')
    return file


def test_a_provider_that_is_not_set_up_yet_is_good(cli: Cli, keep_sso: KeptSso) -> None:
    """Nobody is in danger before the first token."""
    keep_sso()

    (found,) = checks(cli)

    assert (found.name, found.outcome) == (NAME, Outcome.OK)


def test_a_client_that_works_is_good(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """One line, with the number of its users."""
    keep_sso()
    with opened() as store:
        token(store, 300)
        heard(store)
        join(store, "ann")

    (found,) = checks(cli)

    assert (found.outcome, found.detail) == (Outcome.OK, "database; 1 user by SCIM")


def test_users_without_a_live_token_fail(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """No leaver is ended any more."""
    keep_sso()
    with opened() as store:
        join(store, "ann")
        heard(store)

    (found,) = checks(cli)

    assert found.outcome is Outcome.FAIL
    assert "no leaver is ended" in found.detail
    assert "quaymaster scim token issue entra" in found.advice
    assert cli.run("doctor").code == 1


def test_what_will_go_wrong_is_warned_about(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """A token that ends soon, a client that fell silent, ends and people that wait: one line each."""
    keep_sso()
    with opened() as store:
        token(store, 20)
        heard(store, age_s=5 * DAY_S + 60)
        ann = join(store, "ann")
        store.scim_waiting.hold("entra", ann.id, "disable", "too many", time.time())
        store.scim_waiting.contest(ScimConflict("entra", "oid-bob", "bob", ann.id, "The name 'bob' is taken."))

    found = checks(cli)

    assert [(check.name, check.outcome) for check in found] == [(NAME, Outcome.WARN)] * 4
    for words in ("in 19 days", "nothing for 5 days", "1 user whom the provider ended", "1 person cannot come"):
        assert words in details(cli, Outcome.WARN)
    assert all(check.advice for check in found)


def test_a_token_that_nobody_has_used_yet_is_warned_about(cli: Cli, keep_sso: KeptSso) -> None:
    """It was issued, and the client was never heard."""
    keep_sso()
    cli.ok("scim", "token", "issue", "entra")

    assert "nothing was heard" in details(cli, Outcome.WARN)


def test_users_of_a_vanished_provider_fail(cli: Cli, tmp_path: Path, opened: Opened) -> None:
    """Its table was taken out of the file; users whom an admin made for such a provider are the admin's."""
    cli.ok("user", "add", "otto", "--method=oidc", "--provider=other")
    with opened() as store:
        join(store, "ann")
        token(store, 300)
        heard(store)

    there, gone = checks(cli, toml(tmp_path)), checks(cli)

    assert [(check.name, check.outcome) for check in there] == [(NAME, Outcome.OK)]
    assert [(check.name, check.outcome) for check in gone] == [(NAME, Outcome.FAIL)]
    assert "1 user belongs to it, and it is not configured" in gone[0].detail
    assert "quaymaster user list --provider entra" in gone[0].advice


def test_one_name_of_identity_providers_in_two_places(cli: Cli, keep_sso: KeptSso, tmp_path: Path) -> None:
    """The file's counts, and which table it is, is told."""
    keep_sso()

    clashes = [check for check in checks(cli, toml(tmp_path)) if check.outcome is Outcome.WARN]

    assert [check.name for check in clashes] == [NAME]
    assert "the table [sso.entra]" in clashes[0].advice


def test_identity_providers_of_the_file_before_there_is_a_database(fresh_cli: Cli, tmp_path: Path) -> None:
    """They are named, and looking makes nothing."""
    found = checks(fresh_cli, toml(tmp_path))

    assert [(check.name, check.outcome) for check in found] == [(NAME, Outcome.OK)]
    assert not fresh_cli.data.exists()


def test_settings_that_cannot_be_read_fail(cli: Cli, keep_sso: KeptSso, opened: Opened) -> None:
    """With the mistake, and how to mend it."""
    from storage.database.change_types import PutProvider  # a change that no command makes

    keep_sso()
    with opened() as store:
        store.apply(PutProvider("entra", "sso", {"method": "fax"}, {}), actor="test")

    (found,) = checks(cli)

    assert found.outcome is Outcome.FAIL
    assert "method" in found.detail
    assert "quaymaster provider set entra" in found.advice
