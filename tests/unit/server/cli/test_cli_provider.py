"""``quaymaster provider``, as far as no directory answers."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from auth_backends.ldap.check import Outcome, Stage
from config.ldap import LdapProvider
from config.settings import Settings
from server.cli import directories
from server.cli.provider.settings import LDAP_KIND, SECRET
from server.providers import ProviderBook
from storage.database.sync_log import SyncState
from tests.support.cli import Cli
from tests.unit.server.cli.conftest import Kept, Opened

NEEDED = ("--vendor=openldap", "--base-dn=dc=lab,dc=test", "--bind-user=cn=svc,dc=lab,dc=test")


def in_use(cli: Cli, opened: Opened, name: str = "corp") -> LdapProvider:
    """The provider as the server would use it."""
    with opened() as store:
        provider = ProviderBook(store, Settings(data=cli.data)).ldap(name)
    assert provider is not None
    return provider


def passing(provider: LdapProvider, login: str | None = None) -> Iterator[Stage]:
    yield Stage("settings", Outcome.OK, f"{provider.vendor}")
    yield Stage("users", Outcome.WARN, "nobody yet", "add somebody")


@pytest.fixture
def toml(tmp_path: Path) -> str:
    """A file with one provider, ``corp``."""
    file = tmp_path / "quaymaster.toml"
    file.write_text(
        '[ldap.corp]\nhosts = ["dc1.example.org"]\nvendor = "active-directory"\nbase_dn = "dc=example,dc=org"\n'
        'bind_user = "svc@example.org"\nbind_password = "in the file"\n'
    )
    return f"--config={file}"


# add ----------------------------------------------------------------------------------------------


def test_every_setting_has_an_option() -> None:
    """All but the password, which never stands on a command line."""
    assert {*(setting.field for setting in LDAP_KIND.settings), SECRET} == set(LdapProvider.model_fields)


def test_every_option_reaches_the_provider(cli: Cli, keep: Kept, nowhere: str) -> None:
    """What is given to ``add`` is what ``show`` prints."""
    keep(
        "corp",
        "--security=starttls",
        "--ca-file=/etc/ca.pem",
        "--tls-name=ldap.lab.test",
        "--user-base-dn=ou=people,dc=lab,dc=test",
        "--group-base-dn=ou=groups,dc=lab,dc=test",
        "--user-filter=(uid=*)",
        "--group-filter=(cn=*)",
        "--id-attribute=entryUUID",
        "--login-attribute=uid",
        "--alias-attribute=mail,cn",
        "--domain=LAB",
        "--upn-suffix=lab.test",
        "--groups-include=crew-*",
        "--groups-include=a, b",
        "--groups-exclude=crew-x",
        "--groups-required=crew-1",
        "--default-group=everybody",
        "--protocols=sftp,webdav",
        "--home-layout=id",
        "--on-departure=delete",
        "--sync-interval=30m",
        "--full-sync-interval=1d",
        "--max-disabled-percent=5",
        "--max-disabled-count=7",
        "--timeout=3s",
        "--connections=2",
        "--lockout-threshold=9",
        "--lockout-window=1.5h",
    )

    shown = cli.ok("provider", "show", "corp")

    assert {setting.field: shown[setting.field] for setting in LDAP_KIND.settings} == {
        "hosts": [nowhere],
        "security": "starttls",
        "ca_file": "/etc/ca.pem",
        "tls_name": "ldap.lab.test",
        "vendor": "openldap",
        "base_dn": "dc=lab,dc=test",
        "user_base_dn": "ou=people,dc=lab,dc=test",
        "group_base_dn": "ou=groups,dc=lab,dc=test",
        "bind_user": "cn=svc,dc=lab,dc=test",
        "user_filter": "(uid=*)",
        "group_filter": "(cn=*)",
        "id_attribute": "entryUUID",
        "login_attribute": "uid",
        "alias_attributes": ["mail", "cn"],
        "domain": "LAB",
        "upn_suffix": "lab.test",
        "groups_include": ["crew-*", "a, b"],
        "groups_exclude": ["crew-x"],
        "groups_required": ["crew-1"],
        "default_group": "everybody",
        "protocols": ["sftp", "webdav"],
        "home_layout": "id",
        "on_departure": "delete",
        "sync_interval_s": 1800.0,
        "full_sync_interval_s": 86400.0,
        "max_disabled_percent": 5,
        "max_disabled_count": 7,
        "timeout_s": 3.0,
        "connections": 2,
        "lockout_threshold": 9,
        "lockout_window_s": 5400.0,
    }
    assert (shown["origin"], shown["users"], shown["roles"], shown["last_run"]) == ("database", 0, [], None)


def test_the_secret_is_sealed_and_never_shown(cli: Cli, keep: Kept, opened: Opened) -> None:
    """It opens with the site key, mode 0600; the database and every output hold no trace of it."""
    keep()

    assert in_use(cli, opened).bind_password == "of-the-service"
    assert stat.S_IMODE((cli.data / "keys" / "site.key").stat().st_mode) == 0o600
    assert b"of-the-service" not in b"".join(file.read_bytes() for file in cli.data.glob("quaymaster.db*"))
    outputs = [cli.run("provider", *words).out for words in (["show", "corp"], ["show", "corp", "--json"], ["list"])]
    assert [text for text in outputs if "of-the-service" in text] == []
    assert cli.ok("provider", "show", "corp")["bind_password"] == "***"


def test_a_provider_is_tested_before_it_is_kept(cli: Cli, nowhere: str) -> None:
    """The step that failed is told with what to do, and nothing is kept."""
    said = cli.run(
        "provider", "add", "ldap", "corp", f"--host={nowhere}", *NEEDED, "--bind-password-stdin", "--json", stdin="x\n"
    )

    assert (said.code, said.out) == (1, "")
    assert f"did not pass the test: TCP at {nowhere}" in said.err
    assert "--no-test" in said.err
    assert cli.ok("provider", "list") == []


def test_a_provider_that_passes_is_kept(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning of the test is shown and keeps nothing from being kept."""
    monkeypatch.setattr(directories, "check", passing)

    said = cli.run("provider", "add", "ldap", "corp", "--host=dc1", *NEEDED, "--bind-password-stdin", stdin="x\n")

    assert said.code == 0
    assert "nobody yet" in said.err
    assert [row["name"] for row in cli.ok("provider", "list")] == ["corp"]


