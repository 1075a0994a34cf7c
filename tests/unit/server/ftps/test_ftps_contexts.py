"""TLS contexts."""

from __future__ import annotations

from pathlib import Path

import pytest
from OpenSSL import SSL, _util

from server.ftps.tls import TlsContexts, build_context
from tests.support.ftps_site import write_certificate

YEAR_S = 365 * 24 * 3600


def test_pyopenssl_still_tells_whether_a_session_was_resumed() -> None:
    """The private call that ``session_was_reused`` rests on is there."""
    assert callable(_util.lib.SSL_session_reused)


def test_a_broken_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    """The worker does not come up with one, nor with a key that is another's."""
    certificate, _ = write_certificate(tmp_path)
    _, other_key = write_certificate(tmp_path, "other.test")
    with pytest.raises(SSL.Error):
        build_context(certificate, other_key)
    certificate.write_bytes(b"nonsense")
    with pytest.raises(SSL.Error):
        build_context(certificate, other_key)


def test_contexts_are_renewed_with_their_files_only(tmp_path: Path) -> None:
    """The same context while the files stay; a new one when they change; the last good one if they break."""
    certificate, key = write_certificate(tmp_path)
    contexts = TlsContexts(certificate, key)
    first = contexts.for_connection()
    assert contexts.for_connection() is first
    text = certificate.read_bytes()
    certificate.unlink()
    assert contexts.for_connection() is first
    certificate.write_bytes(text)
    second = contexts.for_connection()

    assert second is not first
    assert TlsContexts(certificate, key, per_connection=True).for_connection() is not second
