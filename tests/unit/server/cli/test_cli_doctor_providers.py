"""``quaymaster doctor`` and directories: what this machine can tell without asking them."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID

import pytest

from config.loading import load_settings
from config.settings import Settings
from server.cli.checks.check import Check, Outcome
from server.cli.checks.providers import check_providers
from storage.database import sync_log
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import Kept, Opened


def checks(cli: Cli, config: Path | None = None) -> dict[str, Check]:
    settings = load_settings(config, {"QUAYMASTER_DATA": str(cli.data)})
    return {check.name: check for check in check_providers(settings)}


def toml(tmp_path: Path, ca_file: str) -> Path:
    file = tmp_path / "quaymaster.toml"
    file.write_text(
        '[ldap.corp]\nhosts = ["dc1.example.org"]\nvendor = "active-directory"\nbase_dn = "dc=example,dc=org"\n'
        f'bind_user = "svc@example.org"\nbind_password = "x"\nca_file = "{ca_file}"\n'
    )
    return file


def past_run(opened: Opened, outcome: sync_log.Outcome, *, age_s: float = 0.0) -> None:
    began = time.time() - age_s
    with opened() as store:
        number = store.syncs.begin("corp", sync_log.Mode.FULL, "jobs", began)
        store.syncs.finish(number, outcome, {}, "what happened", began)


def test_a_site_without_directories_has_nothing_to_check(fresh_cli: Cli) -> None:
    """Neither before the first start nor afterwards, and looking makes nothing."""
    before = checks(fresh_cli)
    made = fresh_cli.data.exists()
    fresh_cli.ok("user", "list")

    assert (before, made, checks(fresh_cli)) == ({}, False, {})


def test_a_kept_provider_is_good(cli: Cli, keep: Kept) -> None:
    """Its secret opens with the site key; no server is asked, or the refused connection would be told."""
    keep()

    found = checks(cli)

    assert {name: check.outcome for name, check in found.items()} == {
        "site key": Outcome.OK,
        "provider corp": Outcome.OK,
    }
    assert "not run yet" in found["provider corp"].detail


def test_the_site_key_is_looked_at(cli: Cli, keep: Kept) -> None:
    """One that others can read, and one that is lost, fail; the provider cannot be used without it."""
    keep()
    key = Settings(data=cli.data).site_key_file

    key.chmod(0o640)
    open_to_others = checks(cli)
    key.unlink()
    lost = checks(cli)

    assert (open_to_others["site key"].outcome, open_to_others["provider corp"].outcome) == (Outcome.FAIL, Outcome.OK)
    assert "chmod 600" in open_to_others["site key"].advice
    assert (lost["site key"].outcome, lost["provider corp"].outcome) == (Outcome.FAIL, Outcome.FAIL)
    assert "--bind-password-stdin" in lost["provider corp"].advice


def test_a_certificate_authority_that_cannot_be_read_fails(cli: Cli, keep: Kept, tmp_path: Path) -> None:
    """Of a provider in the database, and of one in the file before there is a database."""
    of_file = checks(cli, toml(tmp_path, str(tmp_path / "none.pem")))
    keep("lab", f"--ca-file={tmp_path / 'none.pem'}")

    assert of_file["provider corp"].outcome is Outcome.FAIL
    assert checks(cli)["provider lab"].outcome is Outcome.FAIL
    assert "none.pem" in checks(cli)["provider lab"].detail


def test_one_name_in_two_places_is_warned_about(cli: Cli, keep: Kept, tmp_path: Path) -> None:
    """The file's counts, and the admin of the database may not know."""
    keep()
    (tmp_path / "ca.pem").touch()

    settings = load_settings(toml(tmp_path, str(tmp_path / "ca.pem")), {"QUAYMASTER_DATA": str(cli.data)})
    clashes = [check for check in check_providers(settings) if check.outcome is Outcome.WARN]

    assert [check.name for check in clashes] == ["provider corp"]
    assert "the file's counts" in clashes[0].detail
    assert "quaymaster provider remove corp" in clashes[0].advice


@pytest.mark.parametrize(
    ("outcome", "age_s", "word"),
    [
        (sync_log.Outcome.FAILED, 0.0, "what happened"),
        (sync_log.Outcome.HELD, 0.0, "is held"),
        (sync_log.Outcome.DONE, 3 * 3600.0 + 60.0, "has not run for 3.0 hours"),
    ],
)
def test_a_sync_that_does_not_go_on_is_warned_about(
    cli: Cli, keep: Kept, opened: Opened, *, outcome: sync_log.Outcome, age_s: float, word: str
) -> None:
    """The last run failed, is held, or is older than three intervals."""
    keep()
    past_run(opened, outcome, age_s=age_s)

    found = checks(cli)["provider corp"]

    assert found.outcome is Outcome.WARN
    assert word in found.detail
    assert found.advice


def test_a_sync_that_goes_on_is_good(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Within three intervals."""
    keep()
    past_run(opened, sync_log.Outcome.DONE, age_s=2 * 3600.0)

    assert checks(cli)["provider corp"].outcome is Outcome.OK


def test_users_whose_directory_is_gone_are_told(cli: Cli, keep: Kept, tmp_path: Path) -> None:
    """Its table was taken out of the file; who belongs to another directory, or to none, is not counted."""
    (tmp_path / "ca.pem").touch()
    file = toml(tmp_path, str(tmp_path / "ca.pem"))
    cli.ok("user", "add", "otto", "--method=ldap")
    cli.ok("user", "add", "pia", "--method=local")
    keep("lab")
    for number, name, provider in ((1, "ann", "corp"), (2, "bob", "corp"), (3, "cleo", "lab")):
        person = (f"--provider={provider}", f"--external-id={UUID(int=number)}", f"--config={file}")
        cli.ok("user", "add", name, "--method=ldap", *person)

    there, gone = checks(cli, file), checks(cli)
    cli.ok("user", "delete", "bob", "--yes")
    one_left = checks(cli)

    assert {name for name, check in there.items() if check.outcome is not Outcome.OK} == set()
    assert {name for name, check in gone.items() if check.outcome is not Outcome.OK} == {"provider corp"}
    assert gone["provider corp"].outcome is Outcome.FAIL
    assert gone["provider corp"].detail.startswith("2 users belong to it, and it is not configured")
    assert "quaymaster user list --provider corp" in gone["provider corp"].advice
    assert one_left["provider corp"].detail.startswith("1 user belongs to it")


def test_a_database_that_cannot_be_read_leaves_the_file(fresh_cli: Cli, tmp_path: Path) -> None:
    """The broken database has a line of its own; the file's providers are still looked at."""
    fresh_cli.data.mkdir(mode=0o700)
    (fresh_cli.data / "quaymaster.db").write_bytes(b"not a database" * 100)
    (tmp_path / "ca.pem").touch()

    found = checks(fresh_cli, toml(tmp_path, str(tmp_path / "ca.pem")))

    assert {name: check.outcome for name, check in found.items()} == {"provider corp": Outcome.OK}
