"""Uploads whose TLS breaks in the middle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ftps_site import FtpsSite, serving_ftps
from tests.support.raw_ftp import RawFtp

FORGED = b"\x17\x03\x03\x00\x20" + bytes(32)  # an application-data record that nobody with the keys has made
CLEAR = b"HTTP/1.1 200 OK\r\n\r\n"  # no record at all


@pytest.fixture
def site(tmp_path: Path) -> Iterator[FtpsSite]:
    with serving_ftps(tmp_path) as site:
        yield site


@pytest.mark.parametrize("garbage", [FORGED, CLEAR], ids=["forged", "clear"])
def test_what_is_no_tls_is_no_end_of_an_upload(site: FtpsSite, garbage: bytes) -> None:
    """A forged record cannot cut a file short: 426, nothing is committed, and the session goes on."""
    with RawFtp(site).login() as client:
        data = client.start_upload("STOR /a")
        data.sendall(b"x" * 1000)
        os.write(data.fileno(), garbage)
        reply = client.reply()
        data.close()

        assert reply.startswith("426 ")
        assert client.ask("NOOP").startswith("200 ")
    assert site.names() == []
