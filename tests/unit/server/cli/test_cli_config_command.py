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
    assert list(rows) == [leaf.key for leaf in leaves()]
    assert rows["sftp.port"] == {
        "key": "sftp.port",
        "value": 3022,
        "source": "environment variable QUAYMASTER_SFTP__PORT",
    }
    assert rows["ftps.passive_ports"]["value"] == "50000-50199"
    assert rows["database.url"]["value"] == "postgresql://q:***@h/q"
    assert "hunter2" not in said.out + table.out


def test_reference_prints_the_document(cli: Cli) -> None:
    """What docs/configuration.md holds."""
    assert cli.run("config", "reference").out == render()
