"""``quaymaster config``."""

from __future__ import annotations

from pathlib import Path

from config.fields import leaves
from config.reference import render
from tests.support.cli import Cli


def test_check_says_that_all_is_good(cli: Cli) -> None:
    """Exit code 0; JSON for scripts."""
    assert cli.ok("config", "check") == {"ok": True, "given": 1}
    assert "is good" in cli.run("config", "check").err


def test_check_tells_every_mistake(cli: Cli, tmp_path: Path) -> None:
    """Exit code 1, and one line for each mistake on standard error; or all of them as JSON on standard output."""
    file = tmp_path / "q.toml"
    file.write_text("[sftp]\nprot = 1\n")
    words = ("config", "check", "--config", str(file))

    said = cli.run(*words, env={"QUAYMASTER_WORKERS": "0"})
    scripted = cli.run(*words, "--json", env={"QUAYMASTER_WORKERS": "0"})

    assert (said.code, said.out) == (1, "")
    assert f"{file}:2: sftp.prot: unknown key." in said.err
    assert "environment variable QUAYMASTER_WORKERS: workers = '0'" in said.err
    assert (scripted.code, scripted.data["ok"], scripted.err) == (1, False, "")
    assert [(one["key"], one["nearest"]) for one in scripted.data["mistakes"]] == [
        ("sftp.prot", "sftp.port"),
        ("workers", None),
    ]


def test_show_prints_value_and_source_of_every_setting(cli: Cli) -> None:
    """Passwords are masked in both forms."""
    env = {"QUAYMASTER_DATABASE__URL": "postgresql://q:hunter2@h/q", "QUAYMASTER_SFTP__PORT": "3022"}

    said = cli.run("config", "show", "--json", env=env)
    table = cli.run("config", "show", env=env)

    rows = {row["key"]: row for row in said.data}
    assert list(rows) == [leaf.key for leaf in leaves() if not leaf.named]
    assert rows["sftp.port"] == {
        "key": "sftp.port",
        "value": 3022,
        "source": "environment variable QUAYMASTER_SFTP__PORT",
    }
    assert rows["ftps.passive_ports"]["value"] == "50000-50199"
    assert rows["database.url"]["value"] == "postgresql://q:***@h/q"
    assert "hunter2" not in said.out + table.out


PROVIDERS = """\
[ldap.corp]
hosts = ["dc1.example.org", "[::1]:3269"]
vendor = "active-directory"
base_dn = "dc=example,dc=org"
bind_user = "svc@example.org"
bind_password = "hunter2"
protocols = ["webdav", "sftp"]
[ldap.lab]
hosts = ["ldap.lab.example.org"]
vendor = "openldap"
base_dn = "dc=lab"
bind_user = "cn=svc,dc=lab"
bind_password = "env:LAB_PASSWORD"
"""


def test_show_lists_the_settings_of_every_provider(cli: Cli, tmp_path: Path) -> None:
    """Each under the provider's own name; lists are lists, and passwords are masked in both forms."""
    file = tmp_path / "q.toml"
    file.write_text(PROVIDERS)
    words, env = ("config", "show", "--config", str(file)), {"LAB_PASSWORD": "hunter2"}

    said = cli.run(*words, "--json", env=env)
    table = cli.run(*words, env=env)

    rows = {row["key"]: row for row in said.data}
    named = [leaf for leaf in leaves() if leaf.path[0] == "ldap"]
    assert list(rows)[-2 * len(named) :] == [leaf.of(name).key for name in ("corp", "lab") for leaf in named]
    assert rows["ldap.corp.hosts"] == {
        "key": "ldap.corp.hosts",
        "value": ["dc1.example.org", "[::1]:3269"],
        "source": f"{file}:2",
    }
    assert rows["ldap.corp.protocols"]["value"] == ["sftp", "webdav"]
    assert (rows["ldap.lab.protocols"]["value"], rows["ldap.lab.alias_attributes"]["value"]) == ([], None)
    assert (rows["ldap.lab.security"]["value"], rows["ldap.lab.security"]["source"]) == ("ldaps", "default")
    assert (rows["ldap.corp.bind_password"]["value"], rows["ldap.lab.bind_password"]["value"]) == ("***", "***")
    assert rows["ldap.lab.bind_password"]["source"] == f"{file}:13 (env:LAB_PASSWORD)"
    assert "hunter2" not in said.out + said.err + table.out + table.err
    assert "dc1.example.org; [::1]:3269" in table.out


def test_check_counts_the_settings_of_every_provider(cli: Cli, tmp_path: Path) -> None:
    """Those that are given, of those that there are with the tables of the file."""
    file = tmp_path / "q.toml"
    file.write_text(PROVIDERS)
    words, env = ("config", "check", "--config", str(file)), {"LAB_PASSWORD": "x"}
    everywhere = sum(not leaf.named for leaf in leaves())
    of_each = sum(leaf.path[0] == "ldap" for leaf in leaves())

    said = cli.run(*words, env=env)

    assert f"12 of {everywhere + 2 * of_each} settings are given" in said.err
    assert cli.run(*words, "--json", env=env).data == {"ok": True, "given": 12}


def test_reference_prints_the_document(cli: Cli) -> None:
    """What docs/configuration.md holds."""
    assert cli.run("config", "reference").out == render()
