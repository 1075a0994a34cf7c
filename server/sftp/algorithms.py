"""What the SSH transport may negotiate: strict lists, and everything but SFTP switched off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import asyncssh
from asyncssh import SSHServerConnectionOptions

SERVER_VERSION: Final = "Quaymaster"  # sent as SSH-2.0-Quaymaster: no library and no number to look up

# No finite-field Diffie-Hellman (52 ms of CPU a connection), no SHA-1, no encrypt-and-MAC, no CBC.
KEY_EXCHANGES: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
)
CIPHERS: Final = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
)
MACS: Final = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")

# What a client may sign with. asyncssh 2.24.1 would also take ssh-rsa (SHA-1) for an RSA key: its
# signature_algs option only fills the server-sig-algs hint, so the signature itself is checked here.
SIGNATURES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)

LOGIN_TIMEOUT_S: Final = 30
KEEPALIVE_INTERVAL_S: Final = 30
KEEPALIVE_COUNT: Final = 3


def connection_options(
    host_keys: Iterable[Path], server_factory: Callable[[], asyncssh.SSHServer]
) -> SSHServerConnectionOptions:
    """Give the options of every connection; raises what asyncssh raises for an unreadable host key.

    Compression is off: zlib is a bomb here, asyncssh puts no limit on what it inflates. No shell,
    pty, agent, X11 or port forwarding, no GSSAPI, no configuration file, no sftp or scp factory:
    sessions come from the SSHServer alone. Re-keying keeps asyncssh's defaults (1 GiB, 1 hour).
    """
    return SSHServerConnectionOptions(
        config=None,
        server_factory=server_factory,
        server_version=SERVER_VERSION,
        server_host_keys=[asyncssh.read_private_key(path) for path in host_keys],
        kex_algs=KEY_EXCHANGES,
        encryption_algs=CIPHERS,
        mac_algs=MACS,
        compression_algs=None,
        signature_algs=SIGNATURES,
        gss_host=None,
        host_based_auth=False,
        allow_pty=False,
        line_editor=False,
        agent_forwarding=False,
        x11_forwarding=False,
        process_factory=None,
        session_factory=None,
        sftp_factory=None,
        allow_scp=False,
        encoding=None,
        login_timeout=LOGIN_TIMEOUT_S,
        keepalive_interval=KEEPALIVE_INTERVAL_S,
        keepalive_count_max=KEEPALIVE_COUNT,
    )
