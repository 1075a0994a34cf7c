"""What every test of a part takes for granted about the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.outgoing_servers import certificate


@pytest.fixture(scope="session")
def an_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that signed nothing."""
    return certificate(tmp_path_factory.mktemp("authorities") / "system.pem")


@pytest.fixture(scope="module", autouse=True)
def _one_system_authority(an_authority: Path) -> Iterator[None]:
    """OpenSSL's "system authorities" are one: to read the distribution's takes each new TLS context 20 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(an_authority))
        yield
