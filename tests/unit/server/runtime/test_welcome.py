"""What a newcomer is told."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from config.settings import FtpsSettings, Settings
from server.runtime.preparation import LOCAL, SSO, DemoUser, Report
from server.runtime.welcome import READY, ready_text, users_text

TOKEN = "qm_" + "0" * 32 + "_" + "A" * 43 + "_" + "B" * 6
FRESH = Report(
    users=3,
    migrated=(),
    fingerprints=("ssh-ed25519 SHA256:abc",),
    demo=(
        DemoUser(LOCAL, "local user", password="right-horse-battery"),
        DemoUser(SSO, "SSO user", api_key=TOKEN, private_key="/somewhere/data/demo/grace_ed25519"),
    ),
)
KNOWN = Report(users=3, migrated=(), fingerprints=(), demo=(DemoUser(LOCAL, "local user"), DemoUser(SSO, "SSO user")))


def test_secrets_are_printed_on_one_line_each_and_only_once() -> None:
    """A key can be copied as it stands; the second start prints none."""
    first, second = users_text(FRESH, demo=True), users_text(KNOWN, demo=True)

    assert f"      API key: {TOKEN}" in first.splitlines()
    assert "      password: right-horse-battery" in first.splitlines()
    assert second == ""


def test_without_users_the_first_admin_is_explained() -> None:
    """An empty server says which command makes the first admin."""
    empty = Report(users=0, migrated=(), fingerprints=(), demo=())

    assert "quaymaster user add admin --method local --admin" in users_text(empty, demo=False)
    assert users_text(Report(1, (), (), ()), demo=False) == ""


@pytest.mark.parametrize(
    "client", ["sftp", "scp", "sshfs", "rclone", "curl", "lftp", "davfs", "cadaver", "paramiko", "ftplib"]
)
def test_the_demo_prints_an_example_for_each_client(client: str) -> None:
    """Every client of the README has a line to copy, with the ports that are in use."""
    text = ready_text(Settings(data=Path("/somewhere/data")), FRESH, demo=True)

    assert any(line.split()[:1] == [client] or f" {client} " in line for line in text.splitlines())
    assert text.rstrip().endswith(READY)


def test_a_front_end_that_is_off_is_not_advertised() -> None:
    """No address and no example of it."""
    text = ready_text(Settings(ftps=FtpsSettings(enabled=False)), FRESH, demo=True)

    assert " ftp://" not in text
    assert "2121" not in text


def test_a_known_password_is_not_needed_for_examples() -> None:
    """On later starts the password is a word to replace."""
    text = ready_text(Settings(), KNOWN, demo=True)

    assert "rclone obscure PASSWORD" in text
    assert "right-horse" not in text


def _words(text: str, label: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(f"  {label:<16}"))
    return shlex.split(line[18:], comments=True)


def test_a_data_folder_with_a_space_is_quoted_for_the_shell_and_for_ssh() -> None:
    """A shell sees one word for a path, and ssh (which splits its value at spaces) sees one file."""
    text = ready_text(Settings(data=Path("/some where/data")), FRESH, demo=True)

    assert 'UserKnownHostsFile="/some where/data/keys/known_hosts"' in _words(text, "sftp")
    assert _words(text, "sshfs")[-2:] == ["ada@127.0.0.1:/", "FOLDER"]
    assert "/some where/data/keys/tls.pem" in _words(text, "curl, WebDAV")
    assert 'set ssl:ca-file "/some where/data/keys/tls.pem";' in _words(text, "lftp")[2]
    assert "known_hosts_file='/some where/data/keys/known_hosts':" in _words(text, "rclone, sftp")[2]


def test_an_ipv6_address_is_quoted_for_the_shell_and_for_rclone() -> None:
    """A shell takes brackets for a pattern, and rclone a colon for the end of its connection string."""
    text = ready_text(Settings(listen="::1"), FRESH, demo=True)

    assert "'ada@[::1]:/'" in text
    assert "host='[::1]'" in _words(text, "rclone, sftp")[2]
    assert _words(text, "cadaver") == ["cadaver", "https://[::1]:8443/dav/"]
