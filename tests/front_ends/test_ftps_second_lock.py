"""Data connections that were opened before protection was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.ftps.handler import ControlChannel
from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


def test_a_data_connection_asks_for_protection_itself(site: FtpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were PROT P taken back after PASV, what connects then serves no command (pyftpdlib asks at PASV only)."""
    with RawFtp(site).login() as client:
        port = client.passive()
        monkeypatch.setattr(ControlChannel, "data_is_private", False)
        with client.connect(port):
            reply = client.ask("STOR /a")
            reply = client.reply() if reply.startswith("1") else reply

    assert reply.startswith(("521 ", "425 "))
    assert site.names() == []
