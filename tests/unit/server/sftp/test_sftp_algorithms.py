"""What the SSH transport may negotiate."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest
from asyncssh import SSHServerConnectionOptions

from server.sftp.algorithms import LOGIN_TIMEOUT_S, connection_options


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> SSHServerConnectionOptions:
    path: Path = tmp_path_factory.mktemp("keys") / "host_key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(path)
    return connection_options([path], asyncssh.SSHServer)


@pytest.mark.parametrize("weak", [b"sha1", b"group", b"gss", b"cbc", b"md5", b"3des", b"arcfour", b"umac", b"ssh-dss"])
def test_nothing_weak_is_offered(options: SSHServerConnectionOptions, weak: bytes) -> None:
    """No finite-field group, no SHA-1, no CBC, no GSSAPI."""
    offered = [*options.kex_algs, *options.encryption_algs, *options.mac_algs, *options.signature_algs]

    assert not [algorithm for algorithm in offered if weak in algorithm]


def test_every_mac_is_encrypt_then_mac(options: SSHServerConnectionOptions) -> None:
    """Encrypt-and-MAC and MAC-then-encrypt are not offered."""
    assert all(mac.endswith(b"-etm@openssh.com") for mac in options.mac_algs)


def test_post_quantum_comes_first(options: SSHServerConnectionOptions) -> None:
    """A client that knows ML-KEM gets it."""
    assert options.kex_algs[0] == b"mlkem768x25519-sha256"


def test_everything_but_sftp_is_off(options: SSHServerConnectionOptions) -> None:
    """No compression (a bomb in asyncssh), pty, agent, X11, scp or sessions of asyncssh's own."""
    assert options.compression_algs == [b"none"]
    assert not any(
        (
            options.allow_pty,
            options.agent_forwarding,
            options.x11_forwarding,
            options.line_editor,
            options.allow_scp,
            options.sftp_factory,
            options.session_factory,
            options.process_factory,
            options.gss_host,
            options.host_based_auth,
        )
    )


def test_silent_and_dead_clients_are_ended(options: SSHServerConnectionOptions) -> None:
    """30 seconds to sign in; 3 keepalives of 30 seconds unanswered."""
    assert options.login_timeout == LOGIN_TIMEOUT_S == 30
    assert (options.keepalive_interval, options.keepalive_count_max) == (30, 3)
