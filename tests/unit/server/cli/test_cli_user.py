"""``quaymaster user``."""

from __future__ import annotations

import stat

import pytest

from auth_backends.api import Secret
from auth_backends.passwords import PasswordHasher
from config.settings import Settings
from storage.database.records import Method
from storage.database.store import open_store
from tests.support.cli import Cli


def stored_hash(cli: Cli, user_id: str) -> str | None:
    store = open_store(Settings(data=cli.data).database_url)
    try:
        return store.credentials.password_hash(user_id)
    finally:
        store.close()


def test_the_first_command_makes_the_database(fresh_cli: Cli) -> None:
    """Users can be added before the first start; the data folder is closed to others."""
    user = fresh_cli.ok("user", "add", "Ánna", "--method", "local")

    assert user["name"] == "ánna"
    assert stat.S_IMODE(fresh_cli.data.stat().st_mode) == 0o700
    assert [row["name"] for row in fresh_cli.ok("user", "list")] == ["ánna"]


def test_a_password_comes_from_standard_input(cli: Cli) -> None:
    """The first line is the password, kept as argon2id; blanks in it count and the line break does not."""
    user = cli.ok("user", "add", "anna", "--method", "local", "--password-stdin", stdin=" pass word \nrest\n")

    kept = stored_hash(cli, user["id"])
    assert kept is not None
    assert kept.startswith("$argon2id$")
    assert PasswordHasher().verify(kept, Secret(" pass word "))


@pytest.mark.parametrize("method", [Method.OIDC, Method.SAML, Method.LDAP, Method.NONE])
def test_a_password_is_refused_for_methods_that_have_none(cli: Cli, method: Method) -> None:
    """The reason is told, nothing is written, and standard output stays empty."""
    said = cli.run("user", "add", "anna", "--method", method, "--password-stdin", "--json", stdin="x\n")

    assert (said.code, said.out) == (1, "")
    assert "Why: " in said.err
    assert "Next: " in said.err
    assert cli.ok("user", "list") == []


def test_an_empty_password_is_refused(cli: Cli) -> None:
    """An empty line is no password."""
    said = cli.run("user", "add", "anna", "--method", "local", "--password-stdin", stdin="\n")

    assert said.code == 1
    assert "The password is empty." in said.err
    assert cli.ok("user", "list") == []


def test_a_local_user_without_password_is_warned_about(cli: Cli) -> None:
    """In a script without --password-stdin the user is made, and standard error says what is missing."""
    said = cli.run("user", "add", "anna", "--method", "local", "--json")

    assert said.data["name"] == "anna"
    assert "quaymaster user passwd anna" in said.err


def test_every_option_reaches_the_user(cli: Cli) -> None:
    """What is given to ``add`` is what ``show`` prints."""
    cli.ok(
        "user",
        "add",
        "otto",
        "--method=oidc",
        "--provider=entra",
        "--admin",
        "--display-name=Otto Müller",
        "--email=otto@example.org",
        "--quota=1.5G",
        "--expires=2999-12-31",
        "--protocols=sftp,webdav",
        "--networks=10.0.0.0/8",
        "--networks=2001:db8::/32",
    )

    user = cli.ok("user", "show", "OTTO")

    assert user["method"] == "oidc"
    assert user["provider"] == "entra"
    assert user["role"] == "admin"
    assert user["display_name"] == "Otto Müller"
    assert user["email"] == "otto@example.org"
    assert user["quota_bytes"] == 1610612736
    assert user["expires_at"] == "3000-01-01T00:00:00Z"
    assert user["protocols"] == ["sftp", "webdav"]
    assert user["networks"] == ["10.0.0.0/8", "2001:db8::/32"]
    assert (user["has_password"], user["groups"], user["keys"], user["apikeys"], user["grants"]) == (
        False,
        [],
        [],
        [],
        [],
    )


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--quota=lots", "is not a size"),
        ("--expires=soon", "is not a time"),
        ("--expires=2001-01-01", "has passed"),
        ("--protocols=gopher", "is no way in"),
        ("--networks=10.0.0.1/8", "is not a network"),
        ("--provider=entra", "does not go with --method local"),
    ],
)
def test_a_bad_option_is_told(cli: Cli, option: str, word: str) -> None:
    """Exit code 1, words on standard error, and no user."""
    said = cli.run("user", "add", "anna", "--method=local", option)

    assert said.code == 1
    assert word in said.err
    assert cli.ok("user", "list") == []


def test_a_name_is_taken_once(cli: Cli) -> None:
    """The second ``add`` is refused in words, whatever the case of the letters."""
    cli.ok("user", "add", "anna", "--method", "none")

    said = cli.run("user", "add", "ANNA", "--method", "none")

    assert said.code == 1
    assert said.err.startswith("Error: ")


def test_an_unknown_user_is_told(cli: Cli) -> None:
    """Every command that names a user says where to look."""
    for arguments in (["show", "x"], ["disable", "x"], ["enable", "x"], ["delete", "x"], ["rename", "x", "y"]):
        said = cli.run("user", *arguments)

        assert (said.code, said.out) == (1, "")
        assert "There is no user 'x'." in said.err