def test_all_that_is_missing_is_told_at_once(cli: Cli) -> None:
    """In the words of the options, before any password is asked for."""
    said = cli.run("provider", "add", "ldap", "corp", "--host=dc1")

    assert said.code == 1
    for option in ("--vendor", "--base-dn", "--bind-user"):
        assert f"{option} must be given" in said.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--host=dc1:0", "--host: 'dc1:0' is neither NAME nor NAME:PORT"),
        ("--host=dc1,DC1:636", "--host names the same server twice"),
        ("--vendor=novell", "--vendor: "),
        ("--vendor=custom", "needs --user-filter, --group-filter, --id-attribute, --login-attribute too"),
        ("--user-filter=uid=*", "--user-filter: 'uid=*' does not stand in one pair"),
        ("--base-dn=example.org", "--base-dn: 'example.org' is not a distinguished name"),
        ("--alias-attribute=e mail", "--alias-attribute: 'e mail' is not the name"),
        ("--protocols=gopher", "--protocols: 'gopher' is none of them"),
        ("--sync-interval=soon", "'soon' is no length of time"),
        ("--sync-interval=1s", "--sync-interval: "),
        ("--connections=many", "--connections: "),
    ],
)
def test_a_bad_setting_is_told(cli: Cli, option: str, words: str) -> None:
    """By the name of its option; nothing is kept."""
    said = cli.run(
        "provider", "add", "ldap", "corp", "--host=dc1", *NEEDED, option, "--bind-password-stdin", stdin="x\n"
    )

    assert said.code == 1
    assert words in said.err
    assert cli.ok("provider", "list") == []


