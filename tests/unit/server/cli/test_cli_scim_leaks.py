"""A token is shown once: no command, no file and no row holds it afterwards."""

from __future__ import annotations

from pathlib import Path

from tests.support.cli import Cli, Said
from tests.support.scim_rows import join, make_scim_group
from tests.unit.server.cli.conftest import KeptSso, Opened


def every_command(cli: Cli, ids: list[str], out: Path) -> list[Said]:
    """What an admin may look at, in words and as JSON."""
    commands = [
        ["provider", "list"],
        ["provider", "show", "entra"],
        ["provider", "test", "entra"],
        ["provider", "map-role", "entra", "--group=Crew", "--role=admin", "--yes"],
        ["scim", "show", "entra", "--url=https://files.example.org"],
        ["scim", "token", "list"],
        ["scim", "token", "extend", ids[0]],
        ["scim", "token", "revoke", ids[0], "--yes"],
        ["scim", "log", "entra", "--bodies"],
        ["scim", "log", "entra", f"--export={out}"],
        ["scim", "held"],
        ["scim", "conflicts"],
        ["audit", "tail", "--limit=1000"],
        ["explain", "ann", "--front-end=sftp", "--credential=password"],
        ["user", "show", "ann"],
        ["doctor"],
        ["config", "show"],
    ]
    return [cli.run(*words, *more) for words in commands for more in ((), ("--json",))]


def test_no_token_is_shown_twice(cli: Cli, keep_sso: KeptSso, opened: Opened, tmp_path: Path) -> None:
    """Of each kind and by each way to make one; the database has a digest, and the id is public."""
    keep_sso()
    issued = [
        cli.ok("scim", "token", "issue", "entra"),
        cli.ok("scim", "token", "issue", "entra", "--kind=basic"),
        cli.ok("scim", "token", "rotate", "entra"),
        cli.ok("scim", "token", "reset", "entra", "--yes"),
        cli.ok("scim", "token", "issue", "entra"),
    ]
    with opened() as store:
        make_scim_group(store, "Crew", join(store, "ann").id)

    said = every_command(cli, [issued[-1]["id"]], tmp_path / "export.json")

    secrets = [token["token"].split("_")[2] for token in issued]
    outputs = "".join(one.out + one.err for one in said)
    kept = b"".join(file.read_bytes() for file in cli.data.rglob("*") if file.is_file())
    assert {len(secret) for secret in secrets} == {43}
    assert [secret for secret in secrets if secret in outputs or secret.encode() in kept] == []
    assert all(token["id"] in outputs for token in issued)


def test_a_token_typed_in_the_place_of_its_id_is_not_repeated(cli: Cli, keep_sso: KeptSso) -> None:
    """Neither in the error nor in the audit trail."""
    keep_sso()
    token = cli.ok("scim", "token", "issue", "entra")["token"]

    said = [cli.run("scim", "token", verb, token, *rest) for verb, rest in (("extend", []), ("revoke", ["--yes"]))]

    assert [one.code for one in said] == [1, 1]
    assert [one for one in said if token in one.out + one.err] == []
    assert token not in cli.run("audit", "tail", "--limit=1000").out