def test_wrong_usage_is_exit_code_2(cli: Cli) -> None:
    """A missing option and an unknown method are usage errors."""
    assert cli.run("user", "add", "anna").code == 2
    assert cli.run("user", "add", "anna", "--method", "magic").code == 2


def test_disable_and_enable(cli: Cli) -> None:
    """Each raises the epoch, which is what ends live sessions."""
    before = cli.ok("user", "add", "anna", "--method", "none")

    disabled = cli.ok("user", "disable", "anna")
    enabled = cli.ok("user", "enable", "anna")

    assert (disabled["status"], enabled["status"]) == ("disabled", "active")
    assert before["epoch"] < disabled["epoch"] < enabled["epoch"]


def test_set_method_takes_the_password_away(cli: Cli) -> None:
    """A user who moves to SSO keeps the account, and the stored hash is gone."""
    user = cli.ok("user", "add", "anna", "--method", "local", "--password-stdin", stdin="secret\n")

    moved = cli.ok("user", "set-method", "anna", "--method", "oidc", "--provider", "entra")

    assert (moved["id"], moved["method"], moved["provider"]) == (user["id"], "oidc", "entra")
    assert stored_hash(cli, user["id"]) is None


def test_rename_keeps_id_and_home(cli: Cli) -> None:
    """Only the login name changes, and nobody else can take the old one."""
    user = cli.ok("user", "add", "anna", "--method", "none")

    renamed = cli.ok("user", "rename", "anna", "anna.meier")

    assert (renamed["id"], renamed["home"], renamed["name"]) == (user["id"], "anna", "anna.meier")
    assert cli.run("user", "add", "anna", "--method", "none").code == 1


def test_passwd_sets_a_password(cli: Cli) -> None:
    """For local users from standard input; others are refused with the reason; no input is refused."""
    user = cli.ok("user", "add", "anna", "--method", "local")
    cli.ok("user", "add", "otto", "--method", "saml")

    cli.ok("user", "passwd", "anna", "--password-stdin", stdin="new\n")

    kept = stored_hash(cli, user["id"])
    assert kept is not None
    assert PasswordHasher().verify(kept, Secret("new"))
    assert "identity provider" in cli.run("user", "passwd", "otto", "--password-stdin", stdin="new\n").err
    assert "--password-stdin" in cli.run("user", "passwd", "anna").err


def test_set_changes_only_what_is_named(cli: Cli) -> None:
    """Limits can be set and lifted again."""
    cli.ok("user", "add", "anna", "--method=none", "--display-name=Anna", "--networks=10.0.0.0/8", "--quota=1K")

    changed = cli.ok("user", "set", "anna", "--networks=any", "--quota=none", "--protocols=ftps", "--admin")

    assert (changed["networks"], changed["quota_bytes"], changed["protocols"]) == ([], None, ["ftps"])
    assert (changed["display_name"], changed["role"]) == ("Anna", "admin")


def test_list_can_be_narrowed(cli: Cli) -> None:
    """By group, method and status."""
    cli.ok("user", "add", "anna", "--method=none")
    cli.ok("user", "add", "otto", "--method=oidc")
    cli.ok("group", "add", "staff")
    cli.ok("group", "add-member", "staff", "otto")
    cli.ok("user", "disable", "anna")

    assert [row["name"] for row in cli.ok("user", "list", "--method=oidc")] == ["otto"]
    assert [row["name"] for row in cli.ok("user", "list", "--status=disabled")] == ["anna"]
    assert [row["name"] for row in cli.ok("user", "list", "--group=staff")] == ["otto"]


def test_delete_keeps_the_home(cli: Cli) -> None:
    """The answer names the folder that stays on disk."""
    cli.ok("user", "add", "anna", "--method=none")

    deleted = cli.ok("user", "delete", "anna")

    assert (deleted["deleted"], deleted["home_kept"]) == ("anna", "anna")
    assert cli.ok("user", "list") == []


def test_the_last_break_glass_admin_stays(cli: Cli) -> None:
    """Neither disable nor delete may end it; a break-glass admin must be local."""
    cli.ok("user", "add", "root", "--method=local", "--break-glass", "--password-stdin", stdin="x\n")

    assert cli.run("user", "disable", "root").code == 1
    assert cli.run("user", "delete", "root").code == 1
    assert "must be local" in cli.run("user", "add", "r2", "--method=oidc", "--break-glass").err


def test_changes_are_audited_under_the_name_of_the_caller(cli: Cli) -> None:
    """The actor is ``cli:`` and the operating system's user."""
    cli.ok("user", "add", "anna", "--method=none")

    (event,) = cli.ok("audit", "tail", "--user", "anna")

    assert (event["kind"], event["subject"]) == ("user.created", "anna")
    assert event["actor"].startswith("cli:")
