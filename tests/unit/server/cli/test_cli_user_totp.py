"""``quaymaster user totp``: a secret is shown once, and counts when a first code was right."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from auth_backends.api import Secret
from auth_backends.totp import STEP_S, CodeAnswer, TotpCodes, code_at, enrolment_uri
from config.settings import Settings
from server.cli import values
from server.cli.user import totp as user_totp
from storage.database.sealing import load_site_key
from tests.support.cli import Cli
from tests.support.one_time_codes import SECRET, code_now, enrol, wrong_code
from tests.unit.server.cli.conftest import Kept, Opened

QUAYMASTER = Path(sys.executable).with_name("quaymaster")


@pytest.fixture
def glass(cli: Cli) -> str:
    """A break-glass admin who is not enrolled."""
    cli.ok("user", "add", "glass", "--method=local", "--break-glass", "--password-stdin", stdin="right horse battery\n")
    return "glass"


@pytest.fixture
def known_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the secret whose codes a test can make before the command runs."""
    monkeypatch.setattr(user_totp, "new_secret", lambda: SECRET)


def is_enrolled(cli: Cli, name: str) -> bool:
    """What ``user show`` says."""
    return bool(cli.ok("user", "show", name)["totp_enrolled"])


def answer(cli: Cli, opened: Opened, name: str, code: str) -> CodeAnswer:
    """What the server would say of a code now."""
    file = Settings(data=cli.data).site_key_file
    with opened() as store:
        user = store.users.by_name(name)
        assert user is not None
        return TotpCodes(store, lambda: load_site_key(file)).use(user.id, Secret(code), time.time())