def test_the_password_comes_from_standard_input_only(cli: Cli) -> None:
    """There is no option that takes it; without a terminal the way to give it is told; an empty one is refused."""
    words = ("provider", "add", "ldap", "corp", "--host=dc1", *NEEDED)

    on_the_line = cli.run(*words, "--bind-password", "x")
    missing = cli.run(*words)
    empty = cli.run(*words, "--bind-password-stdin", stdin="\n")

    assert (on_the_line.code, missing.code, empty.code) == (2, 1, 1)
    assert "--bind-password-stdin" in missing.err
    assert "is empty" in empty.err


def test_the_certificate_authority_is_kept_absolute(
    cli: Cli, keep: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has another working directory than whoever typed the path."""
    monkeypatch.chdir(tmp_path)
    keep("corp", "--ca-file=ca.pem")

    assert cli.ok("provider", "show", "corp")["ca_file"] == str(tmp_path / "ca.pem")


def test_a_name_is_taken_once(cli: Cli, keep: Kept, toml: str) -> None:
    """Also by the TOML file; and a name that could not stand there is refused."""
    keep("lab")
    words = ("--host=dc1", *NEEDED, "--no-test", "--bind-password-stdin")

    twice = cli.run("provider", "add", "ldap", "lab", *words, stdin="x\n")
    of_file = cli.run("provider", "add", "ldap", "corp", *words, toml, stdin="x\n")
    odd = cli.run("provider", "add", "ldap", "My Corp", *words, stdin="x\n")

    assert (twice.code, of_file.code, odd.code) == (1, 1, 1)
    assert "There is a provider 'lab' already." in twice.err
    assert "There is a provider 'corp' already." in of_file.err
    assert "cannot be a provider's name" in odd.err


def test_help_is_plain(cli: Cli) -> None:
    """The settings' own words, with the names of options in place of those of fields, and no mark-up."""
    said = cli.run("provider", "add", "ldap", "--help", env={"COLUMNS": "300"})

    assert "``" not in said.out
    assert "if deeper than --base-dn" in said.out
    assert "Default: 1h." in said.out
    assert "base_dn" not in said.out


# set ----------------------------------------------------------------------------------------------


def test_set_changes_only_what_is_named(cli: Cli, keep: Kept, opened: Opened) -> None:
    """The empty text puts a setting back to its default, and the password stays."""
    keep("corp", "--connections=3", "--groups-exclude=x", "--domain=LAB")

    cli.ok("provider", "set", "corp", "--no-test", "--upn-suffix=lab.test", "--groups-exclude=", "--domain=")

    found = in_use(cli, opened)
    assert (found.connections, found.upn_suffix, found.groups_exclude, found.domain) == (3, "lab.test", (), None)
    assert found.bind_password == "of-the-service"


def test_set_replaces_the_password(cli: Cli, keep: Kept, opened: Opened) -> None:
    """From standard input, and nothing else changes."""
    keep("corp", "--connections=3")

    cli.ok("provider", "set", "corp", "--no-test", "--bind-password-stdin", stdin="another\n")

    found = in_use(cli, opened)
    assert (found.bind_password, found.connections) == ("another", 3)


def test_settings_that_fail_the_test_leave_those_in_use(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Settings are tested before they replace the working ones."""
    keep()

    said = cli.run("provider", "set", "corp", "--connections=2")

    assert said.code == 1
    assert "did not pass the test" in said.err
    assert in_use(cli, opened).connections == 16


def test_set_needs_something_to_change(cli: Cli, keep: Kept) -> None:
    """A command without a change is a mistake, and is told."""
    keep()

    assert "Nothing to change was named." in cli.run("provider", "set", "corp").err
    assert "There is no provider 'x'." in cli.run("provider", "set", "x", "--connections=2").err


def test_a_provider_of_the_file_is_changed_there(cli: Cli, toml: str) -> None:
    """``set`` and ``remove`` say in which file and line it stands."""
    for words in (["set", "corp", "--connections=2"], ["remove", "corp"]):
        said = cli.run("provider", *words, toml)

        assert said.code == 1
        assert "quaymaster.toml:2" in said.err


def test_a_shorter_interval_counts_at_once(keep: Kept, cli: Cli, opened: Opened) -> None:
    """The next run does not wait for the old interval to end."""
    keep()
    with opened() as store:
        store.syncs.keep_state(SyncState("corp", {"usn": 5}, full_at=7.0, next_at=9e12))

    cli.ok("provider", "set", "corp", "--no-test", "--sync-interval=5m")

    with opened() as store:
        state = store.syncs.state("corp")
    assert state.next_at < 9e12
    assert state == replace(SyncState("corp", {"usn": 5}, full_at=7.0), next_at=state.next_at)


# list, show, test, remove -------------------------------------------------------------------------


def test_the_file_stands_for_the_database(cli: Cli, keep: Kept, toml: str) -> None:
    """Of two providers with one name ``list`` has the file's, and ``show`` says that there is another."""
    keep("corp")
    keep("lab")

    rows = cli.ok("provider", "list", toml)

    assert [(row["name"], row["origin"]) for row in rows] == [("corp", "file"), ("lab", "database")]
    assert rows[0]["hosts"] == ["dc1.example.org"]
    assert "the file's counts" in cli.ok("provider", "show", "corp", toml)["problem"]


def test_a_provider_whose_secret_is_lost_can_be_mended(cli: Cli, keep: Kept, opened: Opened) -> None:
    """Without the site key it is listed with the problem; a new password makes it whole under a new key."""
    keep()
    (cli.data / "keys" / "site.key").unlink()

    (row,) = cli.ok("provider", "list")
    refused = cli.run("provider", "set", "corp", "--no-test", "--connections=2")
    cli.ok("provider", "set", "corp", "--no-test", "--bind-password-stdin", stdin="anew\n")

    assert "cannot be read" in row["problem"]
    assert refused.code == 1
    assert "--bind-password-stdin" in refused.err
    assert in_use(cli, opened).bind_password == "anew"


def test_the_steps_of_a_test_are_told(cli: Cli, keep: Kept, nowhere: str) -> None:
    """A line for each step with its advice, or JSON; exit code 1 if one fails."""
    keep()

    words = cli.run("provider", "test", "corp")
    as_json = cli.run("provider", "test", "corp", "--json")

    assert (words.code, as_json.code) == (1, 1)
    assert f"FAIL  TCP                    {nowhere}: " in words.out
    assert "-> Check the port" in words.out
    assert as_json.data["ok"] is False
    assert [stage["ok"] for stage in as_json.data["stages"]] == [True, True, False]
    assert {tuple(stage) for stage in as_json.data["stages"]} == {("name", "ok", "outcome", "host", "detail", "advice")}


def test_a_test_that_passes(cli: Cli, keep: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning is no failure."""
    keep()
    monkeypatch.setattr(directories, "check", passing)

    assert cli.ok("provider", "test", "corp", "--login=ann")["ok"] is True


def test_remove_says_who_depends_on_it(cli: Cli, keep: Kept) -> None:
    """A provider goes when nobody belongs to it any more."""
    keep()
    cli.ok("user", "add", "ann", "--method=ldap", "--provider=corp", "--external-id=a-1")

    refused = cli.run("provider", "remove", "corp", "--yes")
    cli.ok("user", "delete", "ann", "--yes")
    removed = cli.ok("provider", "remove", "corp", "--yes")

    assert refused.code == 1
    assert "1 user depends on the provider 'corp': ann." in refused.err
    assert removed == {"removed": "corp"}
    assert cli.ok("provider", "list") == []
    assert "There is no provider 'corp'." in cli.run("provider", "remove", "corp").err


def test_remove_in_a_script_needs_yes(cli: Cli, keep: Kept) -> None:
    """Nobody is asked without a terminal, whatever standard input says: the provider stays, and the way is told."""
    keep()

    said = cli.run("provider", "remove", "corp", "--json", stdin="y\n")

    assert (said.code, said.out) == (1, "")
    assert "Remove the provider corp?" in said.err
    assert "say --yes" in said.err
    assert [row["name"] for row in cli.ok("provider", "list")] == ["corp"]
