"""One person who signs in by every client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.clients import Endpoint
from tests.support.server import QuaymasterServer


@pytest.fixture(scope="session")
def person(server: QuaymasterServer) -> tuple[str, str, Path]:
    """A local user with a password and an SSH key: name, password, private key file."""
    server.add_user("mallory", password="right-horse-battery")
    return "mallory", "right-horse-battery", server.add_key("mallory")


@pytest.fixture
def endpoint(server: QuaymasterServer, person: tuple[str, str, Path], tmp_path: Path) -> Endpoint:
    """Where that person signs in, with a scratch folder for this test."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    name, password, key = person
    return Endpoint(
        sftp_port=server.sftp_port,
        ftps_port=server.ftps_port,
        implicit_port=server.implicit_port,
        http_port=server.http_port,
        user=name,
        password=password,
        private_key=key,
        certificate=server.certificate,
        scratch=scratch,
    )