@pytest.mark.system
def test_a_script_reads_the_secret_and_answers_with_a_code(cli: Cli, glass: str, opened: Opened) -> None:
    """In one run of the real command: JSON with a secret of 160 bits, then a code of it on standard input."""
    command = [str(QUAYMASTER), "user", "totp", "enrol", glass, "--code-stdin", "--json"]
    env = {"QUAYMASTER_DATA": str(cli.data), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        lines = iter(running.stdout.readline, "")
        told = json.loads("".join(_through_brace(lines)))
        secret, step = Secret(told["secret"]), int(time.time() // STEP_S)
        running.stdin.write(code_at(secret, step) + "\n")
        running.stdin.close()
        rest = running.stdout.read()

    assert (running.returncode, rest) == (0, "")
    assert (told["user"], len(base64.b32decode(told["secret"]))) == ("glass", 20)
    assert told["uri"] == enrolment_uri(secret, "glass").reveal()
    assert is_enrolled(cli, glass)
    assert answer(cli, opened, glass, code_at(secret, step)) is CodeAnswer.USED
    assert answer(cli, opened, glass, code_at(secret, step + 1)) is CodeAnswer.RIGHT


def _through_brace(lines: Iterator[str]) -> list[str]:
    """Take the lines of one JSON document; there is no end of the stream yet."""
    taken: list[str] = []
    for line in lines:
        taken.append(line)
        if line.startswith("}"):
            break
    return taken


@pytest.mark.usefixtures("known_secret")
def test_a_wrong_first_code_changes_nothing(cli: Cli, glass: str) -> None:
    """The user is not enrolled, and nothing is in the trail."""
    said = cli.run("user", "totp", "enrol", glass, "--code-stdin", stdin=f"{wrong_code()}\n{code_now()}\n")

    assert said.code == 1
    assert "nothing was changed" in said.err
    assert not is_enrolled(cli, glass)


@pytest.mark.usefixtures("known_secret")
def test_at_a_terminal_a_code_may_be_mistyped(cli: Cli, glass: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for three times, below a QR code of the address."""
    monkeypatch.setattr(values, "at_terminal", lambda: True)

    given_up = cli.run("user", "totp", "enrol", glass, stdin=f"{wrong_code()}\n" * 3 + f"{code_now()}\n")
    enrolled_then = is_enrolled(cli, glass)
    done = cli.run("user", "totp", "enrol", glass, stdin=f"{wrong_code()}\n{wrong_code()}\n{code_now()}\n")

    assert (given_up.code, enrolled_then) == (1, False)
    assert (done.code, is_enrolled(cli, glass)) == (0, True)
    assert SECRET.reveal() in done.out
    assert SECRET.reveal() not in done.err
    assert sum("█" in line and "▀" in line for line in done.err.splitlines()) > 10


def test_without_anybody_to_ask_no_secret_is_made(cli: Cli, glass: str) -> None:
    """A script that forgot the option sees no secret that never counts."""
    said = cli.run("user", "totp", "enrol", glass)

    assert (said.code, said.out) == (1, "")
    assert "--code-stdin" in said.err


def test_the_secret_is_shown_and_kept_nowhere_else(cli: Cli, glass: str) -> None:
    """Not in ``user show``, not in the trail, and not in any file of the installation."""
    enrol(cli, glass)

    shown = cli.run("user", "show", glass, "--json").out + cli.run("audit", "tail", "--json").out
    raw = base64.b32decode(SECRET.reveal())
    files = [file.read_bytes() for file in cli.data.rglob("*") if file.is_file()]
    assert SECRET.reveal() not in shown
    assert "totp.enrolled" in shown
    assert files
    assert not any(SECRET.reveal().encode() in content or raw in content for content in files)


@pytest.mark.parametrize("method", ["local+key", "none", "oidc"])
def test_who_is_never_asked_is_not_enrolled(cli: Cli, method: str) -> None:
    """Their sign-in has no place for a code."""
    cli.ok("user", "add", "kay", f"--method={method}")

    said = cli.run("user", "totp", "enrol", "kay", "--code-stdin")

    assert (said.code, said.out) == (1, "")
    assert "never asked" in said.err


@pytest.mark.usefixtures("known_secret")
def test_present_codes_are_not_ended_by_mistake(cli: Cli, glass: str) -> None:
    """A second enrolment must say that it replaces the first."""
    enrol(cli, glass)

    again = cli.run("user", "totp", "enrol", glass, "--code-stdin", stdin=f"{code_now()}\n")
    meant = cli.run("user", "totp", "enrol", glass, "--code-stdin", "--replace", stdin=f"{code_now()}\n")

    assert (again.code, again.out) == (1, "")
    assert "--replace" in again.err
    assert meant.code == 0, meant.err


def test_removal_ends_the_codes(cli: Cli, glass: str, opened: Opened) -> None:
    """And tells that an emergency account is locked out by it; a second time changes nothing."""
    enrol(cli, glass)

    first, second = (cli.run("user", "totp", "remove", glass, "--json") for _ in range(2))

    assert first.data == {"user": "glass", "totp_enrolled": False, "changed": True}
    assert second.data["changed"] is False
    assert "cannot sign in anywhere" in first.err
    assert not is_enrolled(cli, glass)
    assert answer(cli, opened, glass, code_now(1)) is CodeAnswer.NOT_ENROLLED


def test_removal_is_asked_for_at_a_terminal(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A no changes nothing, a yes does; other users get no warning of emergencies."""
    cli.ok("user", "add", "anna", "--method=local", "--password-stdin", stdin="right horse battery\n")
    enrol(cli, "anna")
    monkeypatch.setattr(values, "at_terminal", lambda: True)

    no = cli.run("user", "totp", "remove", "anna", stdin="n\n")
    still = is_enrolled(cli, "anna")
    yes = cli.run("user", "totp", "remove", "anna", stdin="y\n")

    assert (no.code, still) == (1, True)
    assert (yes.code, is_enrolled(cli, "anna")) == (0, False)
    assert "cannot sign in" not in yes.err


def test_a_new_emergency_account_is_told_the_next_step(cli: Cli) -> None:
    """``user add --break-glass`` names the command; others are not bothered."""
    glass = cli.run(
        "user", "add", "glass", "--method=local", "--break-glass", "--password-stdin", stdin="long enough\n"
    )
    anna = cli.run("user", "add", "anna", "--method=local", "--password-stdin", stdin="long enough\n")

    assert "quaymaster user totp enrol glass" in glass.err
    assert "totp" not in anna.err


def test_a_user_is_told_what_ends_with_the_codes(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password alone is no way in on protocols any more, unless the site says otherwise."""
    for name in ("anna", "bert"):
        cli.ok("user", "add", name, "--method=local", "--password-stdin", stdin="long enough\n")
    monkeypatch.setattr(user_totp, "new_secret", lambda: SECRET)
    lenient = {"QUAYMASTER_AUTH__PASSWORD_WITHOUT_TOTP": "true"}

    strict = cli.run("user", "totp", "enrol", "anna", "--code-stdin", stdin=f"{code_now()}\n")
    other = cli.run("user", "totp", "enrol", "bert", "--code-stdin", stdin=f"{code_now()}\n", env=lenient)

    assert (strict.code, other.code) == (0, 0)
    assert "SFTP, FTPS and WebDAV" in strict.err
    assert "SFTP, FTPS and WebDAV" not in other.err


def test_no_second_site_key_is_made(cli: Cli, glass: str, tmp_path: Path) -> None:
    """Where the key of the present secrets is lost, or is another one, nothing is sealed under a new one."""
    cli.ok("user", "add", "anna", "--method=local", "--password-stdin", stdin="long enough\n")
    enrol(cli, glass)
    file = Settings(data=cli.data).site_key_file
    shutil.move(file, tmp_path / "kept")

    lost = cli.run("user", "totp", "enrol", "anna", "--code-stdin")
    made = file.exists()
    file.write_bytes(base64.b64encode(b"o" * 32))
    other = cli.run("user", "totp", "enrol", "anna", "--code-stdin")

    assert (lost.code, lost.out, made) == (1, "", False)
    assert (other.code, other.out) == (1, "")
    assert "another key" in other.err


def test_codes_are_sealed_under_the_key_of_the_directories(cli: Cli, glass: str, keep: Kept) -> None:
    """One key for the site: with a directory's secret sealed and the key gone, none is made for codes."""
    keep()
    Settings(data=cli.data).site_key_file.unlink()

    said = cli.run("user", "totp", "enrol", glass, "--code-stdin")

    assert (said.code, said.out) == (1, "")
    assert not Settings(data=cli.data).site_key_file.exists()
