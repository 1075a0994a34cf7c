"""Servers of each test's own, and certificates for them."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.outgoing_servers import Answer, RawServer, certificate


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    servers: list[RawServer] = []

    def start(answer: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> RawServer:
        servers.append(RawServer(answer, context, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates for idp.example and 127.0.0.1, one of them not ours, and one with a common name alone; with keys."""
    folder = tmp_path_factory.mktemp("certificates")
    found = {name: certificate(folder / f"{name}.pem") for name in ("ours", "others")}
    return {**found, "nameless": certificate(folder / "nameless.pem", has_names=False)}
