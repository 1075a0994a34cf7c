"""One running server for all tests that do not need one of their own, with two workers a front end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import QuaymasterServer


@pytest.fixture(scope="session")
def server() -> Iterator[QuaymasterServer]:
    """The real server on loopback with a data folder of its own."""
    with QuaymasterServer(workers=2) as running:
        yield running
