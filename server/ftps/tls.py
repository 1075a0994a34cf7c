"""TLS contexts for control and data channels, renewed when the certificate's files change."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import structlog
from OpenSSL import SSL
from OpenSSL._util import lib as _openssl  # the only way to SSL_session_reused; test_ftps_tls shows that it is there

log = structlog.get_logger(__name__)

# TLS 1.2 suites; those of TLS 1.3 are all strong (RFC 9325 section 4.2).
CIPHERS = b":".join(
    (
        b"ECDHE-ECDSA-AES128-GCM-SHA256",
        b"ECDHE-RSA-AES128-GCM-SHA256",
        b"ECDHE-ECDSA-AES256-GCM-SHA384",
        b"ECDHE-RSA-AES256-GCM-SHA384",
        b"ECDHE-ECDSA-CHACHA20-POLY1305",
        b"ECDHE-RSA-CHACHA20-POLY1305",
    )
)
OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_NO_RENEGOTIATION  # a client could make us do handshakes for ever
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_ECDH_USE
)
SESSION_ID_BYTES = 16

FileState = tuple[int, int, int]


def build_context(certificate: Path, key: Path) -> SSL.Context:
    """Make a server context: TLS 1.2 or later, forward-secret AEAD suites, a session id of its own.

    Sessions of one context are not resumed in another one (RFC 5077 tickets are sealed with the
    context's own keys), so a context per control connection ties data connections to it.

    Raises:
        SSL.Error: the files are not a certificate and its key.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(OPTIONS)
    context.set_session_id(os.urandom(SESSION_ID_BYTES))
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    context.check_privatekey()
    return context


def session_was_reused(connection: SSL.Connection) -> bool:
    """Whether the finished handshake resumed an earlier TLS session of the same context.

    pyOpenSSL 26 has no public call for it.
    """
    return bool(_openssl.SSL_session_reused(connection._ssl))  # noqa: SLF001 - see the docstring


class TlsContexts:
    """Gives each control connection its context. Thread-safe.

    A changed certificate is served to the next connection; a broken one is logged, and the last
    good one stays in use.
    """

    def __init__(self, certificate: Path, key: Path, *, per_connection: bool = False) -> None:
        self._certificate = certificate
        self._key = key
        self._per_connection = per_connection
        self._lock = threading.Lock()
        self._state = self._look()
        self._context = build_context(certificate, key)

    def for_connection(self) -> SSL.Context:
        """Give the context for a new control connection and its data connections."""
        with self._lock:
            state = self._look()
            if state != self._state or self._per_connection:
                self._renew(state)
            return self._context

    def _renew(self, state: tuple[FileState, FileState] | None) -> None:
        try:
            self._context = build_context(self._certificate, self._key)
        except (SSL.Error, OSError) as error:
            if state != self._state:
                log.warning("ftps.certificate_unusable", path=str(self._certificate), error=repr(error))
        else:
            if state != self._state:
                log.info("ftps.certificate_renewed", path=str(self._certificate))
        self._state = state

    def _look(self) -> tuple[FileState, FileState] | None:
        try:
            return _file_state(self._certificate), _file_state(self._key)
        except OSError:
            return None


def _file_state(path: Path) -> FileState:
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
