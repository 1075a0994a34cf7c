"""The names that scripts outside the repository rely on, through the real command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import Cli
from tests.support.interrupts import interruptible

QUAYMASTER = Path(sys.executable).with_name("quaymaster")


def run(data: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    env = {"QUAYMASTER_DATA": str(data), "PATH": "/usr/bin:/bin"}
    return subprocess.run([QUAYMASTER, *arguments], env=env, input=stdin, capture_output=True, text=True, check=False)


@pytest.mark.system
def test_the_commands_work_from_the_shell(tmp_path: Path) -> None:
    """A user, a key, an API key, an explanation: JSON on standard output and exit code 0."""
    data = tmp_path / "data"
    assert run(data, "user", "add", "anna", "--method", "local", "--password-stdin", stdin="secret\n").returncode == 0
    generated = run(data, "key", "generate", "anna", "--out", str(tmp_path / "id"), "--json")
    issued = run(data, "apikey", "issue", "anna", "--json")
    answer = run(data, "explain", "anna", "--front-end", "ftps", "--credential", "password", "--json")

    assert json.loads(generated.stdout)["fingerprint"].startswith("SHA256:")
    assert json.loads(issued.stdout)["key"].startswith("qm_")
    assert json.loads(answer.stdout)["allowed"] is True
    assert json.loads(run(data, "session", "list", "--json").stdout) == []


@pytest.mark.system
def test_errors_leave_the_shell_with_their_codes(tmp_path: Path) -> None:
    """1 for what cannot be done, 2 for wrong usage; never a traceback."""
    unknown = run(tmp_path / "data", "user", "show", "nobody")
    usage = run(tmp_path / "data", "user", "add")
    wrong = run(tmp_path / "data", "frobnicate")

    assert (unknown.returncode, usage.returncode, wrong.returncode) == (1, 2, 2)
    assert "Traceback" not in unknown.stderr + usage.stderr + wrong.stderr
    assert (unknown.stdout, usage.stdout, wrong.stdout) == ("", "", "")


@pytest.mark.system
def test_a_data_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A place where nobody can make a folder: what, why and what to do, and no traceback."""
    (tmp_path / "file").touch()
    said = run(tmp_path / "file" / "data", "user", "list", "--json")

    assert (said.returncode, said.stdout) == (1, "")
    assert "cannot be made" in said.stderr
    assert "QUAYMASTER_DATA" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.system
def test_a_command_that_makes_a_data_folder_says_so(tmp_path: Path) -> None:
    """Whoever works in the wrong folder must not be told only that there are no users."""
    first, second = (run(tmp_path / "data", "user", "list", "--json") for _ in range(2))

    assert json.loads(first.stdout) == []
    assert str(tmp_path / "data") in first.stderr
    assert second.stderr == ""


@pytest.mark.parametrize("noun", ["user", "group", "folder", "grant", "key", "apikey"])
def test_every_list_is_a_json_array(cli: Cli, noun: str) -> None:
    """Also when it is empty."""
    assert cli.ok(noun, "list") == []
    assert cli.run(noun, "list").out == ""


@pytest.mark.system
def test_following_the_audit_trail(tmp_path: Path) -> None:
    """``--follow`` prints what is there, then each new event as it comes: one JSON object on each line."""
    data = tmp_path / "data"
    run(data, "user", "add", "anna", "--method", "none")
    environ = {"QUAYMASTER_DATA": str(data)}
    command = [str(QUAYMASTER), "audit", "tail", "--follow", "--json", "--user", "anna"]
    with interruptible(command, environ) as follower:
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        run(data, "user", "disable", "anna")
        second = json.loads(follower.stdout.readline())
        follower.send_signal(signal.SIGINT)
        code = follower.wait(10)

    assert (first["kind"], second["kind"], code) == ("user.created", "user.disabled", 0)
